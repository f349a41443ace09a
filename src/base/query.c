/*-------------------------------------------------------------------------
 *
 * query.c
 *		One SQL statement of our own, with its parameters.
 *
 * src/base/query.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

/* what "$n" stands for: a value, or (hook set) an expression */
typedef struct QueryParam
{
	Oid			type;
	Datum		value;
	bool		isnull;
	MxExprHook	hook;
	void	   *arg;
} QueryParam;

struct MxQuery
{
	StringInfoData sql;
	int			nparams;
	int			maxparams;
	QueryParam *params;
};

static QueryParam *add_param(MxQuery *query);
static ParamListInfo make_params(MxQuery *query);
static void setup_parser(ParseState *pstate, void *arg);
static Node *resolve_param(ParseState *pstate, ParamRef *pref);
static Oid	registry_owner(void);

/*
 * A statement without text or parameters, in the current memory context.
 */
MxQuery *
mx_query_new(void)
{
	MxQuery    *query = palloc0(sizeof(MxQuery));

	initStringInfo(&query->sql);
	return query;
}

/*
 * Its text, to be appended to.
 */
StringInfo
mx_query_sql(MxQuery *query)
{
	return &query->sql;
}

/*
 * Adds a value; returns the n of its "$n".  The value is not copied.
 */
int
mx_query_value(MxQuery *query, Oid type, Datum value, bool isnull)
{
	QueryParam *param = add_param(query);

	param->type = type;
	param->value = value;
	param->isnull = isnull;
	return query->nparams;
}

/*
 * Adds a text, NULL for a null; returns the n of its "$n".
 */
int
mx_query_text(MxQuery *query, const char *value)
{
	return mx_query_value(query, TEXTOID,
						  value ? CStringGetTextDatum(value) : (Datum) 0,
						  value == NULL);
}

/*
 * Adds an expression that "hook" analyses where "$n" stands; returns that n.
 */
int
mx_query_expr(MxQuery *query, MxExprHook hook, void *arg)
{
	QueryParam *param = add_param(query);

	param->isnull = true;
	param->hook = hook;
	param->arg = arg;
	return query->nparams;
}

/*
 * Runs the statement; its rows go to "dest", or to SPI_tuptable without one.
 * Returns the number of rows found, written or removed.
 *
 * Plans are made for the values at hand and thrown away: none outlives a
 * change of role, policy, search_path or table.
 */
uint64
mx_query_run(MxQuery *query, MxRunMode mode, DestReceiver *dest)
{
	SPIExecuteOptions options;
	Oid			save_user;
	int			save_context;
	int			rc;

	memset(&options, 0, sizeof(options));
	options.params = make_params(query);
	options.read_only = (mode == MX_READ || mode == MX_OWNER_READ);
	options.dest = dest;

	if (mode == MX_OWNER || mode == MX_OWNER_READ)
	{
		/* an error restores the user with the (sub)transaction's state */
		GetUserIdAndSecContext(&save_user, &save_context);
		SetUserIdAndSecContext(registry_owner(),
							   save_context | SECURITY_LOCAL_USERID_CHANGE);
	}
	rc = SPI_execute_extended(query->sql.data, &options);
	if (rc < 0)
		elog(ERROR, "SPI_execute_extended failed: %s",
			 SPI_result_code_string(rc));
	if (mode == MX_OWNER || mode == MX_OWNER_READ)
		SetUserIdAndSecContext(save_user, save_context);
	return SPI_processed;
}

/*
 * Runs a utility statement as the caller.
 */
void
mx_utility(const char *format,...)
{
	StringInfoData sql;
	int			rc;

	initStringInfo(&sql);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&sql, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sql, needed);
	}
	rc = SPI_execute(sql.data, false, 0);
	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
	pfree(sql.data);
}

static QueryParam *
add_param(MxQuery *query)
{
	if (query->nparams == query->maxparams)
	{
		query->maxparams = Max(8, query->maxparams * 2);
		if (query->params == NULL)
			query->params = palloc(sizeof(QueryParam) * query->maxparams);
		else
			query->params = repalloc(query->params,
									 sizeof(QueryParam) * query->maxparams);
	}
	memset(&query->params[query->nparams], 0, sizeof(QueryParam));
	return &query->params[query->nparams++];
}

/*
 * The values as the executor takes them.  They are constants for the planner:
 * it may fold them, and look up arrays by hash.
 */
static ParamListInfo
make_params(MxQuery *query)
{
	ParamListInfo params = makeParamList(query->nparams);

	for (int i = 0; i < query->nparams; i++)
	{
		params->params[i].value = query->params[i].value;
		params->params[i].isnull = query->params[i].isnull;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = query->params[i].type;
	}
	params->parserSetup = setup_parser;
	params->parserSetupArg = query;
	return params;
}

static void
setup_parser(ParseState *pstate, void *arg)
{
	pstate->p_paramref_hook = resolve_param;
	pstate->p_ref_hook_state = arg;
}

/*
 * What "$n" becomes in the parse tree.
 */
static Node *
resolve_param(ParseState *pstate, ParamRef *pref)
{
	MxQuery    *query = pstate->p_ref_hook_state;
	QueryParam *param;
	Param	   *node;

	if (pref->number < 1 || pref->number > query->nparams)
		return NULL;
	param = &query->params[pref->number - 1];
	if (param->hook != NULL)
		return param->hook(pstate, param->arg);

	node = makeNode(Param);
	node->paramkind = PARAM_EXTERN;
	node->paramid = pref->number;
	node->paramtype = param->type;
	node->paramtypmod = -1;
	node->paramcollid = get_typcollation(param->type);
	node->location = pref->location;
	return (Node *) node;
}

/*
 * Role that owns the registry's tables.
 */
static Oid
registry_owner(void)
{
	Oid			relid = mx_registry_table("metaxy_feature");
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}
