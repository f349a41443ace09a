/*-------------------------------------------------------------------------
 *
 * oldest.c
 *		Latest rows from a walk that meets the oldest row of a sample first.
 *
 * It is for an order of the rows that the other direction does not give.  A
 * sample's entries are collected, and tried from the last to the first when
 * the next sample begins.
 *
 * src/scan/oldest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "scan/walk.h"

/* so many entries are collected before those are dropped that cannot matter */
#define MANY_ENTRIES	1024

typedef struct Candidate
{
	ItemPointerData tid;
	bool		tombstone;
	bool		all_visible;
	TimestampTz recency;
	IndexTuple	entry;			/* where only the index is read */
} Candidate;

struct MxGroup
{
	MemoryContext context;		/* of the entries */
	Candidate  *candidates;
	int			n;
	int			space;
	int			limit;			/* when to drop some */
};

static bool try_last(MxScanState *state);
static void collect(MxScanState *state, struct MxGroup *group);
static int	find_latest(MxScanState *state, struct MxGroup *group);
static bool see(MxScanState *state, const Candidate *candidate);
static int	beat(MxScanState *state, struct MxGroup *group, int best);
static void drop_old(MxScanState *state, struct MxGroup *group);

struct MxGroup *
mx_group_new(void)
{
	struct MxGroup *group = palloc0(sizeof(struct MxGroup));

	group->space = 16;
	group->candidates = palloc(sizeof(Candidate) * group->space);
	group->context = AllocSetContextCreate(CurrentMemoryContext,
										   "metaxy sample",
										   ALLOCSET_SMALL_SIZES);
	mx_group_reset(group);
	return group;
}

void
mx_group_reset(struct MxGroup *group)
{
	group->n = 0;
	group->limit = MANY_ENTRIES;
	MemoryContextReset(group->context);
}

TupleTableSlot *
mx_oldest_first(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;
	struct MxGroup *group = state->group;

	for (;;)
	{
		int			latest = -1;

		while (try_last(state))
		{
			if (mx_wants(&state->plan, walk->best_tombstone))
				return mx_latest_row(state, walk->best_entry);
		}
		mx_group_reset(group);
		while (mx_walk_next(walk))
		{
			if (walk->new_key && group->n > 0)
			{
				mx_walk_again(walk);
				break;
			}
			if (group->n >= group->limit)
				drop_old(state, group);
			collect(state, group);
		}
		if (group->n == 0)
			return NULL;
		latest = find_latest(state, group);
		walk->counts->skipped += Max(latest, 0);
		if (latest < 0 ||
			!mx_wants(&state->plan, group->candidates[latest].tombstone))
			continue;
		return mx_latest_row(state, group->candidates[latest].entry);
	}
}

/*
 * The short way for samples that are on one page of the index, most of them:
 * the last entry, if it is known to be the latest row's.  Returns false if all
 * are to be collected, or there are no more samples.
 */
static bool
try_last(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;
	OffsetNumber first;

	if (!mx_walk_next(walk))
		return false;
	if (!mx_walk_to_last(walk, &first))
	{
		mx_walk_again(walk);
		return false;
	}
	if (!mx_take(state))
	{
		mx_walk_return(walk, first);
		return false;
	}
	walk->have_best = false;
	mx_walk_finish(walk, first);
	return true;
}

static void
collect(MxScanState *state, struct MxGroup *group)
{
	MxWalk	   *walk = &state->walk;
	Candidate  *candidate;

	if (group->n == group->space)
	{
		group->space *= 2;
		group->candidates = repalloc(group->candidates,
									 sizeof(Candidate) * group->space);
	}
	candidate = &group->candidates[group->n++];
	candidate->tid = walk->tid;
	candidate->recency = walk->recency;
	candidate->tombstone = walk->tombstone;
	candidate->entry = NULL;

	/* must be known while the walk is here, see mx_walk_all_visible */
	candidate->all_visible = (state->plan.index_only || walk->has_flag) &&
		mx_walk_all_visible(walk);
	if (state->plan.index_only)
	{
		MemoryContext save = MemoryContextSwitchTo(group->context);

		candidate->entry = CopyIndexTuple(walk->leaf.entry);
		MemoryContextSwitchTo(save);
	}
}

/*
 * Which candidate is the latest row; -1: the snapshot sees none.
 */
static int
find_latest(MxScanState *state, struct MxGroup *group)
{
	for (int i = group->n - 1; i >= 0; i--)
	{
		if (see(state, &group->candidates[i]))
			return beat(state, group, i);
	}
	return -1;
}

static bool
see(MxScanState *state, const Candidate *candidate)
{
	MxWalk	   *walk = &state->walk;

	walk->best_fetched = !(candidate->all_visible &&
						   (state->plan.index_only ||
							!mx_wants(&state->plan, candidate->tombstone)));
	if (walk->best_fetched)
		return mx_walk_fetch(walk, &candidate->tid, walk->best);
	mx_walk_trust(walk, &candidate->tid);
	return true;
}

/*
 * The best one of those that have the same recency.
 */
static int
beat(MxScanState *state, struct MxGroup *group, int best)
{
	MxWalk	   *walk = &state->walk;
	Candidate  *first = &group->candidates[best];

	for (int i = best - 1; i >= 0; i--)
	{
		Candidate  *candidate = &group->candidates[i];

		if (candidate->recency != first->recency ||
			candidate->tombstone != first->tombstone)
			break;
		mx_walk_fetch_best(walk, &first->tid);
		if (mx_walk_fetch(walk, &candidate->tid, walk->other) &&
			mx_walk_contend(walk))
			best = i;
	}
	return best;
}

/*
 * Of a sample with very many rows, those older than one that is visible are
 * of no use.
 */
static void
drop_old(MxScanState *state, struct MxGroup *group)
{
	int			latest = find_latest(state, group);
	int			kept;

	if (latest >= 0)
	{
		/* others of its recency are still to come, or have lost */
		kept = group->n - latest;
		memmove(group->candidates, &group->candidates[latest],
				sizeof(Candidate) * kept);
		state->walk.counts->skipped += latest;
		group->n = kept;
	}
	group->limit = group->n + MANY_ENTRIES;
}
