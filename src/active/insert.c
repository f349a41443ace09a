/*-------------------------------------------------------------------------
 *
 * insert.c
 *		Writes one row to the table, for a statement on its view of active
 *		samples: an INSERT as the caller, prepared once a statement for each set
 *		of columns.
 *
 * src/active/insert.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "active/active.h"

/* rows of one INSERT can differ in which columns they give: so many ways */
#define MAX_PLANS	16

/* what mx_write_stamped hands to us */
typedef struct Execution
{
	SPIPlanPtr	plan;
	Datum	   *values;
	char	   *nulls;
} Execution;

static void set_stamp(const MxStatement *statement, MxRow *row,
					  const char *column);
static uint64 execute(void *arg);
static SPIPlanPtr find_plan(const MxStatement *statement,
							const Bitmapset *columns, bool copies);
static SPIPlanPtr prepare(MxStatement *statement, TupleDesc desc,
						  Bitmapset *columns, bool copies);

/*
 * Appends a row with the statement's stamp; false where it was swallowed.
 * "written" is set to what the table has, as far as the caller may read it.
 */
bool
mx_active_append(MxStatement *statement, const MxRow *row, Bitmapset *columns,
				 bool copies, HeapTuple *written)
{
	MemoryContext result_context = CurrentMemoryContext;
	int			created = SPI_fnumber(row->desc, MX_CREATED_AT);
	int			version = SPI_fnumber(row->desc, MX_FEATURE_VERSION);
	const char *current = mx_statement_feature(statement)->version;
	Execution	execution;
	MxRow		stamped = *row;
	int			count = 0;
	int			column = 0;
	bool		done;

	set_stamp(statement, &stamped, MX_UPDATED_AT);
	if (row->nulls[created - 1])
		set_stamp(statement, &stamped, MX_CREATED_AT);
	if (current != NULL && row->nulls[version - 1])
	{
		stamped.values[version - 1] = CStringGetTextDatum(current);
		stamped.nulls[version - 1] = false;
	}
	columns = bms_add_member(columns, SPI_fnumber(row->desc, MX_UPDATED_AT));
	columns = bms_add_member(columns, created);
	if (current != NULL)
		columns = bms_add_member(columns, version);

	execution.values = palloc(sizeof(Datum) * row->desc->natts);
	execution.nulls = palloc(row->desc->natts);
	SPI_connect();
	execution.plan = find_plan(statement, columns, copies);
	if (execution.plan == NULL)
		execution.plan = prepare(statement, row->desc, columns, copies);
	while ((column = bms_next_member(columns, column)) > 0)
	{
		execution.values[count] = stamped.values[column - 1];
		execution.nulls[count++] = stamped.nulls[column - 1] ? 'n' : ' ';
	}
	done = mx_write_stamped(statement->delete.stamp, execute, &execution) > 0;
	if (done && statement->may_select)
	{
		MemoryContext save = MemoryContextSwitchTo(result_context);

		*written = heap_copytuple(SPI_tuptable->vals[0]);
		MemoryContextSwitchTo(save);
	}
	SPI_finish();
	return done;
}

static void
set_stamp(const MxStatement *statement, MxRow *row, const char *column)
{
	int			number = SPI_fnumber(row->desc, column);

	row->values[number - 1] = TimestampTzGetDatum(statement->delete.stamp);
	row->nulls[number - 1] = false;
}

static uint64
execute(void *arg)
{
	const Execution *execution = arg;
	int			rc = SPI_execute_plan(execution->plan, execution->values,
									  execution->nulls, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * The plan that was prepared for these columns; NULL if none was.
 */
static SPIPlanPtr
find_plan(const MxStatement *statement, const Bitmapset *columns, bool copies)
{
	ListCell   *lc;

	foreach(lc, statement->plans)
	{
		const MxInsert *insert = lfirst(lc);

		if (insert->copies == copies && bms_equal(insert->columns, columns))
			return insert->plan;
	}
	return NULL;
}

static SPIPlanPtr
prepare(MxStatement *statement, TupleDesc desc, Bitmapset *columns, bool copies)
{
	MxInsert   *insert;
	StringInfoData sql;
	Oid		   *types = palloc(sizeof(Oid) * desc->natts);
	MemoryContext save;
	int			count = 0;
	int			column = 0;
	SPIPlanPtr	plan;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s",
					 mx_relation_name(mx_statement_feature(statement)->relid));
	while ((column = bms_next_member(columns, column)) > 0)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, column - 1);

		appendStringInfo(&sql, "%s%s", count == 0 ? " (" : ", ",
						 quote_identifier(NameStr(attr->attname)));
		types[count++] = attr->atttypid;
	}
	appendStringInfo(&sql, ")%s VALUES (",
					 copies ? " OVERRIDING SYSTEM VALUE" : "");
	for (int i = 1; i <= count; i++)
		appendStringInfo(&sql, "%s$%d", i > 1 ? ", " : "", i);
	appendStringInfoChar(&sql, ')');
	for (int i = 0; statement->may_select && i < desc->natts; i++)
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : " RETURNING ",
						 quote_identifier(NameStr(TupleDescAttr(desc, i)->attname)));

	plan = SPI_prepare_cursor(sql.data, count, types, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare an INSERT: %s",
			 SPI_result_code_string(SPI_result));
	if (list_length(statement->plans) >= MAX_PLANS)
		mx_active_free(statement);
	save = MemoryContextSwitchTo(statement->context);
	insert = palloc(sizeof(MxInsert));
	insert->plan = plan;
	insert->copies = copies;
	insert->columns = bms_copy(columns);
	statement->plans = lappend(statement->plans, insert);
	MemoryContextSwitchTo(save);
	return plan;
}

/*
 * Gives the saved plans back.
 */
void
mx_active_free(MxStatement *statement)
{
	ListCell   *lc;

	foreach(lc, statement->plans)
		SPI_freeplan(((MxInsert *) lfirst(lc))->plan);
	list_free(statement->plans);
	statement->plans = NIL;
}
