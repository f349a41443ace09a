/*-------------------------------------------------------------------------
 *
 * connect.c
 *		Connects as psql does, and looks for the extension.
 *
 * src/bin/connect.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "bin.h"

static PGconn *open_connection(const Arguments *arguments,
							   const char *password);
static char *ask_password(const char *user);
static void find_extension(Session *session);
static bool is_older(const char *version, const char *than);

/* closed at exit, so that a server's log stays clean */
static PGconn *opened = NULL;

static void
close_connection(void)
{
	PQfinish(opened);
}

/*
 * A session on the database that the options and the environment name.
 */
void
session_start(Session *session, const Arguments *arguments)
{
	const char *format = option_value(arguments, OPT_FORMAT);
	bool		never = option_given(arguments, OPT_NO_PASSWORD);
	char	   *password = NULL;

	session->arguments = arguments;
	session->quiet = option_given(arguments, OPT_QUIET);
	session->echo = option_given(arguments, OPT_ECHO);
	session->terminal = at_terminal();
	session->format = format == NULL || strcmp(format, "plain") == 0 ?
		FORMAT_PLAIN : strcmp(format, "json") == 0 ? FORMAT_JSON : FORMAT_CSV;
	session->after_cancel = "nothing was changed";

	if (option_given(arguments, OPT_PASSWORD))
		password = ask_password(option_value(arguments, OPT_USERNAME));
	session->conn = open_connection(arguments, password);
	if (PQstatus(session->conn) == CONNECTION_BAD && password == NULL &&
		!never && PQconnectionNeedsPassword(session->conn))
	{
		password = ask_password(PQuser(session->conn));
		PQfinish(session->conn);
		session->conn = open_connection(arguments, password);
	}
	opened = session->conn;
	atexit(close_connection);
	if (PQstatus(session->conn) == CONNECTION_BAD)
	{
		report_connection(session->conn);
		exit(STATUS_FAILED);
	}
	PQsetNoticeReceiver(session->conn, receive_notice, session);
	interrupts_start();
	find_extension(session);
}

/*
 * One attempt.  A database name can be a connection string, whose settings then
 * win, as in psql.
 */
static PGconn *
open_connection(const Arguments *arguments, const char *password)
{
	const char *format = value_or(arguments, OPT_FORMAT,
								  option_value(arguments, OPT_GRAPH_FORMAT));
	bool		json = format != NULL && strcmp(format, "json") == 0;
	bool		shown = isatty(STDOUT_FILENO) &&
	getenv("PGCLIENTENCODING") == NULL;
	const char *const keywords[] = {
		"host", "port", "user", "password", "dbname",
		"fallback_application_name", "client_encoding", NULL
	};
	const char *const values[] = {
		option_value(arguments, OPT_HOST),
		option_value(arguments, OPT_PORT),
		option_value(arguments, OPT_USERNAME),
		password,
		option_value(arguments, OPT_DBNAME),
		PROGRAM,
		/* JSON is UTF-8 by its definition */
		json ? "UTF8" : shown ? "auto" : NULL,
		NULL
	};
	PGconn	   *conn = PQconnectdbParams(keywords, values, 1);

	if (conn == NULL)
		die(STATUS_FAILED, "out of memory");
	return conn;
}

/*
 * A password from the terminal, which does not show it.
 */
static char *
ask_password(const char *user)
{
	FILE	   *terminal = fopen("/dev/tty", "r+");
	struct termios shown;
	struct termios hidden;
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		length = -1;
	bool		hides;

	if (terminal == NULL)
		die(STATUS_FAILED, "there is no terminal to ask for a password");

	/* an interrupt must not leave a terminal behind that shows nothing */
	interrupts_start();
	hides = tcgetattr(fileno(terminal), &shown) == 0;
	hidden = shown;

	/* before the prompt: who is quick must not be shown, nor unheard */
	if (hides)
	{
		hidden.c_lflag &= ~(tcflag_t) ECHO;
		tcsetattr(fileno(terminal), TCSAFLUSH, &hidden);
	}
	if (user != NULL)
		fprintf(terminal, "Password for user %s: ", user);
	else
		fputs("Password: ", terminal);
	fflush(terminal);
	if (wait_for_line(fileno(terminal)))
		length = getline(&line, &size, terminal);
	if (hides)
		tcsetattr(fileno(terminal), TCSAFLUSH, &shown);
	fputc('\n', terminal);
	fclose(terminal);
	interrupts_stop();
	if (length < 0)
		die(STATUS_FAILED, "no password was given");
	if (length > 0 && line[length - 1] == '\n')
		line[length - 1] = '\0';
	return line;
}

/*
 * The extension's schema.  In the same trip, the server is told to report its
 * progress, if there is a terminal to show it.
 */
static void
find_extension(Session *session)
{
	static const char sql[] =
	"SELECT e.extversion, " EXTENSION_SCHEMA ","
	" CASE WHEN $1 THEN pg_catalog.set_config('metaxy.progress', 'on', false)"
	" END" FROM_EXTENSION;
	Parameters	parameters = {0};
	PGresult   *result;

	add_parameter(&parameters, boolean(progress_wanted()));
	result = query(session, sql, &parameters);
	if (PQntuples(result) == 0)
		die(STATUS_FAILED,
			"database \"%s\" does not have the extension: run CREATE EXTENSION metaxy",
			PQdb(session->conn));
	if (is_older(PQgetvalue(result, 0, 0), MX_VERSION))
		die(STATUS_FAILED,
			"database \"%s\" has version %s of the extension, this is %s: run ALTER EXTENSION metaxy UPDATE",
			PQdb(session->conn), PQgetvalue(result, 0, 0), MX_VERSION);
	session->schema = duplicate(PQgetvalue(result, 0, 1));
	PQclear(result);
}

/*
 * Sets the session's relation to the feature's table, by names that the server
 * has quoted.
 */
void
find_relation(Session *session, const char *feature)
{
	Parameters	parameters = {0};
	PGresult   *result;

	add_parameter(&parameters, feature);
	result = query(session,
				   "SELECT CASE WHEN c.oid IS NOT NULL THEN"
				   " pg_catalog.format('%I.%I', n.nspname, c.relname) END"
				   " FROM @extschema@.metaxy_feature AS f"
				   " LEFT JOIN pg_catalog.pg_class AS c"
				   " ON c.oid OPERATOR(pg_catalog.=) f.relation"
				   " LEFT JOIN pg_catalog.pg_namespace AS n"
				   " ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
				   " WHERE f.feature OPERATOR(pg_catalog.=) $1",
				   &parameters);
	if (PQntuples(result) == 0)
		die_unknown_feature(session, feature);
	if (PQgetisnull(result, 0, 0))
		die(STATUS_FAILED, "feature \"%s\" has no table", feature);
	session->relation = duplicate(PQgetvalue(result, 0, 0));
	PQclear(result);
}

/*
 * Compares versions number by number.
 */
static bool
is_older(const char *version, const char *than)
{
	for (;;)
	{
		char	   *rest;
		char	   *than_rest;
		long		number = strtol(version, &rest, 10);
		long		than_number = strtol(than, &than_rest, 10);

		if (number != than_number)
			return number < than_number;
		if (*rest != '.' || *than_rest != '.')
			return *rest != '.' && *than_rest == '.';
		version = rest + 1;
		than = than_rest + 1;
	}
}
