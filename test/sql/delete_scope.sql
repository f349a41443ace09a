--
-- metaxy_delete: scopes.  Which versions of a feature, and which rows of a
-- sample, a delete looks at
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE SCHEMA metaxy_scope;
SET search_path = metaxy_scope, public;
SET client_min_messages = warning;

-- a chain of three; the last one has no versions
CREATE TABLE video (video_id text, n int, metaxy_feature_version text,
	metaxy_created_at timestamptz DEFAULT '2024-01-01', metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
CREATE TABLE chunk (chunk_id text, video_id text, n int, metaxy_feature_version text,
	metaxy_created_at timestamptz DEFAULT '2024-01-01', metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
CREATE TABLE note (note_id text, chunk_id text, n int, metaxy_feature_version text,
	metaxy_created_at timestamptz DEFAULT '2024-01-01', metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('video', 'video', '{video_id}', 'v2');
SELECT metaxy_register('chunk', 'chunk', '{chunk_id}', 'c2');
SELECT metaxy_register('note', 'note', '{note_id}');
SELECT metaxy_depend('chunk', 'video', '1:N'), metaxy_depend('note', 'chunk', '1:N');

-- of a video in both versions, in the old one, in the new one, in the new one
-- deleted, in the old one deleted, and one whose old version is the latest
INSERT INTO video (video_id, n, metaxy_feature_version, metaxy_updated_at, metaxy_deleted_at) VALUES
	('both', 1, 'v1', '2024-01-01', NULL), ('both', 2, 'v1', '2024-01-02', NULL),
	('both', 3, 'v2', '2024-01-03', NULL), ('both', 4, 'v2', '2024-01-04', NULL),
	('old', 1, 'v1', '2024-01-01', NULL), ('old', 2, 'v1', '2024-01-02', NULL),
	('new', 3, 'v2', '2024-01-03', NULL),
	('gone new', 1, 'v1', '2024-01-01', NULL), ('gone new', 3, 'v2', '2024-01-03', NULL), ('gone new', 3, 'v2', '2024-01-03', '2024-01-04'),
	('gone old', 1, 'v1', '2024-01-01', NULL), ('gone old', 1, 'v1', '2024-01-01', '2024-01-02'), ('gone old', 3, 'v2', '2024-01-03', NULL),
	('late old', 3, 'v2', '2024-01-03', NULL), ('late old', 5, 'v1', '2024-01-05', NULL);
INSERT INTO chunk (chunk_id, video_id, n, metaxy_feature_version, metaxy_updated_at)
SELECT video_id || '/' || v, video_id, i, v, '2024-01-01'::timestamptz + i * interval '1 day'
  FROM (SELECT DISTINCT video_id FROM video) AS s, (VALUES ('c1', 1), ('c2', 2)) AS x (v, i);
INSERT INTO chunk (chunk_id, video_id, n, metaxy_feature_version, metaxy_updated_at) VALUES
	('both/moved', 'both', 1, 'c1', '2024-01-01'), ('both/moved', 'elsewhere', 2, 'c2', '2024-01-02');
INSERT INTO note (note_id, chunk_id, n, metaxy_feature_version, metaxy_updated_at)
SELECT chunk_id || '/n', chunk_id, 1, 'x' || n, '2024-01-01' FROM chunk WHERE chunk_id <> 'both/moved';

-- Tables before a delete; and a delete, with what it added or removed as
-- "sample n version", taken back at once.
CREATE TABLE before (t text, place tid, writer text, j jsonb);
CREATE VIEW now AS
		  SELECT 'video' AS t, ctid AS place, xmin::text AS writer, to_jsonb(video) AS j FROM video
UNION ALL SELECT 'chunk', ctid, xmin::text, to_jsonb(chunk) FROM chunk
UNION ALL SELECT 'note', ctid, xmin::text, to_jsonb(note) FROM note;
INSERT INTO before SELECT t, place, writer, j FROM now;
CREATE VIEW difference AS
SELECT t, coalesce(n.j, b.j) AS j,
	CASE WHEN n.j IS NULL THEN 'removed'
		WHEN b.j IS NOT NULL THEN 'changed'
		WHEN n.j ->> 'metaxy_deleted_at' IS NULL THEN 'live row'
		WHEN NOT EXISTS (SELECT FROM before AS o
			WHERE o.t = n.t AND o.j - 'metaxy_deleted_at' = n.j - 'metaxy_deleted_at') THEN 'no copy'
		ELSE 'hidden' END AS what
  FROM now AS n FULL JOIN before AS b USING (t, place)
 WHERE b.j IS DISTINCT FROM n.j OR b.writer <> n.writer;
CREATE VIEW changes AS
SELECT t, string_agg(what || ': ' || list, '; ' ORDER BY what) AS changes FROM
	(SELECT t, what, string_agg(concat_ws(' ', id, j ->> 'n', j ->> 'metaxy_feature_version',
			CASE WHEN j ->> 'metaxy_deleted_at' < '2024-02' THEN 'tombstone' END), ', '
		ORDER BY id COLLATE "C", j ->> 'n', j ->> 'metaxy_deleted_at' DESC) AS list
	 FROM difference, coalesce(j ->> 'note_id', CASE t WHEN 'chunk' THEN j ->> 'chunk_id' ELSE j ->> 'video_id' END) AS id
	 GROUP BY t, what) AS x
 GROUP BY t;

CREATE FUNCTION try(feature text, filter text, VARIADIC options text[] DEFAULT '{}')
RETURNS TABLE (step int, "of" text, samples bigint, "rows" bigint, stale bigint, changes text) LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
BEGIN
	EXECUTE format('SELECT jsonb_agg(d) FROM metaxy_delete(%L, %L, %s) AS d',
		feature, filter, array_to_string('{"reason => NULL"}' || options, ', ')) INTO result;
	result := (SELECT jsonb_agg(r || jsonb_build_object('of', r -> 'feature', 'changes', c.changes) ORDER BY r -> 'step')
		FROM jsonb_array_elements(result) AS r LEFT JOIN changes AS c ON c.t = r ->> 'feature');
	RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = result;
EXCEPTION
	WHEN SQLSTATE 'ZZ001' THEN
		RETURN QUERY SELECT * FROM jsonb_to_recordset(SQLERRM::jsonb)
			AS r (step int, "of" text, samples bigint, "rows" bigint, stale bigint, changes text);
	WHEN OTHERS THEN
		RETURN QUERY SELECT NULL::int, SQLSTATE::text, NULL::bigint, NULL::bigint, NULL::bigint, SQLERRM;
END $$;

--
-- The current version, unless something else is said
--
SELECT * FROM try('video', 'true');
SELECT * FROM try('video', NULL);
SELECT * FROM try('video', 'n < 3');
SELECT * FROM try('video', $$metaxy_feature_version = 'v1'$$);
-- children of the current version alone, too
SELECT * FROM try('video', $$video_id = 'both'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('video', $$video_id = 'old'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('video', $$video_id = 'both'$$, $$cascade => 'downstream'$$, 'soft => false');

--
-- One version: of the named feature; of the others the current one
--
SELECT * FROM try('video', 'true', $$feature_version => 'v1'$$);
SELECT * FROM try('video', 'n = 2', $$feature_version => 'v1'$$);
SELECT * FROM try('video', 'n = 1', $$feature_version => 'v1'$$);
SELECT * FROM try('video', 'true', $$feature_version => 'v3'$$);
SELECT * FROM try('video', NULL, $$feature_version => 'v1'$$);
SELECT * FROM try('video', $$video_id = 'old'$$, $$feature_version => 'v1'$$, $$cascade => 'downstream'$$);
SELECT * FROM try('chunk', $$video_id = 'both'$$, $$feature_version => 'c1'$$, $$cascade => 'both'$$);
SELECT * FROM try('video', $$video_id = 'both'$$, $$feature_version => 'v1'$$, 'soft => false');
SELECT * FROM try('video', $$video_id = 'gone old'$$, $$feature_version => 'v1'$$, 'soft => false');
-- "v2" by its name is the current version
SELECT a.digest = b.digest AS same
  FROM metaxy_delete('video', 'n > 3', dry_run => true) AS a,
	   metaxy_delete('video', 'n > 3', feature_version => 'v2', dry_run => true) AS b;
SELECT * FROM try('note', 'true', $$feature_version => 'x1'$$);
SELECT * FROM try('video', 'true', $$feature_version => 'v1'$$, 'with_feature_history => true');

--
-- All versions: the filter sees one row a sample, the latest of any version; a
-- soft delete hides each version that is active, a hard one removes them all
--
SELECT * FROM try('video', 'true', 'with_feature_history => true');
SELECT * FROM try('video', NULL, 'with_feature_history => true');
SELECT * FROM try('video', 'n = 4', 'with_feature_history => true');
SELECT * FROM try('video', 'n < 3', 'with_feature_history => true');
SELECT * FROM try('video', 'n = 5', 'with_feature_history => true');
SELECT * FROM try('video', $$video_id LIKE 'gone%'$$, 'with_feature_history => true');
SELECT * FROM try('video', $$video_id LIKE 'gone%'$$, 'with_feature_history => true', 'soft => false');
SELECT * FROM try('video', 'n = 4', 'with_feature_history => true', 'soft => false');
SELECT * FROM try('video', 'n = 3', 'with_feature_history => true', 'soft => false');
-- down the graph in all versions; a chunk is joined by its latest row of any
SELECT * FROM try('video', $$video_id = 'both'$$, 'with_feature_history => true', $$cascade => 'downstream'$$);
SELECT * FROM try('video', $$video_id = 'both'$$, 'with_feature_history => true', $$cascade => 'downstream'$$, 'soft => false');
SELECT * FROM try('chunk', $$chunk_id = 'old/c1'$$, 'with_feature_history => true', $$cascade => 'upstream'$$);
SELECT * FROM try('note', $$note_id = 'old/c1/n'$$, 'with_feature_history => true', $$cascade => 'upstream'$$);
-- all of it, for good, is really all of it
SELECT samples, "rows", (SELECT count(*) FROM video) AS count
  FROM metaxy_delete('video', with_feature_history => true, soft => false, dry_run => true);

-- once hidden over all versions, nothing shows in any of them
BEGIN;
SELECT samples, "rows" FROM metaxy_delete('video', $$video_id IN ('both', 'late old')$$, with_feature_history => true);
SELECT video_id, metaxy_feature_version, n, metaxy_deleted_at > '2024-02-01' AS by_this FROM video
 WHERE video_id IN ('both', 'late old') ORDER BY 1, 2, 3, 4;
SELECT samples FROM metaxy_delete('video', $$video_id IN ('both', 'late old')$$, feature_version => 'v1');
SELECT samples FROM metaxy_delete('video', $$video_id IN ('both', 'late old')$$);
SELECT samples FROM metaxy_delete('video', $$video_id IN ('both', 'late old')$$, with_feature_history => true);
ROLLBACK;

--
-- A new current version moves the scope
--
BEGIN;
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');
SELECT * FROM try('video', 'true');
SELECT metaxy_register('video', 'video', '{video_id}', 'v9');
SELECT * FROM try('video', 'true');
ROLLBACK;

--
-- with_sample_history, softly: any live row of an active sample may match; one
-- tombstone, of its latest row
--
SELECT * FROM try('video', 'n = 3', 'with_sample_history => true');
SELECT * FROM try('video', 'n = 4', 'with_sample_history => true');
SELECT * FROM try('video', 'n = 1', 'with_sample_history => true');
SELECT * FROM try('video', 'n IN (1, 2)', 'with_sample_history => true', $$feature_version => 'v1'$$);
SELECT * FROM try('video', 'n = 1', 'with_sample_history => true', 'with_feature_history => true');
SELECT * FROM try('video', 'metaxy_deleted_at IS NOT NULL', 'with_sample_history => true', 'with_feature_history => true');
SELECT * FROM try('video', NULL, 'with_sample_history => true');
-- a row matches both filters, or does not
SELECT samples FROM metaxy_delete('{video}'::text[], '{n = 3,n = 4}', with_sample_history => true, dry_run => true);
SELECT samples FROM metaxy_delete('{video}'::text[], '{n >= 3,n < 4}', with_sample_history => true, dry_run => true);
-- a tombstone behind the latest row is no live row
BEGIN;
INSERT INTO video (video_id, n, metaxy_feature_version, metaxy_updated_at, metaxy_deleted_at) VALUES
	('x', 7, 'v2', '2024-01-01', '2024-01-02'), ('x', 8, 'v2', '2024-01-03', NULL);
SELECT samples FROM metaxy_delete('video', 'n = 7', with_sample_history => true);
SELECT samples FROM metaxy_delete('video', 'n = 8', with_sample_history => true);
ROLLBACK;
-- and down from there
SELECT * FROM try('video', 'n = 3', 'with_sample_history => true', $$cascade => 'downstream'$$);
SELECT * FROM try('chunk', 'n = 1', 'with_sample_history => true', $$cascade => 'both'$$);

--
-- with_sample_history, for good: the very rows that match
--
SELECT * FROM try('video', 'n = 3', 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', $$n = 3 AND video_id IN ('both', 'new', 'gone old')$$, 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', 'n = 4', 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', $$video_id = 'both'$$, 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', $$video_id = 'gone new' AND metaxy_deleted_at IS NULL$$, 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', 'metaxy_deleted_at IS NOT NULL', 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', 'metaxy_deleted_at IS NOT NULL', 'with_sample_history => true', 'soft => false', 'dry_run => true');
SELECT * FROM try('video', $$video_id = 'gone new'$$, 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', $$video_id LIKE 'gone%' AND n = 1$$, 'with_sample_history => true', 'soft => false', $$feature_version => 'v1'$$);
SELECT * FROM try('video', $$video_id = 'both' AND n = 2$$, 'with_sample_history => true', 'soft => false', $$feature_version => 'v1'$$);
SELECT * FROM try('video', $$video_id = 'both' AND n = 2$$, 'with_sample_history => true', 'soft => false', 'with_feature_history => true');
SELECT * FROM try('video', $$video_id = 'both' AND n > 1$$, 'with_sample_history => true', 'soft => false', 'with_feature_history => true');
SELECT * FROM try('video', 'false', 'with_sample_history => true', 'soft => false');
SELECT * FROM try('video', NULL, 'with_sample_history => true', 'soft => false', 'all_rows => true');
SELECT * FROM try('video', 'true', 'with_sample_history => true', 'soft => false', $$cascade => 'downstream'$$);

-- Rows of one sample, latest last, "(x)" being a tombstone, and those that go.
CREATE TABLE line (id int, n int, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('line', 'line', '{id}', views => false);
CREATE FUNCTION remove(rows text, n text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	left_over text;
	answer record;
BEGIN
	INSERT INTO line (id, n, metaxy_updated_at, metaxy_deleted_at)
	SELECT i, o, '2024-01-01'::timestamptz + o * interval '1 day',
		CASE WHEN r LIKE '(%' THEN '2024-01-01'::timestamptz + o * interval '1 day' END
	  FROM generate_series(1, 2) AS i, string_to_table(rows, ' ') WITH ORDINALITY AS s (r, o);
	SELECT samples, metaxy_delete."rows" INTO answer
	  FROM metaxy_delete('line', format('id = 1 AND n IN (%s)', n), soft => false, with_sample_history => true);
	SELECT string_agg(CASE WHEN metaxy_deleted_at IS NULL THEN line.n::text ELSE '(' || line.n || ')' END, ' '
		ORDER BY line.n) INTO left_over FROM line WHERE id = 1;
	IF (SELECT count(*) FROM line WHERE id = 2) <> cardinality(string_to_array(rows, ' ')) THEN
		RETURN 'another sample lost rows';
	END IF;
	RAISE EXCEPTION USING ERRCODE = 'ZZ001',
		MESSAGE = format('%s of %s, left: %s', answer.rows, answer.samples, left_over);
EXCEPTION WHEN SQLSTATE 'ZZ001' OR object_not_in_prerequisite_state THEN
	RETURN CASE WHEN SQLSTATE = 'ZZ001' THEN SQLERRM ELSE SQLSTATE END;
END $$;
SELECT rows, n, remove(rows, n) FROM (VALUES
	('1', '1'), ('1 2', '1'), ('1 2', '2'), ('1 2', '1, 2'), ('1 2 3', '2'), ('1 2 3', '1, 3'), ('1 2 3', '2, 3'),
	('1 (2)', '1'), ('1 (2)', '2'), ('1 (2)', '1, 2'), ('1 (2) 3', '3'), ('1 (2) 3', '2'), ('1 (2) 3', '2, 3'),
	('1 (2) 3', '1, 3'), ('1 (2) (3)', '3'), ('1 (2) (3)', '2'), ('1 (2) (3)', '2, 3'), ('(1) 2', '2'), ('(1) 2', '1'),
	('(1) 2 (3)', '3'), ('(1) 2 (3)', '2, 3'), ('1 2 (3)', '1'), ('1 2 (3)', '2'), ('1 2 (3)', '2, 3'), ('1 2 (3)', '1, 2, 3'))
	AS x (rows, n);
-- ties: the tombstone is the later one, of two live rows that in the later place
INSERT INTO line (id, n, metaxy_updated_at, metaxy_deleted_at) VALUES
	(1, 1, '2024-01-01', '2024-01-02'), (1, 2, '2024-01-02', NULL), (2, 1, '2024-01-01', NULL), (2, 2, '2024-01-01', NULL);
\set VERBOSITY sqlstate
SELECT samples FROM metaxy_delete('line', 'id = 1 AND n = 1', soft => false, with_sample_history => true);	-- error
SELECT samples FROM metaxy_delete('line', 'id = 2 AND n = 2', soft => false, with_sample_history => true);	-- error
SELECT samples FROM metaxy_delete('line', 'id = 1 AND n = 2', soft => false, with_sample_history => true);
SELECT samples FROM metaxy_delete('line', 'id = 2 AND n = 1', soft => false, with_sample_history => true);
SELECT id, n FROM line ORDER BY 1, 2;
-- one sample that must not go keeps all the others
SELECT samples FROM metaxy_delete('{line,video}'::text[], '{"n IN (1, 4)"}', soft => false, with_sample_history => true);	-- error
SELECT id, n FROM line ORDER BY 1, 2;

SELECT metaxy_unregister(f) FROM unnest('{line,note,chunk,video}'::text[]) AS f;
DROP SCHEMA metaxy_scope CASCADE;
