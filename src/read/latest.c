/*-------------------------------------------------------------------------
 *
 * latest.c
 *		Latest rows as SQL text.
 *
 *		One form serves the views, the reads and the deletes: the self-anti-join.
 *		A condition on any column reaches the scan, the planner may run it in
 *		parallel, and an index on the id columns and the recency serves both
 *		sides of it.
 *
 * src/read/latest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "read/read.h"

static void append_from_foreign(StringInfo sql, const MxFeature *feature,
								const char *ref, const char *version,
								const char *as_of, bool per_version);
static void append_scope(StringInfo sql, const char *ref, const char *version,
						 const char *as_of);
static void append_kind(StringInfo sql, const char *ref, MxLatest which);

/*
 * How the rows of the table are referred to: by the alias, or by the table's
 * own name, so that a filter may use it.
 */
char *
mx_table_ref(const MxFeature *feature, const char *alias)
{
	return pstrdup(alias ? alias : get_rel_name(feature->relid));
}

/*
 * The recency of a row; the expression of the supporting index.
 */
void
mx_append_recency(StringInfo sql, const char *ref)
{
	appendStringInfoString(sql, "COALESCE(");
	if (ref != NULL)
	{
		mx_append_column(sql, ref, MX_DELETED_AT);
		appendStringInfoString(sql, ", ");
		mx_append_column(sql, ref, MX_UPDATED_AT);
	}
	else
		appendStringInfoString(sql, MX_DELETED_AT ", " MX_UPDATED_AT);
	appendStringInfoChar(sql, ')');
}

/*
 * "FROM table [AS alias] WHERE ..." that gives the latest rows of the scope,
 * to be followed by " AND ..." or nothing.
 *
 * Scope: rows of "version" (SQL text: a literal or a parameter), or of all
 * versions where that is NULL; with per_version, all versions, each by itself.
 * Ties: a tombstone beats a live row, then tableoid, then ctid decide.
 */
void
mx_append_latest(StringInfo sql, const MxFeature *feature, const char *alias,
				 const char *version, bool per_version, MxLatest which)
{
	mx_append_latest_as_of(sql, feature, alias, version, NULL, per_version,
						   which);
}

/*
 * The same as if rows of later recency than "as_of" (SQL text; NULL: none) were
 * not there: neither are they given, nor do they make another row old.
 */
void
mx_append_latest_as_of(StringInfo sql, const MxFeature *feature,
					   const char *alias, const char *version,
					   const char *as_of, bool per_version, MxLatest which)
{
	char	   *ref = mx_table_ref(feature, alias);
	const char *other = mx_alias("later", ref);
	char	   *table = mx_relation_name(feature->relid);
	ListCell   *lc;

	if (get_rel_relkind(feature->relid) == RELKIND_FOREIGN_TABLE)
		append_from_foreign(sql, feature, ref, version, as_of, per_version);
	else
	{
		appendStringInfo(sql, " FROM %s", table);
		if (alias != NULL)
			appendStringInfo(sql, " AS %s", quote_identifier(alias));
		appendStringInfoString(sql, " WHERE ");
		append_scope(sql, ref, version, as_of);
		appendStringInfo(sql, "NOT EXISTS (SELECT FROM %s AS %s WHERE ",
						 table, other);
		append_scope(sql, other, version, as_of);
		if (version == NULL && per_version)
		{
			mx_append_equal(sql, feature, MX_FEATURE_VERSION, other, ref);
			appendStringInfoString(sql, " AND ");
		}
		foreach(lc, feature->id_columns)
		{
			mx_append_equal(sql, feature, lfirst(lc), other, ref);
			appendStringInfoString(sql, " AND ");
		}
		mx_append_rank(sql, other);
		appendStringInfoString(sql, " OPERATOR(pg_catalog.>) ");
		mx_append_rank(sql, ref);
		appendStringInfoChar(sql, ')');
	}
	append_kind(sql, ref, which);
}

/*
 * " FROM table WHERE ..." that gives all rows of the scope up to "as_of", not
 * only the latest ones: "which" says whether live ones, tombstones, or both.
 */
void
mx_append_history(StringInfo sql, const MxFeature *feature,
				  const char *version, const char *as_of, MxLatest which)
{
	char	   *ref = mx_table_ref(feature, NULL);

	appendStringInfo(sql, " FROM %s WHERE ",
					 mx_relation_name(feature->relid));
	append_scope(sql, ref, version, as_of);
	appendStringInfoString(sql, "true");
	append_kind(sql, ref, which);
}

/*
 * "the row is of that version AND not later than as_of AND ", each where it is
 * given.  Without "ref", of the only table in sight.
 */
static void
append_scope(StringInfo sql, const char *ref, const char *version,
			 const char *as_of)
{
	if (version != NULL)
	{
		if (ref != NULL)
			mx_append_column(sql, ref, MX_FEATURE_VERSION);
		else
			appendStringInfoString(sql, MX_FEATURE_VERSION);
		appendStringInfo(sql, " OPERATOR(pg_catalog.=) %s AND ", version);
	}
	if (as_of != NULL)
	{
		mx_append_recency(sql, ref);
		appendStringInfo(sql, " OPERATOR(pg_catalog.<=) %s AND ", as_of);
	}
}

/*
 * " AND the row is live", or a tombstone.
 */
static void
append_kind(StringInfo sql, const char *ref, MxLatest which)
{
	if (which == MX_LATEST)
		return;
	appendStringInfoString(sql, " AND ");
	mx_append_column(sql, ref, MX_DELETED_AT);
	appendStringInfoString(sql, which == MX_ACTIVE ? " IS NULL" :
						   " IS NOT NULL");
}

/*
 * A foreign table need not have a ctid to tell two rows apart: there the
 * latest row is the first of a sort.
 */
static void
append_from_foreign(StringInfo sql, const MxFeature *feature, const char *ref,
					const char *version, const char *as_of, bool per_version)
{
	StringInfoData keys;
	ListCell   *lc;

	initStringInfo(&keys);
	if (per_version && version == NULL)
		appendStringInfoString(&keys, MX_FEATURE_VERSION ", ");
	foreach(lc, feature->id_columns)
		appendStringInfo(&keys, "%s%s", foreach_current_index(lc) ? ", " : "",
						 quote_identifier(lfirst(lc)));

	appendStringInfo(sql, " FROM (SELECT DISTINCT ON (%s) * FROM %s WHERE ",
					 keys.data, mx_relation_name(feature->relid));
	append_scope(sql, NULL, version, as_of);
	appendStringInfo(sql, "true ORDER BY %s, ", keys.data);
	mx_append_recency(sql, NULL);
	appendStringInfo(sql, " DESC, " MX_DELETED_AT " IS NOT NULL DESC) AS %s"
					 " WHERE true", quote_identifier(ref));
	pfree(keys.data);
}

/*
 * left.column = right.column, by the column type's own equality.
 */
void
mx_append_equal(StringInfo sql, const MxFeature *feature, const char *column,
				const char *left, const char *right)
{
	StringInfoData value;

	initStringInfo(&value);
	mx_append_column(&value, left, column);
	mx_append_same_id(sql, feature, column, value.data, right);
	pfree(value.data);
}

/*
 * value = ref.column likewise, with any SQL text of that type.
 */
void
mx_append_same_id(StringInfo sql, const MxFeature *feature,
				  const char *column, const char *value, const char *ref)
{
	AttrNumber	attnum = get_attnum(feature->relid, column);
	Oid			type = get_atttype(feature->relid, attnum);

	appendStringInfo(sql, "%s ", value);
	mx_append_operator(sql, mx_equality(type, type));
	appendStringInfoChar(sql, ' ');
	mx_append_column(sql, ref, column);
}

/*
 * What decides between two rows of a sample, greatest last.
 */
void
mx_append_rank(StringInfo sql, const char *ref)
{
	appendStringInfoChar(sql, '(');
	mx_append_recency(sql, ref);
	appendStringInfoString(sql, ", ");
	mx_append_column(sql, ref, MX_DELETED_AT);
	appendStringInfoString(sql, " IS NOT NULL, ");
	mx_append_column(sql, ref, "tableoid");
	appendStringInfoString(sql, ", ");
	mx_append_column(sql, ref, "ctid");
	appendStringInfoChar(sql, ')');
}
