/*-------------------------------------------------------------------------
 *
 * writer.c
 *		This transaction as a writer: the locks of features that it holds, the
 *		stamps that it has given.
 *
 * A writer takes a feature's lock before it reads the clock, and raises the
 * clock to its last stamp before it commits or prepares.  So a delete that
 * raises the clock and then waits for those who hold the lock knows of every
 * row: it was committed before, with a stamp below the delete's, or it is
 * written by somebody who is waited for, or its writer has read the clock
 * after it was raised, and the row lies above.
 *
 * Everything here is forgotten at the end of the transaction.
 *
 * src/write/writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "write/write.h"

static List *writers = NIL;		/* of MxWriter * */
static TimestampTz last_stamp = DT_NOBEGIN; /* greatest given or kept */
static TimestampTz seen_clock = DT_NOBEGIN; /* as it was read last */
static CommandId seen_at = InvalidCommandId;	/* in which command */
static Oid	raise_at_end = InvalidOid;	/* the clock, once there are stamps */

TimestampTz mx_operation_stamp = 0;

static void read_clock(Oid clock);
static void at_transaction_event(XactEvent event, void *arg);
static void at_subtransaction_event(SubXactEvent event,
									SubTransactionId subid,
									SubTransactionId parent, void *arg);
static void forget_all(void);

/*
 * Called once, when the module is loaded.
 */
void
mx_writer_init(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}

/*
 * This transaction's part in a feature, to be entered before each row.
 */
MxWriter *
mx_writer(Oid table)
{
	MemoryContext save;
	MxWriter   *writer;
	ListCell   *lc;

	foreach(lc, writers)
	{
		writer = lfirst(lc);
		if (writer->table == table)
			return writer;
	}
	save = MemoryContextSwitchTo(TopTransactionContext);
	writer = palloc(sizeof(MxWriter));
	writer->table = table;
	writer->locked_in = InvalidSubTransactionId;
	writers = lappend(writers, writer);
	MemoryContextSwitchTo(save);
	return writer;
}

/*
 * Holds the feature's lock, then has read the clock in this command.
 *
 * A lock that was taken in a subtransaction is gone when that rolls back, and
 * is then taken anew.
 */
void
mx_writer_enter(MxWriter *writer, Oid clock)
{
	if (writer->locked_in == InvalidSubTransactionId)
	{
		LOCKTAG		tag;

		mx_feature_locktag(&tag, writer->table);
		(void) LockAcquire(&tag, MX_WRITER_LOCK, false, false);
		writer->locked_in = GetCurrentSubTransactionId();
		read_clock(clock);
	}
	else if (seen_at != GetCurrentCommandId(false))
		read_clock(clock);
}

/*
 * A stamp for a row: the wall clock where that is ahead of everything, and
 * where it is not, one that nobody else has.
 */
TimestampTz
mx_writer_stamp(Oid clock)
{
	TimestampTz stamp = mx_wall_clock();

	raise_at_end = clock;
	if (stamp <= last_stamp || stamp <= seen_clock)
		stamp = seen_clock = mx_clock_raise(clock, last_stamp + 1, true);
	last_stamp = stamp;
	return stamp;
}

/*
 * Has this transaction given or seen a stamp above this one?
 */
bool
mx_writer_stamped_after(TimestampTz stamp)
{
	return last_stamp > stamp;
}

/*
 * A row keeps the recency that it came with: the clock will be above it.
 */
void
mx_writer_saw(TimestampTz recency, Oid clock)
{
	raise_at_end = clock;
	last_stamp = Max(last_stamp, recency);
}

/*
 * A stamp for an operation: at "target" at least, above the wall clock and
 * the clock, which is raised to it at once.  Rows that this transaction writes
 * later lie above.
 */
TimestampTz
mx_writer_raise(TimestampTz target, Oid clock)
{
	TimestampTz stamp = Max(target, mx_wall_clock());

	if (last_stamp != DT_NOBEGIN)
		stamp = Max(stamp, last_stamp + 1);
	stamp = mx_clock_raise(clock, stamp, true);
	seen_clock = last_stamp = stamp;
	return stamp;
}

/*
 * The lock of a feature: of the object that is its table, in the class that is
 * the registry.
 */
void
mx_feature_locktag(LOCKTAG *tag, Oid table)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, mx_feature_table(), table, 0);
}

static void
read_clock(Oid clock)
{
	seen_clock = mx_clock_read(clock);
	seen_at = GetCurrentCommandId(false);
}

/*
 * Before the transaction commits or prepares, deferred triggers included, the
 * clock goes to its last stamp.  The clock itself may have been dropped in it.
 */
static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (OidIsValid(raise_at_end) && last_stamp != DT_NOBEGIN &&
				SearchSysCacheExists1(RELOID, ObjectIdGetDatum(raise_at_end)))
				(void) mx_clock_raise(raise_at_end, last_stamp, false);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_all();
			break;
		default:
			break;
	}
}

/*
 * Locks go to the parent, or are gone.
 */
static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subid,
						SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(lc, writers)
	{
		MxWriter   *writer = lfirst(lc);

		if (writer->locked_in == subid)
			writer->locked_in = event == SUBXACT_EVENT_COMMIT_SUB ?
				parent : InvalidSubTransactionId;
	}
}

/*
 * Calls "write", which writes rows of the operation with this stamp: the
 * stamping trigger keeps it in them.  A trigger of the table may begin another
 * operation in the middle of this one, and may catch its error.
 */
uint64
mx_write_stamped(TimestampTz stamp, uint64 (*write) (void *arg), void *arg)
{
	TimestampTz save = mx_operation_stamp;
	volatile uint64 done = 0;

	mx_operation_stamp = stamp;
	PG_TRY();
	{
		done = write(arg);
	}
	PG_FINALLY();
	{
		mx_operation_stamp = save;
	}
	PG_END_TRY();
	return done;
}

static void
forget_all(void)
{
	/* the list goes with the transaction's memory */
	writers = NIL;
	last_stamp = seen_clock = DT_NOBEGIN;
	seen_at = InvalidCommandId;
	raise_at_end = InvalidOid;
	mx_operation_stamp = 0;
}
