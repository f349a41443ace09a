/*-------------------------------------------------------------------------
 *
 * ready.c
 *		Makes a table ready to hold a feature: columns, NOT NULL, index, trigger.
 *
 * All of it is done by ordinary statements, as the caller, and nothing is
 * done that is done already: the second time no lock is taken that would
 * hold up anybody.
 *
 * src/registry/ready.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "write/write.h"

/* what a table still lacks */
typedef struct Lacks
{
	List	   *columns;		/* required ones to be added, by name */
	List	   *not_null;		/* columns to be marked NOT NULL */
	bool		index;			/* the supporting index */
	bool		trigger;		/* that stamps rows */
	bool		empty;			/* it has no rows */
} Lacks;

static void find_lacks(Relation rel, const MxRegistration *registration,
					   Lacks *lacks);
static void find_lack(Relation rel, const char *name, bool not_null,
					  Lacks *lacks);
static bool has_index(Relation rel, const MxRegistration *registration);
static bool index_serves(Relation rel, Relation index, List *columns);
static bool key_is_plain(Relation rel, Relation index, int key);
static bool is_recency(Relation rel, Node *expression);
static bool is_empty(Relation rel);
static void alter_table(Oid relid, const MxRegistration *registration,
						const Lacks *lacks);
static void create_index(Oid relid, const MxRegistration *registration);

/*
 * The lock that mx_ready_table needs on the table: the strongest only where a
 * column must be added or marked NOT NULL.
 *
 * Looks without keeping a lock, so that the one it names can be taken first
 * and not on top of a weaker one; then the caller must look again.
 */
LOCKMODE
mx_ready_lock(Oid relid, const MxRegistration *registration)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	LOCKMODE	lock = AccessShareLock;
	Lacks		lacks;

	if (rel == NULL)
		return lock;
	find_lacks(rel, registration, &lacks);
	if (lacks.columns != NIL || lacks.not_null != NIL)
		lock = AccessExclusiveLock;
	else if (lacks.index || lacks.trigger)
		lock = ShareRowExclusiveLock;
	relation_close(rel, AccessShareLock);
	return lock;
}

/*
 * Gives the table what it lacks; returns false if it lacked nothing.
 *
 * The table has passed mx_check_table and mx_check_rows, and the caller holds
 * the lock that mx_ready_lock names.
 */
bool
mx_ready_table(Oid relid, const MxRegistration *registration)
{
	Relation	rel = table_open(relid, NoLock);
	Lacks		lacks;

	find_lacks(rel, registration, &lacks);
	lacks.empty = lacks.columns != NIL && is_empty(rel);
	table_close(rel, NoLock);

	if (lacks.columns != NIL || lacks.not_null != NIL)
		alter_table(relid, registration, &lacks);
	if (lacks.index)
		create_index(relid, registration);
	if (lacks.trigger)
		mx_stamp_create(relid);
	return lacks.columns != NIL || lacks.not_null != NIL || lacks.index ||
		lacks.trigger;
}

/*
 * A foreign table is taken as it is.
 */
static void
find_lacks(Relation rel, const MxRegistration *registration, Lacks *lacks)
{
	ListCell   *lc;

	memset(lacks, 0, sizeof(Lacks));
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;

	foreach(lc, registration->id_columns)
	{
		Form_pg_attribute attr = mx_find_column(rel, lfirst(lc));

		if (attr != NULL && !attr->attnotnull)
			lacks->not_null = lappend(lacks->not_null, lfirst(lc));
	}
	find_lack(rel, MX_CREATED_AT, true, lacks);
	find_lack(rel, MX_UPDATED_AT, true, lacks);
	find_lack(rel, MX_DELETED_AT, false, lacks);
	if (registration->version != NULL)
		find_lack(rel, MX_FEATURE_VERSION, true, lacks);
	lacks->index = registration->indexes && !has_index(rel, registration);
	lacks->trigger = !mx_has_stamp(rel);
}

static void
find_lack(Relation rel, const char *name, bool not_null, Lacks *lacks)
{
	Form_pg_attribute attr = mx_find_column(rel, name);

	if (attr == NULL)
		lacks->columns = lappend(lacks->columns, pstrdup(name));
	else if (not_null && !attr->attnotnull)
		lacks->not_null = lappend(lacks->not_null, pstrdup(name));
}

/*
 * Is there a valid index that serves as well as the one we would create?
 */
static bool
has_index(Relation rel, const MxRegistration *registration)
{
	List	   *columns = list_copy(registration->id_columns);
	List	   *indexes = RelationGetIndexList(rel);
	bool		found = false;
	ListCell   *lc;

	if (registration->version != NULL)
		columns = lappend(columns, MX_FEATURE_VERSION);
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		found = found || index_serves(rel, index, columns);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	list_free(columns);
	return found;
}

/*
 * The columns first, in any order, since a query compares each of them with
 * one value; then the recency.  More keys may follow.
 */
static bool
index_serves(Relation rel, Relation index, List *columns)
{
	Form_pg_index form = index->rd_index;
	int			ncolumns = list_length(columns);
	List	   *found = NIL;

	if (index->rd_rel->relam != BTREE_AM_OID ||
		!form->indisvalid || !form->indislive ||
		form->indnkeyatts <= ncolumns ||
		RelationGetIndexPredicate(index) != NIL)
		return false;

	for (int key = 0; key < ncolumns; key++)
	{
		char	   *name;

		if (!key_is_plain(rel, index, key))
			return false;
		name = get_attname(RelationGetRelid(rel), form->indkey.values[key],
						   false);
		if (!mx_names_member(columns, name) || mx_names_member(found, name))
			return false;
		found = lappend(found, name);
	}
	return form->indkey.values[ncolumns] == 0 &&
		is_recency(rel, linitial(RelationGetIndexExpressions(index)));
}

/*
 * A column as it is compared by default: its type's own operator class and
 * its own collation.
 */
static bool
key_is_plain(Relation rel, Relation index, int key)
{
	AttrNumber	attnum = index->rd_index->indkey.values[key];
	Form_pg_attribute attr;
	HeapTuple	tuple;
	oidvector  *opclasses;
	bool		isnull;
	bool		plain;

	if (attnum <= 0)
		return false;
	attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	tuple = SearchSysCache1(INDEXRELID,
							ObjectIdGetDatum(RelationGetRelid(index)));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u",
			 RelationGetRelid(index));
	opclasses = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indclass, &isnull));
	plain = opclasses->values[key] ==
		GetDefaultOpClass(attr->atttypid, BTREE_AM_OID) &&
		index->rd_indcollation[key] == attr->attcollation;
	ReleaseSysCache(tuple);
	return plain;
}

/*
 * Is it what mx_append_recency writes?
 */
static bool
is_recency(Relation rel, Node *expression)
{
	const char *const names[] = {MX_DELETED_AT, MX_UPDATED_AT};
	List	   *args;

	if (!IsA(expression, CoalesceExpr))
		return false;
	args = ((CoalesceExpr *) expression)->args;
	if (list_length(args) != lengthof(names))
		return false;
	for (int i = 0; i < lengthof(names); i++)
	{
		Var		   *var = list_nth(args, i);
		Form_pg_attribute attr = mx_find_column(rel, names[i]);

		if (attr == NULL || !IsA(var, Var) || var->varattno != attr->attnum)
			return false;
	}
	return true;
}

/*
 * Is it a table that never had a page?  Of a partitioned one this is not known.
 */
static bool
is_empty(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		RelationGetNumberOfBlocks(rel) == 0;
}

/*
 * Existing rows share one constant in each new column, and so need not be
 * rewritten; the default that does it is gone afterwards.  But such a constant
 * keeps plans from passing on the table's rows as they are, so where there are no
 * rows, there is no default.
 */
static void
alter_table(Oid relid, const MxRegistration *registration, const Lacks *lacks)
{
	char	   *table = mx_relation_name(relid);
	StringInfoData actions;
	StringInfoData no_defaults;
	ListCell   *lc;

	initStringInfo(&actions);
	initStringInfo(&no_defaults);
	foreach(lc, lacks->columns)
	{
		const char *name = lfirst(lc);

		appendStringInfo(&actions, ", ADD COLUMN %s pg_catalog.%s", name,
						 strcmp(name, MX_FEATURE_VERSION) == 0 ?
						 "text" : "timestamptz");
		if (strcmp(name, MX_DELETED_AT) == 0)
			continue;
		appendStringInfoString(&actions, " NOT NULL");
		if (lacks->empty)
			continue;
		appendStringInfo(&actions, " DEFAULT %s",
						 strcmp(name, MX_FEATURE_VERSION) == 0 ?
						 quote_literal_cstr(registration->version) :
						 "pg_catalog.transaction_timestamp()");
		appendStringInfo(&no_defaults, ", ALTER COLUMN %s DROP DEFAULT", name);
	}
	foreach(lc, lacks->not_null)
		appendStringInfo(&actions, ", ALTER COLUMN %s SET NOT NULL",
						 quote_identifier(lfirst(lc)));

	/* each text begins with a comma and a blank */
	mx_utility("ALTER TABLE %s %s", table, actions.data + 2);
	if (no_defaults.len > 0)
		mx_utility("ALTER TABLE %s %s", table, no_defaults.data + 2);
}

/*
 * The server chooses the name, one that is free and not too long.
 *
 * The last key lets the latest scan know a tombstone without a look at the
 * row; an index without it, as earlier ones are, serves all the same.
 */
static void
create_index(Oid relid, const MxRegistration *registration)
{
	StringInfoData keys;
	ListCell   *lc;

	initStringInfo(&keys);
	if (registration->version != NULL)
		appendStringInfoString(&keys, MX_FEATURE_VERSION ", ");
	foreach(lc, registration->id_columns)
		appendStringInfo(&keys, "%s, ", quote_identifier(lfirst(lc)));
	appendStringInfoChar(&keys, '(');
	mx_append_recency(&keys, NULL);
	appendStringInfoString(&keys, "), (" MX_DELETED_AT " IS NOT NULL)");
	mx_utility("CREATE INDEX ON %s USING btree (%s)",
			   mx_relation_name(relid), keys.data);
}
