/*-------------------------------------------------------------------------
 *
 * statement.c
 *		What belongs to one statement on the view of active samples, between
 *		its first trigger and its last.
 *
 * src/active/statement.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "active/active.h"

static MxStatement *statements = NULL;

static void load_feature(MxStatement *statement, Relation view);
static void check_view(MxStatement *statement, Relation view);
static bool may_select(Relation view, const MxFeature *feature);
static void at_transaction_event(XactEvent event, void *arg);
static void at_subtransaction_event(SubXactEvent event,
									SubTransactionId subid,
									SubTransactionId parent, void *arg);
static void drop_statement(MxStatement *statement);

/*
 * The statement whose trigger is called, NULL if none has begun.
 *
 * Statements can be nested: a trigger of the table, or a function in the
 * query, may write to the same view.  A statement's triggers are all called
 * at one depth, with one command id in the active snapshot, as one user; a
 * nested one that shares all that sees just what the outer one sees, and
 * becomes a part of it.
 */
MxStatement *
mx_statement_find(TriggerData *trigger)
{
	Oid			view = RelationGetRelid(trigger->tg_relation);
	int			depth = DatumGetInt32(DirectFunctionCall1(pg_trigger_depth,
														  (Datum) 0));
	CommandId	command = GetActiveSnapshot()->curcid;

	for (MxStatement *s = statements; s != NULL; s = s->next)
	{
		if (s->view == view && s->depth == depth && s->command == command &&
			s->user == GetUserId())
			return s;
	}
	return NULL;
}

/*
 * Begins a statement: looks up the feature, locks its table as DML does, and
 * looks whether the view still fits it.
 */
MxStatement *
mx_statement_begin(TriggerData *trigger)
{
	static bool registered = false;
	Relation	view = trigger->tg_relation;
	MemoryContext context;
	MemoryContext save;
	MxStatement *statement;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_event, NULL);
		RegisterSubXactCallback(at_subtransaction_event, NULL);
		registered = true;
	}

	context = AllocSetContextCreate(TopTransactionContext, "metaxy statement",
									ALLOCSET_DEFAULT_SIZES);
	save = MemoryContextSwitchTo(context);
	statement = palloc0(sizeof(MxStatement));
	statement->context = context;
	statement->view = RelationGetRelid(view);
	statement->depth = DatumGetInt32(DirectFunctionCall1(pg_trigger_depth,
														 (Datum) 0));
	statement->command = GetActiveSnapshot()->curcid;
	statement->user = GetUserId();
	statement->subid = GetCurrentSubTransactionId();
	statement->next = statements;
	statements = statement;

	load_feature(statement, view);
	check_view(statement, view);
	mx_met_start(statement, view);
	statement->may_select = may_select(view, mx_statement_feature(statement));
	MemoryContextSwitchTo(save);
	return statement;
}

/*
 * Waits for writers in flight, from the snapshot that the statement reads
 * under, and keeps deletes of the feature out.
 */
void
mx_statement_take_turn(MxStatement *statement)
{
	MemoryContext save;

	if (statement->in_turn)
		return;
	save = MemoryContextSwitchTo(statement->context);
	mx_turn_begin(&statement->turn,
				  list_make1_oid(mx_statement_feature(statement)->relid),
				  GetActiveSnapshot(), statement->delete.stamp);
	statement->delete.turn = &statement->turn;
	statement->delete.stamp = statement->turn.stamp;
	statement->in_turn = true;
	MemoryContextSwitchTo(save);
}

/*
 * Gives the statement its stamp, as a writer: one that only appends rows waits
 * for nobody.
 */
void
mx_statement_stamp(MxStatement *statement)
{
	Oid			clock = mx_clock();

	if (statement->delete.stamp != 0)
		return;
	mx_writer_enter(mx_writer(mx_statement_feature(statement)->relid), clock);
	statement->delete.stamp = mx_writer_raise(DT_NOBEGIN, clock);
}

/*
 * The statement is over.
 */
void
mx_statement_end(MxStatement *statement)
{
	if (statement->in_turn)
		mx_turn_end(&statement->turn);
	drop_statement(statement);
}

const MxFeature *
mx_statement_feature(const MxStatement *statement)
{
	return &statement->delete.registry->features[0];
}

/*
 * A delete of one step, to be carried out by the folder "delete".
 */
static void
load_feature(MxStatement *statement, Relation view)
{
	MxFeature  *feature = mx_feature_of_view(RelationGetRelid(view));
	MxRegistry *registry;
	Relation	rel = NULL;

	/* reading it has left us in SPI's memory */
	MemoryContextSwitchTo(statement->context);
	if (feature != NULL && OidIsValid(feature->relid))
	{
		/* not only once there is a row: no row is an operation too */
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(feature->relid)))
			mx_require_insert(feature->relid);
		LockRelationOid(feature->relid, RowExclusiveLock);
		rel = try_table_open(feature->relid, NoLock);
	}
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("view \"%s\" belongs to no registered feature",
						RelationGetRelationName(view)),
				 errhint("Call metaxy_register() or metaxy_sync().")));
	mx_check_columns(feature, rel);
	if (mx_has_rule(rel, CMD_INSERT))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to relation \"%s\" through its view",
						RelationGetRelationName(rel)),
				 errdetail("It has a rule ON %s.", "INSERT")));
	table_close(rel, NoLock);

	registry = palloc0(sizeof(MxRegistry));
	registry->nfeatures = 1;
	registry->features = mx_feature_copy(feature, statement->context);
	registry->graph = mx_graph_build(1, 0, NULL, NULL);
	statement->plan.nsteps = 1;
	statement->plan.steps = &statement->step;
	statement->plan.execution = palloc0(sizeof(int));
	statement->request.features = list_make1(registry->features->key);
	statement->request.soft = true;
	statement->request.max_samples = -1;
	statement->delete.request = &statement->request;
	statement->delete.registry = registry;
	statement->delete.plan = &statement->plan;
	statement->delete.kilobytes = work_mem;
}

/*
 * Each column of the view must be one of the table's.  Which of them the table
 * has a value for is kept for the rows; so are those that the caller may not
 * give one.
 */
static void
check_view(MxStatement *statement, Relation view)
{
	Relation	rel = table_open(mx_statement_feature(statement)->relid, NoLock);
	TupleDesc	desc = RelationGetDescr(view);
	bool		all = pg_class_aclcheck(RelationGetRelid(rel), GetUserId(),
										ACL_INSERT) == ACLCHECK_OK;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		Form_pg_attribute base = mx_find_column(rel, NameStr(attr->attname));

		if (base == NULL || base->atttypid != attr->atttypid)
			mx_stale_view(view);
		if (base->attgenerated != '\0')
			statement->generated = bms_add_member(statement->generated, i + 1);
		else if (base->atthasdef || base->attidentity != '\0' ||
				 (!all && pg_attribute_aclcheck(base->attrelid, base->attnum,
												GetUserId(),
												ACL_INSERT) != ACLCHECK_OK))
			statement->defaulted = bms_add_member(statement->defaulted, i + 1);
	}
	table_close(rel, NoLock);
}

/*
 * 55000: the table was altered since the view was made.
 */
void
mx_stale_view(Relation view)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("view \"%s\" does not have the columns of its table",
					RelationGetRelationName(view)),
			 errhint("Call metaxy_views() to bring it up to date.")));
}

/*
 * May the caller read all that he writes?  If not, nothing is read back.
 */
static bool
may_select(Relation view, const MxFeature *feature)
{
	TupleDesc	desc = RelationGetDescr(view);

	if (pg_class_aclcheck(feature->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < desc->natts; i++)
	{
		AttrNumber	attnum = get_attnum(feature->relid,
										NameStr(TupleDescAttr(desc, i)->attname));

		if (pg_attribute_aclcheck(feature->relid, attnum, GetUserId(),
								  ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_ABORT && event != XACT_EVENT_COMMIT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (statements != NULL)
		drop_statement(statements);
}

/*
 * A statement does not outlive the subtransaction that it began in, unless
 * by an error.
 */
static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subid,
						SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (statements != NULL && statements->subid >= subid)
		drop_statement(statements);
}

/*
 * Memory and a saved plan; everything else belongs to a resource owner.
 */
static void
drop_statement(MxStatement *statement)
{
	MxStatement **link = &statements;

	while (*link != statement)
		link = &(*link)->next;
	*link = statement->next;
	mx_active_free(statement);
	MemoryContextDelete(statement->context);
}
