/*-------------------------------------------------------------------------
 *
 * bounds.c
 *		Which part of the index a walk has to pass.
 *
 * A part lies between two cuts.  A cut has values for the first columns of the
 * index: it is before all entries that have them, or after them ("nextkey").
 * Equalities with the first columns are in both, comparisons with the next column
 * in one of them.  All other conditions are asked of each sample.
 *
 * src/scan/bounds.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "scan/walk.h"

static BTScanInsert make_cut(MxWalk *walk);
static bool take_equality(MxWalk *walk, ScanKey condition, bool taken[2]);
static bool take_comparison(MxWalk *walk, ScanKey condition, bool taken[2]);
static int	compare_bounds(ScanKey in_cut, ScanKey condition);
static void set_value(MxWalk *walk, BTScanInsert cut, int key, Oid subtype,
					  Datum value);

void
mx_bounds_init(MxWalk *walk)
{
	walk->lower = make_cut(walk);
	walk->upper = make_cut(walk);
	walk->beyond = make_cut(walk);
	walk->beyond->keysz = walk->nkeys;
	walk->beyond->nextkey = walk->leaf.step > 0;
}

static BTScanInsert
make_cut(MxWalk *walk)
{
	BTScanInsert cut = palloc0(offsetof(BTScanInsertData, scankeys) +
							   sizeof(ScanKeyData) * walk->nkeys);

	_bt_metaversion(walk->index, &cut->heapkeyspace, &cut->allequalimage);
	return cut;
}

/*
 * Makes the bounds of conditions, which are in the order of the index's
 * columns.  Returns false if nothing meets them: a NULL is equal to nothing.
 */
bool
mx_bounds_set(MxWalk *walk, ScanKey conditions, int nconditions)
{
	bool		taken[2] = {false, false};

	if (nconditions > walk->check_space)
	{
		walk->check_space = nconditions;
		walk->checks = MemoryContextAlloc(walk->context,
										  sizeof(ScanKey) * nconditions);
	}
	walk->nchecks = 0;
	walk->nequal = 0;
	walk->lower->keysz = walk->upper->keysz = 0;
	walk->lower->nextkey = false;
	walk->upper->nextkey = true;
	for (int i = 0; i < nconditions; i++)
	{
		ScanKey		condition = &conditions[i];

		if (condition->sk_flags & SK_ISNULL)
			return false;
		if (!take_equality(walk, condition, taken) &&
			!take_comparison(walk, condition, taken))
			walk->checks[walk->nchecks++] = condition;
	}
	return true;
}

/*
 * An equality with the first column that has no value yet goes into both cuts,
 * unless there is a comparison in them.
 */
static bool
take_equality(MxWalk *walk, ScanKey condition, bool taken[2])
{
	int			key = condition->sk_attno - 1;

	if (condition->sk_strategy != BTEqualStrategyNumber ||
		taken[false] || taken[true] || key != walk->lower->keysz)
		return false;
	set_value(walk, walk->lower, key, condition->sk_subtype,
			  condition->sk_argument);
	set_value(walk, walk->upper, key, condition->sk_subtype,
			  condition->sk_argument);
	walk->nequal = key + 1;
	return true;
}

/*
 * A comparison with the first column that has no value goes into one of them,
 * the one that it is for in the order of the index.  Of two, the one that leaves
 * less takes the place of the other.
 */
static bool
take_comparison(MxWalk *walk, ScanKey condition, bool taken[2])
{
	int			key = condition->sk_attno - 1;
	bool		reverse = (walk->index->rd_indoption[key] & INDOPTION_DESC) != 0;
	bool		greater = condition->sk_strategy > BTEqualStrategyNumber;
	bool		strict = condition->sk_strategy == BTLessStrategyNumber ||
	condition->sk_strategy == BTGreaterStrategyNumber;
	bool		is_lower = greater != reverse;
	BTScanInsert cut = is_lower ? walk->lower : walk->upper;

	if (condition->sk_strategy == BTEqualStrategyNumber)
		return false;
	if (taken[is_lower])
	{
		int			order;

		/* what compares has a value of the column's own type on its left */
		if (cut->keysz != key + 1 ||
			mx_value_type(walk->index, key, condition->sk_subtype) !=
			walk->index->rd_opcintype[key])
			return false;
		order = compare_bounds(&cut->scankeys[key], condition);
		if (order == 0)
			strict |= cut->nextkey == is_lower;
		else if ((order > 0) != greater)
			return true;
	}
	else if (cut->keysz != key)
		return false;
	set_value(walk, cut, key, condition->sk_subtype, condition->sk_argument);
	cut->nextkey = is_lower == strict;
	taken[is_lower] = true;
	return true;
}

/*
 * How a value compares with the one in a cut, which may be of another type.
 */
static int
compare_bounds(ScanKey in_cut, ScanKey condition)
{
	return DatumGetInt32(FunctionCall2Coll(&in_cut->sk_func,
										   in_cut->sk_collation,
										   condition->sk_argument,
										   in_cut->sk_argument));
}

/*
 * Does the current sample meet the conditions that are not in the bounds?
 */
bool
mx_meets_checks(const MxWalk *walk)
{
	TupleDesc	desc = RelationGetDescr(walk->index);

	for (int i = 0; i < walk->nchecks; i++)
	{
		ScanKey		check = walk->checks[i];
		bool		isnull;
		Datum		value = index_getattr(walk->key, check->sk_attno, desc,
										  &isnull);

		if (!DatumGetBool(FunctionCall2Coll(&check->sk_func,
											check->sk_collation, value,
											check->sk_argument)))
			return false;
	}
	return true;
}

/*
 * The bound of the current sample, where the next one begins.
 */
BTScanInsert
mx_bounds_beyond(MxWalk *walk)
{
	TupleDesc	desc = RelationGetDescr(walk->index);

	for (int key = 0; key < walk->nkeys; key++)
	{
		bool		isnull;

		set_value(walk, walk->beyond, key, InvalidOid,
				  index_getattr(walk->key, key + 1, desc, &isnull));
	}
	walk->beyond->keysz = walk->nkeys;
	return walk->beyond;
}

/*
 * Adds a value to a cut.  The function that compares is set up once, unless the
 * next value is of another type: it may keep things in its memory.
 */
static void
set_value(MxWalk *walk, BTScanInsert cut, int key, Oid subtype, Datum value)
{
	Relation	index = walk->index;
	Oid			own = index->rd_opcintype[key];
	Oid			type = mx_value_type(index, key, subtype);
	ScanKey		scankey = &cut->scankeys[key];
	RegProcedure compare;

	compare = type == own ?
		index_getprocid(index, key + 1, BTORDER_PROC) :
		get_opfamily_proc(index->rd_opfamily[key], own, type, BTORDER_PROC);
	if (!OidIsValid(compare))
		elog(ERROR, "missing support function %d(%u,%u) of index \"%s\"",
			 BTORDER_PROC, own, type, RelationGetRelationName(index));
	if (scankey->sk_func.fn_oid != compare)
	{
		MemoryContext save = MemoryContextSwitchTo(walk->context);

		ScanKeyEntryInitialize(scankey, index->rd_indoption[key] <<
							   SK_BT_INDOPTION_SHIFT, key + 1,
							   InvalidStrategy, subtype,
							   index->rd_indcollation[key], compare, value);
		MemoryContextSwitchTo(save);
	}
	scankey->sk_argument = value;
	cut->keysz = key + 1;
}
