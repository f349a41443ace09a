/*-------------------------------------------------------------------------
 *
 * commands.c
 *		The commands and their options, as tables.
 *
 *		Parsing, help and completion all go by them.
 *
 * src/bin/commands.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "bin.h"

/* in the order of OptionId */
const Option options[NOPTIONS] = {
	{OPT_NONE, NULL, 0, OPTION_FLAG, NULL, NULL},
	{OPT_ALL_FEATURES, "all-features", 0, OPTION_FLAG, NULL,
	"every registered feature that has a table"},
	{OPT_AS_OF, "as-of", 0, OPTION_VALUE, "TIME",
	"rows as they were at that time"},
	{OPT_BATCH_SIZE, "batch-size", 0, OPTION_NUMBER, "ROWS",
	"rows removed in one transaction (default 10000)"},
	{OPT_CASCADE, "cascade", 0, OPTION_CHOICE, "none|downstream|upstream|both",
	"along the graph as well (default none)"},
	{OPT_COLOR, "color", 0, OPTION_CHOICE, "auto|always|never",
	"color in messages (default auto)"},
	{OPT_COUNT, "count", 0, OPTION_FLAG, NULL,
	"how many for each dependency, not which"},
	{OPT_CURRENT_VERSION, "feature-version", 0, OPTION_VALUE, "VERSION",
	"the version that becomes the current one"},
	{OPT_DBNAME, "dbname", 'd', OPTION_VALUE, "DBNAME",
	"database, connection string or URI"},
	{OPT_DELETE, "delete", 0, OPTION_FLAG, NULL,
	"delete them"},
	{OPT_DELETED, "deleted", 0, OPTION_FLAG, NULL,
	"samples that are deleted"},
	{OPT_DRY_RUN, "dry-run", 0, OPTION_FLAG, NULL,
	"show what would be done, and do nothing"},
	{OPT_ECHO, "echo", 0, OPTION_FLAG, NULL,
	"show the SQL that is sent"},
	{OPT_EXPECT, "expect", 0, OPTION_VALUE, "DIGEST",
	"stop if the plan is not the one of that dry run"},
	{OPT_FEATURE, "feature", 0, OPTION_LIST, "FEATURE",
	"a feature by name; can be repeated"},
	{OPT_FEATURE_VERSION, "feature-version", 0, OPTION_VALUE, "VERSION",
	"that version instead of the current one"},
	{OPT_FILTER, "filter", 0, OPTION_LIST, "CONDITION",
	"which samples, as in WHERE; repeated, all must hold"},
	{OPT_FORMAT, "format", 0, OPTION_CHOICE, "plain|json|csv",
	"form of results (default plain)"},
	{OPT_GRAPH_FORMAT, "format", 0, OPTION_CHOICE, "tree|mermaid|dot|json",
	"form of the graph (default tree)"},
	{OPT_HARD, "hard", 0, OPTION_FLAG, NULL,
	"remove the rows for good"},
	{OPT_HELP, "help", 0, OPTION_FLAG, NULL,
	"show this help"},
	{OPT_HISTORY, "history", 0, OPTION_FLAG, NULL,
	"also rows that later ones of that age have superseded"},
	{OPT_HISTORY_AFTER, "history-after", 0, OPTION_VALUE, "INTERVAL",
	"purge superseded rows of that age"},
	{OPT_HOST, "host", 'h', OPTION_VALUE, "HOST",
	"database server, or directory of its socket"},
	{OPT_ID_COLUMNS, "id-columns", 0, OPTION_LIST, "COLUMN",
	"a column that identifies a sample; can be repeated"},
	{OPT_KIND, "kind", 0, OPTION_CHOICE, "delete|view|undelete|purge|orphans",
	"operations of that kind"},
	{OPT_LATEST, "latest", 0, OPTION_FLAG, NULL,
	"latest rows, of deleted samples too"},
	{OPT_LIMIT, "limit", 0, OPTION_NUMBER, "N",
	"at most so many"},
	{OPT_LINEAGE, "lineage", 0, OPTION_CHOICE, "1:1|1:N|N:1",
	"how samples come from upstream ones (default 1:1)"},
	{OPT_MAX_SAMPLES, "max-samples", 0, OPTION_NUMBER, "N",
	"stop if more samples would be deleted"},
	{OPT_NO_INDEXES, "no-indexes", 0, OPTION_FLAG, NULL,
	"create no index"},
	{OPT_NO_PASSWORD, "no-password", 'w', OPTION_FLAG, NULL,
	"never ask for a password"},
	{OPT_NO_VIEWS, "no-views", 0, OPTION_FLAG, NULL,
	"create no views"},
	{OPT_OLDER_THAN, "older-than", 0, OPTION_VALUE, "INTERVAL",
	"what was deleted so long ago, such as '30 days'"},
	{OPT_ON, "on", 0, OPTION_LIST, "COLUMN",
	"column to join, by upstream's name; can be repeated"},
	{OPT_ONE_FILTER, "filter", 0, OPTION_VALUE, "CONDITION",
	"which rows, as in WHERE"},
	{OPT_OPTIONAL, "optional", 0, OPTION_FLAG, NULL,
	"samples stay when upstream's are deleted"},
	{OPT_PARTIAL, "partial", 0, OPTION_CHOICE, "keep|delete",
	"samples that lose some of their parents (default keep)"},
	{OPT_PASSWORD, "password", 'W', OPTION_FLAG, NULL,
	"ask for a password first"},
	{OPT_PORT, "port", 'p', OPTION_VALUE, "PORT",
	"database server's port"},
	{OPT_PROJECT, "project", 0, OPTION_VALUE, "PROJECT",
	"of that project alone"},
	{OPT_PURGE_AFTER, "purge-after", 0, OPTION_VALUE, "INTERVAL",
	"purge samples that were deleted so long ago"},
	{OPT_QUIET, "quiet", 'q', OPTION_FLAG, NULL,
	"results, warnings and errors alone"},
	{OPT_REASON, "reason", 0, OPTION_VALUE, "TEXT",
	"for the ledger"},
	{OPT_RENAME, "rename", 0, OPTION_LIST, "UPSTREAM=COLUMN",
	"upstream's column and the feature's; can be repeated"},
	{OPT_REPLACE, "replace", 0, OPTION_FLAG, NULL,
	"allow another table or other id columns"},
	{OPT_ROLE, "role", 0, OPTION_VALUE, "ROLE",
	"operations of that role"},
	{OPT_SCHEMA, "schema", 0, OPTION_VALUE, "SCHEMA",
	"where Metaxy's tables are"},
	{OPT_SINCE, "since", 0, OPTION_VALUE, "TIME",
	"operations from that time on"},
	{OPT_SOFT, "soft", 0, OPTION_SWITCH, NULL,
	"hide samples, keep their rows (default); =false as --hard"},
	{OPT_TABLE, "table", 0, OPTION_VALUE, "TABLE",
	"its table, as in SQL"},
	{OPT_TABLE_PREFIX, "table-prefix", 0, OPTION_VALUE, "PREFIX",
	"which the names of Metaxy's tables begin with"},
	{OPT_UNTIL, "until", 0, OPTION_VALUE, "TIME",
	"operations before that time"},
	{OPT_USERNAME, "username", 'U', OPTION_VALUE, "NAME",
	"database user"},
	{OPT_VERSION, "version", 'V', OPTION_FLAG, NULL,
	"show the version"},
	{OPT_WITH_FEATURE_HISTORY, "with-feature-history", 0, OPTION_FLAG, NULL,
	"rows of all feature versions"},
	{OPT_WITH_SAMPLE_HISTORY, "with-sample-history", 0, OPTION_FLAG, NULL,
	"all rows of a sample, not only the latest"},
	{OPT_YES, "yes", 'y', OPTION_FLAG, NULL,
	"do not ask"},
};

const OptionId global_options[] = {
	OPT_HOST, OPT_PORT, OPT_USERNAME, OPT_DBNAME, OPT_NO_PASSWORD,
	OPT_PASSWORD, OPT_FORMAT, OPT_QUIET, OPT_ECHO, OPT_COLOR, OPT_VERSION,
	OPT_HELP, OPT_NONE
};

#define OPTIONS(...) (const OptionId[]) {__VA_ARGS__, OPT_NONE}
#define NO_OPTIONS (const OptionId[]) {OPT_NONE}
#define EXAMPLES(...) (const char *const[]) {__VA_ARGS__, NULL}

const Command commands[] = {
	{"metadata", "delete", "[FEATURE]...", 0, -1,
		"delete samples",
		OPTIONS(OPT_FEATURE, OPT_ALL_FEATURES, OPT_FILTER, OPT_SOFT, OPT_HARD,
				OPT_CASCADE, OPT_PARTIAL, OPT_WITH_FEATURE_HISTORY,
				OPT_WITH_SAMPLE_HISTORY, OPT_FEATURE_VERSION, OPT_MAX_SAMPLES,
				OPT_EXPECT, OPT_REASON, OPT_DRY_RUN, OPT_YES),
		EXAMPLES("metadata delete predictions --filter \"confidence < 0.3\"",
				 "metadata delete video/raw --cascade downstream --dry-run",
				 "metadata delete predictions --filter \"created_at < '2024-01-01'\" --hard --yes"),
	check_delete, run_delete},
	{"metadata", "status", "[FEATURE]...", 0, -1,
		"samples, rows and bytes of features",
		OPTIONS(OPT_FEATURE),
		EXAMPLES("metadata status", "metadata status video/raw --format json"),
	NULL, run_status},
	{"metadata", "read", "FEATURE", 1, 1,
		"rows of a feature",
		OPTIONS(OPT_ONE_FILTER, OPT_LATEST, OPT_DELETED, OPT_WITH_FEATURE_HISTORY,
				OPT_WITH_SAMPLE_HISTORY, OPT_FEATURE_VERSION, OPT_AS_OF,
				OPT_LIMIT),
		EXAMPLES("metadata read video/raw --filter \"duration > 550\" --limit 10",
				 "metadata read video/raw --deleted --format csv",
				 "metadata read video/raw --as-of 2026-03-01"),
	check_read, run_read},
	{"metadata", "undelete", "ID", 1, 1,
		"bring back what an operation has hidden",
		OPTIONS(OPT_FEATURE, OPT_DRY_RUN, OPT_YES),
		EXAMPLES("metadata undelete 12 --dry-run",
				 "metadata undelete 12 --feature video/raw"),
	check_undelete, run_undelete},
	{"metadata", "orphans", "[FEATURE]", 0, 1,
		"active samples that have lost a sample upstream",
		OPTIONS(OPT_COUNT, OPT_DELETE, OPT_SOFT, OPT_HARD, OPT_CASCADE,
				OPT_MAX_SAMPLES, OPT_EXPECT, OPT_REASON, OPT_DRY_RUN, OPT_YES),
		EXAMPLES("metadata orphans", "metadata orphans video/faces",
				 "metadata orphans video/faces --delete --dry-run"),
	check_orphans, run_orphans},
	{"metadata", "purge", "FEATURE", 1, 1,
		"remove for good what was deleted long ago",
		OPTIONS(OPT_OLDER_THAN, OPT_HISTORY, OPT_BATCH_SIZE, OPT_DRY_RUN,
				OPT_YES),
		EXAMPLES("metadata purge video/raw --older-than '30 days' --dry-run"),
	check_purge, run_purge},
	{"metadata", "retain", "FEATURE", 1, 1,
		"say how long deleted samples are kept",
		OPTIONS(OPT_PURGE_AFTER, OPT_HISTORY_AFTER),
		EXAMPLES("metadata retain video/raw --purge-after '90 days'"),
	NULL, run_retain},
	{"metadata", "maintain", "", 0, 0,
		"purge what is due, of all features",
		OPTIONS(OPT_DRY_RUN, OPT_YES),
		EXAMPLES("metadata maintain --dry-run"),
	NULL, run_maintain},
	{NULL, "sync", "", 0, 0,
		"register the graph that Metaxy has pushed",
		OPTIONS(OPT_SCHEMA, OPT_TABLE_PREFIX, OPT_PROJECT, OPT_DRY_RUN),
		EXAMPLES("sync --dry-run", "sync --schema public"),
	NULL, run_sync},
	{NULL, "register", "FEATURE", 1, 1,
		"make a table hold a feature",
		OPTIONS(OPT_TABLE, OPT_ID_COLUMNS, OPT_CURRENT_VERSION, OPT_NO_VIEWS,
				OPT_NO_INDEXES, OPT_REPLACE),
		EXAMPLES("register sensor --table sensor --id-columns sensor_id"),
	check_register, run_register},
	{NULL, "unregister", "FEATURE", 1, 1,
		"forget a feature; its table stays",
		NO_OPTIONS,
		EXAMPLES("unregister sensor"),
	NULL, run_unregister},
	{NULL, "depend", "FEATURE UPSTREAM", 2, 2,
		"say that a feature is made from another",
		OPTIONS(OPT_LINEAGE, OPT_ON, OPT_RENAME, OPT_OPTIONAL),
		EXAMPLES("depend sensor/reading sensor --lineage 1:N --on sensor_id"),
	check_depend, run_depend},
	{NULL, "undepend", "FEATURE UPSTREAM", 2, 2,
		"forget that a feature is made from another",
		NO_OPTIONS,
		EXAMPLES("undepend sensor/reading sensor"),
	NULL, run_undepend},
	{"list", "features", "", 0, 0,
		"the registered features",
		NO_OPTIONS,
		EXAMPLES("list features --format csv"),
	NULL, run_list_features},
	{NULL, "describe", "FEATURE", 1, 1,
		"all that is registered of a feature",
		NO_OPTIONS,
		EXAMPLES("describe video/raw"),
	NULL, run_describe},
	{"graph", "render", "", 0, 0,
		"the graph of features",
		OPTIONS(OPT_GRAPH_FORMAT),
		EXAMPLES("graph render", "graph render --format dot | dot -Tsvg"),
	NULL, run_graph_render},
	{NULL, "history", "", 0, 0,
		"the ledger of operations, newest first",
		OPTIONS(OPT_FEATURE, OPT_KIND, OPT_ROLE, OPT_SINCE, OPT_UNTIL,
				OPT_LIMIT),
		EXAMPLES("history --limit 10", "history --feature video/raw --since yesterday"),
	NULL, run_history},
};

const int	ncommands = (int) (sizeof(commands) / sizeof(commands[0]));

/*
 * As it is typed: "metadata delete".
 */
const char *
command_name(const Command *command)
{
	if (command->group == NULL)
		return command->name;
	return print("%s %s", command->group, command->name);
}

/*
 * The command that the words begin with, and of how many words it is; NULL if
 * there is none.
 */
const Command *
find_command(const Words *words, int *nwords)
{
	for (int i = 0; i < ncommands; i++)
	{
		const Command *command = &commands[i];
		int			last = command->group == NULL ? 0 : 1;

		if (words->count <= last)
			continue;
		if (last == 1 && strcmp(words->words[0], command->group) != 0)
			continue;
		if (strcmp(words->words[last], command->name) != 0)
			continue;
		*nwords = last + 1;
		return command;
	}
	return NULL;
}

/*
 * Whether commands begin with the word and another.
 */
bool
is_group(const char *word)
{
	for (int i = 0; i < ncommands; i++)
		if (commands[i].group != NULL && strcmp(commands[i].group, word) == 0)
			return true;
	return false;
}

/*
 * The option of that name; of two, the command's own one, if a command is
 * given, else the first.  NULL if there is none.
 */
const Option *
find_option(const char *name, const Command *command)
{
	if (command != NULL)
		for (const OptionId *own = command->options; *own != OPT_NONE; own++)
			if (strcmp(options[*own].name, name) == 0)
				return &options[*own];
	for (int id = 1; id < NOPTIONS; id++)
		if (strcmp(options[id].name, name) == 0)
			return &options[id];
	return NULL;
}
