/*-------------------------------------------------------------------------
 *
 * walk.c
 *		Walks over the entries of the index, sample by sample.
 *
 * Entries of one sample are neighbours, in the order of their recency.  The
 * walk says where a sample begins; whoever walks says when he knows the
 * latest row, and does not get the rest of that sample.
 *
 * src/scan/walk.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "scan/walk.h"

static bool next_entry(MxWalk *walk);
static bool pass_sample(MxWalk *walk);
static bool pass_on_page(MxWalk *walk);
static bool is_same(const void *arg, int n);
static void keep_entries(MxWalk *walk);
static IndexTuple keep(MxWalk *walk, int at, IndexTuple entry);
static void read_recency(MxWalk *walk);
static bool has_recency(const MxWalk *walk, IndexTuple entry,
						TimestampTz recency, bool tombstone);

/*
 * Prepares a walk; mx_walk_start starts it.
 */
void
mx_walk_begin(MxWalk *walk, Relation heap, Relation index,
			  const MxScanPlan *plan, AttrNumber deleted, Snapshot snapshot,
			  MxScanCounts *counts)
{
	memset(walk, 0, sizeof(MxWalk));
	walk->heap = heap;
	walk->index = index;
	walk->snapshot = snapshot;
	walk->nkeys = plan->nkeys;
	walk->has_flag = plan->has_flag;
	walk->counts = counts;
	walk->deleted = deleted;
	walk->context = CurrentMemoryContext;
	walk->best = table_slot_create(heap, NULL);
	walk->other = table_slot_create(heap, NULL);
	walk->fetch = table_index_fetch_begin(heap);
	mx_visible_init(walk);
	mx_backwards_init(&walk->backwards);

	/* then the recency has a fixed place at the end of an entry */
	walk->compact = IndexRelationGetNumberOfAttributes(index) ==
		plan->nkeys + (plan->has_flag ? 2 : 1);
	mx_leaf_init(walk, mx_walks_forward(index, plan));
	mx_sample_init(walk);
	mx_bounds_init(walk);
	mx_walk_stop(walk);
}

/*
 * Starts at the beginning of what the conditions say; the caller keeps them.
 */
void
mx_walk_start(MxWalk *walk, ScanKey conditions, int nconditions)
{
	bool		forward = walk->leaf.step > 0;

	mx_walk_stop(walk);
	if (!mx_bounds_set(walk, conditions, nconditions))
		return;
	walk->leaf.one_sample = walk->nequal == walk->nkeys;
	walk->ended = !mx_leaf_seek(&walk->leaf,
								forward ? walk->lower : walk->upper,
								forward ? walk->upper : walk->lower);
}

/*
 * There is nothing to walk over.
 */
void
mx_walk_stop(MxWalk *walk)
{
	mx_leaf_leave(&walk->leaf);
	walk->again = false;
	walk->ended = true;
	walk->decided = false;
	walk->passed = false;
	walk->key = NULL;
	walk->best_entry = NULL;
	walk->have_best = false;
}

void
mx_walk_end(MxWalk *walk)
{
	mx_leaf_leave(&walk->leaf);
	table_index_fetch_end(walk->fetch);
	mx_visible_end(walk);
	ExecDropSingleTupleTableSlot(walk->best);
	ExecDropSingleTupleTableSlot(walk->other);
}

/*
 * Goes on to the next entry of a sample that is not decided yet; returns
 * false at the end.
 */
bool
mx_walk_next(MxWalk *walk)
{
	if (walk->again)
	{
		walk->again = false;
		return true;
	}
	while (!walk->ended)
	{
		bool		passed;

		/* the bounds leave one sample */
		if (walk->decided && walk->nequal == walk->nkeys)
			break;
		CHECK_FOR_INTERRUPTS();
		passed = walk->passed || (walk->decided && pass_sample(walk));
		walk->passed = false;
		if (walk->ended || !next_entry(walk))
			break;
		walk->new_key = passed || walk->key == NULL ||
			!mx_same_sample(walk, walk->leaf.entry);
		if (walk->new_key)
		{
			walk->key = walk->leaf.entry;
			walk->decided = false;
			if (!mx_meets_checks(walk))
			{
				walk->decided = true;
				continue;
			}
			walk->counts->keys++;
		}
		else if (walk->decided)
		{
			walk->counts->skipped++;
			continue;
		}
		read_recency(walk);
		return true;
	}
	mx_leaf_leave(&walk->leaf);
	walk->ended = true;
	return false;
}

static bool
next_entry(MxWalk *walk)
{
	while (!mx_leaf_next(&walk->leaf))
	{
		keep_entries(walk);
		if (!mx_leaf_step(&walk->leaf))
			return false;
	}
	return true;
}

/*
 * Passes the rest of the current sample, as far as that is known without a look
 * at what comes next.  Returns whether that is another sample's.
 *
 * After a page with entries of the sample alone there may be many more: then it
 * pays to descend anew.
 */
static bool
pass_sample(MxWalk *walk)
{
	MxLeaf	   *leaf = &walk->leaf;

	for (;;)
	{
		int			n = mx_leaf_remaining(leaf);
		bool		whole = n > 0 && n == leaf->nentries;
		bool		passed = pass_on_page(walk);

		if (passed || leaf->ends)
			return passed;
		keep_entries(walk);
		if (whole)
		{
			walk->counts->descents++;
			walk->ended = !mx_leaf_seek(leaf, mx_bounds_beyond(walk),
										leaf->end);
			return true;
		}
		if (!mx_leaf_step(leaf))
		{
			walk->ended = true;
			return false;
		}
	}
}

/*
 * The same as far as the page goes.
 */
static bool
pass_on_page(MxWalk *walk)
{
	MxLeaf	   *leaf = &walk->leaf;
	int			n = mx_leaf_remaining(leaf);
	int			same = mx_count_leading(n, is_same, walk);

	leaf->nposting = 0;
	leaf->next += same * leaf->step;
	walk->counts->skipped += same;
	return same < n;
}

/*
 * Passes the rest of a decided sample now, if it ends on this page, so that
 * the next one's row is on its way from memory while this one's is worked on.
 */
void
mx_walk_ahead(MxWalk *walk)
{
	if (!walk->decided || walk->nequal == walk->nkeys)
		return;
	walk->passed = pass_on_page(walk);
	if (walk->passed)
		mx_walk_expect(walk, mx_leaf_peek(&walk->leaf, 0));
}

/*
 * For walks from the oldest row: goes from the first entry of a sample on to
 * the last one, if that is on the page and no other has its recency; returns
 * false, and stays, if it may be otherwise.
 *
 * Then the sample is either finished, or the walk returns to "first".
 */
bool
mx_walk_to_last(MxWalk *walk, OffsetNumber *first)
{
	MxLeaf	   *leaf = &walk->leaf;
	int			n = mx_leaf_remaining(leaf);
	int			same;

	if (leaf->nposting > 0)
		return false;
	same = mx_count_leading(n, is_same, walk);
	if (same == n && !leaf->ends)
		return false;
	*first = leaf->at;
	if (same > 0)
	{
		int			last = leaf->next + (same - 1) * leaf->step;
		IndexTuple	entry = mx_leaf_peek(leaf, same - 1);
		IndexTuple	before = same == 1 ? leaf->entry :
		mx_leaf_peek(leaf, same - 2);
		bool		tombstone;
		TimestampTz recency = mx_recency_of(walk, entry, &tombstone);

		if (BTreeTupleIsPosting(entry) ||
			ItemIdIsDead(PageGetItemId(leaf->page, last)) ||
			has_recency(walk, before, recency, tombstone))
			return false;
		leaf->next = last;
		mx_leaf_next(leaf);
		read_recency(walk);
	}
	return true;
}

/*
 * That entry is the latest row's.  The next sample probably has as many rows.
 */
void
mx_walk_finish(MxWalk *walk, OffsetNumber first)
{
	int			older = abs(walk->leaf.at - first);

	walk->counts->skipped += older;
	walk->decided = walk->passed = true;
	if (older < mx_leaf_remaining(&walk->leaf))
		mx_walk_expect(walk, mx_leaf_peek(&walk->leaf, older));
}

/*
 * The snapshot does not see that row.
 */
void
mx_walk_return(MxWalk *walk, OffsetNumber first)
{
	walk->leaf.next = first;
	mx_leaf_next(&walk->leaf);
	read_recency(walk);
	mx_walk_again(walk);
}

/*
 * Is one of the next entries of the page of the current sample?
 */
static bool
is_same(const void *arg, int n)
{
	const MxWalk *walk = arg;

	return mx_same_sample(walk, mx_leaf_peek(&walk->leaf, n));
}

/*
 * The next call will give the current entry once more.
 */
void
mx_walk_again(MxWalk *walk)
{
	walk->again = true;
}

/*
 * The rest of the current sample is not wanted, nor is the current entry where
 * it is superseded.
 */
void
mx_walk_decided(MxWalk *walk, bool superseded)
{
	walk->decided = true;
	if (superseded)
		walk->counts->skipped++;
}


/*
 * The page is about to be left: takes with it what is still needed of it.
 */
static void
keep_entries(MxWalk *walk)
{
	if (walk->key != NULL)
		walk->key = keep(walk, 0, walk->key);
	if (walk->have_best && walk->best_entry != NULL)
		walk->best_entry = keep(walk, 1, walk->best_entry);
}

static IndexTuple
keep(MxWalk *walk, int at, IndexTuple entry)
{
	Size		size = IndexTupleSize(entry);

	if (entry == walk->kept[at])
		return entry;
	if (size > walk->kept_space[at])
	{
		if (walk->kept[at] != NULL)
			pfree(walk->kept[at]);
		walk->kept_space[at] = size * 2;
		walk->kept[at] = MemoryContextAlloc(walk->context, size * 2);
	}
	memcpy(walk->kept[at], entry, size);
	return walk->kept[at];
}

/*
 * What the current entry says of its row besides the keys.  There are no
 * nulls.
 */
static void
read_recency(MxWalk *walk)
{
	walk->tid = walk->leaf.tid;
	walk->recency = mx_recency_of(walk, walk->leaf.entry, &walk->tombstone);
}

/*
 * The recency of an entry, and with a flag whether it is a tombstone's.
 */
TimestampTz
mx_recency_of(const MxWalk *walk, IndexTuple entry, bool *tombstone)
{
	TupleDesc	desc = RelationGetDescr(walk->index);
	TimestampTz recency;
	bool		isnull;

	if (walk->compact)
	{
		char	   *place = (char *) entry + mx_recency_offset(walk, entry);

		memcpy(&recency, place, sizeof(TimestampTz));
		*tombstone = walk->has_flag && place[sizeof(TimestampTz)] != 0;
		return recency;
	}
	recency = DatumGetTimestampTz(index_getattr(entry, walk->nkeys + 1, desc,
												&isnull));
	*tombstone = walk->has_flag &&
		DatumGetBool(index_getattr(entry, walk->nkeys + 2, desc, &isnull));
	return recency;
}

/*
 * Has an entry this recency, and is it a tombstone's or not as well?
 */
static bool
has_recency(const MxWalk *walk, IndexTuple entry, TimestampTz recency,
			bool tombstone)
{
	bool		is_tombstone;

	return mx_recency_of(walk, entry, &is_tombstone) == recency &&
		is_tombstone == tombstone;
}

/*
 * May the next entry have the same recency as the current one?  Only the page
 * is asked; beyond it, it may.
 */
bool
mx_walk_tie_follows(const MxWalk *walk)
{
	return walk->leaf.nposting > 0 || mx_leaf_remaining(&walk->leaf) == 0 ||
		has_recency(walk, mx_leaf_peek(&walk->leaf, 0), walk->recency,
					walk->tombstone);
}
