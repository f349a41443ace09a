/*-------------------------------------------------------------------------
 *
 * match.c
 *		The query that finds the samples of one feature, from all its sources.
 *
 *		One pass over the latest rows of the feature answers everything: whether
 *		a row is of interest, and whether it is doomed or only stale.
 *
 * src/delete/match.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "delete/delete.h"

/* a condition on a row; "inner" ones are about the feature's own table */
typedef struct Hit
{
	const char *text;
	bool		inner;
	MxStore    *store;			/* to be given back after the query */
} Hit;

/* one finding query in the making */
typedef struct Finder
{
	MxMatch		match;
	int			nsources;
	const MxSource **sources;
	Hit		   *hits;			/* for each source: the row is of interest */
	Hit		   *kept;			/* DOOMS_GROUP: another parent stays */
	List	   *columns;		/* carried */
	bool		joins;			/* some keys have to be joined from outside */
	StringInfoData left_joins;
} Finder;

/* how the inner query's rows are called in the outer one, where there is one */
#define ROW_ALIAS "metaxy row"

static bool can_match(const MxDelete *delete, const MxStep *step,
					  const MxSource *source);
static void source_hit(Finder *finder, int number);
static void source_keys(const Finder *finder, const MxSource *source,
						MxStore **store, List **own_columns,
						List **store_columns);
static Hit	keys_hit(Finder *finder, MxStore *store, List *own_columns,
					 List *store_columns, const char *alias);
static void write_plain(Finder *finder, MxLatest which);
static void write_joined(Finder *finder, MxLatest which);
static void add_inner_hit(StringInfo inner, Hit *hit, int *ncolumns);
static void append_verdict(Finder *finder, StringInfo sql);
static void append_any(Finder *finder, StringInfo sql);

/*
 * Runs the query of one step over the given sources: the carried columns, then
 * the columns of MxMatchColumn.  The rows that "hook" accepts are kept, in the
 * order of the ids if they are to be "sorted".
 * NULL where nothing can match.
 */
MxStore *
mx_match(MxDelete *delete, MxStep *step, const MxSource *sources,
		 int nsources, List *columns, bool sorted, MxRowHook hook, void *arg)
{
	MxFeature  *feature = &delete->registry->features[step->feature];
	MxLatest	which = delete->request->soft ? MX_ACTIVE : MX_LATEST;
	MxQuery    *query = mx_query_new();
	Finder		finder;
	MxStore    *store;

	CHECK_FOR_INTERRUPTS();
	memset(&finder, 0, sizeof(finder));
	if (!OidIsValid(feature->relid))
		return NULL;
	finder.sources = palloc(sizeof(MxSource *) * Max(nsources, 1));
	for (int i = 0; i < nsources; i++)
	{
		if (can_match(delete, step, &sources[i]))
			finder.sources[finder.nsources++] = &sources[i];
	}
	if (finder.nsources == 0)
		return NULL;

	finder.match.query = query;
	finder.match.delete = delete;
	finder.match.step = step;
	finder.match.feature = feature;
	finder.match.ref = mx_table_ref(feature, NULL);
	finder.match.version = mx_scope(delete, step, query);
	finder.columns = columns;
	finder.hits = palloc0(sizeof(Hit) * finder.nsources);
	finder.kept = palloc0(sizeof(Hit) * finder.nsources);
	initStringInfo(&finder.left_joins);
	for (int i = 0; i < finder.nsources; i++)
		source_hit(&finder, i);

	if (finder.joins)
		write_joined(&finder, which);
	else
		write_plain(&finder, which);
	if (sorted)
		mx_append_id_order(mx_query_sql(query), feature);

	store = mx_store_new(delete->kilobytes);
	mx_query_run(query, MX_READ, mx_store_receiver(store, hook, arg));
	for (int i = 0; i < finder.nsources; i++)
	{
		if (finder.kept[i].store != NULL)
			mx_store_end(finder.kept[i].store);
	}
	return store;
}

/*
 * By the id columns, which come first: rows that will be written in that order
 * meet each page of the supporting index once.
 */
void
mx_append_id_order(StringInfo sql, const MxFeature *feature)
{
	int			nids = list_length(feature->id_columns);

	appendStringInfoString(sql, " ORDER BY 1");
	for (int i = 2; i <= nids; i++)
		appendStringInfo(sql, ", %d", i);
}

/*
 * Is there anything that a source could match?
 */
static bool
can_match(const MxDelete *delete, const MxStep *step, const MxSource *source)
{
	const MxStore *store;

	switch (source->kind)
	{
		case MX_SOURCE_SEED:
			store = step->seeds;
			break;
		case MX_SOURCE_CHILD:
			store = delete->plan->steps[source->other].seeds;
			break;
		case MX_SOURCE_PARENT:
			store = delete->plan->steps[source->other].doomed;
			break;
		default:
			return true;
	}
	return store != NULL && store->nrows > 0;
}

/*
 * The conditions of one source.
 */
static void
source_hit(Finder *finder, int number)
{
	const MxSource *source = finder->sources[number];
	StringInfoData sql;
	MxStore    *store;
	List	   *own_columns;
	List	   *store_columns;

	switch (source->kind)
	{
		case MX_SOURCE_ALL:
			finder->hits[number].text = "true";
			return;
		case MX_SOURCE_FILTER:
			finder->hits[number].inner = true;
			if (finder->match.delete->request->orphans)
			{
				initStringInfo(&sql);
				mx_append_orphan(&sql, finder->match.query,
								 finder->match.delete->registry,
								 finder->match.step->feature,
								 finder->match.ref);
				finder->hits[number].text = sql.data;
				return;
			}
			if (finder->match.delete->request->sample_history)
			{
				finder->hits[number].text = mx_sample_history(&finder->match);
				return;
			}
			initStringInfo(&sql);
			mx_append_filters(&finder->match, &sql);
			finder->hits[number].text = sql.data;
			return;
		default:
			break;
	}

	source_keys(finder, source, &store, &own_columns, &store_columns);
	finder->match.upward = source->kind == MX_SOURCE_CHILD;
	finder->hits[number] = keys_hit(finder, store, own_columns, store_columns,
									psprintf("metaxy key %d", number));
	if (source->effect == MX_DOOMS_GROUP)
	{
		MxStore    *kept = mx_kept_keys(finder->match.delete, source,
										finder->match.feature, own_columns,
										store_columns);

		finder->kept[number] = keys_hit(finder, kept, own_columns,
										store_columns,
										psprintf("metaxy kept %d", number));
		finder->kept[number].store = kept;
	}
}

/*
 * Where the keys of a source are, and which columns meet.
 */
static void
source_keys(const Finder *finder, const MxSource *source, MxStore **store,
			List **own_columns, List **store_columns)
{
	const MxDelete *delete = finder->match.delete;
	const MxRegistry *registry = delete->registry;
	const MxDependency *dependency;
	List	   *feature_columns;
	List	   *upstream_columns;

	if (source->kind == MX_SOURCE_SEED)
	{
		*store = finder->match.step->seeds;
		*own_columns = *store_columns = finder->match.feature->id_columns;
		return;
	}

	dependency = &registry->dependencies[source->dependency];
	mx_join_columns(&registry->features[dependency->feature],
					&registry->features[dependency->upstream],
					dependency, &feature_columns, &upstream_columns);
	if (source->kind == MX_SOURCE_CHILD)
	{
		*store = delete->plan->steps[source->other].seeds;
		*own_columns = upstream_columns;
		*store_columns = feature_columns;
	}
	else
	{
		*store = delete->plan->steps[source->other].doomed;
		*own_columns = feature_columns;
		*store_columns = upstream_columns;
	}
}

/*
 * Whether a row's columns are among the keys: in place where that can be,
 * else by a join from outside.
 *
 * A semi-join is best where there is nothing else to know; several sources,
 * or a second question about the same row, need the join.
 */
static Hit
keys_hit(Finder *finder, MxStore *store, List *own_columns,
		 List *store_columns, const char *alias)
{
	bool		alone = finder->nsources == 1 &&
	finder->sources[0]->effect != MX_DOOMS_GROUP;
	MxMatch		outside = finder->match;
	StringInfoData sql;
	Hit			hit = {0};

	initStringInfo(&sql);
	hit.inner = mx_append_keys(&finder->match, &sql, store, own_columns,
							   store_columns, alone);
	if (!hit.inner)
	{
		finder->joins = true;
		outside.ref = ROW_ALIAS;
		outside.numbered = finder->columns;
		mx_append_key_join(&outside, &finder->left_joins, alias, store,
						   own_columns, store_columns);
		mx_append_store_column(&sql, store, alias, linitial(store_columns));
		appendStringInfoString(&sql, " IS NOT NULL");
	}
	hit.text = sql.data;
	return hit;
}

/*
 * All conditions are about the table itself: one plain query.
 */
static void
write_plain(Finder *finder, MxLatest which)
{
	StringInfo	sql = mx_query_sql(finder->match.query);
	const MxFeature *feature = finder->match.feature;
	const char *ref = finder->match.ref;
	const char *own = mx_table_ref(feature, NULL);
	ListCell   *lc;

	appendStringInfoString(sql, "SELECT ");
	foreach(lc, finder->columns)
	{
		mx_append_column(sql, ref, lfirst(lc));
		appendStringInfoString(sql, ", ");
	}
	mx_append_match_columns(sql, feature, ref);
	append_verdict(finder, sql);
	mx_append_latest(sql, feature, strcmp(ref, own) == 0 ? NULL : ref,
					 finder->match.version, false, which);
	appendStringInfoString(sql, " AND (");
	append_any(finder, sql);
	appendStringInfoChar(sql, ')');
}

/*
 * Some keys are joined: the table's own conditions become columns of an inner
 * query, where nothing else is visible.  Its columns go by numbers.
 */
static void
write_joined(Finder *finder, MxLatest which)
{
	StringInfo	sql = mx_query_sql(finder->match.query);
	const MxFeature *feature = finder->match.feature;
	const char *ref = finder->match.ref;
	const char *own = mx_table_ref(feature, NULL);
	int			ncolumns = list_length(finder->columns) + MX_MATCH_DOOMED;
	StringInfoData inner;
	ListCell   *lc;

	initStringInfo(&inner);
	foreach(lc, finder->columns)
	{
		mx_append_column(&inner, ref, lfirst(lc));
		appendStringInfoString(&inner, ", ");
	}
	mx_append_match_columns(&inner, feature, ref);
	for (int i = 0; i < finder->nsources; i++)
	{
		add_inner_hit(&inner, &finder->hits[i], &ncolumns);
		add_inner_hit(&inner, &finder->kept[i], &ncolumns);
	}
	mx_append_latest(&inner, feature, strcmp(ref, own) == 0 ? NULL : ref,
					 finder->match.version, false, which);

	appendStringInfoString(sql, "SELECT ");
	foreach(lc, finder->columns)
	{
		appendStringInfo(sql, "\"" ROW_ALIAS "\".c%d AS ",
						 foreach_current_index(lc) + 1);
		appendStringInfo(sql, "%s, ", quote_identifier(lfirst(lc)));
	}
	for (int i = 0; i < MX_MATCH_DOOMED; i++)
		appendStringInfo(sql, "%s\"" ROW_ALIAS "\".c%d", i > 0 ? ", " : "",
						 list_length(finder->columns) + 1 + i);
	append_verdict(finder, sql);
	appendStringInfo(sql, " FROM (SELECT %s) AS \"" ROW_ALIAS "\" (",
					 inner.data);
	for (int i = 1; i <= ncolumns; i++)
		appendStringInfo(sql, "%sc%d", i > 1 ? ", " : "", i);
	appendStringInfo(sql, ")%s WHERE ", finder->left_joins.data);
	append_any(finder, sql);
}

/*
 * Moves a condition on the table's own columns into the inner query; outside,
 * it is the column that this makes.
 */
static void
add_inner_hit(StringInfo inner, Hit *hit, int *ncolumns)
{
	if (!hit->inner)
		return;
	appendStringInfo(inner, ", (%s)", hit->text);
	hit->text = psprintf("\"" ROW_ALIAS "\".c%d", ++(*ncolumns));
}

/*
 * What is asked of each row besides the carried columns, in the order of
 * MxMatchColumn, but for the verdict.
 */
void
mx_append_match_columns(StringInfo sql, const MxFeature *feature,
						const char *ref)
{
	mx_append_recency(sql, ref);
	appendStringInfoString(sql, " AS \"metaxy recency\", ");
	mx_append_column(sql, ref, MX_DELETED_AT);
	appendStringInfoString(sql, " IS NOT NULL AS \"metaxy tombstone\", ");
	/* rows of a foreign table need not have a writer */
	if (get_rel_relkind(feature->relid) == RELKIND_FOREIGN_TABLE)
		appendStringInfoString(sql, "NULL::pg_catalog.xid");
	else
		mx_append_column(sql, ref, "xmin");
	appendStringInfoString(sql, " AS \"metaxy writer\"");
}

/*
 * Whether the row is doomed; if not, it is one that becomes stale.
 */
static void
append_verdict(Finder *finder, StringInfo sql)
{
	bool		all_doom = true;
	bool		any = false;

	for (int i = 0; i < finder->nsources; i++)
		all_doom &= finder->sources[i]->effect == MX_DOOMS;
	if (all_doom)
	{
		appendStringInfoString(sql, ", true AS \"metaxy doomed\"");
		return;
	}

	appendStringInfoString(sql, ", (");
	for (int i = 0; i < finder->nsources; i++)
	{
		if (finder->sources[i]->effect == MX_MAKES_STALE)
			continue;
		appendStringInfo(sql, "%s(%s)", any ? " OR " : "",
						 finder->hits[i].text);
		if (finder->sources[i]->effect == MX_DOOMS_GROUP)
			appendStringInfo(sql, " AND (%s) IS NOT TRUE",
							 finder->kept[i].text);
		any = true;
	}
	appendStringInfo(sql, "%s) IS TRUE AS \"metaxy doomed\"",
					 any ? "" : "false");
}

/*
 * Whether the row is of interest at all.
 */
static void
append_any(Finder *finder, StringInfo sql)
{
	for (int i = 0; i < finder->nsources; i++)
		appendStringInfo(sql, "%s(%s)", i == 0 ? "" : " OR ",
						 finder->hits[i].text);
}
