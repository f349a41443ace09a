/*-------------------------------------------------------------------------
 *
 * join.c
 *		The columns that a dependency joins.
 *
 * src/registry/join.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "registry/registry.h"

static void check_pair(const MxFeature *feature, const char *down,
					   const MxFeature *upstream, const char *up,
					   const MxDependency *dependency);
static Oid	column_type(const MxFeature *side, const char *column,
						const MxFeature *feature, const MxFeature *upstream);
static const char *unrenamed(const MxDependency *dependency,
							 const char *column);

/*
 * The columns that an edge joins, pairwise, by its lineage's rule.
 *
 * Works on names alone, so that it holds for features without a table.  An
 * identity that shares no id column is 42P17.
 */
void
mx_join_columns(const MxFeature *feature, const MxFeature *upstream,
				const MxDependency *dependency,
				List **feature_columns, List **upstream_columns)
{
	List	   *columns = dependency->on_columns;
	bool		from_feature = dependency->lineage == MX_AGGREGATION &&
	columns == NIL;
	ListCell   *lc;

	*feature_columns = *upstream_columns = NIL;
	if (from_feature)
		columns = feature->id_columns;
	else if (columns == NIL)
		columns = upstream->id_columns;

	foreach(lc, columns)
	{
		const char *up = from_feature ? unrenamed(dependency, lfirst(lc)) :
		lfirst(lc);
		const char *down = from_feature ? lfirst(lc) :
		mx_renamed(dependency, lfirst(lc));

		if (dependency->lineage == MX_IDENTITY &&
			!mx_names_member(feature->id_columns, down))
			continue;
		*feature_columns = lappend(*feature_columns, pstrdup(down));
		*upstream_columns = lappend(*upstream_columns, pstrdup(up));
	}

	if (*feature_columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("features \"%s\" and \"%s\" have no id column in common",
						feature->key, upstream->key),
				 errdetail("Lineage 1:1 joins the id columns that both share."),
				 errhint("Map upstream's id columns to the feature's by \"rename\", or give another lineage.")));
}

/*
 * Raises an error unless the columns that an edge names are there (42703) and
 * those that it joins comparable (42804).  A feature without a table has no
 * columns to check.  Takes ACCESS SHARE on both tables and keeps it.
 */
void
mx_check_edge(const MxFeature *feature, const MxFeature *upstream,
			  const MxDependency *dependency)
{
	List	   *downs;
	List	   *ups;
	List	   *seen = NIL;
	ListCell   *ld;
	ListCell   *lu;

	if (OidIsValid(feature->relid))
		LockRelationOid(feature->relid, AccessShareLock);
	if (OidIsValid(upstream->relid))
		LockRelationOid(upstream->relid, AccessShareLock);

	mx_join_columns(feature, upstream, dependency, &downs, &ups);
	forboth(ld, downs, lu, ups)
	{
		if (mx_names_member(seen, lfirst(ld)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("dependency of feature \"%s\" on \"%s\" joins column \"%s\" more than once",
							feature->key, upstream->key,
							(char *) lfirst(ld))));
		seen = lappend(seen, lfirst(ld));
		check_pair(feature, lfirst(ld), upstream, lfirst(lu), dependency);
	}
	list_free(seen);

	/* renaming what is not there is a mistake, be it joined or not */
	foreach(lu, dependency->rename_from)
		(void) column_type(upstream, lfirst(lu), feature, upstream);
}

/*
 * Checks all edges of a feature, in both directions, as they would be with
 * the feature as it is given.
 */
void
mx_check_edges(const MxFeature *feature)
{
	MxRegistry *registry = mx_registry_load();
	int			place = mx_registry_require(registry, feature->key);

	registry->features[place] = *feature;
	for (int i = 0; i < registry->ndependencies; i++)
	{
		MxDependency *dependency = &registry->dependencies[i];

		if (dependency->feature == place || dependency->upstream == place)
			mx_check_edge(&registry->features[dependency->feature],
						  &registry->features[dependency->upstream],
						  dependency);
	}
}

/*
 * The feature's name for a column of upstream.
 */
const char *
mx_renamed(const MxDependency *dependency, const char *column)
{
	ListCell   *lf;
	ListCell   *lt;

	forboth(lf, dependency->rename_from, lt, dependency->rename_to)
	{
		if (strcmp(lfirst(lf), column) == 0)
			return lfirst(lt);
	}
	return column;
}

/*
 * One pair of columns that are joined.
 */
static void
check_pair(const MxFeature *feature, const char *down,
		   const MxFeature *upstream, const char *up,
		   const MxDependency *dependency)
{
	Oid			down_type;
	Oid			up_type;

	/* a name that upstream's column gives up is not there to be joined */
	if (strcmp(mx_renamed(dependency, up), down) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("no column of feature \"%s\" is named \"%s\" after renaming",
						upstream->key, down),
				 errdetail("The dependency of feature \"%s\" on \"%s\" joins it.",
						   feature->key, upstream->key)));

	up_type = column_type(upstream, up, feature, upstream);
	down_type = column_type(feature, down, feature, upstream);
	if (OidIsValid(down_type) && OidIsValid(up_type) &&
		!OidIsValid(mx_equality(down_type, up_type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of feature \"%s\" and column \"%s\" of feature \"%s\" cannot be compared",
						down, feature->key, up, upstream->key),
				 errdetail("Their types are %s and %s.",
						   format_type_be(down_type),
						   format_type_be(up_type))));
}

/*
 * Type of a column of one side of an edge; InvalidOid if that side has no
 * table, 42703 if the table has no such column.
 */
static Oid
column_type(const MxFeature *side, const char *column,
			const MxFeature *feature, const MxFeature *upstream)
{
	char	   *relname = get_rel_name(side->relid);
	AttrNumber	attnum;

	if (relname == NULL)
		return InvalidOid;
	attnum = get_attnum(side->relid, column);
	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						column, relname),
				 errdetail("The dependency of feature \"%s\" on \"%s\" names it.",
						   feature->key, upstream->key),
				 errhint("Call metaxy_depend with \"on_columns\" and \"rename\" that name existing columns, after metaxy_undepend where the dependency is registered.")));
	return get_atttype(side->relid, attnum);
}

/*
 * The reverse: upstream's name for a column of the feature.
 */
static const char *
unrenamed(const MxDependency *dependency, const char *column)
{
	ListCell   *lf;
	ListCell   *lt;

	forboth(lf, dependency->rename_from, lt, dependency->rename_to)
	{
		if (strcmp(lfirst(lt), column) == 0)
			return lfirst(lf);
	}
	return column;
}
