/*-------------------------------------------------------------------------
 *
 * cost.c
 *		What a latest scan costs.
 *
 * src/scan/cost.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/amapi.h"
#include "access/stratnum.h"
#include "catalog/pg_statistic.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"
#include "utils/syscache.h"

#include "scan/scan.h"

static double count_samples(PlannerInfo *root, const MxScanPath *path,
							const MxShape *shape, double entries);
static double key_correlation(PlannerInfo *root, const MxScanPath *path,
							  const MxShape *shape);
static Cost heap_cost(PlannerInfo *root, const MxScanPath *path,
					  const MxShape *shape, double entries, double fetches,
					  double loop_count);

/*
 * All entries of the index that fit are walked over, and of each sample one
 * row is fetched from the heap, one look-up of "loop_count".
 */
void
mx_scan_cost(PlannerInfo *root, MxScanPath *path, const MxShape *shape,
			 double loop_count)
{
	RelOptInfo *rel = shape->rel;
	Path	   *result = &path->path.path;
	IndexPath  *walk = makeNode(IndexPath);
	Cost		index_startup;
	Cost		index_total;
	Selectivity selectivity;
	double		correlation;
	double		pages;
	double		entries;
	double		samples;
	double		fetches;
	QualCost	filter;
	Cost		run;

	walk->path.pathtype = T_IndexScan;
	walk->path.parent = rel;
	walk->path.pathtarget = rel->reltarget;
	walk->indexinfo = shape->index;
	walk->indexclauses = path->index_clauses;
	walk->indexscandir = ForwardScanDirection;
	((amcostestimate_function) shape->index->amcostestimate)
		(root, walk, loop_count, &index_startup, &index_total, &selectivity,
		 &correlation, &pages);

	entries = clamp_row_est(selectivity * rel->tuples);

	/* conditions are not asked of each entry */
	index_total -= entries * cpu_operator_cost *
		list_length(path->index_clauses);
	index_total = Max(index_total, index_startup);
	samples = count_samples(root, path, shape, entries);
	fetches = samples;
	if (path->plan.index_only)
		fetches *= 1.0 - rel->allvisfrac;

	cost_qual_eval(&filter, path->filters, root);
	run = samples * (cpu_tuple_cost + filter.per_tuple);
	path->cpu_cost = run + entries * cpu_index_tuple_cost;
	run += heap_cost(root, path, shape, entries, fetches, loop_count);

	result->startup_cost = index_startup + filter.startup +
		result->pathtarget->cost.startup;
	if (path->plan.order == MX_HEAP_ORDER)
	{
		/* the walk comes first; a sort is one of integers */
		result->startup_cost += index_total - index_startup;
		if (!mx_bitmap_fits(rel->pages, path->plan.bitmap_width))
			run += fetches * cpu_operator_cost * 0.25 * log2(Max(fetches, 2.0));
	}
	result->total_cost = index_total + filter.startup + run +
		result->pathtarget->cost.startup +
		result->pathtarget->cost.per_tuple * result->rows;
}

/*
 * Samples among so many entries, those that the index gives before the other
 * conditions.
 */
static double
count_samples(PlannerInfo *root, const MxScanPath *path, const MxShape *shape,
			  double entries)
{
	List	   *columns = NIL;

	for (int key = 0; key < shape->nkeys; key++)
	{
		TargetEntry *entry = list_nth(shape->index->indextlist, key);

		if (!bms_is_member(key, path->pinned))
			columns = lappend(columns, entry->expr);
	}
	return mx_count_samples(root, shape->rel, columns, entries);
}

/*
 * How well the order of the index is that of the heap.  What counts is the
 * first key that has several values; the planner's own estimate would be
 * that of the feature version, which is the same everywhere.
 */
static double
key_correlation(PlannerInfo *root, const MxScanPath *path,
				const MxShape *shape)
{
	double		correlation = 0;
	int			key = mx_first_free_key(shape, path->pinned);
	AttStatsSlot slot;

	if (key == shape->nkeys)
		return 0;
	if (mx_key_statistics(root, shape, key, STATISTIC_KIND_CORRELATION,
						  ATTSTATSSLOT_NUMBERS, &slot))
	{
		if (slot.nnumbers == 1)
			correlation = slot.numbers[0];
		free_attstatsslot(&slot);
	}
	return key + 1 < shape->nkeys ? correlation * 0.75 : correlation;
}

/*
 * What ANALYZE has found of a key, in the order of the index; returns false if
 * it has not.  It is the caller's to free.
 */
bool
mx_key_statistics(PlannerInfo *root, const MxShape *shape, int key, int kind,
				  int flags, AttStatsSlot *slot)
{
	IndexOptInfo *index = shape->index;
	Oid			relid = planner_rt_fetch(shape->rel->relid, root)->relid;
	Oid			less = get_opfamily_member(index->opfamily[key],
										   index->opcintype[key],
										   index->opcintype[key],
										   BTLessStrategyNumber);
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH,
										ObjectIdGetDatum(relid),
										Int16GetDatum(index->indexkeys[key]),
										BoolGetDatum(false));
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	found = get_attstatsslot(slot, tuple, kind, less, flags);
	ReleaseSysCache(tuple);
	return found;
}

/*
 * Reading the pages of the heap that "fetches" rows lie on, as the planner
 * reckons for index scans, and in heap order for bitmap scans.
 */
static Cost
heap_cost(PlannerInfo *root, const MxScanPath *path, const MxShape *shape,
		  double entries, double fetches, double loop_count)
{
	RelOptInfo *rel = shape->rel;
	double		random_page;
	double		seq_page;
	double		batches = 1;
	double		pages;
	double		fewest;
	double		correlation;
	Cost		most;
	Cost		least;

	if (fetches < 1 || rel->pages == 0)
		return 0;
	get_tablespace_page_costs(rel->reltablespace, &random_page, &seq_page);
	if (path->plan.order == MX_HEAP_ORDER)
	{
		/* each batch is a pass over the heap, if the cache forgets it */
		if (!mx_bitmap_fits(rel->pages, path->plan.bitmap_width) &&
			(double) rel->pages + shape->index->pages > effective_cache_size)
			batches = ceil(fetches * MX_SORTED_ENTRY / (work_mem * 1024.0));
		pages = index_pages_fetched(fetches / batches, rel->pages,
									shape->index->pages, root);
		return batches * pages *
			(random_page - (random_page - seq_page) *
			 sqrt(Min(pages / rel->pages, 1.0)));
	}

	pages = index_pages_fetched(fetches * loop_count, rel->pages,
								shape->index->pages, root) / loop_count;
	most = pages * random_page;
	fewest = Min(ceil(entries / Max(rel->tuples, 1.0) * rel->pages), pages);
	least = fewest > 0 ? random_page + (fewest - 1) * seq_page : 0;
	correlation = key_correlation(root, path, shape);
	return most + correlation * correlation * (Min(least, most) - most);
}
