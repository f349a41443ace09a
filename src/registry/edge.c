/*-------------------------------------------------------------------------
 *
 * edge.c
 *		Registers dependencies between features and forgets them.
 *
 * src/registry/edge.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "registry/registry.h"

PG_FUNCTION_INFO_V1(metaxy_depend);
PG_FUNCTION_INFO_V1(metaxy_undepend);

/* in the order of MxLineage */
const char *const mx_lineages[] = {"1:1", "1:N", "N:1", NULL};

static void check_arguments(const char *feature, const char *upstream,
							const MxDependency *dependency);
static bool already_depends(const MxRegistry *registry,
							const MxDependency *dependency);
static bool same_renames(const MxDependency *a, const MxDependency *b);
static void require_upstream(const MxFeature *feature,
							 const MxFeature *upstream,
							 const MxDependency *dependency);
static void check_no_cycle(const MxRegistry *registry,
						   const MxDependency *dependency);
static void insert_dependency(const MxRegistry *registry,
							  const MxDependency *dependency);

/*
 * metaxy_depend(feature text, upstream text, lineage text, on_columns text[],
 *		rename jsonb, optional boolean) returns void
 *
 * Says that a feature is made from another one.  Needs ownership of the
 * feature and its table, and ownership of or REFERENCES on the upstream table.
 * on_columns and rename may be NULL.
 */
Datum
metaxy_depend(PG_FUNCTION_ARGS)
{
	char	   *feature = mx_arg_text(fcinfo, 0, "feature");
	char	   *upstream = mx_arg_text(fcinfo, 1, "upstream");
	MxLineage	lineage = mx_choice(mx_arg_text(fcinfo, 2, "lineage"),
									"lineage", mx_lineages);
	List	   *on_columns = NIL;
	List	   *rename_from = NIL;
	List	   *rename_to = NIL;
	bool		optional;

	PreventCommandIfReadOnly("metaxy_depend()");

	if (!PG_ARGISNULL(3))
	{
		on_columns = mx_arg_names(fcinfo, 3, "on_columns");
		if (on_columns == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" must not be empty", "on_columns")));
	}
	if (!PG_ARGISNULL(4))
		mx_rename_lists(PG_GETARG_JSONB_P(4), &rename_from, &rename_to);
	optional = mx_arg_bool(fcinfo, 5, "optional");

	SPI_connect();
	mx_depend(feature, upstream, lineage, on_columns, rename_from, rename_to,
			  optional);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * metaxy_undepend(feature text, upstream text) returns void
 *
 * Forgets that a feature is made from another one.  Needs the privileges of
 * the feature's owner.
 */
Datum
metaxy_undepend(PG_FUNCTION_ARGS)
{
	char	   *feature = mx_arg_text(fcinfo, 0, "feature");
	char	   *upstream = mx_arg_text(fcinfo, 1, "upstream");

	PreventCommandIfReadOnly("metaxy_undepend()");

	SPI_connect();
	mx_undepend(feature, upstream);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Registers a dependency; nothing happens if it is registered just so.
 *
 * Columns are checked as far as there are tables: registering a table later
 * checks the rest.
 */
void
mx_depend(const char *feature, const char *upstream, MxLineage lineage,
		  List *on_columns, List *rename_from, List *rename_to, bool optional)
{
	MxDependency dependency = {.lineage = lineage,.optional = optional};
	MxRegistry *registry;
	MxFeature  *down;
	MxFeature  *up;

	dependency.on_columns = on_columns;
	dependency.rename_from = rename_from;
	dependency.rename_to = rename_to;
	check_arguments(feature, upstream, &dependency);

	mx_registry_lock();
	registry = mx_registry_load();
	dependency.feature = mx_registry_require(registry, feature);
	dependency.upstream = mx_registry_require(registry, upstream);
	down = &registry->features[dependency.feature];
	up = &registry->features[dependency.upstream];

	mx_require_feature_owner(down);
	if (already_depends(registry, &dependency))
		return;
	mx_check_edge(down, up, &dependency);
	require_upstream(down, up, &dependency);
	check_no_cycle(registry, &dependency);
	insert_dependency(registry, &dependency);
}

/*
 * Forgets a dependency: 42704 if there is none.
 */
void
mx_undepend(const char *feature, const char *upstream)
{
	MxFeature  *down;
	MxQuery    *query = mx_query_new();
	MxRegistry *registry;
	int			place;
	bool		found = false;

	mx_registry_lock();
	registry = mx_registry_load();
	down = &registry->features[mx_registry_require(registry, feature)];
	place = mx_registry_require(registry, upstream);
	mx_require_feature_owner(down);

	for (int i = 0; i < registry->ndependencies && !found; i++)
		found = &registry->features[registry->dependencies[i].feature] == down &&
			registry->dependencies[i].upstream == place;
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature \"%s\" does not depend on \"%s\"",
						feature, upstream)));

	mx_query_text(query, feature);
	mx_query_text(query, upstream);
	appendStringInfo(mx_query_sql(query),
					 "DELETE FROM %s." MX_TABLE_DEPENDENCY
					 " WHERE feature OPERATOR(pg_catalog.=) $1"
					 " AND upstream OPERATOR(pg_catalog.=) $2",
					 mx_schema());
	mx_registry_write(query);
}

/*
 * What is wrong whatever the features are.
 */
static void
check_arguments(const char *feature, const char *upstream,
				const MxDependency *dependency)
{
	List	   *seen = NIL;
	ListCell   *lc;

	if (strcmp(feature, upstream) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("feature \"%s\" cannot depend on itself", feature),
				 errdetail("From upstream to downstream: \"%s\" -> \"%s\".",
						   feature, feature)));
	if (dependency->lineage == MX_IDENTITY && dependency->on_columns != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lineage 1:1 takes no \"on_columns\""),
				 errhint("It joins the id columns that both features share; \"rename\" maps those that are named differently.")));

	foreach(lc, dependency->rename_to)
	{
		if (mx_names_member(seen, lfirst(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"rename\" maps more than one column to \"%s\"",
							(char *) lfirst(lc))));
		seen = lappend(seen, lfirst(lc));
	}
	list_free(seen);
}

/*
 * Is the dependency there, just so?  Raises 42710 if it is there differently.
 */
static bool
already_depends(const MxRegistry *registry, const MxDependency *dependency)
{
	for (int i = 0; i < registry->ndependencies; i++)
	{
		const MxDependency *old = &registry->dependencies[i];

		if (old->feature != dependency->feature ||
			old->upstream != dependency->upstream)
			continue;
		if (old->lineage == dependency->lineage &&
			old->optional == dependency->optional &&
			mx_same_names(old->on_columns, dependency->on_columns) &&
			same_renames(old, dependency))
			return true;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("feature \"%s\" already depends on \"%s\" in another way",
						registry->features[old->feature].key,
						registry->features[old->upstream].key),
				 errhint("Call metaxy_undepend first to change the dependency.")));
	}
	return false;
}

static bool
same_renames(const MxDependency *a, const MxDependency *b)
{
	ListCell   *lf;
	ListCell   *lt;

	if (!mx_same_names(a->rename_from, b->rename_from))
		return false;
	forboth(lf, a->rename_from, lt, a->rename_to)
	{
		if (strcmp(mx_renamed(b, lfirst(lf)), lfirst(lt)) != 0)
			return false;
	}
	return true;
}

/*
 * As for a foreign key: the caller owns the feature's table, and owns the
 * upstream one or has REFERENCES on it or on the columns joined: 42501.
 */
static void
require_upstream(const MxFeature *feature, const MxFeature *upstream,
				 const MxDependency *dependency)
{
	Oid			relid = upstream->relid;
	List	   *downs;
	List	   *ups;
	ListCell   *lc;

	if (get_rel_name(feature->relid) != NULL)
		mx_require_table_owner(feature->relid);
	if (get_rel_name(relid) == NULL || mx_owns_relation(relid, GetUserId()) ||
		pg_class_aclcheck(relid, GetUserId(), ACL_REFERENCES) == ACLCHECK_OK)
		return;

	mx_join_columns(feature, upstream, dependency, &downs, &ups);
	foreach(lc, ups)
	{
		if (pg_attribute_aclcheck(relid, get_attnum(relid, lfirst(lc)),
								  GetUserId(), ACL_REFERENCES) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV,
						   get_relkind_objtype(get_rel_relkind(relid)),
						   get_rel_name(relid));
	}
}

/*
 * Raises 42P17 if the dependency would close a cycle; the registry is locked,
 * so nobody else closes it either.
 */
static void
check_no_cycle(const MxRegistry *registry, const MxDependency *dependency)
{
	int			n = registry->ndependencies;
	int		   *from = palloc(sizeof(int) * (n + 1));
	int		   *to = palloc(sizeof(int) * (n + 1));
	char	   *path;

	for (int i = 0; i < n; i++)
	{
		from[i] = registry->dependencies[i].upstream;
		to[i] = registry->dependencies[i].feature;
	}
	from[n] = dependency->upstream;
	to[n] = dependency->feature;

	path = mx_graph_cycle_text(mx_graph_build(registry->nfeatures, n + 1,
											  from, to),
							   mx_registry_names(registry));
	if (path != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("dependency of feature \"%s\" on \"%s\" would close a cycle",
						registry->features[dependency->feature].key,
						registry->features[dependency->upstream].key),
				 errdetail("From upstream to downstream: %s.", path)));
}

/*
 * Nothing is inserted where the features themselves cannot be seen by this
 * transaction; mx_registry_write says so.
 */
static void
insert_dependency(const MxRegistry *registry, const MxDependency *dependency)
{
	MxQuery    *query = mx_query_new();
	char	   *schema = mx_schema();

	mx_query_text(query, registry->features[dependency->feature].key);
	mx_query_text(query, registry->features[dependency->upstream].key);
	mx_query_text(query, mx_lineages[dependency->lineage]);
	mx_query_value(query, TEXTARRAYOID, mx_names_array(dependency->on_columns),
				   dependency->on_columns == NIL);
	mx_query_value(query, TEXTARRAYOID, mx_names_array(dependency->rename_from),
				   dependency->rename_from == NIL);
	mx_query_value(query, TEXTARRAYOID, mx_names_array(dependency->rename_to),
				   dependency->rename_to == NIL);
	mx_query_value(query, BOOLOID, BoolGetDatum(dependency->optional), false);
	appendStringInfo(mx_query_sql(query),
					 "INSERT INTO %s." MX_TABLE_DEPENDENCY " (feature,"
					 " upstream, lineage, on_columns, rename, optional)"
					 " SELECT f.feature, u.feature, $3, $4,"
					 " pg_catalog.jsonb_object($5, $6), $7"
					 " FROM %s." MX_TABLE_FEATURE " AS f,"
					 " %s." MX_TABLE_FEATURE " AS u"
					 " WHERE f.feature OPERATOR(pg_catalog.=) $1"
					 " AND u.feature OPERATOR(pg_catalog.=) $2",
					 schema, schema, schema);
	mx_registry_write(query);
}
