--
-- metaxy_orphans, metaxy_orphan_counts, metaxy_delete_orphans
--
CREATE SCHEMA metaxy_orphans;
SET search_path = metaxy_orphans, public;

CREATE TABLE video (video_id text, size integer);
CREATE TABLE chunk (chunk_id text, video_id text);
CREATE TABLE faces (chunk_id text, n integer);
CREATE TABLE mean (video_id text, value integer);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1'), metaxy_register('chunk', 'chunk', '{chunk_id}', 'v1'),
	   metaxy_register('faces', 'faces', '{chunk_id}'), metaxy_register('mean', 'mean', '{video_id}');
SELECT metaxy_depend('chunk', 'video', '1:N', '{video_id}'), metaxy_depend('faces', 'chunk'),
	   metaxy_depend('mean', 'chunk', 'N:1', '{video_id}');
INSERT INTO video SELECT 'v' || i, i FROM generate_series(1, 4) AS i;
INSERT INTO chunk SELECT video_id || '/' || i, video_id FROM video, generate_series(1, 2) AS i;
INSERT INTO faces SELECT chunk_id, 1 FROM chunk;
INSERT INTO mean SELECT video_id, 1 FROM video;
SELECT * FROM metaxy_orphan_counts();
-- v1 without its chunks, a chunk without its faces, both chunks of v4
SELECT feature, samples FROM metaxy_delete('video', 'size = 1');
SELECT feature, samples FROM metaxy_delete('chunk', $$chunk_id IN ('v2/1', 'v4/1', 'v4/2')$$);
SELECT * FROM metaxy_orphan_counts();
SELECT * FROM metaxy_orphan_counts('faces');
SELECT chunk_id, video_id FROM metaxy_orphans(NULL::chunk) ORDER BY 1;
SELECT chunk_id FROM metaxy_orphans(NULL::faces) ORDER BY 1;
SELECT video_id FROM metaxy_orphans(NULL::mean) ORDER BY 1;
SELECT step, feature, samples, rows FROM metaxy_delete_orphans('chunk', cascade => 'downstream', dry_run => true);
SELECT step, feature, samples, rows FROM metaxy_delete_orphans('chunk', cascade => 'downstream');
SELECT kind, features, filters, samples FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
SELECT feature, samples FROM metaxy_delete_orphans('faces', soft => false);
SELECT * FROM metaxy_orphan_counts();

SELECT metaxy_unregister('mean');
SELECT metaxy_unregister('faces');
SELECT metaxy_unregister('chunk');
SELECT metaxy_unregister('video');
SET client_min_messages = warning;
DROP SCHEMA metaxy_orphans CASCADE;
