/*-------------------------------------------------------------------------
 *
 * visible.c
 *		Which of a sample's rows the snapshot sees, and which of two rows of
 *		the same recency is the later one.
 *
 * src/scan/visible.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"

#include "scan/walk.h"

/* as visibilitymap.c has it: two bits a page of the heap */
#define BLOCKS_PER_MAP_PAGE \
	((BlockNumber) ((BLCKSZ - MAXALIGN(SizeOfPageHeaderData)) * \
					BITS_PER_BYTE / 2))

/* a server with fewer buffers a page of the map has none to spare */
#define FEW_BUFFERS		64

/*
 * Fetches the row that an entry of the index leads to, as far as the snapshot
 * sees one.
 */
bool
mx_walk_fetch(MxWalk *walk, const ItemPointerData *tid,
			  TupleTableSlot *slot)
{
	ItemPointerData at = *tid;
	bool		again = false;
	bool		found;

	walk->counts->fetches++;
	walk->all_dead = false;

	/* by an MVCC snapshot, one row of a HOT chain is visible at most */
	found = table_index_fetch_tuple(walk->fetch, &at, walk->snapshot, slot,
									&again, &walk->all_dead);
	if (found)
		pgstat_count_heap_fetch(walk->index);
	return found;
}

/*
 * The same for the current entry.  The index learns of it if the row is dead
 * to all.
 */
bool
mx_walk_fetch_current(MxWalk *walk, TupleTableSlot *slot)
{
	bool		found;

	if (mx_walk_fetch_sure(walk, slot))
		return true;
	found = mx_walk_fetch(walk, &walk->tid, slot);
	if (walk->all_dead)
		mx_leaf_kill(&walk->leaf);
	return found;
}

/*
 * Rows are asked for in the order of the index, which may be any in the heap:
 * so several pages of its visibility map are held, each where it is looked for.
 */
void
mx_visible_init(MxWalk *walk)
{
	walk->vm_mask = NBuffers < MX_MAP_PAGES * FEW_BUFFERS ? 0 :
		MX_MAP_PAGES - 1;
	for (int i = 0; i < MX_MAP_PAGES; i++)
		walk->vm_buffers[i] = InvalidBuffer;
}

void
mx_visible_end(MxWalk *walk)
{
	for (int i = 0; i < MX_MAP_PAGES; i++)
	{
		if (BufferIsValid(walk->vm_buffers[i]))
			ReleaseBuffer(walk->vm_buffers[i]);
	}
}

/*
 * Does everybody see the row of the current entry?  Then the heap need not be
 * asked.
 *
 * The walk still holds the entry's page of the index, so VACUUM has not given
 * its place in the heap to another row.  The answer holds for all entries that
 * were on the page when it was read, but not for those that came later.
 */
bool
mx_walk_all_visible(MxWalk *walk)
{
	BlockNumber block = ItemPointerGetBlockNumber(&walk->tid);

	if (walk->vm_load != walk->leaf.nloads || walk->vm_block != block)
	{
		int			at = block / BLOCKS_PER_MAP_PAGE & walk->vm_mask;

		walk->vm_load = walk->leaf.nloads;
		walk->vm_block = block;
		walk->vm_answer = VM_ALL_VISIBLE(walk->heap, block,
										 &walk->vm_buffers[at]);
	}
	return walk->vm_answer;
}

/*
 * Relies on that instead of a look at the row: a lock on its page stands for
 * the one that fetching it would have taken.
 */
void
mx_walk_trust(MxWalk *walk, const ItemPointerData *tid)
{
	if (IsolationIsSerializable())
		PredicateLockPage(walk->heap, ItemPointerGetBlockNumber(tid),
						  walk->snapshot);
}

/*
 * Makes sure that the best row is at hand, not only known to be visible.
 */
void
mx_walk_fetch_best(MxWalk *walk, const ItemPointerData *tid)
{
	if (walk->best_fetched)
		return;
	if (!mx_walk_fetch(walk, tid, walk->best))
		elog(ERROR, "could not find row (%u,%u) of relation \"%s\"",
			 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid),
			 RelationGetRelationName(walk->heap));
	walk->best_fetched = true;
}

/*
 * Of two rows of the same recency, walk->best and walk->other, the later one
 * becomes the best.  Returns whether that is a change.
 */
bool
mx_walk_contend(MxWalk *walk)
{
	TupleTableSlot *slot = walk->other;

	if (!mx_is_later(!slot_attisnull(slot, walk->deleted), &slot->tts_tid,
					 !slot_attisnull(walk->best, walk->deleted),
					 &walk->best->tts_tid))
		return false;
	walk->other = walk->best;
	walk->best = slot;
	return true;
}

/*
 * Of two rows of the same recency: a tombstone beats a live row, then the
 * greater ctid decides.
 */
bool
mx_is_later(bool tombstone, ItemPointer tid, bool other_tombstone,
			ItemPointer other_tid)
{
	if (tombstone != other_tombstone)
		return tombstone;
	return ItemPointerCompare(tid, other_tid) > 0;
}
