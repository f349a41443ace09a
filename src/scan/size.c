/*-------------------------------------------------------------------------
 *
 * size.c
 *		How many rows the anti-join leaves.
 *
 * Each row has a partner of the same key; how often none of them is later the
 * planner cannot know.  Its guess for a comparison leaves two thirds of all
 * rows, and one single row of a table without statistics: whatever joins the
 * view would then be planned for that, such as to read the table once for each
 * row of another one.  But what is left is one row a sample, of those that the
 * other conditions let through.
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
static bool is_scope(const MxShape *shape, RestrictInfo *rinfo);
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

	scale_paths(joinrel->pathlist, factor);
	scale_paths(joinrel->partial_pathlist, factor);
	joinrel->rows = rows;
}

/*
 * Latest rows that the conditions on the table let through: of the samples in
 * the scope, as many as of their rows.
 *
 * Of a table without statistics the planner thinks that few rows are of any
 * one version, and fewer are live: nearly all are.
 */
static double
count_latest(PlannerInfo *root, const MxShape *shape)
{
	RelOptInfo *rel = shape->rel;
	bool		known = has_statistics(root, shape);
	List	   *on_scope = NIL;
	List	   *others = NIL;
	double		versions;
	ListCell   *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (!known && is_usual(shape, rinfo))
			continue;
		if (is_scope(shape, rinfo))
			on_scope = lappend(on_scope, rinfo);
		else
			others = lappend(others, rinfo);
	}
	versions = clamp_row_est(rel->tuples *
							 clauselist_selectivity(root, on_scope, 0,
													JOIN_INNER, NULL));

	return mx_count_samples(root, rel, sample_columns(root, shape), versions) *
		clauselist_selectivity(root, others, 0, JOIN_INNER, NULL);
}

/*
 * Samples among so many of a table's rows, by the columns that tell them apart.
 *
 * The estimate for DISTINCT starts from the rows that are left of the table,
 * by its own count of them: here from those that are meant.
 */
double
mx_count_samples(PlannerInfo *root, RelOptInfo *rel, List *columns,
				 double rows)
{
	double		estimated = rel->rows;
	double		samples;

	if (columns == NIL)
		return 1.0;
	rel->rows = rows;
	samples = estimate_num_groups(root, columns, rows, NULL, NULL);
	rel->rows = estimated;
	return Min(samples, rows);
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
	MxLatest	kind;

	if (mx_is_kind(shape, (Node *) rinfo->clause, &kind))
		return kind == MX_ACTIVE;
	return is_scope(shape, rinfo);
}

/*
 * Is it demanded of later rows as well, such as to be of a version?
 */
static bool
is_scope(const MxShape *shape, RestrictInfo *rinfo)
{
	MxEquality	equality;
	ListCell   *lc;

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
 * The columns that make a sample, but for those that have one value.
 */
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
		bool		pinned = false;
		ListCell   *lc2;

		foreach(lc2, shape->scope)
			pinned |= ((MxEquality *) lfirst(lc2))->attnum == attnum;
		if (pinned)
			continue;
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
