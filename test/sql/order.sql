--
-- metaxy_order: root to leaf by Kahn's algorithm, the smallest ready key
-- first; leaf to root as its exact reverse
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA metaxy_order_test;
SET search_path = metaxy_order_test, public;

-- registers a feature with a table of its own
CREATE FUNCTION feature(key text, name text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	name := coalesce(name, translate(key, '/-', '__'));
	EXECUTE format('CREATE TABLE %I (id text, metaxy_created_at timestamptz,
		metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz)', name);
	PERFORM metaxy_register(key, name::regclass, '{id}', views => false,
							indexes => false);
END $$;

-- how far the order is from what it must be: a feature before one that it
-- depends on; a feature that was ready while a greater one was taken; two
-- directions that are not each other's reverse; a wrong depth
CREATE FUNCTION faults(OUT "before upstream" bigint, OUT "ready but passed over" bigint,
	OUT "not the reverse" bigint, OUT "wrong depth" bigint)
LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE down AS
		SELECT *, string_to_array(feature, '/') COLLATE "C" AS key FROM metaxy_order();
	CREATE TEMP TABLE edge AS
		SELECT f.step AS step, u.step AS upstream, f.depth, u.depth AS upstream_depth
		  FROM metaxy_dependency d
		  JOIN down f ON f.feature = d.feature
		  JOIN down u ON u.feature = d.upstream;
	SELECT count(*) FROM edge WHERE step <= upstream INTO "before upstream";
	WITH passed AS MATERIALIZED (
		SELECT down.step, key, coalesce(max(upstream), 0) AS ready_after
		  FROM down LEFT JOIN edge ON edge.step = down.step
		 GROUP BY down.step, key)
	SELECT count(*) FROM passed JOIN down AS taken
	    ON taken.step > ready_after AND taken.step < passed.step
	 WHERE taken.key > passed.key
	  INTO "ready but passed over";
	SELECT count(*) FROM down
	  FULL JOIN metaxy_order(NULL, 'upstream') AS up
	    ON up.step = (SELECT count(*) FROM down) + 1 - down.step
	 WHERE (up.feature, up.relation, up.depth)
		   IS DISTINCT FROM (down.feature, down.relation, down.depth)
	  INTO "not the reverse";
	SELECT count(*) FROM down
	 WHERE depth <> (SELECT coalesce(max(upstream_depth) + 1, 0) FROM edge
					  WHERE edge.step = down.step)
	  INTO "wrong depth";
	DROP TABLE down, edge;
END $$;

--
-- Nothing registered
--
SELECT * FROM metaxy_order();
SELECT * FROM metaxy_order(NULL, 'upstream');
SELECT * FROM metaxy_order('a');						-- error
\echo :SQLSTATE

--
-- Keys are compared part by part, bytewise, the shorter first
--
SELECT count(feature(key, 'keys_' || n)) FROM unnest(ARRAY['a-b/c', 'a/b c', 'aa', 'a-b', 'z',
	'a/b', 'ä', 'a', 'a/b/c', 'a b', 'A', 'B/a', 'a.b', 'a/', 'a//b', '/a',
	E'a\nb', E'a\\b', '%s"x"']) WITH ORDINALITY AS x (key, n);
\pset format unaligned
SELECT step, depth, to_json(feature) FROM metaxy_order() ORDER BY step;
\pset format aligned
SELECT * FROM faults();
SELECT count(metaxy_unregister(feature)) FROM metaxy_order();
SELECT count(*) FROM metaxy_order();

--
-- A graph: two diamonds, a root that comes late, a feature on its own.  The
-- smallest ready key comes first, whatever its depth.
--
--	  m --> c --> a			m --> a		x --> b --> y --> d
--	  m --> e --> a						x --> d,  c --> d
--
SELECT count(feature(key)) FROM unnest('{a,b,c,d,e,m,n/o-p,x,y}'::text[]) AS key;
SELECT count(metaxy_depend(f, u)) FROM (VALUES ('a', 'e'), ('a', 'm'), ('a', 'c'), ('c', 'm'),
	('e', 'm'), ('b', 'x'), ('d', 'y'), ('d', 'x'), ('d', 'c'), ('y', 'b')) AS x (f, u);
SELECT * FROM metaxy_order() ORDER BY step;
SELECT * FROM metaxy_order(NULL, 'upstream') ORDER BY step;
SELECT * FROM faults();

-- rows come in order by themselves
SELECT array_agg(feature) FROM metaxy_order();
SELECT array_agg(feature) FROM metaxy_order(NULL, 'upstream');

-- one feature with its descendants or ancestors; depth stays that in the whole
SELECT * FROM metaxy_order('m') ORDER BY step;
SELECT * FROM metaxy_order('c', 'downstream') ORDER BY step;
SELECT * FROM metaxy_order('d', 'upstream') ORDER BY step;
SELECT * FROM metaxy_order('a', 'upstream') ORDER BY step;
SELECT * FROM metaxy_order('a') ORDER BY step;			-- a leaf
SELECT * FROM metaxy_order('m', 'upstream') ORDER BY step;	-- a root
SELECT * FROM metaxy_order('n/o-p') ORDER BY step;
SELECT * FROM metaxy_order(direction => 'upstream', feature => 'y') ORDER BY step;

-- the lineage of an edge and that it is optional change nothing
SELECT metaxy_undepend('d', 'c');
SELECT metaxy_depend('d', 'c', 'N:1', optional => true);
SELECT * FROM metaxy_order('c') ORDER BY step;

-- upper and lower case
SELECT array_agg(feature) FROM metaxy_order('y', 'UPSTREAM');
SELECT array_agg(feature) FROM metaxy_order('y', 'DownStream');

-- as part of a query
SELECT k, array_agg(o.feature ORDER BY o.step)
  FROM unnest('{e,y}'::text[]) AS k, metaxy_order(k) AS o
 GROUP BY k ORDER BY k;
SELECT metaxy_order('y');
SELECT * FROM metaxy_order() LIMIT 1;

--
-- Refused
--
SELECT * FROM metaxy_order('nonesuch');					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order('nonesuch', 'upstream');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order('A');						-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order('');							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order('a', 'sideways');			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order('a', '');					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order('a', 'downstream ');			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order('a', NULL);					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_order(NULL, NULL);					-- error
\echo :SQLSTATE

--
-- Anyone may ask, whatever the tables' rights
--
CREATE ROLE regress_metaxy_order;
SET ROLE regress_metaxy_order;
SELECT array_agg(feature) FROM public.metaxy_order('x');
RESET ROLE;
DROP ROLE regress_metaxy_order;

-- also in a read-only transaction
BEGIN READ ONLY;
SELECT array_agg(feature) FROM metaxy_order('x');
COMMIT;

--
-- A feature whose table is gone keeps its place
--
DROP TABLE b;
SELECT * FROM metaxy_order('x') ORDER BY step;

-- an edge less, an order more
SELECT metaxy_undepend('y', 'b');
SELECT * FROM metaxy_order('x') ORDER BY step;
SELECT * FROM metaxy_order('y', 'upstream') ORDER BY step;

--
-- A cycle, which no function registers, is an error and not a hang
--
BEGIN;
INSERT INTO metaxy_dependency VALUES ('m', 'a', '1:1', NULL, NULL, false);
SAVEPOINT s;
SELECT * FROM metaxy_order();							-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_order(NULL, 'upstream');			-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_order('m');						-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_order('n/o-p');					-- error
\echo :SQLSTATE
ROLLBACK;

-- of two cycles the one with the smallest key is told, the shortest through it
BEGIN;
INSERT INTO metaxy_dependency VALUES ('x', 'd', '1:1', NULL, NULL, false),
	('b', 'y', '1:1', NULL, NULL, true), ('y', 'b', '1:1', NULL, NULL, true);
SELECT * FROM metaxy_order();							-- error
\echo :SQLSTATE
ROLLBACK;

-- a long one by its beginning
BEGIN;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'ring/' || to_char(i, 'FM000'), '{id}', current_user::regrole, false, false
  FROM generate_series(1, 100) AS i;
INSERT INTO metaxy_dependency
SELECT 'ring/' || to_char(i % 100 + 1, 'FM000'), 'ring/' || to_char(i, 'FM000'),
	   '1:1', NULL, NULL, false
  FROM generate_series(1, 100) AS i;
SELECT * FROM metaxy_order('a');						-- error
\echo :SQLSTATE
ROLLBACK;
SELECT * FROM faults();

SELECT count(metaxy_undepend(feature, upstream)) FROM metaxy_dependency;
SELECT count(metaxy_unregister(feature)) FROM metaxy_order();

--
-- Five hundred features in random order of keys, against the definition
--
BEGIN;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT translate(substr(md5(i::text), 1, 2 + i % 9), '06', '/-') || '+' || i, '{id}',
	   current_user::regrole, false, false
  FROM generate_series(0, 499) AS i;
INSERT INTO metaxy_dependency
SELECT f.feature, u.feature, '1:1', NULL, NULL, false
  FROM unnest('{3,16,57,130}'::integer[]) AS distance,
	   metaxy_feature AS f, metaxy_feature AS u
 WHERE split_part(f.feature, '+', 2)::integer - distance = split_part(u.feature, '+', 2)::integer
   AND (split_part(f.feature, '+', 2)::integer * distance) % 7 < 4;
SELECT count(*) > 900 AS "many edges" FROM metaxy_dependency;
SELECT count(*), max(depth) > 20 AS deep FROM metaxy_order();
SELECT * FROM faults();
ROLLBACK;

--
-- Ten thousand features with fifty thousand edges, made so that feature i has
-- a depth of i / 101
--
BEGIN;
SET LOCAL session_replication_role = replica;	-- foreign keys cost more than all else
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT md5(i::text), '{id}', current_user::regrole, false, false
  FROM generate_series(0, 9999) AS i;
INSERT INTO metaxy_dependency
SELECT md5(i::text), md5((i - distance)::text), '1:1', NULL, NULL, false
  FROM unnest('{101,211,307,401,503,601}'::integer[]) WITH ORDINALITY AS d (distance, n),
	   generate_series(0, 9999) AS i
 WHERE i >= distance
 ORDER BY n, i LIMIT 50000;
CREATE TEMP TABLE steps AS SELECT * FROM metaxy_order();
SELECT count(*), count(DISTINCT feature), min(step), max(step), max(depth) FROM steps;
SELECT count(*) AS edges, count(*) FILTER (WHERE f.step > u.step) AS "after upstream"
  FROM metaxy_dependency AS d
  JOIN steps AS f ON f.feature = d.feature
  JOIN steps AS u ON u.feature = d.upstream;
SELECT count(*) FROM steps
  JOIN generate_series(0, 9999) AS i ON steps.feature = md5(i::text)
 WHERE depth = i / 101;
SELECT count(*) FROM steps
  JOIN metaxy_order(NULL, 'upstream') AS up ON up.step = 10001 - steps.step
 WHERE up.feature = steps.feature AND up.depth = steps.depth;
ROLLBACK;

--
-- A chain of a hundred thousand, its greatest key first
--
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'chain/' || to_char(i, 'FM000000'), '{id}', current_user::regrole, false, false
  FROM generate_series(1, 100000) AS i;
INSERT INTO metaxy_dependency
SELECT 'chain/' || to_char(i, 'FM000000'), 'chain/' || to_char(i + 1, 'FM000000'),
	   '1:1', NULL, NULL, false
  FROM generate_series(1, 99999) AS i;
SELECT count(*), max(depth), bool_and(depth = step - 1) AS "depth by depth",
	   bool_and(feature = 'chain/' || to_char(100001 - step, 'FM000000')) AS "link by link"
  FROM metaxy_order();
SELECT count(*), bool_and(feature = 'chain/' || to_char(step, 'FM000000')) AS "link by link"
  FROM metaxy_order('chain/000001', 'upstream');
SELECT count(*) FROM metaxy_order('chain/000001');
INSERT INTO metaxy_dependency
VALUES ('chain/100000', 'chain/000001', '1:1', NULL, NULL, false);
SELECT * FROM metaxy_order();							-- error
\echo :SQLSTATE
ROLLBACK;

--
-- Keys of any length: their order where more than the first bytes are alike,
-- and edges that are found by them
--
BEGIN;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT key, '{id}', current_user::regrole, false, false
  FROM (SELECT 'common/prefix' || k FROM unnest(ARRAY['', '/', '/a', '-a', '!', '0', '/a/b', '/a-b',
			'/aaaaaaaab', '/aaaaaaaa/b', '/aaaaaaaa-b', '/aaaaaaaa', '/aaaaaaa/', '/aaaaaaa!', '/ä']) AS k
		UNION ALL SELECT 'common/prefix/' || repeat('long', n) || ext
		  FROM unnest('{28,29,31,32,33,600,650}'::integer[]) AS n, unnest('{"",x,/x,-x}'::text[]) AS ext) AS f (key);
INSERT INTO metaxy_dependency
SELECT f.feature, u.feature, '1:1', NULL, NULL, false
  FROM (SELECT *, row_number() OVER (ORDER BY md5(feature)) AS n FROM metaxy_feature) AS f
  JOIN (SELECT *, row_number() OVER (ORDER BY md5(feature)) AS n FROM metaxy_feature) AS u
    ON f.n - u.n IN (9, 14);
SELECT count(*), max(depth) FROM metaxy_order();
SELECT * FROM faults();
DELETE FROM metaxy_dependency;
SELECT bool_and(step = n) AS sorted
  FROM (SELECT step, row_number() OVER (ORDER BY string_to_array(feature, '/') COLLATE "C") AS n
		  FROM metaxy_order()) AS o;
ROLLBACK;

--
-- Registries that only a superuser can make
--
BEGIN;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'f' || i, '{id}', current_user::regrole, false, false FROM generate_series(1, 9) AS i;
INSERT INTO metaxy_dependency
SELECT 'f' || i, 'f' || i - 1, '1:1', NULL, NULL, false FROM generate_series(2, 9) AS i;
SAVEPOINT s;
-- ends of edges that are not there: the smallest is told
INSERT INTO metaxy_dependency
VALUES ('f7', 'x-y', '1:1', NULL, NULL, false), ('x', 'f1', '1:1', NULL, NULL, false),
	('f3', 'x/y', '1:1', NULL, NULL, false), ('f', 'f1', '1:1', NULL, NULL, false);
SELECT * FROM metaxy_order();							-- error
\echo :SQLSTATE
ROLLBACK TO s;
INSERT INTO metaxy_dependency
SELECT 'f2', 'x' || i, '1:1', NULL, NULL, false FROM generate_series(1000, 1200) AS i;
SELECT * FROM metaxy_order('f1');						-- error
\echo :SQLSTATE
ROLLBACK TO s;
-- nulls
ALTER TABLE metaxy_dependency DROP CONSTRAINT metaxy_dependency_pkey, ALTER upstream DROP NOT NULL;
UPDATE metaxy_dependency SET upstream = NULL WHERE feature = 'f5';
SELECT * FROM metaxy_order();							-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE metaxy_feature DROP CONSTRAINT metaxy_feature_pkey, ALTER feature DROP NOT NULL;
UPDATE metaxy_feature SET feature = NULL WHERE feature = 'f5';
SELECT * FROM metaxy_order();							-- error
\echo :SQLSTATE
ROLLBACK TO s;
-- an edge twice, as if it were there once
ALTER TABLE metaxy_dependency DROP CONSTRAINT metaxy_dependency_pkey;
INSERT INTO metaxy_dependency SELECT * FROM metaxy_dependency;
SELECT array_agg(feature) FROM metaxy_order();
SELECT array_agg(feature) FROM metaxy_order('f6', 'upstream');
ROLLBACK TO s;
-- other types are cast
ALTER TABLE metaxy_feature ALTER feature TYPE varchar, ALTER relation TYPE oid;
ALTER TABLE metaxy_dependency ALTER upstream TYPE "char" USING upstream::"char";
SELECT * FROM metaxy_order('f8');						-- error: no feature "f"
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE metaxy_feature ALTER feature TYPE varchar;
ALTER TABLE metaxy_dependency ALTER upstream TYPE varchar(2), ALTER lineage TYPE bpchar;
SELECT * FROM metaxy_order('f8');
ROLLBACK;

DROP SCHEMA metaxy_order_test CASCADE;
SELECT count(*) FROM metaxy_order();
