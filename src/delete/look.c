/*-------------------------------------------------------------------------
 *
 * look.c
 *		Which samples and rows a delete is about, as of one instant.
 *
 *		A dry run looks once, under its own snapshot.  A real run takes its turn
 *		among writers first, and looks again where that has to be compared with
 *		what it started from.
 *
 * src/delete/look.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "delete/delete.h"

static void look_under(MxDelete *delete, Snapshot snapshot);
static void look_in_turn(MxDelete *delete);
static void require_same(const MxDelete *delete, const char *before);
static char *make_digest(const MxDelete *delete);
static TimestampTz newest_doomed(const MxDelete *delete);

/*
 * Finds everything, and sets the digest and the stamp.  Leaves the snapshot
 * that it was found under active, so that no row's place is given to another
 * one before it is written to; the caller pops it.
 */
void
mx_look(MxDelete *delete)
{
	if (delete->request->dry_run)
	{
		CommandCounterIncrement();
		look_under(delete, GetTransactionSnapshot());
		return;
	}

	mx_turn_begin(delete->turn, mx_step_tables(delete), NULL, 0);
	look_in_turn(delete);
	while (delete->request->soft &&
		   newest_doomed(delete) >= delete->turn->stamp)
	{
		/* rows that our trigger has not stamped */
		PopActiveSnapshot();
		mx_look_end(delete->plan);
		mx_turn_again(delete->turn, newest_doomed(delete) + 1);
		look_in_turn(delete);
	}
	delete->stamp = delete->turn->stamp;
}

/*
 * Tells which step is looked for.
 */
void
mx_look_progress(const MxDelete *delete, int step)
{
	int			feature = delete->plan->steps[step].feature;

	mx_tell_progress("feature %d of %d: looking through \"%s\"", step + 1,
					 delete->plan->nsteps,
					 delete->registry->features[feature].key);
}

/*
 * Gives back what was found, but for the figures.  After an error the
 * transaction does it.
 */
void
mx_look_end(MxPlan *plan)
{
	for (int i = 0; i < plan->nsteps; i++)
	{
		MxStep	   *step = &plan->steps[i];

		if (step->rows != NULL && step->rows != step->doomed)
			mx_store_end(step->rows);
		if (step->doomed != NULL)
			mx_store_end(step->doomed);
		if (step->seeds != NULL)
			mx_store_end(step->seeds);
		step->rows = step->doomed = step->seeds = NULL;
	}
}

/*
 * Under one snapshot, which stays active.
 */
static void
look_under(MxDelete *delete, Snapshot snapshot)
{
	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		MxStep	   *step = &delete->plan->steps[i];

		step->samples = step->nrows = step->stale = step->spared = 0;
		step->digest = 0;
		step->newest = DT_NOBEGIN;
	}
	PushActiveSnapshot(snapshot);
	delete->find(delete);
	delete->digest = make_digest(delete);
}

/*
 * As it is now.  What was written since the turn began is left out; where the
 * transaction's snapshot is all that it may act upon, nothing may have been.
 */
static void
look_in_turn(MxDelete *delete)
{
	char	   *before = NULL;

	delete->spares = !IsolationUsesXactSnapshot();
	if (!delete->spares)
	{
		look_under(delete, delete->turn->before);
		before = delete->digest;
		PopActiveSnapshot();
		mx_look_end(delete->plan);
	}
	look_under(delete, delete->turn->now);
	if (before != NULL)
		require_same(delete, before);
}

static void
require_same(const MxDelete *delete, const char *before)
{
	if (strcmp(before, delete->digest) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent writes"),
				 errdetail("The samples to be deleted are not those that the transaction's snapshot shows."),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * Hash of all doomed samples and their latest rows, over all features.
 */
static char *
make_digest(const MxDelete *delete)
{
	uint64		digest = 0;

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		const MxStep *step = &delete->plan->steps[i];
		const char *key = delete->registry->features[step->feature].key;
		uint64		hash = hash_bytes_extended((unsigned char *) key,
											   strlen(key), step->digest);

		hash = hash_combine64(hash, (uint64) step->samples);
		digest += hash_combine64(hash, (uint64) step->nrows);
	}
	return psprintf("%016llx", (unsigned long long) digest);
}

/*
 * Greatest recency of all that a soft delete is to hide.
 */
static TimestampTz
newest_doomed(const MxDelete *delete)
{
	TimestampTz newest = DT_NOBEGIN;

	for (int i = 0; i < delete->plan->nsteps; i++)
		newest = Max(newest, delete->plan->steps[i].newest);
	return newest;
}
