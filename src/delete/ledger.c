/*-------------------------------------------------------------------------
 *
 * ledger.c
 *		The ledger: one row for each delete, one for each of its steps, written
 *		in the transaction of the delete itself, by the owner of the registry.
 *
 * src/delete/ledger.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "delete/delete.h"

/* columns of metaxy_deletion_step but for the deletion's id */
#define NSTEP 7

static void append_filters(MxQuery *query, const MxRequest *request);
static void append_options(MxQuery *query, const MxRequest *request);
static void append_value(MxQuery *query, const char *before, Oid type,
						 Datum value);
static void append_text(MxQuery *query, const char *before,
						const char *value);
static void write_steps(MxDelete *delete);
static Datum make_array(Datum *values, bool *nulls, int count, Oid type);

/*
 * Writes the operation down, zero matches too, and sets its id.
 */
void
mx_ledger_write(MxDelete *delete)
{
	const MxRequest *request = delete->request;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	char	   *schema = mx_schema();
	int64		samples = 0;
	int64		rows = 0;
	bool		isnull;

	for (int i = 0; i < delete->plan->nsteps; i++)
	{
		samples += delete->plan->steps[i].samples;
		rows += delete->plan->steps[i].nrows;
	}

	appendStringInfo(sql, "INSERT INTO %s.metaxy_deletion"
					 " (id, stamp, role, session_role, features, filters,"
					 " soft, cascade, reason, application_name, samples,"
					 " \"rows\", kind, transaction_id, options)"
					 " VALUES (pg_catalog.nextval(", schema);
	append_value(query, "", REGCLASSOID,
				 ObjectIdGetDatum(mx_registry_table("metaxy_deletion_id_seq")));
	append_value(query, "), ", TIMESTAMPTZOID,
				 TimestampTzGetDatum(delete->stamp));
	append_text(query, ", ", GetUserNameFromId(GetUserId(), false));
	append_text(query, ", ", GetUserNameFromId(GetSessionUserId(), false));
	append_value(query, ", ", TEXTARRAYOID, mx_names_array(request->features));
	append_filters(query, request);
	append_value(query, ", ", BOOLOID, BoolGetDatum(request->soft));
	append_text(query, ", ", mx_cascades[request->cascade]);
	append_text(query, ", ", request->reason);
	append_text(query, ", ", application_name ? application_name : "");
	append_value(query, ", ", INT8OID, Int64GetDatum(samples));
	append_value(query, ", ", INT8OID, Int64GetDatum(rows));
	append_text(query, ", ", request->kind);
	appendStringInfoString(sql, ", pg_catalog.pg_current_xact_id(), ");
	append_options(query, request);
	appendStringInfoString(sql, ") RETURNING id");

	mx_query_run(query, MX_OWNER, NULL);
	delete->deletion_id =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	write_steps(delete);
}

/*
 * An operation of one step that goes on: what it has done by now.
 */
void
mx_ledger_update(const MxDelete *delete)
{
	static const char *const where[][2] = {
		{"metaxy_deletion", "id"},
		{"metaxy_deletion_step", "deletion_id"}
	};

	for (int i = 0; i < lengthof(where); i++)
	{
		MxQuery    *query = mx_query_new();
		StringInfo	sql = mx_query_sql(query);

		appendStringInfo(sql, "UPDATE %s.%s", mx_schema(), where[i][0]);
		append_value(query, " SET samples = ", INT8OID,
					 Int64GetDatum(delete->plan->steps[0].samples));
		append_value(query, ", \"rows\" = ", INT8OID,
					 Int64GetDatum(delete->plan->steps[0].nrows));
		appendStringInfo(sql, " WHERE %s OPERATOR(pg_catalog.=)", where[i][1]);
		append_value(query, " ", INT8OID, Int64GetDatum(delete->deletion_id));
		mx_query_run(query, MX_OWNER, NULL);
	}
}

/*
 * The texts of the filters; metaxy.log_filter = off leaves only their number,
 * for they may hold personal data.
 */
static void
append_filters(MxQuery *query, const MxRequest *request)
{
	int			count = list_length(request->filters);
	Datum	   *values = palloc0(sizeof(Datum) * Max(count, 1));
	bool	   *nulls = palloc0(sizeof(bool) * Max(count, 1));
	ListCell   *lc;

	if (count == 0)
	{
		appendStringInfoString(mx_query_sql(query), ", NULL");
		return;
	}
	foreach(lc, request->filters)
	{
		int			i = foreach_current_index(lc);

		nulls[i] = !mx_log_filter;
		if (mx_log_filter)
			values[i] = CStringGetTextDatum(mx_filter_text(lfirst(lc)));
	}
	append_value(query, ", ", TEXTARRAYOID,
				 make_array(values, nulls, count, TEXTOID));
}

/*
 * Options that are no column of their own, as one JSON object.
 */
static void
append_options(MxQuery *query, const MxRequest *request)
{
	StringInfo	sql = mx_query_sql(query);

	appendStringInfoString(sql, "pg_catalog.jsonb_strip_nulls("
						   "pg_catalog.jsonb_build_object(");
	if (request->undoes != 0)
	{
		append_value(query, "'undoes', ", INT8OID,
					 Int64GetDatum(request->undoes));
		append_value(query, ", 'restores', ", BOOLOID,
					 BoolGetDatum(request->restores));
		appendStringInfoString(sql, "))");
		return;
	}
	if (request->command != NULL)
	{
		append_text(query, "'command', ", request->command);
		appendStringInfoString(sql, "))");
		return;
	}
	if (request->older_than != NULL)
	{
		append_text(query, "'older_than', ", request->older_than);
		append_value(query, ", 'samples', ", BOOLOID,
					 BoolGetDatum(request->purges_samples));
		append_value(query, ", 'history', ", BOOLOID,
					 BoolGetDatum(request->purges_history));
		appendStringInfoString(sql, "))");
		return;
	}
	append_value(query, "'with_feature_history', ", BOOLOID,
				 BoolGetDatum(request->feature_history));
	append_value(query, ", 'with_sample_history', ", BOOLOID,
				 BoolGetDatum(request->sample_history));
	append_text(query, ", 'feature_version', ", request->version);
	append_text(query, ", 'partial', ",
				request->delete_partial ? "delete" : "keep");
	if (request->max_samples >= 0)
		append_value(query, ", 'max_samples', ", INT8OID,
					 Int64GetDatum(request->max_samples));
	append_text(query, ", 'expect', ", request->expect);
	appendStringInfoString(sql, "))");
}

/*
 * Appends "before" and a parameter.
 */
static void
append_value(MxQuery *query, const char *before, Oid type, Datum value)
{
	appendStringInfo(mx_query_sql(query), "%s$%d", before,
					 mx_query_value(query, type, value, false));
}

static void
append_text(MxQuery *query, const char *before, const char *value)
{
	appendStringInfo(mx_query_sql(query), "%s$%d", before,
					 mx_query_text(query, value));
}

/*
 * The steps, in the order of execution, in one statement.
 */
static void
write_steps(MxDelete *delete)
{
	static const Oid types[NSTEP] = {
		INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID
	};
	MxPlan	   *plan = delete->plan;
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	Datum	   *values[NSTEP];
	bool	   *nulls[NSTEP];

	for (int c = 0; c < NSTEP; c++)
	{
		values[c] = palloc0(sizeof(Datum) * plan->nsteps);
		nulls[c] = palloc0(sizeof(bool) * plan->nsteps);
	}
	for (int i = 0; i < plan->nsteps; i++)
	{
		MxStep	   *step = &plan->steps[plan->execution[i]];
		MxFeature  *feature = &delete->registry->features[step->feature];
		bool		has_table = OidIsValid(feature->relid);

		values[0][i] = Int32GetDatum(i + 1);
		values[1][i] = CStringGetTextDatum(feature->key);
		nulls[2][i] = nulls[3][i] = !has_table;
		if (has_table)
		{
			char	   *schema =
			get_namespace_name(get_rel_namespace(feature->relid));

			values[2][i] = CStringGetTextDatum(schema);
			values[3][i] = CStringGetTextDatum(get_rel_name(feature->relid));
		}
		values[4][i] = Int64GetDatum(step->samples);
		values[5][i] = Int64GetDatum(step->nrows);
		values[6][i] = Int64GetDatum(step->stale);
	}

	appendStringInfo(sql, "INSERT INTO %s.metaxy_deletion_step"
					 " (deletion_id, step, feature, schema_name, relation_name,"
					 " samples, \"rows\", stale)", mx_schema());
	append_value(query, " SELECT ", INT8OID,
				 Int64GetDatum(delete->deletion_id));
	appendStringInfoString(sql, ", s.* FROM ROWS FROM (");
	for (int c = 0; c < NSTEP; c++)
	{
		append_value(query, c == 0 ? "pg_catalog.unnest(" : ", pg_catalog.unnest(",
					 get_array_type(types[c]),
					 make_array(values[c], nulls[c], plan->nsteps, types[c]));
		appendStringInfoChar(sql, ')');
	}
	appendStringInfoString(sql, ") AS s");
	mx_query_run(query, MX_OWNER, NULL);
}

static Datum
make_array(Datum *values, bool *nulls, int count, Oid type)
{
	int			lower = 1;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower,
											  type, typlen, typbyval,
											  typalign));
}
