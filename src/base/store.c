/*-------------------------------------------------------------------------
 *
 * store.c
 *		Rows kept between two statements.
 *
 * src/base/store.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/base.h"

/* a receiver of rows: calls the hook, keeps what it accepts */
typedef struct RowReceiver
{
	DestReceiver pub;
	MxStore    *store;			/* NULL: rows are only looked at */
	MxRowHook	hook;			/* NULL: all rows are kept */
	void	   *arg;
} RowReceiver;

static bool receive_row(TupleTableSlot *slot, DestReceiver *self);
static void start_rows(DestReceiver *self, int operation, TupleDesc desc);
static void start_store(MxStore *store, TupleDesc desc);
static void do_nothing(DestReceiver *self);

/*
 * A store without rows, in the current memory context, which must live as
 * long.  It holds up to "kilobytes" in memory, the rest on disk.
 */
MxStore *
mx_store_new(int kilobytes)
{
	MxStore    *store = palloc0(sizeof(MxStore));

	store->kilobytes = kilobytes;
	store->context = CurrentMemoryContext;
	return store;
}

/*
 * Adds a row; the first one says which columns there are.
 */
void
mx_store_add(MxStore *store, TupleTableSlot *slot)
{
	start_store(store, slot->tts_tupleDescriptor);
	tuplestore_puttupleslot(store->rows, slot);
	store->nrows++;
}

/*
 * Receiver that fills the store, with the rows that "hook" accepts, or all.
 * Rows of several queries may be appended if they have the same columns.
 */
DestReceiver *
mx_store_receiver(MxStore *store, MxRowHook hook, void *arg)
{
	RowReceiver *self = (RowReceiver *) mx_row_receiver(hook, arg);

	self->store = store;
	return &self->pub;
}

/*
 * Receiver that only shows each row to "hook".
 */
DestReceiver *
mx_row_receiver(MxRowHook hook, void *arg)
{
	RowReceiver *self = palloc0(sizeof(RowReceiver));

	self->pub.receiveSlot = receive_row;
	self->pub.rStartup = start_rows;
	self->pub.rShutdown = do_nothing;
	self->pub.rDestroy = do_nothing;
	/* anything but DestNone, which SPI takes for a utility statement */
	self->pub.mydest = DestTuplestore;
	self->hook = hook;
	self->arg = arg;
	return &self->pub;
}

/*
 * Makes the rows readable under a name in later queries of this SPI
 * connection.  The planner is told how many there are.
 */
void
mx_store_register(MxStore *store, const char *name)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	int			rc;

	store->name = pstrdup(name);
	enr->md.name = store->name;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = store->desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = (double) store->nrows;
	enr->reldata = store->rows;
	rc = SPI_register_relation(enr);
	if (rc != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed: %s",
			 SPI_result_code_string(rc));
}

/*
 * Takes the name away; the rows stay.
 */
void
mx_store_unregister(MxStore *store)
{
	if (store->name != NULL)
		SPI_unregister_relation(store->name);
	store->name = NULL;
}

/*
 * Number of a column; a store without it is a mistake of ours.
 */
AttrNumber
mx_store_column(const MxStore *store, const char *name)
{
	int			number = SPI_fnumber(store->desc, name);

	if (number <= 0)
		elog(ERROR, "column \"%s\" was not kept", name);
	return number;
}

/*
 * The store in a FROM clause, its columns named by their numbers: those that
 * users gave may be the same as each other's or as ours.
 */
void
mx_append_store(StringInfo sql, const MxStore *store, const char *alias)
{
	appendStringInfo(sql, "%s AS ", quote_identifier(store->name));
	appendStringInfo(sql, "%s (", quote_identifier(alias));
	for (int i = 1; i <= store->desc->natts; i++)
		appendStringInfo(sql, "%sc%d", i > 1 ? ", " : "", i);
	appendStringInfoChar(sql, ')');
}

/*
 * One of its columns there.
 */
void
mx_append_store_column(StringInfo sql, const MxStore *store,
					   const char *alias, const char *name)
{
	appendStringInfo(sql, "%s.c%d", quote_identifier(alias),
					 mx_store_column(store, name));
}

/*
 * Gives the store's memory and files back.
 */
void
mx_store_end(MxStore *store)
{
	mx_store_unregister(store);
	if (store->rows != NULL)
		tuplestore_end(store->rows);
	store->rows = NULL;
}

static void
start_rows(DestReceiver *self, int operation, TupleDesc desc)
{
	RowReceiver *receiver = (RowReceiver *) self;

	if (receiver->store != NULL)
		start_store(receiver->store, desc);
}

static void
start_store(MxStore *store, TupleDesc desc)
{
	MemoryContext save;

	if (store->rows != NULL)
		return;
	save = MemoryContextSwitchTo(store->context);
	store->desc = CreateTupleDescCopy(desc);
	store->rows = tuplestore_begin_heap(false, store->survives,
										store->kilobytes);
	MemoryContextSwitchTo(save);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;

	if (receiver->hook != NULL && !receiver->hook(slot, receiver->arg))
		return true;
	if (receiver->store != NULL)
		mx_store_add(receiver->store, slot);
	return true;
}

static void
do_nothing(DestReceiver *self)
{
}
