/*-------------------------------------------------------------------------
 *
 * shape.c
 *		Recognises the anti-join that leaves the latest row of each sample.
 *
 * Whatever is not exactly as expected is none: then the query is planned as
 * if we were not there.
 *
 * src/scan/shape.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "scan/scan.h"

static bool is_table(PlannerInfo *root, RelOptInfo *rel);
static bool match_join(MxShape *shape, Index outer, Index inner, List *clauses);
static bool is_true(RestrictInfo *rinfo);
static bool match_rank(MxShape *shape, Index outer, Index inner,
					   RestrictInfo *rinfo);
static bool is_rank(MxShape *shape, Index relid, List *rank);
static bool is_system_column(Node *node, Index relid, AttrNumber attnum);
static bool match_scope(MxShape *shape, RelOptInfo *outer, RelOptInfo *inner);
static bool index_serves(MxShape *shape, IndexOptInfo *index);
static bool key_serves(MxShape *shape, IndexOptInfo *index, int key);
static bool is_flag(MxShape *shape, IndexOptInfo *index, int key);
static Expr *index_expression(IndexOptInfo *index, int column);
static bool columns_fit(PlannerInfo *root, const MxShape *shape);
static List *translate(List *equalities, AppendRelInfo *appinfo);
static AttrNumber translate_column(AttrNumber attnum, AppendRelInfo *appinfo);

/*
 * The shape of the anti-join of "outer" with "inner", or NULL; without an index
 * so far.  The table may be a partitioned one.
 *
 * FOR UPDATE and its like, and what UPDATE and DELETE join with, want rows
 * to be found again: not by us.  The same with row-level security and the
 * like, whose conditions must be evaluated before any other.
 */
MxShape *
mx_shape_recognise(PlannerInfo *root, RelOptInfo *outer, RelOptInfo *inner,
				   List *restrictlist)
{
	MxShape    *shape;

	if (!is_table(root, outer) || !is_table(root, inner) ||
		planner_rt_fetch(outer->relid, root)->relid !=
		planner_rt_fetch(inner->relid, root)->relid ||
		root->rowMarks != NIL || root->qual_security_level > 0)
		return NULL;

	shape = palloc0(sizeof(MxShape));
	shape->rel = outer;
	if (match_join(shape, outer->relid, inner->relid, restrictlist) &&
		match_scope(shape, outer, inner))
		return shape;
	return NULL;
}

static bool
is_table(PlannerInfo *root, RelOptInfo *rel)
{
	RangeTblEntry *rte;

	if (!IS_SIMPLE_REL(rel) || rel->rtekind != RTE_RELATION ||
		rel->lateral_relids != NULL)
		return false;
	rte = planner_rt_fetch(rel->relid, root);
	return rte->relkind == (rte->inh ? RELKIND_PARTITIONED_TABLE :
							RELKIND_RELATION) &&
		rte->tablesample == NULL && rte->securityQuals == NIL;
}

/*
 * The clauses of the join: equalities of columns, and one comparison of
 * ranks.
 */
static bool
match_join(MxShape *shape, Index outer, Index inner, List *clauses)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		MxEquality	equality;

		if (mx_equality_of_sides(rinfo, outer, inner, &equality))
		{
			MxEquality *copy = palloc(sizeof(MxEquality));

			*copy = equality;
			shape->equalities = lappend(shape->equalities, copy);
		}
		else if (is_true(rinfo))
			continue;
		else if (shape->recency != NULL ||
				 !match_rank(shape, outer, inner, rinfo))
			return false;
	}
	return shape->recency != NULL;
}

/*
 * What PostgreSQL 16 and later put in place of an equality once both sides are
 * known to have the same value.
 */
static bool
is_true(RestrictInfo *rinfo)
{
	Const	   *constant = (Const *) rinfo->clause;

	return IsA(constant, Const) && !constant->constisnull &&
		DatumGetBool(constant->constvalue);
}

/*
 * "inner's rank > outer's rank", as mx_append_rank writes ranks.
 */
static bool
match_rank(MxShape *shape, Index outer, Index inner, RestrictInfo *rinfo)
{
	static const Oid functions[] = {F_TIMESTAMPTZ_GT, F_BOOLGT, F_OIDGT, F_TIDGT};
	RowCompareExpr *compare = (RowCompareExpr *) rinfo->clause;
	List	   *left;
	ListCell   *lc;

	if (rinfo->pseudoconstant || !IsA(compare, RowCompareExpr) ||
		!mx_compares_greater(compare) ||
		list_length(compare->opnos) != lengthof(functions))
		return false;
	foreach(lc, compare->opnos)
	{
		if (get_opcode(lfirst_oid(lc)) != functions[foreach_current_index(lc)])
			return false;
	}

	left = copyObject(compare->largs);
	ChangeVarNodes((Node *) left, inner, outer, 0);
	return equal(left, compare->rargs) &&
		is_rank(shape, outer, compare->rargs);
}

/*
 * (coalesce(deleted, updated), deleted IS NOT NULL, tableoid, ctid)
 */
static bool
is_rank(MxShape *shape, Index relid, List *rank)
{
	CoalesceExpr *recency = list_nth(rank, 0);
	NullTest   *flag = list_nth(rank, 1);
	AttrNumber	updated;
	AttrNumber	tested;

	if (!IsA(recency, CoalesceExpr) ||
		recency->coalescetype != TIMESTAMPTZOID ||
		list_length(recency->args) != 2 ||
		!IsA(linitial(recency->args), Var) ||
		!IsA(lsecond(recency->args), Var) ||
		!mx_is_column(linitial(recency->args), relid, &shape->deleted) ||
		!mx_is_column(lsecond(recency->args), relid, &updated) ||
		shape->deleted <= 0 || updated <= 0)
		return false;
	if (!IsA(flag, NullTest) || flag->nulltesttype != IS_NOT_NULL ||
		flag->argisrow || !IsA(flag->arg, Var) ||
		!mx_is_column((Node *) flag->arg, relid, &tested) ||
		tested != shape->deleted ||
		!is_system_column(list_nth(rank, 2), relid,
						  TableOidAttributeNumber) ||
		!is_system_column(list_nth(rank, 3), relid,
						  SelfItemPointerAttributeNumber))
		return false;
	shape->recency = (Expr *) recency;
	return true;
}

static bool
is_system_column(Node *node, Index relid, AttrNumber attnum)
{
	AttrNumber	found;

	return IsA(node, Var) && mx_is_column(node, relid, &found) &&
		found == attnum;
}

/*
 * What is demanded of the inner side must be equalities that are demanded of
 * the outer one, too: each then holds for all rows of a sample or for none,
 * which index_serves makes sure of.
 */
static bool
match_scope(MxShape *shape, RelOptInfo *outer, RelOptInfo *inner)
{
	ListCell   *lc;

	foreach(lc, inner->baserestrictinfo)
	{
		MxEquality *wanted = palloc(sizeof(MxEquality));
		bool		found = false;
		ListCell   *lc2;

		if (!mx_equality_with_value(lfirst_node(RestrictInfo, lc),
									inner->relid, wanted))
			return false;
		foreach(lc2, outer->baserestrictinfo)
		{
			MxEquality	equality;

			found = found ||
				(mx_equality_with_value(lfirst_node(RestrictInfo, lc2),
										outer->relid, &equality) &&
				 mx_same_equality(wanted, &equality));
		}
		if (!found)
			return false;
		shape->scope = lappend(shape->scope, wanted);
	}
	return true;
}

/*
 * Finds the index that serves; returns false if there is none, or if the table
 * is not as we need it.  One index serves as well as another, but one that
 * knows the tombstones serves better.
 */
bool
mx_shape_find_index(PlannerInfo *root, MxShape *shape)
{
	ListCell   *lc;

	foreach(lc, shape->rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, lc);
		bool		has_flag;

		if (!index_serves(shape, index))
			continue;
		has_flag = is_flag(shape, index, shape->nkeys + 1);
		if (shape->index == NULL || (has_flag && !shape->has_flag))
		{
			shape->index = index;
			shape->has_flag = has_flag;
		}
	}
	return shape->index != NULL && columns_fit(root, shape);
}

/*
 * All columns that make a sample, and no other, then the recency.  Each
 * equality must be the index's own: rows that are equal by it are neighbours,
 * and equal by each other operator of its family.
 */
static bool
index_serves(MxShape *shape, IndexOptInfo *index)
{
	Bitmapset  *columns = NULL;
	Bitmapset  *found = NULL;
	ListCell   *lc;

	if (index->relam != BTREE_AM_OID || index->hypothetical ||
		index->indpred != NIL || index->sortopfamily == NULL)
		return false;
	foreach(lc, shape->equalities)
		columns = bms_add_member(columns, ((MxEquality *) lfirst(lc))->attnum);
	foreach(lc, shape->scope)
		columns = bms_add_member(columns, ((MxEquality *) lfirst(lc))->attnum);
	shape->nkeys = bms_num_members(columns);
	if (shape->nkeys == 0 || index->nkeycolumns <= shape->nkeys)
		return false;

	for (int key = 0; key < shape->nkeys; key++)
	{
		if (index->indexkeys[key] <= 0 || !key_serves(shape, index, key))
			return false;
		found = bms_add_member(found, index->indexkeys[key]);
	}
	return bms_equal(columns, found) &&
		equal(index_expression(index, shape->nkeys), shape->recency);
}

static bool
key_serves(MxShape *shape, IndexOptInfo *index, int key)
{
	List	   *all = list_concat_copy(shape->equalities, shape->scope);
	ListCell   *lc;

	foreach(lc, all)
	{
		MxEquality *equality = lfirst(lc);

		if (equality->attnum != index->indexkeys[key])
			continue;
		if (get_op_opfamily_strategy(equality->operator,
									 index->opfamily[key]) !=
			BTEqualStrategyNumber ||
			(OidIsValid(index->indexcollations[key]) &&
			 equality->collation != index->indexcollations[key]))
			return false;
	}
	return true;
}

/*
 * "deleted IS NOT NULL", in the same direction as the recency before it.
 */
static bool
is_flag(MxShape *shape, IndexOptInfo *index, int key)
{
	NullTest   *flag;
	AttrNumber	tested;

	if (index->nkeycolumns <= key ||
		index->reverse_sort[key] != index->reverse_sort[key - 1])
		return false;
	flag = (NullTest *) index_expression(index, key);
	return flag != NULL && IsA(flag, NullTest) &&
		flag->nulltesttype == IS_NOT_NULL && !flag->argisrow &&
		IsA(flag->arg, Var) &&
		mx_is_column((Node *) flag->arg, shape->rel->relid, &tested) &&
		tested == shape->deleted;
}

/*
 * The expression that an index column is of; NULL if it is of a column of the
 * table.
 */
static Expr *
index_expression(IndexOptInfo *index, int column)
{
	ListCell   *next = list_head(index->indexprs);

	for (int i = 0; i < index->ncolumns && next != NULL; i++)
	{
		if (index->indexkeys[i] != 0)
			continue;
		if (i == column)
			return lfirst(next);
		next = lnext(index->indexprs, next);
	}
	return NULL;
}

/*
 * A NULL is equal to nothing, and a rank with a NULL is not above any other:
 * there must be none.  And the heap must be the server's own, whose ctids and
 * visibility map we know.
 */
static bool
columns_fit(PlannerInfo *root, const MxShape *shape)
{
	Relation	heap = table_open(planner_rt_fetch(shape->rel->relid, root)->relid,
								  NoLock);
	TupleDesc	desc = RelationGetDescr(heap);
	Var		   *updated = lsecond(((CoalesceExpr *) shape->recency)->args);
	bool		fit = heap->rd_rel->relam == HEAP_TABLE_AM_OID &&
		mx_never_null(desc, updated->varattno);

	for (int key = 0; key < shape->nkeys; key++)
		fit = fit && mx_never_null(desc, shape->index->indexkeys[key]);
	table_close(heap, NoLock);
	return fit;
}

/*
 * The shape of a partition, where each sample lies in one of them, or NULL.
 */
MxShape *
mx_shape_of_partition(PlannerInfo *root, const MxShape *shape,
					  RelOptInfo *partition)
{
	AppendRelInfo *appinfo = root->append_rel_array[partition->relid];
	MxShape    *result = palloc0(sizeof(MxShape));

	if (!is_table(root, partition) ||
		planner_rt_fetch(partition->relid, root)->inh ||
		appinfo->parent_relid != shape->rel->relid)
		return NULL;
	result->rel = partition;
	result->recency = (Expr *)
		adjust_appendrel_attrs(root, (Node *) shape->recency, 1, &appinfo);
	result->deleted = translate_column(shape->deleted, appinfo);
	result->equalities = translate(shape->equalities, appinfo);
	result->scope = translate(shape->scope, appinfo);
	return mx_shape_find_index(root, result) ? result : NULL;
}

static List *
translate(List *equalities, AppendRelInfo *appinfo)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, equalities)
	{
		MxEquality *copy = palloc(sizeof(MxEquality));

		*copy = *(MxEquality *) lfirst(lc);
		copy->attnum = translate_column(copy->attnum, appinfo);
		result = lappend(result, copy);
	}
	return result;
}

static AttrNumber
translate_column(AttrNumber attnum, AppendRelInfo *appinfo)
{
	return castNode(Var, list_nth(appinfo->translated_vars,
								  attnum - 1))->varattno;
}
