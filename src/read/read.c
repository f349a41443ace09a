/*-------------------------------------------------------------------------
 *
 * read.c
 *		metaxy_read: rows of a feature table, with all switches of Metaxy's
 *		read(), as of now or of an earlier time.
 *
 * src/read/read.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "read/read.h"

PG_FUNCTION_INFO_V1(metaxy_read);

/* places of the arguments */
enum
{
	ARG_ROW_TYPE,
	ARG_FILTER,
	ARG_INCLUDE_SOFT_DELETED,
	ARG_ONLY_SOFT_DELETED,
	ARG_FEATURE_HISTORY,
	ARG_SAMPLE_HISTORY,
	ARG_FEATURE_VERSION,
	ARG_AS_OF
};

/* the arguments but for the table */
typedef struct ReadRequest
{
	MxFilter   *filter;			/* NULL: every row */
	MxLatest	which;			/* live rows, tombstones or both */
	bool		feature_history;
	bool		sample_history;
	char	   *version;		/* NULL: the current one */
	bool		now;			/* no as_of was given */
	TimestampTz as_of;
} ReadRequest;

static void read_request(FunctionCallInfo fcinfo, ReadRequest *request);
static void read_as_of(FunctionCallInfo fcinfo, ReadRequest *request);
static TimestampTz latest_instant(void);
static void refuse_table(Oid relid, const char *function) pg_attribute_noreturn();
static Relation open_table(const MxFeature *feature,
						   const ReadRequest *request);
static MxQuery *make_query(const MxFeature *feature,
						   const ReadRequest *request, Relation rel,
						   TupleDesc desc);

/*
 * metaxy_read(row_type anyelement, filter text, include_soft_deleted boolean,
 *			   only_soft_deleted boolean, with_feature_history boolean,
 *			   with_sample_history boolean, feature_version text,
 *			   as_of timestamptz)
 *		returns setof anyelement
 *
 * The row type says which table; its value is not looked at.  Reads as the
 * caller, under the snapshot of the caller's query, and locks the table with
 * ACCESS SHARE.  Rows go straight from the query into the result.
 */
Datum
metaxy_read(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ReadRequest request = {0};
	MxFeature  *feature;
	Relation	rel;
	DestReceiver *receiver;

	SPI_connect();
	read_request(fcinfo, &request);
	feature = mx_feature_of_type(get_fn_expr_argtype(fcinfo->flinfo,
												  ARG_ROW_TYPE),
								 "metaxy_read");
	rel = open_table(feature, &request);

	/*
	 * The calling query knows the columns since before the lock.  Those that
	 * were added since are left out; one that is gone is an error.
	 */
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	receiver = CreateDestReceiver(DestTuplestore);
	/* puts nulls where columns were dropped */
	SetTuplestoreDestReceiverParams(receiver, result->setResult,
									result->econtext->ecxt_per_query_memory,
									false, result->setDesc,
									"the columns of the table have just been changed");
	mx_query_run(make_query(feature, &request, rel, result->setDesc),
				 MX_READ, receiver);
	receiver->rDestroy(receiver);

	relation_close(rel, NoLock);
	SPI_finish();
	return (Datum) 0;
}

/*
 * Reads the switches, and refuses those that contradict each other.  The
 * filter is parsed here, so that one that is no expression is refused before
 * anything is looked at.
 */
static void
read_request(FunctionCallInfo fcinfo, ReadRequest *request)
{
	char	   *filter = mx_arg_text_or_null(fcinfo, ARG_FILTER);
	bool		include_deleted = mx_arg_bool(fcinfo, ARG_INCLUDE_SOFT_DELETED,
											  "include_soft_deleted");
	bool		only_deleted = mx_arg_bool(fcinfo, ARG_ONLY_SOFT_DELETED,
										   "only_soft_deleted");

	request->feature_history = mx_arg_bool(fcinfo, ARG_FEATURE_HISTORY,
										   "with_feature_history");
	request->sample_history = mx_arg_bool(fcinfo, ARG_SAMPLE_HISTORY,
										  "with_sample_history");
	request->version = mx_arg_text_or_null(fcinfo, ARG_FEATURE_VERSION);
	if (include_deleted && only_deleted)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"include_soft_deleted\" and \"only_soft_deleted\" cannot be used together"),
				 errhint("Give \"include_soft_deleted\" for live rows and tombstones, \"only_soft_deleted\" for tombstones alone.")));
	if (request->version != NULL && request->feature_history)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"feature_version\" and \"with_feature_history\" cannot be used together"),
				 errhint("Give \"feature_version\" for one version, \"with_feature_history\" for all of them.")));
	request->which = only_deleted ? MX_DELETED :
		include_deleted ? MX_LATEST : MX_ACTIVE;
	read_as_of(fcinfo, request);
	request->filter = filter != NULL ? mx_filter_parse(filter) : NULL;
}

/*
 * The past is known, the future is not: what is asked for now must be what is
 * answered later.
 */
static void
read_as_of(FunctionCallInfo fcinfo, ReadRequest *request)
{
	request->now = PG_ARGISNULL(ARG_AS_OF);
	if (request->now)
		return;
	request->as_of = PG_GETARG_TIMESTAMPTZ(ARG_AS_OF);
	if (TIMESTAMP_NOT_FINITE(request->as_of))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"as_of\" must be finite"),
				 errhint("Leave it out to read what is there now.")));
	if (request->as_of > latest_instant())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"as_of\" is in the future"),
				 errhint("Leave it out to read what is there now.")));
}

/*
 * The latest time that rows can have been dated.
 */
static TimestampTz
latest_instant(void)
{
	TimestampTz clock = mx_clock_read(mx_clock());

	return Max(mx_wall_clock(), clock);
}

/*
 * The feature whose table has this row type, which "function" was called with.
 *
 * The registry is open to everybody: rights on the table are asked for once
 * it is known to be the right one.
 */
MxFeature *
mx_feature_of_type(Oid type, const char *function)
{
	Oid			relid = InvalidOid;
	MxFeature  *feature;

	/* a domain over a row type may want more of its values than a table does */
	if (get_typtype(type) == TYPTYPE_COMPOSITE)
		relid = get_typ_typrelid(type);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"row_type\" must be of a table's row type, not of type %s",
						format_type_be(type)),
				 errhint("Name the table in a cast: SELECT * FROM %s(NULL::my_table).",
						 function)));
	feature = mx_feature_of_table(relid);
	if (feature == NULL)
		refuse_table(relid, function);
	return feature;
}

/*
 * Says why a relation cannot be read.
 */
static void
refuse_table(Oid relid, const char *function)
{
	char		relkind = get_rel_relkind(relid);

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" is not a table",
						get_rel_name(relid)),
				 errdetail_relkind_not_supported(relkind),
				 errhint("Name the table that holds the feature.")));
	if (get_rel_relispartition(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot read partition \"%s\" by itself",
						get_rel_name(relid)),
				 errhint("Name the whole table: SELECT * FROM %s(NULL::%s).",
						 function,
						 mx_relation_name(llast_oid(get_partition_ancestors(relid))))));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("relation \"%s\" is not registered", get_rel_name(relid)),
			 errhint("Register it as a feature with metaxy_register().")));
}

/*
 * Locks the table, once the caller is known to have some right on it, and
 * looks whether the request fits.  The query asks for the other rights.
 */
static Relation
open_table(const MxFeature *feature, const ReadRequest *request)
{
	Relation	rel;

	mx_require_select(feature->relid);
	rel = try_relation_open(feature->relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature \"%s\" has no table", feature->key)));
	mx_check_columns(feature, rel);
	if (request->version != NULL && feature->version == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature \"%s\" is not versioned", feature->key),
				 errhint("Leave out \"feature_version\".")));
	if (request->filter != NULL)
		mx_filter_check(request->filter, rel);
	return rel;
}

/*
 * The query: the columns of "desc" of the rows asked for.  The filter comes
 * last, when the rows that count have been found, and sees the table alone.
 */
static MxQuery *
make_query(const MxFeature *feature, const ReadRequest *request,
		   Relation rel, TupleDesc desc)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);
	char	   *ref = mx_table_ref(feature, NULL);
	const char *version = NULL;
	const char *as_of = NULL;
	const char *separator = "SELECT ";

	if (feature->version != NULL && !request->feature_history)
		version = psprintf("$%d",
						   mx_query_text(query, request->version != NULL ?
										 request->version :
										 feature->version));
	if (!request->now)
		as_of = psprintf("$%d",
						 mx_query_value(query, TIMESTAMPTZOID,
										TimestampTzGetDatum(request->as_of),
										false));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), i);

		if (TupleDescAttr(desc, i)->attisdropped || attribute->attisdropped)
			continue;
		appendStringInfoString(sql, separator);
		mx_append_column(sql, ref, NameStr(attribute->attname));
		separator = ", ";
	}
	if (request->sample_history)
		mx_append_history(sql, feature, version, as_of, request->which);
	else
		mx_append_latest_as_of(sql, feature, NULL, version, as_of, false,
							   request->which);
	if (request->filter != NULL)
		appendStringInfo(sql, " AND ($%d)",
						 mx_query_expr(query, mx_filter_analyze,
									   request->filter));
	return query;
}
