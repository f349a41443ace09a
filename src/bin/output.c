/*-------------------------------------------------------------------------
 *
 * output.c
 *		Results: a table, JSON or CSV.
 *
 *		Rows may come in several results; the first one decides how wide the
 *		columns of a table are, so that nothing has to be kept.
 *
 * src/bin/output.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bin.h"

/* OIDs of types whose values stand to the right; they never change */
#define INT8OID 20
#define INT2OID 21
#define INT4OID 23
#define FLOAT4OID 700
#define FLOAT8OID 701
#define NUMERICOID 1700

static void put_result(const Session *session, const PGresult *result,
					   FILE *stream);
static void start_table(Output *output, const PGresult *result);
static void put_cell(const Output *output, const char *value, int column,
					 bool right);
static bool is_number(Oid type);
static int	width_of(const Output *output, const char *value);
static void put_escaped(const Output *output, const char *value);
static bool escape_control(const Output *output, const char *value, int length,
						   char escape[8]);
static void put_csv(const Output *output, const PGresult *result, int row);
static void put_field(FILE *stream, const char *value);

/*
 * Standard output takes what the user wants to have; a plan that is shown on
 * standard error is always a table.
 */
void
output_start(Output *output, const Session *session, FILE *stream)
{
	*output = (Output) {0};
	output->format = stream == stdout ? session->format : FORMAT_PLAIN;
	output->stream = stream;
	output->encoding = PQclientEncoding(session->conn);
	output->utf8 = strcmp(pg_encoding_to_char(output->encoding), "UTF8") == 0;
	if (output->format == FORMAT_JSON)
	{
		fprintf(stream, "{\"command\": \"%s\", ",
				command_name(session->arguments->command));
		for (const OptionId *id = session->arguments->command->options;
			 *id != OPT_NONE; id++)
			if (*id == OPT_DRY_RUN)
				fprintf(stream, "\"dry_run\": %s, ",
						option_given(session->arguments, OPT_DRY_RUN) ?
						"true" : "false");
		fputs("\"rows\": [", stream);
	}
}

/*
 * Prints the rows of a result.
 */
void
output_rows(Output *output, const PGresult *result)
{
	int			ncolumns = PQnfields(result);

	if (output->ncolumns == 0 && output->format != FORMAT_JSON)
		start_table(output, result);
	output->ncolumns = ncolumns;
	for (int row = 0; row < PQntuples(result); row++)
	{
		switch (output->format)
		{
			case FORMAT_JSON:
				fprintf(output->stream, "%s\n  %s", output->nrows > 0 ? "," : "",
						PQgetvalue(result, row, ncolumns - 1));
				break;
			case FORMAT_CSV:
				put_csv(output, result, row);
				break;
			case FORMAT_PLAIN:
				for (int column = 0; column < ncolumns; column++)
					put_cell(output, PQgetvalue(result, row, column), column,
							 is_number(PQftype(result, column)));
				break;
		}
		output->nrows++;
	}
}

void
output_end(Output *output)
{
	if (output->format == FORMAT_JSON)
		fprintf(output->stream, "%s]}\n", output->nrows > 0 ? "\n" : "");
	free(output->widths);
	if (output->stream == stdout)
		finish_stdout();
}

/*
 * All rows of one result.
 */
static void
put_result(const Session *session, const PGresult *result, FILE *stream)
{
	Output		output;

	output_start(&output, session, stream);
	output_rows(&output, result);
	output_end(&output);
}

/*
 * As the user wants to have it.
 */
void
print_result(const Session *session, const PGresult *result)
{
	put_result(session, result, stdout);
}

/*
 * For people, on standard error.
 */
void
show_result(const Session *session, const PGresult *result)
{
	put_result(session, result, stderr);
}

/*
 * One row, a line for each column where it is for people.
 */
void
print_record(const Session *session, const PGresult *result)
{
	Output		output;
	int			width = 0;

	if (session->format != FORMAT_PLAIN)
	{
		print_result(session, result);
		return;
	}
	output_start(&output, session, stdout);
	for (int column = 0; column < PQnfields(result); column++)
		if (width < width_of(&output, PQfname(result, column)))
			width = width_of(&output, PQfname(result, column));
	for (int column = 0; column < PQnfields(result); column++)
	{
		printf("%-*s  ", width, PQfname(result, column));
		put_escaped(&output, PQgetvalue(result, 0, column));
		putchar('\n');
	}
	output_end(&output);
}

/*
 * The sum of a column of whole numbers.
 */
long long
column_total(const PGresult *result, const char *column)
{
	int			number = PQfnumber(result, column);
	long long	sum = 0;

	for (int row = 0; row < PQntuples(result); row++)
		sum += atoll(PQgetvalue(result, row, number));
	return sum;
}

/*
 * What a terminal would take for a command.
 */
bool
is_control(char character)
{
	unsigned char code = (unsigned char) character;

	return code < 0x20 || code == 0x7f;
}

/*
 * The names of the columns; where the table is for people, as wide as what is
 * in the first rows.
 */
static void
start_table(Output *output, const PGresult *result)
{
	int			ncolumns = PQnfields(result);

	if (output->format == FORMAT_CSV)
	{
		for (int column = 0; column < ncolumns; column++)
		{
			if (column > 0)
				fputc(',', output->stream);
			put_field(output->stream, PQfname(result, column));
		}
		fputs("\r\n", output->stream);
		return;
	}
	output->ncolumns = ncolumns;
	output->widths = allocate((size_t) ncolumns * sizeof(int));
	for (int column = 0; column < ncolumns; column++)
	{
		output->widths[column] = width_of(output, PQfname(result, column));
		for (int row = 0; row < PQntuples(result); row++)
		{
			int			width = width_of(output, PQgetvalue(result, row, column));

			if (width > output->widths[column])
				output->widths[column] = width;
		}
	}
	for (int column = 0; column < ncolumns; column++)
		put_cell(output, PQfname(result, column), column,
				 is_number(PQftype(result, column)));
	for (int column = 0; column < ncolumns; column++)
	{
		fputs(column == 0 ? "-" : "-+-", output->stream);
		for (int i = 0; i < output->widths[column]; i++)
			fputc('-', output->stream);
	}
	fputs("-\n", output->stream);
}

/*
 * A value in its place; the last one ends the line.
 */
static void
put_cell(const Output *output, const char *value, int column, bool right)
{
	int			space = output->widths[column] - width_of(output, value);
	bool		last = column == output->ncolumns - 1;

	fputs(column == 0 ? " " : " | ", output->stream);
	if (right && space > 0)
		fprintf(output->stream, "%*s", space, "");
	put_escaped(output, value);
	if (!right && space > 0 && !last)
		fprintf(output->stream, "%*s", space, "");
	if (last)
		fputc('\n', output->stream);
}

static bool
is_number(Oid type)
{
	switch (type)
	{
		case INT8OID:
		case INT2OID:
		case INT4OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return true;
		default:
			return false;
	}
}

/*
 * How many columns of a terminal the value takes, as put_escaped prints it.
 */
static int
width_of(const Output *output, const char *value)
{
	int			width = 0;

	while (*value != '\0')
	{
		int			length = PQmblenBounded(value, output->encoding);
		char		escape[8];
		int			one = escape_control(output, value, length, escape) ?
		(int) strlen(escape) : PQdsplen(value, output->encoding);

		width += one > 0 ? one : 0;
		value += length;
	}
	return width;
}

/*
 * A value for people: what a terminal would take for a command is shown by its
 * code, so that a row is a line, and cannot do anything to the terminal.
 */
static void
put_escaped(const Output *output, const char *value)
{
	while (*value != '\0')
	{
		int			length = PQmblenBounded(value, output->encoding);
		char		escape[8];

		if (escape_control(output, value, length, escape))
			fputs(escape, output->stream);
		else
			fwrite(value, 1, (size_t) length, output->stream);
		value += length;
	}
}

/*
 * Sets escape to how the character is shown if it is a control character, one
 * of the second set of Unicode too: some terminals obey those as well.
 */
static bool
escape_control(const Output *output, const char *value, int length,
			   char escape[8])
{
	const unsigned char *bytes = (const unsigned char *) value;

	if (length == 2 && output->utf8 && bytes[0] == 0xc2 && bytes[1] < 0xa0)
		sprintf(escape, "\\u00%02x", bytes[1]);
	else if (length > 1 || !is_control(*value))
		return false;
	else if (*value == '\n')
		strcpy(escape, "\\n");
	else if (*value == '\t')
		strcpy(escape, "\\t");
	else if (*value == '\r')
		strcpy(escape, "\\r");
	else
		sprintf(escape, "\\x%02x", bytes[0]);
	return true;
}

/*
 * A line by RFC 4180; null is empty, and an empty text is quoted.
 */
static void
put_csv(const Output *output, const PGresult *result, int row)
{
	for (int column = 0; column < PQnfields(result); column++)
	{
		if (column > 0)
			fputc(',', output->stream);
		if (!PQgetisnull(result, row, column))
			put_field(output->stream, PQgetvalue(result, row, column));
	}
	fputs("\r\n", output->stream);
}

static void
put_field(FILE *stream, const char *value)
{
	if (*value != '\0' && strpbrk(value, ",\"\r\n") == NULL)
	{
		fputs(value, stream);
		return;
	}
	fputc('"', stream);
	for (; *value != '\0'; value++)
	{
		if (*value == '"')
			fputc('"', stream);
		fputc(*value, stream);
	}
	fputc('"', stream);
}

/*
 * Makes sure that what was printed has arrived: a full disk shows here.  That
 * nobody wants to read on is no reason for words.
 */
void
finish_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	if (errno == EPIPE)
		exit(STATUS_FAILED);
	if (interrupted())
		die(STATUS_FAILED, "canceled: the result is not complete");
	die(STATUS_FAILED, "could not write to standard output: %s",
		strerror(errno));
}
