--
-- What metaxy_depend and metaxy_undepend refuse
--
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_other;
CREATE SCHEMA dep AUTHORIZATION regress_metaxy_owner;
SET search_path = dep, public;
SET client_min_messages = warning;
GRANT USAGE ON SCHEMA dep TO regress_metaxy_other;
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
SET ROLE regress_metaxy_owner;
CREATE TABLE up (id int, name text, n int, doc json);
CREATE TABLE down (id int, part text, label text, doc json);
CREATE TABLE texts (id text);
CREATE TABLE late (other int);
SELECT metaxy_register('up', 'up', '{id}'), metaxy_register('down', 'down', '{id,part}'),
       metaxy_register('texts', 'texts', '{id}'), metaxy_register('late', 'late', '{other}');

--
-- Arguments
--
SELECT error($$SELECT metaxy_depend(NULL, 'up')$$);
SELECT error($$SELECT metaxy_depend('down', NULL)$$);
SELECT error($$SELECT metaxy_depend('down', 'up', NULL)$$);
SELECT error($$SELECT metaxy_depend('down', 'up', optional => NULL)$$);
SELECT error($$SELECT metaxy_depend('down', 'up', 'N:N')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{id,NULL}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:1', '{id}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '[]')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '"id"')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => 'null')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '{"name": 1}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '{"name": null}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '{"name": {"a": "b"}}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '{"name": ["label"]}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '{"name": "label", "n": "label"}')$$);
SELECT error($$SELECT metaxy_depend('gone', 'up')$$);
SELECT error($$SELECT metaxy_depend('down', 'gone')$$);
SELECT error($$SELECT metaxy_depend('gone', 'gone')$$);
SELECT error($$SELECT metaxy_depend('down', 'down')$$);
SELECT error($$SELECT metaxy_undepend(NULL, 'up')$$);
SELECT error($$SELECT metaxy_undepend('down', NULL)$$);
SELECT error($$SELECT metaxy_undepend('gone', 'up')$$);
SELECT error($$SELECT metaxy_undepend('down', 'gone')$$);
SELECT error($$SELECT metaxy_undepend('down', 'up')$$);
BEGIN READ ONLY;
SELECT metaxy_depend('down', 'up');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT metaxy_undepend('down', 'up');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- Columns
--
SELECT error($$SELECT metaxy_depend('late', 'up')$$);
SELECT error($$SELECT metaxy_depend('up', 'down', rename => '{"id": "name"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{gone}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{name}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{name}', '{"name": "gone"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{ctid}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{id,id}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{id,n}', '{"n": "id"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', rename => '{"gone": "label"}')$$);
-- N:1 without columns: all of the feature's ids must be found upstream
SELECT error($$SELECT metaxy_depend('down', 'up', 'N:1')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', 'N:1', rename => '{"name": "part", "id": "was_id"}')$$);
-- types
SELECT error($$SELECT metaxy_depend('texts', 'up')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{n}', '{"n": "label"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{doc}')$$);
SELECT count(*) FROM metaxy_dependency;

--
-- Rights
--
SET ROLE regress_metaxy_other;
CREATE TEMP TABLE mine (id int);
SELECT metaxy_register('mine', 'mine', '{id}', views => false);
SELECT error($$SELECT metaxy_depend('down', 'up')$$);
SELECT error($$SELECT metaxy_depend('down', 'mine')$$);
SELECT error($$SELECT metaxy_depend('mine', 'up')$$);
SELECT error($$SELECT metaxy_undepend('down', 'up')$$);
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES (name) ON up TO regress_metaxy_other;
SET ROLE regress_metaxy_other;
SELECT error($$SELECT metaxy_depend('mine', 'up')$$);
RESET ROLE;
-- the feature is one's own, its table no longer
BEGIN;
ALTER TABLE down OWNER TO regress_metaxy_other;
SET LOCAL ROLE regress_metaxy_owner;
SELECT error($$SELECT metaxy_depend('down', 'up')$$);
ROLLBACK;
SELECT count(*) FROM metaxy_dependency;
SET ROLE regress_metaxy_owner;

--
-- There already, in another way
--
SELECT metaxy_depend('down', 'up', '1:N', '{name}', '{"name": "label"}');
SELECT error($$SELECT metaxy_depend('down', 'up')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', 'N:1', '{name}', '{"name": "label"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{name,id}', '{"name": "label"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', NULL, '{"name": "label"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{name}', '{"name": "part"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{name}', '{"name": "label", "n": "m"}')$$);
SELECT error($$SELECT metaxy_depend('down', 'up', '1:N', '{name}', '{"name": "label"}', true)$$);
SELECT * FROM metaxy_dependency;
SELECT metaxy_undepend('down', 'up');

--
-- Cycles, of any length; the path is the same whichever edge closes it
--
CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int); CREATE TABLE d (id int);
SELECT metaxy_register('a', 'a', '{id}'), metaxy_register('b', 'b', '{id}'),
       metaxy_register('c', 'c', '{id}'), metaxy_register('d/d', 'd', '{id}');
SELECT metaxy_depend('b', 'a');
SELECT error($$SELECT metaxy_depend('a', 'b')$$);
SELECT error($$SELECT metaxy_depend('a', 'b', optional => true)$$);
SELECT metaxy_depend('c', 'b'), metaxy_depend('d/d', 'c'), metaxy_depend('d/d', 'a');
SELECT error($$SELECT metaxy_depend('a', 'd/d')$$);
SELECT error($$SELECT metaxy_depend('b', 'd/d', 'N:1')$$);
SELECT error($$SELECT metaxy_depend('a', 'c')$$);
SELECT metaxy_undepend('b', 'a'), metaxy_undepend('d/d', 'a');
SELECT metaxy_depend('a', 'd/d');
SELECT error($$SELECT metaxy_depend('b', 'a')$$);
-- also one that was undone in a subtransaction does not count
BEGIN;
SAVEPOINT s;
SELECT metaxy_undepend('d/d', 'c');
ROLLBACK TO s;
SELECT error($$SELECT metaxy_depend('b', 'a')$$);
ROLLBACK;
-- a chain of thousands of features is no problem
RESET ROLE;
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'n' || i, '{id}', 'regress_metaxy_owner', true, true FROM generate_series(1, 5000) AS i;
INSERT INTO metaxy_dependency (feature, upstream, lineage, optional)
SELECT 'n' || i, 'n' || i - 1, '1:1', false FROM generate_series(2, 5000) AS i;
SET ROLE regress_metaxy_owner;
SELECT error($$SELECT metaxy_depend('n1', 'n5000')$$);
SELECT error($$SELECT metaxy_depend('n2', 'n1')$$);
SELECT error($$SELECT metaxy_unregister('n4999')$$);

RESET ROLE;
DELETE FROM metaxy_dependency;
DELETE FROM metaxy_feature WHERE relation IS NULL;
DO $$BEGIN PERFORM metaxy_unregister(feature) FROM metaxy_feature; END$$;
DROP TABLE mine;
DROP SCHEMA dep CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_other;
