/*
 * Data for bench/run: one feature of :samples samples with 3 versions each,
 * and a chain of three features, 1:N twice, of 3, 9 and 27 tenths of that,
 * with 2 versions each.  Rows lie in the order in which they were written.
 */
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET work_mem = '256MB';
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.42) \g /dev/null

CREATE TABLE sample (
	id text NOT NULL, grp integer NOT NULL, name text, payload jsonb,
	metaxy_feature_version text NOT NULL,
	metaxy_created_at timestamptz NOT NULL,
	metaxy_updated_at timestamptz NOT NULL,
	metaxy_deleted_at timestamptz) WITH (autovacuum_enabled = off);
INSERT INTO sample
SELECT 'id-' || lpad(i::text, 9, '0'), (random() * 10)::integer % 10,
	   'name of ' || i || ' rev ' || k, bench_payload(i, k), 'v1', c,
	   c + k * interval '30 days' + r * interval '20 days',
	   CASE WHEN k = 3 AND i % 50 = 0 THEN c + interval '120 days' END
  FROM (SELECT i, k, timestamptz '2024-01-01' + (i % 1000) * interval '1 hour' AS c,
			   random() AS r
		  FROM generate_series(1, :samples) AS i, generate_series(1, 3) AS k) AS s
 ORDER BY c + k * interval '30 days' + r * interval '20 days';

CREATE TABLE parent (
	id text NOT NULL, grp integer NOT NULL, name text, payload jsonb,
	metaxy_feature_version text NOT NULL,
	metaxy_created_at timestamptz NOT NULL,
	metaxy_updated_at timestamptz NOT NULL,
	metaxy_deleted_at timestamptz) WITH (autovacuum_enabled = off);
CREATE TABLE child (LIKE parent INCLUDING ALL) WITH (autovacuum_enabled = off);
ALTER TABLE child DROP COLUMN grp, ADD COLUMN parent_id text;
CREATE TABLE leaf (LIKE parent INCLUDING ALL) WITH (autovacuum_enabled = off);
ALTER TABLE leaf DROP COLUMN grp, ADD COLUMN child_id text;

INSERT INTO parent
SELECT 'p-' || lpad(i::text, 9, '0'), i % 3, 'name ' || i || ' ' || k,
	   bench_payload(i, k), 'v1', c,
	   c + k * interval '30 days' + r * interval '20 days', NULL
  FROM (SELECT i, k, timestamptz '2024-01-01' + (i % 1000) * interval '1 hour' AS c,
			   random() AS r
		  FROM generate_series(1, :samples * 3 / 10) AS i,
			   generate_series(1, 2) AS k) AS s
 ORDER BY c + k * interval '30 days' + r * interval '20 days';
INSERT INTO child (id, name, payload, metaxy_feature_version, metaxy_created_at,
				   metaxy_updated_at, parent_id)
SELECT 'c-' || lpad(i::text, 9, '0'), 'name ' || i || ' ' || k,
	   bench_payload(i, k), 'v1', c,
	   c + k * interval '30 days' + r * interval '20 days',
	   'p-' || lpad(((i * 7919::bigint) % (:samples * 3 / 10) + 1)::text, 9, '0')
  FROM (SELECT i, k, timestamptz '2024-01-01' + (i % 1000) * interval '1 hour' AS c,
			   random() AS r
		  FROM generate_series(1, :samples * 9 / 10) AS i,
			   generate_series(1, 2) AS k) AS s
 ORDER BY c + k * interval '30 days' + r * interval '20 days';
INSERT INTO leaf (id, name, payload, metaxy_feature_version, metaxy_created_at,
				  metaxy_updated_at, child_id)
SELECT 'g-' || lpad(i::text, 9, '0'), 'name ' || i || ' ' || k,
	   bench_payload(i, k), 'v1', c,
	   c + k * interval '30 days' + r * interval '20 days',
	   'c-' || lpad(((i * 7919::bigint) % (:samples * 9 / 10) + 1)::text, 9, '0')
  FROM (SELECT i, k, timestamptz '2024-01-01' + (i % 1000) * interval '1 hour' AS c,
			   random() AS r
		  FROM generate_series(1, :samples * 27 / 10) AS i,
			   generate_series(1, 2) AS k) AS s
 ORDER BY c + k * interval '30 days' + r * interval '20 days';

SELECT metaxy_register('sample', 'sample', '{id}', 'v1');
SELECT metaxy_register('parent', 'parent', '{id}', 'v1');
SELECT metaxy_register('child', 'child', '{id}', 'v1');
SELECT metaxy_register('leaf', 'leaf', '{id}', 'v1');
SELECT metaxy_depend('child', 'parent', '1:N', '{id}', '{"id": "parent_id"}');
SELECT metaxy_depend('leaf', 'child', '1:N', '{id}', '{"id": "child_id"}');
VACUUM (ANALYZE, FREEZE) sample, parent, child, leaf;

/*
 * For what a writer pays: the same table with metaxy's trigger, without one,
 * and with one that only stamps.  Files with the samples, with stamps and
 * without.
 */
CREATE TABLE written (LIKE parent INCLUDING ALL) WITH (autovacuum_enabled = off);
SELECT metaxy_register('written', 'written', '{id}', 'v1');
CREATE TABLE written_plain (LIKE written INCLUDING ALL) WITH (autovacuum_enabled = off);
ALTER TABLE written_plain
	ALTER metaxy_feature_version SET DEFAULT 'v1',
	ALTER metaxy_created_at SET DEFAULT clock_timestamp(),
	ALTER metaxy_updated_at SET DEFAULT clock_timestamp();
CREATE TABLE written_stamp_only (LIKE written INCLUDING ALL) WITH (autovacuum_enabled = off);
CREATE FUNCTION stamp_only() RETURNS trigger AS :'stamp_only' LANGUAGE C;
CREATE TRIGGER stamp_only BEFORE INSERT ON written_stamp_only
	FOR EACH ROW EXECUTE FUNCTION stamp_only();
COPY (SELECT id, grp, name, payload, metaxy_feature_version, metaxy_created_at,
			 metaxy_updated_at, NULL
		FROM sample WHERE name LIKE '% rev 1') TO :'stamped';
COPY (SELECT id, grp, name, payload FROM sample WHERE name LIKE '% rev 1') TO :'unstamped';
