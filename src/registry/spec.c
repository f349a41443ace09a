/*-------------------------------------------------------------------------
 *
 * spec.c
 *		Reads the feature graph that "metaxy push" stores.
 *
 * Metaxy keeps one row for each pushed definition of a feature; feature_spec
 * is its JSON.  Keys are texts, or arrays of their parts in older stores; what
 * Metaxy has a default for may be missing or null.
 *
 * src/registry/spec.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "registry/key.h"
#include "registry/registry.h"

#define MX_SPEC_TABLE	"metaxy_system__feature_versions"

/* the columns of it that we read */
static const char *const spec_columns[] = {
	"project", "feature_key", "metaxy_feature_version", "recorded_at",
	"feature_spec", "deleted_at"
};

static char *text_column(uint64 row, int number);
static int	compare_specs(const ListCell *a, const ListCell *b);
static MxSpecDependency *read_dependency(JsonbValue *value);
static void read_lineage(JsonbContainer *object, MxSpecDependency *dependency);
static List *before_rename(List *columns, const MxSpecDependency *dependency);
static char *read_key(JsonbValue *value, const char *what);
static bool read_bool(JsonbValue *value, const char *what);
static List *read_names(JsonbValue *value, const char *what);
static bool has_repeats(List *names);
static JsonbValue *member(JsonbContainer *object, const char *name);
static JsonbContainer *container(JsonbValue *value, bool array);
static void refuse(const char *what, const char *expected) pg_attribute_noreturn();

/*
 * The table that "metaxy push" writes: in the schema given, else the first
 * one that the caller's search_path finds.
 */
Oid
mx_spec_table(Oid schema, const char *prefix)
{
	char	   *name = psprintf("%s" MX_SPEC_TABLE, prefix);
	char	   *schema_name = NULL;
	Oid			relid;

	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("table name \"%s\" is too long", name)));
	if (OidIsValid(schema))
	{
		schema_name = get_namespace_name(schema);
		if (schema_name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_SCHEMA),
					 errmsg("schema with OID %u does not exist", schema)));
		/* may the caller look into it? */
		(void) LookupExplicitNamespace(schema_name, false);
	}

	relid = schema_name ? get_relname_relid(name, schema) :
		RelnameGetRelid(name);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 schema_name ?
				 errmsg("relation \"%s.%s\" does not exist", schema_name, name) :
				 errmsg("relation \"%s\" does not exist", name),
				 errhint("\"metaxy push\" creates it; name the schema of Metaxy's store, and its table_prefix if it has one.")));

	for (int i = 0; i < lengthof(spec_columns); i++)
	{
		if (get_attnum(relid, spec_columns[i]) == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							spec_columns[i], name),
					 errdetail("The relation is not as \"metaxy push\" creates it.")));
	}
	return relid;
}

/*
 * Name of the table that Metaxy keeps a feature in: the parts of the key
 * joined by "__", hyphens as "_", after the store's prefix.  It may be longer
 * than a name can be.
 */
char *
mx_spec_relation(const char *key, const char *prefix)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, prefix);
	for (; *key != '\0'; key++)
	{
		if (*key == '/')
			appendStringInfoString(&name, "__");
		else
			appendStringInfoChar(&name, *key == '-' ? '_' : *key);
	}
	return name.data;
}

/*
 * The newest definition of each feature, of one project or of all, as a list
 * of MxSpec in the order of the keys; their JSON is not read yet.  Runs as the
 * caller, who must be allowed to SELECT, under the active snapshot.
 *
 * Of definitions recorded at the same time the one that says that the feature
 * is gone counts, then the greatest project, version and text, bytewise.
 */
List *
mx_specs_read(Oid relid, const char *project)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	List	   *specs = NIL;
	uint64		nrows;

	appendStringInfo(sql,
					 "SELECT DISTINCT ON (key) key, project, version, spec, gone"
					 " FROM (SELECT feature_key::pg_catalog.text COLLATE pg_catalog.\"C\" AS key,"
					 " project::pg_catalog.text COLLATE pg_catalog.\"C\" AS project,"
					 " metaxy_feature_version::pg_catalog.text COLLATE pg_catalog.\"C\" AS version,"
					 " feature_spec::pg_catalog.text COLLATE pg_catalog.\"C\" AS spec,"
					 " deleted_at IS NOT NULL AS gone, recorded_at"
					 " FROM %s) AS pushed WHERE key IS NOT NULL",
					 mx_relation_name(relid));
	if (project != NULL)
		appendStringInfo(sql, " AND project OPERATOR(pg_catalog.=) $%d",
						 mx_query_text(query, project));
	appendStringInfoString(sql,
						   " ORDER BY key, recorded_at DESC NULLS LAST,"
						   " gone DESC, project DESC NULLS LAST,"
						   " version DESC NULLS LAST, spec DESC NULLS LAST");

	nrows = mx_query_run(query, MX_READ, NULL);
	for (uint64 row = 0; row < nrows; row++)
	{
		MxSpec	   *spec = palloc0(sizeof(MxSpec));
		char	   *gone = text_column(row, 5);

		spec->key = text_column(row, 1);
		spec->project = text_column(row, 2);
		spec->version = text_column(row, 3);
		spec->json = text_column(row, 4);
		spec->gone = (gone[0] == 't');
		specs = lappend(specs, spec);
	}
	SPI_freetuptable(SPI_tuptable);
	list_sort(specs, compare_specs);
	return specs;
}

/*
 * Reads a definition's JSON.  Whatever is wrong with it is an error that says
 * so in words; the caller reports it and goes on with the next feature.
 */
void
mx_spec_parse(MxSpec *spec)
{
	Jsonb	   *jsonb;
	JsonbValue *value;
	JsonbValue	element;
	JsonbContainer *deps;
	char	   *key;

	if (spec->key[0] == '\0')
		refuse("feature_key", "a feature key");
	if (spec->json == NULL)
		refuse("feature_spec", "an object");
	jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											   CStringGetDatum(spec->json)));
	if (!JB_ROOT_IS_OBJECT(jsonb))
		refuse("feature_spec", "an object");

	key = read_key(member(&jsonb->root, "key"), "key");
	if (strcmp(key, spec->key) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"key\" of feature_spec is \"%s\"", key)));
	spec->id_columns = read_names(member(&jsonb->root, "id_columns"),
								  "id_columns");
	if (spec->id_columns == NIL)
		refuse("id_columns", "an array of at least one column");
	if (has_repeats(spec->id_columns))
		refuse("id_columns", "an array of different columns");

	value = member(&jsonb->root, "deps");
	if (value == NULL)
		return;
	deps = container(value, true);
	if (deps == NULL)
		refuse("deps", "an array");
	for (uint32 i = 0; i < JsonContainerSize(deps); i++)
	{
		element = *getIthJsonbValueFromContainer(deps, i);
		spec->dependencies = lappend(spec->dependencies,
									 read_dependency(&element));
	}
}

static char *
text_column(uint64 row, int number)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						number);
}

static int
compare_specs(const ListCell *a, const ListCell *b)
{
	return mx_key_compare(((const MxSpec *) lfirst(a))->key,
						  ((const MxSpec *) lfirst(b))->key);
}

/*
 * One of "deps": an object, or the upstream feature's key alone.
 */
static MxSpecDependency *
read_dependency(JsonbValue *value)
{
	MxSpecDependency *dependency = palloc0(sizeof(MxSpecDependency));
	JsonbContainer *object = container(value, false);
	JsonbValue *part;

	if (object == NULL)
	{
		dependency->upstream = read_key(value, "deps");
		return dependency;
	}

	dependency->upstream = read_key(member(object, "feature"), "feature");
	dependency->optional = read_bool(member(object, "optional"), "optional");
	part = member(object, "rename");
	if (part != NULL)
		mx_rename_lists(JsonbValueToJsonb(part), &dependency->rename_from,
						&dependency->rename_to);
	read_lineage(object, dependency);

	part = member(object, "sql_filters");
	if (part == NULL)
		part = member(object, "filters");
	if (part != NULL)
		dependency->filters = read_names(part, "sql_filters");
	return dependency;
}

/*
 * A dependency's "lineage": 1:1 unless it says otherwise.
 */
static void
read_lineage(JsonbContainer *object, MxSpecDependency *dependency)
{
	JsonbValue *value = member(object, "lineage");
	JsonbContainer *relationship;
	JsonbValue *type;

	if (value == NULL)
		return;
	object = container(value, false);
	if (object == NULL)
		refuse("lineage", "an object");
	value = member(object, "relationship");
	relationship = value ? container(value, false) : NULL;
	if (relationship == NULL)
		refuse("relationship", "an object");

	type = member(relationship, "type");
	if (type == NULL || type->type != jbvString)
		refuse("type", "a string");
	dependency->lineage = mx_choice(pnstrdup(type->val.string.val,
											 type->val.string.len),
									"type", mx_lineages);
	value = member(relationship, "on");
	if (value != NULL && dependency->lineage != MX_IDENTITY)
		dependency->on_columns = before_rename(read_names(value, "on"),
											   dependency);
}

/*
 * Metaxy renames an upstream feature's columns before it groups or joins by
 * "on", so those are the new names; ours are the upstream feature's own.
 */
static List *
before_rename(List *columns, const MxSpecDependency *dependency)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		char	   *column = lfirst(lc);
		ListCell   *from;
		ListCell   *to;

		forboth(from, dependency->rename_from, to, dependency->rename_to)
		{
			if (strcmp(lfirst(to), lfirst(lc)) == 0)
				column = lfirst(from);
		}
		result = lappend(result, column);
	}
	return result;
}

/*
 * A feature key: "a/b", or its parts, which may be within an object.
 */
static char *
read_key(JsonbValue *value, const char *what)
{
	JsonbContainer *object = value ? container(value, false) : NULL;
	StringInfoData key;
	ListCell   *lc;

	if (object != NULL)
	{
		value = member(object, "root");
		if (value == NULL)
			value = member(object, "parts");
	}
	if (value == NULL)
		refuse(what, "a feature key");
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (container(value, true) == NULL)
		refuse(what, "a feature key");

	initStringInfo(&key);
	foreach(lc, read_names(value, what))
		appendStringInfo(&key, "%s%s", foreach_current_index(lc) ? "/" : "",
						 (char *) lfirst(lc));
	return key.data;
}

static bool
read_bool(JsonbValue *value, const char *what)
{
	if (value == NULL)
		return false;
	if (value->type != jbvBool)
		refuse(what, "true or false");
	return value->val.boolean;
}

/*
 * An array of strings as a list.
 */
static List *
read_names(JsonbValue *value, const char *what)
{
	JsonbContainer *array = value ? container(value, true) : NULL;
	List	   *names = NIL;

	if (array == NULL)
		refuse(what, "an array of strings");
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvString)
			refuse(what, "an array of strings");
		names = lappend(names, pnstrdup(element->val.string.val,
										element->val.string.len));
	}
	return names;
}

static bool
has_repeats(List *names)
{
	List	   *seen = NIL;
	ListCell   *lc;

	foreach(lc, names)
	{
		if (mx_names_member(seen, lfirst(lc)))
			return true;
		seen = lappend(seen, lfirst(lc));
	}
	return false;
}

/*
 * A member of an object; NULL where it is missing or null.
 */
static JsonbValue *
member(JsonbContainer *object, const char *name)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, name,
													 strlen(name), NULL);

	return value != NULL && value->type != jbvNull ? value : NULL;
}

/*
 * The array or object that a value is; NULL where it is none.
 */
static JsonbContainer *
container(JsonbValue *value, bool array)
{
	JsonbContainer *result;

	if (value->type != jbvBinary)
		return NULL;
	result = value->val.binary.data;
	return (array ? JsonContainerIsArray(result) :
			JsonContainerIsObject(result)) ? result : NULL;
}

static void
refuse(const char *what, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" must be %s", what, expected)));
}
