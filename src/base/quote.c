/*-------------------------------------------------------------------------
 *
 * quote.c
 *		Names and operators as SQL text, always qualified and quoted.
 *
 * src/base/quote.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/base.h"

/*
 * Name of a relation as SQL text: qualified, quoted.
 */
char *
mx_relation_name(Oid relid)
{
	char	   *relname = get_rel_name(relid);
	char	   *schema;

	if (relname == NULL)
		elog(ERROR, "cache lookup failed for relation %u", relid);
	schema = get_namespace_name_or_temp(get_rel_namespace(relid));
	return quote_qualified_identifier(schema, relname);
}

/*
 * An alias of ours beside a table whose own name is in use: never the same.
 */
const char *
mx_alias(const char *wanted, const char *taken)
{
	return strcmp(wanted, taken) == 0 ? psprintf("%s_", wanted) : wanted;
}

/*
 * alias.column, both quoted here.
 */
void
mx_append_column(StringInfo sql, const char *alias, const char *column)
{
	appendStringInfo(sql, "%s.", quote_identifier(alias));
	appendStringInfoString(sql, quote_identifier(column));
}

/*
 * OPERATOR(schema.name), so that nothing in the caller's search_path can
 * take its place.
 */
void
mx_append_operator(StringInfo sql, Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(sql, "OPERATOR(%s.%s)",
					 quote_identifier(get_namespace_name(form->oprnamespace)),
					 NameStr(form->oprname));
	ReleaseSysCache(tuple);
}

/*
 * Name of a collation as SQL text: qualified, quoted.
 */
char *
mx_collation_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * Type that a default btree operator class takes for values of this type;
 * InvalidOid: it has no ordering.
 */
static Oid
btree_input_type(Oid type, Oid *opfamily)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);

	*opfamily = entry->btree_opf;
	return entry->btree_opintype;
}

/*
 * Equality of two types by their default btree ordering; InvalidOid where
 * they have none in common.  Domains count as what they are made of.
 */
Oid
mx_equality(Oid left, Oid right)
{
	Oid			lfamily = InvalidOid;
	Oid			rfamily = InvalidOid;
	Oid			ltype;
	Oid			rtype;

	left = getBaseType(left);
	right = getBaseType(right);
	ltype = btree_input_type(left, &lfamily);
	rtype = btree_input_type(right, &rfamily);

	if (!OidIsValid(ltype) || !OidIsValid(rtype) || lfamily != rfamily)
		return InvalidOid;
	/* arrays, enums, ranges, records: one class for all, so look beneath */
	if (IsPolymorphicType(ltype) && left != right)
		return InvalidOid;
	return get_opfamily_member(lfamily, ltype, rtype, BTEqualStrategyNumber);
}
