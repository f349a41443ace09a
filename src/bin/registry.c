/*-------------------------------------------------------------------------
 *
 * registry.c
 *		What is registered: sync, register, depend and their opposites, list,
 *		describe, and the graph.
 *
 * src/bin/registry.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "bin.h"

static void change(Session *session, const char *sql,
				   const Parameters *parameters);

/* a feature as registered; for "list features" and "describe" */
#define FEATURE_COLUMNS \
	"f.feature, f.relation::pg_catalog.text AS relation, f.id_columns," \
	" f.feature_version, f.project, f.owner::pg_catalog.text AS owner," \
	" f.views"

void
run_sync(Session *session)
{
	const Arguments *arguments = session->arguments;
	Parameters	parameters = {0};

	add_parameter(&parameters, option_value(arguments, OPT_SCHEMA));
	add_parameter(&parameters, value_or(arguments, OPT_TABLE_PREFIX, ""));
	add_parameter(&parameters, option_value(arguments, OPT_PROJECT));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_DRY_RUN)));
	session->changing = !option_given(arguments, OPT_DRY_RUN);
	print_query(session,
				"SELECT feature, relation::pg_catalog.text AS relation, action,"
				" detail FROM @extschema@.metaxy_sync("
				"pg_catalog.quote_ident($1)::pg_catalog.regnamespace,"
				" $2, $3, $4)", &parameters);
}

void
check_register(const Arguments *arguments)
{
	if (!option_given(arguments, OPT_TABLE))
		die_usage(arguments->command, "\"register\" needs \"--table\"");
	if (!option_given(arguments, OPT_ID_COLUMNS))
		die_usage(arguments->command, "\"register\" needs \"--id-columns\"");
}

void
run_register(Session *session)
{
	const Arguments *arguments = session->arguments;
	Parameters	parameters = {0};

	add_parameter(&parameters, arguments->operands.words[0]);
	add_parameter(&parameters, option_value(arguments, OPT_TABLE));
	add_parameter(&parameters,
				  array_literal(&arguments->given[OPT_ID_COLUMNS]));
	add_parameter(&parameters, option_value(arguments, OPT_CURRENT_VERSION));
	add_parameter(&parameters,
				  boolean(!option_given(arguments, OPT_NO_VIEWS)));
	add_parameter(&parameters,
				  boolean(!option_given(arguments, OPT_NO_INDEXES)));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_REPLACE)));
	change(session,
		   "SELECT @extschema@.metaxy_register($1, $2, $3, $4, $5, $6, $7)",
		   &parameters);
	say("registered feature \"%s\"", parameters.values[0]);
}

void
run_unregister(Session *session)
{
	Parameters	parameters = {0};

	add_parameter(&parameters, session->arguments->operands.words[0]);
	change(session, "SELECT @extschema@.metaxy_unregister($1)", &parameters);
	say("unregistered feature \"%s\"", parameters.values[0]);
}

void
check_depend(const Arguments *arguments)
{
	const Words *renames = &arguments->given[OPT_RENAME];

	for (int i = 0; i < renames->count; i++)
	{
		const char *equals = strchr(renames->words[i], '=');

		if (equals == NULL || equals == renames->words[i] || equals[1] == '\0')
			die_usage(arguments->command,
					  "option \"--rename\" takes UPSTREAM=COLUMN, not \"%s\"",
					  renames->words[i]);
	}
}

void
run_depend(Session *session)
{
	const Arguments *arguments = session->arguments;
	const Words *on = &arguments->given[OPT_ON];
	const Words *renames = &arguments->given[OPT_RENAME];
	Parameters	parameters = {0};
	Words		pairs = {0};

	/* jsonb_object takes names and values in turn */
	for (int i = 0; i < renames->count; i++)
	{
		const char *equals = strchr(renames->words[i], '=');

		add_word(&pairs, print("%.*s", (int) (equals - renames->words[i]),
							   renames->words[i]));
		add_word(&pairs, equals + 1);
	}
	add_parameter(&parameters, arguments->operands.words[0]);
	add_parameter(&parameters, arguments->operands.words[1]);
	add_parameter(&parameters, value_or(arguments, OPT_LINEAGE, "1:1"));
	add_parameter(&parameters, on->count > 0 ? array_literal(on) : NULL);
	add_parameter(&parameters, pairs.count > 0 ? array_literal(&pairs) : NULL);
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_OPTIONAL)));
	change(session,
		   "SELECT @extschema@.metaxy_depend($1, $2, $3, $4,"
		   " pg_catalog.jsonb_object($5::pg_catalog.text[]), $6)", &parameters);
	say("feature \"%s\" depends on \"%s\"", parameters.values[0],
		parameters.values[1]);
}

void
run_undepend(Session *session)
{
	const Words *operands = &session->arguments->operands;
	Parameters	parameters = {0};

	add_parameter(&parameters, operands->words[0]);
	add_parameter(&parameters, operands->words[1]);
	change(session, "SELECT @extschema@.metaxy_undepend($1, $2)", &parameters);
	say("feature \"%s\" does not depend on \"%s\" any more",
		parameters.values[0], parameters.values[1]);
}

/*
 * A call that returns nothing.  In JSON it is an object without rows, so that
 * each call is one.
 */
static void
change(Session *session, const char *sql, const Parameters *parameters)
{
	Output		output;

	session->changing = true;
	execute(session, sql, parameters);
	session->changing = false;
	if (session->format == FORMAT_JSON)
	{
		output_start(&output, session, stdout);
		output_end(&output);
	}
}

void
run_list_features(Session *session)
{
	print_query(session,
				"SELECT " FEATURE_COLUMNS
				" FROM @extschema@.metaxy_feature AS f ORDER BY f.feature",
				NULL);
}

/*
 * One row, which is shown line by line to people.
 */
void
run_describe(Session *session)
{
	Parameters	parameters = {0};
	PGresult   *result;

	add_parameter(&parameters, session->arguments->operands.words[0]);
	result = query_rows(session,
						"SELECT " FEATURE_COLUMNS ","
						" (SELECT pg_catalog.jsonb_agg(d ORDER BY d.upstream)"
						" FROM (SELECT upstream, lineage, on_columns, rename,"
						" optional FROM @extschema@.metaxy_dependency"
						" WHERE feature OPERATOR(pg_catalog.=) f.feature) AS d)"
						" AS upstream,"
						" (SELECT pg_catalog.array_agg(d.feature ORDER BY d.feature)"
						" FROM @extschema@.metaxy_dependency AS d"
						" WHERE d.upstream OPERATOR(pg_catalog.=) f.feature)"
						" AS downstream, r.purge_after, r.history_after,"
						" (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(c)"
						" ORDER BY c.number) FROM (SELECT a.attnum AS number,"
						" a.attname AS name, pg_catalog.format_type(a.atttypid,"
						" a.atttypmod) AS type FROM pg_catalog.pg_attribute AS a"
						" WHERE a.attrelid OPERATOR(pg_catalog.=) f.relation"
						" AND a.attnum OPERATOR(pg_catalog.>) 0"
						" AND NOT a.attisdropped) AS c) AS columns"
						" FROM @extschema@.metaxy_feature AS f"
						" LEFT JOIN @extschema@.metaxy_retention AS r"
						" ON r.feature OPERATOR(pg_catalog.=) f.feature"
						" WHERE f.feature OPERATOR(pg_catalog.=) $1",
						&parameters);
	if (PQntuples(result) == 0)
		die_unknown_feature(session, parameters.values[0]);
	print_record(session, result);
	PQclear(result);
}

/*
 * A text as the server draws it.
 */
void
run_graph_render(Session *session)
{
	Parameters	parameters = {0};
	PGresult   *result;
	const char *graph;

	add_parameter(&parameters,
				  value_or(session->arguments, OPT_GRAPH_FORMAT, "tree"));
	result = query(session, "SELECT @extschema@.metaxy_graph($1)", &parameters);
	graph = PQgetvalue(result, 0, 0);
	fputs(graph, stdout);
	if (*graph != '\0' && graph[strlen(graph) - 1] != '\n')
		putchar('\n');
	PQclear(result);
	finish_stdout();
}
