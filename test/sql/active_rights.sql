--
-- The view of active samples with the caller's rights, and no more
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_inserter,
	regress_metaxy_writer, regress_metaxy_columns, regress_metaxy_stranger;
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_reader;
CREATE ROLE regress_metaxy_inserter;
CREATE ROLE regress_metaxy_writer;
CREATE ROLE regress_metaxy_columns;
CREATE ROLE regress_metaxy_stranger;
CREATE SCHEMA metaxy_active AUTHORIZATION regress_metaxy_owner;
GRANT USAGE ON SCHEMA metaxy_active TO PUBLIC;
SET search_path = metaxy_active, public;

SET ROLE regress_metaxy_owner;
CREATE TABLE doc (id text, size integer, author text DEFAULT current_user, note text);
SELECT metaxy_register('active/rights', 'doc', '{id}', 'v1');
INSERT INTO doc (id, size, author)
SELECT 'd' || i, i, CASE WHEN i % 2 = 1 THEN 'regress_metaxy_writer' ELSE 'somebody' END FROM generate_series(1, 6) AS i;
GRANT SELECT ON doc TO regress_metaxy_reader, regress_metaxy_writer, regress_metaxy_columns;
GRANT INSERT ON doc TO regress_metaxy_inserter, regress_metaxy_writer;
GRANT INSERT (id, size, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
	ON doc TO regress_metaxy_columns;
RESET ROLE;
CREATE FUNCTION rows(OUT docs bigint, OUT live bigint, OUT operations bigint) LANGUAGE sql SECURITY DEFINER AS $$
	SELECT (SELECT count(*) FROM doc), (SELECT count(*) FROM doc_active),
		   (SELECT count(*) FROM metaxy_deletions WHERE features = '{active/rights}')
$$;

--
-- Privileges on the table decide
--
-- none
SET ROLE regress_metaxy_stranger;
SELECT count(*) FROM doc_active;											-- error
INSERT INTO doc_active (id) VALUES ('x');									-- error
\echo :SQLSTATE
UPDATE doc_active SET size = 0;												-- error
\echo :SQLSTATE
DELETE FROM doc_active;														-- error
\echo :SQLSTATE
-- SELECT alone: not even nothing can be written
SET ROLE regress_metaxy_reader;
SELECT count(*) FROM doc_active;
INSERT INTO doc_active (id) VALUES ('x');									-- error
\echo :SQLSTATE
UPDATE doc_active SET size = 0 WHERE id = 'd1';								-- error
\echo :SQLSTATE
DELETE FROM doc_active WHERE id = 'd1';										-- error
\echo :SQLSTATE
DELETE FROM doc_active WHERE false;											-- error
\echo :SQLSTATE
INSERT INTO doc_active SELECT * FROM doc_active WHERE false;				-- error
\echo :SQLSTATE
-- it takes no lock that others would wait for
BEGIN;
SAVEPOINT s;
DELETE FROM doc_active;														-- error
ROLLBACK TO s;
SELECT mode FROM pg_locks WHERE relation = 'doc'::regclass ORDER BY 1;
ROLLBACK;
-- INSERT alone: rows can be appended, and not looked at
SET ROLE regress_metaxy_inserter;
INSERT INTO doc_active (id, size) VALUES ('i', 1);
COPY doc_active (id, size) FROM stdin;
j	2
\.
-- nothing is given back but what was given
INSERT INTO doc_active (id, size) VALUES ('k', 3)
RETURNING id, size, author, metaxy_updated_at IS NULL AS not_seen;
UPDATE doc_active SET size = 0;												-- error
\echo :SQLSTATE
DELETE FROM doc_active;														-- error
\echo :SQLSTATE
SELECT count(*) FROM doc_active;											-- error
-- UPDATE and DELETE on the table are no use
RESET ROLE;
GRANT UPDATE, DELETE ON doc TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
DELETE FROM doc_active;														-- error
\echo :SQLSTATE
UPDATE doc_active SET size = 0;												-- error
\echo :SQLSTATE
RESET ROLE;
SELECT * FROM rows();
-- SELECT and INSERT: all of it
BEGIN;
SET LOCAL ROLE regress_metaxy_writer;
INSERT INTO doc_active (id) VALUES ('w') RETURNING id, author, metaxy_feature_version;
WITH x AS (UPDATE doc_active SET size = 0 WHERE id IN ('w', 'd1') RETURNING id, size)
SELECT * FROM x ORDER BY id;
WITH x AS (DELETE FROM doc_active WHERE id IN ('w', 'd2') RETURNING id, size)
SELECT * FROM x ORDER BY id;
RESET ROLE;
SELECT * FROM rows();
SELECT role, options, samples FROM metaxy_deletions WHERE features = '{active/rights}' ORDER BY id DESC LIMIT 3;
ROLLBACK;
-- INSERT on some columns: others cannot be given, and need not be
BEGIN;
SET LOCAL ROLE regress_metaxy_columns;
INSERT INTO doc_active (id, size) VALUES ('c', 1) RETURNING id, size, author, note;
INSERT INTO doc_active (id, note) VALUES ('c', NULL) RETURNING id, size, author, note;
SAVEPOINT s;
INSERT INTO doc_active (id, note) VALUES ('c', 'x');						-- error
\echo :SQLSTATE
ROLLBACK TO s;
UPDATE doc_active SET size = 2 WHERE id = 'c';								-- error
\echo :SQLSTATE
ROLLBACK TO s;
DELETE FROM doc_active WHERE id = 'c';										-- error
\echo :SQLSTATE
ROLLBACK;
-- SELECT on some columns: the view reads all
BEGIN;
REVOKE SELECT ON doc FROM regress_metaxy_writer;
GRANT SELECT (id, size) ON doc TO regress_metaxy_writer;
SET LOCAL ROLE regress_metaxy_writer;
INSERT INTO doc_active (id, size) VALUES ('s', 1) RETURNING id, size, author;
DELETE FROM doc_active WHERE id = 's';										-- error
\echo :SQLSTATE
ROLLBACK;

-- a function with its owner's rights
SET ROLE regress_metaxy_writer;
CREATE FUNCTION pg_temp.forget(text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
	DELETE FROM metaxy_active.doc_active WHERE id = $1
$$;
BEGIN;
SET LOCAL ROLE regress_metaxy_reader;
SELECT pg_temp.forget('d1');
RESET ROLE;
SELECT role, samples FROM metaxy_deletions WHERE features = '{active/rights}' ORDER BY id DESC LIMIT 1;
SELECT id, metaxy_deleted_at IS NULL AS live FROM doc_latest WHERE id = 'd1';
ROLLBACK;
DROP FUNCTION pg_temp.forget(text);

--
-- Privileges on the view can be taken away, and stay so
--
SET ROLE regress_metaxy_owner;
REVOKE UPDATE, DELETE ON doc_active FROM PUBLIC;
GRANT DELETE ON doc_active TO regress_metaxy_columns;
SELECT metaxy_views('active/rights', true);
SET ROLE regress_metaxy_writer;
DELETE FROM doc_active WHERE id = 'd1';										-- error
\echo :SQLSTATE
UPDATE doc_active SET size = 0 WHERE id = 'd1';								-- error
\echo :SQLSTATE
BEGIN;
INSERT INTO doc_active (id) VALUES ('v') RETURNING id;
ROLLBACK;
SET ROLE regress_metaxy_owner;
SELECT metaxy_views('active/rights', false), metaxy_views('active/rights', true);
SET ROLE regress_metaxy_writer;
DELETE FROM doc_active WHERE id = 'd1';										-- error
\echo :SQLSTATE
SET ROLE regress_metaxy_owner;
GRANT UPDATE, DELETE ON doc_active TO PUBLIC;

--
-- Nobody needs to know of the extension: no USAGE on its schema
--
RESET ROLE;
SELECT nspname AS schema FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'metaxy' \gset
BEGIN;
REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC;
SET LOCAL search_path = metaxy_active;
SET LOCAL ROLE regress_metaxy_writer;
INSERT INTO doc_active (id) VALUES ('u') RETURNING id, author;
UPDATE doc_active SET size = 7 WHERE id = 'u' RETURNING size;
WITH x AS (DELETE FROM doc_active WHERE id IN ('u', 'd1') RETURNING id, size)
SELECT * FROM x ORDER BY id;
ROLLBACK;

--
-- Row-level security of the table
--
SET ROLE regress_metaxy_owner;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON doc FOR SELECT USING (author = current_user);
CREATE POLICY give ON doc FOR INSERT WITH CHECK (author = current_user AND size < 100);
BEGIN;
SET LOCAL ROLE regress_metaxy_writer;
SELECT id FROM doc_active ORDER BY 1;
SAVEPOINT s;
-- what is hidden can be neither deleted nor updated
DELETE FROM doc_active WHERE id LIKE 'd%';
SELECT id FROM doc_active ORDER BY 1;
RESET ROLE;
SELECT id FROM doc_active WHERE id LIKE 'd%' ORDER BY 1;
ROLLBACK TO s;
UPDATE doc_active SET size = size + 10;
RESET ROLE;
SELECT id, size FROM doc_active WHERE id LIKE 'd%' ORDER BY 1;
ROLLBACK TO s;
-- what may not be written
INSERT INTO doc_active (id, size) VALUES ('r', 1) RETURNING id, author;
INSERT INTO doc_active (id, size, author) VALUES ('r', 1, 'somebody');		-- error
\echo :SQLSTATE
ROLLBACK TO s;
INSERT INTO doc_active (id, size) VALUES ('r', 100);						-- error
\echo :SQLSTATE
ROLLBACK TO s;
UPDATE doc_active SET size = 100 WHERE id = 'd3';							-- error
\echo :SQLSTATE
ROLLBACK TO s;
UPDATE doc_active SET author = 'somebody' WHERE id = 'd3';					-- error
\echo :SQLSTATE
ROLLBACK;
-- a policy that lets no tombstone in, and one that shows none
BEGIN;
CREATE POLICY live ON doc AS RESTRICTIVE FOR INSERT WITH CHECK (metaxy_deleted_at IS NULL);
SET LOCAL ROLE regress_metaxy_writer;
UPDATE doc_active SET size = 5 WHERE id = 'd1' RETURNING size;
DELETE FROM doc_active WHERE id = 'd1';										-- error
\echo :SQLSTATE
ROLLBACK;
BEGIN;
CREATE POLICY live ON doc AS RESTRICTIVE FOR SELECT USING (metaxy_deleted_at IS NULL);
SET LOCAL ROLE regress_metaxy_writer;
DELETE FROM doc_active WHERE id = 'd1' RETURNING id;
RESET ROLE;
SELECT count(*) FROM doc_active WHERE id = 'd1';
ROLLBACK;
-- row_security = off: an error instead of a part
BEGIN;
SET LOCAL ROLE regress_metaxy_writer;
SET LOCAL row_security = off;
DELETE FROM doc_active;														-- error
\echo :SQLSTATE
ROLLBACK;
RESET ROLE;
SELECT * FROM rows();

SELECT metaxy_unregister('active/rights');
SET client_min_messages = error;
DROP SCHEMA metaxy_active CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_inserter,
	regress_metaxy_writer, regress_metaxy_columns, regress_metaxy_stranger;
