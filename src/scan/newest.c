/*-------------------------------------------------------------------------
 *
 * newest.c
 *		Latest rows from a walk that meets the newest row of a sample first.
 *
 * The first row that the snapshot sees is the latest one, unless others of
 * the same recency follow.
 *
 * src/scan/newest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"

#include "scan/walk.h"

static bool is_tie(const MxWalk *walk);
static void contend(MxScanState *state);
static TupleTableSlot *give(MxScanState *state);
static TupleTableSlot *entry_row(MxScanState *state, IndexTuple entry);

/*
 * The next sample's latest row, or NULL at the end.  Samples whose latest row
 * is not wanted, by the flag in the index, are left out.
 */
TupleTableSlot *
mx_newest_first(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;

	while (mx_settle(state))
	{
		if (mx_wants(&state->plan, walk->best_tombstone))
			return give(state);
	}
	return NULL;
}

/*
 * Walks on until the latest row of a sample is known; returns false at the
 * end.  It is walk->best_tid, and in walk->best unless the index is enough.
 *
 * Where a best row is there already, it is of the current sample.
 */
bool
mx_settle(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;

	while (mx_walk_next(walk))
	{
		if (walk->have_best && walk->new_key)
		{
			mx_walk_again(walk);
			break;
		}
		if (!walk->have_best)
		{
			if (mx_take(state) && !mx_walk_tie_follows(walk))
			{
				mx_walk_decided(walk, false);
				break;
			}
		}
		else if (is_tie(walk))
			contend(state);
		else
		{
			mx_walk_decided(walk, true);
			break;
		}
	}
	if (!walk->have_best)
		return false;
	walk->have_best = false;
	return true;
}

/*
 * Takes the current row for the best one, if it is visible.
 */
bool
mx_take(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;

	walk->best_fetched = !((state->plan.index_only ||
							!mx_wants(&state->plan, walk->tombstone)) &&
						   mx_walk_all_visible(walk));
	if (!walk->best_fetched)
		mx_walk_trust(walk, &walk->tid);
	else if (!mx_walk_fetch_current(walk, walk->best))
		return false;
	mx_walk_take(walk);
	return true;
}

/*
 * The current entry becomes the best one so far.
 */
void
mx_walk_take(MxWalk *walk)
{
	walk->have_best = true;
	walk->best_tid = walk->tid;
	walk->best_recency = walk->recency;
	walk->best_tombstone = walk->tombstone;
	walk->best_entry = walk->leaf.entry;
}

static bool
is_tie(const MxWalk *walk)
{
	return walk->recency == walk->best_recency &&
		walk->tombstone == walk->best_tombstone;
}

/*
 * A row of the same recency: both are needed now.
 */
static void
contend(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;

	mx_walk_fetch_best(walk, &walk->best_tid);
	if (mx_walk_fetch_current(walk, walk->other) && mx_walk_contend(walk))
		mx_walk_take(walk);
}

static TupleTableSlot *
give(MxScanState *state)
{
	if (!state->plan.index_only)
		mx_walk_ahead(&state->walk);
	return mx_latest_row(state, state->walk.best_entry);
}

/*
 * The latest row, whose entry is given: walk->best, unless only the index is
 * read.
 */
TupleTableSlot *
mx_latest_row(MxScanState *state, IndexTuple entry)
{
	return state->plan.index_only ? entry_row(state, entry) : state->walk.best;
}

/*
 * A row of which only those columns of the index are there that are asked for;
 * the others have been null from the start.
 */
static TupleTableSlot *
entry_row(MxScanState *state, IndexTuple entry)
{
	TupleTableSlot *slot = state->node.css.ss.ss_ScanTupleSlot;
	TupleDesc	desc = RelationGetDescr(state->index);

	ExecClearTuple(slot);
	for (int i = 0; i < state->nwanted; i++)
	{
		int			key = state->wanted[i];
		AttrNumber	attnum = state->index->rd_index->indkey.values[key];

		slot->tts_values[attnum - 1] =
			index_getattr(entry, key + 1, desc,
						  &slot->tts_isnull[attnum - 1]);
	}
	return ExecStoreVirtualTuple(slot);
}
