/*-------------------------------------------------------------------------
 *
 * path.c
 *		Paths of the latest scan, for a join that has its shape.
 *
 * Conditions on a sample's columns by an operator of the index hold for all
 * its rows or for none: they go into the index.  All others are for the
 * latest row alone, once it has been chosen.
 *
 * src/scan/path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "scan/scan.h"

/* how the conditions on the rows are met */
typedef struct Conditions
{
	List	   *index_clauses;
	List	   *filters;
	Bitmapset  *pinned;			/* keys that an equality gives one value */
	MxLatest	kind;			/* to be had from the index's flag */
} Conditions;

static void add_plain(PlannerInfo *root, RelOptInfo *joinrel,
					  const MxShape *shape, const Conditions *conditions);
static void add_parallel(PlannerInfo *root, RelOptInfo *joinrel,
						 const MxShape *shape, const Conditions *conditions);
static void add_parameterised(PlannerInfo *root, RelOptInfo *joinrel,
							  RelOptInfo *inner, const MxShape *shape,
							  JoinPathExtraData *extra, ParamPathInfo *given);
static bool sort_conditions(const MxShape *shape, List *clauses,
							Conditions *conditions);
static void add_index_clause(Conditions *conditions, IndexClause *clause);
static bool is_kind(const MxShape *shape, Node *clause, MxLatest *kind);
static IndexClause *match_index(const MxShape *shape, RestrictInfo *rinfo,
								bool *pins);
static RestrictInfo *index_operator(const MxShape *shape, RestrictInfo *rinfo,
									MxEquality *equality);
static bool index_array(const MxShape *shape, RestrictInfo *rinfo,
						MxEquality *equality);
static bool index_has_all(const MxShape *shape, PathTarget *target,
						  const Conditions *conditions);
static bool make_filters(const MxShape *shape, Conditions *conditions);
static MxScanPath *make_path(PlannerInfo *root, RelOptInfo *parent,
							 PathTarget *target, const MxShape *shape,
							 const Conditions *conditions,
							 ParamPathInfo *param_info, MxScanOrder order);
static double loop_count(PlannerInfo *root, Relids required_outer);

/*
 * Adds to the paths of "joinrel", the anti-join of shape->rel with "inner",
 * those that walk the index.
 */
void
mx_scan_add_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *inner,
				  const MxShape *shape, JoinPathExtraData *extra)
{
	Conditions	conditions;
	ListCell   *lc;

	if (!sort_conditions(shape, shape->rel->baserestrictinfo, &conditions))
		return;
	add_plain(root, joinrel, shape, &conditions);
	add_parallel(root, joinrel, shape, &conditions);
	foreach(lc, shape->rel->ppilist)
		add_parameterised(root, joinrel, inner, shape, extra, lfirst(lc));

	if (make_filters(shape, &conditions))
		add_plain(root, joinrel, shape, &conditions);
}

static void
add_plain(PlannerInfo *root, RelOptInfo *joinrel, const MxShape *shape,
		  const Conditions *conditions)
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
			 const Conditions *conditions)
{
	int			workers;
	double		divisor;
	List	   *bounds;
	int			key = 0;

	if (!joinrel->consider_parallel)
		return;
	workers = compute_parallel_worker(shape->rel, shape->rel->pages,
									  shape->index->pages,
									  max_parallel_workers_per_gather);
	while (key < shape->nkeys && bms_is_member(key, conditions->pinned))
		key++;
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
		path->path.path.startup_cost /= divisor;
		path->path.path.total_cost /= divisor;
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
	Conditions	conditions;
	MxScanPath *best = NULL;

	if (!sort_conditions(shape, shape->rel->baserestrictinfo, &conditions))
		return NULL;
	do
	{
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
	} while (make_filters(shape, &conditions));
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
	Conditions	conditions;
	List	   *clauses = list_copy(extra->restrictlist);
	Path	   *outer;
	ParamPathInfo *param_info;
	MxScanPath *path;
	bool		useful = false;
	ListCell   *lc;

	if (bms_overlap(given->ppi_req_outer, inner->relids) ||
		!sort_conditions(shape,
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
	param_info = get_joinrel_parampathinfo(root, joinrel, outer,
										   inner->cheapest_total_path,
										   extra->sjinfo,
										   bms_copy(given->ppi_req_outer),
										   &clauses);

	/* a clause that is neither of the table nor of the join */
	if (list_length(clauses) != list_length(extra->restrictlist))
		return;
	path = make_path(root, joinrel, joinrel->reltarget, shape, &conditions,
					 param_info, MX_NEWEST_FIRST);
	mx_scan_cost(root, path, shape, loop_count(root, given->ppi_req_outer));
	add_path(joinrel, (Path *) path);
}

/*
 * Sorts conditions by how they are met; returns false if they cannot be.
 */
static bool
sort_conditions(const MxShape *shape, List *clauses, Conditions *conditions)
{
	ListCell   *lc;

	memset(conditions, 0, sizeof(Conditions));
	conditions->kind = MX_LATEST;
	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		IndexClause *index_clause;
		MxLatest	kind;
		bool		pins;

		if (rinfo->pseudoconstant || rinfo->security_level > 0)
			return false;
		index_clause = match_index(shape, rinfo, &pins);
		if (index_clause != NULL)
		{
			add_index_clause(conditions, index_clause);
			if (pins)
				conditions->pinned = bms_add_member(conditions->pinned,
													index_clause->indexcol);
		}
		else if (shape->has_flag && conditions->kind == MX_LATEST &&
				 is_kind(shape, (Node *) rinfo->clause, &kind))
			conditions->kind = kind;
		else
			conditions->filters = lappend(conditions->filters, rinfo);
	}
	return true;
}

/*
 * In the order of the index's columns, which it insists on.
 */
static void
add_index_clause(Conditions *conditions, IndexClause *clause)
{
	int			at = list_length(conditions->index_clauses);

	while (at > 0 &&
		   list_nth_node(IndexClause, conditions->index_clauses,
						 at - 1)->indexcol > clause->indexcol)
		at--;
	conditions->index_clauses = list_insert_nth(conditions->index_clauses, at,
												clause);
}

/*
 * metaxy_deleted_at IS [NOT] NULL
 */
static bool
is_kind(const MxShape *shape, Node *clause, MxLatest *kind)
{
	NullTest   *test = (NullTest *) clause;
	AttrNumber	attnum;

	if (!IsA(test, NullTest) || test->argisrow ||
		!mx_is_column((Node *) test->arg, shape->rel->relid, &attnum) ||
		attnum != shape->deleted)
		return false;
	*kind = test->nulltesttype == IS_NULL ? MX_ACTIVE : MX_DELETED;
	return true;
}

/*
 * What the index can do with a condition; NULL: nothing.  "pins": it gives
 * the key one value.
 */
static IndexClause *
match_index(const MxShape *shape, RestrictInfo *rinfo, bool *pins)
{
	IndexOptInfo *index = shape->index;
	MxEquality	equality;
	RestrictInfo *indexqual = index_operator(shape, rinfo, &equality);
	bool		array = indexqual == NULL &&
	index_array(shape, rinfo, &equality);

	if (indexqual == NULL && !array)
		return NULL;
	for (int key = 0; key < shape->nkeys; key++)
	{
		int			strategy;
		IndexClause *clause;

		if (index->indexkeys[key] != equality.attnum)
			continue;
		strategy = get_op_opfamily_strategy(equality.operator,
											index->opfamily[key]);
		if (strategy == 0 || (array && strategy != BTEqualStrategyNumber) ||
			(OidIsValid(index->indexcollations[key]) &&
			 equality.collation != index->indexcollations[key]))
			return NULL;
		clause = makeNode(IndexClause);
		clause->rinfo = rinfo;
		clause->indexquals = list_make1(array ? rinfo : indexqual);
		clause->indexcol = key;
		*pins = !array && strategy == BTEqualStrategyNumber;
		return clause;
	}
	return NULL;
}

/*
 * "column OPERATOR value", turned round if need be.
 */
static RestrictInfo *
index_operator(const MxShape *shape, RestrictInfo *rinfo,
			   MxEquality *equality)
{
	OpExpr	   *clause = (OpExpr *) rinfo->clause;
	AttrNumber	attnum;

	if (!mx_equality_with_value(rinfo, shape->rel->relid, equality))
		return NULL;
	if (mx_is_column(linitial(clause->args), shape->rel->relid, &attnum))
		return rinfo;
	return commute_restrictinfo(rinfo, equality->operator);
}

/*
 * column = ANY (array that is the same for all rows)
 */
static bool
index_array(const MxShape *shape, RestrictInfo *rinfo, MxEquality *equality)
{
	ScalarArrayOpExpr *clause = (ScalarArrayOpExpr *) rinfo->clause;

	if (!IsA(clause, ScalarArrayOpExpr) || !clause->useOr ||
		!mx_is_column(linitial(clause->args), shape->rel->relid,
					  &equality->attnum) ||
		contain_var_clause(lsecond(clause->args)) ||
		contain_volatile_functions(lsecond(clause->args)))
		return false;
	equality->operator = clause->opno;
	equality->collation = clause->inputcollid;
	equality->value = NULL;
	return equality->attnum > 0;
}

/*
 * Does the index have all columns that are asked for?  Then the heap is only
 * for visibility.  A name is kept there as another type.
 */
static bool
index_has_all(const MxShape *shape, PathTarget *target,
			  const Conditions *conditions)
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
 * Takes the conditions out of the index; returns false if they have to stay.
 *
 * Where nearly all entries meet them, as with the current version, it takes
 * less to ask once a sample than once an entry.
 */
static bool
make_filters(const MxShape *shape, Conditions *conditions)
{
	List	   *filters = NIL;
	ListCell   *lc;

	if (conditions->index_clauses == NIL ||
		bms_num_members(conditions->pinned) == shape->nkeys)
		return false;
	foreach(lc, conditions->index_clauses)
		filters = lappend(filters, lfirst_node(IndexClause, lc)->rinfo);

	/* paths have the old list */
	conditions->filters = list_concat(filters, conditions->filters);
	conditions->index_clauses = NIL;
	return true;
}

/*
 * A path without its costs; NULL if it would be of no use.  Only that of a
 * join has an order: partitions are appended to each other.
 */
static MxScanPath *
make_path(PlannerInfo *root, RelOptInfo *parent, PathTarget *target,
		  const MxShape *shape, const Conditions *conditions,
		  ParamPathInfo *param_info, MxScanOrder order)
{
	bool		descending = shape->index->reverse_sort[shape->nkeys];
	bool		single = bms_num_members(conditions->pinned) == shape->nkeys;
	bool		index_only = index_has_all(shape, target, conditions);
	List	   *pathkeys = NIL;
	MxScanPath *path;

	if (order == MX_HEAP_ORDER && (index_only || single))
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
	path->plan.single = single;
	path->relid = shape->rel->relid;
	path->deleted = shape->deleted;
	path->index_clauses = conditions->index_clauses;
	path->pinned = conditions->pinned;
	path->filters = conditions->filters;
	return path;
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
