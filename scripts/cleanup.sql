--
-- cleanup.sql: deletes the samples of a feature that a filter matches.  See the
-- usage below.
--

\set ON_ERROR_STOP on
\ir start.psql

\set metaxy_usage no
\if :{?feature}
\else
	\set metaxy_usage yes
\endif
\if :{?filter}
\else
	\set metaxy_usage yes
\endif
\if :metaxy_usage
	\warn 'Usage: psql -X -d DATABASE -v feature=KEY -v filter=FILTER [-v NAME=VALUE]... \\'
	\warn '            -f cleanup.sql'
	\warn
	\warn 'Shows what metaxy_delete() would delete, and deletes it if that is confirmed.'
	\warn
	\warn '  feature   the feature'
	\warn '  filter    which of its samples; "true" for all of them'
	\warn '  soft      "false" removes the rows; otherwise they are hidden'
	\warn '  cascade   none (default), downstream, upstream or both'
	\warn '  reason    for the ledger; "cleanup" by default'
	\warn '  expect    the digest of a run without confirm: anything else is an error'
	\warn '  confirm   "yes" deletes'
	\set SHOW_CONTEXT never
	DO $$BEGIN
		RAISE EXCEPTION 'variables "feature" and "filter" are needed'
			USING ERRCODE = 'invalid_parameter_value';
	END$$;
\endif

\if :{?reason}
\else
	\set reason cleanup
\endif
\ir confirm.psql

BEGIN;

DECLARE metaxy_plan SCROLL CURSOR FOR
SELECT step, feature, relation, samples, "rows", stale, digest
  FROM :"metaxy_schema".metaxy_delete(:'feature', :'filter', soft => :'soft',
									  cascade => :'cascade', dry_run => true);
\echo 'What would be deleted:'
FETCH ALL FROM metaxy_plan;
FETCH FIRST FROM metaxy_plan \gset metaxy_
CLOSE metaxy_plan;

\if :metaxy_confirmed
	\if :{?expect}
	\else
		\set expect :metaxy_digest
	\endif
	\echo 'What was deleted:'
	SELECT step, feature, relation, samples, "rows", stale, deletion_id, stamp
	  FROM :"metaxy_schema".metaxy_delete(:'feature', :'filter',
										  soft => :'soft',
										  cascade => :'cascade',
										  reason => :'reason',
										  expect => :'expect');
	COMMIT;
\else
	ROLLBACK;
	\echo 'Nothing was deleted.  To delete it, add:  -v confirm=yes'
\endif
