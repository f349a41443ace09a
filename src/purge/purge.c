/*-------------------------------------------------------------------------
 *
 * purge.c
 *		metaxy_purge: gives back the space of what has long been deleted.
 *
 *		The rows are found in one transaction and removed in many.  A purge that
 *		is interrupted has done a part of its work, and the next one does the
 *		rest.
 *
 * src/purge/purge.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "purge/purge.h"

PG_FUNCTION_INFO_V1(metaxy_purge);

/* the result: samples, rows, bytes */
#define NRESULT 3

static void read_arguments(FunctionCallInfo fcinfo, MxPurge *purge);
static void run(MxPurge *purge);
static Datum result(FunctionCallInfo fcinfo, const MxPurge *purge);

/*
 * CALL metaxy_purge(feature text, older_than interval, history boolean,
 * batch_size integer, dry_run boolean, INOUT purged_samples bigint,
 * INOUT purged_rows bigint, INOUT bytes bigint)
 *
 * Runs as the caller, who needs SELECT and DELETE on the table.  Each batch is
 * a transaction of its own, which takes ROW EXCLUSIVE on the table and waits
 * for deletes of the feature, not for writers; those that write when it starts
 * are waited for once.
 *
 * 2D000 in a transaction block or a function, but for a dry run.
 */
Datum
metaxy_purge(PG_FUNCTION_ARGS)
{
	MxPurge		purge = {0};
	bool		nonatomic = fcinfo->context != NULL &&
	IsA(fcinfo->context, CallContext) &&
	!castNode(CallContext, fcinfo->context)->atomic;

	SPI_connect_ext(nonatomic ? SPI_OPT_NONATOMIC : 0);
	read_arguments(fcinfo, &purge);
	if (!purge.dry_run)
	{
		PreventCommandIfReadOnly("metaxy_purge()");
		mx_purge_transaction();
	}
	run(&purge);
	SPI_finish();
	return result(fcinfo, &purge);
}

static void
read_arguments(FunctionCallInfo fcinfo, MxPurge *purge)
{
	purge->context = CurrentMemoryContext;
	purge->key = mx_arg_text(fcinfo, 0, "feature");
	mx_arg_require(fcinfo, 1, "older_than");
	purge->older_than = palloc(sizeof(Interval));
	*purge->older_than = *PG_GETARG_INTERVAL_P(1);
	purge->whole = true;
	purge->history = mx_arg_bool(fcinfo, 2, "history");
	mx_arg_require(fcinfo, 3, "batch_size");
	if (PG_GETARG_INT32(3) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be at least 1", "batch_size")));
	purge->batch_size = Min(PG_GETARG_INT32(3), MX_PURGE_MAX_BATCH);
	purge->dry_run = mx_arg_bool(fcinfo, 4, "dry_run");
	purge->cutoff = mx_purge_cutoff(purge->older_than, "older_than");
}

/*
 * What is older than that goes.  Now is what the clock says, if it is ahead of
 * the wall clock; 22023 for an interval that reaches into the future.
 */
TimestampTz
mx_purge_cutoff(Interval *older_than, const char *name)
{
	TimestampTz now = Max(mx_wall_clock(), mx_clock_read(mx_clock()));
	TimestampTz cutoff =
	DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
											TimestampTzGetDatum(now),
											IntervalPGetDatum(older_than)));

	if (cutoff > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must not be negative", name)));
	return cutoff;
}

/*
 * Commits, and starts the next transaction: 2D000 where that is not possible.
 *
 * Whatever the session's default is, it is READ COMMITTED: it must see what
 * others did until it had its locks.
 */
void
mx_purge_transaction(void)
{
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
	EnsurePortalSnapshotExists();
}

static void
run(MxPurge *purge)
{
	PG_TRY();
	{
		while (mx_purge_step(purge))
			mx_purge_transaction();
	}
	PG_CATCH();
	{
		mx_purge_end(purge);
		PG_RE_THROW();
	}
	PG_END_TRY();
	mx_purge_end(purge);
}

/*
 * One transaction's worth of the purge; returns false once all is done.
 */
bool
mx_purge_step(MxPurge *purge)
{
	MemoryContext save;
	bool		more = true;

	CHECK_FOR_INTERRUPTS();
	if (purge->step == NULL)
		purge->step = AllocSetContextCreate(purge->context, "metaxy purge",
											ALLOCSET_DEFAULT_SIZES);
	save = MemoryContextSwitchTo(purge->step);
	if (mx_purge_prepare(purge))
		more = mx_purge_batch(purge);
	else
	{
		MemoryContextSwitchTo(purge->context);
		mx_purge_end(purge);
		mx_purge_find(purge);
		more = !purge->dry_run && purge->ids->nrows + purge->rows->nrows > 0;
		if (!more && !purge->dry_run && purge->deletion_id == 0)
			mx_purge_note(purge);
	}
	MemoryContextSwitchTo(save);
	MemoryContextReset(purge->step);
	return more;
}

/*
 * Gives what was found back: its files outlive transactions, and errors.
 */
void
mx_purge_end(MxPurge *purge)
{
	if (purge->ids != NULL)
	{
		purge->ids->name = NULL;	/* gone with the SPI connection in find.c */
		mx_store_end(purge->ids);
	}
	if (purge->rows != NULL)
		mx_store_end(purge->rows);
	purge->ids = NULL;
	purge->rows = NULL;
	purge->found = false;
}

/*
 * The INOUT arguments, allocated where the call's result belongs.
 */
static Datum
result(FunctionCallInfo fcinfo, const MxPurge *purge)
{
	TupleDesc	desc;
	Datum		values[NRESULT];
	bool		nulls[NRESULT] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(purge->samples);
	values[1] = Int64GetDatum(purge->nrows);
	values[2] = Int64GetDatum(purge->bytes);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}
