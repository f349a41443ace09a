/*-------------------------------------------------------------------------
 *
 * safe.c
 *		What a filter in the "safe" language may say.
 *
 * A filter's text often comes from somewhere else than the caller whose
 * rights it runs with.  So it may compute with one row, and that is all: it
 * runs no code that a user made, however it is hidden, and looks at nothing
 * but the row's own columns.  trust.c knows which objects keep to that.
 *
 * src/read/safe.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "read/read.h"

typedef struct SafeCheck
{
	ParseState *pstate;
	Oid			relid;			/* InvalidOid: any relation in sight */
} SafeCheck;

static bool safe_walker(Node *node, SafeCheck *check);
static void check_column(Var *var, SafeCheck *check);
static void check_constant(Const *constant, SafeCheck *check);
static void check_call(FuncExpr *call, SafeCheck *check);
static void check_operator(Oid opno, List *args, int location,
						   SafeCheck *check);
static void check_comparison(MinMaxExpr *expr, SafeCheck *check);
static void check_type(Oid type, bool input, Node *node, SafeCheck *check);
static void refuse(const char *what, const char *reason, int location,
				   SafeCheck *check) pg_attribute_noreturn();

/*
 * Refuses what the "safe" language does not allow: feature_not_supported,
 * with the position in the text of "pstate", the reason, and a hint that
 * names the setting.  "expression" is an analysed one, but a SubLink may be
 * raw.  It may use columns of "relid" alone, or where that is InvalidOid, of
 * any relation of this query level.
 */
void
mx_safe_check(ParseState *pstate, Node *expression, Oid relid)
{
	SafeCheck	check = {pstate, relid};

	(void) safe_walker(expression, &check);
}

/*
 * Names each kind of node that may occur, and refuses all others, the
 * innermost first.
 */
static bool
safe_walker(Node *node, SafeCheck *check)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
		refuse("subquery", NULL, exprLocation(node), check);
	(void) expression_tree_walker(node, safe_walker, check);

	switch (nodeTag(node))
	{
		case T_Var:
			check_column((Var *) node, check);
			break;
		case T_Const:
			check_constant((Const *) node, check);
			break;
		case T_FuncExpr:
			check_call((FuncExpr *) node, check);
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			check_operator(((OpExpr *) node)->opno, ((OpExpr *) node)->args,
						   ((OpExpr *) node)->location, check);
			check_type(((OpExpr *) node)->opresulttype, true, node, check);
			break;
		case T_ScalarArrayOpExpr:
			check_operator(((ScalarArrayOpExpr *) node)->opno, NIL,
						   ((ScalarArrayOpExpr *) node)->location, check);
			break;
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
				check_operator(lfirst_oid(lc), NIL, exprLocation(node), check);
			break;
		case T_MinMaxExpr:
			check_comparison((MinMaxExpr *) node, check);
			break;
		case T_CoerceViaIO:
			check_type(exprType((Node *) ((CoerceViaIO *) node)->arg), false,
					   node, check);
			check_type(exprType(node), true, node, check);
			break;
		case T_CoerceToDomain:
		case T_RelabelType:
			check_type(exprType(node), true, node, check);
			break;
		case T_ArrayCoerceExpr:
		case T_ArrayExpr:
		case T_BoolExpr:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_CollateExpr:
		case T_FieldSelect:
		case T_List:
		case T_NamedArgExpr:
		case T_NullTest:
		case T_RowExpr:
		case T_SubscriptingRef:
			break;
		case T_SQLValueFunction:
			/* the search_path is a setting */
			if (((SQLValueFunction *) node)->op == SVFOP_CURRENT_SCHEMA)
				refuse("current_schema", NULL, exprLocation(node), check);
			break;
		default:
			refuse("this kind of expression", NULL, exprLocation(node), check);
	}

	return false;
}

/* A column of the table's own; no system column, no whole row */
static void
check_column(Var *var, SafeCheck *check)
{
	RangeTblEntry *entry = GetRTEByRangeTablePosn(check->pstate, var->varno,
												  var->varlevelsup);
	const char *name;

	if (var->varattno == InvalidAttrNumber)
		refuse("whole row", NULL, var->location, check);

	name = get_rte_attribute_name(entry, var->varattno);
	if (var->varattno < 0)
		refuse(psprintf("system column \"%s\"", name), NULL, var->location,
			   check);
	if (var->varlevelsup > 0 ||
		(OidIsValid(check->relid) && entry->relid != check->relid))
		refuse(psprintf("column \"%s\"", name),
			   "It is not a column of the table.", var->location, check);
}

/*
 * A constant.  Text search objects, which to_tsvector and its like name by
 * constants, are the only ones that are looked up, and they must exist: a
 * number is a name to their types too, and would end in an internal error.
 */
static void
check_constant(Const *constant, SafeCheck *check)
{
	int			cache = -1;

	if (constant->consttype == REGCONFIGOID)
		cache = TSCONFIGOID;
	else if (constant->consttype == REGDICTIONARYOID)
		cache = TSDICTOID;

	if (cache >= 0 && (constant->constisnull ||
					   SearchSysCacheExists1(cache, constant->constvalue)))
		return;
	check_type(constant->consttype, true, (Node *) constant, check);
}

/* A function, and the type that it returns, which it may make by a cast */
static void
check_call(FuncExpr *call, SafeCheck *check)
{
	bool		called;
	const char *reason;

	called = (call->funcformat == COERCE_EXPLICIT_CALL ||
			  call->funcformat == COERCE_SQL_SYNTAX);
	reason = mx_function_reason(call->funcid, call->args, called);
	if (reason != NULL)
		refuse(psprintf("function %s",
						format_procedure_qualified(call->funcid)),
			   reason, exprLocation((Node *) call), check);
	check_type(call->funcresulttype, true, (Node *) call, check);
}

static void
check_operator(Oid opno, List *args, int location, SafeCheck *check)
{
	const char *reason = mx_operator_reason(opno, args);

	if (reason != NULL)
		refuse(psprintf("operator %s", format_operator_qualified(opno)),
			   reason, location, check);
}

/* GREATEST and LEAST compare by the type's default operator class. */
static void
check_comparison(MinMaxExpr *expr, SafeCheck *check)
{
	TypeCacheEntry *type = lookup_type_cache(expr->minmaxtype,
											 TYPECACHE_CMP_PROC);
	const char *reason = NULL;

	if (OidIsValid(type->cmp_proc))
		reason = mx_function_reason(type->cmp_proc, NIL, false);
	if (reason != NULL)
		refuse(psprintf("function %s",
						format_procedure_qualified(type->cmp_proc)),
			   reason, expr->location, check);
}

/*
 * A type whose values are made ("input") or turned into text, be it by a
 * cast or by what returns it
 */
static void
check_type(Oid type, bool input, Node *node, SafeCheck *check)
{
	const char *reason = mx_type_reason(type, input);

	if (reason != NULL)
		refuse(psprintf("type %s", format_type_be(type)), reason,
			   exprLocation(node), check);
}

static void
refuse(const char *what, const char *reason, int location, SafeCheck *check)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot use %s in filter", what),
			 reason != NULL ? errdetail("%s", reason) : 0,
			 errhint("Set metaxy.filter_language to \"sql\" to allow any expression that WHERE takes."),
			 parser_errposition(check->pstate, location)));
}
