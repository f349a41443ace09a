--
-- metaxy_undelete: what one operation has hidden comes back, and nothing else
--
CREATE SCHEMA metaxy_undelete;
SET search_path = metaxy_undelete, public;
SET client_min_messages = notice;

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

SELECT metaxy_unregister('video/chunk');
SELECT metaxy_unregister('video');
SET client_min_messages = warning;
DROP SCHEMA metaxy_undelete CASCADE;
