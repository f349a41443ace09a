/*-------------------------------------------------------------------------
 *
 * sync_features.c
 *		What a sync has to change about features.
 *
 * Writes nothing and locks nothing beyond ACCESS SHARE, so that a dry run
 * finds the same as a real one.
 *
 * src/registry/sync_features.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "read/read.h"
#include "registry/sync.h"

/* what try_table is to look at */
typedef struct TableCheck
{
	MxSyncFeature *feature;
	bool		dry_run;		/* look also at what registering will find */
} TableCheck;

static void check_feature(const MxSync *sync, MxSyncFeature *feature);
static char *held_otherwise(const MxSync *sync, MxSyncFeature *feature);
static void try_table(void *arg);
static bool views_lag(const MxFeature *feature, Relation rel);
static bool view_lags(Oid viewid, const MxFeature *feature, Relation rel,
					  MxLatest which, const char *name);
static void find_removals(MxSync *sync);
static void skip_misfits(MxSync *sync);
static void describe_changes(MxSyncFeature *feature);
static void describe_differences(MxSyncFeature *feature);

/*
 * Compares features with the registry: marks those that cannot be as they were
 * pushed, lists those to be removed, and writes into each one's detail what
 * will be different.
 */
void
mx_sync_features(MxSync *sync)
{
	for (int i = 0; i < sync->nfeatures; i++)
		check_feature(sync, &sync->features[i]);
	skip_misfits(sync);
	find_removals(sync);
	for (int i = 0; i < sync->nfeatures; i++)
		describe_changes(&sync->features[i]);
}

/*
 * Is the feature to be registered as it was pushed?
 */
bool
mx_sync_stays(const MxSyncFeature *feature)
{
	return feature != NULL && !feature->skipped && !feature->spec->gone;
}

/*
 * Skips a feature that is somebody else's affair or whose table will not do.
 */
static void
check_feature(const MxSync *sync, MxSyncFeature *feature)
{
	const MxFeature *old = feature->old;
	const MxRegistration *goal = &feature->goal;
	TableCheck	check = {.feature = feature};
	char	   *problem;

	if (!mx_sync_stays(feature))
		return;
	feature->redefined = old != NULL && OidIsValid(goal->relid) &&
		(old->relid != goal->relid || old->version == NULL ||
		 !mx_same_names(old->id_columns, goal->id_columns));

	problem = held_otherwise(sync, feature);
	if (problem == NULL)
	{
		check.dry_run = sync->dry_run;
		problem = mx_sync_try(try_table, &check, true);
	}
	if (problem != NULL)
		mx_sync_skip(feature, problem);
}

/*
 * What was registered by hand is not redefined; nor is a table taken from
 * another feature, unless that one goes.
 */
static char *
held_otherwise(const MxSync *sync, MxSyncFeature *feature)
{
	const MxFeature *old = feature->old;
	const MxRegistration *goal = &feature->goal;

	if (old != NULL && old->project == NULL)
	{
		if (OidIsValid(old->relid) && old->relid != goal->relid)
			return psprintf("registered by hand with table \"%s\"",
							get_rel_name(old->relid));
		if (!mx_same_names(old->id_columns, goal->id_columns))
			return psprintf("registered by hand with id columns %s",
							mx_quoted_list(old->id_columns));
	}
	for (int i = 0; i < sync->registry->nfeatures; i++)
	{
		const MxFeature *holder = &sync->registry->features[i];
		MxSyncFeature *pushed;

		if (holder == old || holder->relid != goal->relid ||
			!OidIsValid(goal->relid))
			continue;
		pushed = mx_sync_find(sync, holder->key);
		if (pushed == NULL || !pushed->spec->gone)
			return psprintf("table \"%s\" is registered as feature \"%s\"",
							get_rel_name(goal->relid), holder->key);
		feature->heir = true;
	}
	return NULL;
}

/*
 * What registering would refuse.  Locks are given back: registering will take
 * stronger ones, and must not take them on top of these.
 */
static void
try_table(void *arg)
{
	TableCheck *check = arg;
	MxSyncFeature *feature = check->feature;
	const MxRegistration *goal = &feature->goal;
	Relation	rel;
	MxFeature	future = {0};
	List	   *relids;
	ListCell   *lc;

	if (feature->old != NULL)
		mx_require_feature_owner(feature->old);
	if (!OidIsValid(goal->relid))
		return;
	mx_require_table_owner(goal->relid);

	rel = try_relation_open(goal->relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" is being dropped", feature->table)));
	relids = find_all_inheritors(goal->relid, AccessShareLock, NULL);
	mx_check_table(rel, goal);
	future.key = unconstify(char *, goal->key);
	future.relid = goal->relid;
	future.id_columns = goal->id_columns;
	future.version = unconstify(char *, goal->version);
	if (goal->views && !feature->heir)
		mx_check_view_names(&future);
	if (check->dry_run && (feature->old == NULL || feature->redefined))
		mx_check_rows(rel, goal);
	else if (check->dry_run)
		feature->unready =
			mx_ready_lock(goal->relid, goal) != AccessShareLock ||
			(goal->views && views_lag(&future, rel));
	relation_close(rel, AccessShareLock);
	foreach(lc, relids)
	{
		if (lfirst_oid(lc) != goal->relid)
			UnlockRelationOid(lfirst_oid(lc), AccessShareLock);
	}
}

/*
 * Is a view missing, elsewhere, or not as registering would make it?
 */
static bool
views_lag(const MxFeature *feature, Relation rel)
{
	static const char *const suffixes[MX_NVIEWS] = {
		[MX_ACTIVE] = "_active",[MX_LATEST] = "_latest",[MX_DELETED] = "_deleted"
	};
	MxQuery    *query = mx_query_new();
	bool		lag = false;

	mx_query_text(query, feature->key);
	appendStringInfo(mx_query_sql(query),
					 "SELECT active_view::pg_catalog.oid,"
					 " latest_view::pg_catalog.oid,"
					 " deleted_view::pg_catalog.oid FROM %s." MX_TABLE_FEATURE
					 " WHERE feature OPERATOR(pg_catalog.=) $1", mx_schema());
	PushActiveSnapshot(GetLatestSnapshot());
	lag = mx_query_run(query, MX_READ, NULL) == 0;
	for (int which = 0; which < MX_NVIEWS && !lag; which++)
	{
		bool		isnull;
		Datum		view = SPI_getbinval(SPI_tuptable->vals[0],
										 SPI_tuptable->tupdesc, which + 1,
										 &isnull);

		lag = isnull ||
			view_lags(DatumGetObjectId(view), feature, rel, which,
					  psprintf("%s%s", RelationGetRelationName(rel),
							   suffixes[which]));
	}
	PopActiveSnapshot();
	SPI_freetuptable(SPI_tuptable);
	return lag;
}

static bool
view_lags(Oid viewid, const MxFeature *feature, Relation rel, MxLatest which,
		  const char *name)
{
	Relation	view = try_relation_open(viewid, AccessShareLock);
	bool		lags;

	if (view == NULL)
		return true;
	lags = view->rd_rel->relkind != RELKIND_VIEW ||
		RelationGetNamespace(view) != RelationGetNamespace(rel) ||
		strcmp(RelationGetRelationName(view), name) != 0 ||
		mx_view_compare(viewid, rel,
						mx_view_query(feature, which),
						mx_view_load(feature)) != MX_VIEW_KEEP;
	relation_close(view, AccessShareLock);
	return lags;
}

/*
 * A feature whose id columns or table change may not fit those that depend on
 * it and are not redefined with it: then it stays as it is.
 */
static void
skip_misfits(MxSync *sync)
{
	const MxRegistry *registry = sync->registry;
	bool		again;

	do
	{
		again = false;
		for (int i = 0; i < registry->ndependencies; i++)
		{
			const MxDependency *dependency = &registry->dependencies[i];
			const char *key = registry->features[dependency->feature].key;
			MxSyncFeature *upstream =
			mx_sync_find(sync, registry->features[dependency->upstream].key);
			MxSyncFeature *feature = mx_sync_find(sync, key);
			char	   *problem;

			if (!mx_sync_stays(upstream) || !upstream->redefined ||
				mx_sync_stays(feature) ||
				(feature != NULL && feature->spec->gone))
				continue;
			problem = mx_sync_edge_problem(sync, key, mx_sync_as_spec(registry, dependency));
			if (problem != NULL)
			{
				mx_sync_skip(upstream, psprintf("cannot change: %s", problem));
				again = true;
			}
		}
	} while (again);
}

/*
 * What Metaxy no longer has goes, leaf to root, unless it belongs to somebody
 * else or something that stays depends on it.
 */
static void
find_removals(MxSync *sync)
{
	const MxRegistry *registry = sync->registry;
	const MxGraph *graph = registry->graph;
	int		   *order = palloc(sizeof(int) * Max(graph->nnodes, 1));
	int			count = mx_graph_order(graph, NULL, order);

	while (--count >= 0)
	{
		int			node = order[count];
		MxSyncFeature *feature = mx_sync_find(sync,
											  registry->features[node].key);
		List	   *dependents = NIL;

		if (feature == NULL || !feature->spec->gone)
			continue;
		if (feature->old->project == NULL)
			mx_sync_skip(feature, "registered by hand");
		else if (feature->spec->project == NULL ||
				 strcmp(feature->old->project, feature->spec->project) != 0)
			mx_sync_skip(feature, psprintf("registered from project \"%s\"",
										   feature->old->project));
		else if (!mx_has_role(feature->old->owner))
			mx_sync_skip(feature, psprintf("must be owner of feature \"%s\"",
										   feature->goal.key));
		for (int i = graph->out_start[node]; i < graph->out_start[node + 1]; i++)
		{
			const MxDependency *dependency =
			&registry->dependencies[graph->out_edge[i]];

			if (mx_sync_edge_stays(sync, dependency))
				dependents = lappend(dependents,
									 registry->features[dependency->feature].key);
		}
		if (dependents != NIL)
			mx_sync_skip(feature, psprintf("Metaxy no longer has it, but features depend on it: %s",
										   mx_quoted_list(dependents)));
		if (!feature->skipped)
			sync->removals = lappend(sync->removals, feature);
	}
	pfree(order);
}

/*
 * Will a registered edge be there afterwards, in whatever form?
 */
bool
mx_sync_edge_stays(const MxSync *sync, const MxDependency *dependency)
{
	const MxFeature *features = sync->registry->features;
	MxSyncFeature *feature = mx_sync_find(sync,
										  features[dependency->feature].key);

	if (feature == NULL || feature->skipped)
		return true;
	return !feature->spec->gone &&
		mx_sync_wanted(feature, features[dependency->upstream].key) != NULL;
}

/*
 * What will be different about the feature itself, in words.
 */
static void
describe_changes(MxSyncFeature *feature)
{
	const MxFeature *old = feature->old;
	const MxRegistration *goal = &feature->goal;

	if (!mx_sync_stays(feature))
		return;
	if (old != NULL)
		describe_differences(feature);
	if (feature->unready && !feature->changed)
		mx_sync_changed(feature, MX_SYNC_READIED);
	if (!OidIsValid(goal->relid))
		mx_sync_note(feature, psprintf("no table \"%s\"", feature->table));
}

static void
describe_differences(MxSyncFeature *feature)
{
	const MxFeature *old = feature->old;
	const MxRegistration *goal = &feature->goal;

	if (old->project == NULL)
		mx_sync_changed(feature, psprintf("registered by hand, now from project \"%s\"",
										  goal->project));
	else if (strcmp(old->project, goal->project) != 0)
		mx_sync_changed(feature, psprintf("project \"%s\" to \"%s\"",
										  old->project, goal->project));
	if (old->version == NULL)
		mx_sync_changed(feature, psprintf("feature version \"%s\", none before",
										  goal->version));
	else if (strcmp(old->version, goal->version) != 0)
		mx_sync_changed(feature, psprintf("feature version \"%s\" to \"%s\"",
										  old->version, goal->version));
	if (!mx_same_names(old->id_columns, goal->id_columns))
		mx_sync_changed(feature, psprintf("id columns %s to %s",
										  mx_quoted_list(old->id_columns),
										  mx_quoted_list(goal->id_columns)));
	if (OidIsValid(goal->relid) && !OidIsValid(old->relid))
		mx_sync_changed(feature, psprintf("table \"%s\" found",
										  get_rel_name(goal->relid)));
	else if (old->relid != goal->relid)
		mx_sync_changed(feature, psprintf("table %s to %s",
										  mx_relation_name(old->relid),
										  mx_relation_name(goal->relid)));
}

/*
 * Texts in double quotes, separated by commas.
 */
char *
mx_quoted_list(List *names)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, names)
		appendStringInfo(&text, "%s\"%s\"", foreach_current_index(lc) ? ", " : "",
						 (char *) lfirst(lc));
	return text.data;
}
