--
-- metaxy_delete, for good: samples go whole, tombstones too, and nothing else
-- does
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE SCHEMA metaxy_hard;
SET search_path = metaxy_hard, public;
SET client_min_messages = warning;
\set result 'step, feature, relation, samples, "rows", stale'

CREATE TABLE video (video_id text, path text, metaxy_feature_version text,
	metaxy_created_at timestamptz DEFAULT '2024-01-01', metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('video', 'video', '{video_id}', 'v2');
INSERT INTO video (video_id, path, metaxy_feature_version, metaxy_updated_at, metaxy_deleted_at) VALUES
	-- a: written three times
	('a', 'a1', 'v2', '2024-01-01', NULL), ('a', 'a2', 'v2', '2024-01-02', NULL), ('a', 'a3', 'v2', '2024-01-03', NULL),
	-- b: deleted
	('b', 'b1', 'v2', '2024-01-01', NULL), ('b', 'b1', 'v2', '2024-01-01', '2024-01-02'),
	-- c: deleted and written again
	('c', 'c1', 'v2', '2024-01-01', NULL), ('c', 'c1', 'v2', '2024-01-01', '2024-01-02'), ('c', 'c2', 'v2', '2024-01-03', NULL),
	-- d: in two versions
	('d', 'd0', 'v1', '2024-01-05', NULL), ('d', 'd1', 'v2', '2024-01-01', NULL), ('d', 'd2', 'v2', '2024-01-02', NULL),
	-- e: in the other version alone
	('e', 'e0', 'v1', '2024-01-01', NULL),
	-- f: a tombstone and a live row that tie
	('f', 'f1', 'v2', '2024-01-01', '2024-01-02'), ('f', 'f2', 'v2', '2024-01-02', NULL),
	-- g: two tombstones
	('g', 'g1', 'v2', '2024-01-01', NULL), ('g', 'g1', 'v2', '2024-01-01', '2024-01-02'), ('g', 'g1', 'v2', '2024-01-01', '2024-01-03');
-- one more row of each of two samples, which was never committed
BEGIN;
INSERT INTO video (video_id, path, metaxy_feature_version, metaxy_updated_at) VALUES
	('a', 'never', 'v2', '2024-01-09'), ('b', 'never', 'v2', '2024-01-09');
ROLLBACK;

CREATE TABLE before AS SELECT ctid AS place, xmin::text AS writer, v AS old FROM video AS v;
CREATE VIEW removed AS
SELECT (old).video_id, (old).path, (old).metaxy_feature_version AS version, (old).metaxy_deleted_at IS NULL AS live
  FROM before AS b
 WHERE NOT EXISTS (SELECT FROM video AS v WHERE v.ctid = b.place AND v.xmin::text = b.writer AND v = b.old);
CREATE VIEW added AS
SELECT * FROM video AS v WHERE NOT EXISTS (SELECT FROM before AS b WHERE v.ctid = b.place);

-- Runs a delete, shows which rows it removed, and takes it back.
CREATE FUNCTION try(filter text, VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result record;
	options_text text := array_to_string('{soft => false}' || options, ', ');
	gone text;
BEGIN
	EXECUTE format('SELECT samples, "rows" FROM metaxy_delete(''video'', %L, %s)', filter, options_text) INTO result;
	SELECT coalesce(string_agg(CASE WHEN live THEN path ELSE '(' || path || ')' END, ' ' ORDER BY path, live), '-')
	  INTO gone FROM removed;
	IF EXISTS (SELECT FROM added) THEN
		gone := gone || ' and others came';
	END IF;
	RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = format('%s of %s: %s', result.rows, result.samples, gone);
EXCEPTION
	WHEN SQLSTATE 'ZZ001' THEN RETURN SQLERRM;
	WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

--
-- All rows of a sample in the scope, superseded ones and tombstones too; the
-- filter sees its latest row, be that live or not.  Tombstones in brackets.
--
SELECT filter, try(filter) FROM unnest(ARRAY[
	$$video_id = 'a'$$, $$path = 'a1'$$, $$path = 'a3'$$, $$video_id = 'b'$$, $$path = 'b1'$$, $$path = 'c1'$$,
	$$path = 'c2'$$, $$video_id = 'd'$$, $$path = 'd0'$$, $$video_id = 'e'$$, $$path = 'f1'$$, $$path = 'f2'$$,
	$$video_id = 'g'$$, $$metaxy_deleted_at = '2024-01-03'$$, $$metaxy_deleted_at = '2024-01-02'$$,
	'metaxy_deleted_at IS NOT NULL', 'metaxy_deleted_at IS NULL', $$path LIKE '_1'$$, 'true', 'false', 'NULL',
	$$metaxy_feature_version = 'v1'$$, $$video_id = 'a' OR video_id = 'b'$$])
	WITH ORDINALITY AS f (filter, o) ORDER BY o;

--
-- All of it: only if that is confirmed
--
SELECT try(NULL);
SELECT try(NULL, 'dry_run => true');
SELECT try(NULL, 'all_rows => true');
SELECT try(NULL, 'all_rows => true', 'dry_run => true');
SELECT try(NULL, 'all_rows => true', $$feature_version => 'v1'$$);
SELECT try(NULL, 'all_rows => true', 'with_feature_history => true');
SELECT try(NULL, 'with_feature_history => true', 'cascade => ''downstream''');
SELECT try('true', 'all_rows => true');
-- a soft delete needs no confirmation, and takes one
SELECT :result FROM metaxy_delete('video', all_rows => true, dry_run => true);

--
-- Versions
--
SELECT try($$video_id = 'd'$$, $$feature_version => 'v1'$$);
SELECT try($$video_id = 'd'$$, $$feature_version => 'v2'$$);
SELECT try('true', $$feature_version => 'v1'$$);
SELECT try('true', $$feature_version => 'v3'$$);
SELECT try($$video_id = 'd'$$, 'with_feature_history => true');
-- over all versions the latest row of d is d0
SELECT try($$path = 'd2'$$, 'with_feature_history => true');
SELECT try($$path = 'd0'$$, 'with_feature_history => true');
SELECT try($$metaxy_feature_version = 'v1'$$, 'with_feature_history => true');

--
-- For good
--
SELECT :result FROM metaxy_delete('video', $$video_id IN ('a', 'b', 'd')$$, soft => false);
SELECT * FROM removed ORDER BY path, live;
SELECT video_id, path FROM video_latest ORDER BY 1;
SELECT :result FROM metaxy_delete('video', $$video_id IN ('a', 'b', 'd')$$, soft => false);
SELECT video_id, path, metaxy_feature_version, metaxy_deleted_at IS NULL AS live FROM video ORDER BY 1, 2, 4;
-- what went can be written again, as if it had never been
INSERT INTO video (video_id, path, metaxy_feature_version, metaxy_updated_at) VALUES ('a', 'again', 'v2', '2023-01-01');
SELECT video_id, path FROM video_active ORDER BY 1;
SELECT :result FROM metaxy_delete('video', all_rows => true, soft => false);
SELECT video_id, path, metaxy_feature_version FROM video;

--
-- Two features, two filters
--
CREATE TABLE audio (audio_id int, video_id text, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('audio', 'audio', '{audio_id}');
INSERT INTO audio (audio_id, video_id, metaxy_updated_at) SELECT i, 'a', '2024-01-01' FROM generate_series(1, 3) AS i;
INSERT INTO audio (audio_id, video_id, metaxy_updated_at) SELECT i, 'b', '2024-01-02' FROM generate_series(3, 4) AS i;
INSERT INTO video (video_id, path, metaxy_feature_version, metaxy_updated_at) VALUES ('a', 'a', 'v2', '2024-01-01');
SELECT :result FROM metaxy_delete('{audio,video}'::text[],
	ARRAY[$$video_id = 'a'$$, $$metaxy_updated_at = '2024-01-01'$$], soft => false);
SELECT audio_id, video_id FROM audio ORDER BY 1, 2;
SELECT video_id, metaxy_feature_version FROM video;
SELECT :result FROM metaxy_delete('{audio,video}'::text[], soft => false, all_rows => true);
SELECT count(*) FROM audio;

SELECT metaxy_unregister('audio'), metaxy_unregister('video');
DROP SCHEMA metaxy_hard CASCADE;
