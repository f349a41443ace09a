/*-------------------------------------------------------------------------
 *
 * check.c
 *		What a table must be to hold a feature: its kind, rules, columns.
 *
 * Everything here looks at the catalogs alone and writes nothing; the caller
 * holds a lock on the table that keeps the answer true.
 *
 * src/registry/check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "nodes/bitmapset.h"
#include "optimizer/optimizer.h"
#include "rewrite/prs2lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/typcache.h"

#include "registry/registry.h"

static void check_kind(Relation rel);
static void check_rules(Relation rel);
static void check_partition_keys(Relation rel);
static void check_partition_key(Relation rel);
static void check_id_column(Relation rel, const char *name);
static void check_required(Relation rel, const char *name);
static void check_version(Relation rel, const char *version);
static void require_column(const MxFeature *feature, Relation rel,
						   const char *name, bool is_id);
static void refuse(Relation rel, int code, const char *detail,
				   const char *hint);
static void refuse_type(Relation rel, Form_pg_attribute attr,
						const char *wanted);

/*
 * Raises an error unless the table can hold the feature.
 *
 * Columns that are missing and that mx_ready_table can add are no error.  What
 * the rows say is left to mx_check_rows.
 */
void
mx_check_table(Relation rel, const MxRegistration *registration)
{
	ListCell   *lc;

	check_kind(rel);
	check_rules(rel);
	check_partition_keys(rel);

	foreach(lc, registration->id_columns)
		check_id_column(rel, lfirst(lc));
	check_required(rel, MX_CREATED_AT);
	check_required(rel, MX_UPDATED_AT);
	check_required(rel, MX_DELETED_AT);
	if (registration->version != NULL)
	{
		check_required(rel, MX_FEATURE_VERSION);
		check_version(rel, registration->version);
	}

	mx_check_unique(rel, registration);
}

/*
 * Raises an error unless the table still has the columns of its feature.
 *
 * To be called by whoever is about to read or write rows: columns may have
 * been renamed, dropped or altered since the feature was registered.
 */
void
mx_check_columns(const MxFeature *feature, Relation rel)
{
	ListCell   *lc;

	foreach(lc, feature->id_columns)
	{
		require_column(feature, rel, lfirst(lc), true);
		check_id_column(rel, lfirst(lc));
	}
	require_column(feature, rel, MX_CREATED_AT, false);
	check_required(rel, MX_CREATED_AT);
	require_column(feature, rel, MX_UPDATED_AT, false);
	check_required(rel, MX_UPDATED_AT);
	require_column(feature, rel, MX_DELETED_AT, false);
	check_required(rel, MX_DELETED_AT);
	if (feature->version != NULL)
	{
		require_column(feature, rel, MX_FEATURE_VERSION, false);
		check_required(rel, MX_FEATURE_VERSION);
		check_version(rel, feature->version);
	}
}

/*
 * The table's own column of this name; NULL if it has none.
 */
Form_pg_attribute
mx_find_column(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (!attr->attisdropped && strcmp(NameStr(attr->attname), name) == 0)
			return attr;
	}
	return NULL;
}

/*
 * Only tables that stand for themselves: rows of a partition or of a child
 * table would belong to two of them.
 */
static void
check_kind(Relation rel)
{
	char		relkind = rel->rd_rel->relkind;
	Oid			relid = RelationGetRelid(rel);

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot register relation \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail_relkind_not_supported(relkind)));
	if (relid < FirstNormalObjectId)
		refuse(rel, ERRCODE_WRONG_OBJECT_TYPE,
			   "It belongs to the database system.", NULL);
	if (getExtensionOfObject(RelationRelationId, relid) ==
		get_extension_oid("metaxy", false))
		refuse(rel, ERRCODE_WRONG_OBJECT_TYPE,
			   "It belongs to the extension \"metaxy\" itself.", NULL);
	if (RELATION_IS_OTHER_TEMP(rel))
		refuse(rel, ERRCODE_WRONG_OBJECT_TYPE,
			   "It is a temporary table of another session.", NULL);
	if (rel->rd_rel->relispartition)
		refuse(rel, ERRCODE_WRONG_OBJECT_TYPE,
			   psprintf("It is a partition of table \"%s\".",
						get_rel_name(get_partition_parent(relid, true))),
			   "Register the partitioned table instead.");
	if (relkind != RELKIND_PARTITIONED_TABLE &&
		find_inheritance_children(relid, NoLock) != NIL)
		refuse(rel, ERRCODE_WRONG_OBJECT_TYPE,
			   "Other tables inherit from it.",
			   "Use partitions, or register the child tables instead.");
}

/*
 * Does a rule of the table stand in for this event?  Then what is written, or
 * removed, is not what we say.
 */
bool
mx_has_rule(Relation rel, CmdType event)
{
	RuleLock   *rules = rel->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		if (rules->rules[i]->event == event)
			return true;
	}
	return false;
}

static void
check_rules(Relation rel)
{
	const char *hint = "Drop the rule, or use a trigger instead.";

	if (mx_has_rule(rel, CMD_INSERT))
		refuse(rel, ERRCODE_FEATURE_NOT_SUPPORTED,
			   "It has a rule ON INSERT.", hint);
	if (mx_has_rule(rel, CMD_DELETE))
		refuse(rel, ERRCODE_FEATURE_NOT_SUPPORTED,
			   "It has a rule ON DELETE.", hint);
}

/*
 * The table and those of its partitions that are partitioned themselves.  The
 * caller has locked them all.
 */
static void
check_partition_keys(Relation rel)
{
	List	   *relids;
	ListCell   *lc;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	relids = find_all_inheritors(RelationGetRelid(rel), NoLock, NULL);
	foreach(lc, relids)
	{
		Relation	child;

		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_PARTITIONED_TABLE)
			continue;
		child = table_open(lfirst_oid(lc), NoLock);
		check_partition_key(child);
		table_close(child, NoLock);
	}
	list_free(relids);
}

/*
 * A sample's rows and its tombstone differ in the stamps: partitioned by
 * these, they would have to find each other across partitions.
 */
static void
check_partition_key(Relation rel)
{
	PartitionKey key = RelationGetPartitionKey(rel);
	Bitmapset  *columns = NULL;
	int			at = -1;

	for (int i = 0; i < get_partition_natts(key); i++)
	{
		AttrNumber	attnum = get_partition_col_attnum(key, i);

		if (attnum != 0)
			columns = bms_add_member(columns, attnum -
									 FirstLowInvalidHeapAttributeNumber);
	}
	pull_varattnos((Node *) get_partition_exprs(key), 1, &columns);

	while ((at = bms_next_member(columns, at)) >= 0)
	{
		char	   *name = get_attname(RelationGetRelid(rel),
									   at + FirstLowInvalidHeapAttributeNumber,
									   false);

		if (strcmp(name, MX_CREATED_AT) == 0 ||
			strcmp(name, MX_UPDATED_AT) == 0 ||
			strcmp(name, MX_DELETED_AT) == 0)
			refuse(rel, ERRCODE_FEATURE_NOT_SUPPORTED,
				   psprintf("It is partitioned by column \"%s\".", name),
				   NULL);
	}
	bms_free(columns);
}

/*
 * An id column must be there, and its values comparable.
 */
static void
check_id_column(Relation rel, const char *name)
{
	Form_pg_attribute attr = mx_find_column(rel, name);
	TypeCacheEntry *type;

	if (attr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, RelationGetRelationName(rel)),
				 errdetail("It is named as an id column.")));

	/* a virtual column (PostgreSQL 18) is not in the rows and has no index */
	if (attr->attgenerated == 'v')
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("virtual generated column \"%s\" of relation \"%s\" cannot be an id column",
						name, RelationGetRelationName(rel))));

	/* looks into arrays, ranges and rows, which have a btree class anyway */
	type = lookup_type_cache(attr->atttypid, TYPECACHE_LT_OPR);
	if (!OidIsValid(type->lt_opr))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of relation \"%s\" has type %s",
						name, RelationGetRelationName(rel),
						format_type_be(attr->atttypid)),
				 errdetail("An id column needs a type with a default btree operator class.")));
}

/*
 * A required column: what is there must fit, what is missing can be added,
 * except to a foreign table.
 */
static void
check_required(Relation rel, const char *name)
{
	Form_pg_attribute attr = mx_find_column(rel, name);

	if (attr == NULL)
	{
		if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of foreign table \"%s\" does not exist",
							name, RelationGetRelationName(rel)),
					 errhint("A foreign table must have all columns when it is registered.")));
		return;
	}

	if (attr->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" of relation \"%s\" is a generated column",
						name, RelationGetRelationName(rel)),
				 errdetail("It must take the values that rows are written with.")));

	if (strcmp(name, MX_FEATURE_VERSION) == 0)
		return;
	if (attr->atttypid != TIMESTAMPTZOID)
		refuse_type(rel, attr, "timestamp with time zone");
	if (attr->atttypmod >= 0 && attr->atttypmod < MAX_TIMESTAMP_PRECISION)
		refuse_type(rel, attr, "timestamp with time zone, to the microsecond");
	if (attr->attnotnull && strcmp(name, MX_DELETED_AT) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" is marked NOT NULL",
						name, RelationGetRelationName(rel)),
				 errdetail("It is null in every row that is not deleted."),
				 errhint("Run ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL.",
						 mx_relation_name(RelationGetRelid(rel)), name)));
}

/*
 * The version column is text of whatever length, or of enough of it.
 */
static void
check_version(Relation rel, const char *version)
{
	Form_pg_attribute attr = mx_find_column(rel, MX_FEATURE_VERSION);

	if (attr == NULL)
		return;
	if (attr->atttypid != TEXTOID && attr->atttypid != VARCHAROID)
		refuse_type(rel, attr, "text or character varying");
	if (attr->atttypmod >= (int32) VARHDRSZ &&
		attr->atttypmod - (int32) VARHDRSZ < pg_mbstrlen(version))
		refuse_type(rel, attr,
					"text or character varying, wide enough for the version");
}

/*
 * 42703 with the calls that mend it.
 */
static void
require_column(const MxFeature *feature, Relation rel, const char *name,
			   bool is_id)
{
	if (mx_find_column(rel, name) != NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" does not exist",
					name, RelationGetRelationName(rel)),
			 is_id ?
			 errdetail("Feature \"%s\" is registered with it as an id column.",
					   feature->key) :
			 errdetail("Feature \"%s\" needs it.", feature->key),
			 is_id ?
			 errhint("Rename the column back, or call metaxy_register with the new id_columns and replace => true.") :
			 errhint("Rename the column back, or call metaxy_register again to add it.")));
}

static void
refuse(Relation rel, int code, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("cannot register relation \"%s\"",
					RelationGetRelationName(rel)),
			 errdetail_internal("%s", detail),
			 hint != NULL ? errhint("%s", hint) : 0));
}

static void
refuse_type(Relation rel, Form_pg_attribute attr, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of relation \"%s\" has type %s",
					NameStr(attr->attname), RelationGetRelationName(rel),
					format_type_with_typemod(attr->atttypid,
											 attr->atttypmod)),
			 errdetail("It must be %s.", wanted)));
}
