/*-------------------------------------------------------------------------
 *
 * find.c
 *		What a purge removes, found once, under one snapshot: the ids of samples
 *		that go whole, and superseded rows.
 *
 *		What is older than the cutoff does not come back to life: who writes to
 *		a sample later has a later stamp.  But a writer may hold an earlier stamp
 *		than a tombstone that another one has committed since; such writers are
 *		waited for before the snapshot is taken.  Nobody is kept out.
 *
 * src/purge/find.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "purge/purge.h"

static void find(MxPurge *purge);
static MxStore *new_store(const MxPurge *purge);
static void find_versions(MxPurge *purge);
static void append_next_versions(StringInfo sql, const char *table);
static bool add_version(TupleTableSlot *slot, void *arg);
static void find_whole(MxPurge *purge);
static void append_hidden(StringInfo sql, const char *version);
static void append_newest(StringInfo sql, bool tombstones,
						  const char *version);
static void append_ids(StringInfo sql, const MxFeature *feature);
static void find_history(MxPurge *purge);
static void append_row(StringInfo sql, const MxFeature *feature);
static void append_keys(StringInfo sql, const MxFeature *feature);
static void count_rows(MxPurge *purge, MxQuery *query);
static void append_in_whole(StringInfo sql, const MxPurge *purge);

/*
 * Finds and keeps it; a dry run only counts the rows.
 */
void
mx_purge_find(MxPurge *purge)
{
	MxTurn		turn = {0};

	if (purge->dry_run)
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		find(purge);
		PopActiveSnapshot();
		return;
	}

	mx_turn_watch(&turn, list_make1_oid(purge->feature->relid));
	if (purge->stamp == 0)
		purge->stamp = turn.stamp;
	PushActiveSnapshot(turn.now);
	find(purge);
	PopActiveSnapshot();
	mx_turn_end(&turn);
}

/*
 * Grouping and sorting may take as much memory as other maintenance does.
 */
static void
find(MxPurge *purge)
{
	int			nest = NewGUCNestLevel();
	int			kilobytes = Max(work_mem, maintenance_work_mem);

	mx_tell_progress("looking through \"%s\"", purge->key);
	SPI_connect();
	purge->ids = new_store(purge);
	purge->rows = new_store(purge);
	mx_purge_set("work_mem", psprintf("%d", kilobytes));
	if (purge->whole)
	{
		if (purge->feature->version != NULL)
			find_versions(purge);
		find_whole(purge);
	}
	if (purge->history)
		find_history(purge);
	mx_store_unregister(purge->ids);
	AtEOXact_GUC(true, nest);
	SPI_finish();
	purge->found = true;
}

static MxStore *
new_store(const MxPurge *purge)
{
	MemoryContext save = MemoryContextSwitchTo(purge->context);
	MxStore    *store = mx_store_new(work_mem);

	store->survives = true;
	MemoryContextSwitchTo(save);
	return store;
}

/*
 * The versions of the table's rows.  The supporting index begins with them, so
 * that one can be looked up after the other.
 */
static void
find_versions(MxPurge *purge)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	char	   *table = mx_relation_name(purge->feature->relid);

	purge->versions = NIL;
	if (purge->feature->indexes)
		append_next_versions(sql, table);
	else
		appendStringInfo(sql,
						 "SELECT DISTINCT one." MX_FEATURE_VERSION
						 "::pg_catalog.text FROM %s AS one", table);
	mx_query_run(query, MX_READ, mx_row_receiver(add_version, purge));
}

static void
append_next_versions(StringInfo sql, const char *table)
{
	appendStringInfo(sql,
					 "WITH RECURSIVE each (v) AS ("
					 "(SELECT one." MX_FEATURE_VERSION "::pg_catalog.text"
					 " FROM %s AS one ORDER BY one." MX_FEATURE_VERSION
					 " LIMIT 1) UNION ALL"
					 " SELECT (SELECT one." MX_FEATURE_VERSION "::pg_catalog.text"
					 " FROM %s AS one WHERE one." MX_FEATURE_VERSION
					 " OPERATOR(pg_catalog.>) each.v"
					 " ORDER BY one." MX_FEATURE_VERSION " LIMIT 1)"
					 " FROM each WHERE each.v IS NOT NULL)"
					 " SELECT each.v FROM each WHERE each.v IS NOT NULL",
					 table, table);
}

static bool
add_version(TupleTableSlot *slot, void *arg)
{
	MxPurge    *purge = arg;
	MemoryContext save = MemoryContextSwitchTo(purge->context);
	bool		isnull;
	Datum		value = slot_getattr(slot, 1, &isnull);

	if (!isnull)
		purge->versions = lappend(purge->versions, TextDatumGetCString(value));
	MemoryContextSwitchTo(save);
	return true;
}

/*
 * The ids of the samples whose latest row over all versions is an old tombstone
 * and that are not active in the current version, and how many rows each has.
 * Recency and kind alone decide between a live row and a tombstone.
 *
 * One pass over the table groups the samples: an anti-join would be the basis
 * of other joins here, and the planner expects nothing to be left of it.
 */
static void
find_whole(MxPurge *purge)
{
	const MxFeature *feature = purge->feature;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	mx_query_value(query, TIMESTAMPTZOID, TimestampTzGetDatum(purge->cutoff),
				   false);
	appendStringInfoString(sql, "SELECT ");
	append_ids(sql, feature);
	appendStringInfo(sql, ", pg_catalog.count(*) FROM %s AS one GROUP BY ",
					 mx_relation_name(feature->relid));
	append_ids(sql, feature);
	appendStringInfoString(sql, " HAVING ");
	append_newest(sql, true, NULL);
	appendStringInfoString(sql, " OPERATOR(pg_catalog.<) $1 AND ");
	append_hidden(sql, NULL);
	/* where there is but one version, this says nothing more */
	if (list_length(purge->versions) > 1)
	{
		char	   *version = psprintf("$%d",
									   mx_query_text(query, feature->version));

		appendStringInfoString(sql, " AND ");
		append_hidden(sql, version);
	}
	/* neighbours were often written together: batches touch fewer pages */
	if (!purge->dry_run)
		appendStringInfoString(sql, " ORDER BY pg_catalog.min(one.tableoid),"
							   " pg_catalog.min(one.ctid)");
	mx_query_run(query, MX_READ, mx_store_receiver(purge->ids, NULL, NULL));
	mx_store_register(purge->ids, "metaxy ids");
	if (!purge->dry_run)
		return;

	purge->samples = purge->ids->nrows;
	query = mx_query_new();
	sql = mx_query_sql(query);
	appendStringInfoString(sql, "SELECT pg_catalog.count(*), pg_catalog.sum(");
	mx_purge_append_bytes(sql, feature, "one");
	appendStringInfo(sql, ") FROM %s AS one WHERE ",
					 mx_relation_name(feature->relid));
	append_in_whole(sql, purge);
	count_rows(purge, query);
}

/*
 * "The sample has no live row after its latest tombstone", of one version or
 * over all.  A sample without rows in that version has none.
 */
static void
append_hidden(StringInfo sql, const char *version)
{
	appendStringInfoString(sql, "COALESCE(");
	append_newest(sql, false, version);
	appendStringInfoString(sql, ", '-infinity') OPERATOR(pg_catalog.<=)"
						   " COALESCE(");
	append_newest(sql, true, version);
	appendStringInfoString(sql, ", '-infinity')");
}

/*
 * Greatest recency among the tombstones of a sample, or its live rows; of one
 * version or of all.
 */
static void
append_newest(StringInfo sql, bool tombstones, const char *version)
{
	appendStringInfo(sql, "pg_catalog.max(one.%s) FILTER (WHERE one."
					 MX_DELETED_AT " IS %sNULL",
					 tombstones ? MX_DELETED_AT : MX_UPDATED_AT,
					 tombstones ? "NOT " : "");
	if (version != NULL)
		appendStringInfo(sql, " AND one." MX_FEATURE_VERSION
						 " OPERATOR(pg_catalog.=) %s", version);
	appendStringInfoChar(sql, ')');
}

static void
append_ids(StringInfo sql, const MxFeature *feature)
{
	ListCell   *lc;

	foreach(lc, feature->id_columns)
	{
		appendStringInfoString(sql, foreach_current_index(lc) > 0 ? ", " : "");
		mx_append_column(sql, "one", lfirst(lc));
	}
}

/*
 * Rows that have a later one in their sample and version that is itself older
 * than the cutoff: no read as of the cutoff or later has seen them.  They may
 * go in any order; those of samples that go whole are left to that.
 */
static void
find_history(MxPurge *purge)
{
	const MxFeature *feature = purge->feature;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	mx_query_value(query, TIMESTAMPTZOID, TimestampTzGetDatum(purge->cutoff),
				   false);
	appendStringInfo(sql, "SELECT %s FROM (SELECT gone.*,"
					 " pg_catalog.lead(gone.r) OVER (PARTITION BY ",
					 purge->dry_run ?
					 "pg_catalog.count(*), pg_catalog.sum(gone.b)" :
					 "gone.t, gone.c, gone.x, gone.r, false, false");
	append_keys(sql, feature);
	if (feature->version != NULL)
		appendStringInfoString(sql, ", gone.v");
	appendStringInfoString(sql, " ORDER BY gone.r, gone.d, gone.t, gone.c) AS next"
						   " FROM (SELECT ");
	append_row(sql, feature);
	if (purge->dry_run)
	{
		appendStringInfoString(sql, ", ");
		mx_purge_append_bytes(sql, feature, "one");
		appendStringInfoString(sql, " AS b");
	}
	appendStringInfo(sql, " FROM %s AS one", mx_relation_name(feature->relid));
	if (purge->whole)
	{
		appendStringInfoString(sql, " WHERE NOT ");
		append_in_whole(sql, purge);
	}
	/* OFFSET 0 keeps all else out of the sort */
	appendStringInfoString(sql, " OFFSET 0) AS gone) AS gone"
						   " WHERE gone.next OPERATOR(pg_catalog.<) $1");
	if (purge->dry_run)
		count_rows(purge, query);
	else
	{
		appendStringInfoString(sql, " ORDER BY gone.t, gone.c");
		mx_query_run(query, MX_READ, mx_store_receiver(purge->rows, NULL, NULL));
	}
}

/*
 * What is needed of a row of "one", to be had AS gone.
 */
static void
append_row(StringInfo sql, const MxFeature *feature)
{
	ListCell   *lc;

	appendStringInfoString(sql, "one.tableoid AS t, one.ctid AS c,"
						   " one.xmin AS x, ");
	mx_append_recency(sql, "one");
	appendStringInfoString(sql, " AS r, one." MX_DELETED_AT " IS NOT NULL AS d");
	foreach(lc, feature->id_columns)
	{
		appendStringInfoString(sql, ", ");
		mx_append_column(sql, "one", lfirst(lc));
		appendStringInfo(sql, " AS k%d", foreach_current_index(lc));
	}
	if (feature->version != NULL)
		appendStringInfoString(sql, ", one." MX_FEATURE_VERSION " AS v");
}

/*
 * Its ids.
 */
static void
append_keys(StringInfo sql, const MxFeature *feature)
{
	for (int i = 0; i < list_length(feature->id_columns); i++)
		appendStringInfo(sql, "%sgone.k%d", i > 0 ? ", " : "", i);
}

/*
 * For a dry run: a query that returns a number of rows, and their bytes.
 */
static void
count_rows(MxPurge *purge, MxQuery *query)
{
	bool		isnull;
	Datum		value;

	mx_query_run(query, MX_READ, NULL);
	purge->nrows +=
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									SPI_tuptable->tupdesc, 1, &isnull));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
						  &isnull);
	if (!isnull)
		purge->bytes += DatumGetInt64(DirectFunctionCall1(numeric_int8, value));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * "The sample of the row goes whole."
 */
static void
append_in_whole(StringInfo sql, const MxPurge *purge)
{
	appendStringInfoString(sql, "EXISTS (SELECT FROM ");
	mx_append_store(sql, purge->ids, "id");
	appendStringInfoString(sql, " WHERE ");
	mx_purge_append_same(sql, purge->feature);
	appendStringInfoChar(sql, ')');
}
