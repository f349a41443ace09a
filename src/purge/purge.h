/*-------------------------------------------------------------------------
 *
 * purge.h
 *		A purge on its way: what it is to do, what it found, what is done.
 *
 * ready.c locks and checks, find.c finds under one snapshot what goes, look.c
 * looks again at the samples of a batch, batch.c removes a batch at a time,
 * purge.c leads through all that and commits in between, retain.c keeps the
 * wishes and applies all of them.
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

	MxFeature  *feature;		/* as it was when the purge looked */
	List	   *versions;		/* char *, of the table's rows, where versioned */
	bool		found;			/* else to be found, again maybe */
	MxStore    *ids;			/* samples that go whole: ids, number of rows */
	uint64		storage;		/* where the table's rows were stored */
	MxStore    *rows;			/* superseded rows, see MxPurgeColumn */

	TimestampTz stamp;			/* of the ledger's entry */
	int64		deletion_id;	/* 0: not written yet */
	int64		samples;		/* what is done */
	int64		nrows;
	int64		bytes;
} MxPurge;

/* what is known of a row that goes */
enum MxPurgeColumn
{
	MX_PURGE_TABLE,
	MX_PURGE_PLACE,
	MX_PURGE_WRITER,			/* xmin */
	MX_PURGE_RECENCY,
	MX_PURGE_GUARD,				/* tombstone that goes after what it hides */
	MX_PURGE_LAST				/* the one that decides about its sample */
};

/* in ready.c */
extern bool mx_purge_prepare(MxPurge *purge);

/* in find.c */
extern void mx_purge_find(MxPurge *purge);

/* in look.c */
extern void mx_purge_look(const MxPurge *purge, const MxStore *ids,
						  MxRowHook hook, void *arg);
extern List *mx_purge_versions(const MxPurge *purge);
extern void mx_purge_append_same(StringInfo sql, const MxFeature *feature);
extern void mx_purge_append_bytes(StringInfo sql, const MxFeature *feature,
								  const char *ref);

/* in batch.c */
extern bool mx_purge_batch(MxPurge *purge);
extern void mx_purge_note(MxPurge *purge);
extern void mx_purge_set(const char *name, const char *value);

/* in purge.c */
extern TimestampTz mx_purge_cutoff(Interval *older_than, const char *name);
extern bool mx_purge_step(MxPurge *purge);
extern void mx_purge_end(MxPurge *purge);
extern void mx_purge_transaction(void);

#endif							/* MX_PURGE_H */
