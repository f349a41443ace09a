--
-- metaxy_delete: cascades over a graph.  Which features take part, in which
-- order, and which samples go
--
CREATE SCHEMA metaxy_cascade;
SET search_path = metaxy_cascade, public;
SET client_min_messages = warning;
\set result 'step, feature, relation, samples, "rows", stale'

-- All tables are alike; keys in an order that is neither that of the graph nor
-- that of their bytes.
CREATE TABLE blank (id text NOT NULL, v text, n int, metaxy_created_at timestamptz DEFAULT '2024-01-01' NOT NULL,
	metaxy_updated_at timestamptz DEFAULT '2024-01-01' NOT NULL, metaxy_deleted_at timestamptz);
CREATE PROCEDURE make(VARIADIC keys text[]) LANGUAGE plpgsql AS $$
DECLARE
	key text;
BEGIN
	FOREACH key IN ARRAY keys LOOP
		EXECUTE format('CREATE TABLE %I (LIKE blank INCLUDING DEFAULTS)', replace(key, '/', '_'));
		PERFORM metaxy_register(key, quote_ident(replace(key, '/', '_'))::regclass, '{id}');
	END LOOP;
END $$;
-- Samples v1 to v3, each with parts a and b below it.
CREATE PROCEDURE fill(VARIADIC names text[]) LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY names LOOP
		EXECUTE format('INSERT INTO %I SELECT v || p, v, 1 FROM unnest(''{v1,v2,v3}''::text[]) AS v,
			unnest(''{a,b}''::text[]) AS p', name);
	END LOOP;
END $$;

-- Runs a delete and takes it back: each step with the samples that went.
CREATE FUNCTION gone(relation regclass, stamp timestamptz) RETURNS text LANGUAGE plpgsql STRICT AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT string_agg(id, '' '' ORDER BY id COLLATE "C") FROM %s WHERE metaxy_deleted_at = $1', relation)
		INTO result USING stamp;
	RETURN coalesce(result, '-');
END $$;
CREATE FUNCTION try(key text, filter text, VARIADIC options text[] DEFAULT '{}') RETURNS TABLE (step int, feature text,
	samples bigint, "rows" bigint, stale bigint, gone text) LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
BEGIN
	EXECUTE format('SELECT jsonb_agg(jsonb_build_array(step, feature, samples, "rows", stale, gone(relation, stamp)) ORDER BY step)
		FROM metaxy_delete(%L, %L, %s)', key, filter, array_to_string('{"reason => NULL"}' || options, ', ')) INTO result;
	RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	RETURN QUERY SELECT (r ->> 0)::int, r ->> 1, (r ->> 2)::bigint, (r ->> 3)::bigint, (r ->> 4)::bigint, r ->> 5
		FROM jsonb_array_elements(SQLERRM::jsonb) AS r;
END $$;

--
-- The graph of a video store: an expansion, two identities below each other,
-- an aggregation, an optional edge, and what belongs to none of them
--
CALL make('video/raw', 'video/chunk', 'video/transcript', 'video/faces', 'training-set/clip', 'video/summary', 'audio/raw');
SELECT metaxy_depend('video/chunk', 'video/raw', '1:N', '{id}', '{"id": "v"}');
SELECT metaxy_depend('video/transcript', 'video/raw');
SELECT metaxy_depend('video/faces', 'video/chunk');
SELECT metaxy_depend('training-set/clip', 'video/faces');
SELECT metaxy_depend('training-set/clip', 'video/chunk', optional => true);
SELECT metaxy_depend('video/summary', 'video/chunk', 'N:1', '{v}', '{"v": "id", "id": "chunk"}');
INSERT INTO video_raw SELECT unnest('{v1,v2,v3}'::text[]), NULL, 1;
CALL fill('video_chunk', 'video_faces', 'training-set_clip');
INSERT INTO video_transcript SELECT unnest('{v1,v2,v9}'::text[]), NULL, 1;
INSERT INTO video_summary SELECT unnest('{v1,v2,v3,v9}'::text[]), NULL, 1;
INSERT INTO video_faces VALUES ('orphan', 'v9', 1);
INSERT INTO "training-set_clip" VALUES ('orphan', 'v9', 1);

-- none: the feature alone
SELECT * FROM try('video/raw', $$id = 'v1'$$);
SELECT * FROM try('video/raw', $$id = 'v1'$$, $$cascade => 'none'$$);
-- downstream: dependents first
SELECT * FROM try('video/raw', $$id = 'v1'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('video/chunk', $$id = 'v1a'$$, $$cascade => 'DOWNSTREAM'$$);
SELECT * FROM try('video/faces', $$v = 'v2'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('training-set/clip', $$v = 'v2'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('video/raw', 'false', $$cascade => 'downstream'$$);
-- upstream: dependencies first; what was left out and depends on them is named
SELECT * FROM try('training-set/clip', $$id = 'v1a'$$, $$cascade => 'upstream'$$);
SELECT * FROM try('video/faces', $$id IN ('v1a', 'orphan')$$, $$cascade => 'Upstream'$$);
SELECT * FROM try('video/raw', $$id = 'v1'$$, $$cascade => 'upstream'$$);
SELECT * FROM try('video/summary', $$id IN ('v2', 'v9')$$, $$cascade => 'upstream'$$);
SELECT * FROM try('training-set/clip', 'false', $$cascade => 'upstream'$$);
-- both: up once, and all that is doomed goes down through the set: siblings in
-- the named feature go too
SELECT * FROM try('video/chunk', $$id = 'v1a'$$, $$cascade => 'both'$$);
SELECT * FROM try('video/faces', $$id = 'v1a'$$, $$cascade => 'both'$$);
SELECT * FROM try('training-set/clip', $$id = 'orphan'$$, $$cascade => 'both'$$);
SELECT * FROM try('video/summary', $$id = 'v2'$$, $$cascade => 'both'$$);
SELECT * FROM try('audio/raw', 'true', $$cascade => 'both'$$);

-- Without a filter a feature goes whole, and all below it on required edges,
-- orphans too; with filter => 'true' they stay.
SELECT * FROM try('video/raw', NULL, $$cascade => 'downstream'$$);
SELECT * FROM try('video/raw', 'true', $$cascade => 'downstream'$$);
SELECT * FROM try('video/chunk', NULL, $$cascade => 'downstream'$$);
SELECT * FROM try('video/chunk', NULL, $$cascade => 'upstream'$$);
SELECT * FROM try('video/faces', NULL, $$cascade => 'both'$$);
-- it goes whole even where its parent has nothing left
BEGIN;
SELECT samples FROM metaxy_delete('video/raw');
SELECT * FROM try('video/raw', NULL, $$cascade => 'downstream'$$);
SELECT * FROM try('video/raw', 'true', $$cascade => 'downstream'$$);
ROLLBACK;

-- Optional edges doom nothing; what they reach is stale, unless partial samples
-- are to go.
SELECT metaxy_undepend('training-set/clip', 'video/faces');
SELECT * FROM try('video/chunk', $$id IN ('v1a', 'v2a')$$, $$cascade => 'downstream'$$);
SELECT * FROM try('video/chunk', $$id IN ('v1a', 'v2a')$$, $$cascade => 'downstream'$$, $$partial => 'delete'$$);
SELECT * FROM try('video/chunk', NULL, $$cascade => 'downstream'$$);
SELECT * FROM try('video/chunk', NULL, $$cascade => 'downstream'$$, $$partial => 'delete'$$);
SELECT * FROM try('video/chunk', $$id IN ('v1a', 'v2a')$$, $$cascade => 'downstream'$$, $$partial => 'KEEP'$$);
SELECT * FROM try('video/chunk', $$id IN ('v1a', 'v2a')$$, $$partial => 'delete'$$);
-- up they are followed like required ones
SELECT * FROM try('training-set/clip', $$id IN ('v1a', 'orphan')$$, $$cascade => 'upstream'$$);
SELECT * FROM try('training-set/clip', $$id = 'v1a'$$, $$cascade => 'both'$$);
SELECT * FROM try('training-set/clip', $$id = 'v1a'$$, $$cascade => 'both'$$, $$partial => 'delete'$$);
SELECT metaxy_depend('training-set/clip', 'video/faces');

-- Stale: an active child of a doomed parent that is not doomed itself, counted
-- once.  In a cascade upstream these are the siblings on the way.
SELECT * FROM try('video/summary', $$id = 'v1'$$, $$cascade => 'upstream'$$);
SELECT * FROM try('video/faces', $$id = 'v1a'$$, $$cascade => 'upstream'$$, $$partial => 'delete'$$);
BEGIN;
-- one that was deleted before is not stale
SELECT samples FROM metaxy_delete('video/chunk', $$id = 'v1b'$$);
SELECT * FROM try('video/faces', $$id = 'v1a'$$, $$cascade => 'upstream'$$);
SELECT samples FROM metaxy_delete('video/summary', $$id = 'v2'$$);
SELECT * FROM try('video/chunk', $$id IN ('v2a', 'v3a')$$, $$cascade => 'downstream'$$);
SELECT feature, samples, "rows", stale
  FROM metaxy_delete('video/chunk', $$id IN ('v2a', 'v3a')$$, cascade => 'downstream', soft => false, dry_run => true);
ROLLBACK;

-- Hard deletes take the same samples, and tombstones with them.
BEGIN;
SELECT samples FROM metaxy_delete('video/raw', $$id = 'v1'$$, cascade => 'downstream');
SELECT :result FROM metaxy_delete('video/raw', $$id = 'v1'$$, cascade => 'downstream');
SELECT :result FROM metaxy_delete('video/raw', $$id IN ('v1', 'v2')$$, cascade => 'downstream', soft => false);
SELECT id FROM video_raw ORDER BY 1;
SELECT id, metaxy_deleted_at FROM video_chunk ORDER BY 1;
SELECT id FROM "training-set_clip" ORDER BY 1;
SELECT id FROM video_summary ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT :result FROM metaxy_delete('video/raw', soft => false, all_rows => true, cascade => 'downstream');
SELECT (SELECT count(*) FROM video_raw) + (SELECT count(*) FROM video_chunk) + (SELECT count(*) FROM video_transcript) +
	(SELECT count(*) FROM video_faces) + (SELECT count(*) FROM "training-set_clip") + (SELECT count(*) FROM video_summary) AS rows;
ROLLBACK;

-- Several features in one operation, each with what is below or above it.
SELECT step, feature, samples, stale, gone(relation, stamp)
  FROM metaxy_delete('{video/transcript,video/faces}'::text[], ARRAY[$$id IN ('v1', 'v3b')$$], cascade => 'upstream') ORDER BY 1;
SELECT step, feature, samples, stale, gone(relation, stamp)
  FROM metaxy_delete('{video/faces,video/raw}'::text[], ARRAY[$$id IN ('v2', 'orphan')$$], cascade => 'downstream') ORDER BY 1;
SELECT step, feature, samples, stale, gone(relation, stamp)
  FROM metaxy_delete('{training-set/clip,audio/raw,video/summary}'::text[], '{true}') ORDER BY 1;
SELECT DISTINCT cascade, features, samples FROM metaxy_deletions
 WHERE '{video/faces,video/raw}' && features OR '{audio/raw}' && features ORDER BY 2;
SELECT metaxy_unregister(feature) FROM metaxy_order(direction => 'upstream') ORDER BY step;
DROP TABLE video_raw, video_chunk, video_transcript, video_faces, "training-set_clip", video_summary, audio_raw CASCADE;

--
-- A diamond: a sample that is reached on two ways counts once
--
CALL make('d/top', 'd/left', 'd/right', 'd/end');
SELECT metaxy_depend('d/left', 'd/top'), metaxy_depend('d/right', 'd/top'), metaxy_depend('d/end', 'd/left'),
	metaxy_depend('d/end', 'd/right');
CALL fill('d_top', 'd_left', 'd_right', 'd_end');
DELETE FROM d_left WHERE id = 'v1a';
DELETE FROM d_right WHERE id = 'v2a';
SELECT * FROM try('d/top', $$id LIKE '%a'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('d/top', $$v = 'v1'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('d/end', $$v = 'v2'$$, $$cascade => 'upstream'$$);
SELECT * FROM try('d/left', $$v = 'v2'$$, $$cascade => 'upstream'$$);
SELECT * FROM try('d/left', $$v = 'v2'$$, $$cascade => 'both'$$);
SELECT count(*), count(DISTINCT id) FROM d_end;
-- one way optional: doomed on the other, or stale, but never both
SELECT metaxy_undepend('d/end', 'd/right'), metaxy_depend('d/end', 'd/right', optional => true);
SELECT * FROM try('d/top', $$v IN ('v1', 'v2')$$, $$cascade => 'downstream'$$);
SELECT * FROM try('d/top', NULL, $$cascade => 'downstream'$$);
-- both ways optional, or aggregations: stale once
SELECT metaxy_undepend('d/end', 'd/left'), metaxy_depend('d/end', 'd/left', optional => true);
SELECT * FROM try('d/top', $$v IN ('v1', 'v2')$$, $$cascade => 'downstream'$$);
SELECT * FROM try('d/top', $$v IN ('v1', 'v2')$$, $$cascade => 'downstream'$$, $$partial => 'delete'$$);
-- the feature goes whole only where the way there is required
SELECT * FROM try('d/top', NULL, $$cascade => 'downstream'$$);
SELECT metaxy_undepend('d/end', 'd/left'), metaxy_undepend('d/end', 'd/right');
SELECT metaxy_depend('d/end', 'd/left', 'N:1', '{v}'), metaxy_depend('d/end', 'd/right', 'N:1', '{v}');
SELECT * FROM try('d/top', $$id LIKE '%a'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('d/top', $$id IN ('v1a', 'v1b', 'v2b')$$, $$cascade => 'downstream'$$);
-- a step over a feature, to its own child: found from the root, each once
SELECT metaxy_depend('d/end', 'd/top', '1:N', '{v}');
SELECT * FROM try('d/top', $$id = 'v1a'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('d/end', $$id = 'v1a'$$, $$cascade => 'upstream'$$);
SELECT metaxy_unregister(feature) FROM metaxy_order(direction => 'upstream') ORDER BY step;
DROP TABLE d_top, d_left, d_right, d_end CASCADE;

--
-- The order: Kahn's, with the smallest key first, part by part; the exact
-- reverse of it down
--
CALL make('b', 'a/z', 'a', 'a-x/b', 'B', 'c');
SELECT metaxy_depend('a-x/b', 'b'), metaxy_depend('a', 'b'), metaxy_depend('a/z', 'b'), metaxy_depend('B', 'a/z'),
	metaxy_depend('c', 'B'), metaxy_depend('c', 'a-x/b', optional => true);
CALL fill('b', 'a_z', 'a', 'a-x_b', 'B', 'c');
SELECT * FROM try('b', $$id = 'v1a'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('c', $$id = 'v1a'$$, $$cascade => 'upstream'$$);
SELECT * FROM try('B', $$id = 'v1a'$$, $$cascade => 'both'$$);
SELECT step, feature FROM metaxy_delete('{c,a,b,a-x/b,a/z,B}'::text[], dry_run => true);
SELECT step, feature FROM metaxy_delete('{c,a,b}'::text[], dry_run => true, cascade => 'both');
-- in the ledger the same
BEGIN;
SELECT deletion_id AS id FROM metaxy_delete('B', $$id = 'v1a'$$, cascade => 'both') LIMIT 1 \gset
SELECT step, feature, samples FROM metaxy_deletion_steps WHERE deletion_id = :id ORDER BY 1;
ROLLBACK;

--
-- A feature without a table: nothing to delete, and a warning; required edges
-- still lead over it when features go whole
--
ALTER TABLE a_z RENAME TO a_z_;
DROP TABLE a_z_ CASCADE;
SELECT :result FROM metaxy_delete('b', $$id = 'v1a'$$, cascade => 'downstream', dry_run => true);
SELECT * FROM try('b', NULL, $$cascade => 'downstream'$$);
SELECT * FROM try('c', $$id = 'v1a'$$, $$cascade => 'upstream'$$);
BEGIN;
SELECT deletion_id AS id FROM metaxy_delete('b', $$id = 'v1a'$$, cascade => 'downstream') LIMIT 1 \gset
SELECT step, feature, schema_name, relation_name, samples, "rows" FROM metaxy_deletion_steps WHERE deletion_id = :id ORDER BY 1;
ROLLBACK;
\set VERBOSITY sqlstate
SELECT :result FROM metaxy_delete('a/z');													-- error
SELECT :result FROM metaxy_delete('{a,a/z}'::text[], dry_run => true);						-- error
\set VERBOSITY default

-- The warning names each feature outside once, and only where an edge is
-- required; not for what has nothing to do with it.
SELECT feature FROM metaxy_delete('a-x/b', 'false', cascade => 'upstream', dry_run => true);
SELECT feature FROM metaxy_delete('b', 'false', cascade => 'upstream', dry_run => true);
SELECT feature FROM metaxy_delete('b', 'false', cascade => 'both', dry_run => true);
SELECT feature FROM metaxy_delete('b', 'false', dry_run => true);
SELECT metaxy_unregister(feature) FROM metaxy_order(direction => 'upstream') ORDER BY step;

DROP SCHEMA metaxy_cascade CASCADE;
