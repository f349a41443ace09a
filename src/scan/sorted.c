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
 * Places without older ones need not be sorted where there is a bitmap for them
 * (bitmap.c): it is made when they would take more than that, if there is room.
 * Then work_mem holds those of a large table, and one pass does.
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

#include "scan/heap.h"

/* so many rows of a sample are collected before the heap is asked at once */
#define LONG_CHAIN		64

/* a row of the heap; takes MX_SORTED_ENTRY bytes */
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
	MxBitmap   *bitmap;			/* places without older ones, or NULL */
	BlockNumber npages;			/* that it would be for */
	Size		bitmap_from;	/* made when places take more than so much */
	bool		walked;			/* to the end */
	MxPage		page;
	MxAhead		ahead;
	int			ahead_at;		/* next place that is asked for */
};

static bool load_page(MxScanState *state, struct MxSorter *sorter);
static BlockNumber find_page(void *arg, BlockNumber from);
static void fill(MxScanState *state, struct MxSorter *sorter);
static bool add_sample(MxScanState *state, struct MxSorter *sorter);
static void keep_chain(MxScanState *state, struct MxSorter *sorter);
static bool settle(MxScanState *state, struct MxSorter *sorter,
				   TimestampTz recency);
static Place make_place(const ItemPointerData *tid, bool tombstone);
static void add_place(MxScanState *state, struct MxSorter *sorter,
					  const Place *place);
static void make_bitmap(MxScanState *state, struct MxSorter *sorter);
static bool add_to_bitmap(struct MxSorter *sorter, const Place *place);
static void append(Place **places, int *n, int *space, const Place *place);
static Size used(const MxScanState *state, const struct MxSorter *sorter);
static bool full(const MxScanState *state, const struct MxSorter *sorter);

#define ST_SORT sort_places
#define ST_ELEMENT_TYPE Place
#define ST_COMPARE(a, b) \
	((a)->block != (b)->block ? ((a)->block < (b)->block ? -1 : 1) : \
	 (int) (a)->offset - (int) (b)->offset)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

struct MxSorter *
mx_sorter_new(MxScanState *state)
{
	struct MxSorter *sorter = palloc0(sizeof(struct MxSorter));
	int			width = state->plan.bitmap_width;

	sorter->space = 1024;
	sorter->places = palloc(sizeof(Place) * sorter->space);
	sorter->chain_space = 64;
	sorter->chains = palloc(sizeof(Place) * sorter->chain_space);
	sorter->npages = RelationGetNumberOfBlocks(state->walk.heap);
	sorter->bitmap_from = SIZE_MAX;
	if (mx_bitmap_fits(sorter->npages, width))
	{
		Size		size = mx_bitmap_size(sorter->npages, width);

		/* both are there for a while */
		sorter->bitmap_from = Min(size, work_mem * (Size) 1024 - size);
	}
	return sorter;
}

void
mx_sorter_reset(struct MxSorter *sorter)
{
	sorter->nplaces = sorter->at = sorter->nretry = sorter->nchains = 0;
	sorter->page.nrows = sorter->page.at = 0;
	sorter->walked = false;
	if (sorter->bitmap != NULL)
		mx_bitmap_clear(sorter->bitmap);
}

TupleTableSlot *
mx_heap_order(MxScanState *state)
{
	MxWalk	   *walk = &state->walk;
	struct MxSorter *sorter = state->sorter;

	while (!mx_page_next(walk, &sorter->page, walk->best))
	{
		CHECK_FOR_INTERRUPTS();
		if (load_page(state, sorter))
			continue;
		if (sorter->nretry == 0 && sorter->walked)
			return NULL;
		fill(state, sorter);
	}
	return walk->best;
}

/*
 * Looks up all that is to be fetched from the next page; returns false if
 * there is none.
 */
static bool
load_page(MxScanState *state, struct MxSorter *sorter)
{
	MxWalk	   *walk = &state->walk;
	MxPage	   *page = &sorter->page;
	BlockNumber in_bitmap = InvalidBlockNumber;
	BlockNumber block = InvalidBlockNumber;
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	int			n;

	if (sorter->bitmap != NULL)
		in_bitmap = mx_bitmap_first(sorter->bitmap);
	if (sorter->at < sorter->nplaces)
		block = sorter->places[sorter->at].block;
	block = Min(block, in_bitmap);
	if (block == InvalidBlockNumber)
		return false;

	mx_ahead_turn(&sorter->ahead, walk->heap, block, find_page, sorter);
	mx_page_begin(walk, page, block);
	sorter->ahead.missed = walk->missed;
	n = block == in_bitmap ? mx_bitmap_take(sorter->bitmap, offsets) : 0;
	for (int i = 0; i < n; i++)
		mx_page_add(walk, page, offsets[i]);
	for (; sorter->at < sorter->nplaces &&
		 sorter->places[sorter->at].block == block; sorter->at++)
	{
		Place		place = sorter->places[sorter->at];

		if (mx_page_add(walk, page, place.offset))
		{
			/* the latest one, but not of the kind that is asked for */
			if (!mx_wants(&state->plan, place.tombstone))
				page->nrows--;
		}
		else if (place.older > 0)
			sorter->places[sorter->nretry++] = sorter->chains[place.older - 1];
	}
	mx_page_end(page);
	return true;
}

/*
 * The first page at or behind another one of which rows are to be fetched.
 */
static BlockNumber
find_page(void *arg, BlockNumber from)
{
	struct MxSorter *sorter = arg;
	BlockNumber block = InvalidBlockNumber;

	sorter->ahead_at = Max(sorter->ahead_at, sorter->at);
	while (sorter->ahead_at < sorter->nplaces &&
		   sorter->places[sorter->ahead_at].block < from)
		sorter->ahead_at++;
	if (sorter->ahead_at < sorter->nplaces)
		block = sorter->places[sorter->ahead_at].block;
	if (sorter->bitmap != NULL)
		block = Min(block, mx_bitmap_from(sorter->bitmap, from));
	return block;
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
	sorter->at = sorter->ahead_at = 0;
	mx_ahead_init(&sorter->ahead);
	if (sorter->nplaces == 0)
	{
		sorter->nchains = 0;
		state->node.counts.batches++;
		while (!sorter->walked && !full(state, sorter))
			sorter->walked = !add_sample(state, sorter) &&
				!mx_next_part(state);
		state->node.counts.memory = Max(state->node.counts.memory,
										used(state, sorter));
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
		if (complete && !mx_walk_tie_follows(walk))
		{
			mx_walk_decided(walk, false);
			break;
		}
	}
	keep_chain(state, sorter);
	return !walk->ended;
}

/*
 * Makes the chain that has been collected a sample's.
 */
static void
keep_chain(MxScanState *state, struct MxSorter *sorter)
{
	Place		newest;

	if (sorter->nchains == sorter->chain_start)
		return;
	for (int i = sorter->chain_start; i + 1 < sorter->nchains; i++)
		sorter->chains[i].older = i + 2;
	newest = sorter->chains[sorter->chain_start];
	if (newest.older == 0)
		sorter->nchains--;
	add_place(state, sorter, &newest);
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
	add_place(state, sorter, &latest);
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

/*
 * Adds the place of a sample, unless it is not wanted whether it is visible or
 * not.
 */
static void
add_place(MxScanState *state, struct MxSorter *sorter, const Place *place)
{
	if (place->older == 0)
	{
		if (!mx_wants(&state->plan, place->tombstone) ||
			(sorter->bitmap != NULL && add_to_bitmap(sorter, place)))
			return;
	}
	append(&sorter->places, &sorter->nplaces, &sorter->space, place);
	if (sorter->bitmap == NULL &&
		sizeof(Place) * sorter->nplaces > sorter->bitmap_from)
		make_bitmap(state, sorter);
}

/*
 * Makes the bitmap, and moves there what it can hold.
 */
static void
make_bitmap(MxScanState *state, struct MxSorter *sorter)
{
	MemoryContext save = MemoryContextSwitchTo(state->walk.context);
	int			n = sorter->nplaces;

	sorter->bitmap = mx_bitmap_new(sorter->npages, state->plan.bitmap_width);
	MemoryContextSwitchTo(save);
	sorter->nplaces = 0;
	for (int i = 0; i < n; i++)
	{
		const Place *place = &sorter->places[i];

		if (place->older > 0 || !add_to_bitmap(sorter, place))
			sorter->places[sorter->nplaces++] = *place;
	}
}

static bool
add_to_bitmap(struct MxSorter *sorter, const Place *place)
{
	return mx_bitmap_add(sorter->bitmap, place->block, place->offset);
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
 * Bytes of work_mem that are taken.
 */
static Size
used(const MxScanState *state, const struct MxSorter *sorter)
{
	Size		size = sizeof(Place) * ((Size) sorter->nplaces +
										sorter->nchains);

	if (sorter->bitmap != NULL)
		size += mx_bitmap_size(sorter->npages, state->plan.bitmap_width);
	return size;
}

/*
 * Is there no room for one more sample?
 */
static bool
full(const MxScanState *state, const struct MxSorter *sorter)
{
	return used(state, sorter) + sizeof(Place) * LONG_CHAIN >
		work_mem * (Size) 1024 ||
		sorter->nplaces > INT_MAX / 4 || sorter->nchains > INT_MAX / 4;
}
