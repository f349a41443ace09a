/*-------------------------------------------------------------------------
 *
 * soft.c
 *		Hides the doomed samples of a feature: appends a tombstone for each row
 *		that was found, and sees to it that all of them are what they should be.
 *		An undelete goes the same way, with live copies of tombstones.
 *
 * src/delete/soft.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "delete/delete.h"

/* compares what was written with what should have been, row by row */
typedef struct Verifier
{
	MxStore    *rows;
	int			pointer;		/* our own place in the store */
	TupleTableSlot *slot;		/* the row that should have been written */
	int			ncolumns;		/* returned columns, the recency last */
	AttrNumber *numbers;		/* their numbers in the store */
	bool		restores;		/* live rows: the last but one is null */
	TimestampTz stamp;
	const char *relation;
} Verifier;

/* what mx_write_stamped hands to us */
typedef struct Insert
{
	MxQuery    *query;
	DestReceiver *receiver;
} Insert;

static const char *recency_column(const MxDelete *delete);
static uint64 write_rows(void *arg);
static void require_columns(const MxFeature *feature, const MxStore *rows,
							List *columns);
static uint64 count_tombstones(const MxDelete *delete,
							   const MxFeature *feature);
static bool has_after_trigger(Relation rel);
static List *verified_columns(const MxDelete *delete,
							  const MxFeature *feature);
static bool may_be_changed(Relation rel);
static void start_verifier(Verifier *verifier, const MxDelete *delete,
						   MxStep *step, List *columns);
static bool verify_row(TupleTableSlot *slot, void *arg);

/*
 * Appends the tombstones of a step, in one INSERT: a copy of each row that
 * was found, with the stamp of the operation.
 *
 * Row triggers of the table may have changed the copies on their way in.
 * That is looked for only where there are any.
 */
void
mx_soft_delete(MxDelete *delete, MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	Insert		insert = {.query = mx_query_new()};
	MxQuery    *query = insert.query;
	StringInfo	sql = mx_query_sql(query);
	Relation	rel = mx_open_for_write(feature);
	List	   *columns = mx_copied_columns(rel, feature->id_columns);
	Verifier	verifier;
	int			stamp;
	uint64		done;
	ListCell   *lc;

	require_columns(feature, step->rows, columns);
	stamp = mx_query_value(query, TIMESTAMPTZOID,
						   TimestampTzGetDatum(delete->stamp), false);
	appendStringInfo(sql, "INSERT INTO %s (", mx_relation_name(feature->relid));
	foreach(lc, columns)
		appendStringInfo(sql, "%s%s", foreach_current_index(lc) ? ", " : "",
						 quote_identifier(lfirst(lc)));
	appendStringInfoString(sql, ") OVERRIDING SYSTEM VALUE SELECT ");
	foreach(lc, columns)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(sql, ", ");
		if (strcmp(lfirst(lc), recency_column(delete)) == 0)
			appendStringInfo(sql, "$%d", stamp);
		else if (strcmp(lfirst(lc), MX_DELETED_AT) == 0)
			appendStringInfoString(sql, "NULL::pg_catalog.timestamptz");
		else
			mx_append_store_column(sql, step->rows, "row", lfirst(lc));
	}
	appendStringInfoString(sql, " FROM ");
	mx_append_store(sql, step->rows, "row");

	if (may_be_changed(rel))
	{
		List	   *returned = verified_columns(delete, feature);

		foreach(lc, returned)
			appendStringInfo(sql, "%s%s",
							 foreach_current_index(lc) ? ", " : " RETURNING ",
							 quote_identifier(lfirst(lc)));
		start_verifier(&verifier, delete, step, returned);
		insert.receiver = mx_row_receiver(verify_row, &verifier);
	}
	done = mx_write_stamped(delete->stamp, write_rows, &insert);
	if (insert.receiver != NULL)
		ExecDropSingleTupleTableSlot(verifier.slot);
	mx_require_count(delete, feature, done, step->nrows);
	if (has_after_trigger(rel))
		mx_require_count(delete, feature, count_tombstones(delete, feature),
						 step->nrows);
	table_close(rel, NoLock);
}

/*
 * The column that takes the operation's stamp.
 */
static const char *
recency_column(const MxDelete *delete)
{
	return delete->request->restores ? MX_UPDATED_AT : MX_DELETED_AT;
}

static uint64
write_rows(void *arg)
{
	const Insert *insert = arg;

	return mx_query_run(insert->query, MX_WRITE, insert->receiver);
}

static void
require_columns(const MxFeature *feature, const MxStore *rows, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (SPI_fnumber(rows->desc, lfirst(lc)) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
					 errmsg("table of feature \"%s\" was altered while it was deleted from",
							feature->key)));
	}
}

/*
 * Rows of this operation that are in the table now.
 */
static uint64
count_tombstones(const MxDelete *delete, const MxFeature *feature)
{
	MxQuery    *query = mx_query_new();
	int			n = mx_query_value(query, TIMESTAMPTZOID,
								   TimestampTzGetDatum(delete->stamp), false);
	bool		isnull;
	uint64		count;

	appendStringInfo(mx_query_sql(query),
					 "SELECT pg_catalog.count(*) FROM %s WHERE %s"
					 " OPERATOR(pg_catalog.=) $%d%s",
					 mx_relation_name(feature->relid), recency_column(delete), n,
					 delete->request->restores ?
					 " AND " MX_DELETED_AT " IS NULL" : "");
	mx_query_run(query, MX_WRITE, NULL);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/*
 * Can anything but ourselves have a say in what is inserted?  A partition's
 * own triggers are not looked for: they cost more to find than to verify.
 */
static bool
may_be_changed(Relation rel)
{
	TriggerDesc *desc = rel->trigdesc;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return true;
	for (int i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		const Trigger *trigger = &desc->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) &&
			TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			TRIGGER_FOR_INSERT(trigger->tgtype) &&
			!mx_is_stamp_trigger(trigger))
			return true;
	}
	return false;
}

/*
 * Triggers that run afterwards can undo what was written.  Those of foreign
 * keys do not.
 */
static bool
has_after_trigger(Relation rel)
{
	TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		const Trigger *trigger = &desc->triggers[i];

		if (!trigger->tgisinternal && TRIGGER_FOR_INSERT(trigger->tgtype) &&
			TRIGGER_FOR_AFTER(trigger->tgtype))
			return true;
	}
	return false;
}

/*
 * What makes a tombstone hide its sample, or a live row bring it back, and the
 * stamps; the one that is the row's recency comes last.
 */
static List *
verified_columns(const MxDelete *delete, const MxFeature *feature)
{
	List	   *columns = list_copy(feature->id_columns);

	if (feature->version != NULL)
		columns = lappend(columns, MX_FEATURE_VERSION);
	columns = lappend(columns, MX_CREATED_AT);
	if (delete->request->restores)
	{
		columns = lappend(columns, MX_DELETED_AT);
		return lappend(columns, MX_UPDATED_AT);
	}
	columns = lappend(columns, MX_UPDATED_AT);
	return lappend(columns, MX_DELETED_AT);
}

static void
start_verifier(Verifier *verifier, const MxDelete *delete, MxStep *step,
			   List *columns)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	ListCell   *lc;

	verifier->rows = step->rows;
	verifier->pointer = tuplestore_alloc_read_pointer(step->rows->rows,
													  EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(step->rows->rows, verifier->pointer);
	tuplestore_rescan(step->rows->rows);
	verifier->slot = MakeSingleTupleTableSlot(step->rows->desc,
											  &TTSOpsMinimalTuple);
	verifier->ncolumns = list_length(columns);
	verifier->numbers = palloc(sizeof(AttrNumber) * verifier->ncolumns);
	foreach(lc, columns)
		verifier->numbers[foreach_current_index(lc)] =
		mx_store_column(step->rows, lfirst(lc));
	verifier->stamp = delete->stamp;
	verifier->restores = delete->request->restores;
	verifier->relation = get_rel_name(feature->relid);
}

/*
 * One row as it was written.  Rows come back in the order of the store.
 */
static bool
verify_row(TupleTableSlot *slot, void *arg)
{
	Verifier   *verifier = arg;
	bool		same;

	tuplestore_select_read_pointer(verifier->rows->rows, verifier->pointer);
	same = tuplestore_gettupleslot(verifier->rows->rows, true, false,
								   verifier->slot);
	for (int i = 1; same && i <= verifier->ncolumns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor,
													i - 1);
		bool		isnull;
		bool		planned_null = false;
		Datum		written = slot_getattr(slot, i, &isnull);
		Datum		planned;

		if (i == verifier->ncolumns)
			planned = TimestampTzGetDatum(verifier->stamp);
		else if (verifier->restores && i == verifier->ncolumns - 1)
		{
			planned = (Datum) 0;
			planned_null = true;
		}
		else
			planned = slot_getattr(verifier->slot, verifier->numbers[i - 1],
								   &planned_null);
		same = isnull == planned_null &&
			(isnull || datum_image_eq(written, planned, attribute->attbyval,
									  attribute->attlen));
	}
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 verifier->restores ?
				 errmsg("a row written to relation \"%s\" was changed on its way",
						verifier->relation) :
				 errmsg("a tombstone written to relation \"%s\" was changed on its way",
						verifier->relation),
				 errhint("A trigger of the table changes or swallows rows.")));
	return false;
}
