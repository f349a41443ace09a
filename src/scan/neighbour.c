/*-------------------------------------------------------------------------
 *
 * neighbour.c
 *		The left neighbour of a leaf page.
 *
 * To the right, links can be followed as they were when a page was read: a page
 * that is deleted keeps its own as long as somebody may follow one to it.  To the
 * left, what the link leads to may not be the neighbour any more.
 *
 * src/scan/neighbour.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "scan/walk.h"

/* hops to the right in search of it, as nbtree does */
#define MANY_HOPS	4

static BTPageOpaque read_page(Relation index, Buffer *buffer,
							  BlockNumber block);
static Buffer find_successor(Relation index, Buffer buffer);

/*
 * The page before "block", locked, where "left" was that when it was read.
 * Since then that one may have been split, so that its right half is the
 * neighbour now; or deleted; or the page itself has been deleted.
 */
Buffer
mx_left_neighbour(Relation index, BlockNumber block, BlockNumber left)
{
	Buffer		buffer = InvalidBuffer;

	while (left != P_NONE)
	{
		BTPageOpaque opaque = read_page(index, &buffer, left);

		for (int hops = 0;; hops++)
		{
			if (!P_ISDELETED(opaque) && opaque->btpo_next == block)
				return buffer;
			if (P_RIGHTMOST(opaque) || hops == MANY_HOPS)
				break;
			opaque = read_page(index, &buffer, opaque->btpo_next);
		}

		/* what has become of the page that the walk comes from? */
		opaque = read_page(index, &buffer, block);
		if (P_ISDELETED(opaque))
			buffer = find_successor(index, buffer);
		else if (opaque->btpo_prev == left)
			ereport(ERROR,
					errcode(ERRCODE_INDEX_CORRUPTED),
					errmsg("could not find left sibling of block %u in index \"%s\"",
						   block, RelationGetRelationName(index)));
		opaque = BTPageGetOpaque(BufferGetPage(buffer));
		block = BufferGetBlockNumber(buffer);
		left = opaque->btpo_prev;
		_bt_relbuf(index, buffer);
		buffer = InvalidBuffer;
		CHECK_FOR_INTERRUPTS();
	}
	return InvalidBuffer;
}

/*
 * Releases a buffer, if there is one, and locks that page instead.
 */
static BTPageOpaque
read_page(Relation index, Buffer *buffer, BlockNumber block)
{
	*buffer = _bt_relandgetbuf(index, *buffer, block, BT_READ);
	return BTPageGetOpaque(BufferGetPage(*buffer));
}

/*
 * The page that has got the part of a deleted one: the first to the right that
 * is not deleted.
 */
static Buffer
find_successor(Relation index, Buffer buffer)
{
	BTPageOpaque opaque = BTPageGetOpaque(BufferGetPage(buffer));

	while (P_ISDELETED(opaque))
	{
		if (P_RIGHTMOST(opaque))
			ereport(ERROR,
					errcode(ERRCODE_INDEX_CORRUPTED),
					errmsg("fell off the end of index \"%s\"",
						   RelationGetRelationName(index)));
		opaque = read_page(index, &buffer, opaque->btpo_next);
	}
	return buffer;
}
