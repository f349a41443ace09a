/*-------------------------------------------------------------------------
 *
 * stamp_only.c
 *		A trigger that stamps rows and does nothing else, to measure against.
 *
 * bench/stamp_only.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(stamp_only);

/*
 * stamp_only() returns trigger, BEFORE INSERT ... FOR EACH ROW: sets
 * metaxy_updated_at to the wall clock.
 */
Datum
stamp_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	int			column = SPI_fnumber(desc, "metaxy_updated_at");
	Datum		value = TimestampTzGetDatum(GetCurrentTimestamp());
	bool		isnull = false;

	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple,
													 desc, 1, &column, &value,
													 &isnull));
}
