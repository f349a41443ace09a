--
-- Who may do what: a table of roles by calls.  Each call runs in a
-- subtransaction of its own, which is rolled back.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_owner, regress_metaxy_member, regress_metaxy_noinherit,
	regress_metaxy_reader, regress_metaxy_writer, regress_metaxy_inserter, regress_metaxy_remover,
	regress_metaxy_stranger, regress_metaxy_keeper, regress_metaxy_super, regress_metaxy_tenant,
	regress_metaxy_bypass;
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_member INHERIT IN ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_noinherit NOINHERIT IN ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_reader;
CREATE ROLE regress_metaxy_writer;
CREATE ROLE regress_metaxy_inserter;
CREATE ROLE regress_metaxy_remover;
CREATE ROLE regress_metaxy_stranger;
CREATE ROLE regress_metaxy_super SUPERUSER;

CREATE SCHEMA metaxy_roles AUTHORIZATION regress_metaxy_owner;
GRANT USAGE ON SCHEMA metaxy_roles TO PUBLIC;
SET search_path = metaxy_roles, public;

-- The first column of the first row, how many rows were written, or the
-- SQLSTATE: what a call gives to a role.
CREATE FUNCTION try(role text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	written bigint;
BEGIN
	EXECUTE format('SET LOCAL ROLE regress_metaxy_%s', role);
	IF call ~ '^SELECT' THEN
		EXECUTE call INTO result;
	ELSE
		EXECUTE call;
		GET DIAGNOSTICS written = ROW_COUNT;
		IF call ~ '^(INSERT|UPDATE|DELETE|WITH)' THEN
			result := written;
		END IF;
	END IF;
	RAISE SQLSTATE 'RB000' USING MESSAGE = coalesce(nullif(result, ''), 'ok');
EXCEPTION
	WHEN SQLSTATE 'RB000' THEN
		RETURN SQLERRM;
	WHEN OTHERS THEN
		-- no error of the extension's own making is an internal one
		RETURN CASE WHEN SQLSTATE LIKE 'XX%' THEN SQLERRM ELSE SQLSTATE END;
END
$$;
CREATE TABLE calls (n serial, part text, call text, name text);
-- each role's answers in one row
CREATE FUNCTION answers(wanted text) RETURNS TABLE (call text, owner text, member text, noinherit text, super text,
	reader text, writer text, inserter text, remover text, stranger text) LANGUAGE sql AS $$
	SELECT coalesce(name, replace(replace(call, 'public.', ''), 'pg_catalog.', '')),
		   try('owner', call), try('member', call), try('noinherit', call), try('super', call), try('reader', call),
		   try('writer', call), try('inserter', call), try('remover', call), try('stranger', call)
	  FROM (SELECT * FROM calls WHERE part = wanted ORDER BY n) AS c
$$;

SET ROLE regress_metaxy_owner;
CREATE TABLE doc (doc_id text, author text);
CREATE TABLE page (page_id text, doc_id text);
CREATE TABLE note (note_id text, doc_id text);
CREATE TABLE draft (draft_id text, doc_id text);
SELECT metaxy_register('doc', 'doc', '{doc_id}');
SELECT metaxy_register('page', 'page', '{page_id}');
SELECT metaxy_register('note', 'note', '{note_id}');
SELECT metaxy_depend('page', 'doc', '1:N', '{doc_id}');
INSERT INTO doc VALUES ('d1', 'a'), ('d2', 'b'), ('d3', 'c');
INSERT INTO page VALUES ('p1', 'd1'), ('p2', 'd1'), ('p3', 'd2');
INSERT INTO note VALUES ('n1', 'd1');
SELECT samples FROM metaxy_delete('doc', $$doc_id = 'd3'$$, reason => 'roles one');
SELECT samples FROM metaxy_delete('page', $$page_id = 'p3'$$, cascade => 'upstream', reason => 'roles two') ORDER BY step;
-- what "metaxy push" leaves
CREATE TABLE metaxy_system__feature_versions (
	project varchar, feature_key varchar, metaxy_feature_version varchar,
	metaxy_definition_version varchar, recorded_at timestamp(6) without time zone,
	feature_spec varchar, feature_schema varchar, feature_class_path varchar,
	metaxy_project_version varchar, tags varchar, deleted_at timestamp(6) without time zone);
INSERT INTO metaxy_system__feature_versions (project, feature_key, metaxy_feature_version, recorded_at, feature_spec)
VALUES ('p', 'draft', 'v1', '2026-01-01', '{"key": "draft", "id_columns": ["draft_id"], "deps": [], "fields": []}');
GRANT SELECT ON doc, page, note, metaxy_system__feature_versions TO regress_metaxy_reader;
GRANT SELECT, INSERT ON doc, page, note, metaxy_system__feature_versions TO regress_metaxy_writer;
GRANT INSERT ON doc, page, note TO regress_metaxy_inserter;
GRANT SELECT, DELETE ON doc, page, note TO regress_metaxy_remover;
RESET ROLE;
-- a table and a feature of the stranger's own
GRANT CREATE ON SCHEMA metaxy_roles TO regress_metaxy_stranger;
SET ROLE regress_metaxy_stranger;
CREATE TABLE own (own_id text, doc_id text);
CREATE TABLE other (doc_id text);
SELECT metaxy_register('own', 'own', '{own_id}');
INSERT INTO own VALUES ('o1', 'd1');
RESET ROLE;

--
-- Registering
--
INSERT INTO calls (part, call) VALUES
	('register', $$SELECT public.metaxy_register('draft', 'draft', '{draft_id}')$$),
	('register', $$SELECT public.metaxy_register('draft', 'draft', '{draft_id}', views => false)$$),
	('register', $$SELECT public.metaxy_register('doc', 'doc', '{doc_id}')$$),
	('register', $$SELECT public.metaxy_register('doc', 'doc', '{doc_id}', 'v1')$$),
	('register', $$SELECT public.metaxy_register('note', 'draft', '{draft_id}')$$),
	('register', $$SELECT public.metaxy_register('note', 'draft', '{draft_id}', replace => true)$$),
	('register', $$SELECT public.metaxy_register('note', 'other', '{doc_id}', replace => true)$$),
	('register', $$SELECT public.metaxy_register('doc', 'own', '{own_id}')$$),
	('register', $$SELECT public.metaxy_register('other', 'other', '{doc_id}', views => false)$$),
	('register', $$SELECT public.metaxy_register('feature', 'public.metaxy_feature', '{feature}')$$),
	('register', $$SELECT public.metaxy_register('deletion', 'public.metaxy_deletion', '{id}')$$),
	('register', $$SELECT public.metaxy_register('class', 'pg_catalog.pg_class', '{oid}')$$),
	('register', $$SELECT public.metaxy_unregister('note')$$),
	('register', $$SELECT public.metaxy_unregister('doc')$$),
	('register', $$SELECT public.metaxy_unregister('own')$$),
	('register', $$SELECT public.metaxy_depend('note', 'doc', '1:N', '{doc_id}')$$),
	('register', $$SELECT public.metaxy_depend('page', 'doc', '1:N', '{doc_id}')$$),
	('register', $$SELECT public.metaxy_depend('own', 'doc', '1:N', '{doc_id}')$$),
	('register', $$SELECT public.metaxy_depend('note', 'own', '1:1', rename => '{"own_id": "note_id"}')$$),
	('register', $$SELECT public.metaxy_undepend('page', 'doc')$$),
	('register', $$SELECT public.metaxy_retain('note', '1 day')$$),
	('register', $$SELECT public.metaxy_retain('own')$$),
	('register', $$SELECT public.metaxy_views('note', false)$$),
	('register', $$SELECT public.metaxy_views('note', true)$$),
	('register', $$SELECT pg_catalog.string_agg(action, ' ') FROM public.metaxy_sync('metaxy_roles', dry_run => true)$$),
	('register', $$SELECT pg_catalog.string_agg(action, ' ') FROM public.metaxy_sync('metaxy_roles')$$);
SELECT * FROM answers('register');

--
-- Asking
--
INSERT INTO calls (part, call) VALUES
	('ask', $$SELECT pg_catalog.string_agg(feature, ' ') FROM public.metaxy_order('doc')$$),
	('ask', $$SELECT pg_catalog.count(*) FILTER (WHERE feature IN ('doc', 'page', 'note', 'own')) FROM public.metaxy_order()$$),
	('ask', $$SELECT pg_catalog.length(public.metaxy_graph()) > 0$$),
	('ask', $$SELECT active || '+' || deleted FROM public.metaxy_status('doc')$$),
	('ask', $$SELECT count(*) FROM public.metaxy_read(NULL::doc)$$),
	('ask', $$SELECT count(*) FROM public.metaxy_read(NULL::doc, with_sample_history => true, include_soft_deleted => true)$$),
	('ask', $$SELECT count(*) FROM public.metaxy_read(NULL::doc, as_of => '2020-01-01')$$),
	('ask', $$SELECT count(*) FROM public.metaxy_read(NULL::own)$$),
	('ask', $$SELECT count(*) FROM public.metaxy_read(NULL::draft)$$),
	('ask', $$SELECT count(*) FROM public.metaxy_read(NULL::public.metaxy_deletion)$$),
	('ask', $$SELECT pg_catalog.string_agg(coalesce(active::text, '-'), ' ')
	  FROM public.metaxy_status() WHERE feature IN ('doc', 'page', 'note', 'own')$$),
	('ask', $$SELECT pg_catalog.count(*) FROM public.metaxy_feature WHERE feature IN ('doc', 'page', 'note', 'own')$$),
	('ask', $$SELECT pg_catalog.count(*) FROM public.metaxy_dependency WHERE feature IN ('doc', 'page', 'note', 'own')$$),
	('ask', $$SELECT pg_catalog.count(*) FROM public.metaxy_feature_version_log WHERE feature IN ('doc', 'page', 'note', 'own')$$),
	('ask', $$SELECT last_value > 0 FROM public.metaxy_clock$$),
	('ask', $$SELECT pg_catalog.string_agg(reason, ', ' ORDER BY id) FROM public.metaxy_deletions WHERE reason LIKE 'roles %'$$),
	('ask', $$SELECT pg_catalog.count(*) FROM public.metaxy_deletion_steps WHERE schema_name = 'metaxy_roles'$$),
	('ask', $$SELECT pg_catalog.count(*) > 0 FROM public.metaxy_deletion$$),
	('ask', $$SELECT pg_catalog.count(*) > 0 FROM public.metaxy_deletion_step$$),
	('ask', $$SELECT last_value > 0 FROM public.metaxy_deletion_id_seq$$);
SELECT * FROM answers('ask');

--
-- Reading and writing
--
INSERT INTO calls (part, call) VALUES
	('write', $$SELECT pg_catalog.count(*) FROM doc$$),
	('write', $$SELECT pg_catalog.count(*) FROM doc_active$$),
	('write', $$SELECT pg_catalog.count(*) FROM doc_latest$$),
	('write', $$SELECT pg_catalog.count(*) FROM doc_deleted$$),
	('write', $$INSERT INTO doc (doc_id) VALUES ('new')$$),
	('write', $$INSERT INTO doc_active (doc_id) VALUES ('new')$$),
	('write', $$INSERT INTO doc_active (doc_id) VALUES ('new') RETURNING doc_id$$),
	('write', $$INSERT INTO doc_latest (doc_id) VALUES ('new')$$),
	('write', $$INSERT INTO doc_deleted (doc_id) VALUES ('new')$$),
	('write', $$UPDATE doc_active SET author = 'z'$$),
	('write', $$UPDATE doc_active SET author = 'z' WHERE doc_id = 'd1' RETURNING author$$),
	('write', $$UPDATE doc_latest SET author = 'z'$$),
	('write', $$UPDATE doc_deleted SET author = 'z'$$),
	('write', $$DELETE FROM doc_active$$),
	('write', $$DELETE FROM doc_active WHERE doc_id = 'd1' RETURNING author$$),
	('write', $$INSERT INTO doc_active (doc_id) SELECT 'none' WHERE false$$),
	('write', $$UPDATE doc_active SET author = 'z' WHERE false$$),
	('write', $$DELETE FROM doc_active WHERE false$$),
	('write', $$DELETE FROM doc_latest$$),
	('write', $$DELETE FROM doc_deleted$$),
	('write', $$SET metaxy.stamp = off; INSERT INTO doc VALUES ('old', NULL, '2020-01-01', '2020-01-01')$$),
	('write', $$SET metaxy.stamp = off; INSERT INTO doc VALUES ('late', NULL, '2020-01-01', 'infinity')$$),
	('write', $$ALTER TABLE doc DISABLE TRIGGER ALL$$),
	('write', $$DROP VIEW doc_active$$),
	('write', $$DROP TABLE note CASCADE$$);
SELECT * FROM answers('write');

--
-- Deleting
--
INSERT INTO calls (part, call) VALUES
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$, dry_run => true)$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$)$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', 'false')$$),
	('delete', $$SELECT sum(samples) FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$, cascade => 'downstream', dry_run => true)$$),
	('delete', $$SELECT sum(samples) FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$, cascade => 'downstream')$$),
	('delete', $$SELECT sum(samples) FROM public.metaxy_delete('page', $f$page_id = 'p1'$f$, cascade => 'both')$$),
	('delete', $$SELECT sum(samples) FROM public.metaxy_delete('{doc,note}'::text[], ARRAY[$f$doc_id = 'd1'$f$])$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$, soft => false, dry_run => true)$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$, soft => false)$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', soft => false, all_rows => true)$$),
	('delete', $$SELECT sum(samples) FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$, soft => false, cascade => 'downstream')$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', 'false', soft => false)$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', 'true', max_samples => 0)$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('doc', 'true', expect => 'wrong')$$),
	('delete', $$SELECT samples FROM public.metaxy_delete('own', 'true')$$),
	('delete', $$SET LOCAL metaxy.filter_language = 'sql';
	  SELECT samples FROM public.metaxy_delete('doc', 'doc_id IN (SELECT doc_id FROM own)')$$);
SELECT * FROM answers('delete');

--
-- The registry, the clock and the ledger themselves
--
INSERT INTO calls (part, call) SELECT 'tables', format(command, object)
  FROM unnest('{metaxy_feature,metaxy_feature_version_log,metaxy_dependency,metaxy_retention,metaxy_deletion,metaxy_deletion_step}'::text[]) AS object,
	   unnest(ARRAY['INSERT INTO public.%s SELECT * FROM public.%1$s WHERE false', 'UPDATE public.%s SET feature = ''x'' WHERE false',
			'DELETE FROM public.%s WHERE false', 'TRUNCATE public.%s', 'LOCK public.%s IN ACCESS SHARE MODE', 'LOCK public.%s IN SHARE MODE',
			'ALTER TABLE public.%s ADD COLUMN mine text', 'CREATE INDEX ON public.%s ((1))']) AS command
 WHERE object NOT LIKE '%deletion' OR command NOT LIKE '%feature =%';
INSERT INTO calls (part, call) VALUES
	('tables', $$INSERT INTO public.metaxy_deletions SELECT * FROM public.metaxy_deletions WHERE false$$),
	('tables', $$UPDATE public.metaxy_deletions SET reason = 'mine' WHERE false$$),
	('tables', $$DELETE FROM public.metaxy_deletions WHERE false$$),
	('tables', $$INSERT INTO public.metaxy_deletion_steps SELECT * FROM public.metaxy_deletion_steps WHERE false$$),
	('tables', $$UPDATE public.metaxy_deletion_steps SET samples = 0 WHERE false$$),
	('tables', $$DELETE FROM public.metaxy_deletion_steps WHERE false$$),
	('tables', $$SELECT nextval('public.metaxy_clock') > 0$$),
	('tables', $$SELECT setval('public.metaxy_clock', (SELECT last_value FROM public.metaxy_clock)) > 0$$),
	('tables', $$UPDATE public.metaxy_clock SET last_value = 1$$),
	('tables', $$ALTER SEQUENCE public.metaxy_clock CACHE 10$$),
	('tables', $$SELECT nextval('public.metaxy_deletion_id_seq') > 0$$),
	('tables', $$SELECT setval('public.metaxy_deletion_id_seq', (SELECT last_value FROM public.metaxy_deletion_id_seq)) > 0$$),
	('tables', $$UPDATE public.metaxy_deletion_id_seq SET last_value = 1$$),
	('tables', $$ALTER SEQUENCE public.metaxy_deletion_id_seq RESTART$$),
	('tables', $$CREATE TRIGGER spy AFTER INSERT ON public.metaxy_deletion FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()$$),
	('tables', $$CREATE RULE spy AS ON INSERT TO public.metaxy_feature DO ALSO NOTHING$$),
	('tables', $$ALTER FUNCTION public.metaxy_order(text, text) SECURITY DEFINER$$),
	('tables', $$ALTER EVENT TRIGGER metaxy_forget_dropped DISABLE$$),
	('tables', $$DROP FUNCTION public.metaxy_graph(text)$$),
	('tables', $$DROP EXTENSION metaxy$$);
SELECT * FROM answers('tables');

--
-- Purging: a dry run, for the rest commits
--
INSERT INTO calls (part, call) VALUES
	('purge', $$CALL public.metaxy_purge('doc', '0', dry_run => true)$$),
	('purge', $$CALL public.metaxy_purge('own', '0', dry_run => true)$$),
	('purge', $$CALL public.metaxy_purge('doc', '0')$$),
	('purge', $$CALL public.metaxy_maintain(dry_run => true)$$),
	('purge', $$INSERT INTO public.metaxy_retention VALUES ('doc', '0')$$),
	('purge', $$SELECT count(*) FROM public.metaxy_retention$$);
SELECT * FROM answers('purge');

--
-- Functions that are triggers' alone, called, and put on tables of one's own
--
INSERT INTO calls (part, call) VALUES
	('triggers', 'SELECT public.metaxy_stamp()'),
	('triggers', 'SELECT public.metaxy_write_active()'),
	('triggers', 'SELECT public.metaxy_read_only()'),
	('triggers', 'SELECT public.metaxy_forget_dropped()');
INSERT INTO calls (part, name, call) SELECT 'triggers', format('%s %s on a table, each %s', function, lower(timing), lower(level)), format('CREATE TEMP TABLE mine (id text, metaxy_updated_at timestamptz);
	  CREATE TRIGGER t %s ON mine FOR EACH %s EXECUTE FUNCTION public.%s();
	  INSERT INTO mine VALUES (''a''); UPDATE mine SET id = ''b''; DELETE FROM mine', timing, level, function)
  FROM unnest('{metaxy_stamp,metaxy_write_active,metaxy_read_only,metaxy_forget_dropped}'::text[]) AS function,
	   unnest('{BEFORE INSERT,AFTER INSERT,BEFORE UPDATE,AFTER DELETE}'::text[]) AS timing, unnest('{ROW,STATEMENT}'::text[]) AS level
 ORDER BY function COLLATE "C", timing COLLATE "C", level COLLATE "C";
INSERT INTO calls (part, name, call) SELECT 'triggers', lower(format('metaxy_write_active %s on a view', array_to_string(timing, ', '))), format('CREATE TEMP VIEW mine AS SELECT 1 AS one; %s INSERT INTO mine VALUES (1)', string_agg(
		format('CREATE TRIGGER t%s %s INSERT OR UPDATE OR DELETE ON mine FOR EACH %s EXECUTE FUNCTION public.metaxy_write_active();',
			n, timing[n], CASE timing[n] WHEN 'INSTEAD OF' THEN 'ROW' ELSE 'STATEMENT' END), ' '))
  FROM (VALUES ('{INSTEAD OF}'::text[]), ('{INSTEAD OF,BEFORE}'), ('{INSTEAD OF,AFTER}'), ('{INSTEAD OF,BEFORE,AFTER}')) AS v (timing),
	   generate_subscripts(timing, 1) AS n GROUP BY timing ORDER BY timing;
INSERT INTO calls (part, call) VALUES
	('triggers', $$CREATE EVENT TRIGGER mine ON sql_drop EXECUTE FUNCTION public.metaxy_forget_dropped();
	  CREATE TEMP TABLE mine (); DROP TABLE mine$$),
	('triggers', $$CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION public.metaxy_forget_dropped();
	  CREATE TEMP TABLE mine ()$$);
SELECT * FROM answers('triggers');

--
-- A function of somebody's own that calls the extension: its definer's rights
-- count, whoever calls it
--
CREATE FUNCTION run_as_caller(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE call INTO result;
	RETURN result;
END
$$;
GRANT EXECUTE ON FUNCTION run_as_caller(text) TO PUBLIC;
CREATE FUNCTION run_as_owner(call text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT metaxy_roles.run_as_caller(call)';
CREATE FUNCTION run_as_writer(call text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT metaxy_roles.run_as_caller(call)';
CREATE FUNCTION run_as_stranger(call text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT metaxy_roles.run_as_caller(call)';
ALTER FUNCTION run_as_owner(text) OWNER TO regress_metaxy_owner;
ALTER FUNCTION run_as_writer(text) OWNER TO regress_metaxy_writer;
ALTER FUNCTION run_as_stranger(text) OWNER TO regress_metaxy_stranger;
INSERT INTO calls (part, call) SELECT 'definer', format('SELECT run_as_%s(%L)', role, call)
  FROM unnest('{caller,owner,writer,stranger}'::text[]) AS role,
	   unnest(ARRAY[$$SELECT public.metaxy_register('draft', 'draft', '{draft_id}')$$, $$SELECT public.metaxy_views('note', true)$$,
			$$SELECT samples FROM public.metaxy_delete('doc', 'author IS NOT NULL')$$,
			$$SELECT samples FROM public.metaxy_delete('doc', 'author IS NOT NULL', soft => false)$$,
			$$SELECT count(*) FROM public.metaxy_deletions WHERE reason LIKE 'roles %'$$,
			$$INSERT INTO doc_active (doc_id) VALUES ('new') RETURNING doc_id$$, $$SELECT count(*) FROM public.metaxy_deletion WHERE false$$]) AS call;
SELECT * FROM answers('definer');
-- A statement on a view in another one on the same view, by another role, is
-- not one with it: the rights of each are its own.
CREATE FUNCTION hide_as_reader(key text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
	'DELETE FROM metaxy_roles.doc_active WHERE doc_id = key RETURNING doc_id';
CREATE FUNCTION hide_as_owner(key text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
	'DELETE FROM metaxy_roles.doc_active WHERE doc_id = key RETURNING doc_id';
ALTER FUNCTION hide_as_reader(text) OWNER TO regress_metaxy_reader;
ALTER FUNCTION hide_as_owner(text) OWNER TO regress_metaxy_owner;
INSERT INTO calls (part, call) VALUES
	('nested', $$INSERT INTO doc_active (doc_id) SELECT 'new ' || hide_as_reader('d1')$$),
	('nested', $$INSERT INTO doc_active (doc_id) SELECT 'new ' || hide_as_owner('d1')$$),
	('nested', $$DELETE FROM doc_active WHERE set_config('role', 'regress_metaxy_reader', true) = doc_id$$);
SELECT * FROM answers('nested');
-- the ledger names the definer, and who logged in
BEGIN;
SET LOCAL ROLE regress_metaxy_stranger;
SELECT run_as_writer($$SELECT samples FROM public.metaxy_delete('doc', 'author IS NOT NULL', reason => 'by definer')$$);
RESET ROLE;
SELECT role, session_role = session_user AS session_role FROM metaxy_deletions WHERE reason = 'by definer';
SELECT run_as_owner($$SELECT public.metaxy_register('draft', 'draft', '{draft_id}')$$);
SELECT owner FROM metaxy_feature WHERE feature = 'draft';
ROLLBACK;

-- A view whose owner has given it the triggers twice, or under a condition,
-- does nothing rather than half of it.
INSERT INTO calls (part, name, call) SELECT 'twice', what, format(
		'%s; INSERT INTO doc_active VALUES (''new''); DELETE FROM doc_active WHERE doc_id = ''d1''', replace(what, '...', 'INSERT OR UPDATE OR DELETE ON doc_active'))
  FROM unnest(ARRAY[
		'CREATE TRIGGER aa BEFORE ... EXECUTE FUNCTION public.metaxy_write_active()',
		'CREATE TRIGGER aa AFTER ... EXECUTE FUNCTION public.metaxy_write_active()',
		'CREATE TRIGGER zz INSTEAD OF ... FOR EACH ROW EXECUTE FUNCTION public.metaxy_write_active()',
		'CREATE OR REPLACE TRIGGER metaxy_active_end AFTER ... WHEN (false) EXECUTE FUNCTION public.metaxy_write_active()',
		'CREATE OR REPLACE TRIGGER metaxy_active_begin BEFORE ... WHEN (false) EXECUTE FUNCTION public.metaxy_write_active()',
		'CREATE OR REPLACE TRIGGER metaxy_active_end AFTER INSERT ON doc_active EXECUTE FUNCTION public.metaxy_write_active()',
		'CREATE TRIGGER zz INSTEAD OF ... FOR EACH ROW EXECUTE FUNCTION public.metaxy_read_only()',
		'DROP TRIGGER metaxy_active_end ON doc_active', 'DROP TRIGGER metaxy_active_begin ON doc_active']) AS what;
SELECT name, try('owner', call) AS owner, try('stranger', call) AS stranger FROM calls WHERE part = 'twice' ORDER BY n;

--
-- COPY
--
SET ROLE regress_metaxy_inserter;
BEGIN;
COPY doc (doc_id) FROM stdin;
copied
\.
COPY doc_active (doc_id) FROM stdin;
copied through the view
\.
ROLLBACK;
COPY doc TO stdout;															-- error
SET ROLE regress_metaxy_reader;
-- what psql does with the data of a COPY that fails differs between versions
\copy doc (doc_id) FROM '/dev/null'
\copy doc_active (doc_id) FROM '/dev/null'
COPY (SELECT doc_id, author FROM doc_active) TO stdout;
RESET ROLE;

--
-- Without USAGE on the extension's schema nobody calls its functions, but
-- whoever may write to a table, read and write its views, or drop them need
-- not know of the extension
--
BEGIN;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SELECT * FROM answers('register');
SELECT * FROM answers('ask');
SELECT * FROM answers('write');
SELECT * FROM answers('delete');
SELECT * FROM answers('triggers') WHERE call NOT LIKE '%on a table%';
SELECT * FROM answers('definer');
ROLLBACK;

--
-- Without EXECUTE on them neither
--
BEGIN;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
SELECT * FROM answers('register') WHERE call LIKE '%''draft%';
SELECT * FROM answers('write');
SELECT * FROM answers('delete') LIMIT 2;
ROLLBACK;

--
-- The registry may belong to a role that is no superuser
--
CREATE TEMP TABLE before AS
SELECT n, part, call, role, try(role, call) AS answer
  FROM calls, unnest('{owner,super,reader,writer,inserter,remover,stranger}'::text[]) AS role
 WHERE part IN ('register', 'ask', 'write', 'delete');
CREATE ROLE regress_metaxy_keeper;
BEGIN;
DO $$
DECLARE
	object regclass;
BEGIN
	FOREACH object IN ARRAY '{metaxy_feature,metaxy_feature_version_log,metaxy_dependency,metaxy_retention,metaxy_deletion,metaxy_deletion_step,
			metaxy_deletions,metaxy_deletion_steps,metaxy_clock,metaxy_deletion_id_seq}'::regclass[] LOOP
		EXECUTE format('ALTER %s %s OWNER TO regress_metaxy_keeper',
			(SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END FROM pg_class WHERE oid = object), object);
	END LOOP;
END
$$;
-- the same answers as before
SELECT part, call, role, answer AS before, try(role, call) AS now
  FROM before WHERE answer <> try(role, call) ORDER BY n, role;
SELECT call, try('keeper', call) AS keeper
  FROM calls WHERE part IN ('register', 'ask', 'write', 'delete') AND try('keeper', call) <> try('stranger', call) ORDER BY n;
ROLLBACK;
DROP ROLE regress_metaxy_keeper;

--
-- Row-level security
--
CREATE ROLE regress_metaxy_tenant;
CREATE ROLE regress_metaxy_bypass BYPASSRLS;
SET ROLE regress_metaxy_owner;
GRANT SELECT, INSERT, DELETE ON doc, page, note TO regress_metaxy_tenant, regress_metaxy_bypass;
INSERT INTO doc VALUES ('t1', 'tenant'), ('t2', 'tenant');
INSERT INTO page VALUES ('t1', 't1'), ('t2', 't2');
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON doc TO regress_metaxy_tenant USING (author = 'tenant') WITH CHECK (author = 'tenant' AND doc_id <> 't2');
RESET ROLE;
INSERT INTO calls (part, call) VALUES
	('policy', $$SELECT active || '+' || deleted || ' of ' || rows FROM public.metaxy_status('doc')$$),
	('policy', $$SELECT pg_catalog.count(*) FROM doc_active$$),
	('policy', $$SELECT pg_catalog.count(*) FROM doc_latest$$),
	('policy', $$SELECT pg_catalog.count(*) FROM doc_deleted$$),
	('policy', $$SELECT pg_catalog.count(*) FROM public.metaxy_read(NULL::doc)$$),
	('policy', $$SELECT pg_catalog.count(*) FROM public.metaxy_read(NULL::doc, include_soft_deleted => true)$$),
	('policy', $$SELECT samples FROM public.metaxy_delete('doc', dry_run => true)$$),
	('policy', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id <> 't2'$f$, dry_run => true)$$),
	('policy', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id <> 't2'$f$)$$),
	('policy', $$SELECT samples FROM public.metaxy_delete('doc')$$),
	('policy', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 'd1'$f$)$$),
	('policy', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 't1'$f$, soft => false)$$),
	('policy', $$SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 't1'$f$, soft => false, dry_run => true)$$),
	('policy', $$SELECT sum(samples) FROM public.metaxy_delete('doc', $f$doc_id = 't1'$f$, cascade => 'downstream')$$),
	('policy', $$SELECT sum(samples) FROM public.metaxy_delete('doc', $f$doc_id = 't1'$f$, cascade => 'downstream', dry_run => true)$$),
	('policy', $$SELECT sum(samples) FROM public.metaxy_delete('doc', 'false', cascade => 'upstream')$$),
	('policy', $$SELECT sum(samples) FROM public.metaxy_delete('page', $f$page_id = 't1'$f$, cascade => 'upstream')$$),
	('policy', $$SELECT sum(samples) FROM public.metaxy_delete('page', $f$page_id = 't1'$f$, cascade => 'downstream')$$),
	('policy', $$SELECT sum(samples) FROM public.metaxy_delete('{page,doc}'::text[], ARRAY[$f$doc_id = 't1'$f$])$$),
	('policy', $$INSERT INTO doc VALUES ('new', 'tenant')$$),
	('policy', $$INSERT INTO doc VALUES ('new', 'else')$$),
	('policy', $$INSERT INTO doc_active VALUES ('new', 'tenant')$$),
	('policy', $$INSERT INTO doc_active VALUES ('new', 'else')$$),
	('policy', $$UPDATE doc_active SET author = author WHERE doc_id <> 't2'$$),
	('policy', $$UPDATE doc_active SET author = 'else' WHERE doc_id <> 't2'$$),
	('policy', $$UPDATE doc_active SET author = author$$),
	('policy', $$DELETE FROM doc_active WHERE doc_id <> 't2'$$),
	('policy', $$DELETE FROM doc_active$$),
	('policy', $$SELECT pg_catalog.set_config('row_security', 'off', true), samples
	  FROM public.metaxy_delete('doc', $f$doc_id = 't1'$f$)$$),
	('policy', $$SET row_security = off; SELECT samples FROM public.metaxy_delete('doc', $f$doc_id = 't1'$f$)$$),
	('policy', $$SET row_security = off; DELETE FROM doc_active$$);
CREATE VIEW policies AS
SELECT call, try('owner', call) AS owner, try('super', call) AS super, try('bypass', call) AS bypass, try('tenant', call) AS tenant,
	   try('reader', call) AS reader, try('writer', call) AS writer
  FROM (SELECT * FROM calls WHERE part = 'policy' ORDER BY n) AS c;
SET client_min_messages = error;
SELECT * FROM policies;
-- also for the owner, where they are forced
ALTER TABLE doc FORCE ROW LEVEL SECURITY;
SELECT call, owner, super FROM policies;
ALTER TABLE doc NO FORCE ROW LEVEL SECURITY;
-- a role's rights are those of the moment: nothing is kept from one to another
SET ROLE regress_metaxy_tenant;
BEGIN;
SELECT samples FROM metaxy_delete('doc', $$doc_id <> 't2'$$, dry_run => true);
SET ROLE regress_metaxy_super;
SELECT samples FROM metaxy_delete('doc', $$doc_id <> 't2'$$, dry_run => true);
SET ROLE regress_metaxy_tenant;
SELECT samples FROM metaxy_delete('doc', $$doc_id <> 't2'$$, dry_run => true);
ROLLBACK;
RESET ROLE;

-- nothing of all this is left
SELECT feature, relation, owner FROM metaxy_feature WHERE relation::text ~ '^(doc|page|note|draft|own|other)$' ORDER BY feature;
SELECT feature, upstream FROM metaxy_dependency WHERE feature IN ('page', 'note', 'own') ORDER BY feature;
SELECT (SELECT count(*) FROM doc) AS doc, (SELECT count(*) FROM page) AS page, (SELECT count(*) FROM note) AS note,
	   (SELECT count(*) FROM own) AS own;
SELECT count(*) AS operations FROM metaxy_deletions WHERE features && '{doc,page,note,own}' AND reason LIKE 'roles %';

SELECT metaxy_unregister(feature) FROM unnest('{page,note,doc,own}'::text[]) AS feature;
DROP SCHEMA metaxy_roles CASCADE;
DROP OWNED BY regress_metaxy_stranger, regress_metaxy_owner;
DROP ROLE regress_metaxy_owner, regress_metaxy_member, regress_metaxy_noinherit, regress_metaxy_reader,
	regress_metaxy_writer, regress_metaxy_inserter, regress_metaxy_remover, regress_metaxy_stranger,
	regress_metaxy_super, regress_metaxy_tenant, regress_metaxy_bypass;
