--
-- What metaxy_register and metaxy_unregister refuse, and that nothing has
-- changed then
--
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_other;
GRANT SET ON PARAMETER metaxy.max_skew TO regress_metaxy_owner;
CREATE SCHEMA reg AUTHORIZATION regress_metaxy_owner;
SET search_path = reg, public;
SET client_min_messages = warning;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on

-- the error that a statement ends with
CREATE FUNCTION error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN format(E'%s: %s', SQLSTATE, message) ||
		CASE WHEN detail <> '' THEN E'\n  detail: ' || detail ELSE '' END ||
		CASE WHEN hint <> '' THEN E'\n  hint: ' || hint ELSE '' END;
END $$;
-- all that a call could have changed
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(line, E'\n' ORDER BY line COLLATE "C")) FROM (
		SELECT f::text AS line FROM metaxy_feature AS f
		UNION ALL SELECT v::text FROM metaxy_feature_version_log AS v
		UNION ALL SELECT d::text FROM metaxy_dependency AS d
		UNION ALL SELECT (c.oid, relname, relkind, relfilenode, relowner, relacl)::text
		  FROM pg_class AS c WHERE relnamespace = 'reg'::regnamespace
		UNION ALL SELECT (attrelid, attnum, attname, atttypid, attnotnull, atthasdef)::text
		  FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
		 WHERE relnamespace = 'reg'::regnamespace) AS lines
$$;
GRANT USAGE ON SCHEMA reg TO regress_metaxy_other;
SET ROLE regress_metaxy_owner;
CREATE TABLE t (id text, note text);
GRANT ALL ON t TO regress_metaxy_other;
INSERT INTO t VALUES ('a', 'x'), ('b', NULL);
CREATE TABLE known (id int, part int NOT NULL);
SELECT metaxy_register('known', 'known', '{id}', 'v1');
CREATE TABLE known2 (id int);
SELECT metaxy_register('known/2', 'known2', '{id}');
SELECT state() AS before \gset

--
-- Arguments
--
SELECT error($$SELECT metaxy_register(NULL, 't', '{id}')$$);
SELECT error($$SELECT metaxy_register('t', NULL, '{id}')$$);
SELECT error($$SELECT metaxy_register('t', 't', NULL)$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id}', views => NULL)$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id}', indexes => NULL)$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id}', replace => NULL)$$);
SELECT error($$SELECT metaxy_register('', 't', '{id}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id,NULL}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{{id},{note}}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id,note,id}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id,metaxy_created_at}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{metaxy_updated_at}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{metaxy_deleted_at}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{metaxy_feature_version}', 'v1')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{ctid}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{tableoid}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{ID}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id,gone}')$$);
SELECT error($$SELECT metaxy_register('t', 't', '{id, ""}')$$);
SELECT error($$SELECT metaxy_register('t', 'nowhere', '{id}')$$);
SELECT error($$SELECT metaxy_register('t', 4294967295::oid::regclass, '{id}')$$);
SELECT error($$SELECT metaxy_unregister(NULL)$$);
SELECT error($$SELECT metaxy_unregister('unknown')$$);
BEGIN READ ONLY;
SELECT metaxy_register('t', 't', '{id}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT metaxy_unregister('known');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- Registered differently
--
SELECT error($$SELECT metaxy_register('known', 't', '{id}', 'v1')$$);
SELECT error($$SELECT metaxy_register('known', 'known', '{part}', 'v1')$$);
SELECT error($$SELECT metaxy_register('known', 'known', '{id,part}', 'v1')$$);
SELECT error($$SELECT metaxy_register('known', 'known', '{id}')$$);
SELECT error($$SELECT metaxy_register('unknown', 'known', '{id}')$$);
SELECT error($$SELECT metaxy_register('unknown', 'known', '{id}', replace => true)$$);
SELECT error($$SELECT metaxy_register('known', 'known2', '{id}', 'v1', replace => true)$$);

--
-- Rights
--
SET ROLE regress_metaxy_other;
SELECT error($$SELECT metaxy_register('t', 'reg.t', '{id}')$$);
SELECT error($$SELECT metaxy_register('known', 'reg.known', '{id}', 'v1')$$);
SELECT error($$SELECT metaxy_unregister('known')$$);
-- an own table, but the key is somebody else's
CREATE TEMP TABLE mine (id int);
SELECT error($$SELECT metaxy_register('known', 'mine', '{id}', 'v1', replace => true)$$);
-- the registry itself is out of reach
SELECT error($$UPDATE metaxy_feature SET owner = 'regress_metaxy_other'$$);
SELECT error($$INSERT INTO metaxy_dependency VALUES ('known', 'known/2', '1:1', NULL, NULL, false)$$);
SELECT error($$DELETE FROM metaxy_feature_version_log$$);
RESET ROLE;
DROP TABLE mine;
-- the key is one's own, the table no longer
BEGIN;
ALTER TABLE known OWNER TO regress_metaxy_other;
SET LOCAL ROLE regress_metaxy_owner;
SELECT error($$SELECT metaxy_register('known', 'known', '{id}', 'v2')$$);
ROLLBACK;
-- the table's owner may not create views; then without
CREATE SCHEMA closed;
CREATE TABLE closed.c (id int);
ALTER TABLE closed.c OWNER TO regress_metaxy_owner;
GRANT USAGE ON SCHEMA closed TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
SELECT error($$SELECT metaxy_register('c', 'closed.c', '{id}', indexes => false)$$);
-- a superuser may, but the owner may not
RESET ROLE;
SELECT error($$SELECT metaxy_register('c', 'closed.c', '{id}')$$);
SET ROLE regress_metaxy_owner;
BEGIN;
SELECT error($$SELECT metaxy_register('c', 'closed.c', '{id}', views => false, indexes => false)$$);
ROLLBACK;

--
-- Kinds of relations
--
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
CREATE SEQUENCE s;
CREATE TYPE composite AS (id int);
CREATE TABLE parted (id int, note text) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE INDEX i ON t (note);
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
SELECT error($$SELECT metaxy_register('x', 'v', '{id}')$$);
SELECT error($$SELECT metaxy_register('x', 'm', '{id}')$$);
SELECT error($$SELECT metaxy_register('x', 's', '{last_value}')$$);
SELECT error($$SELECT metaxy_register('x', 'i', '{note}')$$);
SELECT error($$SELECT metaxy_register('x', 'composite', '{id}')$$);
SELECT error($$SELECT metaxy_register('x', 'parted_1', '{id}')$$);
SELECT error($$SELECT metaxy_register('x', 'parent', '{id}')$$);
SELECT error($$SELECT metaxy_register('x', 'child', '{id}', views => false, indexes => false)$$);
SELECT error($$SELECT metaxy_unregister('x')$$);
SELECT error($$SELECT metaxy_register('x', 'pg_class', '{relname}')$$);
RESET ROLE;
SELECT error($$SELECT metaxy_register('x', 'pg_class', '{relname}')$$);
SELECT error($$SELECT metaxy_register('x', 'information_schema.sql_features', '{feature_id}')$$);
SELECT error($$SELECT metaxy_register('x', 'metaxy_feature', '{feature}')$$);
SELECT error($$SELECT metaxy_register('x', 'metaxy_dependency', '{feature}', replace => true)$$);
SET ROLE regress_metaxy_owner;

-- rules and partition keys that a delete could not see through
CREATE TABLE ruled (id int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO NOTHING;
SELECT error($$SELECT metaxy_register('x', 'ruled', '{id}')$$);
DROP RULE r ON ruled;
CREATE RULE r AS ON DELETE TO ruled WHERE id > 0 DO INSTEAD NOTHING;
SELECT error($$SELECT metaxy_register('x', 'ruled', '{id}')$$);
CREATE TABLE dated (id int, metaxy_updated_at timestamptz) PARTITION BY RANGE (metaxy_updated_at);
SELECT error($$SELECT metaxy_register('x', 'dated', '{id}')$$);
CREATE TABLE dated2 (id int, metaxy_created_at timestamptz) PARTITION BY LIST (id);
CREATE TABLE dated2_1 PARTITION OF dated2 FOR VALUES IN (1)
	PARTITION BY RANGE (id, (extract(year FROM metaxy_created_at AT TIME ZONE 'UTC')));
SELECT error($$SELECT metaxy_register('x', 'dated2', '{id}')$$);
CREATE TABLE dated3 (id int, metaxy_deleted_at timestamptz) PARTITION BY LIST ((metaxy_deleted_at IS NULL));
SELECT error($$SELECT metaxy_register('x', 'dated3', '{id}')$$);

--
-- Types of columns
--
CREATE DOMAIN stamp AS timestamptz;
CREATE TABLE types (j json, x xml, p point, ja json[], id int,
	plain timestamp, coarse timestamptz(3), domained stamp, whole date,
	good timestamptz, num int, fixed char(10), narrow varchar(3), version text,
	g timestamptz GENERATED ALWAYS AS (timestamptz '2000-01-01 00:00:00+00') STORED);
SELECT error($$SELECT metaxy_register('x', 'types', '{j}')$$);
SELECT error($$SELECT metaxy_register('x', 'types', '{id,x}')$$);
SELECT error($$SELECT metaxy_register('x', 'types', '{p}')$$);
SELECT error($$SELECT metaxy_register('x', 'types', '{ja}')$$);
-- each stamp under the name of each of these columns in turn
CREATE FUNCTION as_column(name text, column_name text, version text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('ALTER TABLE types RENAME %I TO %I', name, column_name);
	result := error(format('SELECT metaxy_register(%L, %L, %L, %L)', 'x', 'types', '{id}', version));
	EXECUTE format('ALTER TABLE types RENAME %I TO %I', column_name, name);
	RETURN result;
END $$;
SELECT as_column('plain', 'metaxy_created_at');
SELECT as_column('coarse', 'metaxy_updated_at');
SELECT as_column('domained', 'metaxy_deleted_at');
SELECT as_column('whole', 'metaxy_created_at');
SELECT as_column('g', 'metaxy_updated_at');
SELECT as_column('num', 'metaxy_feature_version', 'v1');
SELECT as_column('fixed', 'metaxy_feature_version', 'v1');
SELECT as_column('narrow', 'metaxy_feature_version', 'v100');
ALTER TABLE types ALTER good SET NOT NULL;
SELECT as_column('good', 'metaxy_deleted_at');

-- a foreign table that lacks a column
RESET ROLE;
CREATE FOREIGN DATA WRAPPER regress_metaxy_fdw;
CREATE SERVER regress_metaxy_server FOREIGN DATA WRAPPER regress_metaxy_fdw;
GRANT USAGE ON FOREIGN SERVER regress_metaxy_server TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
CREATE FOREIGN TABLE far (id int, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz) SERVER regress_metaxy_server;
SELECT error($$SELECT metaxy_register('x', 'far', '{id}', 'v1')$$);
DROP FOREIGN TABLE far;

--
-- Constraints against append-only; what the hint says mends it
--
CREATE FUNCTION mend(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
	message text;
BEGIN
	LOOP
		BEGIN
			EXECUTE statement;
			EXIT;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
			RETURN NEXT message;
			RETURN NEXT '  ' || hint;
			EXECUTE substring(hint FROM 'plain index: (.*)');
		END;
	END LOOP;
END $$;
-- Metaxy's own
CREATE TABLE store (video_id varchar, metaxy_feature_version varchar, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz,
	CONSTRAINT metaxy_pk PRIMARY KEY (video_id, metaxy_feature_version, metaxy_updated_at));
SELECT error($$SELECT metaxy_register('store', 'store', '{video_id}', 'v1')$$);
BEGIN;
SELECT mend($$SELECT metaxy_register('store', 'store', '{video_id}', 'v1')$$);
ROLLBACK;
-- all kinds
CREATE TABLE uniq ("Id" int, serial serial, n int, ident int GENERATED BY DEFAULT AS IDENTITY,
	period tstzrange, metaxy_deleted_at timestamptz, metaxy_feature_version text, metaxy_updated_at timestamptz,
	gen int GENERATED ALWAYS AS (ident + 1) STORED);
CREATE UNIQUE INDEX "a ""b""" ON uniq ("Id");
CREATE UNIQUE INDEX b ON uniq (lower(n::text)) WHERE n > 0;
CREATE UNIQUE INDEX c ON uniq ("Id", metaxy_deleted_at) INCLUDE (metaxy_feature_version);
CREATE UNIQUE INDEX d ON uniq ("Id", metaxy_updated_at, metaxy_feature_version);
CREATE UNIQUE INDEX e ON uniq (metaxy_feature_version, metaxy_deleted_at);
CREATE UNIQUE INDEX f ON uniq ("Id", metaxy_deleted_at, metaxy_feature_version) NULLS NOT DISTINCT;
CREATE UNIQUE INDEX g ON uniq (serial, n);
CREATE UNIQUE INDEX h ON uniq (gen);
ALTER TABLE uniq ADD CONSTRAINT later UNIQUE (n) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE uniq ADD CONSTRAINT never_both EXCLUDE USING gist (period WITH &&);
ALTER TABLE uniq ADD CONSTRAINT exact EXCLUDE ("Id" WITH =, metaxy_deleted_at WITH =);
SELECT state() AS uniq \gset
BEGIN;
SELECT mend($$SELECT metaxy_register('uniq', 'uniq', '{Id}', 'v1')$$);
ROLLBACK;
SELECT state() = :'uniq';
-- an id column gets no new value, were it serial or an identity
CREATE TABLE keyed (id serial PRIMARY KEY);
CREATE TABLE keyed2 (id int GENERATED ALWAYS AS IDENTITY UNIQUE);
SELECT error($$SELECT metaxy_register('keyed', 'keyed', '{id}')$$);
SELECT error($$SELECT metaxy_register('keyed', 'keyed2', '{id}')$$);
-- one that only a partition has
CREATE UNIQUE INDEX only_here ON parted_1 (note);
SELECT error($$SELECT metaxy_register('parted', 'parted', '{id}')$$);
DROP INDEX only_here;
ALTER TABLE parted ADD UNIQUE (id);
SELECT error($$SELECT metaxy_register('parted', 'parted', '{id}')$$);

--
-- Names of views
--
CREATE TABLE a2345678901234567890123456789012345678901234567890123456 (id int);
SELECT error($$SELECT metaxy_register('x', 'a2345678901234567890123456789012345678901234567890123456', '{id}')$$);
CREATE TABLE "ääääääääääääääääääääääääääää" (id int);
SELECT error($$SELECT metaxy_register('x', 'ääääääääääääääääääääääääääää', '{id}')$$);
CREATE TABLE t_latest (a int);
SELECT error($$SELECT metaxy_register('t', 't', '{id}')$$);
DROP TABLE t_latest;
CREATE INDEX t_deleted ON t (id);
SELECT error($$SELECT metaxy_register('t', 't', '{id}')$$);
DROP INDEX t_deleted;
CREATE TYPE t_active AS ENUM ('a');
SELECT error($$SELECT metaxy_register('t', 't', '{id}')$$);
DROP TYPE t_active;

--
-- What the rows say
--
CREATE TABLE rows (a int, b text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz, metaxy_feature_version text);
INSERT INTO rows VALUES (1, 'x', now(), now(), NULL, 'v1'), (2, NULL, now(), now(), NULL, 'v1'), (NULL, NULL, now(), now(), NULL, 'v1');
SELECT error($$SELECT metaxy_register('rows', 'rows', '{a,b}', 'v1')$$);
SELECT error($$SELECT metaxy_register('rows', 'rows', '{b,a}', 'v1')$$);
DELETE FROM rows WHERE b IS NULL;
UPDATE rows SET metaxy_created_at = NULL;
SELECT error($$SELECT metaxy_register('rows', 'rows', '{a,b}', 'v1')$$);
UPDATE rows SET metaxy_created_at = now(), metaxy_updated_at = NULL;
SELECT error($$SELECT metaxy_register('rows', 'rows', '{a,b}', 'v1')$$);
UPDATE rows SET metaxy_updated_at = now(), metaxy_feature_version = NULL;
SELECT error($$SELECT metaxy_register('rows', 'rows', '{a,b}', 'v1')$$);
UPDATE rows SET metaxy_feature_version = 'v1', metaxy_updated_at = '9999-12-31 00:00:00+00';
SELECT error($$SELECT metaxy_register('rows', 'rows', '{a,b}', 'v1')$$);
UPDATE rows SET metaxy_updated_at = now(), metaxy_deleted_at = 'infinity';
SELECT error($$SELECT metaxy_register('rows', 'rows', '{b}', 'v1')$$);
-- of a tombstone, only the time of the delete counts, as it does for the trigger
BEGIN;
UPDATE rows SET metaxy_created_at = 'infinity', metaxy_updated_at = 'infinity', metaxy_deleted_at = '2001-02-03 UTC';
SELECT metaxy_register('rows', 'rows', '{b}', 'v1');
ROLLBACK;
-- also those of another version
UPDATE rows SET metaxy_feature_version = 'v0';
SELECT error($$SELECT metaxy_register('rows', 'rows', '{b}', 'v1')$$);
-- the setting decides how far is too far
UPDATE rows SET metaxy_deleted_at = NULL, metaxy_updated_at = clock_timestamp() + interval '1 hour';
SELECT regexp_replace(error($$SELECT metaxy_register('rows', 'rows', '{b}', 'v1')$$), 'at" .*?\n', E'at" ...\n');
SET metaxy.max_skew = '59min';
SELECT substr(error($$SELECT metaxy_register('rows', 'rows', '{b}', 'v1')$$), 1, 5);
RESET metaxy.max_skew;
UPDATE rows SET metaxy_updated_at = clock_timestamp() + interval '2 s';
BEGIN;
SELECT metaxy_register('rows', 'rows', '{b}', 'v1');
ROLLBACK;
-- rows of partitions are looked at as well, at their own places
CREATE TABLE parted_2 (note text, id int);
INSERT INTO parted_2 VALUES (NULL, 2), (NULL, 2), ('x', 2);
ALTER TABLE parted DROP CONSTRAINT parted_id_key;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2);
SELECT error($$SELECT metaxy_register('parted', 'parted', '{note}')$$);

--
-- Others depend on it
--
CREATE TABLE up (id int);
SELECT metaxy_register('up', 'up', '{id}');
SELECT metaxy_depend('known', 'up'), metaxy_depend('known/2', 'up');
SELECT error($$SELECT metaxy_unregister('up')$$);
-- edges must hold with what is registered now: in both directions
CREATE TABLE up2 (name text, id int);
SELECT error($$SELECT metaxy_register('up', 'up2', '{name}', replace => true)$$);
SELECT error($$SELECT metaxy_register('known', 'known', '{part}', 'v1', replace => true)$$);
CREATE TABLE up3 (id xml);
DROP TABLE up CASCADE;
CREATE TABLE up (id text);
SELECT error($$SELECT metaxy_register('up', 'up', '{id}')$$);
DROP TABLE up;
CREATE TABLE up (id bigint);
SELECT metaxy_register('up', 'up', '{id}');
SELECT metaxy_undepend('known', 'up'), metaxy_undepend('known/2', 'up');
SELECT metaxy_unregister('up');

--
-- Nothing has changed: the registry, the tables that were there
--
DROP TABLE parted, parent, child, ruled, dated, dated2, dated3, types, store, uniq, keyed, keyed2,
	rows, up, up2, up3, a2345678901234567890123456789012345678901234567890123456,
	"ääääääääääääääääääääääääääää" CASCADE;
DROP VIEW v;
DROP MATERIALIZED VIEW m;
DROP INDEX i;
DROP SEQUENCE s;
DROP TYPE composite;
SELECT state() = :'before';

RESET ROLE;
SELECT metaxy_unregister(feature) FROM metaxy_feature;
DROP SCHEMA reg, closed CASCADE;
DROP FOREIGN DATA WRAPPER regress_metaxy_fdw CASCADE;
REVOKE SET ON PARAMETER metaxy.max_skew FROM regress_metaxy_owner;
DROP ROLE regress_metaxy_owner, regress_metaxy_other;
