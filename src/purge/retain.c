/*-------------------------------------------------------------------------
 *
 * retain.c
 *		metaxy_retain: how long deleted samples and superseded rows are kept;
 *		metaxy_maintain: purges what has been kept for that long.
 *
 * src/purge/retain.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "purge/purge.h"

PG_FUNCTION_INFO_V1(metaxy_retain);
PG_FUNCTION_INFO_V1(metaxy_maintain);

/* as without the argument */
#define BATCH_SIZE 10000

/* what is wished for a feature; NULL: keep all */
typedef struct Wish
{
	char	   *key;
	Interval   *purge_after;
	Interval   *history_after;
} Wish;

static Interval *interval_argument(FunctionCallInfo fcinfo, int argno,
								   const char *name);
static void write_wish(const Wish *wish);
static List *load_wishes(void);
static Interval *interval_column(uint64 row, int number);
static char *apply(const Wish *wish, bool dry_run);
static char *apply_part(MxPurge *purge);
static char *step_or_error(MxPurge *purge, bool *more);

/*
 * metaxy_retain(feature text, purge_after interval, history_after interval)
 *		returns void
 *
 * Only the feature's owner may.  Nothing is purged here.
 */
Datum
metaxy_retain(PG_FUNCTION_ARGS)
{
	Wish		wish;

	SPI_connect();
	wish.key = mx_arg_text(fcinfo, 0, "feature");
	wish.purge_after = interval_argument(fcinfo, 1, "purge_after");
	wish.history_after = interval_argument(fcinfo, 2, "history_after");
	PreventCommandIfReadOnly("metaxy_retain()");
	mx_registry_lock();
	mx_require_feature_owner(mx_feature_require(wish.key));
	write_wish(&wish);
	SPI_finish();
	PG_RETURN_VOID();
}

static Interval *
interval_argument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		return NULL;
	(void) mx_purge_cutoff(PG_GETARG_INTERVAL_P(argno), name);
	return PG_GETARG_INTERVAL_P(argno);
}

static void
write_wish(const Wish *wish)
{
	MxQuery    *query = mx_query_new();
	StringInfo	sql = mx_query_sql(query);

	mx_query_text(query, wish->key);
	if (wish->purge_after == NULL && wish->history_after == NULL)
		appendStringInfo(sql, "DELETE FROM %s." MX_TABLE_RETENTION
						 " WHERE feature OPERATOR(pg_catalog.=) $1",
						 mx_schema());
	else
	{
		mx_query_value(query, INTERVALOID,
					   IntervalPGetDatum(wish->purge_after),
					   wish->purge_after == NULL);
		mx_query_value(query, INTERVALOID,
					   IntervalPGetDatum(wish->history_after),
					   wish->history_after == NULL);
		appendStringInfo(sql, "INSERT INTO %s." MX_TABLE_RETENTION
						 " (feature, purge_after, history_after)"
						 " VALUES ($1, $2, $3) ON CONFLICT (feature) DO UPDATE"
						 " SET purge_after = excluded.purge_after,"
						 " history_after = excluded.history_after",
						 mx_schema());
	}
	mx_query_run(query, MX_OWNER, NULL);
}

/*
 * CALL metaxy_maintain(dry_run boolean)
 *
 * Purges each feature with a wish as the caller, as metaxy_purge does: batch
 * by batch.  A feature that fails is reported and does not stop the others;
 * the last word is an error that names all of them.
 *
 * Each step runs in a subtransaction, so that its error can be caught, and the
 * transaction is committed after it.
 */
Datum
metaxy_maintain(PG_FUNCTION_ARGS)
{
	bool		dry_run;
	List	   *wishes;
	StringInfoData failed;
	int			nfailed = 0;
	ListCell   *lc;
	bool		nonatomic = fcinfo->context != NULL &&
	IsA(fcinfo->context, CallContext) &&
	!castNode(CallContext, fcinfo->context)->atomic;

	SPI_connect_ext(nonatomic ? SPI_OPT_NONATOMIC : 0);
	dry_run = mx_arg_bool(fcinfo, 0, "dry_run");
	if (!dry_run)
	{
		PreventCommandIfReadOnly("metaxy_maintain()");
		mx_purge_transaction();
	}
	initStringInfo(&failed);
	wishes = load_wishes();
	foreach(lc, wishes)
	{
		const Wish *wish = lfirst(lc);
		char	   *message = apply(wish, dry_run);

		if (message != NULL)
			appendStringInfo(&failed, "%s\"%s\": %s",
							 nfailed++ > 0 ? "\n" : "", wish->key, message);
	}
	if (nfailed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not purge %d of %d features", nfailed,
						list_length(wishes)),
				 errdetail("%s", failed.data)));
	SPI_finish();
	return (Datum) 0;
}

static List *
load_wishes(void)
{
	MxQuery    *query = mx_query_new();
	List	   *wishes = NIL;
	uint64		count;

	appendStringInfo(mx_query_sql(query),
					 "SELECT feature, purge_after, history_after FROM %s."
					 MX_TABLE_RETENTION " ORDER BY feature", mx_schema());
	PushActiveSnapshot(GetLatestSnapshot());
	count = mx_query_run(query, MX_OWNER_READ, NULL);
	PopActiveSnapshot();
	for (uint64 i = 0; i < count; i++)
	{
		Wish	   *wish = palloc(sizeof(Wish));

		wish->key = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		wish->purge_after = interval_column(i, 2);
		wish->history_after = interval_column(i, 3);
		wishes = lappend(wishes, wish);
	}
	SPI_freetuptable(SPI_tuptable);
	return wishes;
}

static Interval *
interval_column(uint64 row, int number)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, number, &isnull);
	Interval   *interval;

	if (isnull)
		return NULL;
	interval = palloc(sizeof(Interval));
	*interval = *DatumGetIntervalP(value);
	return interval;
}

/*
 * Purges deleted samples, then superseded rows, each by its own age.  Returns
 * the message of an error, or NULL.
 */
static char *
apply(const Wish *wish, bool dry_run)
{
	int64		samples = 0;
	int64		rows = 0;
	int64		bytes = 0;

	for (int part = 0; part < 2; part++)
	{
		MxPurge		purge = {.context = CurrentMemoryContext,.key = wish->key};
		char	   *message;

		purge.whole = part == 0;
		purge.history = part == 1;
		purge.older_than = part == 0 ? wish->purge_after : wish->history_after;
		purge.dry_run = dry_run;
		purge.batch_size = BATCH_SIZE;
		if (purge.older_than == NULL)
			continue;
		message = apply_part(&purge);
		samples += purge.samples;
		rows += purge.nrows;
		bytes += purge.bytes;
		if (message != NULL)
			return message;
	}
	ereport(NOTICE,
			(errmsg(dry_run ?
					"feature \"%s\": would purge %lld samples, %lld rows, %lld bytes" :
					"feature \"%s\": purged %lld samples, %lld rows, %lld bytes",
					wish->key, (long long) samples, (long long) rows,
					(long long) bytes)));
	return NULL;
}

static char *
apply_part(MxPurge *purge)
{
	char	   *message;
	bool		more;

	do
	{
		message = step_or_error(purge, &more);
		if (!purge->dry_run)
			mx_purge_transaction();
	} while (message == NULL && more);
	mx_purge_end(purge);
	return message;
}

/*
 * One step in a subtransaction, as PL/pgSQL runs a block with an exception
 * handler.  Not caught is the operator's intervention, class 57: a cancel, say,
 * is for the whole call.
 */
static char *
step_or_error(MxPurge *purge, bool *more)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MxPurge		before = *purge;
	char	   *volatile message = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (purge->feature == NULL)
			purge->cutoff = mx_purge_cutoff(purge->older_than, "older_than");
		*more = mx_purge_step(purge);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		/* ours to end, also when the whole call does */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
			MAKE_SQLSTATE('5', '7', '0', '0', '0'))
		{
			mx_purge_end(purge);
			ReThrowError(error);
		}
		message = pstrdup(error->message);
		FreeErrorData(error);
		purge->samples = before.samples;
		purge->nrows = before.nrows;
		purge->bytes = before.bytes;
		purge->deletion_id = before.deletion_id;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return message;
}
