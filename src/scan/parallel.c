/*-------------------------------------------------------------------------
 *
 * parallel.c
 *		Ranges of a key for a latest scan in parallel.
 *
 * src/scan/parallel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "scan/scan.h"

/* fewer ranges than that are not worth the trouble */
#define FEW_RANGES		8

static Const *make_bound(Var *column, Oid type, Datum value);

/*
 * Values that cut what a key has into ranges of about the same number of rows:
 * those that ANALYZE has found.  As Consts; NIL if there are none.
 *
 * It does not matter if they are out of date, but they must be sorted as the
 * index is.
 */
List *
mx_range_bounds(PlannerInfo *root, const MxShape *shape, int key)
{
	IndexOptInfo *index = shape->index;
	TargetEntry *column = list_nth(index->indextlist, key);
	List	   *bounds = NIL;
	AttStatsSlot slot;

	if (mx_key_statistics(root, shape, key, STATISTIC_KIND_HISTOGRAM,
						  ATTSTATSSLOT_VALUES, &slot))
	{
		if (slot.nvalues > FEW_RANGES &&
			slot.stacoll == index->indexcollations[key])
		{
			for (int i = 1; i < slot.nvalues - 1; i++)
				bounds = lappend(bounds,
								 make_bound(castNode(Var, column->expr),
											slot.valuetype, slot.values[i]));
		}
		free_attstatsslot(&slot);
	}
	return bounds;
}

static Const *
make_bound(Var *column, Oid type, Datum value)
{
	int16		length;
	bool		by_value;

	get_typlenbyval(type, &length, &by_value);
	return makeConst(type, -1, column->varcollid, length,
					 datumCopy(value, by_value, length), false, by_value);
}

/*
 * What part of the work a process does, as the planner reckons it: the leader
 * has less time for it the more workers it has to read from.
 */
double
mx_parallel_divisor(int workers)
{
	double		leader = parallel_leader_participation ?
	1.0 - 0.3 * workers : 0;

	return workers + Max(leader, 0);
}
