/*-------------------------------------------------------------------------
 *
 * walk.h
 *		How latest rows are found in the index.
 *
 * A walk (walk.c) goes from entry to entry of a part of the index (bounds.c),
 * page by page (leaf.c, neighbour.c).  The scan (execute.c) walks over many
 * samples, and fetches the latest row of each alone (visible.c, page.c), in the
 * order of the index (newest.c, oldest.c) or in that of the heap (heap.h); it
 * may do that in parts (arrays.c, ranges.c).  The filter (filter.c) walks over
 * the sample of each row that it is given.
 *
 * src/scan/walk.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_WALK_H
#define MX_WALK_H

#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/parallel.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "port/atomics.h"
#include "storage/spin.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "scan/scan.h"

/* entries that are asked one by one before larger steps are tried */
#define MX_SHORT_RUN	4

/*
 * So many pages of the visibility map are held, each for 256 MB of the heap; a
 * power of two.
 */
#define MX_MAP_PAGES	16

/* counters for EXPLAIN ANALYZE */
typedef struct MxScanCounts
{
	int64		keys;			/* samples found */
	int64		fetches;		/* looks into the heap */
	int64		skipped;		/* index entries of superseded rows */
	int64		descents;		/* jumps over the rest of a sample */
	int64		batches;		/* in heap order */
	Size		memory;			/* bytes, at most */
} MxScanCounts;

/* what is known of the equality of a key's values */
typedef struct MxKey
{
	FmgrInfo	equal;			/* the index's own operator */
	int16		length;
	char		align;
	bool		bytes_tell;		/* other bytes are another value */
} MxKey;

/* pages of a file that are read one before the other */
typedef struct MxBackwards
{
	BlockNumber last;			/* that has been read */
	int			nadjacent;		/* so many before it, one after the other */
	BlockNumber low;			/* the first one that has been asked for */
} MxBackwards;

/* a leaf page of the index, and the part of it that is wanted */
typedef struct MxLeaf
{
	const struct MxWalk *walk;
	Relation	index;
	Snapshot	snapshot;
	int			step;			/* 1: to the right; -1: to the left */
	bool		trust_killed;	/* leave out entries that are marked dead */
	BTScanInsert end;			/* where the walk ends */
	bool		one_sample;		/* there is but one before that */

	Buffer		buffer;			/* pinned */
	Page		copy;			/* of what is wanted of it */
	Page		page;			/* that; while it is made, the page itself */
	OffsetNumber first;
	OffsetNumber last;
	int			next;			/* entry */
	int			stop;			/* first one that is not wanted */
	int			nentries;		/* between them, at first */
	bool		ends;			/* no other page is wanted */
	uint32		nloads;			/* pages read so far */
	MxBackwards backwards;

	/* the current entry */
	OffsetNumber at;
	IndexTuple	entry;
	ItemPointerData tid;
	int			nposting;		/* more rows that share it */

	OffsetNumber killed[MaxIndexTuplesPerPage];
	int			nkilled;
} MxLeaf;

/* a walk over the entries of the index, sample by sample */
typedef struct MxWalk
{
	Relation	heap;
	Relation	index;
	Snapshot	snapshot;
	int			nkeys;
	bool		has_flag;
	bool		compact;		/* the index has no further columns */
	AttrNumber	deleted;		/* column metaxy_deleted_at */
	MxKey	   *keys;
	MxScanCounts *counts;
	MemoryContext context;

	/* between which entries, and what is asked of each sample there */
	BTScanInsert lower;
	BTScanInsert upper;
	BTScanInsert beyond;		/* the current sample */
	int			nequal;			/* all have the same values of so many keys */
	ScanKey    *checks;
	int			nchecks;
	int			check_space;

	/* where the walk is */
	MxLeaf		leaf;
	bool		ended;
	bool		again;			/* the current entry is to be given anew */
	bool		has_least;		/* older entries of one sample than this */
	TimestampTz least;			/* recency are not wanted */
	bool		decided;		/* the rest of the sample is not wanted */
	bool		passed;			/* ... and passed already */

	/* the current entry */
	ItemPointerData tid;
	TimestampTz recency;
	bool		tombstone;		/* false, if the index has no flag */
	bool		new_key;		/* the first of its sample */

	/* the first entry of the current sample; on the page, or kept */
	IndexTuple	key;
	IndexTuple	kept[2];		/* and the best one */
	Size		kept_space[2];

	/* the heap */
	struct IndexFetchTableData *fetch;
	MxBackwards backwards;
	bool		missed;			/* the page turned to last was not cached */
	Buffer		vm_buffers[MX_MAP_PAGES];	/* of the visibility map */
	int			vm_mask;		/* as many as that allows */
	BlockNumber vm_block;		/* of the heap, asked for last, */
	uint32		vm_load;		/* while this page was here */
	bool		vm_answer;
	bool		all_dead;		/* what was fetched last is */
	TupleTableSlot *best;
	TupleTableSlot *other;

	/* the best row of the current sample so far */
	bool		have_best;
	bool		best_fetched;	/* it is in that slot */
	bool		best_tombstone;
	TimestampTz best_recency;
	ItemPointerData best_tid;
	IndexTuple	best_entry;
} MxWalk;

/* what processes share of a node */
typedef struct MxShared
{
	pg_atomic_uint32 next_range;
	slock_t		mutex;
	MxScanCounts counts;		/* of workers that have ended */
} MxShared;

/* what all our nodes begin with */
typedef struct MxNodeState
{
	CustomScanState css;
	MxScanCounts counts;
	MxShared   *shared;			/* in parallel */
} MxNodeState;

/* in parallel: ranges of a key, of which each process takes the next one */
typedef struct MxRanges
{
	int			key;
	int			nbounds;		/* one less than the ranges */
	Datum	   *bounds;
	ScanKeyData from;			/* key >= */
	ScanKeyData below;			/* key < */
	ScanKey		keys;			/* those of the scan and these */
	pg_atomic_uint32 own;		/* next range, where nobody shares */
} MxRanges;

typedef struct MxScanState
{
	MxNodeState node;
	MxScanPlan	plan;
	AttrNumber	deleted;
	List	   *conditions;		/* on the index, for EXPLAIN */
	Relation	index;
	ScanKey		keys;
	int			nkeys;
	IndexRuntimeKeyInfo *runtime_keys;
	int			nruntime_keys;
	ExprContext *runtime_context;
	bool		started;
	MxRanges   *ranges;			/* in parallel */
	struct MxArrays *arrays;	/* with conditions that have several values */
	MxWalk		walk;
	int			nwanted;		/* where only the index is read: so many */
	int			wanted[INDEX_MAX_KEYS]; /* keys are asked for, these */
	struct MxGroup *group;		/* oldest first */
	struct MxSorter *sorter;	/* in heap order */
} MxScanState;

/* in execute.c */
extern bool mx_next_part(MxScanState *state);

/* in ranges.c */
extern MxRanges *mx_ranges_new(Relation index, int key, List *bounds,
							   int nkeys);
extern void mx_ranges_reset(MxRanges *ranges);
extern bool mx_next_range(MxScanState *state);

/* in shared.c */
extern Size mx_shared_estimate(CustomScanState *node, ParallelContext *pcxt);
extern void mx_shared_initialize(CustomScanState *node, ParallelContext *pcxt,
								 void *coordinate);
extern void mx_shared_reinitialize(CustomScanState *node,
								   ParallelContext *pcxt, void *coordinate);
extern void mx_shared_worker(CustomScanState *node, shm_toc *toc,
							 void *coordinate);
extern void mx_shared_shutdown(CustomScanState *node);

/* in arrays.c */
extern struct MxArrays *mx_arrays_new(MxScanState *state);
extern bool mx_arrays_start(MxScanState *state);
extern bool mx_next_choice(MxScanState *state);

/* in explain.c */
extern void mx_scan_explain(CustomScanState *node, List *ancestors,
							struct ExplainState *es);
extern void mx_explain_counts(const MxScanCounts *counts,
							  struct ExplainState *es);

/* in leaf.c */
extern void mx_leaf_init(MxWalk *walk, bool forward);
extern bool mx_leaf_seek(MxLeaf *leaf, BTScanInsert from, BTScanInsert end);
extern bool mx_leaf_next(MxLeaf *leaf);
extern bool mx_leaf_step(MxLeaf *leaf);
extern void mx_leaf_kill(MxLeaf *leaf);
extern void mx_leaf_leave(MxLeaf *leaf);

/* in backwards.c */
extern void mx_backwards_init(MxBackwards *backwards);
extern void mx_backwards_read(MxBackwards *backwards, Relation relation,
							  BlockNumber block, bool missed);

/* in neighbour.c */
extern Buffer mx_left_neighbour(Relation index, BlockNumber block,
								BlockNumber left);

/* in sample.c */
extern void mx_sample_init(MxWalk *walk);
extern bool mx_same_values(const MxWalk *walk, int nequal, IndexTuple a,
						   IndexTuple b);
extern RegProcedure mx_operator_function(Relation index, int key,
										 StrategyNumber strategy);

/* in bounds.c */
extern void mx_bounds_init(MxWalk *walk);
extern bool mx_bounds_set(MxWalk *walk, ScanKey conditions, int nconditions);
extern bool mx_meets_checks(const MxWalk *walk);
extern BTScanInsert mx_bounds_beyond(MxWalk *walk);

/* in walk.c */
extern void mx_walk_begin(MxWalk *walk, Relation heap, Relation index,
						  const MxScanPlan *plan, AttrNumber deleted,
						  Snapshot snapshot, MxScanCounts *counts);
extern void mx_walk_start(MxWalk *walk, ScanKey keys, int nkeys);
extern void mx_walk_stop(MxWalk *walk);
extern void mx_walk_end(MxWalk *walk);
extern bool mx_walk_next(MxWalk *walk);
extern void mx_walk_again(MxWalk *walk);
extern void mx_walk_decided(MxWalk *walk, bool superseded);
extern void mx_walk_ahead(MxWalk *walk);
extern bool mx_walk_to_last(MxWalk *walk, OffsetNumber *first);
extern void mx_walk_finish(MxWalk *walk, OffsetNumber first);
extern void mx_walk_return(MxWalk *walk, OffsetNumber first);
extern bool mx_walk_tie_follows(const MxWalk *walk);
extern TimestampTz mx_recency_of(const MxWalk *walk, IndexTuple entry,
								 bool *tombstone);

/* in visible.c */
extern bool mx_walk_fetch(MxWalk *walk, const ItemPointerData *tid,
						  TupleTableSlot *slot);
extern bool mx_walk_fetch_current(MxWalk *walk, TupleTableSlot *slot);
extern void mx_visible_init(MxWalk *walk);
extern void mx_visible_end(MxWalk *walk);
extern bool mx_walk_all_visible(MxWalk *walk);
extern void mx_walk_trust(MxWalk *walk, const ItemPointerData *tid);
extern void mx_walk_fetch_best(MxWalk *walk, const ItemPointerData *tid);
extern bool mx_walk_contend(MxWalk *walk);
extern bool mx_is_later(bool tombstone, ItemPointer tid,
						bool other_tombstone, ItemPointer other_tid);

/* in page.c */
extern bool mx_walk_fetch_sure(MxWalk *walk, TupleTableSlot *slot);
extern void mx_walk_expect(MxWalk *walk, IndexTuple entry);

/* in newest.c */
extern TupleTableSlot *mx_newest_first(MxScanState *state);
extern bool mx_settle(MxScanState *state);
extern bool mx_take(MxScanState *state);
extern void mx_walk_take(MxWalk *walk);
extern TupleTableSlot *mx_latest_row(MxScanState *state, IndexTuple entry);

/* in oldest.c */
extern struct MxGroup *mx_group_new(void);
extern void mx_group_reset(struct MxGroup *group);
extern TupleTableSlot *mx_oldest_first(MxScanState *state);

/* in sorted.c */
extern struct MxSorter *mx_sorter_new(MxScanState *state);
extern void mx_sorter_reset(struct MxSorter *sorter);
extern TupleTableSlot *mx_heap_order(MxScanState *state);

/*
 * The number of entries of the page that are left.
 */
static inline int
mx_leaf_remaining(const MxLeaf *leaf)
{
	return (leaf->stop - leaf->next) * leaf->step;
}

/*
 * One of them, counted from 0.
 */
static inline IndexTuple
mx_leaf_peek(const MxLeaf *leaf, int n)
{
	ItemId		item = PageGetItemId(leaf->page, leaf->next + n * leaf->step);

	return (IndexTuple) PageGetItem(leaf->page, item);
}

/*
 * Of "n" entries the first ones meet a test, and the others do not: how many
 * do?  The first few are asked one by one, since mostly few meet it, then in
 * steps that double, then by halves.
 */
static inline int
mx_count_leading(int n, bool (*meets) (const void *arg, int i), const void *arg)
{
	int			leading = 0;
	int			step = 1;
	bool		met_other = false;

	while (leading < n)
	{
		int			probe = met_other ? leading + (n - leading) / 2 :
		Min(leading + step, n) - 1;

		if (meets(arg, probe))
		{
			leading = probe + 1;
			if (leading >= MX_SHORT_RUN)
				step *= 2;
		}
		else
		{
			n = probe;
			met_other = true;
		}
	}
	return leading;
}

/*
 * The type of a condition's value; InvalidOid stands for the column's own.
 */
static inline Oid
mx_value_type(Relation index, int key, Oid subtype)
{
	return OidIsValid(subtype) ? subtype : index->rd_opcintype[key];
}

/*
 * Does the walk go from left to right, so that it meets a sample's rows as the
 * plan wants them?
 */
static inline bool
mx_walks_forward(Relation index, const MxScanPlan *plan)
{
	bool		descending =
	(index->rd_indoption[plan->nkeys] & INDOPTION_DESC) != 0;

	return (plan->order != MX_OLDEST_FIRST) == descending;
}

/*
 * Where an entry has the recency, if nothing but the flag follows it: entries
 * without nulls, and ours have none, are padded to 8 bytes.
 */
static inline Size
mx_recency_offset(const MxWalk *walk, IndexTuple entry)
{
	Size		size = BTreeTupleIsPosting(entry) ?
	BTreeTupleGetPostingOffset(entry) : IndexTupleSize(entry);

	return size - sizeof(TimestampTz) - (walk->has_flag ? MAXIMUM_ALIGNOF : 0);
}

/*
 * Do two entries belong to one sample, where their first "nequal" keys are known
 * to be equal?  Mostly the bytes before the recency are the same, or else the
 * keys have to be looked at.
 */
static inline bool
mx_one_sample(const MxWalk *walk, int nequal, IndexTuple a, IndexTuple b)
{
	if (walk->compact && a->t_info == b->t_info &&
		(b->t_info & INDEX_ALT_TID_MASK) == 0 &&
		memcmp(a + 1, b + 1, mx_recency_offset(walk, b) -
			   sizeof(IndexTupleData)) == 0)
		return true;
	return mx_same_values(walk, nequal, a, b);
}

/*
 * Does an entry belong to the current sample?
 */
static inline bool
mx_same_sample(const MxWalk *walk, IndexTuple entry)
{
	return mx_one_sample(walk, walk->nequal, entry, walk->key);
}

#endif							/* MX_WALK_H */
