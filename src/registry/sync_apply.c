/*-------------------------------------------------------------------------
 *
 * sync_apply.c
 *		Carries out what a sync has found to change.
 *
 * Each step is tried by itself.  In a dry run all of them are taken to work.
 *
 * src/registry/sync_apply.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/sync.h"

static void apply_feature(MxSync *sync, MxSyncFeature *feature,
						  void (*work) (void *));
static void take_out_edge(MxSync *sync, MxSyncEdge *edge);
static void put_in_edge(MxSync *sync, MxSyncEdge *edge);
static void report_edge(MxSyncEdge *edge, const char *problem, bool kept);
static void try_register(void *arg);
static void try_unregister(void *arg);
static void try_depend(void *arg);
static void try_undepend(void *arg);

/*
 * Does what the comparison has found, or would.  What is to go goes first, so
 * that its tables are free for other keys and its edges close no cycle; edges
 * come last, when all features are as they will be.
 */
void
mx_sync_apply(MxSync *sync)
{
	ListCell   *lc;

	foreach(lc, sync->edges)
		take_out_edge(sync, lfirst(lc));
	foreach(lc, sync->removals)
		apply_feature(sync, lfirst(lc), try_unregister);
	for (int i = 0; i < sync->nfeatures; i++)
	{
		if (mx_sync_stays(&sync->features[i]))
			apply_feature(sync, &sync->features[i], try_register);
	}
	foreach(lc, sync->edges)
		put_in_edge(sync, lfirst(lc));
}

static void
apply_feature(MxSync *sync, MxSyncFeature *feature, void (*work) (void *))
{
	char	   *problem = sync->dry_run ? NULL : mx_sync_try(work, feature, true);

	if (problem != NULL)
		mx_sync_skip(feature, problem);
}

static void
take_out_edge(MxSync *sync, MxSyncEdge *edge)
{
	char	   *problem = NULL;

	if (!edge->out)
		return;
	if (!sync->dry_run)
		problem = mx_sync_try(try_undepend, edge, false);
	if (problem != NULL)
	{
		edge->problem = problem;
		edge->out = false;
		edge->keep = true;
	}
}

/*
 * Registers an edge as it was pushed; where that fails, and where its feature
 * is skipped after all, as it was before.
 */
static void
put_in_edge(MxSync *sync, MxSyncEdge *edge)
{
	const MxSpecDependency *want = edge->want;
	char	   *problem = edge->problem;
	bool		back = edge->out && edge->keep;

	if (want != NULL && problem == NULL && !edge->feature->skipped)
	{
		edge->next = want;
		if (!sync->dry_run)
			problem = mx_sync_try(try_depend, edge, false);
		back = edge->out && problem != NULL;
	}
	else if (edge->feature->skipped)
		back = edge->out;

	edge->next = edge->old;
	if (back && !sync->dry_run)
		back = mx_sync_try(try_depend, edge, false) == NULL;
	if (!edge->feature->skipped)
		report_edge(edge, problem, back || !edge->out);
	else if (edge->out && !back)
		mx_sync_note(edge->feature,
					 psprintf("dependency on \"%s\" removed", edge->upstream));
}

/*
 * What became of an edge; "kept" if it did not become what was wanted, but is
 * still there.
 */
static void
report_edge(MxSyncEdge *edge, const char *problem, bool kept)
{
	MxSyncFeature *feature = edge->feature;
	const char *done = edge->want == NULL ? "removed" :
	edge->old == NULL ? "added" : "changed";

	if (problem == NULL)
	{
		if (!edge->same)
			mx_sync_changed(feature, psprintf("dependency on \"%s\" %s",
											  edge->upstream, done));
	}
	else if (kept)
		mx_sync_note(feature, psprintf("dependency on \"%s\" not %s: %s",
									   edge->upstream, done, problem));
	else
		mx_sync_changed(feature, psprintf("dependency on \"%s\" removed: %s",
										  edge->upstream, problem));
}

static void
try_register(void *arg)
{
	MxSyncFeature *feature = arg;

	/* says yes also where the table alone had to be made ready again */
	if (mx_register(&feature->goal) && !feature->changed)
		mx_sync_changed(feature, MX_SYNC_READIED);
}

static void
try_unregister(void *arg)
{
	mx_unregister(((MxSyncFeature *) arg)->goal.key);
}

static void
try_depend(void *arg)
{
	MxSyncEdge *edge = arg;
	const MxSpecDependency *next = edge->next;

	mx_depend(edge->key, edge->upstream, next->lineage, next->on_columns,
			  next->rename_from, next->rename_to, next->optional);
}

static void
try_undepend(void *arg)
{
	MxSyncEdge *edge = arg;

	mx_undepend(edge->key, edge->upstream);
}
