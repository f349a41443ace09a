/*-------------------------------------------------------------------------
 *
 * equality.c
 *		Equalities that a clause of a query may be.
 *
 * src/scan/equality.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "scan/scan.h"

static OpExpr *binary_operator(RestrictInfo *rinfo);

/*
 * Is it "inner.column = outer.column", the same column of both, by some
 * operator?  Which one it is, an index has to say.
 */
bool
mx_equality_of_sides(RestrictInfo *rinfo, Index outer, Index inner,
					 MxEquality *equality)
{
	OpExpr	   *clause = binary_operator(rinfo);
	AttrNumber	left;
	AttrNumber	right;

	if (clause == NULL)
		return false;
	if (mx_is_column(linitial(clause->args), inner, &left))
	{
		if (!mx_is_column(lsecond(clause->args), outer, &right))
			return false;
	}
	else if (!mx_is_column(linitial(clause->args), outer, &left) ||
			 !mx_is_column(lsecond(clause->args), inner, &right))
		return false;

	equality->attnum = left;
	equality->operator = clause->opno;
	equality->collation = clause->inputcollid;
	equality->value = NULL;
	return left == right && left > 0;
}

/*
 * Is it "column OPERATOR value", where the value is the same for all rows of
 * the table?  With the value on the left, the operator's commutator counts.
 */
bool
mx_equality_with_value(RestrictInfo *rinfo, Index relid, MxEquality *equality)
{
	OpExpr	   *clause = binary_operator(rinfo);
	Relids		relids;

	if (clause == NULL)
		return false;
	equality->operator = clause->opno;
	equality->collation = clause->inputcollid;
	if (mx_is_column(linitial(clause->args), relid, &equality->attnum))
	{
		equality->value = lsecond(clause->args);
		relids = rinfo->right_relids;
	}
	else if (mx_is_column(lsecond(clause->args), relid, &equality->attnum))
	{
		equality->value = linitial(clause->args);
		equality->operator = get_commutator(clause->opno);
		relids = rinfo->left_relids;
	}
	else
		return false;
	return equality->attnum > 0 && OidIsValid(equality->operator) &&
		!bms_is_member(relid, relids) &&
		!contain_volatile_functions((Node *) equality->value);
}

bool
mx_same_equality(const MxEquality *a, const MxEquality *b)
{
	return a->attnum == b->attnum && a->operator == b->operator &&
		a->collation == b->collation && equal(a->value, b->value);
}

/*
 * Is it a column of that table, or one under a cast that changes nothing?
 */
bool
mx_is_column(Node *node, Index relid, AttrNumber *attnum)
{
	Var		   *var;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var))
		return false;
	var = (Var *) node;
	*attnum = var->varattno;
	return var->varno == relid && var->varlevelsup == 0;
}

static OpExpr *
binary_operator(RestrictInfo *rinfo)
{
	OpExpr	   *clause = (OpExpr *) rinfo->clause;

	if (rinfo->pseudoconstant || !IsA(clause, OpExpr) ||
		list_length(clause->args) != 2)
		return NULL;
	return clause;
}
