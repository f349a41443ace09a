/*-------------------------------------------------------------------------
 *
 * confirm.c
 *		Asks before something is done.
 *
 * src/bin/confirm.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bin.h"

/*
 * Whether somebody is there who can be asked.
 */
bool
at_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/*
 * Whether what changes something is to be shown, and asked for, before.
 */
bool
must_ask(const Session *session)
{
	return session->terminal && !option_given(session->arguments, OPT_YES) &&
		!option_given(session->arguments, OPT_DRY_RUN);
}

/*
 * Shows what a call would do, by its dry run; that is the parameter at the given
 * place, which is false again thereafter.  Returns what was shown.
 */
PGresult *
show_dry_run(Session *session, const char *sql, Parameters *parameters,
			 int place)
{
	PGresult   *result;

	parameters->values[place] = boolean(true);
	result = query(session, sql, parameters);
	parameters->values[place] = boolean(false);
	show_result(session, result);
	return result;
}

/*
 * Asks on the terminal, and ends the program unless the answer is "y" or
 * "yes", in capitals or not.
 */
void
confirm(const char *format,...)
{
	va_list		arguments;
	char		answer[16];
	size_t		length;

	fflush(stdout);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs(" [y/N] ", stderr);
	fflush(stderr);
	if (!wait_for_line(STDIN_FILENO) ||
		fgets(answer, sizeof(answer), stdin) == NULL)
	{
		fputc('\n', stderr);
		die(STATUS_UNCONFIRMED, "not confirmed: nothing was changed");
	}
	length = strcspn(answer, "\r\n");
	answer[length] = '\0';
	if (strcasecmp(answer, "y") != 0 && strcasecmp(answer, "yes") != 0)
		die(STATUS_UNCONFIRMED, "not confirmed: nothing was changed");
}
