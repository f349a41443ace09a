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
#include "utils/snapmgr.h"

#include "purge/purge.h"

static void find_rows(MxPurge *purge);
static void run(MxPurge *purge, MxQuery *query);
static bool count_row(TupleTableSlot *slot, void *arg);
static MxQuery *whole_query(const MxPurge *purge);
static MxQuery *history_query(const MxPurge *purge);
static const char *current_version(MxQuery *query, const MxFeature *feature);
static void append_whole(StringInfo sql, const MxFeature *feature,
						 const char *version);
static void append_columns(StringInfo sql, const MxFeature *feature,
						   const char *guard, const char *last);

/* alias of the rows that go, and of the tombstone that decides */
#define ROW		"gone"
#define LAST	"tomb"

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
	if (!purge->dry_run)
	{
		purge->rows = mx_store_new(work_mem);
		purge->rows->survives = true;
	}
	if (purge->whole)
		run(purge, whole_query(purge));
	if (purge->history)
		run(purge, history_query(purge));
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
 */
static MxQuery *
whole_query(const MxPurge *purge)
{
	const MxFeature *feature = purge->feature;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	ListCell   *lc;

	mx_query_value(query, TIMESTAMPTZOID, TimestampTzGetDatum(purge->cutoff),
				   false);
	append_columns(sql, feature,
				   ROW "." MX_DELETED_AT " IS NOT NULL",
				   ROW ".tableoid OPERATOR(pg_catalog.=) s.t AND "
				   ROW ".ctid OPERATOR(pg_catalog.=) s.c");
	appendStringInfoString(sql, " FROM (SELECT " LAST ".tableoid AS t, "
						   LAST ".ctid AS c");
	foreach(lc, feature->id_columns)
	{
		appendStringInfoString(sql, ", ");
		mx_append_column(sql, LAST, lfirst(lc));
		appendStringInfo(sql, " AS k%d", foreach_current_index(lc));
	}
	append_whole(sql, feature, current_version(query, feature));
	appendStringInfo(sql, ") AS s, %s AS " ROW, mx_relation_name(feature->relid));
	foreach(lc, feature->id_columns)
	{
		char	   *key = psprintf("s.k%d", foreach_current_index(lc));

		appendStringInfoString(sql, foreach_current_index(lc) == 0 ?
							   " WHERE " : " AND ");
		mx_append_same_id(sql, feature, lfirst(lc), key, ROW);
	}
	if (!purge->dry_run)
	{
		appendStringInfoString(sql, " ORDER BY s.t, s.c, ");
		mx_append_rank(sql, ROW);
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
	char	   *table = mx_relation_name(feature->relid);
	ListCell   *lc;

	mx_query_value(query, TIMESTAMPTZOID, TimestampTzGetDatum(purge->cutoff),
				   false);
	append_columns(sql, feature, "false", "false");
	appendStringInfo(sql, " FROM %s AS " ROW " WHERE ", table);
	mx_append_recency(sql, ROW);
	appendStringInfo(sql, " OPERATOR(pg_catalog.<) $1 AND EXISTS"
					 " (SELECT FROM %s AS later WHERE ", table);
	mx_append_recency(sql, "later");
	appendStringInfoString(sql, " OPERATOR(pg_catalog.<) $1 AND ");
	if (feature->version != NULL)
	{
		mx_append_equal(sql, feature, MX_FEATURE_VERSION, "later", ROW);
		appendStringInfoString(sql, " AND ");
	}
	foreach(lc, feature->id_columns)
	{
		mx_append_equal(sql, feature, lfirst(lc), "later", ROW);
		appendStringInfoString(sql, " AND ");
	}
	mx_append_rank(sql, "later");
	appendStringInfoString(sql, " OPERATOR(pg_catalog.>) ");
	mx_append_rank(sql, ROW);
	appendStringInfoChar(sql, ')');
	if (purge->whole)
	{
		appendStringInfoString(sql, " AND NOT EXISTS (SELECT");
		append_whole(sql, feature, current_version(query, feature));
		foreach(lc, feature->id_columns)
		{
			appendStringInfoString(sql, " AND ");
			mx_append_equal(sql, feature, lfirst(lc), LAST, ROW);
		}
		appendStringInfoChar(sql, ')');
	}
	if (!purge->dry_run)
		appendStringInfoString(sql, " ORDER BY 1, 2");
	return query;
}

/*
 * The current version as a parameter; NULL where the feature has none.
 */
static const char *
current_version(MxQuery *query, const MxFeature *feature)
{
	if (feature->version == NULL)
		return NULL;
	return psprintf("$%d", mx_query_text(query, feature->version));
}

/*
 * " FROM ... WHERE ..." that gives the deciding tombstone of each sample that
 * goes whole.  $1 is the cutoff.
 */
static void
append_whole(StringInfo sql, const MxFeature *feature, const char *version)
{
	ListCell   *lc;

	mx_append_latest(sql, feature, LAST, NULL, false, MX_DELETED);
	appendStringInfoString(sql, " AND ");
	mx_append_recency(sql, LAST);
	appendStringInfoString(sql, " OPERATOR(pg_catalog.<) $1");
	if (version == NULL)
		return;
	appendStringInfoString(sql, " AND NOT EXISTS (SELECT");
	mx_append_latest(sql, feature, "live", version, false, MX_ACTIVE);
	foreach(lc, feature->id_columns)
	{
		appendStringInfoString(sql, " AND ");
		mx_append_equal(sql, feature, lfirst(lc), "live", LAST);
	}
	appendStringInfoChar(sql, ')');
}

/*
 * "SELECT" and what is kept of each row.  Its bytes are an estimate: the values
 * as they are stored, with the header of the row and its line pointer; neither
 * padding nor indexes, nor what the next vacuum gives back.
 */
static void
append_columns(StringInfo sql, const MxFeature *feature, const char *guard,
			   const char *last)
{
	ListCell   *lc;

	appendStringInfoString(sql, "SELECT " ROW ".tableoid, " ROW ".ctid, "
						   ROW ".xmin, ");
	mx_append_recency(sql, ROW);
	appendStringInfo(sql, ", %s, %s, %d::pg_catalog.int8", guard, last,
					 (int) (MAXALIGN(SizeofHeapTupleHeader) + sizeof(ItemIdData)));
	foreach(lc, mx_table_columns(feature->relid))
	{
		appendStringInfoString(sql, " OPERATOR(pg_catalog.+) COALESCE(pg_catalog.pg_column_size(");
		mx_append_column(sql, ROW, lfirst(lc));
		appendStringInfoString(sql, "), 0)");
	}
}
