/*-------------------------------------------------------------------------
 *
 * drop.c
 *		Keeps the registry in step with tables and views that are dropped.
 *
 * src/registry/drop.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "registry/registry.h"

PG_FUNCTION_INFO_V1(metaxy_forget_dropped);

static Datum dropped_relations(void);
static bool registry_names(Datum relations);
static void forget(Datum relations);

/*
 * metaxy_forget_dropped() returns event_trigger, on sql_drop
 *
 * Sets to NULL what the registry knows of relations that are gone.  Features
 * and their dependencies stay: the table may come again.
 *
 * It runs for every DROP in the database, as whoever drops, so it looks
 * before it writes, and never stands in the way when the registry itself is
 * on its way out.
 */
Datum
metaxy_forget_dropped(PG_FUNCTION_ARGS)
{
	Datum		relations;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" can only be called as an event trigger",
						"metaxy_forget_dropped")));
	if (!OidIsValid(get_extension_oid("metaxy", true)) ||
		!OidIsValid(get_relname_relid(MX_TABLE_FEATURE, mx_schema_oid())))
		PG_RETURN_NULL();

	SPI_connect();
	relations = dropped_relations();
	if (relations != (Datum) 0 && registry_names(relations))
		forget(relations);
	SPI_finish();
	PG_RETURN_NULL();
}

/*
 * OIDs of the tables and views that the command has dropped; 0 if none were.
 */
static Datum
dropped_relations(void)
{
	MxQuery    *query = mx_query_new();
	bool		isnull;
	Datum		result;

	appendStringInfoString(mx_query_sql(query),
						   "SELECT pg_catalog.array_agg(d.objid)"
						   " FROM pg_catalog.pg_event_trigger_dropped_objects()"
						   " AS d WHERE d.objsubid OPERATOR(pg_catalog.=) 0"
						   " AND d.object_type OPERATOR(pg_catalog.=) ANY"
						   " (ARRAY['table', 'foreign table', 'view'])");
	mx_query_run(query, MX_WRITE, NULL);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						   &isnull);
	return isnull ? (Datum) 0 : result;
}

/*
 * Does the registry name any of them?
 */
static bool
registry_names(Datum relations)
{
	MxQuery    *query = mx_query_new();

	mx_query_value(query, OIDARRAYOID, relations, false);
	appendStringInfo(mx_query_sql(query),
					 "SELECT FROM %s." MX_TABLE_FEATURE
					 " WHERE relation OPERATOR(pg_catalog.=) ANY ($1)"
					 " OR active_view OPERATOR(pg_catalog.=) ANY ($1)"
					 " OR latest_view OPERATOR(pg_catalog.=) ANY ($1)"
					 " OR deleted_view OPERATOR(pg_catalog.=) ANY ($1)",
					 mx_schema());
	return mx_query_run(query, MX_OWNER, NULL) > 0;
}

static void
forget(Datum relations)
{
	static const char *const columns[] = {
		"relation", "active_view", "latest_view", "deleted_view"
	};
	MxQuery    *query = mx_query_new();

	mx_query_value(query, OIDARRAYOID, relations, false);
	appendStringInfo(mx_query_sql(query), "UPDATE %s." MX_TABLE_FEATURE " SET ",
					 mx_schema());
	for (int i = 0; i < lengthof(columns); i++)
		appendStringInfo(mx_query_sql(query),
						 "%s%s = CASE WHEN %s OPERATOR(pg_catalog.=) ANY ($1)"
						 " THEN NULL ELSE %s END",
						 i > 0 ? ", " : "", columns[i], columns[i], columns[i]);
	appendStringInfoString(mx_query_sql(query), " WHERE ");
	for (int i = 0; i < lengthof(columns); i++)
		appendStringInfo(mx_query_sql(query),
						 "%s%s OPERATOR(pg_catalog.=) ANY ($1)",
						 i > 0 ? " OR " : "", columns[i]);
	mx_query_run(query, MX_OWNER, NULL);
	mx_registry_invalidate(mx_feature_table());
}
