/*-------------------------------------------------------------------------
 *
 * scan.h
 *		The custom scan that reads the latest row of each sample.
 *
 * The views are plain SQL: an anti-join of a table with itself.  A hook of
 * the planner recognises it (hook.c, shape.c, equality.c) and offers paths
 * that take its place: walks over an index on the id columns and the recency
 * (path.c, partition.c, cost.c), and look-ups of rows that are found otherwise
 * (filter_path.c).  How they are executed is in walk.h.
 *
 * src/scan/scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_SCAN_H
#define MX_SCAN_H

#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "utils/lsyscache.h"

#include "read/read.h"

#define MX_SCAN_NAME	"Metaxy Latest Scan"
#define MX_FILTER_NAME	"Metaxy Latest Filter"

/* bytes that a row in heap order takes of work_mem */
#define MX_SORTED_ENTRY	12

/* in what order the scan gives its rows */
typedef enum MxScanOrder
{
	MX_NEWEST_FIRST,			/* of the index, where a sample's newest row
								 * comes first */
	MX_OLDEST_FIRST,			/* the other way round */
	MX_HEAP_ORDER				/* batches in the order of the heap */
} MxScanOrder;

/* one equality with a column of a table on its left: see equality.c */
typedef struct MxEquality
{
	AttrNumber	attnum;
	Oid			operator;
	Oid			collation;
	Expr	   *value;			/* right side; NULL: the other table's column */
} MxEquality;

/* an anti-join of a table with itself that leaves each sample's latest row */
typedef struct MxShape
{
	RelOptInfo *rel;			/* the table, as the side that is kept */
	Expr	   *recency;		/* of it */
	AttrNumber	deleted;		/* its column metaxy_deleted_at */
	List	   *equalities;		/* what makes two rows versions of a sample */
	List	   *scope;			/* what is demanded of both sides */

	/* the index that serves: its first columns are the sample's */
	IndexOptInfo *index;
	int			nkeys;			/* so many of them; the recency follows */
	bool		has_flag;		/* and then "metaxy_deleted_at IS NOT NULL" */
} MxShape;

/* how the conditions on the rows are met */
typedef struct MxConditions
{
	List	   *index_clauses;
	List	   *filters;
	Bitmapset  *pinned;			/* keys that an equality gives one value */
	bool		has_arrays;		/* other keys have several values */
	MxLatest	kind;			/* to be had from the index's flag */
} MxConditions;

/* what a scan has to know, as far as it is not expressions */
typedef struct MxScanPlan
{
	Oid			index;
	int			nkeys;
	MxScanOrder order;
	bool		has_flag;		/* column nkeys + 1 says which are tombstones */
	bool		index_only;		/* the heap is asked for visibility alone */
	MxLatest	kind;			/* which are wanted, by that */
	int			range_key;		/* in parallel: which key has ranges */
	int			bitmap_width;	/* in heap order: words for rows of a page */
} MxScanPlan;

/*
 * Bytes that a bitmap of the rows of so many pages takes.
 */
static inline Size
mx_bitmap_size(BlockNumber npages, int width)
{
	return (Size) npages * width * sizeof(uint64);
}

/*
 * Is there room for one, and for a third as much besides?
 */
static inline bool
mx_bitmap_fits(BlockNumber npages, int width)
{
	return mx_bitmap_size(npages, width) <= work_mem * (Size) 1024 / 4 * 3;
}

/* in hook.c */
extern void mx_scan_init(void);

/* in shape.c */
extern MxShape *mx_shape_recognise(PlannerInfo *root, RelOptInfo *outer,
								   RelOptInfo *inner, List *restrictlist);
extern bool mx_shape_find_index(PlannerInfo *root, MxShape *shape);
extern MxShape *mx_shape_of_partition(PlannerInfo *root, const MxShape *shape,
									  RelOptInfo *partition);

/* in size.c */
extern double mx_count_samples(PlannerInfo *root, RelOptInfo *rel,
							   List *columns, double rows);
extern void mx_scan_set_size(PlannerInfo *root, RelOptInfo *joinrel,
							 const RelOptInfo *outer, const MxShape *shape);

/* in equality.c */
extern bool mx_equality_of_sides(RestrictInfo *rinfo, Index outer,
								 Index inner, MxEquality *equality);
extern bool mx_equality_with_value(RestrictInfo *rinfo, Index relid,
								   MxEquality *equality);
extern bool mx_same_equality(const MxEquality *a, const MxEquality *b);
extern bool mx_is_column(Node *node, Index relid, AttrNumber *attnum);

/* in conditions.c */
extern bool mx_sort_conditions(const MxShape *shape, List *clauses,
							   MxConditions *conditions);
extern bool mx_is_kind(const MxShape *shape, Node *clause, MxLatest *kind);

/* in path.c */
extern void mx_scan_add_paths(PlannerInfo *root, RelOptInfo *joinrel,
							  RelOptInfo *inner, const MxShape *shape,
							  JoinPathExtraData *extra);
extern bool mx_join_parameters(PlannerInfo *root, RelOptInfo *joinrel,
							   RelOptInfo *inner, JoinPathExtraData *extra,
							   Path *rows, ParamPathInfo **result);
extern Path *mx_scan_partition_path(PlannerInfo *root, const MxShape *shape,
									PathTarget *target, double rows);

/* in partition.c */
extern void mx_scan_add_append(PlannerInfo *root, RelOptInfo *joinrel,
							   const MxShape *shape);

/* a path of ours, and what becomes of it in the plan */
typedef struct MxScanPath
{
	CustomPath	path;
	MxScanPlan	plan;
	Index		relid;
	AttrNumber	deleted;
	List	   *bounds;			/* of Const, in parallel */
	Cost		cpu_cost;		/* what processes can share */
	List	   *index_clauses;	/* of IndexClause */
	Bitmapset  *pinned;			/* keys that these give one value */
	List	   *filters;		/* of RestrictInfo, on the latest row */
} MxScanPath;

/* a path that looks up the rows of another one */
typedef struct MxFilterPath
{
	CustomPath	path;
	const MxShape *shape;
} MxFilterPath;

/* in filter_path.c */
extern void mx_filter_add_paths(PlannerInfo *root, RelOptInfo *joinrel,
								RelOptInfo *outer, RelOptInfo *inner,
								const MxShape *shape,
								JoinPathExtraData *extra);

/* in filter.c */
extern const CustomScanMethods mx_filter_methods;

/* in parallel.c */
extern List *mx_range_bounds(PlannerInfo *root, const MxShape *shape, int key);
extern double mx_parallel_divisor(int workers);

/* in cost.c */
extern void mx_scan_cost(PlannerInfo *root, MxScanPath *path,
						 const MxShape *shape, double loop_count);
extern bool mx_key_statistics(PlannerInfo *root, const MxShape *shape,
							  int key, int kind, int flags,
							  AttStatsSlot *slot);

/* in plan.c */
extern const CustomPathMethods mx_scan_path_methods;
extern MxScanPlan mx_scan_plan(CustomScan *scan, AttrNumber *deleted);

/* in execute.c */
extern const CustomScanMethods mx_scan_methods;

/*
 * The first key that is not pinned to one value; the number of keys if all are.
 */
static inline int
mx_first_free_key(const MxShape *shape, const Bitmapset *pinned)
{
	int			key = 0;

	while (key < shape->nkeys && bms_is_member(key, pinned))
		key++;
	return key;
}

/*
 * Is a latest row wanted, by the flag of the index?  Without a flag, each is.
 */
static inline bool
mx_wants(const MxScanPlan *plan, bool tombstone)
{
	return plan->kind == MX_LATEST || (plan->kind == MX_DELETED) == tombstone;
}

#endif							/* MX_SCAN_H */
