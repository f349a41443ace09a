/*-------------------------------------------------------------------------
 *
 * trust.c
 *		Which functions, operators and types a filter in the "safe" language
 *		may use: who made them, and what they look at.
 *
 * An object is PostgreSQL's own if initdb pinned it.  It is an extension's
 * if it is a member of one and a superuser owns it: the owner of an extension
 * can add functions of his own to it.  Everything else is a user's.
 *
 * The functions here return why something may not be used, as a sentence for
 * an error's detail, or NULL if it may.
 *
 * src/read/trust.c
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
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "read/read.h"

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
const char *
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
const char *
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
const char *
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
