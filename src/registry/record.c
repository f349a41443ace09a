/*-------------------------------------------------------------------------
 *
 * record.c
 *		Writes features and their versions into the registry.
 *
 * src/registry/record.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "registry/registry.h"

static void insert_feature(const MxFeature *feature);
static void update_feature(const MxFeature *feature, bool forget_grants);
static void log_version(const MxFeature *feature);

/*
 * Runs a statement that writes rows of the registry, as its owner.
 *
 * The registry is read as it is now but written under the transaction's
 * snapshot: where that is too old to show the rows, none is written and the
 * transaction must be tried again.
 */
void
mx_registry_write(MxQuery *query)
{
	if (mx_query_run(query, MX_OWNER, NULL) == 0)
		mx_registry_changed();
	mx_registry_invalidate(mx_feature_table());
}

/*
 * Tells all sessions, at commit, that what they remember of a feature's table
 * may not be so any more; of the registry's own, that it has changed at all.
 */
void
mx_registry_invalidate(Oid relid)
{
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
}

/*
 * What the transaction's snapshot shows of the registry is not what it is now.
 */
void
mx_registry_changed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to a concurrent change of the registry")));
}

/*
 * Writes the feature down where it differs; returns false if it does not.
 */
bool
mx_record_feature(const MxFeature *old, const MxFeature *feature)
{
	bool		new_version = feature->version != NULL &&
	(old == NULL || !mx_same_text(old->version, feature->version));

	if (old == NULL)
		insert_feature(feature);
	else if (old->relid != feature->relid ||
			 !mx_same_names(old->id_columns, feature->id_columns) ||
			 !mx_same_text(old->version, feature->version) ||
			 !mx_same_text(old->project, feature->project) ||
			 old->views != feature->views ||
			 old->indexes != feature->indexes)
		update_feature(feature, old->relid != feature->relid);
	else
		return false;

	if (new_version)
		log_version(feature);
	mx_registry_invalidate(feature->relid);
	if (old != NULL && old->relid != feature->relid)
		mx_registry_invalidate(old->relid);
	return true;
}

static void
insert_feature(const MxFeature *feature)
{
	MxQuery    *query = mx_query_new();

	mx_query_text(query, feature->key);
	mx_query_value(query, REGCLASSOID, ObjectIdGetDatum(feature->relid),
				   !OidIsValid(feature->relid));
	mx_query_value(query, TEXTARRAYOID, mx_names_array(feature->id_columns),
				   false);
	mx_query_text(query, feature->version);
	mx_query_value(query, REGROLEOID, ObjectIdGetDatum(feature->owner), false);
	mx_query_text(query, feature->project);
	mx_query_value(query, BOOLOID, BoolGetDatum(feature->views), false);
	mx_query_value(query, BOOLOID, BoolGetDatum(feature->indexes), false);
	appendStringInfo(mx_query_sql(query),
					 "INSERT INTO %s." MX_TABLE_FEATURE " (feature, relation,"
					 " id_columns, feature_version, owner, project, views,"
					 " indexes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
					 mx_schema());
	mx_registry_write(query);
}

/*
 * Grants that were remembered for the views of another table are forgotten.
 */
static void
update_feature(const MxFeature *feature, bool forget_grants)
{
	MxQuery    *query = mx_query_new();

	mx_query_text(query, feature->key);
	mx_query_value(query, REGCLASSOID, ObjectIdGetDatum(feature->relid),
				   !OidIsValid(feature->relid));
	mx_query_value(query, TEXTARRAYOID, mx_names_array(feature->id_columns),
				   false);
	mx_query_text(query, feature->version);
	mx_query_text(query, feature->project);
	mx_query_value(query, BOOLOID, BoolGetDatum(feature->views), false);
	mx_query_value(query, BOOLOID, BoolGetDatum(feature->indexes), false);
	appendStringInfo(mx_query_sql(query),
					 "UPDATE %s." MX_TABLE_FEATURE " SET relation = $2,"
					 " id_columns = $3, feature_version = $4, project = $5,"
					 " views = $6, indexes = $7%s"
					 " WHERE feature OPERATOR(pg_catalog.=) $1",
					 mx_schema(), forget_grants ? ", view_acl = NULL" : "");
	mx_registry_write(query);
}

/*
 * Since when the version is current.  Of two in one transaction the second
 * counts: the first was never seen by anybody else.
 */
static void
log_version(const MxFeature *feature)
{
	MxQuery    *query = mx_query_new();

	mx_query_text(query, feature->key);
	mx_query_text(query, feature->version);
	mx_query_value(query, TIMESTAMPTZOID,
				   TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
				   false);
	appendStringInfo(mx_query_sql(query),
					 "INSERT INTO %s." MX_TABLE_VERSION
					 " (feature, feature_version, since) VALUES ($1, $2, $3)"
					 " ON CONFLICT (feature, since) DO UPDATE"
					 " SET feature_version = excluded.feature_version",
					 mx_schema());
	mx_registry_write(query);
}
