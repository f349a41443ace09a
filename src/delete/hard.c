/*-------------------------------------------------------------------------
 *
 * hard.c
 *		Removes the rows of the doomed samples of a feature.
 *
 * src/delete/hard.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "delete/delete.h"

static Size memory_limit(void);
static void append_array(MxQuery *query, Relation rel, const MxStore *places);
static ArrayType *places_array(const MxStore *places);
static void append_join(MxQuery *query, Relation rel, const MxStore *places);

/*
 * Removes the rows of a step, in one DELETE: those that were found, by their
 * place, and no other.
 */
void
mx_hard_delete(MxDelete *delete, MxStep *step)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	Relation	rel = mx_open_for_write(feature);
	MxQuery    *query = mx_query_new();
	uint64		done;

	appendStringInfo(mx_query_sql(query), "DELETE FROM %s",
					 mx_relation_name(feature->relid));
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		!has_subclass(feature->relid) &&
		(Size) step->nrows < memory_limit() / sizeof(ItemPointerData))
		append_array(query, rel, step->rows);
	else
		append_join(query, rel, step->rows);
	done = mx_query_run(query, MX_WRITE, NULL);
	mx_require_count(delete, feature, done, step->nrows);
	table_close(rel, NoLock);
}

/*
 * What an array of places may take: planning and executing copy it, and the
 * executor makes a hash table of it.  All together is to stay near what a
 * hash table may take.
 */
static Size
memory_limit(void)
{
	return Min(get_hash_memory_limit() / 8, MaxAllocSize / 8);
}

/*
 * "... WHERE the row is at one of these places", as an array: a scan that
 * fetches those rows and no others.  Only for a table without partitions or
 * children, for an array cannot tell which of them it means.
 */
static void
append_array(MxQuery *query, Relation rel, const MxStore *places)
{
	StringInfo	sql = mx_query_sql(query);
	int			array = mx_query_value(query, TIDARRAYOID,
									   PointerGetDatum(places_array(places)),
									   false);

	appendStringInfoString(sql, " WHERE ");
	mx_append_column(sql, RelationGetRelationName(rel), "ctid");
	appendStringInfo(sql, " OPERATOR(pg_catalog.=) ANY ($%d)", array);
}

static ArrayType *
places_array(const MxStore *places)
{
	AttrNumber	number = mx_store_column(places, "ctid");
	TupleTableSlot *slot = MakeSingleTupleTableSlot(places->desc,
													&TTSOpsMinimalTuple);
	ItemPointer tids = palloc(sizeof(ItemPointerData) * places->nrows);
	Datum	   *values = palloc(sizeof(Datum) * places->nrows);
	ArrayType  *array;
	int			count = 0;

	tuplestore_rescan(places->rows);
	while (tuplestore_gettupleslot(places->rows, true, false, slot))
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, number, &isnull);

		CHECK_FOR_INTERRUPTS();
		tids[count] = *(ItemPointer) DatumGetPointer(value);
		values[count] = PointerGetDatum(&tids[count]);
		count++;
	}
	ExecDropSingleTupleTableSlot(slot);
	array = construct_array(values, count, TIDOID, sizeof(ItemPointerData),
							false, TYPALIGN_SHORT);
	pfree(values);
	pfree(tids);
	return array;
}

/*
 * The same as a join, for any number of places in any partition.  DISTINCT
 * tells the planner that no place comes twice; it would rather build a hash
 * table of the whole table otherwise.
 */
static void
append_join(MxQuery *query, Relation rel, const MxStore *places)
{
	StringInfo	sql = mx_query_sql(query);
	const char *ref = RelationGetRelationName(rel);
	const char *alias = mx_alias("place", ref);

	appendStringInfoString(sql, " USING (SELECT DISTINCT ");
	mx_append_store_column(sql, places, alias, "tableoid");
	appendStringInfoString(sql, ", ");
	mx_append_store_column(sql, places, alias, "ctid");
	appendStringInfoString(sql, " FROM ");
	mx_append_store(sql, places, alias);
	appendStringInfo(sql, ") AS %s WHERE ", quote_identifier(alias));
	mx_append_column(sql, ref, "tableoid");
	appendStringInfoString(sql, " OPERATOR(pg_catalog.=) ");
	mx_append_store_column(sql, places, alias, "tableoid");
	appendStringInfoString(sql, " AND ");
	mx_append_column(sql, ref, "ctid");
	appendStringInfoString(sql, " OPERATOR(pg_catalog.=) ");
	mx_append_store_column(sql, places, alias, "ctid");
}
