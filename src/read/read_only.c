/*-------------------------------------------------------------------------
 *
 * read_only.c
 *		Keeps the views from being written through.
 *
 * src/read/read_only.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/rel.h"

#include "read/read.h"

PG_FUNCTION_INFO_V1(metaxy_read_only);

/*
 * metaxy_read_only() returns trigger
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
			 errhint("Insert into the table itself; delete with metaxy_delete().")));
	PG_RETURN_NULL();			/* keep compiler quiet */
}

/*
 * Gives the trigger to a view that lacks it; returns false if it has it.
 * Called as the view's owner.
 */
bool
mx_view_guard(Oid view)
{
	if (OidIsValid(get_trigger_oid(view, "metaxy_read_only", true)))
		return false;
	mx_utility("CREATE TRIGGER metaxy_read_only"
			   " INSTEAD OF INSERT OR UPDATE OR DELETE ON %s"
			   " FOR EACH ROW EXECUTE FUNCTION %s.metaxy_read_only()",
			   mx_relation_name(view), mx_schema());
	return true;
}
