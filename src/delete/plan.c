/*-------------------------------------------------------------------------
 *
 * plan.c
 *		Which features take part in a delete, why, and in which order.
 *
 *		Pure: works on the graph and the request, looks at no table.
 *
 * src/delete/plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "delete/delete.h"

/* what planning needs to know of each feature, by its place */
typedef struct PlanState
{
	const MxRegistry *registry;
	const MxRequest *request;
	bool	   *named;
	bool	   *member;			/* takes part */
	bool	   *climbs;			/* takes part on the way up */
	int		   *step;			/* place of its step, -1: none */
} PlanState;

static void choose_members(PlanState *state);
static void add_steps(PlanState *state, MxPlan *plan);
static void plan_seeds(PlanState *state, MxPlan *plan, MxStep *step);
static void plan_sources(PlanState *state, MxPlan *plan, MxStep *step);
static bool wants_all(const MxRequest *request);
static void add_own_source(PlanState *state, MxStep *step,
						   MxSource **sources, int *nsources);
static void add_child_sources(PlanState *state, MxStep *step,
							  MxSource **sources, int *nsources);
static bool has_climbing_parent(PlanState *state, int feature);
static MxEffect edge_effect(const PlanState *state,
							const MxDependency *dependency);
static void find_outside(PlanState *state, MxPlan *plan);

/*
 * Plans a delete.
 *
 * Doomed sets are found from root to leaf, each once.  Where parents are
 * wanted too (cascade "upstream" and "both"), a way up comes before: from the
 * named features towards the roots it finds the ids of each parent, the seeds;
 * on the way down a feature's seeds are one more source of its doomed set.
 */
MxPlan *
mx_plan(const MxRegistry *registry, const MxRequest *request)
{
	MxPlan	   *plan = palloc0(sizeof(MxPlan));
	PlanState	state = {.registry = registry,.request = request};
	int			n = registry->nfeatures;
	ListCell   *lc;

	state.named = palloc0(sizeof(bool) * n);
	state.member = palloc0(sizeof(bool) * n);
	state.climbs = palloc0(sizeof(bool) * n);
	state.step = palloc(sizeof(int) * n);
	foreach(lc, request->features)
		state.named[mx_registry_require(registry, lfirst(lc))] = true;

	choose_members(&state);
	add_steps(&state, plan);
	for (int i = plan->nsteps - 1; i >= 0; i--)
		plan_seeds(&state, plan, &plan->steps[i]);
	for (int i = 0; i < plan->nsteps; i++)
		plan_sources(&state, plan, &plan->steps[i]);
	if (request->cascade != MX_CASCADE_NONE)
		find_outside(&state, plan);
	return plan;
}

/*
 * Puts the steps in the order of execution: dependents first where the delete
 * only goes down, dependencies first where it goes up as well; and whatever
 * the direction, step first[i] before step second[i].
 *
 * The pairs come from foreign keys: referencing rows must go first.
 */
void
mx_plan_execution(MxPlan *plan, const MxRequest *request,
				  const MxRegistry *registry, int npairs,
				  const int *first, const int *second)
{
	int			n = plan->nsteps;
	bool		up = request->cascade == MX_CASCADE_UPSTREAM ||
	request->cascade == MX_CASCADE_BOTH;
	int		   *from = palloc(sizeof(int) * Max(npairs, 1));
	int		   *to = palloc(sizeof(int) * Max(npairs, 1));
	int		   *order = palloc(sizeof(int) * n);
	MxGraph    *graph;

	/* number the steps as they are preferred: the order deviates no further */
	for (int i = 0; i < npairs; i++)
	{
		from[i] = up ? first[i] : n - 1 - first[i];
		to[i] = up ? second[i] : n - 1 - second[i];
	}
	graph = mx_graph_build(n, npairs, from, to);
	if (mx_graph_order(graph, NULL, order) < n)
	{
		int		   *path = palloc(sizeof(int) * n);
		int			length = mx_graph_cycle(graph, path);
		StringInfoData detail;

		initStringInfo(&detail);
		for (int i = 0; i <= length; i++)
		{
			int			at = path[i % length];
			int			step = up ? at : n - 1 - at;

			appendStringInfo(&detail, "%s\"%s\"", i == 0 ? "" : " -> ",
							 registry->features[plan->steps[step].feature].key);
		}
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("foreign keys between the tables form a cycle"),
				 errdetail("Rows would have to go before each other: %s.",
						   detail.data)));
	}

	plan->execution = palloc(sizeof(int) * n);
	for (int i = 0; i < n; i++)
		plan->execution[i] = up ? order[i] : n - 1 - order[i];
}

/*
 * The features that take part: those named, their descendants, their
 * ancestors, or both.
 */
static void
choose_members(PlanState *state)
{
	const MxGraph *graph = state->registry->graph;
	int			n = state->registry->nfeatures;
	int		   *seeds = palloc(sizeof(int) * n);
	int			nseeds = 0;

	for (int i = 0; i < n; i++)
	{
		if (state->named[i])
			seeds[nseeds++] = i;
		state->member[i] = state->named[i];
	}
	if (state->request->cascade == MX_CASCADE_UPSTREAM ||
		state->request->cascade == MX_CASCADE_BOTH)
	{
		mx_graph_closure(graph, nseeds, seeds, MX_UPSTREAM, state->climbs);
		for (int i = 0; i < n; i++)
			state->member[i] |= state->climbs[i];
	}
	if (state->request->cascade == MX_CASCADE_DOWNSTREAM ||
		state->request->cascade == MX_CASCADE_BOTH)
	{
		bool	   *below = palloc0(sizeof(bool) * n);

		mx_graph_closure(graph, nseeds, seeds, MX_DOWNSTREAM, below);
		for (int i = 0; i < n; i++)
			state->member[i] |= below[i];
	}
}

/*
 * One step for each member, root to leaf.
 */
static void
add_steps(PlanState *state, MxPlan *plan)
{
	int			n = state->registry->nfeatures;
	int		   *order = palloc(sizeof(int) * n);
	int			nmembers = 0;

	for (int i = 0; i < n; i++)
		nmembers += state->member[i];
	plan->nsteps = mx_graph_order(state->registry->graph, state->member, order);
	/* raises the error that shows where */
	if (plan->nsteps < nmembers)
		mx_graph_order_all(state->registry->graph,
						   mx_registry_names(state->registry), order);

	plan->steps = palloc0(sizeof(MxStep) * plan->nsteps);
	for (int i = 0; i < n; i++)
		state->step[i] = -1;
	for (int i = 0; i < plan->nsteps; i++)
	{
		MxStep	   *step = &plan->steps[i];

		step->feature = order[i];
		step->named = state->named[order[i]];
		state->step[order[i]] = i;
	}
}

/*
 * The way up: a feature's seeds are what the request finds in it and the
 * parents of its children's seeds.  They are needed only where a parent or
 * the way down asks for them by their ids.
 */
static void
plan_seeds(PlanState *state, MxPlan *plan, MxStep *step)
{
	if (!state->climbs[step->feature] ||
		!has_climbing_parent(state, step->feature))
		return;
	step->climbs = true;
	add_own_source(state, step, &step->seed_sources, &step->nseed_sources);
	add_child_sources(state, step, &step->seed_sources, &step->nseed_sources);
}

/*
 * The way down: what dooms samples of a feature, and what makes them stale.
 */
static void
plan_sources(PlanState *state, MxPlan *plan, MxStep *step)
{
	const MxGraph *graph = state->registry->graph;
	bool		down = state->request->cascade == MX_CASCADE_DOWNSTREAM ||
	state->request->cascade == MX_CASCADE_BOTH;
	int			start = graph->in_start[step->feature];
	int			end = graph->in_start[step->feature + 1];

	step->whole = step->named && wants_all(state->request);
	for (int i = start; down && i < end; i++)
	{
		int			edge = graph->in_edge[i];
		int			parent = state->step[graph->from[edge]];

		if (parent >= 0 && plan->steps[parent].whole &&
			!state->registry->dependencies[edge].optional)
			step->whole = true;
	}

	if (step->climbs && !step->whole)
	{
		step->sources = palloc0(sizeof(MxSource) * (1 + end - start));
		step->sources[step->nsources++].kind = MX_SOURCE_SEED;
	}
	else
	{
		add_own_source(state, step, &step->sources, &step->nsources);
		if (!step->whole)
			add_child_sources(state, step, &step->sources, &step->nsources);
	}
	if (step->whole || state->request->cascade == MX_CASCADE_NONE)
		return;

	if (step->nsources == 0)
		step->sources = palloc0(sizeof(MxSource) * Max(end - start, 1));
	else
		step->sources = repalloc(step->sources, sizeof(MxSource) *
								 (step->nsources + end - start));
	for (int i = start; i < end; i++)
	{
		int			edge = graph->in_edge[i];
		MxSource   *source;

		if (state->step[graph->from[edge]] < 0)
			continue;
		source = &step->sources[step->nsources++];
		source->kind = MX_SOURCE_PARENT;
		source->effect = edge_effect(state,
									 &state->registry->dependencies[edge]);
		source->other = state->step[graph->from[edge]];
		source->dependency = edge;
	}
}

/*
 * Does the request leave nothing out?
 */
static bool
wants_all(const MxRequest *request)
{
	return request->filters == NIL && !request->orphans;
}

/*
 * What the request itself says of a feature: all of it, or what the filters
 * match.
 */
static void
add_own_source(PlanState *state, MxStep *step, MxSource **sources,
			   int *nsources)
{
	if (!step->named && !step->whole)
		return;
	Assert(*nsources == 0);
	*sources = palloc0(sizeof(MxSource));
	(*sources)[0].kind = step->whole || wants_all(state->request) ?
		MX_SOURCE_ALL : MX_SOURCE_FILTER;
	*nsources = 1;
}

/*
 * Adds the children through which a feature is reached on the way up.
 * Required and optional edges count alike there.
 */
static void
add_child_sources(PlanState *state, MxStep *step, MxSource **sources,
				  int *nsources)
{
	const MxGraph *graph = state->registry->graph;
	int			start = graph->out_start[step->feature];
	int			end = graph->out_start[step->feature + 1];
	Size		size = sizeof(MxSource) * Max(*nsources + end - start, 1);

	if (!state->climbs[step->feature])
		return;
	*sources = *nsources == 0 ? palloc(size) : repalloc(*sources, size);
	for (int i = start; i < end; i++)
	{
		int			edge = graph->out_edge[i];
		MxSource   *source;

		if (!state->climbs[graph->to[edge]])
			continue;
		source = &(*sources)[(*nsources)++];
		source->kind = MX_SOURCE_CHILD;
		source->effect = MX_DOOMS;
		source->other = state->step[graph->to[edge]];
		source->dependency = edge;
	}
}

/*
 * Does the way up go on above this feature?
 */
static bool
has_climbing_parent(PlanState *state, int feature)
{
	const MxGraph *graph = state->registry->graph;

	for (int i = graph->in_start[feature]; i < graph->in_start[feature + 1]; i++)
	{
		if (state->climbs[graph->from[graph->in_edge[i]]])
			return true;
	}
	return false;
}

/*
 * What a doomed parent does to its children.  Going up only, it leaves those
 * that the delete did not come from stale.
 */
static MxEffect
edge_effect(const PlanState *state, const MxDependency *dependency)
{
	if (state->request->delete_partial)
		return MX_DOOMS;
	if (state->request->cascade == MX_CASCADE_UPSTREAM || dependency->optional)
		return MX_MAKES_STALE;
	return dependency->lineage == MX_AGGREGATION ? MX_DOOMS_GROUP : MX_DOOMS;
}

/*
 * Features that are left out although they depend, by a required edge, on
 * one that takes part.
 */
static void
find_outside(PlanState *state, MxPlan *plan)
{
	const MxRegistry *registry = state->registry;
	bool	   *outside = palloc0(sizeof(bool) * registry->nfeatures);

	for (int i = 0; i < registry->ndependencies; i++)
	{
		const MxDependency *dependency = &registry->dependencies[i];

		if (!dependency->optional && state->member[dependency->upstream] &&
			!state->member[dependency->feature])
			outside[dependency->feature] = true;
	}
	plan->outside = palloc(sizeof(int) * Max(registry->nfeatures, 1));
	for (int i = 0; i < registry->nfeatures; i++)
	{
		if (outside[i])
			plan->outside[plan->noutside++] = i;
	}
}
