/*-------------------------------------------------------------------------
 *
 * conditions.c
 *		How a latest scan meets the conditions on its rows.
 *
 * Those on a sample's columns by an operator of the index hold for all its rows
 * or for none: they go into the index.  All others are for the latest row
 * alone, once it has been chosen.
 *
 * src/scan/conditions.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_opfamily.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "scan/scan.h"

static void add_index_clause(MxConditions *conditions, IndexClause *clause,
							 bool equality);
static void take_out_arrays(MxConditions *conditions);
static IndexClause *match_index(const MxShape *shape, RestrictInfo *rinfo,
								bool *is_equality);
static RestrictInfo *index_operator(const MxShape *shape, RestrictInfo *rinfo,
									MxEquality *equality);
static bool index_array(const MxShape *shape, RestrictInfo *rinfo,
						MxEquality *equality);
static bool array_serves(const IndexOptInfo *index, int key, Oid operator);

/*
 * Sorts conditions by how they are met; returns false if they cannot be.
 */
bool
mx_sort_conditions(const MxShape *shape, List *clauses, MxConditions *conditions)
{
	ListCell   *lc;

	memset(conditions, 0, sizeof(MxConditions));
	conditions->kind = MX_LATEST;
	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		IndexClause *index_clause;
		MxLatest	kind;
		bool		equality;

		if (rinfo->pseudoconstant || rinfo->security_level > 0)
			return false;
		index_clause = match_index(shape, rinfo, &equality);
		if (index_clause != NULL)
		{
			add_index_clause(conditions, index_clause, equality);
			if (equality && !IsA(rinfo->clause, ScalarArrayOpExpr))
				conditions->pinned = bms_add_member(conditions->pinned,
													index_clause->indexcol);
		}
		else if (shape->has_flag && conditions->kind == MX_LATEST &&
				 mx_is_kind(shape, (Node *) rinfo->clause, &kind))
			conditions->kind = kind;
		else
			conditions->filters = lappend(conditions->filters, rinfo);
	}
	take_out_arrays(conditions);
	return true;
}

/*
 * The walk is done for each value of an array, one after the other: that is of
 * use where all columns before it have one value or an array, and once for a
 * column.
 */
static void
take_out_arrays(MxConditions *conditions)
{
	int			next = 0;		/* columns before it have values */
	ListCell   *lc;

	foreach(lc, conditions->index_clauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);
		bool		array = IsA(clause->rinfo->clause, ScalarArrayOpExpr);

		if (array && clause->indexcol != next)
		{
			conditions->filters = lappend(conditions->filters, clause->rinfo);
			conditions->index_clauses =
				foreach_delete_current(conditions->index_clauses, lc);
			continue;
		}
		conditions->has_arrays |= array;
		if (clause->indexcol == next &&
			(array || bms_is_member(next, conditions->pinned)))
			next++;
	}
}

/*
 * In the order of the index's columns, which it insists on.  Equalities come
 * before comparisons of the same column: they leave less to be walked over.
 */
static void
add_index_clause(MxConditions *conditions, IndexClause *clause, bool equality)
{
	int			at = list_length(conditions->index_clauses);

	while (at > 0 &&
		   list_nth_node(IndexClause, conditions->index_clauses,
						 at - 1)->indexcol + (equality ? 1 : 0) >
		   clause->indexcol)
		at--;
	conditions->index_clauses = list_insert_nth(conditions->index_clauses, at,
												clause);
}

/*
 * metaxy_deleted_at IS [NOT] NULL
 */
bool
mx_is_kind(const MxShape *shape, Node *clause, MxLatest *kind)
{
	NullTest   *test = (NullTest *) clause;
	AttrNumber	attnum;

	if (!IsA(test, NullTest) || test->argisrow ||
		!mx_is_column((Node *) test->arg, shape->rel->relid, &attnum) ||
		attnum != shape->deleted)
		return false;
	*kind = test->nulltesttype == IS_NULL ? MX_ACTIVE : MX_DELETED;
	return true;
}

/*
 * What the index can do with a condition; NULL: nothing.  "is_equality": it
 * gives the key one value, or those of an array one after the other.
 */
static IndexClause *
match_index(const MxShape *shape, RestrictInfo *rinfo, bool *is_equality)
{
	IndexOptInfo *index = shape->index;
	MxEquality	equality;
	RestrictInfo *indexqual = index_operator(shape, rinfo, &equality);
	bool		array = indexqual == NULL &&
	index_array(shape, rinfo, &equality);

	if (indexqual == NULL && !array)
		return NULL;
	for (int key = 0; key < shape->nkeys; key++)
	{
		int			strategy;
		IndexClause *clause;

		if (index->indexkeys[key] != equality.attnum)
			continue;
		strategy = get_op_opfamily_strategy(equality.operator,
											index->opfamily[key]);
		if (strategy == 0 ||
			(array && (strategy != BTEqualStrategyNumber ||
					   !array_serves(index, key, equality.operator))) ||
			(OidIsValid(index->indexcollations[key]) &&
			 equality.collation != index->indexcollations[key]))
			return NULL;
		clause = makeNode(IndexClause);
		clause->rinfo = rinfo;
		clause->indexquals = list_make1(array ? rinfo : indexqual);
		clause->indexcol = key;
		*is_equality = strategy == BTEqualStrategyNumber;
		return clause;
	}
	return NULL;
}

/*
 * "column OPERATOR value", turned round if need be.
 */
static RestrictInfo *
index_operator(const MxShape *shape, RestrictInfo *rinfo,
			   MxEquality *equality)
{
	OpExpr	   *clause = (OpExpr *) rinfo->clause;
	AttrNumber	attnum;

	if (!mx_equality_with_value(rinfo, shape->rel->relid, equality))
		return NULL;
	if (mx_is_column(linitial(clause->args), shape->rel->relid, &attnum))
		return rinfo;
	return commute_restrictinfo(rinfo, equality->operator);
}

/*
 * column = ANY (array that is the same for all rows)
 */
static bool
index_array(const MxShape *shape, RestrictInfo *rinfo, MxEquality *equality)
{
	ScalarArrayOpExpr *clause = (ScalarArrayOpExpr *) rinfo->clause;

	if (!IsA(clause, ScalarArrayOpExpr) || !clause->useOr ||
		!mx_is_column(linitial(clause->args), shape->rel->relid,
					  &equality->attnum) ||
		contain_var_clause(lsecond(clause->args)) ||
		contain_volatile_functions(lsecond(clause->args)))
		return false;
	equality->operator = clause->opno;
	equality->collation = clause->inputcollid;
	equality->value = NULL;
	return equality->attnum > 0;
}

/*
 * The walk takes the values of an array once each and in their order.  As
 * values of the column they must be as many and in the same order: some local
 * times are the same instant.
 */
static bool
array_serves(const IndexOptInfo *index, int key, Oid operator)
{
	Oid			left;
	Oid			right;

	op_input_types(operator, &left, &right);
	return right == index->opcintype[key] ||
		index->opfamily[key] == INTEGER_BTREE_FAM_OID ||
		index->opfamily[key] == TEXT_BTREE_FAM_OID;
}
