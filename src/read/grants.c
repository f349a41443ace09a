/*-------------------------------------------------------------------------
 *
 * grants.c
 *		Remembers what is granted on a feature's views while they are away.
 *
 * metaxy_feature.view_acl is an array of rows (view, privilege, grantable,
 * grantee, column), names all of them, so that it can be dumped.  A grantee of
 * null is PUBLIC, a column of null the whole view.  Each view that was
 * remembered has at least one row; without a privilege, nothing was granted.
 *
 * src/read/grants.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "read/read.h"

static void revoke_defaults(Oid viewid, Oid owner);
static void grant(Oid viewid, const char *privilege, bool grantable,
				  const char *grantee, const char *column);
static char *grantee_name(const char *grantee);

/*
 * Adds what is granted on a view to what the feature remembers.  The owner's
 * own privileges are left out: whoever creates the view has them.
 */
void
mx_grants_save(const char *key, const char *view, Oid viewid)
{
	MxQuery    *query = mx_query_new();

	mx_query_text(query, key);
	mx_query_text(query, view);
	mx_query_value(query, OIDOID, ObjectIdGetDatum(viewid), false);
	appendStringInfo(mx_query_sql(query),
					 "UPDATE %s." MX_TABLE_FEATURE " SET view_acl ="
					 " pg_catalog.array_cat(view_acl, ("
					 "SELECT pg_catalog.array_agg(ARRAY[$2, a.privilege_type,"
					 " a.is_grantable::pg_catalog.text,"
					 " r.rolname::pg_catalog.text,"
					 " a.attname::pg_catalog.text])"
					 " FROM pg_catalog.pg_class AS c"
					 " LEFT JOIN LATERAL ("
					 "SELECT x.*, NULL::pg_catalog.name AS attname"
					 " FROM pg_catalog.aclexplode(c.relacl) AS x"
					 " UNION ALL "
					 "SELECT x.*, t.attname"
					 " FROM pg_catalog.pg_attribute AS t,"
					 " pg_catalog.aclexplode(t.attacl) AS x"
					 " WHERE t.attrelid OPERATOR(pg_catalog.=) c.oid) AS a"
					 " ON a.grantee OPERATOR(pg_catalog.<>) c.relowner"
					 " LEFT JOIN pg_catalog.pg_roles AS r"
					 " ON r.oid OPERATOR(pg_catalog.=) a.grantee"
					 " WHERE c.oid OPERATOR(pg_catalog.=) $3"
					 " AND (a.grantee IS NULL OR r.oid IS NOT NULL"
					 " OR a.grantee OPERATOR(pg_catalog.=) 0)))"
					 " WHERE feature OPERATOR(pg_catalog.=) $1",
					 mx_schema());
	mx_registry_write(query);
}

/*
 * Grants on a new view what the feature remembers of it; if it remembers
 * nothing, everybody may read it, and write to that of active samples: rights
 * on the table decide.  Roles and columns that are gone are passed over.  To
 * be called as the view's owner.
 */
void
mx_grants_restore(const char *key, const char *view, Oid viewid, Oid owner)
{
	MxQuery    *query = mx_query_new();
	SPITupleTable *rows;
	uint64		nrows;

	mx_query_text(query, key);
	mx_query_text(query, view);
	appendStringInfo(mx_query_sql(query),
					 "SELECT f.view_acl[i][2], f.view_acl[i][3],"
					 " f.view_acl[i][4], f.view_acl[i][5]"
					 " FROM %s." MX_TABLE_FEATURE " AS f,"
					 " pg_catalog.generate_subscripts(f.view_acl, 1) AS i"
					 " WHERE f.feature OPERATOR(pg_catalog.=) $1"
					 " AND f.view_acl[i][1] OPERATOR(pg_catalog.=) $2",
					 mx_schema());
	nrows = mx_query_run(query, MX_OWNER, NULL);
	rows = SPI_tuptable;
	if (nrows == 0)
	{
		mx_utility("GRANT SELECT%s ON %s TO PUBLIC",
				   strcmp(view, "active_view") == 0 ?
				   ", INSERT, UPDATE, DELETE" : "", mx_relation_name(viewid));
		return;
	}

	revoke_defaults(viewid, owner);
	for (uint64 i = 0; i < nrows; i++)
	{
		char	   *privilege = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		char	   *grantable = SPI_getvalue(rows->vals[i], rows->tupdesc, 2);

		if (privilege != NULL)
			grant(viewid, privilege, strcmp(grantable, "true") == 0,
				  SPI_getvalue(rows->vals[i], rows->tupdesc, 3),
				  SPI_getvalue(rows->vals[i], rows->tupdesc, 4));
	}
	SPI_freetuptable(rows);
}

/*
 * What default privileges have granted on a new view was not granted on the
 * one that it replaces.
 */
static void
revoke_defaults(Oid viewid, Oid owner)
{
	MxQuery    *query = mx_query_new();
	SPITupleTable *rows;
	uint64		nrows;

	mx_query_value(query, OIDOID, ObjectIdGetDatum(viewid), false);
	mx_query_value(query, OIDOID, ObjectIdGetDatum(owner), false);
	appendStringInfoString(mx_query_sql(query),
						   "SELECT DISTINCT r.rolname::pg_catalog.text"
						   " FROM pg_catalog.pg_class AS c"
						   " CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a"
						   " LEFT JOIN pg_catalog.pg_roles AS r"
						   " ON r.oid OPERATOR(pg_catalog.=) a.grantee"
						   " WHERE c.oid OPERATOR(pg_catalog.=) $1"
						   " AND a.grantee OPERATOR(pg_catalog.<>) $2");
	nrows = mx_query_run(query, MX_WRITE, NULL);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < nrows; i++)
		mx_utility("REVOKE ALL ON %s FROM %s", mx_relation_name(viewid),
				   grantee_name(SPI_getvalue(rows->vals[i], rows->tupdesc, 1)));
	SPI_freetuptable(rows);
}

static void
grant(Oid viewid, const char *privilege, bool grantable, const char *grantee,
	  const char *column)
{
	char	   *columns = "";

	if (grantee != NULL && !OidIsValid(get_role_oid(grantee, true)))
		return;
	if (column != NULL)
	{
		if (get_attnum(viewid, column) == InvalidAttrNumber)
			return;
		columns = psprintf(" (%s)", quote_identifier(column));
	}
	/* it is a keyword, whoever wrote it */
	if (strspn(privilege, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(privilege))
		return;
	mx_utility("GRANT %s%s ON %s TO %s%s", privilege, columns,
			   mx_relation_name(viewid), grantee_name(grantee),
			   grantable ? " WITH GRANT OPTION" : "");
}

static char *
grantee_name(const char *grantee)
{
	return grantee == NULL ? "PUBLIC" : pstrdup(quote_identifier(grantee));
}
