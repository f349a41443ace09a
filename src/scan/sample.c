/*-------------------------------------------------------------------------
 *
 * sample.c
 *		Which entries of the index belong to the same sample.
 *
 * Mostly the bytes tell, which is many times faster than the functions of the
 * types: the same bytes are equal for any type, and other bytes are not for
 * those types of which the operator class says so.
 *
 * src/scan/sample.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "scan/walk.h"

/* what is known of a key of two entries */
typedef enum Answer
{
	SAME, OTHER, ASK
} Answer;

static bool other_image_differs(Relation index, int key);
static Answer compare_bytes(const MxKey *key, const char *a, const char *b);
static bool ask(const MxWalk *walk, int key, IndexTuple a, IndexTuple b);

void
mx_sample_init(MxWalk *walk)
{
	TupleDesc	desc = RelationGetDescr(walk->index);

	walk->keys = palloc(sizeof(MxKey) * walk->nkeys);
	for (int i = 0; i < walk->nkeys; i++)
	{
		MxKey	   *key = &walk->keys[i];

		fmgr_info(mx_operator_function(walk->index, i, BTEqualStrategyNumber),
				  &key->equal);
		key->length = TupleDescAttr(desc, i)->attlen;
		key->align = TupleDescAttr(desc, i)->attalign;
		key->bytes_tell = other_image_differs(walk->index, i);
	}
}

/*
 * The function of the index's own operator for a key.
 */
RegProcedure
mx_operator_function(Relation index, int key, StrategyNumber strategy)
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
 * Is what has other bytes another value?  The operator class has a function
 * that says so, which the index itself asks before it lets rows share entries.
 * That of bpchar says so, too, though blanks at the end do not count.
 */
static bool
other_image_differs(Relation index, int key)
{
	RegProcedure image = index_getprocid(index, key + 1, BTEQUALIMAGE_PROC);

	return RegProcedureIsValid(image) &&
		index->rd_opcintype[key] != BPCHAROID &&
		DatumGetBool(OidFunctionCall1Coll(image, index->rd_indcollation[key],
										  ObjectIdGetDatum(index->rd_opcintype[key])));
}

/*
 * Are two entries the same in all keys, where the first "nequal" are known to
 * be?
 */
bool
mx_same_values(const MxWalk *walk, int nequal, IndexTuple a, IndexTuple b)
{
	const char *start_a = (char *) a + IndexInfoFindDataOffset(a->t_info);
	const char *start_b = (char *) b + IndexInfoFindDataOffset(b->t_info);
	Size		at_a = 0;
	Size		at_b = 0;

	for (int i = 0; i < walk->nkeys; i++)
	{
		const MxKey *key = &walk->keys[i];

		at_a = att_align_pointer(at_a, key->align, key->length, start_a + at_a);
		at_b = att_align_pointer(at_b, key->align, key->length, start_b + at_b);
		if (i >= nequal)
		{
			Answer		answer = compare_bytes(key, start_a + at_a,
											   start_b + at_b);

			if (answer == OTHER || (answer == ASK && !ask(walk, i, a, b)))
				return false;
		}
		at_a = att_addlength_pointer(at_a, key->length, start_a + at_a);
		at_b = att_addlength_pointer(at_b, key->length, start_b + at_b);
	}
	return true;
}

/*
 * Long values may be compressed, in one entry and not in the other.
 */
static Answer
compare_bytes(const MxKey *key, const char *a, const char *b)
{
	Size		length;

	if (key->length > 0)
		length = key->length;
	else if (key->length == -1 && VARATT_IS_SHORT(a) && VARATT_IS_SHORT(b))
		length = Min(VARSIZE_SHORT(a), VARSIZE_SHORT(b));
	else
		return ASK;
	/* the first byte has the length of a short value */
	if (memcmp(a, b, length) == 0)
		return SAME;
	return key->bytes_tell ? OTHER : ASK;
}

static bool
ask(const MxWalk *walk, int key, IndexTuple a, IndexTuple b)
{
	TupleDesc	desc = RelationGetDescr(walk->index);
	bool		isnull;
	Datum		value_a = index_getattr(a, key + 1, desc, &isnull);
	Datum		value_b = index_getattr(b, key + 1, desc, &isnull);

	return DatumGetBool(FunctionCall2Coll(&walk->keys[key].equal,
										  walk->index->rd_indcollation[key],
										  value_a, value_b));
}
