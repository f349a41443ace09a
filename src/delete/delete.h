/*-------------------------------------------------------------------------
 *
 * delete.h
 *		A delete on its way: request, plan, what was found, what was written.
 *
 * request.c reads the arguments, plan.c decides over the graph which features
 * take part and why, check.c looks whether all is in order, find.c finds the
 * doomed samples (match.c makes the queries, keys.c hands keys from one to the
 * next), rows.c the rows to write or to remove, soft.c and hard.c do it, and
 * ledger.c keeps the record.  delete.c leads through them.
 *
 * src/delete/delete.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_DELETE_H
#define MX_DELETE_H

#include "write/write.h"

typedef enum MxCascade
{
	MX_CASCADE_NONE,
	MX_CASCADE_DOWNSTREAM,
	MX_CASCADE_UPSTREAM,
	MX_CASCADE_BOTH
} MxCascade;

/* the arguments, checked as far as they can be without the registry */
typedef struct MxRequest
{
	const char *kind;			/* as the ledger has it */
	const char *command;		/* of kind "view": which one, else NULL */
	List	   *features;		/* of char * */
	List	   *filters;		/* of MxFilter * */
	bool		soft;
	MxCascade	cascade;
	bool		dry_run;
	bool		feature_history;
	bool		sample_history;
	char	   *version;		/* NULL: the current one */
	bool		all_rows;
	bool		delete_partial;
	char	   *reason;
	int64		max_samples;	/* -1: no limit */
	char	   *expect;			/* NULL: anything */
	int64		undoes;			/* an undelete: of this operation, else 0 */
	TimestampTz undoes_stamp;	/* which had this stamp */
	bool		undoes_one;		/* of the one feature that is named */
	bool		restores;		/* it writes live rows, not tombstones */
	bool		orphans;		/* the orphans of the feature */
	const char *older_than;		/* a purge: of what is older, else NULL */
	bool		purges_samples; /* and which rows */
	bool		purges_history;
} MxRequest;

/* why a sample of a feature may be doomed */
typedef enum MxSourceKind
{
	MX_SOURCE_ALL,				/* the feature goes whole */
	MX_SOURCE_FILTER,			/* the request's filters match it */
	MX_SOURCE_SEED,				/* found on the way up, by its ids */
	MX_SOURCE_CHILD,			/* it is a parent of one found on the way up */
	MX_SOURCE_PARENT			/* it is a child of a doomed sample */
} MxSourceKind;

/* and what a match does to it */
typedef enum MxEffect
{
	MX_DOOMS,
	MX_DOOMS_GROUP,				/* unless another parent stays active */
	MX_MAKES_STALE
} MxEffect;

typedef struct MxSource
{
	MxSourceKind kind;
	MxEffect	effect;
	int			other;			/* CHILD, PARENT: the step at the other end */
	int			dependency;		/* and the edge, a place in the registry */
} MxSource;

/* the part of one feature in a delete */
typedef struct MxStep
{
	/* planned */
	int			feature;		/* place in the registry */
	bool		named;			/* the request names it */
	bool		whole;			/* all its samples go */
	bool		climbs;			/* takes part on the way up, found as seeds */
	int			nseed_sources;
	MxSource   *seed_sources;
	int			nsources;
	MxSource   *sources;

	/* found */
	MxStore    *seeds;
	MxStore    *doomed;			/* the latest row of each doomed sample */
	MxStore    *rows;			/* rows to write or to remove */
	int64		samples;
	int64		nrows;
	int64		stale;
	int64		spared;			/* left alone: not seen when the turn began */
	TimestampTz newest;			/* greatest recency among doomed */
	uint64		digest;
} MxStep;

/* steps in the order in which they are found: root to leaf */
typedef struct MxPlan
{
	int			nsteps;
	MxStep	   *steps;
	int		   *execution;		/* steps in the order of execution */
	int			noutside;
	int		   *outside;		/* features left out that depend on one inside */
} MxPlan;

/* all that the parts of one call share */
typedef struct MxDelete MxDelete;

/* decides which features take part, and in which order */
typedef MxPlan *(*MxMakePlan) (const MxRegistry *registry,
							   const MxRequest *request);

/* finds what the steps are about, under the active snapshot */
typedef void (*MxFind) (MxDelete *delete);

struct MxDelete
{
	const MxRequest *request;
	MxMakePlan	make_plan;
	MxFind		find;
	MxRegistry *registry;
	MxPlan	   *plan;
	int			kilobytes;		/* memory for each store */
	MxTurn	   *turn;			/* NULL in a dry run */
	bool		spares;			/* rows that the turn has not seen are left */
	TimestampTz stamp;
	char	   *digest;
	int64		deletion_id;
};

/* in request.c */
extern const char *const mx_cascades[];
extern MxRequest *mx_delete_request(FunctionCallInfo fcinfo);

/* in plan.c: pure, on the graph alone */
extern MxPlan *mx_plan(const MxRegistry *registry, const MxRequest *request);
extern void mx_plan_execution(MxPlan *plan, const MxRequest *request,
							  const MxRegistry *registry, int npairs,
							  const int *first, const int *second);

/* in foreign_keys.c */
extern int	mx_foreign_keys(const MxDelete *delete, int **first, int **second);

/* a query that finds samples of a feature, in the making */
typedef struct MxMatch
{
	MxQuery    *query;
	const MxDelete *delete;
	const MxStep *step;
	const MxFeature *feature;
	const char *ref;			/* how the feature's rows are referred to */
	List	   *numbered;		/* their columns, where called c1, c2, ... */
	const char *version;		/* scope as SQL text, or NULL */
	bool		upward;			/* the keys are those of children */
} MxMatch;

/* columns that mx_match adds behind the carried ones */
enum MxMatchColumn
{
	MX_MATCH_RECENCY,
	MX_MATCH_TOMBSTONE,
	MX_MATCH_WRITER,			/* xmin of the row */
	MX_MATCH_DOOMED				/* false: stale */
};

/* in keys.c */
extern const char *mx_scope(const MxDelete *delete, const MxStep *step,
							MxQuery *query);
extern void mx_append_scope(StringInfo sql, const char *ref,
							const char *version);
extern void mx_append_filters(MxMatch *match, StringInfo sql);
extern bool mx_append_keys(MxMatch *match, StringInfo sql, MxStore *store,
						   List *own_columns, List *store_columns,
						   bool exists);
extern void mx_append_joined(StringInfo sql, const MxFeature *feature,
							 const char *column, const char *ref,
							 const MxFeature *upstream, const char *up,
							 const char *alias);
extern void mx_append_key_join(MxMatch *match, StringInfo sql,
							   const char *alias, MxStore *store,
							   List *own_columns, List *store_columns);

extern MxStore *mx_kept_keys(const MxDelete *delete, const MxSource *source,
							 const MxFeature *child, List *own_columns,
							 List *columns);

/* in match.c */
extern void mx_append_id_order(StringInfo sql, const MxFeature *feature);
extern void mx_append_match_columns(StringInfo sql, const MxFeature *feature,
									const char *ref);
extern MxStore *mx_match(MxDelete *delete, MxStep *step,
						 const MxSource *sources, int nsources,
						 List *columns, bool sorted, MxRowHook hook,
						 void *arg);

/* what is gathered while the rows of a step come in */
typedef struct MxCounter
{
	const MxDelete *delete;
	MxStep	   *step;
	const MxFeature *feature;
	int			nids;
	int			ncolumns;
	StringInfoData identity;	/* of the row at hand, as bytes */
} MxCounter;

/* in look.c */
extern void mx_look(MxDelete *delete);
extern void mx_look_progress(const MxDelete *delete, int step);
extern void mx_look_end(MxPlan *plan);

/* in check.c */
extern List *mx_step_tables(const MxDelete *delete);
extern List *mx_step_keys(const MxDelete *delete);
extern void mx_lock_tables(MxDelete *delete);
extern void mx_check_delete(const MxDelete *delete);

/* in find.c */
extern void mx_find(MxDelete *delete);
extern void mx_find_samples(MxDelete *delete);
extern void mx_counter_init(MxCounter *counter, const MxDelete *delete,
							MxStep *step, int ncolumns);
extern bool mx_count_row(TupleTableSlot *slot, void *arg);
extern bool mx_seen_row(TupleTableSlot *slot, void *arg);
extern void mx_append_datum(StringInfo bytes, TupleTableSlot *slot,
							int number);

/* in history.c */
extern void mx_find_history(MxDelete *delete);
extern char *mx_sample_history(MxMatch *match);

/* in rows.c */
extern bool mx_writes_versions(const MxDelete *delete,
							   const MxFeature *feature);
extern void mx_find_rows(MxDelete *delete);

/* in write.c */
extern Relation mx_open_for_write(const MxFeature *feature);
extern void mx_require_count(const MxDelete *delete, const MxFeature *feature,
							 uint64 done, int64 planned);

/* in soft.c */
extern void mx_soft_delete(MxDelete *delete, MxStep *step);

/* in hard.c */
extern void mx_hard_delete(MxDelete *delete, MxStep *step);

/* in delete.c */
typedef MxRequest *(*MxReadRequest) (FunctionCallInfo fcinfo);

extern void mx_plan_and_lock(MxDelete *delete);
extern Datum mx_delete_call(FunctionCallInfo fcinfo, MxReadRequest read);

/* in orphans.c */
extern void mx_check_orphans(const MxRegistry *registry, const char *key);
extern void mx_append_orphan(StringInfo sql, MxQuery *query,
							 const MxRegistry *registry, int place,
							 const char *ref);

/* one operation of the ledger, and what it did to each feature */
typedef struct MxOperation
{
	int64		id;
	char	   *kind;
	char	   *command;		/* of kind "view" */
	bool		soft;
	bool		restored;		/* it was an undelete that wrote live rows */
	TimestampTz stamp;
	int64		undone_by;		/* 0: not undone */
	List	   *features;		/* of char * */
	List	   *samples;		/* texts of the figures, one for each feature */
	List	   *rows;
} MxOperation;

/* in operation.c */
extern MxOperation *mx_operation_load(int64 id);
extern int64 mx_operation_figure(const MxOperation *operation,
								 const List *figures, const char *feature);

/* in ledger.c */
extern void mx_ledger_write(MxDelete *delete);
extern void mx_ledger_update(const MxDelete *delete);

#endif							/* MX_DELETE_H */
