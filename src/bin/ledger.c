/*-------------------------------------------------------------------------
 *
 * ledger.c
 *		history and metadata undelete.
 *
 * src/bin/ledger.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "bin.h"

/*
 * Operations, newest first.  One of several features is found by each.
 */
void
run_history(Session *session)
{
	const Arguments *arguments = session->arguments;
	const Words *features = &arguments->given[OPT_FEATURE];
	Parameters	parameters = {0};

	add_parameter(&parameters,
				  features->count > 0 ? array_literal(features) : NULL);
	add_parameter(&parameters, option_value(arguments, OPT_KIND));
	add_parameter(&parameters, option_value(arguments, OPT_ROLE));
	add_parameter(&parameters, option_value(arguments, OPT_SINCE));
	add_parameter(&parameters, option_value(arguments, OPT_UNTIL));
	add_parameter(&parameters, option_value(arguments, OPT_LIMIT));
	print_cursor(session,
				 "SELECT d.id, d.kind, d.stamp, d.role, d.features, d.filters,"
				 " d.soft, d.cascade, d.samples, d.\"rows\", d.undone_by,"
				 " d.reason"
				 " FROM @extschema@.metaxy_deletions AS d"
				 " WHERE ($1::pg_catalog.text[] IS NULL OR EXISTS"
				 " (SELECT FROM @extschema@.metaxy_deletion_steps AS s"
				 " WHERE s.deletion_id OPERATOR(pg_catalog.=) d.id"
				 " AND s.feature OPERATOR(pg_catalog.=) ANY ($1)))"
				 " AND ($2::pg_catalog.text IS NULL"
				 " OR d.kind OPERATOR(pg_catalog.=) $2)"
				 " AND ($3::pg_catalog.text IS NULL"
				 " OR d.role OPERATOR(pg_catalog.=) $3)"
				 " AND ($4::pg_catalog.timestamptz IS NULL"
				 " OR d.stamp OPERATOR(pg_catalog.>=) $4)"
				 " AND ($5::pg_catalog.timestamptz IS NULL"
				 " OR d.stamp OPERATOR(pg_catalog.<) $5)"
				 " ORDER BY d.id DESC LIMIT $6", &parameters);
}

void
check_undelete(const Arguments *arguments)
{
	const char *id = arguments->operands.words[0];

	if (strlen(id) > 18 || strspn(id, "0123456789") != strlen(id))
		die_usage(arguments->command,
				  "an operation has a number, as \"" PROGRAM
				  " history\" shows, not \"%s\"", id);
	if (arguments->given[OPT_FEATURE].count > 1)
		die_usage(arguments->command,
				  "option \"--feature\" is given more than once");
}

/*
 * Nothing is lost by it, but on a terminal it is shown before it is done.
 */
void
run_undelete(Session *session)
{
	static const char sql[] =
	"SELECT feature, restored, skipped FROM"
	" @extschema@.metaxy_undelete($1, $2, dry_run => $3)";
	const Arguments *arguments = session->arguments;
	bool		dry_run = option_given(arguments, OPT_DRY_RUN);
	Parameters	parameters = {0};
	PGresult   *result;
	long long	restored;

	add_parameter(&parameters, arguments->operands.words[0]);
	add_parameter(&parameters, option_value(arguments, OPT_FEATURE));
	add_parameter(&parameters, boolean(dry_run));
	if (must_ask(session))
	{
		result = show_dry_run(session, sql, &parameters, 2);
		restored = column_total(result, "restored");
		PQclear(result);
		if (restored > 0)
			confirm("Restore %lld samples?", restored);
	}
	session->changing = !dry_run;
	result = query_rows(session, sql, &parameters);
	session->changing = false;
	if (!dry_run)
		say("restored %lld samples", column_total(result, "restored"));
	print_result(session, result);
	PQclear(result);
}
