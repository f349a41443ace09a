/*-------------------------------------------------------------------------
 *
 * unique.c
 *		Unique indexes and exclusion constraints against append-only tables.
 *
 * A feature table holds several rows of a sample, and a tombstone is a copy
 * of the row that it hides.
 *
 * src/registry/unique.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "read/read.h"

static void check_table(Relation rel, Relation root,
						const MxRegistration *registration);
static bool allows_copies(Relation rel, Relation index, Relation root,
						  const MxRegistration *registration);
static void refuse_index(Relation rel, Relation index);

/*
 * Raises 55000 where a second row or a tombstone of a sample would break a
 * unique index or an exclusion constraint of the table or of a partition.
 *
 * The caller has locked them all.
 */
void
mx_check_unique(Relation rel, const MxRegistration *registration)
{
	List	   *relids = find_all_inheritors(RelationGetRelid(rel), NoLock,
											 NULL);
	ListCell   *lc;

	foreach(lc, relids)
	{
		Relation	child = table_open(lfirst_oid(lc), NoLock);

		check_table(child, rel, registration);
		table_close(child, NoLock);
	}
	list_free(relids);
}

/*
 * Indexes that a partition only has from its parent have been looked at there.
 */
static void
check_table(Relation rel, Relation root, const MxRegistration *registration)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indislive && !index->rd_rel->relispartition &&
			(index->rd_index->indisexclusion ||
			 (index->rd_index->indisunique &&
			  !allows_copies(rel, index, root, registration))))
			refuse_index(rel, index);
		index_close(index, NoLock);
	}
	list_free(indexes);
}

/*
 * Harmless is a unique index with a column that every row gets afresh: one
 * that tombstones do not copy, unless it is computed from those they do.
 *
 * Harmless is also one over the id columns, the version and metaxy_deleted_at:
 * live rows have a null there, tombstones of one sample different stamps.
 */
static bool
allows_copies(Relation rel, Relation index, Relation root,
			  const MxRegistration *registration)
{
	List	   *keys = NIL;
	ListCell   *lc;

	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];
		Form_pg_attribute attr;

		if (attnum <= 0)
			continue;
		/* rows come in by way of the root, with its defaults */
		attr = mx_find_column(root, get_attname(RelationGetRelid(rel), attnum,
												false));
		if (attr->attgenerated == '\0' &&
			!mx_is_copied(root, attr->attnum, registration->id_columns))
			return true;
		keys = lappend(keys, NameStr(attr->attname));
	}

	if (index->rd_index->indnullsnotdistinct ||
		!mx_names_member(keys, MX_DELETED_AT) ||
		(registration->version != NULL &&
		 !mx_names_member(keys, MX_FEATURE_VERSION)))
		return false;
	foreach(lc, registration->id_columns)
	{
		if (!mx_names_member(keys, lfirst(lc)))
			return false;
	}
	return true;
}

/*
 * The hint has the statements that put a plain index in its place.
 */
static void
refuse_index(Relation rel, Relation index)
{
	Oid			indexid = RelationGetRelid(index);
	Oid			constraint = get_index_constraint(indexid);
	char	   *table = mx_relation_name(RelationGetRelid(rel));
	StringInfoData mend;

	initStringInfo(&mend);
	if (OidIsValid(constraint))
		appendStringInfo(&mend, "ALTER TABLE %s DROP CONSTRAINT %s;", table,
						 quote_identifier(get_constraint_name(constraint)));
	else
		appendStringInfo(&mend, "DROP INDEX %s;", mx_relation_name(indexid));
	appendStringInfo(&mend, " CREATE INDEX ON %s", table);
	if (index->rd_index->indisexclusion)
		appendStringInfo(&mend, " USING %s",
						 quote_identifier(get_am_name(index->rd_rel->relam)));
	appendStringInfo(&mend, " (%s);", pg_get_indexdef_columns(indexid, false));

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s \"%s\" of relation \"%s\" does not allow several rows of a sample",
					index->rd_index->indisexclusion ? "exclusion constraint" :
					OidIsValid(constraint) ? "unique constraint" :
					"unique index",
					RelationGetRelationName(index),
					RelationGetRelationName(rel)),
			 errdetail("A new version of a sample is another row, and a soft delete adds a copy of the row that it hides."),
			 errhint("Replace it by a plain index: %s", mend.data)));
}
