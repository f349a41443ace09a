--
-- The view of active samples: INSERT, UPDATE, DELETE, with RETURNING
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_active;
CREATE ROLE regress_metaxy_active;
CREATE SCHEMA metaxy_active AUTHORIZATION regress_metaxy_active;
SET search_path = metaxy_active, public;
SET ROLE regress_metaxy_active;

CREATE TABLE video (video_id text, size integer, note text DEFAULT 'none',
	twice integer GENERATED ALWAYS AS (size * 2) STORED);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');

-- what is in the table, in the order of the clock
CREATE VIEW history AS
SELECT video_id, size, note, twice, metaxy_feature_version AS version,
	   metaxy_deleted_at IS NOT NULL AS deleted,
	   dense_rank() OVER (ORDER BY coalesce(metaxy_deleted_at, metaxy_updated_at)) AS stamp
  FROM video;
CREATE VIEW ledger AS
SELECT kind, features, soft, cascade, options, samples, "rows"
  FROM metaxy_deletions ORDER BY id DESC LIMIT 1;

-- the law: every physical row that was there still is, as it was
CREATE TABLE former (t regclass, place tid, writer xid, content text);
CREATE FUNCTION remember() RETURNS bigint LANGUAGE sql AS $$
	DELETE FROM former;
	INSERT INTO former SELECT tableoid, ctid, xmin, video::text FROM video;
	SELECT count(*) FROM former;
$$;
-- its answer is the number of rows since, NULL if one is missing
CREATE FUNCTION appended() RETURNS bigint LANGUAGE sql AS $$
	SELECT CASE WHEN EXISTS (SELECT FROM former WHERE NOT EXISTS (
			SELECT FROM video WHERE tableoid = t AND ctid = place AND xmin = writer AND video::text = content))
		THEN NULL
		ELSE (SELECT count(*) FROM video) - (SELECT count(*) FROM former) END
$$;
-- entries in the ledger and stamps since the last call
CREATE TABLE counted (entries bigint, stamps bigint);
INSERT INTO counted SELECT count(*), 0 FROM metaxy_deletions;
CREATE FUNCTION news(OUT entries bigint, OUT stamps bigint) LANGUAGE plpgsql AS $$
DECLARE
	now_ counted := (SELECT ROW((SELECT count(*) FROM metaxy_deletions),
		(SELECT count(DISTINCT coalesce(metaxy_deleted_at, metaxy_updated_at)) FROM video))::counted);
BEGIN
	SELECT now_.entries - c.entries, now_.stamps - c.stamps INTO entries, stamps FROM counted AS c;
	UPDATE counted SET entries = now_.entries, stamps = now_.stamps;
END $$;

--
-- One of each
--
INSERT INTO video_active (video_id, size) VALUES ('a', 1), ('b', 2), ('c', 3)
RETURNING video_id, size, note, twice, metaxy_feature_version,
	metaxy_created_at = metaxy_updated_at AS new, metaxy_deleted_at;
SELECT * FROM ledger;
SELECT remember();
WITH x AS (UPDATE video_active SET size = size + 10 WHERE size > 1
RETURNING video_id, size, twice, metaxy_created_at < metaxy_updated_at AS again)
SELECT * FROM x ORDER BY 1;
SELECT appended();
SELECT * FROM ledger;
SELECT remember();
WITH x AS (DELETE FROM video_active WHERE video_id IN ('a', 'c') RETURNING video_id, size, metaxy_deleted_at)
SELECT * FROM x ORDER BY 1;
SELECT appended();
SELECT * FROM ledger;
SELECT * FROM history ORDER BY stamp, video_id;
SELECT video_id FROM video_active ORDER BY 1;
-- a tombstone copies the row that it hides
SELECT live.video_id, (to_jsonb(live) - 'metaxy_deleted_at') = (to_jsonb(gone) - 'metaxy_deleted_at') AS whole
  FROM video AS live JOIN video AS gone
	ON gone.video_id = live.video_id AND gone.metaxy_updated_at = live.metaxy_updated_at
 WHERE live.metaxy_deleted_at IS NULL AND gone.metaxy_deleted_at IS NOT NULL ORDER BY 1;
-- a new version keeps when its sample was created
SELECT count(DISTINCT metaxy_created_at) FROM video WHERE video_id = 'b';
SELECT * FROM news();

-- nothing to do is an operation too, and no row
SELECT remember();
UPDATE video_active SET size = 0 WHERE video_id = 'nobody' RETURNING *;
DELETE FROM video_active WHERE false;
INSERT INTO video_active SELECT * FROM video_active WHERE false;
SELECT appended();
SELECT * FROM news();
-- a deleted sample can come back, with a row of its own
INSERT INTO video_active (video_id, size) VALUES ('a', 100) RETURNING video_id, size;
UPDATE video_active SET note = NULL WHERE video_id = 'a' RETURNING note;
UPDATE video_active SET note = 'x', size = NULL WHERE video_id = 'a' RETURNING note, size, twice;
SELECT appended();
SELECT video_id, size, note, deleted FROM history WHERE video_id = 'a' ORDER BY stamp;
SELECT * FROM news();

--
-- What a column is given
--
-- left out, NULL or DEFAULT: the table's default, in INSERT
INSERT INTO video_active (video_id, note) VALUES ('n1', NULL), ('n2', DEFAULT), ('n3', 'x')
RETURNING video_id, size, note;
INSERT INTO video_active (video_id) VALUES ('n4') RETURNING note, metaxy_feature_version;
INSERT INTO video_active (video_id, metaxy_feature_version, metaxy_deleted_at, metaxy_created_at)
VALUES ('n5', 'v1', NULL, '2024-01-01') RETURNING video_id, metaxy_created_at;
-- values of generated columns are the table's to make
INSERT INTO video_active (video_id, size, twice) VALUES ('n6', 5, 5) RETURNING size, twice;
-- stamps are the clock's to give
INSERT INTO video_active (video_id, metaxy_updated_at) VALUES ('n7', '2001-01-01')
RETURNING metaxy_updated_at > '2024-01-01' AS stamped;
UPDATE video_active SET metaxy_updated_at = '2001-01-01', metaxy_created_at = '2002-01-01',
	metaxy_feature_version = NULL WHERE video_id = 'n7'
RETURNING metaxy_updated_at > '2024-01-01' AS stamped, metaxy_created_at, metaxy_feature_version;
-- an id that stays what it is
UPDATE video_active SET video_id = video_id, size = 1 WHERE video_id = 'n7' RETURNING video_id, size;
DELETE FROM video_active WHERE video_id LIKE 'n%';
SELECT video_id FROM video_active ORDER BY 1;
SELECT * FROM news();

--
-- Statements: each is one operation with one stamp, whatever its shape
--
SELECT remember();
WITH x AS (INSERT INTO video_active (video_id, size)
SELECT video_id || i, i FROM video_active, generate_series(1, 3) AS i
RETURNING video_id, size)
SELECT * FROM x ORDER BY 1;
SELECT * FROM news();
-- whole rows of the view, given back to it: a version more of each
INSERT INTO video_active SELECT * FROM video_active WHERE video_id LIKE 'a%';
SELECT video_id, count(*) FROM video WHERE video_id LIKE 'a_' GROUP BY 1 ORDER BY 1;
SELECT * FROM news();

-- a join that gives a row more than once: the sample counts once
WITH x AS (UPDATE video_active AS v SET size = v.size + 1000
  FROM (VALUES ('a1'), ('a1'), ('b1')) AS o (id), generate_series(1, 3)
 WHERE v.video_id = o.id RETURNING v.video_id, v.size)
SELECT * FROM x ORDER BY 1;
SELECT * FROM ledger;
WITH x AS (DELETE FROM video_active AS v USING (VALUES ('a1'), ('a1'), ('b1')) AS o (id), video_active AS w
 WHERE v.video_id = o.id RETURNING v.video_id, o.id)
SELECT * FROM x ORDER BY 1;
SELECT * FROM ledger;
SELECT * FROM news();
UPDATE video_active AS v SET size = w.size FROM video_active AS w
 WHERE v.video_id = 'a2' AND w.video_id = 'a3' RETURNING v.video_id, v.size, w.video_id;
SELECT * FROM news();

-- several commands in a WITH: they see the same, and are one
WITH gone AS (DELETE FROM video_active WHERE video_id = 'a2' RETURNING *),
	 more AS (INSERT INTO video_active (video_id, size) SELECT 'moved ' || video_id, size FROM gone RETURNING video_id),
	 other AS (UPDATE video_active SET note = 'changed' WHERE video_id = 'a3' RETURNING video_id)
SELECT (SELECT count(*) FROM video_active) AS before, gone.video_id AS gone, more.video_id AS more, other.video_id AS other
  FROM gone, more, other;
SELECT * FROM ledger;
SELECT * FROM news();
-- also those that nobody reads, and twice the same command
WITH a AS (DELETE FROM video_active WHERE video_id = 'a3'), b AS (DELETE FROM video_active WHERE video_id = 'b2')
DELETE FROM video_active WHERE video_id IN ('b3', 'a3');
SELECT * FROM ledger;
SELECT * FROM news();
SELECT video_id, size, note FROM video_active ORDER BY 1;
-- a sample that two of them want: one of them has it
WITH u AS (UPDATE video_active SET note = 'one' WHERE video_id = 'b' RETURNING 1)
UPDATE video_active SET note = 'two' WHERE video_id = 'b';
SELECT samples, "rows" FROM ledger;
SELECT count(*) FROM news() WHERE (entries, stamps) = (1, 1);
SELECT appended() > 0 AS appended;

-- an INSERT has no constraint that it could run into
INSERT INTO video_active (video_id, size) VALUES ('b', 7) ON CONFLICT DO NOTHING RETURNING video_id, size;
INSERT INTO video_active (video_id, size) VALUES ('b', 7) ON CONFLICT (video_id) DO NOTHING;	-- error
\echo :SQLSTATE
INSERT INTO video_active (video_id, size) VALUES ('b', 7)
ON CONFLICT (video_id) DO UPDATE SET size = 8;									-- error
\echo :SQLSTATE
SELECT * FROM news();

-- prepared
PREPARE ins (text, integer) AS INSERT INTO video_active (video_id, size) VALUES ($1, $2) RETURNING video_id, twice;
PREPARE upd (text, integer) AS UPDATE video_active SET size = $2 WHERE video_id = $1 RETURNING twice;
PREPARE del (text) AS DELETE FROM video_active WHERE video_id = $1 RETURNING twice;
SET plan_cache_mode = force_generic_plan;
EXECUTE ins ('p', 1);
EXECUTE upd ('p', 2);
EXECUTE upd ('p', 3);
EXECUTE del ('p');
EXECUTE del ('p');
EXECUTE ins ('p', 4);
RESET plan_cache_mode;
EXECUTE del ('p');
SELECT * FROM news();
DEALLOCATE ALL;

-- COPY
COPY video_active (video_id, size) FROM stdin;
k1	1
k2	\N
\.
COPY video_active FROM stdin WITH (DELIMITER ',', NULL '') WHERE size > 3;
k3,3,x,,,,,
k4,4,x,,,,,
\.
SELECT * FROM ledger;
SELECT * FROM news();
COPY (DELETE FROM video_active WHERE video_id = 'k4' RETURNING video_id, size, note, twice) TO stdout;
DELETE FROM video_active WHERE video_id LIKE 'k%';
SELECT * FROM news();

-- EXPLAIN does nothing, and shows where conditions go; with ANALYZE, all of it
SELECT remember();
EXPLAIN (COSTS OFF) INSERT INTO video_active (video_id) VALUES ('e');
DO $$
BEGIN
	EXECUTE 'EXPLAIN DELETE FROM video_active';
	EXECUTE 'EXPLAIN UPDATE video_active SET size = 0';
END $$;
SELECT appended();
SELECT * FROM news();
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE INSERT INTO video_active (video_id) VALUES (''e'')'; END $$;
SELECT appended();
SELECT * FROM news();

--
-- In PL/pgSQL, with savepoints, and what is left after an error: nothing
--
SELECT remember();
DO $$
DECLARE
	v record;
	n bigint;
BEGIN
	INSERT INTO video_active (video_id, size) VALUES ('f', 1) RETURNING * INTO v;
	FOR i IN 1..3 LOOP
		BEGIN
			UPDATE video_active SET size = size + i WHERE video_id = 'f' RETURNING * INTO v;
			PERFORM 1 / (i - 2);
		EXCEPTION WHEN division_by_zero THEN
			-- what the block did is gone, and the next command goes on
			UPDATE video_active SET note = 'caught' WHERE video_id = 'f' RETURNING * INTO v;
		END;
	END LOOP;
	RAISE WARNING '% % %', v.video_id, v.size, v.note;
	-- an error in the middle of a statement, after some of its rows
	BEGIN
		INSERT INTO video_active (video_id, size) SELECT 'g' || i, 1000 / (3 - i) FROM generate_series(1, 5) AS i;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	BEGIN
		UPDATE video_active SET size = 1 / (length(video_id) - 1) ;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	BEGIN
		DELETE FROM video_active WHERE 1 / (CASE video_id WHEN 'f' THEN 0 ELSE 1 END) > 0;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	DELETE FROM video_active WHERE video_id = 'f';
	GET DIAGNOSTICS n = ROW_COUNT;
	FOR v IN INSERT INTO video_active (video_id, size) VALUES ('h1', 1), ('h2', 2) RETURNING * LOOP
		UPDATE video_active SET size = size * 10 WHERE video_id = v.video_id;
	END LOOP;
	RAISE WARNING '%', n;
END $$;
SELECT video_id, size, note, deleted FROM history WHERE video_id ~ '^[fgh]' ORDER BY stamp, video_id;
SELECT appended();
SELECT * FROM news();

BEGIN;
INSERT INTO video_active (video_id, size) VALUES ('s1', 1);
SAVEPOINT s;
INSERT INTO video_active (video_id, size) VALUES ('s2', 2);
UPDATE video_active SET size = 10 WHERE video_id LIKE 's%';
DELETE FROM video_active WHERE video_id = 's1';
SELECT video_id, size FROM video_active WHERE video_id LIKE 's%';
ROLLBACK TO s;
SELECT video_id, size FROM video_active WHERE video_id LIKE 's%';
UPDATE video_active SET size = 1 / 0 WHERE video_id = 's1';						-- error
ROLLBACK TO s;
UPDATE video_active SET size = 11 WHERE video_id LIKE 's%' RETURNING video_id, size;
UPDATE video_active SET video_id = 's9' WHERE video_id LIKE 's%';				-- error
ROLLBACK TO s;
UPDATE video_active SET size = 12 WHERE video_id LIKE 's%' RETURNING video_id, size;
RELEASE s;
DELETE FROM video_active WHERE video_id = 's1' RETURNING size;
INSERT INTO video_active (video_id, size) VALUES ('s1', 13);
COMMIT;
SELECT video_id, size, deleted FROM history WHERE video_id LIKE 's%' ORDER BY stamp;
SELECT * FROM news();
BEGIN;
DELETE FROM video_active;
SELECT count(*) FROM video_active;
ROLLBACK;
SELECT appended(), (SELECT count(*) > 0 FROM video_active) AS active;
SELECT * FROM news();

-- cursors
BEGIN;
DECLARE c CURSOR FOR SELECT video_id FROM video_active ORDER BY 1;
FETCH c;
SAVEPOINT s;
DELETE FROM video_active WHERE CURRENT OF c;									-- error
\echo :SQLSTATE
ROLLBACK TO s;
UPDATE video_active SET size = 1 WHERE CURRENT OF c;							-- error
\echo :SQLSTATE
ROLLBACK TO s;
DELETE FROM video_active;
FETCH c;		-- it keeps to what it saw
ROLLBACK;
SELECT * FROM news();

--
-- metaxy.stamp = off is for rows that are written to the table: those of an
-- operation have its stamp in any case
--
SET metaxy.stamp = off;
INSERT INTO video_active (video_id, size, metaxy_created_at, metaxy_updated_at)
VALUES ('o', 1, '2024-01-01', '2024-01-01')
RETURNING video_id, metaxy_feature_version, metaxy_created_at, metaxy_updated_at > '2024-01-02' AS stamped;
UPDATE video_active SET size = 2 WHERE video_id = 'o' RETURNING size;
DELETE FROM video_active WHERE video_id = 'o' RETURNING size;
SELECT size, metaxy_created_at, deleted FROM history JOIN LATERAL (
	SELECT min(metaxy_created_at) AS metaxy_created_at FROM video WHERE video.video_id = history.video_id) AS x ON true
 WHERE video_id = 'o' ORDER BY stamp;
-- rows that are older than the feature's table knows, or date ahead of it
INSERT INTO video (video_id, size, metaxy_created_at, metaxy_updated_at, metaxy_feature_version)
VALUES ('old', 1, '2024-01-01', '2024-01-01', 'v1'), ('ahead', 1, now(), now() + interval '5 seconds', 'v1'),
	('too', 1, '2024-01-01', '2024-01-01', 'v0');
RESET metaxy.stamp;
WITH x AS (UPDATE video_active SET size = size + 1 WHERE video_id IN ('old', 'ahead', 'too') RETURNING video_id, size)
SELECT * FROM x ORDER BY 1;
WITH x AS (DELETE FROM video_active WHERE video_id IN ('old', 'ahead', 'too') RETURNING video_id, size)
SELECT * FROM x ORDER BY 1;
SELECT count(*) FROM video_active WHERE video_id IN ('old', 'ahead', 'too');
-- one that its owner has moved in time, past the clock: the statement goes past it
INSERT INTO video_active (video_id, size) VALUES ('t1', 1), ('t2', 1), ('t3', 1);
UPDATE video SET metaxy_updated_at = metaxy_updated_at + interval '10 seconds' WHERE video_id = 't1';
UPDATE video_active SET size = 2 WHERE video_id = 't1' RETURNING size;
UPDATE video SET metaxy_updated_at = metaxy_updated_at + interval '10 seconds' WHERE video_id = 't1' AND size = 2;
WITH x AS (DELETE FROM video_active WHERE video_id IN ('t1', 't2') RETURNING video_id)
SELECT * FROM x ORDER BY 1;
SELECT video_id, size FROM video_active WHERE video_id LIKE 't_';

--
-- Other versions of the feature are out of reach
--
SELECT metaxy_register('video', 'video', '{video_id}', 'v2');
SELECT count(*) FROM video_active;
SELECT remember() > 0 AS some;
DELETE FROM video_active;
UPDATE video_active SET size = 0;
SELECT appended();
INSERT INTO video_active (video_id, size) VALUES ('a', 1) RETURNING metaxy_feature_version;
DELETE FROM video_active RETURNING video_id, metaxy_feature_version;
SELECT metaxy_feature_version, count(*) > 0 AS some, count(metaxy_deleted_at) FILTER (WHERE video_id = 'a') AS gone
  FROM video GROUP BY 1 ORDER BY 1;

SELECT metaxy_unregister('video');
-- the views went with it
INSERT INTO video_active (video_id) VALUES ('a');								-- error
\echo :SQLSTATE
RESET ROLE;
SET client_min_messages = error;
DROP SCHEMA metaxy_active CASCADE;
DROP ROLE regress_metaxy_active;
