/*-------------------------------------------------------------------------
 *
 * leaf.c
 *		Leaf pages of the index, one after the other, in either direction.
 *
 * The server's own index scan takes each entry off the page by itself, compares
 * it with the conditions and gives it through three calls.  Here entries are
 * passed far more often than they are wanted, so a page's are copied as they are,
 * in one go and under a lock on it, and the rest is up to the walk.
 *
 * The rules are those of nbtree/README: links to neighbours are followed as
 * they were when the page was read; a page that has been split since has its
 * new right half before the old neighbour; the pin on the page is kept, which
 * holds up VACUUM, so that no place in the heap that its entries point to is
 * given to another row while the walk is here.
 *
 * src/scan/leaf.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/rel.h"

#include "scan/walk.h"

static Buffer descend(MxLeaf *leaf, BTScanInsert from);
static bool load(MxLeaf *leaf, Buffer buffer, BTScanInsert from);
static void find_stop(MxLeaf *leaf);
static void copy_entries(MxLeaf *leaf, Page page);
static bool is_beyond(const MxLeaf *leaf, BTScanInsert cut, int offset);
static OffsetNumber find_cut(const MxLeaf *leaf, BTScanInsert cut);
static int	count_wanted(const MxLeaf *leaf, int n);
static bool is_inside(const void *arg, int n);
static void mark_killed(MxLeaf *leaf);

void
mx_leaf_init(MxWalk *walk, bool forward)
{
	MxLeaf	   *leaf = &walk->leaf;

	leaf->walk = walk;
	leaf->index = walk->index;
	leaf->snapshot = walk->snapshot;
	leaf->step = forward ? 1 : -1;
	leaf->buffer = InvalidBuffer;
	mx_backwards_init(&leaf->backwards);
	leaf->copy = palloc(BLCKSZ);

	/* on a standby, rows that are dead there may be seen here */
	leaf->trust_killed = !TransactionStartedDuringRecovery();
}

/*
 * Descends to where the cut "from" is; the entries up to the cut "end" will be
 * given.  Returns false if the index has no pages.
 *
 * All of them are known to be of one sample if leaf->one_sample.
 */
bool
mx_leaf_seek(MxLeaf *leaf, BTScanInsert from, BTScanInsert end)
{
	Buffer		buffer;

	mx_leaf_leave(leaf);
	leaf->end = end;
	buffer = descend(leaf, from);
	if (!BufferIsValid(buffer))
		return false;
	load(leaf, buffer, from);
	return true;
}

/*
 * The leaf page of a cut, locked.  An empty index has none: then a lock on all
 * of it stands for the one on its page.
 */
static Buffer
descend(MxLeaf *leaf, BTScanInsert from)
{
	Buffer		buffer;

	pgstat_count_index_scan(leaf->index);
	_bt_freestack(mx_bt_search(leaf->index, from, &buffer, leaf->snapshot));
	if (!BufferIsValid(buffer))
	{
		PredicateLockRelation(leaf->index, leaf->snapshot);

		/* there may have been an insertion before the lock */
		if (IsolationIsSerializable())
			_bt_freestack(mx_bt_search(leaf->index, from, &buffer,
									   leaf->snapshot));
	}
	return buffer;
}

/*
 * Takes a copy of what is wanted of a locked page, from a cut on or all of it,
 * and unlocks it.  Returns false if the page is on its way out, and has no
 * entries.
 */
static bool
load(MxLeaf *leaf, Buffer buffer, BTScanInsert from)
{
	Page		page = BufferGetPage(buffer);
	BTPageOpaque opaque = BTPageGetOpaque(page);
	bool		forward = leaf->step > 0;
	bool		ignore = P_IGNORE(opaque);

	mx_test_for_old_snapshot(leaf->snapshot, leaf->index, page);
	if (!ignore)
		PredicateLockPage(leaf->index, BufferGetBlockNumber(buffer),
						  leaf->snapshot);
	leaf->buffer = buffer;
	leaf->nloads++;
	leaf->page = page;
	leaf->first = P_FIRSTDATAKEY(opaque);
	leaf->last = ignore ? leaf->first - 1 : PageGetMaxOffsetNumber(page);
	leaf->next = forward ? leaf->first : leaf->last;
	if (from != NULL)
		leaf->next = find_cut(leaf, from) - (forward ? 0 : 1);
	leaf->nposting = 0;
	leaf->nkilled = 0;
	find_stop(leaf);
	pgstat_count_index_tuples(leaf->index, leaf->nentries);
	copy_entries(leaf, page);
	_bt_unlockbuf(leaf->index, buffer);
	leaf->page = leaf->copy;
	return !ignore;
}

/*
 * Where to stop on this page, and whether the walk ends there.  Unless that is
 * near, it is looked for only where the last entry is beyond the end.
 */
static void
find_stop(MxLeaf *leaf)
{
	int			n;

	leaf->stop = (leaf->step > 0 ? leaf->last : leaf->first) + leaf->step;
	leaf->nentries = n = mx_leaf_remaining(leaf);
	leaf->ends = false;
	if (n > 0 && leaf->end->keysz > 0 &&
		(leaf->one_sample || !is_inside(leaf, n - 1)))
	{
		leaf->nentries = leaf->one_sample && leaf->walk->has_least ?
			count_wanted(leaf, n) : mx_count_leading(n, is_inside, leaf);
		leaf->stop = leaf->next + leaf->nentries * leaf->step;
		leaf->ends = leaf->nentries < n;
	}
}

/*
 * Entries of one sample down to the least recency that is wanted.  They are the
 * first ones, so if the last one is of the sample, all are.
 */
static int
count_wanted(const MxLeaf *leaf, int n)
{
	const MxWalk *walk = leaf->walk;
	int			wanted = 0;
	bool		tombstone;

	if (!is_inside(leaf, 0))
		return 0;
	while (wanted < n && mx_recency_of(walk, mx_leaf_peek(leaf, wanted),
									   &tombstone) >= walk->least)
		wanted++;
	if (wanted > 0 && (wanted == 1 || is_inside(leaf, wanted - 1)))
		return wanted;
	return mx_count_leading(n, is_inside, leaf);
}

/*
 * Is one of the entries, counted from the next one, before the end?  Of a single
 * sample the first one tells for all, which takes less.
 */
static bool
is_inside(const void *arg, int n)
{
	const MxLeaf *leaf = arg;

	if (leaf->one_sample && n > 0)
		return mx_one_sample(leaf->walk, 0, mx_leaf_peek(leaf, n),
							 mx_leaf_peek(leaf, 0));
	return is_beyond(leaf, leaf->end, leaf->next + n * leaf->step) !=
		(leaf->step > 0);
}

/*
 * The entries that are wanted, and what is before and behind all of them.  A few
 * are copied one by one, to the same places: more of the page may not be in the
 * processor's cache.
 */
static void
copy_entries(MxLeaf *leaf, Page page)
{
	PageHeader	header = (PageHeader) page;
	Size		before = header->pd_lower;
	Size		from = header->pd_upper;

	if (leaf->nentries < (leaf->last - leaf->first) / 2)
	{
		for (int i = 0; i < leaf->nentries; i++)
		{
			OffsetNumber offset = leaf->next + i * leaf->step;
			ItemId		item = PageGetItemId(page, offset);

			*PageGetItemId(leaf->copy, offset) = *item;
			memcpy(leaf->copy + ItemIdGetOffset(item), PageGetItem(page, item),
				   ItemIdGetLength(item));
		}
		before = SizeOfPageHeaderData;
		from = header->pd_special;
	}
	memcpy(leaf->copy, page, before);
	memcpy(leaf->copy + from, page + from, BLCKSZ - from);
}

/*
 * Does an entry lie to the right of the cut?
 */
static bool
is_beyond(const MxLeaf *leaf, BTScanInsert cut, int offset)
{
	int32		order = _bt_compare(leaf->index, cut, leaf->page, offset);

	return cut->nextkey ? order < 0 : order <= 0;
}

/*
 * The first entry to the right of the cut; one after the last, if there is
 * none.
 */
static OffsetNumber
find_cut(const MxLeaf *leaf, BTScanInsert cut)
{
	OffsetNumber low = leaf->first;
	OffsetNumber high = leaf->last + 1;

	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (is_beyond(leaf, cut, middle))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/*
 * Goes on to the next entry of this page; returns false if there is none.
 * Several rows may share an entry, and are given one by one.
 */
bool
mx_leaf_next(MxLeaf *leaf)
{
	while (leaf->nposting == 0)
	{
		ItemId		item;

		if (leaf->next == leaf->stop)
			return false;
		leaf->at = leaf->next;
		leaf->next += leaf->step;
		item = PageGetItemId(leaf->page, leaf->at);
		if (ItemIdIsDead(item) && leaf->trust_killed)
			continue;
		leaf->entry = (IndexTuple) PageGetItem(leaf->page, item);
		if (!BTreeTupleIsPosting(leaf->entry))
		{
			leaf->tid = leaf->entry->t_tid;
			return true;
		}
		leaf->nposting = BTreeTupleGetNPosting(leaf->entry);
	}
	leaf->tid = *BTreeTupleGetPostingN(leaf->entry, leaf->step < 0 ?
									   leaf->nposting - 1 :
									   BTreeTupleGetNPosting(leaf->entry) -
									   leaf->nposting);
	leaf->nposting--;
	return true;
}

/*
 * Goes on to the neighbour of the page; returns false if that has none that is
 * wanted.  Entries of the page are not to be looked at any more.
 */
bool
mx_leaf_step(MxLeaf *leaf)
{
	BTPageOpaque opaque = BTPageGetOpaque(leaf->page);
	bool		usable;

	if (!BufferIsValid(leaf->buffer))
		return false;
	do
	{
		BlockNumber block = BufferGetBlockNumber(leaf->buffer);
		BlockNumber next = leaf->step > 0 ? opaque->btpo_next :
		opaque->btpo_prev;
		int64		reads = pgBufferUsage.shared_blks_read;
		Buffer		buffer;

		mx_leaf_leave(leaf);
		if (leaf->ends || next == P_NONE)
			return false;
		CHECK_FOR_INTERRUPTS();
		buffer = leaf->step > 0 ?
			_bt_getbuf(leaf->index, next, BT_READ) :
			mx_left_neighbour(leaf->index, block, next);
		if (!BufferIsValid(buffer))
			return false;
		mx_backwards_read(&leaf->backwards, leaf->index,
						  BufferGetBlockNumber(buffer),
						  pgBufferUsage.shared_blks_read > reads);
		usable = load(leaf, buffer, NULL);
	} while (!usable);
	return true;
}

/*
 * The current entry leads to a row that is dead to all: the index is told when
 * the page is left.  Of rows that share an entry, all would have to be dead.
 */
void
mx_leaf_kill(MxLeaf *leaf)
{
	if (!leaf->trust_killed || BTreeTupleIsPosting(leaf->entry))
		return;
	/* it may be asked for twice */
	if (leaf->nkilled == 0 || leaf->killed[leaf->nkilled - 1] != leaf->at)
		leaf->killed[leaf->nkilled++] = leaf->at;
}

/*
 * Lets go of the page.
 */
void
mx_leaf_leave(MxLeaf *leaf)
{
	if (!BufferIsValid(leaf->buffer))
		return;
	if (leaf->nkilled > 0)
		mark_killed(leaf);
	ReleaseBuffer(leaf->buffer);
	leaf->buffer = InvalidBuffer;
	leaf->next = leaf->stop;
	leaf->nposting = 0;
}

/*
 * A hint on the page itself, where the entries may have moved to the right by
 * now, or been moved to another page.  The pin has kept their rows' places from
 * being used anew.
 */
static void
mark_killed(MxLeaf *leaf)
{
	Page		page = BufferGetPage(leaf->buffer);
	bool		marked = false;

	_bt_lockbuf(leaf->index, leaf->buffer, BT_READ);
	for (int i = 0; i < leaf->nkilled; i++)
	{
		ItemId		copy = PageGetItemId(leaf->page, leaf->killed[i]);
		IndexTuple	killed = (IndexTuple) PageGetItem(leaf->page, copy);
		OffsetNumber offset = leaf->killed[i];

		for (; offset <= PageGetMaxOffsetNumber(page); offset++)
		{
			ItemId		item = PageGetItemId(page, offset);
			IndexTuple	entry = (IndexTuple) PageGetItem(page, item);

			if (BTreeTupleIsPosting(entry) ||
				!ItemPointerEquals(&entry->t_tid, &killed->t_tid))
				continue;
			if (!ItemIdIsDead(item))
			{
				ItemIdMarkDead(item);
				marked = true;
			}
			break;
		}
	}
	if (marked)
	{
		BTPageGetOpaque(page)->btpo_flags |= BTP_HAS_GARBAGE;
		MarkBufferDirtyHint(leaf->buffer, true);
	}
	_bt_unlockbuf(leaf->index, leaf->buffer);
}
