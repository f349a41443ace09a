/*-------------------------------------------------------------------------
 *
 * backwards.c
 *		Pages that are read from the last to the first.
 *
 * The operating system reads ahead where it sees a file read from the first
 * page to the last.  A walk to the left, over an index that was built in
 * order, reads it the other way round, and so the heap where that is in the
 * same order: the disk would be waited for at each page.
 *
 * src/scan/backwards.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/bufmgr.h"
#include "utils/spccache.h"

#include "scan/walk.h"

/* pages count as adjacent this far apart: an index has others among leaves */
#define ADJACENT		2

/* after so many adjacent pages more are asked for, and at most so many */
#define FEW_ADJACENT	3
#define MOST_AHEAD		32

void
mx_backwards_init(MxBackwards *backwards)
{
	backwards->last = InvalidBlockNumber;
	backwards->nadjacent = 0;
	backwards->low = InvalidBlockNumber;
}

/*
 * A page has been read, from the disk as far as the server knows if "missed".
 * If it is one of several before each other, those before it are asked for:
 * more and more of them, and several at once.  effective_io_concurrency = 0
 * says not to.
 */
void
mx_backwards_read(MxBackwards *backwards, Relation relation,
				  BlockNumber block, bool missed)
{
	bool		adjacent = block < backwards->last &&
	backwards->last - block <= ADJACENT;
	BlockNumber ahead;
	BlockNumber low;

	backwards->last = block;
	backwards->nadjacent = adjacent ? backwards->nadjacent + 1 : 0;
	if (!adjacent || backwards->low > block)
		backwards->low = block;
	if (!missed || backwards->nadjacent < FEW_ADJACENT)
		return;

	ahead = Min(backwards->nadjacent, MOST_AHEAD);
	low = block > ahead ? block - ahead : 0;
	if (backwards->low < low + ahead / 2 ||
		get_tablespace_io_concurrency(relation->rd_rel->reltablespace) == 0)
		return;
	while (backwards->low > low)
		PrefetchBuffer(relation, MAIN_FORKNUM, --backwards->low);
}
