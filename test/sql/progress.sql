--
-- metaxy.progress: what long calls tell of themselves
--
SET client_min_messages = warning;

CREATE SCHEMA progress;
SET search_path = progress, public;

CREATE TABLE video (video_id text);
CREATE TABLE chunk (chunk_id text, video_id text);
SELECT metaxy_register('video', 'video', ARRAY['video_id']);
SELECT metaxy_register('video/chunk', 'chunk', ARRAY['chunk_id']);
SELECT metaxy_depend('video/chunk', 'video', '1:N', ARRAY['video_id']);
INSERT INTO video VALUES ('v1'), ('v2');
INSERT INTO chunk VALUES ('c1', 'v1'), ('c2', 'v1'), ('c3', 'v2');

-- off: nothing is told
SELECT feature, samples
  FROM metaxy_delete('video', $$video_id = 'v2'$$, cascade => 'downstream', dry_run => true);

-- client_min_messages does not hold it back
SET metaxy.progress = on;
SELECT feature, samples
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream', dry_run => true);
SELECT deletion_id
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream')
 LIMIT 1 \gset
SELECT * FROM metaxy_undelete(:deletion_id);
\set VERBOSITY sqlstate
SELECT feature, samples FROM metaxy_delete('video', 'false', dry_run => true);
\set VERBOSITY default
SELECT samples FROM metaxy_delete('video', $$video_id = 'v1'$$, false);
SELECT samples FROM metaxy_delete('video/chunk', $$video_id = 'v2'$$);
INSERT INTO video VALUES ('v4');		-- the clock goes on
CALL metaxy_purge('video/chunk', '0', batch_size => 1, dry_run => true);
CALL metaxy_purge('video/chunk', '0', batch_size => 1);

-- names are not format strings
SET metaxy.progress = off;
CREATE TABLE odd (id text);
SELECT metaxy_register('%s%n "odd"', 'odd', ARRAY['id']);
SET metaxy.progress = on;
SELECT samples FROM metaxy_delete('%s%n "odd"', dry_run => true);

SET metaxy.progress = maybe;	-- fails
RESET metaxy.progress;
SELECT metaxy_unregister('video/chunk'), metaxy_unregister('video'),
	   metaxy_unregister('%s%n "odd"');
SET client_min_messages = error;
DROP SCHEMA progress CASCADE;
