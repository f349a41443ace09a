--
-- Filters: what is refused, with which code and where, and that none of it
-- has run
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_metaxy_filter_owner;
CREATE ROLE regress_metaxy_filter_planter;
CREATE SCHEMA metaxy_filter_errors AUTHORIZATION regress_metaxy_filter_owner;
CREATE SCHEMA metaxy_filter_planted AUTHORIZATION regress_metaxy_filter_planter;
GRANT USAGE ON SCHEMA metaxy_filter_planted TO PUBLIC;

-- What somebody else has planted.  All of it would end in P0001.
SET ROLE regress_metaxy_filter_planter;
SET search_path = metaxy_filter_planted, public;
CREATE FUNCTION plant(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RAISE EXCEPTION 'planted code ran';
END $$;
CREATE FUNCTION plant(varchar, varchar) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	'SELECT metaxy_filter_planted.plant(1)';
CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
	'SELECT metaxy_filter_planted.plant(1)::text';
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql AS
	'SELECT CASE WHEN metaxy_filter_planted.plant(1) THEN current_timestamp END';
CREATE OPERATOR = (LEFTARG = varchar, RIGHTARG = varchar, PROCEDURE = plant);
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, PROCEDURE = textne);
CREATE OPERATOR !!! (RIGHTARG = anyelement, PROCEDURE = plant);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE FUNCTION mood_to_text(mood) RETURNS text LANGUAGE sql IMMUTABLE AS
	'SELECT metaxy_filter_planted.plant(1)::text';
CREATE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE sql IMMUTABLE AS
	'SELECT metaxy_filter_planted.plant(1)::text::json';
CREATE FUNCTION mood_to_boolean(mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	'SELECT metaxy_filter_planted.plant(1)';
CREATE CAST (mood AS text) WITH FUNCTION mood_to_text AS ASSIGNMENT;
CREATE CAST (mood AS json) WITH FUNCTION mood_to_json;
CREATE CAST (mood AS boolean) WITH FUNCTION mood_to_boolean AS ASSIGNMENT;
CREATE DOMAIN evil AS integer
	CHECK (VALUE IS NULL OR metaxy_filter_planted.plant(VALUE));
CREATE DOMAIN tame AS text;
CREATE TYPE evil_row AS (a integer, b evil);
CREATE TYPE evil_range AS RANGE (SUBTYPE = evil);
CREATE FUNCTION takes_row(evil_row) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
RESET ROLE;

SET ROLE regress_metaxy_filter_owner;
SET search_path = metaxy_filter_errors, public;
CREATE TABLE video (video_id varchar, size integer, path text, at timestamptz,
	meta jsonb, tags text[], mood metaxy_filter_planted.mood,
	moods metaxy_filter_planted.mood[], evil metaxy_filter_planted.evil,
	evils metaxy_filter_planted.evil[], evil_row metaxy_filter_planted.evil_row,
	evil_range metaxy_filter_planted.evil_range, class regclass, id oid,
	metaxy_feature_version varchar, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('video', 'video', '{video_id}', NULL, false, false);
INSERT INTO video (video_id, size, path, at, mood, moods, class, id, metaxy_created_at,
	metaxy_updated_at)
SELECT 'v' || i, i, 'p', '2024-01-01', 'happy', '{sad}', 'video', i, '2024-01-01', '2024-01-01'
  FROM generate_series(1, 3) AS i;
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(v, ',' ORDER BY v))
	  FROM (SELECT (ctid, xmin, xmax, v.*)::text FROM video AS v
			UNION ALL
			SELECT d::text FROM metaxy_deletions AS d) AS x (v)
$$;
SELECT state() AS before \gset

-- a delete by the filter, for real, that must end in an error; in its message,
-- PostgreSQL 17 and later leave out the schema of the type json
CREATE FUNCTION error(filter text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
BEGIN
	PERFORM metaxy_delete('video', filter, soft => false);
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s: %s', SQLSTATE, replace(message, 'pg_catalog.json,', 'json,')) ||
		CASE WHEN detail <> '' THEN E'\n' || detail ELSE '' END;
END $$;
-- the code alone, where the words are the server's
CREATE FUNCTION code(filter text) RETURNS text LANGUAGE sql AS 'SELECT left(error(filter), 5)';

--
-- Not one expression
--
SELECT metaxy_delete('video', '');									-- error
\echo :SQLSTATE
SELECT metaxy_delete('video', '*');									-- error
SELECT metaxy_delete('video', 'true, false');						-- error
SELECT metaxy_delete('video', 'true FROM pg_class');				-- error
SELECT metaxy_delete('video', 'true) OR (true');					-- error
SELECT metaxy_delete('video', 'true; DROP TABLE video');			-- error
SELECT metaxy_delete('video', ' ALL true');							-- error
SELECT metaxy_delete('video', 'size = 1 FOR READ ONLY');			-- error
SELECT filter, error(filter)
  FROM unnest(ARRAY[
	'', '   ', E'\t\n', '--', '-- true', '/* true */',
	'*', ' * ', 'video.*', '(evil_row).*', 'public.video.*', '*, true', 'true, *',
	'true, true', 'true AS x', 'true x', 'true "x"', 'true AS "true"',
	'DISTINCT true', 'DISTINCT ON (size) true',
	'true FROM video', 'true FROM pg_authid, video', 'FROM video',
	'true WHERE true', 'WHERE true', 'true GROUP BY 1', 'true GROUP BY ()',
	'true HAVING true', 'true WINDOW w AS ()', 'true ORDER BY 1', 'ORDER BY random()',
	'true ORDER BY random() LIMIT 1', 'true LIMIT 1', 'true LIMIT ALL', 'true OFFSET 1',
	'true FETCH FIRST ROW ONLY', 'true FOR UPDATE', 'true FOR SHARE OF video NOWAIT',
	'true AND true, size = 1 FROM video ORDER BY 1']) AS filter;
SELECT code(filter), count(*)
  FROM unnest(ARRAY[
	';', 'true;', 'true; true', 'true; DROP TABLE video', '; DROP TABLE video; --',
	'true) OR (true', ') OR (true', 'true)', '(true', '()', '(,)',
	'true /*', 'true /* /* */', '''', 'video_id = ''v1', 'video_id = "v1', 'path = $x$v1',
	'SELECT true', 'true UNION SELECT true', 'true UNION ALL VALUES (true)', 'VALUES (true)',
	'TABLE video', 'WITH x AS (SELECT 1) SELECT true', 'WITH x AS (SELECT 1) true',
	'true INTO x', 'DELETE FROM video', 'true RETURNING true', 'DROP TABLE video', 'COMMIT WORK',
	'BEGIN; true; END', 'x := true', 'size := 1', 'true WHERE', 'AND true', 'true AND', 'NOT',
	'size =', '= 1', 'size = = 1', 'size IN ()', 'size BETWEEN 1', 'path LIKE', 'path LIKE ''a'' ESCAPE',
	'CASE END', 'ARRAY[', 'tags[', '(size', 'path IS', 'video.', '.size', 'size..path',
	'\d', '\copy video to program ''true''', 'true\', '`id`', '%s', '{}', 'size = :x', '@', '!', '?',
	'true true', 'size path', '1 2', 'x''41'' 1', '0x', '1e', '1..2', 'U&"\zzzz"', 'U&''\00''',
	'"" = 1', 'OPERATOR()', 'path COLLATE', 'ALL', 'DEFAULT', 'size = DEFAULT',
	'CURRENT OF c', 'SET size = 1', 'EXPLAIN true', 'ALL true', 'all(true)', '/* x */ ALL size = 1',
	'true FOR READ ONLY', 'ALL true FOR READ ONLY', 'FOR READ ONLY']) AS filter
 GROUP BY 1 ORDER BY 1;

-- parameters: there are none, ours least of all
SELECT metaxy_delete('video', 'size = $1');							-- error
\echo :SQLSTATE
SELECT filter, error(filter)
  FROM unnest(ARRAY['$1', '$0', '$2 AND true', 'size IN (1, $1)', '$1::boolean', '($1)',
	'EXISTS (SELECT $1)']) AS filter;

-- nesting, sizes, bytes
SELECT code(repeat('(', 100000) || 'true' || repeat(')', 100000)) IN ('42601', '54001') AS brackets,
	   code(repeat('NOT ', 100000) || 'true') IN ('42601', '54001') AS "not",
	   code(repeat('-', 1) || repeat(' -', 100000) || '1 = 1') IN ('42601', '54001') AS minus,
	   code('size = 1' || repeat(' + 1', 100000)) AS plus,
	   code('true' || repeat('::boolean', 100000)) AS casts,
	   code(repeat('CASE WHEN true THEN ', 20000)) AS "case",
	   code('tags' || repeat('[1]', 100000) || ' = 1') AS subscripts,
	   code(repeat('x', 1000000)) AS name,
	   code(repeat('1', 1000000)) AS number,
	   code(repeat('size, ', 100000) || 'size') AS list;
SELECT code('path = E''\000'''), code('path = U&''\0000'''), code('path = ''a'' U&''b'''),
	   code('path = E''\u00''');

--
-- Type and names
--
SELECT metaxy_delete('video', 'size');								-- error
\echo :SQLSTATE
SELECT metaxy_delete('video', 'sizes > 1');							-- error
\echo :SQLSTATE
SELECT metaxy_delete('video', '  size > 1 AND at > ''soon''');	-- error
\echo :SQLSTATE
SELECT metaxy_delete('video', 'path = ''%'' AND sise = 1');			-- error
\echo :SQLSTATE
SELECT filter, error(filter)
  FROM unnest(ARRAY['1', 'size', 'path', 'at', 'meta', 'tags', 'meta -> ''a''', '(true, true)',
	'ARRAY[true]', 'path || ''true''', 'at - at', 'CASE WHEN true THEN 1 END',
	'coalesce(size, 1)', '''true''::text']) AS filter;
SELECT filter, code(filter)
  FROM unnest(ARRAY['''perhaps''', 'nosuch = 1', 'video.nosuch = 1', 'vdeo.size = 1', 'public.video.size = 1',
	'newest.size = 1', 'later.size = 1', 'x.video.size = 1', '"SIZE" = 1', 'excluded.size = 1', 'new.size = 1',
	'nosuch(size)', 'size + path', 'size = true', 'size = ''one''', 'at > 1', 'tags = 1', 'meta ->> at',
	'size::nosuch = 1', 'path OPERATOR(pg_catalog.#=#) path', 'path COLLATE nosuch = ''a''',
	'path COLLATE "C" = path COLLATE "POSIX"', 'size COLLATE "C" = 1', 'count(*) > 1', 'max(size) = 1',
	'row_number() OVER () = 1', 'sum(size) OVER (ORDER BY at) = 1', 'rank() OVER w = 1',
	'generate_series(1, 2) = 1', 'unnest(tags) = ''a''', 'GROUPING(size) = 1', 'path::unknown = ''a''',
	'round(size, 1, 2) = 1', 'lower(path, x => 1) = ''a''', 'size[1] = 1', '(size).x = 1',
	'length(VARIADIC tags) = 1', 'string_agg(path, '','') = ''''', 'EXTRACT(nosuch FROM at) = 1',
	'make_interval(nosuch => 1) IS NULL', 'at AT TIME ZONE 1 = at', 'path LIKE 1', 'size IS TRUE']) AS filter;

--
-- The safe language
--
SELECT metaxy_delete('video', 'video_id = ''v1'' AND random() < 0.5');	-- error
\echo :SQLSTATE
SELECT metaxy_delete('video', 'size IN (SELECT 1)');				-- error
SELECT metaxy_delete('video', 'size = 1 OR path = NULL');			-- error
SELECT metaxy_delete('video', 'size > 0 AND ctid = ''(0,1)''');		-- error
\echo :SQLSTATE
-- subqueries, of whatever kind; they are not even analysed
SELECT filter, error(filter)
  FROM unnest(ARRAY['EXISTS (SELECT FROM video)', '(SELECT true)', 'size IN (SELECT size FROM video)',
	'size = ANY (SELECT 1)', 'size > ALL (VALUES (1))', 'tags = ARRAY(SELECT ''a''::text)',
	'(size, path) = (SELECT 1, ''a'')', 'coalesce((SELECT true FROM nosuch), size = 1)',
	'EXISTS (SELECT FROM pg_authid WHERE rolpassword IS NOT NULL)',
	'(WITH x AS (SELECT 1) SELECT true FROM x)']) AS filter;
-- other rows, and more than rows
SELECT filter, error(filter)
  FROM unnest(ARRAY['ctid = ''(0,1)''', 'xmin = ''1''', 'video.xmax IS NULL', 'cmin = ''0''',
	'tableoid = 0', 'video IS NULL', 'video.* IS NULL', 'video = video', 'row(video) IS NULL',
	'video::text = ''''', 'to_jsonb(video) IS NULL']) AS filter;
-- volatile functions
SELECT filter, error(filter)
  FROM unnest(ARRAY['random() < 1', 'clock_timestamp() > at', 'pg_sleep(1) IS NULL',
	'set_config(''a.b'', ''c'', false) = ''c''', 'pg_advisory_lock(1) IS NULL',
	'lo_unlink(1) = 1', 'pg_read_file(''postgresql.conf'') IS NULL',
	'pg_terminate_backend(1)', 'query_to_xml(''SELECT 1'', true, true, '''') IS NULL',
	'ts_rewrite(''a''::tsquery, ''SELECT 1'') IS NULL', 'gen_random_uuid() IS NULL',
	'timeofday() = path', 'metaxy_graph(''tree'') IS NULL',
	'CASE WHEN false THEN random() < 1 END', 'true OR random() < 1']) AS filter;
-- stable ones that look around, and casts that do
SELECT filter, error(filter)
  FROM unnest(ARRAY['current_setting(''data_directory'') IS NULL', 'current_schema = ''x''',
	'version() IS NULL', 'table_to_xml(id, true, true, '''') IS NULL',
	'table_to_xml(''video'', true, true, '''') IS NULL',
	'schema_to_xml(''public'', true, true, '''') IS NULL',
	'database_to_xmlschema(true, true, '''') IS NULL', 'pg_get_viewdef(id) IS NULL',
	'has_table_privilege(''video'', ''SELECT'')', 'obj_description(id, ''pg_class'') IS NULL',
	'pg_get_userbyid(id) IS NULL', 'inet_client_addr() IS NULL', 'pg_typeof(path) IS NULL',
	'to_regclass(path) IS NULL', 'path::regclass IS NULL', 'id::regclass IS NULL',
	'class::text = ''video''', 'class = ''video''::regclass', 'class = ''nosuch''::regclass',
	'path::regrole IS NULL', 'path::regtype[] IS NULL', 'path::aclitem IS NULL', 'regclass(path) IS NULL',
	'pg_partition_root(class) IS NULL', 'satisfies_hash_partition(id, 1, 0, 1)',
	'txid_current() = 1', 'json_populate_record(evil_row, ''{}'') IS NULL',
	'to_tsvector(''99999999'', path) IS NULL', 'to_tsvector(path::regconfig, path) IS NULL',
	'xmlelement(NAME a) IS NULL', 'path::xml IS DOCUMENT']) AS filter;
-- those for internal use
SELECT filter, error(filter)
  FROM unnest(ARRAY['textin(path::cstring) = ''a''', 'textin(''a'') = ''a''', 'int4_avg_accum(''{1}'', 1) IS NULL',
	'float8_accum(''{1}'', 1) IS NULL', 'domain_in(''1'', 1, 1) IS NULL',
	'range_intersect_agg_transfn(''[1,2]''::int4range, ''[1,2]'') IS NULL',
	'int4eq(size, byteaout(''x'')::text::int)']) AS filter;
-- comparisons with NULL
SELECT filter, error(filter)
  FROM unnest(ARRAY['path = NULL', 'NULL = path', 'path <> NULL', 'path != NULL', 'size > NULL', 'NULL <= size',
	'(path) = (NULL)', 'NULL = NULL', 'NOT path = NULL', 'size = 1 AND (path = NULL OR size = 2)',
	'path OPERATOR(pg_catalog.=) NULL', 'lower(path) = NULL']) AS filter;
SET transform_null_equals = on;
SELECT error('path = NULL'), error('NULL = path');
RESET transform_null_equals;

-- a user's functions, operators, casts, domains
SET search_path = metaxy_filter_errors, public, metaxy_filter_planted;
SELECT metaxy_delete('video', 'size = 1 AND path === ''p''');		-- error
SELECT filter, error(filter)
  FROM unnest(ARRAY['plant(1)', 'plant(''x'', ''y'')', 'plant(path)', 'video.plant', 'metaxy_filter_planted.plant(size)',
	'path === ''p''', '!!! size', 'size = 1 OR !!! 1', 'path OPERATOR(metaxy_filter_planted.===) ''p''',
	'path === ANY (tags)',
	'video_id OPERATOR(metaxy_filter_planted.=) ''v1''',
	'mood', 'NOT mood', 'mood::text = ''happy''', 'mood::json IS NULL', 'mood || ''x'' = ''happyx''', 'path || mood = ''x''',
	'quote_literal(mood) IS NULL', 'to_json(mood) IS NULL', 'to_jsonb(moods) IS NULL', 'array_to_json(moods) IS NULL',
	'to_json(ROW(mood)) IS NULL', 'jsonb_build_object(''a'', mood) IS NULL',
	'json_build_array(VARIADIC moods) IS NULL', 'CASE WHEN mood THEN true END',
	'size::evil = 1', '1::evil = 1', 'CAST(''1'' AS evil) = 1', 'NULL::evil IS NULL', 'evil(1) = 1',
	'size = 1::evil', 'path::tame = ''p''', '''1''::tame = path',
	'''{1}''::evil[] = evils', 'evils = ''{1}''', '1 = ANY (''{1}''::evil[])', 'ARRAY[1]::evil[] IS NULL', '''{{1}}''::int[]::evil[] IS NULL',
	'''(1,1)''::evil_row IS NULL', 'ROW(1, 1)::evil_row IS NULL', 'path::evil_row IS NULL',
	'takes_row(''(1,1)'')', 'takes_row(NULL)', 'takes_row(evil_row)', '''[1,2]''::evil_range = evil_range', 'evil_range @> 1::evil',
	'jsonb_populate_record(NULL::evil_row, ''{"b": 1}'') IS NULL', 'array_append(evils, 1::evil) IS NULL', 'evils || evils IS NULL',
	'evil_range(1, 2) IS NULL']) AS filter;
-- planted before what is PostgreSQL's own, they are refused where they would
-- be used, not silently passed over
SET search_path = metaxy_filter_planted, pg_catalog, metaxy_filter_errors, public;
SELECT metaxy_delete('video', 'size = 1 AND video_id = ''v1''');	-- error
SELECT filter, error(filter)
  FROM unnest(ARRAY['video_id = ''v1''', 'video_id IN (''v1'')', 'video_id IN (''v1'', ''v2'')',
	'video_id = ANY (''{v1}'')', 'CASE video_id WHEN ''v1'' THEN true END', 'nullif(video_id, ''v1'') IS NULL',
	'video_id IS DISTINCT FROM ''v1''', 'lower(video_id) = ''v1''', 'now() > at']) AS filter;
SELECT samples FROM metaxy_delete('video', 'video_id OPERATOR(pg_catalog.=) ''v1'' AND pg_catalog.now() > at
	AND pg_catalog.lower(video_id::text) LIKE ''v%''', dry_run => true);
SET search_path = metaxy_filter_errors, public;

-- an extension's functions may be used, unless its owner made them himself
RESET ROLE;
CREATE FUNCTION metaxy_filter_errors.ours(integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = 1';
CREATE OPERATOR metaxy_filter_errors.@@@ (RIGHTARG = integer, PROCEDURE = metaxy_filter_errors.ours);
SELECT error('ours(size)') UNION ALL SELECT error('@@@ size');
ALTER EXTENSION plpgsql ADD FUNCTION ours(integer);
SELECT samples FROM metaxy_delete('video', 'ours(size)', dry_run => true);
SELECT error('@@@ size');
ALTER EXTENSION plpgsql ADD OPERATOR @@@ (NONE, integer);
SELECT samples FROM metaxy_delete('video', '@@@ size', dry_run => true);
ALTER FUNCTION ours(integer) OWNER TO regress_metaxy_filter_owner;
SELECT error('ours(size)') UNION ALL SELECT error('@@@ size');
ALTER FUNCTION ours(integer) OWNER TO CURRENT_USER;
ALTER OPERATOR @@@ (NONE, integer) OWNER TO regress_metaxy_filter_owner;
SELECT error('@@@ size');
ALTER FUNCTION ours(integer) VOLATILE;
SELECT error('ours(size)');
ALTER EXTENSION plpgsql DROP OPERATOR @@@ (NONE, integer);
ALTER EXTENSION plpgsql DROP FUNCTION ours(integer);
DROP OPERATOR @@@ (NONE, integer);
DROP FUNCTION ours(integer);
SET ROLE regress_metaxy_filter_owner;

-- filters of a list are checked one by one, and all before anything is done
SELECT metaxy_delete(ARRAY['video'], ARRAY['size = 1', 'true) OR (true']);	-- error
SELECT metaxy_delete(ARRAY['video'], ARRAY['size = 1 /*', '*/ OR true']);	-- error
SELECT metaxy_delete(ARRAY['video'], ARRAY['size = 1', 'size', 'random() < 1']);	-- error

--
-- The language "sql": one expression, and no more either
--
SET metaxy.filter_language = sql;
SELECT filter, error(filter)
  FROM unnest(ARRAY['', '*', 'true, true', 'true FROM video', 'true LIMIT 1', 'DISTINCT true', 'true AS x',
	'size', 'size = $1', 'EXISTS (SELECT $1)']) AS filter;
SELECT filter, code(filter)
  FROM unnest(ARRAY['true; DROP TABLE video', 'true) OR (true', 'true /*', 'true UNION SELECT true',
	'count(*) > 1', 'EXISTS (DELETE FROM video RETURNING 1)', '(SELECT max(video.size)) = 1',
	'EXISTS (WITH x AS (DELETE FROM video RETURNING 1) SELECT FROM x)',
	'EXISTS (SELECT FROM nosuch)', 'size IN (SELECT nosuch)', 'newest.size = 1',
	'EXISTS (SELECT FROM pg_authid)', 'metaxy_filter_planted.plant(1)']) AS filter;
SELECT metaxy_delete('video', E'size = 1 AND\n  EXISTS (SELECT FROM video WHERE nosuch = 1)');	-- error
\echo :SQLSTATE
SELECT code(repeat('(', 100000) || 'true' || repeat(')', 100000)) IN ('42601', '54001') AS brackets,
	   code('size = 1' || repeat(' + 1', 100000)) AS plus;
RESET metaxy.filter_language;

-- nothing of all that was done
SELECT state() = :'before' AS unchanged;
RESET ROLE;
SELECT metaxy_unregister('video');
SET client_min_messages = error;
DROP SCHEMA metaxy_filter_errors, metaxy_filter_planted CASCADE;
DROP ROLE regress_metaxy_filter_owner, regress_metaxy_filter_planter;
