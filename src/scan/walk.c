/*-------------------------------------------------------------------------
 *
 * walk.c
 *		Walks over the entries of the index, sample by sample.
 *
 * Entries of one sample are neighbours, in the order of their recency.  The
 * walk says where a sample begins; whoever walks says when he knows the
 * latest row, and does not get the rest of that sample.
 *
 * src/scan/walk.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "scan/scan.h"

/*
 * So many superseded entries of a sample are passed one by one, about what a
 * page of the index holds; then it pays to descend anew, to the next sample.
 */
#define LONG_RUN	200

static void find_equalities(MxWalk *walk);
static void find_bounds(MxWalk *walk);
static RegProcedure operator_function(Relation index, int key,
									  StrategyNumber strategy);
static bool may_jump(const MxWalk *walk);
static void jump(MxWalk *walk);
static bool same_sample(MxWalk *walk, IndexTuple entry);
static void read_recency(MxWalk *walk, IndexTuple entry);

/*
 * Prepares a walk; mx_walk_start starts it.
 */
void
mx_walk_begin(MxWalk *walk, Relation heap, Relation index,
			  const MxScanPlan *plan, AttrNumber deleted, Snapshot snapshot,
			  MxScanCounts *counts)
{
	bool		descending =
	(index->rd_indoption[plan->nkeys] & INDOPTION_DESC) != 0;
	bool		newest_first = plan->order != MX_OLDEST_FIRST;

	memset(walk, 0, sizeof(MxWalk));
	walk->heap = heap;
	walk->index = index;
	walk->snapshot = snapshot;
	walk->direction = newest_first == descending ? ForwardScanDirection :
		BackwardScanDirection;
	walk->nkeys = plan->nkeys;
	walk->has_flag = plan->has_flag;
	walk->single = plan->single;
	walk->counts = counts;
	walk->deleted = deleted;
	walk->context = CurrentMemoryContext;
	walk->vm_buffer = InvalidBuffer;
	walk->best = table_slot_create(heap, NULL);
	walk->other = table_slot_create(heap, NULL);
	walk->fetch = table_index_fetch_begin(heap);

	/* then the recency has a fixed place at the end of an entry */
	walk->compact = IndexRelationGetNumberOfAttributes(index) ==
		plan->nkeys + (plan->has_flag ? 2 : 1);
	find_equalities(walk);
	find_bounds(walk);
}

/*
 * The equality of each key, as the index has it.
 */
static void
find_equalities(MxWalk *walk)
{
	walk->equal = palloc(sizeof(FmgrInfo) * walk->nkeys);
	for (int key = 0; key < walk->nkeys; key++)
		fmgr_info(operator_function(walk->index, key, BTEqualStrategyNumber),
				  &walk->equal[key]);
}

/*
 * What a jump needs: a comparison of rows, whose values are filled in each
 * time.  It is of the keys that are not pinned, see mx_walk_start.  Of a row of
 * one key the index would read beyond its end: that is a comparison of values.
 */
static void
find_bounds(MxWalk *walk)
{
	walk->bounds = palloc0(sizeof(ScanKeyData) * walk->nkeys);
	for (int key = 0; key < walk->nkeys; key++)
	{
		bool		reverse =
		(walk->index->rd_indoption[key] & INDOPTION_DESC) != 0;
		bool		less = ScanDirectionIsBackward(walk->direction) != reverse;

		ScanKeyEntryInitializeWithInfo(&walk->bounds[key], SK_ROW_MEMBER,
									   key + 1,
									   less ? BTLessStrategyNumber :
									   BTGreaterStrategyNumber,
									   InvalidOid,
									   walk->index->rd_indcollation[key],
									   index_getprocinfo(walk->index, key + 1,
														 BTORDER_PROC),
									   (Datum) 0);
	}
	walk->bounds[walk->nkeys - 1].sk_flags |= SK_ROW_END;
	mx_make_scankey(&walk->last_bound, walk->index, walk->nkeys - 1,
					walk->bounds[walk->nkeys - 1].sk_strategy);
}

/*
 * A comparison of a key with a value, which is filled in later.
 */
void
mx_make_scankey(ScanKey scankey, Relation index, int key,
				StrategyNumber strategy)
{
	ScanKeyEntryInitialize(scankey, 0, key + 1, strategy,
						   index->rd_opcintype[key],
						   index->rd_indcollation[key],
						   operator_function(index, key, strategy), (Datum) 0);
}

/*
 * The function of the index's own operator for a key.
 */
static RegProcedure
operator_function(Relation index, int key, StrategyNumber strategy)
{
	Oid			type = index->rd_opcintype[key];
	Oid			operator = get_opfamily_member(index->rd_opfamily[key], type,
											   type, strategy);

	if (!OidIsValid(operator))
		elog(ERROR, "missing operator %d of type %u in operator family %u",
			 strategy, type, index->rd_opfamily[key]);
	return get_opcode(operator);
}

/*
 * Starts at the beginning of what the keys say; the caller keeps them.
 */
void
mx_walk_start(MxWalk *walk, ScanKey keys, int nkeys)
{
	if (walk->first == NULL)
		walk->first = mx_index_beginscan(walk->heap, walk->index,
										 walk->snapshot, nkeys);
	walk->scan = walk->first;
	walk->scan->xs_want_itup = true;
	index_rescan(walk->scan, keys, nkeys, NULL, 0);
	walk->keys = keys;
	walk->nscankeys = nkeys;
	walk->first_bound = 0;
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i].sk_attno == walk->first_bound + 1 &&
			keys[i].sk_strategy == BTEqualStrategyNumber &&
			!(keys[i].sk_flags & SK_SEARCHARRAY))
			walk->first_bound++;
	}
	walk->can_jump = may_jump(walk);
	mx_walk_stop(walk);
	walk->ended = false;
}

/*
 * There is nothing to walk over.
 */
void
mx_walk_stop(MxWalk *walk)
{
	walk->again = false;
	walk->ended = true;
	walk->decided = false;
	walk->have_key = false;
	walk->have_best = false;
}

/*
 * Not with arrays, which have a state of their own, nor where the keys of the
 * row comparison are not all sorted the same way.
 */
static bool
may_jump(const MxWalk *walk)
{
	if (walk->first_bound >= walk->nkeys)
		return false;
	for (int i = 0; i < walk->nscankeys; i++)
	{
		if (walk->keys[i].sk_flags & SK_SEARCHARRAY)
			return false;
	}
	for (int key = walk->first_bound + 1; key < walk->nkeys; key++)
	{
		if (walk->bounds[key].sk_strategy !=
			walk->bounds[walk->first_bound].sk_strategy)
			return false;
	}
	return true;
}

void
mx_walk_end(MxWalk *walk)
{
	table_index_fetch_end(walk->fetch);
	if (walk->first != NULL)
		index_endscan(walk->first);
	if (walk->jumping != NULL)
		index_endscan(walk->jumping);
	if (BufferIsValid(walk->vm_buffer))
		ReleaseBuffer(walk->vm_buffer);
	ExecDropSingleTupleTableSlot(walk->best);
	ExecDropSingleTupleTableSlot(walk->other);
}

/*
 * Goes on to the next entry of a sample that is not decided yet; returns
 * false at the end.
 */
bool
mx_walk_next(MxWalk *walk)
{
	if (walk->again)
	{
		walk->again = false;
		return true;
	}
	while (!walk->ended)
	{
		ItemPointer tid;
		IndexTuple	entry;

		if (walk->decided && walk->single)
			break;
		if (walk->decided && walk->run >= LONG_RUN && walk->can_jump)
			jump(walk);
		CHECK_FOR_INTERRUPTS();
		tid = index_getnext_tid(walk->scan, walk->direction);
		if (tid == NULL)
			break;
		entry = walk->scan->xs_itup;
		walk->new_key = !walk->have_key || !same_sample(walk, entry);
		if (!walk->new_key && walk->decided)
		{
			walk->run++;
			walk->counts->skipped++;
			continue;
		}
		if (walk->new_key)
		{
			/* the last one may still be of use */
			walk->key_at = !walk->key_at;
			mx_walk_keep(walk);
			walk->have_key = true;
			walk->decided = false;
			walk->counts->keys++;
		}
		walk->tid = *tid;
		read_recency(walk, entry);
		return true;
	}
	walk->ended = true;
	return false;
}

/*
 * The next call will give the current entry once more.
 */
void
mx_walk_again(MxWalk *walk)
{
	walk->again = true;
}

/*
 * The rest of the current sample is not wanted, nor is the current entry where
 * it is superseded.
 */
void
mx_walk_decided(MxWalk *walk, bool superseded)
{
	walk->decided = true;
	walk->run = 0;
	if (superseded)
		walk->counts->skipped++;
}

/*
 * Keeps a copy of the current entry, as that of the current sample.
 */
void
mx_walk_keep(MxWalk *walk)
{
	IndexTuple	entry = walk->scan->xs_itup;
	Size		size = IndexTupleSize(entry);
	int			at = walk->key_at;

	if (size > walk->key_space[at])
	{
		if (walk->keys_kept[at] != NULL)
			pfree(walk->keys_kept[at]);
		walk->key_space[at] = size * 2;
		walk->keys_kept[at] = MemoryContextAlloc(walk->context, size * 2);
	}
	walk->key = walk->keys_kept[at];
	memcpy(walk->key, entry, size);
}

/*
 * Descends anew, to beyond the current sample.
 */
static void
jump(MxWalk *walk)
{
	TupleDesc	desc = RelationGetDescr(walk->index);
	int			n = walk->nscankeys + 1;
	int			before = 0;
	ScanKey		header;

	if (walk->jumping == NULL)
	{
		MemoryContext save = MemoryContextSwitchTo(walk->context);

		walk->jumping = mx_index_beginscan(walk->heap, walk->index,
										   walk->snapshot, n);
		walk->jump_keys = palloc0(sizeof(ScanKeyData) * n);
		walk->jump_bounds = palloc(sizeof(ScanKeyData) * walk->nkeys);
		MemoryContextSwitchTo(save);
	}

	/* the index turns them round in their place where it is sorted down */
	memcpy(walk->jump_bounds, walk->bounds, sizeof(ScanKeyData) * walk->nkeys);
	for (int key = walk->first_bound; key < walk->nkeys; key++)
	{
		bool		isnull;

		walk->jump_bounds[key].sk_argument =
			index_getattr(walk->key, key + 1, desc, &isnull);
	}

	/* keys are in the order of the index's columns */
	while (before < walk->nscankeys &&
		   walk->keys[before].sk_attno <= walk->first_bound)
		before++;
	memcpy(walk->jump_keys, walk->keys, sizeof(ScanKeyData) * before);
	memcpy(walk->jump_keys + before + 1, walk->keys + before,
		   sizeof(ScanKeyData) * (walk->nscankeys - before));
	header = &walk->jump_keys[before];
	if (walk->first_bound == walk->nkeys - 1)
	{
		*header = walk->last_bound;
		header->sk_argument = walk->jump_bounds[walk->first_bound].sk_argument;
	}
	else
	{
		memset(header, 0, sizeof(ScanKeyData));
		header->sk_flags = SK_ROW_HEADER;
		header->sk_attno = walk->first_bound + 1;
		header->sk_strategy = walk->bounds[walk->first_bound].sk_strategy;
		header->sk_argument =
			PointerGetDatum(&walk->jump_bounds[walk->first_bound]);
	}

	walk->scan = walk->jumping;
	walk->scan->xs_want_itup = true;
	index_rescan(walk->scan, walk->jump_keys, n, NULL, 0);
	walk->run = 0;
	walk->counts->descents++;
}

/*
 * Does an entry belong to the current sample?  Mostly bytes can tell.
 */
static bool
same_sample(MxWalk *walk, IndexTuple entry)
{
	TupleDesc	desc = RelationGetDescr(walk->index);
	Size		size = IndexTupleSize(entry);
	Size		start = IndexInfoFindDataOffset(entry->t_info);

	if (walk->compact && size == IndexTupleSize(walk->key) &&
		memcmp((char *) entry + start, (char *) walk->key + start,
			   mx_recency_offset(walk, size) - start) == 0)
		return true;

	/* the last keys differ most often */
	for (int key = walk->nkeys - 1; key >= 0; key--)
	{
		bool		isnull;
		Datum		a = index_getattr(entry, key + 1, desc, &isnull);
		Datum		b = index_getattr(walk->key, key + 1, desc, &isnull);

		if (!DatumGetBool(FunctionCall2Coll(&walk->equal[key],
											walk->index->rd_indcollation[key],
											a, b)))
			return false;
	}
	return true;
}

/*
 * What the current entry says of its row besides the keys.  There are no
 * nulls.
 */
static void
read_recency(MxWalk *walk, IndexTuple entry)
{
	TupleDesc	desc = RelationGetDescr(walk->index);
	bool		isnull;

	if (walk->compact)
	{
		char	   *place = (char *) entry +
		mx_recency_offset(walk, IndexTupleSize(entry));

		memcpy(&walk->recency, place, sizeof(TimestampTz));
		if (walk->has_flag)
			walk->tombstone = place[sizeof(TimestampTz)] != 0;
		return;
	}
	walk->recency = DatumGetTimestampTz(index_getattr(entry, walk->nkeys + 1,
													  desc, &isnull));
	if (walk->has_flag)
		walk->tombstone = DatumGetBool(index_getattr(entry, walk->nkeys + 2,
													 desc, &isnull));
}
