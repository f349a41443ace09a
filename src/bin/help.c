/*-------------------------------------------------------------------------
 *
 * help.c
 *		What --help shows, from the tables in commands.c.
 *
 * src/bin/help.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "bin.h"

/* where explanations begin */
#define COLUMN 38

static void print_program(FILE *stream, const char *group);
static void print_command(FILE *stream, const Command *command);
static void print_options(FILE *stream, const OptionId *ids);
static void print_option(FILE *stream, const Option *option);
static void print_line(FILE *stream, const char *what, const char *help);

/*
 * Help on a command, or on those of a group, or on all.
 */
void
print_help(FILE *stream, const Command *command, const char *group)
{
	bool		known = false;

	for (int i = 0; i < ncommands; i++)
		known |= group != NULL && commands[i].group != NULL &&
			strcmp(commands[i].group, group) == 0;
	if (command != NULL)
		print_command(stream, command);
	else
		print_program(stream, known ? group : NULL);
}

static void
print_program(FILE *stream, const char *group)
{
	fprintf(stream,
			PROGRAM " deletes feature metadata in PostgreSQL.\n\n"
			"Usage:\n"
			"  " PROGRAM " %s%s[ARGUMENT]... [OPTION]...\n\n"
			"Commands:\n",
			group != NULL ? group : "", group != NULL ? " COMMAND " : "COMMAND ");
	for (int i = 0; i < ncommands; i++)
	{
		const Command *command = &commands[i];

		if (group != NULL && (command->group == NULL ||
							  strcmp(command->group, group) != 0))
			continue;
		print_line(stream, print("  %s %s", command_name(command),
								 command->operands), command->summary);
	}
	fputs("\nOptions of every command:\n", stream);
	print_options(stream, global_options);
	fputs("\nThe status is 0 when done, 1 if it failed, 2 for wrong arguments, 3 if it was\n"
		  "not confirmed, 4 if the plan has changed since it was shown.\n"
		  "\"" PROGRAM " COMMAND --help\" shows options and examples of a command.\n",
		  stream);
}

static void
print_command(FILE *stream, const Command *command)
{
	const char *name = command_name(command);

	fprintf(stream, PROGRAM " %s: %s\n\nUsage:\n  " PROGRAM " %s%s%s%s\n",
			name, command->summary, name, *command->operands ? " " : "",
			command->operands, " [OPTION]...");
	if (*command->options != OPT_NONE)
	{
		fputs("\nOptions:\n", stream);
		print_options(stream, command->options);
	}
	fputs("\nOptions of every command:\n", stream);
	for (const OptionId *id = global_options; *id != OPT_NONE; id++)
		if (find_option(options[*id].name, command) == &options[*id])
			print_option(stream, &options[*id]);
	fputs("\nExamples:\n", stream);
	for (const char *const *example = command->examples; *example; example++)
		fprintf(stream, "  " PROGRAM " %s\n", *example);
}

static void
print_options(FILE *stream, const OptionId *ids)
{
	for (; *ids != OPT_NONE; ids++)
		print_option(stream, &options[*ids]);
}

static void
print_option(FILE *stream, const Option *option)
{
	char		letter[] = "    ";

	if (option->letter != 0)
	{
		letter[0] = '-';
		letter[1] = option->letter;
		letter[2] = ',';
	}
	print_line(stream,
			   print("  %s--%s%s%s", letter, option->name,
					 option->kind == OPTION_SWITCH ? "[=true|false]" :
					 option->placeholder != NULL ? "=" : "",
					 option->placeholder != NULL ? option->placeholder : ""),
			   option->help);
}

/*
 * Something and its explanation, below it where it is too long.
 */
static void
print_line(FILE *stream, const char *what, const char *help)
{
	if (strlen(what) < COLUMN - 1)
		fprintf(stream, "%-*s%s\n", COLUMN, what, help);
	else
		fprintf(stream, "%s\n%*s%s\n", what, COLUMN, "", help);
}
