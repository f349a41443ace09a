--
-- sweep_orphans.sql: deletes active samples that have lost what they were made
-- from, of one feature or of all, from root to leaf.
--
--	psql -X -d DATABASE [-v NAME=VALUE]... -f sweep_orphans.sql
--
--	feature		one feature; otherwise all of them
--	soft		"false" removes the rows; otherwise they are hidden
--	cascade		none (default), downstream, upstream or both
--	reason		for the ledger; "sweep_orphans" by default
--	expect		with a feature, the digest of a run without confirm: anything
--				else is an error
--	confirm		"yes" deletes
--
-- All of it is one transaction.  A sample that is orphaned by the sweep itself
-- is swept too, further down; a run without confirm shows such samples only
-- with cascade=downstream.
--

\set ON_ERROR_STOP on
\ir start.psql

\if :{?reason}
\else
	\set reason sweep_orphans
\endif
\ir confirm.psql

BEGIN;

-- the one, or all that can have orphans, from root to leaf
\if :{?feature}
	SELECT ARRAY[:'feature'] AS metaxy_features, true AS metaxy_one \gset
\else
	\if :{?expect}
		\set SHOW_CONTEXT never
		DO $$BEGIN
			RAISE EXCEPTION 'variable "expect" is for one feature alone'
				USING ERRCODE = 'invalid_parameter_value';
		END$$;
	\endif
	SELECT pg_catalog.array_agg(o.feature ORDER BY o.step) AS metaxy_features,
		   false AS metaxy_one
	  FROM :"metaxy_schema".metaxy_order() AS o
	 WHERE o.relation IS NOT NULL
	   AND EXISTS
		   (SELECT
			  FROM :"metaxy_schema".metaxy_dependency AS d
			  JOIN :"metaxy_schema".metaxy_feature AS u
				ON u.feature OPERATOR(pg_catalog.=) d.upstream
			 WHERE d.feature OPERATOR(pg_catalog.=) o.feature
			   AND u.relation IS NOT NULL
			   AND NOT d.optional)
	\gset
	\if :{?metaxy_features}
	\else
		\set metaxy_features {}
	\endif
\endif

DECLARE metaxy_plan SCROLL CURSOR FOR
SELECT swept AS orphans_of, d.step, d.feature, d.relation, d.samples, d."rows",
	   d.stale, d.digest
  FROM pg_catalog.unnest(:'metaxy_features'::text[]) AS swept,
	   LATERAL :"metaxy_schema".metaxy_delete_orphans(
		   swept, soft => :'soft', cascade => :'cascade', dry_run => true) AS d;
\echo 'What would be deleted:'
FETCH ALL FROM metaxy_plan;
\if :metaxy_one
	FETCH FIRST FROM metaxy_plan \gset metaxy_
\endif
CLOSE metaxy_plan;

\if :metaxy_confirmed
	\set metaxy_expect NULL
	\if :metaxy_one
		\if :{?expect}
		\else
			\set expect :metaxy_digest
		\endif
		\set metaxy_expect :'expect'
	\endif
	\echo 'What was deleted:'
	SELECT swept AS orphans_of, d.step, d.feature, d.relation, d.samples,
		   d."rows", d.stale, d.deletion_id, d.stamp
	  FROM pg_catalog.unnest(:'metaxy_features'::text[]) AS swept,
		   LATERAL :"metaxy_schema".metaxy_delete_orphans(
			   swept, soft => :'soft', cascade => :'cascade',
			   reason => :'reason', expect => :metaxy_expect) AS d;
	COMMIT;
\else
	ROLLBACK;
	\echo 'Nothing was deleted.  To delete it, add:  -v confirm=yes'
\endif
