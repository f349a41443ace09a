/*-------------------------------------------------------------------------
 *
 * render.c
 *		metaxy_graph: the feature graph as text, for people and programs.
 *
 * A feature may be named anything.  Each format has one function that puts a
 * name into it, and none of the others touches one; features and edges come
 * in the order of their keys, so that the same graph gives the same text.
 *
 * src/registry/render.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "registry/registry.h"

PG_FUNCTION_INFO_V1(metaxy_graph);

/*
 * How far a tree is indented; what lies deeper gets a tree of its own further
 * down.  Without a bound, a chain's text would grow with its length squared.
 */
#define MX_TREE_LEVELS	20

/* state of a tree */
typedef struct MxTree
{
	bool	   *shown;			/* the feature has had its first line */
	int		   *later;			/* features whose children are still to come */
	int			nlater;
} MxTree;

static void render_tree(const MxRegistry *registry, const int *depth,
						StringInfo text);
static void put_subtree(const MxRegistry *registry, MxTree *tree, int root,
						StringInfo text);
static void put_tree_name(StringInfo text, const char *before, const char *name);
static void put_tree_note(StringInfo text, const MxDependency *dependency);
static void render_mermaid(const MxRegistry *registry, const int *depth,
						   StringInfo text);
static void put_mermaid_name(StringInfo text, const char *name);
static void render_dot(const MxRegistry *registry, const int *depth,
					   StringInfo text);
static void put_dot_name(StringInfo text, const char *before, const char *name);
static void render_json(const MxRegistry *registry, const int *depth,
						StringInfo text);
static void put_json_feature(StringInfo text, const MxFeature *feature, int depth);
static void put_json_dependency(StringInfo text, const MxRegistry *registry,
								const MxDependency *dependency);
static void put_json_text(StringInfo text, const char *label,
						  const char *value);
static void put_json_names(StringInfo text, const char *label, List *names);
static bool is_word(char c);

static const char *const formats[] = {"tree", "mermaid", "dot", "json", NULL};
static void (*const renderers[]) (const MxRegistry *registry,
								  const int *depth, StringInfo text) = {
	render_tree, render_mermaid, render_dot, render_json
};

/*
 * metaxy_graph(format text) returns text
 *
 * The whole graph as a tree, as a Mermaid flowchart, in Graphviz' language or
 * as JSON.  Reads the registry as it is now and locks nothing.
 */
Datum
metaxy_graph(PG_FUNCTION_ARGS)
{
	int			format = mx_choice(mx_arg_text(fcinfo, 0, "format"), "format",
								   formats);
	MxRegistry *registry;
	StringInfoData text;
	int		   *order;
	int		   *depth;
	int			count;

	initStringInfo(&text);		/* outlives SPI's memory */
	SPI_connect();
	registry = mx_registry_load();
	count = registry->nfeatures;
	order = (int *) palloc(sizeof(int) * count);
	depth = (int *) palloc(sizeof(int) * count);

	/* once this has passed, every path in the graph ends */
	mx_graph_order_all(registry->graph, mx_registry_names(registry), order);
	mx_graph_depth(registry->graph, order, count, depth);

	renderers[format] (registry, depth, &text);
	SPI_finish();

	PG_RETURN_TEXT_P(cstring_to_text_with_len(text.data, text.len));
}

/*
 * Each root with what lies beneath it.  Where the indentation ends, features
 * are put off until the tree that they are in is done, and then head a tree
 * of their own.
 */
static void
render_tree(const MxRegistry *registry, const int *depth, StringInfo text)
{
	const MxGraph *graph = registry->graph;
	MxTree		tree;
	int			done = 0;

	tree.shown = (bool *) palloc0(sizeof(bool) * graph->nnodes);
	tree.later = (int *) palloc(sizeof(int) * graph->nnodes);
	tree.nlater = 0;

	for (int node = 0; node < graph->nnodes; node++)
	{
		if (graph->in_start[node] < graph->in_start[node + 1])
			continue;

		put_tree_name(text, text->len > 0 ? "\n" : "",
					  registry->features[node].key);
		put_subtree(registry, &tree, node, text);

		for (; done < tree.nlater; done++)
		{
			put_tree_name(text, "\n", registry->features[tree.later[done]].key);
			appendStringInfoString(text, " (continued)");
			put_subtree(registry, &tree, tree.later[done], text);
		}
	}
}

/*
 * Puts a line for each edge that leads on from a feature.
 *
 * Depth first with a stack of its own, since a chain may be of any length.  A
 * feature has its dependents beneath its first line alone, so the text grows
 * with the number of edges and not with that of paths.
 */
static void
put_subtree(const MxRegistry *registry, MxTree *tree, int root,
			StringInfo text)
{
	const MxGraph *graph = registry->graph;
	int			next[MX_TREE_LEVELS];	/* place of the next edge ... */
	int			end[MX_TREE_LEVELS];	/* ... and of the one after the last */
	int			level = 0;

	next[0] = graph->out_start[root];
	end[0] = graph->out_start[root + 1];
	while (level >= 0)
	{
		int			edge;
		int			node;

		CHECK_FOR_INTERRUPTS();
		if (next[level] == end[level])
		{
			level--;
			continue;
		}
		edge = graph->out_edge[next[level]++];
		node = graph->to[edge];

		appendStringInfoChar(text, '\n');
		for (int i = 0; i < level; i++)
			appendStringInfoString(text, next[i] < end[i] ? "|  " : "   ");
		put_tree_name(text, "+- ", registry->features[node].key);
		put_tree_note(text, &registry->dependencies[edge]);

		if (tree->shown[node])
			appendStringInfoString(text, " (see above)");
		else if (graph->out_start[node] == graph->out_start[node + 1])
			 /* a leaf */ ;
		else if (level == MX_TREE_LEVELS - 1)
		{
			appendStringInfoString(text, " (continued below)");
			tree->later[tree->nlater++] = node;
		}
		else
		{
			level++;
			next[level] = graph->out_start[node];
			end[level] = graph->out_start[node + 1];
		}
		tree->shown[node] = true;
	}
}

/*
 * A name in a tree: as it is where it cannot be taken for anything else, in
 * double quotes and with JSON's escapes otherwise.
 */
static void
put_tree_name(StringInfo text, const char *before, const char *name)
{
	bool		plain = true;

	appendStringInfoString(text, before);
	for (const char *c = name; *c != '\0' && plain; c++)
		plain = is_word(*c) || strchr("/_-.", *c) != NULL;

	if (plain)
		appendStringInfoString(text, name);
	else
		escape_json(text, name);
}

/* What sets an edge apart: " [1:N, optional]"; nothing if it is 1:1. */
static void
put_tree_note(StringInfo text, const MxDependency *dependency)
{
	if (dependency->lineage != MX_IDENTITY)
		appendStringInfo(text, " [%s%s]", mx_lineages[dependency->lineage],
						 dependency->optional ? ", optional" : "");
	else if (dependency->optional)
		appendStringInfoString(text, " [optional]");
}

/* A flowchart of Mermaid's; nodes are n0, n1, ..., for ids know no escape. */
static void
render_mermaid(const MxRegistry *registry, const int *depth, StringInfo text)
{
	const MxGraph *graph = registry->graph;

	appendStringInfoString(text, "flowchart LR");
	for (int node = 0; node < graph->nnodes; node++)
	{
		CHECK_FOR_INTERRUPTS();
		appendStringInfo(text, "\n    n%d[\"", node);
		put_mermaid_name(text, registry->features[node].key);
		appendStringInfoString(text, "\"]");
	}
	for (int i = 0; i < graph->nedges; i++)
	{
		int			edge = graph->out_edge[i];
		const MxDependency *dependency = &registry->dependencies[edge];

		CHECK_FOR_INTERRUPTS();
		appendStringInfo(text, "\n    n%d %s", graph->from[edge],
						 dependency->optional ? "-.->" : "-->");
		if (dependency->lineage != MX_IDENTITY)
			appendStringInfo(text, "|\"%s\"|", mx_lineages[dependency->lineage]);
		appendStringInfo(text, " n%d", graph->to[edge]);
	}
}

/*
 * A name within a quoted label of Mermaid's, where only entities escape.
 *
 * Besides quotes, HTML, Markdown (also lists), directives (found anywhere)
 * and "style ...:" (which eats a semicolon) mean something there.  So all
 * punctuation becomes an entity, but for what is harmless within a word.
 */
static void
put_mermaid_name(StringInfo text, const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
	{
		if (is_word(*c) ||
			(strchr("/_-. ", *c) != NULL &&
			 c > name && is_word(c[-1]) && is_word(c[1])))
			appendStringInfoChar(text, *c);
		else if (*c == '"')
			appendStringInfoString(text, "#quot;");
		else if (*c == '\n')
			appendStringInfoString(text, "<br/>");
		else
			appendStringInfo(text, "#%d;", *c);
	}
}

/* A digraph in Graphviz' language; the nodes' ids are their labels too. */
static void
render_dot(const MxRegistry *registry, const int *depth, StringInfo text)
{
	const MxGraph *graph = registry->graph;
	const MxFeature *features = registry->features;

	appendStringInfoString(text, "digraph metaxy {\n"
						   "    rankdir=LR;\n"
						   "    node [shape=box];");
	for (int node = 0; node < graph->nnodes; node++)
	{
		CHECK_FOR_INTERRUPTS();
		put_dot_name(text, "\n    ", features[node].key);
		appendStringInfoChar(text, ';');
	}
	for (int i = 0; i < graph->nedges; i++)
	{
		int			edge = graph->out_edge[i];
		const MxDependency *dependency = &registry->dependencies[edge];

		CHECK_FOR_INTERRUPTS();
		put_dot_name(text, "\n    ", features[dependency->upstream].key);
		put_dot_name(text, " -> ", features[dependency->feature].key);
		if (dependency->lineage != MX_IDENTITY)
			appendStringInfo(text, " [label=\"%s\"]",
							 mx_lineages[dependency->lineage]);
		appendStringInfoString(text, dependency->optional ?
							   " [style=dashed];" : ";");
	}
	appendStringInfoString(text, "\n}");
}

/*
 * A name as a quoted string of Graphviz'.  A backslash stays doubled in the
 * identifier and becomes one in the label, where "\N" and the like would mean
 * something.  HTML's entities are known there as well, and the way to keep
 * off a "%" in front, which marks nodes without a name.
 */
static void
put_dot_name(StringInfo text, const char *before, const char *name)
{
	appendStringInfo(text, "%s\"", before);
	for (const char *c = name; *c != '\0'; c++)
	{
		if (*c == '"' || *c == '\\')
			appendStringInfo(text, "\\%c", *c);
		else if (*c == '\n')
			appendStringInfoString(text, "\\n");
		else if (*c == '&')
			appendStringInfoString(text, "&amp;");
		else if (*c == '%' || (!is_word(*c) && iscntrl((unsigned char) *c)))
			appendStringInfo(text, "&#%d;", *c);
		else
			appendStringInfoChar(text, *c);
	}
	appendStringInfoChar(text, '"');
}

/*
 * {"features": [...], "dependencies": [...]}, a line for each; dependencies
 * by feature and then by upstream.
 */
static void
render_json(const MxRegistry *registry, const int *depth, StringInfo text)
{
	const MxGraph *graph = registry->graph;

	appendStringInfoString(text, "{\"features\": [");
	for (int node = 0; node < graph->nnodes; node++)
	{
		CHECK_FOR_INTERRUPTS();
		appendStringInfoString(text, node == 0 ? "\n" : ",\n");
		put_json_feature(text, &registry->features[node], depth[node]);
	}
	appendStringInfoString(text, "\n],\n\"dependencies\": [");
	for (int i = 0; i < graph->nedges; i++)
	{
		CHECK_FOR_INTERRUPTS();
		appendStringInfoString(text, i == 0 ? "\n" : ",\n");
		put_json_dependency(text, registry,
							&registry->dependencies[graph->in_edge[i]]);
	}
	appendStringInfoString(text, "\n]}");
}

/*
 * One feature.  A table that is gone, though nobody told the registry, is as
 * if there were none.
 */
static void
put_json_feature(StringInfo text, const MxFeature *feature, int depth)
{
	bool		exists = get_rel_name(feature->relid) != NULL;

	put_json_text(text, "{\"feature\": ", feature->key);
	put_json_text(text, ", \"relation\": ",
				  exists ? mx_relation_name(feature->relid) : NULL);
	put_json_names(text, ", \"id_columns\": ", feature->id_columns);
	put_json_text(text, ", \"feature_version\": ", feature->version);
	appendStringInfo(text, ", \"depth\": %d}", depth);
}

/*
 * One edge, its columns as they were given: null where the lineage's own rule
 * applies.
 */
static void
put_json_dependency(StringInfo text, const MxRegistry *registry,
					const MxDependency *dependency)
{
	const char *before = "{";
	ListCell   *from;
	ListCell   *to;

	put_json_text(text, "{\"feature\": ",
				  registry->features[dependency->feature].key);
	put_json_text(text, ", \"upstream\": ",
				  registry->features[dependency->upstream].key);
	put_json_text(text, ", \"lineage\": ", mx_lineages[dependency->lineage]);
	put_json_names(text, ", \"on_columns\": ", dependency->on_columns);
	appendStringInfoString(text, ", \"rename\": ");
	forboth(from, dependency->rename_from, to, dependency->rename_to)
	{
		put_json_text(text, before, (char *) lfirst(from));
		put_json_text(text, ": ", (char *) lfirst(to));
		before = ", ";
	}
	appendStringInfoString(text, dependency->rename_from == NIL ? "null" : "}");
	appendStringInfo(text, ", \"optional\": %s}",
					 dependency->optional ? "true" : "false");
}

/* A string or null, after a label. */
static void
put_json_text(StringInfo text, const char *label, const char *value)
{
	appendStringInfoString(text, label);
	if (value != NULL)
		escape_json(text, value);
	else
		appendStringInfoString(text, "null");
}

/* An array of strings, null if it has none, after a label. */
static void
put_json_names(StringInfo text, const char *label, List *names)
{
	const char *before = "[";
	ListCell   *lc;

	appendStringInfoString(text, label);
	foreach(lc, names)
	{
		put_json_text(text, before, (char *) lfirst(lc));
		before = ", ";
	}
	appendStringInfoString(text, names == NIL ? "null" : "]");
}

/* Is it a letter or digit, or a byte of a character beyond ASCII? */
static bool
is_word(char c)
{
	return IS_HIGHBIT_SET(c) || isalnum((unsigned char) c);
}
