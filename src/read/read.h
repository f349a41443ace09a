/*-------------------------------------------------------------------------
 *
 * read.h
 *		Latest rows as SQL text, the views over them, filters.
 *
 * src/read/read.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_READ_H
#define MX_READ_H

#include "registry/registry.h"

/* which latest rows */
typedef enum MxLatest
{
	MX_ACTIVE,					/* live ones */
	MX_LATEST,					/* all */
	MX_DELETED					/* tombstones */
} MxLatest;

/*
 * in latest.c
 *
 * "version" is SQL text that stands for the version of the scope, a literal
 * or a parameter; NULL: all versions.  "as_of" stands likewise for an instant.
 * "alias" is NULL for the table's own name.
 */
extern void mx_append_recency(StringInfo sql, const char *ref);
extern void mx_append_rank(StringInfo sql, const char *ref);
extern void mx_append_latest(StringInfo sql, const MxFeature *feature,
							 const char *alias, const char *version,
							 bool per_version, MxLatest which);
extern void mx_append_latest_as_of(StringInfo sql, const MxFeature *feature,
								   const char *alias, const char *version,
								   const char *as_of, bool per_version,
								   MxLatest which);
extern void mx_append_history(StringInfo sql, const MxFeature *feature,
							  const char *version, const char *as_of,
							  MxLatest which);
extern void mx_append_equal(StringInfo sql, const MxFeature *feature,
							const char *column, const char *left,
							const char *right);
extern void mx_append_same_id(StringInfo sql, const MxFeature *feature,
							  const char *column, const char *value,
							  const char *ref);
extern char *mx_table_ref(const MxFeature *feature, const char *alias);

/* in columns.c */
extern List *mx_table_columns(Oid relid);
extern List *mx_copied_columns(Relation rel, List *id_columns);
extern bool mx_is_copied(Relation rel, AttrNumber attnum, List *id_columns);

/* in views.c */
#define MX_NVIEWS	3

extern bool mx_views_create(const MxFeature *feature);
extern bool mx_views_drop(const MxFeature *feature);
extern void mx_check_view_names(const MxFeature *feature);

/* in view_query.c: what has to be done to a view */
typedef enum MxViewAction
{
	MX_VIEW_KEEP,
	MX_VIEW_REPLACE,			/* keeps its grants and what depends on it */
	MX_VIEW_CREATE
} MxViewAction;

extern char *mx_view_query(const MxFeature *feature, MxLatest which);
extern const char *mx_view_load(const MxFeature *feature);
extern MxViewAction mx_view_compare(Oid view, Relation rel,
									const char *query, const char *load);
extern bool mx_view_is_ours(Oid view, const MxFeature *feature,
							MxLatest which);
extern bool mx_view_bind(Oid view);

/* in view_triggers.c */
extern bool mx_view_guard(Oid view, MxLatest which);

/* in grants.c: "view" is the column of metaxy_feature that names the view */
extern void mx_grants_save(const char *key, const char *view, Oid viewid);
extern void mx_grants_restore(const char *key, const char *view, Oid viewid,
							  Oid owner);

/* in read.c */
extern MxFeature *mx_feature_of_type(Oid type, const char *function);

/*
 * in filter.c
 *
 * A filter is parsed once (exactly one expression), checked against each
 * table that it is for, and analysed anew where a query uses it.
 */
typedef struct MxFilter MxFilter;

extern MxFilter *mx_filter_parse(const char *text);
extern void mx_filter_check(MxFilter *filter, Relation rel);
extern Node *mx_filter_analyze(ParseState *pstate, void *filter);
extern const char *mx_filter_text(const MxFilter *filter);

/* in safe.c */
extern void mx_safe_check(ParseState *pstate, Node *expression, Oid relid);

/* in literal.c: string literals of a filter, held back */
typedef struct MxLiterals MxLiterals;

extern MxLiterals *mx_literals_new(ParseState *pstate, Oid relid);
extern void mx_literals_hold(MxLiterals *literals, A_Const *constant);
extern Node *mx_literals_release(MxLiterals *literals, Node *expression);

/* in trust.c: why a filter in the "safe" language may not use an object */
extern const char *mx_function_reason(Oid funcid, List *args, bool called);
extern const char *mx_operator_reason(Oid opno, List *args);
extern const char *mx_type_reason(Oid type, bool input);

#endif							/* MX_READ_H */
