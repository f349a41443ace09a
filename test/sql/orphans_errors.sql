--
-- Orphans where something is in the way: arguments, rights, policies, tables
-- and columns that are gone, triggers, transactions
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_writer, regress_metaxy_stranger, regress_metaxy_bypass;
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_reader;
CREATE ROLE regress_metaxy_writer;
CREATE ROLE regress_metaxy_stranger;
CREATE ROLE regress_metaxy_bypass BYPASSRLS;
CREATE SCHEMA metaxy_orphans_errors AUTHORIZATION regress_metaxy_owner;
GRANT USAGE ON SCHEMA metaxy_orphans_errors TO PUBLIC;
SET search_path = metaxy_orphans_errors, public;

SET ROLE regress_metaxy_owner;
CREATE TABLE doc (doc_id text, author text);
CREATE TABLE book (book_id text);
CREATE TABLE page (page_id text, doc_id text, book_id text, note text);
CREATE TABLE word (page_id text);
CREATE TABLE unregistered (page_id text);
SELECT metaxy_register('doc', 'doc', '{doc_id}'), metaxy_register('book', 'book', '{book_id}'), metaxy_register('page', 'page', '{page_id}'),
	   metaxy_register('word', 'word', '{page_id}');
SELECT metaxy_depend('page', 'doc', '1:N', '{doc_id}'), metaxy_depend('page', 'book', '1:N', '{book_id}'), metaxy_depend('word', 'page');
INSERT INTO doc SELECT 'd' || i, CASE i % 2 WHEN 1 THEN 'regress_metaxy_writer' ELSE 'somebody' END FROM generate_series(1, 4) AS i;
INSERT INTO book VALUES ('b1');
INSERT INTO page SELECT doc_id || '/' || i, doc_id, 'b1' FROM doc, generate_series(1, 2) AS i;
INSERT INTO word SELECT page_id FROM page;
SELECT samples FROM metaxy_delete('doc', $$doc_id = 'd1'$$);
GRANT SELECT ON page, word TO regress_metaxy_reader;
GRANT SELECT ON doc, book, page, word TO regress_metaxy_writer, regress_metaxy_bypass;
GRANT INSERT ON page TO regress_metaxy_writer, regress_metaxy_bypass;
RESET ROLE;

CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(t, ',' ORDER BY t))
	  FROM (SELECT (ctid, xmin, p)::text FROM page AS p UNION ALL
			SELECT (ctid, xmin, w)::text FROM word AS w UNION ALL
			SELECT d::text FROM metaxy_deletions AS d) AS x (t)
$$;
SELECT state() AS before \gset
CREATE FUNCTION fails(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
	n bigint;
BEGIN
	EXECUTE 'SELECT count(*) FROM ' || call INTO n;
	RETURN 'no error, rows: ' || n;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, '')), '"[0-9a-f]{16}"', 'DIGEST', 'g');
END $$;

--
-- Arguments
--
SELECT call, fails(call) FROM unnest(ARRAY[
	'metaxy_delete_orphans(NULL)', 'metaxy_delete_orphans(''nothing'')', 'metaxy_delete_orphans('''')', 'metaxy_delete_orphans(''Page'')',
	'metaxy_delete_orphans(''page'', soft => NULL)', 'metaxy_delete_orphans(''page'', cascade => NULL)',
	'metaxy_delete_orphans(''page'', cascade => ''sideways'')', 'metaxy_delete_orphans(''page'', dry_run => NULL)',
	'metaxy_delete_orphans(''page'', max_samples => -1)', 'metaxy_delete_orphans(''page'', max_samples => 1)',
	'metaxy_delete_orphans(''page'', max_samples => 1, dry_run => true)', 'metaxy_delete_orphans(''page'', max_samples => 2, dry_run => true)',
	'metaxy_delete_orphans(''page'', expect => ''0'')', 'metaxy_delete_orphans(''page'', expect => ''0'', dry_run => true)',
	'metaxy_orphan_counts(''nothing'')', 'metaxy_orphan_counts('''')', 'metaxy_orphan_counts(NULL)',
	'metaxy_orphans(NULL::unregistered)', 'metaxy_orphans(NULL::text)', 'metaxy_orphans(NULL::pg_class)', 'metaxy_orphans(NULL)',
	'metaxy_orphans(NULL::page_active)', 'metaxy_orphans(ROW(1, 2))']) WITH ORDINALITY AS x (call, o) ORDER BY o;
-- the value does not matter
SELECT count(*) FROM page AS p, metaxy_orphans(p) AS o;

--
-- Rights
--
-- nothing at all
SET ROLE regress_metaxy_stranger;
SELECT fails('metaxy_orphans(NULL::page)');
SELECT fails('metaxy_orphan_counts(''page'')');
SELECT * FROM metaxy_orphan_counts();
SELECT fails('metaxy_delete_orphans(''page'', dry_run => true)');
SELECT fails('metaxy_delete_orphans(''page'')');
-- SELECT on the feature alone: what is upstream is joined, too
SET ROLE regress_metaxy_reader;
SELECT fails('metaxy_orphans(NULL::page)');
SELECT fails('metaxy_orphan_counts(''page'')');
SELECT * FROM metaxy_orphan_counts();
SELECT * FROM metaxy_orphan_counts('word');
SELECT fails('metaxy_delete_orphans(''page'', dry_run => true)');
-- on one of two
RESET ROLE;
GRANT SELECT ON doc TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
SELECT * FROM metaxy_orphan_counts();
SELECT fails('metaxy_orphan_counts(''page'')');
SELECT fails('metaxy_orphans(NULL::page)');
RESET ROLE;
-- columns are enough where they are all that is read
GRANT SELECT (book_id) ON book TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
SELECT * FROM metaxy_orphan_counts();
SELECT fails('metaxy_orphan_counts(''page'')');
RESET ROLE;
GRANT SELECT ON book TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
SELECT * FROM metaxy_orphan_counts();
SELECT page_id FROM metaxy_orphans(NULL::page) ORDER BY 1;
SET client_min_messages = notice;
SELECT feature, samples FROM metaxy_delete_orphans('page', dry_run => true);
SET client_min_messages = warning;
SELECT fails('metaxy_delete_orphans(''page'')');
-- INSERT serves a sweep, not one for good, nor the cascade
SET ROLE regress_metaxy_writer;
SELECT fails('metaxy_delete_orphans(''page'', soft => false)');
SELECT fails('metaxy_delete_orphans(''page'', cascade => ''downstream'')');
BEGIN;
SELECT feature, samples FROM metaxy_delete_orphans('page');
SELECT kind, role, samples FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
ROLLBACK;
RESET ROLE;
SELECT state() = :'before' AS unchanged;

-- policies: what they hide upstream would look lost
BEGIN;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON doc USING (author = current_user);
SET ROLE regress_metaxy_writer;
SELECT page_id FROM metaxy_orphans(NULL::page) ORDER BY 1;
SELECT * FROM metaxy_orphan_counts('page');
SELECT fails('metaxy_delete_orphans(''page'')');
SELECT fails('metaxy_delete_orphans(''page'', dry_run => true)');
SELECT fails('metaxy_delete_orphans(''page'', soft => false)');
-- of a feature that is not upstream they are no matter
SELECT fails('metaxy_delete_orphans(''word'', dry_run => true)');
-- nor for those whom they do not apply to
SET ROLE regress_metaxy_bypass;
SELECT feature, samples FROM metaxy_delete_orphans('page', dry_run => true);
SET ROLE regress_metaxy_owner;
SELECT feature, samples FROM metaxy_delete_orphans('page', dry_run => true);
ALTER TABLE doc FORCE ROW LEVEL SECURITY;
SELECT fails('metaxy_delete_orphans(''page'', dry_run => true)');
RESET ROLE;
-- on an optional dependency
SELECT metaxy_undepend('page', 'doc');
SELECT metaxy_depend('page', 'doc', '1:N', '{doc_id}', optional => true);
SET ROLE regress_metaxy_writer;
SELECT fails('metaxy_delete_orphans(''page'')');
ROLLBACK;
-- of the feature itself: only what is seen
BEGIN;
ALTER TABLE page ENABLE ROW LEVEL SECURITY;
CREATE POLICY look ON page FOR SELECT USING (page_id LIKE '%/1');
CREATE POLICY ins ON page FOR INSERT WITH CHECK (true);
SET ROLE regress_metaxy_writer;
SELECT feature, samples FROM metaxy_delete_orphans('page');
SELECT fails('metaxy_delete_orphans(''page'', soft => false, dry_run => true)');
ROLLBACK;
SELECT state() = :'before' AS unchanged;

--
-- Tables and columns that are gone
--
BEGIN;
DROP TABLE doc CASCADE;
SELECT * FROM metaxy_orphan_counts();
SELECT count(*) FROM metaxy_orphans(NULL::page);
SELECT feature, samples FROM metaxy_delete_orphans('page');
DROP TABLE page CASCADE;
SELECT fails('metaxy_delete_orphans(''page'')');
SELECT * FROM metaxy_orphan_counts();
SELECT fails('metaxy_orphan_counts(''page'')');
SELECT feature, samples FROM metaxy_delete_orphans('word');
ROLLBACK;
BEGIN;
SELECT metaxy_unregister('word');
SELECT metaxy_unregister('page');
SELECT fails('metaxy_orphans(NULL::page)');
SELECT fails('metaxy_delete_orphans(''page'')');
ROLLBACK;
-- renamed: tables are followed, columns are asked for
BEGIN;
SELECT metaxy_views('doc', false), metaxy_views('page', false);
ALTER TABLE doc RENAME TO document;
ALTER TABLE page RENAME TO sheet;
SELECT page_id FROM metaxy_orphans(NULL::sheet) ORDER BY 1;
SAVEPOINT s;
ALTER TABLE document RENAME doc_id TO id;
SELECT fails('metaxy_orphans(NULL::sheet)');
SELECT fails('metaxy_orphan_counts(''page'')');
SELECT fails('metaxy_delete_orphans(''page'', dry_run => true)');
SELECT fails('metaxy_delete_orphans(''page'')');
SELECT fails('metaxy_delete_orphans(''word'', dry_run => true)');
ROLLBACK TO s;
ALTER TABLE sheet DROP COLUMN doc_id;
SELECT fails('metaxy_orphans(NULL::sheet)');
SELECT fails('metaxy_delete_orphans(''page'')');
ROLLBACK;
SELECT state() = :'before' AS unchanged;

--
-- Users' triggers and rules
--
CREATE FUNCTION with_trigger(action text, body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE FUNCTION user_trigger() RETURNS trigger LANGUAGE plpgsql AS %L', 'BEGIN ' || body || ' END');
	EXECUTE format('CREATE TRIGGER user_trigger %s EXECUTE FUNCTION user_trigger()', action);
	result := left(fails('metaxy_delete_orphans(''page'', cascade => ''downstream'')'), 5);
	SELECT concat_ws(' | ', result, count(*)) INTO result FROM page_active;
	RAISE SQLSTATE 'MX000' USING MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'MX000' THEN
	RETURN SQLERRM;
END $$;
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW', 'RETURN NULL;');
SELECT with_trigger('BEFORE INSERT ON word FOR EACH ROW', 'RETURN NULL;');
SELECT with_trigger('BEFORE INSERT ON word FOR EACH ROW', 'NEW.page_id := ''d2/1''; RETURN NEW;');
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW', 'NEW.metaxy_deleted_at := NULL; RETURN NEW;');
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW', 'NEW.note := ''x''; RETURN NEW;');
-- a parent that comes back in the middle: the sweep acts on what it has seen
SELECT with_trigger('AFTER INSERT ON word FOR EACH STATEMENT', 'INSERT INTO doc VALUES (''d1''); RETURN NULL;');
BEGIN;
CREATE RULE nothing AS ON INSERT TO page DO INSTEAD NOTHING;
SELECT fails('metaxy_delete_orphans(''page'')');
ROLLBACK;
SELECT state() = :'before' AS unchanged;

--
-- Transactions that write nothing
--
BEGIN READ ONLY;
SELECT * FROM metaxy_orphan_counts('page');
SELECT page_id FROM metaxy_orphans(NULL::page) ORDER BY 1;
SELECT feature, samples FROM metaxy_delete_orphans('page', dry_run => true);
SELECT fails('metaxy_delete_orphans(''page'')');
COMMIT;
-- within a transaction's own writes
BEGIN;
INSERT INTO doc VALUES ('d1');
SELECT feature, samples FROM metaxy_delete_orphans('page');
INSERT INTO page VALUES ('z', 'z', 'b1');
SELECT feature, samples FROM metaxy_delete_orphans('page');
ROLLBACK;
SELECT state() = :'before' AS unchanged;

-- planted in the caller's search_path: not what the join compares with
BEGIN;
CREATE FUNCTION always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = always);
CREATE FUNCTION count() RETURNS bigint LANGUAGE sql AS 'SELECT 99::bigint';
SET LOCAL search_path = metaxy_orphans_errors, pg_catalog, public;
SELECT orphans FROM metaxy_orphan_counts('page');
SELECT samples FROM metaxy_delete_orphans('page', dry_run => true);
ROLLBACK;

SELECT metaxy_unregister('word');
SELECT metaxy_unregister('page');
SELECT metaxy_unregister('doc'), metaxy_unregister('book');
DROP SCHEMA metaxy_orphans_errors CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_writer, regress_metaxy_stranger, regress_metaxy_bypass;
