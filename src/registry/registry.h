/*-------------------------------------------------------------------------
 *
 * registry.h
 *		Features, dependencies and what a feature table must be.
 *
 * src/registry/registry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_REGISTRY_H
#define MX_REGISTRY_H

#include "utils/jsonb.h"

#include "base/base.h"
#include "registry/graph.h"

/* tables of the registry, in the extension's schema */
#define MX_TABLE_FEATURE		"metaxy_feature"
#define MX_TABLE_VERSION		"metaxy_feature_version_log"
#define MX_TABLE_DEPENDENCY		"metaxy_dependency"
#define MX_TABLE_RETENTION		"metaxy_retention"

typedef enum MxLineage
{
	MX_IDENTITY,				/* 1:1 */
	MX_EXPANSION,				/* 1:N, one parent, many children */
	MX_AGGREGATION				/* N:1, many parents, one child */
} MxLineage;

/* one row of metaxy_feature */
typedef struct MxFeature
{
	char	   *key;
	Oid			relid;			/* InvalidOid: the feature has no table */
	List	   *id_columns;		/* of char * */
	char	   *version;		/* NULL: the feature is not versioned */
	Oid			owner;
	char	   *project;		/* NULL: registered by hand */
	bool		views;
	bool		indexes;
} MxFeature;

/* one row of metaxy_dependency, with the columns that it joins */
typedef struct MxDependency
{
	int			feature;		/* places in MxRegistry.features */
	int			upstream;
	MxLineage	lineage;
	bool		optional;
	List	   *on_columns;		/* as given, NIL: by the lineage's rule */
	List	   *rename_from;	/* upstream's names ... */
	List	   *rename_to;		/* ... and the feature's, pairwise */
} MxDependency;

/*
 * The registry as a delete or an order looks at it.  Features are sorted by
 * mx_key_compare: their places are the graph's nodes.  Dependencies are sorted
 * by feature, then upstream: they are the graph's edges.  An outline, see
 * mx_registry_outline, has the graph alone of them.
 */
typedef struct MxRegistry
{
	int			nfeatures;
	MxFeature  *features;
	int			ndependencies;
	MxDependency *dependencies; /* NULL in an outline */
	MxGraph    *graph;
} MxRegistry;

/* in load.c */
extern MxRegistry *mx_registry_load(void);
extern MxRegistry *mx_registry_outline(void);

/* in catalog.c */
extern const char *const mx_outline_columns;
extern const char *const mx_feature_columns;
extern MxFeature *mx_feature_load(const char *key);
extern MxFeature *mx_feature_of_table(Oid relid);
extern MxFeature *mx_feature_of_view(Oid view);
extern const char **mx_registry_names(const MxRegistry *registry);
extern int	mx_registry_find(const MxRegistry *registry, const char *key);
extern int	mx_registry_require(const MxRegistry *registry, const char *key);
extern MxFeature *mx_feature_require(const char *key);
extern void mx_registry_lock(void);
extern void mx_feature_read(TupleTableSlot *slot, MxFeature *feature);
extern void mx_feature_read_outline(TupleTableSlot *slot, MxFeature *feature);
extern Datum mx_required_column(TupleTableSlot *slot, int number);
extern void mx_rename_lists(Jsonb *rename, List **from, List **to);

/* in same.c */
extern MxFeature *mx_feature_copy(const MxFeature *feature,
								  MemoryContext context);
extern bool mx_registry_same(const MxRegistry *a, const MxRegistry *b);
extern bool mx_feature_same(const MxFeature *a, const MxFeature *b);

/* in join.c */
extern void mx_join_columns(const MxFeature *feature,
							const MxFeature *upstream,
							const MxDependency *dependency,
							List **feature_columns, List **upstream_columns);
extern void mx_check_edge(const MxFeature *feature, const MxFeature *upstream,
						  const MxDependency *dependency);
extern void mx_check_edges(const MxFeature *feature);
extern const char *mx_renamed(const MxDependency *dependency,
							  const char *column);

/* in edge.c */
extern const char *const mx_lineages[];
extern void mx_depend(const char *feature, const char *upstream,
					  MxLineage lineage, List *on_columns,
					  List *rename_from, List *rename_to, bool optional);
extern void mx_undepend(const char *feature, const char *upstream);

/* in feature.c */
typedef struct MxRegistration
{
	const char *key;
	Oid			relid;			/* InvalidOid: without a table (sync alone) */
	List	   *id_columns;
	const char *version;		/* NULL: not versioned */
	const char *project;		/* NULL: registered by hand */
	bool		views;
	bool		indexes;
	bool		replace;
} MxRegistration;

extern bool mx_register(const MxRegistration *registration);
extern void mx_unregister(const char *key);
extern void mx_require_feature_owner(const MxFeature *feature);

/* in record.c */
extern void mx_registry_write(MxQuery *query);
extern void mx_registry_changed(void);
extern void mx_registry_invalidate(Oid relid);
extern bool mx_record_feature(const MxFeature *old, const MxFeature *feature);

/* in check.c: looks, never writes; raises what section "register" refuses */
extern void mx_check_table(Relation rel, const MxRegistration *registration);
extern void mx_check_columns(const MxFeature *feature, Relation rel);
extern bool mx_has_rule(Relation rel, CmdType event);
extern Form_pg_attribute mx_find_column(Relation rel, const char *name);

/* in unique.c, for mx_check_table */
extern void mx_check_unique(Relation rel, const MxRegistration *registration);

/* in rows.c */
extern void mx_check_rows(Relation rel, const MxRegistration *registration);
extern char *mx_describe_sample(TupleTableSlot *slot, List *id_columns);
extern void mx_refuse_late(const char *key, const char *sample,
						   const char *column,
						   TimestampTz stamp) pg_attribute_noreturn();

/* in ready.c */
extern LOCKMODE mx_ready_lock(Oid relid, const MxRegistration *registration);
extern bool mx_ready_table(Oid relid, const MxRegistration *registration);

/* in spec.c: the graph as "metaxy push" stores it */
typedef struct MxSpecDependency
{
	char	   *upstream;
	MxLineage	lineage;
	bool		optional;
	List	   *on_columns;		/* upstream's names, NIL: by the lineage's
								 * rule */
	List	   *rename_from;
	List	   *rename_to;
	List	   *filters;		/* texts; reported, never applied */
} MxSpecDependency;

typedef struct MxSpec
{
	char	   *key;
	char	   *project;
	char	   *version;
	bool		gone;			/* Metaxy no longer has the feature */
	char	   *json;			/* feature_spec; the rest is read from it */
	List	   *id_columns;		/* of char * */
	List	   *dependencies;	/* of MxSpecDependency * */
} MxSpec;

extern Oid	mx_spec_table(Oid schema, const char *prefix);
extern char *mx_spec_relation(const char *key, const char *prefix);
extern List *mx_specs_read(Oid relid, const char *project);
extern void mx_spec_parse(MxSpec *spec);

#endif							/* MX_REGISTRY_H */
