/*-------------------------------------------------------------------------
 *
 * active.h
 *		INSERT, UPDATE, DELETE and MERGE on the view of active samples.
 *
 *		trigger.c is called for each statement and each row, statement.c keeps
 *		what belongs to one statement, met.c which samples it has met, rows.c
 *		writes the rows that are inserted or updated, finish.c does what can
 *		only be done when all rows are known.
 *
 * src/active/active.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_ACTIVE_H
#define MX_ACTIVE_H

#include "commands/trigger.h"
#include "executor/spi.h"
#include "nodes/bitmapset.h"

#include "delete/delete.h"

/* the samples of one kind that a statement has met: ids, and the recency */
typedef struct MxMet
{
	MxStore    *keys;
	uint64		sum;			/* of hashes of ids and recencies */
} MxMet;

/* an INSERT of one row, prepared for one set of columns */
typedef struct MxInsert
{
	SPIPlanPtr	plan;			/* saved */
	Bitmapset  *columns;		/* of the view, from 1 */
	bool		copies;			/* of a row: with values of identity columns */
} MxInsert;

/*
 * One statement: one operation with one stamp.  MERGE, or several commands on
 * the same view in a WITH, count as one.
 */
typedef struct MxStatement
{
	struct MxStatement *next;

	/* which one it is: see mx_statement_find */
	Oid			view;
	int			depth;
	CommandId	command;
	Oid			user;
	SubTransactionId subid;

	int			pending;		/* commands that have begun and not ended */
	bool		inserts;
	bool		updates;
	bool		deletes;

	MemoryContext context;
	MxDelete	delete;			/* of one step */
	MxRequest	request;
	MxPlan		plan;
	MxStep		step;
	MxTurn		turn;
	bool		in_turn;		/* waited for writers */

	TupleTableSlot *key;		/* ids and recency of a row at hand */
	struct seen_hash *seen;		/* samples that were met */
	MxMet		updated;
	MxMet		deleted;
	int64		ninserted;

	Bitmapset  *generated;		/* columns of the view, from 1: generated */
	Bitmapset  *defaulted;		/* ... that a null is not written to */
	Bitmapset  *copied;			/* ... that a new version takes over */
	List	   *plans;			/* of MxInsert *, see insert.c */
	bool		may_select;		/* what was written can be given back */
} MxStatement;

/* in statement.c */
extern MxStatement *mx_statement_find(TriggerData *trigger);
extern MxStatement *mx_statement_begin(TriggerData *trigger);
extern void mx_statement_take_turn(MxStatement *statement);
extern void mx_statement_stamp(MxStatement *statement);
extern void mx_statement_end(MxStatement *statement);
extern const MxFeature *mx_statement_feature(const MxStatement *statement);
extern void mx_stale_view(Relation view) pg_attribute_noreturn();

/* in met.c */
extern void mx_met_start(MxStatement *statement, Relation view);
extern bool mx_met(MxStatement *statement, MxMet *met, HeapTuple row,
				   TupleDesc desc);
extern void mx_changed_meanwhile(const MxFeature *feature) pg_attribute_noreturn();

/* a row of the view, taken apart */
typedef struct MxRow
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
} MxRow;

/* in insert.c */
extern bool mx_active_append(MxStatement *statement, const MxRow *row,
							 Bitmapset *columns, bool copies,
							 HeapTuple *written);
extern void mx_active_free(MxStatement *statement);

/* in rows.c */
extern HeapTuple mx_active_insert(MxStatement *statement, TriggerData *trigger);
extern HeapTuple mx_active_update(MxStatement *statement, TriggerData *trigger);

/* in finish.c */
extern void mx_active_finish(MxStatement *statement);

#endif							/* MX_ACTIVE_H */
