/*-------------------------------------------------------------------------
 *
 * target.c
 *		Which feature a table belongs to, remembered by the session.
 *
 * Whatever changes a feature in the registry sends an invalidation of its
 * table, so what is remembered is as good as the server's own caches.  That a
 * table holds no feature is not remembered at all: a restore fills the
 * registry without us.
 *
 * src/write/target.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "write/write.h"

static HTAB *targets = NULL;	/* of MxTarget, by relid; strings beside it */

static void create_targets(void);
static void load_target(MxTarget *target);
static void at_invalidation(Datum arg, Oid relid);

/*
 * What rows of a table are for.  The registry is read by its owner: who may
 * write to the table need not know of the extension.
 */
const MxTarget *
mx_target(Oid relid)
{
	MxTarget   *target;
	bool		found;

	if (targets == NULL)
		create_targets();
	target = hash_search(targets, &relid, HASH_ENTER, &found);
	if (!found)
	{
		target->valid = false;
		target->table = InvalidOid;
		target->version = NULL;
	}
	if (!target->valid || !OidIsValid(target->table))
		load_target(target);
	return target;
}

static void
create_targets(void)
{
	HASHCTL		control = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(MxTarget),
		.hcxt = CacheMemoryContext
	};

	targets = hash_create("metaxy targets", 32, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(at_invalidation, (Datum) 0);
}

/*
 * The table itself, or the nearest one that it is a partition of.
 *
 * The entry is marked valid beforehand, so that an invalidation that arrives
 * while the registry is read is not lost.  It has no table yet, which counts
 * as invalid too, should there be an error.
 */
static void
load_target(MxTarget *target)
{
	MxFeature  *feature;
	Oid			table = target->relid;

	if (target->version != NULL)
		pfree(target->version);
	target->version = NULL;
	target->table = InvalidOid;
	target->valid = true;

	SPI_connect();
	feature = mx_feature_of_table(table);
	if (feature == NULL && get_rel_relispartition(table))
	{
		List	   *ancestors = get_partition_ancestors(table);
		ListCell   *lc;

		foreach(lc, ancestors)
		{
			table = lfirst_oid(lc);
			feature = mx_feature_of_table(table);
			if (feature != NULL)
				break;
		}
	}
	if (feature != NULL)
	{
		target->table = table;
		if (feature->version != NULL)
			target->version = MemoryContextStrdup(CacheMemoryContext,
												  feature->version);
	}
	SPI_finish();
}

/*
 * A relation was changed, or (InvalidOid) any may have been.
 */
static void
at_invalidation(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	MxTarget   *target;

	hash_seq_init(&scan, targets);
	while ((target = hash_seq_search(&scan)) != NULL)
	{
		if (!OidIsValid(relid) || target->relid == relid ||
			target->table == relid)
			target->valid = false;
	}
}
