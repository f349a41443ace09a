/*-------------------------------------------------------------------------
 *
 * main.c
 *		The metaxy command: deletes feature metadata from the shell.
 *
 * src/bin/main.c
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bin.h"

int
main(int argc, char **argv)
{
	static Arguments arguments;
	static Session session;

	setlocale(LC_ALL, "");

	/* a standard stream that is closed must not become the server's socket */
	for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = dup(fd))
		if (fd > STDERR_FILENO)
		{
			close(fd);
			break;
		}

	/* a pipe that nobody reads is an error when it is written to */
	signal(SIGPIPE, SIG_IGN);

	/* what shells call to complete a line */
	if (argc > 1 && strcmp(argv[1], "__complete") == 0)
	{
		complete(argc - 2, argv + 2);
		return STATUS_DONE;
	}

	parse_arguments(&arguments, argc, argv);
	session_start(&session, &arguments);
	arguments.command->run(&session);
	return STATUS_DONE;
}
