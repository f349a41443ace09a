/*-------------------------------------------------------------------------
 *
 * turn.c
 *		How an operation on existing rows takes its turn among writers.
 *
 * It acts as of one instant.  What was committed before that lies below its
 * stamp and is looked at; what was in flight is waited for and then left
 * alone; what comes later lies above.  Nobody is kept out: writers that start
 * meanwhile go on, and the tables' own locks are not used for this at all.
 *
 * src/write/turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "write/write.h"

static void begin(MxTurn *turn, List *tables, Snapshot before,
				  TimestampTz stamp);
static void wait_for_writers(const MxTurn *turn);
static void lock_features(const MxTurn *turn);
static void look_now(MxTurn *turn);

/*
 * Raises the clock to the operation's stamp, waits for the writers of the
 * features, and then keeps other operations on them out until the transaction
 * ends.
 *
 * "tables" are the features' tables, on which the caller has the locks that
 * DML takes, so that no change of theirs slips in while it waits.  "before" is
 * the snapshot that the operation is to start from, or NULL; "stamp" one that
 * it has been given since, or 0.  lock_timeout bounds the wait for each writer.
 *
 * A writer with a stamp below ours and a row that "before" does not show must
 * have read the clock before we raised it, so it holds its lock now.
 */
void
mx_turn_begin(MxTurn *turn, List *tables, Snapshot before, TimestampTz stamp)
{
	begin(turn, tables, before, stamp);
	lock_features(turn);
	look_now(turn);
}

/*
 * The same for one that only looks now, and acts later: it waits for the
 * writers, and keeps nobody out.
 */
void
mx_turn_watch(MxTurn *turn, List *tables)
{
	begin(turn, tables, NULL, 0);
	look_now(turn);
}

static void
begin(MxTurn *turn, List *tables, Snapshot before, TimestampTz stamp)
{
	CommandCounterIncrement();
	turn->clock = mx_clock();
	turn->tables = list_copy(tables);
	list_sort(turn->tables, list_oid_cmp);
	if (before == NULL)
		before = IsolationUsesXactSnapshot() ? GetTransactionSnapshot() :
			GetLatestSnapshot();
	turn->before = RegisterSnapshot(before);
	turn->now = NULL;
	turn->stamp = stamp != 0 ? stamp :
		mx_writer_raise(DT_NOBEGIN, turn->clock);
	wait_for_writers(turn);
}

/*
 * The same once more with a stamp at "target" at least: where rows were found
 * that no writer of ours has stamped, the first one was not above all of them.
 */
void
mx_turn_again(MxTurn *turn, TimestampTz target)
{
	turn->stamp = mx_writer_raise(target, turn->clock);
	wait_for_writers(turn);
	look_now(turn);
}

/*
 * Is a row of "now", with this xmin, in "before" as well?
 *
 * A frozen row keeps an xmin that means nothing any more, and after a wrap
 * around may seem to lie in the future.  But a row that "now" shows and
 * "before" does not was written between the two.
 */
bool
mx_turn_saw(const MxTurn *turn, TransactionId writer)
{
	if (!TransactionIdIsNormal(writer) ||
		TransactionIdIsCurrentTransactionId(writer))
		return true;
	return !TransactionIdPrecedes(writer, turn->now->xmax) ||
		!XidInMVCCSnapshot(writer, turn->before);
}

/*
 * After an error, the transaction gives the snapshots back.
 */
void
mx_turn_end(MxTurn *turn)
{
	UnregisterSnapshot(turn->now);
	UnregisterSnapshot(turn->before);
}

/*
 * Waits for all who hold a feature's lock at this moment, as writers or for
 * operations like this one.  They are not kept from ending, nor others from
 * starting.
 */
static void
wait_for_writers(const MxTurn *turn)
{
	List	   *tags = NIL;
	ListCell   *lc;

	foreach(lc, turn->tables)
	{
		LOCKTAG    *tag = palloc(sizeof(LOCKTAG));

		mx_feature_locktag(tag, lfirst_oid(lc));
		tags = lappend(tags, tag);
	}
	mx_tell_progress("waiting for writers at work");
	WaitForLockersMultiple(tags, ShareLock, false);
	list_free_deep(tags);
}

/*
 * In the order of the tables' OIDs, whatever the operation is.
 */
static void
lock_features(const MxTurn *turn)
{
	ListCell   *lc;

	foreach(lc, turn->tables)
	{
		LOCKTAG		tag;

		mx_feature_locktag(&tag, lfirst_oid(lc));
		(void) LockAcquire(&tag, MX_DELETE_LOCK, false, false);
	}
}

static void
look_now(MxTurn *turn)
{
	if (turn->now != NULL)
		UnregisterSnapshot(turn->now);
	AcceptInvalidationMessages();
	CommandCounterIncrement();
	turn->now = RegisterSnapshot(GetLatestSnapshot());
}
