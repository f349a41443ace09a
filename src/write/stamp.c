/*-------------------------------------------------------------------------
 *
 * stamp.c
 *		The trigger that stamps each row of a feature table.
 *
 * What is looked up is looked up once a statement.  A row costs one walk over
 * its columns, and its stamp is overwritten where it lies, if nothing else
 * changes and the tuple is the executor's own; else a changed copy is made.
 *
 * src/write/stamp.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
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
	Datum		version;		/* current one; 0: not versioned */
} Stamper;

/* one of its columns in the row at hand */
typedef struct Field
{
	bool		isnull;
	TimestampTz value;			/* of the recency, and where it changes */
	char	   *place;			/* of the recency in the tuple, or NULL */
	bool		changes;
} Field;

static void check_call(FunctionCallInfo fcinfo);
static Stamper *start_statement(FunctionCallInfo fcinfo, TriggerData *trigger);
static void find_columns(Relation rel, Stamper *stamper);
static void read_fields(HeapTuple tuple, TupleDesc desc,
						const Stamper *stamper, Field *fields);
static inline bool is_null(HeapTuple tuple, TupleDesc desc, AttrNumber attnum);
static char *find_place(HeapTuple tuple, TupleDesc desc, AttrNumber attnum);
static void stamp_fields(const Stamper *stamper, Field *fields);
static void set_field(Field *field, TimestampTz value);
static HeapTuple keep_row(TriggerData *trigger, const Stamper *stamper,
						  const Field *fields);
static HeapTuple change_row(TriggerData *trigger, const Stamper *stamper,
							const Field *fields);
static bool change_in_place(TriggerData *trigger, const Stamper *stamper,
							const Field *fields);

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
		find_columns(rel, stamper);
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
find_columns(Relation rel, Stamper *stamper)
{
	int			nfields = stamper->version != (Datum) 0 ? NFIELDS : VERSION;

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
	}
}

/*
 * Which of the columns are null, and the value of the one that is the row's
 * recency: the only one that is commonly overwritten.
 */
static void
read_fields(HeapTuple tuple, TupleDesc desc, const Stamper *stamper,
			Field *fields)
{
	Field	   *recency;
	AttrNumber	attnum;

	for (int i = 0; i < NFIELDS; i++)
	{
		attnum = stamper->attnums[i];
		fields[i].isnull = is_null(tuple, desc, attnum);
		fields[i].place = NULL;
		fields[i].changes = false;
	}

	recency = &fields[fields[DELETED].isnull ? UPDATED : DELETED];
	attnum = stamper->attnums[recency - fields];
	if (recency->isnull)
		return;
	if (HeapTupleHeaderGetNatts(tuple->t_data) >= attnum)
	{
		recency->place = find_place(tuple, desc, attnum);
		memcpy(&recency->value, recency->place, sizeof(TimestampTz));
	}
	else
	{
		/* the row is older than some of its table's columns */
		bool		isnull;

		recency->value = DatumGetTimestampTz(heap_getattr(tuple, attnum, desc,
														  &isnull));
	}
}

/*
 * heap_attisnull() without a call for each column.  One that the feature does
 * not have counts as null.
 */
static inline bool
is_null(HeapTuple tuple, TupleDesc desc, AttrNumber attnum)
{
	if (attnum == InvalidAttrNumber)
		return true;
	if (attnum > HeapTupleHeaderGetNatts(tuple->t_data))
		return heap_attisnull(tuple, attnum, desc);
	return HeapTupleHasNulls(tuple) &&
		att_isnull(attnum - 1, tuple->t_data->t_bits);
}

/*
 * Where a column that is not null lies in the tuple.
 */
static char *
find_place(HeapTuple tuple, TupleDesc desc, AttrNumber attnum)
{
	HeapTupleHeader header = tuple->t_data;
	bool		has_nulls = HeapTupleHasNulls(tuple);
	char	   *data = (char *) header + header->t_hoff;
	uint32		offset = 0;

	for (int i = 0;; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (has_nulls && att_isnull(i, header->t_bits))
			continue;
		offset = att_align_pointer(offset, attr->attalign, attr->attlen,
								   data + offset);
		if (i == attnum - 1)
			return data + offset;
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
