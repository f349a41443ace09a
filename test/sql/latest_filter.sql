--
-- The latest filter: rows that a condition has found by an index of its own are
-- looked up one by one, whether they are the latest of their samples
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
SET client_min_messages = warning;
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;
CREATE SCHEMA lf;
SET search_path = lf, public;

-- what has become of a plan, without what differs between servers
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) ' || query LOOP
		CONTINUE WHEN line ~ '^ *(Buffers|Planning|Memory|Index Searches|Heap Blocks|Workers Launched|Cache Mode|Hits):' OR line ~ '^Planning';
		RETURN NEXT regexp_replace(line, ' \(actual rows=(\d+)(\.\d+)? loops=(\d+)\)', ' (rows=\1 loops=\3)');
	END LOOP;
END $$;
-- the answer to a query, and whether the plain SQL gives the same
CREATE FUNCTION answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	filters boolean := false;
	ours text;
	plain text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		filters := filters OR line LIKE '%Metaxy Latest Filter%';
	END LOOP;
	EXECUTE format('SELECT string_agg(q::text, '' '' ORDER BY q::text) FROM (%s) AS q', query) INTO ours;
	SET metaxy.enable_latest_scan = off;
	EXECUTE format('SELECT string_agg(q::text, '' '' ORDER BY q::text) FROM (%s) AS q', query) INTO plain;
	SET metaxy.enable_latest_scan = on;
	RETURN concat_ws(' ', CASE WHEN NOT filters THEN 'no filter in the plan:' END, ours,
		CASE WHEN ours IS DISTINCT FROM plain THEN ', not ' || plain END);
END $$;

CREATE TABLE t (id text NOT NULL, tag int NOT NULL, note text);
SELECT metaxy_register('t', 't', '{id}', 'v1');
CREATE INDEX t_tag ON t (tag);
INSERT INTO t
SELECT 's' || lpad((i * 7919 % 5000)::text, 4, '0'), (i + k) % 500, 'note ' || k, '2024-01-01', timestamptz '2024-01-01' + k * interval '1 day',
       CASE WHEN k = 3 AND i % 10 = 0 THEN timestamptz '2024-02-01' END, 'v1'
  FROM generate_series(1, 5000) AS i, generate_series(1, 3) AS k;
INSERT INTO t SELECT 'x' || i, i, 'other version', '2024-01-01', '2024-01-01', NULL, 'v2' FROM generate_series(1, 10) AS i;
VACUUM ANALYZE t;

SELECT plan('SELECT * FROM t_active WHERE tag = 7');
SELECT plan('SELECT * FROM t_latest WHERE tag = 7');
SELECT plan('SELECT * FROM t_deleted WHERE tag = 3');
SELECT answer('SELECT id, note FROM t_active WHERE tag = 7');
SELECT answer('SELECT id, note FROM t_deleted WHERE tag = 3');
-- columns made of others, and none at all
SELECT answer($$SELECT upper(id) AS up, tag + 1 AS more FROM t_active WHERE tag = 7$$);
SELECT plan('SELECT count(*) FROM t_active WHERE tag = 7');
SELECT answer('SELECT count(*) FROM t_active WHERE tag = 7');
-- it keeps the order of its rows
SET enable_sort = off;
SET enable_bitmapscan = off;
SELECT plan('SELECT tag, note FROM t_active WHERE tag < 3 ORDER BY tag');
RESET enable_sort;
RESET enable_bitmapscan;
-- for each row of another table, by a column that is not of the sample
CREATE TABLE wanted (tag int);
INSERT INTO wanted VALUES (3), (5);
ANALYZE wanted;
SET enable_memoize = off;
SET enable_mergejoin = off;
SELECT plan('SELECT * FROM wanted AS w JOIN t_active AS t ON t.tag = w.tag');
INSERT INTO wanted VALUES (5000), (NULL);
SELECT answer('SELECT w.tag, count(t.id) FROM wanted AS w LEFT JOIN t_active AS t ON t.tag = w.tag GROUP BY 1');
RESET enable_memoize;
RESET enable_mergejoin;
-- read again with another value
SELECT answer('SELECT g, l.n FROM generate_series(3, 5) AS g, LATERAL (SELECT count(*) AS n FROM t_active WHERE tag = g) AS l');
SET plan_cache_mode = force_generic_plan;
PREPARE by_tag (int) AS SELECT count(*) FROM t_active WHERE tag = $1;
SELECT plan('EXECUTE by_tag (7)');
EXECUTE by_tag (7);
EXECUTE by_tag (NULL);
DEALLOCATE by_tag;
RESET plan_cache_mode;
-- a cursor that goes back
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM t_active WHERE tag = 7;
MOVE FORWARD ALL FROM c;
MOVE BACKWARD ALL FROM c;
CLOSE c;
COMMIT;

--
-- Rows that not everybody sees
--
BEGIN;
INSERT INTO t SELECT id, 1000, 'newer', '2024-01-01', '2024-05-01', NULL, 'v1' FROM t_active WHERE tag = 7;
SELECT answer('SELECT count(*) FROM t_active WHERE tag = 7');
SELECT answer('SELECT count(*), min(note) FROM t_active WHERE tag = 1000');
ROLLBACK;
SELECT plan('SELECT count(*) FROM t_active WHERE tag = 7');
SELECT answer('SELECT count(*) FROM t_active WHERE tag = 1000');
-- updated in place, with the same place in the index
UPDATE t SET note = 'updated' WHERE tag = 9;
UPDATE t SET note = 'updated again' WHERE tag = 9;
SELECT answer('SELECT note, count(*) FROM t_active WHERE tag = 9 GROUP BY 1');
-- still better than a nested loop, where the map says of no page that all see it
CREATE TABLE unseen (LIKE t INCLUDING INDEXES);
SELECT metaxy_register('unseen', 'unseen', '{id}', 'v1');
INSERT INTO unseen SELECT * FROM t;
ANALYZE unseen;
SELECT plan('SELECT id, note FROM unseen_active WHERE tag = 7');
SELECT answer('SELECT count(*), min(note) FROM unseen_active WHERE tag = 7');
-- written by hand: where the row lies, and all of it
SELECT rtrim(substring(pg_get_viewdef('unseen_latest'::regclass) FROM 'FROM unseen\M.*'), ';') AS latest \gset
SELECT answer('SELECT count(DISTINCT unseen.ctid), min(unseen.tableoid::regclass::text) ' || :'latest' || ' AND tag = 7');
SELECT answer('SELECT count(unseen), max(unseen.note) ' || :'latest' || ' AND tag = 7');

--
-- Ties, with the tombstones in the index and without
--
CREATE TABLE tie (id int NOT NULL, tag int, note text);
SELECT metaxy_register('tie', 'tie', '{id}');
CREATE INDEX tie_tag ON tie (tag);
INSERT INTO tie VALUES
	(1, 1, 'live', '2024-01-01', '2024-01-05', NULL),
	(1, 1, 'tombstone', '2024-01-01', '2024-01-01', '2024-01-05'),
	(1, 1, 'live, too', '2024-01-01', '2024-01-05', NULL),
	(2, 1, 'first', '2024-01-01', '2024-01-05', NULL),
	(2, 1, 'second', '2024-01-01', '2024-01-05', NULL),
	(3, 1, 'first', '2024-01-01', '2024-01-01', '2024-01-05'),
	(3, 1, 'second', '2024-01-01', '2024-01-01', '2024-01-05');
INSERT INTO tie SELECT i, i, 'more', '2024-01-01', '2024-01-01' FROM generate_series(4, 3000) AS i;
VACUUM ANALYZE tie;
SELECT answer('SELECT id, note FROM tie_latest WHERE tag = 1');
SELECT answer('SELECT id, note FROM tie_active WHERE tag = 1');
-- ... below one that nobody sees
BEGIN;
INSERT INTO tie VALUES (2, 1, 'aborted', '2024-01-01', '2024-01-06');
ROLLBACK;
SELECT answer('SELECT id, note FROM tie_latest WHERE tag = 1');
UPDATE tie SET note = 'first, updated' WHERE note = 'first';
SELECT answer('SELECT id, note FROM tie_latest WHERE tag = 1');
SELECT indexrelid::regclass AS flagged FROM pg_index WHERE indrelid = 'tie'::regclass AND indnatts = 3 \gset
CREATE INDEX ON tie (id DESC, (coalesce(metaxy_deleted_at, metaxy_updated_at)) DESC);
DROP INDEX :flagged;
SELECT answer('SELECT id, note FROM tie_latest WHERE tag = 1');
SELECT answer('SELECT id, note FROM tie_active WHERE tag = 1');
SELECT plan('SELECT id, note FROM tie_latest WHERE tag = 1');

--
-- Over an index that only estimates where its rows come in the order
--
CREATE TABLE shapes (id int NOT NULL, shape polygon);
SELECT metaxy_register('shapes', 'shapes', '{id}');
CREATE INDEX shapes_shape ON shapes USING gist (shape);
INSERT INTO shapes
SELECT i, polygon(format('((%s,0),(%s,30),(0,%s))', i, i, 30 + i)), '2024-01-01', '2024-01-05'
  FROM generate_series(1, 3000) AS i, generate_series(1, 2);
VACUUM ANALYZE shapes;
EXPLAIN (COSTS OFF) SELECT id FROM shapes_latest ORDER BY shape <-> point '(0,0)' LIMIT 3;
SELECT id FROM shapes_latest ORDER BY shape <-> point '(0,0)' LIMIT 3;

--
-- Columns that a row does not have
--
ALTER TABLE tie ADD absent text DEFAULT 'absent';
SELECT answer('SELECT id, note, absent FROM (SELECT id, tag, note, absent ' ||
	   substring(rtrim(pg_get_viewdef('tie_latest'::regclass), ';') FROM 'FROM tie\M.*') || ') AS t WHERE tag = 1');
ALTER TABLE tie DROP absent;
SELECT answer('SELECT id, note FROM tie_latest WHERE tag = 1');

--
-- In parallel
--
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET random_page_cost = 1;
SELECT p FROM plan('SELECT count(*) FROM t_active WHERE tag BETWEEN 10 AND 14') AS p WHERE p ~ 'Parallel|Keys|Fetches|Skipped';
SELECT answer('SELECT count(*), count(note) FROM t_active WHERE tag BETWEEN 10 AND 14');

SET client_min_messages = warning;
SELECT metaxy_unregister(feature) FROM metaxy_feature;
DROP SCHEMA lf CASCADE;
