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

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "read/read.h"

typedef struct SafeCheck
{
	ParseState *pstate;
	Oid			relid;			/* InvalidOid: any relation in sight */
} SafeCheck;

static const char *mx_function_reason(Oid funcid, List *args, bool called);
static const char *mx_operator_reason(Oid opno, List *args);
static const char *mx_type_reason(Oid type, bool input);
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

/* Names each kind of node that may occur, and refuses all others. */
static bool
safe_walker(Node *node, SafeCheck *check)
{
	ListCell   *lc;

	if (node == NULL)
		return false;

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
		case T_SubLink:
			refuse("subquery", NULL, exprLocation(node), check);
		default:
			refuse("this kind of expression", NULL, exprLocation(node), check);
	}

	return expression_tree_walker(node, safe_walker, check);
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

#define IS_FOREIGN \
	"It belongs neither to PostgreSQL nor to an extension that a superuser owns."
#define IS_VOLATILE \
	"It is volatile."
#define IS_INTERNAL \
	"It is for internal use."
#define LOOKS_AROUND \
	"It may look at more than the row."
#define FINDS_CASTS \
	"It may call a cast that a user made; cast the argument to a built-in type."
#define RUNS_CHECK \
	"It would run the CHECK of a domain."

/*
 * Of PostgreSQL's own functions, the immutable ones look at nothing but their
 * arguments, by definition.  Of the stable ones, these look at the clock and
 * at settings besides that say how to read or print a value, such as the time
 * zone.  Names are enough: an overload of one of these does the same with
 * other types.  The other 450 read catalogs, statistics or whole tables
 * (table_to_xml), and so might those to come.
 */
static const char *const stable_functions[] = {
	"age", "array_to_json", "array_to_string", "concat", "concat_ws",
	"convert", "convert_from", "convert_to", "date", "date_add", "date_part",
	"date_subtract", "date_trunc", "enum_first", "enum_last", "enum_range",
	"extract", "format", "json_build_array", "json_build_object",
	"json_strip_nulls", "json_to_tsvector", "jsonb_build_array",
	"jsonb_build_object", "jsonb_path_exists_tz", "jsonb_path_match_tz",
	"jsonb_path_query_array_tz", "jsonb_path_query_first_tz",
	"jsonb_strip_nulls", "jsonb_to_tsvector", "length", "make_timestamptz",
	"money", "now", "numeric", "overlaps", "phraseto_tsquery",
	"plainto_tsquery", "quote_literal", "quote_nullable",
	"statement_timestamp", "time", "timestamp", "timestamptz", "timetz",
	"timezone", "to_char", "to_date", "to_json", "to_jsonb", "to_number",
	"to_timestamp", "to_tsquery", "to_tsvector", "transaction_timestamp",
	"ts_headline", "websearch_to_tsquery", "xml", "xml_is_well_formed"
};

/* Immutable ones that read catalogs nevertheless */
static const char *const curious_functions[] = {
	"pg_indexam_progress_phasename", "pg_partition_root",
	"satisfies_hash_partition"
};

/* Those that rely on being called by a cast or an aggregate alone */
static const char *const internal_functions[] = {
	"bpchar", "interval", "multirange_intersect_agg_transfn",
	"range_intersect_agg_transfn"
};

#define LISTED(name, list)	listed(NameStr(name), list, lengthof(list))

static const char *builtin_reason(Form_pg_proc proc, List *args, bool called);
static bool is_internal(Form_pg_proc proc);
static bool finds_casts(Form_pg_proc proc, List *args);
static const char *composite_reason(Oid type, bool input);
static const char *base_type_reason(Oid type);
static bool is_trusted_member(Oid class, Oid object, Oid owner);
static bool listed(const char *name, const char *const *names, int n);

/*
 * Why a filter may not use a function with these arguments.  "called": by
 * its name, not as an operator, by a cast or a type.
 */
static const char *
mx_function_reason(Oid funcid, List *args, bool called)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc proc;
	const char *reason = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", funcid);
	proc = (Form_pg_proc) GETSTRUCT(tuple);

	if (proc->provolatile == PROVOLATILE_VOLATILE)
		reason = IS_VOLATILE;
	else if (called && is_internal(proc))
		reason = IS_INTERNAL;
	else if (funcid < FirstUnpinnedObjectId)
		reason = builtin_reason(proc, args, called);
	else if (!is_trusted_member(ProcedureRelationId, funcid, proc->proowner))
		reason = IS_FOREIGN;

	ReleaseSysCache(tuple);
	return reason;
}

/*
 * The same for an operator.  To look at its function is not enough: a user's
 * operator "=" may call PostgreSQL's function for "<>".
 */
static const char *
mx_operator_reason(Oid opno, List *args)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opno));
	Form_pg_operator operator;
	const char *reason;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", opno);
	operator = (Form_pg_operator) GETSTRUCT(tuple);

	if (opno < FirstUnpinnedObjectId ||
		is_trusted_member(OperatorRelationId, opno, operator->oprowner))
		reason = mx_function_reason(operator->oprcode, args, false);
	else
		reason = IS_FOREIGN;

	ReleaseSysCache(tuple);
	return reason;
}

/*
 * Why a filter may not make values of a type ("input") or turn them into
 * text.  What a type is made of counts as well.
 */
static const char *
mx_type_reason(Oid type, bool input)
{
	Oid			element = get_element_type(type);

	check_stack_depth();
	if (OidIsValid(element))
		return mx_type_reason(element, input);

	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
			return base_type_reason(type);
		case TYPTYPE_DOMAIN:
			return input ? RUNS_CHECK :
				mx_type_reason(getBaseType(type), input);
		case TYPTYPE_RANGE:
			return mx_type_reason(get_range_subtype(type), input);
		case TYPTYPE_MULTIRANGE:
			return mx_type_reason(get_multirange_range(type), input);
		case TYPTYPE_COMPOSITE:
			return composite_reason(type, input);
		default:
			/* enums have labels alone, and pseudo-types no values */
			return NULL;
	}
}

/*
 * A function of PostgreSQL's that is not volatile.  All that its operators,
 * casts and types do with a stable one is to compare, convert and print, so
 * the name does not matter there.
 */
static const char *
builtin_reason(Form_pg_proc proc, List *args, bool called)
{
	if (proc->provolatile == PROVOLATILE_IMMUTABLE)
		return LISTED(proc->proname, curious_functions) ? LOOKS_AROUND : NULL;
	if (called && !LISTED(proc->proname, stable_functions))
		return LOOKS_AROUND;
	if (finds_casts(proc, args))
		return FINDS_CASTS;
	return NULL;
}

/*
 * Whether a function is not meant to be called from SQL, and would end in an
 * internal error at best: one that takes or returns pointers, as those of
 * types, indexes and aggregates do, or an array that is an aggregate's state.
 */
static bool
is_internal(Form_pg_proc proc)
{
	bool		builtin = proc->oid < FirstUnpinnedObjectId;

	for (int i = 0; i <= proc->pronargs; i++)
	{
		switch (i < proc->pronargs ?
				proc->proargtypes.values[i] : proc->prorettype)
		{
			case INTERNALOID:
			case CSTRINGOID:
			case CSTRINGARRAYOID:
				return true;
			case INT8ARRAYOID:
			case FLOAT8ARRAYOID:
			case INTERVALARRAYOID:
				if (builtin)
					return true;
				break;
			default:
				break;
		}
	}
	return builtin && LISTED(proc->proname, internal_functions);
}

/*
 * Whether a stable function would look for a cast from an argument's type,
 * and find one that a user made: those that make JSON do, and polymorphic
 * ones in SQL, "||" among them, whose body is analysed with that type.
 */
static bool
finds_casts(Form_pg_proc proc, List *args)
{
	ListCell   *lc;

	if (proc->prolang != SQLlanguageId &&
		proc->prorettype != JSONOID && proc->prorettype != JSONBOID)
		return false;

	foreach(lc, args)
	{
		Oid			type = getBaseType(exprType(lfirst(lc)));

		if (type >= FirstUnpinnedObjectId ||
			type == RECORDOID || type == RECORDARRAYOID)
			return true;
	}
	return false;
}

static const char *
composite_reason(Oid type, bool input)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	const char *reason = NULL;

	for (int i = 0; i < desc->natts && reason == NULL; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped)
			reason = mx_type_reason(attribute->atttypid, input);
	}
	ReleaseTupleDesc(desc);
	return reason;
}

/*
 * A base type: whoever made its input function made its output function.  Of
 * PostgreSQL's own, those to do with time, money and xml are stable because
 * of settings alone; the others look names up (reg*, aclitem).
 */
static const char *
base_type_reason(Oid type)
{
	Oid			function;
	Oid			ioparam;

	switch (type)
	{
		case DATEOID:
		case INTERVALOID:
		case MONEYOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case TIMETZOID:
		case XMLOID:
			return NULL;
		default:
			break;
	}

	getTypeInputInfo(type, &function, &ioparam);
	if (type >= FirstUnpinnedObjectId)
		return mx_function_reason(function, NIL, false);
	return func_volatile(function) == PROVOLATILE_IMMUTABLE ?
		NULL : LOOKS_AROUND;
}

/*
 * Whether an object came with an extension, not ours, and nobody but a
 * superuser can have changed it since
 */
static bool
is_trusted_member(Oid class, Oid object, Oid owner)
{
	Oid			extension = getExtensionOfObject(class, object);

	return OidIsValid(extension) &&
		extension != get_extension_oid("metaxy", true) &&
		superuser_arg(owner);
}

static bool
listed(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}
