/*-------------------------------------------------------------------------
 *
 * status.c
 *		metaxy_status: samples, rows and bytes of each feature.
 *
 * src/read/status.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "read/read.h"

PG_FUNCTION_INFO_V1(metaxy_status);

/* columns of the result */
#define STATUS_FEATURE		0
#define STATUS_RELATION		1
#define STATUS_VERSION		2
#define STATUS_ACTIVE		3
#define STATUS_BYTES		7
#define STATUS_LAST_WRITE	8
#define STATUS_COLUMNS		10

static void put_feature(ReturnSetInfo *rsinfo, const MxFeature *feature,
						bool named);
static bool may_select(const MxFeature *feature, Datum *bytes, bool *unknown);
static void count_rows(const MxFeature *feature, Datum *values, bool *nulls);
static void append_scope(StringInfo sql, int version);
static Datum int64_column(int number, bool *isnull);

/*
 * metaxy_status(feature text)
 *		returns setof (feature, relation, feature_version, active, deleted,
 *					   rows, superseded, bytes, last_write, last_delete)
 *
 * Without a feature, all of them in the order of their keys; there, a table
 * that the caller may not SELECT has no counts.  Of a feature that is named
 * it raises the server's 42501, and 42704 if it is not registered.
 *
 * Locks each table in turn with ACCESS SHARE, and counts what the caller sees.
 */
Datum
metaxy_status(PG_FUNCTION_ARGS)
{
	char	   *key = mx_arg_text_or_null(fcinfo, 0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	if (key != NULL)
		put_feature(rsinfo, mx_feature_require(key), true);
	else
	{
		MxRegistry *registry = mx_registry_load();

		for (int i = 0; i < registry->nfeatures; i++)
		{
			CHECK_FOR_INTERRUPTS();
			put_feature(rsinfo, &registry->features[i], false);
		}
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * Adds the row of one feature.  One without a table, or whose table is dropped
 * at this moment, has nothing to count.
 */
static void
put_feature(ReturnSetInfo *rsinfo, const MxFeature *feature, bool named)
{
	Datum		values[STATUS_COLUMNS] = {0};
	bool		nulls[STATUS_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[STATUS_FEATURE] = CStringGetTextDatum(feature->key);
	nulls[STATUS_FEATURE] = false;
	if (feature->version != NULL)
	{
		values[STATUS_VERSION] = CStringGetTextDatum(feature->version);
		nulls[STATUS_VERSION] = false;
	}
	if (OidIsValid(feature->relid))
	{
		values[STATUS_RELATION] = ObjectIdGetDatum(feature->relid);
		nulls[STATUS_RELATION] = false;
		if (may_select(feature, &values[STATUS_BYTES], &nulls[STATUS_BYTES]) ||
			named)
			count_rows(feature, values, nulls);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * May the caller read what is counted?  Also the table's size, its partitions,
 * indexes and TOAST tables included; a foreign table's is unknown.
 */
static bool
may_select(const MxFeature *feature, Datum *bytes, bool *unknown)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	List	   *columns = list_copy(feature->id_columns);
	Datum		readable;
	bool		isnull;

	columns = lappend(columns, MX_UPDATED_AT);
	columns = lappend(columns, MX_DELETED_AT);
	if (feature->version != NULL)
		columns = lappend(columns, MX_FEATURE_VERSION);
	mx_query_value(query, REGCLASSOID, ObjectIdGetDatum(feature->relid),
				   false);
	mx_query_value(query, OIDOID,
				   ObjectIdGetDatum(get_rel_namespace(feature->relid)), false);
	mx_query_value(query, TEXTARRAYOID, mx_names_array(columns), false);

	/* where a column is gone, the count says which */
	appendStringInfoString(sql,
						   "SELECT pg_catalog.has_schema_privilege($2, 'USAGE')"
						   " AND (SELECT pg_catalog.bool_and("
						   "pg_catalog.has_column_privilege($1, attnum, 'SELECT'))"
						   " FROM pg_catalog.pg_attribute"
						   " WHERE attrelid OPERATOR(pg_catalog.=) $1"
						   " AND attname OPERATOR(pg_catalog.=) ANY ($3)"
						   " AND NOT attisdropped), ");
	if (get_rel_relkind(feature->relid) == RELKIND_FOREIGN_TABLE)
		appendStringInfoString(sql, "NULL::pg_catalog.int8");
	else
		appendStringInfoString(sql,
							   "COALESCE((SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(relid))"
							   "::pg_catalog.int8"
							   " FROM pg_catalog.pg_partition_tree($1)),"
							   " pg_catalog.pg_total_relation_size($1))");
	mx_query_run(query, MX_READ, NULL);
	*bytes = int64_column(2, unknown);
	readable = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							 &isnull);
	SPI_freetuptable(SPI_tuptable);
	return !isnull && DatumGetBool(readable);
}

/*
 * Counts a table in one pass.
 *
 * Which row of a sample is the latest does not matter here, only whether it is
 * a tombstone.  A tombstone's recency is its metaxy_deleted_at, a live row's
 * its metaxy_updated_at, and of two that are equal the tombstone wins: so the
 * greatest of each kind say it, and no row has to be compared to another.
 */
static void
count_rows(const MxFeature *feature, Datum *values, bool *nulls)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	Relation	rel;
	int			version = 0;
	ListCell   *lc;

	rel = try_relation_open(feature->relid, AccessShareLock);
	if (rel == NULL)
		return;
	/* raises 42501 as the query would, but without showing it */
	LookupExplicitNamespace(get_namespace_name(RelationGetNamespace(rel)),
							false);
	mx_check_columns(feature, rel);
	relation_close(rel, NoLock);

	if (feature->version != NULL)
		version = mx_query_text(query, feature->version);

	appendStringInfoString(sql,
						   "SELECT active, deleted, \"rows\","
						   " \"rows\" OPERATOR(pg_catalog.-) active"
						   " OPERATOR(pg_catalog.-) deleted, last_write, last_delete"
						   " FROM (SELECT"
						   " pg_catalog.count(*) FILTER (WHERE written IS NOT NULL AND"
						   " (written OPERATOR(pg_catalog.>) gone) IS NOT FALSE) AS active,"
						   " pg_catalog.count(*) FILTER (WHERE gone IS NOT NULL AND"
						   " (gone OPERATOR(pg_catalog.>=) written) IS NOT FALSE) AS deleted,"
						   " COALESCE(pg_catalog.sum(n)::pg_catalog.int8, 0) AS \"rows\","
						   " pg_catalog.max(last_write) AS last_write,"
						   " pg_catalog.max(last_delete) AS last_delete"
						   " FROM (SELECT pg_catalog.count(*) AS n,"
						   " pg_catalog.max(" MX_UPDATED_AT ") FILTER"
						   " (WHERE " MX_DELETED_AT " IS NULL) AS last_write,"
						   " pg_catalog.max(" MX_DELETED_AT ") AS last_delete,"
						   " pg_catalog.max(" MX_UPDATED_AT ") FILTER"
						   " (WHERE " MX_DELETED_AT " IS NULL");
	append_scope(sql, version);
	appendStringInfoString(sql, ") AS written,"
						   " pg_catalog.max(" MX_DELETED_AT ") FILTER (WHERE true");
	append_scope(sql, version);
	appendStringInfo(sql, ") AS gone FROM %s GROUP BY ",
					 mx_relation_name(feature->relid));
	foreach(lc, feature->id_columns)
		appendStringInfo(sql, "%s%s", foreach_current_index(lc) ? ", " : "",
						 quote_identifier(lfirst(lc)));
	appendStringInfoString(sql, ") AS sample) AS total");

	mx_query_run(query, MX_READ, NULL);
	for (int i = 0; i < 6; i++)
	{
		int			to = (i < 4) ? STATUS_ACTIVE + i :
		STATUS_LAST_WRITE + (i - 4);

		values[to] = int64_column(i + 1, &nulls[to]);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * " AND in scope": rows of the current version, or all.
 */
static void
append_scope(StringInfo sql, int version)
{
	if (version != 0)
		appendStringInfo(sql, " AND " MX_FEATURE_VERSION
						 " OPERATOR(pg_catalog.=) $%d", version);
}

/*
 * An int8 or timestamptz of the one row found, which outlives that row also
 * where such a value is a pointer.
 */
static Datum
int64_column(int number, bool *isnull)
{
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, number, isnull);

	return *isnull ? (Datum) 0 : Int64GetDatum(DatumGetInt64(value));
}
