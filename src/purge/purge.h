/*-------------------------------------------------------------------------
 *
 * purge.h
 *		A purge on its way: what it is to do, what it found, what is done.
 *
 * ready.c locks and checks, find.c finds the rows under one snapshot, batch.c
 * removes them a batch at a time, purge.c leads through both and commits in
 * between, retain.c keeps the wishes and applies all of them.
 *
 * src/purge/purge.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_PURGE_H
#define MX_PURGE_H

#include "delete/delete.h"
#include "utils/timestamp.h"

/* a batch is never larger, whatever was asked for */
#define MX_PURGE_MAX_BATCH	1000000

/* lives in the context of the call, which survives its commits */
typedef struct MxPurge
{
	MemoryContext context;		/* that of the call */
	MemoryContext step;			/* and one that each transaction empties */
	const char *key;
	Interval   *older_than;
	TimestampTz cutoff;			/* what is older goes */
	bool		whole;			/* samples that are deleted */
	bool		history;		/* superseded rows */
	bool		dry_run;
	int			batch_size;

	MxFeature  *feature;		/* as it was when the rows were found */
	List	   *versions;		/* char *, of the table's rows, where versioned */
	uint64		storage;		/* and where the table's rows were stored */
	MxStore    *rows;			/* NULL: to be found, again maybe */

	TimestampTz stamp;			/* of the ledger's entry */
	int64		deletion_id;	/* 0: not written yet */
	int64		samples;		/* what is done */
	int64		nrows;
	int64		bytes;
} MxPurge;

/* columns of MxPurge.rows, in this order */
enum MxPurgeColumn
{
	MX_PURGE_TABLE,
	MX_PURGE_PLACE,
	MX_PURGE_WRITER,			/* xmin */
	MX_PURGE_RECENCY,
	MX_PURGE_GUARD,				/* tombstone that goes after what it hides */
	MX_PURGE_LAST,				/* the one that decides about its sample */
	MX_PURGE_BYTES
};

#define MX_PURGE_NCOLUMNS	(MX_PURGE_BYTES + 1)

/* in ready.c */
extern bool mx_purge_prepare(MxPurge *purge);

/* in find.c */
extern void mx_purge_find(MxPurge *purge);

/* in batch.c */
extern bool mx_purge_batch(MxPurge *purge);
extern void mx_purge_note(MxPurge *purge);

/* in purge.c */
extern TimestampTz mx_purge_cutoff(Interval *older_than, const char *name);
extern bool mx_purge_step(MxPurge *purge);
extern void mx_purge_end(MxPurge *purge);
extern void mx_purge_transaction(void);

#endif							/* MX_PURGE_H */
