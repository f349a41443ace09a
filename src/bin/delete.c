/*-------------------------------------------------------------------------
 *
 * delete.c
 *		metadata delete, and metadata orphans --delete.
 *
 *		On a terminal the plan of what cannot be undone, or takes everything, is
 *		shown first, and its digest goes along with the delete: what was shown is
 *		what is done.
 *
 * src/bin/delete.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "bin.h"

/* the result of metaxy_delete and of metaxy_delete_orphans */
#define RESULT \
	"SELECT step, feature, relation::pg_catalog.text AS relation, samples," \
	" \"rows\", stale, deletion_id, stamp, digest FROM "

/* places of dry_run and expect in the parameters, see set_common */
#define DRY_RUN 4
#define EXPECT 5

static void check_soft(const Arguments *arguments);
static bool is_soft(const Arguments *arguments);
static bool is_whole(const Arguments *arguments);
static void set_common(Parameters *parameters, const Arguments *arguments);
static char *features_literal(Session *session);
static void run_call(Session *session, const char *sql, Parameters *parameters,
					 bool ask);
static const char *show_plan(Session *session, const char *sql,
							 Parameters *parameters);
static void tell(const Session *session, const PGresult *result);

/*
 * What can be said before anything is sent.  A hard delete of everything needs
 * to be confirmed where nobody can be asked.
 */
void
check_delete(const Arguments *arguments)
{
	bool		named = arguments->operands.count > 0 ||
	option_given(arguments, OPT_FEATURE);

	if (!named && !option_given(arguments, OPT_ALL_FEATURES))
		die_usage(arguments->command,
				  "name a feature, or say \"--all-features\"");
	if (named && option_given(arguments, OPT_ALL_FEATURES))
		die_usage(arguments->command,
				  "option \"--all-features\" goes without names of features");
	check_soft(arguments);
	exclude(arguments, OPT_WITH_FEATURE_HISTORY, OPT_FEATURE_VERSION);
	if (!is_soft(arguments) && is_whole(arguments) && !at_terminal() &&
		!option_given(arguments, OPT_YES) &&
		!option_given(arguments, OPT_DRY_RUN))
		die(STATUS_UNCONFIRMED,
			"a hard delete without a filter needs \"--yes\"");
}

static void
check_soft(const Arguments *arguments)
{
	if (option_on(arguments, OPT_SOFT))
		exclude(arguments, OPT_SOFT, OPT_HARD);
}

static bool
is_soft(const Arguments *arguments)
{
	return !option_given(arguments, OPT_HARD) &&
		(!option_given(arguments, OPT_SOFT) || option_on(arguments, OPT_SOFT));
}

/*
 * Whether every sample goes.
 */
static bool
is_whole(const Arguments *arguments)
{
	return !option_given(arguments, OPT_FILTER);
}

void
run_delete(Session *session)
{
	static const char sql[] =
	RESULT "@extschema@.metaxy_delete(soft => $1, cascade => $2,"
	" reason => $3, max_samples => $4, dry_run => $5, expect => $6,"
	" features => $7, filters => $8, partial => $9,"
	" with_feature_history => $10, with_sample_history => $11,"
	" feature_version => $12, all_rows => $13)";
	const Arguments *arguments = session->arguments;
	Parameters	parameters = {0};

	set_common(&parameters, arguments);
	add_parameter(&parameters, features_literal(session));
	add_parameter(&parameters, is_whole(arguments) ? NULL :
				  array_literal(&arguments->given[OPT_FILTER]));
	add_parameter(&parameters, value_or(arguments, OPT_PARTIAL, "keep"));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_WITH_FEATURE_HISTORY)));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_WITH_SAMPLE_HISTORY)));
	add_parameter(&parameters, option_value(arguments, OPT_FEATURE_VERSION));

	/* it is not sent before it is confirmed here */
	add_parameter(&parameters,
				  boolean(!is_soft(arguments) && is_whole(arguments)));
	run_call(session, sql, &parameters,
			 !is_soft(arguments) || is_whole(arguments));
}

/*
 * metadata orphans: how many, which, or away with them.
 */
void
check_orphans(const Arguments *arguments)
{
	static const OptionId of_delete[] = {
		OPT_SOFT, OPT_HARD, OPT_CASCADE, OPT_MAX_SAMPLES, OPT_EXPECT,
		OPT_REASON, OPT_DRY_RUN, OPT_YES, OPT_NONE
	};

	exclude(arguments, OPT_COUNT, OPT_DELETE);
	check_soft(arguments);
	if (option_given(arguments, OPT_DELETE))
	{
		if (arguments->operands.count == 0)
			die_usage(arguments->command,
					  "name the feature whose orphans are to be deleted");
		return;
	}
	for (const OptionId *id = of_delete; *id != OPT_NONE; id++)
		if (option_given(arguments, *id))
			die_usage(arguments->command,
					  "option \"--%s\" goes with \"--delete\"",
					  options[*id].name);
}

void
run_orphans(Session *session)
{
	static const char sql[] =
	RESULT "@extschema@.metaxy_delete_orphans(soft => $1,"
	" cascade => $2, reason => $3, max_samples => $4, dry_run => $5,"
	" expect => $6, feature => $7)";
	const Arguments *arguments = session->arguments;
	const char *feature = arguments->operands.count > 0 ?
	arguments->operands.words[0] : NULL;
	Parameters	parameters = {0};

	if (option_given(arguments, OPT_DELETE))
	{
		set_common(&parameters, arguments);
		add_parameter(&parameters, feature);
		run_call(session, sql, &parameters, true);
	}
	else if (feature == NULL || option_given(arguments, OPT_COUNT))
	{
		add_parameter(&parameters, feature);
		print_query(session,
					"SELECT feature, upstream, orphans"
					" FROM @extschema@.metaxy_orphan_counts($1)", &parameters);
	}
	else
	{
		find_relation(session, feature);
		print_cursor(session,
					 "SELECT * FROM @extschema@.metaxy_orphans(NULL::@relation@)",
					 NULL);
	}
}

/*
 * The parameters $1 to $6.
 */
static void
set_common(Parameters *parameters, const Arguments *arguments)
{
	add_parameter(parameters, boolean(is_soft(arguments)));
	add_parameter(parameters, value_or(arguments, OPT_CASCADE, "none"));
	add_parameter(parameters, option_value(arguments, OPT_REASON));
	add_parameter(parameters, option_value(arguments, OPT_MAX_SAMPLES));
	add_parameter(parameters, boolean(option_given(arguments, OPT_DRY_RUN)));
	add_parameter(parameters, option_value(arguments, OPT_EXPECT));
}

/*
 * The features of the command line, or all that have a table.
 */
static char *
features_literal(Session *session)
{
	Words		features = named_features(session->arguments);
	PGresult   *result;

	if (option_given(session->arguments, OPT_ALL_FEATURES))
	{
		result = query(session,
					   "SELECT feature FROM @extschema@.metaxy_feature"
					   " WHERE relation IS NOT NULL ORDER BY feature", NULL);
		for (int i = 0; i < PQntuples(result); i++)
			add_word(&features, duplicate(PQgetvalue(result, i, 0)));
		PQclear(result);
		if (features.count == 0)
			die(STATUS_FAILED, "no feature is registered");
	}
	return array_literal(&features);
}

/*
 * Carries a delete out, or its dry run.  Before one that is to be asked for, on
 * a terminal, the plan is shown.
 */
static void
run_call(Session *session, const char *sql, Parameters *parameters, bool ask)
{
	bool		dry_run = option_given(session->arguments, OPT_DRY_RUN);
	PGresult   *result;

	if (ask && must_ask(session))
		parameters->values[EXPECT] = show_plan(session, sql, parameters);
	session->changing = !dry_run;
	result = query_rows(session, sql, parameters);
	session->changing = false;
	if (!dry_run)
		tell(session, result);
	print_result(session, result);
	PQclear(result);
}

/*
 * Shows the plan and asks; returns its digest.
 */
static const char *
show_plan(Session *session, const char *sql, Parameters *parameters)
{
	bool		soft = is_soft(session->arguments);
	PGresult   *result = show_dry_run(session, sql, parameters, DRY_RUN);
	char	   *digest;
	long long	samples;

	samples = column_total(result, "samples");
	digest = duplicate(PQgetvalue(result, 0, PQfnumber(result, "digest")));
	PQclear(result);
	if (samples > 0)
		confirm(soft ? "Delete %lld samples?" :
				"Remove %lld samples for good?", samples);
	return digest;
}

/*
 * Says what was done, and how it can be undone; also where standard output
 * turns out to be full.
 */
static void
tell(const Session *session, const PGresult *result)
{
	const char *id = PQgetvalue(result, 0, PQfnumber(result, "deletion_id"));
	long long	samples = column_total(result, "samples");

	if (!is_soft(session->arguments))
		say("removed %lld samples, %lld rows, by operation %s",
			samples, column_total(result, "rows"), id);
	else if (samples > 0)
		say("deleted %lld samples by operation %s; \"" PROGRAM
			" metadata undelete %s\" brings them back", samples, id, id);
	else
		say("deleted 0 samples by operation %s", id);
}
