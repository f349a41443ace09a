--
-- metaxy_delete on unusual tables: kinds of tables, columns and constraints,
-- types of ids
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA metaxy_tables;
SET search_path = metaxy_tables, public;

-- Takes a feature table whose column "id" has samples a, b and c, and deletes
-- a softly and b for good.  A tombstone must be a copy of the row that it
-- hides, all of it but for what cannot be copied; no other row may change.
CREATE FUNCTION check_table(t regclass, not_copied text[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	key text := (SELECT feature FROM metaxy_feature WHERE relation = t);
	all_rows text := format('SELECT jsonb_object_agg(r.tableoid::text || r.ctid, to_jsonb(r)) FROM %s AS r', t);
	result record;
	before jsonb;
	after jsonb;
	n bigint;
	ids text;
BEGIN
	EXECUTE all_rows INTO before;
	SELECT * INTO result FROM metaxy_delete(key, $f$id = 'a'$f$, dry_run => true);
	IF (result.samples, result.rows) <> (1, 1) THEN RETURN 'dry run: ' || result; END IF;
	SELECT * INTO result FROM metaxy_delete(key, $f$id = 'a'$f$);
	IF (result.samples, result.rows) <> (1, 1) THEN RETURN 'soft: ' || result; END IF;
	EXECUTE all_rows INTO after;
	IF NOT after @> before OR
	   (SELECT count(*) FROM jsonb_object_keys(after)) <> (SELECT count(*) + 1 FROM jsonb_object_keys(before))
	THEN RETURN 'soft: rows were changed'; END IF;
	EXECUTE format('SELECT count(*) FROM %1$s AS tombstone
		WHERE metaxy_deleted_at = $2 AND to_jsonb(tombstone) - ($1 || ''metaxy_deleted_at''::text) = (
			SELECT to_jsonb(hidden) - ($1 || ''metaxy_deleted_at''::text) FROM %1$s AS hidden
			 WHERE id = ''a'' AND metaxy_deleted_at IS NULL
			 ORDER BY metaxy_updated_at DESC LIMIT 1)', t)
		INTO n USING not_copied, result.stamp;
	IF n <> 1 THEN RETURN 'soft: the tombstone is no copy'; END IF;
	EXECUTE format('SELECT string_agg(id::text, '' '' ORDER BY id::text) FROM (
		SELECT DISTINCT ON (id) id, metaxy_deleted_at FROM %s
		 ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC) AS x
		WHERE metaxy_deleted_at IS NULL', t) INTO ids;
	IF ids <> 'b c' THEN RETURN 'soft: left are ' || ids; END IF;
	SELECT * INTO result FROM metaxy_delete(key, $f$id = 'a'$f$);
	IF (result.samples, result.rows) <> (0, 0) THEN RETURN 'again: ' || result; END IF;

	before := after;
	EXECUTE format('SELECT count(*) FROM %s WHERE id = ''b''', t) INTO n;
	SELECT * INTO result FROM metaxy_delete(key, $f$id = 'b'$f$, soft => false);
	IF (result.samples, result.rows) <> (1, n) THEN RETURN 'hard: ' || result; END IF;
	EXECUTE all_rows INTO after;
	IF NOT before @> after OR
	   (SELECT count(*) FROM jsonb_object_keys(after)) <> (SELECT count(*) - n FROM jsonb_object_keys(before))
	THEN RETURN 'hard: rows were changed'; END IF;
	PERFORM metaxy_delete(key, $f$id = 'a'$f$, soft => false);
	EXECUTE format('SELECT string_agg(DISTINCT id::text, '' '') FROM %s', t) INTO ids;
	IF ids <> 'c' THEN RETURN 'hard: left are ' || ids; END IF;
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

--
-- Kinds of tables
--
CREATE TABLE plain (LIKE base);
INSERT INTO plain SELECT * FROM base;
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT check_table('plain');

CREATE UNLOGGED TABLE unlogged (LIKE base);
INSERT INTO unlogged SELECT * FROM base;
SELECT metaxy_register('unlogged', 'unlogged', '{id}');
SELECT check_table('unlogged');

CREATE TEMP TABLE temporary (LIKE base);
INSERT INTO temporary SELECT * FROM base;
SELECT metaxy_register('temporary', 'temporary', '{id}');
SELECT check_table('temporary');

-- one that goes at COMMIT, and the feature stays without a table
BEGIN;
CREATE TEMP TABLE fleeting (LIKE base) ON COMMIT DROP;
INSERT INTO fleeting SELECT * FROM base;
SELECT metaxy_register('fleeting', 'fleeting', '{id}', views => false);
SELECT feature, relation, samples FROM metaxy_delete('fleeting', 'true');
COMMIT;
SELECT * FROM metaxy_delete('fleeting');							-- error
\echo :SQLSTATE
SELECT metaxy_unregister('fleeting');

-- by hash of the id; by list, with a default partition; beneath one another
CREATE TABLE hashed (LIKE base) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT * FROM base;
SELECT metaxy_register('hashed', 'hashed', '{id}');
SELECT check_table('hashed');

CREATE TABLE listed (LIKE base) PARTITION BY LIST (data);
CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN ('a1', 'b2', 'c3');
CREATE TABLE listed_2 PARTITION OF listed FOR VALUES IN ('a2', 'a3', 'c1')
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
INSERT INTO listed SELECT * FROM base;
SELECT metaxy_register('listed', 'listed', '{id}');
-- one attached later, that takes part like the others
CREATE TABLE listed_later (LIKE listed);
ALTER TABLE listed DETACH PARTITION listed_1;
ALTER TABLE listed ATTACH PARTITION listed_1 FOR VALUES IN ('a1', 'b2', 'c3');
ALTER TABLE listed ATTACH PARTITION listed_later FOR VALUES IN ('x');
INSERT INTO listed VALUES ('c', 'x', '2024-01-01', '2024-01-05');
SELECT tableoid::regclass, count(*) FROM listed GROUP BY 1
 ORDER BY tableoid::regclass::text COLLATE "C";
SELECT check_table('listed');

-- rows that tie in everything but their partition and place
CREATE TABLE tied (LIKE base) PARTITION BY LIST (data);
CREATE TABLE tied_x PARTITION OF tied FOR VALUES IN ('x');
CREATE TABLE tied_y PARTITION OF tied FOR VALUES IN ('y');
SELECT metaxy_register('tied', 'tied', '{id}');
INSERT INTO tied
SELECT id, data, '2024-01-01', '2024-01-01'
  FROM unnest('{a,b}'::text[]) AS id, unnest('{x,y,x}'::text[]) AS data;
SELECT samples, "rows" FROM metaxy_delete('tied', $$id = 'a' AND data = 'x'$$);
SELECT samples, "rows" FROM metaxy_delete('tied', $$id = 'a'$$);
SELECT id, data, metaxy_deleted_at IS NULL AS live FROM tied_latest ORDER BY 1;
SELECT samples, "rows" FROM metaxy_delete('tied', 'true', soft => false);
SELECT metaxy_unregister('tied');
DROP TABLE tied;

-- one that others came to inherit from
CREATE TABLE parent (LIKE base);
SELECT metaxy_register('parent', 'parent', '{id}');
CREATE TABLE child (more integer DEFAULT 1) INHERITS (parent);
INSERT INTO child SELECT * FROM base WHERE data LIKE '%2';
INSERT INTO parent SELECT * FROM base WHERE data NOT LIKE '%2';
DELETE FROM parent WHERE data = 'b3';
SELECT samples, "rows" FROM metaxy_delete('parent', $$data = 'b2'$$);
SELECT samples, "rows" FROM metaxy_delete('parent', $$id < 'c'$$, soft => false);
SELECT tableoid::regclass, data FROM parent ORDER BY data;
SELECT metaxy_unregister('parent');
DROP TABLE parent CASCADE;

--
-- Columns that cannot be copied, and those that must be
--
CREATE TABLE generated (LIKE base, twice text GENERATED ALWAYS AS (data || data) STORED,
	id_too text GENERATED ALWAYS AS (upper(id)) STORED);
INSERT INTO generated SELECT * FROM base;
SELECT metaxy_register('generated', 'generated', '{id}');
SELECT check_table('generated');

CREATE TABLE identities (LIKE base, a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	d bigint GENERATED BY DEFAULT AS IDENTITY);
INSERT INTO identities SELECT * FROM base;
SELECT metaxy_register('identities', 'identities', '{id}');
SELECT check_table('identities', '{a,d}');

-- serials: alone in a unique index, in none, in a plain one
CREATE TABLE serials (LIKE base, u bigserial UNIQUE, s serial, p serial);
CREATE INDEX ON serials (p);
INSERT INTO serials SELECT * FROM base;
SELECT metaxy_register('serials', 'serials', '{id}');
SELECT check_table('serials', '{u}');

-- an identity that is the id is copied, of either kind
CREATE TABLE always (id integer GENERATED ALWAYS AS IDENTITY, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
CREATE TABLE by_default (id integer GENERATED BY DEFAULT AS IDENTITY, more integer GENERATED ALWAYS AS IDENTITY,
	metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('always', 'always', '{id}'), metaxy_register('by_default', 'by_default', '{id}');
INSERT INTO always (metaxy_created_at, metaxy_updated_at)
SELECT '2024-01-01', '2024-01-01' FROM generate_series(1, 3);
INSERT INTO by_default (metaxy_created_at, metaxy_updated_at)
SELECT '2024-01-01', '2024-01-01' FROM generate_series(1, 3);
SELECT feature, samples, "rows" FROM metaxy_delete('{always,by_default}'::text[], '{id = 2}');
SELECT id, metaxy_deleted_at IS NULL AS live FROM always_latest ORDER BY 1;
SELECT id, metaxy_deleted_at IS NULL AS live FROM by_default_latest ORDER BY 1;
SELECT id, more, metaxy_deleted_at IS NULL AS live FROM by_default ORDER BY more;
-- and the sequences go on where they were
INSERT INTO always (metaxy_created_at, metaxy_updated_at) VALUES (now(), now()) RETURNING id;
SELECT metaxy_unregister('always'), metaxy_unregister('by_default');
DROP TABLE always, by_default;

CREATE TABLE dropped (a integer, LIKE base, z text);
ALTER TABLE dropped DROP COLUMN a, DROP COLUMN z;
INSERT INTO dropped SELECT * FROM base;
SELECT metaxy_register('dropped', 'dropped', '{id}', views => false);
ALTER TABLE dropped ADD COLUMN added integer DEFAULT 7, DROP COLUMN data, ADD COLUMN data text;
UPDATE dropped SET data = id || added;
SELECT check_table('dropped');

-- NULLs, defaults that are not asked for, values out of line and compressed
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
CREATE TABLE values (LIKE base, n text DEFAULT 'not this', j jsonb, b bytea, big text, external text,
	m mood, ms mood[], p pair, ps pair[], d short, ds short[], r int4range, mr datemultirange,
	v tsvector, x xml, js json, c "char", i interval, bits varbit, net cidr, pt point, f real,
	a2 integer[][]);
ALTER TABLE values ALTER external SET STORAGE EXTERNAL;
INSERT INTO values
SELECT base.*, NULL, '{"a": [1, null], "b": 1.10}', '\x00ff00', repeat(md5(data), 4000),
	repeat(md5(data), 4000), 'sad', '{ok,NULL}', '(1,"a ""b""")', '{"(1,)",NULL}', 'short', '{a,b}',
	'[1,5)', '{[2024-01-01,2024-02-01)}', 'a:1 b:2A', '<a/>', '{"b":1,  "a":1, "a":2}', 'q',
	'1 mon -1 day', B'101', '10/8', '(1,2)', 'NaN', '[0:1][2:3]={{1,2},{3,NULL}}'
  FROM base;
SELECT pg_column_size(big) < 12000 AS compressed, pg_column_size(external) AS external FROM values LIMIT 1;
SELECT metaxy_register('values', 'values', '{id}');
SELECT check_table('values');
-- a tombstone that refers to values of its own, not to those of its row
CREATE TABLE toasted (LIKE base, big text);
ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
SELECT metaxy_register('toasted', 'toasted', '{id}');
INSERT INTO toasted SELECT 'a', 'x', now(), now(), NULL, repeat('0123456789', 10000);
SELECT samples FROM metaxy_delete('toasted');
DELETE FROM toasted WHERE metaxy_deleted_at IS NULL;
VACUUM toasted;
SELECT length(big), big = repeat('0123456789', 10000) AS whole FROM toasted;
SELECT metaxy_unregister('toasted');
DROP TABLE toasted;

-- as many columns as views and tombstones have to carry
DO $$
BEGIN
	EXECUTE 'CREATE TABLE wide (LIKE base, ' ||
		(SELECT string_agg(format('c%s smallint DEFAULT %1$s', i), ', ') FROM generate_series(1, 1500) AS i) || ')';
END $$;
INSERT INTO wide SELECT * FROM base;
SELECT metaxy_register('wide', 'wide', '{id}');
SELECT check_table('wide');

-- look-alikes of system columns and of ours
CREATE TABLE alike (LIKE base, "Ctid" text, "TABLEOID" text, "xmin " text, alike text,
	"metaxy_Deleted_at" timestamptz, metaxy_deleted_at_ timestamptz, tid tid, oid oid);
INSERT INTO alike SELECT base.*, '(0,1)', '1', '1', 'alike', now(), now(), '(0,1)', 1 FROM base;
SELECT metaxy_register('alike', 'alike', '{id}');
SELECT check_table('alike');

-- all that Metaxy writes
CREATE TABLE of_metaxy (id varchar, metaxy_provenance_by_field jsonb, metaxy_provenance varchar,
	metaxy_data_version_by_field jsonb, metaxy_data_version varchar, metaxy_feature_version varchar,
	metaxy_project_version varchar, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz, metaxy_materialization_id varchar);
INSERT INTO of_metaxy
SELECT id, '{"f": "1"}', 'p', '{"f": "2"}', 'd', 'v', 'pv', '2023-01-01', metaxy_updated_at, NULL, 'm'
  FROM base;
SELECT metaxy_register('of/metaxy', 'of_metaxy', '{id}', 'v');
SELECT check_table('of_metaxy');

--
-- Ids of all types.  Of each: a value, the same value written otherwise, and
-- another.  The first two are one sample, of which the child has the second.
--
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN year AS integer CHECK (VALUE > 1900);
CREATE DOMAIN leap_year AS year CHECK (VALUE % 4 = 0);
CREATE EXTENSION citext;

CREATE FUNCTION try_type(type text, one text, same text, other text, child_type text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a bigint[];
	visible bigint;
BEGIN
	EXECUTE format('CREATE TABLE up (id %s, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
		metaxy_deleted_at timestamptz)', type);
	EXECUTE format('CREATE TABLE down (id %s, part integer, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
		metaxy_deleted_at timestamptz)', coalesce(child_type, type));
	PERFORM metaxy_register('up', 'up', '{id}'), metaxy_register('down', 'down', '{id,part}');
	PERFORM metaxy_depend('down', 'up', '1:1');
	EXECUTE format('INSERT INTO up VALUES (%1$L, now(), ''2024-01-01''), (%2$L, now(), ''2024-01-02''),
		(%3$L, now(), ''2024-01-01'')', one, same, other);
	EXECUTE format('INSERT INTO down VALUES (%2$L, 1, now(), ''2024-01-01''), (%1$L, 1, now(), ''2024-01-02''),
		(%2$L, 2, now(), ''2024-01-02''), (%3$L, 1, now(), ''2024-01-01'')', one, same, other);

	-- down to the children, and up again
	SELECT array_agg(samples) || array_agg("rows") INTO a
	  FROM metaxy_delete('up', $f$metaxy_updated_at = '2024-01-02'$f$, cascade => 'downstream', dry_run => true);
	IF a <> '{2,1,2,1}' THEN RETURN 'downstream: ' || a::text; END IF;
	SELECT array_agg(samples) || array_agg("rows") INTO a
	  FROM metaxy_delete('down', 'part = 2', cascade => 'both', dry_run => true);
	IF a <> '{1,2,1,2}' THEN RETURN 'both: ' || a::text; END IF;
	-- by a join instead of an array
	PERFORM set_config('work_mem', '64kB', true), set_config('hash_mem_multiplier', '1', true);
	SELECT array_agg(samples) || array_agg("rows") INTO a
	  FROM metaxy_delete('up', $f$metaxy_updated_at = '2024-01-02'$f$, cascade => 'downstream',
		with_sample_history => true);
	IF a <> '{2,1,2,1}' THEN RETURN 'soft: ' || a::text; END IF;
	SELECT count(*) INTO visible FROM up_active;
	IF visible <> 1 THEN RETURN 'visible up: ' || visible; END IF;
	SELECT count(*) INTO visible FROM down_active;
	IF visible <> 1 THEN RETURN 'visible down: ' || visible; END IF;
	SELECT array_agg(samples) || array_agg("rows") INTO a
	  FROM metaxy_delete('up', 'metaxy_deleted_at IS NOT NULL', cascade => 'downstream', soft => false);
	IF a <> '{2,1,5,3}' THEN RETURN 'hard: ' || a::text; END IF;
	PERFORM metaxy_unregister('down'), metaxy_unregister('up');
	DROP TABLE up, down;
	RETURN 'ok';
END $$;

SELECT type, try_type(type, one, same, other)
  FROM (VALUES ('text', 'a', 'a', 'A'), ('varchar(3)', 'a', 'a', 'b'), ('char(3)', 'a', 'a  ', 'b'),
	('"char"', 'a', 'a', 'b'), ('name', 'a', 'a', 'b'), ('text COLLATE "C"', 'a', 'a', 'A'),
	('text COLLATE ci', 'a', 'A', 'b'), ('citext', 'a', 'A', 'b'), ('smallint', '1', '01', '2'),
	('integer', '1', '01', '2'), ('bigint', '1', '01', '-1'), ('numeric', '1.0', '1.00', '1.01'),
	('numeric', 'NaN', 'nan', '0'), ('real', '0', '-0', 'NaN'), ('float8', 'NaN', 'nan', 'Infinity'),
	('boolean', 't', 'true', 'f'), ('date', '2024-01-01', 'Jan 1 2024', 'infinity'),
	('timestamp', '2024-01-01', '2024-01-01 00:00', '-infinity'),
	('timestamptz', '2024-01-01 12:00+00', '2024-01-01 07:00-05', '2024-01-01 12:00+01'),
	('time', '12:00', '12:00:00.0', '12:01'), ('timetz', '12:00+00', '12:00:00+00', '12:00+01'),
	('interval', '1 day', '24 hours', '23 hours'), ('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
		'{A0EEBC999C0B4EF8BB6D6BB9BD380A11}', '00000000-0000-0000-0000-000000000000'),
	('bytea', '\x00', '\000', '\x0000'), ('jsonb', '{"a": 1.0}', '{"a":1.00}', '{"a": "1.0"}'),
	('inet', '10.0.0.1', '10.0.0.1/32', '10.0.0.1/24'), ('macaddr', '08:00:2b:01:02:03', '08002b010203', '08:00:2b:01:02:04'),
	('bit varying', '1', '1', '10'), ('oid', '1', '01', '4294967295'), ('pg_lsn', '0/1', '0/01', '1/0'),
	('text[]', '{a,NULL}', '{"a",null}', '{a}'), ('numeric[]', '{1.0}', '{1.00}', '{}'),
	('int4range', '[1,3)', '[1,2]', '(,)'), ('int4multirange', '{[1,3)}', '{[1,2],[2,3)}', '{}'),
	('tsvector', 'a b', 'b a', 'a'), ('mood', 'sad', 'sad', 'ok'), ('year', '2000', '02000', '2001'),
	('leap_year', '2000', '02000', '2004'), ('short', 'a', 'a', 'b'), ('pair', '(1,a)', '( 01,a)', '(1,)'),
	('mood[]', '{sad}', '{"sad"}', '{ok}')) AS x (type, one, same, other);

-- a child's id of another type
SELECT type, child_type, try_type(type, one, same, other, child_type)
  FROM (VALUES ('integer', 'bigint', '1', '1', '2'), ('bigint', 'smallint', '1', '1', '2'),
	('text', 'varchar', 'a', 'a', 'b'), ('varchar(5)', 'text', 'a', 'a', 'b'), ('text', 'name', 'a', 'a', 'b'),
	('float8', 'real', '0', '-0', '1'), ('date', 'timestamptz', '2024-01-01', '2024-01-01', '2024-01-02'),
	('leap_year', 'year', '2000', '2000', '2004'), ('year', 'bigint', '2000', '2000', '2004'),
	('short', 'varchar', 'a', 'a', 'b'), ('text COLLATE "C"', 'text COLLATE "POSIX"', 'a', 'a', 'b'),
	('text COLLATE "C"', 'text COLLATE "en-x-icu"', 'a', 'a', 'b'),
	('citext', 'citext COLLATE "C"', 'a', 'A', 'b'), ('varchar COLLATE ci', 'text COLLATE ci', 'a', 'A', 'b'))
	AS x (type, child_type, one, same, other);

-- collations that do not agree on what is equal: within a table its own, for
-- the children theirs
CREATE TABLE up (LIKE base);
ALTER TABLE up ALTER id TYPE text COLLATE ci;
CREATE TABLE down (LIKE base);
SELECT metaxy_register('up', 'up', '{id}'), metaxy_register('down', 'down', '{id}'),
	metaxy_depend('down', 'up', '1:1');
INSERT INTO up VALUES ('a', '1', now(), now()), ('A', '2', now(), now() + interval '1 s');
INSERT INTO down VALUES ('a', '1', now(), now()), ('A', '2', now(), now());
SELECT feature, samples, "rows" FROM metaxy_delete('up', cascade => 'none', dry_run => true);
SELECT feature, samples, "rows" FROM metaxy_delete('up', 'true', cascade => 'downstream', dry_run => true);
SELECT feature, samples, "rows" FROM metaxy_delete('down', $$id = 'a'$$, cascade => 'upstream', dry_run => true);
SELECT metaxy_unregister('down'), metaxy_unregister('up');
DROP TABLE up, down;

-- ids of several columns
CREATE TABLE several (a integer, b text, c date, LIKE base);
SELECT metaxy_register('several', 'several', '{c,a,b,id}');
INSERT INTO several
SELECT a, b, date '2024-01-01' + c, id, 'x', now(), now()
  FROM generate_series(1, 3) AS a, unnest('{x,y}'::text[]) AS b, generate_series(1, 2) AS c,
	unnest('{1,2}'::text[]) AS id;
SELECT samples, "rows" FROM metaxy_delete('several', $$a = 1 AND b = 'x' AND c = '2024-01-02'$$);
SELECT samples, "rows" FROM metaxy_delete('several', $$a = 1$$, soft => false);
SELECT samples, "rows" FROM metaxy_delete('several', $$a = 2$$, soft => false, with_sample_history => true);
SELECT count(*) FROM several_active;
SELECT metaxy_unregister('several');
DROP TABLE several;

--
-- Constraints
--
CREATE TABLE checked (LIKE base, CHECK (data LIKE id || '%'), CHECK (metaxy_updated_at >= metaxy_created_at));
INSERT INTO checked SELECT * FROM base;
SELECT metaxy_register('checked', 'checked', '{id}');
SELECT check_table('checked');
-- one that no tombstone satisfies
CREATE TABLE eternal (LIKE base, CHECK (metaxy_deleted_at IS NULL));
SELECT metaxy_register('eternal', 'eternal', '{id}');
INSERT INTO eternal SELECT * FROM base;
\set VERBOSITY terse
SELECT * FROM metaxy_delete('eternal', $$id = 'a'$$);				-- error
\echo :SQLSTATE
SELECT samples, "rows" FROM metaxy_delete('eternal', 'true', soft => false);
\set VERBOSITY default
SELECT metaxy_unregister('eternal');
DROP TABLE eternal;

-- foreign keys: referencing rows go first, whatever the direction
CREATE TABLE album (LIKE base, n serial PRIMARY KEY);
CREATE TABLE track (LIKE base, album integer REFERENCES album ON DELETE CASCADE);
CREATE TABLE cover (LIKE base, album integer REFERENCES album DEFERRABLE INITIALLY DEFERRED);
SELECT metaxy_register('album', 'album', '{id}'), metaxy_register('track', 'track', '{id,data}'),
	metaxy_register('cover', 'cover', '{id}');
SELECT metaxy_depend('track', 'album', '1:N', '{id}'), metaxy_depend('album', 'cover', '1:1');
INSERT INTO album SELECT * FROM base;
INSERT INTO track SELECT base.*, n FROM base, album WHERE album.data = base.data;
INSERT INTO cover SELECT base.*, n FROM base, album WHERE album.data = base.data;
BEGIN;
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('album', $$id = 'a'$$, soft => false, cascade => 'downstream');
COMMIT;																-- error
\echo :SQLSTATE
SELECT count(*) FROM album;
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('track', $$id = 'a'$$, soft => false, cascade => 'both');
-- a soft delete keeps to the graph
SELECT step, feature, samples, "rows" FROM metaxy_delete('track', $$id = 'b'$$, cascade => 'both');
-- an ON DELETE CASCADE takes what this delete does not name
DELETE FROM cover;
SELECT step, feature, samples, "rows" FROM metaxy_delete('album', $$id = 'b'$$, soft => false);
SELECT (SELECT count(*) FROM album) AS album, (SELECT count(*) FROM track) AS track;
SELECT metaxy_unregister('track'), metaxy_unregister('album'), metaxy_unregister('cover');
DROP TABLE album, track, cover;
-- of one partition alone
CREATE TABLE album (LIKE base, n serial PRIMARY KEY);
CREATE TABLE track (LIKE base, album integer) PARTITION BY LIST (id);
CREATE TABLE track_a PARTITION OF track FOR VALUES IN ('a');
CREATE TABLE track_z PARTITION OF track DEFAULT;
SELECT metaxy_register('album', 'album', '{id}'), metaxy_register('track', 'track', '{id}'),
	metaxy_depend('track', 'album', '1:1');
ALTER TABLE track_a ADD FOREIGN KEY (album) REFERENCES album;
INSERT INTO album SELECT * FROM base;
INSERT INTO track SELECT base.*, n FROM base, album WHERE album.data = base.data;
SELECT step, feature, samples, "rows" FROM metaxy_delete('track', 'true', soft => false, cascade => 'upstream');
SELECT metaxy_unregister('track'), metaxy_unregister('album');
DROP TABLE track, album;
-- to oneself
CREATE TABLE tree (LIKE base, n integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, above integer REFERENCES tree);
SELECT metaxy_register('tree', 'tree', '{id}');
INSERT INTO tree (id, data, metaxy_created_at, metaxy_updated_at, above)
SELECT id, data, metaxy_created_at, metaxy_updated_at, nullif(row_number() OVER () - 1, 0) FROM base;
SELECT samples, "rows" FROM metaxy_delete('tree', 'true', soft => false);
SELECT metaxy_unregister('tree');
DROP TABLE tree;

--
-- NULLs where there may be none, by an owner who took NOT NULL away: a
-- tombstone would hide nothing
--
CREATE TABLE nulls (LIKE base);
SELECT metaxy_register('nulls', 'nulls', '{id}');
ALTER TABLE nulls ALTER id DROP NOT NULL, ALTER metaxy_updated_at DROP NOT NULL,
	ALTER metaxy_created_at DROP NOT NULL;
INSERT INTO nulls VALUES (NULL, 'no id', now(), now()), ('a', 'no time', now(), NULL), ('c', 'neither', NULL, now());
\set VERBOSITY sqlstate
SELECT * FROM metaxy_delete('nulls', $$data = 'no id'$$);			-- error
SELECT * FROM metaxy_delete('nulls', $$data = 'no time'$$);			-- error
SELECT * FROM metaxy_delete('nulls', $$data = 'no id'$$, soft => false); -- error
SELECT * FROM metaxy_delete('nulls', dry_run => true);				-- error
\set VERBOSITY default
SELECT metaxy_unregister('nulls');
DROP TABLE nulls;

SET client_min_messages = error;
DROP EXTENSION citext CASCADE;
DROP SCHEMA metaxy_tables CASCADE;
