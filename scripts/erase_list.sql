--
-- erase_list.sql: deletes the samples that a file lists, and reports what became
-- of them.  See the usage below.
--
-- The ids are loaded into a temporary table with the feature's id columns, and
-- a subquery on that is the filter.  The report is the only thing on standard
-- output, so that it can be handed over as it is.
--

\set ON_ERROR_STOP on
\ir start.psql

\set metaxy_usage no
\if :{?feature}
\else
	\set metaxy_usage yes
\endif
\if :{?file}
\else
	\set metaxy_usage yes
\endif
\if :metaxy_usage
	\warn 'Usage: psql -X -d DATABASE -v feature=KEY -v file=IDS.csv [-v NAME=VALUE]... \\'
	\warn '            -f erase_list.sql >REPORT.csv'
	\warn
	\warn 'Shows what deleting the samples of a list would do, and does it if that is'
	\warn 'confirmed.'
	\warn
	\warn '  feature   the feature'
	\warn '  file      a CSV file; its first line names the id columns of the feature, in'
	\warn '            the order in which they are registered'
	\warn '  soft      "false" removes the rows; otherwise they are hidden'
	\warn '  cascade   none (default), downstream, upstream or both'
	\warn '  history   "false" leaves rows of other feature versions alone'
	\warn '  reason    for the ledger; "erase_list" by default'
	\warn '  expect    the digest of a run without confirm: anything else is an error'
	\warn '  confirm   "yes" deletes'
	\set SHOW_CONTEXT never
	DO $$BEGIN
		RAISE EXCEPTION 'variables "feature" and "file" are needed'
			USING ERRCODE = 'invalid_parameter_value';
	END$$;
\endif

\if :{?history}
\else
	\set history true
\endif
\if :{?reason}
\else
	\set reason erase_list
\endif
\ir confirm.psql

BEGIN;
SELECT pg_catalog.current_setting('search_path') AS metaxy_path \gset
SET LOCAL search_path = pg_catalog, pg_temp;

-- metaxy itself says what is wrong with the feature; its table stays as it is now
SELECT count(*) AS metaxy_count
  FROM :"metaxy_schema".metaxy_delete(:'feature', 'false', dry_run => true)
\gset

-- the table, and how to select from it and from the list
SELECT format('%I.%I', n.nspname, c.relname) AS metaxy_relation,
	   quote_ident(c.relname) AS metaxy_table,
	   CASE WHEN c.relname = 'metaxy_ids' THEN 'metaxy_listed'
			ELSE 'metaxy_ids' END AS metaxy_alias
  FROM :"metaxy_schema".metaxy_feature AS f
  JOIN pg_class AS c ON c.oid = f.relation
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.feature = :'feature'
\gset

-- each id column, and the equality by which samples are told apart: the one of
-- the type's own ordering, wherever that is
WITH RECURSIVE id (name, place, type) AS (
	SELECT i.name, i.place, a.atttypid
	  FROM :"metaxy_schema".metaxy_feature AS f,
		   unnest(f.id_columns) WITH ORDINALITY AS i (name, place),
		   pg_attribute AS a
	 WHERE f.feature = :'feature'
	   AND a.attrelid = f.relation AND a.attname = i.name
	 UNION ALL
	SELECT id.name, id.place, t.typbasetype
	  FROM id
	  JOIN pg_type AS t ON t.oid = id.type
	 WHERE t.typtype = 'd'
), equal (name, place, operator) AS (
	SELECT id.name, id.place,
		   coalesce((SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
					   FROM pg_opclass AS oc
					   JOIN pg_am AS am ON am.oid = oc.opcmethod
					   JOIN pg_amop AS ao
							ON ao.amopfamily = oc.opcfamily
							   AND ao.amoplefttype = id.type
							   AND ao.amoprighttype = id.type
							   AND ao.amopstrategy = 3
					   JOIN pg_operator AS o ON o.oid = ao.amopopr
					   JOIN pg_namespace AS n ON n.oid = o.oprnamespace
					  WHERE am.amname = 'btree' AND oc.opcdefault
						AND oc.opcintype = id.type),
					'OPERATOR(pg_catalog.=)')
	  FROM id
	  JOIN pg_type AS t ON t.oid = id.type
	 WHERE t.typtype <> 'd'
)
SELECT string_agg(quote_ident(name), ', ' ORDER BY place) AS metaxy_columns,
	   string_agg(format('%I.%I %s %s.%I', :'metaxy_alias', name, operator,
						 :'metaxy_table', name),
				  ' AND ' ORDER BY place) AS metaxy_joined,
	   string_agg(format('%I.%I %s metaxy_found.%I', :'metaxy_alias', name,
						 operator, name),
				  ' AND ' ORDER BY place) AS metaxy_same,
	   string_agg(format('ALTER COLUMN %I SET NOT NULL', name), ', ')
		   AS metaxy_not_null,
	   string_agg(format('%I.%I::text', :'metaxy_alias', name),
				  ', ' ORDER BY place) AS metaxy_texts
  FROM equal
\gset

CREATE TEMPORARY TABLE metaxy_ids ON COMMIT DROP AS
SELECT :metaxy_columns FROM :metaxy_relation WITH NO DATA;
ALTER TABLE pg_temp.metaxy_ids :metaxy_not_null;
-- \copy takes no variables, so the whole command is one; it has quotes of its own
SELECT '''' || replace(:'file', '''', '''''') || '''' AS metaxy_file \gset
\set metaxy_copy '\\copy pg_temp.metaxy_ids from ' :metaxy_file ' with (format csv, header match)'
:metaxy_copy
ANALYZE pg_temp.metaxy_ids;

SELECT format('EXISTS (SELECT FROM pg_temp.metaxy_ids AS %I WHERE %s)',
			  :'metaxy_alias', :'metaxy_joined') AS metaxy_filter
\gset
SET LOCAL metaxy.filter_language = sql;
CREATE TEMPORARY TABLE metaxy_report (
	place		integer GENERATED ALWAYS AS IDENTITY,
	feature		text,
	relation	text,
	samples		bigint,
	"rows"		bigint,
	stale		bigint,
	deletion_id	bigint,
	stamp		timestamptz,
	digest		text,
	not_found	text
);
SELECT set_config('search_path', :'metaxy_path', true) AS metaxy_path \gset

-- the dry run, what it does not find, and the delete, which must do the same
INSERT INTO pg_temp.metaxy_report (feature, relation, samples, "rows", stale, digest)
SELECT feature, relation, samples, "rows", stale, digest
  FROM :"metaxy_schema".metaxy_delete(:'feature', :'metaxy_filter',
									  soft => :'soft', cascade => :'cascade',
									  dry_run => true,
									  with_feature_history => :'history')
 ORDER BY step;
INSERT INTO pg_temp.metaxy_report (feature, samples, "rows", not_found)
SELECT DISTINCT :'feature', 0, 0, pg_catalog.concat_ws(', ', :metaxy_texts)
  FROM pg_temp.metaxy_ids AS :metaxy_alias
 WHERE NOT EXISTS
	   (SELECT
		  FROM :"metaxy_schema".metaxy_read(
				   CAST(NULL AS :metaxy_relation), :'metaxy_filter',
				   include_soft_deleted => NOT :'soft'::boolean,
				   with_feature_history => :'history') AS metaxy_found
		 WHERE :metaxy_same)
 ORDER BY 4;

\if :metaxy_confirmed
	\if :{?expect}
	\else
		SELECT digest AS expect FROM pg_temp.metaxy_report LIMIT 1 \gset
	\endif
	DELETE FROM pg_temp.metaxy_report WHERE not_found IS NULL;
	INSERT INTO pg_temp.metaxy_report (feature, relation, samples, "rows",
		stale, deletion_id, stamp, digest)
	SELECT feature, relation, samples, "rows", stale, deletion_id, stamp, digest
	  FROM :"metaxy_schema".metaxy_delete(:'feature', :'metaxy_filter',
										  soft => :'soft',
										  cascade => :'cascade',
										  with_feature_history => :'history',
										  reason => :'reason',
										  expect => :'expect')
	 ORDER BY step;
	COMMIT;
\endif

\pset format csv
SELECT feature, relation, samples, "rows", stale, deletion_id, stamp, digest,
	   not_found
  FROM pg_temp.metaxy_report
 ORDER BY not_found IS NOT NULL, place;
\pset format aligned

\if :metaxy_confirmed
	DROP TABLE pg_temp.metaxy_report;
\else
	ROLLBACK;
	\warn 'Nothing was deleted.  To delete it, add:  -v confirm=yes'
\endif
