--
-- The same answer as Metaxy's own read(), on a store that Metaxy wrote and
-- that deletes, rewrites and a change of versions have been through.
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set media :abs_srcdir '/fixtures/media'
\set store_1 :media '/store_after_phase_1.sql'
\set store_2 :media '/store_after_phase_2.sql'
SET client_min_messages = warning;

-- the second phase waits in a schema of its own
\set ECHO none
\i :store_2
\set ECHO all
RESET ALL;
SET client_min_messages = warning;
CREATE SCHEMA phase_2;
CREATE FUNCTION store_tables(schema regnamespace) RETURNS SETOF regclass
LANGUAGE sql AS $$
	SELECT oid::regclass FROM pg_class
	 WHERE relnamespace = schema AND relkind = 'r'
	   AND (relname ~ '^(video|training_set)__' OR relname = 'metaxy_system__feature_versions')
	 ORDER BY relname COLLATE "C"
$$;
CREATE FUNCTION move_store(source regnamespace, target regnamespace)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	tab regclass;
BEGIN
	FOR tab IN SELECT store_tables(source) LOOP
		EXECUTE format('ALTER TABLE %s SET SCHEMA %s', tab, target);
	END LOOP;
END
$$;
SELECT move_store('public', 'phase_2');
\set ECHO none
\i :store_1
\set ECHO all
RESET ALL;
SET client_min_messages = warning;

-- What read() returned, row for row and column for column: columns in the
-- order of their names, all but the two of jsonb.
CREATE FUNCTION compare_read(view regclass, file text, filter text,
	OUT rows bigint, OUT missing bigint, OUT extra bigint)
LANGUAGE plpgsql AS $$
DECLARE
	names text;
BEGIN
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE "C")
	  INTO names
	  FROM pg_attribute
	 WHERE attrelid = view AND attnum > 0 AND attname !~ '_by_field$';
	EXECUTE format('CREATE TEMP TABLE expected AS SELECT %s FROM %s LIMIT 0', names, view);
	EXECUTE format('COPY expected (%s) FROM %L (FORMAT csv, HEADER match)', names, file);
	EXECUTE format('CREATE TEMP VIEW found AS SELECT %s FROM %s WHERE %s', names, view, filter);
	SELECT count(*) INTO rows FROM found;
	SELECT count(*) INTO missing
	  FROM (SELECT * FROM expected EXCEPT ALL SELECT * FROM found) AS m;
	SELECT count(*) INTO extra
	  FROM (SELECT * FROM found EXCEPT ALL SELECT * FROM expected) AS e;
	DROP VIEW found;
	DROP TABLE expected;
END
$$;
CREATE TABLE filters (tab, filter) AS VALUES
	('video__raw', 'duration > 300'),
	('video__chunk', 'video_id = ''v003'''),
	('training_set__clip', 'weight < 0.5');
CREATE FUNCTION compare_reads(dir text)
RETURNS TABLE (tab text, read text, rows bigint, missing bigint, extra bigint)
LANGUAGE sql AS $$
	SELECT c.tab, c.read, r.rows, r.missing, r.extra
	  FROM (SELECT t::text AS tab, which AS read, which, 'true' AS filter
			  FROM store_tables('public') AS t,
				   unnest(ARRAY['active', 'latest']) AS which
			 WHERE t::text <> 'metaxy_system__feature_versions'
			UNION ALL
			SELECT f.tab, which || '_filtered', which, f.filter
			  FROM filters AS f, unnest(ARRAY['active', 'latest']) AS which) AS c,
		   compare_read((c.tab || '_' || c.which)::regclass,
						dir || '/' || c.tab || '.' || c.read || '.csv',
						c.filter) AS r
	 ORDER BY c.tab, c.read
$$;

--
-- Phase 1: writes, soft deletes, rewrites
--
SELECT feature, relation, action, detail FROM metaxy_sync();
\set dir :media '/read_after_phase_1'
SELECT * FROM compare_reads(:'dir');

-- the comparison sees one row too few, one too many, and one value
BEGIN;
DELETE FROM video__faces
 WHERE ctid = (SELECT f.ctid FROM video__faces AS f JOIN video__faces_active AS a
					 USING (video_chunk_id, metaxy_updated_at) LIMIT 1);
UPDATE video__summary SET chunks = chunks + 1
 WHERE ctid = (SELECT min(ctid) FROM video__summary
				WHERE metaxy_updated_at = (SELECT max(metaxy_updated_at) FROM video__summary));
SELECT tab, read, missing > 0 AS missing, extra > 0 AS extra
  FROM compare_reads(:'dir')
 WHERE missing + extra > 0;
ROLLBACK;

--
-- Phase 2: new versions of all but video/faces, more writes and deletes
--
DO $$
DECLARE
	tab regclass;
BEGIN
	FOR tab IN SELECT store_tables('public') LOOP
		EXECUTE format('DROP TABLE %s CASCADE', tab);
	END LOOP;
END
$$;
SELECT feature, relation FROM metaxy_order() ORDER BY feature COLLATE "C";
SELECT move_store('phase_2', 'public');
SELECT feature, relation, action, detail FROM metaxy_sync(dry_run => true);
SELECT feature, relation, action, detail FROM metaxy_sync();
SELECT feature, relation, action, detail FROM metaxy_sync();
\set dir :media '/read_after_phase_2'
SELECT * FROM compare_reads(:'dir');

-- the scope is what makes the difference: with the versions of phase 1 ...
SELECT metaxy_register('video/raw', 'video__raw', '{video_id}', 'd842b740');
SELECT tab, read, missing > 0 AS missing, extra > 0 AS extra
  FROM compare_reads(:'dir') WHERE tab = 'video__raw' AND missing + extra > 0;
-- ... and with those of phase 2 again
SELECT feature, action, detail FROM metaxy_sync() WHERE action <> 'unchanged';
SELECT tab, read, missing, extra
  FROM compare_reads(:'dir') WHERE tab = 'video__raw' AND missing + extra > 0;

--
-- Which row is the latest, where recency does not decide: rows that are
-- written in this order
--
CREATE TABLE tie (id text, what text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz,
	metaxy_feature_version text);
CREATE FUNCTION at(minute integer) RETURNS timestamptz IMMUTABLE LANGUAGE sql
AS $$ SELECT timestamptz '2026-01-01 00:00:00+00' + minute * interval '1 minute' $$;
INSERT INTO tie VALUES
	-- a tombstone beats a live row of its recency, before and after it
	('tombstone first', 'tombstone', at(1), at(1), at(5), 'v1'),
	('tombstone first', 'live', at(1), at(5), NULL, 'v1'),
	('tombstone last', 'live', at(1), at(5), NULL, 'v1'),
	('tombstone last', 'tombstone', at(1), at(1), at(5), 'v1'),
	-- of two of a kind the greater ctid
	('two live', 'first', at(1), at(5), NULL, 'v1'),
	('two live', 'second', at(1), at(5), NULL, 'v1'),
	('two tombstones', 'first', at(1), at(9), at(5), 'v1'),
	('two tombstones', 'second', at(1), at(1), at(5), 'v1'),
	-- a tombstone's recency is when it was deleted, not when it was written
	('written after', 'tombstone', at(1), at(8), at(3), 'v1'),
	('written after', 'live', at(1), at(4), NULL, 'v1'),
	-- recency beats the kind, and the order of the rows
	('older tombstone', 'live', at(1), at(6), NULL, 'v1'),
	('older tombstone', 'tombstone', at(1), at(1), at(5), 'v1'),
	('newer tombstone', 'tombstone', at(1), at(1), at(7), 'v1'),
	('newer tombstone', 'live', at(1), at(6), NULL, 'v1'),
	-- created_at decides nothing
	('created later', 'newer', at(1), at(6), NULL, 'v1'),
	('created later', 'older', at(5), at(5), NULL, 'v1'),
	-- other versions are out of the scope, dead or alive
	('other version', 'current', at(1), at(2), NULL, 'v1'),
	('other version', 'other', at(1), at(9), NULL, 'v2'),
	('dead elsewhere', 'current', at(1), at(2), NULL, 'v1'),
	('dead elsewhere', 'other', at(1), at(2), at(9), 'v2'),
	('only elsewhere', 'other', at(1), at(2), NULL, 'v2');
SELECT metaxy_register('tie', 'tie', '{id}', 'v1');
SELECT id, what, metaxy_deleted_at IS NULL AS active
  FROM tie_latest ORDER BY id COLLATE "C";
SELECT id, what FROM tie_active ORDER BY id COLLATE "C";
SELECT id, what FROM tie_deleted ORDER BY id COLLATE "C";
-- a filter sees the latest rows: it does not bring an older one forth
SELECT id, what FROM tie_active WHERE what = 'first' ORDER BY id COLLATE "C";
SELECT id, what FROM tie_active WHERE metaxy_updated_at < at(6) ORDER BY id COLLATE "C";
-- without a version, rows of all versions count as one
SELECT metaxy_register('tie', 'tie', '{id}', NULL, replace => true);
SELECT id, what, metaxy_deleted_at IS NULL AS active
  FROM tie_latest WHERE id ~ 'version|elsewhere' ORDER BY id COLLATE "C";

-- Of rows in different partitions the one of the greater tableoid, whatever
-- way they are stored, and exactly one; but the kind of the row comes first
CREATE TABLE spread (id integer, part integer, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz,
	metaxy_feature_version text) PARTITION BY LIST (part);
CREATE TABLE spread_1 PARTITION OF spread FOR VALUES IN (1);
CREATE TABLE spread_2 PARTITION OF spread FOR VALUES IN (2);
INSERT INTO spread VALUES
	(10, 1, at(1), at(1), NULL, 'v1'), (11, 1, at(1), at(1), NULL, 'v1'),
	-- the greater ctid here, there, and none
	(1, 1, at(1), at(5), NULL, 'v1'), (1, 2, at(1), at(5), NULL, 'v1'),
	(2, 2, at(1), at(5), NULL, 'v1'), (12, 2, at(1), at(1), NULL, 'v1'),
	(3, 2, at(1), at(5), NULL, 'v1'), (3, 1, at(1), at(5), NULL, 'v1'),
	(2, 1, at(1), at(5), NULL, 'v1'),
	-- a tombstone
	(4, 1, at(1), at(1), at(5), 'v1'), (4, 2, at(1), at(5), NULL, 'v1');
SELECT metaxy_register('spread', 'spread', '{id}', 'v1');
SELECT id, l.part, metaxy_deleted_at IS NULL AS active, s.ctid, other.ctid AS other
  FROM spread_latest AS l
  JOIN LATERAL (SELECT ctid FROM spread WHERE id = l.id AND part = l.part) AS s ON true
  JOIN LATERAL (SELECT ctid FROM spread WHERE id = l.id AND part <> l.part) AS other ON true
 ORDER BY id;
SELECT 'spread_2'::regclass::oid > 'spread_1'::regclass::oid AS part_2_is_greater;
SELECT count(*), count(DISTINCT id) FROM spread_latest;

--
-- Clean up
--
SELECT metaxy_unregister(feature) FROM metaxy_order(direction => 'upstream');
DO $$
DECLARE
	tab regclass;
BEGIN
	FOR tab IN SELECT store_tables('public') LOOP
		EXECUTE format('DROP TABLE %s', tab);
	END LOOP;
END
$$;
DROP TABLE tie, spread, filters;
DROP SCHEMA phase_2;
DROP FUNCTION store_tables, move_store, compare_read, compare_reads, at;
