--
-- metaxy_read: what it returns, from which tables, and to whom
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_reader;
CREATE SCHEMA metaxy_read AUTHORIZATION regress_metaxy_owner;
GRANT USAGE ON SCHEMA metaxy_read TO regress_metaxy_reader;
SET search_path = metaxy_read, public;
SET ROLE regress_metaxy_owner;

SELECT provolatile, proparallel, proisstrict, proretset, prosecdef,
	obj_description(oid, 'pg_proc') IS NOT NULL AS commented
  FROM pg_proc WHERE proname = 'metaxy_read';

--
-- The switches, on one versioned table: which rows, and in what state
--
CREATE TABLE video (video_id text, n int, metaxy_feature_version text, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
INSERT INTO video (video_id, n, metaxy_feature_version, metaxy_updated_at, metaxy_deleted_at) VALUES
	('both', 1, 'v1', '2024-01-01', NULL), ('both', 2, 'v1', '2024-01-02', NULL),
	('both', 3, 'v2', '2024-01-03', NULL), ('both', 4, 'v2', '2024-01-04', NULL),
	('old', 5, 'v1', '2024-01-01', NULL), ('new', 6, 'v2', '2024-01-03', NULL),
	('gone new', 7, 'v1', '2024-01-01', NULL), ('gone new', 8, 'v2', '2024-01-03', NULL),
	('gone new', 8, 'v2', '2024-01-03', '2024-01-04'),
	('gone old', 9, 'v1', '2024-01-01', NULL), ('gone old', 9, 'v1', '2024-01-01', '2024-01-02'),
	('gone old', 10, 'v2', '2024-01-03', NULL),
	('back', 11, 'v2', '2024-01-01', NULL), ('back', 11, 'v2', '2024-01-01', '2024-01-02'), ('back', 12, 'v2', '2024-01-03', NULL),
	('late old', 13, 'v2', '2024-01-03', NULL), ('late old', 14, 'v1', '2024-01-05', NULL);
SELECT metaxy_register('video', 'video', '{video_id}', 'v2');
-- rows by their numbers, tombstones in brackets
CREATE FUNCTION rows(VARIADIC switches text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT string_agg(CASE WHEN metaxy_deleted_at IS NULL THEN n::text ELSE ''('' || n || '')'' END, '' ''
			ORDER BY n, metaxy_deleted_at DESC)
		FROM metaxy_read(' || array_to_string('{NULL::video}' || switches, ', ') || ')' INTO result;
	RETURN result;
END $$;
SELECT rows(VARIADIC '{}');
SELECT rows('include_soft_deleted => true');
SELECT rows('only_soft_deleted => true');
SELECT rows('with_feature_history => true');
SELECT rows('with_feature_history => true', 'include_soft_deleted => true');
SELECT rows('with_feature_history => true', 'only_soft_deleted => true');
SELECT rows('with_sample_history => true');
SELECT rows('with_sample_history => true', 'include_soft_deleted => true');
SELECT rows('with_sample_history => true', 'only_soft_deleted => true');
SELECT rows('with_sample_history => true', 'with_feature_history => true');
SELECT rows('with_sample_history => true', 'with_feature_history => true', 'include_soft_deleted => true');
SELECT rows('with_sample_history => true', 'with_feature_history => true', 'only_soft_deleted => true');
SELECT rows($$feature_version => 'v1'$$);
SELECT rows($$feature_version => 'v1'$$, 'only_soft_deleted => true');
SELECT rows($$feature_version => 'v1'$$, 'with_sample_history => true');
SELECT rows($$feature_version => 'v2'$$);
SELECT rows($$feature_version => 'v3'$$) IS NULL AS none;
SELECT rows($$as_of => '2024-01-03'$$);
SELECT rows($$as_of => '2024-01-02 23:59:59.999999'$$);
SELECT rows($$as_of => '2024-01-02 23:59:59.999999'$$, 'only_soft_deleted => true', 'with_feature_history => true');
SELECT rows($$as_of => '2023-01-01'$$, 'include_soft_deleted => true', 'with_feature_history => true') IS NULL AS none;
SELECT rows('as_of => now()') = rows(VARIADIC '{}') AS same,
	rows('as_of => clock_timestamp()') = rows(VARIADIC '{}') AS same,
	rows('as_of => NULL', 'filter => NULL', 'feature_version => NULL') = rows(VARIADIC '{}') AS same;

-- the filter comes last, when it is known which rows count
SELECT rows($$'n = 3'$$) IS NULL AS none, rows($$'n = 3'$$, 'with_sample_history => true') AS history;
SELECT rows($$'n = 8'$$) IS NULL AS none, rows($$'n = 8'$$, 'include_soft_deleted => true') AS deleted;
SELECT rows($$'metaxy_deleted_at IS NULL'$$, 'include_soft_deleted => true');
SELECT rows($$'video.n % 2 = 0 AND video_id <> ''new'''$$);
SELECT rows($$'NULL'$$) IS NULL AS none, rows($$'NULLIF(n, 4) > 0'$$) AS not_null;
SELECT rows($$'metaxy_feature_version = ''v1'''$$) IS NULL AS none;
-- one bracket more or less does not change what it is
SELECT rows($$'n = 4 OR n = 6'$$, $$as_of => '2024-01-03'$$);
-- in the language "sql" it may look elsewhere, not into our query
SET metaxy.filter_language = 'sql';
SELECT rows($$'n = (SELECT max(n) FROM video_active)'$$);
SELECT rows($$'EXISTS (SELECT FROM video AS later WHERE later.n = video.n + 1)'$$);
RESET metaxy.filter_language;

--
-- Ways to call it
--
SELECT * FROM metaxy_read(NULL::video) WHERE n > 4 ORDER BY n;
SELECT * FROM metaxy_read(row_type => NULL::metaxy_read.video, filter => 'n = 6');
SELECT metaxy_read(NULL::video, 'n = 6');
SELECT (metaxy_read(NULL::video, 'n = 6')).*;
SELECT n, metaxy_read(NULL::video, 'n = 6') IS NULL AS is_null FROM generate_series(1, 2) AS n;
SELECT sum(o), string_agg(v.n::text, ' ' ORDER BY v.n) FROM metaxy_read(NULL::video, 'n < 7') WITH ORDINALITY AS v (id, n, v, c, u, d, o);
SELECT * FROM ROWS FROM (generate_series(1, 2), metaxy_read(NULL::video, 'n = 6')) AS r (i, id, n);
-- for each row, also with a row for its type
SELECT v.video_id, r.n FROM video AS v, metaxy_read(v, format('video_id = %L', v.video_id), as_of => v.metaxy_updated_at) AS r
 WHERE v.metaxy_feature_version = 'v2' AND v.metaxy_deleted_at IS NULL ORDER BY 1, 2;
-- joined with itself and with a view
SELECT count(*) FROM metaxy_read(NULL::video) AS a JOIN metaxy_read(NULL::video, as_of => '2024-01-03') AS b USING (video_id)
  JOIN video_active USING (video_id);
CREATE VIEW old_video AS SELECT * FROM metaxy_read(NULL::video, feature_version => 'v1');
SELECT string_agg(n::text, ' ' ORDER BY n) FROM old_video;
CREATE FUNCTION old_rows() RETURNS SETOF video LANGUAGE sql STABLE AS
	$$SELECT * FROM metaxy_read(NULL::video, feature_version => 'v1')$$;
SELECT string_agg(n::text, ' ' ORDER BY n) FROM old_rows();
SELECT count(*) FROM (SELECT * FROM metaxy_read(NULL::video) LIMIT 1) AS one;
-- its result is a row of the table's type
SELECT pg_typeof(r) FROM metaxy_read(NULL::video) AS r LIMIT 1;

-- a cursor, forwards and backwards, and one that outlives its transaction
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT n FROM metaxy_read(NULL::video, 'n = 4');
FETCH ALL c;
FETCH PRIOR c;
DECLARE h CURSOR WITH HOLD FOR SELECT n FROM metaxy_read(NULL::video, 'n < 7') ORDER BY n;
COMMIT;
FETCH ALL h;
CLOSE h;

-- Under the snapshot of its query: a row that the same query writes is seen by
-- the next one.
BEGIN READ ONLY;
SELECT rows(VARIADIC '{}');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT count(*) FROM metaxy_read(NULL::video, include_soft_deleted => true);
COMMIT;
BEGIN;
WITH written AS (INSERT INTO video VALUES ('newest', 99, 'v2', now(), now()) RETURNING n)
SELECT (SELECT count(*) FROM written) AS written,
	(SELECT count(*) FROM metaxy_read(NULL::video, 'n = 99')) AS found;
SELECT count(*) FROM metaxy_read(NULL::video, 'n = 99');
SELECT samples FROM metaxy_delete('video', 'n = 99');
SELECT count(*) FROM metaxy_read(NULL::video, 'n = 99');
SELECT count(*) FROM metaxy_read(NULL::video, 'n = 99', only_soft_deleted => true);
ROLLBACK;

-- Prepared, it follows what becomes of the table and of the feature.
PREPARE latest AS SELECT to_jsonb(r) - '{metaxy_created_at,metaxy_updated_at}'::text[] AS row FROM metaxy_read(NULL::video, 'video_id = ''both''') AS r;
EXECUTE latest;
DROP VIEW old_video;
ALTER TABLE video ADD COLUMN more text DEFAULT 'm';
EXECUTE latest;
SELECT metaxy_views('video', false);
ALTER TABLE video DROP COLUMN n;
EXECUTE latest;
ALTER TABLE video ADD COLUMN n int;
EXECUTE latest;
ALTER TABLE video ALTER more TYPE varchar(3);
EXECUTE latest;
SELECT metaxy_register('video', 'video', '{video_id}', 'v1', false);
EXECUTE latest;
SELECT metaxy_unregister('video');
EXECUTE latest;	-- error
SELECT metaxy_register('film', 'video', '{video_id}', 'v2', false);
EXECUTE latest;
ALTER TABLE video RENAME TO film;
EXECUTE latest;
SELECT count(*) FROM metaxy_read(NULL::film, 'film.video_id = ''both''');
SELECT metaxy_unregister('film');
DROP TABLE film CASCADE;

--
-- Kinds of tables.  Each has a column "id" with the samples a, b and c, of
-- which c is deleted.
--
-- "t" is registered, and read in all ways; the rows, as texts, and the columns
-- must be those of plain SQL.
CREATE FUNCTION check_read(t regclass, ids text DEFAULT 'id') RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
	wanted text[];
	found text[];
	flags record;
BEGIN
	PERFORM metaxy_register(t::text, t, ('{' || ids || '}')::text[], views => false);
	FOR flags IN SELECT * FROM (VALUES
		('', false, 'metaxy_deleted_at IS NULL', 2),
		(', include_soft_deleted => true', false, 'true', 3),
		(', only_soft_deleted => true', false, 'metaxy_deleted_at IS NOT NULL', 1),
		(', with_sample_history => true', true, 'metaxy_deleted_at IS NULL', 9),
		(', as_of => ''2024-01-01 02:00''', false, 'metaxy_updated_at = ''2024-01-01 02:00''', 3),
		(', filter => ''id::text = $$a$$''', false, 'id::text = $$a$$ AND metaxy_deleted_at IS NULL', 1)) AS f (arguments, history, filter, n)
	LOOP
		EXECUTE format('SELECT array_agg("a row"::text ORDER BY "a row"::text) FROM (
			SELECT %s %s.* FROM %2$s %s ORDER BY %s, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC) AS "a row" WHERE %s',
			CASE WHEN flags.history THEN '' ELSE 'DISTINCT ON (' || ids || ')' END, t,
			CASE WHEN flags.arguments LIKE '%as_of%' THEN 'WHERE coalesce(metaxy_deleted_at, metaxy_updated_at) <= ''2024-01-01 02:00''' ELSE '' END,
			ids, flags.filter) INTO wanted;
		IF cardinality(wanted) IS DISTINCT FROM flags.n THEN RETURN format('%s rows wanted%s', cardinality(wanted), flags.arguments); END IF;
		EXECUTE format('SELECT array_agg("a row"::text ORDER BY "a row"::text) FROM metaxy_read(NULL::%s%s) AS "a row"', t, flags.arguments) INTO found;
		IF found IS DISTINCT FROM wanted THEN RETURN format('FROM%s: %s instead of %s', flags.arguments, found, wanted); END IF;
		EXECUTE format('SELECT array_agg(x.r::text ORDER BY x.r::text) FROM (SELECT metaxy_read(NULL::%s%s)) AS x (r)', t, flags.arguments) INTO found;
		IF found IS DISTINCT FROM wanted THEN RETURN format('SELECT%s: %s instead of %s', flags.arguments, found, wanted); END IF;
		EXECUTE format('SELECT array_agg("a row"::text ORDER BY "a row"::text) FROM (SELECT * FROM metaxy_read(NULL::%s%s)) AS "a row"', t, flags.arguments) INTO found;
		IF found IS DISTINCT FROM wanted THEN RETURN format('*%s: %s instead of %s', flags.arguments, found, wanted); END IF;
	END LOOP;
	EXECUTE format('CREATE TABLE copy AS SELECT * FROM metaxy_read(NULL::%s)', t);
	SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attcollation) ORDER BY attnum) INTO wanted
	  FROM pg_attribute WHERE attrelid = t AND attnum > 0 AND NOT attisdropped;
	SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attcollation) ORDER BY attnum) INTO found
	  FROM pg_attribute WHERE attrelid = 'copy'::regclass AND attnum > 0;
	DROP TABLE copy;
	IF found <> wanted THEN RETURN format('columns: %s instead of %s', found, wanted); END IF;
	PERFORM metaxy_unregister(t::text);
	EXECUTE format('DROP %s TABLE %s', CASE WHEN relkind = 'f' THEN 'FOREIGN' END, t) FROM pg_class WHERE oid = t;
	RETURN 'ok';
END $body$;
CREATE TABLE base (id text, data text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
INSERT INTO base
SELECT id, id || v, '2024-01-01', '2024-01-01'::timestamptz + v * interval '1 hour',
	CASE WHEN v = 4 THEN '2024-01-01 04:00'::timestamptz END
  FROM unnest('{a,b,c}'::text[]) AS id, generate_series(1, 4) AS v WHERE id = 'c' OR v < 4;

CREATE TABLE plain (LIKE base);
INSERT INTO plain SELECT * FROM base;
SELECT check_read('plain');
CREATE UNLOGGED TABLE unlogged (LIKE base);
INSERT INTO unlogged SELECT * FROM base;
SELECT check_read('unlogged');
RESET ROLE;
CREATE TEMP TABLE temporary (LIKE base);
INSERT INTO temporary SELECT * FROM base;
SELECT check_read('temporary');
SET ROLE regress_metaxy_owner;

-- columns that were dropped: first, last, in between; and added
CREATE TABLE dropped (a integer, b point, LIKE base, "char" "char", z text);
ALTER TABLE dropped DROP COLUMN a, DROP COLUMN z;
INSERT INTO dropped SELECT NULL, base.* FROM base;
ALTER TABLE dropped DROP COLUMN b, DROP COLUMN "char", ADD COLUMN added integer DEFAULT 7, DROP COLUMN data, ADD COLUMN data text;
SELECT check_read('dropped');

-- partitions, with columns in another order
CREATE TABLE listed (LIKE base) PARTITION BY LIST (data);
CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN ('a1', 'b2', 'c3');
CREATE TABLE listed_2 PARTITION OF listed FOR VALUES IN ('a2', 'a3', 'c1') PARTITION BY RANGE (id);
CREATE TABLE listed_2a PARTITION OF listed_2 DEFAULT;
CREATE TABLE listed_z (was_here text, metaxy_deleted_at timestamptz, data text,
	metaxy_updated_at timestamptz, gone text, metaxy_created_at timestamptz, id text);
ALTER TABLE listed_z DROP COLUMN was_here, DROP COLUMN gone;
ALTER TABLE listed ATTACH PARTITION listed_z DEFAULT;
ALTER TABLE listed ADD COLUMN passing int, ADD COLUMN stays int DEFAULT 3;
INSERT INTO listed SELECT * FROM base;
ALTER TABLE listed DROP COLUMN passing;
SELECT check_read('listed');
-- a table that was registered before it became a partition is one of its own
CREATE TABLE alone (LIKE base);
INSERT INTO alone SELECT * FROM base;
CREATE TABLE whole (LIKE base) PARTITION BY LIST (id);
SELECT metaxy_register('alone', 'alone', '{id}', views => false);
ALTER TABLE whole ALTER id SET NOT NULL, ALTER metaxy_created_at SET NOT NULL, ALTER metaxy_updated_at SET NOT NULL;
ALTER TABLE whole ATTACH PARTITION alone DEFAULT;
SELECT count(*) FROM metaxy_read(NULL::alone);
SELECT metaxy_unregister('alone');
DROP TABLE whole;

-- one that others came to inherit from
CREATE TABLE parent (LIKE base);
INSERT INTO parent SELECT * FROM base;
SELECT metaxy_register('parent', 'parent', '{id}', views => false);
CREATE TABLE child (more integer DEFAULT 1) INHERITS (parent);
SELECT count(*) FROM metaxy_read(NULL::parent);
SELECT metaxy_unregister('parent');
DROP TABLE parent CASCADE;

-- columns that are made
CREATE TABLE generated (twice text GENERATED ALWAYS AS (data || data) STORED, LIKE base,
	id_too text GENERATED ALWAYS AS (upper(id)) STORED);
INSERT INTO generated (id, data, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at) SELECT * FROM base;
SELECT check_read('generated');
CREATE TABLE identities (LIKE base, a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	d bigint GENERATED BY DEFAULT AS IDENTITY, s serial);
INSERT INTO identities SELECT * FROM base;
SELECT check_read('identities');

-- types of columns, NULLs, values out of line and compressed
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
CREATE DOMAIN pair_domain AS pair CHECK ((VALUE).x > 0);
CREATE TABLE types (LIKE base, n text DEFAULT 'not this', j jsonb, b bytea, big text, external text,
	m mood, ms mood[], p pair, ps pair[], d short, ds short[], pd pair_domain, r int4range, mr datemultirange,
	v tsvector, x xml, js json, c "char", i interval, bits varbit, net cidr, pt point, f real, a2 integer[][],
	vc varchar(5), bc char(5), num numeric(7,2), ts timestamp(0), co text COLLATE "C", bt bit(3), name name, row base);
ALTER TABLE types ALTER external SET STORAGE EXTERNAL;
INSERT INTO types
SELECT base.*, NULL, '{"a": [1, null], "b": 1.10}', '\x00ff00', repeat(md5(data), 400),
	repeat(md5(data), 400), 'sad', '{ok,NULL}', '(1,"a ""b""")', '{"(1,)",NULL}', 'short', '{a,b}', '(1,)',
	'[1,5)', '{[2024-01-01,2024-02-01)}', 'a:1 b:2A', '<a/>', '{"b":1,  "a":1, "a":2}', 'q',
	'1 mon -1 day', B'101', '10/8', '(1,2)', 'NaN', '[0:1][2:3]={{1,2},{3,NULL}}',
	'abc', 'abc', 12345.67, '2024-01-01', 'c', B'101', 'name', base
  FROM base;
INSERT INTO types (id, data, metaxy_created_at, metaxy_updated_at, n)
SELECT 'a', NULL, '2024-01-01', '2024-01-01 03:30', NULL;
DELETE FROM types WHERE id = 'a' AND data = 'a1';
SELECT check_read('types');
CREATE TABLE ids (LIKE base, a pair, b mood[], c numeric, "d e" date);
ALTER TABLE ids ALTER id TYPE short;
INSERT INTO ids SELECT base.*, '(1,)', '{ok}', 1.0 + random() * 0, '2024-01-01' FROM base;
SELECT check_read('ids', 'id, a, b, c, "d e"');

-- values out of line are whole wherever they go, after the rows are gone too
CREATE TABLE toasted (LIKE base, big text);
ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT 'a', 'x', now(), now(), NULL, repeat('0123456789', 10000);
SELECT metaxy_register('toasted', 'toasted', '{id}', views => false);
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT metaxy_read(NULL::toasted), * FROM metaxy_read(NULL::toasted);
COMMIT;
CREATE TABLE toasted_copy AS SELECT r, r.* FROM metaxy_read(NULL::toasted) AS r;
DELETE FROM toasted;
VACUUM toasted;
SELECT big = repeat('0123456789', 10000) AS whole, (r).big = big AS whole FROM toasted_copy;
\o /dev/null
FETCH ALL h;
\o
\echo :ROW_COUNT rows, :SQLSTATE
CLOSE h;
SELECT metaxy_unregister('toasted');
DROP TABLE toasted_copy, toasted;

-- as many columns as can be
DO $$
BEGIN
	EXECUTE 'CREATE TABLE wide (LIKE base, ' ||
		(SELECT string_agg(format('c%s smallint', i), ', ') FROM generate_series(1, 1595) AS i) || ')';
END $$;
INSERT INTO wide (id, data, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at, c2, c1595) SELECT base.*, 2, 1595 FROM base;
SELECT metaxy_register('wide', 'wide', '{id}', views => false);
SELECT r.id, c1595, r::text = w::text AS same FROM metaxy_read(NULL::wide) AS r JOIN wide AS w USING (data, c1595) ORDER BY 1;
SELECT metaxy_unregister('wide');
DROP TABLE wide;

-- look-alikes of system columns and of ours; the table's name as a column, and
-- that which we use beside it
CREATE TABLE alike (LIKE base, "Ctid" text, "TABLEOID" text, "xmin " text, alike text, r text, row_type text, later text,
	"metaxy_Deleted_at" timestamptz, metaxy_deleted_at_ timestamptz, tid tid, oid oid, "%s $1 """ text);
INSERT INTO alike SELECT base.*, '(0,1)', '1', '1', 'alike', 'r', 'rt', 'later', now(), now(), '(0,1)', 1, '%' FROM base;
SELECT check_read('alike');
CREATE TABLE later (LIKE base);
INSERT INTO later SELECT * FROM base;
SELECT check_read('later');
CREATE TABLE "select ""%s"" $1; --" (LIKE base, "select ""%s"" $1; --" text);
INSERT INTO "select ""%s"" $1; --" SELECT * FROM base;
SELECT check_read('"select ""%s"" $1; --"');
CREATE TABLE "T" (LIKE base, "T" text);
INSERT INTO "T" SELECT base.*, 't' FROM base;
SELECT check_read('"T"', 'id, "T"');

-- a foreign table
RESET ROLE;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
DO $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE far (id text NOT NULL, data text, metaxy_created_at timestamptz NOT NULL, metaxy_updated_at timestamptz NOT NULL,
			metaxy_deleted_at timestamptz) SERVER files OPTIONS (format ''csv'', program %L)',
		(SELECT format('printf ''%%s'' ''%s''', string_agg(replace(trim(base::text, '()'), '"', ''), E'\n')) FROM base));
END $$;
ALTER FOREIGN TABLE far ADD COLUMN gone int;
ALTER FOREIGN TABLE far DROP COLUMN gone;
SELECT check_read('far');
DROP EXTENSION file_fdw CASCADE;
SET ROLE regress_metaxy_owner;

-- no rows at all
CREATE TABLE empty (LIKE base);
SELECT metaxy_register('empty', 'empty', '{id}', views => false);
SELECT * FROM metaxy_read(NULL::empty);
SELECT metaxy_unregister('empty');
DROP TABLE empty;

--
-- Rights on the table alone decide
--
CREATE TABLE secret (id text, data text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
INSERT INTO secret SELECT * FROM base;
SELECT metaxy_register('secret', 'secret', '{id}');
CREATE FUNCTION read_secret() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = metaxy_read, public
	AS 'SELECT count(*) FROM metaxy_read(NULL::secret)';
SET ROLE regress_metaxy_reader;
SELECT * FROM metaxy_read(NULL::secret);	-- error
SELECT * FROM metaxy_read(NULL::secret, 'no_such_column = 1');	-- error
SELECT read_secret();
SET ROLE regress_metaxy_owner;
GRANT SELECT (id, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at) ON secret TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
SELECT id FROM metaxy_read(NULL::secret);	-- error
SET ROLE regress_metaxy_owner;
GRANT SELECT ON secret TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
SELECT id, data FROM metaxy_read(NULL::secret, as_of => '2024-01-02') ORDER BY id;
-- prepared, it asks anew each time
PREPARE mine AS SELECT count(*) FROM metaxy_read(NULL::metaxy_read.secret);
EXECUTE mine;
RESET ROLE;
REVOKE USAGE ON SCHEMA metaxy_read FROM regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
EXECUTE mine;	-- error
RESET ROLE;
GRANT USAGE ON SCHEMA metaxy_read TO regress_metaxy_reader;

-- policies apply, as in plain SQL: also to what makes a row an old one
SET ROLE regress_metaxy_owner;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (data IN ('a1', 'a2', 'b3', 'c3'));
SET ROLE regress_metaxy_reader;
SELECT id, data FROM metaxy_read(NULL::secret) ORDER BY id;
SELECT id, data FROM secret_active ORDER BY id;
SELECT id, data FROM metaxy_read(NULL::secret, with_sample_history => true, include_soft_deleted => true) ORDER BY data;
SET row_security = off;
SELECT id, data FROM metaxy_read(NULL::secret);	-- error
RESET row_security;
SET ROLE regress_metaxy_owner;
SELECT id, data FROM metaxy_read(NULL::secret) ORDER BY id;
REVOKE SELECT ON secret FROM regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
EXECUTE mine;	-- error
RESET ROLE;
-- its owner too needs the right
REVOKE SELECT ON secret FROM regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
SELECT * FROM metaxy_read(NULL::secret);	-- error

-- An operator or a function that somebody planted is not taken for the
-- server's.
RESET ROLE;
CREATE SCHEMA planted;
CREATE FUNCTION planted.never(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'captured'; END$$;
CREATE OPERATOR planted.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = planted.never);
CREATE OPERATOR planted.> (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = planted.never);
CREATE FUNCTION planted.never(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'captured'; END$$;
CREATE OPERATOR planted.= (LEFTARG = text, RIGHTARG = text, FUNCTION = planted.never);
CREATE DOMAIN planted.int4 AS text;
SELECT metaxy_register('secret', 'secret', '{id}', '1', false, replace => true);
SET search_path = planted, pg_catalog, metaxy_read, public;
SELECT count(*) FROM metaxy_read(NULL::secret, as_of => '2024-01-02');
SELECT count(*) FROM metaxy_read(NULL::secret, as_of => '2024-01-02', with_sample_history => true);
SET search_path = metaxy_read, public;
DROP SCHEMA planted CASCADE;

SELECT metaxy_unregister('secret');
DROP SCHEMA metaxy_read CASCADE;
DROP ROLE regress_metaxy_reader, regress_metaxy_owner;
