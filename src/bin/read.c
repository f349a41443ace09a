/*-------------------------------------------------------------------------
 *
 * read.c
 *		metadata status and metadata read.
 *
 * src/bin/read.c
 *
 *-------------------------------------------------------------------------
 */
#include "bin.h"

/*
 * Of the features that are named, or of all.  People get sizes that they can
 * read.
 */
void
run_status(Session *session)
{
	Words		features = named_features(session->arguments);
	Parameters	parameters = {0};

	add_parameter(&parameters,
				  features.count > 0 ? array_literal(&features) : NULL);
	print_query(session, print(
		"SELECT s.feature, s.relation::pg_catalog.text AS relation,"
		" s.feature_version, s.active, s.deleted, s.\"rows\", s.superseded,"
		" %s AS bytes, s.last_write, s.last_delete"
		" FROM pg_catalog.unnest(coalesce($1::pg_catalog.text[],"
		" ARRAY[NULL::pg_catalog.text])) WITH ORDINALITY AS f(name, number),"
		" LATERAL @extschema@.metaxy_status(f.name) AS s",
		session->format == FORMAT_PLAIN ?
		"pg_catalog.pg_size_pretty(s.bytes)" : "s.bytes"),
		&parameters);
}

void
check_read(const Arguments *arguments)
{
	exclude(arguments, OPT_LATEST, OPT_DELETED);
	exclude(arguments, OPT_WITH_FEATURE_HISTORY, OPT_FEATURE_VERSION);
}

/*
 * Rows whole and as they are, in no order of their own.
 */
void
run_read(Session *session)
{
	const Arguments *arguments = session->arguments;
	Parameters	parameters = {0};

	find_relation(session, arguments->operands.words[0]);
	add_parameter(&parameters, option_value(arguments, OPT_ONE_FILTER));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_LATEST)));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_DELETED)));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_WITH_FEATURE_HISTORY)));
	add_parameter(&parameters,
				  boolean(option_given(arguments, OPT_WITH_SAMPLE_HISTORY)));
	add_parameter(&parameters, option_value(arguments, OPT_FEATURE_VERSION));
	add_parameter(&parameters, option_value(arguments, OPT_AS_OF));
	add_parameter(&parameters, option_value(arguments, OPT_LIMIT));
	print_cursor(session,
				 "SELECT * FROM @extschema@.metaxy_read(NULL::@relation@,"
				 " filter => $1, include_soft_deleted => $2,"
				 " only_soft_deleted => $3, with_feature_history => $4,"
				 " with_sample_history => $5, feature_version => $6,"
				 " as_of => $7) LIMIT $8", &parameters);
}
