--
-- How long the registry's graph takes: loading and ordering it, drawing it.
--
--	psql -X -f bench/graph.sql [-v features=10000] [-v runs=21] DATABASE
--
-- Plants features with five dependencies each, on random ones before them, in
-- a transaction that is rolled back.  Run as a superuser, in a database where
-- the extension is installed in a schema of the search_path and where nothing
-- is registered: what is would be timed with the rest.
--
\set ON_ERROR_STOP on
\set QUIET on
\if :{?features}
\else
	\set features 10000
\endif
\if :{?runs}
\else
	\set runs 21
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL session_replication_role = replica;	-- no foreign keys are checked

SELECT setseed(0.5) \g /dev/null
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'bench/' || md5(i::text), '{id}', current_user::regrole, false, false
  FROM generate_series(1, :features) AS i;
INSERT INTO metaxy_dependency
SELECT 'bench/' || md5(i::text), 'bench/' || md5((1 + floor(random() * (i - 1)))::text),
	   '1:1', NULL, NULL, false
  FROM generate_series(2, :features) AS i, generate_series(1, 5)
ON CONFLICT DO NOTHING;
ANALYZE metaxy_feature, metaxy_dependency;

-- milliseconds of a query over several runs, after one that is not counted
CREATE FUNCTION pg_temp.time_of(query text, runs integer,
	OUT min numeric, OUT median numeric, OUT max numeric)
LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz;
	taken float8[];
BEGIN
	EXECUTE query;
	FOR run IN 1 .. runs LOOP
		started := clock_timestamp();
		EXECUTE query;
		taken := taken || extract(epoch FROM clock_timestamp() - started)::float8 * 1000;
	END LOOP;
	SELECT round(min(t)::numeric, 1), round(max(t)::numeric, 1),
		   round(percentile_cont(0.5) WITHIN GROUP (ORDER BY t)::numeric, 1)
	  FROM unnest(taken) AS t INTO min, max, median;
END $$;

\echo
SELECT (SELECT count(*) FROM metaxy_feature) AS features,
	   (SELECT count(*) FROM metaxy_dependency) AS dependencies,
	   (SELECT max(depth) FROM metaxy_order()) AS depth,
	   :runs AS runs;

\echo milliseconds:
SELECT query, time.*
  FROM unnest(ARRAY[
			'SELECT count(*) FROM metaxy_feature',
			'SELECT count(*) FROM (SELECT * FROM metaxy_dependency ORDER BY feature, upstream OFFSET 0) AS d',
			'SELECT count(*) FROM metaxy_order()',
			'SELECT count(*) FROM metaxy_order(NULL, ''upstream'')',
			'SELECT length(metaxy_graph(''tree''))',
			'SELECT length(metaxy_graph(''mermaid''))',
			'SELECT length(metaxy_graph(''dot''))',
			'SELECT length(metaxy_graph(''json''))'])
	   WITH ORDINALITY AS q (query, n),
	   pg_temp.time_of(query, :runs) AS time
 ORDER BY n;
ROLLBACK;
