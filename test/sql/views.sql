--
-- The views of a feature, and metaxy_views
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_reader;
CREATE ROLE regress_metaxy_gone;
CREATE SCHEMA vw AUTHORIZATION regress_metaxy_owner;
SET search_path = vw, public;
SET client_min_messages = warning;
SET timezone = 'UTC';
GRANT USAGE ON SCHEMA vw TO regress_metaxy_reader;
-- what is granted on a view to others than its owner
CREATE VIEW grants AS
SELECT c.oid::regclass AS relation, a.attname AS "column",
       CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS grantee,
       string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ' ' ORDER BY x.privilege_type) AS privileges
  FROM pg_class AS c
  JOIN (SELECT oid AS attrelid, NULL::name AS attname, relacl AS acl FROM pg_class
        UNION ALL SELECT attrelid, attname, attacl FROM pg_attribute) AS a ON a.attrelid = c.oid
 CROSS JOIN aclexplode(a.acl) AS x
 WHERE c.relkind = 'v' AND c.relnamespace = 'vw'::regnamespace AND x.grantee <> c.relowner AND c.relname LIKE 't\_%'
 GROUP BY 1, 2, 3;
CREATE VIEW columns AS
SELECT attrelid::regclass AS relation, string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS columns
  FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid AND c.relkind = 'v'
 WHERE attnum > 0 AND NOT attisdropped AND attname NOT LIKE 'metaxy%' GROUP BY 1;
GRANT SELECT ON grants, columns TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;

--
-- What they show: the latest row of each sample of the current version
--
CREATE TABLE t (id text, note text);
SELECT metaxy_register('t', 't', '{id}', 'v1');
INSERT INTO t VALUES
	('a', 'old', '2020-01-01', '2020-01-01', NULL, 'v1'),
	('a', 'new', '2020-01-01', '2020-01-02', NULL, 'v1'),
	('b', 'deleted', '2020-01-01', '2020-01-01', NULL, 'v1'),
	('b', 'tombstone', '2020-01-01', '2020-01-01', '2020-01-03', 'v1'),
	('c', 'deleted', '2020-01-01', '2020-01-01', NULL, 'v1'),
	('c', 'tombstone', '2020-01-01', '2020-01-01', '2020-01-02', 'v1'),
	('c', 'came back', '2020-01-01', '2020-01-03', NULL, 'v1'),
	('d', 'tombstone wins', '2020-01-01', '2020-01-01', '2020-01-02', 'v1'),
	('d', 'at the same time', '2020-01-01', '2020-01-02', NULL, 'v1'),
	('e', 'first', '2020-01-01', '2020-01-01', NULL, 'v1'),
	('e', 'the later row', '2020-01-01', '2020-01-01', NULL, 'v1'),
	('f', 'other version', '2020-01-01', '2020-01-01', NULL, 'v2'),
	('a', 'other version', '2020-01-01', '2021-01-01', '2021-01-01', 'v2');
SELECT id, note FROM t_latest ORDER BY id;
SELECT id, note FROM t_active ORDER BY id;
SELECT id, note FROM t_deleted ORDER BY id;
-- a condition does not bring an older row up
SELECT id, note FROM t_active WHERE note = 'old';
SELECT metaxy_register('t', 't', '{id}', 'v2');
SELECT id, note FROM t_latest ORDER BY id;
SELECT id, note FROM t_active ORDER BY id;
SELECT metaxy_register('t', 't', '{id}', 'v1');
-- a table with the name that the view itself uses
CREATE TABLE later (id text);
SELECT metaxy_register('later', 'later', '{id}');
INSERT INTO later VALUES ('a', now(), '2020-01-01'), ('a', now(), '2020-01-02');
SELECT id, extract(day FROM metaxy_updated_at) AS day FROM later_active;

--
-- Rights on the table alone decide, and its policies
--
SET ROLE regress_metaxy_reader;
SELECT count(*) FROM t_active;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON t TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
SELECT count(*) FROM t_active;
SET ROLE regress_metaxy_owner;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (id < 'c');
SELECT count(*) FROM t_active;
SET ROLE regress_metaxy_reader;
SELECT count(*) FROM t_active;
SET ROLE regress_metaxy_owner;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
-- anybody may write through the active view, and the rights on the table decide
SELECT * FROM grants ORDER BY relation::text COLLATE "C";
SET ROLE regress_metaxy_reader;
DELETE FROM t_active;
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_metaxy_owner;

--
-- They follow the table's columns at the next call
--
ALTER TABLE t ADD COLUMN extra int DEFAULT 7;
SELECT * FROM columns WHERE relation = 't_active'::regclass;
SELECT metaxy_views('t', true);
SELECT * FROM columns WHERE relation::text LIKE 't\_%' ORDER BY relation::text COLLATE "C";
ALTER TABLE t ADD COLUMN more int;
SELECT metaxy_register('t', 't', '{id}', 'v1');
SELECT * FROM columns WHERE relation = 't_deleted'::regclass;
-- grants of one's own and what depends on a view stay
CREATE VIEW mine AS SELECT id, extra FROM t_active;
GRANT SELECT, UPDATE ON t_active TO regress_metaxy_reader WITH GRANT OPTION;
SELECT metaxy_register('t', 't', '{id}', 'v2');
ALTER TABLE t ADD COLUMN most int;
SELECT metaxy_views('t', true);
SELECT * FROM mine ORDER BY id;
SELECT * FROM columns WHERE relation = 't_active'::regclass;
SELECT * FROM grants WHERE relation = 't_active'::regclass ORDER BY grantee COLLATE "C";
SELECT metaxy_register('t', 't', '{id}', 'v1');

--
-- metaxy_views(..., false) makes way for ALTER TABLE, if nothing else is in it
--
ALTER TABLE t ALTER COLUMN note TYPE varchar(30);
\echo :LAST_ERROR_SQLSTATE
SELECT metaxy_views('t', false);
\echo :LAST_ERROR_SQLSTATE
SELECT views, active_view, view_acl FROM metaxy_feature WHERE feature = 't';
DROP VIEW mine;
RESET ROLE;
GRANT SELECT ON t_active TO regress_metaxy_gone;
GRANT SELECT (id, note, extra), INSERT (id) ON t_latest TO regress_metaxy_reader;
REVOKE ALL ON t_latest, t_deleted FROM PUBLIC;
SET ROLE regress_metaxy_owner;
SELECT * FROM grants ORDER BY relation::text COLLATE "C", grantee COLLATE "C", "column" COLLATE "C";
SELECT metaxy_views('t', false);
SELECT views, active_view, latest_view, deleted_view, array_ndims(view_acl) AS dimensions FROM metaxy_feature WHERE feature = 't';
SELECT to_regclass('t_active'), to_regclass('t_latest'), to_regclass('t_deleted');
SELECT metaxy_views('t', false);
ALTER TABLE t ALTER COLUMN note TYPE varchar(30);
ALTER TABLE t DROP COLUMN extra;
ALTER TABLE t RENAME TO tt;
ALTER TABLE tt RENAME TO t;
RESET ROLE;
DROP ROLE regress_metaxy_gone;
-- default privileges are for new views, not for those that come back
ALTER DEFAULT PRIVILEGES FOR ROLE regress_metaxy_owner IN SCHEMA vw GRANT TRIGGER ON TABLES TO regress_metaxy_reader, PUBLIC;
SET ROLE regress_metaxy_owner;
SELECT metaxy_views('t', true);
SELECT * FROM columns WHERE relation = 't_active'::regclass;
SELECT * FROM grants ORDER BY relation::text COLLATE "C", grantee COLLATE "C", "column" COLLATE "C";
SELECT views, active_view, latest_view, deleted_view, view_acl FROM metaxy_feature WHERE feature = 't';
RESET ROLE;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_metaxy_owner IN SCHEMA vw REVOKE TRIGGER ON TABLES FROM regress_metaxy_reader, PUBLIC;
SET ROLE regress_metaxy_owner;
-- the same by register, and as soon as it is wanted again
SELECT metaxy_register('t', 't', '{id}', 'v1', views => false);
SELECT views, active_view, array_ndims(view_acl) AS dimensions FROM metaxy_feature WHERE feature = 't';
SELECT metaxy_register('t', 't', '{id}', 'v1');
SELECT * FROM grants ORDER BY relation::text COLLATE "C", grantee COLLATE "C", "column" COLLATE "C";

--
-- Columns in another order need another view: grants are kept, dependents
-- stand in the way
--
ALTER TABLE t RENAME COLUMN note TO "Note";
SELECT * FROM columns WHERE relation = 't_active'::regclass;
CREATE VIEW mine AS SELECT note FROM t_active;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
DROP VIEW mine;
SELECT metaxy_views('t', true);
SELECT * FROM columns WHERE relation::text LIKE 't\_%' ORDER BY relation::text COLLATE "C";
SELECT * FROM grants ORDER BY relation::text COLLATE "C", grantee COLLATE "C", "column" COLLATE "C";

--
-- Views that were dropped, altered or renamed by hand are mended
--
DROP VIEW t_latest;
SELECT active_view, latest_view FROM metaxy_feature WHERE feature = 't';
CREATE OR REPLACE VIEW t_active AS SELECT * FROM t;
ALTER VIEW t_deleted RENAME TO elsewhere;
SELECT metaxy_register('t', 't', '{id}', 'v1');
SELECT active_view, latest_view, deleted_view FROM metaxy_feature WHERE feature = 't';
SELECT id FROM t_active ORDER BY id;
SELECT reloptions FROM pg_class WHERE oid = 't_active'::regclass;
ALTER VIEW t_active RESET (security_invoker);
SELECT metaxy_views('t', true);
SELECT reloptions FROM pg_class WHERE oid = 't_active'::regclass;

--
-- A feature without a table remembers what is wanted
--
SELECT metaxy_views('later', false);
DROP TABLE later;
SELECT metaxy_views('later', true);
SELECT relation, views, active_view FROM metaxy_feature WHERE feature = 'later';

--
-- Errors
--
SELECT metaxy_views(NULL, true);
\echo :LAST_ERROR_SQLSTATE
SELECT metaxy_views('t', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT metaxy_views('unknown', true);
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SET ROLE regress_metaxy_reader;
SELECT metaxy_views('t', false);
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_metaxy_owner;
SELECT metaxy_views('t', false);
-- a name that somebody took, or may not use, in between
CREATE TABLE t_active (id int);
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
DROP TABLE t_active;
ALTER TABLE t RENAME TO t2345678901234567890123456789012345678901234567890123456;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE t2345678901234567890123456789012345678901234567890123456 RENAME TO t;
RESET ROLE;
ALTER SCHEMA vw OWNER TO CURRENT_USER;
GRANT USAGE ON SCHEMA vw TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER SCHEMA vw OWNER TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
-- columns that the feature needs have gone: each says what mends it
ALTER TABLE t RENAME COLUMN id TO key;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
SELECT metaxy_register('t', 't', '{key}', 'v1', views => false, replace => true);
ALTER TABLE t DROP COLUMN metaxy_deleted_at;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE t RENAME COLUMN metaxy_updated_at TO updated;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE t RENAME COLUMN updated TO metaxy_updated_at;
SELECT metaxy_register('t', 't', '{key}', 'v1', views => false);
SELECT metaxy_views('t', true);
ALTER TABLE t RENAME COLUMN metaxy_feature_version TO version;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE t RENAME COLUMN version TO metaxy_feature_version;
SELECT metaxy_views('t', false);
ALTER TABLE t ALTER COLUMN metaxy_created_at TYPE timestamp;
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE t ALTER COLUMN metaxy_created_at TYPE timestamptz;
DROP POLICY p ON t;
ALTER TABLE t ALTER COLUMN key TYPE json USING to_json(key);
SELECT metaxy_views('t', true);
\echo :LAST_ERROR_SQLSTATE
SELECT views, active_view FROM metaxy_feature WHERE feature = 't';

RESET ROLE;
SELECT metaxy_unregister(feature) FROM metaxy_feature;
DROP SCHEMA vw CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_reader;
