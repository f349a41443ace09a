--
-- metaxy_undelete: what one operation has hidden comes back, and nothing else
--
CREATE SCHEMA metaxy_undelete;
SET search_path = metaxy_undelete, public;
SET client_min_messages = notice;
\set SHOW_CONTEXT never

CREATE TABLE video (video_id text, size integer, metaxy_provenance text);
CREATE TABLE chunk (chunk_id text, video_id text);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1'), metaxy_register('video/chunk', 'chunk', '{chunk_id}');
SELECT metaxy_depend('video/chunk', 'video', '1:N', '{video_id}');
INSERT INTO video SELECT 'v' || i, i, 'p' || i FROM generate_series(1, 4) AS i;
INSERT INTO chunk SELECT video_id || '/' || i, video_id FROM video, generate_series(1, 2) AS i;

SELECT DISTINCT deletion_id AS d1 FROM metaxy_delete('video', 'size < 4', cascade => 'downstream') \gset
SELECT video_id FROM video_active ORDER BY 1;
-- v2 is written again, v3 hidden again, v3/1 removed
INSERT INTO video VALUES ('v2', 22), ('v3', 33);
SELECT samples FROM metaxy_delete('video', $$video_id = 'v3'$$);
SELECT samples FROM metaxy_delete('video/chunk', $$chunk_id = 'v3/1'$$, soft => false);
SELECT * FROM metaxy_undelete(:d1, dry_run => true);
SELECT * FROM metaxy_undelete(:d1);
SELECT video_id, size, metaxy_provenance FROM video_active ORDER BY 1;
SELECT chunk_id FROM chunk_active ORDER BY 1;
SELECT kind, features, options ->> 'undoes' = :'d1' AS undoes, options -> 'restores' AS restores, samples
  FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
SELECT undone_by = (SELECT max(id) FROM metaxy_deletions) FROM metaxy_deletions WHERE id = :d1;
SET client_min_messages = warning;		-- the notice has numbers
SELECT * FROM metaxy_undelete(:d1);
SELECT * FROM metaxy_undelete(:d1, dry_run => true);
-- here it has the same ones each time
BEGIN;
ALTER SEQUENCE metaxy_deletion_id_seq RESTART 1000000000000;
SET LOCAL client_min_messages = notice;
SELECT samples FROM metaxy_delete('video', $$video_id = 'v4'$$);
SELECT * FROM metaxy_undelete(1000000000000);
SELECT * FROM metaxy_undelete(1000000000000);
ROLLBACK;

--
-- What comes back is the row that was hidden, whole, with a stamp of the clock
--
TRUNCATE video, chunk;
INSERT INTO video SELECT 'v' || i, i, 'p' || i FROM generate_series(1, 4) AS i;
INSERT INTO chunk SELECT video_id || '/' || i, video_id FROM video, generate_series(1, 2) AS i;
-- active rows but for the stamp that an undelete gives
CREATE FUNCTION now_active() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_agg(j ORDER BY j) FROM (
		SELECT to_jsonb(v) - 'metaxy_updated_at' FROM video_active AS v UNION ALL
		SELECT to_jsonb(c) - 'metaxy_updated_at' FROM chunk_active AS c) AS x (j)
$$;
CREATE FUNCTION all_rows() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(k, j) FROM (
		SELECT v.tableoid::text || v.ctid, to_jsonb(v) FROM video AS v UNION ALL
		SELECT c.tableoid::text || c.ctid, to_jsonb(c) FROM chunk AS c) AS x (k, j)
$$;
SELECT now_active() AS before \gset
SELECT DISTINCT deletion_id AS d, stamp AS deleted_at FROM metaxy_delete('video', 'size > 2', cascade => 'downstream') \gset
SELECT all_rows() AS hidden \gset
SELECT * FROM metaxy_undelete(:d, dry_run => true);
SELECT all_rows() = :'hidden' AS nothing_written;
SELECT * FROM metaxy_undelete(:d);
SELECT now_active() = :'before' AS as_before, all_rows() @> :'hidden' AS appended_only;
SELECT max(id) AS u FROM metaxy_deletions \gset
SELECT count(*) AS restored, bool_and(metaxy_updated_at = d.stamp) AS one_stamp, bool_and(d.stamp > :'deleted_at') AS later,
	   bool_and(metaxy_created_at < :'deleted_at') AS created_before
  FROM metaxy_deletions AS d, video_active WHERE d.id = :u AND size > 2;

--
-- The undo of an undo hides again what that brought back, and so on
--
SELECT samples, rows, soft, cascade, reason, undone_by FROM metaxy_deletions WHERE id = :u;
SELECT * FROM metaxy_undelete(:u, dry_run => true);
SELECT * FROM metaxy_undelete(:u);
SELECT count(*) FROM video_active;
SELECT max(id) AS u2 FROM metaxy_deletions \gset
SELECT kind, options - 'undoes' AS options, options ->> 'undoes' = :'u' AS undoes FROM metaxy_deletions WHERE id = :u2;
SELECT count(*) AS faithful FROM video_deleted AS t JOIN video AS l USING (video_id, metaxy_updated_at, metaxy_created_at)
 WHERE l.metaxy_deleted_at IS NULL AND t.metaxy_deleted_at = (SELECT stamp FROM metaxy_deletions WHERE id = :u2);
-- the first delete is not what hides them now, nor the undelete what shows them
SELECT * FROM metaxy_undelete(:d);
SELECT * FROM metaxy_undelete(:u);
SELECT * FROM metaxy_undelete(:u2);
SELECT now_active() = :'before' AS as_before;
SELECT max(id) AS u3 FROM metaxy_deletions \gset
-- of what it brought back, one is written again: that one stays
INSERT INTO video VALUES ('v3', 33);
SELECT * FROM metaxy_undelete(:u3);
SELECT video_id, size FROM video_active ORDER BY 1;
SELECT chunk_id FROM chunk_active ORDER BY 1;
SELECT count(*) AS undone FROM metaxy_deletions WHERE id IN (:d, :u, :u2, :u3) AND undone_by IS NOT NULL;

--
-- Feature by feature
--
TRUNCATE video, chunk;
INSERT INTO video SELECT 'v' || i, i, 'p' || i FROM generate_series(1, 4) AS i;
INSERT INTO chunk SELECT video_id || '/' || i, video_id FROM video, generate_series(1, 2) AS i;
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video', cascade => 'downstream') \gset
SELECT * FROM metaxy_undelete(:d, feature => 'video/chunk', dry_run => true);
SELECT * FROM metaxy_undelete(:d, feature => 'video/chunk');
SELECT (SELECT count(*) FROM video_active) AS videos, (SELECT count(*) FROM chunk_active) AS chunks;
SELECT features, samples, rows FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
SELECT step, feature, relation_name, samples, rows, stale FROM metaxy_deletion_steps
 WHERE deletion_id = (SELECT max(id) FROM metaxy_deletions) ORDER BY step;
SELECT * FROM metaxy_undelete(:d);
SELECT step, feature, relation_name, samples, rows, stale FROM metaxy_deletion_steps
 WHERE deletion_id = (SELECT max(id) FROM metaxy_deletions) ORDER BY step;
SELECT undone_by = (SELECT max(id) FROM metaxy_deletions) AS the_last FROM metaxy_deletions WHERE id = :d;
SELECT * FROM metaxy_undelete(:d, 'video');

-- nothing to bring back: an operation all the same, which undoes nothing
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video', 'false') \gset
SELECT * FROM metaxy_undelete(:d);
SELECT kind, samples, rows FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
SELECT undone_by FROM metaxy_deletions WHERE id = :d;

--
-- What has followed since is left alone, in the same transaction too
--
TRUNCATE video, chunk;
INSERT INTO video SELECT 'v' || i, i, 'p' || i FROM generate_series(1, 8) AS i;
BEGIN;
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video') \gset
INSERT INTO video VALUES ('v1', 11);									-- rewritten
INSERT INTO video_active (video_id, size) VALUES ('v2', 12);			-- by the view
INSERT INTO video VALUES ('v3', 13);									-- rewritten, and hidden again
SELECT samples FROM metaxy_delete('video', 'size = 13');
SELECT samples FROM metaxy_delete('video', $$video_id = 'v4'$$, soft => false);
INSERT INTO video (video_id, size, metaxy_deleted_at) VALUES ('v5', 15, now());		-- as Metaxy deletes
DELETE FROM video WHERE video_id = 'v6' AND metaxy_deleted_at IS NOT NULL;			-- its owner's own business
SELECT * FROM metaxy_undelete(:d);
SELECT video_id, size FROM video_active ORDER BY 1;
SAVEPOINT s;
SELECT samples FROM metaxy_delete('video', 'size = 8');
SELECT max(id) AS d2 FROM metaxy_deletions \gset
SELECT * FROM metaxy_undelete(:d2);
ROLLBACK TO s;
SELECT video_id, size FROM video_active ORDER BY 1;
ROLLBACK;
SELECT count(*) FROM video_active;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video') \gset
SELECT * FROM metaxy_undelete(:d);
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video') \gset
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM metaxy_undelete(:d);
COMMIT;
SELECT count(*) FROM video_active;

--
-- Deletes through the view, by orphan sweeps, up and both ways, of several
-- features by name
--
DELETE FROM video_active WHERE size < 3;
SELECT max(id) AS d FROM metaxy_deletions \gset
SELECT kind, options FROM metaxy_deletions WHERE id = :d;
SELECT * FROM metaxy_undelete(:d);
SELECT count(*) FROM video_active;
INSERT INTO chunk VALUES ('x/1', 'x'), ('x/2', NULL), ('v1/1', 'v1');
SELECT DISTINCT deletion_id AS d FROM metaxy_delete_orphans('video/chunk') \gset
SELECT kind, samples FROM metaxy_deletions WHERE id = :d;
SELECT chunk_id FROM chunk_active ORDER BY 1;
SELECT * FROM metaxy_undelete(:d);
SELECT chunk_id FROM chunk_active ORDER BY 1;
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video/chunk', cascade => 'upstream') \gset
SELECT * FROM metaxy_undelete(:d);
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video/chunk', $$chunk_id > ''$$, cascade => 'both') \gset
SELECT * FROM metaxy_undelete(:d);
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('{video/chunk,video}'::text[], '{video_id IS NOT NULL}') \gset
SELECT * FROM metaxy_undelete(:d);
SELECT (SELECT count(*) FROM video_active) AS videos, (SELECT count(*) FROM chunk_active) AS chunks;
-- any row of a sample matched
INSERT INTO video VALUES ('v1', 101), ('v2', 102);
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video', 'size = 1', with_sample_history => true) \gset
SELECT * FROM metaxy_undelete(:d);
SELECT size FROM video_active WHERE video_id = 'v1';

--
-- Versions: each by itself
--
INSERT INTO video (video_id, size, metaxy_feature_version) VALUES ('v1', -1, 'v0'), ('v2', -2, 'v0'), ('old', 0, 'v0');
INSERT INTO video VALUES ('v1', 201);
CREATE FUNCTION versions() RETURNS TABLE (video text, version text, size integer) LANGUAGE sql AS $$
	SELECT video_id, metaxy_feature_version, size FROM metaxy_read(NULL::video, feature_version => 'v0')
	UNION ALL SELECT video_id, metaxy_feature_version, size FROM video_active WHERE video_id IN ('v1', 'v2', 'old')
	ORDER BY 1, 2
$$;
SELECT * FROM versions();
SELECT samples, rows, deletion_id AS d FROM metaxy_delete('video', $$video_id IN ('v1', 'v2', 'old')$$, with_feature_history => true) \gset
\echo :samples samples, :rows rows
SELECT * FROM versions();
SELECT * FROM metaxy_undelete(:d, dry_run => true);
INSERT INTO video VALUES ('v2', 302);
SELECT * FROM metaxy_undelete(:d);
SELECT * FROM versions();
SELECT samples, rows FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
-- over all versions a sample has the row that it had, not another version's,
-- be that one written to the table before or after it
SELECT video_id, size FROM metaxy_read(NULL::video, with_feature_history => true) WHERE video_id = 'v1';
BEGIN;
SET LOCAL metaxy.stamp = off;
INSERT INTO video (video_id, size, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
SELECT 'a' || i, CASE i WHEN v THEN 1 ELSE 0 END, 'v' || v, '2024-01-01', CASE i WHEN v THEN '2024-01-02' ELSE '2024-01-01' END::timestamptz
  FROM generate_series(0, 1) AS i, generate_series(0, 1) AS v;
SELECT video_id, size FROM metaxy_read(NULL::video, with_feature_history => true) WHERE video_id ~ 'a' ORDER BY 1;
SELECT samples, rows, deletion_id AS d FROM metaxy_delete('video', $$video_id ~ 'a'$$, with_feature_history => true) \gset
SELECT * FROM metaxy_undelete(:d);
SELECT video_id, size FROM metaxy_read(NULL::video, with_feature_history => true) WHERE video_id ~ 'a' ORDER BY 1;
ROLLBACK;
-- one version alone, and another one is current meanwhile
SELECT deletion_id AS d FROM metaxy_delete('video', $$video_id <= 'v2'$$, feature_version => 'v0') \gset
SELECT metaxy_register('video', 'video', '{video_id}', 'v2');
SELECT * FROM metaxy_undelete(:d);
SELECT count(*) FROM metaxy_read(NULL::video, feature_version => 'v0');
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');

--
-- The table has changed since: renamed, moved, with other columns
--
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('video', 'size = 4 OR size = 5', cascade => 'downstream') \gset
SELECT metaxy_views('video', false);
DROP FUNCTION versions;
CREATE SCHEMA metaxy_undelete_too;
ALTER TABLE video RENAME TO "Video of ""all""";
ALTER TABLE "Video of ""all""" SET SCHEMA metaxy_undelete_too;
ALTER TABLE metaxy_undelete_too."Video of ""all""" DROP COLUMN metaxy_provenance, ADD COLUMN more text DEFAULT 'more';
SELECT * FROM metaxy_undelete(:d);
SELECT video_id, size, more FROM metaxy_read(NULL::metaxy_undelete_too."Video of ""all""", 'size IN (4, 5)') ORDER BY 1;
ALTER TABLE metaxy_undelete_too."Video of ""all""" RENAME TO video;
ALTER TABLE metaxy_undelete_too.video SET SCHEMA metaxy_undelete;
DROP SCHEMA metaxy_undelete_too;
SELECT metaxy_views('video', true);

SELECT metaxy_unregister('video/chunk');
SELECT metaxy_unregister('video');
SET client_min_messages = warning;
DROP SCHEMA metaxy_undelete CASCADE;
