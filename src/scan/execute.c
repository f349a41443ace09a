/*-------------------------------------------------------------------------
 *
 * execute.c
 *		The executor node of the latest scan.
 *
 * src/scan/execute.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "executor/nodeIndexscan.h"
#include "nodes/extensible.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "scan/walk.h"

static Node *create_state(CustomScan *scan);
static void begin(CustomScanState *node, EState *estate, int eflags);
static void find_wanted(MxScanState *state);
static void make_keys(MxScanState *state, List *quals);
static TupleTableSlot *execute(CustomScanState *node);
static TupleTableSlot *next_row(ScanState *node);
static bool recheck(ScanState *node, TupleTableSlot *slot);
static void start(MxScanState *state);
static void rescan(CustomScanState *node);
static void end(CustomScanState *node);

const CustomScanMethods mx_scan_methods = {
	.CustomName = MX_SCAN_NAME,
	.CreateCustomScanState = create_state
};

static const CustomExecMethods execute_methods = {
	.CustomName = MX_SCAN_NAME,
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.EstimateDSMCustomScan = mx_shared_estimate,
	.InitializeDSMCustomScan = mx_shared_initialize,
	.ReInitializeDSMCustomScan = mx_shared_reinitialize,
	.InitializeWorkerCustomScan = mx_shared_worker,
	.ShutdownCustomScan = mx_shared_shutdown,
	.ExplainCustomScan = mx_scan_explain
};

static Node *
create_state(CustomScan *scan)
{
	MxScanState *state = (MxScanState *) newNode(sizeof(MxScanState),
												 T_CustomScanState);

	state->node.css.methods = &execute_methods;
	state->plan = mx_scan_plan(scan, &state->deleted);
	state->conditions = lsecond(scan->custom_exprs);
	return (Node *) state;
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	MxScanState *state = (MxScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	Index		relid = plan->scan.scanrelid;

	/*
	 * The server has prepared for a virtual slot.  Rows of the heap are given
	 * as they are.
	 */
	if (!state->plan.index_only)
	{
		ExecInitScanTupleSlot(estate, &node->ss,
							  RelationGetDescr(node->ss.ss_currentRelation),
							  table_slot_callbacks(node->ss.ss_currentRelation));
		ExecInitResultTypeTL(&node->ss.ps);
		ExecAssignScanProjectionInfoWithVarno(&node->ss, relid);
		node->ss.ps.qual = ExecInitQual(plan->scan.plan.qual, &node->ss.ps);
	}
	else
		ExecStoreAllNullTuple(node->ss.ss_ScanTupleSlot);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->index = index_open(state->plan.index,
							  exec_rt_fetch(relid, estate)->rellockmode);
	if (state->plan.index_only)
		find_wanted(state);
	make_keys(state, linitial(plan->custom_exprs));
	if (plan->scan.plan.parallel_aware)
		state->ranges = mx_ranges_new(state->index, state->plan.range_key,
									  lthird(plan->custom_private),
									  state->nkeys);
	else
		state->arrays = mx_arrays_new(state);
	mx_walk_begin(&state->walk, node->ss.ss_currentRelation, state->index,
				  &state->plan, state->deleted, estate->es_snapshot,
				  &state->node.counts);
	if (state->plan.order == MX_OLDEST_FIRST)
		state->group = mx_group_new();
	else if (state->plan.order == MX_HEAP_ORDER)
		state->sorter = mx_sorter_new(state);
}

/*
 * Which keys the plan asks for.
 */
static void
find_wanted(MxScanState *state)
{
	Plan	   *plan = state->node.css.ss.ps.plan;
	Index		relid = ((Scan *) plan)->scanrelid;
	Bitmapset  *wanted = NULL;

	pull_varattnos((Node *) plan->targetlist, relid, &wanted);
	pull_varattnos((Node *) plan->qual, relid, &wanted);
	for (int key = 0; key < state->plan.nkeys; key++)
	{
		AttrNumber	attnum = state->index->rd_index->indkey.values[key];

		if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, wanted))
			state->wanted[state->nwanted++] = key;
	}
}

/*
 * Values that are known only when the scan starts are evaluated in a context
 * that lives till the next start.
 */
static void
make_keys(MxScanState *state, List *quals)
{
	PlanState  *ps = &state->node.css.ss.ps;

	ExecIndexBuildScanKeys(ps, state->index, quals, false,
						   &state->keys, &state->nkeys,
						   &state->runtime_keys, &state->nruntime_keys,
						   NULL, NULL);
	if (state->nruntime_keys > 0)
	{
		ExprContext *usual = ps->ps_ExprContext;

		ExecAssignExprContext(ps->state, ps);
		state->runtime_context = ps->ps_ExprContext;
		ps->ps_ExprContext = usual;
	}
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck);
}

static TupleTableSlot *
next_row(ScanState *node)
{
	MxScanState *state = (MxScanState *) node;
	TupleTableSlot *slot;

	if (!state->started)
		start(state);
	switch (state->plan.order)
	{
		case MX_NEWEST_FIRST:
			do
				slot = mx_newest_first(state);
			while (slot == NULL && mx_next_part(state));
			break;
		case MX_OLDEST_FIRST:
			do
				slot = mx_oldest_first(state);
			while (slot == NULL && mx_next_part(state));
			break;
		default:
			slot = mx_heap_order(state);
	}
	return slot != NULL ? slot : ExecClearTuple(node->ss_ScanTupleSlot);
}

/*
 * Rows are found again only for FOR UPDATE and the like, which the planner
 * does not give us.
 */
static bool
recheck(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static void
start(MxScanState *state)
{
	if (state->nruntime_keys > 0)
	{
		ResetExprContext(state->runtime_context);
		ExecIndexEvalRuntimeKeys(state->runtime_context, state->runtime_keys,
								 state->nruntime_keys);
	}
	mx_walk_stop(&state->walk);
	if (state->ranges != NULL)
	{
		mx_ranges_reset(state->ranges);
		mx_next_range(state);
	}
	else if (state->arrays != NULL)
		mx_arrays_start(state);
	else
		mx_walk_start(&state->walk, state->keys, state->nkeys);
	if (state->sorter != NULL)
		mx_sorter_reset(state->sorter);
	if (state->group != NULL)
		mx_group_reset(state->group);
	state->started = true;
}

/*
 * Where the walk is done in parts, starts it over the next one; returns false
 * if none is left.
 */
bool
mx_next_part(MxScanState *state)
{
	if (state->ranges != NULL)
		return mx_next_range(state);
	return state->arrays != NULL && mx_next_choice(state);
}

/*
 * Starts anew, with the next call for a row.
 */
static void
rescan(CustomScanState *node)
{
	((MxScanState *) node)->started = false;
	ExecScanReScan(&node->ss);
}

static void
end(CustomScanState *node)
{
	MxScanState *state = (MxScanState *) node;

	if (state->index == NULL)
		return;
	mx_walk_end(&state->walk);
	index_close(state->index, NoLock);
}
