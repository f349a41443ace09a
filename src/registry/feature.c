/*-------------------------------------------------------------------------
 *
 * feature.c
 *		Registers features and forgets them.
 *
 * src/registry/feature.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "write/write.h"

PG_FUNCTION_INFO_V1(metaxy_register);
PG_FUNCTION_INFO_V1(metaxy_unregister);

static void check_arguments(const MxRegistration *registration);
static void require_table(Oid relid);
static MxFeature *load_existing(const MxRegistration *registration);
static void check_change(const MxFeature *old,
						 const MxRegistration *registration);
static bool take_table(const MxRegistration *registration,
					   const MxFeature *old, const MxFeature *feature);
static Relation lock_table(const MxRegistration *registration,
						   LOCKMODE *lock);
static int	delete_rows(const char *table, const char *key);
static void check_dependents(const MxRegistry *registry, int feature);

/*
 * metaxy_register(feature text, relation regclass, id_columns text[],
 *		feature_version text, views boolean, indexes boolean, replace boolean)
 *		returns void
 *
 * Makes the table ready to hold the feature and writes it down.  Needs
 * ownership of the table and, for a key that is registered already, the
 * privileges of the role that registered it.
 *
 * Locks the registry against other changes until the transaction ends, and
 * the table as strongly as what it lacks demands: not at all to speak of when
 * it lacks nothing.  Only feature_version may be NULL.
 */
Datum
metaxy_register(PG_FUNCTION_ARGS)
{
	MxRegistration registration = {0};

	PreventCommandIfReadOnly("metaxy_register()");

	registration.key = mx_arg_text(fcinfo, 0, "feature");
	mx_arg_require(fcinfo, 1, "relation");
	registration.relid = PG_GETARG_OID(1);
	registration.id_columns = mx_arg_names(fcinfo, 2, "id_columns");
	registration.version = mx_arg_text_or_null(fcinfo, 3);
	registration.views = mx_arg_bool(fcinfo, 4, "views");
	registration.indexes = mx_arg_bool(fcinfo, 5, "indexes");
	registration.replace = mx_arg_bool(fcinfo, 6, "replace");
	require_table(registration.relid);

	SPI_connect();
	mx_register(&registration);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * metaxy_unregister(feature text) returns void
 *
 * Forgets the feature, its versions and what it depends on, and drops its
 * views.  The table stays as it is.  Needs the privileges of the feature's
 * owner; others that depend on the feature are an error.
 */
Datum
metaxy_unregister(PG_FUNCTION_ARGS)
{
	char	   *key = mx_arg_text(fcinfo, 0, "feature");

	PreventCommandIfReadOnly("metaxy_unregister()");

	SPI_connect();
	mx_unregister(key);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Registers a feature; returns false if nothing had to be changed.  Without a
 * table (relid is InvalidOid) the feature only gets its place in the graph.
 *
 * Everything is checked before anything is written: arguments, rights, what
 * is registered, the table, its views' names, its rows, the edges.
 */
bool
mx_register(const MxRegistration *registration)
{
	MxFeature	feature = {0};
	MxFeature  *old;
	bool		changed = false;

	check_arguments(registration);
	if (OidIsValid(registration->relid))
		mx_require_table_owner(registration->relid);

	mx_registry_lock();
	old = load_existing(registration);

	feature.key = pstrdup(registration->key);
	feature.relid = registration->relid;
	feature.id_columns = registration->id_columns;
	if (old != NULL && mx_same_names(old->id_columns, feature.id_columns))
		feature.id_columns = old->id_columns;
	feature.version = registration->version ?
		pstrdup(registration->version) : NULL;
	feature.owner = old ? old->owner : GetUserId();
	if (registration->project != NULL)
		feature.project = pstrdup(registration->project);
	else if (old != NULL)
		feature.project = old->project;
	feature.views = registration->views;
	feature.indexes = registration->indexes;

	if (OidIsValid(feature.relid))
		changed = take_table(registration, old, &feature);
	if (old != NULL && OidIsValid(old->relid) &&
		(old->relid != feature.relid || !feature.views))
		changed |= mx_views_drop(old);
	if (old != NULL && old->relid != feature.relid)
		mx_stamp_drop(old->relid);
	changed |= mx_record_feature(old, &feature);
	if (OidIsValid(feature.relid) && feature.views)
		changed |= mx_views_create(&feature);
	return changed;
}

/*
 * Forgets a feature, see metaxy_unregister.
 */
void
mx_unregister(const char *key)
{
	MxRegistry *registry;
	MxFeature  *feature;
	const MxGraph *graph;
	int			place;

	mx_registry_lock();
	registry = mx_registry_load();
	place = mx_registry_require(registry, key);
	feature = &registry->features[place];
	graph = registry->graph;
	mx_require_feature_owner(feature);
	check_dependents(registry, place);

	mx_views_drop(feature);
	mx_stamp_drop(feature->relid);
	mx_registry_invalidate(feature->relid);
	mx_registry_invalidate(mx_feature_table());
	if (delete_rows(MX_TABLE_DEPENDENCY, key) !=
		graph->in_start[place + 1] - graph->in_start[place])
		mx_registry_changed();
	delete_rows(MX_TABLE_VERSION, key);
	delete_rows(MX_TABLE_RETENTION, key);
	if (delete_rows(MX_TABLE_FEATURE, key) == 0)
		mx_registry_changed();
}

/*
 * Removes a feature's rows from a table of the registry; returns how many.
 */
static int
delete_rows(const char *table, const char *key)
{
	MxQuery    *query = mx_query_new();

	appendStringInfo(mx_query_sql(query),
					 "DELETE FROM %s.%s WHERE feature OPERATOR(pg_catalog.=) $%d",
					 mx_schema(), table, mx_query_text(query, key));
	return (int) mx_query_run(query, MX_OWNER, NULL);
}

/*
 * The caller must have the privileges of the role that registered the
 * feature: 42501.
 */
void
mx_require_feature_owner(const MxFeature *feature)
{
	if (!mx_has_role(feature->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of feature \"%s\"", feature->key)));
}

/*
 * What is wrong whatever the table is.
 */
static void
check_arguments(const MxRegistration *registration)
{
	List	   *seen = NIL;
	ListCell   *lc;

	if (registration->key[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature key must not be empty")));
	if (registration->id_columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature \"%s\" needs at least one id column",
						registration->key)));

	foreach(lc, registration->id_columns)
	{
		char	   *name = lfirst(lc);

		if (mx_names_member(seen, name))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("id column \"%s\" is named more than once", name)));
		if (strcmp(name, MX_CREATED_AT) == 0 ||
			strcmp(name, MX_UPDATED_AT) == 0 ||
			strcmp(name, MX_DELETED_AT) == 0 ||
			(registration->version != NULL &&
			 strcmp(name, MX_FEATURE_VERSION) == 0) ||
			SystemAttributeByName(name) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" cannot be an id column", name),
					 errdetail("An id column must be the same in all rows of a sample.")));
		seen = lappend(seen, name);
	}
	list_free(seen);
}

/*
 * A regclass argument may be any number.
 */
static void
require_table(Oid relid)
{
	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("relation with OID %u does not exist", relid)));
}

/*
 * The feature as it is registered, NULL if it is not; raises what stands
 * against changing it, or against this table.
 */
static MxFeature *
load_existing(const MxRegistration *registration)
{
	MxFeature  *old = mx_feature_load(registration->key);
	MxFeature  *holder;

	if (old != NULL)
	{
		/* a table can go without a trace: a temporary one, say */
		if (get_rel_name(old->relid) == NULL)
			old->relid = InvalidOid;
		mx_require_feature_owner(old);
		if (!registration->replace)
			check_change(old, registration);
	}
	if (!OidIsValid(registration->relid))
		return old;

	holder = mx_feature_of_table(registration->relid);
	if (holder != NULL && strcmp(holder->key, registration->key) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("relation \"%s\" is already registered as feature \"%s\"",
						get_rel_name(registration->relid), holder->key)));
	return old;
}

/*
 * What a second registration may not change unless it says "replace": all
 * that gives the rows another meaning.
 */
static void
check_change(const MxFeature *old, const MxRegistration *registration)
{
	const char *hint = "Call metaxy_register with replace => true to change that.";

	if (OidIsValid(old->relid) && old->relid != registration->relid)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("feature \"%s\" is already registered with relation \"%s\"",
						old->key, get_rel_name(old->relid)),
				 errhint("%s", hint)));
	if (!mx_same_names(old->id_columns, registration->id_columns))
	{
		StringInfoData names;
		ListCell   *lc;

		initStringInfo(&names);
		foreach(lc, old->id_columns)
			appendStringInfo(&names, "%s\"%s\"",
							 foreach_current_index(lc) > 0 ? ", " : "",
							 (char *) lfirst(lc));
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("feature \"%s\" is already registered with other id columns",
						old->key),
				 errdetail("Its id columns are %s.", names.data),
				 errhint("%s", hint)));
	}
	if (old->version != NULL && registration->version == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("feature \"%s\" is already registered with a feature version",
						old->key),
				 errdetail("Without one, rows of all versions would count as one."),
				 errhint("%s", hint)));
}

/*
 * Checks the table and makes it ready; returns false if it was.
 *
 * The rows are read only where the table is to mean something new, or lacks
 * something: those of a table that is known and complete have been looked at,
 * and NOT NULL and the trigger keep them so.  But partitions can be attached
 * with rows that the clock does not know of.
 */
static bool
take_table(const MxRegistration *registration, const MxFeature *old,
		   const MxFeature *feature)
{
	bool		known = old != NULL && old->relid == feature->relid &&
	mx_same_names(old->id_columns, feature->id_columns) &&
	(old->version == NULL) == (feature->version == NULL);
	LOCKMODE	lock = known ? AccessShareLock : ShareRowExclusiveLock;
	Relation	rel = lock_table(registration, &lock);

	mx_check_table(rel, registration);
	if (feature->views)
		mx_check_view_names(feature);
	if (lock > AccessShareLock ||
		rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		mx_check_rows(rel, registration);
	table_close(rel, NoLock);
	if (!known && old != NULL)
		mx_check_edges(feature);
	return mx_ready_table(feature->relid, registration);
}

/*
 * Opens the table with the lock that is needed in the end, at once, and locks
 * its partitions alike.  "lock" is the least on entry, what was taken on exit.
 */
static Relation
lock_table(const MxRegistration *registration, LOCKMODE *lock)
{
	Oid			relid = registration->relid;
	LOCKMODE	needed = mx_ready_lock(relid, registration);

	for (;;)
	{
		Relation	rel;

		*lock = Max(*lock, needed);
		rel = try_relation_open(relid, *lock);
		if (rel == NULL)
			require_table(relid);
		find_all_inheritors(relid, *lock, NULL);
		needed = mx_ready_lock(relid, registration);
		if (needed <= *lock)
			return rel;
		/* somebody altered the table just before we locked it */
		relation_close(rel, NoLock);
	}
}

/*
 * Raises 2BP01 if other features depend on this one.
 */
static void
check_dependents(const MxRegistry *registry, int feature)
{
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < registry->ndependencies; i++)
	{
		const MxDependency *dependency = &registry->dependencies[i];

		if (dependency->upstream == feature)
			appendStringInfo(&detail, "%sFeature \"%s\" depends on it.",
							 detail.len > 0 ? "\n" : "",
							 registry->features[dependency->feature].key);
	}
	if (detail.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot unregister feature \"%s\" because other features depend on it",
						registry->features[feature].key),
				 errdetail_internal("%s", detail.data),
				 errhint("Use metaxy_undepend or metaxy_unregister for them first.")));
}
