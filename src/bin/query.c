/*-------------------------------------------------------------------------
 *
 * query.c
 *		Sends statements and waits for what comes of them.
 *
 *		Statements are written in this program; what a user says goes along as a
 *		parameter.  Two words stand for names that the server has quoted:
 *		@extschema@ for the extension's schema, @relation@ for a feature's table.
 *
 * src/bin/query.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bin.h"

/* how often it is looked whether there was an interrupt, in milliseconds */
#define TICK 200

/* seconds after which progress is shown */
#define PATIENCE 1

#define SQLSTATE_QUERY_CANCELED "57014"
#define SQLSTATE_UNDEFINED_OBJECT "42704"
#define SQLSTATE_WRONG_STATE "55000"

/* how the server says that "expect" is another digest */
#define UNEXPECTED "the delete is not the expected one"

static volatile sig_atomic_t signalled = 0;

static char *expand(const Session *session, const char *sql);
static void echo(const char *sql, const Parameters *parameters);
static void echo_value(int number, const char *value);
static time_t seconds_now(void);
static PGresult *receive(Session *session);
static void cancel(const Session *session);
static void fail(Session *session, const PGresult *result) NORETURN;
static void suggest_feature(Session *session);

static void
note_signal(int number)
{
	signalled = number;
}

/*
 * From now on an interrupt cancels the statement that runs; a second one ends
 * the program.  A pipe that is closed is an error of whoever writes to it.
 */
void
interrupts_start(void)
{
	struct sigaction action = {.sa_handler = note_signal};

	sigemptyset(&action.sa_mask);
	action.sa_flags = (int) SA_RESETHAND;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/*
 * Back to what they do by default: the end of the program.
 */
void
interrupts_stop(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

bool
interrupted(void)
{
	return signalled != 0;
}

/*
 * Waits until a terminal has a line; false if an interrupt comes before.  Merely
 * to read would miss one that comes just before the read.
 */
bool
wait_for_line(int fd)
{
	struct pollfd wait = {fd, POLLIN, 0};

	while (!interrupted())
		if (poll(&wait, 1, TICK) > 0)
			return true;
	return false;
}

/*
 * Adds a value, which may be NULL.
 */
void
add_parameter(Parameters *parameters, const char *value)
{
	if (parameters->count == MAX_PARAMETERS)
		die(STATUS_FAILED, "too many parameters");
	parameters->values[parameters->count++] = value;
}

/*
 * The result of a statement.  If it fails, the program ends with what the
 * server says.
 */
PGresult *
query(Session *session, const char *sql, const Parameters *parameters)
{
	static const Parameters none = {0};
	char	   *text = expand(session, sql);
	PGresult   *result;

	if (parameters == NULL)
		parameters = &none;
	if (session->echo)
		echo(text, parameters);
	if (interrupted() ||
		!PQsendQueryParams(session->conn, text, parameters->count, NULL,
						   parameters->values, NULL, NULL, 0))
		fail(session, NULL);
	free(text);
	result = receive(session);
	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
			return result;
		default:
			fail(session, result);
	}
}

/*
 * A statement whose result says nothing.
 */
void
execute(Session *session, const char *sql, const Parameters *parameters)
{
	PQclear(query(session, sql, parameters));
}

/*
 * The same as a query for the output in this format: JSON is made by the
 * server, as the last column.  "q.*" is the row even where a column is named q.
 */
PGresult *
query_rows(Session *session, const char *sql, const Parameters *parameters)
{
	char	   *text;
	PGresult   *result;

	if (session->format != FORMAT_JSON)
		return query(session, sql, parameters);
	text = print("SELECT q.*, pg_catalog.to_json(q.*) FROM (%s) AS q", sql);
	result = query(session, text, parameters);
	free(text);
	return result;
}

/*
 * Runs a query and prints its rows.
 */
void
print_query(Session *session, const char *sql, const Parameters *parameters)
{
	PGresult   *result = query_rows(session, sql, parameters);

	print_result(session, result);
	PQclear(result);
}

/*
 * The statement with the names in it.
 */
static char *
expand(const Session *session, const char *sql)
{
	static const char schema[] = "@extschema@";
	static const char relation[] = "@relation@";
	char	   *text;
	size_t		size;
	FILE	   *stream = open_memstream(&text, &size);

	if (stream == NULL)
		die(STATUS_FAILED, "out of memory");
	while (*sql != '\0')
	{
		if (strncmp(sql, schema, sizeof(schema) - 1) == 0)
		{
			fputs(session->schema, stream);
			sql += sizeof(schema) - 1;
		}
		else if (strncmp(sql, relation, sizeof(relation) - 1) == 0)
		{
			fputs(session->relation, stream);
			sql += sizeof(relation) - 1;
		}
		else
			fputc(*sql++, stream);
	}
	if (fclose(stream) != 0)
		die(STATUS_FAILED, "out of memory");
	return text;
}

static void
echo(const char *sql, const Parameters *parameters)
{
	progress_clear();
	fprintf(stderr, "%s;\n", sql);
	for (int i = 0; i < parameters->count; i++)
	{
		if (parameters->values[i] != NULL)
			echo_value(i + 1, parameters->values[i]);
		else
			fprintf(stderr, "-- $%d is null\n", i + 1);
	}
}

/*
 * A value as a comment, each line of it.
 */
static void
echo_value(int number, const char *value)
{
	fprintf(stderr, "-- $%d = ", number);
	for (; *value != '\0'; value++)
	{
		if (*value == '\n')
			fputs("\n--      ", stderr);
		else
			fputc(is_control(*value) ? ' ' : *value, stderr);
	}
	fputc('\n', stderr);
}

/*
 * By a clock that nobody sets.
 */
static time_t
seconds_now(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/*
 * Waits for the result, shows how long, and passes an interrupt on.
 */
static PGresult *
receive(Session *session)
{
	time_t		begin = seconds_now();
	bool		cancelled = false;
	PGresult   *last = NULL;
	PGresult   *result;

	for (;;)
	{
		while (PQisBusy(session->conn))
		{
			struct pollfd wait = {PQsocket(session->conn), POLLIN, 0};
			long		seconds = (long) (seconds_now() - begin);

			if (interrupted() && !cancelled)
			{
				cancelled = true;
				cancel(session);
			}
			if (seconds >= PATIENCE)
				progress_show(seconds);
			if (poll(&wait, 1, TICK) < 0 && errno != EINTR)
				die(STATUS_FAILED, "could not wait for the server: %s",
					strerror(errno));
			if (!PQconsumeInput(session->conn))
				break;
		}
		result = PQgetResult(session->conn);
		if (result == NULL)
			break;

		/* what the server said last, not that it is gone thereafter */
		if (PQresultErrorField(last, PG_DIAG_SQLSTATE) != NULL)
			PQclear(result);
		else
		{
			PQclear(last);
			last = result;
		}
	}
	progress_clear();
	return last;
}

static void
cancel(const Session *session)
{
	PGcancel   *request = PQgetCancel(session->conn);
	char		message[256];

	if (request != NULL && !PQcancel(request, message, sizeof(message)))
		warn("could not send the cancel: %s", message);
	PQfreeCancel(request);
}

/*
 * Ends the program with what has gone wrong; where the statement could not even
 * be sent there is no result.
 */
static void
fail(Session *session, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	bool		lost = PQstatus(session->conn) == CONNECTION_BAD;

	if (interrupted() && (result == NULL || (state != NULL &&
			strcmp(state, SQLSTATE_QUERY_CANCELED) == 0)))
		die(STATUS_FAILED, "canceled: %s", session->after_cancel);
	report_result(session, result);
	if (lost && session->changing)
		hint("Whether it was done is not known: see \"" PROGRAM " history\".");
	if (lost || state == NULL || message == NULL)
		exit(STATUS_FAILED);
	if (strcmp(state, SQLSTATE_WRONG_STATE) == 0 &&
		strcmp(message, UNEXPECTED) == 0)
	{
		say("nothing was changed");
		exit(STATUS_CHANGED);
	}
	if (strcmp(state, SQLSTATE_UNDEFINED_OBJECT) == 0 &&
		session->schema != NULL && !session->suggesting)
		suggest_feature(session);
	exit(STATUS_FAILED);
}

/*
 * For a feature that a command needs and that is not there.
 */
void
die_unknown_feature(Session *session, const char *feature)
{
	error("feature \"%s\" is not registered", feature);
	suggest_feature(session);
	exit(STATUS_FAILED);
}

/*
 * Names the feature that may have been meant by one that is not registered.
 */
static void
suggest_feature(Session *session)
{
	Words		named = named_features(session->arguments);
	PGresult   *result;
	Words		features = {0};

	session->suggesting = true;
	if (PQtransactionStatus(session->conn) == PQTRANS_INERROR)
		execute(session, "ROLLBACK", NULL);
	result = query(session, "SELECT feature FROM @extschema@.metaxy_feature",
				   NULL);
	for (int i = 0; i < PQntuples(result); i++)
		add_word(&features, PQgetvalue(result, i, 0));
	for (int i = 0; i < named.count; i++)
	{
		const char *meant = nearest(named.words[i], features.words,
									features.count);

		if (meant != NULL && strcmp(meant, named.words[i]) != 0)
			hint("Did you mean \"%s\"?", meant);
	}
}
