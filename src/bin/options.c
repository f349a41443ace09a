/*-------------------------------------------------------------------------
 *
 * options.c
 *		Reads the command line.
 *
 *		Options can stand anywhere, before the command's words too, so all of
 *		them are read before it is known which belong to the command.
 *
 * src/bin/options.c
 *
 *-------------------------------------------------------------------------
 */
#include <assert.h>
#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bin.h"

/* what getopt_long returns for an option: apart from letters */
#define LONG_OPTION(id) (256 + (int) (id))

/* an option that could not be read */
typedef struct Mistake
{
	const char *text;			/* as it was given; NULL: none */
	OptionId	id;				/* OPT_NONE: unknown */
	bool		lacks_value;
} Mistake;

static void scan(Arguments *arguments, Words *words, Mistake *mistake,
				 int argc, char **argv);
static void build_tables(struct option *table, char *letters);
static OptionId id_of(int read);
static void rename_options(Arguments *arguments);
static void answer_questions(const Arguments *arguments, const Words *words);
static void die_unknown_command(const Words *words) NORETURN;
static void die_mistake(const Command *command, const Mistake *mistake) NORETURN;
static bool takes(const Command *command, OptionId id);
static void check_value(const Command *command, const Option *option,
						const Words *values);
static bool is_choice(const char *value, const char *choices);
static void check_operands(const Arguments *arguments);

/*
 * The command and its options, or the end of the program: with the help that
 * was asked for, or with what is wrong.
 */
void
parse_arguments(Arguments *arguments, int argc, char **argv)
{
	Words		words = {0};
	Mistake		mistake = {0};
	const Command *command;
	int			nwords = 0;

	scan(arguments, &words, &mistake, argc, argv);
	message_setup(option_value(arguments, OPT_COLOR),
				  option_given(arguments, OPT_QUIET));
	command = arguments->command = find_command(&words, &nwords);
	answer_questions(arguments, &words);

	/* its value may have been taken for a command */
	if (mistake.text != NULL)
		die_mistake(command, &mistake);
	if (command == NULL)
		die_unknown_command(&words);
	arguments->operands.count = words.count - nwords;
	arguments->operands.words = words.words + nwords;
	rename_options(arguments);
	for (int id = 1; id < NOPTIONS; id++)
	{
		const Words *values = &arguments->given[id];

		if (values->count == 0)
			continue;
		if (!takes(command, id))
			die_usage(command, "option \"--%s\" is not one of \"%s\"",
					  options[id].name, command_name(command));
		check_value(command, &options[id], values);
	}
	check_operands(arguments);
	if (command->check != NULL)
		command->check(arguments);
}

static void
scan(Arguments *arguments, Words *words, Mistake *mistake, int argc,
	 char **argv)
{
	struct option table[NOPTIONS] = {{0}};
	char		letters[2 * NOPTIONS + 3];

	build_tables(table, letters);
	opterr = 0;
	for (;;)
	{
		const char *word = argv[optind];
		int			read = getopt_long(argc, argv, letters, table, NULL);
		OptionId	id = id_of(read);

		if (read == -1)
			break;
		if (read == 1)
			add_word(words, optarg);
		else if (id != OPT_NONE)
			add_word(&arguments->given[id], optarg != NULL ? optarg : "true");
		else if (mistake->text == NULL)
		{
			mistake->id = id_of(optopt);
			mistake->lacks_value = read == ':';
			mistake->text = word;

			/* of letters together, the one that is wrong */
			if (mistake->id == OPT_NONE && optopt > ' ' && optopt < 0x7f)
				mistake->text = print("-%c", optopt);
		}
	}
	for (; optind < argc; optind++)
		add_word(words, argv[optind]);	/* behind "--" */
}

/*
 * The options as getopt_long wants them, a name once, or it could not be
 * abbreviated.  Letters begin with "-", so that operands are returned in their
 * place, and ":", so that a value that is missing is told from an unknown
 * option.
 */
static void
build_tables(struct option *table, char *letters)
{
	*letters++ = '-';
	*letters++ = ':';
	for (int id = 1; id < NOPTIONS; id++)
	{
		const Option *option = &options[id];
		bool		valued = option->kind >= OPTION_VALUE;

		assert(option->id == (OptionId) id);
		if (option->letter != 0)
		{
			*letters++ = option->letter;
			if (valued)
				*letters++ = ':';
		}
		if (find_option(option->name, NULL) != option)
			continue;
		table->name = option->name;
		table->has_arg = valued ? required_argument :
			option->kind == OPTION_SWITCH ? optional_argument : no_argument;
		table->val = LONG_OPTION(id);
		table++;
	}
	*letters = '\0';
}

/*
 * The option that getopt_long means; OPT_NONE if it means none.
 */
static OptionId
id_of(int read)
{
	if (read > LONG_OPTION(OPT_NONE) && read < LONG_OPTION(NOPTIONS))
		return (OptionId) (read - LONG_OPTION(0));
	for (int id = 1; id < NOPTIONS; id++)
		if (options[id].letter != 0 && options[id].letter == read)
			return (OptionId) id;
	return OPT_NONE;
}

/*
 * Some names are of two options: getopt_long knows the first one, the command
 * says which it is.
 */
static void
rename_options(Arguments *arguments)
{
	for (const OptionId *own = arguments->command->options; *own != OPT_NONE;
		 own++)
		for (int id = 1; id < NOPTIONS; id++)
			if (id != (int) *own && strcmp(options[id].name, options[*own].name) == 0)
			{
				if (option_given(arguments, id))
					arguments->given[*own] = arguments->given[id];
				arguments->given[id].count = 0;
			}
}

/*
 * --help and --version, whatever else is on the line.
 */
static void
answer_questions(const Arguments *arguments, const Words *words)
{
	if (option_given(arguments, OPT_HELP))
	{
		const char *group = words->count > 0 ? words->words[0] : NULL;

		if (arguments->command == NULL &&
			(words->count > 1 || (group != NULL && !is_group(group))))
			die_unknown_command(words);
		print_help(stdout, arguments->command, group);
		finish_stdout();
		exit(STATUS_DONE);
	}
	if (option_given(arguments, OPT_VERSION))
	{
		printf(PROGRAM " %s\n", MX_VERSION);
		finish_stdout();
		exit(STATUS_DONE);
	}
}

static void
die_unknown_command(const Words *words)
{
	const char *group = words->count > 0 ? words->words[0] : NULL;
	const char *meant;

	if (words->count == 0 || (words->count == 1 && is_group(group)))
	{
		print_help(stderr, NULL, group);
		exit(STATUS_USAGE);
	}
	if (words->count == 1)
		error("unknown command \"%s\"", group);
	else
		error("unknown command \"%s %s\"", group, words->words[1]);
	meant = nearest_command(words);
	if (meant != NULL)
		hint("Did you mean \"%s\"?", meant);
	else
		hint("Try \"" PROGRAM "%s%s --help\".", is_group(group) ? " " : "",
			 is_group(group) ? group : "");
	exit(STATUS_USAGE);
}

static void
die_mistake(const Command *command, const Mistake *mistake)
{
	bool		is_long = strncmp(mistake->text, "--", 2) == 0;
	size_t		length = strcspn(mistake->text, is_long ? "=" : "");
	const char *name = print("%.*s", (int) length, mistake->text);
	const char *known[NOPTIONS];
	const char *meant = NULL;
	int			nknown = 0;
	int			nbegun = 0;

	if (mistake->id != OPT_NONE && mistake->lacks_value)
		die_usage(command, "option \"--%s\" needs a value",
				  options[mistake->id].name);
	if (mistake->id != OPT_NONE)
		die_usage(command, "option \"--%s\" takes no value",
				  options[mistake->id].name);

	for (int id = 1; id < NOPTIONS; id++)
		if (takes(command, id))
		{
			known[nknown++] = print("--%s", options[id].name);
			if (length > 2 && strncmp(known[nknown - 1], name, length) == 0)
			{
				meant = known[nknown - 1];
				nbegun++;
			}
		}
	if (nbegun > 1)
		die_usage(command, "option \"%s\" is ambiguous", name);
	if (meant == NULL)
		meant = nearest(name, known, nknown);
	if (meant == NULL)
		die_usage(command, "unknown option \"%s\"", name);
	error("unknown option \"%s\"", name);
	hint("Did you mean \"%s\"?", meant);
	exit(STATUS_USAGE);
}

/*
 * Wrong arguments, and where to look for the right ones.  The command is NULL
 * where it is not known.
 */
void
die_usage(const Command *command, const char *format,...)
{
	va_list		arguments;
	char		text[1024];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	error("%s", text);
	if (command != NULL)
		hint("Try \"" PROGRAM " %s --help\".", command_name(command));
	else
		hint("Try \"" PROGRAM " --help\".");
	exit(STATUS_USAGE);
}

/*
 * Whether the option is one of the command, or of all.  While there is no
 * command, it can be any.
 */
static bool
takes(const Command *command, OptionId id)
{
	if (command == NULL)
		return true;
	for (const OptionId *own = command->options; *own != OPT_NONE; own++)
		if (*own == id)
			return true;
	for (const OptionId *global = global_options; *global != OPT_NONE; global++)
		if (*global == id)
			return true;
	return false;
}

static void
check_value(const Command *command, const Option *option, const Words *values)
{
	const char *value = values->words[0];

	if (option->kind >= OPTION_VALUE && option->kind != OPTION_LIST &&
		values->count > 1)
		die_usage(command, "option \"--%s\" is given more than once",
				  option->name);
	switch (option->kind)
	{
		case OPTION_FLAG:
			break;
		case OPTION_SWITCH:
			for (int i = 0; i < values->count; i++)
				if (!is_choice(values->words[i], "true|false"))
					die_usage(command, "option \"--%s\" is true or false, not \"%s\"",
							  option->name, values->words[i]);
			break;
		case OPTION_CHOICE:
			if (!is_choice(value, option->placeholder))
				die_usage(command, "option \"--%s\" is one of %s, not \"%s\"",
						  option->name, option->placeholder, value);
			break;
		case OPTION_NUMBER:
			if (*value == '\0' || strlen(value) > 18 ||
				strspn(value, "0123456789") != strlen(value))
				die_usage(command, "option \"--%s\" takes a whole number, not \"%s\"",
						  option->name, value);
			break;
		case OPTION_VALUE:
		case OPTION_LIST:
			for (int i = 0; i < values->count; i++)
				if (values->words[i][strspn(values->words[i], " \t\r\n")] == '\0' &&
					option->id != OPT_TABLE_PREFIX)
					die_usage(command, "the value of option \"--%s\" is empty",
							  option->name);
			break;
	}
}

/*
 * Whether the value is one of the words with "|" between.
 */
static bool
is_choice(const char *value, const char *choices)
{
	size_t		length = strlen(value);

	for (;;)
	{
		size_t		choice = strcspn(choices, "|");

		if (choice == length && strncmp(choices, value, length) == 0)
			return true;
		if (choices[choice] == '\0')
			return false;
		choices += choice + 1;
	}
}

static void
check_operands(const Arguments *arguments)
{
	const Command *command = arguments->command;
	const Words *operands = &arguments->operands;

	if (operands->count < command->min_operands)
		die_usage(command, "\"%s\" needs %s", command_name(command),
				  command->operands);
	if (command->max_operands >= 0 &&
		operands->count > command->max_operands)
		die_usage(command, "unexpected argument \"%s\"",
				  operands->words[command->max_operands]);
	for (int i = 0; i < operands->count; i++)
		if (*operands->words[i] == '\0')
			die_usage(command, "argument %d is empty", i + 1);
}
