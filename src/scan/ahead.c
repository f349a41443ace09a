/*-------------------------------------------------------------------------
 *
 * ahead.c
 *		Pages of the heap that will be read, and are not next to each other.
 *
 * In the order of the heap the operating system reads ahead, as long as page
 * follows page.  Where many pages have none of the rows, it does not, and the
 * disk would be waited for at each page: as the server's bitmap scans do, this
 * asks for so many of them as effective_io_concurrency says.
 *
 * It does so only after a page that the server had to read: asking for one that is
 * cached takes as long as reading it.
 *
 * src/scan/ahead.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/bufmgr.h"
#include "utils/spccache.h"

#include "scan/heap.h"

/*
 * A pass over the heap begins.
 */
void
mx_ahead_init(MxAhead *ahead)
{
	memset(ahead, 0, sizeof(MxAhead));
}

/*
 * A page is about to be read.  "find_page" says which is the first one at or
 * behind some page that will be, or InvalidBlockNumber; it is asked for greater
 * and greater ones.
 */
void
mx_ahead_turn(MxAhead *ahead, Relation heap, BlockNumber block,
			  BlockNumber (*find_page) (void *arg, BlockNumber from),
			  void *arg)
{
	int			most;

	if (ahead->nasked > 0)
		ahead->nasked--;
	if (ahead->next <= block)
	{
		ahead->next = block + 1;
		ahead->nasked = 0;
	}
	if (!ahead->missed)
	{
		ahead->distance /= 2;
		return;
	}
	most = get_tablespace_io_concurrency(heap->rd_rel->reltablespace);
	ahead->distance = Min(ahead->distance + 1, most);
	while (ahead->nasked < ahead->distance)
	{
		BlockNumber next = find_page(arg, ahead->next);

		if (next == InvalidBlockNumber)
		{
			ahead->next = next;
			return;
		}
		if (next > ahead->next)
			PrefetchBuffer(heap, MAIN_FORKNUM, next);
		ahead->next = next + 1;
		ahead->nasked++;
	}
}
