/*-------------------------------------------------------------------------
 *
 * check.c
 *		Locks the tables of a delete, and looks whether all is in order: the
 *		tables, the caller's rights, the filters.
 *
 * src/delete/check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "delete/delete.h"

static void check_step(const MxDelete *delete, const MxStep *step);
static void check_edges(const MxDelete *delete);
static void check_rights(const MxDelete *delete, const MxFeature *feature,
						 Relation rel);
static bool may_write(const MxDelete *delete, const MxFeature *feature,
					  Relation rel);
static void check_can_remove(Relation rel);

/*
 * The tables of all steps, ascending.
 */
List *
mx_step_tables(const MxDelete *delete)
{
	List	   *relids = NIL;

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		MxStep	   *step = &delete->plan->steps[i];
		Oid			relid = delete->registry->features[step->feature].relid;

		if (OidIsValid(relid))
			relids = lappend_oid(relids, relid);
	}
	list_sort(relids, list_oid_cmp);
	return relids;
}

/*
 * The keys of all steps, in the order of the steps.
 */
List *
mx_step_keys(const MxDelete *delete)
{
	List	   *keys = NIL;

	for (int i = 0; i < delete->plan->nsteps; i++)
		keys = lappend(keys, delete->registry->features[delete->plan->steps[i].feature].key);
	return keys;
}

/*
 * Locks the tables of all steps in the order of their OIDs, as DML would, and
 * like it not before the caller is known to have some right on them.  A table
 * that is gone by then leaves its feature without one.
 */
void
mx_lock_tables(MxDelete *delete)
{
	LOCKMODE	mode = delete->request->dry_run ? AccessShareLock :
	RowExclusiveLock;
	ListCell   *lc;

	foreach(lc, mx_step_tables(delete))
	{
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			mx_require_select(lfirst_oid(lc));
		LockRelationOid(lfirst_oid(lc), mode);
	}

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		MxStep	   *step = &delete->plan->steps[i];
		MxFeature  *feature = &delete->registry->features[step->feature];

		if (OidIsValid(feature->relid) &&
			!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(feature->relid)))
			feature->relid = InvalidOid;
	}
}

/*
 * Raises an error unless everything about the tables, the caller's rights and
 * the filters is in order.
 */
void
mx_check_delete(const MxDelete *delete)
{
	for (int i = 0; i < delete->plan->nsteps; i++)
		check_step(delete, &delete->plan->steps[i]);
	check_edges(delete);
}

/*
 * Is the step's table still what it was when it was registered, may the
 * caller do this to it, and do the filters fit?
 */
static void
check_step(const MxDelete *delete, const MxStep *step)
{
	const MxRequest *request = delete->request;
	const MxFeature *feature = &delete->registry->features[step->feature];
	Relation	rel;
	ListCell   *lc;

	if (!OidIsValid(feature->relid))
	{
		if (step->named)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("feature \"%s\" has no table", feature->key),
					 errhint("Create the table, then call metaxy_register() or metaxy_sync().")));
		ereport(WARNING,
				(request->undoes != 0 ?
				 errmsg("feature \"%s\" has no table, nothing is restored there",
						feature->key) :
				 errmsg("feature \"%s\" has no table, nothing is deleted there",
						feature->key)));
		return;
	}

	rel = table_open(feature->relid, NoLock);
	mx_check_columns(feature, rel);
	if (step->named && request->version != NULL && feature->version == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature \"%s\" is not versioned", feature->key),
				 errhint("Leave out \"feature_version\".")));
	check_rights(delete, feature, rel);
	if (mx_has_rule(rel, request->soft ? CMD_INSERT : CMD_DELETE))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 request->undoes != 0 ?
				 errmsg("cannot undelete in relation \"%s\"",
						RelationGetRelationName(rel)) :
				 errmsg("cannot delete from relation \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("It has a rule ON %s.",
						   request->soft ? "INSERT" : "DELETE"),
				 errhint("Drop the rule, or use a trigger instead.")));
	if (!request->soft)
		check_can_remove(rel);
	if (step->named && request->orphans)
		mx_check_orphans(delete->registry, feature->key);
	if (step->named)
	{
		foreach(lc, request->filters)
			mx_filter_check(lfirst(lc), rel);
	}
	table_close(rel, NoLock);
}

/*
 * Do the edges inside the plan still join what they did?
 */
static void
check_edges(const MxDelete *delete)
{
	const MxRegistry *registry = delete->registry;
	bool	   *member = palloc0(sizeof(bool) * registry->nfeatures);

	for (int i = 0; i < delete->plan->nsteps; i++)
		member[delete->plan->steps[i].feature] = true;
	for (int i = 0; i < registry->ndependencies; i++)
	{
		const MxDependency *dependency = &registry->dependencies[i];

		if (member[dependency->feature] && member[dependency->upstream])
			mx_check_edge(&registry->features[dependency->feature],
						  &registry->features[dependency->upstream],
						  dependency);
	}
}

/*
 * Policies must not make a delete silently partial.  The privilege to write is
 * asked for though there may be nothing to delete, for the ledger is written
 * then too; a dry run says what the caller would lack.  All else the server
 * itself checks where it happens.
 */
static void
check_rights(const MxDelete *delete, const MxFeature *feature, Relation rel)
{
	const MxRequest *request = delete->request;

	if ((request->cascade != MX_CASCADE_NONE || !request->soft) &&
		mx_rls_applies(feature->relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security on relation \"%s\" would make this delete partial",
						get_rel_name(feature->relid)),
				 errhint("Only a role that row-level security does not apply to can delete hard or cascade here.")));

	if (may_write(delete, feature, rel))
		return;
	if (!request->dry_run)
		aclcheck_error(ACLCHECK_NO_PRIV,
					   get_relkind_objtype(rel->rd_rel->relkind),
					   get_rel_name(feature->relid));
	ereport(NOTICE,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 request->undoes != 0 ?
			 errmsg("the undelete itself would need the INSERT privilege on relation \"%s\"",
					get_rel_name(feature->relid)) :
			 errmsg("the delete itself would need the %s privilege on relation \"%s\"",
					request->soft ? "INSERT" : "DELETE",
					get_rel_name(feature->relid))));
}

/*
 * Has the caller the privilege that the delete itself will need?  INSERT may
 * have been granted column by column.
 */
static bool
may_write(const MxDelete *delete, const MxFeature *feature, Relation rel)
{
	AclMode		mode = delete->request->soft ? ACL_INSERT : ACL_DELETE;
	ListCell   *lc;

	if (pg_class_aclcheck(feature->relid, GetUserId(), mode) == ACLCHECK_OK)
		return true;
	if (!delete->request->soft)
		return false;
	foreach(lc, mx_copied_columns(rel, feature->id_columns))
	{
		if (pg_attribute_aclcheck(feature->relid,
								  get_attnum(feature->relid, lfirst(lc)),
								  GetUserId(), mode) != ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * A hard delete needs a store that can remove rows.
 */
static void
check_can_remove(Relation rel)
{
	FdwRoutine *routine;
	int			events;

	if (rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		return;
	routine = GetFdwRoutineForRelation(rel, false);
	if (routine->IsForeignRelUpdatable != NULL)
		events = routine->IsForeignRelUpdatable(rel);
	else
		events = routine->ExecForeignDelete != NULL ? 1 << CMD_DELETE : 0;
	if ((events & (1 << CMD_DELETE)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot delete rows from foreign table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("Its foreign-data wrapper does not support it.")));
}
