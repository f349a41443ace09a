/*-------------------------------------------------------------------------
 *
 * graph.h
 *		The feature graph as arrays of integers.
 *
 * Nodes are numbered from 0 in the order of their keys (mx_key_compare), so
 * "smallest ready key first" is "smallest ready number first" here.  Nothing
 * in graph.c knows about features, SPI or the registry.
 *
 * src/registry/graph.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_GRAPH_H
#define MX_GRAPH_H

typedef enum MxDirection
{
	MX_DOWNSTREAM,				/* towards the leaves */
	MX_UPSTREAM					/* towards the roots */
} MxDirection;

/*
 * Edges are kept once, by number, with two adjacency lists over them: those
 * that leave node n are out_edge[out_start[n]] .. out_edge[out_start[n + 1] - 1],
 * those that enter it likewise in in_edge.  Both lists of a node are sorted
 * by the node at the other end, whatever order the edges came in.
 */
typedef struct MxGraph
{
	int			nnodes;
	int			nedges;
	const int  *from;			/* upstream node of each edge */
	const int  *to;				/* downstream node of each edge */
	int		   *out_start;
	int		   *out_edge;
	int		   *in_start;
	int		   *in_edge;
} MxGraph;

extern MxGraph *mx_graph_build(int nnodes, int nedges,
							   const int *from, const int *to);
extern void mx_graph_sort_edges(int nnodes, int nedges, const int *from,
								const int *to, int *sorted);
extern int	mx_graph_order(const MxGraph *graph, const bool *member,
						   int *order);
extern void mx_graph_order_all(const MxGraph *graph,
							   const char *const *names, int *order);
extern int	mx_graph_cycle(const MxGraph *graph, int *path);
extern char *mx_graph_cycle_text(const MxGraph *graph,
								 const char *const *names);
extern void mx_graph_closure(const MxGraph *graph, int nseeds,
							 const int *seeds, MxDirection direction,
							 bool *member);
extern void mx_graph_depth(const MxGraph *graph, const int *order,
						   int norder, int *depth);

#endif							/* MX_GRAPH_H */
