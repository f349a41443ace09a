/*-------------------------------------------------------------------------
 *
 * arrays.c
 *		Conditions "key = ANY (array)": one walk for each value.
 *
 * With arrays for several keys it is one for each combination.  Values are
 * taken in the order of the index, each once, so that the rows keep that order.
 *
 * src/scan/arrays.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/qunique.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "scan/walk.h"

typedef struct Choice
{
	int			condition;		/* number of it */
	FmgrInfo	compare;
	Oid			collation;
	bool		reverse;
	Datum	   *values;
	int			nvalues;
	int			at;
} Choice;

struct MxArrays
{
	Choice	   *choices;
	int			nchoices;
	ScanKey		conditions;		/* those of the scan, with one value each */
	MemoryContext context;		/* of the values */
};

static void init_choice(MxScanState *state, Choice *choice, int condition);
static void read_values(MxScanState *state, Choice *choice);
static int	compare_values(const void *a, const void *b, void *arg);

/*
 * NULL, if there are no such conditions.
 */
struct MxArrays *
mx_arrays_new(MxScanState *state)
{
	struct MxArrays *arrays = palloc0(sizeof(struct MxArrays));

	arrays->choices = palloc0(sizeof(Choice) * state->nkeys);
	for (int i = 0; i < state->nkeys; i++)
	{
		if (state->keys[i].sk_flags & SK_SEARCHARRAY)
			init_choice(state, &arrays->choices[arrays->nchoices++], i);
	}
	if (arrays->nchoices == 0)
		return NULL;
	arrays->conditions = palloc(sizeof(ScanKeyData) * state->nkeys);
	arrays->context = AllocSetContextCreate(CurrentMemoryContext,
											"metaxy arrays",
											ALLOCSET_DEFAULT_SIZES);
	return arrays;
}

static void
init_choice(MxScanState *state, Choice *choice, int condition)
{
	ScanKey		array = &state->keys[condition];
	int			key = array->sk_attno - 1;
	Oid			type = mx_value_type(state->index, key, array->sk_subtype);
	Oid			compare = get_opfamily_proc(state->index->rd_opfamily[key],
											type, type, BTORDER_PROC);

	if (!OidIsValid(compare))
		elog(ERROR, "missing support function %d(%u,%u) of index \"%s\"",
			 BTORDER_PROC, type, type, RelationGetRelationName(state->index));
	choice->condition = condition;
	choice->collation = array->sk_collation;
	fmgr_info(compare, &choice->compare);
	choice->reverse = mx_walks_forward(state->index, &state->plan) ==
		((state->index->rd_indoption[key] & INDOPTION_DESC) != 0);
}

/*
 * Starts the walk with the first values; returns false if there are none.
 */
bool
mx_arrays_start(MxScanState *state)
{
	struct MxArrays *arrays = state->arrays;

	MemoryContextReset(arrays->context);
	memcpy(arrays->conditions, state->keys, sizeof(ScanKeyData) * state->nkeys);
	for (int i = 0; i < arrays->nchoices; i++)
	{
		Choice	   *choice = &arrays->choices[i];
		MemoryContext save = MemoryContextSwitchTo(arrays->context);

		read_values(state, choice);
		MemoryContextSwitchTo(save);
		if (choice->nvalues == 0)
		{
			/* nor will there be others */
			for (i = 0; i < arrays->nchoices; i++)
				arrays->choices[i].nvalues = 0;
			return false;
		}
		/* the last one is one before the first, for the call below */
		choice->at = i < arrays->nchoices - 1 ? 0 : -1;
		arrays->conditions[choice->condition].sk_flags &= ~SK_SEARCHARRAY;
	}
	return mx_next_choice(state);
}

/*
 * The values of an array, sorted.  A NULL is equal to nothing.
 */
static void
read_values(MxScanState *state, Choice *choice)
{
	ScanKey		condition = &state->keys[choice->condition];
	ArrayType  *array;
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *values;
	bool	   *nulls;
	int			n;
	int			kept = 0;

	choice->values = NULL;
	choice->nvalues = 0;
	if (condition->sk_flags & SK_ISNULL)
		return;
	array = DatumGetArrayTypeP(condition->sk_argument);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align,
					  &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			values[kept++] = values[i];
	}
	qsort_arg(values, kept, sizeof(Datum), compare_values, choice);
	choice->values = values;
	choice->nvalues = qunique_arg(values, kept, sizeof(Datum), compare_values,
								  choice);
}

static int
compare_values(const void *a, const void *b, void *arg)
{
	Choice	   *choice = arg;
	int			order = DatumGetInt32(FunctionCall2Coll(&choice->compare,
														choice->collation,
														*(const Datum *) a,
														*(const Datum *) b));

	if (choice->reverse)
		INVERT_COMPARE_RESULT(order);
	return order;
}

/*
 * Starts the walk with the next values, those of the last key first; returns
 * false if there are none left.
 */
bool
mx_next_choice(MxScanState *state)
{
	struct MxArrays *arrays = state->arrays;
	int			i = arrays->nchoices - 1;

	while (i >= 0 && arrays->choices[i].at + 1 >= arrays->choices[i].nvalues)
		i--;
	if (i < 0)
		return false;
	arrays->choices[i].at++;
	while (++i < arrays->nchoices)
		arrays->choices[i].at = 0;

	for (i = 0; i < arrays->nchoices; i++)
	{
		Choice	   *choice = &arrays->choices[i];

		arrays->conditions[choice->condition].sk_argument =
			choice->values[choice->at];
	}
	mx_walk_start(&state->walk, arrays->conditions, state->nkeys);
	return true;
}
