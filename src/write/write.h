/*-------------------------------------------------------------------------
 *
 * write.h
 *		Rows on their way into feature tables, and how deletes meet them.
 *
 *		stamp.c is the trigger that stamps each row, stamp_trigger.c puts it on
 *		tables; target.c knows which feature a table belongs to; writer.c keeps what this transaction has
 *		written; turn.c lets a delete wait for writers without stopping them.
 *
 * src/write/write.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_WRITE_H
#define MX_WRITE_H

#include "access/transam.h"
#include "storage/lock.h"
#include "utils/snapshot.h"

#include "read/read.h"

/*
 * in target.c: what a session remembers of a table that is written to
 *
 * Valid until the next invalidation; a statement copies what it needs.
 */
typedef struct MxTarget
{
	Oid			relid;			/* key: the table, or a partition of it */
	bool		valid;
	Oid			table;			/* the feature's table; InvalidOid: none */
	char	   *version;		/* NULL: not versioned */
} MxTarget;

extern const MxTarget *mx_target(Oid relid);

/*
 * in writer.c: this transaction as a writer
 *
 * The lock of a feature belongs to the extension: nothing of the server takes
 * it.  Writers share it, deletes exclude each other by it, and a delete waits
 * for those who hold it.
 */
typedef struct MxWriter
{
	Oid			table;			/* the feature's */
	SubTransactionId locked_in; /* InvalidSubTransactionId: not locked */
} MxWriter;

#define MX_WRITER_LOCK	RowExclusiveLock
#define MX_DELETE_LOCK	ShareUpdateExclusiveLock

extern void mx_writer_init(void);
extern MxWriter *mx_writer(Oid table);
extern void mx_writer_enter(MxWriter *writer, Oid clock);
extern TimestampTz mx_writer_stamp(Oid clock);
extern bool mx_writer_stamped_after(TimestampTz stamp);
extern void mx_writer_saw(TimestampTz recency, Oid clock);
extern TimestampTz mx_writer_raise(TimestampTz target, Oid clock);
extern void mx_feature_locktag(LOCKTAG *tag, Oid table);

/* stamp of the operation whose rows are being written now, or 0 */
extern TimestampTz mx_operation_stamp;

extern uint64 mx_write_stamped(TimestampTz stamp, uint64 (*write) (void *arg),
							   void *arg);

/* in stamp_trigger.c */
#define MX_STAMP_TRIGGER	"zzzz_metaxy_stamp"

extern bool mx_is_stamp_trigger(const Trigger *trigger);
extern bool mx_has_stamp(Relation rel);
extern void mx_stamp_create(Oid relid);
extern void mx_stamp_drop(Oid relid);

/*
 * in turn.c: one operation among those that write
 */
typedef struct MxTurn
{
	Oid			clock;
	List	   *tables;			/* OIDs, ascending */
	TimestampTz stamp;			/* of the operation, above all that it saw */
	Snapshot	before;			/* what was there before it had its stamp */
	Snapshot	now;			/* what is there now that writers have ended */
} MxTurn;

extern void mx_turn_begin(MxTurn *turn, List *tables, Snapshot before,
						  TimestampTz stamp);
extern void mx_turn_watch(MxTurn *turn, List *tables);
extern void mx_turn_again(MxTurn *turn, TimestampTz target);
extern bool mx_turn_saw(const MxTurn *turn, TransactionId writer);
extern void mx_turn_end(MxTurn *turn);

#endif							/* MX_WRITE_H */
