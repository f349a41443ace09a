/*-------------------------------------------------------------------------
 *
 * rows.c
 *		The rows that a delete writes or removes, from the samples it found.
 *
 *		They are known, and counted, before anything is written: a soft delete
 *		writes the latest rows again, a hard one removes the very rows that its
 *		snapshot showed, by their place.
 *
 * src/delete/rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "delete/delete.h"

static MxStore *find_versions(MxDelete *delete, MxStep *step);
static MxStore *find_places(MxDelete *delete, MxStep *step);
static void append_doomed(MxMatch *match, StringInfo sql);

/*
 * Does a soft delete write one tombstone for each version of a sample?
 */
bool
mx_writes_versions(const MxDelete *delete, const MxFeature *feature)
{
	return delete->request->feature_history && feature->version != NULL;
}

/*
 * Finds the rows of all steps.
 */
void
mx_find_rows(MxDelete *delete)
{
	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		MxStep	   *step = &delete->plan->steps[i];
		const MxFeature *feature = &delete->registry->features[step->feature];

		CHECK_FOR_INTERRUPTS();
		if (step->samples == 0)
			continue;
		if (!delete->request->soft)
			step->rows = find_places(delete, step);
		else if (mx_writes_versions(delete, feature))
			step->rows = find_versions(delete, step);
		else
			step->rows = step->doomed;
		step->nrows = step->rows->nrows;
		if (step->rows != step->doomed)
			mx_store_register(step->rows, psprintf("metaxy rows %d", i));
	}
}

/*
 * The latest row of each version of the doomed samples, where it is live.
 */
static MxStore *
find_versions(MxDelete *delete, MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	MxMatch		match = {.delete = delete,.step = step,.feature = feature};
	List	   *columns = mx_table_columns(feature->relid);
	MxStore    *store = mx_store_new(delete->kilobytes);
	MxCounter	counter;
	StringInfo	sql;
	ListCell   *lc;

	match.query = mx_query_new();
	match.ref = mx_table_ref(feature, NULL);
	sql = mx_query_sql(match.query);
	appendStringInfoString(sql, "SELECT ");
	foreach(lc, columns)
	{
		mx_append_column(sql, match.ref, lfirst(lc));
		appendStringInfoString(sql, ", ");
	}
	mx_append_match_columns(sql, feature, match.ref);
	mx_append_latest(sql, feature, NULL, NULL, true, MX_ACTIVE);
	append_doomed(&match, sql);
	mx_counter_init(&counter, delete, step, list_length(columns));
	mx_query_run(match.query, MX_READ,
				 mx_store_receiver(store, mx_seen_row, &counter));
	return store;
}

/*
 * Where the rows of the doomed samples are, all those in the scope.
 */
static MxStore *
find_places(MxDelete *delete, MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	MxMatch		match = {.delete = delete,.step = step,.feature = feature};
	MxStore    *store = mx_store_new(delete->kilobytes);
	StringInfo	sql;

	match.query = mx_query_new();
	match.ref = mx_table_ref(feature, NULL);
	match.version = mx_scope(delete, step, match.query);
	sql = mx_query_sql(match.query);
	appendStringInfoString(sql, "SELECT ");
	mx_append_column(sql, match.ref, "tableoid");
	appendStringInfoString(sql, ", ");
	mx_append_column(sql, match.ref, "ctid");
	appendStringInfo(sql, " FROM %s WHERE ",
					 mx_relation_name(feature->relid));
	mx_append_scope(sql, match.ref, match.version);
	append_doomed(&match, sql);
	appendStringInfoString(sql, " ORDER BY 1, 2");
	mx_query_run(match.query, MX_READ, mx_store_receiver(store, NULL, NULL));
	return store;
}

/*
 * Of a doomed sample: nothing to ask where the whole feature goes, and nothing
 * of it was left alone.
 */
static void
append_doomed(MxMatch *match, StringInfo sql)
{
	List	   *ids = match->feature->id_columns;

	if (match->step->whole && !match->delete->request->soft &&
		match->step->spared == 0)
		return;
	appendStringInfoString(sql, " AND ");
	mx_append_keys(match, sql, match->step->doomed, ids, ids, true);
}
