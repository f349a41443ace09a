/*-------------------------------------------------------------------------
 *
 * look.c
 *		The rows of samples that go whole, as a batch finds them; and what the
 *		queries of a purge have in common.
 *
 * src/purge/look.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "storage/itemid.h"
#include "utils/memutils.h"

#include "purge/purge.h"

/* columns of the query */
enum
{
	TABLE,
	PLACE,
	WRITER,
	RECENCY,
	TOMBSTONE,
	SAMPLE,						/* its number in the batch, from 1 */
	CURRENT						/* of the current version? */
};

/* a row that was found */
typedef struct Found
{
	Oid			table;
	ItemPointerData place;
	TransactionId writer;
	TimestampTz recency;
	bool		tombstone;
	int			sample;
} Found;

/* what there is of a sample */
typedef struct Sample
{
	int			latest;			/* place in rows; -1: none */
	TimestampTz newest[2];		/* live row, tombstone of the current version */
} Sample;

typedef struct Look
{
	Found	   *rows;
	int			nrows;
	int			size;
	Sample	   *samples;
} Look;

static void run_query(const MxPurge *purge, const MxStore *ids, Look *look);
static bool add_found(TupleTableSlot *slot, void *arg);
static bool is_later(const Found *a, const Found *b);
static void show_rows(const MxPurge *purge, const Look *look, MxRowHook hook,
					  void *arg);
static TupleDesc rows_desc(void);

/*
 * Shows "hook" all rows of these samples, columns as in MxPurgeColumn, where
 * it is still so that the latest row over all versions is an old tombstone and
 * that they are not active in the current version.
 *
 * The rows are sorted out here: windows in the query would cost as much as the
 * rest of the batch.
 */
void
mx_purge_look(const MxPurge *purge, const MxStore *ids, MxRowHook hook,
			  void *arg)
{
	Look		look = {.size = 1024};

	look.rows = palloc(sizeof(Found) * look.size);
	look.samples = palloc(sizeof(Sample) * ids->nrows);
	for (int i = 0; i < ids->nrows; i++)
	{
		look.samples[i].latest = -1;
		look.samples[i].newest[false] = DT_NOBEGIN;
		look.samples[i].newest[true] = DT_NOBEGIN;
	}
	run_query(purge, ids, &look);
	show_rows(purge, &look, hook, arg);
}

/*
 * Versions are named so that the supporting index serves.  A row of another
 * one has come since, and is left.
 */
static void
run_query(const MxPurge *purge, const MxStore *ids, Look *look)
{
	const MxFeature *feature = purge->feature;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	appendStringInfoString(sql, "SELECT one.tableoid, one.ctid, one.xmin, ");
	mx_append_recency(sql, "one");
	appendStringInfoString(sql, ", one." MX_DELETED_AT " IS NOT NULL, id.n, ");
	if (feature->version == NULL)
		appendStringInfoString(sql, "true");
	else
		appendStringInfo(sql, "one." MX_FEATURE_VERSION
						 " OPERATOR(pg_catalog.=) $%d",
						 mx_query_text(query, feature->version));
	appendStringInfoString(sql, " FROM (SELECT id.*,"
						   " pg_catalog.row_number() OVER () AS n FROM ");
	mx_append_store(sql, ids, "id");
	appendStringInfo(sql, ") AS id, %s AS one WHERE ",
					 mx_relation_name(feature->relid));
	mx_purge_append_same(sql, feature);
	if (feature->version != NULL)
		appendStringInfo(sql, " AND one." MX_FEATURE_VERSION
						 " OPERATOR(pg_catalog.=) ANY ($%d)",
						 mx_query_value(query, TEXTARRAYOID,
										mx_names_array(mx_purge_versions(purge)),
										false));
	mx_query_run(query, MX_WRITE, mx_row_receiver(add_found, look));
}

static bool
add_found(TupleTableSlot *slot, void *arg)
{
	Look	   *look = arg;
	Found	   *found;
	Sample	   *sample;
	TimestampTz *newest;
	Datum	   *values;

	slot_getallattrs(slot);
	values = slot->tts_values;
	if (look->nrows == look->size)
	{
		look->size *= 2;
		look->rows = repalloc_huge(look->rows, sizeof(Found) * look->size);
	}
	found = &look->rows[look->nrows];
	found->table = DatumGetObjectId(values[TABLE]);
	found->place = *(ItemPointer) DatumGetPointer(values[PLACE]);
	found->writer = DatumGetTransactionId(values[WRITER]);
	found->recency = DatumGetTimestampTz(values[RECENCY]);
	found->tombstone = DatumGetBool(values[TOMBSTONE]);
	found->sample = (int) DatumGetInt64(values[SAMPLE]) - 1;

	sample = &look->samples[found->sample];
	if (sample->latest < 0 || is_later(found, &look->rows[sample->latest]))
		sample->latest = look->nrows;
	newest = &sample->newest[found->tombstone];
	if (DatumGetBool(values[CURRENT]))
		*newest = Max(*newest, found->recency);
	look->nrows++;
	return true;
}

/*
 * As mx_append_rank has it.
 */
static bool
is_later(const Found *a, const Found *b)
{
	if (a->recency != b->recency)
		return a->recency > b->recency;
	if (a->tombstone != b->tombstone)
		return a->tombstone;
	if (a->table != b->table)
		return a->table > b->table;
	return ItemPointerCompare(unconstify(ItemPointerData *, &a->place),
							  unconstify(ItemPointerData *, &b->place)) > 0;
}

static void
show_rows(const MxPurge *purge, const Look *look, MxRowHook hook, void *arg)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(rows_desc(), &TTSOpsVirtual);

	memset(slot->tts_isnull, 0, sizeof(bool) * (MX_PURGE_LAST + 1));
	for (int i = 0; i < look->nrows; i++)
	{
		Found	   *row = &look->rows[i];
		const Sample *sample = &look->samples[row->sample];
		const Found *latest = &look->rows[sample->latest];

		if (!latest->tombstone || latest->recency >= purge->cutoff ||
			sample->newest[false] > sample->newest[true])
			continue;
		ExecClearTuple(slot);
		slot->tts_values[MX_PURGE_TABLE] = ObjectIdGetDatum(row->table);
		slot->tts_values[MX_PURGE_PLACE] = PointerGetDatum(&row->place);
		slot->tts_values[MX_PURGE_WRITER] = TransactionIdGetDatum(row->writer);
		slot->tts_values[MX_PURGE_RECENCY] = TimestampTzGetDatum(row->recency);
		slot->tts_values[MX_PURGE_GUARD] = BoolGetDatum(row->tombstone);
		slot->tts_values[MX_PURGE_LAST] = BoolGetDatum(row == latest);
		ExecStoreVirtualTuple(slot);
		(void) hook(slot, arg);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static TupleDesc
rows_desc(void)
{
	static const Oid types[] = {OIDOID, TIDOID, XIDOID, TIMESTAMPTZOID, BOOLOID, BOOLOID};
	TupleDesc	desc = CreateTemplateTupleDesc(lengthof(types));

	for (int i = 0; i < (int) lengthof(types); i++)
		TupleDescInitEntry(desc, i + 1, NULL, types[i], -1, 0);
	return desc;
}

/*
 * Versions that there were when the purge looked, and the current one.
 */
List *
mx_purge_versions(const MxPurge *purge)
{
	List	   *versions = list_copy(purge->versions);

	mx_add_names(&versions, list_make1(purge->feature->version));
	return versions;
}

/*
 * "The row of "one" is of the sample of "id"", a store that begins with ids.
 */
void
mx_purge_append_same(StringInfo sql, const MxFeature *feature)
{
	ListCell   *lc;

	foreach(lc, feature->id_columns)
	{
		int			n = foreach_current_index(lc);

		if (n > 0)
			appendStringInfoString(sql, " AND ");
		mx_append_same_id(sql, feature, lfirst(lc), psprintf("id.c%d", n + 1),
						  "one");
	}
}

/*
 * The size of a row, an estimate: the values as they are stored, with the
 * header of the row and its line pointer; neither padding nor indexes are in it.
 */
void
mx_purge_append_bytes(StringInfo sql, const MxFeature *feature, const char *ref)
{
	ListCell   *lc;

	appendStringInfo(sql, "%d::pg_catalog.int8",
					 (int) (MAXALIGN(SizeofHeapTupleHeader) + sizeof(ItemIdData)));
	foreach(lc, mx_table_columns(feature->relid))
	{
		appendStringInfoString(sql, " OPERATOR(pg_catalog.+)"
							   " COALESCE(pg_catalog.pg_column_size(");
		mx_append_column(sql, ref, lfirst(lc));
		appendStringInfoString(sql, "), 0)");
	}
}
