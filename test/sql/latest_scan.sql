--
-- The latest scan: when the planner may use it, in which order it gives its
-- rows, and that the answer is that of the plain SQL
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
SET client_min_messages = warning;
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;
CREATE ROLE regress_metaxy_reader;
CREATE SCHEMA ls;
SET search_path = ls, public;
GRANT USAGE ON SCHEMA ls TO regress_metaxy_reader;

-- a plan, or what has become of it, without what differs between servers
CREATE FUNCTION plan(query text, run boolean DEFAULT false) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (COSTS OFF%s) %s', CASE WHEN run THEN ', ANALYZE, TIMING OFF, SUMMARY OFF' END, query) LOOP
		CONTINUE WHEN line ~ '^ *(Buffers|Sort Method|Planning|Memory|Index Searches|Storage):' OR line ~ '^Planning';
		RETURN NEXT regexp_replace(line, ' \(actual rows=(\d+)(\.\d+)? loops=(\d+)\)', ' (rows=\1 loops=\3)');
	END LOOP;
END $$;
-- is the scan in the plan?
CREATE FUNCTION scans(query text) RETURNS boolean LANGUAGE sql AS $$
	SELECT bool_or(p LIKE '%Metaxy Latest%') FROM plan(query) AS p
$$;

CREATE TABLE t (id text NOT NULL, grp int, note text);
SELECT metaxy_register('t', 't', '{id}', 'v1');
INSERT INTO t
SELECT 's' || lpad((i * 7919 % 1000)::text, 4, '0'), i % 10, 'note ' || k, '2024-01-01', timestamptz '2024-01-01' + k * interval '1 day',
       CASE WHEN k = 3 AND i % 10 = 0 THEN timestamptz '2024-02-01' END, 'v1'
  FROM generate_series(1, 1000) AS i, generate_series(1, 3) AS k;
INSERT INTO t SELECT 'x' || i, i, 'other version', '2024-01-01', '2024-01-01', NULL, 'v2' FROM generate_series(1, 10) AS i;
VACUUM ANALYZE t;

--
-- Orders
--
-- all rows: in the order in which they lie
SELECT plan('SELECT * FROM t_active', true);
SELECT plan('SELECT * FROM t_deleted', true);
-- as asked for, and it is no sort
SET enable_sort = off;
SELECT plan('SELECT * FROM t_active ORDER BY id DESC', true);
RESET enable_sort;
SELECT plan('SELECT * FROM t_active ORDER BY id LIMIT 3', true);
SELECT id, note FROM t_active ORDER BY id LIMIT 3;
SELECT id, note FROM t_active ORDER BY id DESC LIMIT 3;
-- what the index has is not fetched
SELECT plan('SELECT count(*) FROM t_active', true);
SELECT plan('SELECT id FROM t_deleted ORDER BY id', true);
SELECT count(*) FROM t_active;
SELECT plan('SELECT count(*) FROM t_latest WHERE note IS NULL', true);
-- one sample, and some
SELECT plan($$SELECT * FROM t_active WHERE id = 's0077'$$, true);
SELECT plan($$SELECT * FROM t_active WHERE 's0077' = id$$, true);
SELECT plan($$SELECT * FROM t_active WHERE id IN ('s0077', 's0079') ORDER BY id$$, true);
SELECT plan($$SELECT * FROM t_active WHERE id >= 's0990' AND id < 's0995' ORDER BY id$$, true);
-- arrays: each value once, in the order of the index
SELECT id FROM t_active WHERE id = ANY (ARRAY['s0079', NULL, 's0077', 'none', 's0079']) ORDER BY id;
SELECT id FROM t_active WHERE id = ANY (ARRAY['s0079', NULL, 's0077', 'none', 's0079']) ORDER BY id DESC;
SELECT count(*) FROM t_active WHERE id = ANY (ARRAY[NULL]::text[]);
SELECT count(*) FROM t_active WHERE id = ANY (NULL::text[]);
SELECT count(*) FROM t_active WHERE id = ANY ('{}');
SELECT count(*) FROM t_active WHERE id = ANY (ARRAY['s0077', 's0079']) AND id > 's0078' AND id = ANY (ARRAY['s0079', 's0081']);
-- ranges that nothing is in, and two of them
SELECT count(*) FROM t_active WHERE id > 's0995' AND id < 's0990';
SELECT count(*) FROM t_active WHERE id > 's0995' AND id > 's0990' AND id <= 's0998' AND id < 's0999';
-- a condition on another column is for the latest row alone
SELECT plan($$SELECT * FROM t_active WHERE note = 'note 1'$$, true);
SELECT count(*) FROM t_active WHERE note = 'note 1';
-- for each row of another table
CREATE TABLE wanted (id text);
INSERT INTO wanted VALUES ('s0003'), ('s0005'), ('none'), (NULL);
ANALYZE wanted;
SELECT plan($$SELECT * FROM wanted AS w JOIN t_active AS t ON t.id = w.id$$, true);
SELECT w.id, t.note FROM wanted AS w LEFT JOIN t_active AS t ON t.id = w.id ORDER BY w.id;
-- two sorted ones are merged
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT plan($$SELECT count(*) FROM t_active AS a JOIN t_latest AS b ON a.id = b.id$$, true);
RESET enable_hashjoin;
RESET enable_nestloop;

--
-- Rows that not everybody sees
--
BEGIN;
UPDATE t SET note = 'updated' WHERE id = 's0001' AND note = 'note 3';
INSERT INTO t VALUES ('s0002', 1, 'inserted', '2024-01-01', '2024-05-01', NULL, 'v1');
DELETE FROM t WHERE id = 's0003' AND note = 'note 3';
SELECT id, note FROM t_active WHERE id IN ('s0001', 's0002', 's0003') ORDER BY id;
SELECT plan($$SELECT count(*) FROM t_active$$, true);
ROLLBACK;
SELECT id, note FROM t_active WHERE id IN ('s0001', 's0002', 's0003') ORDER BY id;
SELECT count(*), count(*) FILTER (WHERE note = 'note 3') FROM t_active;

--
-- In the order of the heap, with little memory
--
CREATE TABLE heap (id int NOT NULL, note text) WITH (fillfactor = 70);
SELECT metaxy_register('heap', 'heap', '{id}');
INSERT INTO heap
SELECT id, note, '2024-01-01', recency, CASE WHEN note = 'note 3' AND id % 50 = 0 THEN recency END
  FROM (SELECT i * 7919 % 3000 AS id, 'note ' || k AS note, timestamptz '2024-01-01' + k * interval '1 day' AS recency
		  FROM generate_series(0, 2999) AS i, generate_series(1, 3) AS k) AS row;
ANALYZE heap;
SET work_mem = '64kB';
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
-- what the scan and the plain SQL say: one line, if it is the same
CREATE FUNCTION answers() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	plain text;
	query text := 'SELECT (count(*), sum(id), min(note), sum(length(note)))::text FROM heap_active';
BEGIN
	EXECUTE query INTO answer;
	PERFORM set_config('metaxy.enable_latest_scan', 'off', true);
	EXECUTE query INTO plain;
	PERFORM set_config('metaxy.enable_latest_scan', 'on', true);
	RETURN QUERY SELECT answer UNION SELECT plain;
END $$;
-- in batches, as long as older rows may be needed
SELECT plan('SELECT * FROM heap_active', true);
SELECT answers();
-- all at once, when all rows are visible
VACUUM (ANALYZE) heap;
SELECT plan('SELECT * FROM heap_active', true);
SELECT answers();
-- rows that have moved within their page, before and after VACUUM; and some
-- that not everybody sees among all the others
UPDATE heap SET note = 'note 3, updated' WHERE id % 100 = 7 AND note = 'note 3';
INSERT INTO heap SELECT i, 'new', '2024-01-01', '2024-05-01' FROM generate_series(1, 100) AS i;
SELECT plan('SELECT * FROM heap_active', true);
SELECT answers();
VACUUM heap;
SELECT plan('SELECT * FROM heap_active', true);
SELECT answers();
-- over again, with rows left from the time before
SET enable_seqscan = off;
SET seq_page_cost = 0;
SELECT plan($$SELECT n, (SELECT count(note) FROM (SELECT note FROM heap_active WHERE id >= 3000 - n AND length(note) * 0 = 0 LIMIT 5) AS few)
  FROM (VALUES (500), (3), (500), (0)) AS v (n)$$);
SELECT n, (SELECT count(note) FROM (SELECT note FROM heap_active WHERE id >= 3000 - n AND length(note) * 0 = 0 LIMIT 5) AS few)
  FROM (VALUES (500), (3), (500), (0)) AS v (n);
RESET seq_page_cost;
RESET enable_seqscan;
-- in SERIALIZABLE each row is asked
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT answers();
COMMIT;
-- places behind those that there are bits for: few rows are left on each page
DELETE FROM heap WHERE id % 20 <> 13 OR note = 'note 1';
VACUUM (ANALYZE) heap;
SELECT plan('SELECT * FROM heap_active', true);
SELECT answers();
-- a table that has grown since the scan began, which gives what was there
BEGIN;
DECLARE c CURSOR FOR SELECT note FROM heap_active;
FETCH c;
INSERT INTO heap SELECT i, 'newer', '2024-01-01', '2024-06-01' FROM generate_series(0, 5000) AS i;
MOVE ALL c;
COMMIT;
SELECT answers();
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;
RESET work_mem;

--
-- Many versions of a sample: the rest is jumped over
--
CREATE TABLE many (a int NOT NULL, b text NOT NULL, note int);
SELECT metaxy_register('many', 'many', '{a, b}');
INSERT INTO many
SELECT i % 3, 'b' || i % 2, k, '2024-01-01', timestamptz '2024-01-01' + k * interval '1 minute'
  FROM generate_series(1, 6) AS i, generate_series(1, 3000) AS k;
VACUUM ANALYZE many;
SELECT plan('SELECT * FROM many_active ORDER BY a DESC, b DESC', true);
SELECT a, b, note FROM many_active ORDER BY a DESC, b DESC;
SELECT plan('SELECT * FROM many_active ORDER BY a, b', true);
SELECT a, b, note FROM many_active ORDER BY a, b;
SELECT a, b, note FROM many_active WHERE a = 1 ORDER BY b DESC;
-- the newest are seen by nobody
BEGIN;
INSERT INTO many
SELECT 0, 'b0', 5000 + k, '2024-01-01', timestamptz '2024-02-01' + k * interval '1 minute' FROM generate_series(1, 3000) AS k;
ROLLBACK;
SELECT plan('SELECT * FROM many_active WHERE a = 0 ORDER BY a, b');
SELECT a, b, note FROM many_active WHERE a = 0 ORDER BY a, b;
SELECT a, b, note FROM many_active WHERE a = 0 ORDER BY a DESC, b DESC;
SELECT a, b, note FROM many_active WHERE b = 'b1' ORDER BY a DESC;
-- conditions on the second key, without and with the first
SET enable_sort = off;
SELECT plan($$SELECT * FROM many_active WHERE b >= 'b1' ORDER BY a$$, true);
SELECT plan($$SELECT * FROM many_active WHERE a > 0 AND a < 2 AND b = 'b1' ORDER BY a$$, true);
SELECT plan($$SELECT a, b FROM many_active WHERE a = ANY ('{2,0}'::int8[]) AND b = ANY ('{b1,b0}') ORDER BY a, b$$, true);
SELECT a, b FROM many_active WHERE a = ANY ('{2,0}'::int8[]) AND b = ANY ('{b1,b0}') ORDER BY a, b;
SELECT a, b FROM many_active WHERE a = ANY ('{2,0}'::int8[]) AND b = ANY ('{b1,b0}') ORDER BY a DESC, b DESC;
SELECT plan($$SELECT a, b FROM many_active WHERE a >= 1 AND b = ANY ('{b1,b2}') ORDER BY a$$, true);
RESET enable_sort;
-- jumps down an index that is sorted down
SELECT metaxy_views('many', false);
CREATE INDEX ON many (a DESC, b DESC, (coalesce(metaxy_deleted_at, metaxy_updated_at)) DESC);
SELECT indexrelid::regclass AS other FROM pg_index
 WHERE indrelid = 'many'::regclass AND indoption[0] = 0 \gset
DROP INDEX :other;
SELECT metaxy_views('many', true);
SET enable_sort = off;
SELECT plan('SELECT * FROM many_active ORDER BY a DESC, b DESC', true);
SELECT a, b, note FROM many_active ORDER BY a DESC, b DESC;
SELECT a, b, note FROM many_active WHERE a >= 1 ORDER BY a DESC, b DESC;
SELECT plan('SELECT * FROM many_active ORDER BY a, b', true);
SELECT a, b, note FROM many_active ORDER BY a, b;
RESET enable_sort;

--
-- An index of old, without the tombstones
--
CREATE TABLE old (id int NOT NULL, note text);
SELECT metaxy_register('old', 'old', '{id}', indexes => false);
SELECT scans('SELECT * FROM old_active');
CREATE INDEX old_idx ON old (id, (coalesce(metaxy_deleted_at, metaxy_updated_at)));
INSERT INTO old SELECT i % 100, 'note ' || i, '2024-01-01', timestamptz '2024-01-01' + i * interval '1 hour', CASE WHEN i = 299 THEN timestamptz '2025-01-01' END
  FROM generate_series(1, 300) AS i;
VACUUM ANALYZE old;
SELECT metaxy_register('old', 'old', '{id}');
SELECT count(*) AS indexes FROM pg_index WHERE indrelid = 'old'::regclass;
SELECT plan('SELECT count(*) FROM old_active', true);
SELECT plan('SELECT count(*) FROM old_latest', true);
SELECT count(*) FROM old_active;

--
-- Ties: a tombstone beats a live row, then the ctid decides
--
CREATE TABLE tie (id int NOT NULL, note text);
SELECT metaxy_register('tie', 'tie', '{id}');
INSERT INTO tie VALUES
	(1, 'live', '2024-01-01', '2024-01-05', NULL),
	(1, 'tombstone', '2024-01-01', '2024-01-01', '2024-01-05'),
	(1, 'live, too', '2024-01-01', '2024-01-05', NULL),
	(2, 'first', '2024-01-01', '2024-01-05', NULL),
	(2, 'second', '2024-01-01', '2024-01-05', NULL),
	(3, 'first', '2024-01-01', '2024-01-01', '2024-01-05'),
	(3, 'second', '2024-01-01', '2024-01-01', '2024-01-05');
SELECT id, note FROM tie_latest ORDER BY id;
SELECT id, note FROM tie_latest ORDER BY id DESC;
-- where the row lies, not where the index has it
UPDATE tie SET note = 'first, updated' WHERE note = 'first';
SELECT id, note FROM tie_latest ORDER BY id;
SELECT id, note FROM tie_latest ORDER BY id DESC;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SET enable_seqscan = off;
SET random_page_cost = 1000;
VACUUM ANALYZE tie;
SELECT plan('SELECT * FROM tie_latest', true);
SELECT id, note FROM tie_latest;
RESET random_page_cost;
RESET enable_seqscan;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;

-- blanks at the end do not make another sample
CREATE TABLE blank (id bpchar NOT NULL, note text);
SELECT metaxy_register('blank', 'blank', '{id}');
INSERT INTO blank VALUES
	('a', 'first', '2024-01-01', '2024-01-01', NULL), ('a ', 'second', '2024-01-01', '2024-01-02', NULL);
SELECT note FROM blank_active;

--
-- Partitions, where all rows of a sample are in one
--
CREATE TABLE parted (id int, part text, note text) PARTITION BY LIST (part);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
CREATE TABLE parted_b (note text, gone int, part text, id int);
ALTER TABLE parted_b DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_b FOR VALUES IN ('b');
SELECT metaxy_register('parted', 'parted', '{id,part}');
INSERT INTO parted
SELECT i % 1000, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, 'note ' || i, '2024-01-01', timestamptz '2024-01-01' + i * interval '1 minute',
       CASE WHEN i % 77 = 0 THEN timestamptz '2024-01-03' END
  FROM generate_series(1, 3000) AS i;
VACUUM ANALYZE parted;
SELECT plan('SELECT * FROM parted_active', true);
SELECT plan('SELECT count(*) FROM parted_active', true);
SELECT plan($$SELECT note FROM parted_active WHERE id = 7 AND part = 'b'$$, true);
SELECT note, tableoid::regclass FROM (SELECT *, tableoid FROM parted) AS p WHERE id = 7 AND part = 'b' ORDER BY note;
SELECT note FROM parted_active WHERE id = 7 AND part = 'b';
SELECT count(*), sum(id) FROM parted_active;
SET metaxy.enable_latest_scan = off;
SELECT count(*), sum(id) FROM parted_active;
RESET metaxy.enable_latest_scan;
-- where they may be anywhere, the plain SQL
CREATE TABLE anywhere (id int, note int) PARTITION BY HASH (note);
CREATE TABLE anywhere_0 PARTITION OF anywhere FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE anywhere_1 PARTITION OF anywhere FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT metaxy_register('anywhere', 'anywhere', '{id}');
INSERT INTO anywhere SELECT i % 10, i, '2024-01-01', timestamptz '2024-01-01' + i * interval '1 day' FROM generate_series(1, 30) AS i;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT scans('SELECT * FROM parted_active');
SELECT scans('SELECT * FROM anywhere_active');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT count(*), sum(note) FROM anywhere_active;

--
-- Not for us
--
SELECT scans('SELECT * FROM t_active');
SET metaxy.enable_latest_scan = off;
SELECT scans('SELECT * FROM t_active');
RESET metaxy.enable_latest_scan;
SELECT scans('SELECT * FROM t_active FOR UPDATE');
SELECT scans('SELECT * FROM t_active FOR KEY SHARE');
SELECT scans($$UPDATE wanted SET id = t.id FROM t_active AS t WHERE t.id = wanted.id$$);
SELECT scans($$DELETE FROM t_active$$);
SELECT scans($$INSERT INTO wanted SELECT id FROM t_active$$);
-- what may be null is equal to nothing
ALTER TABLE t ALTER COLUMN id DROP NOT NULL;
SELECT scans('SELECT * FROM t_active');
ALTER TABLE t ALTER COLUMN id SET NOT NULL, ALTER COLUMN metaxy_updated_at DROP NOT NULL;
SELECT scans('SELECT * FROM t_active');
ALTER TABLE t ALTER COLUMN metaxy_updated_at SET NOT NULL;
SELECT scans('SELECT * FROM t_active');
-- policies
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (grp < 5);
GRANT SELECT ON t TO regress_metaxy_reader;
SELECT scans('SELECT * FROM t_active');
SET ROLE regress_metaxy_reader;
SELECT scans('SELECT * FROM t_active');
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
SET ROLE regress_metaxy_reader;
SELECT scans('SELECT * FROM t_active');
RESET ROLE;
-- tables with children
CREATE TABLE family (id int NOT NULL, note text);
SELECT metaxy_register('family', 'family', '{id}');
INSERT INTO family SELECT i % 100, 'note ' || i, '2024-01-01', timestamptz '2024-01-01' + i * interval '1 hour' FROM generate_series(1, 10000) AS i;
VACUUM ANALYZE family;
SELECT scans('SELECT * FROM family_active');
CREATE TABLE child () INHERITS (family);
SELECT scans('SELECT * FROM family_active');
-- by hand: the same, and nearly the same
CREATE FUNCTION by_hand(more text DEFAULT 'true', rank text DEFAULT '>', equal text DEFAULT 'later.id = t.id', scope text DEFAULT $$= 'v1'$$, later_scope text DEFAULT $$= 'v1'$$, outer_from text DEFAULT 't')
RETURNS boolean LANGUAGE sql AS $$
	SELECT scans(format('SELECT * FROM %s WHERE t.metaxy_feature_version %s AND NOT EXISTS (SELECT FROM t AS later WHERE later.metaxy_feature_version %s AND %s AND %s
		AND (coalesce(later.metaxy_deleted_at, later.metaxy_updated_at), later.metaxy_deleted_at IS NOT NULL, later.tableoid, later.ctid)
		  %s (coalesce(t.metaxy_deleted_at, t.metaxy_updated_at), t.metaxy_deleted_at IS NOT NULL, t.tableoid, t.ctid))', outer_from, scope, later_scope, equal, more, rank))
$$;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT by_hand();
SELECT by_hand(more => 'later.grp = 1');
SELECT by_hand(more => 'later.grp = t.grp');
SELECT by_hand(more => 'later.grp > t.grp');
SELECT by_hand(rank => '>=');
SELECT by_hand(rank => '<');
SELECT by_hand(equal => 'later.id >= t.id');
SELECT by_hand(equal => 'later.id COLLATE "C" = t.id');
SELECT by_hand(equal => 'later.id = t.note');
SELECT by_hand(equal => 'true');
SELECT by_hand(scope => $$= 'v2'$$);
SELECT by_hand(scope => $$> 'v0'$$, later_scope => $$> 'v0'$$);
SELECT by_hand(scope => 'IS NOT NULL', later_scope => 'IS NOT NULL');
SELECT by_hand(outer_from => 't TABLESAMPLE system (50)');
SELECT by_hand(outer_from => '(SELECT *, tableoid, ctid FROM t OFFSET 0) AS t');
-- each version by itself
SELECT by_hand(equal => 'later.id = t.id AND later.metaxy_feature_version = t.metaxy_feature_version');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;

--
-- Prepared statements see what becomes of the index, the scope, the setting
--
SET plan_cache_mode = force_generic_plan;
PREPARE one (text) AS SELECT id, note FROM t_active WHERE id = $1;
PREPARE counts AS SELECT count(*), count(note) FROM t_active;
SELECT plan($$EXECUTE one ('s0001')$$, true);
EXECUTE one ('s0001');
EXECUTE one (NULL);
EXECUTE counts;
SELECT indexrelid::regclass AS index FROM pg_index WHERE indrelid = 't'::regclass \gset
DROP INDEX :index;
SELECT scans($$EXECUTE one ('s0001')$$);
EXECUTE one ('s0001');
EXECUTE counts;
CREATE INDEX t_idx ON t (id, metaxy_feature_version, (coalesce(metaxy_deleted_at, metaxy_updated_at)) DESC);
SELECT plan($$EXECUTE one ('s0001')$$, true);
EXECUTE one ('s0001');
EXECUTE counts;
SELECT metaxy_register('t', 't', '{id}', 'v2');
EXECUTE one ('s0001');
EXECUTE one ('x1');
EXECUTE counts;
SELECT metaxy_register('t', 't', '{id}', 'v1');
ALTER TABLE t ADD COLUMN more int DEFAULT 7;
EXECUTE one ('s0001');
DEALLOCATE ALL;
RESET plan_cache_mode;

--
-- Cursors, forwards and backwards; it is read again for each outer row
--
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, note FROM t_active ORDER BY id;
FETCH 2 FROM c;
MOVE 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH LAST FROM c;
FETCH FIRST FROM c;
CLOSE c;
-- rows that are written meanwhile are not seen
DECLARE c CURSOR FOR SELECT id, note FROM t_active WHERE id < 's0003';
INSERT INTO t VALUES ('s0001', 1, 'inserted', '2024-01-01', '2024-05-01', NULL, 'v1');
FETCH ALL FROM c;
SELECT id, note FROM t_active WHERE id = 's0001';
ROLLBACK;
SELECT g, l.id FROM generate_series(1, 3) AS g, LATERAL (SELECT * FROM t_active WHERE grp = g ORDER BY id DESC LIMIT 2) AS l;

--
-- In parallel, each process takes one range of ids after the other
--
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
ANALYZE t;
SELECT plan('SELECT count(*), count(note), sum(grp) FROM t_active');
SELECT count(*), count(note), sum(grp) FROM t_active;
-- counts are those of all processes
SELECT plan('SELECT count(*) FROM t_active');
SELECT p FROM plan('SELECT count(*) FROM t_active', true) AS p WHERE p ~ 'Keys:';
SET max_parallel_workers = 0;
SELECT count(*), count(note), sum(grp) FROM t_active;
RESET max_parallel_workers;
SET parallel_leader_participation = off;
SELECT count(*), count(note), sum(grp) FROM t_active;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
SELECT count(*), count(note), sum(grp) FROM t_active;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET min_parallel_index_scan_size;
-- and a worker can run the whole of it
SELECT set_config(CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END, 'on', false);
SET max_parallel_workers_per_gather = 2;
SELECT count(*), count(note) FROM t_active;
SELECT set_config(CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END, 'off', false);

--
-- A new session knows nothing of it till it reads a view
--
\c -
SET search_path = ls, public;
SELECT scans('SELECT * FROM t_active');
-- the use of the index is counted
CREATE TABLE counted (id int NOT NULL, note text);
SELECT metaxy_register('counted', 'counted', '{id}');
INSERT INTO counted SELECT i, 'note', '2024-01-01', '2024-01-01' FROM generate_series(1, 100) AS i;
SELECT count(note) FROM counted_active;
SELECT pg_stat_force_next_flush();
SELECT idx_scan, idx_tup_read, idx_tup_fetch FROM pg_stat_user_indexes WHERE relname = 'counted';

SET client_min_messages = warning;
SELECT metaxy_unregister(feature) FROM metaxy_feature;
DROP SCHEMA ls CASCADE;
DROP ROLE regress_metaxy_reader;
