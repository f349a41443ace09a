--
-- metaxy_sync: from the graph that Metaxy stores to the registry
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA store;
-- as Metaxy creates it
CREATE TABLE store.metaxy_system__feature_versions (
	project varchar, feature_key varchar, metaxy_feature_version varchar,
	metaxy_definition_version varchar, recorded_at timestamp(6) without time zone,
	feature_spec varchar, feature_schema varchar, feature_class_path varchar,
	metaxy_project_version varchar, tags varchar, deleted_at timestamp(6) without time zone);

-- Records a definition; each call is a minute after the one before.
CREATE SEQUENCE minute;
CREATE FUNCTION push(key text, version text, ids text, deps text DEFAULT '[]',
	project text DEFAULT 'media', gone boolean DEFAULT false, at integer DEFAULT nextval('minute'))
RETURNS void LANGUAGE sql AS $$
	INSERT INTO store.metaxy_system__feature_versions
		(project, feature_key, metaxy_feature_version, recorded_at, feature_spec, deleted_at)
	VALUES (project, key, version, timestamp '2026-01-01' + at * interval '1 minute',
			format('{"key": %s, "id_columns": %s, "deps": %s, "fields": [], "metadata": {}}',
				   to_json(key), ids, deps),
			CASE WHEN gone THEN timestamp '2026-01-02' END)
$$;
CREATE FUNCTION add_table(name text, columns text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE store.%I (%s, metaxy_created_at timestamptz,
		metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz,
		metaxy_feature_version varchar)', name, columns);
END
$$;
CREATE VIEW registered AS
	SELECT feature, relation, id_columns, feature_version, project
	  FROM metaxy_feature ORDER BY feature;
CREATE VIEW edges AS
	SELECT feature, upstream, lineage, on_columns, rename, optional
	  FROM metaxy_dependency ORDER BY feature, upstream;

--
-- A graph with all that a dependency can say: defaults left out, null, or
-- given; "on" by the feature's names, as Metaxy reads it
--
SELECT add_table('video__raw', 'video_id varchar, path varchar');
SELECT add_table('video__chunk', 'vid varchar, chunk_id varchar');
SELECT add_table('video__summary', 'vid varchar, n integer');
SELECT add_table('training_set__clip', 'chunk_id varchar, path varchar');
SELECT push('video/raw', 'r1', '["video_id"]');
SELECT push('video/chunk', 'c1', '["chunk_id"]', '[{"feature": "video/raw",
	"rename": {"video_id": "vid"}, "select": ["vid"], "sql_filters": null, "optional": false,
	"lineage": {"relationship": {"type": "1:N", "on": ["vid"], "id_generation_pattern": null}}}]');
SELECT push('video/summary', 's1', '["vid"]', '[
	{"feature": ["video", "chunk"], "filters": ["n > 1", "path like ''%x''"],
	 "lineage": {"relationship": {"type": "N:1", "on": null}}},
	{"feature": {"parts": ["video", "raw"]}, "rename": {"video_id": "vid"}, "optional": true,
	 "lineage": {"relationship": {"type": "1:1"}}}]');
SELECT push('training-set/clip', 't1', '["chunk_id"]', '["video/chunk", {"feature": "scores"}]');
SELECT push('scores', 'x1', '["chunk_id"]', '[{"feature": "video/chunk", "lineage": null}]');
SELECT * FROM metaxy_sync('store', dry_run => true);
SELECT count(*) AS features FROM metaxy_feature;
SELECT * FROM metaxy_sync('store');
SELECT * FROM registered;
SELECT * FROM edges;
SELECT step, feature, depth FROM metaxy_order();

-- once more: nothing changes, nothing is written, no lock is left that keeps
-- anybody from the tables
BEGIN;
SELECT * FROM metaxy_sync('store');
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
SELECT DISTINCT mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'store'::regnamespace)
 ORDER BY mode;
COMMIT;

-- a dry run has ACCESS SHARE alone, and is for read-only transactions
SELECT push('video/raw', 'r2', '["video_id"]');
BEGIN TRANSACTION READ ONLY;
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT DISTINCT mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation IS NOT NULL ORDER BY mode;
COMMIT;

--
-- Changes
--
-- new versions; a table that was missing; another lineage, a rename gone, an
-- edge gone, an edge more
SELECT push('video/chunk', 'c2', '["chunk_id"]', '[{"feature": "video/raw",
	"rename": {"video_id": "vid"},
	"lineage": {"relationship": {"type": "1:N", "on": ["vid"]}}}]');
SELECT add_table('scores', 'chunk_id varchar');
SELECT push('video/summary', 's1', '["vid"]', '[
	{"feature": "video/chunk", "optional": true,
	 "lineage": {"relationship": {"type": "N:1", "on": ["vid"]}}},
	{"feature": "scores", "lineage": {"relationship": {"type": "N:1", "on": ["chunk_id"]}}}]');
SELECT push('training-set/clip', 't1', '["chunk_id"]', '[{"feature": "scores"}]');
CREATE TEMP TABLE planned AS
	SELECT feature, relation, action, detail FROM metaxy_sync('store', dry_run => true);
CREATE TEMP TABLE done AS
	SELECT feature, relation, action, detail FROM metaxy_sync('store');
SELECT feature, action, detail FROM done;
SELECT count(*) FROM (SELECT * FROM planned EXCEPT ALL SELECT * FROM done) AS differ;
SELECT * FROM edges;
SELECT feature, feature_version FROM metaxy_feature_version_log
 ORDER BY feature, since, feature_version;
-- "video/summary" has no column "chunk_id": that edge is reported at each sync,
-- until it fits
SELECT feature, action, detail FROM metaxy_sync('store') WHERE feature = 'video/summary';
SELECT push('video/summary', 's1', '["vid"]', '[
	{"feature": "video/chunk", "optional": true,
	 "lineage": {"relationship": {"type": "N:1", "on": ["vid"]}}}]');
SELECT feature, action, detail FROM metaxy_sync('store') WHERE feature = 'video/summary';
SELECT DISTINCT action FROM metaxy_sync('store');

-- views follow the columns of their table, and what the table needs comes back
ALTER TABLE store.video__raw ADD COLUMN fps integer;
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true) WHERE action <> 'unchanged';
SELECT feature, action, detail FROM metaxy_sync('store') WHERE action <> 'unchanged';
SELECT fps FROM store.video__raw_active;
ALTER TABLE store.video__raw ALTER metaxy_updated_at DROP NOT NULL;
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true) WHERE action <> 'unchanged';
SELECT feature, action, detail FROM metaxy_sync('store') WHERE action <> 'unchanged';
SELECT attnotnull FROM pg_attribute
 WHERE attrelid = 'store.video__raw'::regclass AND attname = 'metaxy_updated_at';

-- a table that was renamed stays; one that takes the old name is the
-- feature's from then on
ALTER TABLE store.video__raw RENAME TO video__raw_old;
SELECT feature, relation, action, detail FROM metaxy_sync('store', dry_run => true) WHERE feature = 'video/raw';
SELECT feature, relation, action, detail FROM metaxy_sync('store') WHERE feature = 'video/raw';
SELECT add_table('video__raw', 'video_id varchar');
SELECT feature, relation, action, detail FROM metaxy_sync('store', dry_run => true) WHERE feature = 'video/raw';
SELECT feature, relation, action, detail FROM metaxy_sync('store') WHERE feature = 'video/raw';
DROP TABLE store.video__raw CASCADE;
SELECT feature, relation, action, detail FROM metaxy_sync('store') WHERE feature = 'video/raw';
SELECT add_table('video__raw', 'video_id varchar, path varchar');
SELECT feature, relation, action, detail FROM metaxy_sync('store') WHERE feature = 'video/raw';

-- an id column is named anew all over the graph
ALTER TABLE store.scores RENAME chunk_id TO cid;
ALTER TABLE store.video__chunk RENAME chunk_id TO cid;
ALTER TABLE store.training_set__clip RENAME chunk_id TO cid;
SELECT push('video/chunk', 'c3', '["cid"]', '[{"feature": "video/raw",
	"rename": {"video_id": "vid"},
	"lineage": {"relationship": {"type": "1:N", "on": ["vid"]}}}]');
SELECT push('training-set/clip', 't2', '["cid"]', '["scores"]');
SELECT push('scores', 'x2', '["cid"]', '["video/chunk"]');
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT DISTINCT action FROM metaxy_sync('store');
SELECT * FROM edges;

--
-- What Metaxy no longer has
--
-- it stays as long as something depends on it: neither of these can go, since
-- "training-set/clip" still names "scores", and that "video/chunk"
SELECT push('scores', 'x2', '["cid"]', gone => true);
SELECT push('video/chunk', 'c3', '["cid"]', gone => true);
SELECT feature, action, detail FROM metaxy_sync('store') WHERE action <> 'unchanged';
SELECT feature FROM registered;
-- then both go, leaf first; the tables stay
SELECT push('training-set/clip', 't3', '["cid"]');
SELECT push('video/summary', 's2', '["vid"]', '[{"feature": "video/raw", "rename": {"video_id": "vid"}}]');
SELECT feature, action, detail FROM metaxy_sync('store', dry_run => true);
SELECT feature, relation, action, detail FROM metaxy_sync('store');
SELECT feature, action, detail FROM metaxy_sync('store');
SELECT * FROM edges;
SELECT count(*) FROM store.scores;
-- pushed again, it is back
SELECT push('scores', 'x3', '["cid"]', '["training-set/clip"]');
SELECT feature, relation, action, detail FROM metaxy_sync('store') WHERE action <> 'unchanged';

-- what goes hands its table over to a key that maps to it, too
SELECT push('training-set/clip', 't3', '["cid"]', gone => true);
SELECT push('training_set/clip', 't4', '["cid"]');
SELECT push('scores', 'x3', '["cid"]', '["training_set/clip"]');
SELECT feature, relation, action, detail FROM metaxy_sync('store', dry_run => true) WHERE action <> 'unchanged';
SELECT feature, relation, action, detail FROM metaxy_sync('store') WHERE action <> 'unchanged';
SELECT DISTINCT action FROM metaxy_sync('store');
SELECT * FROM edges;

--
-- Which row of a key counts: the newest; of equal ones the one that is gone,
-- then the greatest project, version and text
--
SELECT push('tie', 'v1', '["a"]', at => 500), push('tie', 'v2', '["a"]', at => 499),
	   push('tie', 'v3', '["a"]', at => 1);
SELECT action, detail FROM metaxy_sync('store') WHERE feature = 'tie';
SELECT feature_version FROM registered WHERE feature = 'tie';
SELECT push('tie', 'v2', '["a"]', at => 500), push('tie', 'v2', '["b"]', at => 500);
SELECT action, detail FROM metaxy_sync('store') WHERE feature = 'tie';
SELECT push('tie', 'v0', '["a"]', project => 'zoo', at => 500);
SELECT action, detail FROM metaxy_sync('store') WHERE feature = 'tie';
SELECT push('tie', 'v1', '["a"]', project => 'zoo', gone => true, at => 500);
SELECT action, detail FROM metaxy_sync('store') WHERE feature = 'tie';
DELETE FROM store.metaxy_system__feature_versions WHERE feature_key = 'tie';

--
-- Projects: over all of them the row that was pushed last counts; a sync can be
-- for one of them
--
SELECT push('other/a', 'o1', '["id"]', project => 'other');
SELECT push('other/b', 'o1', '["id"]', '[{"feature": "other/a"}, {"feature": "video/raw", "rename": {"video_id": "id"}}]', project => 'other');
SELECT feature, action, detail FROM metaxy_sync('store', project => 'media') WHERE feature ~ 'other';
SELECT feature, action, detail FROM metaxy_sync('store', project => 'nonesuch');
SELECT feature, action, detail FROM metaxy_sync('store', project => 'other');
SELECT feature, project FROM registered WHERE feature ~ 'other';
SELECT push('other/a', 'm1', '["id"]', project => 'media');
SELECT feature, action, detail FROM metaxy_sync('store', project => 'other');
SELECT feature, action, detail FROM metaxy_sync('store') WHERE feature ~ 'other';
SELECT feature, project FROM registered WHERE feature ~ 'other';
-- a project cannot take away what is another one's by now, only what is its own
SELECT push('other/a', 'o1', '["id"]', project => 'other', gone => true);
SELECT push('other/b', 'o1', '["id"]', '["other/a"]', project => 'other', gone => true);
SELECT feature, action, detail FROM metaxy_sync('store', project => 'other');
-- a feature that its project's newest version lacks stays
DELETE FROM store.metaxy_system__feature_versions WHERE feature_key IN ('video/summary', 'other/a');
SELECT count(*) FROM metaxy_sync('store') WHERE feature IN ('video/summary', 'other/a');
SELECT feature FROM registered;

--
-- Where the table is: a schema, the caller's search_path, a prefix
--
SET search_path = public, store;
SELECT count(*) AS features, count(*) FILTER (WHERE action = 'unchanged') AS unchanged FROM metaxy_sync();
RESET search_path;
CREATE SCHEMA "Other Store";
CREATE TABLE "Other Store"."dev_metaxy_system__feature_versions" AS
	SELECT 'dev' AS project, 'dev-key/a' AS feature_key, 'v1' AS metaxy_feature_version,
		   now() AS recorded_at, '{"key": "dev-key/a", "id_columns": ["ID"]}'::jsonb AS feature_spec,
		   NULL::timestamptz AS deleted_at;
CREATE TABLE "Other Store".dev_dev_key__a ("ID" integer);
SELECT * FROM metaxy_sync('"Other Store"', 'dev_');
SELECT * FROM metaxy_sync('"Other Store"', table_prefix => 'dev_');

--
-- What was registered by hand with the same table and id columns is adopted
--
CREATE TABLE store.by__hand (id integer);
SELECT metaxy_register('by/hand', 'store.by__hand', '{id}', views => false);
SELECT metaxy_depend('by/hand', 'other/a');
SELECT push('by/hand', 'v1', '["id"]');
SELECT feature, relation, action, detail FROM metaxy_sync('store') WHERE feature = 'by/hand';
SELECT feature, feature_version, project, views FROM metaxy_feature WHERE feature = 'by/hand';

--
-- Clean up
--
DELETE FROM metaxy_dependency;
SELECT count(metaxy_unregister(feature)) FROM metaxy_feature;
SELECT count(*) FROM metaxy_feature;
DROP VIEW registered, edges;
DROP FUNCTION push, add_table;
DROP SEQUENCE minute;
DROP SCHEMA store, "Other Store" CASCADE;
