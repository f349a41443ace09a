/*-------------------------------------------------------------------------
 *
 * undelete.c
 *		metaxy_undelete: brings back what one operation has hidden, or hides
 *		again what an undelete has brought back.
 *
 *		It finds rows by the operation's stamp, in one pass a feature, and only
 *		those that nothing has followed since.  The rest is the way of a soft
 *		delete: take a turn, look, write, note in the ledger.
 *
 * src/delete/undelete.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "delete/delete.h"

PG_FUNCTION_INFO_V1(metaxy_undelete);

/* columns of the result */
#define NRESULT 3

static void require_undoable(const MxOperation *operation);
static List *features_to_undo(const MxOperation *operation, const char *feature);
static MxPlan *plan_undelete(const MxRegistry *registry,
							 const MxRequest *request);
static void warn_unregistered(const MxDelete *delete);
static void find_rows(MxDelete *delete);
static void find_step(MxDelete *delete, MxStep *step);
static void run_undelete(MxDelete *delete, const MxOperation *operation);
static void count_samples(MxDelete *delete, MxStep *step);
static void note_undone(const MxDelete *delete, int64 undone);
static int64 count_hidden(const MxOperation *operation,
						  const MxFeature *feature);
static void report(const MxDelete *delete, const MxOperation *operation,
				   ReturnSetInfo *result);

/*
 * metaxy_undelete(deletion_id bigint, feature text, dry_run boolean)
 *		returns setof (feature text, restored bigint, skipped bigint)
 *
 * Appends a live copy of each row that the operation hid and that nothing has
 * rewritten, deleted or removed since; those are counted as skipped.  One row
 * for each feature, parents before children.  Runs as the caller, who needs
 * SELECT and INSERT on the tables; takes its turn as a delete does.
 *
 * 42704 for an unknown operation or a feature that took no part in it, 55000
 * for one that hid nothing.
 */
Datum
metaxy_undelete(PG_FUNCTION_ARGS)
{
	MxDelete	delete = {0};
	MxRequest	request = {0};
	MxTurn		turn = {0};
	char	   *feature = mx_arg_text_or_null(fcinfo, 1);
	MxOperation  *operation;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	mx_arg_require(fcinfo, 0, "deletion_id");
	request.dry_run = mx_arg_bool(fcinfo, 2, "dry_run");
	if (!request.dry_run)
	{
		PreventCommandIfReadOnly("metaxy_undelete()");
		delete.turn = &turn;
	}
	operation = mx_operation_load(PG_GETARG_INT64(0));
	require_undoable(operation);

	request.kind = "undelete";
	request.soft = true;
	request.max_samples = -1;
	request.undoes = operation->id;
	request.undoes_stamp = operation->stamp;
	request.restores = !operation->restored;
	delete.request = &request;
	request.features = features_to_undo(operation, feature);
	request.undoes_one = feature != NULL;
	delete.make_plan = plan_undelete;
	delete.find = find_rows;
	mx_plan_and_lock(&delete);
	mx_check_delete(&delete);
	warn_unregistered(&delete);
	delete.kilobytes = Max(64, work_mem / Max(delete.plan->nsteps, 1));
	request.features = mx_step_keys(&delete);
	run_undelete(&delete, operation);

	report(&delete, operation, (ReturnSetInfo *) fcinfo->resultinfo);
	if (delete.turn != NULL)
		mx_turn_end(delete.turn);
	SPI_finish();
	return (Datum) 0;
}

/*
 * 55000: there is nothing to bring back.
 */
static void
require_undoable(const MxOperation *operation)
{
	const char *reason = NULL;

	if (!operation->soft)
		reason = "It removed rows.";
	else if (operation->command != NULL &&
			 (strcmp(operation->command, "insert") == 0 ||
			  strcmp(operation->command, "update") == 0))
		reason = "It hid no sample.";
	if (reason != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("deletion %lld cannot be undone",
						(long long) operation->id),
				 errdetail("%s", reason)));
}

/*
 * Those of the operation, or the one that is named, which has to be one of them.
 */
static List *
features_to_undo(const MxOperation *operation, const char *feature)
{
	if (feature == NULL)
		return operation->features;
	if (!mx_names_member(operation->features, feature))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature \"%s\" took no part in deletion %lld",
						feature, (long long) operation->id)));
	return list_make1(pstrdup(feature));
}

/*
 * A step for each feature of the operation that is still registered, from root
 * to leaf by the graph of today; or for the one that is named, which has to be.
 */
static MxPlan *
plan_undelete(const MxRegistry *registry, const MxRequest *request)
{
	MxPlan	   *plan = palloc0(sizeof(MxPlan));
	bool	   *member = palloc0(sizeof(bool) * Max(registry->nfeatures, 1));
	int		   *order = palloc(sizeof(int) * Max(registry->nfeatures, 1));
	ListCell   *lc;

	foreach(lc, request->features)
	{
		int			place = request->undoes_one ?
		mx_registry_require(registry, lfirst(lc)) :
		mx_registry_find(registry, lfirst(lc));

		if (place >= 0)
			member[place] = true;
	}
	plan->nsteps = mx_graph_order(registry->graph, member, order);
	plan->steps = palloc0(sizeof(MxStep) * plan->nsteps);
	plan->execution = palloc(sizeof(int) * plan->nsteps);
	for (int i = 0; i < plan->nsteps; i++)
	{
		plan->steps[i].feature = order[i];
		plan->steps[i].named = request->undoes_one;
		plan->execution[i] = i;
	}
	return plan;
}

static void
warn_unregistered(const MxDelete *delete)
{
	ListCell   *lc;

	foreach(lc, delete->request->features)
	{
		if (mx_registry_find(delete->registry, lfirst(lc)) < 0)
			ereport(WARNING,
					(errmsg("feature \"%s\" is not registered any more, nothing is restored there",
							(char *) lfirst(lc))));
	}
}

/*
 * As run_delete does it, see delete.c.
 */
static void
run_undelete(MxDelete *delete, const MxOperation *operation)
{
	mx_look(delete);
	if (!delete->request->dry_run)
	{
		int64		rows = 0;

		for (int i = 0; i < delete->plan->nsteps; i++)
		{
			MxStep	   *step = &delete->plan->steps[i];
			const char *key = delete->registry->features[step->feature].key;

			CHECK_FOR_INTERRUPTS();
			if (step->nrows == 0)
				continue;
			mx_tell_progress("feature %d of %d: restoring %lld rows of \"%s\"",
							 i + 1, delete->plan->nsteps,
							 (long long) step->nrows, key);
			rows += step->nrows;
			if (mx_operation_figure(operation, operation->samples, key) <
				mx_operation_figure(operation, operation->rows, key))
				count_samples(delete, step);
			mx_soft_delete(delete, step);
		}
		mx_ledger_write(delete);
		if (rows > 0)
			note_undone(delete, delete->request->undoes);
	}
	PopActiveSnapshot();
	mx_look_end(delete->plan);
}

static void
find_rows(MxDelete *delete)
{
	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		MxStep	   *step = &delete->plan->steps[i];

		CHECK_FOR_INTERRUPTS();
		if (!OidIsValid(delete->registry->features[step->feature].relid))
			continue;
		mx_look_progress(delete, i);
		find_step(delete, step);
		step->rows = step->doomed;
		step->nrows = step->rows->nrows;
		if (step->nrows > 0)
			mx_store_register(step->rows, psprintf("metaxy rows %d", i));
	}
}

/*
 * The rows with the operation's stamp that are the latest of their sample and
 * version: tombstones, or live rows where those are to be hidden again.
 */
static void
find_step(MxDelete *delete, MxStep *step)
{
	const MxRequest *request = delete->request;
	const MxFeature *feature = &delete->registry->features[step->feature];
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	char	   *ref = mx_table_ref(feature, NULL);
	List	   *columns = list_copy(feature->id_columns);
	MxCounter	counter;
	ListCell   *lc;
	int			stamp;

	mx_add_names(&columns, mx_table_columns(feature->relid));
	appendStringInfoString(sql, "SELECT ");
	foreach(lc, columns)
	{
		mx_append_column(sql, ref, lfirst(lc));
		appendStringInfoString(sql, ", ");
	}
	mx_append_match_columns(sql, feature, ref);
	appendStringInfoString(sql, ", true");
	mx_append_latest(sql, feature, NULL, NULL, feature->version != NULL,
					 request->restores ? MX_DELETED : MX_ACTIVE);
	stamp = mx_query_value(query, TIMESTAMPTZOID,
						   TimestampTzGetDatum(request->undoes_stamp), false);
	appendStringInfoString(sql, " AND ");
	mx_append_column(sql, ref, request->restores ? MX_DELETED_AT : MX_UPDATED_AT);
	appendStringInfo(sql, " OPERATOR(pg_catalog.=) $%d", stamp);
	if (!request->dry_run)
	{
		/* over all versions, the one that was the latest of them is so again */
		mx_append_id_order(sql, feature);
		appendStringInfoString(sql, ", ");
		mx_append_column(sql, ref, MX_UPDATED_AT);
	}

	mx_counter_init(&counter, delete, step, list_length(columns));
	step->doomed = mx_store_new(delete->kilobytes);
	mx_query_run(query, MX_READ,
				 mx_store_receiver(step->doomed, mx_count_row, &counter));
}

/*
 * For the ledger, which counts a sample once though several of its versions may
 * come back.
 */
static void
count_samples(MxDelete *delete, MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	bool		isnull;
	ListCell   *lc;

	appendStringInfoString(sql, "SELECT pg_catalog.count(*) FROM (SELECT DISTINCT ");
	foreach(lc, feature->id_columns)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(sql, ", ");
		mx_append_store_column(sql, step->rows, "row", lfirst(lc));
	}
	appendStringInfoString(sql, " FROM ");
	mx_append_store(sql, step->rows, "row");
	appendStringInfoString(sql, ") AS s");
	mx_query_run(query, MX_READ, NULL);
	step->samples = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												SPI_tuptable->tupdesc, 1,
												&isnull));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * The ledger says of the former operation which one has undone it last.
 */
static void
note_undone(const MxDelete *delete, int64 undone)
{
	MxQuery    *query = mx_query_new();

	mx_query_value(query, INT8OID, Int64GetDatum(delete->deletion_id), false);
	mx_query_value(query, INT8OID, Int64GetDatum(undone), false);
	appendStringInfo(mx_query_sql(query),
					 "UPDATE %s.metaxy_deletion SET undone_by = $1"
					 " WHERE id OPERATOR(pg_catalog.=) $2", mx_schema());
	mx_query_run(query, MX_OWNER, NULL);
}

/*
 * Rows of a feature that the operation hid, or brought back: what the ledger
 * has, but for a statement that wrote live rows too.  Of those only tombstones
 * count that are still there.
 */
static int64
count_hidden(const MxOperation *operation, const MxFeature *feature)
{
	MxQuery    *query;
	int64		count;
	bool		isnull;

	if (operation->command == NULL || strcmp(operation->command, "merge") != 0)
		return mx_operation_figure(operation, operation->rows, feature->key);
	if (!OidIsValid(feature->relid))
		return 0;
	query = mx_query_new();
	mx_query_value(query, TIMESTAMPTZOID, TimestampTzGetDatum(operation->stamp),
				   false);
	appendStringInfo(mx_query_sql(query),
					 "SELECT pg_catalog.count(*) FROM %s WHERE " MX_DELETED_AT
					 " OPERATOR(pg_catalog.=) $1",
					 mx_relation_name(feature->relid));
	mx_query_run(query, MX_READ, NULL);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

static void
report(const MxDelete *delete, const MxOperation *operation,
	   ReturnSetInfo *result)
{
	int64		restored = 0;

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		const MxStep *step = &delete->plan->steps[i];
		const MxFeature *feature = &delete->registry->features[step->feature];
		Datum		values[NRESULT];
		bool		nulls[NRESULT] = {0};

		restored += step->nrows;
		values[0] = CStringGetTextDatum(feature->key);
		values[1] = Int64GetDatum(step->nrows);
		values[2] = Int64GetDatum(Max(count_hidden(operation, feature) -
									  step->nrows, 0));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	/* maybe by one that we have waited for */
	if (restored == 0 && operation->undone_by == 0)
		operation = mx_operation_load(operation->id);
	if (restored == 0 && operation->undone_by != 0)
		ereport(NOTICE,
				(errmsg("deletion %lld has been undone already, by %lld",
						(long long) operation->id,
						(long long) operation->undone_by)));
}
