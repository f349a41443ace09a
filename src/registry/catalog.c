/*-------------------------------------------------------------------------
 *
 * catalog.c
 *		Reads the registry's tables.
 *
 *		Like the server's own catalogs, they are read as they are now, whatever
 *		snapshot the transaction holds: a dependency that another session has
 *		just committed must not be missed when a cycle is looked for.  They are
 *		read by their owner: anybody may read them, but a role that writes to a
 *		feature's table, or reads its views, need not reach the schema.
 *
 * src/registry/catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "registry/registry.h"

/*
 * With their types, and nulls refused below: a superuser can alter these
 * tables, and that must not bring the server down.
 */
#define FEATURE_COLUMNS \
	"feature::pg_catalog.text, relation::pg_catalog.oid, " \
	"id_columns::pg_catalog.text[], feature_version::pg_catalog.text, " \
	"owner::pg_catalog.oid, project::pg_catalog.text, " \
	"views::pg_catalog.bool, indexes::pg_catalog.bool"

#define DEPENDENCY_COLUMNS \
	"feature::pg_catalog.text, upstream::pg_catalog.text, " \
	"lineage::pg_catalog.text, on_columns::pg_catalog.text[], " \
	"rename::pg_catalog.jsonb, optional::pg_catalog.bool"

/* places of features by their keys, for the many ends of edges */
typedef struct PlaceEntry
{
	const char *key;
	int			place;
	char		status;
} PlaceEntry;

#define SH_PREFIX places
#define SH_ELEMENT_TYPE PlaceEntry
#define SH_KEY_TYPE const char *
#define SH_KEY key
#define SH_HASH_KEY(tb, key) string_hash(key, strlen(key) + 1)
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static uint64 read_now(MxQuery *query);
static MxFeature *load_one(MxQuery *query);
static void read_feature(uint64 row, MxFeature *feature);
static places_hash *hash_places(const MxRegistry *registry);
static int	find_place(places_hash *places, const char *key);
static void read_dependency(uint64 row, places_hash *places,
							MxDependency *dependency);
static int	compare_features(const void *a, const void *b);
static void build_graph(MxRegistry *registry);
static char *text_column(uint64 row, int column);
static Datum column(uint64 row, int number, bool *isnull);
static Datum required_column(uint64 row, int number);

/*
 * Keeps other sessions from changing the graph until the transaction ends.
 * Readers go on.
 */
void
mx_registry_lock(void)
{
	LockRelationOid(mx_registry_table(MX_TABLE_DEPENDENCY),
					ShareRowExclusiveLock);
}

/*
 * The whole registry: features in the order of their keys, the dependencies
 * between them, and the graph that both make.
 */
MxRegistry *
mx_registry_load(void)
{
	MxRegistry *registry = palloc0(sizeof(MxRegistry));
	places_hash *places;
	MxQuery    *query;

	/* one snapshot for both, or an edge might come without its feature */
	PushActiveSnapshot(GetLatestSnapshot());
	query = mx_query_new();
	appendStringInfo(mx_query_sql(query),
					 "SELECT " FEATURE_COLUMNS " FROM %s." MX_TABLE_FEATURE,
					 mx_schema());
	registry->nfeatures = (int) mx_query_run(query, MX_OWNER_READ, NULL);
	registry->features =
		palloc0(sizeof(MxFeature) * Max(registry->nfeatures, 1));
	for (int i = 0; i < registry->nfeatures; i++)
		read_feature(i, &registry->features[i]);
	SPI_freetuptable(SPI_tuptable);
	qsort(registry->features, registry->nfeatures, sizeof(MxFeature),
		  compare_features);
	places = hash_places(registry);

	query = mx_query_new();
	appendStringInfo(mx_query_sql(query),
					 "SELECT " DEPENDENCY_COLUMNS
					 " FROM %s." MX_TABLE_DEPENDENCY
					 " ORDER BY feature, upstream",
					 mx_schema());
	registry->ndependencies = (int) mx_query_run(query, MX_OWNER_READ, NULL);
	registry->dependencies =
		palloc0(sizeof(MxDependency) * Max(registry->ndependencies, 1));
	for (int i = 0; i < registry->ndependencies; i++)
		read_dependency(i, places, &registry->dependencies[i]);
	SPI_freetuptable(SPI_tuptable);
	PopActiveSnapshot();
	places_destroy(places);

	build_graph(registry);
	return registry;
}

/*
 * One feature by its key; NULL if there is none.
 */
MxFeature *
mx_feature_load(const char *key)
{
	MxQuery    *query = mx_query_new();
	int			n = mx_query_text(query, key);

	appendStringInfo(mx_query_sql(query),
					 "SELECT " FEATURE_COLUMNS " FROM %s." MX_TABLE_FEATURE
					 " WHERE feature OPERATOR(pg_catalog.=) $%d",
					 mx_schema(), n);
	return load_one(query);
}

/*
 * The feature that a table holds; NULL if it holds none.
 */
MxFeature *
mx_feature_of_table(Oid relid)
{
	MxQuery    *query = mx_query_new();
	int			n = mx_query_value(query, REGCLASSOID,
								   ObjectIdGetDatum(relid), false);

	appendStringInfo(mx_query_sql(query),
					 "SELECT " FEATURE_COLUMNS " FROM %s." MX_TABLE_FEATURE
					 " WHERE relation OPERATOR(pg_catalog.=) $%d",
					 mx_schema(), n);
	return load_one(query);
}

/*
 * The feature whose active samples a view shows; NULL if there is none.
 */
MxFeature *
mx_feature_of_view(Oid view)
{
	MxQuery    *query = mx_query_new();
	int			n = mx_query_value(query, REGCLASSOID, ObjectIdGetDatum(view),
								   false);

	appendStringInfo(mx_query_sql(query),
					 "SELECT " FEATURE_COLUMNS " FROM %s." MX_TABLE_FEATURE
					 " WHERE active_view OPERATOR(pg_catalog.=) $%d",
					 mx_schema(), n);
	return load_one(query);
}

/*
 * One feature by its key: 42704 if there is none.
 */
MxFeature *
mx_feature_require(const char *key)
{
	MxFeature  *feature = mx_feature_load(key);

	if (feature == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature \"%s\" is not registered", key)));
	return feature;
}

/*
 * The keys of all features, by their places: names for the graph's nodes.
 */
const char **
mx_registry_names(const MxRegistry *registry)
{
	const char **names =
		(const char **) palloc(sizeof(char *) * Max(registry->nfeatures, 1));

	for (int i = 0; i < registry->nfeatures; i++)
		names[i] = registry->features[i].key;
	return names;
}

/*
 * Place of a feature in a loaded registry; -1 if it is not there.
 */
int
mx_registry_find(const MxRegistry *registry, const char *key)
{
	MxFeature	wanted = {.key = (char *) key};
	MxFeature  *found = bsearch(&wanted, registry->features,
								registry->nfeatures, sizeof(MxFeature),
								compare_features);

	return found == NULL ? -1 : (int) (found - registry->features);
}

/*
 * The same: 42704 if it is not there.
 */
int
mx_registry_require(const MxRegistry *registry, const char *key)
{
	int			place = mx_registry_find(registry, key);

	if (place < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature \"%s\" is not registered", key)));
	return place;
}

/*
 * A dependency's "rename", {"upstream's name": "the feature's"}, as two lists
 * of names.  Anything but an object of texts is 22023.
 */
void
mx_rename_lists(Jsonb *rename, List **from, List **to)
{
	JsonbIterator *iterator = JsonbIteratorInit(&rename->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	*from = *to = NIL;
	token = JsonbIteratorNext(&iterator, &value, true);
	if (token != WJB_BEGIN_OBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"rename\" must be a JSON object")));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			*from = lappend(*from, pnstrdup(value.val.string.val,
											value.val.string.len));
		else if (token == WJB_VALUE)
		{
			if (value.type != jbvString)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("\"rename\" must map column \"%s\" to a column name",
								(char *) llast(*from))));
			*to = lappend(*to, pnstrdup(value.val.string.val,
										value.val.string.len));
		}
	}
}

/*
 * Runs a query under a snapshot of this moment that shows our own changes.
 */
static uint64
read_now(MxQuery *query)
{
	uint64		nrows;

	PushActiveSnapshot(GetLatestSnapshot());
	nrows = mx_query_run(query, MX_OWNER_READ, NULL);
	PopActiveSnapshot();
	return nrows;
}

static MxFeature *
load_one(MxQuery *query)
{
	MxFeature  *feature;

	if (read_now(query) == 0)
		return NULL;
	feature = palloc0(sizeof(MxFeature));
	read_feature(0, feature);
	SPI_freetuptable(SPI_tuptable);
	return feature;
}

static void
read_feature(uint64 row, MxFeature *feature)
{
	bool		isnull;
	Datum		value;

	feature->key = TextDatumGetCString(required_column(row, 1));
	value = column(row, 2, &isnull);
	feature->relid = isnull ? InvalidOid : DatumGetObjectId(value);
	value = required_column(row, 3);
	feature->id_columns = mx_array_names(DatumGetArrayTypeP(value),
										 "id_columns");
	feature->version = text_column(row, 4);
	feature->owner = DatumGetObjectId(required_column(row, 5));
	feature->project = text_column(row, 6);
	feature->views = DatumGetBool(required_column(row, 7));
	feature->indexes = DatumGetBool(required_column(row, 8));
}

static void
read_dependency(uint64 row, places_hash *places, MxDependency *dependency)
{
	bool		isnull;
	Datum		value;

	value = required_column(row, 1);
	dependency->feature = find_place(places, TextDatumGetCString(value));
	value = required_column(row, 2);
	dependency->upstream = find_place(places, TextDatumGetCString(value));
	value = required_column(row, 3);
	dependency->lineage = mx_choice(TextDatumGetCString(value), "lineage",
									mx_lineages);
	value = column(row, 4, &isnull);
	if (!isnull)
		dependency->on_columns = mx_array_names(DatumGetArrayTypeP(value),
												"on_columns");
	value = column(row, 5, &isnull);
	if (!isnull)
		mx_rename_lists(DatumGetJsonbP(value), &dependency->rename_from,
						&dependency->rename_to);
	dependency->optional = DatumGetBool(required_column(row, 6));
}

static places_hash *
hash_places(const MxRegistry *registry)
{
	places_hash *places = places_create(CurrentMemoryContext,
										registry->nfeatures, NULL);

	for (int i = 0; i < registry->nfeatures; i++)
	{
		bool		found;
		PlaceEntry *entry = places_insert(places, registry->features[i].key,
										  &found);

		entry->place = i;
	}
	return places;
}

/*
 * The calls that write the registry see to it that both ends of an edge are
 * features.
 */
static int
find_place(places_hash *places, const char *key)
{
	PlaceEntry *entry = places_lookup(places, key);

	if (entry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a dependency of the registry names feature \"%s\", which is not there",
						key)));
	return entry->place;
}

static int
compare_features(const void *a, const void *b)
{
	return mx_key_compare(((const MxFeature *) a)->key,
						  ((const MxFeature *) b)->key);
}

static void
build_graph(MxRegistry *registry)
{
	int			n = registry->ndependencies;
	int		   *from = palloc(sizeof(int) * Max(n, 1));
	int		   *to = palloc(sizeof(int) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		from[i] = registry->dependencies[i].upstream;
		to[i] = registry->dependencies[i].feature;
	}
	registry->graph = mx_graph_build(registry->nfeatures, n, from, to);
}

static char *
text_column(uint64 row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Datum
column(uint64 row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 number, isnull);
}

/*
 * A column that is never null, unless somebody has altered the table.
 */
static Datum
required_column(uint64 row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of the registry of extension \"metaxy\" must not be null",
						SPI_fname(SPI_tuptable->tupdesc, number))));
	return value;
}
