/*-------------------------------------------------------------------------
 *
 * stream.c
 *		Prints the rows of a query as they come, by a cursor, so that neither
 *		side holds a table in memory.
 *
 * src/bin/stream.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "bin.h"

#define FETCH "FETCH 1000 FROM metaxy_rows"

/*
 * The transaction reads only: whatever a filter calls, nothing is changed.
 */
void
print_cursor(Session *session, const char *sql, const Parameters *parameters)
{
	char	   *text = print(session->format == FORMAT_JSON ?
							 "DECLARE metaxy_rows NO SCROLL CURSOR FOR"
							 " SELECT pg_catalog.to_json(q.*) FROM (%s) AS q" :
							 "DECLARE metaxy_rows NO SCROLL CURSOR FOR %s", sql);
	PGresult   *result;
	Output		output;

	execute(session, "BEGIN READ ONLY", NULL);
	execute(session, text, parameters);
	free(text);
	result = query(session, FETCH, NULL);
	output_start(&output, session, stdout);
	while (PQntuples(result) > 0 || output.ncolumns == 0)
	{
		output_rows(&output, result);
		PQclear(result);
		if (ferror(stdout))
			finish_stdout();
		result = query(session, FETCH, NULL);
	}
	PQclear(result);
	execute(session, "COMMIT", NULL);
	output_end(&output);
}
