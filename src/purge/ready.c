/*-------------------------------------------------------------------------
 *
 * ready.c
 *		Whether a purge may go on: asked anew in each of its transactions.
 *
 * src/purge/ready.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "purge/purge.h"

static MxFeature *lock_feature(const MxPurge *purge);
static void lock_out_others(const MxPurge *purge, const MxFeature *feature);
static void check_feature(const MxPurge *purge, const MxFeature *feature);
static void check_rights(const MxPurge *purge, Oid relid);
static uint64 storage_of(Oid relid, LOCKMODE lock);

/*
 * Locks the feature's table and looks whether all is in order, which each
 * transaction of a purge does anew.  Returns false where what was found before
 * no longer counts: the feature was changed, or the table written anew, so that
 * the places of rows mean others.
 */
bool
mx_purge_prepare(MxPurge *purge)
{
	MxFeature  *feature = lock_feature(purge);
	LOCKMODE	lock = purge->dry_run ? AccessShareLock : RowExclusiveLock;
	uint64		storage;

	if (purge->found)
	{
		lock_out_others(purge, feature);
		feature = mx_feature_require(purge->key);
	}
	if (purge->feature != NULL && purge->feature->relid != feature->relid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feature \"%s\" was given another table while it was purged",
						purge->key)));
	check_feature(purge, feature);
	storage = storage_of(feature->relid, lock);
	if (purge->found && purge->storage == storage &&
		mx_feature_same(purge->feature, feature))
		return true;
	purge->feature = mx_feature_copy(feature, purge->context);
	purge->storage = storage;
	return false;
}

/*
 * The feature, its table locked.  It is asked for again under the lock, for it
 * may have been given another table just before.
 */
static MxFeature *
lock_feature(const MxPurge *purge)
{
	LOCKMODE	lock = purge->dry_run ? AccessShareLock : RowExclusiveLock;
	Oid			locked = InvalidOid;

	for (;;)
	{
		MxFeature  *feature = mx_feature_require(purge->key);

		if (!OidIsValid(feature->relid) ||
			!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(feature->relid)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("feature \"%s\" has no table", feature->key),
					 errhint("Create the table, then call metaxy_register() or metaxy_sync().")));
		if (feature->relid == locked)
			return feature;
		mx_require_select(feature->relid);
		LockRelationOid(feature->relid, lock);
		locked = feature->relid;
	}
}

/*
 * Keeps deletes and other purges of the feature out while a batch is removed,
 * so that none of them misses a row that it has found, and the feature from
 * being changed, so that the views show the same version until the end of it.
 */
static void
lock_out_others(const MxPurge *purge, const MxFeature *feature)
{
	MxQuery    *query = mx_query_new();
	LOCKTAG		tag;

	mx_feature_locktag(&tag, feature->relid);
	(void) LockAcquire(&tag, MX_DELETE_LOCK, false, false);
	mx_query_text(query, purge->key);
	appendStringInfo(mx_query_sql(query),
					 "SELECT FROM %s." MX_TABLE_FEATURE
					 " WHERE feature OPERATOR(pg_catalog.=) $1 FOR SHARE",
					 mx_schema());
	mx_query_run(query, MX_OWNER, NULL);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Is the table what it was when it was registered, and may the caller do this
 * to it?
 */
static void
check_feature(const MxPurge *purge, const MxFeature *feature)
{
	Relation	rel = table_open(feature->relid, NoLock);

	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot purge foreign table \"%s\"",
						RelationGetRelationName(rel))));
	mx_check_columns(feature, rel);
	check_rights(purge, feature->relid);
	if (mx_has_rule(rel, CMD_DELETE))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot delete from relation \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("It has a rule ON %s.", "DELETE"),
				 errhint("Drop the rule, or use a trigger instead.")));
	table_close(rel, NoLock);
}

/*
 * What the caller must be allowed to; a dry run says what he would lack.
 */
static void
check_rights(const MxPurge *purge, Oid relid)
{
	AclMode		needed = purge->dry_run ? ACL_SELECT : ACL_SELECT | ACL_DELETE;

	if (pg_class_aclmask(relid, GetUserId(), needed, ACLMASK_ALL) != needed)
		aclcheck_error(ACLCHECK_NO_PRIV,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
	if (mx_rls_applies(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security on relation \"%s\" would make this purge partial",
						get_rel_name(relid)),
				 errhint("Only a role that row-level security does not apply to can purge here.")));
	if (purge->dry_run &&
		pg_class_aclcheck(relid, GetUserId(), ACL_DELETE) != ACLCHECK_OK)
		ereport(NOTICE,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the purge itself would need the %s privilege on relation \"%s\"",
						"DELETE", get_rel_name(relid))));
}

/*
 * Which files the table and its partitions are stored in: others once it was
 * rewritten, and then rows have moved.  The lock keeps that from happening.
 */
static uint64
storage_of(Oid relid, LOCKMODE lock)
{
	uint64		storage = 0;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, lock, NULL))
	{
		HeapTuple	tuple = SearchSysCache1(RELOID,
											ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for relation %u", lfirst_oid(lc));
		storage = hash_combine64(storage, lfirst_oid(lc));
		storage = hash_combine64(storage,
								 ((Form_pg_class) GETSTRUCT(tuple))->relfilenode);
		ReleaseSysCache(tuple);
	}
	return storage;
}
