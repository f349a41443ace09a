/*-------------------------------------------------------------------------
 *
 * filter_path.c
 *		Paths that look rows up that another path has found.
 *
 * Where a condition leaves few rows of the table, found by an index of its own,
 * walking over all samples is a waste: each row is looked up in the index on
 * the samples, whether it is the latest one.
 *
 * src/scan/filter_path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/plancat.h"
#include "parser/parsetree.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/spccache.h"

#include "scan/scan.h"

static void add_filter(PlannerInfo *root, RelOptInfo *joinrel,
					   RelOptInfo *inner, const MxShape *shape,
					   JoinPathExtraData *extra, Path *rows, bool partial);
static void cost_filter(PlannerInfo *root, RelOptInfo *joinrel,
						CustomPath *path, const MxShape *shape,
						const Path *rows);
static Cost nested_loop_cost(List *paths, const Path *rows, Oid indexoid);
static List *key_values(PlannerInfo *root, const MxShape *shape, List **types);
static MxEquality *equality_of(List *equalities, AttrNumber attnum);
static Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
					   List *tlist, List *clauses, List *custom_plans);
static bool give_whole_rows(PlannerInfo *root, const MxShape *shape,
							const RelOptInfo *joinrel, Plan *rows);

static const CustomPathMethods filter_path_methods = {
	.CustomName = MX_FILTER_NAME,
	.PlanCustomPath = make_plan
};

/*
 * Adds them to the paths of "joinrel", the anti-join of "outer" with "inner",
 * one for each path of "outer": that is the table, or the table joined with
 * others.
 */
void
mx_filter_add_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer,
					RelOptInfo *inner, const MxShape *shape,
					JoinPathExtraData *extra)
{
	ListCell   *lc;

	foreach(lc, outer->pathlist)
		add_filter(root, joinrel, inner, shape, extra, lfirst(lc), false);
	if (!joinrel->consider_parallel)
		return;
	foreach(lc, outer->partial_pathlist)
		add_filter(root, joinrel, inner, shape, extra, lfirst(lc), true);
}

static void
add_filter(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *inner,
		   const MxShape *shape, JoinPathExtraData *extra, Path *rows,
		   bool partial)
{
	CustomPath *path;

	if (bms_overlap(PATH_REQ_OUTER(rows), inner->relids))
		return;
	path = (CustomPath *) newNode(sizeof(MxFilterPath), T_CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = joinrel;
	path->path.pathtarget = joinrel->reltarget;
	if (!mx_join_parameters(root, joinrel, inner, extra, rows,
							&path->path.param_info))
		return;
	path->path.parallel_safe = joinrel->consider_parallel &&
		rows->parallel_safe;
	path->path.parallel_workers = rows->parallel_workers;
	path->path.rows = path->path.param_info != NULL ?
		path->path.param_info->ppi_rows : joinrel->rows;
	path->path.parallel_aware = partial;
	if (partial)
		path->path.rows = clamp_row_est(path->path.rows /
										mx_parallel_divisor(rows->parallel_workers));
	path->path.pathkeys = rows->pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(rows);
	path->methods = &filter_path_methods;
	((MxFilterPath *) path)->shape = shape;
	cost_filter(root, joinrel, path, shape, rows);
	if (partial)
		add_partial_path(joinrel, &path->path);
	else
		add_path(joinrel, &path->path);
}

/*
 * A descent for each row, and for those that are not the latest ones a look at
 * the heap where not everybody sees the row that is found.
 *
 * This takes the place of an index scan for each row, and must be reckoned the
 * same way: pages are read for as many look-ups as the table has rows that meet
 * its conditions, though a join with other tables may have left fewer.  But the
 * disk does not get faster with the processes that ask it.
 */
static void
cost_filter(PlannerInfo *root, RelOptInfo *joinrel, CustomPath *path,
			const MxShape *shape, const Path *rows)
{
	IndexOptInfo *index = shape->index;
	RelOptInfo *rel = shape->rel;
	const QualCost *target = &path->path.pathtarget->cost;
	Cost		most;
	bool		partial = path->path.parallel_aware;
	double		divisor = partial ?
	mx_parallel_divisor(rows->parallel_workers) : 1;
	double		lookups = Max(rel->rows, rows->rows * divisor);
	double		superseded = 1 - Min(path->path.rows / rows->rows, 1);
	double		fetches = lookups * superseded * (1 - rel->allvisfrac);
	double		random_page;
	double		pages;
	Cost		run;

	get_tablespace_page_costs(index->reltablespace, &random_page, NULL);
	pages = index_pages_fetched(lookups, index->pages, index->pages, root);
	if (fetches >= 1)
		pages += index_pages_fetched(fetches, rel->pages, index->pages, root);
	run = divisor * pages / lookups * random_page +
		cpu_operator_cost * (ceil(log2(Max(index->tuples, 2.0))) +
							 (index->tree_height + 1) * 50.0) +
		2 * cpu_index_tuple_cost + cpu_tuple_cost;
	path->path.startup_cost = rows->startup_cost + target->startup;
	path->path.total_cost = rows->total_cost + run * rows->rows +
		target->startup + target->per_tuple * path->path.rows;
	most = nested_loop_cost(partial ? joinrel->partial_pathlist :
							joinrel->pathlist, rows, index->indexoid) -
		(cpu_index_tuple_cost + cpu_tuple_cost) * rows->rows;
	path->path.total_cost = Max(Min(path->path.total_cost, most),
								path->path.startup_cost);
	mx_set_disabled_nodes(&path->path, mx_disabled_nodes(rows));
}

/*
 * What the server's own nested loop costs, if it would look up the same rows in
 * the same index, or infinity.  It fetches the row itself from the heap as well,
 * and has to compare the two: so it is never the better one, though its costs are
 * reckoned otherwise.  In parallel, they share the disk among the processes.
 */
static Cost
nested_loop_cost(List *paths, const Path *rows, Oid indexoid)
{
	ListCell   *lc;

	foreach(lc, paths)
	{
		NestPath   *path = lfirst(lc);
		Path	   *inner;

		if (!IsA(path, NestPath))
			continue;
		inner = path->jpath.innerjoinpath;
		if (path->jpath.outerjoinpath == rows && IsA(inner, IndexPath) &&
			((IndexPath *) inner)->indexinfo->indexoid == indexoid &&
			mx_disabled_nodes(&path->jpath.path) == mx_disabled_nodes(rows))
			return path->jpath.path.total_cost;
	}
	return get_float8_infinity();
}

/*
 * Its expressions are the values of the keys and of the rank, in terms of the
 * rows that are looked up; the rows' places as well, unless the rows are in them.
 */
static Plan *
make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
		  List *clauses, List *custom_plans)
{
	const MxShape *shape = ((MxFilterPath *) path)->shape;
	Index		relid = shape->rel->relid;
	CustomScan *scan = makeNode(CustomScan);
	NullTest   *flag = makeNode(NullTest);
	List	   *types;
	List	   *values = key_values(root, shape, &types);
	Plan	   *rows = linitial(custom_plans);
	bool		whole = give_whole_rows(root, shape, rel, rows);

	flag->arg = (Expr *) linitial(castNode(CoalesceExpr, shape->recency)->args);
	flag->nulltesttype = IS_NOT_NULL;
	flag->location = -1;
	values = lappend(values, shape->recency);
	values = lappend(values, flag);
	if (!whole)
		values = lappend(values, makeVar(relid, SelfItemPointerAttributeNumber,
										 TIDOID, -1, InvalidOid, 0));

	scan->scan.plan.targetlist = tlist;
	scan->flags = path->flags;
	scan->custom_plans = custom_plans;
	scan->custom_exprs = values;
	scan->custom_private =
		list_make3(list_make2_oid(shape->index->indexoid,
								  planner_rt_fetch(relid, root)->relid),
				   types,
				   list_make3_int(shape->nkeys, shape->has_flag,
								  shape->deleted));
	scan->custom_scan_tlist = copyObject(rows->targetlist);
	scan->methods = &mx_filter_methods;
	return &scan->scan.plan;
}

/*
 * Lets a scan of the table pass on its rows as they are, which know their place
 * themselves, instead of making rows of the columns that are asked for: most of
 * them are not wanted.  Returns false where the rows are not the table's own, or
 * more than its columns may be asked for.
 *
 * What may be asked for is what the join gives: the planner may yet put another
 * target list in place of the one that there is.
 */
static bool
give_whole_rows(PlannerInfo *root, const MxShape *shape,
				const RelOptInfo *joinrel, Plan *rows)
{
	List	   *columns;
	ListCell   *lc;

	if (!(IsA(rows, SeqScan) || IsA(rows, IndexScan) ||
		  IsA(rows, BitmapHeapScan)))
		return false;
	foreach(lc, pull_var_clause((Node *) joinrel->reltarget->exprs,
								PVC_RECURSE_AGGREGATES |
								PVC_RECURSE_WINDOWFUNCS |
								PVC_INCLUDE_PLACEHOLDERS))
	{
		AttrNumber	attnum;

		if (!mx_is_column(lfirst(lc), shape->rel->relid, &attnum) ||
			attnum <= 0)
			return false;
	}
	columns = build_physical_tlist(root, shape->rel);
	if (columns == NIL)
		return false;
	Assert(((Scan *) rows)->scanrelid == shape->rel->relid);
	rows->targetlist = columns;
	return true;
}

/*
 * The values of the keys: columns of the row where both sides of the join are
 * compared, or what they are demanded to be; and the types of the latter.
 */
static List *
key_values(PlannerInfo *root, const MxShape *shape, List **types)
{
	List	   *values = NIL;

	*types = NIL;
	for (int key = 0; key < shape->nkeys; key++)
	{
		AttrNumber	attnum = shape->index->indexkeys[key];
		TargetEntry *column = list_nth(shape->index->indextlist, key);
		MxEquality *given = equality_of(shape->scope, attnum);
		Oid			left;
		Oid			right = InvalidOid;

		if (equality_of(shape->equalities, attnum) != NULL)
			values = lappend(values, column->expr);
		else
		{
			values = lappend(values, given->value);
			op_input_types(given->operator, &left, &right);
		}
		*types = lappend_oid(*types, right);
	}
	return values;
}

static MxEquality *
equality_of(List *equalities, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, equalities)
	{
		if (((MxEquality *) lfirst(lc))->attnum == attnum)
			return lfirst(lc);
	}
	return NULL;
}
