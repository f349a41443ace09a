--
-- metaxy_status: samples, rows and bytes of each feature
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set media :abs_srcdir '/fixtures/media'
\set SHOW_CONTEXT never
SET client_min_messages = warning;

-- The same numbers by a window over each table.
CREATE FUNCTION count_plainly(tab regclass, id text, version text,
	OUT active bigint, OUT deleted bigint, OUT rows bigint, OUT superseded bigint,
	OUT bytes bigint, OUT last_write timestamptz, OUT last_delete timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format($q$
		SELECT count(*) FILTER (WHERE metaxy_deleted_at IS NULL),
			   count(*) FILTER (WHERE metaxy_deleted_at IS NOT NULL)
		  FROM (SELECT *, row_number() OVER (PARTITION BY %2$I
					ORDER BY coalesce(metaxy_deleted_at, metaxy_updated_at) DESC,
							 metaxy_deleted_at IS NULL, ctid DESC) AS place
				  FROM %1$s WHERE metaxy_feature_version = %3$L) AS ranked
		 WHERE place = 1 $q$, tab, id, version)
		INTO active, deleted;
	EXECUTE format('SELECT count(*) FROM %s', tab) INTO rows;
	EXECUTE format('SELECT max(metaxy_updated_at) FROM %s WHERE metaxy_deleted_at IS NULL', tab)
		INTO last_write;
	EXECUTE format('SELECT max(metaxy_deleted_at) FROM %s', tab) INTO last_delete;
	superseded := rows - active - deleted;
	bytes := pg_total_relation_size(tab);
END
$$;
CREATE VIEW compared AS
SELECT s.feature, s.relation, s.feature_version, s.active, s.deleted, s.rows,
	   s.superseded, s.last_delete IS NOT NULL AS any_delete,
	   (s.active, s.deleted, s.rows, s.superseded, s.bytes, s.last_write, s.last_delete)
	   IS NOT DISTINCT FROM
	   (p.active, p.deleted, p.rows, p.superseded, p.bytes, p.last_write, p.last_delete)
		   AS as_counted
  FROM metaxy_status() WITH ORDINALITY AS s
  JOIN metaxy_feature AS f USING (feature)
 CROSS JOIN LATERAL count_plainly(f.relation, f.id_columns[1], f.feature_version) AS p
 ORDER BY s.ordinality;
CREATE FUNCTION drop_store() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	tab text;
BEGIN
	PERFORM metaxy_unregister(feature) FROM metaxy_order(direction => 'upstream');
	FOR tab IN SELECT relname FROM pg_class
				WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
				  AND relname ~ '^(video|training_set)__' LOOP
		EXECUTE format('DROP TABLE %I', tab);
	END LOOP;
	EXECUTE 'DROP TABLE metaxy_system__feature_versions';
END
$$;

-- nothing is registered
SELECT * FROM metaxy_status();

--
-- A store of Metaxy's, after each of its phases
--
\set store :media '/store_after_phase_1.sql'
\set ECHO none
\i :store
\set ECHO all
RESET ALL;
SET client_min_messages = warning;
SELECT count(*) FROM metaxy_sync();
SELECT * FROM compared;
SELECT drop_store();

\set store :media '/store_after_phase_2.sql'
\set ECHO none
\i :store
\set ECHO all
RESET ALL;
SET client_min_messages = warning;
SELECT count(*) FROM metaxy_sync();
SELECT * FROM compared;

-- one of them; with an older version as the current one, others' rows are
-- superseded
SELECT feature, feature_version, active, deleted, rows, superseded
  FROM metaxy_status('video/raw');
SELECT metaxy_register('video/raw', 'video__raw', '{video_id}', 'd842b740');
SELECT * FROM compared WHERE feature = 'video/raw';

-- in a read-only transaction
BEGIN TRANSACTION READ ONLY;
SELECT count(*), sum(active), sum(deleted), sum(rows), sum(superseded) FROM metaxy_status();
COMMIT;
SELECT drop_store();

--
-- Ties, versions, other kinds of tables
--
CREATE TABLE ties (id text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz,
	metaxy_feature_version text);
CREATE FUNCTION at(minute integer) RETURNS timestamptz IMMUTABLE LANGUAGE sql
AS $$ SELECT timestamptz '2026-01-01 00:00:00+00' + minute * interval '1 minute' $$;
INSERT INTO ties VALUES
	('equal', at(1), at(5), NULL, 'v1'), ('equal', at(1), at(1), at(5), 'v1'),
	('rewritten', at(1), at(1), at(5), 'v1'), ('rewritten', at(1), at(6), NULL, 'v1'),
	('rewritten', at(1), at(6), NULL, 'v1'),
	('written after', at(1), at(8), at(3), 'v1'), ('written after', at(1), at(4), NULL, 'v1'),
	('deleted elsewhere', at(1), at(1), NULL, 'v1'), ('deleted elsewhere', at(1), at(1), at(9), 'v2'),
	('only elsewhere', at(1), at(7), NULL, 'v2');
SELECT metaxy_register('ties', 'ties', '{id}', 'v1');
SELECT active, deleted, rows, superseded, last_write = at(7) AS last_write,
	   last_delete = at(9) AS last_delete
  FROM metaxy_status('ties');
SELECT (SELECT count(*) FROM ties_active) AS active, (SELECT count(*) FROM ties_deleted) AS deleted;
-- without a version all rows are in the scope
SELECT metaxy_register('ties', 'ties', '{id}', replace => true);
SELECT feature_version, active, deleted, rows, superseded FROM metaxy_status('ties');
SELECT (SELECT count(*) FROM ties_active) AS active, (SELECT count(*) FROM ties_deleted) AS deleted;
-- a version that nothing was written with
SELECT metaxy_register('ties', 'ties', '{id}', 'v3');
SELECT feature_version, active, deleted, rows, superseded FROM metaxy_status('ties');

-- several id columns, none of them text; no rows
CREATE TABLE "two ids" ("the hour" timestamptz, sensor integer, value float8);
SELECT metaxy_register('empty', '"two ids"', ARRAY['the hour', 'sensor'], 'v1');
SELECT feature, relation, active, deleted, rows, superseded, last_write, last_delete,
	   bytes = pg_total_relation_size('"two ids"') AS bytes
  FROM metaxy_status('empty');

-- partitions are one table
CREATE TABLE parts (id integer, part integer, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz)
	PARTITION BY LIST (part);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2) PARTITION BY LIST (id);
CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES IN (1, 2, 3);
INSERT INTO parts VALUES (1, 1, at(1), at(1), NULL), (1, 2, at(1), at(1), at(2)),
	(2, 1, at(1), at(1), NULL), (3, 2, at(1), at(1), NULL);
SELECT metaxy_register('parts', 'parts', '{id}');
SELECT active, deleted, rows, superseded,
	   bytes = pg_total_relation_size('parts_1') + pg_total_relation_size('parts_2_1') AS bytes
  FROM metaxy_status('parts');

-- a foreign table has no size
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE elsewhere (captured_at timestamptz, duration float8,
	metaxy_created_at timestamptz NOT NULL, metaxy_data_version text,
	metaxy_deleted_at timestamptz, metaxy_feature_version text NOT NULL,
	metaxy_materialization_id text, metaxy_project_version text, metaxy_provenance text,
	metaxy_updated_at timestamptz NOT NULL, path text, status text, video_id text NOT NULL)
	SERVER files OPTIONS (format 'csv', header 'true', filename :'media');
\set csv :media '/read_after_phase_1/video__raw.latest.csv'
ALTER FOREIGN TABLE elsewhere OPTIONS (SET filename :'csv');
SELECT metaxy_register('elsewhere', 'elsewhere', '{video_id}', 'd842b740');
SELECT active, deleted, rows, superseded, bytes FROM metaxy_status('elsewhere');

-- a feature without a table has nothing to count; features come in the order
-- of their keys
CREATE TABLE gone (id integer);
SELECT metaxy_register('gone', 'gone', '{id}', 'v1');
DROP TABLE gone CASCADE;
SELECT * FROM metaxy_status('gone');
CREATE TABLE keys_1 (id integer);
CREATE TABLE keys_2 (id integer);
SELECT metaxy_register('a-b', 'keys_1', '{id}');
SELECT metaxy_register('a/b', 'keys_2', '{id}');
SELECT feature, relation, rows FROM metaxy_status();

--
-- Rights
--
CREATE ROLE regress_metaxy_reader;
GRANT SELECT ON keys_1 TO regress_metaxy_reader;
GRANT SELECT (id, metaxy_updated_at, metaxy_deleted_at) ON parts TO regress_metaxy_reader;
GRANT SELECT (id) ON keys_2 TO regress_metaxy_reader;
CREATE SCHEMA hidden;
CREATE TABLE hidden.tab (id integer);
SELECT metaxy_register('hidden', 'hidden.tab', '{id}');
GRANT SELECT ON hidden.tab TO regress_metaxy_reader;
-- a row that a policy hides
ALTER TABLE ties ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON ties FOR SELECT TO regress_metaxy_reader USING (id <> 'only elsewhere');
GRANT SELECT ON ties TO regress_metaxy_reader;

SET ROLE regress_metaxy_reader;
SELECT feature, active, deleted, rows, superseded, bytes > 0 AS bytes FROM metaxy_status();
SELECT rows FROM metaxy_status('parts');
SELECT rows FROM metaxy_status('keys_2');
\echo :LAST_ERROR_SQLSTATE
SELECT rows FROM metaxy_status('a/b');
\echo :LAST_ERROR_SQLSTATE
SELECT rows FROM metaxy_status('hidden');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT rows FROM metaxy_status('ties');

--
-- What cannot be counted
--
SELECT * FROM metaxy_status('nonesuch');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_status('');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE ties RENAME id TO ident;
SELECT * FROM metaxy_status('ties');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE ties RENAME ident TO id;
ALTER TABLE ties RENAME TO "Ties";
SELECT feature, relation, rows FROM metaxy_status('ties');

--
-- Clean up
--
SELECT count(*) FROM (SELECT metaxy_unregister(feature) FROM metaxy_order() OFFSET 0) AS gone;
SELECT count(*) FROM metaxy_feature;
DROP FOREIGN TABLE elsewhere;
DROP SERVER files;
DROP EXTENSION file_fdw;
DROP TABLE "Ties", "two ids", parts, keys_1, keys_2, hidden.tab;
DROP SCHEMA hidden;
DROP VIEW compared;
DROP FUNCTION count_plainly, drop_store, at;
DROP ROLE regress_metaxy_reader;
