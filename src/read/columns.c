/*-------------------------------------------------------------------------
 *
 * columns.c
 *		Columns of a feature table: which there are, which a tombstone copies.
 *
 * src/read/columns.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_index.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/fmgroids.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "read/read.h"

static bool takes_nextval(Relation rel, AttrNumber attnum);
static bool calls_nextval(Node *node, void *context);
static bool alone_in_unique_index(Relation rel, AttrNumber attnum);

/*
 * Names of a table's columns, in the table's order.
 */
List *
mx_table_columns(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *names = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped)
			names = lappend(names, pstrdup(NameStr(attribute->attname)));
	}
	table_close(rel, NoLock);
	return names;
}

/*
 * Names of those columns that a tombstone takes over from the row it hides.
 */
List *
mx_copied_columns(Relation rel, List *id_columns)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *names = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && mx_is_copied(rel, i + 1, id_columns))
			names = lappend(names, pstrdup(NameStr(attribute->attname)));
	}
	return names;
}

/*
 * Can a second row of a sample have the same value in this column?  Not in a
 * generated one, nor in an identity that is no id, nor where nextval gives
 * values that a unique index wants to be new.
 */
bool
mx_is_copied(Relation rel, AttrNumber attnum, List *id_columns)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel),
												attnum - 1);

	if (attribute->attgenerated != '\0')
		return false;
	if (mx_names_member(id_columns, NameStr(attribute->attname)))
		return true;
	if (attribute->attidentity != '\0')
		return false;
	return !(takes_nextval(rel, attnum) && alone_in_unique_index(rel, attnum));
}

static bool
takes_nextval(Relation rel, AttrNumber attnum)
{
	if (!TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atthasdef)
		return false;
	return calls_nextval(build_column_default(rel, attnum), NULL);
}

static bool
calls_nextval(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_NEXTVAL)
		return true;
	if (IsA(node, NextValueExpr))
		return true;
	return expression_tree_walker(node, calls_nextval, context);
}

static bool
alone_in_unique_index(Relation rel, AttrNumber attnum)
{
	List	   *indexes = RelationGetIndexList(rel);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", lfirst_oid(lc));
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisunique && index->indnkeyatts == 1 &&
			index->indkey.values[0] == attnum)
			found = true;
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	return found;
}
