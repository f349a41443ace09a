/*-------------------------------------------------------------------------
 *
 * operation.c
 *		An operation of the ledger, read back.
 *
 * src/delete/operation.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "delete/delete.h"

static void load_steps(MxOperation *operation);

/*
 * The operation as the ledger has it, read as its owner: whether the caller
 * may know of it is asked of the tables.
 */
MxOperation *
mx_operation_load(int64 id)
{
	MxOperation  *operation = palloc0(sizeof(MxOperation));
	MxQuery    *query = mx_query_new();
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;
	Datum		value;
	bool		found;

	mx_query_value(query, INT8OID, Int64GetDatum(id), false);
	appendStringInfo(mx_query_sql(query),
					 "SELECT kind, soft, stamp, undone_by,"
					 " options OPERATOR(pg_catalog.->>) 'command',"
					 " options OPERATOR(pg_catalog.->>) 'restores'"
					 " FROM %s.metaxy_deletion"
					 " WHERE id OPERATOR(pg_catalog.=) $1", mx_schema());
	PushActiveSnapshot(GetLatestSnapshot());
	found = mx_query_run(query, MX_OWNER_READ, NULL) > 0;
	PopActiveSnapshot();
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("deletion %lld does not exist", (long long) id),
				 errhint("The view metaxy_deletions has those that you may see.")));

	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	operation->id = id;
	operation->kind = SPI_getvalue(row, desc, 1);
	operation->soft = DatumGetBool(SPI_getbinval(row, desc, 2, &isnull));
	operation->stamp = DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &isnull));
	value = SPI_getbinval(row, desc, 4, &isnull);
	operation->undone_by = isnull ? 0 : DatumGetInt64(value);
	operation->command = SPI_getvalue(row, desc, 5);
	operation->restored = strcmp(operation->kind, "undelete") == 0 &&
		strcmp(SPI_getvalue(row, desc, 6), "true") == 0;
	SPI_freetuptable(SPI_tuptable);
	load_steps(operation);
	return operation;
}

static void
load_steps(MxOperation *operation)
{
	MxQuery    *query = mx_query_new();
	uint64		count;

	mx_query_value(query, INT8OID, Int64GetDatum(operation->id), false);
	appendStringInfo(mx_query_sql(query),
					 "SELECT feature, samples, \"rows\" FROM %s.metaxy_deletion_step"
					 " WHERE deletion_id OPERATOR(pg_catalog.=) $1"
					 " ORDER BY step", mx_schema());
	PushActiveSnapshot(GetLatestSnapshot());
	count = mx_query_run(query, MX_OWNER_READ, NULL);
	PopActiveSnapshot();
	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];

		operation->features =
			lappend(operation->features,
					SPI_getvalue(row, SPI_tuptable->tupdesc, 1));
		operation->samples =
			lappend(operation->samples,
					SPI_getvalue(row, SPI_tuptable->tupdesc, 2));
		operation->rows =
			lappend(operation->rows,
					SPI_getvalue(row, SPI_tuptable->tupdesc, 3));
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * What the operation did to a feature: one of its lists of figures.
 */
int64
mx_operation_figure(const MxOperation *operation, const List *figures, const char *feature)
{
	ListCell   *key;
	ListCell   *figure;

	forboth(key, operation->features, figure, figures)
	{
		if (strcmp(lfirst(key), feature) == 0)
			return DatumGetInt64(DirectFunctionCall1(int8in,
													 CStringGetDatum(lfirst(figure))));
	}
	return 0;
}
