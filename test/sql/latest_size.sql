--
-- How many rows the planner expects of the views: one a sample, not one in all
--
SET client_min_messages = warning;

CREATE SCHEMA latest_size;
SET search_path = latest_size, public;

-- expected rows, and whether they are about what comes
CREATE FUNCTION expected(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric;
END $$;
CREATE FUNCTION top(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Node Type';
END $$;
CREATE FUNCTION fits(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	really numeric;
BEGIN
	EXECUTE 'SELECT count(*) FROM (' || query || ') AS q' INTO really;
	IF expected(query) BETWEEN really / 2 AND really * 2 THEN
		RETURN true;
	END IF;
	RAISE WARNING '% rows are expected, there are %', expected(query), really;
	RETURN false;
END $$;

CREATE TABLE sample (id text, kind integer, payload text) WITH (autovacuum_enabled = off);
SELECT metaxy_register('size/sample', 'sample', ARRAY['id'], 'v1');
INSERT INTO sample
SELECT 's' || i, i % 10, 'p' || k
  FROM generate_series(1, 1000) AS i, generate_series(1, 3) AS k;
SELECT samples FROM metaxy_delete('size/sample', 'kind = 3');
CREATE TABLE other (id text, sample_id text) WITH (autovacuum_enabled = off);
INSERT INTO other SELECT 'o' || i, 's' || (i % 1000) FROM generate_series(1, 2000) AS i;
ANALYZE other;

-- without statistics: at least not as if there were one row
SELECT expected('SELECT * FROM sample_active') > 100 AS "many";
SELECT expected('SELECT * FROM other AS o JOIN sample_active AS s ON s.id = o.sample_id') > 100 AS "many";

ANALYZE sample;
SELECT fits('SELECT * FROM sample_active');
SELECT fits('SELECT * FROM sample_latest');
SELECT expected('SELECT * FROM sample_deleted') BETWEEN 10 AND 200 AS "some";
SELECT fits('SELECT * FROM sample_active OFFSET 0');
SELECT fits('SELECT * FROM sample_active WHERE kind = 4');
SELECT fits($$SELECT * FROM sample_active WHERE id < 's5'$$);
SELECT fits($$SELECT * FROM sample_active WHERE id = 's5'$$);
SELECT fits('SELECT * FROM sample_active AS s JOIN other AS o ON o.sample_id = s.id');
SELECT fits('SELECT * FROM other AS o JOIN sample_active AS s ON s.id = o.sample_id WHERE s.kind = 4');
SELECT fits('SELECT * FROM other AS o LEFT JOIN sample_active AS s ON s.id = o.sample_id');
SELECT fits('SELECT * FROM sample_active AS s JOIN sample_latest AS t USING (id)');

-- so that joins are not planned for a single row
SELECT top('SELECT * FROM other AS o
			 WHERE NOT EXISTS (SELECT FROM sample_active AS s WHERE s.id = o.sample_id)');

-- off: the planner is left alone with its guess
SET metaxy.enable_latest_scan = off;
SELECT expected('SELECT * FROM sample_active') > 1800 AS too_many;
RESET metaxy.enable_latest_scan;

-- of a partitioned table
CREATE TABLE part (id text, place integer) PARTITION BY LIST (place);
CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0) WITH (autovacuum_enabled = off);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1) WITH (autovacuum_enabled = off);
SELECT metaxy_register('size/part', 'part', ARRAY['id', 'place'], 'v1');
INSERT INTO part SELECT 's' || i, i % 2 FROM generate_series(1, 1000) AS i, generate_series(1, 3);
ANALYZE part;
SELECT fits('SELECT * FROM part_active');

SELECT metaxy_unregister('size/sample'), metaxy_unregister('size/part');
SET client_min_messages = error;
DROP SCHEMA latest_size CASCADE;
