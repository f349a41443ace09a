/*-------------------------------------------------------------------------
 *
 * path.c
 *		Paths of the latest scan, for a join that has its shape.
 *
 * src/scan/path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"

#include "scan/scan.h"

static void add_plain(PlannerInfo *root, RelOptInfo *joinrel,
					  const MxShape *shape, const MxConditions *conditions);
static void add_parallel(PlannerInfo *root, RelOptInfo *joinrel,
						 const MxShape *shape, const MxConditions *conditions);
static void add_parameterised(PlannerInfo *root, RelOptInfo *joinrel,
							  RelOptInfo *inner, const MxShape *shape,
							  JoinPathExtraData *extra, ParamPathInfo *given);
static bool index_has_all(const MxShape *shape, PathTarget *target,
						  const MxConditions *conditions);
static MxScanPath *make_path(PlannerInfo *root, RelOptInfo *parent,
							 PathTarget *target, const MxShape *shape,
							 const MxConditions *conditions,
							 ParamPathInfo *param_info, MxScanOrder order);
static int	bitmap_width(const RelOptInfo *rel);
static double loop_count(PlannerInfo *root, Relids required_outer);

/*
 * Adds to the paths of "joinrel", the anti-join of shape->rel with "inner",
 * those that walk the index.
 */
void
mx_scan_add_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *inner,
				  const MxShape *shape, JoinPathExtraData *extra)
{
	MxConditions conditions;
	ListCell   *lc;

	if (!mx_sort_conditions(shape, shape->rel->baserestrictinfo, &conditions))
		return;
	add_plain(root, joinrel, shape, &conditions);
	add_parallel(root, joinrel, shape, &conditions);
	foreach(lc, shape->rel->ppilist)
		add_parameterised(root, joinrel, inner, shape, extra, lfirst(lc));
}

static void
add_plain(PlannerInfo *root, RelOptInfo *joinrel, const MxShape *shape,
		  const MxConditions *conditions)
{
	for (MxScanOrder order = MX_NEWEST_FIRST; order <= MX_HEAP_ORDER; order++)
	{
		MxScanPath *path = make_path(root, joinrel, joinrel->reltarget, shape,
									 conditions, NULL, order);

		if (path == NULL)
			continue;
		mx_scan_cost(root, path, shape, 1.0);
		add_path(joinrel, (Path *) path);
	}
}

/*
 * Paths of which each process does a part: ranges of the first key that has
 * several values.  The keys before it must be pinned in the index.
 */
static void
add_parallel(PlannerInfo *root, RelOptInfo *joinrel, const MxShape *shape,
			 const MxConditions *conditions)
{
	int			workers;
	double		divisor;
	List	   *bounds;
	int			key = mx_first_free_key(shape, conditions->pinned);

	if (!joinrel->consider_parallel || conditions->has_arrays)
		return;
	workers = compute_parallel_worker(shape->rel, shape->rel->pages,
									  shape->index->pages,
									  max_parallel_workers_per_gather);
	if (workers <= 0 || key == shape->nkeys ||
		(bounds = mx_range_bounds(root, shape, key)) == NIL)
		return;

	divisor = mx_parallel_divisor(workers);
	for (MxScanOrder order = MX_NEWEST_FIRST; order <= MX_HEAP_ORDER; order++)
	{
		MxScanPath *path = order == MX_OLDEST_FIRST ? NULL :
		make_path(root, joinrel, joinrel->reltarget, shape, conditions, NULL,
				  order);

		if (path == NULL)
			continue;
		path->bounds = bounds;
		path->plan.range_key = key;
		path->path.path.pathkeys = NIL;
		path->path.path.parallel_aware = true;
		path->path.path.parallel_workers = workers;
		mx_scan_cost(root, path, shape, 1.0);
		path->path.path.rows = clamp_row_est(path->path.path.rows / divisor);
		path->path.path.total_cost -= path->cpu_cost * (1 - 1 / divisor);
		path->path.path.startup_cost = Min(path->path.path.startup_cost,
										   path->path.path.total_cost);
		add_partial_path(joinrel, (Path *) path);
	}
}

/*
 * The cheapest path for a partition, which gives "target"; NULL if there is
 * none.
 */
Path *
mx_scan_partition_path(PlannerInfo *root, const MxShape *shape,
					   PathTarget *target, double rows)
{
	MxConditions conditions;
	MxScanPath *best = NULL;

	if (!mx_sort_conditions(shape, shape->rel->baserestrictinfo, &conditions))
		return NULL;
	for (MxScanOrder order = MX_NEWEST_FIRST; order <= MX_HEAP_ORDER; order++)
	{
		MxScanPath *path = make_path(root, shape->rel, target, shape,
									 &conditions, NULL, order);

		if (path == NULL)
			continue;
		path->path.path.rows = rows;
		mx_scan_cost(root, path, shape, 1.0);
		if (best == NULL ||
			path->path.path.total_cost < best->path.path.total_cost)
			best = path;
	}
	return (Path *) best;
}

/*
 * A look-up with values of other tables, where the planner thinks of the like
 * for the table alone.  For a join it mostly would not, since it could join
 * the other tables first: that is no better here.
 */
static void
add_parameterised(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *inner,
				  const MxShape *shape, JoinPathExtraData *extra,
				  ParamPathInfo *given)
{
	MxConditions conditions;
	Path	   *outer;
	ParamPathInfo *param_info;
	MxScanPath *path;
	bool		useful = false;
	ListCell   *lc;

	if (bms_overlap(given->ppi_req_outer, inner->relids) ||
		!mx_sort_conditions(shape,
							list_concat_copy(shape->rel->baserestrictinfo,
											 given->ppi_clauses), &conditions))
		return;
	foreach(lc, conditions.index_clauses)
		useful |= list_member_ptr(given->ppi_clauses,
								  lfirst_node(IndexClause, lc)->rinfo);
	if (!useful)
		return;

	/* the size of the join is estimated from a path for the table */
	outer = makeNode(Path);
	outer->pathtype = T_IndexScan;
	outer->parent = shape->rel;
	outer->pathtarget = shape->rel->reltarget;
	outer->param_info = given;
	outer->rows = given->ppi_rows;
	if (!mx_join_parameters(root, joinrel, inner, extra, outer, &param_info))
		return;
	path = make_path(root, joinrel, joinrel->reltarget, shape, &conditions,
					 param_info, MX_NEWEST_FIRST);
	mx_scan_cost(root, path, shape, loop_count(root, given->ppi_req_outer));
	add_path(joinrel, (Path *) path);
}

/*
 * What a path of the join takes from other tables, where "rows" gives the rows of
 * the side that is kept; returns false if a clause is neither that path's nor the
 * join's.
 *
 * From PostgreSQL 16 on, a path is asked for the clauses that it has seen to; of
 * one that is no join but takes the place of one, its parameters have to say it.
 */
bool
mx_join_parameters(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *inner,
				   JoinPathExtraData *extra, Path *rows, ParamPathInfo **result)
{
	List	   *clauses = list_copy(extra->restrictlist);
	ParamPathInfo *shared =
	get_joinrel_parampathinfo(root, joinrel, rows, inner->cheapest_total_path,
							  extra->sjinfo, bms_copy(PATH_REQ_OUTER(rows)),
							  &clauses);

	*result = NULL;
	if (shared != NULL)
	{
		*result = makeNode(ParamPathInfo);
		**result = *shared;
		mx_set_clause_serials(*result, rows);
	}
	return list_length(clauses) == list_length(extra->restrictlist);
}

/*
 * Does the index have all columns that are asked for?  Then the heap is only
 * for visibility.  A name is kept there as another type.
 */
static bool
index_has_all(const MxShape *shape, PathTarget *target,
			  const MxConditions *conditions)
{
	Index		relid = shape->rel->relid;
	Bitmapset  *wanted = NULL;
	Bitmapset  *had = NULL;
	ListCell   *lc;

	pull_varattnos((Node *) target->exprs, relid, &wanted);
	foreach(lc, conditions->filters)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, lc)->clause, relid,
					   &wanted);
	for (int key = 0; key < shape->nkeys; key++)
	{
		if (shape->index->canreturn[key] &&
			shape->index->opcintype[key] != NAMEOID)
			had = bms_add_member(had, shape->index->indexkeys[key] -
								 FirstLowInvalidHeapAttributeNumber);
	}
	return bms_is_subset(wanted, had);
}

/*
 * A path without its costs; NULL if it would be of no use.  Only that of a
 * join has an order: partitions are appended to each other.
 */
static MxScanPath *
make_path(PlannerInfo *root, RelOptInfo *parent, PathTarget *target,
		  const MxShape *shape, const MxConditions *conditions,
		  ParamPathInfo *param_info, MxScanOrder order)
{
	bool		descending = shape->index->reverse_sort[shape->nkeys];
	bool		single = bms_num_members(conditions->pinned) == shape->nkeys;
	bool		index_only = order != MX_HEAP_ORDER &&
	index_has_all(shape, target, conditions);
	List	   *pathkeys = NIL;
	MxScanPath *path;

	if (order == MX_HEAP_ORDER && single)
		return NULL;
	if (order != MX_HEAP_ORDER && IS_JOIN_REL(parent))
	{
		pathkeys = build_index_pathkeys(root, shape->index,
										(order == MX_NEWEST_FIRST) ==
										descending ?
										ForwardScanDirection :
										BackwardScanDirection);
		pathkeys = truncate_useless_pathkeys(root, parent, pathkeys);
	}
	if (order == MX_OLDEST_FIRST && (pathkeys == NIL || single))
		return NULL;

	path = (MxScanPath *) newNode(sizeof(MxScanPath), T_CustomPath);
	path->path.path.pathtype = T_CustomScan;
	path->path.path.parent = parent;
	path->path.path.pathtarget = target;
	path->path.path.param_info = param_info;
	path->path.path.parallel_safe = parent->consider_parallel;
	path->path.path.rows = param_info ? param_info->ppi_rows : parent->rows;
	path->path.path.pathkeys = pathkeys;
	path->path.flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->path.methods = &mx_scan_path_methods;
	path->plan.index = shape->index->indexoid;
	path->plan.nkeys = shape->nkeys;
	path->plan.order = order;
	path->plan.has_flag = shape->has_flag;
	path->plan.index_only = index_only;
	path->plan.kind = conditions->kind;
	path->plan.bitmap_width = bitmap_width(shape->rel);
	path->relid = shape->rel->relid;
	path->deleted = shape->deleted;
	path->index_clauses = conditions->index_clauses;
	path->pinned = conditions->pinned;
	path->filters = conditions->filters;
	return path;
}

/*
 * Words that a page's rows take as bits, with a quarter more of them than the
 * average.
 */
static int
bitmap_width(const RelOptInfo *rel)
{
	double		rows = 1.25 * rel->tuples / Max(rel->pages, 1);

	return (int) ceil(Min(Max(rows, 1), MaxHeapTuplesPerPage) / 64);
}

/*
 * How often a look-up will be done: as the planner assumes it, once for each
 * row of the smallest table that has the values.
 */
static double
loop_count(PlannerInfo *root, Relids required_outer)
{
	double		result = 0;
	int			relid = -1;

	while ((relid = bms_next_member(required_outer, relid)) >= 0)
	{
		RelOptInfo *rel = relid < root->simple_rel_array_size ?
		root->simple_rel_array[relid] : NULL;

		if (rel != NULL && rel->rows > 0 &&
			(result == 0 || rel->rows < result))
			result = rel->rows;
	}
	return Max(result, 1.0);
}
