/*-------------------------------------------------------------------------
 *
 * stamp.c
 *		The trigger that stamps each row of a feature table.
 *
 * What is looked up is looked up once a statement.  A row costs one walk over
 * its columns, and its stamps are overwritten where they lie, if they have a
 * place there and the tuple is the executor's own; else a changed copy is
 * made.
 *
 * src/write/stamp.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tupmacs.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "write/write.h"

PG_FUNCTION_INFO_V1(metaxy_stamp);

/* the columns that the trigger knows */
enum
{
	CREATED,
	UPDATED,
	DELETED,
	VERSION,
	NFIELDS
};

static const char *const field_names[NFIELDS] = {
	MX_CREATED_AT, MX_UPDATED_AT, MX_DELETED_AT, MX_FEATURE_VERSION
};

/* kept for the rows of one statement */
typedef struct Stamper
{
	Oid			table;			/* the feature's; InvalidOid: there is none */
	Oid			clock;
	MxWriter   *writer;			/* lives as long as the transaction */
	AttrNumber	attnums[NFIELDS];
	AttrNumber	last;			/* greatest of them */
	int8	   *roles;			/* by attnum: which of them, or -1 */
	Datum		version;		/* current one; 0: not versioned */
} Stamper;

/* one of its columns in the row at hand */
typedef struct Field
{
	bool		isnull;
	TimestampTz value;			/* not of VERSION */
	char	   *place;			/* of the value in the tuple, or NULL */
	bool		changes;
} Field;

static void check_call(FunctionCallInfo fcinfo);
static Stamper *start_statement(FunctionCallInfo fcinfo, TriggerData *trigger);
static void find_columns(Relation rel, Stamper *stamper,
						 MemoryContext context);
static void read_fields(HeapTuple tuple, TupleDesc desc,
						const Stamper *stamper, Field *fields);
static void stamp_fields(const Stamper *stamper, Field *fields);
static void set_field(Field *field, TimestampTz value);
static HeapTuple keep_row(TriggerData *trigger, const Stamper *stamper,
						  const Field *fields);
static HeapTuple change_row(TriggerData *trigger, const Stamper *stamper,
							const Field *fields);
static void check_other(Relation rel, const Trigger *trigger);
static bool change_in_place(TriggerData *trigger, const Stamper *stamper,
							const Field *fields);
static bool has_own_stamp(Relation rel);

/*
 * metaxy_stamp() returns trigger, BEFORE INSERT ... FOR EACH ROW
 *
 * Takes the feature's lock as a writer.  Then, of a live row: fills
 * metaxy_created_at and metaxy_feature_version where they are null, and sets
 * metaxy_updated_at to the clock.  Of a tombstone: keeps metaxy_updated_at,
 * and sets metaxy_deleted_at to the clock.
 *
 * With metaxy.stamp off, or where the session applies what was replicated,
 * rows stay as they are, and the clock is raised to them: 22008 where that
 * would lie too far ahead.  Rows of a table that holds no feature pass
 * through: a restored schema has an empty registry.
 */
Datum
metaxy_stamp(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Stamper    *stamper = fcinfo->flinfo->fn_extra;
	Field		fields[NFIELDS];

	if (stamper == NULL)
	{
		check_call(fcinfo);
		stamper = start_statement(fcinfo, trigger);
	}
	if (!OidIsValid(stamper->table))
		return PointerGetDatum(trigger->tg_trigtuple);

	mx_writer_enter(stamper->writer, stamper->clock);
	read_fields(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation),
				stamper, fields);
	if (!mx_stamp || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return PointerGetDatum(keep_row(trigger, stamper, fields));
	stamp_fields(stamper, fields);
	return PointerGetDatum(change_row(trigger, stamper, fields));
}

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger BEFORE INSERT FOR EACH ROW",
						"metaxy_stamp")));
}

static Stamper *
start_statement(FunctionCallInfo fcinfo, TriggerData *trigger)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	Stamper    *stamper = MemoryContextAllocZero(context, sizeof(Stamper));
	Relation	rel = trigger->tg_relation;
	const MxTarget *target = mx_target(RelationGetRelid(rel));

	stamper->table = target->table;
	if (OidIsValid(target->table))
	{
		MemoryContext save = MemoryContextSwitchTo(context);

		if (target->version != NULL)
			stamper->version = CStringGetTextDatum(target->version);
		MemoryContextSwitchTo(save);
		find_columns(rel, stamper, context);
		stamper->clock = mx_clock();
		stamper->writer = mx_writer(stamper->table);
	}
	fcinfo->flinfo->fn_extra = stamper;
	return stamper;
}

/*
 * Where the columns are.  Had one been renamed or altered since the feature
 * was registered, the error says how to mend it.
 */
static void
find_columns(Relation rel, Stamper *stamper, MemoryContext context)
{
	int			nfields = stamper->version != (Datum) 0 ? NFIELDS : VERSION;
	int			natts = RelationGetNumberOfAttributes(rel);

	stamper->roles = MemoryContextAlloc(context, natts + 1);
	memset(stamper->roles, -1, natts + 1);
	for (int i = 0; i < nfields; i++)
	{
		Form_pg_attribute attr = mx_find_column(rel, field_names[i]);

		if (attr == NULL || attr->attgenerated != '\0' ||
			(i != VERSION && attr->atttypid != TIMESTAMPTZOID))
		{
			SPI_connect();
			mx_check_columns(mx_feature_of_table(stamper->table), rel);
			elog(ERROR, "column \"%s\" of relation \"%s\" cannot be stamped",
				 field_names[i], RelationGetRelationName(rel));
		}
		stamper->attnums[i] = attr->attnum;
		stamper->roles[attr->attnum] = i;
		stamper->last = Max(stamper->last, attr->attnum);
	}
}

/*
 * One walk over the row, up to the last column that matters.
 */
static void
read_fields(HeapTuple tuple, TupleDesc desc, const Stamper *stamper,
			Field *fields)
{
	HeapTupleHeader header = tuple->t_data;
	bool		has_nulls = HeapTupleHasNulls(tuple);
	char	   *data = (char *) header + header->t_hoff;
	uint32		offset = 0;

	memset(fields, 0, sizeof(Field) * NFIELDS);
	for (int i = 0; i < NFIELDS; i++)
		fields[i].isnull = true;

	/* a row that is older than some of its table's columns */
	if (HeapTupleHeaderGetNatts(header) < stamper->last)
	{
		for (int i = 0; i < NFIELDS; i++)
		{
			Datum		value;

			if (stamper->attnums[i] == InvalidAttrNumber)
				continue;
			value = heap_getattr(tuple, stamper->attnums[i], desc,
								 &fields[i].isnull);
			if (i != VERSION && !fields[i].isnull)
				fields[i].value = DatumGetTimestampTz(value);
		}
		return;
	}

	for (int attnum = 1; attnum <= stamper->last; attnum++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, attnum - 1);

		if (has_nulls && att_isnull(attnum - 1, header->t_bits))
			continue;
		offset = att_align_pointer(offset, attr->attalign, attr->attlen,
								   data + offset);
		if (stamper->roles[attnum] >= 0)
		{
			Field	   *field = &fields[stamper->roles[attnum]];

			field->isnull = false;
			field->place = data + offset;
			if (stamper->roles[attnum] != VERSION)
				memcpy(&field->value, data + offset, sizeof(TimestampTz));
		}
		offset = att_addlength_pointer(offset, attr->attlen, data + offset);
	}
}

/*
 * What becomes of them.  Rows of an operation come with its stamp.
 */
static void
stamp_fields(const Stamper *stamper, Field *fields)
{
	Field	   *recency = &fields[fields[DELETED].isnull ? UPDATED : DELETED];
	TimestampTz stamp;

	if (mx_operation_stamp != 0 && !recency->isnull &&
		recency->value == mx_operation_stamp)
		stamp = mx_operation_stamp;
	else
	{
		stamp = mx_writer_stamp(stamper->clock);
		set_field(recency, stamp);
	}
	if (fields[CREATED].isnull)
		set_field(&fields[CREATED], stamp);
	if (fields[UPDATED].isnull)
		set_field(&fields[UPDATED], stamp);
	fields[VERSION].changes = fields[VERSION].isnull &&
		stamper->version != (Datum) 0;
}

static void
set_field(Field *field, TimestampTz value)
{
	field->value = value;
	field->isnull = false;
	field->changes = true;
}

/*
 * The row as it came; the clock will be above it.
 */
static HeapTuple
keep_row(TriggerData *trigger, const Stamper *stamper, const Field *fields)
{
	int			which = fields[DELETED].isnull ? UPDATED : DELETED;
	const Field *recency = &fields[which];

	/* what may not be null is refused by the table itself */
	if (recency->isnull || recency->value == mx_operation_stamp)
		return trigger->tg_trigtuple;
	if (mx_too_late(recency->value))
	{
		MxFeature  *feature;

		SPI_connect();
		feature = mx_feature_of_table(stamper->table);
		mx_refuse_late(feature->key,
					   mx_describe_sample(trigger->tg_trigslot,
										  feature->id_columns),
					   field_names[which], recency->value);
	}
	mx_writer_saw(recency->value, stamper->clock);
	return trigger->tg_trigtuple;
}

static HeapTuple
change_row(TriggerData *trigger, const Stamper *stamper, const Field *fields)
{
	int			attnums[NFIELDS];
	Datum		values[NFIELDS];
	bool		nulls[NFIELDS] = {0};
	int			count = 0;

	for (int i = 0; i < NFIELDS; i++)
	{
		if (!fields[i].changes)
			continue;
		attnums[count] = stamper->attnums[i];
		values[count] = i == VERSION ? stamper->version :
			TimestampTzGetDatum(fields[i].value);
		count++;
	}
	if (count == 0 || change_in_place(trigger, stamper, fields))
		return trigger->tg_trigtuple;
	return heap_modify_tuple_by_cols(trigger->tg_trigtuple,
									 RelationGetDescr(trigger->tg_relation),
									 count, attnums, values, nulls);
}

/*
 * Overwrites the stamps where they lie.  Returns false where that is not to
 * be had: a value has no place in the tuple, or the tuple is a copy and not
 * what the slot itself holds, so that the executor would not see the change.
 */
static bool
change_in_place(TriggerData *trigger, const Stamper *stamper,
				const Field *fields)
{
	TupleTableSlot *slot = trigger->tg_trigslot;

	if (!(TTS_IS_HEAPTUPLE(slot) || TTS_IS_BUFFERTUPLE(slot)) ||
		!TTS_SHOULDFREE(slot) ||
		((HeapTupleTableSlot *) slot)->tuple != trigger->tg_trigtuple)
		return false;
	for (int i = 0; i < NFIELDS; i++)
	{
		if (fields[i].changes && (fields[i].place == NULL || i == VERSION))
			return false;
	}

	for (int i = 0; i < NFIELDS; i++)
	{
		if (!fields[i].changes)
			continue;
		memcpy(fields[i].place, &fields[i].value, sizeof(TimestampTz));
#ifdef USE_FLOAT8_BYVAL
		/* a column that was looked at before has a copy in the slot */
		if (slot->tts_nvalid >= stamper->attnums[i])
			slot->tts_values[stamper->attnums[i] - 1] =
				TimestampTzGetDatum(fields[i].value);
#endif
	}
	return true;
}

/*
 * Is it this trigger?  The extension may share its schema with others.
 */
bool
mx_is_stamp_trigger(const Trigger *trigger)
{
	char	   *function;

	if (strcmp(trigger->tgname, MX_STAMP_TRIGGER) != 0 ||
		trigger->tgtype != (TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE |
							TRIGGER_TYPE_INSERT))
		return false;
	function = get_func_name(trigger->tgfoid);
	return function != NULL && strcmp(function, "metaxy_stamp") == 0 &&
		get_func_namespace(trigger->tgfoid) == mx_schema_oid();
}

/*
 * Has the table the trigger, as it must be, and each partition of it?
 *
 * Looks at partitions without keeping a lock on them.
 */
bool
mx_has_stamp(Relation rel)
{
	List	   *relids;
	ListCell   *lc;

	if (!has_own_stamp(rel))
		return false;
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return true;

	relids = find_all_inheritors(RelationGetRelid(rel), NoLock, NULL);
	foreach(lc, relids)
	{
		Relation	child = try_relation_open(lfirst_oid(lc), AccessShareLock);
		bool		found;

		if (child == NULL)
			continue;
		found = child->rd_rel->relkind == RELKIND_FOREIGN_TABLE ||
			has_own_stamp(child);
		relation_close(child, AccessShareLock);
		if (!found)
			return false;
	}
	return true;
}

/*
 * It fires always: rows that are replicated must raise the clock.
 */
static bool
has_own_stamp(Relation rel)
{
	TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		const Trigger *trigger = &desc->triggers[i];

		if (mx_is_stamp_trigger(trigger) &&
			trigger->tgenabled == TRIGGER_FIRES_ALWAYS &&
			trigger->tgqual == NULL)
			return true;
	}
	return false;
}

/*
 * Gives the table its trigger; partitions get it from there.  Called as the
 * table's owner, with the lock that it takes.
 */
void
mx_stamp_create(Oid relid)
{
	char	   *table = mx_relation_name(relid);
	Relation	rel = table_open(relid, NoLock);

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
		check_other(rel, &rel->trigdesc->triggers[i]);
	table_close(rel, NoLock);

	mx_utility("CREATE OR REPLACE TRIGGER " MX_STAMP_TRIGGER
			   " BEFORE INSERT ON %s FOR EACH ROW"
			   " EXECUTE FUNCTION %s.metaxy_stamp()", table, mx_schema());
	mx_utility("ALTER TABLE %s ENABLE ALWAYS TRIGGER " MX_STAMP_TRIGGER, table);
}

/*
 * Another trigger must not have our name, and ours should come last.
 */
static void
check_other(Relation rel, const Trigger *trigger)
{
	int			order = strcmp(trigger->tgname, MX_STAMP_TRIGGER);

	if (mx_is_stamp_trigger(trigger))
		return;
	if (order == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("trigger \"%s\" for relation \"%s\" already exists",
						trigger->tgname, RelationGetRelationName(rel)),
				 errdetail("The trigger that stamps rows needs this name."),
				 errhint("Rename or drop it.")));
	if (order > 0 && TRIGGER_FOR_ROW(trigger->tgtype) &&
		TRIGGER_FOR_BEFORE(trigger->tgtype) &&
		TRIGGER_FOR_INSERT(trigger->tgtype))
		ereport(WARNING,
				(errmsg("trigger \"%s\" of relation \"%s\" fires after rows have been stamped",
						trigger->tgname, RelationGetRelationName(rel)),
				 errhint("Rename it if it changes rows; triggers fire in the order of their names.")));
}

/*
 * Takes the trigger away, if it is there and the caller may.  One that stays
 * passes rows through.
 */
void
mx_stamp_drop(Oid relid)
{
	if (!OidIsValid(relid) || get_rel_name(relid) == NULL ||
		!OidIsValid(get_trigger_oid(relid, MX_STAMP_TRIGGER, true)))
		return;
	if (mx_owns_relation(relid, GetUserId()))
		mx_utility("DROP TRIGGER " MX_STAMP_TRIGGER " ON %s",
				   mx_relation_name(relid));
}
