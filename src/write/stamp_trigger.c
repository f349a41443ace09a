/*-------------------------------------------------------------------------
 *
 * stamp_trigger.c
 *		The stamping trigger of a table: whether it is there and as it must be,
 *		how it comes and goes.
 *
 * src/write/stamp_trigger.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "write/write.h"

static bool has_own_stamp(Relation rel);
static void check_other(Relation rel, const Trigger *trigger);

/*
 * Is it this trigger?  The extension may share its schema with others.
 */
bool
mx_is_stamp_trigger(const Trigger *trigger)
{
	char	   *function;

	if (strcmp(trigger->tgname, MX_STAMP_TRIGGER) != 0 ||
		trigger->tgtype != (TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE |
							TRIGGER_TYPE_INSERT))
		return false;
	function = get_func_name(trigger->tgfoid);
	return function != NULL && strcmp(function, "metaxy_stamp") == 0 &&
		get_func_namespace(trigger->tgfoid) == mx_schema_oid();
}

/*
 * Has the table the trigger, as it must be, and each partition of it?
 *
 * Looks at partitions without keeping a lock on them.
 */
bool
mx_has_stamp(Relation rel)
{
	List	   *relids;
	ListCell   *lc;

	if (!has_own_stamp(rel))
		return false;
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return true;

	relids = find_all_inheritors(RelationGetRelid(rel), NoLock, NULL);
	foreach(lc, relids)
	{
		Relation	child = try_relation_open(lfirst_oid(lc), AccessShareLock);
		bool		found;

		if (child == NULL)
			continue;
		found = child->rd_rel->relkind == RELKIND_FOREIGN_TABLE ||
			has_own_stamp(child);
		relation_close(child, AccessShareLock);
		if (!found)
			return false;
	}
	return true;
}

/*
 * It fires always: rows that are replicated must raise the clock.
 */
static bool
has_own_stamp(Relation rel)
{
	TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		const Trigger *trigger = &desc->triggers[i];

		if (mx_is_stamp_trigger(trigger) &&
			trigger->tgenabled == TRIGGER_FIRES_ALWAYS &&
			trigger->tgqual == NULL)
			return true;
	}
	return false;
}

/*
 * Gives the table its trigger; partitions get it from there.  Called as the
 * table's owner, with the lock that it takes.
 */
void
mx_stamp_create(Oid relid)
{
	char	   *table = mx_relation_name(relid);
	Relation	rel = table_open(relid, NoLock);

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
		check_other(rel, &rel->trigdesc->triggers[i]);
	table_close(rel, NoLock);

	mx_utility("CREATE OR REPLACE TRIGGER " MX_STAMP_TRIGGER
			   " BEFORE INSERT ON %s FOR EACH ROW"
			   " EXECUTE FUNCTION %s.metaxy_stamp()", table, mx_schema());
	mx_utility("ALTER TABLE %s ENABLE ALWAYS TRIGGER " MX_STAMP_TRIGGER, table);
}

/*
 * Another trigger must not have our name, and ours should come last.
 */
static void
check_other(Relation rel, const Trigger *trigger)
{
	int			order = strcmp(trigger->tgname, MX_STAMP_TRIGGER);

	if (mx_is_stamp_trigger(trigger))
		return;
	if (order == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("trigger \"%s\" for relation \"%s\" already exists",
						trigger->tgname, RelationGetRelationName(rel)),
				 errdetail("The trigger that stamps rows needs this name."),
				 errhint("Rename or drop it.")));
	if (order > 0 && TRIGGER_FOR_ROW(trigger->tgtype) &&
		TRIGGER_FOR_BEFORE(trigger->tgtype) &&
		TRIGGER_FOR_INSERT(trigger->tgtype))
		ereport(WARNING,
				(errmsg("trigger \"%s\" of relation \"%s\" fires after rows have been stamped",
						trigger->tgname, RelationGetRelationName(rel)),
				 errhint("Rename it if it changes rows; triggers fire in the order of their names.")));
}

/*
 * Takes the trigger away, if it is there and the caller may.  One that stays
 * passes rows through.
 */
void
mx_stamp_drop(Oid relid)
{
	if (!OidIsValid(relid) || get_rel_name(relid) == NULL ||
		!OidIsValid(get_trigger_oid(relid, MX_STAMP_TRIGGER, true)))
		return;
	if (mx_owns_relation(relid, GetUserId()))
		mx_utility("DROP TRIGGER " MX_STAMP_TRIGGER " ON %s",
				   mx_relation_name(relid));
}
