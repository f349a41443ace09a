/*-------------------------------------------------------------------------
 *
 * bin.h
 *		The metaxy command: what its files share.
 *
 *		It is built on libpq and libc alone, without the server's headers, and
 *		goes one way: main.c reads the arguments (commands.c, options.c), connects
 *		(connect.c) and runs a command (one file for each group of them), which
 *		sends statements (query.c) and prints what comes back (output.c,
 *		message.c).  What cannot go on ends the program where it is found, with
 *		the status that says why.
 *
 * src/bin/bin.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef METAXY_BIN_H
#define METAXY_BIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "libpq-fe.h"

#define PROGRAM "metaxy"

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define NORETURN __attribute__((noreturn))
#else
#define PRINTF_LIKE(text, first)
#define NORETURN
#endif

/* with which status the program ends */
typedef enum Status
{
	STATUS_DONE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,			/* wrong arguments: nothing was sent */
	STATUS_UNCONFIRMED = 3,		/* needs a "yes" that it did not get */
	STATUS_CHANGED = 4			/* no more what was shown, or expected */
} Status;

typedef enum Format
{
	FORMAT_PLAIN,
	FORMAT_JSON,
	FORMAT_CSV
} Format;

/* An option's id; commands.c has the table. */
typedef enum OptionId
{
	OPT_NONE,
	OPT_ALL_FEATURES,
	OPT_AS_OF,
	OPT_BATCH_SIZE,
	OPT_CASCADE,
	OPT_COLOR,
	OPT_COUNT,
	OPT_CURRENT_VERSION,
	OPT_DBNAME,
	OPT_DELETE,
	OPT_DELETED,
	OPT_DRY_RUN,
	OPT_ECHO,
	OPT_EXPECT,
	OPT_FEATURE,
	OPT_FEATURE_VERSION,
	OPT_FILTER,
	OPT_FORMAT,
	OPT_GRAPH_FORMAT,
	OPT_HARD,
	OPT_HELP,
	OPT_HISTORY,
	OPT_HISTORY_AFTER,
	OPT_HOST,
	OPT_ID_COLUMNS,
	OPT_KIND,
	OPT_LATEST,
	OPT_LIMIT,
	OPT_LINEAGE,
	OPT_MAX_SAMPLES,
	OPT_NO_INDEXES,
	OPT_NO_PASSWORD,
	OPT_NO_VIEWS,
	OPT_OLDER_THAN,
	OPT_ON,
	OPT_ONE_FILTER,
	OPT_OPTIONAL,
	OPT_PARTIAL,
	OPT_PASSWORD,
	OPT_PORT,
	OPT_PROJECT,
	OPT_PURGE_AFTER,
	OPT_QUIET,
	OPT_REASON,
	OPT_RENAME,
	OPT_REPLACE,
	OPT_ROLE,
	OPT_SCHEMA,
	OPT_SINCE,
	OPT_SOFT,
	OPT_TABLE,
	OPT_TABLE_PREFIX,
	OPT_UNTIL,
	OPT_USERNAME,
	OPT_VERSION,
	OPT_WITH_FEATURE_HISTORY,
	OPT_WITH_SAMPLE_HISTORY,
	OPT_YES,
	NOPTIONS
} OptionId;

typedef enum OptionKind
{
	OPTION_FLAG,				/* no value */
	OPTION_SWITCH,				/* alone, or =true or =false */
	OPTION_VALUE,
	OPTION_LIST,				/* a value, can be given again */
	OPTION_NUMBER,				/* a whole number, not negative */
	OPTION_CHOICE				/* one of the words in its placeholder */
} OptionKind;

typedef struct Option
{
	OptionId	id;
	const char *name;
	char		letter;			/* 0: none */
	OptionKind	kind;
	const char *placeholder;	/* of the value; of a choice "one|other" */
	const char *help;
} Option;

/* a list of words, of options or of a command line */
typedef struct Words
{
	int			count;
	const char **words;
} Words;

struct Session;

typedef struct Arguments Arguments;

typedef struct Command
{
	const char *group;			/* first word of two, or NULL */
	const char *name;
	const char *operands;		/* as help shows them */
	int			min_operands;
	int			max_operands;	/* -1: any number */
	const char *summary;
	const OptionId *options;	/* up to OPT_NONE */
	const char *const *examples;	/* up to NULL; without the program's name */
	/* looks for contradictions, before anything is sent; or NULL */
	void		(*check) (const Arguments *arguments);
	void		(*run) (struct Session *session);
} Command;

/* the command line as it was understood */
struct Arguments
{
	const Command *command;
	Words		operands;
	Words		given[NOPTIONS];	/* values; "true" for flags */
};

/* the connection, and how to talk */
typedef struct Session
{
	const Arguments *arguments;
	PGconn	   *conn;
	char	   *schema;			/* the extension's, as an SQL identifier */
	char	   *relation;		/* the feature's table, likewise, where needed */
	Format		format;
	bool		quiet;
	bool		echo;
	bool		terminal;		/* somebody is there who can be asked */
	bool		changing;		/* the statement that runs changes something */
	const char *after_cancel;	/* what is to say once it was cancelled */
	bool		suggesting;		/* the last word is being looked for */
} Session;

/* a statement's parameters, in the order of $1, $2, ... */
#define MAX_PARAMETERS 16

typedef struct Parameters
{
	int			count;
	const char *values[MAX_PARAMETERS];
} Parameters;

/* rows on their way to standard output */
typedef struct Output
{
	Format		format;
	FILE	   *stream;
	int			encoding;
	bool		utf8;
	int			ncolumns;		/* 0 until the first result has come */
	int		   *widths;
	long		nrows;
} Output;

/* commands.c */
extern const Option options[NOPTIONS];
extern const OptionId global_options[];
extern const Command commands[];
extern const int ncommands;
extern const char *command_name(const Command *command);
extern const Command *find_command(const Words *words, int *nwords);
extern bool is_group(const char *word);
extern const Option *find_option(const char *name, const Command *command);

/* options.c */
extern void parse_arguments(Arguments *arguments, int argc, char **argv);
extern void die_usage(const Command *command, const char *format,...)
			PRINTF_LIKE(2, 3) NORETURN;

/* arguments.c */
extern bool option_given(const Arguments *arguments, OptionId id);
extern bool option_on(const Arguments *arguments, OptionId id);
extern const char *option_value(const Arguments *arguments, OptionId id);
extern const char *value_or(const Arguments *arguments, OptionId id,
							const char *otherwise);
extern const char *boolean(bool value);
extern Words named_features(const Arguments *arguments);
extern void exclude(const Arguments *arguments, OptionId one, OptionId other);

/* help.c */
extern void print_help(FILE *stream, const Command *command,
					   const char *group);

/* complete.c */
extern void complete(int argc, char **argv);

/* nearest.c */
extern const char *nearest(const char *word, const char *const *candidates,
						   int ncandidates);
extern const char *nearest_command(const Words *words);

/* connect.c */
#define FROM_EXTENSION \
	" FROM pg_catalog.pg_extension AS e" \
	" JOIN pg_catalog.pg_namespace AS n" \
	" ON n.oid OPERATOR(pg_catalog.=) e.extnamespace" \
	" WHERE e.extname OPERATOR(pg_catalog.=) 'metaxy'"
#define EXTENSION_SCHEMA "pg_catalog.quote_ident(n.nspname)"

extern void session_start(Session *session, const Arguments *arguments);
extern void find_relation(Session *session, const char *feature);

/* query.c */
extern void interrupts_start(void);
extern void interrupts_stop(void);
extern bool interrupted(void);
extern bool wait_for_line(int fd);
extern void add_parameter(Parameters *parameters, const char *value);
extern PGresult *query(Session *session, const char *sql,
					   const Parameters *parameters);
extern void execute(Session *session, const char *sql,
					const Parameters *parameters);
extern void die_unknown_feature(Session *session, const char *feature) NORETURN;
extern PGresult *query_rows(Session *session, const char *sql,
							const Parameters *parameters);
extern void print_query(Session *session, const char *sql,
						const Parameters *parameters);

/* stream.c */
extern void print_cursor(Session *session, const char *sql,
						 const Parameters *parameters);

/* output.c */
extern void output_start(Output *output, const Session *session, FILE *stream);
extern void output_rows(Output *output, const PGresult *result);
extern void output_end(Output *output);
extern void print_result(const Session *session, const PGresult *result);
extern void print_record(const Session *session, const PGresult *result);
extern void show_result(const Session *session, const PGresult *result);
extern long long column_total(const PGresult *result, const char *column);
extern bool is_control(char character);
extern void finish_stdout(void);

/* message.c */
extern void message_setup(const char *color, bool quiet);
extern void say(const char *format,...) PRINTF_LIKE(1, 2);
extern void warn(const char *format,...) PRINTF_LIKE(1, 2);
extern void hint(const char *format,...) PRINTF_LIKE(1, 2);
extern void error(const char *format,...) PRINTF_LIKE(1, 2);
extern void die(Status status, const char *format,...)
			PRINTF_LIKE(2, 3) NORETURN;
extern void report_result(const Session *session, const PGresult *result);
extern void report_connection(const PGconn *conn);
extern void receive_notice(void *session, const PGresult *result);
extern bool progress_wanted(void);
extern void progress_show(long seconds);
extern void progress_clear(void);

/* confirm.c */
extern bool at_terminal(void);
extern bool must_ask(const Session *session);
extern PGresult *show_dry_run(Session *session, const char *sql,
							  Parameters *parameters, int place);
extern void confirm(const char *format,...) PRINTF_LIKE(1, 2);

/* memory.c */
extern void *allocate(size_t size);
extern void *reallocate(void *old, size_t size);
extern char *duplicate(const char *text);
extern char *print(const char *format,...) PRINTF_LIKE(1, 2);
extern char *array_literal(const Words *words);
extern void add_word(Words *words, const char *word);

/* the commands */
extern void check_delete(const Arguments *arguments);
extern void run_delete(Session *session);
extern void check_orphans(const Arguments *arguments);
extern void run_orphans(Session *session);
extern void run_status(Session *session);
extern void check_read(const Arguments *arguments);
extern void run_read(Session *session);
extern void check_undelete(const Arguments *arguments);
extern void run_undelete(Session *session);
extern void run_history(Session *session);
extern void check_purge(const Arguments *arguments);
extern void run_purge(Session *session);
extern void run_retain(Session *session);
extern void run_maintain(Session *session);
extern void run_sync(Session *session);
extern void check_register(const Arguments *arguments);
extern void run_register(Session *session);
extern void run_unregister(Session *session);
extern void check_depend(const Arguments *arguments);
extern void run_depend(Session *session);
extern void run_undepend(Session *session);
extern void run_list_features(Session *session);
extern void run_describe(Session *session);
extern void run_graph_render(Session *session);

#endif							/* METAXY_BIN_H */
