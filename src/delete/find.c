/*-------------------------------------------------------------------------
 *
 * find.c
 *		Finds the doomed samples of each feature: one pass a feature, from root
 *		to leaf, after a way up towards the roots where parents are wanted.
 *
 *		All of it reads under one snapshot, the active one, and writes nothing;
 *		a dry run and a real one differ only in what comes after.
 *
 * src/delete/find.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "delete/delete.h"

static void find_seeds(MxDelete *delete, MxStep *step);
static void find_doomed(MxDelete *delete, MxStep *step);
static void refuse_null(const MxCounter *counter, const char *column);
static uint64 hash_row(MxCounter *counter, TupleTableSlot *slot,
					   TimestampTz recency, bool tombstone);
static List *carried_columns(const MxDelete *delete, const MxStep *step,
							 bool whole_rows);
static List *join_columns(const MxRegistry *registry, int edge,
						  bool feature_side);

/*
 * What a delete is about: samples, and the rows to write or to remove for
 * them; or single rows.
 */
void
mx_find_samples(MxDelete *delete)
{
	if (!delete->request->soft && delete->request->sample_history &&
		delete->request->filters != NIL)
		mx_find_history(delete);
	else
	{
		mx_find(delete);
		mx_find_rows(delete);
	}
}

/*
 * Finds the doomed samples of all steps, and counts the stale ones.
 */
void
mx_find(MxDelete *delete)
{
	MxPlan	   *plan = delete->plan;

	for (int i = plan->nsteps - 1; i >= 0; i--)
	{
		MxStep	   *step = &plan->steps[i];

		if (!step->climbs)
			continue;
		find_seeds(delete, step);
		if (step->seeds != NULL)
			mx_store_register(step->seeds, psprintf("metaxy seeds %d", i));
	}

	for (int i = 0; i < plan->nsteps; i++)
	{
		MxStep	   *step = &plan->steps[i];

		mx_look_progress(delete, i);
		find_doomed(delete, step);
		if (step->doomed != NULL)
			mx_store_register(step->doomed, psprintf("metaxy doomed %d", i));
	}
}

/*
 * Samples found on the way up.
 */
static void
find_seeds(MxDelete *delete, MxStep *step)
{
	List	   *columns = carried_columns(delete, step, false);
	MxCounter	counter;

	mx_counter_init(&counter, delete, step, list_length(columns));
	step->seeds = mx_match(delete, step, step->seed_sources,
						   step->nseed_sources, columns, false,
						   mx_seen_row, &counter);
}

/*
 * The latest row of each doomed sample, and the number of stale ones.  Where
 * that row is what a soft delete writes again, it is carried whole, and in the
 * order in which it is best written.
 */
static void
find_doomed(MxDelete *delete, MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	bool		whole_rows = delete->request->soft &&
	!mx_writes_versions(delete, feature);
	MxCounter	counter;
	List	   *columns;

	columns = carried_columns(delete, step, whole_rows);
	mx_counter_init(&counter, delete, step, list_length(columns));
	step->doomed = mx_match(delete, step, step->sources, step->nsources,
							columns, whole_rows && !delete->request->dry_run,
							mx_count_row, &counter);
}

/*
 * For mx_count_row: the step's rows come with the id columns first, then the
 * rest of ncolumns carried ones, then those of MxMatchColumn.
 */
void
mx_counter_init(MxCounter *counter, const MxDelete *delete, MxStep *step,
				int ncolumns)
{
	counter->delete = delete;
	counter->step = step;
	counter->feature = &delete->registry->features[step->feature];
	counter->nids = list_length(counter->feature->id_columns);
	counter->ncolumns = ncolumns;
	initStringInfo(&counter->identity);
}

/*
 * Keeps a row unless it was written while we waited for our turn: its sample
 * is left alone.
 */
bool
mx_seen_row(TupleTableSlot *slot, void *arg)
{
	MxCounter  *counter = arg;
	int			writer = counter->ncolumns + 1 + MX_MATCH_WRITER;
	bool		isnull;
	Datum		xmin;

	if (!counter->delete->spares)
		return true;
	xmin = slot_getattr(slot, writer, &isnull);
	if (isnull || mx_turn_saw(counter->delete->turn,
							  DatumGetTransactionId(xmin)))
		return true;
	counter->step->spared++;
	return false;
}

/*
 * One row: keeps it if it is doomed, and adds it to the step's figures.
 */
bool
mx_count_row(TupleTableSlot *slot, void *arg)
{
	MxCounter  *counter = arg;
	MxStep	   *step = counter->step;
	int			first = counter->ncolumns + 1;
	bool		isnull;
	bool		tombstone;
	TimestampTz recency;

	slot_getallattrs(slot);
	if (!mx_seen_row(slot, arg))
		return false;
	tombstone = DatumGetBool(slot_getattr(slot, first + MX_MATCH_TOMBSTONE,
										  &isnull));
	if (!DatumGetBool(slot_getattr(slot, first + MX_MATCH_DOOMED, &isnull)))
	{
		if (!tombstone)
			step->stale++;
		return false;
	}

	recency = DatumGetTimestampTz(slot_getattr(slot, first + MX_MATCH_RECENCY,
											   &isnull));
	if (isnull)
		refuse_null(counter, MX_UPDATED_AT);
	for (int i = 0; i < counter->nids; i++)
	{
		if (slot->tts_isnull[i])
			refuse_null(counter, list_nth(counter->feature->id_columns, i));
	}
	/* a stamp above it would drag the clock along */
	if (counter->delete->request->soft && recency > step->newest &&
		mx_too_late(recency))
		mx_refuse_late(counter->feature->key,
					   mx_describe_sample(slot, counter->feature->id_columns),
					   tombstone ? MX_DELETED_AT : MX_UPDATED_AT, recency);
	step->samples++;
	step->newest = Max(step->newest, recency);
	/* a sum does not depend on the order of the rows */
	step->digest += hash_row(counter, slot, recency, tombstone);
	return true;
}

/*
 * Registering makes these columns NOT NULL.  Where that was undone, a row
 * without an id or a recency could not be hidden: 23502.
 */
static void
refuse_null(const MxCounter *counter, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("column \"%s\" of feature \"%s\" contains null values",
					column, counter->feature->key),
			 errhint("Call metaxy_register() again once there are none.")));
}

/*
 * Hash of what makes a latest row this one: its id, its recency, and the
 * transaction that wrote it, which tells a row changed in place.
 */
static uint64
hash_row(MxCounter *counter, TupleTableSlot *slot, TimestampTz recency,
		 bool tombstone)
{
	StringInfo	bytes = &counter->identity;
	int			writer = counter->ncolumns + 1 + MX_MATCH_WRITER;

	resetStringInfo(bytes);
	for (int i = 1; i <= counter->nids; i++)
		mx_append_datum(bytes, slot, i);
	appendBinaryStringInfo(bytes, (char *) &recency, sizeof(recency));
	appendStringInfoChar(bytes, tombstone ? 1 : 0);
	mx_append_datum(bytes, slot, writer);
	return hash_bytes_extended((unsigned char *) bytes->data, bytes->len, 0);
}

/*
 * The bytes of a value, toasted or not, with their number before them.
 */
void
mx_append_datum(StringInfo bytes, TupleTableSlot *slot, int number)
{
	Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor,
												number - 1);
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);
	uint32		length;

	if (isnull)
		length = PG_UINT32_MAX;
	else if (attribute->attbyval)
		length = sizeof(Datum);
	else if (attribute->attlen == -1)
	{
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
		length = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	}
	else
		length = datumGetSize(value, false, attribute->attlen);

	appendBinaryStringInfo(bytes, (char *) &length, sizeof(length));
	if (isnull)
		return;
	if (attribute->attbyval)
		appendBinaryStringInfo(bytes, (char *) &value, sizeof(Datum));
	else if (attribute->attlen == -1)
		appendBinaryStringInfo(bytes, VARDATA_ANY(DatumGetPointer(value)),
							   length);
	else
		appendBinaryStringInfo(bytes, DatumGetPointer(value), length);
}

/*
 * Columns that a step's rows carry, the id columns first: the whole row, or
 * what the edges around the feature join.
 */
static List *
carried_columns(const MxDelete *delete, const MxStep *step, bool whole_rows)
{
	const MxRegistry *registry = delete->registry;
	const MxFeature *feature = &registry->features[step->feature];
	const MxGraph *graph = registry->graph;
	List	   *names = list_copy(feature->id_columns);
	int			node = step->feature;

	if (!OidIsValid(feature->relid))
		return names;
	if (whole_rows)
	{
		mx_add_names(&names, mx_table_columns(feature->relid));
		return names;
	}
	for (int i = graph->in_start[node]; i < graph->in_start[node + 1]; i++)
		mx_add_names(&names, join_columns(registry, graph->in_edge[i], true));
	for (int i = graph->out_start[node]; i < graph->out_start[node + 1]; i++)
		mx_add_names(&names, join_columns(registry, graph->out_edge[i], false));
	return names;
}

/*
 * The columns that an edge joins, on one of its sides; none where a side has
 * no table.
 */
static List *
join_columns(const MxRegistry *registry, int edge, bool feature_side)
{
	const MxDependency *dependency = &registry->dependencies[edge];
	const MxFeature *feature = &registry->features[dependency->feature];
	const MxFeature *upstream = &registry->features[dependency->upstream];
	List	   *feature_columns;
	List	   *upstream_columns;

	if (!OidIsValid(feature->relid) || !OidIsValid(upstream->relid))
		return NIL;
	mx_join_columns(feature, upstream, dependency,
					&feature_columns, &upstream_columns);
	return feature_side ? feature_columns : upstream_columns;
}
