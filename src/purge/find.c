/*-------------------------------------------------------------------------
 *
 * find.c
 *		The rows that a purge removes, found once, under one snapshot.
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

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/itemid.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "purge/purge.h"

static void find_rows(MxPurge *purge);
static void find_versions(MxPurge *purge);
static bool add_version(TupleTableSlot *slot, void *arg);
static void run(MxPurge *purge, MxQuery *query);
static bool count_row(TupleTableSlot *slot, void *arg);
static MxQuery *whole_query(const MxPurge *purge);
static MxQuery *history_query(const MxPurge *purge);
static void append_whole(MxQuery *query, const MxFeature *feature);
static void append_newest(StringInfo sql, bool tombstones,
						  const char *version);
static void append_ids(StringInfo sql, const MxFeature *feature);
static void append_keys(StringInfo sql, const MxFeature *feature);
static void append_rows(StringInfo sql, const MxFeature *feature);

/* what decides between two rows of a sample, greatest last */
#define RANK "gone.r, gone.d, gone.t, gone.c"

/*
 * Finds the rows, and keeps them in an order in which they can be removed; a
 * dry run only counts them.
 */
void
mx_purge_find(MxPurge *purge)
{
	MxTurn		turn = {0};

	if (purge->dry_run)
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		find_rows(purge);
		PopActiveSnapshot();
		return;
	}

	mx_turn_watch(&turn, list_make1_oid(purge->feature->relid));
	if (purge->stamp == 0)
		purge->stamp = turn.stamp;
	PushActiveSnapshot(turn.now);
	find_rows(purge);
	PopActiveSnapshot();
	mx_turn_end(&turn);
}

static void
find_rows(MxPurge *purge)
{
	mx_tell_progress("looking through \"%s\"", purge->key);
	if (!purge->dry_run)
	{
		purge->rows = mx_store_new(work_mem);
		purge->rows->survives = true;
		if (purge->whole && purge->feature->version != NULL)
			find_versions(purge);
	}
	if (purge->whole)
		run(purge, whole_query(purge));
	if (purge->history)
		run(purge, history_query(purge));
}

static void
find_versions(MxPurge *purge)
{
	MxQuery    *query = mx_query_new();

	appendStringInfo(mx_query_sql(query),
					 "SELECT DISTINCT one." MX_FEATURE_VERSION " FROM %s AS one",
					 mx_relation_name(purge->feature->relid));
	purge->versions = list_make1(purge->feature->version);
	mx_query_run(query, MX_READ, mx_row_receiver(add_version, purge));
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

static void
run(MxPurge *purge, MxQuery *query)
{
	mx_query_run(query, MX_READ,
				 purge->dry_run ? mx_row_receiver(count_row, purge) :
				 mx_store_receiver(purge->rows, NULL, NULL));
}

static bool
count_row(TupleTableSlot *slot, void *arg)
{
	MxPurge    *purge = arg;
	bool		isnull;

	purge->nrows++;
	purge->samples += DatumGetBool(slot_getattr(slot, MX_PURGE_LAST + 1, &isnull));
	purge->bytes += DatumGetInt64(slot_getattr(slot, MX_PURGE_BYTES + 1, &isnull));
	return true;
}

/*
 * All rows of the samples whose latest row over all versions is an old
 * tombstone and that are not active in the current version.  Of each sample
 * the older rows come first, the deciding tombstone last.
 *
 * One pass over the table groups the samples: an anti-join would be the basis
 * of other joins here, and the planner expects nothing to be left of it.
 */
static MxQuery *
whole_query(const MxPurge *purge)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	mx_query_value(query, TIMESTAMPTZOID, TimestampTzGetDatum(purge->cutoff),
				   false);
	appendStringInfoString(sql, "SELECT gone.t, gone.c, gone.x, gone.r, gone.d,"
						   " pg_catalog.lead(gone.c) OVER (PARTITION BY ");
	append_keys(sql, purge->feature);
	appendStringInfoString(sql, " ORDER BY " RANK ") IS NULL, gone.b FROM ");
	append_rows(sql, purge->feature);
	appendStringInfoString(sql, " WHERE EXISTS ");
	append_whole(query, purge->feature);
	if (!purge->dry_run)
	{
		appendStringInfoString(sql, " ORDER BY ");
		append_keys(sql, purge->feature);
		appendStringInfoString(sql, ", " RANK);
	}
	return query;
}

/*
 * Rows that have a later one in their sample and version that is itself older
 * than the cutoff: no read as of the cutoff or later has seen them.  They may
 * go in any order; those of samples that go whole are left to whole_query.
 */
static MxQuery *
history_query(const MxPurge *purge)
{
	const MxFeature *feature = purge->feature;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	mx_query_value(query, TIMESTAMPTZOID, TimestampTzGetDatum(purge->cutoff),
				   false);
	appendStringInfoString(sql, "SELECT gone.t, gone.c, gone.x, gone.r, false,"
						   " false, gone.b FROM (SELECT gone.*,"
						   " pg_catalog.lead(gone.r) OVER (PARTITION BY ");
	append_keys(sql, feature);
	if (feature->version != NULL)
		appendStringInfoString(sql, ", gone.v");
	appendStringInfoString(sql, " ORDER BY " RANK ") AS next FROM ");
	append_rows(sql, feature);
	appendStringInfoString(sql, ") AS gone"
						   " WHERE gone.next OPERATOR(pg_catalog.<) $1");
	if (purge->whole)
	{
		appendStringInfoString(sql, " AND NOT EXISTS ");
		append_whole(query, feature);
	}
	if (!purge->dry_run)
		appendStringInfoString(sql, " ORDER BY gone.t, gone.c");
	return query;
}

/*
 * "(SELECT ... that has a row if the sample of "gone" goes whole)".  Recency
 * and kind alone decide between a live row and a tombstone.
 */
static void
append_whole(MxQuery *query, const MxFeature *feature)
{
	StringInfo	sql = mx_query_sql(query);
	ListCell   *lc;

	appendStringInfoString(sql, "(SELECT FROM (SELECT ");
	append_ids(sql, feature);
	appendStringInfo(sql, " FROM %s AS one GROUP BY ",
					 mx_relation_name(feature->relid));
	append_ids(sql, feature);
	appendStringInfoString(sql, " HAVING ");
	append_newest(sql, true, NULL);
	appendStringInfoString(sql, " OPERATOR(pg_catalog.>=) COALESCE(");
	append_newest(sql, false, NULL);
	appendStringInfoString(sql, ", '-infinity') AND ");
	append_newest(sql, true, NULL);
	appendStringInfoString(sql, " OPERATOR(pg_catalog.<) $1");
	if (feature->version != NULL)
	{
		char	   *version = psprintf("$%d",
									   mx_query_text(query, feature->version));

		appendStringInfoString(sql, " AND (");
		append_newest(sql, false, version);
		appendStringInfoString(sql, " OPERATOR(pg_catalog.<=) ");
		append_newest(sql, true, version);
		appendStringInfoString(sql, " OR ");
		append_newest(sql, false, version);
		appendStringInfoString(sql, " IS NULL)");
	}
	appendStringInfoString(sql, ") AS whole (");
	for (int i = 0; i < list_length(feature->id_columns); i++)
		appendStringInfo(sql, "%sk%d", i > 0 ? ", " : "", i);
	appendStringInfoChar(sql, ')');
	foreach(lc, feature->id_columns)
	{
		Oid			type = get_atttype(feature->relid,
									   get_attnum(feature->relid, lfirst(lc)));
		int			n = foreach_current_index(lc);

		appendStringInfo(sql, "%swhole.k%d ", n == 0 ? " WHERE " : " AND ", n);
		mx_append_operator(sql, mx_equality(type, type));
		appendStringInfo(sql, " gone.k%d", n);
	}
	appendStringInfoChar(sql, ')');
}

/*
 * Greatest recency among the tombstones of a sample, or its live rows; of one
 * version or of all.
 */
static void
append_newest(StringInfo sql, bool tombstones, const char *version)
{
	appendStringInfoString(sql, "pg_catalog.max(");
	mx_append_recency(sql, "one");
	appendStringInfo(sql, ") FILTER (WHERE one." MX_DELETED_AT " IS %sNULL",
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

static void
append_keys(StringInfo sql, const MxFeature *feature)
{
	for (int i = 0; i < list_length(feature->id_columns); i++)
		appendStringInfo(sql, "%sgone.k%d", i > 0 ? ", " : "", i);
}

/*
 * What is needed of each row of the table, AS gone.  OFFSET 0 keeps all else
 * out of the sorts above.
 *
 * Its bytes are an estimate: the values as they are stored, with the header of
 * the row and its line pointer; neither padding nor indexes are in it.
 */
static void
append_rows(StringInfo sql, const MxFeature *feature)
{
	ListCell   *lc;

	appendStringInfoString(sql, "(SELECT one.tableoid AS t, one.ctid AS c,"
						   " one.xmin AS x, ");
	mx_append_recency(sql, "one");
	appendStringInfo(sql, " AS r, one." MX_DELETED_AT " IS NOT NULL AS d,"
					 " %d::pg_catalog.int8",
					 (int) (MAXALIGN(SizeofHeapTupleHeader) + sizeof(ItemIdData)));
	foreach(lc, mx_table_columns(feature->relid))
	{
		appendStringInfoString(sql, " OPERATOR(pg_catalog.+)"
							   " COALESCE(pg_catalog.pg_column_size(");
		mx_append_column(sql, "one", lfirst(lc));
		appendStringInfoString(sql, "), 0)");
	}
	appendStringInfoString(sql, " AS b");
	foreach(lc, feature->id_columns)
	{
		appendStringInfoString(sql, ", ");
		mx_append_column(sql, "one", lfirst(lc));
		appendStringInfo(sql, " AS k%d", foreach_current_index(lc));
	}
	if (feature->version != NULL)
		appendStringInfoString(sql, ", one." MX_FEATURE_VERSION " AS v");
	appendStringInfo(sql, " FROM %s AS one OFFSET 0) AS gone",
					 mx_relation_name(feature->relid));
}
