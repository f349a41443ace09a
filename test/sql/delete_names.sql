--
-- metaxy_delete: odd names, and names that somebody planted
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA metaxy_names;
CREATE SCHEMA "metaxy ""names"" %s";
SET search_path = metaxy_names, public;

-- Two tables of one name in two schemas, with columns of that name too: the
-- parent has two id columns, the child refers to both.  Every kind of delete
-- goes over them, and plain SQL says whether the right rows are left.
CREATE FUNCTION try(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	parent text := format('metaxy_names.%I', name);
	child text := format('%I.%I', 'metaxy "names" %s', name);
	filter text := format('%I = %L', name, 'b');
	qualified text := format('%I.%I IN (%L)', name, name, 'b');
	n bigint[];
	left_over text;
	want text;
	what text;
BEGIN
	EXECUTE format('CREATE TABLE %s (%I text, n integer, metaxy_feature_version text,
		metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
		metaxy_deleted_at timestamptz)', parent, name);
	EXECUTE format('CREATE TABLE %s (LIKE %s, child_id text)', child, parent);
	PERFORM metaxy_register(name, parent::regclass, ARRAY[name, 'n'], name, false);
	PERFORM metaxy_register(name || '/child', child::regclass, '{child_id}', name, false);
	PERFORM metaxy_depend(name || '/child', name, '1:N', ARRAY[name, 'n']);

	-- samples a, b and c, each with n = 1 and 2 in two rows, and two children
	EXECUTE format('INSERT INTO %s SELECT s, n, $1, now(), ''2024-01-01''::timestamptz + v * interval ''1 s''
		FROM unnest(ARRAY[''a'', ''b'', ''c'']) AS s, generate_series(1, 2) AS n,
			generate_series(1, 2) AS v', parent) USING name;
	EXECUTE format('INSERT INTO %1$s SELECT %2$I, n, $1, now(), ''2024-01-01'', NULL, %2$I || n || c
		FROM (SELECT DISTINCT %2$I, n FROM %3$s) AS p, generate_series(1, 2) AS c',
		child, name, parent) USING name;

	FOREACH what IN ARRAY ARRAY['soft', 'soft history', 'versions', 'up', 'hard',
								'hard history', 'aggregate'] LOOP
		CASE what
		WHEN 'soft' THEN
			SELECT array_agg(samples ORDER BY step) INTO n
			  FROM metaxy_delete(name, filter, cascade => 'downstream');
		WHEN 'soft history' THEN
			SELECT array_agg(samples ORDER BY step) INTO n
			  FROM metaxy_delete(name, qualified, cascade => 'downstream',
				with_sample_history => true);
		WHEN 'versions' THEN
			SELECT array_agg(samples ORDER BY step) INTO n
			  FROM metaxy_delete(name, qualified, cascade => 'downstream',
				with_feature_history => true);
		WHEN 'up' THEN
			SELECT array_agg(samples ORDER BY step DESC) INTO n
			  FROM metaxy_delete(name || '/child', qualified, cascade => 'both');
		WHEN 'hard' THEN
			SELECT array_agg(samples ORDER BY step) INTO n
			  FROM metaxy_delete(name, filter, cascade => 'downstream', soft => false);
		WHEN 'hard history' THEN
			SELECT array_agg(samples) INTO n
			  FROM metaxy_delete(name, filter, soft => false, with_sample_history => true);
		WHEN 'aggregate' THEN
			PERFORM metaxy_undepend(name || '/child', name);
			PERFORM metaxy_depend(name || '/child', name, 'N:1', ARRAY[name]);
			SELECT array_agg(samples ORDER BY step) INTO n
			  FROM metaxy_delete(name, filter || ' AND n = 1', cascade => 'downstream');
		END CASE;

		-- what is left to be seen, by another way of asking
		EXECUTE format('SELECT string_agg(sample, '' '' ORDER BY sample) FROM (
			SELECT DISTINCT ON (%1$I, n) %1$I || n, metaxy_deleted_at FROM %2$s
			 ORDER BY %1$I, n, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC) AS p(sample, deleted)
			 WHERE deleted IS NULL', name, parent) INTO left_over;
		EXECUTE format('SELECT concat_ws('' '', $1, string_agg(sample, '' '' ORDER BY sample)) FROM (
			SELECT DISTINCT ON (child_id) child_id, metaxy_deleted_at FROM %s
			 ORDER BY child_id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC) AS c(sample, deleted)
			 WHERE deleted IS NULL', child) INTO left_over USING left_over;
		want := CASE what
			WHEN 'hard history' THEN 'a1 a2 c1 c2 a11 a12 a21 a22 b11 b12 b21 b22 c11 c12 c21 c22'
			WHEN 'aggregate' THEN 'a1 a2 b2 c1 c2 a11 a12 a21 a22 b11 b12 b21 b22 c11 c12 c21 c22'
			ELSE 'a1 a2 c1 c2 a11 a12 a21 a22 c11 c12 c21 c22' END;
		IF left_over IS DISTINCT FROM want THEN
			RETURN format('%s: %s left', what, left_over);
		END IF;
		IF n <> (CASE what WHEN 'hard history' THEN '{2}'::bigint[]
				 WHEN 'aggregate' THEN '{0,1}' ELSE '{4,2}' END) THEN
			RETURN format('%s: %s samples', what, n);
		END IF;
		-- as it was before
		EXECUTE format('DELETE FROM %s WHERE metaxy_deleted_at IS NOT NULL', parent);
		EXECUTE format('DELETE FROM %s WHERE metaxy_deleted_at IS NOT NULL', child);
		IF what LIKE 'hard%' THEN
			EXECUTE format('INSERT INTO %s SELECT ''b'', n, $1, now(), ''2024-01-01''::timestamptz + v * interval ''1 s''
				FROM generate_series(1, 2) AS n, generate_series(1, 2) AS v', parent) USING name;
		END IF;
		IF what = 'hard' THEN
			EXECUTE format('INSERT INTO %s SELECT ''b'', n, $1, now(), ''2024-01-01'', NULL, ''b'' || n || c
				FROM generate_series(1, 2) AS n, generate_series(1, 2) AS c', child) USING name;
		END IF;
	END LOOP;

	-- the ledger has the names as they are
	IF (SELECT count(*) FROM metaxy_deletions
		 WHERE features = ARRAY[name] AND filters IN (ARRAY[filter], ARRAY[qualified])) <> 5 OR
	   (SELECT count(*) FROM metaxy_deletion_steps
		 WHERE feature = name || '/child' AND schema_name = 'metaxy "names" %s'
		   AND relation_name = name) <> 6 THEN
		RETURN 'the ledger differs';
	END IF;
	PERFORM metaxy_unregister(name || '/child'), metaxy_unregister(name);
	EXECUTE format('DROP TABLE %s, %s', parent, child);
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN coalesce(what, 'start') || ': ' || SQLSTATE || ' ' || SQLERRM;
END $$;

SELECT name, try(name)
  FROM unnest(ARRAY['plain', 'MixedCase', 'with blank', ' ', 'a.b', 'a"b', '"', '""', E'it''s',
	E'a\\b', E'new\nline', E'tab\tbed', '%s', '%I%n%%', '$1', '$$', ':x', ';--', '/*', 'ünïcödé',
	'日本語', '🎥', 'select', 'user', 'row', 'order', 'table', 'null', 'true', 'oid',
	repeat('x', 63), repeat('é', 31), '{a,b}', 'a,b', '(', 'E''', 'U&"']) AS name;

-- those that our own queries use
SELECT name, try(name)
  FROM unnest(ARRAY['later', 'later_', 'newest', 'newest_', 'key', 'gone', 'goes', 'stays',
	'sample', 's', 'd', 'rows', 'step', 'feature', 'metaxy row', 'metaxy doomed 0',
	'metaxy doomed 1', 'metaxy rows 0', 'metaxy rows 1', 'metaxy seeds 0', 'metaxy kept 0',
	'metaxy key 0', 'metaxy key 1', 'metaxy hit 0', 'metaxy recency', 'metaxy tombstone',
	'metaxy writer', 'metaxy doomed']) AS name;

-- one id column, whose keys go another way, in a table of its own name; and a
-- row type of that name
CREATE TABLE key (key text, later text, newest text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz, "metaxy writer" integer);
SELECT metaxy_register('key', 'key', '{key}');
INSERT INTO key VALUES ('a', 'x', 'y', now(), now()), ('b', 'x', 'y', now(), now());
BEGIN;
SELECT samples, "rows" FROM metaxy_delete('key', $$key.key = 'a' AND later = 'x' AND newest = 'y'$$,
	with_sample_history => true);
SELECT key, later, newest FROM key_active;
SELECT samples, "rows" FROM metaxy_delete('key', $$key.key = 'b'$$, soft => false);
SELECT key, metaxy_deleted_at IS NULL AS live FROM key ORDER BY 1, 2;
ROLLBACK;
SELECT metaxy_unregister('key');
DROP TABLE key;

-- keys that are hardly keys
CREATE TABLE k (id text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz);
CREATE FUNCTION try_key(key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM metaxy_register(key, 'k', '{id}');
	SELECT string_agg(feature, ',') INTO STRICT result FROM metaxy_delete(ARRAY[key], reason => key);
	IF result IS DISTINCT FROM key OR
	   NOT EXISTS (SELECT FROM metaxy_deletions WHERE features = ARRAY[key] AND reason = key) THEN
		RETURN 'came back as ' || result;
	END IF;
	PERFORM metaxy_unregister(key);
	RETURN 'ok';
END $$;
SELECT left(key, 20) AS key, try_key(key)
  FROM unnest(ARRAY['a/b-c', '/', '//', 'a b', E'a\nb', '"', '''', '\', '%s', '$1', '{a}', '{"a",b}',
	'NULL', '日本語', repeat('k/', 500)]) AS key;
DROP TABLE k;

--
-- Renamed tables, columns and schemas
--
CREATE TABLE old (id text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz);
SELECT metaxy_register('renamed', 'old', '{id}');
INSERT INTO old VALUES ('a', now(), now()), ('b', now(), now());
SELECT relation, samples FROM metaxy_delete('renamed', $$id = 'a'$$, reason => 'before');
ALTER TABLE old RENAME TO "new ""table""";
CREATE SCHEMA "metaxy new names";
ALTER TABLE "new ""table""" SET SCHEMA "metaxy new names";
ALTER SCHEMA "metaxy new names" RENAME TO "metaxy newer names";
SELECT relation, samples
  FROM metaxy_delete('renamed', $$"new ""table""".id >= 'a'$$, reason => 'after');
-- the ledger knows a relation by the name that it had
SELECT schema_name, relation_name FROM metaxy_deletion_step WHERE feature = 'renamed'
 ORDER BY deletion_id;
SELECT metaxy_unregister('renamed');
DROP SCHEMA "metaxy newer names" CASCADE;

DROP SCHEMA metaxy_names, "metaxy ""names"" %s" CASCADE;

--
-- Planted objects.  All of it in a database of its own, where anybody may
-- create in public, and the extension is in a schema that no path leads to.
--
DROP DATABASE IF EXISTS "regress metaxy ""planted""";
DROP ROLE IF EXISTS regress_metaxy_mallory, regress_metaxy_victim;
CREATE ROLE regress_metaxy_mallory;
CREATE ROLE regress_metaxy_victim;
SELECT current_database() AS here \gset
CREATE DATABASE "regress metaxy ""planted""";
\c "regress metaxy ""planted"""
\set SHOW_CONTEXT never
SET client_min_messages = warning;
GRANT CREATE ON SCHEMA public TO PUBLIC;
SET search_path = public, pg_catalog;

-- whoever runs one of these is caught
SET ROLE regress_metaxy_mallory;
CREATE TABLE caught (who text, what text);
GRANT ALL ON caught TO PUBLIC;
CREATE FUNCTION catch(what text) RETURNS void LANGUAGE sql
AS 'INSERT INTO public.caught VALUES (current_user, what)';
DO $plant$
DECLARE
	type text;
	op text;
BEGIN
	-- comparison operators of the very types that our queries compare, and of
	-- varchar, for which the server's own would need a cast
	FOREACH type IN ARRAY ARRAY['text', 'varchar', 'integer', 'bigint', 'boolean', 'timestamptz',
			'oid', 'regclass', 'tid', 'xid', 'name', 'jsonb', 'uuid', 'text[]'] LOOP
		EXECUTE format('CREATE FUNCTION public.evil(%s, %1$s) RETURNS boolean
			LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.catch(''operator on %1$s'');
			RETURN true; END $f$', type);
		FOREACH op IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>='] LOOP
			EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %2$s,
				FUNCTION = public.evil)', op, type);
		END LOOP;
	END LOOP;
	EXECUTE 'CREATE FUNCTION public.evil(text, text[]) RETURNS boolean
		LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.catch(''operator on text, text[]'');
		RETURN true; END $f$';
	EXECUTE 'CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text[], FUNCTION = public.evil)';
END $plant$;
CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE sql
AS $$ SELECT public.catch('format'); SELECT 'pg_class'::text $$;
CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE sql
AS $$ SELECT public.catch('format'); SELECT 'pg_class'::text $$;
CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE sql
AS $$ SELECT public.catch('to_regclass'); SELECT 'pg_class'::regclass $$;
CREATE FUNCTION public.has_table_privilege(regclass, text) RETURNS boolean LANGUAGE sql
AS $$ SELECT public.catch('has_table_privilege'); SELECT true $$;
CREATE FUNCTION public.nextval(regclass) RETURNS bigint LANGUAGE sql
AS $$ SELECT public.catch('nextval'); SELECT 1::bigint $$;
CREATE FUNCTION public.pg_extension_config_dump(regclass, text) RETURNS void LANGUAGE sql
AS $$ SELECT public.catch('pg_extension_config_dump') $$;
CREATE FUNCTION public.jsonb_build_object(VARIADIC text[]) RETURNS jsonb LANGUAGE sql
AS $$ SELECT public.catch('jsonb_build_object'); SELECT 'null'::jsonb $$;
CREATE FUNCTION public.jsonb_strip_nulls(jsonb) RETURNS jsonb LANGUAGE sql
AS $$ SELECT public.catch('jsonb_strip_nulls'); SELECT $1 $$;
CREATE FUNCTION public.pg_current_xact_id() RETURNS xid8 LANGUAGE sql
AS $$ SELECT public.catch('pg_current_xact_id'); SELECT '1'::xid8 $$;
CREATE FUNCTION public.unnest(text[]) RETURNS SETOF text LANGUAGE sql
AS $$ SELECT public.catch('unnest'); SELECT 'evil'::text $$;
CREATE FUNCTION public.unnest(bigint[]) RETURNS SETOF bigint LANGUAGE sql
AS $$ SELECT public.catch('unnest'); SELECT 1::bigint $$;
CREATE FUNCTION public.unnest(integer[]) RETURNS SETOF integer LANGUAGE sql
AS $$ SELECT public.catch('unnest'); SELECT 1 $$;
CREATE FUNCTION public.evil_state(bigint) RETURNS bigint LANGUAGE plpgsql
AS $$ BEGIN PERFORM public.catch('count'); RETURN 0; END $$;
CREATE AGGREGATE public.count(*) (SFUNC = public.evil_state, STYPE = bigint, INITCOND = 0);
CREATE TABLE public.metaxy_feature (LIKE pg_class);
CREATE TABLE public.metaxy_dependency ();
CREATE TABLE public.metaxy_deletion ();
CREATE TABLE public.metaxy_deletion_step ();
CREATE SEQUENCE public.metaxy_deletion_id_seq;
CREATE TABLE public."metaxy doomed 0" ();
CREATE TABLE public."metaxy rows 0" ();
CREATE DOMAIN public.timestamptz AS pg_catalog.text;
CREATE DOMAIN public.text AS pg_catalog.text CHECK (VALUE <> 'x');
CREATE DOMAIN public.bigint AS pg_catalog.int8 CHECK (VALUE < 0);
RESET ROLE;

CREATE SCHEMA "My Schema";
CREATE EXTENSION metaxy SCHEMA "My Schema";
GRANT USAGE ON SCHEMA "My Schema" TO PUBLIC;
SELECT * FROM caught;

CREATE SCHEMA data AUTHORIZATION regress_metaxy_victim;
SET ROLE regress_metaxy_victim;
CREATE TEMP TABLE metaxy_feature ();
CREATE TEMP TABLE metaxy_deletion (id integer);
CREATE TEMP TABLE "metaxy doomed 0" ();
CREATE TABLE data.doc (doc_id varchar, n integer, metaxy_feature_version varchar,
	metaxy_created_at pg_catalog.timestamptz, metaxy_updated_at pg_catalog.timestamptz,
	metaxy_deleted_at pg_catalog.timestamptz);
CREATE TABLE data.page (page_id uuid, part integer, doc_id varchar, n integer,
	metaxy_feature_version varchar, metaxy_created_at pg_catalog.timestamptz,
	metaxy_updated_at pg_catalog.timestamptz, metaxy_deleted_at pg_catalog.timestamptz);
CREATE TABLE data.mean (doc_id varchar, metaxy_created_at pg_catalog.timestamptz,
	metaxy_updated_at pg_catalog.timestamptz, metaxy_deleted_at pg_catalog.timestamptz);
SELECT "My Schema".metaxy_register('doc', 'data.doc', '{doc_id,n}', 'v1');
SELECT "My Schema".metaxy_register('page', 'data.page', '{page_id,part}', 'v1');
SELECT "My Schema".metaxy_register('mean', 'data.mean', '{doc_id}');
SELECT "My Schema".metaxy_depend('page', 'doc', '1:N', '{doc_id,n}');
SELECT "My Schema".metaxy_depend('mean', 'doc', 'N:1', '{doc_id}');
INSERT INTO data.doc
SELECT d, n, 'v1', now(), now() FROM pg_catalog.unnest('{a,b}'::varchar[]) AS d, generate_series(1, 2) AS n;
INSERT INTO data.page
SELECT pg_catalog.md5(doc_id || n)::uuid, p, doc_id, n, 'v1', now(), now()
  FROM data.doc, generate_series(1, 2) AS p;
INSERT INTO data.mean SELECT DISTINCT doc_id, now(), now() FROM data.doc;
TRUNCATE caught;

BEGIN;
-- an operator that somebody else made is nothing that a filter may use
SAVEPOINT s;
SELECT * FROM "My Schema".metaxy_delete('doc', $$doc_id = 'a'::varchar$$);	-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT feature, samples, "rows" FROM "My Schema".metaxy_delete('doc',
	$$doc_id OPERATOR(pg_catalog.=) 'a' AND n OPERATOR(pg_catalog.=) 1$$, cascade => 'downstream');
SELECT feature, samples, "rows" FROM "My Schema".metaxy_delete('page',
	$$doc_id OPERATOR(pg_catalog.=) 'a'$$, cascade => 'both', with_sample_history => true);
SELECT feature, samples, "rows" FROM "My Schema".metaxy_delete(
	'{doc,mean}'::pg_catalog.text[],
	$${"doc_id OPERATOR(pg_catalog.=) 'a'"}$$::pg_catalog.text[], soft => false, cascade => 'downstream',
	with_feature_history => true);
SELECT feature, samples, "rows" FROM "My Schema".metaxy_delete('page',
	$$doc_id LIKE 'b'$$, soft => false, with_sample_history => true);
SELECT doc_id, n FROM data.doc_active ORDER BY 1, 2;
SELECT active, deleted FROM "My Schema".metaxy_status('doc');
SELECT features, samples, "rows" FROM "My Schema".metaxy_deletions ORDER BY id;
SELECT deletion_id IS NULL, step, feature FROM "My Schema".metaxy_deletion_steps ORDER BY deletion_id, step;
SELECT step, feature FROM "My Schema".metaxy_order();
SELECT * FROM caught;
ROLLBACK;
-- in the language "sql" the caller gets what he asked for, in his own filter
-- and nowhere else
BEGIN;
SET LOCAL metaxy.filter_language = sql;
SELECT feature, samples, "rows"
  FROM "My Schema".metaxy_delete('doc', $$doc_id = 'a'::varchar$$, cascade => 'downstream');
SELECT DISTINCT what FROM caught;
ROLLBACK;
SELECT "My Schema".metaxy_unregister('mean'), "My Schema".metaxy_unregister('page'),
	"My Schema".metaxy_unregister('doc');
SELECT * FROM caught;
RESET ROLE;

-- one object of each name in the very schema where the extension is to be: it
-- does not take over what is there
CREATE TABLE member AS
SELECT o.type, o.identity
  FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_extension AS e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
 CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o
 WHERE e.extname OPERATOR(pg_catalog.=) 'metaxy' AND d.deptype OPERATOR(pg_catalog.=) 'e'
   AND o.type OPERATOR(pg_catalog.=) ANY ('{table,view,sequence,function,event trigger}');
SET search_path = pg_catalog;
DROP EXTENSION metaxy;
CREATE FUNCTION public.plant(type text, identity text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE CASE type
		WHEN 'table' THEN format('CREATE TABLE %s ()', identity)
		WHEN 'view' THEN format('CREATE VIEW %s AS SELECT 1', identity)
		WHEN 'sequence' THEN format('CREATE SEQUENCE %s', identity)
		WHEN 'event trigger' THEN format('CREATE EVENT TRIGGER %s ON sql_drop
			EXECUTE FUNCTION public.planted()', identity)
		ELSE format(CASE WHEN identity LIKE '%internal)'
			THEN 'CREATE FUNCTION %s RETURNS internal LANGUAGE internal AS ''textlike_support'''
			ELSE 'CREATE FUNCTION %s RETURNS integer LANGUAGE sql AS ''SELECT 1''' END, identity) END;
	BEGIN
		CREATE EXTENSION metaxy SCHEMA "My Schema";
		RETURN 'taken over';
	EXCEPTION WHEN duplicate_table OR duplicate_function OR duplicate_object OR
				   invalid_function_definition THEN
		EXECUTE format('DROP %s %s CASCADE', type, identity);
		RETURN SQLSTATE;
	END;
END $$;
CREATE FUNCTION public.planted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
SELECT DISTINCT type, public.plant(type, identity) AS "create extension"
  FROM public.member ORDER BY 1, 2;
SELECT count(*) AS extensions FROM pg_extension WHERE extname = 'metaxy';

\c :here
SET client_min_messages = warning;
DROP DATABASE "regress metaxy ""planted""";
DROP ROLE regress_metaxy_mallory, regress_metaxy_victim;
