--
-- metaxy_register and metaxy_unregister: what they do to a table, and that
-- they do it once
--
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_admin IN ROLE regress_metaxy_owner;
CREATE SCHEMA reg AUTHORIZATION regress_metaxy_owner;
SET search_path = reg, public;
SET client_min_messages = warning;

-- columns of a table: NOT NULL, with a default
CREATE VIEW columns AS
SELECT attrelid::regclass AS relation, attnum, attname,
       format_type(atttypid, atttypmod) AS type, attnotnull, atthasdef
  FROM pg_attribute
 WHERE attnum > 0 AND NOT attisdropped;
-- its indexes, without their names
CREATE VIEW indexes AS
SELECT indrelid::regclass AS relation, indisunique AS "unique",
       regexp_replace(pg_get_indexdef(indexrelid), '^.* USING', 'USING') AS definition
  FROM pg_index;
GRANT SELECT ON columns, indexes TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;

--
-- An ordinary table gets what it lacks
--
CREATE TABLE raw (video_id text, path text DEFAULT '?', seconds float8);
INSERT INTO raw SELECT 'v' || i, 'p' || i, i FROM generate_series(1, 3) AS i;
SELECT pg_relation_filenode('raw') AS filenode \gset
BEGIN;
SELECT metaxy_register('video/raw', 'raw', '{video_id}', 'v1');
-- one constant for all rows that were there
SELECT count(*), bool_and(metaxy_created_at = transaction_timestamp()) AS created,
       bool_and(metaxy_updated_at = transaction_timestamp()) AS updated,
       count(metaxy_deleted_at) AS deleted, min(metaxy_feature_version), max(metaxy_feature_version)
  FROM raw;
SELECT feature, feature_version, since = transaction_timestamp() AS since_now
  FROM metaxy_feature_version_log;
COMMIT;
-- ... without rewriting any
SELECT pg_relation_filenode('raw') = :filenode AS same_file;
SELECT attname, type, attnotnull, atthasdef FROM columns
 WHERE relation = 'raw'::regclass ORDER BY attnum;
SELECT "unique", definition FROM indexes WHERE relation = 'raw'::regclass;
SELECT feature, relation, id_columns, feature_version, owner, project, views, indexes,
       active_view, latest_view, deleted_view, view_acl
  FROM metaxy_feature;
SELECT c.relname, c.relkind, c.relowner::regrole AS owner, c.reloptions,
       has_table_privilege('public', c.oid, 'SELECT') AS public
  FROM pg_class AS c
 WHERE c.relname LIKE 'raw\_%' AND c.relkind = 'v' ORDER BY 1;
SELECT video_id, path, seconds, metaxy_feature_version FROM raw_active ORDER BY 1;

--
-- Again with the same arguments: no lock that could hold up anybody, and
-- nothing written
--
SELECT xmin, ctid FROM metaxy_feature \gset
BEGIN;
SELECT metaxy_register('video/raw', 'raw', '{video_id}', 'v1');
SELECT DISTINCT mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation::regclass::text IN ('raw', 'raw_active', 'raw_latest', 'raw_deleted');
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
COMMIT;
SELECT xmin = :xmin AND ctid = :'ctid' AS same_row FROM metaxy_feature;

--
-- Another version becomes current; of two in one transaction the last counts
--
SELECT metaxy_register('video/raw', 'raw', '{video_id}', 'v2');
BEGIN;
SELECT metaxy_register('video/raw', 'raw', '{video_id}', 'v3');
SELECT metaxy_register('video/raw', 'raw', '{video_id}', 'it''s \4');
COMMIT;
SELECT feature_version FROM metaxy_feature;
SELECT feature_version FROM metaxy_feature_version_log ORDER BY since;
SELECT count(*) FROM raw_active;
INSERT INTO raw VALUES ('v1', 'q', 7, now(), now(), NULL, 'it''s \4');
SELECT video_id, path FROM raw_active;
-- back to one that was current before
SELECT metaxy_register('video/raw', 'raw', '{video_id}', 'v1');
SELECT feature_version FROM metaxy_feature_version_log ORDER BY since;
SELECT count(*) FROM raw_active;
-- with replace, none: rows of all versions count as one
SELECT metaxy_register('video/raw', 'raw', '{video_id}', replace => true);
SELECT feature_version FROM metaxy_feature;
SELECT video_id, path FROM raw_latest ORDER BY 1;
-- it has an index for that now, too
SELECT "unique", definition FROM indexes WHERE relation = 'raw'::regclass ORDER BY 2;
-- and a version again
SELECT metaxy_register('video/raw', 'raw', '{video_id}', 'v5');
SELECT feature_version FROM metaxy_feature;

--
-- A feature that had no version gets one, and its rows the same
--
CREATE TABLE plain (id int);
INSERT INTO plain VALUES (1), (2);
SELECT metaxy_register('plain', 'plain', '{id}');
SELECT attname FROM columns WHERE relation = 'plain'::regclass ORDER BY attnum;
SELECT count(*) FROM metaxy_feature_version_log WHERE feature = 'plain';
SELECT metaxy_register('plain', 'plain', '{id}', 'first');
SELECT id, metaxy_feature_version FROM plain_active ORDER BY id;
SELECT feature, feature_version FROM metaxy_feature_version_log WHERE feature = 'plain';

--
-- Flags: no views, no index; and back
--
CREATE TABLE bare (id int);
SELECT metaxy_register('bare', 'bare', '{id}', views => false, indexes => false);
SELECT views, indexes, active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 'bare';
SELECT to_regclass('bare_active'), count(*) FROM indexes WHERE relation = 'bare'::regclass;
-- a constant for the rows that were there only where there were any
SELECT relation, attname FROM columns JOIN pg_attribute AS a USING (attname)
 WHERE relation IN ('raw'::regclass, 'bare'::regclass) AND a.attrelid = relation AND a.atthasmissing ORDER BY a.attnum;
SELECT attname, attnotnull, atthasdef FROM columns WHERE relation = 'bare'::regclass ORDER BY attnum;
SELECT metaxy_register('bare', 'bare', '{id}');
SELECT views, indexes, active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 'bare';
SELECT definition FROM indexes WHERE relation = 'bare'::regclass;
-- an index that is there is the owner's
SELECT metaxy_register('bare', 'bare', '{id}', views => false, indexes => false);
SELECT views, indexes, active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 'bare';
SELECT to_regclass('bare_active'), count(*) FROM indexes WHERE relation = 'bare'::regclass;

--
-- What a table has is taken as it is: columns, NOT NULL, an equivalent index
--
CREATE TABLE made (a varchar(20) COLLATE "C", b int NOT NULL,
	metaxy_created_at timestamptz(6), metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz(6), metaxy_feature_version varchar(2));
CREATE INDEX ON made (b DESC, metaxy_feature_version, a, (coalesce(metaxy_deleted_at, metaxy_updated_at)) DESC, metaxy_created_at);
INSERT INTO made VALUES ('x', 1, now(), now(), NULL, 'v1');
SELECT metaxy_register('made', 'made', '{a,b}', 'v1');
SELECT attname, type, attnotnull, atthasdef FROM columns WHERE relation = 'made'::regclass ORDER BY attnum;
SELECT definition FROM indexes WHERE relation = 'made'::regclass;

-- not equivalent: partial, another collation, another operator class,
-- another expression, another access method, without the recency
CREATE TABLE other (a text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
CREATE INDEX ON other (a, (coalesce(metaxy_deleted_at, metaxy_updated_at))) WHERE a <> '';
CREATE INDEX ON other (a COLLATE "C", (coalesce(metaxy_deleted_at, metaxy_updated_at)));
CREATE INDEX ON other (a text_pattern_ops, (coalesce(metaxy_deleted_at, metaxy_updated_at)));
CREATE INDEX ON other (a, (coalesce(metaxy_updated_at, metaxy_deleted_at)));
CREATE INDEX ON other (a, metaxy_updated_at);
CREATE INDEX ON other USING hash (a);
CREATE INDEX ON other (a);
SELECT count(*) FROM indexes WHERE relation = 'other'::regclass;
SELECT metaxy_register('other', 'other', '{a}');
SELECT metaxy_register('other', 'other', '{a}');
SELECT count(*) FROM indexes WHERE relation = 'other'::regclass;

-- unique indexes that a copy of a row does not break
CREATE TABLE uniq (id int, serial bigserial PRIMARY KEY, ident int GENERATED ALWAYS AS IDENTITY,
	metaxy_deleted_at timestamptz, metaxy_feature_version text,
	UNIQUE (id, ident),
	UNIQUE (metaxy_deleted_at, id, metaxy_feature_version));
CREATE UNIQUE INDEX ON uniq (serial, id) INCLUDE (metaxy_deleted_at);
SELECT metaxy_register('uniq', 'uniq', '{id}', 'v1');
-- id columns of all kinds of types that have an order
CREATE TYPE color AS ENUM ('red', 'green');
CREATE DOMAIN name3 AS varchar(3) CHECK (VALUE <> '');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE typed (i int, t name3, e color, a text[], r int4range, p pair, j jsonb, u uuid, g int GENERATED ALWAYS AS (i + 1) STORED);
SELECT metaxy_register('typed', 'typed', '{i,t,e,a,r,p,j,u,g}');
SELECT count(*) FROM typed_active;

--
-- Kinds of tables
--
CREATE UNLOGGED TABLE unlogged (id int);
SELECT metaxy_register('unlogged', 'unlogged', '{id}');
CREATE TEMP TABLE temp (id int);
INSERT INTO temp VALUES (1);
SELECT metaxy_register('temp', 'temp', '{id}', 'v1');
SELECT * FROM temp_active WHERE metaxy_created_at IS NULL;
SELECT count(*) FROM temp_active;
DROP TABLE temp CASCADE;
SELECT relation, views, active_view FROM metaxy_feature WHERE feature = 'temp';
SELECT metaxy_unregister('temp');

-- partitions may have their columns in another order, and partitions
CREATE TABLE parts (region text, id int, note text) PARTITION BY LIST (region);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b (note text, gone int, id int, region text NOT NULL) PARTITION BY RANGE (id);
ALTER TABLE parts_b DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_b FOR VALUES IN ('b');
CREATE TABLE parts_b1 PARTITION OF parts_b FOR VALUES FROM (0) TO (10);
CREATE INDEX ON parts_a (note);
INSERT INTO parts SELECT r, i, r || i FROM unnest('{a,b}'::text[]) AS r, generate_series(1, 2) AS i;
SELECT metaxy_register('parts', 'parts', '{id}', 'v1');
SELECT relation, attname, type, attnotnull FROM columns
 WHERE relation IN ('parts'::regclass, 'parts_b1') ORDER BY relation::text COLLATE "C", attnum;
SELECT relation, definition FROM indexes
 WHERE relation::text LIKE 'parts%' ORDER BY 1::text COLLATE "C", 2;
-- a sample has one latest row, whichever partition it is in
SELECT id FROM parts_active ORDER BY id;
BEGIN;
SELECT metaxy_register('parts', 'parts', '{id}', 'v1');
SELECT DISTINCT mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE 'parts%';
COMMIT;

-- a foreign table has all columns already; it gets views and nothing else
RESET ROLE;
CREATE FOREIGN DATA WRAPPER regress_metaxy_fdw;
CREATE SERVER regress_metaxy_server FOREIGN DATA WRAPPER regress_metaxy_fdw;
GRANT USAGE ON FOREIGN SERVER regress_metaxy_server TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
CREATE FOREIGN TABLE far (id int, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz, metaxy_feature_version text) SERVER regress_metaxy_server;
SELECT metaxy_register('far', 'far', '{id}', 'v1');
SELECT metaxy_register('far', 'far', '{id}', 'v1');
SELECT bool_or(attnotnull) FROM columns WHERE relation = 'far'::regclass;
SELECT relation, active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 'far';
DROP FOREIGN TABLE far CASCADE;
SELECT relation, active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 'far';
SELECT metaxy_unregister('far');

-- row-level security does not hide rows from the checks
CREATE TABLE secured (id int);
INSERT INTO secured VALUES (1), (NULL);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
ALTER TABLE secured FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM secured;
SELECT metaxy_register('secured', 'secured', '{id}');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE secured;

--
-- Who it belongs to: the feature to the caller, the views to the table's owner
--
CREATE TABLE shared (id int);
SET SESSION AUTHORIZATION regress_metaxy_admin;
SELECT metaxy_register('shared', 'shared', '{id}');
SELECT current_user, session_user;
SELECT f.owner, c.relowner::regrole AS view_owner
  FROM metaxy_feature AS f JOIN pg_class AS c ON c.oid = f.active_view WHERE feature = 'shared';
RESET SESSION AUTHORIZATION;
-- a table that goes to another owner takes its views along
ALTER TABLE shared OWNER TO regress_metaxy_admin;
GRANT USAGE, CREATE ON SCHEMA reg TO regress_metaxy_admin;
SELECT metaxy_register('shared', 'shared', '{id}');
SELECT f.owner, c.relowner::regrole AS view_owner
  FROM metaxy_feature AS f JOIN pg_class AS c ON c.oid = f.active_view WHERE feature = 'shared';
SET ROLE regress_metaxy_admin;
SELECT metaxy_unregister('shared');
DROP TABLE shared;
RESET ROLE;
SET ROLE regress_metaxy_owner;

--
-- replace: other id columns, another table
--
ALTER TABLE plain ADD COLUMN part int NOT NULL DEFAULT 0;
SELECT metaxy_register('plain', 'plain', '{part,id}', 'first', replace => true);
SELECT id_columns FROM metaxy_feature WHERE feature = 'plain';
-- their order means nothing
SELECT metaxy_register('plain', 'plain', '{id,part}', 'first');
SELECT id_columns FROM metaxy_feature WHERE feature = 'plain';
SELECT definition FROM indexes WHERE relation = 'plain'::regclass AND definition LIKE '%part%';
SELECT id, part FROM plain_active ORDER BY 1, 2;
CREATE TABLE newer (id int, part int);
SELECT metaxy_register('plain', 'newer', '{id,part}', 'first', replace => true);
SELECT relation, active_view FROM metaxy_feature WHERE feature = 'plain';
SELECT to_regclass('plain_active'), to_regclass('plain_latest'), to_regclass('plain_deleted');
-- the old one is free for another key
SELECT metaxy_register('plain/old', 'plain', '{id,part}', 'first');
SELECT feature, relation FROM metaxy_feature WHERE feature LIKE 'plain%' ORDER BY 1;

--
-- DROP TABLE: the feature stays, without a table, until one is registered
--
SELECT metaxy_depend('plain', 'plain/old');
DROP TABLE plain, newer CASCADE;
SELECT feature, relation, views, active_view FROM metaxy_feature WHERE feature LIKE 'plain%' ORDER BY 1;
SELECT feature, upstream FROM metaxy_dependency;
CREATE TABLE newest (part int, id int);
SELECT metaxy_register('plain', 'newest', '{id,part}', 'first');
SELECT relation, active_view FROM metaxy_feature WHERE feature = 'plain';
-- by other ways than DROP TABLE
RESET ROLE;
BEGIN;
DROP SCHEMA reg CASCADE;
SELECT count(*), count(relation), count(active_view) FROM metaxy_feature;
ROLLBACK;
BEGIN;
DROP OWNED BY regress_metaxy_owner CASCADE;
SELECT count(*), count(relation), count(active_view) FROM metaxy_feature;
ROLLBACK;
-- drops of other things by somebody who may not even look into our schema
CREATE SCHEMA elsewhere AUTHORIZATION regress_metaxy_admin;
BEGIN;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SET LOCAL ROLE regress_metaxy_admin;
CREATE TABLE elsewhere.unrelated (a int);
CREATE TEMP TABLE unrelated_temp (a int);
ALTER TABLE elsewhere.unrelated DROP COLUMN a;
DROP TABLE elsewhere.unrelated, unrelated_temp;
RESET ROLE;
ROLLBACK;
-- the function is for the event trigger alone
SELECT metaxy_forget_dropped();
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_metaxy_owner;

--
-- Renames: of the table, of its schema
--
ALTER TABLE raw RENAME TO "Raw";
SELECT relation, active_view FROM metaxy_feature WHERE feature = 'video/raw';
SELECT metaxy_register('video/raw', '"Raw"', '{video_id}', 'v5');
SELECT relation, active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 'video/raw';
RESET ROLE;
GRANT CREATE, USAGE ON SCHEMA elsewhere TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
ALTER TABLE "Raw" SET SCHEMA elsewhere;
ALTER TABLE elsewhere."Raw" RENAME TO raw;
SELECT metaxy_register('video/raw', 'elsewhere.raw', '{video_id}', 'v5');
SELECT relation, active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 'video/raw';
SELECT count(*) FROM elsewhere.raw_latest;

--
-- unregister: rows, columns and index stay; views, versions and edges go
--
SELECT metaxy_depend('video/raw', 'made', 'N:1', '{a}', '{"a": "path"}');
SELECT metaxy_unregister('video/raw');
SELECT count(*) FROM metaxy_feature WHERE feature = 'video/raw';
SELECT count(*) FROM metaxy_feature_version_log WHERE feature = 'video/raw';
SELECT feature, upstream FROM metaxy_dependency ORDER BY 1, 2;
SELECT to_regclass('elsewhere.raw_active'), to_regclass('elsewhere.raw_latest'), to_regclass('elsewhere.raw_deleted');
SELECT count(*) FROM elsewhere.raw;
SELECT count(*) FROM indexes WHERE relation = 'elsewhere.raw'::regclass;
-- and it can be registered again
SELECT metaxy_register('video/raw', 'elsewhere.raw', '{video_id}', 'v1');
SELECT count(*) FROM elsewhere.raw_active;

-- in a subtransaction that is rolled back, nothing has happened
CREATE TABLE undone (id int);
BEGIN;
SAVEPOINT s;
SELECT metaxy_register('undone', 'undone', '{id}');
ROLLBACK TO s;
SELECT attname FROM columns WHERE relation = 'undone'::regclass;
SELECT count(*) FROM metaxy_feature WHERE feature = 'undone';
COMMIT;

-- the index serves a point look-up on both sides of the view
CREATE TABLE big (id text, filler text);
INSERT INTO big SELECT i::text, repeat('x', 50) FROM generate_series(1, 5000) AS i;
SELECT metaxy_register('big', 'big', '{id}', 'v1');
ANALYZE big;
CREATE FUNCTION index_scans(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	line text;
	scans bigint := 0;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Scan using big_metaxy_feature_version_id_coalesce_(expr_)?idx' THEN
			scans := scans + 1;
		END IF;
	END LOOP;
	RETURN scans;
END $$;
-- of the plain SQL
SET metaxy.enable_latest_scan = off;
SELECT index_scans($$SELECT * FROM big_active WHERE id = '77'$$);

RESET ROLE;
-- leaves the extension as it found it
SELECT metaxy_undepend(feature, upstream) FROM metaxy_dependency;
SELECT metaxy_unregister(feature) FROM metaxy_feature;
SELECT (SELECT count(*) FROM metaxy_feature) AS features,
       (SELECT count(*) FROM metaxy_feature_version_log) AS versions,
       (SELECT count(*) FROM metaxy_dependency) AS dependencies;
DROP SCHEMA reg, elsewhere CASCADE;
DROP FOREIGN DATA WRAPPER regress_metaxy_fdw CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_admin;
