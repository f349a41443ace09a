--
-- MERGE into the view of active samples, which PostgreSQL can from 17 on.  What
-- is printed is the same before: there, commands in one WITH take its place.
--
CREATE ROLE regress_metaxy_merge;
CREATE ROLE regress_metaxy_reader;
CREATE SCHEMA metaxy_merge AUTHORIZATION regress_metaxy_merge;
GRANT USAGE ON SCHEMA metaxy_merge TO regress_metaxy_reader;
SET search_path = metaxy_merge, public;
SET client_min_messages = warning;
SELECT current_setting('server_version_num')::integer >= 170000 AS has_merge \gset
SET ROLE regress_metaxy_merge;

CREATE TABLE stock (id text, n integer, note text DEFAULT 'none',
	twice integer GENERATED ALWAYS AS (n * 2) STORED);
SELECT metaxy_register('merge/stock', 'stock', '{id}', 'v1');
INSERT INTO stock_active (id, n) VALUES ('a', 1), ('b', 2), ('c', 3), ('z', 9);
CREATE TABLE delivery (id text, n integer);
INSERT INTO delivery VALUES ('a', 10), ('b', -2), ('d', 4), ('e', 5);

-- what is in the table, in the order of the clock
CREATE VIEW history AS
SELECT dense_rank() OVER (ORDER BY coalesce(metaxy_deleted_at, metaxy_updated_at)) AS stamp,
	   id, n, note, twice, metaxy_feature_version AS version,
	   metaxy_deleted_at IS NOT NULL AS deleted
  FROM stock;
CREATE VIEW ledger AS
SELECT kind, options ->> 'command' AS command, samples, "rows",
	   stamp = (SELECT max(coalesce(metaxy_deleted_at, metaxy_updated_at)) FROM stock) AS last_stamp
  FROM metaxy_deletions WHERE 'merge/stock' = ANY (features) ORDER BY id DESC LIMIT 1;
SELECT * FROM ledger;

--
-- All that it can do, in one statement: one stamp, one entry in the ledger
--
\set ECHO none
\if :has_merge
WITH merged AS (
	MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id
	WHEN MATCHED AND s.n + d.n = 0 THEN DELETE
	WHEN MATCHED THEN UPDATE SET n = s.n + d.n
	WHEN NOT MATCHED BY TARGET AND d.n > 4 THEN DO NOTHING
	WHEN NOT MATCHED BY TARGET THEN INSERT (id, n) VALUES (d.id, d.n)
	WHEN NOT MATCHED BY SOURCE AND s.n > 5 THEN DELETE
	WHEN NOT MATCHED BY SOURCE THEN UPDATE SET note = 'no source'
	RETURNING merge_action(), s.id, s.n, s.note, s.twice, d.n AS delivered)
SELECT * FROM merged ORDER BY id;
\else
WITH gone AS (
	DELETE FROM stock_active AS s
	 USING (SELECT t.id, d.n FROM stock_active AS t LEFT JOIN delivery AS d USING (id)) AS d
	 WHERE s.id = d.id AND (s.n + d.n = 0 OR d.n IS NULL AND s.n > 5)
	RETURNING 'DELETE' AS merge_action, s.id, s.n, s.note, s.twice, d.n AS delivered),
changed AS (
	UPDATE stock_active AS s SET n = s.n + coalesce(d.n, 0),
		   note = CASE WHEN d.n IS NULL THEN 'no source' ELSE s.note END
	  FROM (SELECT t.id, d.n FROM stock_active AS t LEFT JOIN delivery AS d USING (id)) AS d
	 WHERE s.id = d.id AND NOT coalesce(s.n + d.n = 0, false) AND NOT (d.n IS NULL AND s.n > 5)
	RETURNING 'UPDATE', s.id, s.n, s.note, s.twice, d.n),
made AS (
	INSERT INTO stock_active (id, n)
	SELECT id, n FROM delivery WHERE n <= 4 AND id NOT IN (SELECT id FROM stock_active)
	RETURNING 'INSERT', id, n, note, twice, n)
SELECT * FROM gone UNION ALL SELECT * FROM changed UNION ALL SELECT * FROM made ORDER BY id;
\endif
\set ECHO all
SELECT * FROM ledger;
SELECT * FROM history ORDER BY stamp, id;
SELECT id, n, note FROM stock_active ORDER BY id;
-- what it inserted and updated it did not hide
SELECT max(id) AS merge FROM metaxy_deletions WHERE 'merge/stock' = ANY (features) \gset
SELECT * FROM metaxy_undelete(:merge, dry_run => true);
BEGIN;
INSERT INTO stock_active (id) SELECT id FROM stock_deleted WHERE metaxy_deleted_at = (SELECT stamp FROM metaxy_deletions WHERE id = :merge) ORDER BY id LIMIT 1;
SELECT * FROM metaxy_undelete(:merge);
ROLLBACK;

--
-- One of each: the ledger has the command that it came to
--
\set ECHO none
\if :has_merge
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id WHEN NOT MATCHED THEN INSERT (id, n) VALUES (d.id, d.n);
SELECT * FROM ledger;
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id WHEN MATCHED THEN UPDATE SET n = d.n;
SELECT * FROM ledger;
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id WHEN MATCHED THEN DELETE;
SELECT * FROM ledger;
\else
INSERT INTO stock_active (id, n) SELECT id, n FROM delivery WHERE id NOT IN (SELECT id FROM stock_active);
SELECT * FROM ledger;
UPDATE stock_active AS s SET n = d.n FROM delivery AS d WHERE s.id = d.id;
SELECT * FROM ledger;
DELETE FROM stock_active AS s USING delivery AS d WHERE s.id = d.id;
SELECT * FROM ledger;
\endif
\set ECHO all
-- nothing to do is an operation too; to do nothing is none
SELECT count(*) AS entries FROM metaxy_deletions \gset
\set ECHO none
\if :has_merge
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id AND false
WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND false THEN INSERT (id) VALUES ('x');
MERGE INTO stock_active AS s USING delivery AS d ON true WHEN MATCHED THEN DO NOTHING;
\else
WITH gone AS (DELETE FROM stock_active WHERE false) INSERT INTO stock_active (id) SELECT 'x' WHERE false;
\endif
\set ECHO all
SELECT kind, command, samples, "rows" FROM ledger;
SELECT count(*) - :entries AS new_entries FROM metaxy_deletions;
SELECT id, n FROM stock_active ORDER BY id;

--
-- A sample that the source has twice counts once
--
INSERT INTO stock_active (id, n) VALUES ('a', 1), ('b', 1);
\set ECHO none
\if :has_merge
MERGE INTO stock_active AS s USING (VALUES ('a'), ('a'), ('b'), ('b')) AS d (id) ON s.id = d.id
WHEN MATCHED AND s.id = 'a' THEN UPDATE SET n = 7
WHEN MATCHED THEN DELETE;
\else
WITH gone AS (DELETE FROM stock_active WHERE id = 'b') UPDATE stock_active SET n = 7 WHERE id = 'a';
\endif
\set ECHO all
SELECT * FROM ledger;
SELECT id, n FROM stock_active ORDER BY id;

--
-- In a function, prepared, and in a transaction of several
--
\set ECHO none
\if :has_merge
CREATE FUNCTION swap() RETURNS void LANGUAGE sql AS $$
	MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id
	WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, n) VALUES (d.id, d.n) $$;
PREPARE deliver(integer) AS
	MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id
	WHEN MATCHED THEN UPDATE SET n = $1 WHEN NOT MATCHED THEN INSERT (id, n) VALUES (d.id, $1);
\else
CREATE FUNCTION swap() RETURNS void LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM stock_active AS s USING delivery AS d WHERE s.id = d.id)
	INSERT INTO stock_active (id, n) SELECT id, n FROM delivery WHERE id NOT IN (SELECT id FROM stock_active) $$;
PREPARE deliver(integer) AS
	WITH changed AS (UPDATE stock_active AS s SET n = $1 FROM delivery AS d WHERE s.id = d.id)
	INSERT INTO stock_active (id, n) SELECT id, $1 FROM delivery WHERE id NOT IN (SELECT id FROM stock_active);
\endif
\set ECHO all
SELECT swap();
SELECT * FROM ledger;
SELECT id, n FROM stock_active ORDER BY id;
BEGIN;
SELECT swap();
SELECT id, n FROM stock_active ORDER BY id;
EXECUTE deliver(20);
SELECT * FROM ledger;
EXECUTE deliver(21);
SELECT * FROM ledger;
SELECT id, n FROM stock_active ORDER BY id;
ROLLBACK;
SELECT id, n FROM stock_active ORDER BY id;
-- only ever appended to
SELECT count(*), count(DISTINCT stamp) AS stamps FROM history;

--
-- Errors: nothing is left behind
--
SELECT count(*) AS rows FROM stock \gset
\set VERBOSITY sqlstate
\set ECHO none
\if :has_merge
-- the sample stays itself
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id
WHEN NOT MATCHED THEN INSERT (id) VALUES ('new') WHEN MATCHED THEN UPDATE SET id = 'other';
-- no tombstones
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id
WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, metaxy_deleted_at) VALUES (d.id, now());
-- the other views
MERGE INTO stock_latest AS s USING delivery AS d ON s.id = d.id WHEN MATCHED THEN DELETE;
MERGE INTO stock_deleted AS s USING (VALUES ('z')) AS d (id) ON s.id = d.id WHEN MATCHED THEN UPDATE SET n = 1;
-- only who may write to the table
RESET ROLE;
GRANT SELECT ON stock, delivery TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id WHEN MATCHED THEN DELETE;
MERGE INTO stock_active AS s USING delivery AS d ON s.id = d.id WHEN NOT MATCHED THEN INSERT (id) VALUES (d.id);
\else
WITH made AS (INSERT INTO stock_active (id) VALUES ('new')) UPDATE stock_active SET id = 'other';
WITH gone AS (DELETE FROM stock_active) INSERT INTO stock_active (id, metaxy_deleted_at) VALUES ('e', now());
DELETE FROM stock_latest;
UPDATE stock_deleted SET n = 1;
RESET ROLE;
GRANT SELECT ON stock, delivery TO regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
DELETE FROM stock_active;
INSERT INTO stock_active (id) VALUES ('e');
\endif
\set ECHO all
\set VERBOSITY default
RESET ROLE;
SELECT count(*) - :rows AS new_rows FROM stock;

SELECT metaxy_unregister('merge/stock');
DROP SCHEMA metaxy_merge CASCADE;
DROP ROLE regress_metaxy_merge, regress_metaxy_reader;
