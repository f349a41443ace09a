/*-------------------------------------------------------------------------
 *
 * sync.c
 *		metaxy_sync: registers the graph that "metaxy push" stored.
 *
 * Read the definitions, compare them with the registry, carry out what
 * differs, report.  A dry run takes the same way and leaves the carrying out
 * away.  Whatever is wrong with one feature is caught in a subtransaction of
 * its own, becomes the detail of that feature's row, and stops no other.
 *
 * src/registry/sync.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "registry/key.h"
#include "registry/sync.h"

PG_FUNCTION_INFO_V1(metaxy_sync);

static void read_features(MxSync *sync, List *specs);
static void find_table(const MxSync *sync, MxSyncFeature *feature);
static void skip_shared_tables(MxSync *sync);
static int	compare_tables(const void *a, const void *b);
static void put_feature(ReturnSetInfo *rsinfo, const MxSyncFeature *feature);
static void try_parse(void *arg);
static char *error_text(const ErrorData *error, bool with_hint);

/*
 * metaxy_sync(schema regnamespace, table_prefix text, project text,
 *			   dry_run boolean)
 *		returns setof (feature, relation, action, detail)
 *
 * Takes the registry's lock first, then looks, so that of two syncs the later
 * one sees what the first one has done and what was pushed until then.  Runs as
 * the caller, who needs SELECT on Metaxy's table and what registering needs on
 * each feature table.  A dry run takes no lock but ACCESS SHARE.
 */
Datum
metaxy_sync(PG_FUNCTION_ARGS)
{
	MxSync		sync = {0};
	Oid			schema = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	char	   *project = mx_arg_text_or_null(fcinfo, 2);
	Oid			relid;
	List	   *specs;

	sync.prefix = mx_arg_text(fcinfo, 1, "table_prefix");
	sync.dry_run = mx_arg_bool(fcinfo, 3, "dry_run");
	if (!sync.dry_run)
		PreventCommandIfReadOnly("metaxy_sync()");

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	relid = mx_spec_table(schema, sync.prefix);
	sync.schema = get_rel_namespace(relid);
	if (!sync.dry_run)
		mx_registry_lock();

	PushActiveSnapshot(GetLatestSnapshot());
	specs = mx_specs_read(relid, project);
	PopActiveSnapshot();
	read_features(&sync, specs);
	mx_sync_features(&sync);
	mx_sync_edges(&sync);
	mx_sync_apply(&sync);
	for (int i = 0; i < sync.nfeatures; i++)
		put_feature((ReturnSetInfo *) fcinfo->resultinfo, &sync.features[i]);
	SPI_finish();
	return (Datum) 0;
}

/*
 * Calls "work" in a subtransaction.  Returns NULL, or what went wrong, with or
 * without the error's hint; then nothing is left of what it did.
 *
 * Only errors that the feature at hand can be blamed for are caught: cancels,
 * lost connections, deadlocks, exhausted resources, damaged data and bugs end
 * the whole call.
 */
char *
mx_sync_try(void (*work) (void *arg), void *arg, bool with_hint)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	CHECK_FOR_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (error == NULL)
		return NULL;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			ReThrowError(error);
	}
	return error_text(error, with_hint);
}

/*
 * Adds to what the feature's row will say.
 */
void
mx_sync_note(MxSyncFeature *feature, const char *text)
{
	if (feature->detail.data == NULL)
		initStringInfo(&feature->detail);
	appendStringInfo(&feature->detail, "%s%s",
					 feature->detail.len > 0 ? "; " : "", text);
}

/*
 * The same for something that changed.
 */
void
mx_sync_changed(MxSyncFeature *feature, const char *text)
{
	feature->changed = true;
	/* a new feature's row need not say what it consists of */
	if (feature->old != NULL)
		mx_sync_note(feature, text);
}

/*
 * Leaves the feature as it is; its row says nothing but why.
 */
void
mx_sync_skip(MxSyncFeature *feature, const char *text)
{
	if (feature->skipped)
		return;
	feature->skipped = true;
	if (feature->detail.data != NULL)
		resetStringInfo(&feature->detail);
	mx_sync_note(feature, text);
}

/*
 * The definition of a feature; NULL if none was pushed.
 */
MxSyncFeature *
mx_sync_find(const MxSync *sync, const char *key)
{
	int			low = 0;
	int			high = sync->nfeatures - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			order = mx_key_compare(key, sync->features[middle].goal.key);

		if (order == 0)
			return &sync->features[middle];
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}

/*
 * Reads the definitions, finds what is registered and the tables.
 */
static void
read_features(MxSync *sync, List *specs)
{
	ListCell   *lc;

	sync->registry = mx_registry_load();
	sync->features = palloc0(sizeof(MxSyncFeature) *
							 Max(list_length(specs), 1));
	foreach(lc, specs)
	{
		MxSyncFeature *feature = &sync->features[sync->nfeatures++];
		MxSpec	   *spec = lfirst(lc);
		int			place = mx_registry_find(sync->registry, spec->key);
		char	   *problem;

		feature->spec = spec;
		feature->goal.key = spec->key;
		if (place >= 0)
			feature->old = &sync->registry->features[place];
		if (spec->gone)
			continue;

		if (spec->project == NULL || spec->version == NULL)
			problem = psprintf("column \"%s\" is null",
							   spec->project ? "metaxy_feature_version" : "project");
		else
			problem = mx_sync_try(try_parse, spec, false);
		if (problem != NULL)
			mx_sync_skip(feature, psprintf("definition cannot be read: %s",
										   problem));
		feature->goal.project = spec->project;
		feature->goal.version = spec->version;
		feature->goal.id_columns = spec->id_columns;
		feature->goal.views = feature->old ? feature->old->views : true;
		feature->goal.indexes = feature->old ? feature->old->indexes : true;
		feature->goal.replace = true;
		find_table(sync, feature);
	}
	skip_shared_tables(sync);
}

/*
 * The table of Metaxy's naming.  Where there is none, a table that the feature
 * is registered with stays: it may have been renamed or moved.
 */
static void
find_table(const MxSync *sync, MxSyncFeature *feature)
{
	feature->table = mx_spec_relation(feature->spec->key, sync->prefix);
	if (strlen(feature->table) >= NAMEDATALEN)
	{
		mx_sync_skip(feature, psprintf("table name \"%s\" is too long",
									   feature->table));
		return;
	}
	feature->goal.relid = get_relname_relid(feature->table, sync->schema);
	if (!OidIsValid(feature->goal.relid) && feature->old != NULL)
		feature->goal.relid = feature->old->relid;
}

/*
 * "a-b" and "a_b" have the same table: which of them it is for, nobody knows.
 */
static void
skip_shared_tables(MxSync *sync)
{
	MxSyncFeature **sorted = palloc(sizeof(MxSyncFeature *) *
									Max(sync->nfeatures, 1));
	int			count = 0;

	for (int i = 0; i < sync->nfeatures; i++)
	{
		if (sync->features[i].table != NULL)
			sorted[count++] = &sync->features[i];
	}
	qsort(sorted, count, sizeof(MxSyncFeature *), compare_tables);
	for (int i = 1; i < count; i++)
	{
		MxSyncFeature *a = sorted[i - 1];
		MxSyncFeature *b = sorted[i];

		if (strcmp(a->table, b->table) != 0)
			continue;
		mx_sync_skip(a, psprintf("table \"%s\" is that of feature \"%s\", too",
								 a->table, b->goal.key));
		mx_sync_skip(b, psprintf("table \"%s\" is that of feature \"%s\", too",
								 b->table, a->goal.key));
	}
	pfree(sorted);
}

static int
compare_tables(const void *a, const void *b)
{
	const MxSyncFeature *left = *(MxSyncFeature *const *) a;
	const MxSyncFeature *right = *(MxSyncFeature *const *) b;
	int			order = strcmp(left->table, right->table);

	return order != 0 ? order :
		mx_key_compare(left->goal.key, right->goal.key);
}

/*
 * One row of the result; none for a feature that neither side has.
 */
static void
put_feature(ReturnSetInfo *rsinfo, const MxSyncFeature *feature)
{
	Datum		values[4];
	bool		nulls[4] = {false};
	Oid			relid = feature->goal.relid;
	const char *action;

	if (feature->skipped)
		action = "skipped";
	else if (feature->spec->gone)
		action = "removed";
	else if (feature->old == NULL)
		action = "added";
	else
		action = feature->changed ? "changed" : "unchanged";
	if (feature->spec->gone && feature->old == NULL)
		return;
	if (!OidIsValid(relid) && feature->old != NULL)
		relid = feature->old->relid;

	values[0] = CStringGetTextDatum(feature->goal.key);
	values[1] = ObjectIdGetDatum(relid);
	nulls[1] = !OidIsValid(relid);
	values[2] = CStringGetTextDatum(action);
	nulls[3] = feature->detail.len == 0;
	values[3] = nulls[3] ? (Datum) 0 :
		CStringGetTextDatum(feature->detail.data);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
try_parse(void *arg)
{
	mx_spec_parse(arg);
}

/*
 * An error as one line of a feature's detail.
 */
static char *
error_text(const ErrorData *error, bool with_hint)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, error->message);
	if (error->detail != NULL)
		appendStringInfo(&text, ". %s", error->detail);
	if (with_hint && error->hint != NULL)
		appendStringInfo(&text, "%s %s", error->detail ? "" : ".",
						 error->hint);
	return text.data;
}
