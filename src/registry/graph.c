/*-------------------------------------------------------------------------
 *
 * graph.c
 *		Order, cycles, closure and depth of a graph of integers.
 *
 * All of it is linear in nodes and edges, but for the logarithm of the heap
 * in mx_graph_order, and nothing recurses: a chain of a hundred thousand
 * features must neither be slow nor overflow the stack.
 *
 * src/registry/graph.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/binaryheap.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "registry/graph.h"

/* of a longer cycle the text has this many nodes, then an ellipsis */
#define MX_CYCLE_SHOWN	20

static int *new_ints(int count);
static void sort_edges(int nnodes, int nedges, const int *key,
					   const int *edges, int *start, int *sorted);
static int	compare_smaller_first(Datum a, Datum b, void *arg);
static int	smallest_on_cycle(const MxGraph *graph);
static int *distances_to(const MxGraph *graph, int target);

/*
 * Builds the adjacency lists of a graph.
 *
 * The two arrays are not copied and must live as long as the graph.  Loops,
 * and several edges between the same two nodes, are taken as they are.
 */
MxGraph *
mx_graph_build(int nnodes, int nedges, const int *from, const int *to)
{
	MxGraph    *graph = (MxGraph *) palloc(sizeof(MxGraph));

	graph->nnodes = nnodes;
	graph->nedges = nedges;
	graph->from = from;
	graph->to = to;
	graph->out_start = new_ints(nnodes + 1);
	graph->out_edge = new_ints(nedges);
	graph->in_start = new_ints(nnodes + 1);
	graph->in_edge = new_ints(nedges);

	/* each sort keeps the order of the one before it within a node's list */
	sort_edges(nnodes, nedges, from, NULL, graph->out_start, graph->out_edge);
	sort_edges(nnodes, nedges, to, graph->out_edge, graph->in_start,
			   graph->in_edge);
	sort_edges(nnodes, nedges, from, graph->in_edge, graph->out_start,
			   graph->out_edge);
	return graph;
}

/*
 * Numbers of edges by the node that they lead to, then that they come from.
 */
void
mx_graph_sort_edges(int nnodes, int nedges, const int *from, const int *to,
					int *sorted)
{
	int		   *start = new_ints(nnodes + 1);
	int		   *edges = new_ints(nedges);

	sort_edges(nnodes, nedges, from, NULL, start, edges);
	sort_edges(nnodes, nedges, to, edges, start, sorted);
	pfree(start);
	pfree(edges);
}

/*
 * Puts the member nodes (member == NULL: all) in order, each after every
 * member that an edge leads from: Kahn's algorithm, of all nodes that are
 * ready the smallest first.  Edges with an end outside are ignored.
 *
 * "order" has room for every member.  Returns how many were ordered; fewer
 * than there are members mean that the rest are on a cycle or behind one.
 */
int
mx_graph_order(const MxGraph *graph, const bool *member, int *order)
{
	int		   *waiting = new_ints(graph->nnodes);
	binaryheap *ready = binaryheap_allocate(graph->nnodes,
											compare_smaller_first, NULL);
	int			norder = 0;

	for (int node = 0; node < graph->nnodes; node++)
	{
		waiting[node] = graph->in_start[node + 1] - graph->in_start[node];
		for (int i = graph->in_start[node];
			 member != NULL && i < graph->in_start[node + 1]; i++)
			waiting[node] -= !member[graph->from[graph->in_edge[i]]];
		if ((member == NULL || member[node]) && waiting[node] == 0)
			binaryheap_add_unordered(ready, Int32GetDatum(node));
	}
	binaryheap_build(ready);

	while (!binaryheap_empty(ready))
	{
		int			node = DatumGetInt32(binaryheap_remove_first(ready));

		CHECK_FOR_INTERRUPTS();
		order[norder++] = node;
		for (int i = graph->out_start[node]; i < graph->out_start[node + 1]; i++)
		{
			int			next = graph->to[graph->out_edge[i]];

			if (--waiting[next] == 0 && (member == NULL || member[next]))
				binaryheap_add(ready, Int32GetDatum(next));
		}
	}

	binaryheap_free(ready);
	pfree(waiting);
	return norder;
}

/*
 * Puts all nodes in order, for those who cannot go on without: a cycle is an
 * error, whose detail shows it by the nodes' names.
 */
void
mx_graph_order_all(const MxGraph *graph, const char *const *names, int *order)
{
	if (mx_graph_order(graph, NULL, order) < graph->nnodes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("dependencies form a cycle"),
				 errdetail("From upstream to downstream: %s.",
						   mx_graph_cycle_text(graph, names))));
}

/*
 * Finds a cycle and puts its nodes into "path", which has room for all nodes
 * of the graph, in the direction of the edges; the last one leads back to the
 * first.  Returns how many they are, 0 if there is no cycle.
 *
 * The answer depends on the edges alone, not on their order: the cycle starts
 * with the smallest node that is on any, is one of the shortest through that
 * node, and takes the smallest node at each step.
 */
int
mx_graph_cycle(const MxGraph *graph, int *path)
{
	int			start = smallest_on_cycle(graph);
	int		   *distance;
	int			node = start;
	int			length = 0;

	if (start < 0)
		return 0;

	distance = distances_to(graph, start);
	do
	{
		int			nearest = -1;

		CHECK_FOR_INTERRUPTS();
		path[length++] = node;
		for (int i = graph->out_start[node]; i < graph->out_start[node + 1]; i++)
		{
			int			next = graph->to[graph->out_edge[i]];

			if (distance[next] >= 0 &&
				(nearest < 0 || distance[next] < distance[nearest]))
				nearest = next;
		}
		Assert(nearest >= 0 && length <= graph->nnodes);
		node = nearest;
	} while (node != start);

	pfree(distance);
	return length;
}

/*
 * The cycle that mx_graph_cycle finds as text for an error's detail,
 * "a" -> "b" -> "a", given the nodes' names; NULL if there is none.
 */
char *
mx_graph_cycle_text(const MxGraph *graph, const char *const *names)
{
	int		   *path = new_ints(graph->nnodes);
	int			length = mx_graph_cycle(graph, path);
	StringInfoData text;

	if (length == 0)
		return NULL;

	initStringInfo(&text);
	for (int i = 0; i < Min(length, MX_CYCLE_SHOWN); i++)
		appendStringInfo(&text, "\"%s\" -> ", names[path[i]]);
	if (length > MX_CYCLE_SHOWN)
		appendStringInfoString(&text, "... -> ");
	appendStringInfo(&text, "\"%s\"", names[path[0]]);

	pfree(path);
	return text.data;
}

/*
 * Marks in "member" the seeds and every node that can be reached from them in
 * one direction.  Marks that are there already stay and do not stop the walk,
 * so a second call can add the other direction.
 */
void
mx_graph_closure(const MxGraph *graph, int nseeds, const int *seeds,
				 MxDirection direction, bool *member)
{
	bool		down = (direction == MX_DOWNSTREAM);
	const int  *start = down ? graph->out_start : graph->in_start;
	const int  *edge = down ? graph->out_edge : graph->in_edge;
	const int  *far_end = down ? graph->to : graph->from;
	bool	   *seen = (bool *) palloc0(sizeof(bool) * graph->nnodes);
	int		   *todo = new_ints(graph->nnodes);
	int			ntodo = 0;

	for (int i = 0; i < nseeds; i++)
	{
		if (!seen[seeds[i]])
			todo[ntodo++] = seeds[i];
		seen[seeds[i]] = true;
	}

	while (ntodo > 0)
	{
		int			node = todo[--ntodo];

		CHECK_FOR_INTERRUPTS();
		member[node] = true;
		for (int i = start[node]; i < start[node + 1]; i++)
		{
			int			next = far_end[edge[i]];

			if (!seen[next])
				todo[ntodo++] = next;
			seen[next] = true;
		}
	}

	pfree(todo);
	pfree(seen);
}

/*
 * Gives each node of an order the length of the longest path that leads to
 * it from a root, within that order; nodes outside get -1.
 */
void
mx_graph_depth(const MxGraph *graph, const int *order, int norder,
			   int *depth)
{
	for (int node = 0; node < graph->nnodes; node++)
		depth[node] = -1;

	for (int step = 0; step < norder; step++)
	{
		int			node = order[step];
		int			longest = -1;

		CHECK_FOR_INTERRUPTS();
		for (int i = graph->in_start[node]; i < graph->in_start[node + 1]; i++)
			longest = Max(longest, depth[graph->from[graph->in_edge[i]]]);
		depth[node] = longest + 1;
	}
}

/* An array of so many elements, none of them set. */
static int *
new_ints(int count)
{
	return (int *) palloc(sizeof(int) * count);
}

/*
 * Sorts edge numbers by their key, a node, keeping those of the same node in
 * the order in which "edges" has them (NULL: that of their numbers); start[n]
 * becomes the place of node n's first one, start[nnodes] their number.
 */
static void
sort_edges(int nnodes, int nedges, const int *key, const int *edges,
		   int *start, int *sorted)
{
	int		   *place = new_ints(nnodes);

	memset(start, 0, sizeof(int) * (nnodes + 1));
	for (int i = 0; i < nedges; i++)
	{
		Assert(key[i] >= 0 && key[i] < nnodes);
		start[key[i] + 1]++;
	}
	for (int node = 0; node < nnodes; node++)
	{
		start[node + 1] += start[node];
		place[node] = start[node];
	}
	for (int i = 0; i < nedges; i++)
	{
		int			edge = edges == NULL ? i : edges[i];

		sorted[place[key[edge]]++] = edge;
	}

	pfree(place);
}

/* The server's heap has its greatest element first, ours the smallest node. */
static int
compare_smaller_first(Datum a, Datum b, void *arg)
{
	return DatumGetInt32(b) - DatumGetInt32(a);
}

/*
 * The smallest node that is on a cycle, -1 if there is none: a cycle lies
 * within one strongly connected component, and every node of a component of
 * two or more is on one.  Tarjan's algorithm, its recursion on "path".
 *
 * found[n] numbers nodes as they are met (0: not yet); a node whose component
 * is complete gets PG_INT32_MAX there, so that it no longer lowers others.
 * lowest[n] is the least number of a node that n is known to lead to.
 */
static int
smallest_on_cycle(const MxGraph *graph)
{
	int			nnodes = graph->nnodes;
	int		   *found = (int *) palloc0(sizeof(int) * nnodes * 5);
	int		   *lowest = found + nnodes;
	int		   *next_edge = lowest + nnodes;
	int		   *path = next_edge + nnodes;
	int		   *open = path + nnodes;
	int			nfound = 0;
	int			nopen = 0;
	int			best = nnodes;

	for (int root = 0; root < nnodes; root++)
	{
		int			npath = 0;

		if (found[root] == 0)
			path[npath++] = root;

		while (npath > 0)
		{
			int			node = path[npath - 1];
			int			smallest = node;
			int			top;

			CHECK_FOR_INTERRUPTS();
			if (found[node] == 0)
			{
				found[node] = lowest[node] = ++nfound;
				next_edge[node] = graph->out_start[node];
				open[nopen++] = node;
			}

			if (next_edge[node] < graph->out_start[node + 1])
			{
				int			next = graph->to[graph->out_edge[next_edge[node]++]];

				if (next == node)
					best = Min(best, node);
				else if (found[next] == 0)
					path[npath++] = next;
				else
					lowest[node] = Min(lowest[node], found[next]);
				continue;
			}

			/* all edges of the node are done: back to where it came from */
			npath--;
			if (npath > 0)
				lowest[path[npath - 1]] = Min(lowest[path[npath - 1]],
											  lowest[node]);
			if (lowest[node] < found[node])
				continue;

			/* it is the first of its component, which lies above it */
			top = nopen;
			do
			{
				nopen--;
				smallest = Min(smallest, open[nopen]);
				found[open[nopen]] = PG_INT32_MAX;
			} while (open[nopen] != node);
			if (top - nopen > 1)
				best = Min(best, smallest);
		}
	}

	pfree(found);
	return best < nnodes ? best : -1;
}

/*
 * How many edges each node is away from one node, against the direction of
 * the edges; -1 where no path leads there.  Breadth first.
 */
static int *
distances_to(const MxGraph *graph, int target)
{
	int		   *distance = new_ints(graph->nnodes);
	int		   *queue = new_ints(graph->nnodes);
	int			nqueue = 0;

	for (int node = 0; node < graph->nnodes; node++)
		distance[node] = -1;
	distance[target] = 0;
	queue[nqueue++] = target;

	for (int head = 0; head < nqueue; head++)
	{
		int			node = queue[head];

		CHECK_FOR_INTERRUPTS();
		for (int i = graph->in_start[node]; i < graph->in_start[node + 1]; i++)
		{
			int			next = graph->from[graph->in_edge[i]];

			if (distance[next] < 0)
			{
				distance[next] = distance[node] + 1;
				queue[nqueue++] = next;
			}
		}
	}

	pfree(queue);
	return distance;
}
