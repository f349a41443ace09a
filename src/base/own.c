/*-------------------------------------------------------------------------
 *
 * own.c
 *		The extension's own schema and tables.
 *
 * src/base/own.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/*
 * What every writer's transaction needs, remembered until something becomes of
 * one of them: the clock, and the registry's table of features.
 */
static Oid	own_clock = InvalidOid;
static Oid	own_features = InvalidOid;

static Oid	look_up_schema(void);
static void remember(void);
static void at_invalidation(Datum arg, Oid relid);

/*
 * Schema of the extension: that of its tables, where one of them is remembered.
 */
Oid
mx_schema_oid(void)
{
	Oid			schema = OidIsValid(own_features) ?
	get_rel_namespace(own_features) : InvalidOid;

	return OidIsValid(schema) ? schema : look_up_schema();
}

/*
 * The same by the catalog of extensions, which is not cached.
 */
static Oid
look_up_schema(void)
{
	Oid			extension = get_extension_oid("metaxy", false);
	Oid			result = InvalidOid;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(result))
		elog(ERROR, "extension \"metaxy\" has no schema");
	return result;
}

/*
 * The same as SQL text, quoted.
 */
char *
mx_schema(void)
{
	Oid			schema = mx_schema_oid();
	char	   *name = get_namespace_name(schema);

	if (name == NULL)
		elog(ERROR, "cache lookup failed for schema %u", schema);
	return pstrdup(quote_identifier(name));
}

/*
 * OID of one of the extension's own tables or sequences.
 */
Oid
mx_registry_table(const char *name)
{
	Oid			relid = get_relname_relid(name, mx_schema_oid());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of extension \"metaxy\" does not exist",
						name)));
	return relid;
}

/*
 * OID of the clock's sequence.
 */
Oid
mx_clock(void)
{
	if (!OidIsValid(own_clock))
		remember();
	return own_clock;
}

/*
 * OID of the table of features.
 */
Oid
mx_feature_table(void)
{
	if (!OidIsValid(own_features))
		remember();
	return own_features;
}

static void
remember(void)
{
	static bool registered = false;
	Oid			clock = mx_registry_table("metaxy_clock");
	Oid			features = mx_registry_table("metaxy_feature");

	if (!registered)
		CacheRegisterRelcacheCallback(at_invalidation, (Datum) 0);
	registered = true;
	own_clock = clock;
	own_features = features;
}

static void
at_invalidation(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && relid != own_clock && relid != own_features)
		return;
	own_clock = InvalidOid;
	own_features = InvalidOid;
}
