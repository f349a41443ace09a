/*-------------------------------------------------------------------------
 *
 * finish.c
 *		The end of a statement on the view of active samples: what it saw must
 *		still be so, then its tombstones and its entry in the ledger are
 *		written.
 *
 * src/active/finish.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/snapmgr.h"

#include "active/active.h"

/* what is there now of the samples that were met */
typedef struct Check
{
	MxStatement *statement;
	MxCounter	counter;
	AttrNumber	updated;		/* number of metaxy_updated_at */
	uint64		sum;
} Check;

static MxStore *find_again(MxStatement *statement, MxMet *met, bool whole_rows);
static bool check_row(TupleTableSlot *slot, void *arg);
static void require_once(MxStatement *statement, const MxMet *met);
static bool count_own(TupleTableSlot *slot, void *arg);
static const char *command_name(const MxStatement *statement);

/*
 * To be called when all rows are known.
 *
 * What is there now is looked at under the snapshot that was taken when our
 * turn had come; our own new rows are not in it.
 */
void
mx_active_finish(MxStatement *statement)
{
	MxDelete   *delete = &statement->delete;
	MxStep	   *step = &statement->step;
	MxStore    *updated = NULL;

	/* an INSERT of nothing has no stamp yet */
	mx_statement_stamp(statement);
	if (statement->in_turn)
	{
		PushActiveSnapshot(statement->turn.now);
		updated = find_again(statement, &statement->updated, false);
		step->doomed = find_again(statement, &statement->deleted, true);
		if (step->doomed != NULL)
		{
			step->rows = step->doomed;
			step->nrows = step->doomed->nrows;
			mx_store_register(step->doomed, "metaxy doomed 0");
			mx_soft_delete(delete, step);
		}
		PopActiveSnapshot();
		require_once(statement, &statement->updated);
		require_once(statement, &statement->deleted);
	}
	step->samples = step->nrows = statement->deleted.keys->nrows +
		statement->updated.keys->nrows + statement->ninserted;
	statement->request.kind = "view";
	statement->request.command = command_name(statement);
	mx_ledger_write(delete);

	if (updated != NULL)
		mx_store_end(updated);
	if (step->doomed != NULL)
		mx_store_end(step->doomed);
	mx_store_end(statement->updated.keys);
	mx_store_end(statement->deleted.keys);
}

/*
 * The latest rows of the samples that were met, whole or their ids alone; NULL
 * if none were.  They must be those that the statement saw.
 */
static MxStore *
find_again(MxStatement *statement, MxMet *met, bool whole_rows)
{
	static const MxSource source = {.kind = MX_SOURCE_SEED,.effect = MX_DOOMS};
	const MxFeature *feature = mx_statement_feature(statement);
	MxStep	   *step = &statement->step;
	Check		check = {.statement = statement};
	List	   *columns;
	MxStore    *found;

	if (met->keys->nrows == 0)
		return NULL;
	mx_store_register(met->keys, whole_rows ? "metaxy deleted" : "metaxy updated");
	step->seeds = met->keys;
	columns = list_copy(feature->id_columns);
	if (whole_rows)
		mx_add_names(&columns, mx_table_columns(feature->relid));
	else
		columns = lappend(columns, MX_UPDATED_AT);
	mx_counter_init(&check.counter, &statement->delete, step,
					list_length(columns));
	while (strcmp(list_nth(columns, check.updated), MX_UPDATED_AT) != 0)
		check.updated++;
	check.updated++;
	found = mx_match(&statement->delete, step, &source, 1, columns, whole_rows,
					 check_row, &check);
	if (found->nrows != met->keys->nrows || check.sum != met->sum)
		mx_changed_meanwhile(feature);
	return found;
}

static bool
check_row(TupleTableSlot *slot, void *arg)
{
	Check	   *check = arg;
	const MxCounter *counter = &check->counter;
	StringInfoData bytes;
	uint64		hash;
	bool		isnull;
	Datum		value;

	slot_getallattrs(slot);
	value = slot_getattr(slot, counter->ncolumns + 1 + MX_MATCH_WRITER, &isnull);
	if (!isnull && !mx_turn_saw(&check->statement->turn,
								DatumGetTransactionId(value)))
		mx_changed_meanwhile(counter->feature);

	initStringInfo(&bytes);
	for (int i = 1; i <= counter->nids; i++)
		mx_append_datum(&bytes, slot, i);
	hash = hash_bytes_extended((unsigned char *) bytes.data, bytes.len, 0);
	pfree(bytes.data);
	value = slot_getattr(slot, check->updated, &isnull);
	check->sum += hash_combine64(hash, (uint64) DatumGetTimestampTz(value));
	return true;
}

/*
 * Of each sample that was met, the row that the statement has appended must be
 * the only one of this transaction since.  A trigger or a function that wrote
 * a later one would win, and the statement have done nothing: 21000.
 */
static void
require_once(MxStatement *statement, const MxMet *met)
{
	const MxFeature *feature = mx_statement_feature(statement);
	MxMatch		match = {.delete = &statement->delete,.step = &statement->step,
	.feature = feature};
	StringInfo	sql;
	int			stamp;
	uint64		count = 0;

	if (met->keys->nrows == 0 ||
		!(statement->inserts || mx_writer_stamped_after(statement->delete.stamp)))
		return;
	match.query = mx_query_new();
	match.ref = mx_table_ref(feature, NULL);
	match.version = mx_scope(&statement->delete, &statement->step, match.query);
	stamp = mx_query_value(match.query, TIMESTAMPTZOID,
						   TimestampTzGetDatum(statement->delete.stamp), false);
	sql = mx_query_sql(match.query);
	appendStringInfoString(sql, "SELECT ");
	mx_append_column(sql, match.ref, "xmin");
	appendStringInfo(sql, " FROM %s WHERE ", mx_relation_name(feature->relid));
	mx_append_scope(sql, match.ref, match.version);
	appendStringInfoString(sql, " AND ");
	mx_append_recency(sql, match.ref);
	appendStringInfo(sql, " OPERATOR(pg_catalog.>=) $%d AND ", stamp);
	mx_append_keys(&match, sql, met->keys, feature->id_columns,
				   feature->id_columns, true);
	mx_query_run(match.query, MX_WRITE, mx_row_receiver(count_own, &count));
	if (count > met->keys->nrows)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("a statement cannot write a sample of feature \"%s\" a second time",
						feature->key),
				 errhint("Another command of its WITH clause, a function in the query or a trigger of the table writes to the sample too.")));
}

static bool
count_own(TupleTableSlot *slot, void *arg)
{
	uint64	   *count = arg;
	bool		isnull;
	Datum		writer = slot_getattr(slot, 1, &isnull);

	if (TransactionIdIsCurrentTransactionId(DatumGetTransactionId(writer)))
		(*count)++;
	return false;
}

/*
 * For the ledger.
 */
static const char *
command_name(const MxStatement *statement)
{
	if (statement->inserts + statement->updates + statement->deletes > 1)
		return "merge";
	return statement->inserts ? "insert" :
		statement->updates ? "update" : "delete";
}
