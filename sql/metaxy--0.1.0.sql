/* sql/metaxy--0.1.0.sql */

-- complain if the script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION metaxy" to load this file. \quit

--
-- Registry.  Written by the functions below alone, as the owner of these
-- tables; anyone may read it.
--
-- There are no foreign keys between these tables, nor between those of the
-- ledger: they come with CREATE EXTENSION, before any data, and a parallel
-- pg_restore loads the tables of an extension in whatever order.
--

CREATE TABLE @extschema@.metaxy_feature (
	feature			text COLLATE "C" NOT NULL,
	relation		pg_catalog.regclass,
	id_columns		text[] NOT NULL,
	feature_version	text,
	owner			pg_catalog.regrole NOT NULL,
	project			text,
	views			boolean NOT NULL,
	indexes			boolean NOT NULL,
	active_view		pg_catalog.regclass,
	latest_view		pg_catalog.regclass,
	deleted_view	pg_catalog.regclass,
	view_acl		text[],
	CONSTRAINT metaxy_feature_pkey PRIMARY KEY (feature),
	CONSTRAINT metaxy_feature_relation_key UNIQUE (relation),
	CONSTRAINT metaxy_feature_feature_check
		CHECK (feature OPERATOR(pg_catalog.<>) ''),
	CONSTRAINT metaxy_feature_id_columns_check
		CHECK (pg_catalog.cardinality(id_columns) OPERATOR(pg_catalog.>) 0)
);
COMMENT ON TABLE @extschema@.metaxy_feature IS
	'registered features: table, id columns and current version of each';

CREATE TABLE @extschema@.metaxy_feature_version_log (
	feature			text COLLATE "C" NOT NULL,
	feature_version	text NOT NULL,
	since			timestamptz NOT NULL,
	CONSTRAINT metaxy_feature_version_log_pkey PRIMARY KEY (feature, since)
);
COMMENT ON TABLE @extschema@.metaxy_feature_version_log IS
	'since when each version of a feature was current';

CREATE TABLE @extschema@.metaxy_dependency (
	feature			text COLLATE "C" NOT NULL,
	upstream		text COLLATE "C" NOT NULL,
	lineage			text NOT NULL,
	on_columns		text[],
	rename			jsonb,
	optional		boolean NOT NULL,
	CONSTRAINT metaxy_dependency_pkey PRIMARY KEY (feature, upstream),
	CONSTRAINT metaxy_dependency_lineage_check
		CHECK (lineage OPERATOR(pg_catalog.=) ANY (ARRAY['1:1', '1:N', 'N:1'])),
	CONSTRAINT metaxy_dependency_self_check
		CHECK (feature OPERATOR(pg_catalog.<>) upstream)
);
CREATE INDEX metaxy_dependency_upstream_idx
	ON @extschema@.metaxy_dependency (upstream);
COMMENT ON TABLE @extschema@.metaxy_dependency IS
	'edges of the feature graph: what each feature is made from, and how';

CREATE TABLE @extschema@.metaxy_retention (
	feature			text COLLATE "C" NOT NULL,
	purge_after		interval,
	history_after	interval,
	CONSTRAINT metaxy_retention_pkey PRIMARY KEY (feature)
);
COMMENT ON TABLE @extschema@.metaxy_retention IS
	'for how long deleted samples and superseded rows of a feature are kept';

REVOKE ALL ON @extschema@.metaxy_feature,
	@extschema@.metaxy_feature_version_log,
	@extschema@.metaxy_dependency,
	@extschema@.metaxy_retention FROM PUBLIC;
GRANT SELECT ON @extschema@.metaxy_feature,
	@extschema@.metaxy_feature_version_log,
	@extschema@.metaxy_dependency,
	@extschema@.metaxy_retention TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_feature', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_feature_version_log', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_dependency', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_retention', '');

--
-- The clock: the last stamp that was given, in microseconds since 2000-01-01
-- 00:00:00 UTC.  It is raised by the functions below alone.
--

CREATE SEQUENCE @extschema@.metaxy_clock;
COMMENT ON SEQUENCE @extschema@.metaxy_clock IS
	'the clock: last stamp given, in microseconds since 2000-01-01 UTC';
REVOKE ALL ON SEQUENCE @extschema@.metaxy_clock FROM PUBLIC;
GRANT SELECT ON SEQUENCE @extschema@.metaxy_clock TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_clock', '');

--
-- Ledger.  The tables are the owner's; the views show an operation to those
-- who may read every table that it touched.
--

CREATE SEQUENCE @extschema@.metaxy_deletion_id_seq;

CREATE TABLE @extschema@.metaxy_deletion (
	id				bigint NOT NULL,
	kind			text NOT NULL,
	stamp			timestamptz NOT NULL,
	role			text NOT NULL,
	session_role	text NOT NULL,
	features		text[] NOT NULL,
	filters			text[],
	soft			boolean NOT NULL,
	cascade			text NOT NULL,
	options			jsonb NOT NULL,
	reason			text,
	application_name text NOT NULL,
	transaction_id	pg_catalog.xid8 NOT NULL,
	samples			bigint NOT NULL,
	"rows"			bigint NOT NULL,
	undone_by		bigint,
	CONSTRAINT metaxy_deletion_pkey PRIMARY KEY (id),
	CONSTRAINT metaxy_deletion_kind_check CHECK (kind OPERATOR(pg_catalog.=)
		ANY (ARRAY['delete', 'view', 'undelete', 'purge', 'orphans']))
);

CREATE TABLE @extschema@.metaxy_deletion_step (
	deletion_id		bigint NOT NULL,
	step			integer NOT NULL,
	feature			text COLLATE "C" NOT NULL,
	schema_name		name,
	relation_name	name,
	samples			bigint NOT NULL,
	"rows"			bigint NOT NULL,
	stale			bigint NOT NULL,
	CONSTRAINT metaxy_deletion_step_pkey PRIMARY KEY (deletion_id, step)
);

REVOKE ALL ON SEQUENCE @extschema@.metaxy_deletion_id_seq FROM PUBLIC;
REVOKE ALL ON @extschema@.metaxy_deletion,
	@extschema@.metaxy_deletion_step FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_deletion_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_deletion', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.metaxy_deletion_step', '');

CREATE VIEW @extschema@.metaxy_deletions WITH (security_barrier = true) AS
SELECT d.*
  FROM @extschema@.metaxy_deletion AS d
 WHERE NOT EXISTS
	   (SELECT
		  FROM @extschema@.metaxy_deletion_step AS s
		 WHERE s.deletion_id OPERATOR(pg_catalog.=) d.id
		   AND s.relation_name IS NOT NULL
		   AND NOT EXISTS
			   (SELECT
				  FROM pg_catalog.pg_class AS c
				  JOIN pg_catalog.pg_namespace AS n
					ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
				 WHERE n.nspname OPERATOR(pg_catalog.=) s.schema_name
				   AND c.relname OPERATOR(pg_catalog.=) s.relation_name
				   AND c.relkind OPERATOR(pg_catalog.=)
					   ANY (ARRAY['r', 'p', 'f']::pg_catalog."char"[])
				   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
				   AND pg_catalog.has_table_privilege(c.oid, 'SELECT')));
COMMENT ON VIEW @extschema@.metaxy_deletions IS
	'ledger: one row for each delete, shown to those who may SELECT all tables that it touched';

CREATE VIEW @extschema@.metaxy_deletion_steps WITH (security_barrier = true) AS
SELECT s.*
  FROM @extschema@.metaxy_deletion_step AS s
  JOIN @extschema@.metaxy_deletions AS d
	ON d.id OPERATOR(pg_catalog.=) s.deletion_id;
COMMENT ON VIEW @extschema@.metaxy_deletion_steps IS
	'ledger: one row for each feature of a delete, in the order of execution';

REVOKE ALL ON @extschema@.metaxy_deletions,
	@extschema@.metaxy_deletion_steps FROM PUBLIC;
GRANT SELECT ON @extschema@.metaxy_deletions,
	@extschema@.metaxy_deletion_steps TO PUBLIC;

--
-- Registering
--

CREATE FUNCTION @extschema@.metaxy_register(
	feature text,
	relation pg_catalog.regclass,
	id_columns text[],
	feature_version text DEFAULT NULL,
	views boolean DEFAULT true,
	indexes boolean DEFAULT true,
	replace boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'metaxy_register'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_register(text, pg_catalog.regclass, text[], text, boolean, boolean, boolean) IS
	'makes a table hold a feature: missing columns, NOT NULL, index, views; with a new feature_version, that one becomes current';

CREATE FUNCTION @extschema@.metaxy_unregister(feature text)
RETURNS void
AS 'MODULE_PATHNAME', 'metaxy_unregister'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_unregister(text) IS
	'forgets a feature and drops its views; its rows stay';

CREATE FUNCTION @extschema@.metaxy_depend(
	feature text,
	upstream text,
	lineage text DEFAULT '1:1',
	on_columns text[] DEFAULT NULL,
	rename jsonb DEFAULT NULL,
	optional boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'metaxy_depend'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_depend(text, text, text, text[], jsonb, boolean) IS
	'says that a feature is made from another one: lineage 1:1, 1:N or N:1, joined on upstream''s on_columns, renamed as rename says';

CREATE FUNCTION @extschema@.metaxy_undepend(feature text, upstream text)
RETURNS void
AS 'MODULE_PATHNAME', 'metaxy_undepend'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_undepend(text, text) IS
	'forgets that a feature is made from another one';

CREATE FUNCTION @extschema@.metaxy_views(feature text, enabled boolean)
RETURNS void
AS 'MODULE_PATHNAME', 'metaxy_views'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_views(text, boolean) IS
	'drops a feature''s views, or creates them again with the grants that they had';

CREATE FUNCTION @extschema@.metaxy_sync(
	schema pg_catalog.regnamespace DEFAULT NULL,
	table_prefix text DEFAULT '',
	project text DEFAULT NULL,
	dry_run boolean DEFAULT false,
	OUT feature text,
	OUT relation pg_catalog.regclass,
	OUT action text,
	OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'metaxy_sync'
LANGUAGE C VOLATILE PARALLEL UNSAFE
ROWS 100;
COMMENT ON FUNCTION @extschema@.metaxy_sync(pg_catalog.regnamespace, text, text, boolean) IS
	'registers the graph that "metaxy push" stored: added, changed, unchanged, removed or skipped for each feature';

--
-- The graph
--

CREATE FUNCTION @extschema@.metaxy_order(
	feature text DEFAULT NULL,
	direction text DEFAULT 'downstream',
	OUT step integer,
	OUT feature text,
	OUT relation pg_catalog.regclass,
	OUT depth integer)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'metaxy_order'
LANGUAGE C STABLE PARALLEL UNSAFE
ROWS 100;
COMMENT ON FUNCTION @extschema@.metaxy_order(text, text) IS
	'features in order: downstream from root to leaf, upstream from leaf to root; all, or one with its descendants or ancestors';

CREATE FUNCTION @extschema@.metaxy_graph(format text DEFAULT 'tree')
RETURNS text
AS 'MODULE_PATHNAME', 'metaxy_graph'
LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_graph(text) IS
	'the feature graph as tree, mermaid, dot or json';

CREATE FUNCTION @extschema@.metaxy_status(
	feature text DEFAULT NULL,
	OUT feature text,
	OUT relation pg_catalog.regclass,
	OUT feature_version text,
	OUT active bigint,
	OUT deleted bigint,
	OUT "rows" bigint,
	OUT superseded bigint,
	OUT bytes bigint,
	OUT last_write timestamptz,
	OUT last_delete timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'metaxy_status'
LANGUAGE C STABLE PARALLEL UNSAFE
ROWS 100;
COMMENT ON FUNCTION @extschema@.metaxy_status(text) IS
	'samples, rows and bytes of each feature; counts are NULL where the caller may not SELECT';

--
-- Reading
--

CREATE FUNCTION @extschema@.metaxy_read(
	row_type anyelement,
	filter text DEFAULT NULL,
	include_soft_deleted boolean DEFAULT false,
	only_soft_deleted boolean DEFAULT false,
	with_feature_history boolean DEFAULT false,
	with_sample_history boolean DEFAULT false,
	feature_version text DEFAULT NULL,
	as_of timestamptz DEFAULT NULL)
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'metaxy_read'
LANGUAGE C STABLE PARALLEL UNSAFE
COST 1000 ROWS 1000;
COMMENT ON FUNCTION @extschema@.metaxy_read(anyelement, text, boolean, boolean, boolean, boolean, text, timestamptz) IS
	'rows of a feature table, called with NULL::table: latest or all rows of one version or all, live ones or tombstones, now or as of an earlier time';

CREATE FUNCTION @extschema@.metaxy_load_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'metaxy_load_support'
LANGUAGE C IMMUTABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_load_support(internal) IS
	'support function of metaxy_load: makes it a constant while a query is planned';

-- Not immutable, so that the planner asks the support function instead of
-- calling it: whoever reads a view need not have EXECUTE on it.  The planner
-- asks for parallel safety before it does so, and a view must not be unsafe
-- because of this.
CREATE FUNCTION @extschema@.metaxy_load()
RETURNS boolean
AS 'MODULE_PATHNAME', 'metaxy_load'
LANGUAGE C STABLE PARALLEL SAFE
SUPPORT @extschema@.metaxy_load_support;
COMMENT ON FUNCTION @extschema@.metaxy_load() IS
	'true; in the condition of a view, loads the library for its custom scan while the query is planned';

--
-- Deleting
--

CREATE FUNCTION @extschema@.metaxy_delete(
	feature text,
	filter text DEFAULT NULL,
	soft boolean DEFAULT true,
	cascade text DEFAULT 'none',
	dry_run boolean DEFAULT false,
	with_feature_history boolean DEFAULT false,
	with_sample_history boolean DEFAULT false,
	feature_version text DEFAULT NULL,
	all_rows boolean DEFAULT false,
	partial text DEFAULT 'keep',
	reason text DEFAULT NULL,
	max_samples bigint DEFAULT NULL,
	expect text DEFAULT NULL)
RETURNS TABLE (
	step integer,
	feature text,
	relation pg_catalog.regclass,
	samples bigint,
	"rows" bigint,
	stale bigint,
	deletion_id bigint,
	stamp timestamptz,
	digest text)
AS 'MODULE_PATHNAME', 'metaxy_delete'
LANGUAGE C VOLATILE PARALLEL UNSAFE
ROWS 10;

COMMENT ON FUNCTION @extschema@.metaxy_delete(text, text, boolean, text, boolean, boolean, boolean, text, boolean, text, text, bigint, text) IS
	'deletes the samples of a feature that a filter matches, and what cascade names with them';

CREATE FUNCTION @extschema@.metaxy_delete(
	features text[],
	filters text[] DEFAULT NULL,
	soft boolean DEFAULT true,
	cascade text DEFAULT 'none',
	dry_run boolean DEFAULT false,
	with_feature_history boolean DEFAULT false,
	with_sample_history boolean DEFAULT false,
	feature_version text DEFAULT NULL,
	all_rows boolean DEFAULT false,
	partial text DEFAULT 'keep',
	reason text DEFAULT NULL,
	max_samples bigint DEFAULT NULL,
	expect text DEFAULT NULL)
RETURNS TABLE (
	step integer,
	feature text,
	relation pg_catalog.regclass,
	samples bigint,
	"rows" bigint,
	stale bigint,
	deletion_id bigint,
	stamp timestamptz,
	digest text)
AS 'MODULE_PATHNAME', 'metaxy_delete'
LANGUAGE C VOLATILE PARALLEL UNSAFE
ROWS 10;

COMMENT ON FUNCTION @extschema@.metaxy_delete(text[], text[], boolean, text, boolean, boolean, boolean, text, boolean, text, text, bigint, text) IS
	'deletes the samples of several features that all filters match, as one operation';

--
-- After a delete
--

CREATE FUNCTION @extschema@.metaxy_undelete(
	deletion_id bigint,
	feature text DEFAULT NULL,
	dry_run boolean DEFAULT false)
RETURNS TABLE (
	feature text,
	restored bigint,
	skipped bigint)
AS 'MODULE_PATHNAME', 'metaxy_undelete'
LANGUAGE C VOLATILE PARALLEL UNSAFE
ROWS 10;
COMMENT ON FUNCTION @extschema@.metaxy_undelete(bigint, text, boolean) IS
	'brings back what a soft delete has hidden and nothing has followed since; of an undelete, hides it again';

CREATE FUNCTION @extschema@.metaxy_orphans(row_type anyelement)
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'metaxy_orphans'
LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_orphans(anyelement) IS
	'active samples of a table that have lost an upstream sample on a required dependency: metaxy_orphans(NULL::my_table)';

CREATE FUNCTION @extschema@.metaxy_orphan_counts(
	feature text DEFAULT NULL,
	OUT feature text,
	OUT upstream text,
	OUT orphans bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'metaxy_orphan_counts'
LANGUAGE C STABLE PARALLEL UNSAFE
ROWS 100;
COMMENT ON FUNCTION @extschema@.metaxy_orphan_counts(text) IS
	'how many active samples have lost an upstream sample, for each required dependency; null where the caller may not SELECT';

CREATE FUNCTION @extschema@.metaxy_delete_orphans(
	feature text,
	soft boolean DEFAULT true,
	cascade text DEFAULT 'none',
	dry_run boolean DEFAULT false,
	reason text DEFAULT NULL,
	max_samples bigint DEFAULT NULL,
	expect text DEFAULT NULL)
RETURNS TABLE (
	step integer,
	feature text,
	relation pg_catalog.regclass,
	samples bigint,
	"rows" bigint,
	stale bigint,
	deletion_id bigint,
	stamp timestamptz,
	digest text)
AS 'MODULE_PATHNAME', 'metaxy_delete_orphans'
LANGUAGE C VOLATILE PARALLEL UNSAFE
ROWS 10;
COMMENT ON FUNCTION @extschema@.metaxy_delete_orphans(text, boolean, text, boolean, text, bigint, text) IS
	'deletes the samples that metaxy_orphans shows, and what cascade names with them';

CREATE PROCEDURE @extschema@.metaxy_purge(
	feature text,
	older_than interval,
	history boolean DEFAULT false,
	batch_size integer DEFAULT 10000,
	dry_run boolean DEFAULT false,
	INOUT purged_samples bigint DEFAULT NULL,
	INOUT purged_rows bigint DEFAULT NULL,
	INOUT bytes bigint DEFAULT NULL)
AS 'MODULE_PATHNAME', 'metaxy_purge'
LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.metaxy_purge(text, interval, boolean, integer, boolean, bigint, bigint, bigint) IS
	'removes samples that have been deleted for that long, with history also superseded rows that old; commits batch by batch';

CREATE FUNCTION @extschema@.metaxy_retain(
	feature text,
	purge_after interval DEFAULT NULL,
	history_after interval DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'metaxy_retain'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_retain(text, interval, interval) IS
	'says for how long deleted samples and superseded rows of a feature are kept; nulls: for ever';

CREATE PROCEDURE @extschema@.metaxy_maintain(dry_run boolean DEFAULT false)
AS 'MODULE_PATHNAME', 'metaxy_maintain'
LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.metaxy_maintain(boolean) IS
	'purges what metaxy_retain says need not be kept any longer';

--
-- Writing
--

CREATE FUNCTION @extschema@.metaxy_stamp()
RETURNS trigger
AS 'MODULE_PATHNAME', 'metaxy_stamp'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_stamp() IS
	'trigger of feature tables: stamps each row by the clock, and tells deletes that somebody writes';

CREATE FUNCTION @extschema@.metaxy_write_active()
RETURNS trigger
AS 'MODULE_PATHNAME', 'metaxy_write_active'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_write_active() IS
	'triggers of the views of active samples: INSERT appends rows, UPDATE new versions, DELETE tombstones';

--
-- The other views are for reading
--

CREATE FUNCTION @extschema@.metaxy_read_only()
RETURNS trigger
AS 'MODULE_PATHNAME', 'metaxy_read_only'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_read_only() IS
	'trigger of the views of latest and of deleted samples: refuses to change rows through them';

--
-- Dropped tables and views leave the registry
--

CREATE FUNCTION @extschema@.metaxy_forget_dropped()
RETURNS event_trigger
AS 'MODULE_PATHNAME', 'metaxy_forget_dropped'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.metaxy_forget_dropped() IS
	'event trigger: sets the relation of a feature to NULL when its table is dropped';

CREATE EVENT TRIGGER metaxy_forget_dropped ON sql_drop
	EXECUTE FUNCTION @extschema@.metaxy_forget_dropped();
COMMENT ON EVENT TRIGGER metaxy_forget_dropped IS
	'keeps the registry of metaxy in step with dropped tables';
