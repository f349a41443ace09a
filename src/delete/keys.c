/*-------------------------------------------------------------------------
 *
 * keys.c
 *		What makes a sample match, as SQL: filters, and keys of samples found
 *		before.
 *
 *		Keys are handed on in one of three forms.  A single column of moderate
 *		size becomes an array parameter: the planner may then use an index or a
 *		hash table on it, and run in parallel.  Anything else stays in its store
 *		and is joined, as a semi-join or, where several sources meet, as a left
 *		join on the distinct keys.
 *
 * src/delete/keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "executor/nodeHash.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "delete/delete.h"

/* of keys handed on as an array, in bytes */
#define MAX_ARRAY_SIZE	(8 * 1024 * 1024)

static ArrayType *keys_array(MxStore *store, const char *column, Oid *type);
static void append_comparisons(MxMatch *match, StringInfo sql,
							   const char *alias, MxStore *store,
							   List *own_columns, List *store_columns);
static bool same_columns(const MxFeature *feature, List *columns,
						 const MxFeature *other, List *other_columns);
static void append_key_column(MxMatch *match, StringInfo sql,
							  const char *alias, MxStore *store,
							  const char *own, const char *key);
static void append_own_column(const MxMatch *match, StringInfo sql,
							  const char *column);
static Oid	own_collation(const MxMatch *match, const char *column);
static Oid	own_type(const MxMatch *match, const char *column);
static Oid	store_type(MxStore *store, const char *column, AttrNumber *number);

/*
 * The version whose rows a step looks at, as SQL text; NULL for all rows.
 */
const char *
mx_scope(const MxDelete *delete, const MxStep *step, MxQuery *query)
{
	const MxFeature *feature = &delete->registry->features[step->feature];
	const char *version = feature->version;

	if (version == NULL || delete->request->feature_history)
		return NULL;
	if (step->named && delete->request->version != NULL)
		version = delete->request->version;
	return psprintf("$%d", mx_query_text(query, version));
}

/*
 * The scope as a condition on all rows of a table, latest or not.
 */
void
mx_append_scope(StringInfo sql, const char *ref, const char *version)
{
	if (version == NULL)
	{
		appendStringInfoString(sql, "true");
		return;
	}
	mx_append_column(sql, ref, MX_FEATURE_VERSION);
	appendStringInfo(sql, " OPERATOR(pg_catalog.=) %s", version);
}

/*
 * All filters of the request.  They are analysed where they stand, so nothing
 * but the feature's own table may be visible there.
 */
void
mx_append_filters(MxMatch *match, StringInfo sql)
{
	ListCell   *lc;

	foreach(lc, match->delete->request->filters)
	{
		int			n = mx_query_expr(match->query, mx_filter_analyze,
									  lfirst(lc));

		appendStringInfo(sql, "%s($%d)",
						 foreach_current_index(lc) ? " AND " : "", n);
	}
}

/*
 * "The row's own columns are among the keys of the store": with an array, or
 * where that is not to be had and "exists" is set, with a semi-join.  Returns
 * false, and appends nothing, where neither is.
 */
bool
mx_append_keys(MxMatch *match, StringInfo sql, MxStore *store,
			   List *own_columns, List *store_columns, bool exists)
{
	const char *alias;

	if (store->nrows == 0)
	{
		appendStringInfoString(sql, "false");
		return true;
	}

	if (list_length(own_columns) == 1)
	{
		Oid			own = own_type(match, linitial(own_columns));
		AttrNumber	number;
		Oid			type = store_type(store, linitial(store_columns), &number);
		Oid			equality = mx_equality(own, type);
		RegProcedure own_hash;
		RegProcedure key_hash;
		ArrayType  *array = NULL;

		/*
		 * The executor hashes an array only where one function serves both
		 * sides, and else searches it for each row.  And an array has no
		 * collation of its own.
		 */
		if (get_op_hash_functions(equality, &own_hash, &key_hash) &&
			own_hash == key_hash &&
			(!match->upward ||
			 !OidIsValid(TupleDescAttr(store->desc, number - 1)->attcollation) ||
			 TupleDescAttr(store->desc, number - 1)->attcollation ==
			 own_collation(match, linitial(own_columns))))
			array = keys_array(store, linitial(store_columns), &type);
		if (array != NULL)
		{
			append_own_column(match, sql, linitial(own_columns));
			appendStringInfoChar(sql, ' ');
			mx_append_operator(sql, equality);
			appendStringInfo(sql, " ANY ($%d)",
							 mx_query_value(match->query, type,
											PointerGetDatum(array), false));
			return true;
		}
	}

	if (!exists)
		return false;
	alias = mx_alias("key", match->ref);
	appendStringInfoString(sql, "EXISTS (SELECT FROM ");
	mx_append_store(sql, store, alias);
	appendStringInfoString(sql, " WHERE ");
	append_comparisons(match, sql, alias, store, own_columns, store_columns);
	appendStringInfoChar(sql, ')');
	return true;
}

/*
 * The same as a left join; "alias.c<number of the first of store_columns> IS
 * NOT NULL" tells whether there was a match.
 */
void
mx_append_key_join(MxMatch *match, StringInfo sql, const char *alias,
				   MxStore *store, List *own_columns, List *store_columns)
{
	ListCell   *own;
	ListCell   *key;

	appendStringInfoString(sql, " LEFT JOIN (SELECT DISTINCT ");
	forboth(own, own_columns, key, store_columns)
	{
		if (own != list_head(own_columns))
			appendStringInfoString(sql, ", ");
		append_key_column(match, sql, alias, store, lfirst(own), lfirst(key));
	}
	appendStringInfoString(sql, " FROM ");
	mx_append_store(sql, store, alias);
	appendStringInfo(sql, ") AS %s ON ", quote_identifier(alias));
	append_comparisons(match, sql, alias, store, own_columns, store_columns);
}

/*
 * Keys of those groups with a doomed parent that have another parent, active
 * in scope and not doomed.
 *
 * Where the child compares by another type or collation than the parent, its
 * groups are not the parent's: then the keys of all such parents are given.
 */
MxStore *
mx_kept_keys(const MxDelete *delete, const MxSource *source,
			 const MxFeature *child, List *own_columns, List *columns)
{
	const MxStep *step = &delete->plan->steps[source->other];
	const MxFeature *feature = &delete->registry->features[step->feature];
	MxMatch		match = {.delete = delete,.step = step,.feature = feature};
	MxStore    *store = mx_store_new(delete->kilobytes);
	StringInfo	sql;
	ListCell   *lc;

	if (step->whole)
		return store;
	match.query = mx_query_new();
	match.ref = mx_table_ref(feature, NULL);
	match.version = mx_scope(delete, step, match.query);

	sql = mx_query_sql(match.query);
	appendStringInfoString(sql, "SELECT DISTINCT ");
	foreach(lc, columns)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(sql, ", ");
		mx_append_column(sql, match.ref, lfirst(lc));
	}
	mx_append_latest(sql, feature, NULL, match.version, false, MX_ACTIVE);
	if (same_columns(child, own_columns, feature, columns))
	{
		appendStringInfoString(sql, " AND (");
		mx_append_keys(&match, sql, step->doomed, columns, columns, true);
		appendStringInfoChar(sql, ')');
	}
	appendStringInfoString(sql, " AND NOT (");
	mx_append_keys(&match, sql, step->doomed, feature->id_columns,
				   feature->id_columns, true);
	appendStringInfoChar(sql, ')');

	mx_query_run(match.query, MX_READ, mx_store_receiver(store, NULL, NULL));
	mx_store_register(store, psprintf("metaxy kept %d", source->dependency));
	return store;
}

/*
 * Are the columns of two features, pairwise, of the same type and collation?
 */
static bool
same_columns(const MxFeature *feature, List *columns,
			 const MxFeature *other, List *other_columns)
{
	ListCell   *one;
	ListCell   *two;

	forboth(one, columns, two, other_columns)
	{
		Oid			types[2];
		Oid			collations[2];
		int32		typmod;

		get_atttypetypmodcoll(feature->relid,
							  get_attnum(feature->relid, lfirst(one)),
							  &types[0], &typmod, &collations[0]);
		get_atttypetypmodcoll(other->relid,
							  get_attnum(other->relid, lfirst(two)),
							  &types[1], &typmod, &collations[1]);
		if (types[0] != types[1] || collations[0] != collations[1])
			return false;
	}
	return true;
}

/*
 * own = key AND ..., each by the equality that both types share.
 */
static void
append_comparisons(MxMatch *match, StringInfo sql, const char *alias,
				   MxStore *store, List *own_columns, List *store_columns)
{
	ListCell   *own;
	ListCell   *key;

	forboth(own, own_columns, key, store_columns)
	{
		AttrNumber	number;

		if (own != list_head(own_columns))
			appendStringInfoString(sql, " AND ");
		append_own_column(match, sql, lfirst(own));
		appendStringInfoChar(sql, ' ');
		mx_append_operator(sql, mx_equality(own_type(match, lfirst(own)),
											store_type(store, lfirst(key),
													   &number)));
		appendStringInfoChar(sql, ' ');
		append_key_column(match, sql, alias, store, lfirst(own), lfirst(key));
	}
}

/*
 * "ref.column = alias.up", as the edge between two features compares them.
 */
void
mx_append_joined(StringInfo sql, const MxFeature *feature, const char *column,
				 const char *ref, const MxFeature *upstream, const char *up,
				 const char *alias)
{
	Oid			types[2];
	Oid			collations[2];
	int32		typmod;

	get_atttypetypmodcoll(feature->relid, get_attnum(feature->relid, column),
						  &types[0], &typmod, &collations[0]);
	get_atttypetypmodcoll(upstream->relid, get_attnum(upstream->relid, up),
						  &types[1], &typmod, &collations[1]);
	mx_append_column(sql, ref, column);
	appendStringInfoChar(sql, ' ');
	mx_append_operator(sql, mx_equality(types[0], types[1]));
	appendStringInfoChar(sql, ' ');
	mx_append_column(sql, alias, up);
	if (OidIsValid(collations[0]) && OidIsValid(collations[1]) &&
		collations[0] != collations[1])
		appendStringInfo(sql, " COLLATE %s", mx_collation_name(collations[0]));
}

/*
 * A key as it is compared.  An edge compares by the collation of the child's
 * column, whichever way it is gone.
 */
static void
append_key_column(MxMatch *match, StringInfo sql, const char *alias,
				  MxStore *store, const char *own, const char *key)
{
	AttrNumber	number = mx_store_column(store, key);
	Oid			key_collation = TupleDescAttr(store->desc, number - 1)->attcollation;
	Oid			collation = own_collation(match, own);

	mx_append_store_column(sql, store, alias, key);
	if (OidIsValid(collation) && OidIsValid(key_collation) &&
		collation != key_collation)
		appendStringInfo(sql, " COLLATE %s",
						 mx_collation_name(match->upward ? key_collation :
										   collation));
}

/*
 * A column of the feature's rows.
 */
static void
append_own_column(const MxMatch *match, StringInfo sql, const char *column)
{
	int			number = 0;

	if (match->numbered == NIL)
	{
		mx_append_column(sql, match->ref, column);
		return;
	}
	while (strcmp(list_nth(match->numbered, number), column) != 0)
		number++;
	appendStringInfo(sql, "%s.c%d", quote_identifier(match->ref), number + 1);
}

/*
 * One column of a store as an array without nulls; NULL if it is too large, or
 * the type has no arrays.
 *
 * Planning makes copies of a constant, sending a plan to workers makes a text
 * of it, and each process a hash table: some twenty times its size in all.  So
 * it may take what a hash table may, and never more than MAX_ARRAY_SIZE.
 */
static ArrayType *
keys_array(MxStore *store, const char *column, Oid *type)
{
	Size		limit = Min(get_hash_memory_limit(), MAX_ARRAY_SIZE);
	Size		size = 0;
	AttrNumber	number;
	Oid			element = getBaseType(store_type(store, column, &number));
	int16		typlen;
	bool		typbyval;
	char		typalign;
	TupleTableSlot *slot;
	Datum	   *values;
	int			count = 0;
	ArrayType  *array = NULL;

	*type = get_array_type(element);
	if (!OidIsValid(*type) || (Size) store->nrows > limit / sizeof(Datum))
		return NULL;

	get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
	values = palloc(sizeof(Datum) * store->nrows);
	slot = MakeSingleTupleTableSlot(store->desc, &TTSOpsMinimalTuple);
	tuplestore_rescan(store->rows);
	while (size <= limit &&
		   tuplestore_gettupleslot(store->rows, true, false, slot))
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, number, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (isnull)
			continue;
		if (typlen == -1)
			value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		else
			value = datumCopy(value, typbyval, typlen);
		size = att_addlength_datum(att_align_nominal(size, typalign),
								   typlen, value);
		values[count++] = value;
	}
	ExecDropSingleTupleTableSlot(slot);

	if (size <= limit)
		array = construct_array(values, count, element, typlen, typbyval,
								typalign);
	if (!typbyval)
	{
		for (int i = 0; i < count; i++)
			pfree(DatumGetPointer(values[i]));
	}
	pfree(values);
	return array;
}

static Oid
own_collation(const MxMatch *match, const char *column)
{
	Oid			relid = match->feature->relid;
	Oid			type;
	Oid			collation;
	int32		typmod;

	get_atttypetypmodcoll(relid, get_attnum(relid, column), &type, &typmod,
						  &collation);
	return collation;
}

static Oid
own_type(const MxMatch *match, const char *column)
{
	Oid			relid = match->feature->relid;

	return get_atttype(relid, get_attnum(relid, column));
}

static Oid
store_type(MxStore *store, const char *column, AttrNumber *number)
{
	*number = mx_store_column(store, column);
	return SPI_gettypeid(store->desc, *number);
}
