/*-------------------------------------------------------------------------
 *
 * clock.c
 *		The clock of the database: one sequence that holds the last stamp.
 *
 * Stamps are microseconds, as in a timestamptz.  The sequence is read and
 * raised on its page, under the buffer's lock, so that comparing and setting
 * it are one: setval() could lower it, and nextval() knows only one step.  As
 * with nextval(), what was done is not undone by a rollback, is seen by all at
 * once, and needs no rights of the caller's.
 *
 * src/base/clock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xloginsert.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/base.h"

static Form_pg_sequence_data lock_page(Relation rel, Buffer *buffer, int mode,
									   HeapTupleData *tuple);
static void write_page(Relation rel, Buffer buffer, HeapTuple tuple,
					   int64 value);

/*
 * The wall clock.  metaxy.clock_shift lets tests see it go wrong.
 */
TimestampTz
mx_wall_clock(void)
{
	return GetCurrentTimestamp() +
		(TimestampTz) mx_clock_shift * (USECS_PER_SEC / 1000);
}

/*
 * Is this further ahead than a row may be dated?  It would drag the clock
 * along, and all later rows with it.  What the clock has reached already does
 * no harm.
 */
bool
mx_too_late(TimestampTz recency)
{
	return recency > mx_wall_clock() +
		(TimestampTz) mx_max_skew * (USECS_PER_SEC / 1000) &&
		recency > mx_clock_read(mx_clock());
}

/*
 * The clock's time.  Works on a standby.
 */
TimestampTz
mx_clock_read(Oid clock)
{
	Relation	rel = relation_open(clock, AccessShareLock);
	Buffer		buffer;
	HeapTupleData tuple;
	int64		value;

	value = lock_page(rel, &buffer, BUFFER_LOCK_SHARE, &tuple)->last_value;
	UnlockReleaseBuffer(buffer);
	relation_close(rel, NoLock);
	return value;
}

/*
 * Sees to it that the clock is at "target" at least; with "beyond", also above
 * what it was.  Returns what it is now.
 */
TimestampTz
mx_clock_raise(Oid clock, TimestampTz target, bool beyond)
{
	Relation	rel = relation_open(clock, RowExclusiveLock);
	Buffer		buffer;
	HeapTupleData tuple;
	int64		value;
	int64		wanted;

	value = lock_page(rel, &buffer, BUFFER_LOCK_EXCLUSIVE, &tuple)->last_value;
	wanted = beyond ? Max(target, value + 1) : target;
	if (wanted > value)
	{
		write_page(rel, buffer, &tuple, wanted);
		value = wanted;
	}
	UnlockReleaseBuffer(buffer);
	relation_close(rel, NoLock);
	return value;
}

/*
 * The sequence's one row, on its page, which is locked.
 */
static Form_pg_sequence_data
lock_page(Relation rel, Buffer *buffer, int mode, HeapTupleData *tuple)
{
	Page		page;
	ItemId		item;

	if (rel->rd_rel->relkind != RELKIND_SEQUENCE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" of extension \"metaxy\" is not a sequence",
						RelationGetRelationName(rel))));
	*buffer = ReadBuffer(rel, 0);
	LockBuffer(*buffer, mode);
	page = BufferGetPage(*buffer);
	item = PageGetItemId(page, FirstOffsetNumber);
	Assert(ItemIdIsNormal(item));
	tuple->t_data = (HeapTupleHeader) PageGetItem(page, item);
	tuple->t_len = ItemIdGetLength(item);
	return (Form_pg_sequence_data) GETSTRUCT(tuple);
}

/*
 * Sets the clock, and tells WAL each time: so it is never behind what was
 * committed, after a crash, a promotion or a copy of the database.  The record
 * is that of nextval(), which saves most of them by telling of values ahead;
 * that is not worth its pitfalls here, beside the record of the row itself.
 */
static void
write_page(Relation rel, Buffer buffer, HeapTuple tuple, int64 value)
{
	Form_pg_sequence_data form = (Form_pg_sequence_data) GETSTRUCT(tuple);

	START_CRIT_SECTION();
	MarkBufferDirty(buffer);
	form->last_value = value;
	form->is_called = true;
	form->log_cnt = 0;
	if (RelationNeedsWAL(rel))
	{
		xl_seq_rec	record;
		XLogRecPtr	lsn;

		XLogBeginInsert();
		XLogRegisterBuffer(0, buffer, REGBUF_WILL_INIT);
		record.mx_xl_locator = mx_locator(rel);
		XLogRegisterData((char *) &record, sizeof(xl_seq_rec));
		XLogRegisterData((char *) tuple->t_data, tuple->t_len);
		lsn = XLogInsert(RM_SEQ_ID, XLOG_SEQ_LOG);
		PageSetLSN(BufferGetPage(buffer), lsn);
	}
	END_CRIT_SECTION();
}
