/*-------------------------------------------------------------------------
 *
 * views.c
 *		The views over a feature table: active, latest and deleted samples.
 *
 * The registry knows them by OID, so they are found again whatever they are
 * called.  They belong to the owner of the table and ask for the rights of
 * whoever reads them.
 *
 * src/read/views.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "read/read.h"

PG_FUNCTION_INFO_V1(metaxy_views);

/* the three views: suffix of the name, column of metaxy_feature */
typedef struct ViewKind
{
	const char *suffix;
	const char *column;
	MxLatest	which;
} ViewKind;

static const ViewKind kinds[MX_NVIEWS] = {
	{"_active", "active_view", MX_ACTIVE},
	{"_latest", "latest_view", MX_LATEST},
	{"_deleted", "deleted_view", MX_DELETED}
};

static void load_views(const char *key, Oid *views);
static bool adopt_views(const MxFeature *feature, Oid *views);
static char *view_name(const MxFeature *feature, const ViewKind *kind);
static bool type_exists(const char *name, Oid schema);
static void require_create(Oid owner, Oid schema);
static Oid	view_owner(Oid view);
static bool place_view(Oid view, const MxFeature *feature,
					   const ViewKind *kind);
static bool drop_views(const char *key, const Oid *views,
					   const MxViewAction *actions);
static void create_view(const MxFeature *feature, const ViewKind *kind,
						MxViewAction action, const char *query);
static void write_views(const char *key, const Oid *views, bool created);
static void set_enabled(const char *key, bool enabled);

/*
 * metaxy_views(feature text, enabled boolean) returns void
 *
 * Drops a feature's views and remembers what was granted on them, or creates
 * them and grants it again; where they are there, they follow the table's
 * columns.  Needs the privileges of the feature's owner, and ownership of the
 * table.
 */
Datum
metaxy_views(PG_FUNCTION_ARGS)
{
	char	   *key = mx_arg_text(fcinfo, 0, "feature");
	bool		enabled = mx_arg_bool(fcinfo, 1, "enabled");
	MxFeature  *feature;

	PreventCommandIfReadOnly("metaxy_views()");

	SPI_connect();
	mx_registry_lock();
	feature = mx_feature_require(key);
	mx_require_feature_owner(feature);
	if (get_rel_name(feature->relid) == NULL)
		feature->relid = InvalidOid;
	if (OidIsValid(feature->relid))
		mx_require_table_owner(feature->relid);

	if (!enabled)
		mx_views_drop(feature);
	else if (OidIsValid(feature->relid))
	{
		Relation	rel = table_open(feature->relid, AccessShareLock);

		mx_check_columns(feature, rel);
		table_close(rel, NoLock);
		mx_check_view_names(feature);
		mx_views_create(feature);
	}
	if (enabled != feature->views)
		set_enabled(key, enabled);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Raises an error unless the views can have their names: 42622 where one is
 * too long, 42710 where it is taken, 42501 where the table's owner may not
 * create them.
 */
void
mx_check_view_names(const MxFeature *feature)
{
	Oid			schema = get_rel_namespace(feature->relid);
	Oid			views[MX_NVIEWS];
	bool		missing = false;

	load_views(feature->key, views);
	for (int i = 0; i < MX_NVIEWS; i++)
	{
		char	   *name = view_name(feature, &kinds[i]);
		Oid			taken;

		/* a name is never cut off: two tables' views would share it */
		if (strlen(name) >= NAMEDATALEN)
			ereport(ERROR,
					(errcode(ERRCODE_NAME_TOO_LONG),
					 errmsg("view name \"%s\" is too long", name),
					 errdetail("A name has at most %d bytes.", NAMEDATALEN - 1),
					 errhint("Rename the table, or call metaxy_register with views => false.")));
		taken = get_relname_relid(name, schema);
		if (OidIsValid(taken) && taken != views[i] &&
			!mx_view_is_ours(taken, feature, kinds[i].which))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("relation \"%s\" already exists", name),
					 errdetail("A view of feature \"%s\" needs this name.",
							   feature->key),
					 errhint("Rename or drop it, or call metaxy_register with views => false.")));
		if (!OidIsValid(taken) && type_exists(name, schema))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("type \"%s\" already exists", name),
					 errdetail("The row type of a view of feature \"%s\" needs this name.",
							   feature->key),
					 errhint("Rename or drop it, or call metaxy_register with views => false.")));
		missing |= !OidIsValid(views[i]);
	}
	if (missing)
	{
		Relation	rel = table_open(feature->relid, AccessShareLock);

		require_create(rel->rd_rel->relowner, schema);
		table_close(rel, NoLock);
	}
}

/*
 * Creates the feature's views, or brings those that are there up to date;
 * returns false if they were.  The feature is in the registry already, its
 * table locked and its views' names checked.
 *
 * The views are made by the table's owner, whose privileges the caller has.
 */
bool
mx_views_create(const MxFeature *feature)
{
	Relation	rel = table_open(feature->relid, AccessShareLock);
	Oid			owner = rel->rd_rel->relowner;
	const char *load = mx_view_load(feature);
	char	   *queries[MX_NVIEWS];
	MxViewAction actions[MX_NVIEWS];
	Oid			views[MX_NVIEWS];
	bool		created;
	bool		changed = false;
	Oid			save_user;
	int			save_context;

	load_views(feature->key, views);
	created = adopt_views(feature, views);
	for (int i = 0; i < MX_NVIEWS; i++)
	{
		if (!OidIsValid(views[i]) || view_owner(views[i]) == owner)
			continue;
		mx_utility("ALTER VIEW %s OWNER TO %s", mx_relation_name(views[i]),
				   quote_identifier(GetUserNameFromId(owner, false)));
		changed = true;
	}

	/* an error restores the user with the (sub)transaction's state */
	GetUserIdAndSecContext(&save_user, &save_context);
	if (save_user != owner)
		SetUserIdAndSecContext(owner,
							   save_context | SECURITY_LOCAL_USERID_CHANGE);

	for (int i = 0; i < MX_NVIEWS; i++)
	{
		queries[i] = mx_view_query(feature, kinds[i].which);
		actions[i] = MX_VIEW_CREATE;
		if (OidIsValid(views[i]))
		{
			changed |= place_view(views[i], feature, &kinds[i]);
			actions[i] = mx_view_compare(views[i], rel, queries[i], load);
		}
		created |= actions[i] == MX_VIEW_CREATE;
		changed |= actions[i] != MX_VIEW_KEEP;
		if (actions[i] != MX_VIEW_KEEP)
			require_create(owner, RelationGetNamespace(rel));
	}
	drop_views(feature->key, views, actions);
	for (int i = 0; i < MX_NVIEWS; i++)
	{
		if (actions[i] != MX_VIEW_KEEP)
			create_view(feature, &kinds[i], actions[i],
						psprintf("%s%s", queries[i], load));
		if (actions[i] == MX_VIEW_CREATE)
		{
			views[i] = get_relname_relid(view_name(feature, &kinds[i]),
										 RelationGetNamespace(rel));
			mx_grants_restore(feature->key, kinds[i].column, views[i], owner);
		}
	}

	SetUserIdAndSecContext(save_user, save_context);
	/* the owner of the table need not have rights on the extension's schema */
	for (int i = 0; i < MX_NVIEWS; i++)
	{
		changed |= mx_view_bind(views[i]);
		changed |= mx_view_guard(views[i], kinds[i].which);
	}
	table_close(rel, NoLock);
	if (created)
		write_views(feature->key, views, true);
	return changed || created;
}

/*
 * Drops the feature's views, having remembered what is granted on them;
 * returns false if there were none.
 */
bool
mx_views_drop(const MxFeature *feature)
{
	MxViewAction actions[MX_NVIEWS] = {MX_VIEW_CREATE, MX_VIEW_CREATE, MX_VIEW_CREATE};
	Oid			views[MX_NVIEWS];

	load_views(feature->key, views);
	if (!drop_views(feature->key, views, actions))
		return false;
	memset(views, 0, sizeof(views));
	write_views(feature->key, views, false);
	return true;
}

/*
 * The views that the registry knows as it is now, and that are still there.
 */
static void
load_views(const char *key, Oid *views)
{
	MxQuery    *query = mx_query_new();
	bool		found;

	memset(views, 0, sizeof(Oid) * MX_NVIEWS);
	mx_query_text(query, key);
	appendStringInfoString(mx_query_sql(query), "SELECT ");
	for (int i = 0; i < MX_NVIEWS; i++)
		appendStringInfo(mx_query_sql(query), "%s%s", i > 0 ? ", " : "",
						 kinds[i].column);
	appendStringInfo(mx_query_sql(query), " FROM %s." MX_TABLE_FEATURE
					 " WHERE feature OPERATOR(pg_catalog.=) $1", mx_schema());
	PushActiveSnapshot(GetLatestSnapshot());
	found = mx_query_run(query, MX_READ, NULL) > 0;
	PopActiveSnapshot();
	for (int i = 0; found && i < MX_NVIEWS; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, i + 1,
										  &isnull);

		if (!isnull &&
			get_rel_relkind(DatumGetObjectId(value)) == RELKIND_VIEW)
			views[i] = DatumGetObjectId(value);
	}
}

/*
 * Views of our making that the registry does not know: a restored schema
 * brings them along, and its registry is empty.  Returns whether there were
 * any.
 */
static bool
adopt_views(const MxFeature *feature, Oid *views)
{
	bool		adopted = false;

	for (int i = 0; i < MX_NVIEWS; i++)
	{
		Oid			view = get_relname_relid(view_name(feature, &kinds[i]),
											 get_rel_namespace(feature->relid));

		if (OidIsValid(views[i]) || !OidIsValid(view) ||
			!mx_view_is_ours(view, feature, kinds[i].which))
			continue;
		views[i] = view;
		adopted = true;
	}
	return adopted;
}

static char *
view_name(const MxFeature *feature, const ViewKind *kind)
{
	return psprintf("%s%s", get_rel_name(feature->relid), kind->suffix);
}

/*
 * Is there a type of this name that would not make way for a view's?  Array
 * types that the server has named do.
 */
static bool
type_exists(const char *name, Oid schema)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum(name),
									   ObjectIdGetDatum(schema));

	return OidIsValid(type) && !OidIsValid(get_element_type(type));
}

/*
 * The owner of the table must be allowed to create views in its schema.
 */
static void
require_create(Oid owner, Oid schema)
{
	if (!mx_may_use_schema(owner, schema, "CREATE"))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" cannot create views in schema \"%s\"",
						GetUserNameFromId(owner, false),
						get_namespace_name_or_temp(schema)),
				 errhint("Grant CREATE on the schema to the owner of the table, or call metaxy_register with views => false.")));
}

static Oid
view_owner(Oid view)
{
	Relation	rel = relation_open(view, AccessShareLock);
	Oid			owner = rel->rd_rel->relowner;

	relation_close(rel, AccessShareLock);
	return owner;
}

/*
 * Lets a view follow its table to another name or schema; returns false if it
 * need not.
 */
static bool
place_view(Oid view, const MxFeature *feature, const ViewKind *kind)
{
	Oid			schema = get_rel_namespace(feature->relid);
	char	   *name = view_name(feature, kind);
	bool		renamed = strcmp(get_rel_name(view), name) != 0;
	bool		moved = get_rel_namespace(view) != schema;

	if (renamed)
		mx_utility("ALTER VIEW %s RENAME TO %s", mx_relation_name(view),
				   quote_identifier(name));
	if (moved)
		mx_utility("ALTER VIEW %s SET SCHEMA %s", mx_relation_name(view),
				   quote_identifier(get_namespace_name(schema)));
	return renamed || moved;
}

/*
 * Drops those views that are there and to be created, and remembers what is
 * granted on them.  Returns false if there is none.
 */
static bool
drop_views(const char *key, const Oid *views, const MxViewAction *actions)
{
	bool		dropped = false;

	for (int i = 0; i < MX_NVIEWS; i++)
	{
		if (!OidIsValid(views[i]) || actions[i] != MX_VIEW_CREATE)
			continue;
		mx_grants_save(key, kinds[i].column, views[i]);
		mx_utility("DROP VIEW %s", mx_relation_name(views[i]));
		dropped = true;
	}
	return dropped;
}

static void
create_view(const MxFeature *feature, const ViewKind *kind,
			MxViewAction action, const char *query)
{
	char	   *schema =
	get_namespace_name_or_temp(get_rel_namespace(feature->relid));


	mx_utility("CREATE %sVIEW %s WITH (security_invoker = true) AS %s",
			   action == MX_VIEW_REPLACE ? "OR REPLACE " : "",
			   quote_qualified_identifier(schema, view_name(feature, kind)),
			   query);
}

/*
 * Writes down which views there are.  Grants that have been given to new ones
 * need not be remembered any longer.
 */
static void
write_views(const char *key, const Oid *views, bool created)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	mx_query_text(query, key);
	appendStringInfo(sql, "UPDATE %s." MX_TABLE_FEATURE " SET ", mx_schema());
	for (int i = 0; i < MX_NVIEWS; i++)
		appendStringInfo(sql, "%s%s = $%d", i > 0 ? ", " : "", kinds[i].column,
						 mx_query_value(query, REGCLASSOID,
										ObjectIdGetDatum(views[i]),
										!OidIsValid(views[i])));
	if (created)
		appendStringInfoString(sql, ", view_acl = NULL");
	appendStringInfoString(sql, " WHERE feature OPERATOR(pg_catalog.=) $1");
	mx_registry_write(query);
}

static void
set_enabled(const char *key, bool enabled)
{
	MxQuery    *query = mx_query_new();

	mx_query_text(query, key);
	mx_query_value(query, BOOLOID, BoolGetDatum(enabled), false);
	appendStringInfo(mx_query_sql(query),
					 "UPDATE %s." MX_TABLE_FEATURE " SET views = $2"
					 " WHERE feature OPERATOR(pg_catalog.=) $1", mx_schema());
	mx_registry_write(query);
}
