/*-------------------------------------------------------------------------
 *
 * sync.h
 *		What metaxy_sync knows of each feature and dependency.
 *
 * src/registry/sync.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_SYNC_H
#define MX_SYNC_H

#include "registry/registry.h"

/* said of a feature that was as pushed but for its table or views */
#define MX_SYNC_READIED	"table and views made ready"

/* a feature that was pushed, and its row of the result */
typedef struct MxSyncFeature
{
	MxSpec	   *spec;
	const MxFeature *old;		/* as registered; NULL: not at all */
	char	   *table;			/* Metaxy's name for it */
	MxRegistration goal;		/* as it will be; key and relid always set */
	bool		redefined;		/* its rows will mean something else */
	bool		heir;			/* takes the table of one that goes */
	bool		unready;		/* its table lacks something */
	bool		changed;
	bool		skipped;		/* stays as it is; detail says why */
	StringInfoData detail;
} MxSyncFeature;

/* a dependency that changes, or has to make room for a moment */
typedef struct MxSyncEdge
{
	MxSyncFeature *feature;		/* whose row tells of it */
	const char *key;			/* downstream */
	const char *upstream;
	const MxSpecDependency *old;	/* as registered; NULL: not at all */
	const MxSpecDependency *want;	/* as it will be; NULL: no more */
	bool		same;			/* old and want do not differ */
	bool		makes_room;		/* one of its features is redefined */
	bool		out;			/* must leave the registry before all else */
	bool		keep;			/* can be as it was, if not as wanted */
	char	   *problem;		/* why it cannot be as wanted */
	const MxSpecDependency *next;	/* what to register at this moment */
} MxSyncEdge;

typedef struct MxSync
{
	Oid			schema;
	const char *prefix;
	bool		dry_run;
	MxRegistry *registry;		/* as it was before */
	int			nfeatures;
	MxSyncFeature *features;	/* in the order of their keys */
	List	   *edges;			/* of MxSyncEdge *, likewise */
	List	   *removals;		/* of MxSyncFeature *, leaf to root */
} MxSync;

/* in sync.c */
extern char *mx_sync_try(void (*work) (void *arg), void *arg, bool with_hint);
extern void mx_sync_note(MxSyncFeature *feature, const char *text);
extern void mx_sync_changed(MxSyncFeature *feature, const char *text);
extern void mx_sync_skip(MxSyncFeature *feature, const char *text);
extern MxSyncFeature *mx_sync_find(const MxSync *sync, const char *key);

/* in sync_features.c */
extern void mx_sync_features(MxSync *sync);
extern bool mx_sync_stays(const MxSyncFeature *feature);
extern bool mx_sync_edge_stays(const MxSync *sync,
							   const MxDependency *dependency);
extern char *mx_quoted_list(List *names);

/* in sync_edges.c */
extern void mx_sync_edges(MxSync *sync);
extern const MxSpecDependency *mx_sync_wanted(const MxSyncFeature *feature,
											  const char *upstream);
extern MxSpecDependency *mx_sync_as_spec(const MxRegistry *registry,
										 const MxDependency *dependency);
extern char *mx_sync_edge_problem(const MxSync *sync, const char *key,
								  const MxSpecDependency *definition);

/* in sync_apply.c */
extern void mx_sync_apply(MxSync *sync);

#endif							/* MX_SYNC_H */
