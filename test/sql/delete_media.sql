--
-- metaxy_delete on a store that Metaxy wrote: what it deletes is what plain SQL
-- finds, and what is left is what Metaxy itself read, less that
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set store :abs_srcdir '/fixtures/media/store_after_phase_2.sql'
\set reads :abs_srcdir '/fixtures/media/read_after_phase_2'
SET client_min_messages = warning;
\set ECHO none
\i :store
\set ECHO all
RESET ALL;
SET client_min_messages = warning;
CREATE SCHEMA metaxy_media;

SELECT metaxy_register('video/raw', 'video__raw', '{video_id}', '6e5a4ab8');
SELECT metaxy_register('video/chunk', 'video__chunk', '{video_chunk_id}', '504507a9');
SELECT metaxy_register('video/transcript', 'video__transcript', '{video_id}', '7e776425');
SELECT metaxy_register('video/faces', 'video__faces', '{video_chunk_id}', '52f055e3');
SELECT metaxy_register('video/summary', 'video__summary', '{video_id}', '45eabf3e');
SELECT metaxy_register('training-set/clip', 'training_set__clip', '{video_chunk_id}', 'b768e2cc');
SELECT metaxy_depend('video/chunk', 'video/raw', '1:N', '{video_id}');
SELECT metaxy_depend('video/transcript', 'video/raw');
SELECT metaxy_depend('video/faces', 'video/chunk');
SELECT metaxy_depend('video/summary', 'video/chunk', 'N:1', '{video_id}');
SELECT metaxy_depend('training-set/clip', 'video/faces');
SELECT metaxy_depend('training-set/clip', 'video/chunk', rename => '{"path": "chunk_path"}', optional => true);
SELECT step, feature, depth FROM metaxy_order();

-- Active samples as Metaxy read them, with the video of each; and latest ones,
-- deleted or not.
CREATE TABLE metaxy_media.metaxy_read (feature text, sample text, video text, active boolean);
CREATE PROCEDURE metaxy_media.load(dir text) LANGUAGE plpgsql AS $$
DECLARE
	f record;
	which text;
	names text;
BEGIN
	FOR f IN SELECT feature, relation, id_columns[1] AS id FROM public.metaxy_feature LOOP
		SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE "C") INTO names FROM pg_attribute
		 WHERE attrelid = f.relation AND attnum > 0 AND NOT attisdropped AND attname !~ '_by_field$';
		FOREACH which IN ARRAY ARRAY['latest', 'active'] LOOP
			EXECUTE format('CREATE TEMP TABLE csv AS SELECT %s FROM %s LIMIT 0', names, f.relation);
			EXECUTE format('COPY csv FROM %L (FORMAT csv, HEADER match)', dir || '/' || f.relation || '.' || which || '.csv');
			IF which = 'latest' THEN
				EXECUTE format('INSERT INTO metaxy_media.metaxy_read SELECT %L, %I, left(%2$I, 4), false FROM csv', f.feature, f.id);
			ELSE
				EXECUTE format('UPDATE metaxy_media.metaxy_read SET active = true WHERE feature = %L AND sample IN (SELECT %I FROM csv)',
					f.feature, f.id);
			END IF;
			DROP TABLE csv;
		END LOOP;
	END LOOP;
END $$;
CALL metaxy_media.load(:'reads');
SELECT feature, count(*) AS latest, count(*) FILTER (WHERE active) AS active FROM metaxy_media.metaxy_read GROUP BY 1 ORDER BY 1;

-- What is there now, by the query that Metaxy's read() runs: the latest row of
-- each sample of the current version.
CREATE FUNCTION metaxy_media.now() RETURNS TABLE (feature text, sample text, active boolean) LANGUAGE plpgsql AS $$
DECLARE
	f record;
BEGIN
	FOR f IN SELECT * FROM public.metaxy_feature LOOP
		RETURN QUERY EXECUTE format('SELECT %L, id::text, gone IS NULL FROM (SELECT %I AS id, metaxy_deleted_at AS gone,
			row_number() OVER (PARTITION BY %2$I ORDER BY coalesce(metaxy_deleted_at, metaxy_updated_at) DESC, metaxy_deleted_at IS NULL) AS n
			FROM %s WHERE metaxy_feature_version = %L) AS x WHERE n = 1', f.feature, f.id_columns[1], f.relation, f.feature_version);
	END LOOP;
END $$;
-- the same before any delete
SELECT * FROM metaxy_media.now() EXCEPT SELECT feature, sample, active FROM metaxy_media.metaxy_read;
SELECT count(*) FROM metaxy_media.now();

-- Runs a delete and takes it back.  "expected" are the samples that plain SQL
-- finds, from what Metaxy read; "other" counts samples that are not as they
-- should be afterwards.
CREATE TABLE metaxy_media.expected (feature text, sample text);
CREATE FUNCTION metaxy_media.try(call text, soft boolean DEFAULT true) RETURNS TABLE (step int, of text, samples bigint,
	"rows" bigint, stale bigint, expected bigint, other bigint) LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
BEGIN
	EXECUTE format('SELECT jsonb_agg(d) FROM metaxy_delete(%s, soft => %s) AS d', call, soft::text) INTO result;
	SELECT jsonb_agg(r || jsonb_build_object('of', r -> 'feature',
		'expected', (SELECT count(*) FROM metaxy_media.expected AS e WHERE e.feature = r ->> 'feature'),
		'other', (SELECT count(*) FROM
			(SELECT sample, active AND sample NOT IN (SELECT e.sample FROM metaxy_media.expected AS e WHERE e.feature = r ->> 'feature') AS active
			 FROM metaxy_media.metaxy_read AS m WHERE m.feature = r ->> 'feature'
			 AND (soft OR sample NOT IN (SELECT e.sample FROM metaxy_media.expected AS e WHERE e.feature = r ->> 'feature'))) AS a
			FULL JOIN (SELECT n.sample, n.active FROM metaxy_media.now() AS n WHERE n.feature = r ->> 'feature') AS b USING (sample, active)
			WHERE a IS NULL OR b IS NULL)) ORDER BY r -> 'step')
	  INTO result FROM jsonb_array_elements(result) AS r;
	RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	RETURN QUERY SELECT * FROM jsonb_to_recordset(SQLERRM::jsonb) AS x (step int, of text, samples bigint, "rows" bigint,
		stale bigint, expected bigint, other bigint);
END $$;
SET search_path = metaxy_media, public;

-- one feature
INSERT INTO expected SELECT 'video/raw', sample FROM metaxy_read WHERE feature = 'video/raw' AND active AND sample BETWEEN 'v003' AND 'v011';
SELECT * FROM try($$'video/raw', filter => $f$video_id >= 'v003' AND video_id <= 'v011'$f$, cascade => 'none'$$);
-- down from there: parts and transcripts, faces of those parts, clips of those
-- faces, summaries of videos that have lost all their parts
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e ON e.feature = 'video/raw' AND e.sample = m.video
 WHERE m.feature IN ('video/chunk', 'video/transcript') AND m.active;
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e ON e.feature = 'video/chunk' AND e.sample = m.sample
 WHERE m.feature = 'video/faces' AND m.active;
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e ON e.feature = 'video/faces' AND e.sample = m.sample
 WHERE m.feature = 'training-set/clip' AND m.active;
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m WHERE m.feature = 'video/summary' AND m.active
   AND m.sample IN (SELECT left(sample, 4) FROM expected WHERE feature = 'video/chunk')
   AND NOT EXISTS (SELECT FROM metaxy_read AS c WHERE c.feature = 'video/chunk' AND c.active AND c.video = m.sample
		AND c.sample NOT IN (SELECT sample FROM expected WHERE feature = 'video/chunk'));
SELECT * FROM try($$'video/raw', $f$video_id >= 'v003' AND video_id <= 'v011'$f$, cascade => 'downstream'$$);

-- the first part of each video: summaries of videos with other parts are stale
TRUNCATE expected;
INSERT INTO expected SELECT feature, sample FROM metaxy_read WHERE feature = 'video/chunk' AND active AND sample LIKE '%\_0';
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e USING (sample)
 WHERE m.feature = 'video/faces' AND e.feature = 'video/chunk' AND m.active;
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e USING (sample)
 WHERE m.feature = 'training-set/clip' AND e.feature = 'video/faces' AND m.active;
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m WHERE m.feature = 'video/summary' AND m.active
   AND (SELECT array_agg(DISTINCT c.sample) FROM metaxy_read AS c WHERE c.feature = 'video/chunk' AND c.active AND c.video = m.sample) = ARRAY[m.sample || '_0'];
SELECT * FROM try($$'video/chunk', $f$video_chunk_id LIKE '%\_0'$f$, cascade => 'downstream'$$);
SELECT count(*) AS summaries_stale FROM metaxy_read AS m WHERE feature = 'video/summary' AND active AND sample NOT IN
	(SELECT sample FROM expected WHERE feature = 'video/summary') AND EXISTS
	(SELECT FROM expected WHERE feature = 'video/chunk' AND left(expected.sample, 4) = m.sample);
-- unless partial ones are to go
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m WHERE m.feature = 'video/summary' AND m.active
   AND EXISTS (SELECT FROM expected AS e WHERE e.feature = 'video/chunk' AND left(e.sample, 4) = m.sample)
   AND m.sample NOT IN (SELECT sample FROM expected WHERE feature = 'video/summary');
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m WHERE m.feature = 'training-set/clip' AND m.active
   AND m.sample IN (SELECT sample FROM expected WHERE feature = 'video/chunk')
   AND m.sample NOT IN (SELECT sample FROM expected WHERE feature = 'training-set/clip');
SELECT * FROM try($$'video/chunk', $f$video_chunk_id LIKE '%\_0'$f$, cascade => 'downstream', partial => 'delete'$$);

-- up: faces, the parts and videos that they came from
TRUNCATE expected;
INSERT INTO expected SELECT 'video/faces', video_chunk_id FROM video__faces_active WHERE num_faces > 3;
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e USING (sample)
 WHERE m.feature = 'video/chunk' AND e.feature = 'video/faces' AND m.active;
INSERT INTO expected SELECT DISTINCT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e ON left(e.sample, 4) = m.sample
 WHERE m.feature = 'video/raw' AND e.feature = 'video/chunk' AND m.active;
SELECT * FROM try($$'video/faces', 'num_faces > 3', cascade => 'upstream'$$);
-- and down again: all parts of those videos, with all that hangs on them
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e ON e.feature = 'video/raw' AND e.sample = m.video
 WHERE m.feature = 'video/chunk' AND m.active AND m.sample NOT IN (SELECT sample FROM expected WHERE feature = 'video/chunk');
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e ON e.feature = 'video/chunk' AND e.sample = m.sample
 WHERE m.feature = 'video/faces' AND m.active AND m.sample NOT IN (SELECT sample FROM expected WHERE feature = 'video/faces');
INSERT INTO expected SELECT m.feature, m.sample FROM metaxy_read AS m JOIN expected AS e ON e.feature = 'video/faces' AND e.sample = m.sample
 WHERE m.feature = 'training-set/clip' AND m.active;
SELECT * FROM try($$'video/faces', 'num_faces > 3', cascade => 'both'$$);

-- whole features, orphans included; and joined, without them
TRUNCATE expected;
INSERT INTO expected SELECT feature, sample FROM metaxy_read WHERE active;
SELECT * FROM try($$'video/raw', cascade => 'downstream'$$);
DELETE FROM expected AS e WHERE feature IN ('video/chunk', 'video/transcript') AND left(sample, 4) NOT IN
	(SELECT sample FROM expected WHERE feature = 'video/raw');
DELETE FROM expected AS e WHERE feature = 'video/faces' AND sample NOT IN (SELECT sample FROM expected WHERE feature = 'video/chunk');
DELETE FROM expected AS e WHERE feature = 'training-set/clip' AND sample NOT IN (SELECT sample FROM expected WHERE feature = 'video/faces');
DELETE FROM expected AS e WHERE feature = 'video/summary' AND (sample NOT IN
	(SELECT left(sample, 4) FROM expected WHERE feature = 'video/chunk') OR sample IN
	(SELECT video FROM metaxy_read WHERE feature = 'video/chunk' AND active AND sample NOT IN
		(SELECT sample FROM expected WHERE feature = 'video/chunk')));
SELECT * FROM try($$'video/raw', 'true', cascade => 'downstream'$$);
SELECT * FROM try($$'video/raw', $f$coalesce(video_id, '') >= ''$f$, cascade => 'downstream'$$);

-- For good: latest rows, tombstones too, are joined, and samples go whole.
TRUNCATE expected;
INSERT INTO expected SELECT feature, sample FROM metaxy_read WHERE feature = 'video/raw' AND sample < 'v015';
INSERT INTO expected SELECT feature, sample FROM metaxy_read WHERE feature IN ('video/chunk', 'video/transcript') AND video IN
	(SELECT sample FROM expected WHERE feature = 'video/raw');
INSERT INTO expected SELECT feature, sample FROM metaxy_read WHERE feature = 'video/faces' AND sample IN
	(SELECT sample FROM expected WHERE feature = 'video/chunk');
INSERT INTO expected SELECT feature, sample FROM metaxy_read WHERE feature = 'training-set/clip' AND sample IN
	(SELECT sample FROM expected WHERE feature = 'video/faces');
INSERT INTO expected SELECT feature, sample FROM metaxy_read AS m WHERE feature = 'video/summary' AND sample IN
	(SELECT left(sample, 4) FROM expected WHERE feature = 'video/chunk') AND NOT EXISTS
	(SELECT FROM metaxy_read AS c WHERE c.feature = 'video/chunk' AND c.video = m.sample AND c.active AND c.sample NOT IN
		(SELECT sample FROM expected WHERE feature = 'video/chunk'));
SELECT * FROM try($$'video/raw', $f$video_id < 'v015'$f$, cascade => 'downstream'$$, false);
SELECT count(*) AS rows_of_these FROM video__raw WHERE video_id < 'v015' AND metaxy_feature_version = '6e5a4ab8';
SELECT count(*) AS of_all_versions FROM video__raw WHERE video_id < 'v015';
BEGIN;
SELECT feature, samples, "rows" FROM metaxy_delete('video/raw', $$video_id < 'v015'$$, soft => false, with_feature_history => true);
SELECT count(*) FILTER (WHERE video_id < 'v015') AS these, count(*) > 0 AS others FROM video__raw;
ROLLBACK;

-- Filters that Metaxy read with.
CREATE FUNCTION count_csv(file text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	CREATE TEMP TABLE lines (line text);
	EXECUTE format('COPY lines FROM %L (FORMAT csv, DELIMITER E''\x01'', QUOTE E''\x02'', HEADER)', file);
	SELECT count(*) INTO n FROM lines;
	DROP TABLE lines;
	RETURN n;
END $$;
SELECT f.feature, d.samples, count_csv(:'reads' || '/' || f.file || '.active_filtered.csv') AS read_by_metaxy
  FROM (VALUES ('video/raw', 'video__raw', 'duration > 300'), ('video/chunk', 'video__chunk', $$video_id = 'v003'$$),
	('training-set/clip', 'training_set__clip', 'weight < 0.5')) AS f (feature, file, filter),
	metaxy_delete(f.feature, f.filter, dry_run => true) AS d;
-- a hard delete finds what read() finds with tombstones
SELECT f.feature, d.samples, count_csv(:'reads' || '/' || f.file || '.latest_filtered.csv') AS read_by_metaxy
  FROM (VALUES ('video/raw', 'video__raw', 'duration > 300'), ('video/chunk', 'video__chunk', $$video_id = 'v003'$$),
	('training-set/clip', 'training_set__clip', 'weight < 0.5')) AS f (feature, file, filter),
	metaxy_delete(f.feature, f.filter, soft => false, dry_run => true) AS d;

-- A tombstone of Metaxy's columns, all of them.
BEGIN;
SELECT samples FROM metaxy_delete('video/chunk', $$video_id IN ('v004', 'v005', 'v006')$$);
SELECT count(*) AS tombstones, count(*) FILTER (WHERE EXISTS (SELECT FROM video__chunk AS l
	WHERE l.metaxy_deleted_at IS NULL AND to_jsonb(l) - 'metaxy_deleted_at' = to_jsonb(t) - 'metaxy_deleted_at')) AS copies
  FROM video__chunk AS t WHERE metaxy_deleted_at = (SELECT stamp FROM metaxy_deletions ORDER BY id DESC LIMIT 1);
ROLLBACK;

RESET search_path;
SELECT metaxy_unregister(feature) FROM metaxy_order(direction => 'upstream');
DROP SCHEMA metaxy_media CASCADE;
DROP TABLE video__raw, video__chunk, video__transcript, video__faces, video__summary, training_set__clip,
	metaxy_system__feature_versions;
