/*-------------------------------------------------------------------------
 *
 * heap.h
 *		What fetching rows in the order of the heap (sorted.c) is made of.
 *
 * src/scan/heap.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_HEAP_H
#define MX_HEAP_H

#include "access/htup_details.h"

#include "scan/walk.h"

/* rows of a page of the heap that are to be given */
typedef struct MxPage
{
	Buffer		buffer;			/* pinned by the walk */
	bool		sure;			/* all its rows are visible */
	int			nrows;
	int			at;				/* next to be given */
	OffsetNumber rows[MaxHeapTuplesPerPage];
} MxPage;

/* pages that have been asked for */
typedef struct MxAhead
{
	BlockNumber next;			/* not asked for; Invalid: there is none */
	int			nasked;			/* before it, not read yet */
	int			distance;		/* as many as that, at most */
	bool		missed;			/* the last page was not in the cache */
} MxAhead;

typedef struct MxBitmap MxBitmap;

/* in page.c */
extern void mx_page_begin(MxWalk *walk, MxPage *page, BlockNumber block);
extern bool mx_page_add(MxWalk *walk, MxPage *page, OffsetNumber offset);
extern void mx_page_end(MxPage *page);
extern bool mx_page_next(MxWalk *walk, MxPage *page, TupleTableSlot *slot);

/* in bitmap.c */
extern MxBitmap *mx_bitmap_new(BlockNumber npages, int width);
extern bool mx_bitmap_add(MxBitmap *bitmap, BlockNumber block,
						  OffsetNumber offset);
extern BlockNumber mx_bitmap_first(MxBitmap *bitmap);
extern BlockNumber mx_bitmap_from(const MxBitmap *bitmap, BlockNumber from);
extern int	mx_bitmap_take(MxBitmap *bitmap, OffsetNumber *offsets);
extern void mx_bitmap_clear(MxBitmap *bitmap);

/* in ahead.c */
extern void mx_ahead_init(MxAhead *ahead);
extern void mx_ahead_turn(MxAhead *ahead, Relation heap, BlockNumber block,
						  BlockNumber (*find_page) (void *arg, BlockNumber from),
						  void *arg);

#endif							/* MX_HEAP_H */
