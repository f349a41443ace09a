/*-------------------------------------------------------------------------
 *
 * rows.c
 *		What the rows of a table must fulfil before it holds a feature.
 *
 * The rows are read as ALTER TABLE reads them, from the table itself and not
 * by a query: row-level security must not hide any of them from the check.
 *
 * src/registry/rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "registry/registry.h"

/* what recency is made of: the first that is not null */
static const char *const stamps[] = {
	MX_DELETED_AT, MX_UPDATED_AT
};

typedef struct RowCheck
{
	const MxRegistration *registration;
	TimestampTz newest;			/* greatest recency of all */
	int			ncolumns;		/* columns without nulls: ids first */
	const char **columns;
	int64	   *nulls;			/* nulls found in each of them */
	char	   *late_sample;	/* a row dated too far ahead, NULL: none */
	const char *late_column;
	TimestampTz late_stamp;
} RowCheck;

static void read_rows(Relation rel, RowCheck *check);
static void look_at_recency(TupleTableSlot *slot, const AttrNumber *attnums,
							RowCheck *check);
static AttrNumber attnum_of(Relation rel, const char *name);

/*
 * Raises 23502 where a column holds nulls that may not, 22008 where a row is
 * dated more than metaxy.max_skew ahead, having read every row once.  Then
 * raises the clock above all of them.
 *
 * The caller's lock keeps writers out.  Foreign tables are taken as they are:
 * nothing keeps their rows from changing.
 */
void
mx_check_rows(Relation rel, const MxRegistration *registration)
{
	RowCheck	check = {.registration = registration};
	int			nids = list_length(registration->id_columns);
	List	   *relids;
	ListCell   *lc;

	check.newest = DT_NOBEGIN;
	check.columns = palloc(sizeof(char *) * (nids + 3));
	foreach(lc, registration->id_columns)
		check.columns[check.ncolumns++] = lfirst(lc);
	check.columns[check.ncolumns++] = MX_CREATED_AT;
	check.columns[check.ncolumns++] = MX_UPDATED_AT;
	if (registration->version != NULL)
		check.columns[check.ncolumns++] = MX_FEATURE_VERSION;
	check.nulls = palloc0(sizeof(int64) * check.ncolumns);

	relids = find_all_inheritors(RelationGetRelid(rel), NoLock, NULL);
	foreach(lc, relids)
	{
		Relation	child = table_open(lfirst_oid(lc), NoLock);

		if (child->rd_rel->relkind == RELKIND_RELATION)
			read_rows(child, &check);
		table_close(child, NoLock);
	}

	for (int i = 0; i < check.ncolumns; i++)
	{
		if (check.nulls[i] > 0)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" of relation \"%s\" contains null values",
							check.columns[i], RelationGetRelationName(rel)),
					 errdetail_plural("There is a null in " INT64_FORMAT " row.",
									  "There are nulls in " INT64_FORMAT " rows.",
									  (unsigned long) check.nulls[i],
									  check.nulls[i]),
					 errtablecol(rel, attnum_of(rel, check.columns[i]))));
	}
	if (check.late_sample != NULL)
		mx_refuse_late(registration->key, check.late_sample,
					   check.late_column, check.late_stamp);
	mx_clock_raise(mx_clock(), check.newest, false);
}

/*
 * 22008 with the feature and the sample.
 */
void
mx_refuse_late(const char *key, const char *sample, const char *column,
			   TimestampTz stamp)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
			 errmsg("a row of feature \"%s\" is dated too far ahead", key),
			 errdetail("Sample %s has \"%s\" %s.", sample, column,
					   timestamptz_to_str(stamp)),
			 errhint("The setting \"metaxy.max_skew\" allows %s.",
					 GetConfigOptionByName("metaxy.max_skew", NULL, false))));
}

/*
 * Columns are looked up by name: they may be in another order in a partition.
 */
static void
read_rows(Relation rel, RowCheck *check)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	AttrNumber *attnums = palloc(sizeof(AttrNumber) * check->ncolumns);
	AttrNumber	stamp_attnums[lengthof(stamps)];

	for (int i = 0; i < check->ncolumns; i++)
		attnums[i] = attnum_of(rel, check->columns[i]);
	for (int i = 0; i < lengthof(stamps); i++)
		stamp_attnums[i] = attnum_of(rel, stamps[i]);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		for (int i = 0; i < check->ncolumns; i++)
		{
			if (attnums[i] > 0 && slot_attisnull(slot, attnums[i]))
				check->nulls[i]++;
		}
		look_at_recency(slot, stamp_attnums, check);
	}

	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	pfree(attnums);
}

/*
 * Remembers the row if it is dated too far ahead; "infinity" always is.
 */
static void
look_at_recency(TupleTableSlot *slot, const AttrNumber *attnums,
				RowCheck *check)
{
	for (int i = 0; i < lengthof(stamps); i++)
	{
		bool		isnull;
		TimestampTz stamp;

		if (attnums[i] <= 0)
			continue;
		stamp = DatumGetTimestampTz(slot_getattr(slot, attnums[i], &isnull));
		if (isnull)
			continue;
		if (stamp <= check->newest)
			return;
		check->newest = stamp;
		if (check->late_sample != NULL || !mx_too_late(stamp))
			return;
		check->late_sample =
			mx_describe_sample(slot, check->registration->id_columns);
		check->late_column = stamps[i];
		check->late_stamp = stamp;
		return;
	}
}

/*
 * (a, b)=(1, 2), as the server describes a key, of a row with these columns.
 */
char *
mx_describe_sample(TupleTableSlot *slot, List *id_columns)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	StringInfoData names;
	StringInfoData values;
	ListCell   *lc;

	initStringInfo(&names);
	initStringInfo(&values);
	foreach(lc, id_columns)
	{
		const char *separator = foreach_current_index(lc) > 0 ? ", " : "";
		int			number = SPI_fnumber(desc, lfirst(lc));
		Oid			output;
		bool		varlena;
		bool		isnull;
		Datum		value = slot_getattr(slot, number, &isnull);

		getTypeOutputInfo(TupleDescAttr(desc, number - 1)->atttypid, &output,
						  &varlena);
		appendStringInfo(&names, "%s%s", separator, (char *) lfirst(lc));
		appendStringInfo(&values, "%s%s", separator,
						 isnull ? "null" : OidOutputFunctionCall(output, value));
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}

static AttrNumber
attnum_of(Relation rel, const char *name)
{
	Form_pg_attribute attr = mx_find_column(rel, name);

	return attr != NULL ? attr->attnum : InvalidAttrNumber;
}
