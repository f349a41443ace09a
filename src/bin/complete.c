/*-------------------------------------------------------------------------
 *
 * complete.c
 *		What can stand next on a command line that is being typed.
 *
 *		The files for the shells hand the words over and show what is printed
 *		here.
 *
 * src/bin/complete.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "bin.h"

/* seconds that features are waited for */
#define PATIENCE "2"

static void offer(const char *word, const char *begun);
static void offer_choices(const Option *option, const char *begun);
static void offer_options(const Command *command, const char *begun);
static void offer_commands(const Words *words, const char *begun);
static void offer_features(const Arguments *arguments, const char *begun);
static const Option *option_of(const char *word);

/*
 * Prints the candidates for the last of the words, a line for each.  Bash makes
 * words of "=" and of what follows it; others leave the value with its option,
 * and then candidates are values alone.
 */
void
complete(int argc, char **argv)
{
	static Arguments arguments;
	Words		words = {0};
	const char *begun = argc > 0 ? argv[argc - 1] : "";
	const Option *open = NULL;
	const Command *command;
	int			nwords = 0;

	for (int i = 0; i < argc; i++)
	{
		const Option *option = option_of(argv[i]);
		bool		valued = option != NULL && option->kind >= OPTION_VALUE;
		const char *value = valued ? strchr(argv[i], '=') : NULL;
		bool		last = i == argc - 1;

		if (open != NULL && strcmp(argv[i], "=") == 0)
			begun = last ? "" : begun;
		else if (open != NULL && !last)
		{
			add_word(&arguments.given[open->id], argv[i]);
			open = NULL;
		}
		else if (open == NULL && last && value != NULL)
		{
			open = option;
			begun = value + 1;
		}
		else if (last)
			break;
		else if (value != NULL)
			add_word(&arguments.given[option->id], value + 1);
		else if (valued)
			open = option;
		else if (*argv[i] != '-')
			add_word(&words, argv[i]);
	}
	command = find_command(&words, &nwords);
	if (open != NULL)
	{
		open = find_option(open->name, command);
		offer_choices(open, begun);
		if (open->id == OPT_FEATURE)
			offer_features(&arguments, begun);
	}
	else if (*begun == '-')
		offer_options(command, begun);
	else if (command == NULL)
		offer_commands(&words, begun);
	else if (strstr(command->operands, "FEATURE") != NULL)
		offer_features(&arguments, begun);
	finish_stdout();
}

static void
offer(const char *word, const char *begun)
{
	if (strncmp(word, begun, strlen(begun)) == 0)
		puts(word);
}

static void
offer_choices(const Option *option, const char *begun)
{
	const char *choices = option->placeholder;

	while (option->kind == OPTION_CHOICE && *choices != '\0')
	{
		size_t		length = strcspn(choices, "|");

		offer(print("%.*s", (int) length, choices), begun);
		choices += length + (choices[length] == '|');
	}
}

static void
offer_options(const Command *command, const char *begun)
{
	if (command != NULL)
		for (const OptionId *id = command->options; *id != OPT_NONE; id++)
			offer(print("--%s", options[*id].name), begun);
	for (const OptionId *id = global_options; *id != OPT_NONE; id++)
		if (find_option(options[*id].name, command) == &options[*id])
			offer(print("--%s", options[*id].name), begun);
}

/*
 * The first words of commands, or the second ones of a group.
 */
static void
offer_commands(const Words *words, const char *begun)
{
	const char *former = "";

	for (int i = 0; i < ncommands; i++)
	{
		const Command *command = &commands[i];

		if (words->count == 0)
		{
			const char *first = command->group != NULL ? command->group :
			command->name;

			if (strcmp(first, former) != 0)
				offer(first, begun);
			former = first;
		}
		else if (words->count == 1 && command->group != NULL &&
				 strcmp(command->group, words->words[0]) == 0)
			offer(command->name, begun);
	}
}

/*
 * The features, if the server can be had without a password and soon.  A name of
 * several lines could not be told from several names.
 */
static void
offer_features(const Arguments *arguments, const char *begun)
{
	const char *const keywords[] = {
		"host", "port", "user", "dbname", "connect_timeout",
		"fallback_application_name", NULL
	};
	const char *const values[] = {
		option_value(arguments, OPT_HOST),
		option_value(arguments, OPT_PORT),
		option_value(arguments, OPT_USERNAME),
		option_value(arguments, OPT_DBNAME),
		PATIENCE, PROGRAM, NULL
	};
	PGconn	   *conn = PQconnectdbParams(keywords, values, 1);
	PGresult   *result = PQexec(conn, "SELECT " EXTENSION_SCHEMA FROM_EXTENSION);

	if (PQntuples(result) == 1)
	{
		char	   *sql = print("SELECT feature FROM %s.metaxy_feature"
								" ORDER BY feature", PQgetvalue(result, 0, 0));

		PQclear(result);
		result = PQexec(conn, sql);
		free(sql);
		for (int i = 0; i < PQntuples(result); i++)
			if (strchr(PQgetvalue(result, i, 0), '\n') == NULL)
				offer(PQgetvalue(result, i, 0), begun);
	}
	PQclear(result);
	PQfinish(conn);
}

/*
 * The option that a word is, with its value or without; NULL if it is none.
 */
static const Option *
option_of(const char *word)
{
	for (int id = 1; id < NOPTIONS; id++)
	{
		const Option *option = &options[id];
		size_t		length = strlen(option->name);

		if (strncmp(word, "--", 2) == 0 &&
			strncmp(word + 2, option->name, length) == 0 &&
			(word[2 + length] == '\0' || word[2 + length] == '='))
			return option;
		if (option->letter != 0 && word[0] == '-' && word[1] == option->letter &&
			word[2] == '\0')
			return option;
	}
	return NULL;
}
