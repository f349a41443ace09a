/*-------------------------------------------------------------------------
 *
 * write.c
 *		What writing tombstones and removing rows have in common: whole or
 *		nothing.
 *
 * src/delete/write.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/lsyscache.h"

#include "delete/delete.h"

/*
 * The table of a step, locked since before it was looked at.  A trigger on
 * the table of a step before this one runs in our own transaction, though,
 * and no lock keeps that from changing or dropping it.
 */
Relation
mx_open_for_write(const MxFeature *feature)
{
	Relation	rel = try_table_open(feature->relid, NoLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("table of feature \"%s\" was dropped while it was deleted from",
						feature->key)));
	return rel;
}

/*
 * Fewer rows than planned: a trigger, a rule or a policy swallowed some.
 */
void
mx_require_count(const MxDelete *delete, const MxFeature *feature,
				 uint64 done, int64 planned)
{
	if (done == (uint64) planned)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 delete->request->restores ?
			 errmsg("could not restore all rows to relation \"%s\"",
					get_rel_name(feature->relid)) :
			 delete->request->soft ?
			 errmsg("could not write all tombstones to relation \"%s\"",
					get_rel_name(feature->relid)) :
			 errmsg("could not delete all rows from relation \"%s\"",
					get_rel_name(feature->relid)),
			 errdetail("Rows planned: %lld, done: %llu.",
					   (long long) planned, (unsigned long long) done),
			 errhint("A trigger, a rule or another session may have changed or swallowed some.")));
}
