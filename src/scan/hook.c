/*-------------------------------------------------------------------------
 *
 * hook.c
 *		Where the planner asks for paths of a join.
 *
 * src/scan/hook.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/paths.h"

#include "scan/scan.h"

PG_FUNCTION_INFO_V1(metaxy_load);
PG_FUNCTION_INFO_V1(metaxy_load_support);

static set_join_pathlist_hook_type next_hook = NULL;

static void add_paths(PlannerInfo *root, RelOptInfo *joinrel,
					  RelOptInfo *outer, RelOptInfo *inner,
					  JoinType jointype, JoinPathExtraData *extra);

void
mx_scan_init(void)
{
	RegisterCustomScanMethods(&mx_scan_methods);
	RegisterCustomScanMethods(&mx_filter_methods);
	next_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = add_paths;
}

/*
 * metaxy_load() returns boolean
 *
 * Always true.  It stands in the condition of the views: the planner makes it
 * a constant before it looks for paths, and that loads the library just in time
 * for its hook.
 */
Datum
metaxy_load(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

/*
 * metaxy_load_support(internal) returns internal
 */
Datum
metaxy_load_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	PG_RETURN_POINTER(IsA(request, SupportRequestSimplify) ?
					  makeBoolConst(true, false) : NULL);
}

static void
add_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer,
		  RelOptInfo *inner, JoinType jointype, JoinPathExtraData *extra)
{
	RelOptInfo *table;
	MxShape    *shape;

	if (next_hook != NULL)
		next_hook(root, joinrel, outer, inner, jointype, extra);
	/* with lateral references each path would need parameters */
	if (!mx_enable_latest_scan || jointype != JOIN_ANTI ||
		joinrel->lateral_relids != NULL)
		return;
	/* other tables may have been joined to it before */
	if (bms_membership(extra->sjinfo->min_lefthand) != BMS_SINGLETON)
		return;
	table = root->simple_rel_array[bms_singleton_member(extra->sjinfo->min_lefthand)];
	shape = table == NULL ? NULL :
		mx_shape_recognise(root, table, inner, extra->restrictlist);
	if (shape == NULL)
		return;
	mx_scan_set_size(root, joinrel, outer, shape);
	if (IS_PARTITIONED_REL(table))
	{
		if (outer == table)
			mx_scan_add_append(root, joinrel, shape);
	}
	else if (mx_shape_find_index(root, shape))
	{
		if (outer == table)
			mx_scan_add_paths(root, joinrel, inner, shape, extra);
		mx_filter_add_paths(root, joinrel, outer, inner, shape, extra);
	}
}
