--
-- metaxy_delete, softly: what a tombstone is, which rows a filter sees, one
-- stamp for all
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE SCHEMA metaxy_soft;
SET search_path = metaxy_soft, public;
SET client_min_messages = warning;
\set result 'step, feature, relation, samples, "rows", stale'

-- A table as Metaxy writes it, with columns of many kinds, in an odd order.
CREATE TABLE video (
	duration double precision,
	metaxy_deleted_at timestamptz,
	path text,
	metaxy_provenance_by_field jsonb,
	metaxy_provenance varchar,
	meta jsonb,
	metaxy_data_version_by_field jsonb,
	metaxy_data_version varchar,
	video_id varchar,
	metaxy_feature_version varchar,
	metaxy_project_version varchar,
	metaxy_created_at timestamptz,
	tags text[],
	metaxy_updated_at timestamptz,
	metaxy_materialization_id varchar,
	"odd "" name" numeric);
SELECT metaxy_register('video/raw', 'video', '{video_id}', 'v1');

-- a: three rows, b: one, c: deleted, d: deleted and written again,
-- e: NULLs in all data columns, f: of another version alone
INSERT INTO video (video_id, path, duration, meta, tags, "odd "" name", metaxy_feature_version,
	metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
VALUES
	('a', 'old', 10, '{"n": 1}', '{x}', 1.50, 'v1', '2024-01-01', '2024-01-01', NULL),
	('a', 'mid', 20, '{"n": 2}', '{y}', 2.50, 'v1', '2024-01-01', '2024-01-02', NULL),
	('a', 'new', 30, '{"b": [1, null], "a": 1.10}', '{z,NULL,"q \"r\""}', 3.50, 'v1', '2024-01-01', '2024-01-03', NULL),
	('b', 'b', 'NaN', 'null', '{}', 'NaN', 'v1', '2024-01-01', '2024-01-04', NULL),
	('c', 'c', 5, '{}', '{x}', 0, 'v1', '2024-01-01', '2024-01-01', NULL),
	('c', 'c', 5, '{}', '{x}', 0, 'v1', '2024-01-01', '2024-01-01', '2024-01-02'),
	('d', 'd1', 6, '{}', '{x}', 0, 'v1', '2024-01-01', '2024-01-01', NULL),
	('d', 'd1', 6, '{}', '{x}', 0, 'v1', '2024-01-01', '2024-01-01', '2024-01-02'),
	('d', 'd2', 7, '{}', '{x}', 0, 'v1', '2024-01-03', '2024-01-03', NULL),
	('e', NULL, NULL, NULL, NULL, NULL, 'v1', '2024-01-01', '2024-01-01', NULL),
	('f', 'f', 8, '{}', '{x}', 0, 'v0', '2024-01-01', '2024-01-01', NULL);
UPDATE video SET metaxy_provenance_by_field = jsonb_build_object('path', md5(path)),
	metaxy_provenance = md5(path || 'p'), metaxy_data_version_by_field = '{"b": 1, "a": [2, {"z": null}]}',
	metaxy_data_version = md5(path), metaxy_project_version = 'pv' || duration,
	metaxy_materialization_id = 'run ' || duration
 WHERE video_id <> 'e';

-- What was there before the delete at hand; what has gone or changed since, and
-- what is new.
CREATE TABLE before (place tid, writer text, j jsonb);
CREATE PROCEDURE note() LANGUAGE sql AS
	'TRUNCATE before; INSERT INTO before SELECT ctid, xmin::text, to_jsonb(video) FROM video';
CREATE VIEW gone AS
SELECT j FROM before AS b
 WHERE NOT EXISTS (SELECT FROM video AS v
					WHERE v.ctid = b.place AND v.xmin::text = b.writer AND to_jsonb(v) = b.j);
CREATE VIEW added AS
SELECT * FROM video AS v
 WHERE NOT EXISTS (SELECT FROM before AS b WHERE b.place = v.ctid);

--
-- One tombstone for each sample: a copy of its latest row, of all its columns
-- but one
--
CALL note();
SELECT :result FROM metaxy_delete('video/raw', $$video_id IN ('a', 'b', 'e')$$);
SELECT * FROM gone;
\x on
SELECT video_id, path, duration, meta, tags, "odd "" name", metaxy_provenance_by_field, metaxy_provenance,
	metaxy_data_version_by_field, metaxy_data_version, metaxy_feature_version, metaxy_project_version,
	metaxy_created_at, metaxy_updated_at, metaxy_materialization_id, metaxy_deleted_at > metaxy_updated_at AS deleted
  FROM added ORDER BY video_id;
\x off
-- the same, said once more by comparison
SELECT a.video_id, b.j - 'metaxy_deleted_at' = to_jsonb(a) - 'metaxy_deleted_at' AS same,
	b.j ->> 'metaxy_deleted_at' IS NULL AS was_live
  FROM added AS a LEFT JOIN before AS b
	ON b.j ->> 'video_id' = a.video_id AND (b.j ->> 'metaxy_updated_at')::timestamptz = a.metaxy_updated_at
 ORDER BY 1;
SELECT video_id, path FROM video_active ORDER BY 1;
SELECT video_id, path FROM video_deleted ORDER BY 1;

-- again: nothing is left to find, and that is a success, which the ledger has
CALL note();
SELECT :result FROM metaxy_delete('video/raw', $$video_id IN ('a', 'b', 'e')$$, reason => 'again');
SELECT deletion_id IS NOT NULL AS id, stamp IS NOT NULL AS stamp, digest IS NOT NULL AS digest
  FROM metaxy_delete('video/raw', 'false', reason => 'again');
SELECT * FROM gone;
SELECT video_id, path FROM added ORDER BY 1;
SELECT features, filters, soft, samples, "rows" FROM metaxy_deletions WHERE reason = 'again' ORDER BY id;

-- one that was written again is found again
INSERT INTO video (video_id, path, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
SELECT 'a', 'reborn', 'v1', '2024-01-01', max(metaxy_deleted_at) + interval '1 microsecond' FROM video;
CALL note();
SELECT :result FROM metaxy_delete('video/raw', $$video_id = 'a'$$);
SELECT video_id, path FROM added;

--
-- The filter sees the latest row of each sample, if that is live, and nothing else
--
TRUNCATE video;
INSERT INTO video (video_id, path, duration, metaxy_feature_version, metaxy_created_at, metaxy_updated_at,
	metaxy_deleted_at)
VALUES
	('a', 'old', 1, 'v1', '2024-01-01', '2024-01-01', NULL),
	('a', 'new', 2, 'v1', '2024-01-01', '2024-01-02', NULL),
	-- rows that came in another order than their stamps'
	('b', 'new', 2, 'v1', '2024-01-01', '2024-01-02', NULL),
	('b', 'old', 1, 'v1', '2024-01-01', '2024-01-01', NULL),
	-- a tombstone is later than the row that it hides, by metaxy_deleted_at
	('c', 'old', 1, 'v1', '2024-01-01', '2024-01-01', NULL),
	('c', 'old', 1, 'v1', '2024-01-01', '2024-01-01', '2024-01-02'),
	-- written again with an old metaxy_updated_at: not later than the tombstone
	('c', 'new', 2, 'v1', '2024-01-01', '2024-01-01 12:00', NULL),
	-- a live row and a tombstone of equal recency: the tombstone counts
	('d', 'old', 1, 'v1', '2024-01-01', '2024-01-01', '2024-01-02'),
	('d', 'new', 2, 'v1', '2024-01-01', '2024-01-02', NULL),
	('e', 'new', 2, 'v1', '2024-01-01', '2024-01-02', NULL),
	('e', 'old', 1, 'v1', '2024-01-01', '2024-01-01', '2024-01-02'),
	-- two live rows of equal recency: the one in the later place
	('f', 'old', 1, 'v1', '2024-01-01', '2024-01-02', NULL),
	('f', 'new', 2, 'v1', '2024-01-01', '2024-01-02', NULL),
	-- of an older tombstone metaxy_updated_at does not count
	('g', 'old', 1, 'v1', '2024-01-01', '2024-01-09', '2024-01-01'),
	('g', 'new', 2, 'v1', '2024-01-01', '2024-01-02', NULL);
SELECT video_id, path FROM video_active ORDER BY 1;
BEGIN;
CALL note();
SELECT :result FROM metaxy_delete('video/raw', $$path = 'old'$$);
SELECT video_id, path FROM added ORDER BY 1;
SELECT :result FROM metaxy_delete('video/raw', 'metaxy_deleted_at IS NOT NULL');
SELECT video_id, path FROM added ORDER BY 1;
SELECT :result FROM metaxy_delete('video/raw', $$path = 'new' AND duration = 1$$);
SELECT video_id, path FROM added ORDER BY 1;
SELECT :result FROM metaxy_delete('video/raw', $$path = 'new'$$);
SELECT video_id, path, duration FROM added ORDER BY 1;
SELECT * FROM gone;
ROLLBACK;
-- and without a filter
BEGIN;
CALL note();
SELECT :result FROM metaxy_delete('video/raw');
SELECT video_id, path, duration FROM added ORDER BY 1;
SELECT video_id FROM video_active;
ROLLBACK;

--
-- One stamp for an operation, above all that it hides, whatever the clocks did
--
CREATE TABLE audio (audio_id int, video_id varchar, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('audio', 'audio', '{audio_id}');
SELECT metaxy_depend('audio', 'video/raw', '1:N', '{video_id}');
BEGIN;
INSERT INTO audio SELECT i, 'b', '2024-01-01', '2024-01-01' FROM generate_series(1, 3) AS i;
INSERT INTO audio VALUES (4, 'b', '2024-01-01', now() + interval '4 minutes');
INSERT INTO video (video_id, path, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
VALUES ('b', 'future', 'v1', '2024-01-01', now() + interval '2 minutes');
CALL note();
SELECT :result, stamp > now() + interval '4 minutes' AS above_all, count(*) OVER (PARTITION BY stamp) AS same_stamp,
	count(*) OVER (PARTITION BY deletion_id) AS same_id, count(*) OVER (PARTITION BY digest) AS same_digest
  FROM metaxy_delete('video/raw', $$path = 'future'$$, cascade => 'downstream') ORDER BY step;
SELECT count(*), count(DISTINCT metaxy_deleted_at) AS stamps,
	bool_and(metaxy_deleted_at = (SELECT stamp FROM metaxy_deletions ORDER BY id DESC LIMIT 1)) AS of_the_ledger
  FROM (SELECT metaxy_deleted_at FROM added UNION ALL
		SELECT metaxy_deleted_at FROM audio WHERE metaxy_deleted_at IS NOT NULL) AS tombstones;
SELECT video_id FROM video_active WHERE video_id = 'b';
SELECT audio_id FROM audio_active;
ROLLBACK;
-- a row of the very stamp that a delete had stays hidden; one of a later stamp
-- does not, and a delete of it is later again
BEGIN;
SELECT stamp AS first FROM metaxy_delete('video/raw', $$video_id = 'a'$$) \gset
INSERT INTO video (video_id, path, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
VALUES ('a', 'tie', 'v1', '2024-01-01', :'first');
SELECT video_id FROM video_active WHERE video_id = 'a';
UPDATE video SET metaxy_updated_at = :'first'::timestamptz + interval '1 minute' WHERE path = 'tie';
SELECT video_id FROM video_active WHERE video_id = 'a';
SELECT samples, stamp > :'first'::timestamptz + interval '1 minute' AS above
  FROM metaxy_delete('video/raw', $$video_id = 'a'$$);
SELECT video_id FROM video_active WHERE video_id = 'a';
ROLLBACK;

--
-- Logic with NULLs: what is not true does not match
--
TRUNCATE video;
INSERT INTO video (video_id, path, duration, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
VALUES ('a', 'x', 1, 'v1', '2024-01-01', '2024-01-01'), ('b', 'y', NULL, 'v1', '2024-01-01', '2024-01-01'),
	('c', NULL, 3, 'v1', '2024-01-01', '2024-01-01'), ('d', NULL, NULL, 'v1', '2024-01-01', '2024-01-01');
-- a sample whose older row would match
INSERT INTO video (video_id, path, duration, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
VALUES ('e', 'x', 1, 'v1', '2024-01-01', '2024-01-01'), ('e', NULL, NULL, 'v1', '2024-01-01', '2024-01-02');
CREATE FUNCTION matched(filter text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	n bigint;
BEGIN
	CREATE TEMP TABLE places AS SELECT ctid AS place FROM video;
	SELECT samples INTO n FROM metaxy_delete('video/raw', filter);
	SELECT coalesce(string_agg(video_id, ' ' ORDER BY video_id), '-') INTO result FROM video
	 WHERE ctid NOT IN (SELECT place FROM places);
	RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = n || ': ' || result;
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	RETURN SQLERRM;
END $$;
SELECT filter, matched(filter) FROM unnest(ARRAY[
	$$path = 'x'$$, $$NOT path = 'x'$$, $$path <> 'x'$$, $$path = 'x' OR path <> 'x'$$,
	$$path = 'x' OR duration = 3$$, $$path IS NULL$$, $$path IS NULL AND duration IS NULL$$,
	$$path IS DISTINCT FROM 'x'$$, $$path IN ('x', NULL)$$, $$path NOT IN ('y', NULL)$$,
	$$path NOT IN ('y')$$, $$(path = 'x') IS NOT TRUE$$, $$duration BETWEEN 0 AND 5$$, $$duration > path::float8$$,
	'true', 'false', 'NULL', 'NULL::boolean', 'NOT NULL::boolean', 'NULL OR true', 'NULL AND true',
	$$coalesce(duration, 3) = 3$$, $$path LIKE '%'$$, $$meta ->> 'a' = 'b'$$, $$meta ->> 'a' IS NULL$$])
	WITH ORDINALITY AS f (filter, o) WHERE filter !~ '::float8' ORDER BY o;

--
-- Names: the table's columns, alone or with the table's name
--
SELECT filter, matched(filter) FROM unnest(ARRAY[
	$$video.path = 'x'$$, $$video_id = 'a' AND video.duration < 2$$, $$"video"."path" = 'y'$$,
	$$VIDEO.PATH = 'y'$$, $$"odd "" name" IS NULL AND duration = 1$$, $$video.metaxy_updated_at > '2024-01-01'$$,
	$$metaxy_feature_version = 'v1'$$])
	WITH ORDINALITY AS f (filter, o) ORDER BY o;
\set VERBOSITY sqlstate
SELECT :result FROM metaxy_delete('video/raw', $$video_active.path = 'x'$$);		-- error
SELECT :result FROM metaxy_delete('video/raw', $$audio.video_id = 'a'$$);			-- error
-- with its schema, as in WHERE
SELECT matched($$metaxy_soft.video.path = 'x'$$);

--
-- Several features, several filters: each feature by all of them, one operation
--
INSERT INTO audio SELECT i, (ARRAY['a', 'a', 'b', NULL])[i], '2024-01-01', '2024-01-01' FROM generate_series(1, 4) AS i;
CREATE TABLE text_ (LIKE audio);
ALTER TABLE text_ RENAME audio_id TO text_id;
SELECT metaxy_register('Text', 'text_', '{text_id,video_id}');
INSERT INTO text_ SELECT * FROM audio WHERE video_id IS NOT NULL;
BEGIN;
SELECT :result, count(*) OVER (PARTITION BY stamp, deletion_id, digest) AS alike
  FROM metaxy_delete('{Text,video/raw,audio}'::text[],
	ARRAY[$$video_id IN ('a', 'c')$$, $$metaxy_updated_at < '2024-01-02'$$, 'metaxy_created_at IS NOT NULL'],
	reason => 'three by three') ORDER BY step;
SELECT video_id FROM video_deleted ORDER BY 1;
SELECT audio_id FROM audio_deleted ORDER BY 1;
SELECT text_id, video_id FROM text__deleted ORDER BY 1;
-- in the ledger as they were given, the steps in the order of execution
SELECT features, filters, samples, "rows" FROM metaxy_deletions WHERE reason = 'three by three';
SELECT step, feature, relation_name, samples FROM metaxy_deletion_steps
 WHERE deletion_id = (SELECT id FROM metaxy_deletions WHERE reason = 'three by three') ORDER BY step;
ROLLBACK;
-- both forms say the same
BEGIN;
SELECT digest AS one FROM metaxy_delete('audio', $$video_id = 'a'$$, dry_run => true) \gset
SELECT digest = :'one' AS same FROM metaxy_delete('{audio}'::text[], ARRAY[$$video_id = 'a'$$], dry_run => true);
SELECT digest = :'one' AS same, samples
  FROM metaxy_delete('{audio}'::text[], ARRAY[$$video_id = 'a'$$, 'true', 'audio_id < 3'], expect => :'one');
SELECT audio_id FROM audio_active ORDER BY 1;
ROLLBACK;
-- without filters, or with an empty list of them: all samples
SELECT step, feature, samples FROM metaxy_delete('{audio,Text}'::text[], dry_run => true);
SELECT step, feature, samples FROM metaxy_delete('{audio,Text}'::text[], '{}', dry_run => true);
-- one filter that does not fit one feature: nothing is done
CALL note();
SELECT :result FROM metaxy_delete('{audio,video/raw}'::text[], '{audio_id > 0}');	-- error
SELECT video_id, path FROM added ORDER BY 1;
SELECT audio_id FROM audio_deleted;

--
-- A feature without versions: rows of all versions are one
--
CREATE TABLE plain (id int, note text, metaxy_feature_version text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('plain', 'plain', '{id}');
INSERT INTO plain VALUES
	(1, 'old', 'v1', '2024-01-01', '2024-01-01', NULL),
	(1, 'new', 'v2', '2024-01-01', '2024-01-02', NULL),
	(2, 'two', NULL, '2024-01-01', '2024-01-01', NULL),
	(3, 'gone', 'v1', '2024-01-01', '2024-01-01', NULL),
	(3, 'gone', 'v1', '2024-01-01', '2024-01-01', '2024-01-02');
SELECT :result FROM metaxy_delete('plain', $$note = 'old'$$);
SELECT :result FROM metaxy_delete('plain', $$metaxy_feature_version = 'v1'$$);
SELECT :result FROM metaxy_delete('plain', $$metaxy_feature_version = 'v2'$$);
SELECT :result FROM metaxy_delete('plain', with_feature_history => true);
SELECT id, note, metaxy_feature_version, metaxy_deleted_at > '2024-01-03' AS by_this FROM plain ORDER BY 1, metaxy_updated_at, 4;

-- an empty table
TRUNCATE plain;
SELECT :result FROM metaxy_delete('plain');
SELECT :result FROM metaxy_delete('plain', 'true', cascade => 'both');

SELECT metaxy_unregister('audio');
SELECT metaxy_unregister(f) FROM unnest('{Text,plain,video/raw}'::text[]) AS f;
DROP SCHEMA metaxy_soft CASCADE;
