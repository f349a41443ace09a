/*-------------------------------------------------------------------------
 *
 * compat.h
 *		All differences between the server's major versions.
 *
 * src/base/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_COMPAT_H
#define MX_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "metaxy needs PostgreSQL 15 or later"
#endif

/* the module's magic block names it from PostgreSQL 18 on */
#ifdef PG_MODULE_MAGIC_EXT
#define MX_MODULE_MAGIC() PG_MODULE_MAGIC_EXT(.name = "metaxy", .version = MX_VERSION)
#else
#define MX_MODULE_MAGIC() PG_MODULE_MAGIC
#endif

/* PostgreSQL 16 merged the ownership checks of each object kind into one */
#if PG_VERSION_NUM >= 160000
#define mx_owns_relation(relid, role) \
	object_ownercheck(RelationRelationId, relid, role)
#else
#define mx_owns_relation(relid, role) pg_class_ownercheck(relid, role)
#endif

/* PostgreSQL 16 renamed what says where a relation's file is */
#if PG_VERSION_NUM >= 160000
#define mx_locator(rel) ((rel)->rd_locator)
#define mx_xl_locator locator
#else
#define mx_locator(rel) ((rel)->rd_node)
#define mx_xl_locator node
#endif

/* PostgreSQL 18 has foreign keys that are NOT ENFORCED */
#if PG_VERSION_NUM >= 180000
#define mx_enforced(foreign_key) ((foreign_key)->conenforced)
#else
#define mx_enforced(foreign_key) true
#endif

/* PostgreSQL 18 has pg_noreturn instead, which goes before the declaration */
#ifndef pg_attribute_noreturn
#define pg_attribute_noreturn()
#endif

/* PostgreSQL 18 names what a row comparison asks for apart from strategies */
#if PG_VERSION_NUM >= 180000
#define mx_compares_greater(compare) ((compare)->cmptype == COMPARE_GT)
#else
#define mx_compares_greater(compare) ((compare)->rctype == ROWCOMPARE_GT)
#endif

/* PostgreSQL 18 has NOT NULL constraints that old rows need not meet */
#if PG_VERSION_NUM >= 180000
#define mx_never_null(desc, attnum) \
	(TupleDescCompactAttr(desc, (attnum) - 1)->attnullability == \
	 ATTNULLABLE_VALID)
#else
#define mx_never_null(desc, attnum) \
	(TupleDescAttr(desc, (attnum) - 1)->attnotnull)
#endif

/*
 * PostgreSQL 16 wants to know the table where an index may be written to, and
 * PostgreSQL 17 has no snapshots that are too old
 */
#if PG_VERSION_NUM >= 170000
#define mx_bt_search(index, key, buffer, snapshot) \
	_bt_search(index, NULL, key, buffer, BT_READ)
#define mx_test_for_old_snapshot(snapshot, rel, page) ((void) 0)
#elif PG_VERSION_NUM >= 160000
#define mx_bt_search(index, key, buffer, snapshot) \
	_bt_search(index, NULL, key, buffer, BT_READ, snapshot)
#define mx_test_for_old_snapshot(snapshot, rel, page) \
	TestForOldSnapshot(snapshot, rel, page)
#else
#define mx_bt_search(index, key, buffer, snapshot) \
	_bt_search(index, key, buffer, BT_READ, snapshot)
#define mx_test_for_old_snapshot(snapshot, rel, page) \
	TestForOldSnapshot(snapshot, rel, page)
#endif

/* PostgreSQL 16 asks a path for the clauses that it has seen to */
#if PG_VERSION_NUM >= 160000
#define mx_set_clause_serials(param_info, path) \
	((param_info)->ppi_serials = get_param_path_clause_serials(path))
#else
#define mx_set_clause_serials(param_info, path) ((void) 0)
#endif

/* PostgreSQL 18 counts what is disabled, instead of adding to the costs */
#if PG_VERSION_NUM >= 180000
#define mx_disabled_nodes(path) ((path)->disabled_nodes)
#define mx_set_disabled_nodes(path, n) ((path)->disabled_nodes = (n))
#else
#define mx_disabled_nodes(path) 0
#define mx_set_disabled_nodes(path, n) ((void) 0)
#endif

/* PostgreSQL 18 has EXPLAIN's state and its output in headers of their own */
#if PG_VERSION_NUM >= 180000
#define MX_EXPLAIN_HEADER "commands/explain_format.h"
#define MX_EXPLAIN_STATE_HEADER "commands/explain_state.h"
#else
#define MX_EXPLAIN_HEADER "commands/explain.h"
#define MX_EXPLAIN_STATE_HEADER "commands/explain.h"
#endif

#endif							/* MX_COMPAT_H */
