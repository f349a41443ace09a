/*-------------------------------------------------------------------------
 *
 * met.c
 *		The samples that a statement on the view of active samples has met: they
 *		must be what it saw to the end.
 *
 * src/active/met.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "active/active.h"

/*
 * Samples that were met, by two hashes of their ids: a join can give a row to
 * a statement more than once, and its sample counts once.
 */
typedef struct SeenKey
{
	uint64		one;
	uint64		two;
} SeenKey;

typedef struct SeenSample
{
	SeenKey		key;
	char		status;
} SeenSample;

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE SeenSample
#define SH_KEY_TYPE SeenKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (key).one)
#define SH_EQUAL(tb, a, b) ((a).one == (b).one && (a).two == (b).two)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static void rise_above(MxStatement *statement, TimestampTz recency);

/*
 * Where samples that are met are remembered.
 */
void
mx_met_start(MxStatement *statement, Relation view)
{
	const MxFeature *feature = mx_statement_feature(statement);
	TupleDesc	from = RelationGetDescr(view);
	int			nids = list_length(feature->id_columns);
	TupleDesc	desc = CreateTemplateTupleDesc(nids + 1);
	MxMet	   *mets[] = {&statement->updated, &statement->deleted};
	ListCell   *lc;

	foreach(lc, feature->id_columns)
	{
		int			number = SPI_fnumber(from, lfirst(lc));

		if (number <= 0)
			mx_stale_view(view);
		TupleDescCopyEntry(desc, foreach_current_index(lc) + 1, from, number);
	}
	TupleDescInitEntry(desc, nids + 1, MX_UPDATED_AT, TIMESTAMPTZOID, -1, 0);

	statement->key = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	statement->seen = seen_create(statement->context, 64, NULL);
	for (int i = 0; i < lengthof(mets); i++)
	{
		mets[i]->keys = mx_store_new(work_mem);
		mets[i]->keys->desc = desc;
		mets[i]->keys->rows = tuplestore_begin_heap(false, false, work_mem / 2);
	}
}

/*
 * Remembers a sample that the statement updates or deletes, as it saw it.
 * False if it has met the sample before.
 */
bool
mx_met(MxStatement *statement, MxMet *met, HeapTuple row,
	   TupleDesc desc)
{
	MemoryContext save = MemoryContextSwitchTo(statement->context);
	TupleTableSlot *key = statement->key;
	int			nids = key->tts_tupleDescriptor->natts - 1;
	Datum		updated;
	StringInfoData bytes;
	SeenKey		hash;
	bool		found;

	ExecClearTuple(key);
	for (int i = 0; i < nids; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(key->tts_tupleDescriptor, i);

		key->tts_values[i] = heap_getattr(row, SPI_fnumber(desc, NameStr(attr->attname)),
										  desc, &key->tts_isnull[i]);
	}
	/* an active row's recency */
	updated = heap_getattr(row, SPI_fnumber(desc, MX_UPDATED_AT), desc,
						   &key->tts_isnull[nids]);
	key->tts_values[nids] = updated;
	ExecStoreVirtualTuple(key);

	initStringInfo(&bytes);
	for (int i = 1; i <= nids; i++)
		mx_append_datum(&bytes, key, i);
	hash.one = hash_bytes_extended((unsigned char *) bytes.data, bytes.len, 0);
	hash.two = hash_bytes_extended((unsigned char *) bytes.data, bytes.len, 1);
	seen_insert(statement->seen, hash, &found);
	if (!found)
	{
		if (DatumGetTimestampTz(updated) >= statement->delete.stamp)
			rise_above(statement, DatumGetTimestampTz(updated));
		tuplestore_puttupleslot(met->keys->rows, key);
		met->keys->nrows++;
		met->sum += hash_combine64(hash.one, (uint64) DatumGetTimestampTz(updated));
	}
	pfree(bytes.data);
	MemoryContextSwitchTo(save);
	return !found;
}

/*
 * A row that our trigger has not stamped can be dated ahead of the clock: the
 * statement's stamp must lie above it.  If rows have that stamp already: 40001.
 */
static void
rise_above(MxStatement *statement, TimestampTz recency)
{
	const MxFeature *feature = mx_statement_feature(statement);

	if (mx_too_late(recency))
		mx_refuse_late(feature->key,
					   mx_describe_sample(statement->key, feature->id_columns),
					   MX_UPDATED_AT, recency);
	mx_turn_again(&statement->turn, recency + 1);
	statement->delete.stamp = statement->turn.stamp;
	if (statement->ninserted > 0 || statement->updated.keys->nrows > 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to rows of feature \"%s\" dated ahead of the clock",
						feature->key),
				 errdetail("The clock is above them now."),
				 errhint("The statement might succeed if retried.")));
}

/*
 * 40001: what the statement saw is not what is there now.
 */
void
mx_changed_meanwhile(const MxFeature *feature)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent writes to feature \"%s\"",
					feature->key),
			 errdetail("The latest row of a sample is no longer the one that the statement saw."),
			 errhint("The statement might succeed if retried.")));
}
