--
-- metaxy_read: the same answer as Metaxy's own read() with each of its
-- switches, on a store that Metaxy wrote and that deletes, rewrites and a
-- change of versions have been through
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set media :abs_srcdir '/fixtures/media'
\set store_1 :media '/store_after_phase_1.sql'
\set store_2 :media '/store_after_phase_2.sql'

-- Each file in a folder, TABLE.CASE.csv, is what read() returned: columns in
-- the order of their names, all but the two of jsonb.  "past": of phase 1.
CREATE TABLE phase_1 (tab text, version text, ended timestamptz);
CREATE FUNCTION compare_reads(dir text, past boolean DEFAULT false)
RETURNS TABLE (tab text, "case" text, rows bigint, missing bigint, extra bigint)
LANGUAGE plpgsql AS $$
DECLARE
	file text;
	names text;
	switches text;
BEGIN
	FOR file IN SELECT f FROM pg_ls_dir(dir) AS f WHERE f LIKE '%.csv' ORDER BY f COLLATE "C" LOOP
		tab := split_part(file, '.', 1);
		"case" := split_part(file, '.', 2);
		switches := CASE "case"
			WHEN 'active' THEN ''
			WHEN 'latest' THEN ', include_soft_deleted => true'
			WHEN 'feature_history' THEN ', with_feature_history => true'
			WHEN 'sample_history' THEN ', with_sample_history => true'
			WHEN 'all_history' THEN ', include_soft_deleted => true, with_feature_history => true,
				with_sample_history => true'
			WHEN 'active_filtered' THEN ', filter => $1'
			WHEN 'latest_filtered' THEN ', filter => $1, include_soft_deleted => true'
			END || CASE WHEN past THEN (
				SELECT format(', as_of => %L', ended)
					|| CASE WHEN "case" IN ('feature_history', 'all_history') THEN ''
						ELSE format(', feature_version => %L', version) END
				FROM phase_1 AS p WHERE p.tab = compare_reads.tab) ELSE '' END;
		SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE "C")
		  INTO names
		  FROM pg_attribute
		 WHERE attrelid = tab::regclass AND attnum > 0 AND attname !~ '_by_field$';
		EXECUTE format('CREATE TEMP TABLE expected AS SELECT %s FROM %s LIMIT 0', names, tab);
		EXECUTE format('COPY expected (%s) FROM %L (FORMAT csv, HEADER match)', names, dir || '/' || file);
		EXECUTE format('CREATE TEMP TABLE found AS SELECT %s FROM metaxy_read(NULL::%s%s)', names, tab, switches)
		  USING CASE tab
			WHEN 'video__raw' THEN 'duration > 300'
			WHEN 'video__chunk' THEN 'video_id = ''v003'''
			WHEN 'training_set__clip' THEN 'weight < 0.5' END;
		SELECT count(*) INTO rows FROM found;
		SELECT count(*) INTO missing
		  FROM (SELECT * FROM expected EXCEPT ALL SELECT * FROM found) AS m;
		SELECT count(*) INTO extra
		  FROM (SELECT * FROM found EXCEPT ALL SELECT * FROM expected) AS e;
		DROP TABLE expected, found;
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE FUNCTION drop_store() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	tab regclass;
BEGIN
	FOR tab IN SELECT oid FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
			AND (relname ~ '^(video|training_set)__' OR relname = 'metaxy_system__feature_versions')
	LOOP
		EXECUTE format('DROP TABLE %s CASCADE', tab);
	END LOOP;
	PERFORM metaxy_unregister(feature) FROM (SELECT feature FROM metaxy_order(direction => 'upstream') ORDER BY step) AS f;
END
$$;

--
-- Phase 1: writes, soft deletes, rewrites
--
\set ECHO none
\i :store_1
\set ECHO all
RESET ALL;
SET client_min_messages = warning;
SELECT feature, relation, action FROM metaxy_sync();
\set dir :media '/read_after_phase_1'
SELECT * FROM compare_reads(:'dir');

INSERT INTO phase_1 SELECT f.relation::text, f.feature_version, max(greatest(last_write, last_delete)) OVER ()
  FROM metaxy_status() AS f;

--
-- Phase 2: new versions of all but video/faces, more writes and deletes
--
SELECT drop_store();
\set ECHO none
\i :store_2
\set ECHO all
RESET ALL;
SET client_min_messages = warning;
SELECT feature, relation, action FROM metaxy_sync();
\set dir :media '/read_after_phase_2'
SELECT * FROM compare_reads(:'dir');

-- the comparison sees one row too few, and one too many
BEGIN;
DELETE FROM video__faces
 WHERE ctid = (SELECT ctid FROM video__faces ORDER BY metaxy_updated_at DESC LIMIT 1);
DELETE FROM video__faces
 WHERE ctid = (SELECT f.ctid FROM video__faces AS f JOIN metaxy_read(NULL::video__faces)
					USING (video_chunk_id, metaxy_updated_at)
				WHERE video_chunk_id IN (SELECT video_chunk_id FROM video__faces GROUP BY 1 HAVING count(*) > 1)
				ORDER BY video_chunk_id LIMIT 1);
SELECT * FROM compare_reads(:'dir') WHERE missing + extra > 0;
ROLLBACK;


--
-- The store as it was after phase 1, seen from after phase 2, whose hard delete
-- was of rows that came later
--
\set dir :media '/read_after_phase_1'
SELECT * FROM compare_reads(:'dir', past => true);

SELECT drop_store();
DROP FUNCTION compare_reads, drop_store;
DROP TABLE phase_1;
