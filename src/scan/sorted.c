/*-------------------------------------------------------------------------
 *
 * sorted.c
 *		Latest rows in the order of the heap.
 *
 * Where the heap is not in the order of the index, fetching row by row jumps
 * about.  So the walk collects where the latest rows should be, as many as
 * work_mem holds, and they are fetched in the order in which they lie.
 *
 * The visibility map tells at once that a row is visible.  Where it does not,
 * the older rows of the sample are collected with it, up to one that is
 * surely visible: if the snapshot does not see the newest one, the next one
 * is looked for in another pass over the heap.
 *
 * src/scan/sorted.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "scan/walk.h"

/* so many rows of a sample are collected before the heap is asked at once */
#define LONG_CHAIN		64

/* a row of the heap; 12 bytes, as the costs assume */
typedef struct Place
{
	BlockNumber block;
	OffsetNumber offset;
	uint16		tombstone;
	uint32		older;			/* 1 + place in "chains", or 0 */
} Place;

struct MxSorter
{
	Place	   *places;			/* one of each sample */
	int			nplaces;
	int			at;				/* next to be fetched */
	int			nretry;			/* at the beginning: looked for once more */
	int			space;
	Place	   *chains;			/* older rows */
	int			nchains;
	int			chain_space;
	int			chain_start;	/* of the current sample */
	bool		walked;			/* to the end */
};

static void fill(MxScanState *state, struct MxSorter *sorter);
static bool add_sample(MxScanState *state, struct MxSorter *sorter);
static void keep_chain(struct MxSorter *sorter);
static bool settle(MxScanState *state, struct MxSorter *sorter,
				   TimestampTz recency);
static Place make_place(const ItemPointerData *tid, bool tombstone);
static void append(Place **places, int *n, int *space, const Place *place);
static bool full(const struct MxSorter *sorter);

#define ST_SORT sort_places
#define ST_ELEMENT_TYPE Place
#define ST_COMPARE(a, b) \
	((a)->block != (b)->block ? ((a)->block < (b)->block ? -1 : 1) : \
	 (int) (a)->offset - (int) (b)->offset)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

struct MxSorter *
mx_sorter_new(void)
{
	struct MxSorter *sorter = palloc0(sizeof(struct MxSorter));

	sorter->space = 1024;
	sorter->places = palloc(sizeof(Place) * sorter->space);
	sorter->chain_space = 64;
	sorter->chains = palloc(sizeof(Place) * sorter->chain_space);
	return sorter;
}

void
mx_sorter_reset(struct MxSorter *sorter)
{
	sorter->nplaces = sorter->at = sorter->nretry = sorter->nchains = 0;
	sorter->walked = false;
}

TupleTableSlot *
mx_heap_order(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;
	struct MxSorter *sorter = state->sorter;

	for (;;)
	{
		ItemPointerData tid;
		Place		place;

		if (sorter->at == sorter->nplaces)
		{
			if (sorter->nretry == 0 && sorter->walked)
				return NULL;
			fill(state, sorter);
			continue;
		}
		CHECK_FOR_INTERRUPTS();
		place = sorter->places[sorter->at++];
		ItemPointerSet(&tid, place.block, place.offset);
		if (mx_walk_fetch(walk, &tid, walk->best))
		{
			if (mx_wants(&state->plan, place.tombstone))
				return walk->best;
		}
		else if (place.older > 0)
			sorter->places[sorter->nretry++] = sorter->chains[place.older - 1];
	}
}

/*
 * The next rows to be fetched, sorted: those of which the last pass has not
 * seen the newer ones, or else of the next samples.
 */
static void
fill(MxScanState *state, struct MxSorter *sorter)
{
	sorter->nplaces = sorter->nretry;
	sorter->nretry = 0;
	sorter->at = 0;
	if (sorter->nplaces == 0)
	{
		sorter->nchains = 0;
		state->node.counts.batches++;
		while (!sorter->walked && !full(sorter))
			sorter->walked = !add_sample(state, sorter) &&
				!mx_next_part(state);
		state->node.counts.memory = Max(state->node.counts.memory, sizeof(Place) *
								   ((Size) sorter->nplaces + sorter->nchains));
	}
	sort_places(sorter->places, sorter->nplaces);
}

/*
 * Collects one sample, or finds it not to be wanted; returns false at the end.
 */
static bool
add_sample(MxScanState *state, struct MxSorter *sorter)
{
	MxWalk	   *walk = &state->walk;
	TimestampTz recency = 0;
	bool		complete = false;

	sorter->chain_start = sorter->nchains;
	while (mx_walk_next(walk))
	{
		int			length = sorter->nchains - sorter->chain_start;
		Place		place = make_place(&walk->tid, walk->tombstone);

		if (length > 0 && walk->new_key)
		{
			mx_walk_again(walk);
			break;
		}
		if (length > 0 &&
			((walk->recency == recency &&
			  sorter->chains[sorter->nchains - 1].tombstone == place.tombstone) ||
			 (!complete && length >= LONG_CHAIN)))
			return settle(state, sorter, recency);
		if (complete)
		{
			mx_walk_decided(walk, true);
			break;
		}

		complete = mx_walk_all_visible(walk);
		if (complete && !mx_wants(&state->plan, place.tombstone))
		{
			mx_walk_decided(walk, false);
			break;
		}
		append(&sorter->chains, &sorter->nchains, &sorter->chain_space, &place);
		recency = walk->recency;
	}
	keep_chain(sorter);
	return !walk->ended;
}

/*
 * Makes the chain that has been collected a sample's.
 */
static void
keep_chain(struct MxSorter *sorter)
{
	if (sorter->nchains == sorter->chain_start)
		return;
	for (int i = sorter->chain_start; i + 1 < sorter->nchains; i++)
		sorter->chains[i].older = i + 2;
	append(&sorter->places, &sorter->nplaces, &sorter->space,
		   &sorter->chains[sorter->chain_start]);
	if (sorter->nchains == sorter->chain_start + 1)
		sorter->nchains--;
}

/*
 * Asks the heap at once: the chain has become long, or the current entry has
 * the recency of its last row.  Returns false at the end.
 */
static bool
settle(MxScanState *state, struct MxSorter *sorter, TimestampTz recency)
{
	MxWalk	   *walk = &state->walk;
	int			i = sorter->chain_start;
	int			last = sorter->nchains - 1;
	Place		latest = {0};

	sorter->nchains = sorter->chain_start;
	for (; i <= last; i++)
	{
		latest = sorter->chains[i];
		ItemPointerSet(&walk->best_tid, latest.block, latest.offset);
		if (mx_walk_fetch(walk, &walk->best_tid, walk->best))
			break;
	}
	if (i < last)
		mx_walk_decided(walk, true);
	else
	{
		/* the walk goes on from the last one, if the snapshot sees that */
		walk->have_best = i == last;
		walk->best_fetched = true;
		walk->best_entry = NULL;
		walk->best_recency = recency;
		walk->best_tombstone = latest.tombstone;
		mx_walk_again(walk);
		if (!mx_settle(state))
			return false;
		latest = make_place(&walk->best_tid, walk->best_tombstone);
	}
	if (mx_wants(&state->plan, latest.tombstone))
		append(&sorter->places, &sorter->nplaces, &sorter->space, &latest);
	return true;
}

static Place
make_place(const ItemPointerData *tid, bool tombstone)
{
	Place		place;

	place.block = ItemPointerGetBlockNumber(tid);
	place.offset = ItemPointerGetOffsetNumber(tid);
	place.tombstone = tombstone;
	place.older = 0;
	return place;
}

static void
append(Place **places, int *n, int *space, const Place *place)
{
	Place		copy = *place;

	if (*n == *space)
	{
		*space *= 2;
		*places = repalloc_huge(*places, sizeof(Place) * *space);
	}
	(*places)[(*n)++] = copy;
}

/*
 * Is there no room for one more sample?
 */
static bool
full(const struct MxSorter *sorter)
{
	Size		used = (Size) sorter->nplaces + sorter->nchains + LONG_CHAIN;

	return used * sizeof(Place) > work_mem * (Size) 1024 ||
		used > INT_MAX / 4;
}
