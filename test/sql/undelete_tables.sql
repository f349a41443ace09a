--
-- metaxy_undelete on unusual tables: kinds of tables, columns and constraints,
-- ids and names
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA metaxy_undelete_tables;
SET search_path = metaxy_undelete_tables, public;
SET metaxy.stamp = off;		-- rows keep the stamps that they come with

-- Takes a feature table whose column "id" has samples a, b and c.  Deletes a
-- and b, writes b again, and brings back a: a copy of the row that was active,
-- all of it but for what cannot be copied.  No other row may change.  Then the
-- undo of that, and of that again.
CREATE FUNCTION check_table(t regclass, not_copied text[] DEFAULT '{}', stamping text DEFAULT 'off') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	key text := (SELECT feature FROM metaxy_feature WHERE relation = t);
	all_rows text := format('SELECT jsonb_object_agg(whole.tableoid::text || whole.ctid, to_jsonb(whole)) FROM %s AS whole', t);
	active text := format('SELECT string_agg(id || '' '' || j, '', '' ORDER BY id) FROM (
		SELECT DISTINCT ON (id) id::text, metaxy_deleted_at, to_jsonb(whole) - $1 AS j FROM %s AS whole
		 ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC, metaxy_deleted_at IS NULL, tableoid DESC, ctid DESC) AS x
		WHERE metaxy_deleted_at IS NULL', t);
	but text[] := not_copied || '{metaxy_updated_at}'::text[];
	n bigint;
	operation bigint;
	result record;
	first text;
	without text;
	again text;
	before jsonb;
	after jsonb;
BEGIN
	EXECUTE active INTO first USING but;
	SELECT deletion_id INTO operation FROM metaxy_delete(key, $f$id IN ('a', 'b')$f$);
	-- by the clock, which may be ahead of the wall
	PERFORM set_config('metaxy.stamp', 'on', true);
	EXECUTE format('INSERT INTO %s (id) VALUES (''b'')', t);
	PERFORM set_config('metaxy.stamp', 'off', true);
	EXECUTE active INTO without USING but;
	EXECUTE all_rows INTO before;
	SELECT * INTO result FROM metaxy_undelete(operation, dry_run => true);
	IF (result.restored, result.skipped) <> (1, 1) THEN RETURN 'dry run: ' || result; END IF;
	EXECUTE all_rows INTO after;
	IF after <> before THEN RETURN 'dry run: wrote'; END IF;
	PERFORM set_config('metaxy.stamp', stamping, true);
	SELECT * INTO result FROM metaxy_undelete(operation);
	IF (result.restored, result.skipped) <> (1, 1) THEN RETURN 'restored: ' || result; END IF;
	EXECUTE all_rows INTO after;
	IF NOT after @> before OR
	   (SELECT count(*) FROM jsonb_object_keys(after)) <> (SELECT count(*) + 1 FROM jsonb_object_keys(before))
	THEN RETURN 'rows were changed'; END IF;
	EXECUTE active INTO again USING but;
	IF left(again, strpos(again, ', b ')) <> left(first, strpos(first, ', b ')) THEN RETURN format('%s instead of %s', again, first); END IF;
	IF substr(again, strpos(again, ', b ')) <> ', ' || without THEN RETURN format('with %s now %s', without, again); END IF;
	EXECUTE format('SELECT count(*) FROM %s WHERE metaxy_updated_at = (SELECT stamp FROM metaxy_deletions ORDER BY id DESC LIMIT 1)', t) INTO n;
	IF n <> 1 THEN RETURN n || ' rows with its stamp'; END IF;
	SELECT * INTO result FROM metaxy_undelete(operation);
	IF (result.restored, result.skipped) <> (0, 2) THEN RETURN 'again: ' || result; END IF;

	SELECT max(id) INTO operation FROM metaxy_deletions WHERE rows = 1;
	SELECT * INTO result FROM metaxy_undelete(operation);
	IF (result.restored, result.skipped) <> (1, 0) THEN RETURN 'hidden: ' || result; END IF;
	EXECUTE active INTO again USING but;
	IF again <> without THEN RETURN format('%s instead of %s', again, without); END IF;
	SELECT max(id) INTO operation FROM metaxy_deletions;
	SELECT * INTO result FROM metaxy_undelete(operation);
	IF (result.restored, result.skipped) <> (1, 0) THEN RETURN 'restored again: ' || result; END IF;
	EXECUTE active INTO again USING but;
	IF left(again, strpos(again, ', b ')) <> left(first, strpos(first, ', b ')) THEN RETURN format('at last %s instead of %s', again, first); END IF;
	PERFORM set_config('metaxy.stamp', 'off', true);
	PERFORM metaxy_unregister(key);
	EXECUTE format('DROP TABLE %s', t);
	RETURN 'ok';
END $$;

-- what most of the tables below begin with, and their rows
CREATE TABLE base (id text, data text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
INSERT INTO base
SELECT id, id || v, '2024-01-01'::timestamptz + v * interval '1 minute', '2024-01-01'::timestamptz + v * interval '1 hour'
  FROM unnest('{a,b,c}'::text[]) AS id, generate_series(1, 3) AS v;
CREATE FUNCTION make(name text, definition text, kind text DEFAULT 'TABLE') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE %s %I %s', kind, name, definition);
	EXECUTE format('INSERT INTO %I SELECT * FROM base', name);
	PERFORM metaxy_register(name, format('%I', name)::regclass, '{id}');
	RETURN name;
END $$;

SELECT make('plain', '(LIKE base)');
SELECT check_table('plain');
SELECT make('plain', '(LIKE base)');
SELECT check_table('plain', stamping => 'on');
SELECT make('unlogged', '(LIKE base)', 'UNLOGGED TABLE');
SELECT check_table('unlogged');
SELECT make('temporary', '(LIKE base)', 'TEMP TABLE');
SELECT check_table('temporary');

-- partitions: by hash of the id, by list of what another column holds, with
-- columns in another order and dropped ones, beneath one another
CREATE TABLE hashed (LIKE base) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT * FROM base;
SELECT metaxy_register('hashed', 'hashed', '{id}');
SELECT check_table('hashed', stamping => 'on');
CREATE TABLE listed (LIKE base) PARTITION BY LIST (data);
CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN ('a1', 'b2', 'c3');
CREATE TABLE listed_2 PARTITION OF listed FOR VALUES IN ('a2', 'a3', 'c1') PARTITION BY RANGE (id);
CREATE TABLE listed_2a PARTITION OF listed_2 FOR VALUES FROM ('a') TO ('b');
CREATE TABLE listed_2z PARTITION OF listed_2 DEFAULT;
CREATE TABLE listed_z (was_here text, metaxy_deleted_at timestamptz, data text,
	metaxy_updated_at timestamptz, gone text, metaxy_created_at timestamptz, id text);
ALTER TABLE listed_z DROP COLUMN was_here, DROP COLUMN gone;
ALTER TABLE listed ATTACH PARTITION listed_z DEFAULT;
INSERT INTO listed SELECT * FROM base;
SELECT metaxy_register('listed', 'listed', '{id}');
SELECT check_table('listed');

-- columns that cannot be copied, and those that must be
SELECT make('generated', '(LIKE base, twice text GENERATED ALWAYS AS (data || data) STORED)');
SELECT check_table('generated');
SELECT make('identities', '(LIKE base, a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, d bigint GENERATED BY DEFAULT AS IDENTITY)');
SELECT check_table('identities', '{a,d}');
SELECT make('serials', '(LIKE base, u bigserial UNIQUE, s serial, p serial)');
SELECT check_table('serials', '{u}');
SELECT make('defaults', $$(LIKE base, r double precision DEFAULT random(), n text DEFAULT 'n')$$);
UPDATE defaults SET n = NULL;
SELECT check_table('defaults');
CREATE TABLE dropped (x1 text, id text, x2 integer, data text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, x3 jsonb, metaxy_deleted_at timestamptz);
ALTER TABLE dropped DROP COLUMN x1, DROP COLUMN x2, DROP COLUMN x3;
INSERT INTO dropped SELECT * FROM base;
SELECT metaxy_register('dropped', 'dropped', '{id}');
SELECT check_table('dropped');
SELECT make('wide', $$(LIKE base, big text DEFAULT repeat(md5('x'), 2000), j jsonb DEFAULT '{"a": [1, null]}', r int4range DEFAULT '[1,3)',
	x xml DEFAULT '<a/>', ts timestamp[] DEFAULT '{infinity,NULL}', metaxy_provenance_by_field jsonb DEFAULT '{"a": "1"}')$$);
SELECT check_table('wide');

-- odd names, of the alias of our own queries too
SELECT make('odd "Name" $1', '(LIKE base, "select" integer DEFAULT 1, "a""b" text DEFAULT ''"'', "row" integer, "Über" integer DEFAULT 2)');
SELECT check_table('"odd ""Name"" $1"');
SELECT make('later', '(LIKE base, later integer DEFAULT 1)');
SELECT check_table('later');
SELECT make('row', '(LIKE base, c1 integer DEFAULT 1, c2 integer)');
SELECT check_table('"row"');
SELECT make('metaxy rows 0', '(LIKE base)');
SELECT check_table('"metaxy rows 0"');

-- several id columns of several types, one that orders letters in its own way
CREATE TABLE many (a numeric, b text COLLATE "C", c date, data integer, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('many', 'many', '{b,a,c}');
INSERT INTO many SELECT 1.0 + i, 'B' || i, '2024-01-01', i, '2024-01-01', '2024-01-01' FROM generate_series(1, 3) AS i;
INSERT INTO many SELECT 1.0, 'B1', '2024-01-01', 11, '2024-01-01', '2024-01-01';
SELECT deletion_id AS d FROM metaxy_delete('many', 'data <> 3') \gset
SET metaxy.stamp = on;
INSERT INTO many VALUES (2.00, 'B1', '2024-01-01', 111);		-- the same sample
SET metaxy.stamp = off;
SELECT * FROM metaxy_undelete(:d);
SELECT a, b, data FROM many_active ORDER BY b, a;
SELECT metaxy_unregister('many');

-- an identity that is the id is copied
CREATE TABLE always (id integer GENERATED ALWAYS AS IDENTITY, data text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('always', 'always', '{id}');
INSERT INTO always (data, metaxy_created_at, metaxy_updated_at) SELECT 'x' || i, '2024-01-01', '2024-01-01' FROM generate_series(1, 3) AS i;
SELECT deletion_id AS d FROM metaxy_delete('always', 'id = 2') \gset
SELECT * FROM metaxy_undelete(:d);
SELECT id, data FROM always_active ORDER BY 1;
SELECT metaxy_unregister('always');

-- tombstones of another client, or dated ahead: the stamp is above them all
CREATE TABLE ahead (LIKE base);
SELECT metaxy_register('ahead', 'ahead', '{id}');
INSERT INTO ahead SELECT * FROM base WHERE data LIKE '%3';
SELECT deletion_id AS d FROM metaxy_delete('ahead', $$id = 'a'$$) \gset
UPDATE metaxy_deletion SET stamp = clock_timestamp() + interval '200 ms' WHERE id = :d;
UPDATE ahead SET metaxy_deleted_at = (SELECT stamp FROM metaxy_deletion WHERE id = :d) WHERE id = 'a' AND metaxy_deleted_at IS NOT NULL;
SELECT * FROM metaxy_undelete(:d);
SELECT id, data FROM ahead_active ORDER BY 1;
SELECT metaxy_unregister('ahead');

-- a temporary table with a permanent one upstream, in one operation
CREATE TABLE parent (LIKE base);
INSERT INTO parent SELECT * FROM base;
CREATE TEMP TABLE child (LIKE base);
INSERT INTO child SELECT * FROM base;
SELECT metaxy_register('parent', 'parent', '{id}'), metaxy_register('child', 'child', '{id}');
SELECT metaxy_depend('child', 'parent');
SELECT DISTINCT deletion_id AS d FROM metaxy_delete('parent', $$id < 'c'$$, cascade => 'downstream') \gset
SELECT * FROM metaxy_undelete(:d);
SELECT metaxy_unregister('child'), metaxy_unregister('parent');

DROP SCHEMA metaxy_undelete_tables CASCADE;
DROP TABLE child;
