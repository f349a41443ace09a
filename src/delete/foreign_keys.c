/*-------------------------------------------------------------------------
 *
 * foreign_keys.c
 *		Foreign keys between the tables of a delete: referencing rows go first.
 *
 * src/delete/foreign_keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "delete/delete.h"

static int	step_of_table(const MxDelete *delete, Oid relid);

/*
 * Pairs of steps: rows of first[i]'s table reference rows of second[i]'s, so
 * they must go before them.  A table that references itself makes no pair:
 * one DELETE removes its rows together.  Returns their number.
 */
int
mx_foreign_keys(const MxDelete *delete, int **first, int **second)
{
	const MxPlan *plan = delete->plan;
	int			npairs = 0;
	int			size = 8;

	*first = palloc(sizeof(int) * size);
	*second = palloc(sizeof(int) * size);
	for (int i = 0; i < plan->nsteps; i++)
	{
		Oid			relid = delete->registry->features[plan->steps[i].feature].relid;
		Relation	rel;
		ListCell   *lc;

		if (!OidIsValid(relid))
			continue;
		rel = table_open(relid, NoLock);
		foreach(lc, RelationGetFKeyList(rel))
		{
			ForeignKeyCacheInfo *key = lfirst(lc);
			int			referenced = step_of_table(delete, key->confrelid);

			if (referenced < 0 || referenced == i)
				continue;
			if (npairs == size)
			{
				size *= 2;
				*first = repalloc(*first, sizeof(int) * size);
				*second = repalloc(*second, sizeof(int) * size);
			}
			(*first)[npairs] = i;
			(*second)[npairs++] = referenced;
		}
		table_close(rel, NoLock);
	}
	return npairs;
}

static int
step_of_table(const MxDelete *delete, Oid relid)
{
	const MxPlan *plan = delete->plan;

	for (int i = 0; i < plan->nsteps; i++)
	{
		if (delete->registry->features[plan->steps[i].feature].relid == relid)
			return i;
	}
	return -1;
}
