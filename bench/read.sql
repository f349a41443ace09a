/*
 * A table to read, :table: :samples samples of :versions versions each, the
 * last one of every fiftieth a tombstone.  Rows lie in the :order of the keys,
 * one sample's beside each other, or at random.  A tag is on one sample in a
 * thousand, on another one in each version, and has an index.
 */
\set ON_ERROR_STOP on
SELECT to_regclass(:'table') IS NULL AS missing, :'order' = 'key' AS sorted \gset
\if :missing
SET client_min_messages = warning;
SET work_mem = '256MB';
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.42) \g /dev/null

CREATE TABLE :table (
	id text NOT NULL, grp integer NOT NULL, tag integer NOT NULL, name text,
	payload jsonb,
	metaxy_feature_version text NOT NULL,
	metaxy_created_at timestamptz NOT NULL,
	metaxy_updated_at timestamptz NOT NULL,
	metaxy_deleted_at timestamptz) WITH (autovacuum_enabled = off);
INSERT INTO :table
SELECT 'id-' || lpad(i::text, 9, '0'), i % 10, (i * 7 + k) % 1000,
	   'name of ' || i || ' rev ' || k, bench_payload(i, k), 'v1', c,
	   c + k * interval '1 day',
	   CASE WHEN k = :versions AND i % 50 = 0 THEN c + (k + 1) * interval '1 day' END
  FROM (SELECT i, k, timestamptz '2024-01-01' + (i % 1000) * interval '1 hour' AS c
		  FROM generate_series(1, :samples) AS i, generate_series(1, :versions) AS k
\if :sorted
		 ORDER BY i, k
\else
		 ORDER BY random()
\endif
	   ) AS s;
CREATE INDEX ON :table (tag);
SELECT metaxy_register(:'table', :'table', '{id}', 'v1');
VACUUM (ANALYZE, FREEZE) :table;
\endif
