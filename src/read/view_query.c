/*-------------------------------------------------------------------------
 *
 * view_query.c
 *		What a feature's view should be, and whether it is.
 *
 * src/read/view_query.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "read/read.h"

static bool remove_load(Query *query);
static char *canonical(const char *query);
static bool same_columns(Relation view, Relation rel);

/*
 * The query of a view: all columns, latest rows of the current version; what
 * mx_view_load gives is to be added when the view is created.
 */
char *
mx_view_query(const MxFeature *feature, MxLatest which)
{
	char	   *ref = mx_table_ref(feature, NULL);
	List	   *columns = mx_table_columns(feature->relid);
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, columns)
	{
		appendStringInfoString(&sql, foreach_current_index(lc) > 0 ?
							   ", " : "SELECT ");
		mx_append_column(&sql, ref, lfirst(lc));
	}
	mx_append_latest(&sql, feature, NULL,
					 feature->version ?
					 quote_literal_cstr(feature->version) : NULL,
					 false, which);
	return sql.data;
}

/*
 * A condition of a view that is always true and loads our library, see
 * metaxy_load; or nothing: for a foreign table, of which there is nothing to be
 * scanned, and where the owner, who makes the view, may not use our schema.
 */
const char *
mx_view_load(const MxFeature *feature)
{
	Relation	rel = relation_open(feature->relid, AccessShareLock);
	bool		usage = mx_may_use_schema(rel->rd_rel->relowner,
										  mx_schema_oid(), "USAGE");
	bool		foreign = rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE;

	relation_close(rel, AccessShareLock);
	return foreign || !usage ? "" :
		psprintf(" AND %s.metaxy_load()", mx_schema());
}

/*
 * Takes that condition out of a view's query; returns whether it was there.
 */
static bool
remove_load(Query *query)
{
	Oid			load = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
									   CStringGetDatum("metaxy_load"),
									   PointerGetDatum(buildoidvector(NULL, 0)),
									   ObjectIdGetDatum(mx_schema_oid()));
	BoolExpr   *quals = (BoolExpr *) query->jointree->quals;
	FuncExpr   *last;

	if (quals == NULL || !IsA(quals, BoolExpr) || quals->boolop != AND_EXPR)
		return false;
	last = llast(quals->args);
	if (!IsA(last, FuncExpr) || last->funcid != load)
		return false;
	quals->args = list_delete_last(quals->args);
	if (list_length(quals->args) == 1)
		query->jointree->quals = linitial(quals->args);
	return true;
}

/*
 * What must be done to make an existing view what "query" and "load" say.
 *
 * The definitions themselves are compared, so whatever has become of the view
 * since it was created, by a rename or by hand, is seen.
 */
MxViewAction
mx_view_compare(Oid view, Relation rel, const char *query, const char *load)
{
	Relation	viewrel = relation_open(view, AccessShareLock);
	Query	   *tree = copyObject(get_view_query(viewrel));
	bool		loads = remove_load(tree);
	MxViewAction action = MX_VIEW_REPLACE;
	char	   *actual;

	/* not by pg_get_viewdef: its own query finds operators by search_path */
	actual = pg_get_querydef(tree, false);

	if (!same_columns(viewrel, rel))
		action = MX_VIEW_CREATE;
	else if (RelationHasSecurityInvoker(viewrel) &&
			 (loads || *load == '\0') &&
			 strcmp(canonical(query), canonical(actual)) == 0)
		action = MX_VIEW_KEEP;
	relation_close(viewrel, AccessShareLock);
	return action;
}

/*
 * Is it the very view that we would create, and the table's owner's?
 */
bool
mx_view_is_ours(Oid view, const MxFeature *feature, MxLatest which)
{
	Relation	rel;
	Relation	viewrel;
	bool		ours;

	if (get_rel_relkind(view) != RELKIND_VIEW)
		return false;
	rel = table_open(feature->relid, AccessShareLock);
	viewrel = relation_open(view, AccessShareLock);
	ours = viewrel->rd_rel->relowner == rel->rd_rel->relowner &&
		mx_view_compare(view, rel, mx_view_query(feature, which),
						mx_view_load(feature)) == MX_VIEW_KEEP;
	relation_close(viewrel, AccessShareLock);
	table_close(rel, NoLock);
	return ours;
}

/*
 * Makes a view depend on the extension, so that DROP EXTENSION ... CASCADE
 * takes it along; returns false if it does already.
 *
 * pg_dump knows no such dependency, so it can be missing for a view that is
 * otherwise as it should be.
 */
bool
mx_view_bind(Oid view)
{
	MxQuery    *query = mx_query_new();
	Oid			extension = get_extension_oid("metaxy", false);
	ObjectAddress depender;
	ObjectAddress referenced;

	mx_query_value(query, OIDOID, ObjectIdGetDatum(view), false);
	mx_query_value(query, OIDOID, ObjectIdGetDatum(extension), false);
	appendStringInfo(mx_query_sql(query),
					 "SELECT FROM pg_catalog.pg_depend"
					 " WHERE classid OPERATOR(pg_catalog.=) %u"
					 " AND objid OPERATOR(pg_catalog.=) $1"
					 " AND objsubid OPERATOR(pg_catalog.=) 0"
					 " AND refclassid OPERATOR(pg_catalog.=) %u"
					 " AND refobjid OPERATOR(pg_catalog.=) $2",
					 RelationRelationId, ExtensionRelationId);
	if (mx_query_run(query, MX_WRITE, NULL) > 0)
		return false;

	ObjectAddressSet(depender, RelationRelationId, view);
	ObjectAddressSet(referenced, ExtensionRelationId, extension);
	recordDependencyOn(&depender, &referenced, DEPENDENCY_NORMAL);
	return true;
}

/*
 * A query as the server itself would write it.  It is parsed for that, not
 * planned, let alone run.
 */
static char *
canonical(const char *query)
{
	RawStmt    *raw = linitial_node(RawStmt,
									raw_parser(query, RAW_PARSE_DEFAULT));

	return pg_get_querydef(parse_analyze_fixedparams(raw, query, NULL, 0, NULL),
						   false);
}

/*
 * Are the view's columns the table's first ones?  Then it can be replaced.
 */
static bool
same_columns(Relation view, Relation rel)
{
	TupleDesc	have = RelationGetDescr(view);
	TupleDesc	want = RelationGetDescr(rel);
	int			at = 0;

	for (int i = 0; i < want->natts && at < have->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(want, i);
		Form_pg_attribute b = TupleDescAttr(have, at);

		if (a->attisdropped)
			continue;
		if (strcmp(NameStr(a->attname), NameStr(b->attname)) != 0 ||
			a->atttypid != b->atttypid || a->atttypmod != b->atttypmod ||
			a->attcollation != b->attcollation)
			return false;
		at++;
	}
	return at == have->natts;
}
