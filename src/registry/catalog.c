/*-------------------------------------------------------------------------
 *
 * catalog.c
 *		Reads the registry's tables: one feature, and what is common.
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
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "registry/key.h"
#include "registry/registry.h"

/*
 * With their types, and nulls refused below: a superuser can alter these
 * tables, and that must not bring the server down.
 */
#define OUTLINE_COLUMNS "feature::pg_catalog.text, relation::pg_catalog.oid"

const char *const mx_outline_columns = OUTLINE_COLUMNS;
const char *const mx_feature_columns =
	OUTLINE_COLUMNS ", "
	"id_columns::pg_catalog.text[], feature_version::pg_catalog.text, "
	"owner::pg_catalog.oid, project::pg_catalog.text, "
	"views::pg_catalog.bool, indexes::pg_catalog.bool";

typedef struct FoundFeature
{
	MxFeature  *feature;		/* NULL: none yet */
	MemoryContext context;		/* that it is made in */
} FoundFeature;

static MxFeature *load_one(MxQuery *query);
static bool take_one(TupleTableSlot *slot, void *arg);
static int	compare_features(const void *a, const void *b);
static char *text_column(TupleTableSlot *slot, int number);

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
 * One feature by its key; NULL if there is none.
 */
MxFeature *
mx_feature_load(const char *key)
{
	MxQuery    *query = mx_query_new();
	int			n = mx_query_text(query, key);

	appendStringInfo(mx_query_sql(query),
					 "SELECT %s FROM %s." MX_TABLE_FEATURE
					 " WHERE feature OPERATOR(pg_catalog.=) $%d",
					 mx_feature_columns, mx_schema(), n);
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
					 "SELECT %s FROM %s." MX_TABLE_FEATURE
					 " WHERE relation OPERATOR(pg_catalog.=) $%d",
					 mx_feature_columns, mx_schema(), n);
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
					 "SELECT %s FROM %s." MX_TABLE_FEATURE
					 " WHERE active_view OPERATOR(pg_catalog.=) $%d",
					 mx_feature_columns, mx_schema(), n);
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
 * Takes a feature from a row with mx_feature_columns.
 */
void
mx_feature_read(TupleTableSlot *slot, MxFeature *feature)
{
	Datum		value;

	mx_feature_read_outline(slot, feature);
	value = mx_required_column(slot, 3);
	feature->id_columns = mx_array_names(DatumGetArrayTypeP(value),
										 "id_columns");
	feature->version = text_column(slot, 4);
	feature->owner = DatumGetObjectId(mx_required_column(slot, 5));
	feature->project = text_column(slot, 6);
	feature->views = DatumGetBool(mx_required_column(slot, 7));
	feature->indexes = DatumGetBool(mx_required_column(slot, 8));
}

/*
 * The same with mx_outline_columns: its key and table.
 */
void
mx_feature_read_outline(TupleTableSlot *slot, MxFeature *feature)
{
	bool		isnull;
	Datum		value;

	memset(feature, 0, sizeof(MxFeature));
	feature->key = TextDatumGetCString(mx_required_column(slot, 1));
	value = slot_getattr(slot, 2, &isnull);
	feature->relid = isnull ? InvalidOid : DatumGetObjectId(value);
}

/*
 * A column that is never null, unless somebody has altered the table.
 */
Datum
mx_required_column(TupleTableSlot *slot, int number)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of the registry of extension \"metaxy\" must not be null",
						NameStr(TupleDescAttr(slot->tts_tupleDescriptor,
											  number - 1)->attname))));
	return value;
}

/*
 * The feature that a query finds, under a snapshot of this moment that shows
 * our own changes; NULL if it finds none.
 */
static MxFeature *
load_one(MxQuery *query)
{
	FoundFeature found = {.context = CurrentMemoryContext};

	PushActiveSnapshot(GetLatestSnapshot());
	mx_query_run(query, MX_OWNER_READ, mx_row_receiver(take_one, &found));
	PopActiveSnapshot();
	return found.feature;
}

static bool
take_one(TupleTableSlot *slot, void *arg)
{
	FoundFeature *found = arg;
	MemoryContext save = MemoryContextSwitchTo(found->context);

	if (found->feature == NULL)
	{
		found->feature = palloc(sizeof(MxFeature));
		mx_feature_read(slot, found->feature);
	}
	MemoryContextSwitchTo(save);
	return false;
}

static int
compare_features(const void *a, const void *b)
{
	return mx_key_compare(((const MxFeature *) a)->key,
						  ((const MxFeature *) b)->key);
}

static char *
text_column(TupleTableSlot *slot, int number)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}
