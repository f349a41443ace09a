/*-------------------------------------------------------------------------
 *
 * batch.c
 *		Removes what a purge has found, one batch in one transaction.
 *
 *		Of samples that go whole only the ids are known: the batch looks for
 *		their rows, and whether all of it is still so.  Then live rows go first.
 *		A tombstone is not removed while a live row below it is there, one that
 *		was moved by an UPDATE or that a backfill has brought meanwhile; this is
 *		looked for unless it cannot be.  What such a backfill commits in the very
 *		moment in which the batch looks is as if it came after the purge.
 *
 *		The places of superseded rows are known.  The snapshot that showed them
 *		is gone, and a place may hold another row by now.  A row is removed if
 *		its place, its writer and its recency are those that were found; one that
 *		is not there any more is no loss.
 *
 * src/purge/batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "purge/purge.h"

/* rows of a batch, and their places once more */
typedef struct Rows
{
	MxStore    *store;
	ItemPointer places;
	int			count;
	int			size;
} Rows;

/* live rows and superseded ones, and tombstones that go after those */
typedef struct Batch
{
	Rows		plain;
	Rows		guards;
} Batch;

static void remove_samples(MxPurge *purge);
static void take_samples(MxPurge *purge, MxStore *ids);
static uint64 completed_transactions(void);
static bool remove_history(MxPurge *purge);
static bool add_row(TupleTableSlot *slot, void *arg);
static void start_rows(Rows *rows);
static void keep_row(Rows *rows, TupleTableSlot *slot);
static int64 remove_rows(MxPurge *purge, Rows *rows, bool check);
static ArrayType *places_array(const Rows *rows);
static void append_hides_nothing(MxQuery *query, const MxPurge *purge);
static bool count_removed(TupleTableSlot *slot, void *arg);

/* alias of the rows that go, and of where they were found */
#define ROW		"gone"
#define PLACE	"place"

/*
 * Removes the next rows; returns false when there are no more.  The table is
 * locked, and others are locked out, see mx_purge_prepare.
 */
bool
mx_purge_batch(MxPurge *purge)
{
	int			nest = NewGUCNestLevel();
	int64		before = purge->nrows;
	bool		more = true;

	SPI_connect();

	/*
	 * Many of the rows are on the same pages; the planner would rather read
	 * the whole table, for each batch.
	 */
	mx_purge_set("random_page_cost", "1");
	if (purge->ids->nrows > 0)
		remove_samples(purge);
	else
		more = remove_history(purge);
	AtEOXact_GUC(true, nest);
	if (purge->nrows > before)
	{
		mx_purge_note(purge);
		mx_tell_progress("removed %lld rows of \"%s\"",
						 (long long) purge->nrows, purge->key);
	}
	SPI_finish();
	return more;
}

/*
 * Until the nest level of settings ends.
 */
void
mx_purge_set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Removes the next samples that go whole.
 *
 * Without an index each look reads the whole table.
 */
static void
remove_samples(MxPurge *purge)
{
	Batch		batch;
	MxStore    *ids = mx_store_new(work_mem);
	uint64		completed;
	CommandId	command;
	int64		done;

	CommandCounterIncrement();
	completed = completed_transactions();
	command = GetCurrentCommandId(false);
	take_samples(purge, ids);
	start_rows(&batch.plain);
	start_rows(&batch.guards);
	mx_store_register(ids, "metaxy batch");
	mx_purge_look(purge, ids, add_row, &batch);
	mx_store_end(ids);

	/*
	 * Live rows that are below the tombstones now are ones that could not be
	 * removed, that others have committed since, or that a trigger wrote: it
	 * would have used more commands than the one that removes rows.
	 */
	done = remove_rows(purge, &batch.plain, false);
	CommandCounterIncrement();
	remove_rows(purge, &batch.guards,
				done != batch.plain.count ||
				completed_transactions() != completed ||
				GetCurrentCommandId(false) > command + 1);
	mx_store_end(batch.plain.store);
	mx_store_end(batch.guards.store);
}

/*
 * Takes samples from those that were found, for about as many rows as a batch
 * should have: a sample goes whole.
 */
static void
take_samples(MxPurge *purge, MxStore *ids)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(purge->ids->desc,
													&TTSOpsMinimalTuple);
	int64		count = 0;

	tuplestore_select_read_pointer(purge->ids->rows, 0);
	while (count < purge->batch_size && purge->ids->nrows > 0 &&
		   tuplestore_gettupleslot(purge->ids->rows, true, false, slot))
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		count += DatumGetInt64(slot_getattr(slot, purge->ids->desc->natts,
											&isnull));
		mx_store_add(ids, slot);
		purge->ids->nrows--;
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Goes up with each transaction that has written and ends: the same as before,
 * nothing has been committed in between.
 */
static uint64
completed_transactions(void)
{
	return GetTransactionSnapshot()->snapXactCompletionCount;
}

/*
 * Removes the next superseded rows; returns false when there are no more.
 */
static bool
remove_history(MxPurge *purge)
{
	Batch		batch;
	TupleTableSlot *slot;
	bool		more = true;

	if (purge->rows->rows == NULL)
		return false;
	start_rows(&batch.plain);
	slot = MakeSingleTupleTableSlot(purge->rows->desc, &TTSOpsMinimalTuple);
	while (more && batch.plain.count < purge->batch_size)
	{
		CHECK_FOR_INTERRUPTS();
		more = tuplestore_gettupleslot(purge->rows->rows, true, false, slot);
		if (more)
			keep_row(&batch.plain, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	remove_rows(purge, &batch.plain, false);
	mx_store_end(batch.plain.store);
	return more;
}

static bool
add_row(TupleTableSlot *slot, void *arg)
{
	Batch	   *batch = arg;
	bool		isnull;

	if (DatumGetBool(slot_getattr(slot, MX_PURGE_GUARD + 1, &isnull)))
		keep_row(&batch->guards, slot);
	else
		keep_row(&batch->plain, slot);
	return true;
}

static void
start_rows(Rows *rows)
{
	rows->store = mx_store_new(work_mem);
	rows->count = 0;
	rows->size = 1024;
	rows->places = palloc(sizeof(ItemPointerData) * rows->size);
}

static void
keep_row(Rows *rows, TupleTableSlot *slot)
{
	bool		isnull;

	if (rows->count == rows->size)
	{
		rows->size *= 2;
		rows->places = repalloc_huge(rows->places,
									 sizeof(ItemPointerData) * rows->size);
	}
	rows->places[rows->count++] =
		*(ItemPointer) DatumGetPointer(slot_getattr(slot, MX_PURGE_PLACE + 1,
													&isnull));
	mx_store_add(rows->store, slot);
}

/*
 * Removes those of the rows that are still what was found, and, with a check,
 * that hide nothing.  Returns their number.
 *
 * One scan of all places is faster than one for each of them.  But what a
 * tombstone may hide is looked up one by one, where there is an index.
 */
static int64
remove_rows(MxPurge *purge, Rows *rows, bool check)
{
	const MxFeature *feature = purge->feature;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	int			nest;
	int64		done;

	if (rows->count == 0)
		return 0;
	mx_store_register(rows->store, "metaxy places");
	appendStringInfo(sql, "DELETE FROM %s AS " ROW " USING ",
					 mx_relation_name(feature->relid));
	mx_append_store(sql, rows->store, PLACE);
	appendStringInfo(sql, " WHERE " ROW ".ctid OPERATOR(pg_catalog.=) ANY ($%d)",
					 mx_query_value(query, TIDARRAYOID,
									PointerGetDatum(places_array(rows)), false));
	appendStringInfo(sql, " AND " ROW ".ctid OPERATOR(pg_catalog.=) " PLACE ".c%d"
					 " AND " ROW ".tableoid OPERATOR(pg_catalog.=) " PLACE ".c%d"
					 " AND " ROW ".xmin OPERATOR(pg_catalog.=) " PLACE ".c%d"
					 " AND " PLACE ".c%d OPERATOR(pg_catalog.=) ",
					 MX_PURGE_PLACE + 1, MX_PURGE_TABLE + 1,
					 MX_PURGE_WRITER + 1, MX_PURGE_RECENCY + 1);
	mx_append_recency(sql, ROW);
	if (check)
		append_hides_nothing(query, purge);
	appendStringInfo(sql, " RETURNING " PLACE ".c%d, ", MX_PURGE_LAST + 1);
	mx_purge_append_bytes(sql, feature, ROW);
	nest = NewGUCNestLevel();
	if (!check || !feature->indexes)
		mx_purge_set("enable_nestloop", "off");
	done = mx_query_run(query, MX_WRITE, mx_row_receiver(count_removed, purge));
	AtEOXact_GUC(true, nest);
	mx_store_unregister(rows->store);
	return done;
}

static ArrayType *
places_array(const Rows *rows)
{
	Datum	   *values = palloc_extended(sizeof(Datum) * rows->count,
										 MCXT_ALLOC_HUGE);
	ArrayType  *array;

	for (int i = 0; i < rows->count; i++)
		values[i] = PointerGetDatum(&rows->places[i]);
	array = construct_array(values, rows->count, TIDOID,
							sizeof(ItemPointerData), false, TYPALIGN_SHORT);
	pfree(values);
	return array;
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
										mx_names_array(mx_purge_versions(purge)),
										false));
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
