/*-------------------------------------------------------------------------
 *
 * base.h
 *		What every folder uses: settings, arguments, SQL text, running
 *		queries, row stores, rights.
 *
 * src/base/base.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_BASE_H
#define MX_BASE_H

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/params.h"
#include "nodes/pg_list.h"
#include "parser/parse_node.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "base/compat.h"

/* system columns of a feature table, Metaxy's own names */
#define MX_CREATED_AT		"metaxy_created_at"
#define MX_UPDATED_AT		"metaxy_updated_at"
#define MX_DELETED_AT		"metaxy_deleted_at"
#define MX_FEATURE_VERSION	"metaxy_feature_version"

/* in metaxy.c: settings */
typedef enum MxFilterLanguage
{
	MX_FILTER_SAFE,
	MX_FILTER_SQL
} MxFilterLanguage;

extern int	mx_filter_language;
extern int	mx_max_skew;		/* milliseconds */
extern bool mx_log_filter;
extern bool mx_stamp;
extern bool mx_progress;
extern bool mx_enable_latest_scan;
extern int	mx_clock_shift;		/* milliseconds */

/* in args.c: arguments of SQL-callable functions */
extern void mx_arg_require(FunctionCallInfo fcinfo, int argno,
						   const char *name);
extern char *mx_arg_text(FunctionCallInfo fcinfo, int argno, const char *name);
extern char *mx_arg_text_or_null(FunctionCallInfo fcinfo, int argno);
extern bool mx_arg_bool(FunctionCallInfo fcinfo, int argno, const char *name);
extern int64 mx_arg_limit(FunctionCallInfo fcinfo, int argno,
						  const char *name);
extern List *mx_arg_names(FunctionCallInfo fcinfo, int argno, const char *name);
extern List *mx_array_names(ArrayType *array, const char *name);
extern Datum mx_names_array(List *names);
extern int	mx_choice(const char *value, const char *name,
					  const char *const *choices);
extern bool mx_names_member(List *names, const char *name);
extern void mx_add_names(List **names, List *more);
extern bool mx_same_text(const char *a, const char *b);
extern bool mx_same_names(List *a, List *b);

/* in own.c: the extension's own schema and tables */
extern char *mx_schema(void);
extern Oid	mx_schema_oid(void);
extern Oid	mx_registry_table(const char *name);
extern Oid	mx_clock(void);
extern Oid	mx_feature_table(void);

/* in quote.c: SQL text */
extern char *mx_relation_name(Oid relid);
extern void mx_append_column(StringInfo sql, const char *alias,
							 const char *column);
extern const char *mx_alias(const char *wanted, const char *taken);
extern Oid	mx_equality(Oid left, Oid right);
extern void mx_append_operator(StringInfo sql, Oid operator);
extern char *mx_collation_name(Oid collation);

/* how far a call is, told to a client that has asked for it */
#define MX_ERRCODE_PROGRESS MAKE_SQLSTATE('M', 'X', '0', '0', '1')

/*
 * Says what is done from now on, as by printf.  Of level INFO, which
 * client_min_messages does not hold back, and which does not go to the server's
 * log by default; its SQLSTATE tells it from other messages.
 *
 * The server's own progress views are closed to extensions.
 */
#define mx_tell_progress(...) \
	do { \
		if (mx_progress) \
			ereport(INFO, \
					(errcode(MX_ERRCODE_PROGRESS), \
					 errmsg_internal(__VA_ARGS__))); \
	} while (0)

/* in rights.c: what the caller may do */
extern bool mx_has_role(Oid role);
extern void mx_require_table_owner(Oid relid);
extern void mx_require_select(Oid relid);
extern bool mx_may_select(Oid relid);
extern bool mx_may_use_schema(Oid role, Oid schema, const char *privilege);
extern void mx_require_insert(Oid relid);
extern bool mx_rls_applies(Oid relid);

/*
 * in clock.c: the clock of the database
 *
 * All stamps come from it: it only grows, and lies above every recency in any
 * feature table.
 */
extern TimestampTz mx_wall_clock(void);
extern TimestampTz mx_clock_read(Oid clock);
extern TimestampTz mx_clock_raise(Oid clock, TimestampTz target, bool beyond);
extern bool mx_too_late(TimestampTz recency);

/*
 * in query.c: one SQL statement of our own, with its parameters.
 *
 * SQL-callable functions connect to SPI first and finish last; everything
 * below them relies on that connection, and allocates in its context.
 *
 * A parameter is a value, or a raw expression that is analysed just where
 * "$n" stands, with the names that are visible there: the text of a filter
 * never becomes a part of our SQL.
 */
typedef Node *(*MxExprHook) (ParseState *pstate, void *arg);

typedef struct MxQuery MxQuery;

typedef enum MxRunMode
{
	MX_READ,					/* under the active snapshot; writes nothing */
	MX_WRITE,					/* under a new snapshot, sees all before it */
	MX_OWNER_READ,				/* MX_READ as the owner of the registry */
	MX_OWNER					/* MX_WRITE as the owner of the registry */
} MxRunMode;

extern MxQuery *mx_query_new(void);
extern StringInfo mx_query_sql(MxQuery *query);
extern int	mx_query_value(MxQuery *query, Oid type, Datum value, bool isnull);
extern int	mx_query_text(MxQuery *query, const char *value);
extern int	mx_query_expr(MxQuery *query, MxExprHook hook, void *arg);
extern uint64 mx_query_run(MxQuery *query, MxRunMode mode, DestReceiver *dest);
extern void mx_utility(const char *format,...) pg_attribute_printf(1, 2);

/*
 * in store.c: rows kept between two statements.
 *
 * A store is filled by one query and read by later ones under the name that
 * it was registered with; past its share of work_mem it goes to disk.
 */
typedef struct MxStore
{
	Tuplestorestate *rows;
	TupleDesc	desc;			/* set when the first query starts */
	int			kilobytes;		/* kept in memory at most */
	int64		nrows;
	char	   *name;			/* as registered, or NULL */
	MemoryContext context;		/* that it was made in */
	bool		survives;		/* commits; then mx_store_end is called after
								 * an error, too */
} MxStore;

/* called for each row; keeps it by returning true */
typedef bool (*MxRowHook) (TupleTableSlot *slot, void *arg);

extern MxStore *mx_store_new(int kilobytes);
extern void mx_store_add(MxStore *store, TupleTableSlot *slot);
extern DestReceiver *mx_store_receiver(MxStore *store, MxRowHook hook,
									   void *arg);
extern DestReceiver *mx_row_receiver(MxRowHook hook, void *arg);
extern void mx_store_register(MxStore *store, const char *name);
extern void mx_store_unregister(MxStore *store);
extern AttrNumber mx_store_column(const MxStore *store, const char *name);
extern void mx_append_store(StringInfo sql, const MxStore *store,
							const char *alias);
extern void mx_append_store_column(StringInfo sql, const MxStore *store,
								   const char *alias, const char *name);
extern void mx_store_end(MxStore *store);

#endif							/* MX_BASE_H */
