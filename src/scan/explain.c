/*-------------------------------------------------------------------------
 *
 * explain.c
 *		What EXPLAIN says of a latest scan.
 *
 * src/scan/explain.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "scan/walk.h"
#include MX_EXPLAIN_HEADER
#include MX_EXPLAIN_STATE_HEADER

static void explain_conditions(MxScanState *state, List *ancestors,
							   ExplainState *es);
static void explain_batches(const MxScanCounts *counts, ExplainState *es);

void
mx_scan_explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	static const char *const orders[] = {
		[MX_NEWEST_FIRST] = "newest first",
		[MX_OLDEST_FIRST] = "oldest first",
		[MX_HEAP_ORDER] = "heap order"
	};
	static const char *const kinds[] = {
		[MX_ACTIVE] = "live",
		[MX_DELETED] = "tombstones"
	};
	MxScanState *state = (MxScanState *) node;

	ExplainPropertyText("Index", get_rel_name(state->plan.index), es);
	ExplainPropertyText("Order", orders[state->plan.order], es);
	if (state->plan.index_only)
		ExplainPropertyBool("Index Only", true, es);
	if (state->plan.kind != MX_LATEST)
		ExplainPropertyText("Index Filter", kinds[state->plan.kind], es);
	if (state->conditions != NIL)
		explain_conditions(state, ancestors, es);
	if (!es->analyze)
		return;
	mx_explain_counts(&state->node.counts, es);
	if (state->plan.order == MX_HEAP_ORDER)
		explain_batches(&state->node.counts, es);
}

static void
explain_conditions(MxScanState *state, List *ancestors, ExplainState *es)
{
	List	   *context = set_deparse_context_plan(es->deparse_cxt,
												   state->node.css.ss.ps.plan,
												   ancestors);
	Expr	   *conditions = make_ands_explicit(copyObject(state->conditions));

	ExplainPropertyText("Index Cond",
						deparse_expression((Node *) conditions, context,
										   es->verbose, false), es);
}

/*
 * What every node counts.
 */
void
mx_explain_counts(const MxScanCounts *counts, ExplainState *es)
{
	ExplainPropertyInteger("Keys", NULL, counts->keys, es);
	ExplainPropertyInteger("Heap Fetches", NULL, counts->fetches, es);
	ExplainPropertyInteger("Skipped", NULL, counts->skipped, es);
	if (counts->descents > 0)
		ExplainPropertyInteger("Descents", NULL, counts->descents, es);
}

static void
explain_batches(const MxScanCounts *counts, ExplainState *es)
{
	ExplainPropertyInteger("Batches", NULL, counts->batches, es);
	if (es->costs || es->timing)
		ExplainPropertyInteger("Memory", "kB",
							   (counts->memory + 1023) / 1024, es);
}
