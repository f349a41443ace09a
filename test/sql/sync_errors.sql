--
-- metaxy_sync: what it refuses, and what it reports of a feature and goes on
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA store;

--
-- What stops the whole call
--
SELECT * FROM metaxy_sync();
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_sync('store');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_sync('store', 'dev_');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_sync('nonesuch');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_sync(1::oid);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_sync('store', table_prefix => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_sync('store', dry_run => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM metaxy_sync('store', repeat('x', 40));
\echo :LAST_ERROR_SQLSTATE

-- not Metaxy's
CREATE TABLE store.metaxy_system__feature_versions (feature_key text);
SELECT count(*) FROM metaxy_sync('store');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE store.metaxy_system__feature_versions;

CREATE TABLE store.metaxy_system__feature_versions (
	project varchar, feature_key varchar, metaxy_feature_version varchar,
	metaxy_definition_version varchar, recorded_at timestamp(6) without time zone,
	feature_spec varchar, feature_schema varchar, feature_class_path varchar,
	metaxy_project_version varchar, tags varchar, deleted_at timestamp(6) without time zone);
-- nothing was pushed
SELECT * FROM metaxy_sync('store');

BEGIN TRANSACTION READ ONLY;
SELECT * FROM metaxy_sync('store');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_other;
SET ROLE regress_metaxy_other;
SELECT * FROM metaxy_sync('store', dry_run => true);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA store TO regress_metaxy_owner, regress_metaxy_other;
SET ROLE regress_metaxy_other;
SELECT * FROM metaxy_sync('store', dry_run => true);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON store.metaxy_system__feature_versions TO regress_metaxy_owner, regress_metaxy_other;

--
-- Definitions that cannot be read: each is reported, the good one is added
--
CREATE SEQUENCE minute;
CREATE FUNCTION push_spec(key text, spec text, version text DEFAULT 'v1',
	project text DEFAULT 'media', gone boolean DEFAULT false)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO store.metaxy_system__feature_versions
		(project, feature_key, metaxy_feature_version, recorded_at, feature_spec, deleted_at)
	VALUES (project, key, version,
			timestamp '2026-01-01' + nextval('minute') * interval '1 minute', spec,
			CASE WHEN gone THEN timestamp '2026-01-02' END)
$$;
CREATE FUNCTION push(key text, deps text DEFAULT '[]', ids text DEFAULT '["id"]',
	version text DEFAULT 'v1', project text DEFAULT 'media', gone boolean DEFAULT false)
RETURNS void LANGUAGE sql AS $$
	SELECT push_spec(key, format('{"key": %s, "id_columns": %s, "deps": %s}',
								 to_json(key), ids, deps), version, project, gone)
$$;
CREATE FUNCTION forget() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM metaxy_dependency;
	PERFORM metaxy_unregister(feature) FROM metaxy_feature;
	DELETE FROM store.metaxy_system__feature_versions;
END
$$;
SELECT push('good');
SELECT count(*) FROM (
	SELECT push_spec('json/' || name, spec) FROM (VALUES
		('null', NULL), ('empty', ''), ('broken', '{"key": '), ('trailing', '{} {}'),
		('escape', '{"key": "\u0000"}'), ('deep', repeat('[', 100000)),
		('scalar', '1'), ('text', '"json/text"'), ('array', '[]'), ('object', '{}'))
		AS v (name, spec) OFFSET 0) AS done;
SELECT count(*) FROM (
	SELECT push_spec('key/' || name, format('{"key": %s, "id_columns": ["id"]}', key)) FROM (VALUES
		('null', 'null'), ('number', '1'), ('other', '"key/else"'), ('object', '{"a": "b"}'),
		('parts', '["key", 1]'), ('fine', '["key", "fine"]'), ('root', '{"root": ["key", "root"]}'))
		AS v (name, key) OFFSET 0) AS done;
SELECT count(*) FROM (
	SELECT push('ids/' || name, ids => ids) FROM (VALUES
		('null', 'null'), ('none', '[]'), ('text', '"id"'), ('number', '[1]'),
		('nested', '[["id"]]'), ('twice', '["id", "id"]'))
		AS v (name, ids) OFFSET 0) AS done;
SELECT count(*) FROM (
	SELECT push('deps/' || name, deps => deps) FROM (VALUES
		('null', 'null'), ('object', '{}'), ('text', '"good"'), ('number', '[1]'),
		('no_feature', '[{"rename": null}]'), ('rename', '[{"feature": "good", "rename": ["a"]}]'),
		('rename_to', '[{"feature": "good", "rename": {"a": 1}}]'),
		('optional', '[{"feature": "good", "optional": "no"}]'),
		('filters', '[{"feature": "good", "sql_filters": "a = 1"}]'),
		('lineage', '[{"feature": "good", "lineage": "1:1"}]'),
		('relationship', '[{"feature": "good", "lineage": {"type": "1:1"}}]'),
		('type', '[{"feature": "good", "lineage": {"relationship": {"on": ["id"]}}}]'),
		('m_to_n', '[{"feature": "good", "lineage": {"relationship": {"type": "M:N"}}}]'),
		('on', '[{"feature": "good", "lineage": {"relationship": {"type": "1:N", "on": "id"}}}]'))
		AS v (name, deps) OFFSET 0) AS done;
SELECT push('version', version => NULL);
SELECT push('project', project => NULL);
SELECT push(NULL);
SELECT push('');
CREATE TEMP TABLE planned AS SELECT * FROM metaxy_sync('store', dry_run => true);
CREATE TEMP TABLE done AS SELECT * FROM metaxy_sync('store');
SELECT feature, action, detail FROM done;
SELECT * FROM planned EXCEPT ALL SELECT * FROM done;
SELECT feature FROM metaxy_feature ORDER BY feature;
DROP TABLE planned, done;
SELECT forget();

--
-- Tables that will not do
--
CREATE FUNCTION add_table(name text, columns text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE store.%I (%s, metaxy_created_at timestamptz,
		metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz,
		metaxy_feature_version varchar)', name, columns);
END
$$;
-- two keys, one table, whatever else is wrong with them; three at that
SELECT add_table('same__one', 'id integer');
SELECT push('same/one');
SELECT push('same__one');
SELECT push('same--one');
SELECT push_spec('same_/two', 'broken');
SELECT push('same-/two');
-- names
SELECT push(repeat('long', 16));
SELECT push(repeat('l', 55) || '-v');
SELECT add_table(repeat('l', 55) || '_v', 'id integer');
-- kinds
CREATE VIEW store.kind__view AS SELECT 1 AS id;
SELECT push('kind/view');
CREATE SEQUENCE store.kind__sequence;
SELECT push('kind/sequence');
CREATE TABLE store.kind__parted (id integer) PARTITION BY LIST (id);
CREATE TABLE store.kind__part PARTITION OF store.kind__parted DEFAULT;
SELECT push('kind/part');
-- columns, constraints, rows
SELECT add_table('has__no_id', 'ident integer');
SELECT push('has/no-id');
SELECT add_table('has__pk', 'id integer');
ALTER TABLE store.has__pk ADD CONSTRAINT metaxy_pk PRIMARY KEY (id, metaxy_created_at, metaxy_feature_version);
SELECT push('has/pk');
SELECT add_table('has__nulls', 'id integer');
INSERT INTO store.has__nulls VALUES (1, now(), now(), NULL, 'v1'),
	(NULL, now(), now(), NULL, 'v1'), (NULL, now(), now(), NULL, 'v1');
SELECT push('has/nulls');
SELECT add_table('has__future', 'id integer');
INSERT INTO store.has__future VALUES (1, now(), now() + interval '1 year', NULL, 'v1');
SELECT push('has/future');
CREATE TABLE store.has__type (id integer, metaxy_updated_at timestamp);
SELECT push('has/type');
CREATE TABLE store.has__taken (id integer);
CREATE TABLE store.has__taken_active (id integer);
SELECT push('has/taken');
-- depends on what is skipped, and on what is not there at all
SELECT push('after', '["has/nulls", "good", {"feature": "nonesuch"}, "good"]');
SELECT push('good');
CREATE TEMP TABLE planned AS SELECT * FROM metaxy_sync('store', dry_run => true);
CREATE TEMP TABLE done AS SELECT * FROM metaxy_sync('store');
\x on
SELECT feature, relation, action, regexp_replace(detail, '\d{4}-[-+:. \w]*', '...') AS detail FROM done;
\x off
SELECT * FROM planned EXCEPT ALL SELECT * FROM done;
SELECT feature FROM metaxy_feature ORDER BY feature;
SELECT feature, upstream FROM metaxy_dependency;
-- what failed left nothing behind
SELECT attrelid::regclass AS tab, array_agg(attname ORDER BY attnum) AS columns,
	   bool_or(attnotnull) AS not_null
  FROM pg_attribute
 WHERE attrelid IN ('store.has__nulls'::regclass, 'store.has__type'::regclass, 'store.has__taken'::regclass)
   AND attnum > 0
 GROUP BY attrelid ORDER BY attrelid::regclass::text;
SELECT count(*) FROM pg_index WHERE indrelid = 'store.has__nulls'::regclass;
-- mended, they are added
DELETE FROM store.has__nulls WHERE id IS NULL;
DROP TABLE store.has__taken_active;
SELECT feature, action, detail FROM metaxy_sync('store')
 WHERE action NOT IN ('skipped', 'unchanged') OR feature = 'after';
DROP TABLE planned, done;
SELECT forget();

--
-- Cycles: an edge that would close one is reported with it, the others are
-- there
--
SELECT push('self', '["self"]');
SELECT push('a', '["c"]');
SELECT push('b', '["a"]');
SELECT push('c', '["b"]');
SELECT push('d', '["c", "e"]');
SELECT push('e', '["d"]');
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT feature, upstream FROM metaxy_dependency ORDER BY feature, upstream;
SELECT feature, action, detail FROM metaxy_sync('store');
-- turned around at once, it is none
SELECT push('a');
SELECT push('b', '["c"]');
SELECT push('c', '["a"]');
SELECT push('d', '["e"]');
SELECT push('e');
SELECT push('self');
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT feature, upstream FROM metaxy_dependency ORDER BY feature, upstream;
-- with an edge that was registered by hand
SELECT add_table('hand', 'id integer');
SELECT metaxy_register('hand', 'store.hand', '{id}');
SELECT metaxy_depend('hand', 'b');
SELECT push('a', '["hand"]');
SELECT feature, action, detail FROM metaxy_sync('store') WHERE feature = 'a';
SELECT forget();

--
-- What is somebody else's affair
--
SELECT add_table('mine', 'id integer, other integer');
SELECT add_table('mine_too', 'id integer');
SELECT metaxy_register('by-hand', 'store.mine', '{id}');
SELECT metaxy_register('mine-too', 'store.mine_too', '{id}');
SELECT add_table('by_hand', 'id integer');
SELECT push('by-hand');
SELECT push('mine');
SELECT push('mine-too', ids => '["id", "other"]');
SELECT feature, relation, action, detail FROM metaxy_sync('store');
SELECT push('mine-too', gone => true);
SELECT push('by-hand', gone => true, project => NULL);
SELECT push('mine', gone => true);
SELECT feature, relation, action, detail FROM metaxy_sync('store');
SELECT feature, relation, id_columns, project FROM metaxy_feature ORDER BY feature;
SELECT forget();

-- an id column that changes, and does not fit what depends on the feature
SELECT add_table('parent', 'id integer, new_id integer');
SELECT add_table('child', 'id integer');
SELECT push('parent');
SELECT push('child', '["parent"]');
SELECT count(*) FROM metaxy_sync('store');
SELECT push('parent', ids => '["new_id"]');
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT feature, upstream FROM metaxy_dependency;
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT push('parent');
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT add_table('grown', 'id integer');
SELECT metaxy_register('grown', 'store.grown', '{id}');
SELECT metaxy_depend('grown', 'parent');
SELECT push('parent', ids => '["new_id"]');
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT feature, upstream FROM metaxy_dependency ORDER BY feature;
SELECT forget();

--
-- Rights: as the caller, feature by feature
--
SELECT add_table('owned', 'id integer');
SELECT add_table('foreign__one', 'id integer');
ALTER TABLE store.owned OWNER TO regress_metaxy_owner;
ALTER TABLE store.foreign__one OWNER TO regress_metaxy_other;
SELECT push('owned', '["foreign/one", "tableless"]');
SELECT push('foreign/one');
SELECT push('tableless');
SET ROLE regress_metaxy_owner;
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SET ROLE regress_metaxy_other;
SELECT feature, action, detail FROM metaxy_sync('store');
-- an edge to a table of another needs REFERENCES on it
SET ROLE regress_metaxy_owner;
SELECT feature, action, detail FROM metaxy_sync('store') WHERE feature = 'owned';
RESET ROLE;
GRANT REFERENCES ON store.foreign__one TO regress_metaxy_owner;
SET ROLE regress_metaxy_owner;
SELECT feature, action, detail FROM metaxy_sync('store') WHERE feature = 'owned';
RESET ROLE;
SELECT push('tableless', version => 'v2');
SELECT push('foreign/one', gone => true);
SELECT push('owned');
SET ROLE regress_metaxy_other;
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SET ROLE regress_metaxy_owner;
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SET ROLE regress_metaxy_other;
SELECT feature, action, detail FROM metaxy_sync('store');
RESET ROLE;
SELECT feature, upstream FROM metaxy_dependency;
SELECT feature, owner FROM metaxy_feature ORDER BY feature;
SELECT forget();

--
-- What is no feature's fault ends the call, and leaves nothing
--
SELECT push('owned');
SELECT push('waiting');
SELECT add_table('waiting', 'id integer');
CREATE FUNCTION break_down() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'out of it' USING ERRCODE = current_setting('regress.sqlstate');
END
$$;
CREATE EVENT TRIGGER regress_metaxy_break ON ddl_command_start WHEN TAG IN ('CREATE INDEX')
	EXECUTE FUNCTION break_down();
SET regress.sqlstate = '22000';
SELECT feature, action, detail FROM metaxy_sync('store');
SET regress.sqlstate = '57014';
SELECT feature, action, detail FROM metaxy_sync('store');
\echo :LAST_ERROR_SQLSTATE
SET regress.sqlstate = '40P01';
SELECT feature, action, detail FROM metaxy_sync('store');
\echo :LAST_ERROR_SQLSTATE
SET regress.sqlstate = '53200';
SELECT feature, action, detail FROM metaxy_sync('store');
\echo :LAST_ERROR_SQLSTATE
SET regress.sqlstate = 'XX000';
SELECT feature, action, detail FROM metaxy_sync('store');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM metaxy_feature;
DROP EVENT TRIGGER regress_metaxy_break;
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT forget();

--
-- Clean up
--
DROP FUNCTION push, push_spec, add_table, forget, break_down;
DROP SEQUENCE minute;
DROP SCHEMA store CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_other;
