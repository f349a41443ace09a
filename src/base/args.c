/*-------------------------------------------------------------------------
 *
 * args.c
 *		Arguments of SQL-callable functions, read and refused in one way.
 *
 * src/base/args.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/base.h"

/*
 * 22004 for an argument that is NULL.
 */
void
mx_arg_require(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

/*
 * Text argument that must not be NULL.
 */
char *
mx_arg_text(FunctionCallInfo fcinfo, int argno, const char *name)
{
	mx_arg_require(fcinfo, argno, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/*
 * Text argument for which NULL means "not given".
 */
char *
mx_arg_text_or_null(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno))
		return NULL;
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/*
 * Boolean argument that must not be NULL.
 */
bool
mx_arg_bool(FunctionCallInfo fcinfo, int argno, const char *name)
{
	mx_arg_require(fcinfo, argno, name);
	return PG_GETARG_BOOL(argno);
}

/*
 * Number that must not be negative; NULL, no limit, is -1.
 */
int64
mx_arg_limit(FunctionCallInfo fcinfo, int argno, const char *name)
{
	int64		limit;

	if (PG_ARGISNULL(argno))
		return -1;
	limit = PG_GETARG_INT64(argno);
	if (limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must not be negative", name)));
	return limit;
}

/*
 * Text array argument that must not be NULL, as a list of strings.
 */
List *
mx_arg_names(FunctionCallInfo fcinfo, int argno, const char *name)
{
	mx_arg_require(fcinfo, argno, name);
	return mx_array_names(PG_GETARG_ARRAYTYPE_P(argno), name);
}

/*
 * Elements of a text array as a list of strings; none may be NULL.
 */
List *
mx_array_names(ArrayType *array, const char *name)
{
	List	   *names = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("argument \"%s\" must be a one-dimensional array",
						name)));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain nulls", name)));
		names = lappend(names, TextDatumGetCString(values[i]));
	}
	return names;
}

/*
 * The reverse: a list of strings as a text array.
 */
Datum
mx_names_array(List *names)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(names), 1));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, names)
		values[count++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/*
 * Is the name in the list?
 */
bool
mx_names_member(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp((char *) lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/*
 * Appends those names that are not in the list yet.
 */
void
mx_add_names(List **names, List *more)
{
	ListCell   *lc;

	foreach(lc, more)
	{
		if (!mx_names_member(*names, lfirst(lc)))
			*names = lappend(*names, lfirst(lc));
	}
}

/*
 * Are two texts the same, or both not given?
 */
bool
mx_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/*
 * Have two lists of different names the same ones, in whatever order?
 */
bool
mx_same_names(List *a, List *b)
{
	ListCell   *lc;

	if (list_length(a) != list_length(b))
		return false;
	foreach(lc, a)
	{
		if (!mx_names_member(b, lfirst(lc)))
			return false;
	}
	return true;
}

/*
 * Place of an option's value among its choices, a NULL-terminated list; upper
 * and lower case are one.  Anything else is 22023 and the hint lists them.
 */
int
mx_choice(const char *value, const char *name, const char *const *choices)
{
	StringInfoData valid;

	for (int i = 0; choices[i] != NULL; i++)
	{
		if (pg_strcasecmp(value, choices[i]) == 0)
			return i;
	}

	initStringInfo(&valid);
	for (int i = 0; choices[i] != NULL; i++)
		appendStringInfo(&valid, "%s\"%s\"", i == 0 ? "" : ", ", choices[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for \"%s\": \"%s\"", name, value),
			 errhint("Valid values are %s.", valid.data)));
	return -1;					/* keep compiler quiet */
}
