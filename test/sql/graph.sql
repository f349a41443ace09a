--
-- metaxy_graph: the feature graph as tree, mermaid, dot and json
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA metaxy_graph_test;
SET search_path = metaxy_graph_test, public;
\pset format unaligned
\pset tuples_only on

-- registers a feature with a table of its own
CREATE FUNCTION feature(key text, name text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	name := coalesce(name, translate(key, '/-.', '___'));
	EXECUTE format('CREATE TABLE %I (id text, at text, metaxy_created_at timestamptz,
		metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz)', name);
	PERFORM metaxy_register(key, name::regclass, '{id}', views => false,
							indexes => false);
END $$;

--
-- Nothing registered
--
SELECT format('%s: "%s"', f, metaxy_graph(f))
  FROM unnest('{tree,mermaid,dot,json}'::text[]) AS f;
SELECT metaxy_graph('json')::jsonb;

--
-- Every kind of edge, a diamond, two roots, a feature without neighbours and
-- one whose table is gone
--
SELECT count(feature(key)) FROM unnest('{video/raw,video/chunk,video/face,video/text,audio,
	stats/daily,stats,lone-some.one}'::text[]) AS key;
SELECT metaxy_depend('video/chunk', 'video/raw', '1:N', '{id}', '{"id": "at"}');
SELECT metaxy_depend('video/face', 'video/chunk');
SELECT metaxy_depend('video/text', 'video/chunk', optional => true);
SELECT metaxy_depend('video/text', 'audio', '1:N', '{id}', optional => true);
SELECT metaxy_depend('stats', 'video/face', 'N:1', '{id}');
SELECT metaxy_depend('stats', 'video/text', 'N:1', optional => true);
SELECT metaxy_depend('stats/daily', 'stats');
DROP TABLE audio;
SELECT metaxy_graph();
SELECT metaxy_graph('mermaid');
SELECT metaxy_graph('dot');
SELECT metaxy_graph('json');
SELECT metaxy_graph() = metaxy_graph('TREE') AND metaxy_graph('json') = metaxy_graph('Json');

-- with its feature version
CREATE TABLE versioned (id text, "Second Id" integer, metaxy_feature_version text,
	metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz);
SELECT metaxy_register('versioned', 'versioned', '{id,"Second Id"}', E'v"1\\', false, false);
SELECT jsonb_pretty(f) FROM jsonb_array_elements(metaxy_graph('json')::jsonb -> 'features') AS f
 WHERE f ->> 'feature' = 'versioned';

--
-- Refused
--
SELECT metaxy_graph('yaml');					-- error
\echo :SQLSTATE
SELECT metaxy_graph('');						-- error
\echo :SQLSTATE
SELECT metaxy_graph('json ');					-- error
\echo :SQLSTATE
SELECT metaxy_graph('jsonb');					-- error
\echo :SQLSTATE
SELECT metaxy_graph(NULL);						-- error
\echo :SQLSTATE

-- a cycle, which no function registers
BEGIN;
INSERT INTO metaxy_dependency VALUES ('video/raw', 'stats', '1:1', NULL, NULL, false);
SAVEPOINT s;
SELECT metaxy_graph();							-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT metaxy_graph('mermaid');					-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT metaxy_graph('dot');						-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT metaxy_graph('json');					-- error
\echo :SQLSTATE
ROLLBACK;

--
-- Anyone may look, whatever the tables' rights
--
CREATE ROLE regress_metaxy_graph;
SET ROLE regress_metaxy_graph;
SELECT count(public.metaxy_graph(f)) FROM unnest('{tree,mermaid,dot,json}'::text[]) AS f;
RESET ROLE;
DROP ROLE regress_metaxy_graph;

SELECT count(metaxy_undepend(feature, upstream)) FROM metaxy_dependency;
SELECT count(metaxy_unregister(feature)) FROM metaxy_order();

--
-- Names may be anything and say nothing in any of the languages
--
SELECT count(feature(key, 'odd_' || n)) FROM unnest(ARRAY['plain/name-1.2_x', '"quoted"', 'it''s',
	E'two\nlines', E'tab\tcr\rbell\007', E'back\\slash\\', E'\\N \\G \\"', '%%{init: {"theme":"x"}}%%',
	'%', '50% %s %n', '"]; n1 --> n2', '#quot; #35; #', '&lt;b&gt; &#65;', '<script>alert(1)</script>',
	'-- comment', '- item', '1. item', '_under_ __score__', '`code` **bold**', 'style a: #fff;', 'end',
	'a [1:N] (see above)', '+- a', ' blank ', '$x {y} (z) |w|', 'ünï/号', 'http://host/x?y=z#t', '/', '//',
	$$'); DROP TABLE x; --$$]) WITH ORDINALITY AS x (key, n);
SELECT metaxy_depend(E'two\nlines', '"quoted"');
SELECT metaxy_depend('"]; n1 --> n2', '"quoted"', 'N:1');
SELECT metaxy_graph();
SELECT metaxy_graph('mermaid');
SELECT metaxy_graph('dot');
SELECT metaxy_graph('json');

-- what is read out of JSON is what was registered
SELECT count(*), count(DISTINCT f ->> 'feature')
  FROM jsonb_array_elements(metaxy_graph('json')::jsonb -> 'features') AS f
  JOIN metaxy_feature ON feature = f ->> 'feature' AND relation = (f ->> 'relation')::regclass;
SELECT d ->> 'feature', d ->> 'upstream', d ->> 'lineage'
  FROM jsonb_array_elements(metaxy_graph('json')::jsonb -> 'dependencies') AS d;

-- one line each in the line by line formats: a name starts no line of its own
SELECT f, count(*)
  FROM unnest('{tree,mermaid,dot}'::text[]) AS f, regexp_split_to_table(metaxy_graph(f), E'[\n\r]')
 GROUP BY f ORDER BY f;

SELECT count(metaxy_undepend(feature, upstream)) FROM metaxy_dependency;
SELECT count(metaxy_unregister(feature)) FROM metaxy_order();

-- names of tables and columns are quoted as SQL wants them
CREATE SCHEMA "Odd ""Schema";
CREATE TABLE "Odd ""Schema"."Odd table" ("i d" text, "r""e" text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('odd', '"Odd ""Schema"."Odd table"', '{i d}', NULL, false, false);
SELECT feature('child');
SELECT metaxy_depend('child', 'odd', '1:N', '{i d}', '{"i d": "id", "r\"e": "at"}');
SELECT metaxy_graph('json');
SELECT metaxy_undepend('child', 'odd'), metaxy_unregister('odd'), metaxy_unregister('child');
DROP SCHEMA "Odd ""Schema" CASCADE;

--
-- A tree deeper than it is indented goes on further down
--
BEGIN;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT unnest('{leaf,other,"other/end"}'::text[]), '{id}', current_user::regrole, false, false;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'n' || to_char(i, 'FM00'), '{id}', current_user::regrole, false, false
  FROM generate_series(0, 45) AS i;
INSERT INTO metaxy_dependency
SELECT 'n' || to_char(i, 'FM00'), 'n' || to_char(i - 1, 'FM00'), '1:1', NULL, NULL, false
  FROM generate_series(1, 45) AS i;
INSERT INTO metaxy_dependency VALUES ('leaf', 'n18', '1:1', NULL, NULL, false),
	('leaf', 'n20', 'N:1', NULL, NULL, false), ('n21', 'other', '1:1', NULL, NULL, true),
	('other/end', 'other', '1:1', NULL, NULL, false);
SELECT metaxy_graph();
ROLLBACK;

--
-- A chain of a hundred thousand: a line for each feature and each piece that
-- the tree is cut into, none of them long
--
BEGIN;
SET LOCAL session_replication_role = replica;	-- foreign keys cost more than all else
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'chain/' || to_char(i, 'FM000000'), '{id}', current_user::regrole, false, false
  FROM generate_series(1, 100000) AS i;
INSERT INTO metaxy_dependency
SELECT 'chain/' || to_char(i, 'FM000000'), 'chain/' || to_char(i + 1, 'FM000000'),
	   '1:1', NULL, NULL, false
  FROM generate_series(1, 99999) AS i;
SELECT count(*) FILTER (WHERE line NOT LIKE '% (continued)') AS features,
	   count(DISTINCT substring(line FROM 'chain/[0-9]{6}')) AS "different ones",
	   count(*) FILTER (WHERE line LIKE '% (continued)') AS pieces,
	   max(length(line)) < 100 AS short
  FROM string_to_table(metaxy_graph(), E'\n') AS line;
SELECT f, length(metaxy_graph(f)) BETWEEN 1000000 AND 30000000 AS linear
  FROM unnest('{mermaid,dot,json}'::text[]) AS f;
ROLLBACK;

--
-- Every feature of a layer depends on every one of the layer before, with 8
-- to the power of 200 paths: a line for each root and each edge
--
BEGIN;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT format('layer%s/%s', layer, i), '{id}', current_user::regrole, false, false
  FROM generate_series(0, 200) AS layer, generate_series(1, 8) AS i;
INSERT INTO metaxy_dependency
SELECT format('layer%s/%s', layer, i), format('layer%s/%s', layer - 1, j), '1:1', NULL, NULL, false
  FROM generate_series(1, 200) AS layer, generate_series(1, 8) AS i, generate_series(1, 8) AS j;
SELECT count(*) FILTER (WHERE line NOT LIKE '% (continued)') AS lines,
	   count(*) FILTER (WHERE line LIKE '% (see above)') AS again,
	   count(*) FILTER (WHERE line LIKE '% (continued below)')
	   - count(*) FILTER (WHERE line LIKE '% (continued)') AS lost,
	   count(DISTINCT substring(line FROM 'layer[0-9/]*')) AS features
  FROM string_to_table(metaxy_graph(), E'\n') AS line;
ROLLBACK;

DROP SCHEMA metaxy_graph_test CASCADE;
SELECT count(*) FROM metaxy_order();
