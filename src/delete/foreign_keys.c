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
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "delete/delete.h"

/* a table or partition, and the step that it belongs to */
typedef struct Member
{
	Oid			relid;
	int			step;
} Member;

static int	list_members(const MxDelete *delete, Member **members);
static int	compare_members(const void *a, const void *b);

/*
 * Pairs of steps: rows of first[i]'s table reference rows of second[i]'s, so
 * they must go before them.  Keys of single partitions, and to them, count
 * too.  A table that references itself makes no pair: one DELETE removes its
 * rows together.  Returns their number.
 */
int
mx_foreign_keys(const MxDelete *delete, int **first, int **second)
{
	Member	   *members;
	int			nmembers = list_members(delete, &members);
	int			npairs = 0;
	int			size = 8;

	*first = palloc(sizeof(int) * size);
	*second = palloc(sizeof(int) * size);
	for (int i = 0; i < nmembers; i++)
	{
		Relation	rel = table_open(members[i].relid, NoLock);
		ListCell   *lc;

		foreach(lc, RelationGetFKeyList(rel))
		{
			ForeignKeyCacheInfo *key = lfirst(lc);
			Member		wanted = {.relid = key->confrelid};
			Member	   *referenced = bsearch(&wanted, members, nmembers,
											 sizeof(Member), compare_members);

			if (referenced == NULL || referenced->step == members[i].step ||
				!mx_enforced(key))
				continue;
			if (npairs == size)
			{
				size *= 2;
				*first = repalloc(*first, sizeof(int) * size);
				*second = repalloc(*second, sizeof(int) * size);
			}
			(*first)[npairs] = members[i].step;
			(*second)[npairs++] = referenced->step;
		}
		table_close(rel, NoLock);
	}
	return npairs;
}

/*
 * The tables of all steps with their partitions, by OID.  Takes ACCESS SHARE
 * on the partitions.
 */
static int
list_members(const MxDelete *delete, Member **members)
{
	const MxPlan *plan = delete->plan;
	int			nmembers = 0;
	int			size = Max(plan->nsteps, 8);

	*members = palloc(sizeof(Member) * size);
	for (int i = 0; i < plan->nsteps; i++)
	{
		Oid			relid = delete->registry->features[plan->steps[i].feature].relid;
		List	   *relids;
		ListCell   *lc;

		if (!OidIsValid(relid))
			continue;
		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			relids = find_all_inheritors(relid, AccessShareLock, NULL);
		else
			relids = list_make1_oid(relid);
		foreach(lc, relids)
		{
			if (nmembers == size)
			{
				size *= 2;
				*members = repalloc(*members, sizeof(Member) * size);
			}
			(*members)[nmembers].relid = lfirst_oid(lc);
			(*members)[nmembers++].step = i;
		}
		list_free(relids);
	}
	qsort(*members, nmembers, sizeof(Member), compare_members);
	return nmembers;
}

static int
compare_members(const void *a, const void *b)
{
	Oid			one = ((const Member *) a)->relid;
	Oid			two = ((const Member *) b)->relid;

	return one < two ? -1 : one > two ? 1 : 0;
}
