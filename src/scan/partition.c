/*-------------------------------------------------------------------------
 *
 * partition.c
 *		The latest scan of a partitioned table.
 *
 * Where the partition key is made of columns that make a sample, all rows of a
 * sample lie in one partition: then each is scanned by itself.
 *
 * src/scan/partition.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

#include "scan/scan.h"

static bool samples_are_whole(const MxShape *shape);
static bool key_is_of_sample(const MxShape *shape, int key);
static PathTarget *translate_target(PlannerInfo *root, RelOptInfo *joinrel,
									RelOptInfo *partition);

/*
 * Adds a path that appends the scans of all partitions, if each can be scanned.
 */
void
mx_scan_add_append(PlannerInfo *root, RelOptInfo *joinrel,
				   const MxShape *shape)
{
	RelOptInfo *rel = shape->rel;
	List	   *paths = NIL;
	double		rows = 0;
	int			i = -1;

	if (!samples_are_whole(shape))
		return;
	while ((i = bms_next_member(rel->live_parts, i)) >= 0)
		rows += rel->part_rels[i]->rows;
	i = -1;
	while ((i = bms_next_member(rel->live_parts, i)) >= 0)
	{
		RelOptInfo *partition = rel->part_rels[i];
		MxShape    *part;
		Path	   *path;

		if (IS_DUMMY_REL(partition))
			continue;
		part = mx_shape_of_partition(root, shape, partition);
		if (part == NULL)
			return;
		path = mx_scan_partition_path(root, part,
									  translate_target(root, joinrel,
													   partition),
									  clamp_row_est(joinrel->rows *
													partition->rows /
													Max(rows, 1)));
		if (path == NULL)
			return;
		paths = lappend(paths, path);
	}
	if (paths != NIL)
		add_path(joinrel, (Path *)
				 create_append_path(root, joinrel, paths, NIL, NIL, NULL, 0,
									false, -1));
}

static bool
samples_are_whole(const MxShape *shape)
{
	PartitionScheme scheme = shape->rel->part_scheme;

	if (scheme == NULL || shape->rel->nparts <= 0)
		return false;
	for (int key = 0; key < scheme->partnatts; key++)
	{
		if (!key_is_of_sample(shape, key))
			return false;
	}
	return true;
}

/*
 * Rows of a sample are equal in this key, as the partitions understand it.
 */
static bool
key_is_of_sample(const MxShape *shape, int key)
{
	PartitionScheme scheme = shape->rel->part_scheme;
	List	   *equalities = list_concat_copy(shape->equalities, shape->scope);
	int			strategy = scheme->strategy == PARTITION_STRATEGY_HASH ?
	HTEqualStrategyNumber : BTEqualStrategyNumber;
	AttrNumber	attnum;
	ListCell   *lc;

	if (list_length(shape->rel->partexprs[key]) != 1 ||
		!mx_is_column(linitial(shape->rel->partexprs[key]), shape->rel->relid,
					  &attnum))
		return false;
	foreach(lc, equalities)
	{
		MxEquality *equality = lfirst(lc);

		if (equality->attnum == attnum &&
			get_op_opfamily_strategy(equality->operator,
									 scheme->partopfamily[key]) == strategy &&
			(!OidIsValid(scheme->partcollation[key]) ||
			 scheme->partcollation[key] == equality->collation))
			return true;
	}
	return false;
}

/*
 * What the join is to give, as the partition's columns.
 */
static PathTarget *
translate_target(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *partition)
{
	AppendRelInfo *appinfo = root->append_rel_array[partition->relid];
	PathTarget *target = copy_pathtarget(joinrel->reltarget);

	target->exprs = (List *)
		adjust_appendrel_attrs(root, (Node *) target->exprs, 1, &appinfo);
	return target;
}
