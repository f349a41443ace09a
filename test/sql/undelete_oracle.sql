--
-- metaxy_undelete against a plain reference: random histories of two features,
-- a delete, random writes, an undelete.  Where nothing has happened since, what
-- is active is what was active before the delete; all else is as it was just
-- before the undelete.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE SCHEMA metaxy_undelete_oracle;
SET search_path = metaxy_undelete_oracle, public;

CREATE TABLE up (id integer, x integer, size integer);
CREATE TABLE down (id integer, up integer, size integer) PARTITION BY HASH (id, size);
CREATE TABLE down_0 PARTITION OF down FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE down_1 PARTITION OF down FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT metaxy_register('up', 'up', '{id,x}', 'v1'), metaxy_register('down', 'down', '{id}');
SELECT metaxy_depend('down', 'up', '1:N', '{id}', '{"id": "up"}');

CREATE VIEW every_row AS
SELECT 'up' AS feature, format('%s/%s/%s', id, x, metaxy_feature_version) AS sample, format('%s/%s', id, x) AS short,
	   coalesce(metaxy_deleted_at, metaxy_updated_at) AS recency, metaxy_deleted_at IS NULL AS live, size,
	   tableoid AS toid, ctid AS place, to_jsonb(up) AS j FROM up
UNION ALL
SELECT 'down', id::text, id::text, coalesce(metaxy_deleted_at, metaxy_updated_at), metaxy_deleted_at IS NULL, size,
	   tableoid, ctid, to_jsonb(down) FROM down;
-- the latest row of each sample and version
CREATE VIEW latest AS
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY feature, sample ORDER BY recency DESC, live, toid DESC, place DESC) AS n FROM every_row) AS r
 WHERE n = 1;

CREATE FUNCTION one_of(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS $$
	SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
CREATE FUNCTION a_filter() RETURNS text LANGUAGE sql AS $$
	SELECT one_of('true', 'size % 2 = 0', 'size % 3 = 1', 'id < 4', format('id = %s', floor(random() * 7)), 'size > 50')
$$;
-- one thing that somebody does, of any kind
CREATE PROCEDURE write() LANGUAGE plpgsql AS $$
DECLARE
	t text := one_of('up', 'down');
	kind text := one_of('insert', 'insert', 'insert', 'insert', 'tombstone', 'soft', 'hard', 'view', 'undelete', 'sweep');
BEGIN
	IF kind IN ('insert', 'tombstone') THEN
		EXECUTE format(CASE t WHEN 'up' THEN 'INSERT INTO up (id, x, size, metaxy_deleted_at, metaxy_feature_version)
			SELECT random() * 6, random(), random() * 100, %L, CASE WHEN random() < 0.3 THEN ''v0'' END FROM generate_series(1, 2)'
			ELSE 'INSERT INTO down (id, up, size, metaxy_deleted_at) SELECT random() * 6, random() * 6, random() * 100, %L FROM generate_series(1, 2)' END,
			CASE kind WHEN 'tombstone' THEN now() END);
	ELSIF kind IN ('soft', 'hard') THEN
		PERFORM metaxy_delete(t, a_filter(), soft => kind = 'soft', cascade => one_of('none', 'downstream'), with_feature_history => random() < 0.3);
	ELSIF kind = 'view' THEN
		EXECUTE format('DELETE FROM %s_active WHERE %s', t, a_filter());
	ELSIF kind = 'sweep' THEN
		PERFORM metaxy_delete_orphans('down', soft => random() < 0.7);
	ELSE
		PERFORM metaxy_undelete(id) FROM
			(SELECT id FROM metaxy_deletions WHERE features <@ '{up,down}' AND soft AND coalesce(options ->> 'command', 'delete') = 'delete' ORDER BY random() LIMIT 1) AS d;
	END IF;
END $$;

CREATE TABLE before (LIKE latest);				-- the delete, of what was active
CREATE TABLE hidden (LIKE latest);				-- the tombstones that it wrote
CREATE TABLE since (LIKE latest);				-- before the undelete
CREATE TABLE rows_since (LIKE every_row);
CREATE TABLE expected (feature text, restored bigint, skipped bigint);
CREATE TABLE met (what text);

-- One case; NULL if all is as it should be.
CREATE FUNCTION compare(n integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	operation bigint;
	hid timestamptz;
	one text := CASE WHEN random() < 0.2 THEN one_of('up', 'down') END;
	kind text := one_of('delete', 'delete', 'delete', 'delete', 'view', 'sweep', 'undo');
	hides boolean := false;			-- what comes back is to be hidden
	dry jsonb;
	wet jsonb;
	wanted jsonb;
	restored bigint;
BEGIN
	FOR i IN 1 .. floor(random() * 3) LOOP CALL write(); END LOOP;
	INSERT INTO up SELECT i, j, random() * 100 FROM generate_series(0, 6) AS i, generate_series(0, 1) AS j WHERE random() < 0.5;
	INSERT INTO down SELECT i, random() * 6, random() * 100 FROM generate_series(0, 6) AS i WHERE random() < 0.5;

	TRUNCATE before, hidden, since, rows_since, expected;
	INSERT INTO before SELECT * FROM latest;
	IF kind = 'view' THEN
		EXECUTE format('DELETE FROM %s_active WHERE %s', one_of('up', 'down'), a_filter());
	ELSIF kind = 'sweep' THEN
		PERFORM metaxy_delete_orphans('down');
	ELSE
		PERFORM metaxy_delete(one_of('up', 'down'), a_filter(), cascade => one_of('none', 'downstream', 'upstream', 'both'),
			with_feature_history => random() < 0.4, with_sample_history => random() < 0.2, partial => one_of('keep', 'delete'));
	END IF;
	SELECT max(id) INTO operation FROM metaxy_deletions;
	IF kind = 'undo' THEN
		PERFORM metaxy_undelete(operation);
		SELECT max(id) INTO operation FROM metaxy_deletions;
		hides := true;
	END IF;
	SELECT stamp INTO hid FROM metaxy_deletions WHERE id = operation;
	INSERT INTO hidden SELECT *, 1 FROM every_row AS r WHERE r.recency = hid AND r.live = hides;
	FOR i IN 1 .. floor(random() * 4) LOOP CALL write(); END LOOP;
	IF one IS NOT NULL AND NOT EXISTS (SELECT FROM metaxy_deletion_steps WHERE deletion_id = operation AND feature = one) THEN
		one := NULL;
	END IF;

	INSERT INTO since SELECT * FROM latest;
	INSERT INTO rows_since SELECT * FROM every_row;
	-- nothing has happened to those whose latest row is the one that it wrote
	INSERT INTO expected
	SELECT s.feature, count(l), s.rows - count(l) FROM metaxy_deletion_steps AS s
	  LEFT JOIN (hidden AS h JOIN since AS l ON l.feature = h.feature AND l.sample = h.sample AND l.toid = h.toid AND l.place = h.place AND l.recency = hid)
		ON h.feature = s.feature
	 WHERE s.deletion_id = operation AND (one IS NULL OR s.feature = one) GROUP BY s.feature, s.rows;
	SELECT jsonb_object_agg(feature, jsonb_build_array(e.restored, e.skipped)), sum(e.restored) INTO wanted, restored FROM expected AS e;
	SELECT jsonb_object_agg(feature, jsonb_build_array(u.restored, u.skipped)) INTO dry FROM metaxy_undelete(operation, one, true) AS u;
	SELECT jsonb_object_agg(feature, jsonb_build_array(u.restored, u.skipped)) INTO wet FROM metaxy_undelete(operation, one) AS u;
	IF dry IS DISTINCT FROM wanted OR wet IS DISTINCT FROM wanted THEN
		RETURN format('%s %s, wanted %s', dry, wet, wanted);
	END IF;
	SELECT stamp INTO hid FROM metaxy_deletions WHERE id = (SELECT max(id) FROM metaxy_deletions);

	INSERT INTO met SELECT w FROM unnest(ARRAY[kind, CASE WHEN restored > 0 THEN kind || ', something comes back' END,
		CASE WHEN restored > 0 AND EXISTS (SELECT FROM expected AS e WHERE e.skipped > 0) THEN 'both' END,
		CASE WHEN one IS NOT NULL THEN 'one feature' END]) AS w WHERE w IS NOT NULL;

	RETURN nullif(concat(
		-- what is active is what was, where nothing has happened since
		(SELECT string_agg(concat_ws(' ', feature, sample, a.j, w.j), ', ') FROM
			(SELECT feature, sample, j - 'metaxy_updated_at' - 'metaxy_deleted_at' AS j FROM latest AS l WHERE l.live) AS a
		  FULL JOIN
			(SELECT s.feature, s.sample, CASE WHEN h IS NULL THEN s.j ELSE b.j END - 'metaxy_updated_at' - 'metaxy_deleted_at' AS j
			   FROM since AS s
			   LEFT JOIN hidden AS h ON h.feature = s.feature AND h.sample = s.sample AND h.toid = s.toid AND h.place = s.place
					AND s.recency = h.recency AND (one IS NULL OR one = s.feature)
			   LEFT JOIN before AS b ON b.feature = s.feature AND b.sample = s.sample
			  WHERE CASE WHEN h IS NULL THEN s.live ELSE NOT hides END) AS w USING (feature, sample, j)
		 WHERE a IS NULL OR w IS NULL),
		-- no row is changed, and as many come as it said
		(SELECT ' rows changed' WHERE EXISTS (SELECT * FROM rows_since EXCEPT SELECT * FROM every_row)),
		(SELECT ' rows written' WHERE (SELECT count(*) FROM every_row AS r WHERE r.recency = hid AND r.live <> hides) <> restored)), '');
END $$;

CREATE TABLE fault (n integer, what text);
CREATE PROCEDURE compare_many(cases integer) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. cases LOOP
		IF i % 10 = 1 THEN
			TRUNCATE up, down;
		END IF;
		INSERT INTO fault SELECT i, compare(i);
		COMMIT;
	END LOOP;
END $$;
SELECT setseed(0.5);
CALL compare_many(100);
SELECT count(*) AS cases, count(what) AS differ FROM fault;
SELECT what FROM fault WHERE what IS NOT NULL ORDER BY n LIMIT 1;
SELECT what AS met FROM met GROUP BY what HAVING count(*) > 2 ORDER BY what COLLATE "C";

SELECT metaxy_unregister('down');
SELECT metaxy_unregister('up');
DROP SCHEMA metaxy_undelete_oracle CASCADE;
