/*-------------------------------------------------------------------------
 *
 * sync_edges.c
 *		What a sync has to change about dependencies.
 *
 * Like sync_features.c it only looks.
 *
 * src/registry/sync_edges.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/lmgr.h"

#include "registry/key.h"
#include "registry/sync.h"

/* an edge with both its ends, as they will be */
typedef struct EdgeCheck
{
	MxFeature	feature;
	MxFeature	upstream;
	MxDependency dependency;
} EdgeCheck;

static void find_edges(MxSync *sync, MxSyncFeature *feature);
static void add_edge(MxSync *sync, MxSyncFeature *feature,
					 const char *upstream, const MxSpecDependency *old,
					 const MxSpecDependency *want);
static const MxSpecDependency *registered(const MxSync *sync,
										  const MxSyncFeature *feature,
										  const char *upstream);
static void check_edge(const MxSync *sync, MxSyncEdge *edge);
static void try_edge(void *arg);
static bool future(const MxSync *sync, const char *key, MxFeature *feature);
static bool same_definition(const MxSpecDependency *a,
							const MxSpecDependency *b);
static void refuse_cycles(MxSync *sync);
static int	collect_keys(const MxSync *sync, const char **keys);
static int	collect_edges(const MxSync *sync, const char **keys, int nkeys,
						  int *from, int *to);
static int	key_place(const char **keys, int nkeys, const char *key);
static int	compare_keys(const void *a, const void *b);

/*
 * Lists the edges that have to be touched, with what stands against any of
 * them.
 */
void
mx_sync_edges(MxSync *sync)
{
	ListCell   *lc;

	for (int i = 0; i < sync->nfeatures; i++)
		find_edges(sync, &sync->features[i]);
	refuse_cycles(sync);
	foreach(lc, sync->edges)
		check_edge(sync, lfirst(lc));
}

/*
 * The edge to "upstream" as it was pushed; NULL if there is none.
 */
const MxSpecDependency *
mx_sync_wanted(const MxSyncFeature *feature, const char *upstream)
{
	ListCell   *lc;

	foreach(lc, feature->spec->dependencies)
	{
		const MxSpecDependency *want = lfirst(lc);

		if (strcmp(want->upstream, upstream) == 0)
			return want;
	}
	return NULL;
}

/*
 * A registered edge in the form of a pushed one.
 */
MxSpecDependency *
mx_sync_as_spec(const MxRegistry *registry, const MxDependency *dependency)
{
	MxSpecDependency *spec = palloc0(sizeof(MxSpecDependency));

	spec->upstream = registry->features[dependency->upstream].key;
	spec->lineage = dependency->lineage;
	spec->optional = dependency->optional;
	spec->on_columns = dependency->on_columns;
	spec->rename_from = dependency->rename_from;
	spec->rename_to = dependency->rename_to;
	return spec;
}

/*
 * Why an edge could not be registered; NULL if it can be.  Both its features
 * are taken as they will be.
 */
char *
mx_sync_edge_problem(const MxSync *sync, const char *key,
					 const MxSpecDependency *definition)
{
	EdgeCheck	check = {0};

	check.dependency.lineage = definition->lineage;
	check.dependency.optional = definition->optional;
	check.dependency.on_columns = definition->on_columns;
	check.dependency.rename_from = definition->rename_from;
	check.dependency.rename_to = definition->rename_to;
	if (!future(sync, key, &check.feature))
		return psprintf("feature \"%s\" is not registered", key);
	if (!future(sync, definition->upstream, &check.upstream))
		return psprintf("feature \"%s\" is not registered",
						definition->upstream);
	return mx_sync_try(try_edge, &check, false);
}

/*
 * Lists the feature's edges that differ from those registered, and those that
 * are to be looked at again because one of their ends is redefined.
 */
static void
find_edges(MxSync *sync, MxSyncFeature *feature)
{
	const MxRegistry *registry = sync->registry;
	List	   *seen = NIL;
	ListCell   *lc;

	if (!mx_sync_stays(feature))
		return;
	foreach(lc, feature->spec->dependencies)
	{
		const MxSpecDependency *want = lfirst(lc);

		if (mx_names_member(seen, want->upstream))
		{
			mx_sync_note(feature, psprintf("second dependency on \"%s\" ignored",
										   want->upstream));
			continue;
		}
		seen = lappend(seen, want->upstream);
		if (want->filters != NIL)
			mx_sync_note(feature, psprintf("filters of dependency on \"%s\" are not applied: %s",
										   want->upstream,
										   mx_quoted_list(want->filters)));
		add_edge(sync, feature, want->upstream,
				 registered(sync, feature, want->upstream), want);
	}

	for (int i = 0; i < registry->ndependencies; i++)
	{
		const MxDependency *dependency = &registry->dependencies[i];
		const char *upstream = registry->features[dependency->upstream].key;

		if (&registry->features[dependency->feature] == feature->old &&
			mx_sync_wanted(feature, upstream) == NULL)
			add_edge(sync, feature, upstream, mx_sync_as_spec(registry, dependency),
					 NULL);
	}
	list_free(seen);
}

/*
 * Edges of a feature that is redefined leave the registry while it changes:
 * in between, one end would not fit the other.
 */
static void
add_edge(MxSync *sync, MxSyncFeature *feature, const char *upstream,
		 const MxSpecDependency *old, const MxSpecDependency *want)
{
	MxSyncFeature *other = mx_sync_find(sync, upstream);
	bool		makes_room = feature->redefined ||
	(mx_sync_stays(other) && other->redefined);
	MxSyncEdge *edge = palloc0(sizeof(MxSyncEdge));
	MxFeature	end;

	edge->feature = feature;
	edge->key = feature->goal.key;
	edge->upstream = upstream;
	edge->old = old;
	edge->want = want;
	edge->same = old != NULL && want != NULL && same_definition(old, want);
	edge->out = old != NULL && (!edge->same || makes_room);
	edge->makes_room = makes_room;
	if (want != NULL && !future(sync, upstream, &end))
		edge->problem = psprintf("feature \"%s\" is not registered", upstream);
	if (!edge->same || makes_room)
		sync->edges = lappend(sync->edges, edge);
}

static const MxSpecDependency *
registered(const MxSync *sync, const MxSyncFeature *feature,
		   const char *upstream)
{
	const MxRegistry *registry = sync->registry;

	for (int i = 0; i < registry->ndependencies && feature->old != NULL; i++)
	{
		const MxDependency *dependency = &registry->dependencies[i];

		if (&registry->features[dependency->feature] == feature->old &&
			strcmp(registry->features[dependency->upstream].key, upstream) == 0)
			return mx_sync_as_spec(registry, dependency);
	}
	return NULL;
}

/*
 * An edge that cannot be as it was pushed stays as it was where that fits.
 */
static void
check_edge(const MxSync *sync, MxSyncEdge *edge)
{
	if (edge->want != NULL && edge->problem == NULL)
		edge->problem = mx_sync_edge_problem(sync, edge->key, edge->want);
	if (edge->problem == NULL)
		return;
	edge->keep = edge->old != NULL &&
		(!edge->makes_room ||
		 mx_sync_edge_problem(sync, edge->key, edge->old) == NULL);
	edge->out = edge->out && edge->makes_room;
}

/*
 * Gives back the locks that the check takes, as try_table does.
 */
static void
try_edge(void *arg)
{
	EdgeCheck  *check = arg;

	mx_check_edge(&check->feature, &check->upstream, &check->dependency);
	if (OidIsValid(check->feature.relid))
		UnlockRelationOid(check->feature.relid, AccessShareLock);
	if (OidIsValid(check->upstream.relid))
		UnlockRelationOid(check->upstream.relid, AccessShareLock);
}

/*
 * A feature as it will be after the sync; false: not registered.
 */
static bool
future(const MxSync *sync, const char *key, MxFeature *feature)
{
	const MxSyncFeature *pushed = mx_sync_find(sync, key);
	int			place = mx_registry_find(sync->registry, key);

	memset(feature, 0, sizeof(MxFeature));
	if (mx_sync_stays(pushed))
	{
		feature->key = unconstify(char *, pushed->goal.key);
		feature->relid = pushed->goal.relid;
		feature->id_columns = pushed->goal.id_columns;
		feature->version = unconstify(char *, pushed->goal.version);
		return true;
	}
	if (place < 0 || (pushed != NULL && !pushed->skipped))
		return false;
	*feature = sync->registry->features[place];
	return true;
}

static bool
same_definition(const MxSpecDependency *a, const MxSpecDependency *b)
{
	ListCell   *la;
	ListCell   *lb;

	if (a->lineage != b->lineage || a->optional != b->optional ||
		!mx_same_names(a->on_columns, b->on_columns) ||
		list_length(a->rename_from) != list_length(b->rename_from))
		return false;

	/* both come from a jsonb, which sorts its keys */
	forboth(la, a->rename_from, lb, b->rename_from)
	{
		if (strcmp(lfirst(la), lfirst(lb)) != 0)
			return false;
	}
	forboth(la, a->rename_to, lb, b->rename_to)
	{
		if (strcmp(lfirst(la), lfirst(lb)) != 0)
			return false;
	}
	return true;
}

/*
 * New edges are taken in order, and each one that would close a cycle with
 * those that stay and those before it is refused.
 */
static void
refuse_cycles(MxSync *sync)
{
	int			maxkeys = sync->registry->nfeatures + sync->nfeatures;
	int			maxedges = sync->registry->ndependencies +
	list_length(sync->edges);
	const char **keys = palloc(sizeof(char *) * Max(maxkeys, 1));
	int		   *from = palloc(sizeof(int) * Max(maxedges, 1));
	int		   *to = palloc(sizeof(int) * Max(maxedges, 1));
	int		   *order = palloc(sizeof(int) * Max(maxkeys, 1));
	int			nkeys = collect_keys(sync, keys);
	int			nstay = collect_edges(sync, keys, nkeys, from, to);
	int			nedges = nstay;
	ListCell   *lc;

	foreach(lc, sync->edges)
	{
		MxSyncEdge *edge = lfirst(lc);

		if (edge->old != NULL || edge->problem != NULL)
			continue;
		from[nedges] = key_place(keys, nkeys, edge->upstream);
		to[nedges++] = key_place(keys, nkeys, edge->key);
	}
	if (mx_graph_order(mx_graph_build(nkeys, nedges, from, to), NULL,
					   order) == nkeys)
		return;

	/* there is a cycle: which edges close one? */
	foreach(lc, sync->edges)
	{
		MxSyncEdge *edge = lfirst(lc);
		char	   *cycle;

		if (edge->old != NULL || edge->problem != NULL)
			continue;
		from[nstay] = key_place(keys, nkeys, edge->upstream);
		to[nstay] = key_place(keys, nkeys, edge->key);
		cycle = mx_graph_cycle_text(mx_graph_build(nkeys, nstay + 1, from, to),
									keys);
		if (cycle != NULL)
			edge->problem = psprintf("it would close the cycle %s", cycle);
		else
			nstay++;
	}
}

/*
 * Keys of all features that are registered or pushed, sorted, each once.
 */
static int
collect_keys(const MxSync *sync, const char **keys)
{
	int			count = 0;
	int			distinct = 0;

	for (int i = 0; i < sync->registry->nfeatures; i++)
		keys[count++] = sync->registry->features[i].key;
	for (int i = 0; i < sync->nfeatures; i++)
		keys[count++] = sync->features[i].goal.key;
	qsort(keys, count, sizeof(char *), compare_keys);
	for (int i = 0; i < count; i++)
	{
		if (distinct == 0 || strcmp(keys[distinct - 1], keys[i]) != 0)
			keys[distinct++] = keys[i];
	}
	return distinct;
}

/*
 * Registered edges that will be there afterwards, as places of their keys.
 */
static int
collect_edges(const MxSync *sync, const char **keys, int nkeys,
			  int *from, int *to)
{
	const MxRegistry *registry = sync->registry;
	int			count = 0;

	for (int i = 0; i < registry->ndependencies; i++)
	{
		const MxDependency *dependency = &registry->dependencies[i];

		if (!mx_sync_edge_stays(sync, dependency))
			continue;
		from[count] = key_place(keys, nkeys,
								registry->features[dependency->upstream].key);
		to[count++] = key_place(keys, nkeys,
								registry->features[dependency->feature].key);
	}
	return count;
}

static int
key_place(const char **keys, int nkeys, const char *key)
{
	const char **found = bsearch(&key, keys, nkeys, sizeof(char *),
								 compare_keys);

	Assert(found != NULL);
	return (int) (found - keys);
}

static int
compare_keys(const void *a, const void *b)
{
	return mx_key_compare(*(const char *const *) a, *(const char *const *) b);
}
