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
