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

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "delete/delete.h"

/* columns of the result */
#define NRESULT 9

static void run_delete(MxDelete *delete);
static void write_steps(MxDelete *delete);
static MxRegistry *load_registry(const MxRequest *request);
static void plan_execution(MxDelete *delete);
static void warn_outside(const MxDelete *delete);
static void check_expectations(const MxDelete *delete);
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
	return mx_delete_call(fcinfo, mx_delete_request);
}

/*
 * A call that deletes what its request says.
 */
Datum
mx_delete_call(FunctionCallInfo fcinfo, MxReadRequest read)
{
	MxDelete	delete = {0};
	MxTurn		turn = {0};

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	delete.request = read(fcinfo);
	delete.make_plan = mx_plan;
	delete.find = mx_find_samples;
	if (!delete.request->dry_run)
	{
		PreventCommandIfReadOnly(delete.request->orphans ?
								 "metaxy_delete_orphans()" :
								 "metaxy_delete()");
		delete.turn = &turn;
	}
	run_delete(&delete);
	report(&delete, (ReturnSetInfo *) fcinfo->resultinfo);
	if (delete.turn != NULL)
		mx_turn_end(delete.turn);
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

	mx_plan_and_lock(delete);
	plan = delete->plan;
	delete->kilobytes = Max(64, work_mem / plan->nsteps);
	mx_check_delete(delete);
	plan_execution(delete);
	warn_outside(delete);

	mx_look(delete);
	check_expectations(delete);
	if (!request->dry_run)
	{
		write_steps(delete);
		mx_ledger_write(delete);
	}
	PopActiveSnapshot();
	mx_look_end(plan);
}

/*
 * Loads what the request needs of the registry, decides which features take
 * part, and locks their tables.  Where anything was changed meanwhile, the
 * registry is asked again; locks that turn out not to be needed are kept.
 */
void
mx_plan_and_lock(MxDelete *delete)
{
	MxRegistry *former = NULL;

	for (;;)
	{
		uint64		counter = SharedInvalidMessageCounter;

		CHECK_FOR_INTERRUPTS();
		delete->registry = load_registry(delete->request);
		if (former != NULL && mx_registry_same(former, delete->registry))
		{
			/* it knows of tables that were gone when they were locked */
			delete->registry = former;
			break;
		}
		delete->plan = delete->make_plan(delete->registry, delete->request);
		mx_lock_tables(delete);
		AcceptInvalidationMessages();
		if (counter == SharedInvalidMessageCounter)
			break;
		former = delete->registry;
	}
}

/*
 * Carries out what was found, in the order of execution.
 */
static void
write_steps(MxDelete *delete)
{
	MxPlan	   *plan = delete->plan;

	for (int i = 0; i < plan->nsteps; i++)
	{
		MxStep	   *step = &plan->steps[plan->execution[i]];

		CHECK_FOR_INTERRUPTS();
		if (step->nrows == 0)
			continue;
		mx_tell_progress("feature %d of %d: %s %lld rows of \"%s\"", i + 1,
						 plan->nsteps,
						 delete->request->soft ? "hiding" : "removing",
						 (long long) step->nrows,
						 delete->registry->features[step->feature].key);
		if (delete->request->soft)
			mx_soft_delete(delete, step);
		else
			mx_hard_delete(delete, step);
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

	if (request->cascade != MX_CASCADE_NONE || request->orphans ||
		request->undoes != 0 || list_length(request->features) > 1)
		return mx_registry_load();

	registry = palloc0(sizeof(MxRegistry));
	registry->nfeatures = 1;
	registry->features = mx_feature_require(linitial(request->features));
	registry->graph = mx_graph_build(1, 0, NULL, NULL);
	return registry;
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
			 errdetail("Their samples stay: %s.", names.data),
			 errhint("Name them too, or start the cascade further up.")));
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
						(long long) samples, (long long) request->max_samples),
				 errhint("Look at a dry run, or raise \"max_samples\".")));
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
