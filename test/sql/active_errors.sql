--
-- The view of active samples: what it refuses, triggers in its way, views
-- that no longer fit their tables
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_active;
CREATE ROLE regress_metaxy_active;
CREATE SCHEMA metaxy_active AUTHORIZATION regress_metaxy_active;
SET search_path = metaxy_active, public;
SET ROLE regress_metaxy_active;

CREATE TABLE video (video_id text, size integer, twice integer GENERATED ALWAYS AS (size * 2) STORED);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');
INSERT INTO video_active (video_id, size) SELECT chr(96 + i), i FROM generate_series(1, 4) AS i;

-- all that there is, to be compared after each error; and the ledger
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(concat(tableoid, ctid, xmin, v), ',' ORDER BY ctid)) || count(*) ||
		(SELECT '/' || count(*) FROM metaxy_deletions) FROM video AS v
$$;
SELECT state() AS before \gset

--
-- Rows that the view would not show
--
INSERT INTO video_active (video_id, metaxy_deleted_at) VALUES ('x', now());		-- error
\echo :SQLSTATE
UPDATE video_active SET metaxy_deleted_at = now() WHERE video_id = 'a';			-- error
\echo :SQLSTATE
INSERT INTO video_active (video_id, metaxy_feature_version) VALUES ('x', 'v0');	-- error
\echo :SQLSTATE
UPDATE video_active SET metaxy_feature_version = 'v0' WHERE video_id = 'a';		-- error
\echo :SQLSTATE
-- none of several rows
INSERT INTO video_active (video_id, metaxy_feature_version) VALUES ('x', 'v1'), ('y', NULL), ('z', 'v0');	-- error
\echo :SQLSTATE

--
-- What cannot be changed
--
UPDATE video_active SET video_id = 'x' WHERE video_id = 'a';					-- error
\echo :SQLSTATE
UPDATE video_active SET video_id = NULL WHERE video_id = 'a';					-- error
\echo :SQLSTATE
UPDATE video_active SET video_id = CASE video_id WHEN 'd' THEN 'x' ELSE video_id END;	-- error
\echo :SQLSTATE
UPDATE video_active SET twice = 7 WHERE video_id = 'a';							-- error
\echo :SQLSTATE
\set VERBOSITY terse
INSERT INTO video_active (size) VALUES (1);										-- error
\echo :SQLSTATE
\set VERBOSITY default
TRUNCATE video_active;															-- error
\echo :SQLSTATE
INSERT INTO video_latest (video_id) VALUES ('x');								-- error
\echo :SQLSTATE
DELETE FROM video_deleted;
SELECT state() = :'before' AS unchanged;

-- read-only transactions
BEGIN READ ONLY;
DELETE FROM video_active;														-- error
\echo :SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
INSERT INTO video_active (video_id) VALUES ('x');								-- error
\echo :SQLSTATE
ROLLBACK;
-- a temporary table can be written to there; the ledger cannot
CREATE TEMP TABLE passing (id text);
SELECT metaxy_register('passing', 'passing', '{id}');
INSERT INTO passing_active VALUES ('a');
BEGIN READ ONLY;
DELETE FROM passing_active;														-- error
\echo :SQLSTATE
ROLLBACK;
SELECT count(*) FROM passing_active;
SELECT metaxy_unregister('passing');
DROP TABLE passing;

-- in replica role the server calls no trigger of a view: nothing happens, and
-- the rows are counted
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO video_active (video_id) VALUES ('x');
UPDATE video_active SET size = 0;
DELETE FROM video_active;
COPY video_active (video_id) FROM stdin;
x
\.
RESET session_replication_role;
SET ROLE regress_metaxy_active;
SELECT state() = :'before' AS unchanged;

-- rows dated further ahead than a clock may be wrong
UPDATE video SET metaxy_updated_at = '2999-01-01' WHERE video_id = 'a';
\set VERBOSITY terse
DELETE FROM video_active WHERE video_id = 'a';									-- error
\echo :SQLSTATE
UPDATE video_active SET size = 0;												-- error
\echo :SQLSTATE
\set VERBOSITY default
-- somewhat ahead: where rows have the statement's stamp already, it has to be
-- tried again
INSERT INTO video_active (video_id) VALUES ('d');
UPDATE video SET metaxy_updated_at = metaxy_updated_at + interval '10 seconds' WHERE video_id = 'd' AND size IS NULL;
UPDATE video SET metaxy_updated_at = '2024-01-01' WHERE video_id < 'd';
WITH d AS (UPDATE video_active SET size = 0 WHERE video_id = 'd')
INSERT INTO video_active (video_id, size) VALUES ('y', 1);						-- error
\echo :SQLSTATE
WITH d AS (UPDATE video_active SET size = 0 WHERE video_id = 'd')
INSERT INTO video_active (video_id, size) VALUES ('y', 1);
SELECT video_id, size FROM video_active ORDER BY 1;

--
-- Triggers of the table
--
CREATE FUNCTION on_video() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	CASE TG_ARGV[0]
		WHEN 'swallow' THEN
			IF NEW.size = 7 THEN RETURN NULL; END IF;
		WHEN 'rename' THEN NEW.video_id := NEW.video_id || '!';
		WHEN 'undelete' THEN NEW.metaxy_deleted_at := NULL;
		WHEN 'delete' THEN NEW.metaxy_deleted_at := now();
		WHEN 'move' THEN NEW.metaxy_updated_at := '2024-01-01';
		WHEN 'version' THEN NEW.metaxy_feature_version := 'v0';
		WHEN 'size' THEN NEW.size := NEW.size * 100;
		WHEN 'error' THEN PERFORM 1 / (NEW.size - 7);
		WHEN 'same' THEN
			IF pg_trigger_depth() < 4 THEN
				UPDATE video_active SET size = size + 1 WHERE video_id = NEW.video_id;
			END IF;
		WHEN 'gone' THEN
			IF pg_trigger_depth() < 4 THEN
				DELETE FROM video_active WHERE video_id = NEW.video_id;
			END IF;
		WHEN 'others' THEN
			IF pg_trigger_depth() < 4 THEN
				INSERT INTO video_active (video_id, size) VALUES ('of ' || NEW.video_id, 1);
				UPDATE video_active SET size = size + 1 WHERE video_id = 'of ' || NEW.video_id;
				DELETE FROM video_active WHERE video_id = 'x';
				BEGIN
					UPDATE video_active SET video_id = 'not this';
				EXCEPTION WHEN feature_not_supported THEN NULL;
				END;
			END IF;
		WHEN 'plain' THEN
			IF pg_trigger_depth() < 3 THEN
				INSERT INTO video (video_id, size) VALUES (NEW.video_id, 5);
			END IF;
	END CASE;
	RETURN NEW;
END $$;
-- the three commands under one trigger; whatever comes of it is taken back
CREATE PROCEDURE under(what text, moment text DEFAULT 'BEFORE') LANGUAGE plpgsql AS $$
DECLARE
	command text;
	n bigint;
	rows text;
BEGIN
	EXECUTE format('CREATE TRIGGER t %s INSERT ON video FOR EACH ROW EXECUTE FUNCTION on_video(%L)', moment, what);
	FOREACH command IN ARRAY ARRAY[
		'INSERT INTO video_active (video_id, size) VALUES (''n'', 7), (''n2'', 8)',
		'UPDATE video_active SET size = 7 WHERE video_id = ''b''',
		'DELETE FROM video_active WHERE video_id IN (''b'', ''c'')']
	LOOP
		BEGIN
			EXECUTE command;
			GET DIAGNOSTICS n = ROW_COUNT;
			SELECT string_agg(concat(video_id, ':', size), ' ' ORDER BY video_id) INTO rows FROM video_active;
			RAISE EXCEPTION USING ERRCODE = '00001', MESSAGE = format('%s; %s', n, rows);
		EXCEPTION WHEN OTHERS THEN
			RAISE WARNING '% %: % %', what, left(command, 6), CASE WHEN SQLSTATE <> '00001' THEN SQLSTATE END, SQLERRM;
		END;
	END LOOP;
	DROP TRIGGER t ON video;
END $$;
UPDATE video_active SET size = ascii(video_id) - 96;
DELETE FROM video_active WHERE video_id IN ('a', 'd', 'y');
INSERT INTO video_active (video_id, size) VALUES ('x', 24), ('c', 7);
SELECT state() AS before \gset
CALL under('swallow');
CALL under('rename');
CALL under('undelete');
CALL under('delete');
CALL under('move');
CALL under('version');
CALL under('size');
CALL under('error');
-- those that write to the same view: to other samples they may, to the same
-- ones not
CALL under('others');
CALL under('others', 'AFTER');
CALL under('same');
CALL under('same', 'AFTER');
CALL under('gone');
CALL under('gone', 'AFTER');
CALL under('plain');
SELECT state() = :'before' AS unchanged;

-- functions in the query that write to the view
CREATE FUNCTION touch(id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	UPDATE video_active SET size = size + 10 WHERE video_id = id;
	RETURN true;
END $$;
UPDATE video_active SET size = 0 WHERE video_id = 'b' AND touch(video_id);		-- error
\echo :SQLSTATE
DELETE FROM video_active WHERE video_id = 'b' AND touch(video_id);				-- error
\echo :SQLSTATE
SELECT state() = :'before' AS unchanged;
-- another sample, and one that is left alone in the end
BEGIN;
DELETE FROM video_active WHERE video_id = 'b' AND touch('c');
INSERT INTO video_active (video_id, size) SELECT 'y', touch('x')::integer;
UPDATE video_active SET size = 0 WHERE touch(video_id) AND video_id = 'nobody';
SELECT video_id, size FROM video_active ORDER BY 1;
SELECT options, samples FROM metaxy_deletions WHERE stamp >= (
	SELECT metaxy_deleted_at FROM video WHERE video_id = 'b' AND metaxy_deleted_at IS NOT NULL) ORDER BY stamp;
ROLLBACK;
-- one that fails and is caught
CREATE FUNCTION stumble(id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	UPDATE video_active SET size = 1 / 0 WHERE video_id = id;
	RETURN true;
EXCEPTION WHEN division_by_zero THEN
	RETURN true;
END $$;
BEGIN;
DELETE FROM video_active WHERE video_id = 'b' AND stumble(video_id) RETURNING size;
UPDATE video_active SET size = 0 WHERE video_id = 'c' AND stumble(video_id) RETURNING size;
INSERT INTO video_active (video_id, size) SELECT 'y', 0 WHERE stumble('c');
SELECT video_id, size FROM video_active ORDER BY 1;
ROLLBACK;

-- two commands of one statement that want the same sample for different ends
WITH gone AS (DELETE FROM video_active WHERE video_id = 'b' RETURNING *)
INSERT INTO video_active (video_id, size) SELECT video_id, 0 FROM gone;			-- error
\echo :SQLSTATE
WITH more AS (INSERT INTO video_active (video_id, size) VALUES ('b', 0))
UPDATE video_active SET size = 1 WHERE video_id = 'b';							-- error
\echo :SQLSTATE
SELECT state() = :'before' AS unchanged;

-- a rule of the table
CREATE RULE r AS ON INSERT TO video DO INSTEAD NOTHING;
INSERT INTO video_active (video_id) VALUES ('r');								-- error
\echo :SQLSTATE
DELETE FROM video_active;														-- error
\echo :SQLSTATE
DROP RULE r ON video;
-- a constraint that no tombstone satisfies, and one that some rows do not
ALTER TABLE video ADD CONSTRAINT eternal CHECK (metaxy_deleted_at IS NULL) NOT VALID,
	ADD CONSTRAINT positive CHECK (size > 0) NOT VALID;
\set VERBOSITY sqlstate
DELETE FROM video_active;														-- error
UPDATE video_active SET size = size - 7;										-- error
\set VERBOSITY default
ALTER TABLE video DROP CONSTRAINT eternal, DROP CONSTRAINT positive;
SELECT state() = :'before' AS unchanged;

-- the function is for the triggers of these views alone
SELECT metaxy_write_active();													-- error
\echo :SQLSTATE
CREATE TABLE other (video_id text);
CREATE TRIGGER t BEFORE INSERT ON other EXECUTE FUNCTION metaxy_write_active();
INSERT INTO other VALUES ('x');													-- error
\echo :SQLSTATE
CREATE TRIGGER u AFTER INSERT OR UPDATE OR DELETE ON other EXECUTE FUNCTION metaxy_write_active();
INSERT INTO other VALUES ('x');													-- error
\echo :SQLSTATE
DROP TRIGGER t ON other;
INSERT INTO other VALUES ('x');													-- error
\echo :SQLSTATE
CREATE VIEW other_view AS SELECT * FROM other;
CREATE TRIGGER t INSTEAD OF INSERT ON other_view FOR EACH ROW EXECUTE FUNCTION metaxy_write_active();
INSERT INTO other_view VALUES ('x');											-- error
\echo :SQLSTATE
DROP TABLE other CASCADE;
-- triggers that the view's owner takes away
BEGIN;
DROP TRIGGER metaxy_active_end ON video_active;
INSERT INTO video_active (video_id) VALUES ('x');								-- error
\echo :SQLSTATE
ROLLBACK;
BEGIN;
DROP TRIGGER metaxy_active_begin ON video_active;
DELETE FROM video_active;														-- error
\echo :SQLSTATE
ROLLBACK;
SELECT state() = :'before' AS unchanged;

--
-- Views that no longer fit
--
-- a new column: an INSERT gives it its default, a new version would lose it
ALTER TABLE video ADD COLUMN added integer DEFAULT 5;
INSERT INTO video_active (video_id, size) VALUES ('k', 1) RETURNING video_id;
SELECT added FROM video WHERE video_id = 'k';
UPDATE video SET added = 6 WHERE video_id = 'k';
UPDATE video_active SET size = 2 WHERE video_id = 'k';							-- error
\echo :SQLSTATE
DELETE FROM video_active WHERE video_id = 'k' RETURNING size;
SELECT added FROM video WHERE video_id = 'k' ORDER BY metaxy_deleted_at NULLS FIRST;
SELECT metaxy_views('video', true);
INSERT INTO video_active (video_id, size, added) VALUES ('k', 1, NULL), ('l', 1, 8) RETURNING video_id, added;
UPDATE video_active SET size = 2 WHERE video_id = 'l' RETURNING added;
-- a renamed one
ALTER TABLE video RENAME added TO renamed;
INSERT INTO video_active (video_id) VALUES ('m');								-- error
\echo :SQLSTATE
UPDATE video_active SET size = 2 WHERE video_id = 'k';							-- error
\echo :SQLSTATE
DELETE FROM video_active WHERE video_id = 'k';									-- error
\echo :SQLSTATE
SELECT metaxy_views('video', true);
DELETE FROM video_active WHERE video_id = 'k' RETURNING renamed;
-- a renamed id
ALTER TABLE video RENAME video_id TO id;
\set VERBOSITY terse
DELETE FROM video_active;														-- error
\echo :SQLSTATE
INSERT INTO video_active (video_id) VALUES ('m');								-- error
\echo :SQLSTATE
\set VERBOSITY default
ALTER TABLE video RENAME id TO video_id;
-- a dropped one
SELECT metaxy_views('video', false);
ALTER TABLE video DROP COLUMN renamed;
SELECT metaxy_views('video', true);
UPDATE video_active SET size = 3 WHERE video_id = 'l' RETURNING video_id, size;
-- renamed tables, views and schemas
ALTER TABLE video RENAME TO film;
ALTER VIEW video_active RENAME TO "what is left";
UPDATE "what is left" SET size = 4 WHERE video_id = 'l' RETURNING video_id, size;
INSERT INTO "what is left" (video_id, size) VALUES ('m', 1) RETURNING video_id, twice;
DELETE FROM "what is left" WHERE video_id IN ('l', 'm');
SELECT count(*) FROM film WHERE video_id IN ('l', 'm') AND metaxy_deleted_at IS NOT NULL;
RESET ROLE;
ALTER SCHEMA metaxy_active RENAME TO metaxy_active_2;
SET search_path = metaxy_active_2, public;
SET ROLE regress_metaxy_active;
UPDATE "what is left" SET size = 5 WHERE video_id = 'x' RETURNING video_id, size;
-- views that a user puts upon it
CREATE VIEW large AS SELECT video_id, size FROM "what is left" WHERE size > 4;
UPDATE large SET size = size + 1 WHERE video_id = 'x' RETURNING *;
INSERT INTO large VALUES ('new', 9) RETURNING *;
DELETE FROM large WHERE video_id = 'new' RETURNING *;
SELECT size, metaxy_deleted_at IS NULL AS live FROM film WHERE video_id = 'new' ORDER BY 2 DESC;
DROP VIEW large;
-- a table that is gone takes its views along
DROP TABLE film CASCADE;
DELETE FROM "what is left";														-- error
\echo :SQLSTATE
SELECT metaxy_unregister('video');

-- a feature that is gone, and its view kept by a copy
CREATE TABLE doc (id text);
SELECT metaxy_register('doc', 'doc', '{id}');
CREATE VIEW copy AS TABLE doc;
CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON copy EXECUTE FUNCTION metaxy_write_active();
CREATE TRIGGER i INSTEAD OF INSERT OR UPDATE OR DELETE ON copy FOR EACH ROW EXECUTE FUNCTION metaxy_write_active();
CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON copy EXECUTE FUNCTION metaxy_write_active();
INSERT INTO doc VALUES ('a');
DELETE FROM copy;																-- error
\echo :SQLSTATE
SELECT metaxy_unregister('doc');
SELECT count(*) FROM copy;

RESET ROLE;
SET client_min_messages = error;
DROP SCHEMA metaxy_active_2 CASCADE;
DROP ROLE regress_metaxy_active;
