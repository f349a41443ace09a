/*-------------------------------------------------------------------------
 *
 * filter.c
 *		Filters: text that must be exactly one boolean expression.
 *
 * A filter never becomes a part of our SQL.  PostgreSQL's own parser reads
 * it, alone; what comes out must be one expression and nothing else, and
 * that expression is analysed as it is where a query of ours uses it.  So no
 * text can close a bracket, end a statement or add a clause, and what is
 * checked is what runs.
 *
 * All errors, the server's own included, point into the filter's text.
 *
 * src/read/filter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"

#include "read/read.h"

struct MxFilter
{
	char	   *text;			/* as given */
	int			shift;			/* of positions, while it is parsed */
	Node	   *expr;			/* raw; analysis works on copies */
};

/* one analysis of a filter */
typedef struct Analysis
{
	ParseState *pstate;
	Oid			relid;			/* whose columns it may use, if just one's */
	bool		positions;		/* constants keep theirs */
	MxLiterals *literals;		/* held back; NULL: language "sql" */
} Analysis;

static Node *only_expression(List *statements, ParseState *pstate);
static bool is_star(Node *node);
static void parse_in_brackets(MxFilter *filter);
static int	surplus_location(SelectStmt *select);
static Node *analyze(ParseState *pstate, MxFilter *filter, Oid relid,
					 bool positions);
static bool prepare_walker(Node *node, Analysis *analysis);
static void refuse_unknown(TypeName *type, Analysis *analysis);
static void refuse_null(A_Expr *expr, Analysis *analysis);
static void enter_filter(ErrorContextCallback *callback, MxFilter *filter);
static void filter_error_callback(void *arg);

/*
 * The gate: reads a filter's text.  Whatever is not exactly one expression
 * is a syntax error, with its position.
 */
MxFilter *
mx_filter_parse(const char *text)
{
	MxFilter   *filter = palloc(sizeof(MxFilter));
	ParseState *pstate = make_parsestate(NULL);
	ErrorContextCallback callback;

	filter->text = pstrdup(text);
	filter->shift = 0;
	pstate->p_sourcetext = filter->text;
	enter_filter(&callback, filter);
	filter->expr = only_expression(raw_parser(filter->text,
											  RAW_PARSE_PLPGSQL_EXPR),
								   pstate);
	parse_in_brackets(filter);
	error_context_stack = callback.previous;
	free_parsestate(pstate);
	return filter;
}

/*
 * Checks a filter against a table, which the caller has locked: names, type,
 * and in the "safe" language what it uses.  It sees the table's columns, by
 * their names or qualified with the table's.
 */
void
mx_filter_check(MxFilter *filter, Relation rel)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;

	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL,
										 false, true);
	addNSItemToQuery(pstate, item, true, true, true);
	(void) analyze(pstate, filter, RelationGetRelid(rel), true);
	free_parsestate(pstate);
}

/*
 * An MxExprHook: analyses a filter in the midst of a statement of ours.
 *
 * Constants lose their positions: they would mislead what takes them for
 * positions in our statement's text, as pg_stat_statements does.
 */
Node *
mx_filter_analyze(ParseState *pstate, void *filter)
{
	return analyze(pstate, filter, InvalidOid, false);
}

const char *
mx_filter_text(const MxFilter *filter)
{
	return filter->text;
}

/*
 * Takes the expression out of what the parser made of a filter.
 *
 * The parser's mode for PL/pgSQL expressions takes what may follow SELECT up
 * to FOR UPDATE, and gives one SELECT.  If that differs in any field from one
 * with the bare expression, there is more than the expression.  A bare star
 * is none: transformExpr would crash on it.
 */
static Node *
only_expression(List *statements, ParseState *pstate)
{
	RawStmt    *statement = linitial_node(RawStmt, statements);
	SelectStmt *select = castNode(SelectStmt, statement->stmt);
	SelectStmt *bare = makeNode(SelectStmt);

	if (equal(select, bare))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("filter is empty"),
				 errhint("Without a filter, or with NULL for it, every sample matches.")));

	bare->targetList = select->targetList;
	if (equal(select, bare) && list_length(select->targetList) == 1)
	{
		ResTarget  *target = linitial_node(ResTarget, select->targetList);

		if (target->name == NULL && target->indirection == NIL &&
			!is_star(target->val))
			return target->val;
	}

	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("filter is not one boolean expression"),
			 parser_errposition(pstate, surplus_location(select))));
}

/* Whether a target of SELECT stands for all columns: *, t.*, (t).* */
static bool
is_star(Node *node)
{
	List	   *fields = NIL;

	if (IsA(node, ColumnRef))
		fields = ((ColumnRef *) node)->fields;
	else if (IsA(node, A_Indirection))
		fields = ((A_Indirection *) node)->indirection;

	return fields != NIL && IsA(llast(fields), A_Star);
}

/*
 * Parses the text once more, in brackets, where nothing but an expression
 * fits: some of what may surround one after SELECT leaves no trace in the
 * tree (ALL, FOR READ ONLY).
 */
static void
parse_in_brackets(MxFilter *filter)
{
	filter->shift = 1;
	(void) raw_parser(psprintf("(%s\n)", filter->text),
					  RAW_PARSE_PLPGSQL_EXPR);
	filter->shift = 0;
}

/*
 * Where a filter has what it should not have, as well as the parser knows:
 * its second expression, its first clause, else its beginning.
 */
static int
surplus_location(SelectStmt *select)
{
	List	   *surplus = list_copy_tail(select->targetList, 1);
	int			location;

	surplus = lappend(surplus, select->fromClause);
	surplus = lappend(surplus, select->whereClause);
	surplus = lappend(surplus, select->groupClause);
	surplus = lappend(surplus, select->havingClause);
	surplus = lappend(surplus, select->windowClause);
	surplus = lappend(surplus, select->sortClause);
	surplus = lappend(surplus, select->limitOffset);
	surplus = lappend(surplus, select->limitCount);

	location = exprLocation((Node *) surplus);
	return location >= 0 ? location :
		exprLocation((Node *) select->targetList);
}

/*
 * Analyses a copy of a filter's expression in "pstate" as WHERE would, and
 * returns it.  "relid" is the one relation that the "safe" language leaves
 * to the filter; InvalidOid: whatever is visible.
 *
 * Of the statement around it, the filter sees the tables in FROM next to it,
 * and no outer query, WITH query, row store or parameter: names must mean
 * here what they meant in the check.  What is hidden is put back at the end;
 * an error ends the statement anyway.
 */
static Node *
analyze(ParseState *pstate, MxFilter *filter, Oid relid, bool positions)
{
	ParseState	saved = *pstate;
	Analysis	analysis = {pstate, relid, positions, NULL};
	ErrorContextCallback callback;
	Node	   *raw = copyObject(filter->expr);
	Node	   *expr;
	Node	   *condition;

	pstate->p_sourcetext = filter->text;
	pstate->parentParseState = NULL;
	pstate->p_queryEnv = NULL;
	pstate->p_ctenamespace = NIL;
	pstate->p_future_ctes = NIL;
	pstate->p_paramref_hook = NULL;
	if (mx_filter_language == MX_FILTER_SAFE)
		analysis.literals = mx_literals_new(pstate, relid);

	enter_filter(&callback, filter);
	(void) prepare_walker(raw, &analysis);
	expr = transformExpr(pstate, raw, EXPR_KIND_WHERE);
	condition = coerce_to_target_type(pstate, expr, exprType(expr),
									  BOOLOID, -1, COERCION_ASSIGNMENT,
									  COERCE_IMPLICIT_CAST, -1);
	if (condition != NULL)
		expr = condition;
	if (analysis.literals != NULL)
	{
		expr = mx_literals_release(analysis.literals, expr);
		mx_safe_check(pstate, expr, relid);
	}
	if (condition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("filter must be of type boolean, not type %s",
						format_type_be(exprType(expr))),
				 parser_errposition(pstate, exprLocation(expr))));
	assign_expr_collations(pstate, expr);
	error_context_stack = callback.previous;

	pstate->p_sourcetext = saved.p_sourcetext;
	pstate->parentParseState = saved.parentParseState;
	pstate->p_queryEnv = saved.p_queryEnv;
	pstate->p_ctenamespace = saved.p_ctenamespace;
	pstate->p_future_ctes = saved.p_future_ctes;
	pstate->p_paramref_hook = saved.p_paramref_hook;
	pstate->p_coerce_param_hook = saved.p_coerce_param_hook;
	pstate->p_ref_hook_state = saved.p_ref_hook_state;
	return expr;
}

/*
 * Makes a raw expression ready for analysis, in place, and refuses what only
 * the raw tree shows, or what should not even be analysed.
 */
static bool
prepare_walker(Node *node, Analysis *analysis)
{
	bool		safe = (analysis->literals != NULL);

	if (node == NULL)
		return false;

	switch (nodeTag(node))
	{
		case T_ParamRef:
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("cannot use parameter $%d in filter",
							((ParamRef *) node)->number),
					 parser_errposition(analysis->pstate,
										exprLocation(node))));
			break;
		case T_A_Const:
			if (!analysis->positions)
				((A_Const *) node)->location = -1;
			if (safe)
				mx_literals_hold(analysis->literals, (A_Const *) node);
			return false;
		case T_TypeName:
			refuse_unknown((TypeName *) node, analysis);
			/* a type's modifiers must stay constants */
			return false;
		case T_SubLink:
			if (safe)
				mx_safe_check(analysis->pstate, node, analysis->relid);
			break;
		case T_A_Expr:
			if (safe)
				refuse_null((A_Expr *) node, analysis);
			break;
		default:
			break;
	}

	return raw_expression_tree_walker(node, prepare_walker, analysis);
}

/* A cast from the type "unknown" is an internal error of the server's. */
static void
refuse_unknown(TypeName *type, Analysis *analysis)
{
	if (type->names != NIL &&
		strcmp(strVal(llast(type->names)), "unknown") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_COERCE),
				 errmsg("cannot cast to type unknown in filter"),
				 parser_errposition(analysis->pstate, type->location)));
}

/*
 * A comparison with a bare NULL is never true in SQL; where Metaxy reads
 * filters it means IS NULL.  The analysed tree would not always show it
 * (transform_null_equals).
 */
static void
refuse_null(A_Expr *expr, Analysis *analysis)
{
	static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">="};
	Node	   *sides[] = {expr->lexpr, expr->rexpr};
	bool		compares = false;
	bool		null = false;

	if (expr->kind != AEXPR_OP)
		return;
	for (int i = 0; i < lengthof(comparisons); i++)
		compares |= strcmp(strVal(llast(expr->name)), comparisons[i]) == 0;
	for (int i = 0; i < lengthof(sides); i++)
		null |= sides[i] != NULL && IsA(sides[i], A_Const) &&
			((A_Const *) sides[i])->isnull;

	if (compares && null)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot compare with NULL in filter"),
				 errdetail("Such a comparison is never true."),
				 errhint("Use IS NULL or IS NOT NULL, or set metaxy.filter_language to \"sql\"."),
				 parser_errposition(analysis->pstate, expr->location)));
}

/* Until the callback is off the stack, errors belong to the filter's text. */
static void
enter_filter(ErrorContextCallback *callback, MxFilter *filter)
{
	callback->callback = filter_error_callback;
	callback->arg = filter;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/*
 * Turns a position in the client's statement into one in the filter's text,
 * as SPI does for the statements that it runs.
 */
static void
filter_error_callback(void *arg)
{
	MxFilter   *filter = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position - filter->shift);
		internalerrquery(filter->text);
	}
}
