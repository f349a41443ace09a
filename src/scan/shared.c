/*-------------------------------------------------------------------------
 *
 * shared.c
 *		What the processes of a parallel query share of our nodes: the number of
 *		the next range, and what they have counted.
 *
 * src/scan/shared.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"

#include "scan/walk.h"

static void add_counts(MxScanCounts *counts, MxScanCounts *more);

Size
mx_shared_estimate(CustomScanState *node, ParallelContext *pcxt)
{
	return sizeof(MxShared);
}

void
mx_shared_initialize(CustomScanState *node, ParallelContext *pcxt,
					 void *coordinate)
{
	MxShared   *shared = coordinate;

	memset(shared, 0, sizeof(MxShared));
	SpinLockInit(&shared->mutex);
	pg_atomic_init_u32(&shared->next_range, 0);
	((MxNodeState *) node)->shared = shared;
}

void
mx_shared_reinitialize(CustomScanState *node, ParallelContext *pcxt,
					   void *coordinate)
{
	pg_atomic_write_u32(&((MxShared *) coordinate)->next_range, 0);
}

void
mx_shared_worker(CustomScanState *node, shm_toc *toc, void *coordinate)
{
	((MxNodeState *) node)->shared = coordinate;
}

/*
 * The end, before the memory goes: a worker leaves its counts there, and the
 * leader takes what workers have left.
 */
void
mx_shared_shutdown(CustomScanState *node)
{
	MxNodeState *state = (MxNodeState *) node;
	MxShared   *shared = state->shared;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	if (IsParallelWorker())
		add_counts(&shared->counts, &state->counts);
	else
		add_counts(&state->counts, &shared->counts);
	SpinLockRelease(&shared->mutex);
	state->shared = NULL;
}

/*
 * Moves counts from one place to another.
 */
static void
add_counts(MxScanCounts *counts, MxScanCounts *more)
{
	counts->keys += more->keys;
	counts->fetches += more->fetches;
	counts->skipped += more->skipped;
	counts->descents += more->descents;
	counts->batches += more->batches;
	counts->memory = Max(counts->memory, more->memory);
	memset(more, 0, sizeof(MxScanCounts));
}
