--
-- report.sql: the state of the whole store, on one page.  Changes nothing, and
-- works on a standby.
--
--	psql -X -d DATABASE -f report.sql
--

\set ON_ERROR_STOP on
\ir start.psql

BEGIN READ ONLY;

\echo 'Features.  superseded: rows that are not the latest of a sample of the current'
\echo 'version, and about what they take; what you may not SELECT is left empty.'
SELECT feature, feature_version AS version, active, deleted, "rows", superseded,
	   pg_catalog.pg_size_pretty(bytes) AS size,
	   pg_catalog.pg_size_pretty(
			pg_catalog.round(bytes::numeric OPERATOR(pg_catalog.*) superseded
							 OPERATOR(pg_catalog./) greatest("rows", 1)))
			AS superseded_size,
	   last_write, last_delete
  FROM :"metaxy_schema".metaxy_status();

\echo 'Orphans: active samples that have lost what they were made from.'
SELECT feature, upstream, orphans
  FROM :"metaxy_schema".metaxy_orphan_counts();

\echo 'The last ten operations of the ledger.'
SELECT id, kind, stamp, role, features, soft, cascade, samples, "rows",
	   undone_by, reason
  FROM :"metaxy_schema".metaxy_deletions
 ORDER BY id DESC
 LIMIT 10;

COMMIT;
