/*-------------------------------------------------------------------------
 *
 * size.c
 *		How many rows the anti-join leaves.
 *
 * The planner expects next to nothing to be left of an anti-join of a table
 * with itself: each row has a partner of the same key, and how often none of
 * them is later it cannot know.  Whatever joins the view would then be planned
 * for a single row, such as to read the table once for each row of another.
 * One row a sample is left, of those that the other conditions let through.
 *
 * src/scan/size.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "scan/scan.h"

static double count_latest(PlannerInfo *root, const MxShape *shape);
static bool has_statistics(PlannerInfo *root, const MxShape *shape);
static bool is_usual(const MxShape *shape, RestrictInfo *rinfo);
static bool is_of_sample(const MxShape *shape, RestrictInfo *rinfo);
static List *sample_columns(PlannerInfo *root, const MxShape *shape);
static void scale_paths(List *paths, double factor);

/*
 * Corrects the size of "joinrel", of shape->rel or of what it has been joined
 * with before, and of those of its paths that there are.
 */
void
mx_scan_set_size(PlannerInfo *root, RelOptInfo *joinrel,
				 const RelOptInfo *outer, const MxShape *shape)
{
	double		left = count_latest(root, shape) / Max(shape->rel->rows, 1.0);
	double		rows = clamp_row_est(outer->rows * left);
	double		factor = rows / Max(joinrel->rows, 1.0);

	if (factor <= 1.0)
		return;
	scale_paths(joinrel->pathlist, factor);
	scale_paths(joinrel->partial_pathlist, factor);
	joinrel->rows = rows;
}

/*
 * Latest rows that the conditions on the table let through.  Those on the
 * columns of a sample choose samples, all others one row of each.
 *
 * Of a table without statistics the planner thinks that few rows are of any
 * one version, and fewer are live: nearly all are.
 */
static double
count_latest(PlannerInfo *root, const MxShape *shape)
{
	RelOptInfo *rel = shape->rel;
	double		estimated = rel->rows;
	bool		known = has_statistics(root, shape);
	List	   *on_sample = NIL;
	List	   *on_row = NIL;
	double		versions;
	double		samples;
	ListCell   *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (!known && is_usual(shape, rinfo))
			continue;
		if (is_of_sample(shape, rinfo))
			on_sample = lappend(on_sample, rinfo);
		else
			on_row = lappend(on_row, rinfo);
	}
	versions = clamp_row_est(rel->tuples *
							 clauselist_selectivity(root, on_sample, 0,
													JOIN_INNER, NULL));

	/* the estimate for DISTINCT starts from the table's own size */
	rel->rows = versions;
	samples = estimate_num_groups(root, sample_columns(root, shape), versions,
								  NULL, NULL);
	rel->rows = estimated;
	return samples * clauselist_selectivity(root, on_row, 0, JOIN_INNER, NULL);
}

static bool
has_statistics(PlannerInfo *root, const MxShape *shape)
{
	RangeTblEntry *rte = planner_rt_fetch(shape->rel->relid, root);

	return SearchSysCacheExists3(STATRELATTINH,
								 ObjectIdGetDatum(rte->relid),
								 Int16GetDatum(shape->deleted),
								 BoolGetDatum(rte->inh));
}

/*
 * Is it a condition that most rows of any table meet: to be of the current
 * version, to be live?
 */
static bool
is_usual(const MxShape *shape, RestrictInfo *rinfo)
{
	NullTest   *test = (NullTest *) rinfo->clause;
	MxEquality	equality;
	AttrNumber	attnum;
	ListCell   *lc;

	if (IsA(test, NullTest))
		return test->nulltesttype == IS_NULL &&
			mx_is_column((Node *) test->arg, shape->rel->relid, &attnum) &&
			attnum == shape->deleted;
	if (!mx_equality_with_value(rinfo, shape->rel->relid, &equality))
		return false;
	foreach(lc, shape->scope)
	{
		if (mx_same_equality(lfirst(lc), &equality))
			return true;
	}
	return false;
}

/*
 * Does a condition hold for all rows of a sample or for none?
 */
static bool
is_of_sample(const MxShape *shape, RestrictInfo *rinfo)
{
	List	   *vars = pull_var_clause((Node *) rinfo->clause, 0);
	ListCell   *lc;

	foreach(lc, vars)
	{
		Var		   *var = lfirst_node(Var, lc);
		List	   *all = list_concat_copy(shape->equalities, shape->scope);
		bool		found = false;
		ListCell   *lc2;

		foreach(lc2, all)
			found |= ((MxEquality *) lfirst(lc2))->attnum == var->varattno;
		if (!found)
			return false;
	}
	return true;
}

static List *
sample_columns(PlannerInfo *root, const MxShape *shape)
{
	Oid			relid = planner_rt_fetch(shape->rel->relid, root)->relid;
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, shape->equalities)
	{
		AttrNumber	attnum = ((MxEquality *) lfirst(lc))->attnum;
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
		columns = lappend(columns, makeVar(shape->rel->relid, attnum, type,
										   typmod, collation, 0));
	}
	return columns;
}

static void
scale_paths(List *paths, double factor)
{
	ListCell   *lc;

	foreach(lc, paths)
	{
		Path	   *path = lfirst(lc);

		if (path->param_info == NULL)
			path->rows = clamp_row_est(path->rows * factor);
	}
}
