/*-------------------------------------------------------------------------
 *
 * delete.c
 *		metaxy_delete: parse, check, plan, find, write, report.
 *		
 *		The way of a call through this folder is the body of run_delete.
 *
 * src/delete/delete.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "foreign/fdwapi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "delete/delete.h"

/* columns of the result */
#define NRESULT 9

static void run_delete(MxDelete *delete);
static void end_stores(MxPlan *plan);
static MxRegistry *load_registry(const MxRequest *request);
static void lock_tables(MxDelete *delete);
static void check_step(MxDelete *delete, MxStep *step);
static void check_edges(const MxDelete *delete);
static void check_rights(const MxDelete *delete, const MxFeature *feature,
						 Relation rel);
static bool may_write(const MxDelete *delete, const MxFeature *feature,
					  Relation rel);
static void check_can_remove(Relation rel);
static void plan_execution(MxDelete *delete);
static void warn_outside(const MxDelete *delete);
static char *make_digest(const MxDelete *delete);
static void check_expectations(const MxDelete *delete);
static TimestampTz make_stamp(const MxDelete *delete);
static void report(const MxDelete *delete, ReturnSetInfo *result);

PG_FUNCTION_INFO_V1(metaxy_delete);

/*
 * metaxy_delete(feature text | features text[], filter text | filters text[],
 * soft, cascade, dry_run, with_feature_history, with_sample_history,
 * feature_version, all_rows, partial, reason, max_samples, expect)
 *
 * Returns one row per feature in the order of execution.  Runs as the caller.
 * Takes ROW EXCLUSIVE on the tables of all features that take part, in the
 * order of their OIDs; a dry run ACCESS SHARE.  The errors are listed in the
 * documentation of each option.
 */
Datum
metaxy_delete(PG_FUNCTION_ARGS)
{
	MxDelete	delete = {0};

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	delete.request = mx_delete_request(fcinfo);
	if (!delete.request->dry_run)
		PreventCommandIfReadOnly("metaxy_delete()");
	run_delete(&delete);
	report(&delete, (ReturnSetInfo *) fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}

/*
 * The delete itself.  Everything is found, and checked, before anything is
 * written; what is found belongs to one snapshot, taken after the locks.
 */
static void
run_delete(MxDelete *delete)
{
	const MxRequest *request = delete->request;
	MxPlan	   *plan;

	delete->registry = load_registry(request);
	delete->plan = plan = mx_plan(delete->registry, request);
	delete->kilobytes = Max(64, work_mem / plan->nsteps);
	lock_tables(delete);
	for (int i = 0; i < plan->nsteps; i++)
		check_step(delete, &plan->steps[i]);
	check_edges(delete);
	plan_execution(delete);
	warn_outside(delete);

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!request->soft && request->sample_history && request->filters != NIL)
		mx_find_history(delete);
	else
	{
		mx_find(delete);
		mx_find_rows(delete);
	}
	delete->digest = make_digest(delete);
	check_expectations(delete);

	if (!request->dry_run)
	{
		delete->stamp = make_stamp(delete);
		for (int i = 0; i < plan->nsteps; i++)
		{
			MxStep	   *step = &plan->steps[plan->execution[i]];

			CHECK_FOR_INTERRUPTS();
			if (step->nrows == 0)
				continue;
			if (request->soft)
				mx_soft_delete(delete, step);
			else
				mx_hard_delete(delete, step);
		}
		mx_ledger_write(delete);
	}
	/* held until now, so that no place was given to another row */
	PopActiveSnapshot();
	end_stores(plan);
}

/*
 * Gives back what was found.  After an error the transaction does it.
 */
static void
end_stores(MxPlan *plan)
{
	for (int i = 0; i < plan->nsteps; i++)
	{
		MxStep	   *step = &plan->steps[i];

		if (step->rows != NULL && step->rows != step->doomed)
			mx_store_end(step->rows);
		if (step->doomed != NULL)
			mx_store_end(step->doomed);
		if (step->seeds != NULL)
			mx_store_end(step->seeds);
	}
}

/*
 * What the request needs of the registry: all of it, but for a single feature
 * without its neighbours.
 */
static MxRegistry *
load_registry(const MxRequest *request)
{
	MxRegistry *registry;

	if (request->cascade != MX_CASCADE_NONE ||
		list_length(request->features) > 1)
		return mx_registry_load();

	registry = palloc0(sizeof(MxRegistry));
	registry->nfeatures = 1;
	registry->features = mx_feature_require(linitial(request->features));
	registry->graph = mx_graph_build(1, 0, NULL, NULL);
	return registry;
}

/*
 * Locks the tables of all steps in the order of their OIDs, as DML would, and
 * like it not before the caller is known to have some right on them.  A table
 * that is gone by then leaves its feature without one.
 */
static void
lock_tables(MxDelete *delete)
{
	LOCKMODE	mode = delete->request->dry_run ? AccessShareLock :
		RowExclusiveLock;
	List	   *relids = NIL;
	ListCell   *lc;

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		MxStep	   *step = &delete->plan->steps[i];
		Oid			relid = delete->registry->features[step->feature].relid;

		if (OidIsValid(relid))
			relids = lappend_oid(relids, relid);
	}
	list_sort(relids, list_oid_cmp);
	foreach(lc, relids)
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
 * Is the step's table still what it was when it was registered, may the
 * caller do this to it, and do the filters fit?
 */
static void
check_step(MxDelete *delete, MxStep *step)
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
				(errmsg("feature \"%s\" has no table, nothing is deleted there",
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
	if (!request->soft)
		check_can_remove(rel);
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
 * Policies must not make a delete silently partial, and a dry run says what
 * the caller would lack.  All else the server itself checks where it happens.
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
				 errhint("Only its owner, or a role that bypasses row-level security, can delete hard or cascade here.")));

	if (request->dry_run && !may_write(delete, feature, rel))
		ereport(NOTICE,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
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

/*
 * The order of execution; a hard delete asks the foreign keys.
 */
static void
plan_execution(MxDelete *delete)
{
	int		   *first = NULL;
	int		   *second = NULL;
	int			npairs = 0;

	if (!delete->request->soft)
		npairs = mx_foreign_keys(delete, &first, &second);
	mx_plan_execution(delete->plan, delete->request, delete->registry,
					  npairs, first, second);
}

/*
 * One warning that names every feature outside that loses what it needs.
 */
static void
warn_outside(const MxDelete *delete)
{
	const MxPlan *plan = delete->plan;
	StringInfoData names;

	if (plan->noutside == 0)
		return;
	initStringInfo(&names);
	for (int i = 0; i < plan->noutside; i++)
		appendStringInfo(&names, "%s\"%s\"", i == 0 ? "" : ", ",
						 delete->registry->features[plan->outside[i]].key);
	ereport(WARNING,
			(errmsg("features outside this delete depend on features inside it"),
			 errdetail("Their samples stay: %s.", names.data)));
}

/*
 * Hash of all doomed samples and their latest rows, over all features.
 */
static char *
make_digest(const MxDelete *delete)
{
	uint64		digest = 0;

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		const MxStep *step = &delete->plan->steps[i];
		const char *key = delete->registry->features[step->feature].key;
		uint64		hash = hash_bytes_extended((unsigned char *) key,
											   strlen(key), step->digest);

		hash = hash_combine64(hash, (uint64) step->samples);
		digest += hash_combine64(hash, (uint64) step->nrows);
	}
	return psprintf("%016llx", (unsigned long long) digest);
}

/*
 * max_samples and expect: the caller's own limits.
 */
static void
check_expectations(const MxDelete *delete)
{
	const MxRequest *request = delete->request;
	int64		samples = 0;

	for (int i = 0; i < delete->plan->nsteps; i++)
		samples += delete->plan->steps[i].samples;
	if (request->max_samples >= 0 && samples > request->max_samples)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("delete of %lld samples exceeds the limit of %lld",
						(long long) samples, (long long) request->max_samples)));
	if (request->expect != NULL &&
		strcmp(request->expect, delete->digest) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the delete is not the expected one"),
				 errdetail("Its digest is \"%s\", not \"%s\".",
						   delete->digest, request->expect),
				 errhint("Rows have changed since; look at a new dry run.")));
}

/*
 * One stamp for the whole operation, above all that it hides.
 */
static TimestampTz
make_stamp(const MxDelete *delete)
{
	TimestampTz stamp = GetCurrentTimestamp();

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		const MxStep *step = &delete->plan->steps[i];

		if (step->samples == 0 || step->newest < stamp)
			continue;
		if (TIMESTAMP_NOT_FINITE(step->newest) ||
			!IS_VALID_TIMESTAMP(step->newest + 1))
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
					 errmsg("a row of feature \"%s\" is dated too far ahead to be deleted",
							delete->registry->features[step->feature].key)));
		stamp = step->newest + 1;
	}
	return stamp;
}

/*
 * The result: one row for each step, as it was or would be executed.
 */
static void
report(const MxDelete *delete, ReturnSetInfo *result)
{
	bool		dry_run = delete->request->dry_run;

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		const MxStep *step = &delete->plan->steps[delete->plan->execution[i]];
		const MxFeature *feature = &delete->registry->features[step->feature];
		Datum		values[NRESULT] = {0};
		bool		nulls[NRESULT] = {0};

		values[0] = Int32GetDatum(i + 1);
		values[1] = CStringGetTextDatum(feature->key);
		values[2] = ObjectIdGetDatum(feature->relid);
		nulls[2] = !OidIsValid(feature->relid);
		values[3] = Int64GetDatum(step->samples);
		values[4] = Int64GetDatum(step->nrows);
		values[5] = Int64GetDatum(step->stale);
		values[6] = Int64GetDatum(delete->deletion_id);
		values[7] = TimestampTzGetDatum(delete->stamp);
		nulls[6] = nulls[7] = dry_run;
		values[8] = CStringGetTextDatum(delete->digest);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}
