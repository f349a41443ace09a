/*-------------------------------------------------------------------------
 *
 * message.c
 *		Words on standard error: errors, notices, and how far a call is.
 *
 * src/bin/message.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bin.h"

#define RED "31"
#define YELLOW "33"
#define CYAN "36"

/*
 * SQLSTATE of the messages by which the server tells how far a call is, once
 * metaxy.progress is on.
 */
#define SQLSTATE_PROGRESS "MX001"

/* as the options say, from message_setup on */
static bool colored = false;
static bool silent = false;

/* whether the last line on the terminal is one of progress */
static bool progress_shown = false;

/* what the server has last said of its progress, and in which encoding */
static char *step = NULL;
static int	step_encoding = 0;

static void put(const char *color, const char *label, const char *format,
				va_list arguments) PRINTF_LIKE(3, 0);
static void put_text(const char *color, const char *label, const char *text);
static void report_fields(const Session *session, const PGresult *result,
						  const char *color, const char *label);
static void report_filter(int encoding, const char *filter, int position);

/*
 * Sets color to "always", "never" or "auto": on a terminal that can, unless the
 * environment has NO_COLOR (no-color.org).
 */
void
message_setup(const char *color, bool quiet)
{
	const char *terminal = getenv("TERM");
	const char *without = getenv("NO_COLOR");

	silent = quiet;
	if (color != NULL && strcmp(color, "auto") != 0)
		colored = strcmp(color, "always") == 0;
	else
		colored = isatty(STDERR_FILENO) && terminal != NULL &&
			strcmp(terminal, "dumb") != 0 &&
			(without == NULL || *without == '\0');
}

/*
 * Something that is good to know; not with --quiet.
 */
void
say(const char *format,...)
{
	va_list		arguments;

	if (silent)
		return;
	va_start(arguments, format);
	put(NULL, NULL, format, arguments);
	va_end(arguments);
}

void
warn(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	put(YELLOW, "warning", format, arguments);
	va_end(arguments);
}

void
hint(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	put(CYAN, "hint", format, arguments);
	va_end(arguments);
}

void
error(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	put(RED, "error", format, arguments);
	va_end(arguments);
}

/*
 * An error after which nothing can be done.
 */
void
die(Status status, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	put(RED, "error", format, arguments);
	va_end(arguments);
	exit(status);
}

static void
put(const char *color, const char *label, const char *format,
	va_list arguments)
{
	progress_clear();
	fputs(PROGRAM ": ", stderr);
	if (label != NULL && colored)
		fprintf(stderr, "\033[%sm%s:\033[0m ", color, label);
	else if (label != NULL)
		fprintf(stderr, "%s: ", label);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

/*
 * The same for a text that libpq brings, which may end with a line's end.
 */
static void
put_text(const char *color, const char *label, const char *text)
{
	int			length = (int) strlen(text);

	while (length > 0 && text[length - 1] == '\n')
		length--;
	progress_clear();
	if (colored)
		fprintf(stderr, PROGRAM ": \033[%sm%s:\033[0m %.*s\n", color, label,
				length, text);
	else
		fprintf(stderr, PROGRAM ": %s: %.*s\n", label, length, text);
}

/*
 * What the server says of an error, or libpq, where there is no server.
 */
void
report_result(const Session *session, const PGresult *result)
{
	if (PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) == NULL)
		report_connection(session->conn);
	else
		report_fields(session, result, RED, "error");
}

/*
 * What libpq says.
 */
void
report_connection(const PGconn *conn)
{
	put_text(RED, "error", PQerrorMessage(conn));
}

/*
 * For PQsetNoticeReceiver: warnings are shown, notices unless told to be
 * quiet, and progress is kept for progress_show.
 */
void
receive_notice(void *argument, const PGresult *result)
{
	const Session *session = argument;
	const char *severity = PQresultErrorField(result,
											  PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (severity == NULL || message == NULL)
		return;
	if (state != NULL && strcmp(state, SQLSTATE_PROGRESS) == 0)
	{
		free(step);
		step = duplicate(message);
		step_encoding = PQclientEncoding(session->conn);
	}
	else if (strcmp(severity, "WARNING") == 0)
		report_fields(session, result, YELLOW, "warning");
	else if (!silent)
		report_fields(session, result, CYAN, "notice");
}

static void
report_fields(const Session *session, const PGresult *result,
			  const char *color, const char *label)
{
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *advice = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *filter = PQresultErrorField(result, PG_DIAG_INTERNAL_QUERY);
	const char *position = PQresultErrorField(result,
											  PG_DIAG_INTERNAL_POSITION);

	put_text(color, label, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	if (filter != NULL && position != NULL)
		report_filter(PQclientEncoding(session->conn), filter, atoi(position));
	if (detail != NULL)
		put_text(CYAN, "detail", detail);
	if (advice != NULL)
		put_text(CYAN, "hint", advice);
	if (state != NULL && strcmp(label, "error") == 0)
		put_text(CYAN, "SQLSTATE", state);
}

/*
 * The line of a filter that has the error, and a caret under the place.  The
 * position counts characters, from 1.
 */
static void
report_filter(int encoding, const char *filter, int position)
{
	static const char label[] = PROGRAM ": filter: ";
	const char *line = filter;
	const char *at = filter;
	int			column = (int) sizeof(label) - 1;

	for (int i = 1; i < position && *at != '\0'; i++)
	{
		int			width = PQdsplen(at, encoding);

		if (*at == '\n')
		{
			line = at + 1;
			column = (int) sizeof(label) - 1;
		}
		else
			column += is_control(*at) ? 1 : width > 0 ? width : 0;
		at += PQmblenBounded(at, encoding);
	}
	fputs(label, stderr);
	for (; *line != '\0' && *line != '\n'; line++)
		fputc(is_control(*line) ? ' ' : *line, stderr);
	fprintf(stderr, "\n%*s^\n", column, "");
}

/*
 * Whether there is a terminal that can show how far a call is.
 */
bool
progress_wanted(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDERR_FILENO) && !silent &&
		(terminal == NULL || strcmp(terminal, "dumb") != 0);
}

/*
 * Shows how long the call has been running and what the server does, on the
 * terminal's last line.  What does not fit there is left out: a line that wraps
 * could not be cleared.
 */
void
progress_show(long seconds)
{
	struct winsize window;
	int			room = 80;
	const char *at = step != NULL ? step : "waiting for the server";

	if (!progress_wanted())
		return;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
		room = window.ws_col;
	room -= fprintf(stderr, "\r\033[K%ld:%02ld  ", seconds / 60, seconds % 60) -
		(int) strlen("\r\033[K");
	while (*at != '\0')
	{
		int			length = PQmblenBounded(at, step_encoding);
		int			width = PQdsplen(at, step_encoding);

		room -= width > 0 ? width : 1;
		if (room <= 0)
			break;
		if (width < 0 || is_control(*at))
			fputc(' ', stderr);
		else
			fwrite(at, 1, (size_t) length, stderr);
		at += length;
	}
	fflush(stderr);
	progress_shown = true;
}

void
progress_clear(void)
{
	if (!progress_shown)
		return;
	fputs("\r\033[K", stderr);
	progress_shown = false;
}
