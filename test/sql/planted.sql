--
-- Operators, functions, types, tables and sequences that somebody has planted
-- in front of the search_path, and in the temporary schema, are never used by
-- what the extension does: each would raise XP001.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE SCHEMA planted;
CREATE SCHEMA feats;

--
-- Plants: every operator and function of pg_catalog that can be written in
-- plpgsql, once as it is, once with varchar for text, which fits the columns
-- of a table better, and once with the argument types of the registry
--
CREATE FUNCTION planted.plant() RETURNS TABLE (kind text, many boolean) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wanted record;
	body CONSTANT text := 'BEGIN RAISE SQLSTATE ''XP001'' USING MESSAGE = ''a planted function was called''; END';
	operators int := 0;
	functions int := 0;
	types int := 0;
	relations int := 0;
BEGIN
	FOR wanted IN
		SELECT DISTINCT o.oprname, l.type::regtype AS lefttype, r.type::regtype AS righttype,
			   CASE WHEN o.oprresult = 'text'::regtype AND o.oprname <> '||' THEN 'text'::regtype ELSE o.oprresult::regtype END AS result
		  FROM pg_operator AS o,
			   LATERAL (VALUES (o.oprleft), (CASE o.oprleft WHEN 'text'::regtype THEN 'varchar'::regtype WHEN 'oid'::regtype THEN 'regclass'::regtype END)) AS l (type),
			   LATERAL (VALUES (o.oprright), (CASE o.oprright WHEN 'text'::regtype THEN 'varchar'::regtype WHEN 'oid'::regtype THEN 'regclass'::regtype END)) AS r (type)
		 WHERE o.oprkind = 'b' AND l.type IS NOT NULL AND r.type IS NOT NULL
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION planted.operator_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L',
				operators, wanted.lefttype, wanted.righttype, wanted.result, body);
			EXECUTE format('CREATE OPERATOR planted.%s (FUNCTION = planted.operator_%s, LEFTARG = %s, RIGHTARG = %s)',
				wanted.oprname, operators, wanted.lefttype, wanted.righttype);
			operators := operators + 1;
		EXCEPTION WHEN OTHERS THEN
			NULL;					-- a pseudo-type, or planted already
		END;
	END LOOP;

	FOR wanted IN
		SELECT DISTINCT p.proname, coalesce(v.args, '') AS args,
			   CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END || p.prorettype::regtype AS result
		  FROM pg_proc AS p,
			   LATERAL (SELECT string_agg(t::regtype::text, ', ' ORDER BY n), string_agg(CASE t WHEN 'text'::regtype THEN 'varchar'
							WHEN 'oid'::regtype THEN 'regclass' WHEN '"any"'::regtype THEN 'anyelement' ELSE t::regtype::text END, ', ' ORDER BY n)
						  FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n)) AS a (plain, other),
			   LATERAL (VALUES (a.plain), (a.other)) AS v (args)
		 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname !~ '^(ri_|RI_|binary_upgrade|pg_stat|ts|gin|gist|brin|spg|bt|hash|in_range)'
		   AND (p.prokind = 'f' OR p.proname ~ '^(count|sum|max|min|array_agg|string_agg|bool_and|bool_or)$')
		   AND p.prorettype NOT IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
		   AND NOT (p.prokind = 'a' AND p.pronargs = 0)
		   AND NOT p.proargtypes::oid[] && '{internal,cstring}'::regtype[]::oid[]
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION planted.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
				wanted.proname, wanted.args, wanted.result, body);
			functions := functions + 1;
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
	-- VARIADIC, and count(*)
	EXECUTE format('CREATE FUNCTION planted.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS %L', body);
	EXECUTE format('CREATE FUNCTION planted.count_step(bigint) RETURNS bigint LANGUAGE plpgsql AS %L', body);
	CREATE AGGREGATE planted.count(*) (SFUNC = planted.count_step, STYPE = bigint, INITCOND = '0');

	FOR wanted IN
		SELECT name, place FROM unnest('{text,varchar,name,oid,regclass,regrole,regnamespace,int4,int8,bigint,bool,jsonb,timestamptz,xid8,char}'::text[]) AS name,
			   unnest('{planted,pg_temp}'::text[]) AS place
	LOOP
		EXECUTE format('CREATE DOMAIN %s.%I AS pg_catalog.int2 CHECK (VALUE OPERATOR(pg_catalog.>) 30000)', wanted.place, wanted.name);
		types := types + 1;
	END LOOP;

	EXECUTE format('CREATE FUNCTION planted.trap() RETURNS pg_catalog.oid LANGUAGE plpgsql AS %L', body);
	FOR wanted IN
		SELECT name, place FROM unnest('{metaxy_feature,metaxy_feature_version_log,metaxy_dependency,metaxy_deletion,metaxy_deletion_step,
				metaxy_deletions,metaxy_deletion_steps,pg_class,pg_namespace,pg_attribute,pg_depend,pg_roles,pg_type,pg_proc,pg_trigger,
				pg_index,pg_inherits,pg_constraint,pg_operator,pg_extension,pg_partition_tree,pg_sequence}'::text[]) AS name,
			   unnest('{planted,pg_temp}'::text[]) AS place
	LOOP
		EXECUTE format('CREATE VIEW %s.%I AS SELECT planted.trap() AS oid, planted.trap() AS feature', wanted.place, wanted.name);
		relations := relations + 1;
	END LOOP;
	CREATE SEQUENCE planted.metaxy_clock;
	CREATE SEQUENCE planted.metaxy_deletion_id_seq;
	CREATE TEMP SEQUENCE metaxy_clock;
	CREATE TEMP SEQUENCE metaxy_deletion_id_seq;

	RETURN QUERY VALUES ('operators', operators > 700), ('functions', functions > 1500), ('types', types = 30), ('relations', relations = 44);
END
$$;
-- the extension's own, by which nothing calls it from inside
CREATE FUNCTION planted.metaxy_stamp() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN RAISE SQLSTATE 'XP001' USING MESSAGE = 'a planted function was called'; END$$;
CREATE FUNCTION planted.metaxy_write_active() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN RAISE SQLSTATE 'XP001' USING MESSAGE = 'a planted function was called'; END$$;
CREATE FUNCTION planted.metaxy_read_only() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN RAISE SQLSTATE 'XP001' USING MESSAGE = 'a planted function was called'; END$$;

--
-- What is done, in this order.  Nothing in these statements themselves is
-- looked up along the path but literals and columns.
--
CREATE TABLE public.deeds (n serial, deed text);
INSERT INTO public.deeds (deed) VALUES
	($$SELECT public.metaxy_register('video', 'feats.video', '{video_id}', 'v1')$$),
	($$SELECT public.metaxy_register('chunk', 'feats.chunk', '{video_id,chunk_id}', 'v1')$$),
	($$SELECT public.metaxy_register('clip', 'feats.clip', '{day,n,video_id}')$$),
	($$SELECT public.metaxy_register('gone', 'feats.gone', '{id}')$$),
	($$SELECT public.metaxy_register('video', 'feats.video', '{video_id}', 'v1')$$),
	($$SELECT public.metaxy_depend('chunk', 'video', '1:N', '{video_id}')$$),
	($$SELECT public.metaxy_depend('clip', 'chunk', '1:N', '{video_id}', rename => '{"chunk_id": "part"}')$$),
	($$SELECT public.metaxy_depend('gone', 'clip', '1:1', rename => '{"n": "id"}', optional => true)$$),
	($$SELECT * FROM public.metaxy_sync('feats', dry_run => true)$$),
	($$SELECT * FROM public.metaxy_sync('feats')$$),
	($$SELECT * FROM public.metaxy_sync('feats')$$),
	($$INSERT INTO feats.video (video_id, path, flag) VALUES ('a', 'x', true), ('b', 'y', false), ('c', 'z', NULL), ('d', 'z', true) RETURNING video_id, metaxy_feature_version$$),
	($$INSERT INTO feats.chunk (video_id, chunk_id) VALUES ('a', 'a1'), ('a', 'a2'), ('b', 'b1'), ('c', 'c1'), ('d', 'd1') RETURNING video_id, chunk_id$$),
	($$INSERT INTO feats.clip (day, n, video_id) VALUES ('2026-01-01', 1, 'a'), ('2026-01-02', 2, 'b'), ('2026-02-01', 3, 'c') RETURNING n$$),
	($$INSERT INTO feats.gone (id) VALUES (1), (2) RETURNING id$$),
	($$SELECT video_id, path, flag FROM feats.video_active ORDER BY video_id$$),
	($$SELECT public.metaxy_views('video', false)$$),
	($$SELECT public.metaxy_views('video', true)$$),
	($$SELECT * FROM public.metaxy_order('chunk')$$),
	($$SELECT * FROM public.metaxy_order('gone', 'upstream')$$),
	($$SELECT feature, relation, feature_version, active, deleted, rows, superseded FROM public.metaxy_status('clip')$$),
	($$SELECT video_id FROM public.metaxy_read(NULL::feats.video) ORDER BY video_id$$),
	($$SELECT video_id FROM public.metaxy_read(NULL::feats.video, 'flag', with_sample_history => true, include_soft_deleted => true) ORDER BY video_id$$),
	($$SELECT video_id FROM public.metaxy_read(NULL::feats.video, as_of => '2020-01-01')$$),
	-- filters that look nothing up
	($$SELECT step, feature, relation, samples, rows, stale FROM public.metaxy_delete('video', 'flag', dry_run => true)$$),
	($$SELECT step, feature, relation, samples, rows, stale FROM public.metaxy_delete('video', 'flag IS NULL', cascade => 'both', dry_run => true)$$),
	($$SELECT step, feature, relation, samples, rows, stale FROM public.metaxy_delete('video', 'flag IS NULL', cascade => 'both')$$),
	($$SELECT step, feature, relation, samples, rows, stale FROM public.metaxy_delete('{chunk}'::pg_catalog.text[], max_samples => 0)$$),
	($$SELECT step, feature, relation, samples, rows, stale FROM public.metaxy_delete('chunk', $f$video_id OPERATOR(pg_catalog.=) 'b'$f$, cascade => 'upstream', partial => 'delete')$$),
	($$SELECT step, feature, relation, samples, rows, stale FROM public.metaxy_delete('video', 'flag', with_feature_history => true, with_sample_history => true, reason => 'planted')$$),
	($$SELECT samples FROM public.metaxy_delete('clip', soft => false, all_rows => true, cascade => 'upstream')$$),
	($$INSERT INTO feats.video_active (video_id, path, flag) VALUES ('e', 'x', true), ('f', 'y', false) RETURNING video_id$$),
	($$UPDATE feats.video_active SET path = 'new' WHERE flag RETURNING video_id, path$$),
	($$DELETE FROM feats.video_active WHERE flag RETURNING video_id, path$$),
	($$DELETE FROM feats.video_latest WHERE flag$$),
	($$SELECT samples FROM public.metaxy_delete('video', 'NOT flag', soft => false, cascade => 'downstream')$$),
	($$SELECT samples FROM public.metaxy_delete('video', 'NOT flag', soft => false, with_feature_history => true)$$),
	($$SELECT samples FROM public.metaxy_delete('chunk', soft => false, all_rows => true, cascade => 'downstream')$$),
	($$SELECT video_id, path, flag FROM feats.video ORDER BY metaxy_updated_at, metaxy_deleted_at$$),
	($$SELECT kind, features, filters, options, samples FROM public.metaxy_deletions ORDER BY id DESC LIMIT 9$$),
	($$SELECT public.metaxy_undepend('gone', 'clip')$$),
	($$DROP TABLE feats.gone CASCADE$$),
	($$SELECT relation, active_view, latest_view, deleted_view FROM public.metaxy_feature WHERE relation IS NULL$$),
	($$ALTER TABLE feats.video RENAME TO film$$),
	($$ALTER TABLE feats.film RENAME COLUMN path TO place$$),
	($$SELECT public.metaxy_register('video', 'feats.film', '{video_id}', 'v2')$$),
	($$SELECT public.metaxy_register('clip', 'feats.clip', '{day,n}', replace => true)$$),
	($$SELECT public.metaxy_unregister('gone')$$),
	($$SELECT public.metaxy_unregister('clip')$$),
	($$SELECT feature, relation, id_columns, feature_version FROM public.metaxy_feature ORDER BY feature$$),
	($$SELECT public.metaxy_graph('json')$$),
	($$SELECT public.metaxy_graph('tree')$$);

-- Does all of it along a path, shows what each statement gave, and rolls back.
CREATE FUNCTION public.do_all(path text) RETURNS TABLE (n int, result text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d record;
	r record;
	results text[] := '{}';
	one text[];
BEGIN
	BEGIN
		FOR d IN SELECT x.n, x.deed FROM public.deeds AS x ORDER BY x.n LOOP
			one := '{}';
			PERFORM pg_catalog.set_config('search_path', path, true);
			BEGIN
				IF d.deed OPERATOR(pg_catalog.~) '^SELECT|RETURNING' THEN
					FOR r IN EXECUTE d.deed LOOP
						one := pg_catalog.array_append(one, r::pg_catalog.text);
					END LOOP;
				ELSE
					EXECUTE d.deed;
				END IF;
			EXCEPTION WHEN OTHERS THEN
				one := ARRAY[SQLSTATE, SQLERRM];
			END;
			PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
			results := results || array_to_string(one, '; ');
		END LOOP;
		RAISE SQLSTATE 'RB000';
	EXCEPTION WHEN SQLSTATE 'RB000' THEN
		NULL;
	END;
	RETURN QUERY SELECT x.n, results[x.n] FROM public.deeds AS x ORDER BY x.n;
END
$$;

CREATE TABLE feats.video (video_id varchar, path varchar, flag boolean, size bigint);
CREATE TABLE feats.chunk (video_id varchar, chunk_id varchar, size numeric);
CREATE TABLE feats.clip (day date, n bigint, video_id varchar, part text) PARTITION BY RANGE (day);
CREATE TABLE feats.clip_january PARTITION OF feats.clip FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE feats.clip_later PARTITION OF feats.clip FOR VALUES FROM ('2026-02-01') TO (MAXVALUE);
CREATE TABLE feats.gone (id bigint);
CREATE TABLE feats.extra (extra_id varchar, video_id varchar);
-- what "metaxy push" leaves
CREATE TABLE feats.metaxy_system__feature_versions (
	project varchar, feature_key varchar, metaxy_feature_version varchar,
	metaxy_definition_version varchar, recorded_at timestamp(6) without time zone,
	feature_spec varchar, feature_schema varchar, feature_class_path varchar,
	metaxy_project_version varchar, tags varchar, deleted_at timestamp(6) without time zone);
INSERT INTO feats.metaxy_system__feature_versions (project, feature_key, metaxy_feature_version, recorded_at, feature_spec) VALUES
	('p', 'video', 'v1', '2026-01-01', '{"key": "video", "id_columns": ["video_id"], "deps": [], "fields": []}'),
	('p', 'extra', 'e1', '2026-01-01', '{"key": "extra", "id_columns": ["extra_id"], "fields": [],
		"deps": [{"feature": "video", "lineage": {"relationship": {"type": "1:N", "on": ["video_id"]}}}]}'),
	('p', 'absent', 'a1', '2026-01-01', '{"key": "absent", "id_columns": ["extra_id"], "fields": [], "deps": ["extra"]}');

CREATE TABLE public.expected AS SELECT * FROM public.do_all('pg_catalog, public');
SELECT e.n, deed, result FROM public.expected AS e JOIN public.deeds USING (n) ORDER BY e.n;

SELECT * FROM planted.plant();
SET search_path = pg_catalog, public, pg_temp;

-- The plants are found, where a path leads to them.
CREATE FUNCTION public.caught(path text, query text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM pg_catalog.set_config('search_path', path, true);
	EXECUTE query;
	RETURN 'not caught';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
SELECT query, caught('planted, pg_catalog, public', query) AS before, caught('public, planted', query) AS after
  FROM unnest(ARRAY[$$SELECT 'a'::pg_catalog.varchar = 'a'::pg_catalog.varchar$$, $$SELECT 1::pg_catalog.int8 < 2$$,
		$$SELECT 1::pg_catalog.oid = 1::pg_catalog.regclass$$, $$SELECT 'a'::pg_catalog.text || 'b'$$, $$SELECT now()$$,
		$$SELECT count(*) FROM pg_catalog.pg_am$$, $$SELECT array_agg(amname) FROM pg_catalog.pg_am$$, $$SELECT * FROM unnest(ARRAY[1])$$,
		$$SELECT current_setting('work_mem')$$, $$SELECT pg_current_xact_id()$$, $$SELECT nextval('public.metaxy_clock'::pg_catalog.regclass)$$,
		$$SELECT format('%s', 'a')$$, $$SELECT 'a' LIKE 'b'$$, $$SELECT * FROM metaxy_feature$$, $$SELECT 'a'::text$$, $$SELECT FROM pg_class WHERE oid = 1$$,
		$$CREATE TRIGGER t BEFORE INSERT ON feats.video FOR EACH ROW EXECUTE FUNCTION metaxy_stamp(); INSERT INTO feats.video VALUES ('a')$$]) AS query;

-- Nothing of it changes what the extension does.
SELECT path, n, deed, e.result AS expected, d.result AS got
  FROM unnest(ARRAY['planted, pg_catalog, public', 'planted, public, pg_catalog', 'planted, public', 'public, planted',
		'pg_temp, planted, pg_catalog', 'planted', '"$user", planted, pg_temp, pg_catalog, feats']) AS path,
	   do_all(path) AS d JOIN expected AS e USING (n) JOIN deeds USING (n)
 -- a name is shown with its schema where it is not on the path
 WHERE replace(d.result, 'feats.', '') IS DISTINCT FROM replace(e.result, 'feats.', '')
 ORDER BY path, n;

-- Filters: a safe one is refused where it would call a plant; what is called
-- in the other language is up to the caller.
SELECT metaxy_register('video', 'feats.video', '{video_id}');
INSERT INTO feats.video (video_id, path, flag) VALUES ('a', 'x', true);
CREATE FUNCTION public.filtered(path text, language text) RETURNS TABLE (filter text, answer text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	FOR filter IN SELECT unnest(ARRAY[$f$video_id = 'a'$f$, $f$video_id <> 'b' AND flag$f$, $f$video_id IN ('a', 'b')$f$, $f$path LIKE 'x%'$f$,
			$f$lower(path) IS NULL$f$, $f$metaxy_created_at < now() + interval '1 hour'$f$, $f$size BETWEEN 1 AND 2$f$, $f$size::text IS NULL$f$,
			$f$size::bigint IS NULL$f$, $f$CASE video_id WHEN 'a' THEN true END$f$, $f$(video_id, path) = ('a', 'x')$f$,
			$f$path IS DISTINCT FROM 'y'$f$, $f$nullif(path, 'x') IS NULL$f$, $f$video_id OPERATOR(pg_catalog.=) 'a'$f$, $f$flag$f$]) LOOP
		PERFORM pg_catalog.set_config('search_path', path, true);
		PERFORM pg_catalog.set_config('metaxy.filter_language', language, true);
		BEGIN
			answer := samples FROM public.metaxy_delete('video', filter);
			RAISE SQLSTATE 'RB000' USING MESSAGE = answer;
		EXCEPTION
			WHEN SQLSTATE 'RB000' THEN
				answer := SQLERRM;
			WHEN OTHERS THEN
				answer := SQLSTATE;
		END;
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT plain.filter, plain.answer AS plain, safe.answer AS safe, later.answer AS safe_later, sql.answer AS sql, sql_later.answer AS sql_later
  FROM ROWS FROM (filtered('pg_catalog, public, pg_temp', 'safe')) WITH ORDINALITY AS plain (filter, answer, n)
  JOIN ROWS FROM (filtered('planted, pg_catalog, pg_temp', 'safe')) WITH ORDINALITY AS safe (filter, answer, n) USING (n)
  JOIN ROWS FROM (filtered('pg_catalog, planted, pg_temp', 'safe')) WITH ORDINALITY AS later (filter, answer, n) USING (n)
  JOIN ROWS FROM (filtered('planted, pg_catalog, pg_temp', 'sql')) WITH ORDINALITY AS sql (filter, answer, n) USING (n)
  JOIN ROWS FROM (filtered('pg_catalog, planted, pg_temp', 'sql')) WITH ORDINALITY AS sql_later (filter, answer, n) USING (n)
 ORDER BY n;

-- COPY, and a DROP, by a role that lives on such a path
CREATE ROLE regress_metaxy_planter;
GRANT USAGE ON SCHEMA planted, feats TO regress_metaxy_planter;
ALTER TABLE feats.video OWNER TO regress_metaxy_planter;
SET ROLE regress_metaxy_planter;
SET search_path = planted, pg_catalog;
COPY feats.video (video_id, flag) FROM stdin;
copied	t
\.
SELECT video_id, flag FROM feats.video_active ORDER BY video_id;
DROP TABLE feats.video CASCADE;
RESET ROLE;
SET search_path = pg_catalog, public, pg_temp;
SELECT feature, relation, active_view FROM metaxy_feature WHERE feature = 'video';
SELECT metaxy_unregister('video');

DROP FUNCTION do_all(text), caught(text, text), filtered(text, text);
DROP TABLE deeds, expected;
DISCARD TEMP;
DROP SCHEMA planted, feats CASCADE;
DROP ROLE regress_metaxy_planter;
