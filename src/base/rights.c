/*-------------------------------------------------------------------------
 *
 * rights.c
 *		What the caller may do, asked before anything is done.
 *
 * src/base/rights.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/base.h"

static void require_some_column(Oid relid, AclMode mode);

/*
 * Does the caller have the privileges of this role?
 */
bool
mx_has_role(Oid role)
{
	return has_privs_of_role(GetUserId(), role);
}

/*
 * The caller must own the relation: 42501.
 */
void
mx_require_table_owner(Oid relid)
{
	if (!mx_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

/*
 * The caller must be allowed to read some column of the relation, as any
 * statement over it would ask before it takes a lock: 42501.
 */
void
mx_require_select(Oid relid)
{
	require_some_column(relid, ACL_SELECT);
}

/*
 * May the caller read all of the relation?
 */
bool
mx_may_select(Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Has a role this privilege on a schema?
 */
bool
mx_may_use_schema(Oid role, Oid schema, const char *privilege)
{
	return DatumGetBool(DirectFunctionCall3(has_schema_privilege_id_id,
											ObjectIdGetDatum(role),
											ObjectIdGetDatum(schema),
											CStringGetTextDatum(privilege)));
}

/*
 * The same of writing to some column.
 */
void
mx_require_insert(Oid relid)
{
	require_some_column(relid, ACL_INSERT);
}

static void
require_some_column(Oid relid, AclMode mode)
{
	if (pg_class_aclcheck(relid, GetUserId(), mode) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, GetUserId(), mode,
								  ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

/*
 * Would row-level security hide rows of this relation from the caller?
 * False for those who own it or bypass policies.
 */
bool
mx_rls_applies(Oid relid)
{
	return check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED;
}
