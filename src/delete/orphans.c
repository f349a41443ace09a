/*-------------------------------------------------------------------------
 *
 * orphans.c
 *		Active samples that have lost an upstream sample: shown, counted,
 *		deleted.
 *
 *		An orphan is found by an anti-join of active rows for each required
 *		dependency, in the scope of the current versions.  An aggregation is
 *		orphaned when no sample of its group is active any more.  A null in a
 *		joined column has no upstream sample.
 *
 * src/delete/orphans.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "delete/delete.h"

PG_FUNCTION_INFO_V1(metaxy_orphans);
PG_FUNCTION_INFO_V1(metaxy_orphan_counts);
PG_FUNCTION_INFO_V1(metaxy_delete_orphans);

/* columns of metaxy_orphan_counts */
#define NCOUNTS 3

/* places of the arguments of metaxy_delete_orphans */
enum
{
	ARG_FEATURE,
	ARG_SOFT,
	ARG_CASCADE,
	ARG_DRY_RUN,
	ARG_REASON,
	ARG_MAX_SAMPLES,
	ARG_EXPECT
};

static void check_feature(const MxRegistry *registry, int place);
static void check_upstream(const MxRegistry *registry, int edge);
static void check_table(const MxFeature *feature);
static void append_lost(StringInfo sql, MxQuery *query,
						const MxRegistry *registry, int edge,
						const char *ref);
static void append_version(MxQuery *query, const MxFeature *feature,
						   const char **version);
static bool counts_edge(const MxRegistry *registry, int edge);
static void count_edge(const MxRegistry *registry, int edge, bool all,
					   ReturnSetInfo *result);
static MxRequest *read_request(FunctionCallInfo fcinfo);

/*
 * metaxy_orphans(row_type anyelement) returns setof anyelement
 *
 * The row type says which table; its value is not looked at.  Reads as the
 * caller, who needs SELECT on the table and on what is joined upstream.
 */
Datum
metaxy_orphans(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MxFeature  *feature;
	MxRegistry *registry;
	MxQuery    *query;
	StringInfo	sql;
	const char *version;
	const char *separator = "SELECT ";
	char	   *ref;
	Relation	rel;
	DestReceiver *receiver;
	int			place;

	SPI_connect();
	feature = mx_feature_of_type(get_fn_expr_argtype(fcinfo->flinfo, 0),
								 "metaxy_orphans");
	registry = mx_registry_load();
	place = mx_registry_require(registry, feature->key);
	check_feature(registry, place);
	rel = relation_open(feature->relid, NoLock);

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	query = mx_query_new();
	sql = mx_query_sql(query);
	ref = mx_table_ref(feature, NULL);
	append_version(query, feature, &version);
	for (int i = 0; i < result->setDesc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), i);

		if (TupleDescAttr(result->setDesc, i)->attisdropped || attr->attisdropped)
			continue;
		appendStringInfoString(sql, separator);
		mx_append_column(sql, ref, NameStr(attr->attname));
		separator = ", ";
	}
	mx_append_latest(sql, feature, NULL, version, false, MX_ACTIVE);
	appendStringInfoString(sql, " AND ");
	mx_append_orphan(sql, query, registry, place, ref);

	receiver = CreateDestReceiver(DestTuplestore);
	/* puts nulls where columns were dropped */
	SetTuplestoreDestReceiverParams(receiver, result->setResult,
									result->econtext->ecxt_per_query_memory,
									false, result->setDesc,
									"the columns of the table have just been changed");
	mx_query_run(query, MX_READ, receiver);
	receiver->rDestroy(receiver);
	relation_close(rel, NoLock);
	SPI_finish();
	return (Datum) 0;
}

/*
 * metaxy_orphan_counts(feature text)
 *		returns setof (feature text, upstream text, orphans bigint)
 *
 * One row for each required dependency whose ends both have tables, of one
 * feature or of all; one pass each.  Of all, those that the caller may not read
 * have a null.
 */
Datum
metaxy_orphan_counts(PG_FUNCTION_ARGS)
{
	char	   *key = mx_arg_text_or_null(fcinfo, 0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MxRegistry *registry;
	const MxGraph *graph;
	int		   *order;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	registry = mx_registry_load();
	graph = registry->graph;
	if (key != NULL)
		(void) mx_registry_require(registry, key);
	order = palloc(sizeof(int) * Max(registry->nfeatures, 1));
	count = mx_graph_order(graph, NULL, order);
	for (int i = 0; i < count; i++)
	{
		int			node = order[i];

		if (key != NULL && strcmp(registry->features[node].key, key) != 0)
			continue;
		for (int j = graph->in_start[node]; j < graph->in_start[node + 1]; j++)
		{
			CHECK_FOR_INTERRUPTS();
			if (counts_edge(registry, graph->in_edge[j]))
				count_edge(registry, graph->in_edge[j], key == NULL, result);
		}
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * metaxy_delete_orphans(feature text, soft boolean, cascade text,
 *		dry_run boolean, reason text, max_samples bigint, expect text)
 *		returns as metaxy_delete
 *
 * Deletes the orphans of a feature as metaxy_delete deletes what a filter
 * matches.  What policies hide upstream would look like a loss: 42501.
 */
Datum
metaxy_delete_orphans(PG_FUNCTION_ARGS)
{
	return mx_delete_call(fcinfo, read_request);
}

static MxRequest *
read_request(FunctionCallInfo fcinfo)
{
	MxRequest  *request = palloc0(sizeof(MxRequest));

	request->kind = "orphans";
	request->orphans = true;
	request->features = list_make1(mx_arg_text(fcinfo, ARG_FEATURE, "feature"));
	request->soft = mx_arg_bool(fcinfo, ARG_SOFT, "soft");
	request->cascade = mx_choice(mx_arg_text(fcinfo, ARG_CASCADE, "cascade"),
								 "cascade", mx_cascades);
	request->dry_run = mx_arg_bool(fcinfo, ARG_DRY_RUN, "dry_run");
	request->reason = mx_arg_text_or_null(fcinfo, ARG_REASON);
	request->max_samples = mx_arg_limit(fcinfo, ARG_MAX_SAMPLES, "max_samples");
	request->expect = mx_arg_text_or_null(fcinfo, ARG_EXPECT);
	return request;
}

/*
 * For a sweep: policies upstream must not make orphans.
 */
void
mx_check_orphans(const MxRegistry *registry, const char *key)
{
	int			place = mx_registry_require(registry, key);
	const MxGraph *graph = registry->graph;

	check_feature(registry, place);
	for (int i = graph->in_start[place]; i < graph->in_start[place + 1]; i++)
	{
		int			edge = graph->in_edge[i];
		const MxFeature *upstream =
		&registry->features[registry->dependencies[edge].upstream];

		if (counts_edge(registry, edge) && mx_rls_applies(upstream->relid))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("row-level security on relation \"%s\" would make samples look orphaned",
							get_rel_name(upstream->relid)),
					 errhint("Only a role that row-level security does not apply to can delete orphans here.")));
	}
}

/*
 * "The row is active and has lost an upstream sample on some required edge."
 */
void
mx_append_orphan(StringInfo sql, MxQuery *query, const MxRegistry *registry,
				 int place, const char *ref)
{
	const MxGraph *graph = registry->graph;
	bool		any = false;

	mx_append_column(sql, ref, MX_DELETED_AT);
	appendStringInfoString(sql, " IS NULL AND (");
	for (int i = graph->in_start[place]; i < graph->in_start[place + 1]; i++)
	{
		if (!counts_edge(registry, graph->in_edge[i]))
			continue;
		if (any)
			appendStringInfoString(sql, " OR ");
		append_lost(sql, query, registry, graph->in_edge[i], ref);
		any = true;
	}
	appendStringInfoString(sql, any ? ")" : "false)");
}

/*
 * The feature and what it is made from must still be what was registered.
 * Takes ACCESS SHARE on their tables, once the caller is known to have some
 * right on them.
 */
static void
check_feature(const MxRegistry *registry, int place)
{
	const MxGraph *graph = registry->graph;
	const MxFeature *feature = &registry->features[place];

	if (!OidIsValid(feature->relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature \"%s\" has no table", feature->key)));
	mx_require_select(feature->relid);
	check_table(feature);
	for (int i = graph->in_start[place]; i < graph->in_start[place + 1]; i++)
	{
		if (counts_edge(registry, graph->in_edge[i]))
			check_upstream(registry, graph->in_edge[i]);
	}
}

static void
check_upstream(const MxRegistry *registry, int edge)
{
	const MxDependency *dependency = &registry->dependencies[edge];
	const MxFeature *upstream = &registry->features[dependency->upstream];

	mx_require_select(upstream->relid);
	mx_check_edge(&registry->features[dependency->feature], upstream,
				  dependency);
	check_table(upstream);
}

static void
check_table(const MxFeature *feature)
{
	Relation	rel = try_relation_open(feature->relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature \"%s\" has no table", feature->key)));
	mx_check_columns(feature, rel);
	relation_close(rel, NoLock);
}

/*
 * "No active upstream sample joins the row."
 */
static void
append_lost(StringInfo sql, MxQuery *query, const MxRegistry *registry,
			int edge, const char *ref)
{
	const MxDependency *dependency = &registry->dependencies[edge];
	const MxFeature *feature = &registry->features[dependency->feature];
	const MxFeature *upstream = &registry->features[dependency->upstream];
	const char *alias = mx_alias("upstream", ref);
	const char *version;
	List	   *feature_columns;
	List	   *upstream_columns;
	ListCell   *own;
	ListCell   *up;

	mx_join_columns(feature, upstream, dependency, &feature_columns,
					&upstream_columns);
	append_version(query, upstream, &version);
	appendStringInfoString(sql, "NOT EXISTS (SELECT");
	mx_append_latest(sql, upstream, alias, version, false, MX_ACTIVE);
	forboth(own, feature_columns, up, upstream_columns)
	{
		appendStringInfoString(sql, " AND ");
		mx_append_joined(sql, feature, lfirst(own), ref,
						 upstream, lfirst(up), alias);
	}
	appendStringInfoChar(sql, ')');
}

/*
 * The current version as a parameter; NULL for a feature without.
 */
static void
append_version(MxQuery *query, const MxFeature *feature, const char **version)
{
	*version = feature->version == NULL ? NULL :
		psprintf("$%d", mx_query_text(query, feature->version));
}

/*
 * Can samples be orphaned by this edge?
 */
static bool
counts_edge(const MxRegistry *registry, int edge)
{
	const MxDependency *dependency = &registry->dependencies[edge];

	return !dependency->optional &&
		OidIsValid(registry->features[dependency->feature].relid) &&
		OidIsValid(registry->features[dependency->upstream].relid);
}

static void
count_edge(const MxRegistry *registry, int edge, bool all,
		   ReturnSetInfo *result)
{
	const MxDependency *dependency = &registry->dependencies[edge];
	const MxFeature *feature = &registry->features[dependency->feature];
	const MxFeature *upstream = &registry->features[dependency->upstream];
	Datum		values[NCOUNTS];
	bool		nulls[NCOUNTS] = {0};

	values[0] = CStringGetTextDatum(feature->key);
	values[1] = CStringGetTextDatum(upstream->key);
	nulls[2] = all && !(mx_may_select(feature->relid) &&
						mx_may_select(upstream->relid));
	if (!nulls[2])
	{
		MxQuery    *query = mx_query_new();
		StringInfo	sql = mx_query_sql(query);
		char	   *ref = mx_table_ref(feature, NULL);
		const char *version;

		mx_require_select(feature->relid);
		check_table(feature);
		check_upstream(registry, edge);
		append_version(query, feature, &version);
		appendStringInfoString(sql, "SELECT pg_catalog.count(*)");
		mx_append_latest(sql, feature, NULL, version, false, MX_ACTIVE);
		appendStringInfoString(sql, " AND ");
		append_lost(sql, query, registry, edge, ref);
		mx_query_run(query, MX_READ, NULL);
		values[2] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
								  1, &nulls[2]);
		/* the value may be a pointer into the row */
		values[2] = Int64GetDatum(DatumGetInt64(values[2]));
		SPI_freetuptable(SPI_tuptable);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
