/*-------------------------------------------------------------------------
 *
 * page.c
 *		Rows of the heap, a page at a time.
 *
 * The server's index scans lock a page for each row of it, and ask of each
 * whether the snapshot sees it.  A page that says of itself that all its rows
 * are visible to everybody saves both; and of several rows of one page, as
 * the order of the heap has them, the lock is needed once.
 *
 * A row that the snapshot sees stays where it is as long as its page is
 * pinned: what moves rows about in a page waits for the pin.  That is how a
 * sequential scan gives rows from a page it has unlocked.
 *
 * The pin is the one of walk->fetch, so that looking up a row in the usual
 * way afterwards finds it there.  The table is known to be a heap, see shape.c.
 *
 * src/scan/page.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "executor/instrument.h"
#include "pgstat.h"
#include "storage/bufmgr.h"

#include "scan/heap.h"

/* bytes of a row that are asked for ahead of time, by lines of the cache */
#define PREFETCHED		192
#define CACHE_LINE		64

static Buffer turn_to(MxWalk *walk, BlockNumber block);
static bool is_sure(const MxWalk *walk, Page page);
static OffsetNumber row_at(Page page, OffsetNumber offset);
static void prefetch(Page page, OffsetNumber offset);
static void store(MxWalk *walk, Buffer buffer, OffsetNumber offset,
				  TupleTableSlot *slot);

/*
 * Fetches the row of the current entry, if its page says that everybody sees
 * it; returns false if that is to be found out.
 *
 * The page is not locked.  The walk holds the entry's page of the index, so
 * this place in the heap has not been given to another row.  Whoever put the
 * row there, or deleted it before the snapshot was taken, has withdrawn first
 * what the page says; that we see it follows from our seeing the entry, or the
 * snapshot, and only VACUUM says it again.
 */
bool
mx_walk_fetch_sure(MxWalk *walk, TupleTableSlot *slot)
{
	Buffer		buffer = turn_to(walk, ItemPointerGetBlockNumber(&walk->tid));
	Page		page = BufferGetPage(buffer);
	OffsetNumber offset;

	if (!is_sure(walk, page))
		return false;
	offset = row_at(page, ItemPointerGetOffsetNumber(&walk->tid));
	if (!OffsetNumberIsValid(offset))
		return false;
	walk->counts->fetches++;
	store(walk, buffer, offset, slot);
	return true;
}

/*
 * The row of this entry will probably be fetched soon: that helps if it is on
 * the page that is pinned.
 */
void
mx_walk_expect(MxWalk *walk, IndexTuple entry)
{
	Buffer		buffer = ((IndexFetchHeapData *) walk->fetch)->xs_cbuf;
	ItemPointer tid = &entry->t_tid;

	if (!BTreeTupleIsPosting(entry) && BufferIsValid(buffer) &&
		BufferGetBlockNumber(buffer) == ItemPointerGetBlockNumber(tid))
		prefetch(BufferGetPage(buffer), ItemPointerGetOffsetNumber(tid));
}

/*
 * Turns to a page, and locks it till mx_page_end.
 */
void
mx_page_begin(MxWalk *walk, MxPage *page, BlockNumber block)
{
	page->buffer = turn_to(walk, block);
	page->nrows = page->at = 0;
	LockBuffer(page->buffer, BUFFER_LOCK_SHARE);
	page->sure = is_sure(walk, BufferGetPage(page->buffer));
}

/*
 * Adds the row that an entry of the index leads to; returns false if the
 * snapshot does not see one.
 *
 * The entry's page of the index is not held any more.  If the place has been
 * given to another row since, then by somebody whom the snapshot does not see,
 * and the page is not sure as long as the snapshot is there.
 */
bool
mx_page_add(MxWalk *walk, MxPage *page, OffsetNumber offset)
{
	walk->counts->fetches++;
	if (page->sure)
	{
		offset = row_at(BufferGetPage(page->buffer), offset);
		if (!OffsetNumberIsValid(offset))
			return false;
		prefetch(BufferGetPage(page->buffer), offset);
	}
	else
	{
		ItemPointerData tid;
		HeapTupleData tuple;

		ItemPointerSet(&tid, BufferGetBlockNumber(page->buffer), offset);
		if (!heap_hot_search_buffer(&tid, walk->heap, page->buffer,
									walk->snapshot, &tuple, NULL, true))
			return false;
		offset = ItemPointerGetOffsetNumber(&tid);
	}
	if (page->nrows == MaxHeapTuplesPerPage)
		ereport(ERROR,
				errcode(ERRCODE_INDEX_CORRUPTED),
				errmsg("index \"%s\" has several entries for a row of page %u",
					   RelationGetRelationName(walk->index),
					   BufferGetBlockNumber(page->buffer)));
	page->rows[page->nrows++] = offset;
	return true;
}

void
mx_page_end(MxPage *page)
{
	LockBuffer(page->buffer, BUFFER_LOCK_UNLOCK);
}

/*
 * Gives the next row that has been added; returns false if there is none.
 */
bool
mx_page_next(MxWalk *walk, MxPage *page, TupleTableSlot *slot)
{
	if (page->at == page->nrows)
		return false;
	store(walk, page->buffer, page->rows[page->at++], slot);
	return true;
}

/*
 * Pins a page instead of the one before.
 */
static Buffer
turn_to(MxWalk *walk, BlockNumber block)
{
	IndexFetchHeapData *fetch = (IndexFetchHeapData *) walk->fetch;
	Buffer		before = fetch->xs_cbuf;
	int64		reads = pgBufferUsage.shared_blks_read;

	fetch->xs_cbuf = ReleaseAndReadBuffer(before, walk->heap, block);
	if (fetch->xs_cbuf != before)
	{
		walk->missed = pgBufferUsage.shared_blks_read > reads;
		mx_backwards_read(&walk->backwards, walk->heap, block, walk->missed);
		if (!PageIsAllVisible(BufferGetPage(fetch->xs_cbuf)))
			heap_page_prune_opt(walk->heap, fetch->xs_cbuf);
	}
	return fetch->xs_cbuf;
}

/*
 * Are all rows of the page visible?  Serializable transactions ask of each row,
 * since that leaves locks; on a standby, pages may be ahead of the snapshot.
 */
static bool
is_sure(const MxWalk *walk, Page page)
{
	return PageIsAllVisible(page) && !walk->snapshot->takenDuringRecovery &&
		!IsolationIsSerializable();
}

/*
 * Where the row is that an entry leads to, on a page that is sure: it has no
 * older versions there.  There may be no row any more, nor a place for one.
 */
static OffsetNumber
row_at(Page page, OffsetNumber offset)
{
	ItemId		item;

	if (offset > PageGetMaxOffsetNumber(page))
		return InvalidOffsetNumber;
	item = PageGetItemId(page, offset);
	if (ItemIdIsRedirected(item))
	{
		offset = ItemIdGetRedirect(item);
		item = PageGetItemId(page, offset);
	}
	return ItemIdIsNormal(item) ? offset : InvalidOffsetNumber;
}

/*
 * Tells the processor that a row will be needed, if that can be told.  The
 * place may be without one, which does no harm.
 */
static void
prefetch(Page page, OffsetNumber offset)
{
#ifdef __GNUC__
	const char *row = page + ItemIdGetOffset(PageGetItemId(page, offset));

	for (int i = 0; i < PREFETCHED; i += CACHE_LINE)
		__builtin_prefetch(row + i);
#endif
}

static void
store(MxWalk *walk, Buffer buffer, OffsetNumber offset, TupleTableSlot *slot)
{
	HeapTuple	tuple = &((BufferHeapTupleTableSlot *) slot)->base.tupdata;
	Page		page = BufferGetPage(buffer);
	ItemId		item = PageGetItemId(page, offset);

	tuple->t_data = (HeapTupleHeader) PageGetItem(page, item);
	tuple->t_len = ItemIdGetLength(item);
	tuple->t_tableOid = RelationGetRelid(walk->heap);
	ItemPointerSet(&tuple->t_self, BufferGetBlockNumber(buffer), offset);
	ExecStoreBufferHeapTuple(tuple, slot, buffer);
	pgstat_count_heap_fetch(walk->index);
}
