/*-------------------------------------------------------------------------
 *
 * rows.c
 *		Appends the rows that are inserted through a view of active samples,
 *		and new versions of those that are updated.
 *
 * Each is an INSERT of one row into the table, as the caller, prepared once a
 * statement.  What the table made of the row is what RETURNING shows.
 *
 * src/active/rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "active/active.h"

static MxRow take_apart(HeapTuple tuple, TupleDesc desc);
static void require_visible(const MxStatement *statement, TriggerData *trigger,
							const MxRow *row);
static Bitmapset *given_columns(const MxStatement *statement, const MxRow *row);
static void find_copied(MxStatement *statement, TriggerData *trigger);
static void check_update(const MxStatement *statement, const MxRow *old,
						 const MxRow *new);
static void require_unchanged(const MxRow *old, const MxRow *new, int column,
							  int code, const char *detail, const char *hint);
static void require_kept(const MxStatement *statement, const MxRow *wanted,
						 HeapTuple written);
static void refuse_change(const MxStatement *statement, const char *what);

/*
 * INSERT: one row.  What is left out, or null, gets the column's default.
 * NULL where a trigger of the table took the row away.
 */
HeapTuple
mx_active_insert(MxStatement *statement, TriggerData *trigger)
{
	MxRow		row = take_apart(trigger->tg_trigtuple,
								 RelationGetDescr(trigger->tg_relation));
	HeapTuple	written = trigger->tg_trigtuple;

	require_visible(statement, trigger, &row);
	mx_statement_stamp(statement);
	if (!mx_active_append(statement, &row, given_columns(statement, &row), false,
						  &written))
		return NULL;
	statement->ninserted++;
	return written;
}

/*
 * UPDATE: a new version of the sample.  Its identity stays.
 */
HeapTuple
mx_active_update(MxStatement *statement, TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	MxRow		old = take_apart(trigger->tg_trigtuple, desc);
	MxRow		new = take_apart(trigger->tg_newtuple, desc);
	HeapTuple	written = NULL;

	if (statement->copied == NULL)
		find_copied(statement, trigger);
	check_update(statement, &old, &new);
	require_visible(statement, trigger, &new);
	if (!mx_met(statement, &statement->updated, trigger->tg_trigtuple, desc))
		return NULL;
	if (!mx_active_append(statement, &new, bms_copy(statement->copied), true,
						  &written))
		refuse_change(statement, "swallowed");
	if (written == NULL)
		return trigger->tg_newtuple;
	require_kept(statement, &new, written);
	return written;
}

static MxRow
take_apart(HeapTuple tuple, TupleDesc desc)
{
	MxRow		row;

	row.desc = desc;
	row.values = palloc(sizeof(Datum) * desc->natts);
	row.nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(tuple, desc, row.values, row.nulls);
	return row;
}

/*
 * A row that the view would not show is not written through it: 44000.
 */
static void
require_visible(const MxStatement *statement, TriggerData *trigger,
				const MxRow *row)
{
	const MxFeature *feature = mx_statement_feature(statement);
	int			deleted = SPI_fnumber(row->desc, MX_DELETED_AT);
	int			version = SPI_fnumber(row->desc, MX_FEATURE_VERSION);

	if (!row->nulls[deleted - 1])
		ereport(ERROR,
				(errcode(ERRCODE_WITH_CHECK_OPTION_VIOLATION),
				 errmsg("view \"%s\" does not show tombstones",
						RelationGetRelationName(trigger->tg_relation)),
				 errdetail("Column \"%s\" is set.", MX_DELETED_AT),
				 errhint("Delete from the view, or write to the table itself.")));
	if (feature->version != NULL && !row->nulls[version - 1] &&
		strcmp(TextDatumGetCString(row->values[version - 1]),
			   feature->version) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WITH_CHECK_OPTION_VIOLATION),
				 errmsg("view \"%s\" shows rows of feature version \"%s\" alone",
						RelationGetRelationName(trigger->tg_relation),
						feature->version),
				 errhint("Leave \"%s\" out, or write to the table itself.",
						 MX_FEATURE_VERSION)));
}

/*
 * The columns that an INSERT gives: not those that are generated, nor null
 * ones that the table has a value for.
 */
static Bitmapset *
given_columns(const MxStatement *statement, const MxRow *row)
{
	Bitmapset  *columns = NULL;

	for (int i = 1; i <= row->desc->natts; i++)
	{
		if (!bms_is_member(i, statement->generated) &&
			!(row->nulls[i - 1] && bms_is_member(i, statement->defaulted)))
			columns = bms_add_member(columns, i);
	}
	return columns;
}

/*
 * The columns that a new version takes over, as a tombstone would; the others
 * get their values from the table.  A column that the view does not have yet
 * would be lost.
 */
static void
find_copied(MxStatement *statement, TriggerData *trigger)
{
	const MxFeature *feature = mx_statement_feature(statement);
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	Relation	rel = table_open(feature->relid, NoLock);
	Bitmapset  *columns = NULL;
	MemoryContext save;

	if (desc->natts < list_length(mx_table_columns(feature->relid)))
		mx_stale_view(trigger->tg_relation);
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);

		if (mx_is_copied(rel, mx_find_column(rel, name)->attnum,
						 feature->id_columns))
			columns = bms_add_member(columns, i + 1);
	}
	table_close(rel, NoLock);
	save = MemoryContextSwitchTo(statement->context);
	statement->copied = bms_copy(columns);
	MemoryContextSwitchTo(save);
}

/*
 * The sample stays the same one, and what the table gives each row afresh
 * cannot be set.
 */
static void
check_update(const MxStatement *statement, const MxRow *old, const MxRow *new)
{
	int			nids = statement->key->tts_tupleDescriptor->natts - 1;

	for (int i = 0; i < nids; i++)
	{
		const char *name =
		NameStr(TupleDescAttr(statement->key->tts_tupleDescriptor, i)->attname);

		require_unchanged(old, new, SPI_fnumber(old->desc, name) - 1,
						  ERRCODE_FEATURE_NOT_SUPPORTED,
						  "It identifies the sample.",
						  "Insert the new sample, and delete the old one.");
	}
	for (int i = 0; i < old->desc->natts; i++)
	{
		if (!bms_is_member(i + 1, statement->copied))
			require_unchanged(old, new, i, ERRCODE_GENERATED_ALWAYS,
							  "Each row gets a value of its own there.", NULL);
	}
}

/*
 * Equal by their type is unchanged, though what is written may differ.
 */
static void
require_unchanged(const MxRow *old, const MxRow *new, int column, int code,
				  const char *detail, const char *hint)
{
	Form_pg_attribute attr = TupleDescAttr(old->desc, column);
	TypeCacheEntry *type;

	if (old->nulls[column] && new->nulls[column])
		return;
	if (!old->nulls[column] && !new->nulls[column])
	{
		if (datum_image_eq(old->values[column], new->values[column],
						   attr->attbyval, attr->attlen))
			return;
		type = lookup_type_cache(attr->atttypid, TYPECACHE_EQ_OPR_FINFO);
		if (OidIsValid(type->eq_opr_finfo.fn_oid) &&
			DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo,
										   attr->attcollation,
										   old->values[column],
										   new->values[column])))
			return;
	}
	ereport(ERROR,
			(errcode(code),
			 errmsg("cannot update column \"%s\" of a sample",
					NameStr(attr->attname)),
			 errdetail("%s", detail),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * A trigger of the table must not make another sample of a new version, nor
 * give it another place in time or another feature version: 09000.
 */
static void
require_kept(const MxStatement *statement, const MxRow *wanted, HeapTuple written)
{
	const MxFeature *feature = mx_statement_feature(statement);
	MxRow		row = take_apart(written, wanted->desc);
	int			updated = SPI_fnumber(row.desc, MX_UPDATED_AT) - 1;
	int			deleted = SPI_fnumber(row.desc, MX_DELETED_AT) - 1;
	bool		same;
	ListCell   *lc;

	same = row.nulls[deleted] && !row.nulls[updated] &&
		DatumGetTimestampTz(row.values[updated]) == statement->delete.stamp;
	foreach(lc, feature->id_columns)
	{
		int			i = SPI_fnumber(row.desc, lfirst(lc)) - 1;
		Form_pg_attribute attr = TupleDescAttr(row.desc, i);

		same = same && !row.nulls[i] &&
			datum_image_eq(row.values[i], wanted->values[i], attr->attbyval,
						   attr->attlen);
	}
	if (feature->version != NULL)
	{
		int			i = SPI_fnumber(row.desc, MX_FEATURE_VERSION) - 1;

		same = same && !row.nulls[i] &&
			strcmp(TextDatumGetCString(row.values[i]), feature->version) == 0;
	}
	if (!same)
		refuse_change(statement, "changed");
}

static void
refuse_change(const MxStatement *statement, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a row written to feature \"%s\" was %s on its way",
					mx_statement_feature(statement)->key, what),
			 errhint("A trigger of the table changes or swallows rows.")));
}
