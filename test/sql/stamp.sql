--
-- The trigger that stamps rows: what it fills in, what it leaves alone, and
-- the clock, which is never below a row
--
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_writer;
CREATE SCHEMA stamp AUTHORIZATION regress_metaxy_owner;
GRANT USAGE ON SCHEMA stamp TO regress_metaxy_writer;
SET search_path = stamp, public;
SET client_min_messages = warning;
-- the clock may be hours ahead of the wall already
SET metaxy.max_skew = '12h';
GRANT SET ON PARAMETER metaxy.max_skew TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;

-- what the clock says, as a time
CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql AS
$$ SELECT timestamptz '2000-01-01 00:00:00 UTC' + last_value * interval '1 microsecond' FROM public.metaxy_clock $$;
-- runs SQL, tells its error
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	details text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, details = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, message, CASE WHEN SQLSTATE = '22008' THEN regexp_replace(details, '" \d{4}-.*', '" (a time).') END);
END $$;

CREATE TABLE video (video_id text, n int, metaxy_feature_version text,
	metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');

-- what became of a time
CREATE FUNCTION what(t timestamptz, since timestamptz) RETURNS text LANGUAGE sql AS $$
SELECT CASE WHEN t IS NULL THEN 'null' WHEN t = '2001-02-03 UTC' THEN 'as given'
			WHEN t <= since THEN 'too low' WHEN t > clock() THEN 'above the clock' ELSE 'stamped' END $$;

--
-- Live rows and tombstones, what is given and what is not
--
SELECT clock() AS since \gset
INSERT INTO video VALUES ('nothing', 1);
INSERT INTO video VALUES ('all', 2, 'v0', '2001-02-03 UTC', '2001-02-03 UTC');
INSERT INTO video VALUES ('created', 3, NULL, '2001-02-03 UTC');
INSERT INTO video (video_id, metaxy_updated_at, metaxy_feature_version) VALUES ('updated', '2001-02-03 UTC', '');
INSERT INTO video VALUES ('infinity', 5, 'v1', '2001-02-03 UTC', 'infinity');
-- what Metaxy's own client writes to delete: updated_at stays
INSERT INTO video VALUES ('tombstone', 6, 'v0', '2001-02-03 UTC', '2001-02-03 UTC', '2001-02-03 UTC');
INSERT INTO video VALUES ('bare tombstone', 7, NULL, NULL, NULL, '2001-02-03 UTC');
INSERT INTO video VALUES ('late tombstone', 8, NULL, NULL, '2001-02-03 UTC', 'infinity');
SELECT video_id, n, metaxy_feature_version AS version, what(metaxy_created_at, :'since') AS created,
       what(metaxy_updated_at, :'since') AS updated, what(metaxy_deleted_at, :'since') AS deleted
  FROM video ORDER BY ctid;
-- what is filled in is one time
SELECT video_id FROM video
 WHERE what(metaxy_created_at, :'since') = 'stamped'
   AND metaxy_created_at <> coalesce(metaxy_deleted_at, metaxy_updated_at);
SELECT video_id FROM video_deleted ORDER BY 1;

--
-- Every row has a time of its own, in the order of arrival, however it comes
--
CREATE VIEW recencies AS
SELECT video_id, n, coalesce(metaxy_deleted_at, metaxy_updated_at) AS recency FROM video;
-- rows, those that are not above their predecessors, those above the clock
CREATE VIEW disorder AS
SELECT count(*) AS rows, count(*) FILTER (WHERE recency <= before) AS not_growing,
       count(*) FILTER (WHERE recency > clock()) AS above_clock
  FROM (SELECT recency, lag(recency) OVER (ORDER BY n) AS before FROM recencies) AS r;
TRUNCATE video;
BEGIN;
INSERT INTO video VALUES ('a', 1), ('a', 2), ('b', 3);
INSERT INTO video SELECT 's' || i, i FROM generate_series(4, 1000) AS i;
-- RETURNING sees the stamps
INSERT INTO video (video_id, n, metaxy_updated_at) VALUES ('a', 1001, '2001-02-03 UTC') RETURNING metaxy_updated_at = metaxy_created_at AS same,
	metaxy_updated_at > (SELECT max(recency) FROM recencies) AS above;
COPY video (video_id, n, metaxy_updated_at, metaxy_deleted_at) FROM stdin (DELIMITER ' ');
c 1002 \N \N
c 1003 2099-01-01 \N
c 1004 2001-02-03 2001-02-03
c 1005 2001-02-03 2099-01-01
\.
COPY video FROM stdin (FORMAT csv);
d,1006,v7,,,
d,1007,,2001-02-03,2001-02-03,
\.
COMMIT;
SELECT * FROM disorder;
SELECT video_id, n FROM video_active WHERE video_id IN ('a', 'c', 'd') ORDER BY 1;
SELECT n, metaxy_feature_version FROM video WHERE n > 1005 ORDER BY 1;
-- a prepared statement, as often as its plan becomes a generic one
PREPARE add (text, int) AS INSERT INTO video VALUES ($1, $2) RETURNING metaxy_feature_version, metaxy_deleted_at;
EXECUTE add ('p', 1008);
BEGIN;
SELECT count(*) FROM generate_series(1, 1);
EXECUTE add ('p', 1009);
EXECUTE add ('p', 1010);
COMMIT;
EXECUTE add ('p', 1011);
EXECUTE add ('p', 1012);
EXECUTE add ('p', 1013);
EXECUTE add ('p', 1014);
DEALLOCATE add;
-- WITH
WITH x AS (INSERT INTO video VALUES ('w', 1015) RETURNING *),
     y AS (INSERT INTO video SELECT video_id, n + 1 FROM x RETURNING *)
SELECT x.metaxy_updated_at < y.metaxy_updated_at AS growing FROM x, y;
-- PL/pgSQL
DO $$
DECLARE
	r video;
BEGIN
	FOR i IN 1017 .. 1020 LOOP
		INSERT INTO video (video_id, n) VALUES ('f', i) RETURNING * INTO STRICT r;
		IF r.metaxy_updated_at IS DISTINCT FROM (SELECT max(recency) FROM recencies) THEN
			RAISE 'not the latest';
		END IF;
		BEGIN
			INSERT INTO video (video_id, n) VALUES ('f', i);
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
END $$;
-- savepoints, released and rolled back
BEGIN;
SAVEPOINT a;
INSERT INTO video VALUES ('s', 1021);
ROLLBACK TO a;
INSERT INTO video VALUES ('s', 1021);
SAVEPOINT b;
INSERT INTO video VALUES ('s', 1022);
SAVEPOINT c;
INSERT INTO video VALUES ('s', 1023);
RELEASE b;
INSERT INTO video VALUES ('s', 1024);
COMMIT;
-- ON CONFLICT: what is not inserted is no row, DO UPDATE sees what was stamped
CREATE UNIQUE INDEX once ON video (n);
INSERT INTO video VALUES ('s', 1024) ON CONFLICT DO NOTHING;
INSERT INTO video VALUES ('s', 1024), ('t', 1025)
	ON CONFLICT (n) DO UPDATE SET metaxy_updated_at = excluded.metaxy_updated_at
	RETURNING n, metaxy_updated_at > metaxy_created_at AS updated, metaxy_feature_version;
DROP INDEX once;
-- MERGE
MERGE INTO video USING (VALUES ('m', 1026), ('m', 1027)) AS s (id, n) ON video_id = id AND video.n = s.n
	WHEN NOT MATCHED THEN INSERT (video_id, n) VALUES (id, s.n);
SELECT * FROM disorder;
-- UPDATE is its owner's own business
SELECT metaxy_updated_at AS before, ctid FROM video WHERE n = 1027 \gset
UPDATE video SET video_id = 'M' WHERE n = 1027 RETURNING metaxy_updated_at = :'before' AS same;

--
-- The clock: above every row when it has committed, and wherever a rollback
-- has left it
--
CREATE FUNCTION clock_is_above() RETURNS boolean LANGUAGE sql AS
$$ SELECT clock() >= max(recency) FROM recencies $$;
SELECT clock_is_above();
SELECT clock() AS before \gset
BEGIN;
INSERT INTO video VALUES ('r', 1028) RETURNING metaxy_updated_at > :'before' AS above, metaxy_updated_at AS stamp \gset
ROLLBACK;
SELECT :'above' AS above, clock() >= :'before' AS not_lower;
BEGIN;
SET LOCAL metaxy.stamp = off;
INSERT INTO video VALUES ('r', 1028, 'v1', :'before', :'before'::timestamptz + interval '1 second') RETURNING metaxy_updated_at = :'before'::timestamptz + interval '1 second' AS as_given;
ROLLBACK;
SELECT clock_is_above();
INSERT INTO video VALUES ('r', 1028);
SELECT * FROM disorder;
-- a clock that is wrong, which only a superuser can have
SET metaxy.clock_shift = '-1h'; -- error
RESET ROLE;
SET metaxy.clock_shift = '-1h';
SET ROLE regress_metaxy_owner;
INSERT INTO video VALUES ('r', 1029), ('r', 1030);
BEGIN;
INSERT INTO video SELECT 'r', i FROM generate_series(1031, 1040) AS i;
INSERT INTO video VALUES ('r', 1041);
COMMIT;
SELECT clock_is_above();
RESET ROLE;
SET metaxy.clock_shift = '2s';
SET ROLE regress_metaxy_owner;
INSERT INTO video VALUES ('r', 1042);
SELECT clock_is_above();
RESET ROLE;
RESET metaxy.clock_shift;
SET ROLE regress_metaxy_owner;
INSERT INTO video VALUES ('r', 1043);
SELECT * FROM disorder;

--
-- metaxy.stamp = off: rows stay as they are, the clock comes along
--
TRUNCATE video;
SET metaxy.stamp = off;
INSERT INTO video VALUES ('old', 1, 'v0', '2001-02-03 UTC', '2001-02-03 UTC') RETURNING metaxy_feature_version, what(metaxy_created_at, 'epoch'), what(metaxy_updated_at, 'epoch');
INSERT INTO video VALUES ('old', 2, 'v0', '2001-02-03 UTC', '2001-02-03 UTC', '2001-02-03 UTC') RETURNING what(metaxy_deleted_at, 'epoch');
INSERT INTO video VALUES ('older', 3, 'v0', '-infinity', '-infinity', '-infinity') RETURNING metaxy_deleted_at;
SELECT clock() AS before \gset
INSERT INTO video VALUES ('ahead', 4, 'v1', '2001-02-03 UTC', :'before'::timestamptz + interval '2 s');
SELECT clock() = :'before'::timestamptz + interval '2 s' AS raised_to_it;
INSERT INTO video VALUES ('ahead', 5, 'v1', '2001-02-03 UTC', '2001-02-03 UTC', :'before'::timestamptz + interval '3 s');
SELECT clock() = :'before'::timestamptz + interval '3 s' AS raised_to_it;
-- nothing is filled in
SELECT try($$INSERT INTO video VALUES ('null', 6)$$);
SELECT try($$INSERT INTO video VALUES ('null', 6, 'v1', now())$$);
SELECT try($$INSERT INTO video VALUES ('null', 6, NULL, now(), now())$$);
SET metaxy.stamp = on;
INSERT INTO video VALUES ('ahead', 6) RETURNING metaxy_updated_at > :'before'::timestamptz + interval '3 s' AS above;
SELECT n FROM video_active WHERE video_id = 'ahead';

-- a row too far ahead would drag the clock along: it is refused
SET metaxy.stamp = off;
SELECT try($$INSERT INTO video VALUES ('late', 7, 'v1', now(), clock() + interval '1 day')$$);
SELECT try($$INSERT INTO video VALUES ('late', 7, 'v1', now(), now(), clock() + interval '1 day')$$);
SELECT try($$INSERT INTO video VALUES ('late', 7, 'v1', now(), 'infinity')$$);
SELECT try($$INSERT INTO video VALUES ('late', 7, 'v1', now(), '-infinity', 'infinity')$$);
SELECT try($$INSERT INTO video VALUES (NULL, 7, 'v1', now(), 'infinity')$$);
SELECT try($$INSERT INTO video SELECT 'x' || i, 7, 'v1', now(), clock() + i * interval '1 day' FROM generate_series(0, 3) AS i$$);
\set VERBOSITY sqlstate
COPY video FROM stdin; -- error
late	7	v1	2001-02-03	infinity	\N
\.
\set VERBOSITY default
SELECT count(*) FROM video WHERE n = 7;
-- created_at is no recency
INSERT INTO video VALUES ('created', 8, 'v1', now() + interval '1 day', '2001-02-03 UTC');
-- the tombstone's own time counts
INSERT INTO video VALUES ('tombstone', 9, 'v1', now(), now() + interval '1 day', '2001-02-03 UTC');
-- one row takes the clock along for everybody: not everybody may lift the limit
SET ROLE regress_metaxy_writer;
SET metaxy.max_skew = '2 d';														-- error
SET ROLE regress_metaxy_owner;
SET metaxy.max_skew = '2 d';
SELECT clock() AS before \gset
BEGIN;
INSERT INTO video VALUES ('late', 10, 'v1', now(), clock() + interval '1 day');
SELECT try($$INSERT INTO video VALUES ('late', 10, 'v1', now(), clock() + interval '3 day')$$);
SELECT try($$INSERT INTO video VALUES ('late', 10, 'v1', now(), 'infinity')$$);
ROLLBACK;
-- it was accepted, and has left no trace
SELECT clock() = :'before' AS not_raised;
SET metaxy.max_skew = 0;
SELECT try($$INSERT INTO video VALUES ('late', 10, 'v1', now(), clock() + interval '1 min')$$);
-- what the clock has reached does no harm
INSERT INTO video VALUES ('reached', 10, 'v1', '2001-02-03 UTC', clock());
INSERT INTO video VALUES ('now', 11, 'v1', '2001-02-03 UTC', now());
SET metaxy.max_skew = '12h';
SET metaxy.stamp = on;
-- stamped, it does not matter what they come with
INSERT INTO video VALUES ('late', 12, 'v1', now(), now() + interval '1 day', NULL), ('late', 13, 'v1', now(), 'infinity', NULL),
	('late', 14, 'v1', now(), now(), 'infinity');
SELECT bool_and(coalesce(metaxy_deleted_at, metaxy_updated_at) <= clock()) FROM video;

-- replica role: as with metaxy.stamp = off
RESET ROLE;
SET session_replication_role = replica;
SET ROLE regress_metaxy_owner;
INSERT INTO video VALUES ('replica', 15, 'v0', '2001-02-03 UTC', '2001-02-03 UTC') RETURNING metaxy_feature_version, what(metaxy_updated_at, 'epoch');
SELECT clock() AS before \gset
INSERT INTO video VALUES ('replica', 16, 'v0', '2001-02-03 UTC', :'before'::timestamptz + interval '1 s');
SELECT clock() = :'before'::timestamptz + interval '1 s' AS raised_to_it;
SELECT try($$INSERT INTO video VALUES ('replica', 17, 'v1', now(), 'infinity')$$);
RESET ROLE;
SET session_replication_role = local;
INSERT INTO video VALUES ('local', 17);
RESET session_replication_role;
SET ROLE regress_metaxy_owner;

--
-- Without a feature version
--
CREATE TABLE plain (id int, metaxy_updated_at timestamptz, metaxy_feature_version int,
	metaxy_created_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('plain', 'plain', '{id}');
INSERT INTO plain VALUES (1, NULL, NULL, NULL, NULL), (2, 'infinity', 3, 'infinity', 'infinity');
SELECT id, metaxy_feature_version, metaxy_updated_at = metaxy_created_at AS same, metaxy_deleted_at <= clock() AS deleted FROM plain;
DELETE FROM plain WHERE id = 2;

-- two features in a transaction share the clock
BEGIN;
INSERT INTO plain VALUES (3) RETURNING metaxy_updated_at AS first \gset
INSERT INTO video VALUES ('two', 18) RETURNING metaxy_updated_at > :'first' AS growing, metaxy_updated_at AS second \gset
INSERT INTO plain VALUES (3) RETURNING metaxy_updated_at > :'second' AS still_growing \gset
COMMIT;
SELECT :'growing' AS growing, :'still_growing' AS still_growing;

--
-- A version that becomes current is used by the next statement
--
SELECT metaxy_register('video', 'video', '{video_id}', 'v2');
INSERT INTO video VALUES ('new version', 19) RETURNING metaxy_feature_version;
BEGIN;
SELECT metaxy_register('video', 'video', '{video_id}', 'v3');
INSERT INTO video VALUES ('new version', 20) RETURNING metaxy_feature_version;
SAVEPOINT s;
SELECT metaxy_register('video', 'video', '{video_id}', 'v4');
INSERT INTO video VALUES ('new version', 21) RETURNING metaxy_feature_version;
ROLLBACK TO s;
INSERT INTO video VALUES ('new version', 22) RETURNING metaxy_feature_version;
ROLLBACK;
INSERT INTO video VALUES ('new version', 23) RETURNING metaxy_feature_version;
PREPARE add (text, int) AS INSERT INTO video VALUES ($1, $2) RETURNING metaxy_feature_version;
EXECUTE add ('new version', 24);
SELECT metaxy_register('video', 'video', '{video_id}', 'v5');
EXECUTE add ('new version', 25);
-- to none, and back
SELECT metaxy_register('video', 'video', '{video_id}', replace => true);
SELECT try($$INSERT INTO video VALUES ('new version', 26)$$);
ALTER TABLE video ALTER metaxy_feature_version DROP NOT NULL;
EXECUTE add ('new version', 26);
DELETE FROM video WHERE n = 26;
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');
EXECUTE add ('new version', 27);
DEALLOCATE add;
-- a version too long for the column
CREATE TABLE short (id int, metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz,
	metaxy_feature_version varchar(4));
SELECT metaxy_register('short', 'short', '{id}', 'four');
INSERT INTO short VALUES (1) RETURNING metaxy_feature_version;
SELECT metaxy_unregister('short');
DROP TABLE short;

--
-- The rights of a writer: INSERT on the table, nothing of the extension's
--
GRANT INSERT, SELECT ON plain, video TO regress_metaxy_writer;
RESET ROLE;
BEGIN;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION metaxy_stamp() FROM PUBLIC;
SET LOCAL ROLE regress_metaxy_writer;
SET LOCAL search_path = stamp;
INSERT INTO plain VALUES (4) RETURNING metaxy_updated_at = metaxy_created_at AS stamped;
COPY plain (id) FROM stdin;
5
\.
SET LOCAL metaxy.stamp = off;
INSERT INTO plain VALUES (6, '2001-02-03 UTC', NULL, '2001-02-03 UTC');
SAVEPOINT s;
INSERT INTO plain VALUES (6, 'infinity', NULL, '2001-02-03 UTC'); -- error
ROLLBACK TO s;
SELECT current_user;
RESET ROLE;
ROLLBACK;
-- a session that has no schema of the extension's in mind
SET ROLE regress_metaxy_writer;
BEGIN;
SET LOCAL search_path = pg_temp;
INSERT INTO stamp.video VALUES ('writer', 28) RETURNING metaxy_feature_version;
COMMIT;
RESET ROLE;
SET ROLE regress_metaxy_owner;

--
-- The trigger itself
--
CREATE VIEW triggers AS
SELECT tgrelid::regclass AS relation, tgname, tgfoid::regproc AS function, tgenabled, tgqual IS NOT NULL AS has_when
  FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text !~ '_(active|latest|deleted)$' ORDER BY tgrelid, tgname;
SELECT * FROM triggers;
-- dropped, disabled, enabled for less, with a condition: registered again, it
-- is back, and the clock above what has come in
SELECT clock() AS before \gset
DROP TRIGGER zzzz_metaxy_stamp ON plain;
INSERT INTO plain VALUES (7, :'before'::timestamptz + interval '1 s', NULL, '2001-02-03 UTC');
SELECT clock() = :'before' AS as_before;
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT clock() = :'before'::timestamptz + interval '1 s' AS raised;
SELECT * FROM triggers WHERE relation = 'plain'::regclass;
ALTER TABLE plain DISABLE TRIGGER USER;
INSERT INTO plain VALUES (7, :'before'::timestamptz + interval '2 s', NULL, '2001-02-03 UTC');
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT clock() = :'before'::timestamptz + interval '2 s' AS raised;
SELECT tgenabled FROM triggers WHERE relation = 'plain'::regclass;
ALTER TABLE plain ENABLE TRIGGER zzzz_metaxy_stamp;
SELECT tgenabled FROM triggers WHERE relation = 'plain'::regclass;
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT tgenabled FROM triggers WHERE relation = 'plain'::regclass;
ALTER TABLE plain ENABLE REPLICA TRIGGER zzzz_metaxy_stamp;
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT tgenabled FROM triggers WHERE relation = 'plain'::regclass;
CREATE OR REPLACE TRIGGER zzzz_metaxy_stamp BEFORE INSERT ON plain
	FOR EACH ROW WHEN (NEW.id > 8) EXECUTE FUNCTION metaxy_stamp();
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT tgenabled, has_when FROM triggers WHERE relation = 'plain'::regclass;
-- rows that came in meanwhile are looked at as when it was registered first
DROP TRIGGER zzzz_metaxy_stamp ON plain;
INSERT INTO plain VALUES (7, 'infinity', NULL, '2001-02-03 UTC');
SELECT try($$SELECT metaxy_register('plain', 'plain', '{id}')$$);
DELETE FROM plain WHERE metaxy_updated_at = 'infinity';
SELECT metaxy_register('plain', 'plain', '{id}');
-- nothing to do: nothing is written, no lock is in the way
BEGIN;
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT DISTINCT mode FROM pg_locks WHERE relation = 'plain'::regclass;
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
COMMIT;

-- with replace, it moves to the other table
CREATE TABLE other (id int);
SELECT metaxy_register('plain', 'other', '{id}', replace => true);
SELECT relation, tgenabled FROM triggers WHERE relation::text IN ('plain', 'other');
INSERT INTO other VALUES (1) RETURNING metaxy_updated_at = metaxy_created_at AS stamped;
SELECT try($$INSERT INTO plain VALUES (8)$$);
SELECT metaxy_register('plain', 'plain', '{id}', replace => true);
SELECT relation, tgenabled FROM triggers WHERE relation::text IN ('plain', 'other');
DROP TABLE other;

-- unregistered, it is gone; one that is left passes rows through
SELECT metaxy_unregister('plain');
SELECT count(*) FROM triggers WHERE relation = 'plain'::regclass;
CREATE TRIGGER zzzz_metaxy_stamp BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION metaxy_stamp();
SELECT try($$INSERT INTO plain VALUES (9)$$);
INSERT INTO plain VALUES (9, 'infinity', NULL, '2001-02-03 UTC') RETURNING what(metaxy_created_at, 'epoch');
DELETE FROM plain WHERE id = 9;
SELECT metaxy_register('plain', 'plain', '{id}');
INSERT INTO plain VALUES (9) RETURNING metaxy_updated_at = metaxy_created_at AS stamped;
-- in one transaction
BEGIN;
SELECT metaxy_unregister('plain');
INSERT INTO plain VALUES (10, '2001-02-03 UTC', NULL, '2001-02-03 UTC') RETURNING what(metaxy_updated_at, 'epoch');
SELECT metaxy_register('plain', 'plain', '{id}');
INSERT INTO plain VALUES (10, '2001-02-03 UTC', NULL, '2001-02-03 UTC') RETURNING what(metaxy_updated_at, '2001-02-04');
ROLLBACK;
INSERT INTO plain VALUES (10) RETURNING metaxy_updated_at = metaxy_created_at AS stamped;

-- columns that were renamed or altered since: the next row says so
ALTER TABLE plain RENAME metaxy_deleted_at TO gone;
SELECT try($$INSERT INTO plain (id) VALUES (11)$$);
ALTER TABLE plain RENAME gone TO metaxy_deleted_at;
INSERT INTO plain (id) VALUES (11);
DROP VIEW plain_active, plain_latest, plain_deleted;
ALTER TABLE plain DROP metaxy_deleted_at;
SELECT try($$INSERT INTO plain (id) VALUES (12)$$);
ALTER TABLE plain ADD metaxy_deleted_at date;
SELECT try($$INSERT INTO plain (id) VALUES (12)$$);
ALTER TABLE plain DROP metaxy_deleted_at, ADD metaxy_deleted_at timestamptz GENERATED ALWAYS AS (NULL) STORED;
SELECT try($$INSERT INTO plain (id) VALUES (12)$$);
ALTER TABLE plain DROP metaxy_deleted_at;
SELECT metaxy_register('plain', 'plain', '{id}');
INSERT INTO plain (id) VALUES (12);
SELECT count(*) FROM plain_active WHERE id = 12;

-- called otherwise
SELECT try($$SELECT metaxy_stamp()$$);
CREATE TABLE wrong (id int);
CREATE TRIGGER after BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION metaxy_stamp();
INSERT INTO wrong VALUES (1);
SELECT try($$UPDATE wrong SET id = 2$$);
CREATE OR REPLACE TRIGGER after AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION metaxy_stamp();
SELECT try($$INSERT INTO wrong VALUES (1)$$);
CREATE OR REPLACE TRIGGER after BEFORE INSERT ON wrong FOR EACH STATEMENT EXECUTE FUNCTION metaxy_stamp();
SELECT try($$INSERT INTO wrong VALUES (1)$$);
CREATE VIEW wrong_view AS SELECT * FROM wrong;
CREATE TRIGGER instead INSTEAD OF INSERT ON wrong_view FOR EACH ROW EXECUTE FUNCTION metaxy_stamp();
SELECT try($$INSERT INTO wrong_view VALUES (1)$$);
-- under another name, on a table that holds no feature: no harm
CREATE OR REPLACE TRIGGER after BEFORE INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION metaxy_stamp('with', 'arguments');
INSERT INTO wrong VALUES (3);
TABLE wrong;
DROP TABLE wrong CASCADE;
-- twice on one table: the second stamp counts
CREATE TRIGGER zzz BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION metaxy_stamp();
INSERT INTO plain (id) VALUES (13) RETURNING metaxy_updated_at > metaxy_created_at AS stamped_twice;
DROP TRIGGER zzz ON plain;

--
-- Triggers of others
--
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id < 0 THEN
		RETURN NULL;
	END IF;
	NEW.id := NEW.id + 100;
	IF TG_ARGV[0] = 'late' THEN
		NEW.metaxy_updated_at := '2001-02-03 UTC';
	END IF;
	RETURN NEW;
END $$;
CREATE TABLE busy (id int, big text, metaxy_updated_at timestamptz, metaxy_created_at timestamptz, metaxy_deleted_at timestamptz);
-- our name
CREATE TRIGGER zzzz_metaxy_stamp BEFORE INSERT ON busy FOR EACH ROW EXECUTE FUNCTION change();
SELECT metaxy_register('busy', 'busy', '{id}'); -- error
RESET ROLE;
-- ... also in the schema of the extension
CREATE FUNCTION public.regress_metaxy_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
GRANT EXECUTE ON FUNCTION public.regress_metaxy_change() TO PUBLIC;
SET ROLE regress_metaxy_owner;
CREATE OR REPLACE TRIGGER zzzz_metaxy_stamp BEFORE INSERT ON busy FOR EACH ROW EXECUTE FUNCTION public.regress_metaxy_change();
ALTER TABLE busy ENABLE ALWAYS TRIGGER zzzz_metaxy_stamp;
SELECT try($$SELECT metaxy_register('busy', 'busy', '{id}')$$);
-- ... at another event
DROP TRIGGER zzzz_metaxy_stamp ON busy;
CREATE TRIGGER zzzz_metaxy_stamp AFTER DELETE ON busy FOR EACH ROW EXECUTE FUNCTION change();
SELECT try($$SELECT metaxy_register('busy', 'busy', '{id}')$$);
DROP TRIGGER zzzz_metaxy_stamp ON busy;
SELECT count(*) FROM metaxy_feature WHERE feature = 'busy';
-- before ours
CREATE TRIGGER change BEFORE INSERT ON busy FOR EACH ROW EXECUTE FUNCTION change();
SET client_min_messages = notice;
SELECT metaxy_register('busy', 'busy', '{id}');
INSERT INTO busy VALUES (1, NULL, NULL, NULL, NULL), (-1, NULL, NULL, NULL, NULL),
	(2, repeat('x', 10000), NULL, NULL, NULL), (3, NULL, 'infinity', 'infinity', 'infinity');
INSERT INTO busy SELECT i, 'x' FROM generate_series(-3, -1) AS i;
SELECT id, length(big), metaxy_updated_at <= clock() AS updated, metaxy_created_at <= clock() AS created, metaxy_deleted_at <= clock() AS deleted FROM busy;
-- after ours: a warning, once
DROP TRIGGER zzzz_metaxy_stamp ON busy;
CREATE TRIGGER zzzz_metaxy_stamp2 BEFORE INSERT ON busy FOR EACH ROW EXECUTE FUNCTION change('late');
CREATE TRIGGER zzzz_z AFTER INSERT ON busy FOR EACH ROW EXECUTE FUNCTION change('late');
CREATE TRIGGER zzzz_zz BEFORE UPDATE ON busy FOR EACH ROW EXECUTE FUNCTION change('late');
SELECT metaxy_register('busy', 'busy', '{id}');
SELECT metaxy_register('busy', 'busy', '{id}');
SET client_min_messages = warning;
INSERT INTO busy VALUES (4) RETURNING id, what(metaxy_updated_at, 'epoch'), metaxy_created_at <= clock() AS created;
DROP TRIGGER zzzz_metaxy_stamp2 ON busy;
DROP TRIGGER zzzz_z ON busy;
-- one that writes to the same feature, and to another
CREATE FUNCTION write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.big IS NULL THEN
		INSERT INTO busy VALUES (NEW.id, TG_NAME);
		INSERT INTO plain VALUES (NEW.id);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER write BEFORE INSERT ON busy FOR EACH ROW EXECUTE FUNCTION write();
CREATE TRIGGER write_after AFTER INSERT ON busy FOR EACH ROW EXECUTE FUNCTION write();
TRUNCATE busy, plain;
INSERT INTO busy VALUES (1);
-- in the order of arrival
SELECT id, big FROM busy ORDER BY metaxy_updated_at;
SELECT count(DISTINCT metaxy_updated_at) FROM (SELECT metaxy_updated_at FROM busy UNION ALL SELECT metaxy_updated_at FROM plain) AS x;
SELECT bool_and(clock() >= metaxy_updated_at) FROM (SELECT metaxy_updated_at FROM busy UNION ALL SELECT metaxy_updated_at FROM plain) AS x;
-- a deferred one, which writes when the transaction is about to commit
CREATE FUNCTION defer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO busy VALUES (NEW.id, 'deferred');
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	WHEN (NEW.id > 0) EXECUTE FUNCTION defer();
RESET ROLE;
SET metaxy.clock_shift = '-1h';
SET ROLE regress_metaxy_owner;
BEGIN;
INSERT INTO plain VALUES (5);
SELECT count(*) FROM busy WHERE big = 'deferred';
COMMIT;
SELECT count(*), bool_and(clock() >= metaxy_updated_at), min(metaxy_updated_at) > (SELECT max(metaxy_updated_at) FROM plain) AS above
  FROM busy WHERE big = 'deferred';
RESET ROLE;
RESET metaxy.clock_shift;

-- leaves the extension as it found it
SET search_path = stamp, public;
SELECT metaxy_unregister(feature) FROM metaxy_feature;
SELECT count(*) FROM metaxy_feature;
DROP SCHEMA stamp CASCADE;
DROP FUNCTION public.regress_metaxy_change();
REVOKE SET ON PARAMETER metaxy.max_skew FROM regress_metaxy_owner;
DROP ROLE regress_metaxy_owner, regress_metaxy_writer;
