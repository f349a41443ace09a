/*-------------------------------------------------------------------------
 *
 * batch.c
 *		Removes what a purge has found, one batch in one transaction.
 *
 *		The snapshot that showed the rows is gone, and a place may hold another
 *		row by now.  A row is removed if its place, its writer and its recency
 *		are those that were found; one that is not there any more is no loss.
 *
 *		A tombstone is not removed while a live row below it is there, one that
 *		was moved by an UPDATE or that a backfill has brought meanwhile.  What
 *		such a backfill commits in the very moment in which the batch looks is
 *		as if it came after the purge.
 *
 * src/purge/batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "purge/purge.h"

/* rows of a batch, one array for each column of MxPurge.rows */
typedef struct Batch
{
	int			count;
	int			size;
	Datum	   *values[MX_PURGE_NCOLUMNS];
} Batch;

static const Oid column_types[MX_PURGE_NCOLUMNS] = {
	OIDOID, TIDOID, XIDOID, TIMESTAMPTZOID, BOOLOID, BOOLOID, INT8OID
};

static void set_for_now(const char *name, const char *value);
static bool fill(MxPurge *purge, Batch *plain, Batch *guards);
static void add_row(Batch *batch, TupleTableSlot *slot);
static void remove_rows(MxPurge *purge, const Batch *batch, bool guards);
static void append_batch(MxQuery *query, const Batch *batch);
static void append_hides_nothing(MxQuery *query, const MxPurge *purge);
static bool count_removed(TupleTableSlot *slot, void *arg);

/* alias of the rows that go, and of where they were found */
#define ROW		"gone"
#define PLACE	"place"

/*
 * Removes the next rows that were found; returns false when there are no more.
 * The table is locked, and others are locked out, see mx_purge_prepare.
 */
bool
mx_purge_batch(MxPurge *purge)
{
	Batch		plain = {0};
	Batch		guards = {0};
	int			nest = NewGUCNestLevel();
	bool		more = fill(purge, &plain, &guards);

	/*
	 * The rows are fetched by their places, many of which are on the same
	 * pages; the planner would rather read the whole table, for each batch.
	 */
	set_for_now("random_page_cost", "1");
	remove_rows(purge, &plain, false);
	if (!purge->feature->indexes)
		set_for_now("enable_nestloop", "off");	/* one look at all rows */
	remove_rows(purge, &guards, true);
	AtEOXact_GUC(true, nest);
	if (plain.count + guards.count > 0)
	{
		mx_purge_note(purge);
		mx_tell_progress("removed %lld of %lld rows of \"%s\"",
						 (long long) purge->nrows,
						 (long long) purge->rows->nrows, purge->key);
	}
	return more;
}

/*
 * Until the nest level of settings ends.
 */
static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Takes the rows of a batch from the store.  Tombstones that hide others are
 * removed after those, so they are kept apart.
 */
static bool
fill(MxPurge *purge, Batch *plain, Batch *guards)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(purge->rows->desc,
													&TTSOpsMinimalTuple);
	bool		more = true;

	while (plain->count + guards->count < purge->batch_size)
	{
		bool		isnull;

		more = tuplestore_gettupleslot(purge->rows->rows, true, false, slot);
		if (!more)
			break;
		if (DatumGetBool(slot_getattr(slot, MX_PURGE_GUARD + 1, &isnull)))
			add_row(guards, slot);
		else
			add_row(plain, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	return more;
}

static void
add_row(Batch *batch, TupleTableSlot *slot)
{
	if (batch->count == batch->size)
	{
		int			size = Max(1024, batch->size * 2);

		for (int c = 0; c < MX_PURGE_NCOLUMNS; c++)
			batch->values[c] = batch->size == 0 ?
				palloc(sizeof(Datum) * size) :
				repalloc(batch->values[c], sizeof(Datum) * size);
		batch->size = size;
	}
	slot_getallattrs(slot);
	for (int c = 0; c < MX_PURGE_NCOLUMNS; c++)
	{
		Datum		value = slot->tts_values[c];

		if (c == MX_PURGE_PLACE)
			value = datumCopy(value, false, sizeof(ItemPointerData));
		batch->values[c][batch->count] = value;
	}
	batch->count++;
}

/*
 * Removes those rows of the batch that are still what was found.
 */
static void
remove_rows(MxPurge *purge, const Batch *batch, bool guards)
{
	const MxFeature *feature = purge->feature;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	if (batch->count == 0)
		return;
	appendStringInfo(sql, "DELETE FROM %s AS " ROW " USING ROWS FROM (",
					 mx_relation_name(feature->relid));
	append_batch(query, batch);
	appendStringInfoString(sql, ") AS " PLACE " (t, c, x, r, g, l, b) WHERE "
						   ROW ".tableoid OPERATOR(pg_catalog.=) " PLACE ".t AND "
						   ROW ".ctid OPERATOR(pg_catalog.=) " PLACE ".c AND "
						   ROW ".xmin OPERATOR(pg_catalog.=) " PLACE ".x AND "
						   PLACE ".r OPERATOR(pg_catalog.=) ");
	mx_append_recency(sql, ROW);
	if (guards)
		append_hides_nothing(query, purge);
	appendStringInfoString(sql, " RETURNING " PLACE ".l, " PLACE ".b");
	mx_query_run(query, MX_WRITE, mx_row_receiver(count_removed, purge));
}

/*
 * The arrays, each unnested.
 */
static void
append_batch(MxQuery *query, const Batch *batch)
{
	for (int c = 0; c < MX_PURGE_NCOLUMNS; c++)
	{
		Oid			type = column_types[c];
		int16		typlen;
		bool		typbyval;
		char		typalign;
		ArrayType  *array;

		get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
		array = construct_array(batch->values[c], batch->count, type, typlen,
								typbyval, typalign);
		appendStringInfo(mx_query_sql(query), "%spg_catalog.unnest($%d)",
						 c > 0 ? ", " : "",
						 mx_query_value(query, get_array_type(type),
										PointerGetDatum(array), false));
	}
}

/*
 * " AND the tombstone hides no live row", of any version that there was when
 * the rows were found: they are named so that the supporting index serves.
 */
static void
append_hides_nothing(MxQuery *query, const MxPurge *purge)
{
	const MxFeature *feature = purge->feature;
	StringInfo	sql = mx_query_sql(query);
	ListCell   *lc;

	appendStringInfo(sql, " AND NOT EXISTS (SELECT FROM %s AS hidden WHERE ",
					 mx_relation_name(feature->relid));
	mx_append_column(sql, "hidden", MX_DELETED_AT);
	appendStringInfoString(sql, " IS NULL AND ");
	if (feature->version != NULL)
	{
		mx_append_column(sql, "hidden", MX_FEATURE_VERSION);
		appendStringInfo(sql, " OPERATOR(pg_catalog.=) ANY ($%d) AND ",
						 mx_query_value(query, TEXTARRAYOID,
										mx_names_array(purge->versions), false));
	}
	foreach(lc, feature->id_columns)
	{
		mx_append_equal(sql, feature, lfirst(lc), "hidden", ROW);
		appendStringInfoString(sql, " AND ");
	}
	mx_append_rank(sql, "hidden");
	appendStringInfoString(sql, " OPERATOR(pg_catalog.<) ");
	mx_append_rank(sql, ROW);
	appendStringInfoChar(sql, ')');
}

static bool
count_removed(TupleTableSlot *slot, void *arg)
{
	MxPurge    *purge = arg;
	bool		isnull;

	purge->nrows++;
	purge->samples += DatumGetBool(slot_getattr(slot, 1, &isnull));
	purge->bytes += DatumGetInt64(slot_getattr(slot, 2, &isnull));
	return true;
}

/*
 * Writes into the ledger what is done, in the transaction that does it.
 */
void
mx_purge_note(MxPurge *purge)
{
	MxRequest	request = {.kind = "purge",.max_samples = -1};
	MxStep		step = {.samples = purge->samples,.nrows = purge->nrows};
	int			first = 0;
	MxPlan		plan = {.nsteps = 1,.steps = &step,.execution = &first};
	MxRegistry	registry = {.nfeatures = 1,.features = purge->feature};
	MxDelete	delete = {.request = &request,.registry = &registry,.plan = &plan};

	delete.deletion_id = purge->deletion_id;
	if (purge->deletion_id != 0)
	{
		mx_ledger_update(&delete);
		return;
	}
	request.features = list_make1(unconstify(char *, purge->key));
	request.older_than =
		DatumGetCString(DirectFunctionCall1(interval_out,
											IntervalPGetDatum(purge->older_than)));
	request.purges_samples = purge->whole;
	request.purges_history = purge->history;
	delete.stamp = purge->stamp;
	mx_ledger_write(&delete);
	purge->deletion_id = delete.deletion_id;
}
