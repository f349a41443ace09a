--
-- Stamps in tables of all shapes: nothing but the stamps changes in a row,
-- wherever they lie in it
--
CREATE ROLE regress_metaxy_owner;
CREATE SCHEMA shapes AUTHORIZATION regress_metaxy_owner;
SET search_path = shapes, public;
SET client_min_messages = warning;
-- the clock may be hours ahead of the wall already
SET metaxy.max_skew = '12h';
SET ROLE regress_metaxy_owner;

CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql AS
$$ SELECT timestamptz '2000-01-01 00:00:00 UTC' + last_value * interval '1 microsecond' FROM public.metaxy_clock $$;

-- all combinations of stamps that are given and that are not
CREATE VIEW stamps AS
SELECT row_number() OVER ()::int AS n, *
  FROM (VALUES (NULL::timestamptz), ('2001-02-03 UTC')) AS c (metaxy_created_at),
	   (VALUES (NULL::timestamptz), ('2001-02-04 UTC')) AS u (metaxy_updated_at),
	   (VALUES (NULL::timestamptz), ('2001-02-05 UTC')) AS d (metaxy_deleted_at),
	   (VALUES (NULL::text), ('v0')) AS v (metaxy_feature_version);

-- Compares the rows of a table with those it was given, by n: all that was
-- given is there as it was, apart from the stamps, which must be what they
-- should.  NULL: nothing is wrong.
CREATE FUNCTION wrong(into_table text, given text, since timestamptz, version text DEFAULT 'v1') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format($f$
		SELECT string_agg(format('%%s, given %%s, found %%s', p.problem, g.g, f.f), E'\n')
		  FROM (SELECT n, to_jsonb(g) AS g FROM %s AS g) AS g
		  FULL JOIN (SELECT n, to_jsonb(f) AS f FROM %s AS f) AS f USING (n)
		 CROSS JOIN LATERAL jsonb_to_record(g.g) AS gs (metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz, metaxy_feature_version text)
		 CROSS JOIN LATERAL jsonb_to_record(f.f) AS fs (metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz, metaxy_feature_version text)
		 CROSS JOIN LATERAL (SELECT coalesce(fs.metaxy_deleted_at, fs.metaxy_updated_at) AS recency,
				ARRAY['metaxy_created_at', 'metaxy_updated_at', 'metaxy_deleted_at', 'metaxy_feature_version'] AS names) AS x
		 CROSS JOIN LATERAL (SELECT CASE
				WHEN f.f IS NULL THEN 'missing'
				WHEN g.g IS NULL THEN 'not given'
				WHEN NOT (f.f - names) @> (g.g - names) THEN 'changed'
				WHEN recency <= %L OR recency = 'infinity' THEN 'not stamped'
				WHEN (fs.metaxy_deleted_at IS NULL) <> (gs.metaxy_deleted_at IS NULL) THEN 'wrong deleted_at'
				WHEN fs.metaxy_deleted_at IS NOT NULL AND fs.metaxy_updated_at <> coalesce(gs.metaxy_updated_at, recency) THEN 'wrong updated_at'
				WHEN fs.metaxy_created_at <> coalesce(gs.metaxy_created_at, recency) THEN 'wrong created_at'
				WHEN fs.metaxy_feature_version IS DISTINCT FROM coalesce(gs.metaxy_feature_version, %L) THEN 'wrong version'
				END) AS p (problem)
		 WHERE p.problem IS NOT NULL $f$, given, into_table, since, version) INTO result;
	RETURN result;
END $$;

-- Writes what is given to a table in several ways; tells what went wrong, for
-- each the number of rows.
CREATE FUNCTION write_all(into_table text, given text, version text DEFAULT 'v1') RETURNS TABLE (way text, "rows" bigint, wrong text) LANGUAGE plpgsql AS $$
DECLARE
	since timestamptz;
	names text;
BEGIN
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO names
	  FROM pg_attribute
	 WHERE attrelid = given::regclass AND attnum > 0 AND NOT attisdropped;
	FOREACH way IN ARRAY '{select, returning, loop, sorted}'::text[] LOOP
		EXECUTE format('TRUNCATE %s', into_table);
		since := greatest(clock(), clock_timestamp());
		CASE way
		WHEN 'select' THEN
			EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %s', into_table, names, given);
		WHEN 'sorted' THEN
			EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %s ORDER BY n DESC', into_table, names, given);
		WHEN 'returning' THEN
			EXECUTE format('CREATE TEMP TABLE returned AS WITH i AS (INSERT INTO %s AS stored (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %s RETURNING stored.*, to_jsonb(stored) AS whole) SELECT * FROM i', into_table, names, given);
			EXECUTE format('SELECT string_agg(to_jsonb(returned)::text, E''\n'') FROM returned JOIN %s AS stored USING (n) WHERE whole <> to_jsonb(stored) OR to_jsonb(returned) - ''whole'' <> whole', into_table) INTO wrong;
			DROP TABLE returned;
			IF wrong IS NOT NULL THEN
				wrong := 'returned ' || wrong;
				RETURN NEXT;
			END IF;
		WHEN 'loop' THEN
			EXECUTE format('DO $do$ DECLARE i int; BEGIN FOR i IN SELECT n FROM %3$s LOOP INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %3$s WHERE n = i; END LOOP; END $do$', into_table, names, given);
		END CASE;
		wrong := wrong(into_table, given, since, version);
		EXECUTE format('SELECT count(*) FROM %s', into_table) INTO "rows";
		RETURN NEXT;
	END LOOP;
END $$;

--
-- Where the stamps are: first, last, between; what is before them: nothing,
-- nulls, columns of all widths and alignments
--
CREATE TABLE first (metaxy_deleted_at timestamptz, metaxy_updated_at timestamptz, metaxy_created_at timestamptz, metaxy_feature_version text, n int, note text);
SELECT metaxy_register('t', 'first', '{n}', 'v1');
CREATE TEMP TABLE given AS SELECT *, CASE WHEN n % 2 = 0 THEN 'note ' || n END AS note FROM stamps;
SELECT * FROM write_all('first', 'given');
SELECT metaxy_unregister('t');

CREATE TABLE last (n int, note text, metaxy_feature_version varchar(7), metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('t', 'last', '{n}', 'v1');
SELECT * FROM write_all('last', 'given');
-- a condition that has looked at the stamps before they were changed
CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER look BEFORE INSERT ON last FOR EACH ROW
	WHEN (NEW.metaxy_deleted_at IS DISTINCT FROM NEW.metaxy_updated_at) EXECUTE FUNCTION same();
SELECT * FROM write_all('last', 'given');
DROP TRIGGER look ON last;
SELECT metaxy_unregister('t');

CREATE TABLE single (metaxy_feature_version varchar(2), n int, metaxy_deleted_at timestamptz(6), x "char", metaxy_created_at timestamptz, y "char", metaxy_updated_at timestamptz(6), z "char");
SELECT metaxy_register('t', 'single', '{n}', 'v1');
DROP TABLE given;
CREATE TEMP TABLE given AS SELECT *, 'x'::"char" AS x, NULL::"char" AS y, 'z'::"char" AS z FROM stamps;
SELECT * FROM write_all('single', 'given');
SELECT metaxy_unregister('t');

-- every kind of width and alignment before each stamp, every other one NULL
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 99999);
CREATE TYPE pair AS (a "char", b text, c timestamptz);
CREATE TABLE wide (
	b1 bool, v1 text, i2 int2, n int NOT NULL, a1 int[], c1 "char", metaxy_updated_at timestamptz,
	m mood, p pair, nm name, u uuid, iv interval, by bytea, c2 "char", metaxy_deleted_at timestamptz,
	d short_text, t tid, mac macaddr, nu numeric, j jsonb, r tstzrange, pa pair[], c3 char(3) COLLATE "C", metaxy_feature_version varchar COLLATE "C",
	x "char", bx box, co text COMPRESSION pglz COLLATE "und-x-icu", metaxy_created_at timestamptz, tail text);
SELECT metaxy_register('t', 'wide', '{n}', 'v1');
CREATE TABLE given_wide AS
SELECT s.n + 16 * k AS n, s.metaxy_created_at, s.metaxy_updated_at, s.metaxy_deleted_at, s.metaxy_feature_version,
	   CASE WHEN k & 1 = 0 THEN true END AS b1, CASE WHEN k & 2 = 0 THEN repeat('v', n) END AS v1, CASE WHEN k & 4 = 0 THEN n::int2 END AS i2,
	   CASE WHEN k & 1 = 0 THEN array_fill(n, ARRAY[n]) END AS a1, CASE WHEN k & 2 = 0 THEN 'c'::"char" END AS c1,
	   CASE WHEN k & 4 = 0 THEN 'happy'::mood END AS m, CASE WHEN k & 1 = 0 THEN ('x', repeat('y', n * 40), '2001-02-03 UTC')::pair END AS p,
	   CASE WHEN k & 2 = 0 THEN 'name'::name END AS nm, CASE WHEN k & 4 = 0 THEN '11111111-2222-3333-4444-555555555555'::uuid END AS u,
	   CASE WHEN k & 1 = 0 THEN interval '1 mon' END AS iv, CASE WHEN k & 2 = 0 THEN decode(repeat('00', n), 'hex') END AS by,
	   CASE WHEN k & 4 = 0 THEN 'd'::"char" END AS c2, CASE WHEN k & 1 = 0 THEN repeat('long ', n * 30)::short_text END AS d,
	   CASE WHEN k & 2 = 0 THEN '(1,2)'::tid END AS t, CASE WHEN k & 4 = 0 THEN '08:00:2b:01:02:03'::macaddr END AS mac,
	   CASE WHEN k & 1 = 0 THEN 10.0 ^ n END AS nu, CASE WHEN k & 2 = 0 THEN jsonb_build_object('n', n) END AS j,
	   CASE WHEN k & 4 = 0 THEN tstzrange('2001-02-03 UTC', NULL) END AS r, CASE WHEN k & 1 = 0 THEN ARRAY[('x', 'y', NULL), NULL]::pair[] END AS pa,
	   CASE WHEN k & 2 = 0 THEN 'abc'::char(3) END AS c3, CASE WHEN k & 4 = 0 THEN 'x'::"char" END AS x,
	   CASE WHEN k & 1 = 0 THEN box '((1,2),(3,4))' END AS bx, CASE WHEN k & 2 = 0 THEN repeat('e', n * n) END AS co,
	   CASE WHEN k & 4 = 0 THEN 'tail' END AS tail
  FROM stamps AS s, generate_series(0, 7) AS k;
SELECT * FROM write_all('wide', 'given_wide');
-- rows that are stored out of line, here and there
CREATE TABLE toasted (LIKE wide);
ALTER TABLE toasted ALTER v1 SET STORAGE EXTERNAL, ALTER tail SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT * FROM wide;
TRUNCATE given_wide;
INSERT INTO given_wide (n, v1, by, tail, metaxy_updated_at, metaxy_created_at, metaxy_deleted_at)
SELECT n, repeat('long ' || n, 3000), decode(repeat(md5(n::text), 3000), 'hex'), repeat('tail', n * 500), metaxy_updated_at, metaxy_created_at, metaxy_deleted_at FROM stamps;
SELECT * FROM write_all('wide', 'given_wide');
TRUNCATE toasted;
INSERT INTO toasted SELECT * FROM wide;
-- as they lie there, pointers into another table's storage and all
TRUNCATE wide;
SELECT clock() AS since \gset
INSERT INTO wide SELECT * FROM toasted;
SELECT wrong('wide', 'toasted', :'since');
DROP TABLE toasted;
-- they do not need it any more
SELECT count(*), sum(length(v1)), sum(length(by)), sum(length(tail)) FROM wide;
SELECT metaxy_unregister('t');

-- hundreds of columns, nulls all of them, before the stamps
DO $$ BEGIN EXECUTE 'CREATE TABLE many (' || (SELECT string_agg('c' || i || (CASE i % 3 WHEN 0 THEN ' text' WHEN 1 THEN ' int8' ELSE ' "char"' END), ', ') FROM generate_series(1, 500) AS i)
	|| ', metaxy_deleted_at timestamptz, metaxy_created_at timestamptz, n int, metaxy_updated_at timestamptz, metaxy_feature_version text)'; END $$;
SELECT metaxy_register('t', 'many', '{n}', 'v1');
CREATE TABLE given_many AS SELECT *, CASE WHEN n > 4 THEN 'x'::"char" END AS c377, CASE WHEN n > 8 THEN n::int8 END AS c499 FROM stamps;
SELECT * FROM write_all('many', 'given_many');
SELECT metaxy_unregister('t');
DROP TABLE many, given_many;

--
-- Dropped columns and late ones
--
CREATE TABLE altered (gone1 text, n int, gone2 int, metaxy_created_at timestamptz, gone3 text, metaxy_updated_at timestamptz,
	gone4 "char", metaxy_feature_version text, gone5 numeric, metaxy_deleted_at timestamptz, gone6 text);
INSERT INTO altered VALUES ('x', 0, 1, '2001-02-03 UTC', 'y', '2001-02-03 UTC', 'z', 'v0', 1, NULL, 'w');
ALTER TABLE altered DROP gone1, DROP gone2, DROP gone3, DROP gone4, DROP gone5, DROP gone6;
ALTER TABLE altered ADD late1 text DEFAULT 'late', ADD late2 int, ADD late3 int NOT NULL DEFAULT 3;
SELECT metaxy_register('t', 'altered', '{n}', 'v1');
DROP TABLE given;
CREATE TEMP TABLE given AS SELECT *, CASE WHEN n % 2 = 0 THEN 'note ' || n END AS late1, n AS late2, n AS late3 FROM stamps;
SELECT * FROM write_all('altered', 'given');
-- the defaults are the table's
TRUNCATE altered;
INSERT INTO altered (n) VALUES (1);
INSERT INTO altered (n, metaxy_updated_at) VALUES (2, '2001-02-03 UTC');
INSERT INTO altered (n, metaxy_created_at, metaxy_updated_at, metaxy_feature_version, late1, late3) VALUES (3, '2001-02-03 UTC', '2001-02-03 UTC', 'v2', 'x', 4);
COPY altered (n, metaxy_created_at, metaxy_updated_at) FROM stdin;
4	2001-02-03 00:00:00+00	2001-02-03 00:00:00+00
5	\N	2001-02-03 00:00:00+00
\.
SELECT n, metaxy_feature_version, metaxy_created_at = '2001-02-03 UTC' AS created, metaxy_updated_at > '2001-02-03 UTC' AS updated, late1, late2, late3 FROM altered ORDER BY n;
SELECT metaxy_unregister('t');

-- Rows that lack some of the columns that their table has got since, stamps
-- among them, handed on as they lie there
CREATE TABLE old_rows (n int, note text);
INSERT INTO old_rows VALUES (1, 'x'), (2, NULL);
ALTER TABLE old_rows ADD metaxy_created_at timestamptz, ADD metaxy_updated_at timestamptz, ADD metaxy_deleted_at timestamptz, ADD metaxy_feature_version text, ADD late int;
INSERT INTO old_rows VALUES (3, 'y', '2001-02-03 UTC', '2001-02-03 UTC', '2001-02-03 UTC', 'v0', 5);
ALTER TABLE old_rows ADD later text;
CREATE TABLE young (LIKE old_rows);
SELECT metaxy_register('t', 'young', '{n}', 'v1');
TRUNCATE young;
SELECT clock() AS since \gset
INSERT INTO young SELECT * FROM old_rows;
SELECT wrong('young', 'old_rows', :'since');
SELECT n, note, metaxy_created_at <= clock() AS created, metaxy_feature_version, late, later FROM young ORDER BY n;
-- the same with defaults that those rows share
CREATE TABLE old_defaults (n int, note text);
INSERT INTO old_defaults VALUES (1, 'x'), (2, NULL);
ALTER TABLE old_defaults ADD metaxy_created_at timestamptz DEFAULT '2001-02-03 UTC', ADD metaxy_updated_at timestamptz DEFAULT '2001-02-04 UTC',
	ADD metaxy_deleted_at timestamptz, ADD metaxy_feature_version text DEFAULT 'v0', ADD late int DEFAULT 5, ADD later text DEFAULT 'there';
INSERT INTO old_defaults VALUES (3);
TRUNCATE young;
SELECT clock() AS since \gset
INSERT INTO young SELECT * FROM old_defaults;
SELECT wrong('young', 'old_defaults', :'since');
SELECT n, note, metaxy_created_at = '2001-02-03 UTC' AS created, metaxy_feature_version, late, later FROM young ORDER BY n;
-- a table's own old rows
CREATE TABLE self (n int, note text);
INSERT INTO self VALUES (1, 'x'), (2, NULL);
SELECT metaxy_register('self', 'self', '{n}', 'v1');
CREATE TABLE self_before AS SELECT * FROM self;
SELECT clock() AS since \gset
INSERT INTO self SELECT * FROM self;
DELETE FROM self WHERE metaxy_updated_at <= :'since';
SELECT wrong('self', 'self_before', :'since');
SELECT metaxy_unregister('self'), metaxy_unregister('t');

--
-- Generated and identity columns
--
CREATE TABLE computed (n int, twice int GENERATED ALWAYS AS (n * 2) STORED, always int GENERATED ALWAYS AS IDENTITY,
	text1 text GENERATED ALWAYS AS (n::text || ' text') STORED, metaxy_created_at timestamptz,
	age interval GENERATED ALWAYS AS (metaxy_updated_at - metaxy_created_at) STORED, metaxy_updated_at timestamptz, default1 bigserial,
	deleted bool GENERATED ALWAYS AS (metaxy_deleted_at IS NOT NULL) STORED, metaxy_deleted_at timestamptz,
	by_default int GENERATED BY DEFAULT AS IDENTITY, version_is text GENERATED ALWAYS AS ('is ' || metaxy_feature_version) STORED, metaxy_feature_version text);
SELECT metaxy_register('t', 'computed', '{n}', 'v1');
DROP TABLE given;
CREATE TEMP TABLE given AS SELECT *, n + 100 AS always, n + 200 AS by_default FROM stamps;
SELECT * FROM write_all('computed', 'given');
-- they are computed from the stamps, not from what was given
SELECT count(*) FROM computed
 WHERE twice <> n * 2 OR text1 <> n || ' text' OR age IS DISTINCT FROM metaxy_updated_at - metaxy_created_at
	OR deleted <> (metaxy_deleted_at IS NOT NULL) OR version_is <> 'is ' || metaxy_feature_version;
SELECT metaxy_unregister('t');

-- defaults of the stamps' own columns, and checks: they see the stamps
CREATE TABLE checked (n int, metaxy_created_at timestamptz DEFAULT 'infinity', metaxy_updated_at timestamptz DEFAULT 'infinity', metaxy_deleted_at timestamptz,
	metaxy_feature_version text DEFAULT 'default', CHECK (metaxy_updated_at < 'infinity'), CHECK (metaxy_deleted_at < '2100-01-01' AND metaxy_deleted_at > '2010-01-01'));
SELECT metaxy_register('t', 'checked', '{n}', 'v1');
INSERT INTO checked (n) VALUES (1);
INSERT INTO checked (n, metaxy_updated_at, metaxy_deleted_at) VALUES (2, '2001-02-03 UTC', 'infinity'), (3, '2001-02-03 UTC', '2001-02-03 UTC');
SELECT n, metaxy_created_at, metaxy_updated_at <= clock() AS updated, metaxy_deleted_at <= clock() AS deleted, metaxy_feature_version FROM checked;
-- row-level security too
ALTER TABLE checked ENABLE ROW LEVEL SECURITY;
ALTER TABLE checked FORCE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON checked USING (true) WITH CHECK (metaxy_updated_at > '2010-01-01' AND metaxy_feature_version = 'v1');
INSERT INTO checked VALUES (4, NULL, '2001-02-03 UTC', NULL, NULL);
INSERT INTO checked VALUES (5, NULL, NULL, NULL, 'v0'); -- error
SELECT metaxy_unregister('t');

--
-- Unlogged and temporary tables
--
CREATE UNLOGGED TABLE unlogged (LIKE last);
SELECT metaxy_register('t', 'unlogged', '{n}', 'v1');
DROP TABLE given;
CREATE TEMP TABLE given AS SELECT *, CASE WHEN n % 2 = 0 THEN 'note ' || n END AS note FROM stamps;
SELECT * FROM write_all('unlogged', 'given');
SELECT metaxy_unregister('t');
CREATE TEMP TABLE temporary (LIKE first);
SELECT metaxy_register('t', 'temporary', '{n}', 'v1');
SELECT * FROM write_all('temporary', 'given');
DROP TABLE temporary CASCADE;
SELECT metaxy_unregister('t');
CREATE TEMP TABLE temporary (LIKE last) ON COMMIT DROP; -- is gone at once
CREATE TEMP TABLE temporary (LIKE last) ON COMMIT DELETE ROWS;
SELECT metaxy_register('t', 'temporary', '{n}', 'v1');
BEGIN;
SELECT clock() AS since \gset
INSERT INTO temporary (n) SELECT generate_series(1, 3);
SELECT count(*) FROM temporary_active;
COMMIT;
SELECT clock() > :'since' AS raised;
DROP TABLE temporary CASCADE;
SELECT metaxy_unregister('t');

--
-- Partitions: columns in another order, dropped ones, of several levels
--
CREATE TABLE parts (n int, region text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz, metaxy_feature_version text, note text)
	PARTITION BY LIST (region);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b (gone text, metaxy_feature_version text, note text, metaxy_deleted_at timestamptz, gone2 int, region text, metaxy_updated_at timestamptz, n int NOT NULL, metaxy_created_at timestamptz)
	PARTITION BY RANGE (n);
ALTER TABLE parts_b DROP gone, DROP gone2;
ALTER TABLE parts ATTACH PARTITION parts_b FOR VALUES IN ('b');
CREATE TABLE parts_b1 (metaxy_updated_at timestamptz, n int NOT NULL, note text, gone3 int, metaxy_created_at timestamptz, region text, metaxy_deleted_at timestamptz, metaxy_feature_version text);
ALTER TABLE parts_b1 DROP gone3;
ALTER TABLE parts_b ATTACH PARTITION parts_b1 FOR VALUES FROM (0) TO (9);
CREATE TABLE parts_b2 PARTITION OF parts_b FOR VALUES FROM (9) TO (99);
CREATE UNLOGGED TABLE parts_z PARTITION OF parts DEFAULT;
SELECT metaxy_register('t', 'parts', '{n}', 'v1');
DROP TABLE given;
CREATE TEMP TABLE given AS SELECT *, CASE WHEN n % 2 = 0 THEN 'note ' || n END AS note,
	CASE WHEN n % 3 = 0 THEN 'a' WHEN n % 3 = 1 THEN 'b' WHEN n > 8 THEN 'c' END AS region FROM stamps;
SELECT * FROM write_all('parts', 'given');
SELECT tableoid::regclass AS partition, count(*) FROM parts GROUP BY tableoid ORDER BY tableoid::regclass::text COLLATE "C";
-- directly into a partition of any level
DELETE FROM given WHERE region <> 'b' OR region IS NULL;
SELECT * FROM write_all('parts_b', 'given');
DELETE FROM given WHERE n < 9;
SELECT * FROM write_all('parts_b2', 'given');
UPDATE given SET n = n - 9;
SELECT * FROM write_all('parts_b1', 'given');
COPY parts (n, region) FROM stdin;
50	b
51	a
52	z
\.
COPY parts_b1 (n, region) FROM stdin;
3	b
\.
SELECT n, region, metaxy_feature_version, metaxy_updated_at = metaxy_created_at AS stamped FROM parts WHERE n IN (3, 50, 51, 52) ORDER BY n;
-- what the partition cannot take
INSERT INTO parts_b1 (n, region) VALUES (9, 'b'); -- error
-- growing stamps over all of them
TRUNCATE parts;
INSERT INTO parts (n, region) SELECT i, ('{a,b,c}'::text[])[i % 3 + 1] FROM generate_series(1, 90) AS i;
SELECT count(DISTINCT metaxy_updated_at), count(*) FILTER (WHERE metaxy_updated_at <= before) AS not_growing
  FROM (SELECT metaxy_updated_at, lag(metaxy_updated_at) OVER (ORDER BY n) AS before FROM parts) AS x;

-- an UPDATE that moves a row writes it anew, one that does not is the owner's
SELECT clock() AS since \gset
UPDATE parts SET note = 'stays' WHERE n = 1 RETURNING tableoid::regclass, metaxy_updated_at <= :'since' AS as_it_was;
UPDATE parts SET region = 'a' WHERE n = 1 RETURNING tableoid::regclass, note, metaxy_updated_at > :'since' AS stamped, metaxy_created_at <= :'since' AS as_it_was;
UPDATE parts SET n = n + 20, region = 'b' WHERE n = 2 RETURNING tableoid::regclass, n, metaxy_updated_at > :'since' AS stamped;
UPDATE parts_b SET n = 8 WHERE n = 22 RETURNING tableoid::regclass, n, metaxy_updated_at > :'since' AS stamped;
SELECT count(*) FROM metaxy_delete('t', 'n = 8');
SELECT clock() AS since \gset
UPDATE parts SET region = 'z' WHERE n = 8 AND metaxy_deleted_at IS NOT NULL
	RETURNING tableoid::regclass, metaxy_updated_at <= :'since' AS as_it_was, metaxy_deleted_at > :'since' AS stamped;
SELECT clock() >= max(coalesce(metaxy_deleted_at, metaxy_updated_at)) AS not_lower FROM parts;

-- all of them have the trigger, which fires always
CREATE VIEW triggers AS
SELECT tgrelid::regclass AS relation, tgenabled FROM pg_trigger WHERE tgname = 'zzzz_metaxy_stamp' ORDER BY tgrelid::regclass::text COLLATE "C";
SELECT * FROM triggers;
CREATE TABLE parts_c PARTITION OF parts FOR VALUES IN ('c1');
INSERT INTO parts_c (n, region) VALUES (91, 'c1') RETURNING metaxy_feature_version;
-- one that had rows is attached: they are as they were, new ones are stamped
CREATE TABLE attached (LIKE parts);
INSERT INTO attached VALUES (1, 'd', '2001-02-03 UTC', '2001-02-03 UTC', NULL, 'v1', 'attached');
ALTER TABLE parts ATTACH PARTITION attached FOR VALUES IN ('d');
INSERT INTO attached (n, region) VALUES (2, 'd'), (95, 'd');
INSERT INTO parts (n, region) VALUES (96, 'd');
SELECT n, metaxy_updated_at > :'since' AS stamped FROM attached ORDER BY metaxy_updated_at;
SELECT n, tableoid::regclass FROM parts WHERE metaxy_updated_at IN (SELECT max(metaxy_updated_at) FROM parts WHERE n IN (1, 2) GROUP BY n) ORDER BY n;
SELECT count(*) FROM triggers WHERE tgenabled = 'A';
-- what was attached counts in a delete as any row does
SELECT samples FROM metaxy_delete('t', $$region = 'd'$$);
SELECT count(*) FROM parts_active WHERE region = 'd';
-- detached, it is a table like any other
ALTER TABLE parts DETACH PARTITION attached;
INSERT INTO attached VALUES (97, 'd', '2001-02-03 UTC', '2001-02-03 UTC', NULL, 'v9') RETURNING n, metaxy_feature_version, metaxy_updated_at = '2001-02-03 UTC' AS as_given;
SELECT count(*) FROM triggers WHERE relation = 'attached'::regclass;
-- within a transaction, back and forth
BEGIN;
ALTER TABLE parts ATTACH PARTITION attached FOR VALUES IN ('d');
INSERT INTO attached (n, region) VALUES (98, 'd') RETURNING metaxy_feature_version;
ALTER TABLE parts DETACH PARTITION attached;
SAVEPOINT s;
INSERT INTO attached (n, region) VALUES (98, 'd'); -- error
ROLLBACK TO s;
ALTER TABLE parts ATTACH PARTITION attached FOR VALUES IN ('d');
INSERT INTO attached (n, region) VALUES (98, 'd') RETURNING metaxy_feature_version;
COMMIT;
SELECT metaxy_register('t', 'parts', '{n}', 'v2');
INSERT INTO attached (n, region) VALUES (99, 'd') RETURNING metaxy_feature_version;
INSERT INTO parts_b1 (n, region) VALUES (2, 'b') RETURNING metaxy_feature_version;

-- one of several levels is detached, with what lies beneath, and comes back
ALTER TABLE parts DETACH PARTITION parts_b;
INSERT INTO parts_b1 (n, region, metaxy_created_at, metaxy_updated_at, metaxy_feature_version) VALUES (4, 'b', '2001-02-03 UTC', '2001-02-03 UTC', 'v9')
	RETURNING metaxy_feature_version, metaxy_updated_at = '2001-02-03 UTC' AS as_given;
SELECT * FROM triggers WHERE relation::text LIKE 'parts\_b%';
ALTER TABLE parts ATTACH PARTITION parts_b FOR VALUES IN ('b');
INSERT INTO parts_b1 (n, region) VALUES (4, 'b') RETURNING metaxy_feature_version;

-- a partition's trigger alone, disabled or enabled for less: registered again,
-- it is as it must be, and the clock above what came in
SELECT clock() AS since \gset
ALTER TABLE parts_b1 DISABLE TRIGGER USER;
ALTER TABLE parts_a ENABLE REPLICA TRIGGER zzzz_metaxy_stamp;
INSERT INTO parts_b1 VALUES (:'since'::timestamptz + interval '1 s', 3, 'came in', '2001-02-03 UTC', 'b', NULL, 'v2');
SELECT clock() = :'since' AS not_raised;
SELECT metaxy_register('t', 'parts', '{n}', 'v2');
SELECT clock() = :'since'::timestamptz + interval '1 s' AS raised;
SELECT count(*) FROM triggers WHERE tgenabled <> 'A';
BEGIN;
SELECT metaxy_register('t', 'parts', '{n}', 'v2');
SELECT DISTINCT mode FROM pg_locks WHERE relation::regclass::text LIKE 'parts%' AND pid = pg_backend_pid();
COMMIT;
-- unregistered, none is left
SELECT metaxy_unregister('t');
SELECT * FROM triggers;

-- The version may say which partition a row belongs to: it must be given then,
-- or the partition be named
CREATE TABLE versions (n int, metaxy_feature_version text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz) PARTITION BY LIST (metaxy_feature_version);
CREATE TABLE versions_1 PARTITION OF versions FOR VALUES IN ('v1');
CREATE TABLE versions_z PARTITION OF versions DEFAULT;
SELECT metaxy_register('t', 'versions', '{n}', 'v1');
INSERT INTO versions VALUES (1, 'v1'), (2, 'v2') RETURNING tableoid::regclass, metaxy_updated_at = metaxy_created_at AS stamped;
INSERT INTO versions_1 VALUES (3) RETURNING metaxy_feature_version;
INSERT INTO versions VALUES (4); -- error
SELECT n FROM versions_active ORDER BY n;
SELECT metaxy_unregister('t');

RESET ROLE;
-- leaves the extension as it found it
SELECT count(*) FROM metaxy_feature;
DROP TABLE given;
DROP SCHEMA shapes CASCADE;
DROP ROLE regress_metaxy_owner;
