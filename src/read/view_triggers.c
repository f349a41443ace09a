/*-------------------------------------------------------------------------
 *
 * view_triggers.c
 *		Keeps rows from being changed through the views.
 *
 * src/read/view_triggers.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/rel.h"

#include "read/read.h"

PG_FUNCTION_INFO_V1(metaxy_read_only);

static bool create_trigger(Oid view, const char *name, const char *when,
						   const char *level, const char *function);

/*
 * metaxy_read_only() returns trigger, of the views of latest and deleted samples
 *
 * The server takes a query as plain as a view's for one that it may change
 * rows through: a DELETE would remove the latest row, and the one before it
 * would be seen again.  This trigger of the views refuses that, with the code
 * that the server gives for other views.
 */
Datum
metaxy_read_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"metaxy_read_only\" must be called as a trigger")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot change rows through view \"%s\"",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("Write to the table, or to the view of active samples.")));
	PG_RETURN_NULL();			/* keep compiler quiet */
}

/*
 * Gives a view the triggers that it lacks; returns false if it has them all.
 * Called as the view's owner.
 *
 * Through the view of active samples rows can be appended.
 */
bool
mx_view_guard(Oid view, MxLatest which)
{
	bool		changed = false;

	if (which != MX_ACTIVE)
		return create_trigger(view, "metaxy_read_only",
							  "INSTEAD OF", "ROW", "metaxy_read_only");
	changed |= create_trigger(view, "metaxy_active_begin", "BEFORE",
							  "STATEMENT", "metaxy_write_active");
	changed |= create_trigger(view, "metaxy_active_row", "INSTEAD OF",
							  "ROW", "metaxy_write_active");
	changed |= create_trigger(view, "metaxy_active_end", "AFTER",
							  "STATEMENT", "metaxy_write_active");
	return changed;
}

static bool
create_trigger(Oid view, const char *name, const char *when,
			   const char *level, const char *function)
{
	if (OidIsValid(get_trigger_oid(view, name, true)))
		return false;
	mx_utility("CREATE TRIGGER %s %s INSERT OR UPDATE OR DELETE ON %s"
			   " FOR EACH %s EXECUTE FUNCTION %s.%s()",
			   name, when, mx_relation_name(view), level, mx_schema(),
			   function);
	return true;
}
