/*-------------------------------------------------------------------------
 *
 * literal.c
 *		String literals of a filter, held back until their types are known.
 *
 * To analyse a literal is to call the input function of its type, and that
 * of an array, a row or a range over a domain calls the domain's CHECK: the
 * analysis of a filter would run a user's code before there is a tree to be
 * checked.  So literals stand in the raw expression as parameters.  The
 * parser asks its hook for a parameter whenever it has found out what type
 * that must have; there the type is checked, and the literal takes its place.
 * To the parser, an untyped parameter and an untyped literal are the same in
 * all other respects.
 *
 * src/read/literal.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"

#include "read/read.h"

struct MxLiterals
{
	ParseState *pstate;
	Oid			relid;			/* for mx_safe_check */
	List	   *constants;		/* A_Const; parameter n stands for the nth */
};

static Node *literal_ref(ParseState *pstate, ParamRef *ref);
static Node *literal_coerce(ParseState *pstate, Param *param, Oid type,
							int32 typmod, int location);
static Node *release_mutator(Node *node, MxLiterals *literals);

/*
 * Makes an analysis in "pstate" ready for literals that are held back.  The
 * caller restores the hooks, and sees to it that there are no other
 * parameters.
 */
MxLiterals *
mx_literals_new(ParseState *pstate, Oid relid)
{
	MxLiterals *literals = palloc0(sizeof(MxLiterals));

	literals->pstate = pstate;
	literals->relid = relid;
	pstate->p_paramref_hook = literal_ref;
	pstate->p_coerce_param_hook = literal_coerce;
	pstate->p_ref_hook_state = literals;
	return literals;
}

/*
 * Turns a constant of the raw expression into a parameter, in its place, if
 * it is a string.  Others have a type already, and NULL is of any.
 */
void
mx_literals_hold(MxLiterals *literals, A_Const *constant)
{
	A_Const    *copy;
	ParamRef   *ref = (ParamRef *) constant;

	StaticAssertStmt(sizeof(ParamRef) <= sizeof(A_Const),
					 "a parameter must fit into the place of a constant");

	if (constant->isnull || !IsA(&constant->val, String))
		return;
	copy = palloc(sizeof(A_Const));
	*copy = *constant;
	literals->constants = lappend(literals->constants, copy);

	memset(ref, 0, sizeof(ParamRef));
	NodeSetTag(ref, T_ParamRef);
	ref->number = list_length(literals->constants);
	ref->location = copy->location;
}

/*
 * Puts literals in the place of parameters that found no type, as arguments
 * of format() and its like do not.
 */
Node *
mx_literals_release(MxLiterals *literals, Node *expression)
{
	return release_mutator(expression, literals);
}

/* Hook: the parameter for a literal, of unknown type as a literal is */
static Node *
literal_ref(ParseState *pstate, ParamRef *ref)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = ref->number;
	param->paramtype = UNKNOWNOID;
	param->paramtypmod = -1;
	param->paramcollid = InvalidOid;
	param->location = ref->location;
	return (Node *) param;
}

/*
 * Hook: converts a literal to the type that it must have, as coerce_type
 * does with a constant.  A domain is not among the types that pass the
 * check, so neither context nor form of the coercion can matter.
 */
static Node *
literal_coerce(ParseState *pstate, Param *param, Oid type, int32 typmod,
			   int location)
{
	MxLiterals *literals = pstate->p_ref_hook_state;
	Const	   *probe = makeNullConst(type, -1, InvalidOid);

	probe->location = param->location;
	mx_safe_check(pstate, (Node *) probe, literals->relid);

	return coerce_type(pstate, release_mutator((Node *) param, literals),
					   UNKNOWNOID, type, typmod, COERCION_EXPLICIT,
					   COERCE_IMPLICIT_CAST, location);
}

static Node *
release_mutator(Node *node, MxLiterals *literals)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;

		return (Node *) make_const(literals->pstate,
								   list_nth(literals->constants,
											param->paramid - 1));
	}
	return expression_tree_mutator(node, release_mutator, literals);
}
