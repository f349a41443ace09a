/*-------------------------------------------------------------------------
 *
 * filter.c
 *		The executor node that leaves the latest ones of given rows.
 *
 * Each row's sample is looked up in the index, from its newest entry on: the
 * row is the latest one unless the snapshot sees another before it.
 *
 * src/scan/filter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "utils/rel.h"

#include "scan/walk.h"
#include MX_EXPLAIN_HEADER
#include MX_EXPLAIN_STATE_HEADER

/* a row that is looked up */
typedef struct Row
{
	TimestampTz recency;
	bool		tombstone;
	ItemPointer tid;
} Row;

typedef struct MxFilterState
{
	MxNodeState node;
	MxScanPlan	plan;
	AttrNumber	deleted;
	Relation	heap;
	Relation	index;
	List	   *values;			/* of the keys, the recency, the flag and
								 * perhaps the ctid: ExprStates */
	ScanKey		keys;
	MxWalk		walk;
} MxFilterState;

static Node *create_state(CustomScan *scan);
static void begin(CustomScanState *node, EState *estate, int eflags);
static void make_keys(MxFilterState *state, List *types);
static TupleTableSlot *execute(CustomScanState *node);
static bool is_latest(MxFilterState *state, TupleTableSlot *slot);
static Row	evaluate(MxFilterState *state, ExprContext *econtext);
static int	compare_rank(const MxWalk *walk, const Row *row);
static bool is_seen(MxWalk *walk);
static bool wins(MxWalk *walk, const Row *row);
static void rescan(CustomScanState *node);
static void end(CustomScanState *node);
static void explain(CustomScanState *node, List *ancestors, ExplainState *es);

const CustomScanMethods mx_filter_methods = {
	.CustomName = MX_FILTER_NAME,
	.CreateCustomScanState = create_state
};

static const CustomExecMethods execute_methods = {
	.CustomName = MX_FILTER_NAME,
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.EstimateDSMCustomScan = mx_shared_estimate,
	.InitializeDSMCustomScan = mx_shared_initialize,
	.ReInitializeDSMCustomScan = mx_shared_reinitialize,
	.InitializeWorkerCustomScan = mx_shared_worker,
	.ShutdownCustomScan = mx_shared_shutdown,
	.ExplainCustomScan = explain
};

static Node *
create_state(CustomScan *scan)
{
	MxFilterState *state = (MxFilterState *) newNode(sizeof(MxFilterState),
													 T_CustomScanState);
	List	   *numbers = lthird(scan->custom_private);

	state->node.css.methods = &execute_methods;
	state->plan.index = linitial_oid(linitial(scan->custom_private));
	state->plan.nkeys = linitial_int(numbers);
	state->plan.has_flag = lsecond_int(numbers);
	state->plan.order = MX_NEWEST_FIRST;
	state->deleted = lthird_int(numbers);
	return (Node *) state;
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	MxFilterState *state = (MxFilterState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	Oid			relid = lsecond_oid(linitial(plan->custom_private));
	PlanState  *rows = ExecInitNode(linitial(plan->custom_plans), estate,
									eflags);
	bool		fixed;

	/* rows are passed on as they come, in a slot of the node that gives them */
	node->custom_ps = list_make1(rows);
	ExecInitScanTupleSlot(estate, &node->ss, ExecGetResultType(rows),
						  ExecGetResultSlotOps(rows, &fixed));
	node->ss.ps.scanopsfixed = fixed;
	ExecInitResultTypeTL(&node->ss.ps);
	ExecAssignScanProjectionInfoWithVarno(&node->ss, INDEX_VAR);
	state->values = ExecInitExprList(plan->custom_exprs, &node->ss.ps);

	/* without the ctid among the values, it is taken from the tuple */
	if (list_length(state->values) < state->plan.nkeys + 3 &&
		!TTS_IS_BUFFERTUPLE(node->ss.ss_ScanTupleSlot))
		elog(ERROR, "rows to be looked up are not the table's own");
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	/* the node that gives the rows has the lock */
	state->heap = table_open(relid, NoLock);
	state->index = index_open(state->plan.index, AccessShareLock);
	make_keys(state, lsecond(plan->custom_private));
	mx_walk_begin(&state->walk, state->heap, state->index, &state->plan,
				  state->deleted, estate->es_snapshot, &state->node.counts);
	state->walk.has_least = true;
}

/*
 * Equalities with all keys.  Their functions are not used: the walk goes
 * between two cuts.
 */
static void
make_keys(MxFilterState *state, List *types)
{
	state->keys = palloc(sizeof(ScanKeyData) * state->plan.nkeys);
	for (int key = 0; key < state->plan.nkeys; key++)
		ScanKeyEntryInitialize(&state->keys[key], 0, key + 1,
							   BTEqualStrategyNumber, list_nth_oid(types, key),
							   state->index->rd_indcollation[key],
							   mx_operator_function(state->index, key,
													BTEqualStrategyNumber),
							   (Datum) 0);
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	MxFilterState *state = (MxFilterState *) node;
	PlanState  *rows = linitial(node->custom_ps);
	ProjectionInfo *projection = node->ss.ps.ps_ProjInfo;
	TupleTableSlot *slot;

	while (slot = ExecProcNode(rows), !TupIsNull(slot))
	{
		ResetExprContext(node->ss.ps.ps_ExprContext);
		node->ss.ps.ps_ExprContext->ecxt_scantuple = slot;
		if (is_latest(state, slot))
			return projection != NULL ? ExecProject(projection) : slot;
		state->node.counts.skipped++;
	}
	mx_walk_stop(&state->walk);
	return projection != NULL ?
		ExecClearTuple(projection->pi_state.resultslot) : slot;
}

static bool
is_latest(MxFilterState *state, TupleTableSlot *slot)
{
	MxWalk	   *walk = &state->walk;
	Row			row = evaluate(state, state->node.css.ss.ps.ps_ExprContext);

	walk->least = row.recency;
	mx_walk_start(walk, state->keys, state->plan.nkeys);
	while (mx_walk_next(walk))
	{
		int			order = compare_rank(walk, &row);

		if (order < 0)
			break;
		if (order > 0 ? is_seen(walk) : wins(walk, &row))
			return false;
	}
	return true;
}

/*
 * Looks the row up: fills in the values of the keys, and returns the rest.
 */
static Row
evaluate(MxFilterState *state, ExprContext *econtext)
{
	Row			row = {0};
	int			i = 0;
	ListCell   *lc;

	foreach(lc, state->values)
	{
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(lfirst(lc), econtext,
													  &isnull);

		if (i < state->plan.nkeys)
		{
			state->keys[i].sk_argument = value;
			state->keys[i].sk_flags = isnull ? SK_ISNULL : 0;
		}
		else if (i == state->plan.nkeys)
			row.recency = DatumGetTimestampTz(value);
		else if (i == state->plan.nkeys + 1)
			row.tombstone = DatumGetBool(value);
		else
			row.tid = (ItemPointer) DatumGetPointer(value);
		i++;
	}
	/* the slot itself may not know it: PostgreSQL 18, after a reordering scan */
	if (row.tid == NULL)
		row.tid = &((HeapTupleTableSlot *) econtext->ecxt_scantuple)->tuple->t_self;
	return row;
}

/*
 * Is the current entry's row before the given one (1), after it (-1), or is
 * that for the heap to tell (0)?
 */
static int
compare_rank(const MxWalk *walk, const Row *row)
{
	if (walk->recency != row->recency)
		return walk->recency > row->recency ? 1 : -1;
	if (!walk->has_flag || walk->tombstone == row->tombstone)
		return 0;
	return walk->tombstone ? 1 : -1;
}

/*
 * Does the snapshot see the row of the current entry?
 */
static bool
is_seen(MxWalk *walk)
{
	if (!mx_walk_all_visible(walk))
		return mx_walk_fetch_current(walk, walk->best);
	mx_walk_trust(walk, &walk->tid);
	return true;
}

/*
 * The current entry has the given row's recency: is it of another row, which
 * comes before that one?
 */
static bool
wins(MxWalk *walk, const Row *row)
{
	return !ItemPointerEquals(&walk->tid, row->tid) &&
		mx_walk_fetch_current(walk, walk->best) &&
		mx_is_later(!slot_attisnull(walk->best, walk->deleted),
					&walk->best->tts_tid, row->tombstone, row->tid);
}

static void
rescan(CustomScanState *node)
{
	PlanState  *rows = linitial(node->custom_ps);

	mx_walk_stop(&((MxFilterState *) node)->walk);
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(rows, node->ss.ps.chgParam);
	if (rows->chgParam == NULL)
		ExecReScan(rows);
}

static void
end(CustomScanState *node)
{
	MxFilterState *state = (MxFilterState *) node;

	if (state->index != NULL)
	{
		mx_walk_end(&state->walk);
		index_close(state->index, NoLock);
		table_close(state->heap, NoLock);
	}
	ExecEndNode(linitial(node->custom_ps));
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	MxFilterState *state = (MxFilterState *) node;

	ExplainPropertyText("Index", get_rel_name(state->plan.index), es);
	if (es->analyze)
		mx_explain_counts(&state->node.counts, es);
}
