--
-- metaxy_purge: what has long been deleted goes, what is active stays
--
CREATE SCHEMA metaxy_purge;
SET search_path = metaxy_purge, public;
SET client_min_messages = notice;
DO $$ BEGIN PERFORM setval('metaxy_clock', 1); END $$;		-- other tests have left it ahead

CREATE TABLE video (video_id text, part integer, size integer);
SELECT metaxy_register('video', 'video', '{video_id,part}', 'v1');
INSERT INTO video SELECT 'v' || i, 1, i FROM generate_series(1, 6) AS i;
INSERT INTO video SELECT 'v' || i, 1, i * 10 FROM generate_series(1, 6) AS i;
-- v1 and v2 are deleted, v3 was and is back, v4 is deleted again
SELECT samples FROM metaxy_delete('video', 'size <= 40');
INSERT INTO video VALUES ('v3', 1, 300), ('v4', 1, 400);
SELECT samples FROM metaxy_delete('video', 'size = 400');
SELECT metaxy_register('video', 'video', '{video_id,part}', 'v2');
-- v5 is active in the new version, deleted later in the old one; v6 deleted in the new one
INSERT INTO video VALUES ('v5', 1, 500), ('v6', 1, 600), ('v7', 1, 700);
SELECT samples FROM metaxy_delete('video', $$video_id = 'v5'$$, feature_version => 'v1');
SELECT samples FROM metaxy_delete('video', 'size = 600');
CREATE VIEW rows AS SELECT video_id, metaxy_feature_version AS version, count(*) - count(metaxy_deleted_at) AS live,
	count(metaxy_deleted_at) AS tombstones FROM video GROUP BY 1, 2 ORDER BY 1, 2;
TABLE rows;
CREATE TABLE before AS TABLE video_active;

-- nothing is that old
CALL metaxy_purge('video', '1 hour');
CALL metaxy_purge('video', '1 hour', history => true);
-- a dry run may be part of a transaction
BEGIN READ ONLY;
CALL metaxy_purge('video', '0', dry_run => true, bytes => NULL) \gset
SELECT :purged_samples AS samples, :purged_rows AS rows, :bytes > 500 AS bytes;
ROLLBACK;
CALL metaxy_purge('video', '0', history => true, dry_run => true) \gset
SELECT :purged_samples AS samples, :purged_rows AS rows;
CALL metaxy_purge('video', '0', batch_size => 2) \gset
SELECT :purged_samples AS samples, :purged_rows AS rows, :bytes > 500 AS bytes;
TABLE rows;
CALL metaxy_purge('video', '0');		-- nothing is left
CREATE TABLE seen AS SELECT clock_timestamp() AS at;
CREATE TABLE former AS SELECT * FROM metaxy_read(NULL::video, as_of => (SELECT at FROM seen), feature_version => 'v1');
SET metaxy.clock_shift = '1min';
INSERT INTO video VALUES ('v7', 1, 701), ('v7', 2, 702);
CALL metaxy_purge('video', '30s', history => true, batch_size => 1) \gset
RESET metaxy.clock_shift;
SELECT :purged_samples AS samples, :purged_rows AS rows;
TABLE rows;
-- reads as of then are what they were
(TABLE former EXCEPT SELECT * FROM metaxy_read(NULL::video, as_of => (SELECT at FROM seen), feature_version => 'v1')) UNION ALL
(SELECT * FROM metaxy_read(NULL::video, as_of => (SELECT at FROM seen), feature_version => 'v1') EXCEPT TABLE former);
-- and what is active
SELECT video_id, part, size FROM video_active ORDER BY 1, 2;
(SELECT video_id FROM before EXCEPT SELECT video_id FROM video_active);
SELECT soft, options - 'older_than' AS options, samples, "rows" FROM metaxy_deletions WHERE kind = 'purge' AND features = '{video}' ORDER BY id;
SELECT feature, relation_name, s.samples, s."rows" FROM metaxy_deletion_steps AS s JOIN metaxy_deletions AS d ON d.id = s.deletion_id
 WHERE kind = 'purge' AND features = '{video}' ORDER BY deletion_id;

-- a row that nobody stamped, older than the tombstone, keeps it
SELECT metaxy_unregister('video');
TRUNCATE video;
DO $$ BEGIN PERFORM setval('metaxy_clock', 1); END $$;
SELECT metaxy_register('video', 'video', '{video_id,part}', 'v2');
INSERT INTO video SELECT 'w' || i, 1, i FROM generate_series(1, 3) AS i;
SELECT samples FROM metaxy_delete('video');
CREATE FUNCTION backfill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL metaxy.stamp = off;
	INSERT INTO video SELECT 'w2', 1, 2, '2020-01-01', '2020-01-01', NULL, 'v2'
	 WHERE NOT EXISTS (SELECT FROM video WHERE metaxy_updated_at = '2020-01-01');
	RETURN NULL;
END $$;
CREATE TRIGGER backfill AFTER DELETE ON video FOR EACH STATEMENT EXECUTE FUNCTION backfill();
CALL metaxy_purge('video', '0') \gset
SELECT :purged_samples AS samples, :purged_rows AS rows;
TABLE rows;
SELECT count(*) FROM video_active;
CALL metaxy_purge('video', '0') \gset
SELECT :purged_samples AS samples, :purged_rows AS rows;
-- nor does one go whose live rows a trigger keeps
DROP TRIGGER backfill ON video;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON video FOR EACH ROW WHEN (OLD.metaxy_deleted_at IS NULL) EXECUTE FUNCTION keep();
CALL metaxy_purge('video', '0') \gset
SELECT :purged_samples AS samples, :purged_rows AS rows;
SELECT count(*) FROM video_active;
DROP TRIGGER keep ON video;
CALL metaxy_purge('video', '0') \gset
SELECT :purged_samples AS samples, :purged_rows AS rows;
SELECT count(*) FROM video;

-- between two batches, a backfill makes a sample active in the current version,
-- below the tombstone of another one
SELECT metaxy_register('video', 'video', '{video_id,part}', 'v1');
INSERT INTO video VALUES ('x1', 1, 1), ('x2', 1, 2);
SELECT metaxy_register('video', 'video', '{video_id,part}', 'v2');
INSERT INTO video VALUES ('x2', 1, 3);
SELECT samples FROM metaxy_delete('video');
SELECT samples FROM metaxy_delete('video', feature_version => 'v1');
CREATE OR REPLACE FUNCTION backfill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL metaxy.stamp = off;
	INSERT INTO video
	SELECT video_id, part, 4, metaxy_created_at, metaxy_deleted_at + interval '1 microsecond', NULL, 'v2'
	  FROM video
	 WHERE metaxy_feature_version = 'v2' AND metaxy_deleted_at IS NOT NULL
	   AND NOT EXISTS (SELECT FROM video WHERE size = 4);
	RETURN NULL;
END $$;
CREATE TRIGGER backfill AFTER DELETE ON video FOR EACH STATEMENT EXECUTE FUNCTION backfill();
CALL metaxy_purge('video', '0', batch_size => 1) \gset
SELECT :purged_samples AS samples, :purged_rows AS rows;
TABLE rows;
SELECT video_id, size FROM video_active;

-- partitions, no versions, no index
CREATE TABLE chunk (chunk_id integer, size integer) PARTITION BY HASH (chunk_id);
CREATE TABLE chunk_0 PARTITION OF chunk FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE chunk_1 PARTITION OF chunk FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT metaxy_register('chunk', 'chunk', '{chunk_id}', indexes => false);
INSERT INTO chunk SELECT i % 100, i FROM generate_series(1, 300) AS i;
SELECT samples FROM metaxy_delete('chunk', 'chunk_id < 50');
SELECT count(*) FROM chunk_active;
SET default_transaction_isolation = 'serializable';
CALL metaxy_purge('chunk', '0', batch_size => 7) \gset
RESET default_transaction_isolation;
SELECT :purged_samples AS samples, :purged_rows AS rows;
SELECT count(*) FROM chunk_active;
CALL metaxy_purge('chunk', '0', history => true) \gset
SELECT :purged_samples AS samples, :purged_rows AS rows;
SELECT count(*), count(DISTINCT chunk_id), min(size) FROM chunk_active;

-- from PL/pgSQL, where it can commit
DO $$
DECLARE
	samples bigint;
	bytes bigint;
	"rows" bigint;
BEGIN
	PERFORM metaxy_delete('chunk', 'chunk_id = 50');
	COMMIT;
	CALL metaxy_purge('chunk', '0', false, 1, false, samples, "rows", bytes);
	RAISE NOTICE '% samples, % rows', samples, "rows";
END $$;

SELECT metaxy_unregister('chunk'), metaxy_unregister('video');
SET client_min_messages = warning;
DROP SCHEMA metaxy_purge CASCADE;
