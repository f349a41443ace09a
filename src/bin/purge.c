/*-------------------------------------------------------------------------
 *
 * purge.c
 *		metadata purge, retain and maintain: what goes for good, in time.
 *
 *		The server commits as it goes along, so these calls are no transaction:
 *		what was removed before an interrupt stays removed.
 *
 * src/bin/purge.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "bin.h"

#define AFTER_CANCEL "what was removed until then is gone, the next call does the rest"

/*
 * What a call to metaxy_purge returns, as a query: a CALL cannot be a part of
 * one, which the server could turn to JSON.
 */
#define PURGED \
	"SELECT $1::pg_catalog.int8 AS purged_samples," \
	" $2::pg_catalog.int8 AS purged_rows, $3::pg_catalog.int8 AS bytes"

void
check_purge(const Arguments *arguments)
{
	const char *batch_size = option_value(arguments, OPT_BATCH_SIZE);

	if (!option_given(arguments, OPT_OLDER_THAN))
		die_usage(arguments->command, "\"metadata purge\" needs \"--older-than\"");
	if (batch_size != NULL && (strspn(batch_size, "0") == strlen(batch_size) ||
							   strlen(batch_size) > 9))
		die_usage(arguments->command,
				  "option \"--batch-size\" is a number from 1 on, not \"%s\"",
				  batch_size);
}

void
run_purge(Session *session)
{
	static const char sql[] =
	"CALL @extschema@.metaxy_purge(feature => $1, older_than => $2,"
	" history => $3, batch_size => $4, dry_run => $5)";
	const Arguments *arguments = session->arguments;
	bool		dry_run = option_given(arguments, OPT_DRY_RUN);
	Parameters	parameters = {0};
	Parameters	purged = {0};
	PGresult   *result;

	add_parameter(&parameters, arguments->operands.words[0]);
	add_parameter(&parameters, option_value(arguments, OPT_OLDER_THAN));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_HISTORY)));
	add_parameter(&parameters,
				  value_or(arguments, OPT_BATCH_SIZE, "10000"));
	add_parameter(&parameters, boolean(dry_run));
	if (must_ask(session))
	{
		long long	rows;

		result = show_dry_run(session, sql, &parameters, 4);
		rows = column_total(result, "purged_rows");
		PQclear(result);
		if (rows > 0)
			confirm("Remove %lld rows for good?", rows);
	}
	session->changing = !dry_run;
	session->after_cancel = dry_run ? session->after_cancel : AFTER_CANCEL;
	result = query(session, sql, &parameters);
	session->changing = false;
	if (!dry_run)
		say("removed %s samples, %s rows", PQgetvalue(result, 0, 0),
			PQgetvalue(result, 0, 1));
	for (int column = 0; column < PQnfields(result); column++)
		add_parameter(&purged, PQgetvalue(result, 0, column));
	print_query(session, PURGED, &purged);
	PQclear(result);
}

void
run_retain(Session *session)
{
	const Arguments *arguments = session->arguments;
	Parameters	parameters = {0};

	add_parameter(&parameters, arguments->operands.words[0]);
	add_parameter(&parameters, option_value(arguments, OPT_PURGE_AFTER));
	add_parameter(&parameters, option_value(arguments, OPT_HISTORY_AFTER));
	session->changing = true;
	execute(session, "SELECT @extschema@.metaxy_retain($1, $2, $3)",
			&parameters);
	session->changing = false;
	session->after_cancel = "the change was made";
	parameters.count = 1;
	print_query(session,
				"SELECT f.feature, r.purge_after, r.history_after"
				" FROM @extschema@.metaxy_feature AS f"
				" LEFT JOIN @extschema@.metaxy_retention AS r"
				" ON r.feature OPERATOR(pg_catalog.=) f.feature"
				" WHERE f.feature OPERATOR(pg_catalog.=) $1", &parameters);
}

/*
 * The server says in notices what it has purged of each feature.  The result is
 * what the ledger has of it; of a dry run, what is kept for how long.
 */
void
run_maintain(Session *session)
{
	static const char sql[] = "CALL @extschema@.metaxy_maintain($1)";
	bool		dry_run = option_given(session->arguments, OPT_DRY_RUN);
	Parameters	parameters = {0};
	Parameters	last = {0};
	PGresult   *result;

	add_parameter(&parameters, boolean(true));
	if (dry_run || must_ask(session))
		execute(session, sql, &parameters);
	if (dry_run)
	{
		print_query(session,
					"SELECT feature, purge_after, history_after"
					" FROM @extschema@.metaxy_retention ORDER BY feature",
					NULL);
		return;
	}
	if (must_ask(session))
		confirm("Remove that for good?");
	result = query(session,
				   "SELECT coalesce(pg_catalog.max(id), 0)"
				   " FROM @extschema@.metaxy_deletions", NULL);
	add_parameter(&last, PQgetvalue(result, 0, 0));
	parameters.values[0] = boolean(false);
	session->changing = true;
	session->after_cancel = AFTER_CANCEL;
	execute(session, sql, &parameters);
	session->changing = false;
	print_query(session,
				"SELECT s.feature, d.id AS deletion_id, s.samples, s.\"rows\""
				" FROM @extschema@.metaxy_deletions AS d"
				" JOIN @extschema@.metaxy_deletion_steps AS s"
				" ON s.deletion_id OPERATOR(pg_catalog.=) d.id"
				" WHERE d.id OPERATOR(pg_catalog.>) $1"
				" AND d.kind OPERATOR(pg_catalog.=) 'purge' ORDER BY d.id",
				&last);
	PQclear(result);
}
