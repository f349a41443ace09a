/*-------------------------------------------------------------------------
 *
 * history.c
 *		Deletes that look at all rows of a sample: with_sample_history and a
 *		filter.
 *
 *		A soft one asks whether any live row of a sample matches.  A hard one
 *		removes exactly the rows that do, and no others; where that would bring
 *		an older row back to life, nothing is done.
 *
 * src/delete/history.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "delete/delete.h"

static void find_matching_rows(MxDelete *delete, MxStep *step);
static int64 count_samples(const MxFeature *feature, MxStore *rows);
static void refuse_resurrection(const MxDelete *delete, const MxStep *step);
static void append_row_in(StringInfo sql, MxStore *rows, const char *ref);
static void append_ids(StringInfo sql, const MxFeature *feature,
					   const char *ref);

/*
 * Finds the rows of all steps; there is no cascade here.
 */
void
mx_find_history(MxDelete *delete)
{
	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		MxStep	   *step = &delete->plan->steps[i];
		const MxFeature *feature = &delete->registry->features[step->feature];

		CHECK_FOR_INTERRUPTS();
		find_matching_rows(delete, step);
		step->nrows = step->rows->nrows;
		if (step->nrows == 0)
			continue;
		mx_store_register(step->rows, psprintf("metaxy rows %d", i));
		step->samples = count_samples(feature, step->rows);
		refuse_resurrection(delete, step);
	}
}

/*
 * The rows: ids, place, and what MxMatchColumn says.
 */
static void
find_matching_rows(MxDelete *delete, MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	MxMatch		match = {.delete = delete,.step = step,.feature = feature};
	MxCounter	counter;
	StringInfo	sql;

	match.query = mx_query_new();
	match.ref = mx_table_ref(feature, NULL);
	match.version = mx_scope(delete, step, match.query);
	sql = mx_query_sql(match.query);
	appendStringInfoString(sql, "SELECT ");
	append_ids(sql, feature, match.ref);
	appendStringInfoString(sql, ", ");
	mx_append_column(sql, match.ref, "tableoid");
	appendStringInfoString(sql, ", ");
	mx_append_column(sql, match.ref, "ctid");
	appendStringInfoString(sql, ", ");
	mx_append_match_columns(sql, feature, match.ref);
	appendStringInfo(sql, ", true FROM %s WHERE ",
					 mx_relation_name(feature->relid));
	mx_append_scope(sql, match.ref, match.version);
	appendStringInfoString(sql, " AND ");
	mx_append_filters(&match, sql);

	mx_counter_init(&counter, delete, step,
					list_length(feature->id_columns) + 2);
	step->rows = mx_store_new(delete->kilobytes);
	mx_query_run(match.query, MX_READ,
				 mx_store_receiver(step->rows, mx_count_row, &counter));
}

/*
 * Distinct ids among the rows.
 */
static int64
count_samples(const MxFeature *feature, MxStore *rows)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	bool		isnull;
	int64		count;

	/* the ids come first */
	appendStringInfoString(sql, "SELECT pg_catalog.count(*) FROM (SELECT DISTINCT c1");
	for (int i = 2; i <= list_length(feature->id_columns); i++)
		appendStringInfo(sql, ", c%d", i);
	appendStringInfoString(sql, " FROM ");
	mx_append_store(sql, rows, "row");
	appendStringInfoString(sql, ") AS sample");
	mx_query_run(query, MX_READ, NULL);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/*
 * A live row that stays, has no later row that stays, and has a later one that
 * goes, would be seen again: 55000.
 */
static void
refuse_resurrection(const MxDelete *delete, const MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	const char *version = mx_scope(delete, step, query);
	char	   *table = mx_relation_name(feature->relid);
	int			nids = list_length(feature->id_columns);
	ListCell   *lc;

	appendStringInfoString(sql, "SELECT ROW(");
	append_ids(sql, feature, "stays");
	appendStringInfo(sql, ")::pg_catalog.text FROM %s AS stays WHERE ", table);
	mx_append_scope(sql, "stays", version);
	appendStringInfoString(sql, " AND stays." MX_DELETED_AT " IS NULL AND NOT ");
	append_row_in(sql, step->rows, "stays");

	appendStringInfoString(sql, " AND EXISTS (SELECT FROM ");
	mx_append_store(sql, step->rows, "goes");
	appendStringInfoString(sql, " WHERE ");
	foreach(lc, feature->id_columns)
	{
		mx_append_same_id(sql, feature, lfirst(lc),
						  psprintf("goes.c%d", foreach_current_index(lc) + 1),
						  "stays");
		appendStringInfoString(sql, " AND ");
	}
	appendStringInfo(sql, "(goes.c%d, goes.c%d, goes.c%d, goes.c%d)"
					 " OPERATOR(pg_catalog.>) ",
					 nids + 3 + MX_MATCH_RECENCY, nids + 3 + MX_MATCH_TOMBSTONE,
					 nids + 1, nids + 2);
	mx_append_rank(sql, "stays");

	appendStringInfo(sql, ") AND NOT EXISTS (SELECT FROM %s AS later WHERE ",
					 table);
	mx_append_scope(sql, "later", version);
	foreach(lc, feature->id_columns)
	{
		appendStringInfoString(sql, " AND ");
		mx_append_equal(sql, feature, lfirst(lc), "later", "stays");
	}
	appendStringInfoString(sql, " AND ");
	mx_append_rank(sql, "later");
	appendStringInfoString(sql, " OPERATOR(pg_catalog.>) ");
	mx_append_rank(sql, "stays");
	appendStringInfoString(sql, " AND NOT ");
	append_row_in(sql, step->rows, "later");
	appendStringInfoString(sql, ") LIMIT 1");

	if (mx_query_run(query, MX_READ, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("hard delete would bring an older row of feature \"%s\" back to life",
						feature->key),
				 errdetail("Sample %s keeps a live row behind one that would go.",
						   SPI_getvalue(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1)),
				 errhint("Without with_sample_history, samples go whole.")));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * "The row is one of those that go."
 */
static void
append_row_in(StringInfo sql, MxStore *rows, const char *ref)
{
	appendStringInfoString(sql, "EXISTS (SELECT FROM ");
	mx_append_store(sql, rows, "gone");
	appendStringInfoString(sql, " WHERE ");
	mx_append_store_column(sql, rows, "gone", "tableoid");
	appendStringInfo(sql, " OPERATOR(pg_catalog.=) %s.tableoid AND ", ref);
	mx_append_store_column(sql, rows, "gone", "ctid");
	appendStringInfo(sql, " OPERATOR(pg_catalog.=) %s.ctid)", ref);
}

static void
append_ids(StringInfo sql, const MxFeature *feature, const char *ref)
{
	ListCell   *lc;

	foreach(lc, feature->id_columns)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(sql, ", ");
		mx_append_column(sql, ref, lfirst(lc));
	}
}

/*
 * "Any live row of the sample in the scope matches the filters."  The filters
 * stand in a query of their own over the table, under its own name; the
 * latest row around it goes by another one.
 */
char *
mx_sample_history(MxMatch *match)
{
	const MxFeature *feature = match->feature;
	char	   *ref = mx_table_ref(feature, NULL);
	StringInfoData sql;
	ListCell   *lc;

	match->ref = mx_alias("newest", ref);
	initStringInfo(&sql);
	appendStringInfo(&sql, "EXISTS (SELECT FROM %s WHERE ",
					 mx_relation_name(feature->relid));
	mx_append_scope(&sql, ref, match->version);
	appendStringInfoString(&sql, " AND ");
	mx_append_column(&sql, ref, MX_DELETED_AT);
	appendStringInfoString(&sql, " IS NULL AND ");
	foreach(lc, feature->id_columns)
	{
		mx_append_equal(&sql, feature, lfirst(lc), ref, match->ref);
		appendStringInfoString(&sql, " AND ");
	}
	mx_append_filters(match, &sql);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}
