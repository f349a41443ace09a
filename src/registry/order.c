/*-------------------------------------------------------------------------
 *
 * order.c
 *		metaxy_order: features in the order in which a cascade takes them.
 *
 * src/registry/order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "registry/registry.h"

PG_FUNCTION_INFO_V1(metaxy_order);

/* in the order of MxDirection */
static const char *const directions[] = {"downstream", "upstream", NULL};

static int	order_of(const MxRegistry *registry, const char *key,
					 MxDirection direction, int *order);
static void put_step(ReturnSetInfo *rsinfo, int step,
					 const MxFeature *feature, int depth);

/*
 * metaxy_order(feature text, direction text)
 *		returns setof (step, feature, relation, depth)
 *
 * Without a feature, all of them; with one, it and what lies in the direction
 * asked for.  Downstream goes from root to leaf, the smallest ready key first;
 * upstream from leaf to root, the exact reverse.  Depth is the longest path
 * from a root of the whole graph, not of the part that is shown.
 *
 * Reads the registry as it is now and locks nothing.
 */
Datum
metaxy_order(PG_FUNCTION_ARGS)
{
	char	   *key = mx_arg_text_or_null(fcinfo, 0);
	MxDirection direction = mx_choice(mx_arg_text(fcinfo, 1, "direction"),
									  "direction", directions);
	MxRegistry *registry;
	int		   *order;
	int		   *depth;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	registry = mx_registry_outline();
	count = registry->nfeatures;
	order = (int *) palloc(sizeof(int) * count);
	depth = (int *) palloc(sizeof(int) * count);

	mx_graph_order_all(registry->graph, mx_registry_names(registry), order);
	mx_graph_depth(registry->graph, order, count, depth);
	if (key != NULL)
		count = order_of(registry, key, direction, order);

	for (int step = 1; step <= count; step++)
	{
		int			node = order[direction == MX_DOWNSTREAM ?
								 step - 1 : count - step];

		CHECK_FOR_INTERRUPTS();
		put_step((ReturnSetInfo *) fcinfo->resultinfo, step,
				 &registry->features[node], depth[node]);
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * Puts the feature and its descendants or ancestors in order, root to leaf in
 * either case; returns how many they are.
 */
static int
order_of(const MxRegistry *registry, const char *key, MxDirection direction,
		 int *order)
{
	int			node = mx_registry_require(registry, key);
	bool	   *member = (bool *) palloc0(sizeof(bool) * registry->nfeatures);

	mx_graph_closure(registry->graph, 1, &node, direction, member);
	return mx_graph_order(registry->graph, member, order);
}

/* Adds one row to the result; a feature without a table has no relation. */
static void
put_step(ReturnSetInfo *rsinfo, int step, const MxFeature *feature, int depth)
{
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = Int32GetDatum(step);
	values[1] = CStringGetTextDatum(feature->key);
	values[2] = ObjectIdGetDatum(feature->relid);
	nulls[2] = !OidIsValid(feature->relid);
	values[3] = Int32GetDatum(depth);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	pfree(DatumGetPointer(values[1]));
}
