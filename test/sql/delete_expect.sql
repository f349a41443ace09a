--
-- metaxy_delete: the dry run tells the truth; max_samples, expect and the digest
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE SCHEMA metaxy_expect;
SET search_path = metaxy_expect, public;
SET client_min_messages = warning;
\set result 'step, feature, samples, "rows", stale, deletion_id, stamp'

CREATE TABLE video (video_id text, n int, data text, metaxy_feature_version text,
	metaxy_created_at timestamptz DEFAULT '2024-01-01', metaxy_updated_at timestamptz DEFAULT '2024-01-01', metaxy_deleted_at timestamptz);
CREATE TABLE chunk (part int, video_id text, data text, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz DEFAULT '2024-01-01', metaxy_deleted_at timestamptz);
CREATE TABLE mean (video_id text, data numeric, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz DEFAULT '2024-01-01', metaxy_deleted_at timestamptz);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');
SELECT metaxy_register('chunk', 'chunk', '{video_id,part}');
SELECT metaxy_register('mean', 'mean', '{video_id}');
SELECT metaxy_depend('chunk', 'video', '1:N'), metaxy_depend('mean', 'chunk', 'N:1');
INSERT INTO video SELECT 'v' || i, i, md5(i::text), 'v1' FROM generate_series(1, 200) AS i;
INSERT INTO video SELECT 'v' || i, i, 'old', 'v1', '2023-01-01', '2023-01-01' FROM generate_series(1, 200, 3) AS i;
INSERT INTO video SELECT 'v' || i, i, 'gone', 'v1', '2024-01-01', '2024-01-01', '2024-01-02' FROM generate_series(1, 200, 7) AS i;
INSERT INTO chunk SELECT p, 'v' || i, md5(p::text) FROM generate_series(1, 200) AS i, generate_series(1, 3) AS p;
INSERT INTO mean SELECT 'v' || i, i FROM generate_series(1, 210) AS i;

--
-- A dry run: the same counts in the same order, and nothing written.  It takes
-- ACCESS SHARE alone, and works where nothing can be written.
--
SELECT count(*) AS ledger FROM metaxy_deletions \gset
SELECT last_value AS last FROM metaxy_deletion_id_seq \gset
CREATE VIEW rows AS
		  SELECT tableoid AS rel, ctid AS place, xmin AS writer FROM video
UNION ALL SELECT tableoid, ctid, xmin FROM chunk
UNION ALL SELECT tableoid, ctid, xmin FROM mean;
CREATE TABLE before AS SELECT * FROM rows;
BEGIN READ ONLY;
SELECT :result FROM metaxy_delete('video', 'n % 2 = 0', dry_run => true, cascade => 'downstream');
SELECT :result FROM metaxy_delete('video', 'n % 2 = 0', dry_run => true, cascade => 'downstream', soft => false);
SELECT c.relname, l.mode FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
 WHERE l.pid = pg_backend_pid() AND c.relname IN ('video', 'chunk', 'mean') ORDER BY 1, 2;
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_transaction_id;
COMMIT;
SELECT count(*) = :ledger AS same_ledger FROM metaxy_deletions;
SELECT last_value = :last AS same_sequence FROM metaxy_deletion_id_seq;
SELECT count(*) AS changed FROM (TABLE before EXCEPT TABLE rows UNION ALL (TABLE rows EXCEPT TABLE before)) AS x;

-- Each request dry, then real with the digest expected, then dry again: the
-- first two say the same, the last one finds nothing more (but what a cascade up
-- or a hard delete of rows left).
CREATE FUNCTION dry_and_real(options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry jsonb;
	wet jsonb;
	digest text;
	again bigint;
BEGIN
	EXECUTE format('SELECT jsonb_agg(to_jsonb(d) - ''{stamp,deletion_id}''::text[] ORDER BY step), min(digest)
		FROM metaxy_delete(%s, dry_run => true) AS d', options) INTO dry, digest;
	EXECUTE format('SELECT jsonb_agg(to_jsonb(d) - ''{stamp,deletion_id}''::text[] ORDER BY step)
		FROM metaxy_delete(%s, expect => %L) AS d', options, digest) INTO wet;
	EXECUTE format('SELECT sum(samples) FROM metaxy_delete(%s, dry_run => true) AS d', options) INTO again;
	RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = CASE WHEN dry = wet THEN 'same: ' ELSE 'different: ' || dry::text || ' ' END ||
		(SELECT string_agg(concat_ws(' ', x ->> 'feature', x ->> 'samples', x ->> 'rows', x ->> 'stale'), ', ' ORDER BY x -> 'step')
		 FROM jsonb_array_elements(wet) AS x) || '; then ' || again;
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	RETURN SQLERRM;
END $$;
SELECT o, dry_and_real(o) FROM unnest(ARRAY[
	$$'video', 'n < 20'$$,
	$$'video', 'n < 20', cascade => 'downstream'$$,
	$$'video', NULL, cascade => 'downstream'$$,
	$$'video', 'n < 20', cascade => 'downstream', soft => false$$,
	$$'video', NULL, cascade => 'downstream', soft => false, all_rows => true$$,
	$$'video', 'n < 20', soft => false, with_feature_history => true$$,
	$$'chunk', 'part = 2', cascade => 'upstream'$$,
	$$'chunk', 'part = 2', cascade => 'downstream'$$,
	$$'chunk', 'part = 2', cascade => 'downstream', partial => 'delete'$$,
	$$'mean', 'data > 190', cascade => 'both'$$,
	$$'video', $f$data = 'old'$f$, with_sample_history => true$$,
	$$'video', $f$data = 'old'$f$, with_sample_history => true, soft => false$$]) WITH ORDINALITY AS u (o, n) ORDER BY n;

--
-- The digest: of the doomed samples and their latest rows, in whatever order and
-- by whatever plan they are found
--
SELECT digest FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', dry_run => true) LIMIT 1 \gset
CREATE FUNCTION same(expected text) RETURNS boolean LANGUAGE sql VOLATILE AS
	$$ SELECT digest = expected FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', dry_run => true) LIMIT 1 $$;
SELECT same(:'digest');
SET enable_hashjoin = off;
SELECT same(:'digest');
SET enable_mergejoin = off;
SELECT same(:'digest');
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT same(:'digest');
SET enable_seqscan = off;
RESET enable_indexscan;
SELECT same(:'digest');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_bitmapscan;
RESET enable_seqscan;
SET work_mem = '64kB';
SELECT same(:'digest');
RESET work_mem;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT same(:'digest');
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- nor do places matter, nor when statistics were taken, nor how the same is asked
VACUUM FULL video, chunk, mean;
SELECT same(:'digest');
CREATE INDEX chunk_data ON chunk (data);
CLUSTER chunk USING chunk_data;
ANALYZE video, chunk, mean;
SELECT same(:'digest');
VACUUM FREEZE video, chunk, mean;
SELECT same(:'digest');
SELECT DISTINCT digest = :'digest' AS same
  FROM metaxy_delete('{video}'::text[], ARRAY['NOT n >= 50', 'true'], cascade => 'Downstream', dry_run => true, reason => 'why');
-- another request for other samples has another, and each of these changes it
SELECT digest = :'digest' AS same FROM metaxy_delete('video', 'n < 49', cascade => 'downstream', dry_run => true) LIMIT 1;
SELECT digest = :'digest' AS same FROM metaxy_delete('video', 'n < 50', dry_run => true);
BEGIN;
-- the same sample of two features, written by one transaction
INSERT INTO video VALUES ('twin', 1000, 'x', 'v1');
INSERT INTO mean VALUES ('twin', 1000);
SELECT v.digest = m.digest AS same FROM metaxy_delete('video', 'n = 1000', dry_run => true) AS v,
	metaxy_delete('mean', 'data = 1000', dry_run => true) AS m;
-- one more doomed sample
SAVEPOINT s;
INSERT INTO video VALUES ('new', 1, 'x', 'v1');
SELECT same(:'digest');
ROLLBACK TO s;
-- one less
DELETE FROM video WHERE video_id = 'v3';
SELECT same(:'digest');
ROLLBACK TO s;
-- one that is written again, as it was
INSERT INTO video SELECT video_id, n, data, 'v1', metaxy_created_at, metaxy_updated_at + interval '1 second' FROM video WHERE video_id = 'v2';
SELECT same(:'digest');
ROLLBACK TO s;
-- updated in place, in a column that nobody asks for, and even to what it was
UPDATE video SET data = data || 'x' WHERE video_id = 'v2';
SELECT same(:'digest');
ROLLBACK TO s;
UPDATE video SET data = data WHERE video_id = 'v2' AND metaxy_updated_at > '2023-12-01';
SELECT same(:'digest');
ROLLBACK TO s;
-- in a feature further down: one more, one less, one changed
INSERT INTO chunk VALUES (4, 'v2', 'x');
SELECT same(:'digest');
ROLLBACK TO s;
DELETE FROM chunk WHERE (part, video_id) = (1, 'v2');
SELECT same(:'digest');
ROLLBACK TO s;
UPDATE mean SET data = data WHERE video_id = 'v2';
SELECT same(:'digest');
ROLLBACK TO s;
-- deleted in the meantime
SELECT samples FROM metaxy_delete('video', $$video_id = 'v2'$$);
SELECT same(:'digest');
ROLLBACK TO s;
-- what is not doomed may change at will: other samples, superseded rows
UPDATE video SET data = 'y' WHERE n >= 50;
INSERT INTO chunk VALUES (9, 'v60', 'x');
UPDATE video SET data = 'older' WHERE data = 'old';
SELECT same(:'digest');
ROLLBACK;
-- rows written and taken back do not matter
SELECT same(:'digest');

--
-- expect: the plan that was looked at, or nothing
--
\set VERBOSITY sqlstate
BEGIN;
UPDATE mean SET data = data WHERE video_id = 'v2';
SELECT samples FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', expect => :'digest');		-- error
ROLLBACK;
SELECT samples FROM metaxy_delete('video', 'n < 52', cascade => 'downstream', expect => :'digest');		-- error
SELECT samples FROM metaxy_delete('video', 'n < 52', cascade => 'downstream', dry_run => true, expect => :'digest');	-- error
SELECT samples FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', expect => upper(:'digest') || ' ');		-- error
SELECT count(*) = :ledger AS same_ledger FROM metaxy_deletions;
BEGIN;
SELECT samples, digest = :'digest' AS same FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', expect => :'digest');
-- once done, it is no longer what was expected
SELECT samples FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', expect => :'digest');		-- error
ROLLBACK;
SELECT samples, digest = :'digest' AS same FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', dry_run => true, expect => :'digest');

--
-- max_samples: of all features together
--
SELECT sum(samples) AS n FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', dry_run => true) \gset
SELECT :n - 1 AS less \gset
SELECT samples FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', max_samples => :less);		-- error
SELECT samples FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', max_samples => :less, dry_run => true);	-- error
SELECT samples FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', max_samples => 0);			-- error
SELECT samples FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', max_samples => -1);			-- error
SELECT samples FROM metaxy_delete('video', 'n < 50', max_samples => 41);									-- error
SELECT samples FROM metaxy_delete('video', NULL, soft => false, all_rows => true, max_samples => 199);		-- error
SELECT sum(samples) = :n AS all_of_them
  FROM metaxy_delete('video', 'n < 50', cascade => 'downstream', max_samples => :n, dry_run => true);
SELECT samples FROM metaxy_delete('video', 'n < 50', max_samples => 42, dry_run => true);
SELECT samples FROM metaxy_delete('video', 'false', max_samples => 0, dry_run => true);
-- samples count, not rows
SELECT samples, "rows" FROM metaxy_delete('video', 'n < 50', max_samples => 49, soft => false, dry_run => true);
SELECT samples FROM metaxy_delete('video', 'n < 50', max_samples => 48, soft => false);					-- error
SELECT samples, "rows" FROM metaxy_delete('video', 'n = 4', max_samples => 1, soft => false, with_sample_history => true, dry_run => true);
SELECT count(*) = :ledger AS same_ledger FROM metaxy_deletions;

SELECT metaxy_unregister(f) FROM unnest('{mean,chunk,video}'::text[]) AS f;
DROP SCHEMA metaxy_expect CASCADE;
