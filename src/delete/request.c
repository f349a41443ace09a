/*-------------------------------------------------------------------------
 *
 * request.c
 *		The arguments of metaxy_delete, read and checked.
 *
 * src/delete/request.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "delete/delete.h"

/* places of the arguments, the same in both call forms */
enum
{
	ARG_FEATURES,
	ARG_FILTERS,
	ARG_SOFT,
	ARG_CASCADE,
	ARG_DRY_RUN,
	ARG_FEATURE_HISTORY,
	ARG_SAMPLE_HISTORY,
	ARG_FEATURE_VERSION,
	ARG_ALL_ROWS,
	ARG_PARTIAL,
	ARG_REASON,
	ARG_MAX_SAMPLES,
	ARG_EXPECT
};

/* in the order of MxCascade */
const char *const mx_cascades[] = {
	"none", "downstream", "upstream", "both", NULL
};

static const char *const partials[] = {"keep", "delete", NULL};

static void read_features(FunctionCallInfo fcinfo, MxRequest *request);
static void read_filters(FunctionCallInfo fcinfo, MxRequest *request);
static void check_options(const MxRequest *request);

/*
 * Reads the arguments of either form.  Filters are parsed here, so that one
 * that is no expression is refused before anything is looked at.
 */
MxRequest *
mx_delete_request(FunctionCallInfo fcinfo)
{
	MxRequest  *request = palloc0(sizeof(MxRequest));

	request->kind = "delete";
	read_features(fcinfo, request);
	request->soft = mx_arg_bool(fcinfo, ARG_SOFT, "soft");
	request->cascade = mx_choice(mx_arg_text(fcinfo, ARG_CASCADE, "cascade"),
								 "cascade", mx_cascades);
	request->dry_run = mx_arg_bool(fcinfo, ARG_DRY_RUN, "dry_run");
	request->feature_history = mx_arg_bool(fcinfo, ARG_FEATURE_HISTORY,
										   "with_feature_history");
	request->sample_history = mx_arg_bool(fcinfo, ARG_SAMPLE_HISTORY,
										  "with_sample_history");
	request->version = mx_arg_text_or_null(fcinfo, ARG_FEATURE_VERSION);
	request->all_rows = mx_arg_bool(fcinfo, ARG_ALL_ROWS, "all_rows");
	request->delete_partial =
		mx_choice(mx_arg_text(fcinfo, ARG_PARTIAL, "partial"),
				  "partial", partials) == 1;
	request->reason = mx_arg_text_or_null(fcinfo, ARG_REASON);
	request->max_samples = mx_arg_limit(fcinfo, ARG_MAX_SAMPLES, "max_samples");
	request->expect = mx_arg_text_or_null(fcinfo, ARG_EXPECT);
	read_filters(fcinfo, request);
	check_options(request);
	return request;
}

/*
 * "feature text" or "features text[]": told apart by the argument's type.
 */
static void
read_features(FunctionCallInfo fcinfo, MxRequest *request)
{
	ListCell   *lc;

	if (get_fn_expr_argtype(fcinfo->flinfo, ARG_FEATURES) == TEXTARRAYOID)
	{
		request->features = mx_arg_names(fcinfo, ARG_FEATURES, "features");
		if (request->features == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"features\" must not be empty")));
	}
	else
		request->features = list_make1(mx_arg_text(fcinfo, ARG_FEATURES,
												   "feature"));

	foreach(lc, request->features)
	{
		List	   *before = list_truncate(list_copy(request->features),
										   foreach_current_index(lc));

		if (mx_names_member(before, lfirst(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("feature \"%s\" is named more than once",
							(char *) lfirst(lc))));
	}
}

/*
 * "filter text" or "filters text[]"; NULL or an empty array: every sample.
 */
static void
read_filters(FunctionCallInfo fcinfo, MxRequest *request)
{
	List	   *texts = NIL;
	ListCell   *lc;

	if (PG_ARGISNULL(ARG_FILTERS))
		return;
	if (get_fn_expr_argtype(fcinfo->flinfo, ARG_FILTERS) == TEXTARRAYOID)
		texts = mx_arg_names(fcinfo, ARG_FILTERS, "filters");
	else
		texts = list_make1(mx_arg_text(fcinfo, ARG_FILTERS, "filter"));

	foreach(lc, texts)
		request->filters = lappend(request->filters,
								   mx_filter_parse(lfirst(lc)));
}

/*
 * Options that contradict each other, and a hard delete of everything that
 * nobody confirmed.
 */
static void
check_options(const MxRequest *request)
{
	if (request->version != NULL && request->feature_history)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"feature_version\" and \"with_feature_history\" cannot be used together"),
				 errhint("Give \"feature_version\" for one version, \"with_feature_history\" for all of them.")));
	if (request->all_rows && request->filters != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"all_rows\" and a filter cannot be used together")));
	if (!request->soft && request->sample_history &&
		request->cascade != MX_CASCADE_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a hard delete \"with_sample_history\" cannot cascade"),
				 errdetail("It removes single rows, not samples.")));
	if (!request->soft && request->filters == NIL && !request->all_rows &&
		!request->dry_run)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("hard delete of every sample is not confirmed"),
				 errhint("Give a filter, or confirm with all_rows => true.")));
}
