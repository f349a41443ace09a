/*-------------------------------------------------------------------------
 *
 * ranges.c
 *		The latest scan in parallel: each process takes the next range of a key.
 *
 * All rows of a sample are in one range, so the processes need not know of each
 * other but for the number of the next one.
 *
 * src/scan/ranges.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "utils/rel.h"

#include "scan/walk.h"

static void make_bound(ScanKey scankey, Relation index, int key,
					   StrategyNumber strategy);

/*
 * Ranges between such bounds, for a scan with that many keys.
 */
MxRanges *
mx_ranges_new(Relation index, int key, List *bounds, int nkeys)
{
	MxRanges   *ranges = palloc0(sizeof(MxRanges));
	ListCell   *lc;

	ranges->key = key;
	ranges->bounds = palloc(sizeof(Datum) * list_length(bounds));
	foreach(lc, bounds)
		ranges->bounds[ranges->nbounds++] = lfirst_node(Const, lc)->constvalue;
	ranges->keys = palloc(sizeof(ScanKeyData) * (nkeys + 2));
	make_bound(&ranges->from, index, key, BTGreaterEqualStrategyNumber);
	make_bound(&ranges->below, index, key, BTLessStrategyNumber);
	pg_atomic_init_u32(&ranges->own, 0);
	return ranges;
}

/*
 * A comparison of a key with a value, which is filled in later.
 */
static void
make_bound(ScanKey scankey, Relation index, int key, StrategyNumber strategy)
{
	ScanKeyEntryInitialize(scankey, 0, key + 1, strategy,
						   index->rd_opcintype[key],
						   index->rd_indcollation[key],
						   mx_operator_function(index, key, strategy),
						   (Datum) 0);
}

/*
 * A scan that is started anew begins with the first range; where processes
 * share them, the leader does that for all.
 */
void
mx_ranges_reset(MxRanges *ranges)
{
	pg_atomic_write_u32(&ranges->own, 0);
}

/*
 * Starts the walk over the next range; returns false if none is left.
 */
bool
mx_next_range(MxScanState *state)
{
	MxRanges   *ranges = state->ranges;
	MxShared   *shared = state->node.shared;
	int			before = 0;
	int			n;
	uint32		range;

	range = pg_atomic_fetch_add_u32(shared != NULL ? &shared->next_range :
									&ranges->own, 1);
	if (range > ranges->nbounds)
		return false;

	/* keys are in the order of the index's columns */
	while (before < state->nkeys &&
		   state->keys[before].sk_attno <= ranges->key + 1)
		before++;
	n = before;
	memcpy(ranges->keys, state->keys, sizeof(ScanKeyData) * before);
	if (range > 0)
	{
		ranges->keys[n] = ranges->from;
		ranges->keys[n++].sk_argument = ranges->bounds[range - 1];
	}
	if (range < ranges->nbounds)
	{
		ranges->keys[n] = ranges->below;
		ranges->keys[n++].sk_argument = ranges->bounds[range];
	}
	memcpy(ranges->keys + n, state->keys + before,
		   sizeof(ScanKeyData) * (state->nkeys - before));
	mx_walk_start(&state->walk, ranges->keys, n + state->nkeys - before);
	return true;
}
