--
-- The view of active samples over unusual tables: kinds of tables, columns,
-- types of ids and data
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_active;
CREATE ROLE regress_metaxy_active;
CREATE SCHEMA metaxy_active AUTHORIZATION regress_metaxy_active;
CREATE EXTENSION citext SCHEMA public;
SET search_path = metaxy_active, public;
SET ROLE regress_metaxy_active;

-- Takes a feature table whose column "id" has samples a, b and c, and whose
-- column "data" can be changed: updates a, deletes b, inserts d, and goes
-- through several commands of one statement.  What RETURNING shows must be
-- what is in the table, and no row that was there may change or go.
CREATE FUNCTION check_table(t regclass, fresh text[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	key text := (SELECT feature FROM metaxy_feature WHERE relation = t);
	active text := (SELECT active_view::text FROM metaxy_feature WHERE relation = t);
	all_rows text := format('SELECT jsonb_object_agg(tableoid::text || ctid || xmin, to_jsonb(whole_row)) FROM %s AS whole_row', t);
	latest text := format($f$SELECT to_jsonb(whole_row) FROM %s AS whole_row WHERE id = $1
		ORDER BY coalesce(metaxy_deleted_at, metaxy_updated_at) DESC, metaxy_deleted_at IS NULL LIMIT 1$f$, t);
	unlike text[] := fresh || '{metaxy_created_at,metaxy_updated_at,metaxy_deleted_at}'::text[];
	before jsonb;
	after jsonb;
	old jsonb;
	given jsonb;
	found jsonb;
	n bigint;
	ids text;
BEGIN
	EXECUTE all_rows INTO before;

	EXECUTE latest INTO old USING 'a'::text;
	EXECUTE format($f$UPDATE %s AS whole_row SET data = 'new' WHERE id = 'a' RETURNING to_jsonb(whole_row)$f$, active) INTO given;
	EXECUTE latest INTO found USING 'a'::text;
	IF given <> found THEN RETURN 'update: returned ' || given::text; END IF;
	IF found->>'data' <> 'new' OR found->>'metaxy_created_at' <> old->>'metaxy_created_at' OR
	   found - unlike - '{data,twice}'::text[] <> old - unlike - '{data,twice}'::text[]
	THEN RETURN 'update: ' || found::text; END IF;

	EXECUTE latest INTO old USING 'b'::text;
	EXECUTE format($f$DELETE FROM %s AS whole_row WHERE id = 'b' RETURNING to_jsonb(whole_row)$f$, active) INTO given;
	EXECUTE latest INTO found USING 'b'::text;
	IF given <> old THEN RETURN 'delete: returned ' || given::text; END IF;
	IF found->>'metaxy_deleted_at' IS NULL OR
	   found - fresh - 'metaxy_deleted_at' <> old - fresh - 'metaxy_deleted_at'::text
	THEN RETURN 'delete: ' || found::text; END IF;

	EXECUTE format($f$INSERT INTO %s AS whole_row (id, data) VALUES ('d', 'new') RETURNING to_jsonb(whole_row)$f$, active) INTO given;
	EXECUTE latest INTO found USING 'd'::text;
	IF given <> found OR found->>'metaxy_created_at' IS NULL THEN RETURN 'insert: returned ' || given::text; END IF;

	-- the same again, whole rows in one statement
	EXECUTE format($f$WITH gone AS (DELETE FROM %1$s WHERE id = 'a' RETURNING *),
		more AS (INSERT INTO %1$s (id, data) SELECT 'e', data FROM gone RETURNING *),
		other AS (UPDATE %1$s SET data = upper(data) WHERE id IN ('c', 'd') RETURNING *)
		SELECT count(*) FROM gone, more, other WHERE more.data = 'new'$f$, active) INTO n;
	IF n <> 2 THEN RETURN 'with: ' || n; END IF;

	EXECUTE all_rows INTO after;
	IF NOT after @> before THEN RETURN 'rows were changed'; END IF;
	n := (SELECT count(*) FROM jsonb_object_keys(after)) - (SELECT count(*) FROM jsonb_object_keys(before));
	IF n <> 7 THEN RETURN 'rows appended: ' || n; END IF;
	EXECUTE format('SELECT string_agg(id::text, '' '' ORDER BY id::text) FROM %s', active) INTO ids;
	IF ids <> 'c d e' THEN RETURN 'active are ' || ids; END IF;
	PERFORM metaxy_unregister(key);
	EXECUTE format('DROP TABLE %s', t);
	RETURN 'ok';
END $$;

-- what most of the tables below begin with, and their rows
CREATE TABLE base (id text, data text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
INSERT INTO base
SELECT id, id || v, '2024-01-01', '2024-01-01'::timestamptz + v * interval '1 hour'
  FROM unnest('{a,b,c}'::text[]) AS id, generate_series(1, 3) AS v;
CREATE FUNCTION fill(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET metaxy.stamp = off;
	EXECUTE format('INSERT INTO %s (id, data, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
		SELECT * FROM base', t);
	SET metaxy.stamp = on;
END $$;

--
-- Kinds of tables
--
CREATE TABLE plain (LIKE base);
SELECT metaxy_register('plain', 'plain', '{id}'), fill('plain');
SELECT check_table('plain');

CREATE UNLOGGED TABLE unlogged (LIKE base);
SELECT metaxy_register('unlogged', 'unlogged', '{id}'), fill('unlogged');
SELECT check_table('unlogged');

CREATE TEMP TABLE temporary (LIKE base);
SELECT metaxy_register('temporary', 'temporary', '{id}'), fill('temporary');
SELECT check_table('temporary');

-- by hash of the id; by list, with a default partition; beneath one another
CREATE TABLE hashed (LIKE base) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT metaxy_register('hashed', 'hashed', '{id}'), fill('hashed');
SELECT check_table('hashed');

-- an UPDATE that gives a new version another partition leaves the old one
CREATE TABLE listed (LIKE base) PARTITION BY LIST (data);
CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN ('a1', 'b2', 'c3');
CREATE TABLE listed_2 PARTITION OF listed FOR VALUES IN ('a2', 'a3', 'c1', 'new')
	PARTITION BY RANGE (id);
CREATE TABLE listed_2a PARTITION OF listed_2 FOR VALUES FROM ('a') TO ('b');
CREATE TABLE listed_2z PARTITION OF listed_2 DEFAULT;
-- columns in another order, and one that was dropped
CREATE TABLE listed_z (was_here text, metaxy_deleted_at timestamptz, data text,
	metaxy_updated_at timestamptz NOT NULL, gone text, metaxy_created_at timestamptz NOT NULL,
	id text NOT NULL);
ALTER TABLE listed_z DROP COLUMN was_here, DROP COLUMN gone;
ALTER TABLE listed ALTER id SET NOT NULL, ALTER metaxy_created_at SET NOT NULL,
	ALTER metaxy_updated_at SET NOT NULL;
ALTER TABLE listed ATTACH PARTITION listed_z DEFAULT;
SELECT metaxy_register('listed', 'listed', '{id}'), fill('listed');
SELECT check_table('listed');
-- a partition that a row would need is not there
CREATE TABLE narrow (LIKE base) PARTITION BY LIST (data);
CREATE TABLE narrow_x PARTITION OF narrow FOR VALUES IN ('x');
SELECT metaxy_register('narrow', 'narrow', '{id}');
INSERT INTO narrow_active (id, data) VALUES ('a', 'x'), ('b', 'x');
\set VERBOSITY sqlstate
INSERT INTO narrow_active (id, data) VALUES ('a', 'y');					-- error
UPDATE narrow_active SET data = id;										-- error
\set VERBOSITY default
UPDATE narrow_active SET data = 'x' WHERE id = 'a' RETURNING id;
SELECT id, count(*) FROM narrow GROUP BY 1 ORDER BY 1;
SELECT metaxy_unregister('narrow');
DROP TABLE narrow;

--
-- Columns that have values of their own in each row
--
CREATE TABLE generated (LIKE base, twice text GENERATED ALWAYS AS (data || data) STORED);
SELECT metaxy_register('generated', 'generated', '{id}'), fill('generated');
SELECT check_table('generated');

CREATE TABLE identities (LIKE base, a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	d bigint GENERATED BY DEFAULT AS IDENTITY);
SELECT metaxy_register('identities', 'identities', '{id}'), fill('identities');
SELECT check_table('identities', '{a,d}');

-- serials: alone in a unique index, in none, in a plain one
CREATE TABLE serials (LIKE base, u bigserial UNIQUE, s serial, p serial);
CREATE INDEX ON serials (p);
SELECT metaxy_register('serials', 'serials', '{id}'), fill('serials');
SELECT check_table('serials', '{u}');

-- they cannot be set
CREATE TABLE own (id text, size integer, a integer GENERATED ALWAYS AS IDENTITY,
	d integer GENERATED BY DEFAULT AS IDENTITY, u serial UNIQUE, g integer GENERATED ALWAYS AS (size + 1) STORED);
SELECT metaxy_register('own', 'own', '{id}');
INSERT INTO own_active (id, size) VALUES ('a', 1) RETURNING id, size, a, d, u, g;
INSERT INTO own_active (id, size, d, u, g) VALUES ('b', 1, 10, 10, 10) RETURNING id, size, a, d, u, g;
INSERT INTO own_active (id, size, a) VALUES ('c', 1, 10);				-- error
\echo :SQLSTATE
UPDATE own_active SET a = 10 WHERE id = 'a';							-- error
\echo :SQLSTATE
UPDATE own_active SET d = 10 WHERE id = 'a';							-- error
\echo :SQLSTATE
UPDATE own_active SET u = NULL WHERE id = 'a';							-- error
\echo :SQLSTATE
UPDATE own_active SET g = 10 WHERE id = 'a';							-- error
\echo :SQLSTATE
UPDATE own_active SET a = a, d = d, u = u, g = g, size = 2 WHERE id = 'a'
RETURNING id, size, a > 1 AS a, d > 1 AS d, u > 1 AS u, g;
DELETE FROM own_active WHERE id = 'a' RETURNING id, size, g;
SELECT id, size, g, metaxy_deleted_at IS NULL AS live FROM own ORDER BY a;
SELECT metaxy_unregister('own');
DROP TABLE own;

-- an identity that is the id stays, of either kind
CREATE TABLE always (id integer GENERATED ALWAYS AS IDENTITY, data text);
CREATE TABLE by_default (id integer GENERATED BY DEFAULT AS IDENTITY, data text);
CREATE TABLE serial (id serial, data text);
SELECT metaxy_register('always', 'always', '{id}'), metaxy_register('by_default', 'by_default', '{id}'),
	metaxy_register('serial', 'serial', '{id}');
INSERT INTO always_active (data) VALUES ('x'), ('y') RETURNING id, data;
INSERT INTO by_default_active (data) VALUES ('x'), ('y') RETURNING id, data;
INSERT INTO serial_active (id, data) VALUES (NULL, 'x'), (DEFAULT, 'y') RETURNING id, data;
INSERT INTO by_default_active (id, data) VALUES (10, 'z') RETURNING id, data;
INSERT INTO always_active (id, data) VALUES (10, 'z');					-- error
\echo :SQLSTATE
UPDATE always_active SET data = 'new' WHERE id = 1 RETURNING id, data;
UPDATE by_default_active SET data = 'new' WHERE id = 1 RETURNING id, data;
UPDATE serial_active SET data = 'new' WHERE id = 1 RETURNING id, data;
UPDATE always_active SET id = 7 WHERE id = 1;							-- error
\echo :SQLSTATE
DELETE FROM always_active WHERE id = 2 RETURNING id, data;
DELETE FROM by_default_active WHERE id = 2 RETURNING id, data;
DELETE FROM serial_active WHERE id = 2 RETURNING id, data;
SELECT id, a.data, b.data, s.data FROM always_active AS a FULL JOIN by_default_active AS b USING (id)
  FULL JOIN serial_active AS s USING (id) ORDER BY 1;
-- and the sequences go on where they were
INSERT INTO serial_active (data) VALUES ('x') RETURNING id;
SELECT metaxy_unregister('always'), metaxy_unregister('by_default'), metaxy_unregister('serial');
DROP TABLE always, by_default, serial;

CREATE TABLE dropped (a integer, LIKE base, z text);
ALTER TABLE dropped DROP COLUMN a, DROP COLUMN z;
ALTER TABLE dropped ADD COLUMN added integer DEFAULT 7, DROP COLUMN data, ADD COLUMN data text;
SELECT metaxy_register('dropped', 'dropped', '{id}'), fill('dropped');
SELECT check_table('dropped');

--
-- Data of all sorts, null and not, compressed and out of line
--
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
CREATE DOMAIN required AS text DEFAULT $$of the domain$$ NOT NULL;
CREATE TABLE values (LIKE base, n text DEFAULT 'not this', j jsonb, b bytea, big text, external text,
	m mood, ms mood[], p pair, ps pair[], d short, ds short[], r int4range, mr datemultirange,
	v tsvector, js json, c "char", i interval, bits varbit, net cidr, pt point, f real,
	a2 integer[][], req required, ch char(5), vc varchar(5), num numeric(5, 2));
ALTER TABLE values ALTER external SET STORAGE EXTERNAL;
SELECT metaxy_register('values', 'values', '{id}');
INSERT INTO values
SELECT id, data, metaxy_created_at, metaxy_updated_at, NULL, NULL, '{"a": [1, null], "b": 1.10}', '\x00ff00',
	repeat(md5(data), 4000), repeat(md5(data), 4000), 'sad', '{ok,NULL}', '(1,"a ""b""")', '{"(1,)",NULL}',
	'short', '{a,b}', '[1,5)', '{[2024-01-01,2024-02-01)}', 'a:1 b:2A', '{"b":1,  "a":1, "a":2}', 'q',
	'1 mon -1 day', B'101', '10/8', '(1,2)', 'NaN', '[0:1][2:3]={{1,2},{3,NULL}}', 'given', 'c', 'v', 1.5
  FROM base;
-- each column, one after the other: from what it is to null, and to another's
CREATE FUNCTION turn_about() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text;
	other text;
	n bigint;
BEGIN
	FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = 'values'::regclass AND attnum > 0
		AND attname !~ '^(id|metaxy_.*|req)$' ORDER BY attnum
	LOOP
		EXECUTE format('UPDATE values_active SET %1$I = NULL WHERE id = ''a'' RETURNING %1$I::text', name) INTO other;
		IF other IS NOT NULL THEN RETURN name || ' is ' || other; END IF;
		EXECUTE format('UPDATE values_active AS a SET %1$I = b.%1$I FROM values_active AS b
			WHERE a.id = ''a'' AND b.id = ''b'' RETURNING a.%1$I::text', name) INTO other;
		EXECUTE format('SELECT count(*) FROM values_active AS a, values_active AS b WHERE a.id = ''a'' AND b.id = ''b''
			AND a.%1$I::text IS NOT DISTINCT FROM b.%1$I::text AND a.%1$I::text IS NOT DISTINCT FROM $1', name) INTO n USING other;
		IF n <> 1 THEN RETURN name || ' is not ' || other; END IF;
	END LOOP;
	RETURN 'ok';
END $$;
SELECT turn_about();
INSERT INTO values_active (id, data, vc, num) VALUES ('n', 'x', 'long ', 1.234)
RETURNING id, n, req, vc, num, j;
INSERT INTO values_active (id, vc) VALUES ('n', 'too long');			-- error
\echo :SQLSTATE
UPDATE values_active SET d = 'longer than it may be' WHERE id = 'n';	-- error
\echo :SQLSTATE
UPDATE values_active SET p.x = 7, a2[1][3] = 9, ms[2] = 'sad' WHERE id = 'c' RETURNING p, a2, ms;
DELETE FROM values_active WHERE id = 'n';
SELECT check_table('values');
-- a new version has values of its own out of line, not those of its row
CREATE TABLE toasted (LIKE base, big text);
ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
SELECT metaxy_register('toasted', 'toasted', '{id}');
INSERT INTO toasted_active (id, data, big) VALUES ('a', 'x', repeat('0123456789', 10000));
UPDATE toasted_active SET data = 'y' RETURNING id, data, length(big);
DELETE FROM toasted WHERE data = 'x';
DELETE FROM toasted_active RETURNING length(big);
DELETE FROM toasted WHERE metaxy_deleted_at IS NULL;
VACUUM toasted;
SELECT length(big), big = repeat('0123456789', 10000) AS whole FROM toasted;
SELECT metaxy_unregister('toasted');
DROP TABLE toasted;

-- look-alikes of system columns and of ours
CREATE TABLE alike (LIKE base, "Ctid" text, "TABLEOID" text, "xmin " text, alike text,
	"metaxy_Deleted_at" timestamptz, metaxy_deleted_at_ timestamptz, tid tid, oid oid);
SELECT metaxy_register('alike', 'alike', '{id}'), fill('alike');
SELECT check_table('alike');

-- versioned, with all that Metaxy writes
CREATE TABLE of_metaxy (id varchar, data varchar, metaxy_provenance_by_field jsonb, metaxy_provenance varchar,
	metaxy_data_version_by_field jsonb, metaxy_data_version varchar, metaxy_feature_version varchar DEFAULT 'v',
	metaxy_project_version varchar, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz, metaxy_materialization_id varchar);
SELECT metaxy_register('of/metaxy', 'of_metaxy', '{id}', 'v'), fill('of_metaxy');
SELECT check_table('of_metaxy');
-- unversioned, with a column of that name: rows of all versions are one sample
CREATE TABLE unversioned (LIKE base, metaxy_feature_version text);
SELECT metaxy_register('unversioned', 'unversioned', '{id}'), fill('unversioned');
INSERT INTO unversioned_active (id, metaxy_feature_version) VALUES ('c', 'other') RETURNING metaxy_feature_version;
UPDATE unversioned_active SET metaxy_feature_version = 'another', data = 'x' WHERE id = 'c' RETURNING metaxy_feature_version;
SELECT check_table('unversioned');

--
-- Odd names
--
CREATE TABLE "a ""quoted"" table" ("the id" text, "a ""b"" 'c'" text, "select" integer DEFAULT 3,
	"column of sixty-three bytes, which is as many as a name can have" integer);
SELECT metaxy_register('odd', '"a ""quoted"" table"', '{"the id"}');
INSERT INTO "a ""quoted"" table_active" ("the id", "a ""b"" 'c'") VALUES ('a', 'x'), ('b''"\', 'y')
RETURNING "the id", "select";
UPDATE "a ""quoted"" table_active" SET "select" = 4,
	"column of sixty-three bytes, which is as many as a name can have" = 1 WHERE "the id" <> 'a'
RETURNING "the id", "a ""b"" 'c'", "select", "column of sixty-three bytes, which is as many as a name can have";
DELETE FROM "a ""quoted"" table_active" WHERE "the id" <> 'a' RETURNING "the id";
SELECT "the id" FROM "a ""quoted"" table_active";
SELECT metaxy_unregister('odd');
DROP TABLE "a ""quoted"" table";

--
-- Ids of all types.  Of each: a value, the same value written otherwise, and
-- another.  An UPDATE may write the second for the first, and not the third.
--
SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i') AS icu \gset
\if :icu
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
\else
\echo the server has no ICU: collations that are not deterministic are not tested
CREATE COLLATION ci FROM "C";
\endif
CREATE DOMAIN year AS integer CHECK (VALUE > 1900);

CREATE FUNCTION try_type(type text, one text, same text, other text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text[];
	n bigint;
BEGIN
	EXECUTE format('CREATE TABLE t (id %s, more integer, data text)', type);
	PERFORM metaxy_register('t', 't', '{id,more}');
	EXECUTE format('INSERT INTO t_active VALUES (%L, 1, ''1''), (%L, 1, ''2''), (%L, 2, ''3'')', one, other, one);
	EXECUTE format('UPDATE t_active SET id = %L, data = ''new'' WHERE id = %L::%s AND more = 1', same, one, type);
	SELECT array_agg(data ORDER BY data) INTO a FROM t_active;
	IF a <> '{2,3,new}' THEN RETURN 'update: ' || a::text; END IF;
	BEGIN
		EXECUTE format('UPDATE t_active SET id = %L WHERE id = %L::%s AND more = 1', other, one, type);
		RETURN 'no error';
	EXCEPTION WHEN feature_not_supported THEN NULL;
	END;
	-- twice by a join, and by the other spelling
	EXECUTE format('DELETE FROM t_active USING generate_series(1, 3) WHERE id = %L::%s AND data <> ''2''', same, type);
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n <> 2 THEN RETURN 'deleted: ' || n; END IF;
	SELECT array_agg(data ORDER BY data) INTO a FROM t_active;
	IF a <> '{2}' THEN RETURN 'delete: ' || a::text; END IF;
	SELECT count(*) INTO n FROM t;
	IF n <> 6 THEN RETURN 'rows: ' || n; END IF;
	PERFORM metaxy_unregister('t');
	DROP TABLE t;
	RETURN 'ok';
END $$;

SELECT type, try_type(type, one, same, other)
  FROM (VALUES ('text', 'a', 'a', 'A'), ('varchar(3)', 'a', 'a', 'b'), ('char(3)', 'a', 'a  ', 'b'),
	('"char"', 'a', 'a', 'b'), ('name', 'a', 'a', 'b'), ('text COLLATE "C"', 'a', 'a', 'A'),
	('text COLLATE "POSIX"', 'a', 'a', 'A'), ('citext', 'a', 'A', 'b'), ('smallint', '1', '01', '2'),
	('integer', '1', '01', '2'), ('bigint', '1', '01', '-1'), ('numeric', '1.0', '1.00', '1.01'),
	('numeric', 'NaN', 'nan', '0'), ('real', '0', '-0', 'NaN'), ('float8', 'NaN', 'nan', 'Infinity'),
	('boolean', 't', 'true', 'f'), ('date', '2024-01-01', 'Jan 1 2024', 'infinity'),
	('timestamptz', '2024-01-01 12:00+00', '2024-01-01 07:00-05', '2024-01-01 12:00+01'),
	('timetz', '12:00+00', '12:00:00+00', '12:00+01'), ('interval', '1 day', '24 hours', '23 hours'),
	('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{A0EEBC999C0B4EF8BB6D6BB9BD380A11}',
		'00000000-0000-0000-0000-000000000000'),
	('bytea', '\x00', '\000', '\x0000'), ('jsonb', '{"a": 1.0}', '{"a":1.00}', '{"a": "1.0"}'),
	('inet', '10.0.0.1', '10.0.0.1/32', '10.0.0.1/24'), ('bit varying', '1', '1', '10'),
	('text[]', '{a,NULL}', '{"a",null}', '{a}'), ('numeric[]', '{1.0}', '{1.00}', '{}'),
	('int4range', '[1,3)', '[1,2]', '(,)'), ('int4multirange', '{[1,3)}', '{[1,2],[2,3)}', '{}'),
	('mood', 'sad', 'sad', 'ok'), ('year', '2000', '02000', '2001'), ('short', 'a', 'a', 'b'),
	('pair', '(1,a)', '( 01,a)', '(1,)'), ('mood[]', '{sad}', '{"sad"}', '{ok}')) AS x (type, one, same, other);
SELECT try_type('text COLLATE ci', 'a', CASE WHEN :'icu' THEN 'A' ELSE 'a' END, 'b');

-- the new spelling is what is written; it is the same sample
CREATE TABLE spelled (id citext, data text);
SELECT metaxy_register('spelled', 'spelled', '{id}');
INSERT INTO spelled_active VALUES ('a', '1'), ('B', '1');
UPDATE spelled_active SET id = 'A', data = '2' WHERE id = 'A' RETURNING id, data;
INSERT INTO spelled_active VALUES ('b', '2') RETURNING id, data;
SELECT id, data FROM spelled_active ORDER BY id;
DELETE FROM spelled_active WHERE id = 'B' RETURNING id, data;
SELECT id, data, metaxy_deleted_at IS NULL AS live FROM spelled ORDER BY id, metaxy_updated_at, live DESC;
SELECT metaxy_unregister('spelled');
DROP TABLE spelled;

-- ids of several columns, in an order of their own
CREATE TABLE several (a integer, b text, c date, data text);
SELECT metaxy_register('several', 'several', '{c,a,b}');
INSERT INTO several_active
SELECT a, b, date '2024-01-01' + c, 'x' FROM generate_series(1, 2) AS a, unnest('{x,y}'::text[]) AS b, generate_series(1, 2) AS c;
UPDATE several_active SET data = 'new' WHERE a = 1 AND b = 'x';
DELETE FROM several_active WHERE a = 1 AND c = '2024-01-02';
UPDATE several_active SET c = c + 1 WHERE a = 2;						-- error
\echo :SQLSTATE
SELECT a, b, c, data FROM several_active ORDER BY 1, 2, 3;
SELECT metaxy_unregister('several');
DROP TABLE several;

--
-- Two views in one statement: two operations, one feeding the other
--
CREATE TABLE doc (id text, data text);
CREATE TABLE page (id text, doc text, data text);
SELECT metaxy_register('active/tables/doc', 'doc', '{id}'), metaxy_register('active/tables/page', 'page', '{id}');
INSERT INTO doc_active SELECT 'd' || i, 'x' FROM generate_series(1, 3) AS i;
WITH d AS (UPDATE doc_active SET data = 'paged' RETURNING *),
	 p AS (INSERT INTO page_active SELECT id || '/' || i, id, data FROM d, generate_series(1, 2) AS i RETURNING *)
SELECT d.id, d.data, p.id, p.data FROM d JOIN p ON p.doc = d.id ORDER BY 3;
WITH d AS (DELETE FROM doc_active WHERE id = 'd1' RETURNING *)
DELETE FROM page_active USING d WHERE doc = d.id;
WITH d AS (DELETE FROM doc_active WHERE id = 'd2' RETURNING *), p AS (DELETE FROM page_active WHERE id = 'd3/1' RETURNING *)
INSERT INTO page_active SELECT 'of ' || d.id, d.id, p.id FROM d, p;
SELECT id FROM doc_active ORDER BY 1;
SELECT id, data FROM page_active ORDER BY 1;
SELECT features, options, samples FROM metaxy_deletions WHERE features && '{active/tables/doc,active/tables/page}' ORDER BY features, id;
SELECT metaxy_unregister('active/tables/doc'), metaxy_unregister('active/tables/page');
DROP TABLE doc, page;

--
-- MERGE needs PostgreSQL 17; the result is the same without it
--
CREATE TABLE stock (id text, n integer);
SELECT metaxy_register('active/tables/stock', 'stock', '{id}');
INSERT INTO stock_active VALUES ('a', 1), ('b', 2), ('c', 3);
CREATE TABLE delivery (id text, n integer);
INSERT INTO delivery VALUES ('a', 10), ('b', -2), ('d', 4);
SELECT current_setting('server_version_num')::integer >= 170000 AS has_merge \gset
\set ECHO none
\if :has_merge
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id
WHEN MATCHED AND s.n + d.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = s.n + d.n
WHEN NOT MATCHED THEN INSERT (id, n) VALUES (d.id, d.n);
\else
WITH gone AS (DELETE FROM stock_active AS s USING delivery AS d WHERE s.id = d.id AND s.n + d.n = 0),
	 changed AS (UPDATE stock_active AS s SET n = s.n + d.n FROM delivery AS d WHERE s.id = d.id AND s.n + d.n <> 0)
INSERT INTO stock_active SELECT id, n FROM delivery WHERE id NOT IN (SELECT id FROM stock_active);
\endif
\set ECHO all
SELECT id, n FROM stock_active ORDER BY 1;
SELECT options, samples, "rows" FROM metaxy_deletions WHERE features = '{active/tables/stock}' ORDER BY id DESC LIMIT 1;
SELECT count(*), count(DISTINCT coalesce(metaxy_deleted_at, metaxy_updated_at)) AS stamps FROM stock;
SELECT metaxy_unregister('active/tables/stock');
DROP TABLE stock;

--
-- Much of it
--
CREATE TABLE many (id integer, data text DEFAULT 'x');
SELECT metaxy_register('many', 'many', '{id}');
SET work_mem = '64kB';
INSERT INTO many_active SELECT i, CASE WHEN i % 3 > 0 THEN 'x' END FROM generate_series(1, 5000) AS i;
UPDATE many_active SET data = 'y' WHERE id % 2 = 0;
DELETE FROM many_active WHERE id > 1000;
RESET work_mem;
SELECT data, count(*), min(id), max(id) FROM many_active GROUP BY 1 ORDER BY 1;
SELECT count(*), count(DISTINCT coalesce(metaxy_deleted_at, metaxy_updated_at)) AS stamps FROM many;
-- thousands of statements, in one transaction or not, leave nothing in memory
CREATE FUNCTION statements(n integer) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		INSERT INTO many_active VALUES (i, 'z');
		UPDATE many_active SET data = 'zz' WHERE id = i;
		DELETE FROM many_active WHERE id = i;
		BEGIN
			UPDATE many_active SET data = 1 / (id - 1000) WHERE id >= 999;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
		BEGIN
			UPDATE many_active SET id = id + 1 WHERE id = 1000;
		EXCEPTION WHEN feature_not_supported THEN NULL;
		END;
	END LOOP;
	RETURN (SELECT sum(total_bytes) FROM pg_backend_memory_contexts
			 WHERE name ~ '^(metaxy.*|CacheMemoryContext|TopMemoryContext|TopTransactionContext|CachedPlan.*|SPI Plan)$');
END $$;
RESET ROLE;
GRANT pg_read_all_stats TO regress_metaxy_active;
SET ROLE regress_metaxy_active;
BEGIN;
SELECT statements(100) AS before \gset
SELECT statements(100) - :before < 200000 AS flat;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'metaxy statement%';
COMMIT;
SELECT statements(30) - :before < 200000 AS flat;
SELECT metaxy_unregister('many');
DROP TABLE many;

RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION citext CASCADE;
DROP SCHEMA metaxy_active CASCADE;
DROP OWNED BY regress_metaxy_active;
DROP ROLE regress_metaxy_active;
