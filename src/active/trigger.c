/*-------------------------------------------------------------------------
 *
 * trigger.c
 *		The triggers of the view of active samples.
 *
 * src/active/trigger.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_trigger.h"
#include "utils/rel.h"

#include "active/active.h"

PG_FUNCTION_INFO_V1(metaxy_write_active);

static void begin(TriggerData *trigger);
static void end(TriggerData *trigger);
static HeapTuple do_row(TriggerData *trigger);
static MxStatement *require_statement(TriggerData *trigger);
static bool has_triggers(TriggerData *trigger);

/*
 * metaxy_write_active() returns trigger
 *
 * Three triggers of a view call it: BEFORE and AFTER each statement, INSTEAD
 * OF each row.  INSERT appends a row, UPDATE a new version of each sample,
 * DELETE a tombstone; nothing is ever changed or removed.  It all happens with
 * the rights of the caller on the table.
 *
 * UPDATE and DELETE take their turn as metaxy_delete() does: they wait for
 * writers in flight, and 40001 where the latest row of a sample is no longer
 * the one that the statement saw.  A sample that is written to a second time
 * on the way, by a trigger say, is 21000.
 */
Datum
metaxy_write_active(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	result = NULL;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger",
						"metaxy_write_active")));
	if (TRIGGER_FIRED_INSTEAD(trigger->tg_event))
		result = do_row(trigger);
	else if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		begin(trigger);
	else
		end(trigger);
	return PointerGetDatum(result);
}

static void
begin(TriggerData *trigger)
{
	MxStatement *statement;

	if (!has_triggers(trigger))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("view \"%s\" does not have its own triggers alone, each once",
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("Drop the views with metaxy_views(), and create them again.")));
	SPI_connect();
	statement = mx_statement_find(trigger);
	if (statement == NULL)
		statement = mx_statement_begin(trigger);
	statement->pending++;
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		statement->inserts = true;
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		statement->updates = true;
	else
		statement->deletes = true;
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		mx_statement_take_turn(statement);
	SPI_finish();
}

static void
end(TriggerData *trigger)
{
	MxStatement *statement = require_statement(trigger);

	if (--statement->pending > 0)
		return;
	SPI_connect();
	mx_active_finish(statement);
	SPI_finish();
	mx_statement_end(statement);
}

/*
 * What the statement is told to have done: NULL, nothing.
 */
static HeapTuple
do_row(TriggerData *trigger)
{
	MxStatement *statement = require_statement(trigger);

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return mx_active_insert(statement, trigger);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return mx_active_update(statement, trigger);
	if (!mx_met(statement, &statement->deleted, trigger->tg_trigtuple,
				RelationGetDescr(trigger->tg_relation)))
		return NULL;
	return trigger->tg_trigtuple;
}

static MxStatement *
require_statement(TriggerData *trigger)
{
	MxStatement *statement = mx_statement_find(trigger);

	if (statement == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("view \"%s\" is written to without all of its triggers",
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("Call metaxy_views() to create them again.")));
	return statement;
}

/*
 * Will each of our three triggers be called, and once?  The last one does most
 * of the work.
 */
static bool
has_triggers(TriggerData *trigger)
{
	TriggerDesc *desc = trigger->tg_relation->trigdesc;
	Oid			function = trigger->tg_trigger->tgfoid;
	int			begins = 0;
	int			rows = 0;
	int			ends = 0;

	for (int i = 0; i < desc->numtriggers; i++)
	{
		const Trigger *other = &desc->triggers[i];

		if (other->tgfoid != function)
			continue;
		if (other->tgqual != NULL || other->tgenabled == TRIGGER_DISABLED ||
			!TRIGGER_FOR_INSERT(other->tgtype) ||
			!TRIGGER_FOR_UPDATE(other->tgtype) ||
			!TRIGGER_FOR_DELETE(other->tgtype))
			return false;
		if (TRIGGER_FOR_INSTEAD(other->tgtype))
			rows++;
		else if (TRIGGER_FOR_BEFORE(other->tgtype))
			begins++;
		else
			ends++;
	}
	return begins == 1 && rows == 1 && ends == 1;
}
