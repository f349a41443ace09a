--
-- metaxy_delete: how samples of two features belong together.  1:1, 1:N and
-- N:1, the columns that are joined, their types, NULLs, and many keys
--
CREATE SCHEMA metaxy_lineage;
SET search_path = metaxy_lineage, public;
SET client_min_messages = warning;

-- A table with the given columns and all that a feature needs; and away with it.
CREATE PROCEDURE make(key text, columns text, ids text[]) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (%s, metaxy_created_at timestamptz DEFAULT ''2024-01-01'' NOT NULL,
		metaxy_updated_at timestamptz DEFAULT ''2024-01-01'' NOT NULL, metaxy_deleted_at timestamptz)', key, columns);
	PERFORM metaxy_register(key, key::regclass, ids);
END $$;
CREATE PROCEDURE take_away(VARIADIC keys text[]) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN REVERSE cardinality(keys) .. 1 LOOP
		PERFORM metaxy_unregister(keys[i]);
		EXECUTE format('DROP TABLE %I CASCADE', keys[i]);
	END LOOP;
END $$;

-- Samples of a feature, active ones or all that have rows.
CREATE FUNCTION samples(key text, active boolean) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	result text[];
BEGIN
	EXECUTE format('SELECT coalesce(array_agg(DISTINCT concat_ws(''/'', %s)), ''{}'') FROM %I',
		(SELECT string_agg(quote_ident(c), ', ' ORDER BY o) FROM metaxy_feature AS f, unnest(id_columns) WITH ORDINALITY AS i (c, o)
		 WHERE f.feature = key), key || CASE WHEN active THEN '_active' ELSE '' END) INTO result;
	RETURN result;
END $$;

-- Runs a delete, softly and for good, shows which samples of each feature went,
-- "+n" for n that are stale, and takes it back.  Both must be the same here,
-- where there are no tombstones.
CREATE FUNCTION try(key text, filter text, cascade text DEFAULT 'downstream', partial text DEFAULT 'keep')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers text[];
	answer text;
	before jsonb;
BEGIN
	FOR soft IN 0 .. 1 LOOP
		BEGIN
			SELECT jsonb_object_agg(feature, samples(feature, true)) INTO before FROM metaxy_feature;
			SELECT string_agg(d.feature || ': ' || coalesce(g.ids, '-') ||
				CASE WHEN g.n <> d.samples OR g.n < d."rows" AND soft = 1 THEN format(' (%s/%s)', d.samples, d."rows") ELSE '' END ||
				CASE WHEN d.stale > 0 THEN ' +' || d.stale ELSE '' END, ', ' ORDER BY d.step)
			  INTO answer
			  FROM metaxy_delete(key, filter, soft = 1, cascade, partial => try.partial,
				all_rows => soft = 0 AND filter IS NULL) AS d,
				LATERAL (SELECT string_agg(id, ' ' ORDER BY id COLLATE "C") AS ids, count(*) AS n FROM (
					SELECT jsonb_array_elements_text(before -> d.feature)
					EXCEPT SELECT unnest(samples(d.feature, soft = 1))) AS x (id)) AS g;
			RAISE EXCEPTION USING ERRCODE = 'ZZ001';
		EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
			answers[soft] := answer;
		END;
	END LOOP;
	RETURN CASE WHEN answers[0] = answers[1] THEN answers[0]
		ELSE 'hard ' || answers[0] || E'\nsoft ' || answers[1] END;
END $$;

--
-- 1:1: the id columns that both share
--
CALL make('a', 'id text', '{id}');
CALL make('b', 'id text, v int', '{id}');
SELECT metaxy_depend('b', 'a');
INSERT INTO a VALUES ('1'), ('2'), ('3'), ('lone');
INSERT INTO b VALUES ('1', 1), ('2', 1), ('3', 1), ('orphan', 1);
SELECT try('a', $$id IN ('1', '2', 'lone')$$);
SELECT try('b', $$id IN ('1', 'orphan')$$, 'upstream');
SELECT try('b', 'v = 1', 'both');
SELECT try('a', 'true');
-- without a filter there is nothing to join: orphans go too
SELECT try('a', NULL);
SELECT try('a', NULL, 'none');
SELECT try('b', NULL, 'upstream');
-- the columns may have other names, and not all ids need be shared
SELECT metaxy_undepend('b', 'a');
CALL take_away('a', 'b');
CALL make('a', 'id text, part int', '{part,id}');
CALL make('b', 'name text, part int, v int', '{v,name,part}');
SELECT metaxy_depend('b', 'a', rename => '{"id": "name"}');
INSERT INTO a VALUES ('x', 1), ('x', 2), ('y', 1);
INSERT INTO b VALUES ('x', 1, 1), ('x', 1, 2), ('x', 2, 1), ('y', 2, 1), ('y', 1, 1);
SELECT try('a', $$id = 'x' AND part = 1$$);
SELECT try('a', 'part = 1');
SELECT try('b', 'v = 2', 'upstream');
SELECT try('b', 'v = 2', 'both');
SELECT metaxy_undepend('b', 'a');
-- renamed away: part alone is shared
SELECT metaxy_depend('b', 'a', rename => '{"id": "v2"}');
SELECT try('a', $$id = 'x' AND part = 1$$);
SELECT try('b', $$name = 'y' AND part = 2$$, 'upstream');
SELECT metaxy_undepend('b', 'a');
CALL take_away('a', 'b');

--
-- 1:N: on columns, or the parent's ids
--
CALL make('a', 'id text, k int', '{id}');
CALL make('b', 'bid text, id text, k int, other int', '{bid}');
INSERT INTO a VALUES ('1', 10), ('2', 20), ('3', 20), ('4', NULL), ('5', NULL);
INSERT INTO b VALUES ('1a', '1', 10, 1), ('1b', '1', 20, 2), ('2a', '2', 20, 10), ('3a', '3', NULL, 20), ('na', NULL, 10, NULL),
	('nn', NULL, NULL, NULL);
SELECT metaxy_depend('b', 'a', '1:N');
SELECT try('a', $$id IN ('1', '3')$$);
SELECT try('b', $$bid = '1a'$$, 'upstream');
SELECT try('b', $$bid = '1a'$$, 'both');
SELECT metaxy_undepend('b', 'a'), metaxy_depend('b', 'a', '1:N', '{k}');
SELECT try('a', $$id = '1'$$);
SELECT try('a', $$id = '2'$$);
SELECT try('b', $$bid = '1b'$$, 'upstream');
-- NULL never matches, also not another NULL
SELECT try('a', $$id = '4'$$);
SELECT try('a', 'k IS NULL');
SELECT try('b', 'k IS NULL', 'upstream');
SELECT metaxy_undepend('b', 'a'), metaxy_depend('b', 'a', '1:N', '{k}', '{"k": "other"}');
SELECT try('a', $$id = '1'$$);
SELECT try('a', 'k = 20');
-- both columns must agree, and one NULL is enough to part them
SELECT metaxy_undepend('b', 'a'), metaxy_depend('b', 'a', '1:N', '{k,id}');
SELECT try('a', $$id = '1'$$);
SELECT try('a', $$id = '3'$$);
SELECT try('a', 'true');
SELECT try('b', 'true', 'upstream');
SELECT metaxy_undepend('b', 'a');
CALL take_away('a', 'b');

--
-- N:1: a group goes once one of its parents was doomed and no other is active
--
CALL make('a', 'id int, hour int', '{id}');
CALL make('b', 'hour int, v int', '{hour}');
SELECT metaxy_depend('b', 'a', 'N:1');
INSERT INTO a VALUES (1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (6, NULL);
INSERT INTO b VALUES (1, 1), (2, 1), (3, 1), (4, 1);
SELECT try('a', 'id = 1');
SELECT try('a', 'id = 3');
SELECT try('a', 'id IN (1, 2)');
SELECT try('a', 'id IN (1, 2, 3, 4)');
SELECT try('a', 'id IN (1, 3, 6)', partial => 'delete');
SELECT try('a', 'id = 6');
-- a group without any parent goes only with the whole feature
SELECT try('a', 'true');
SELECT try('a', NULL);
SELECT try('b', 'hour = 1', 'upstream');
SELECT try('b', 'hour IN (2, 4)', 'both');
SELECT try('b', NULL, 'upstream');
-- a parent that was deleted before does not keep its group, and its old rows
-- do not either; nor does one that was moved to another group
BEGIN;
SELECT samples FROM metaxy_delete('a', 'id = 2');
SELECT try('a', 'id = 1');
INSERT INTO a VALUES (5, 1, '2024-01-02', '2024-01-02');
SELECT try('a', 'id = 4');
SELECT try('a', 'id = 1');
SELECT try('a', 'id IN (1, 5)');
ROLLBACK;
-- nor did a deleted parent doom it
BEGIN;
SELECT samples FROM metaxy_delete('a', 'id = 3');
SELECT feature, samples, stale FROM metaxy_delete('a', 'true', cascade => 'downstream', dry_run => true);
-- but it does in a hard delete, which finds tombstones too
SELECT feature, samples, "rows", stale FROM metaxy_delete('a', 'id = 3', soft => false, cascade => 'downstream');
SELECT hour FROM b ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT samples FROM metaxy_delete('a', 'id = 2');
SELECT feature, samples, "rows", stale FROM metaxy_delete('a', 'id = 2', soft => false, cascade => 'downstream');
SELECT feature, samples, "rows", stale FROM metaxy_delete('a', 'id = 1', soft => false, cascade => 'downstream');
SELECT hour FROM b ORDER BY 1;
ROLLBACK;
SELECT metaxy_undepend('b', 'a');
CALL take_away('a', 'b');
-- over two columns of different names, one of which may be NULL
CALL make('a', 'id int, site text, hour int', '{id}');
CALL make('b', 'place text, hour int, v int', '{v}');
SELECT metaxy_depend('b', 'a', 'N:1', '{site,hour}', '{"site": "place"}');
INSERT INTO a VALUES (1, 'x', 1), (2, 'x', 1), (3, 'x', 2), (4, 'y', 1), (5, 'x', NULL), (6, 'x', NULL), (7, 'y', 1);
INSERT INTO b VALUES ('x', 1, 1), ('x', 2, 2), ('y', 1, 3), ('x', NULL, 4), ('y', 1, 5);
SELECT try('a', 'id = 1');
SELECT try('a', 'id IN (1, 2, 3)');
SELECT try('a', 'id IN (4, 5, 6)');
SELECT try('a', 'id IN (4, 7)');
SELECT try('a', 'id IN (5, 6, 7)', partial => 'delete');
SELECT try('b', 'v IN (3, 4)', 'both');
SELECT try('b', 'v = 4', 'upstream');
SELECT metaxy_undepend('b', 'a');
CALL take_away('a', 'b');

--
-- Chains of them: readings, hourly means, daily means; and what a day has
--
CALL make('reading', 'id int, hour int, day int', '{id}');
CALL make('hourly', 'hour int, day int', '{hour}');
CALL make('daily', 'day int', '{day}');
CALL make('report', 'page text, day int', '{page}');
SELECT metaxy_depend('hourly', 'reading', 'N:1'), metaxy_depend('daily', 'hourly', 'N:1'),
	metaxy_depend('report', 'daily', '1:N');
INSERT INTO reading SELECT i, i / 2, i / 4 FROM generate_series(0, 11) AS i;
INSERT INTO hourly SELECT i, i / 2 FROM generate_series(0, 5) AS i;
INSERT INTO daily SELECT i FROM generate_series(0, 2) AS i;
INSERT INTO report SELECT d || p, d FROM generate_series(0, 2) AS d, unnest('{a,b}'::text[]) AS p;
SELECT try('reading', 'id = 0');
SELECT try('reading', 'id IN (0, 1)');
SELECT try('reading', 'id IN (0, 1, 2)');
SELECT try('reading', 'id BETWEEN 0 AND 3');
SELECT try('reading', 'id IN (0, 1, 2)', partial => 'delete');
SELECT try('reading', 'id = 5', partial => 'delete');
SELECT try('hourly', 'hour = 2');
SELECT try('hourly', 'hour IN (2, 3)');
SELECT try('hourly', 'hour IN (2, 3)', 'both');
SELECT try('daily', 'day = 1', 'upstream');
SELECT try('report', $$page = '1a'$$, 'upstream');
SELECT try('report', $$page = '1a'$$, 'both');
SELECT try('reading', NULL);
CALL take_away('reading', 'hourly', 'daily', 'report');

--
-- Types that differ: joined by the equality that both have
--
CALL make('a', 'i4 int4, i8 int8, t text, v varchar(5), d date, ts timestamp, f8 float8, nm name', '{i4}');
CALL make('b', 'i4 int8, i8 int2, t varchar, v text, d timestamptz, ts date, f8 float4, nm text, n int', '{n}');
SET TIME ZONE 'UTC';
INSERT INTO a SELECT i, i, 't' || i, 'v' || i, '2024-01-01'::date + i, '2024-01-01'::timestamp + i * interval '1 day', i + 0.5,
	'n' || i FROM generate_series(1, 4) AS i;
INSERT INTO b SELECT i4, i8, t, v, d, ts, f8, nm, i4 FROM a;
INSERT INTO b VALUES (5, 5, 't5', 'v5 ', '2024-01-02 00:00:01', '2024-01-09', 'NaN', 'n', 5);
CREATE FUNCTION try_column(c text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM metaxy_depend('b', 'a', '1:N', ARRAY[c]);
	result := concat_ws(E'\n', try('a', 'i4 IN (1, 3)'), try('b', 'n IN (1, 3, 5)', 'upstream'));
	PERFORM metaxy_undepend('b', 'a'), metaxy_depend('b', 'a', 'N:1', ARRAY[c]);
	result := concat_ws(E'\n', result, try('a', 'i4 IN (1, 3)'));
	PERFORM metaxy_undepend('b', 'a'), metaxy_depend('b', 'a', '1:N', ARRAY[c, 'i8']);
	result := concat_ws(E'\n', result, try('a', 'i4 IN (1, 3)'));
	PERFORM metaxy_undepend('b', 'a');
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT c, try_column(c) FROM unnest('{i4,t,v,d,ts,f8,nm}'::text[]) AS c;
-- keys that differ in one table and are equal for the other: a sample is still
-- one sample, and all parents that it meets are of its group
RESET TIME ZONE;
CALL take_away('a', 'b');
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CALL make('a', 'id text, k int', '{id}');
CALL make('b', 'id text COLLATE any_case, k int, n int', '{n}');
CALL make('c', 'id text COLLATE any_case, k int', '{k,id}');
INSERT INTO a VALUES ('X', 1), ('x', 1), ('y', 1), ('z', 1);
INSERT INTO b VALUES ('x', 1, 1), ('Y', 1, 2), ('z', 2, 3);
INSERT INTO c VALUES ('x', 1), ('y', 1);
SELECT metaxy_depend('b', 'a', '1:N', '{id,k}'), metaxy_depend('c', 'a', 'N:1', '{id,k}'), metaxy_depend('b', 'c', '1:N', '{id}');
SELECT try('a', $$id IN ('X', 'x')$$);
SELECT try('a', $$id IN ('X', 'y')$$);
SELECT try('a', 'true');
CALL take_away('a', 'c', 'b');

--
-- Many keys: more than fit into the memory for hashing.  The same must come out
-- as with plenty of it.
--
CALL make('a', 'id int, k int, s text', '{id}');
CALL make('b', 'id int, a_id int8, k int, s text', '{id}');
CALL make('c', 'k int, s text', '{k}');
CALL make('d', 'id int, c int, k int, s text', '{id,k}');
INSERT INTO a SELECT i, i / 2, md5(i::text) FROM generate_series(1, 13000) AS i;
INSERT INTO b SELECT i, i, i / 2, md5(i::text) FROM generate_series(1, 13000) AS i;
INSERT INTO c SELECT i, md5(i::text) FROM generate_series(0, 6500) AS i;
INSERT INTO d SELECT i % 7, i / 2, i, md5((i / 2)::text) FROM generate_series(1, 13000) AS i;
ANALYZE a, b, c, d;
SET client_min_messages = error;	-- warnings name features outside
SET jit = off;
SET hash_mem_multiplier = 1;
SELECT metaxy_depend('b', 'a', '1:N', '{id}', '{"id": "a_id"}'), metaxy_depend('c', 'a', 'N:1', '{k}'),
	metaxy_depend('d', 'b', '1:N', '{id,k}', '{"k": "c", "id": "k"}'), metaxy_depend('d', 'a', '1:N', '{s}', optional => true);

-- Counts and digest of a few large deletes with the memory at hand.
CREATE FUNCTION large(memory text, multiplier float) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	options text;
BEGIN
	PERFORM set_config('work_mem', memory, true), set_config('hash_mem_multiplier', multiplier::text, true);
	FOREACH options IN ARRAY ARRAY[
		$o$'a', 'id % 3 > 0', cascade => 'downstream'$o$,
		$o$'a', 'id % 3 > 0', cascade => 'downstream', partial => 'delete'$o$,
		$o$'a', 'id % 3 > 0', cascade => 'downstream', soft => false$o$,
		$o$'b', 'id % 3 > 0', cascade => 'both'$o$,
		$o$'b', 'id % 3 > 0', cascade => 'upstream', soft => false$o$,
		$o$'d', 'id % 3 > 0', cascade => 'upstream'$o$,
		$o$'c', 'k % 3 > 0', cascade => 'both'$o$]
	LOOP
		RETURN QUERY EXECUTE format($q$SELECT string_agg(concat_ws(' ', feature, samples, "rows", stale), ', ' ORDER BY step) ||
			' ' || min(digest) FROM metaxy_delete(%s, dry_run => true)$q$, options);
	END LOOP;
END $$;
CREATE TEMP TABLE plenty AS SELECT * FROM large('64MB', 2) WITH ORDINALITY AS l (answer, o);
SELECT o, left(answer, -17) AS answer FROM plenty ORDER BY o;
SELECT count(*) AS same FROM plenty JOIN large('64kB', 1) WITH ORDINALITY AS l (answer, o) USING (answer, o);
SET enable_hashjoin = off;
SELECT count(*) AS same FROM plenty JOIN large('64kB', 1) WITH ORDINALITY AS l (answer, o) USING (answer, o);
RESET enable_hashjoin;
-- and the rows are what was counted
BEGIN;
SET LOCAL work_mem = '64kB';
SELECT feature, samples, "rows", stale FROM metaxy_delete('a', 'id % 3 > 0', cascade => 'downstream');
RESET work_mem;
SELECT count(*), bool_and(id % 3 > 0) FROM a_deleted;
SELECT count(*), bool_and(a_id % 3 > 0) FROM b_deleted;
SELECT count(*), count(*) FILTER (WHERE k IN (SELECT k FROM a_active)) AS with_parent FROM c_deleted;
SELECT count(*), count(DISTINCT (id, k)), count(*) FILTER (WHERE NOT EXISTS
	(SELECT FROM b_deleted AS b WHERE b.id = d.k AND b.k = d.c)) AS without_parent FROM d_deleted AS d;
ROLLBACK;
BEGIN;
SET LOCAL work_mem = '64kB';
SELECT feature, samples, "rows", stale FROM metaxy_delete('a', 'id % 3 > 0', cascade => 'downstream', soft => false);
RESET work_mem;
SELECT count(*), bool_and(id % 3 = 0) FROM a;
SELECT count(*), bool_and(a_id % 3 = 0) FROM b;
SELECT count(*) FROM c WHERE k NOT IN (SELECT k FROM a);
ROLLBACK;
RESET jit;
RESET hash_mem_multiplier;
CALL take_away('a', 'b', 'c', 'd');

DROP SCHEMA metaxy_lineage CASCADE;
