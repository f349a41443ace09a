--
-- metaxy_undelete where something is in the way: arguments, rights, tables
-- that are gone, triggers, transactions
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_writer, regress_metaxy_stranger;
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_reader;
CREATE ROLE regress_metaxy_writer;
CREATE ROLE regress_metaxy_stranger;
CREATE SCHEMA metaxy_undelete_errors AUTHORIZATION regress_metaxy_owner;
GRANT USAGE ON SCHEMA metaxy_undelete_errors TO PUBLIC;
SET search_path = metaxy_undelete_errors, public;

SET ROLE regress_metaxy_owner;
CREATE TABLE doc (doc_id text, author text, note text);
CREATE TABLE page (page_id text, doc_id text);
SELECT metaxy_register('doc', 'doc', '{doc_id}', 'v1'), metaxy_register('page', 'page', '{page_id}');
SELECT metaxy_depend('page', 'doc', '1:N', '{doc_id}');
INSERT INTO doc SELECT 'd' || i, CASE i % 2 WHEN 1 THEN 'regress_metaxy_writer' ELSE 'somebody' END FROM generate_series(1, 4) AS i;
INSERT INTO page SELECT doc_id || '/' || i, doc_id FROM doc, generate_series(1, 2) AS i;
GRANT SELECT ON doc, page TO regress_metaxy_reader, regress_metaxy_writer;
GRANT INSERT ON doc TO regress_metaxy_writer;
RESET ROLE;
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('doc', cascade => 'downstream') \gset

CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(t, ',' ORDER BY t))
	  FROM (SELECT (ctid, xmin, d)::text FROM doc AS d UNION ALL
			SELECT (ctid, xmin, p)::text FROM page AS p UNION ALL
			SELECT d::text FROM metaxy_deletions AS d) AS x (t)
$$;
SELECT state() AS before \gset
-- a call that fails; numbers of operations are not the same each time
CREATE FUNCTION fails(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE 'SELECT count(*) FROM metaxy_undelete(' || call || ')';
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, '')), 'deletion \d+', 'deletion N');
END $$;

--
-- Arguments
--
SELECT fails(call) FROM unnest(ARRAY['NULL', '0', '-1', '9223372036854775807', '-9223372036854775808']) AS call;
SELECT fails(:d || ', dry_run => NULL');
SELECT fails(:d || ', ''nothing''');
SELECT fails(:d || ', ''''');
SELECT fails(:d || ', ''Doc''');
-- a NULL is no feature, so it is all
BEGIN;
SELECT * FROM metaxy_undelete(:d, NULL);
ROLLBACK;

--
-- Operations that hid nothing
--
BEGIN;
SET LOCAL metaxy.log_filter = off;
SELECT DISTINCT deletion_id AS h FROM metaxy_delete('doc', 'true', soft => false) \gset
SELECT fails(:'h');
SELECT fails(:h || ', dry_run => true');
SELECT fails(:h || ', ''page''');
INSERT INTO doc_active (doc_id) VALUES ('d9');
SELECT fails(max(id)::text) FROM metaxy_deletions;
UPDATE doc_active SET note = 'x';
SELECT fails(max(id)::text) FROM metaxy_deletions;
SELECT DISTINCT deletion_id AS h FROM metaxy_delete_orphans('page', soft => false) \gset
SELECT fails(:'h');
-- and what the hard delete has removed is not there to be brought back
SELECT * FROM metaxy_undelete(:d, 'doc');
ROLLBACK;

--
-- Rights
--
-- nothing at all
SET ROLE regress_metaxy_stranger;
SELECT fails(:'d');
SELECT fails(:d || ', dry_run => true');
-- SELECT is enough for a dry run, which says what else is needed
SET ROLE regress_metaxy_reader;
SELECT fails(:'d');
SET client_min_messages = notice;
SELECT * FROM metaxy_undelete(:d, dry_run => true);
SET client_min_messages = warning;
-- INSERT on each table; or on the one whose feature is named
SET ROLE regress_metaxy_writer;
SELECT fails(:'d');
SELECT fails(:d || ', ''page''');
BEGIN;
SELECT * FROM metaxy_undelete(:d, 'doc');
SELECT kind, features, role, samples FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
SELECT undone_by IS NOT NULL AS undone FROM metaxy_deletions WHERE id = :d;
ROLLBACK;
SET ROLE regress_metaxy_owner;
BEGIN;
SELECT * FROM metaxy_undelete(:d);
ROLLBACK;
RESET ROLE;
SELECT state() = :'before' AS unchanged;

-- what a policy hides is not there
BEGIN;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON doc USING (author = current_user);
SET ROLE regress_metaxy_writer;
SELECT * FROM metaxy_undelete(:d, 'doc', dry_run => true);
SELECT * FROM metaxy_undelete(:d, 'doc');
SELECT doc_id FROM doc_active ORDER BY 1;
RESET ROLE;
SELECT doc_id FROM doc_active ORDER BY 1;
ROLLBACK;
-- or must not be written
BEGIN;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY look ON doc FOR SELECT USING (true);
CREATE POLICY own ON doc FOR INSERT WITH CHECK (author = current_user);
SET ROLE regress_metaxy_writer;
SELECT fails(:d || ', ''doc''');
ROLLBACK;
SELECT state() = :'before' AS unchanged;

--
-- Features and tables that are gone
--
SET client_min_messages = warning;
BEGIN;
SELECT metaxy_unregister('page');
SELECT fails(:d || ', ''page''');
SELECT * FROM metaxy_undelete(:d, dry_run => true);
SELECT * FROM metaxy_undelete(:d);
SELECT metaxy_unregister('doc');
SELECT * FROM metaxy_undelete(:d);
ROLLBACK;
BEGIN;
DROP TABLE page CASCADE;
SELECT fails(:d || ', ''page''');
SELECT * FROM metaxy_undelete(:d, dry_run => true);
SELECT * FROM metaxy_undelete(:d);
-- a new one knows nothing of it
CREATE TABLE page (page_id text, doc_id text);
SELECT metaxy_register('page', 'page', '{page_id}', replace => true);
SELECT * FROM metaxy_undelete(:d, 'page');
ROLLBACK;
-- registered again: as it was
BEGIN;
SELECT metaxy_unregister('page'), metaxy_unregister('doc');
SELECT metaxy_register('doc', 'doc', '{doc_id}'), metaxy_register('page', 'page', '{page_id}');
SELECT * FROM metaxy_undelete(:d);
ROLLBACK;
-- columns that are not what was registered
BEGIN;
SELECT metaxy_views('doc', false);
ALTER TABLE doc RENAME doc_id TO id;
SELECT fails(:'d');
ROLLBACK;
BEGIN;
CREATE RULE nothing AS ON INSERT TO page DO INSTEAD NOTHING;
SELECT fails(:'d');
ROLLBACK;
SELECT state() = :'before' AS unchanged;

--
-- Users' triggers: 09000 where they swallow or change what is restored
--
CREATE FUNCTION with_trigger(action text, body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE FUNCTION user_trigger() RETURNS trigger LANGUAGE plpgsql AS %L', 'BEGIN ' || body || ' END');
	EXECUTE format('CREATE TRIGGER user_trigger %s EXECUTE FUNCTION user_trigger()', action);
	result := fails((SELECT max(id) FROM metaxy_deletions)::text);
	SELECT concat_ws(' | ', result, string_agg(doc_id, ' ' ORDER BY doc_id)) INTO result FROM doc_active;
	RAISE SQLSTATE 'MX000' USING MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'MX000' THEN
	RETURN SQLERRM;
END $$;
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW', 'RETURN NULL;');
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW', 'IF NEW.page_id = ''d1/2'' THEN RETURN NULL; END IF; RETURN NEW;');
SELECT column_name, with_trigger('BEFORE INSERT ON doc FOR EACH ROW', format('NEW.%I := %s; RETURN NEW;', column_name, value))
  FROM (VALUES ('doc_id', $$'d2'$$), ('metaxy_feature_version', $$'v2'$$), ('metaxy_deleted_at', 'now()'),
	('metaxy_updated_at', $$NEW.metaxy_updated_at + interval '1 us'$$), ('metaxy_updated_at', $$NEW.metaxy_updated_at - interval '1 us'$$),
	('metaxy_updated_at', 'NULL'), ('metaxy_created_at', $$'2023-01-01'$$), ('metaxy_created_at', 'now()')) AS x (column_name, value);
SELECT with_trigger('AFTER INSERT ON doc FOR EACH ROW', 'UPDATE doc SET metaxy_deleted_at = now() WHERE doc_id = NEW.doc_id; RETURN NULL;');
SELECT with_trigger('AFTER INSERT ON page FOR EACH STATEMENT', 'DELETE FROM page WHERE metaxy_deleted_at IS NULL; RETURN NULL;');
-- let be
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW', 'NEW.note := ''changed''; RETURN NEW;');
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH STATEMENT', 'RETURN NULL;');
SELECT with_trigger('BEFORE UPDATE OR DELETE ON doc FOR EACH ROW', 'RETURN NULL;');
-- what fails on its way fails as a whole
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW', 'RAISE ''not this one''; RETURN NEW;');
BEGIN;
ALTER TABLE page ADD CHECK (page_id <> 'd4/2') NOT VALID;
SELECT left(fails(:'d'), 5);
ROLLBACK;
-- a delete within is an operation of its own, and a later one
SELECT with_trigger('AFTER INSERT ON doc FOR EACH STATEMENT',
	'IF pg_trigger_depth() = 1 THEN PERFORM metaxy_delete(''doc'', ''doc_id > ''''d2''''''); END IF; RETURN NULL;');
SELECT state() = :'before' AS unchanged;

--
-- Transactions that write nothing
--
BEGIN READ ONLY;
SELECT fails(:'d');
SELECT * FROM metaxy_undelete(:d, dry_run => true);
COMMIT;
BEGIN READ ONLY;
SELECT fails('-1');
SELECT fails('-1, dry_run => true');
ROLLBACK;
SELECT state() = :'before' AS unchanged;

SET client_min_messages = warning;
SELECT metaxy_unregister('page');
SELECT metaxy_unregister('doc');
DROP SCHEMA metaxy_undelete_errors CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_writer, regress_metaxy_stranger;
