/*-------------------------------------------------------------------------
 *
 * plan.c
 *		From a path to a plan node.
 *
 * src/scan/plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/restrictinfo.h"

#include "scan/scan.h"

static Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
					   List *tlist, List *clauses, List *custom_plans);
static Node *index_qual(IndexClause *clause);
static List *encode(const MxScanPath *path);

const CustomPathMethods mx_scan_path_methods = {
	.CustomName = MX_SCAN_NAME,
	.PlanCustomPath = make_plan
};

/*
 * A scan of the table itself, so that all columns are at hand.  Its
 * expressions are two lists: the conditions for the index, and the same as
 * the user wrote them, for EXPLAIN.
 */
static Plan *
make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path,
		  List *tlist, List *clauses, List *custom_plans)
{
	MxScanPath *path = (MxScanPath *) best_path;
	CustomScan *scan = makeNode(CustomScan);
	List	   *quals = NIL;
	List	   *originals = NIL;
	ListCell   *lc;

	foreach(lc, path->index_clauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);

		quals = lappend(quals, index_qual(clause));
		originals = lappend(originals, clause->rinfo->clause);
	}
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(path->filters, false);
	scan->scan.scanrelid = path->relid;
	scan->flags = best_path->flags;
	scan->custom_exprs = list_make2(quals, originals);
	scan->custom_private = encode(path);
	scan->methods = &mx_scan_methods;
	return &scan->scan.plan;
}

/*
 * The condition with the index's column in place of the table's.
 */
static Node *
index_qual(IndexClause *clause)
{
	RestrictInfo *rinfo = linitial_node(RestrictInfo, clause->indexquals);
	Node	   *qual = copyObject((Node *) rinfo->clause);
	List	   *args = IsA(qual, OpExpr) ? ((OpExpr *) qual)->args :
	castNode(ScalarArrayOpExpr, qual)->args;
	Node	   *column = linitial(args);

	while (IsA(column, RelabelType))
		column = (Node *) ((RelabelType *) column)->arg;
	((Var *) column)->varno = INDEX_VAR;
	((Var *) column)->varattno = clause->indexcol + 1;
	linitial(args) = column;
	return qual;
}

static List *
encode(const MxScanPath *path)
{
	const MxScanPlan *plan = &path->plan;
	List	   *numbers = NIL;

	numbers = lappend_int(numbers, plan->nkeys);
	numbers = lappend_int(numbers, plan->order);
	numbers = lappend_int(numbers, plan->has_flag);
	numbers = lappend_int(numbers, plan->index_only);
	numbers = lappend_int(numbers, plan->kind);
	numbers = lappend_int(numbers, path->deleted);
	numbers = lappend_int(numbers, plan->range_key);
	numbers = lappend_int(numbers, plan->bitmap_width);
	return list_make3(list_make1_oid(plan->index), numbers, path->bounds);
}

/*
 * The reverse, for the executor.
 */
MxScanPlan
mx_scan_plan(CustomScan *scan, AttrNumber *deleted)
{
	List	   *numbers = lsecond(scan->custom_private);
	MxScanPlan	plan;

	plan.index = linitial_oid(linitial(scan->custom_private));
	plan.nkeys = list_nth_int(numbers, 0);
	plan.order = list_nth_int(numbers, 1);
	plan.has_flag = list_nth_int(numbers, 2);
	plan.index_only = list_nth_int(numbers, 3);
	plan.kind = list_nth_int(numbers, 4);
	*deleted = list_nth_int(numbers, 5);
	plan.range_key = list_nth_int(numbers, 6);
	plan.bitmap_width = list_nth_int(numbers, 7);
	return plan;
}
