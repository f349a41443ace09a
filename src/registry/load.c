/*-------------------------------------------------------------------------
 *
 * load.c
 *		Reads the whole registry.
 *
 * The rows are taken as the executor has them, in whatever order they lie, and
 * sorted here: features by their keys, dependencies by the places of their
 * ends.  That takes less time than an ORDER BY.
 *
 * src/registry/load.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "registry/key.h"
#include "registry/registry.h"

/* with their types, see mx_feature_columns */
#define DEPENDENCY_COLUMNS \
	"feature::pg_catalog.text, upstream::pg_catalog.text, " \
	"lineage::pg_catalog.text, on_columns::pg_catalog.text[], " \
	"rename::pg_catalog.jsonb, optional::pg_catalog.bool"

typedef struct Loading
{
	MxRegistry *registry;
	bool		outline;		/* see mx_registry_outline */
	struct places_hash *places;
	int			room;			/* in the array that is being filled */
	int		   *from;			/* upstream of each dependency ... */
	int		   *to;				/* ... and its feature */
	MemoryContext context;		/* for all that stays */
	char	   *missing;		/* smallest key without a feature, or NULL */
} Loading;

static MxRegistry *load(bool outline);
static void load_features(Loading *loading);
static bool add_feature(TupleTableSlot *slot, void *arg);
static void sort_features(Loading *loading);
static void load_dependencies(Loading *loading);
static void make_room(Loading *loading);
static bool add_dependency(TupleTableSlot *slot, void *arg);
static void read_dependency(TupleTableSlot *slot, MxDependency *dependency);
static int	find_end(Loading *loading, Datum value);
static void note_missing(Loading *loading, MxKeyBytes key);
static void sort_dependencies(Loading *loading);

/*
 * The whole registry: features in the order of their keys, the dependencies
 * between them by feature and upstream, and the graph that both make.
 */
MxRegistry *
mx_registry_load(void)
{
	return load(false);
}

/*
 * As much of it as an order takes: of features the keys and tables alone, of
 * dependencies the graph alone.
 */
MxRegistry *
mx_registry_outline(void)
{
	return load(true);
}

static MxRegistry *
load(bool outline)
{
	Loading		loading = {.outline = outline};
	MxRegistry *registry = palloc0(sizeof(MxRegistry));

	loading.registry = registry;
	loading.context = CurrentMemoryContext;

	/* one snapshot for both, or an edge might come without its feature */
	PushActiveSnapshot(GetLatestSnapshot());
	load_features(&loading);
	loading.places = mx_places_new(registry->nfeatures,
								   mx_registry_names(registry));
	load_dependencies(&loading);
	PopActiveSnapshot();
	mx_places_free(loading.places);

	if (!outline)
		sort_dependencies(&loading);
	registry->graph = mx_graph_build(registry->nfeatures,
									 registry->ndependencies,
									 loading.from, loading.to);
	return registry;
}

static void
load_features(Loading *loading)
{
	MxQuery    *query = mx_query_new();

	loading->room = 64;
	loading->registry->features = palloc(sizeof(MxFeature) * loading->room);
	appendStringInfo(mx_query_sql(query),
					 "SELECT %s FROM %s." MX_TABLE_FEATURE,
					 loading->outline ? mx_outline_columns : mx_feature_columns,
					 mx_schema());
	mx_query_run(query, MX_OWNER_READ, mx_row_receiver(add_feature, loading));
	sort_features(loading);
}

static bool
add_feature(TupleTableSlot *slot, void *arg)
{
	Loading    *loading = arg;
	MxRegistry *registry = loading->registry;
	MemoryContext save = MemoryContextSwitchTo(loading->context);
	MxFeature  *feature;

	if (registry->nfeatures == loading->room)
	{
		loading->room *= 2;
		registry->features = repalloc(registry->features,
									  sizeof(MxFeature) * loading->room);
	}
	feature = &registry->features[registry->nfeatures++];
	if (loading->outline)
		mx_feature_read_outline(slot, feature);
	else
		mx_feature_read(slot, feature);
	MemoryContextSwitchTo(save);
	return false;
}

static void
sort_features(Loading *loading)
{
	MxRegistry *registry = loading->registry;
	int			n = registry->nfeatures;
	MxFeature  *features = palloc(sizeof(MxFeature) * Max(n, 1));
	int		   *order = mx_keys_sort(n, mx_registry_names(registry));

	for (int i = 0; i < n; i++)
		features[i] = registry->features[order[i]];
	pfree(registry->features);
	pfree(order);
	registry->features = features;
}

static void
load_dependencies(Loading *loading)
{
	MxQuery    *query = mx_query_new();

	loading->room = 64;
	loading->from = palloc(sizeof(int) * loading->room);
	loading->to = palloc(sizeof(int) * loading->room);
	if (!loading->outline)
		loading->registry->dependencies =
			palloc(sizeof(MxDependency) * loading->room);
	appendStringInfo(mx_query_sql(query),
					 "SELECT " DEPENDENCY_COLUMNS
					 " FROM %s." MX_TABLE_DEPENDENCY,
					 mx_schema());
	mx_query_run(query, MX_OWNER_READ,
				 mx_row_receiver(add_dependency, loading));

	/*
	 * The calls that write the registry see to it that both ends of an edge
	 * are features.
	 */
	if (loading->missing != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a dependency of the registry names feature \"%s\", which is not there",
						loading->missing)));
}

/*
 * For twice as many dependencies as before.
 */
static void
make_room(Loading *loading)
{
	MxRegistry *registry = loading->registry;

	loading->room *= 2;
	loading->from = repalloc(loading->from, sizeof(int) * loading->room);
	loading->to = repalloc(loading->to, sizeof(int) * loading->room);
	if (!loading->outline)
		registry->dependencies =
			repalloc(registry->dependencies,
					 sizeof(MxDependency) * loading->room);
}

static bool
add_dependency(TupleTableSlot *slot, void *arg)
{
	Loading    *loading = arg;
	MxRegistry *registry = loading->registry;
	MemoryContext save = MemoryContextSwitchTo(loading->context);

	if (registry->ndependencies == loading->room)
		make_room(loading);
	loading->to[registry->ndependencies] =
		find_end(loading, mx_required_column(slot, 1));
	loading->from[registry->ndependencies] =
		find_end(loading, mx_required_column(slot, 2));
	if (!loading->outline)
		read_dependency(slot, &registry->dependencies[registry->ndependencies]);
	registry->ndependencies++;
	MemoryContextSwitchTo(save);
	return false;
}

/*
 * All but the ends.
 */
static void
read_dependency(TupleTableSlot *slot, MxDependency *dependency)
{
	bool		isnull;
	Datum		value;

	memset(dependency, 0, sizeof(MxDependency));
	value = mx_required_column(slot, 3);
	dependency->lineage = mx_choice(TextDatumGetCString(value), "lineage",
									mx_lineages);
	value = slot_getattr(slot, 4, &isnull);
	if (!isnull)
		dependency->on_columns = mx_array_names(DatumGetArrayTypeP(value),
												"on_columns");
	value = slot_getattr(slot, 5, &isnull);
	if (!isnull)
		mx_rename_lists(DatumGetJsonbP(value), &dependency->rename_from,
						&dependency->rename_to);
	dependency->optional = DatumGetBool(mx_required_column(slot, 6));
}

/*
 * The place of one end; -1 if it is not there.
 */
static int
find_end(Loading *loading, Datum value)
{
	text	   *text_key = DatumGetTextPP(value);
	MxKeyBytes	key = {VARDATA_ANY(text_key), VARSIZE_ANY_EXHDR(text_key)};
	int			place = mx_places_find(loading->places, key);

	if (place < 0)
		note_missing(loading, key);
	if (PointerGetDatum(text_key) != value)
		pfree(text_key);
	return place;
}

static void
note_missing(Loading *loading, MxKeyBytes key)
{
	char	   *missing = pnstrdup(key.bytes, key.length);

	if (loading->missing == NULL ||
		mx_key_compare(missing, loading->missing) < 0)
		loading->missing = missing;
	else
		pfree(missing);
}

/*
 * By feature, then upstream.
 */
static void
sort_dependencies(Loading *loading)
{
	MxRegistry *registry = loading->registry;
	int			n = registry->ndependencies;
	int		   *order = palloc(sizeof(int) * Max(n, 1));
	MxDependency *sorted = palloc(sizeof(MxDependency) * Max(n, 1));

	mx_graph_sort_edges(registry->nfeatures, n, loading->from, loading->to,
						order);
	for (int i = 0; i < n; i++)
	{
		sorted[i] = registry->dependencies[order[i]];
		sorted[i].feature = loading->to[order[i]];
		sorted[i].upstream = loading->from[order[i]];
	}
	for (int i = 0; i < n; i++)
	{
		loading->from[i] = sorted[i].upstream;
		loading->to[i] = sorted[i].feature;
	}
	pfree(order);
	pfree(registry->dependencies);
	registry->dependencies = sorted;
}
