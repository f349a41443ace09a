--
-- metaxy_delete in transactions: all or nothing, several in one, and called
-- from wherever a function may be called
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE SCHEMA metaxy_transaction;
SET search_path = metaxy_transaction, public;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set result 'step, feature, samples, "rows", stale'

CREATE TABLE a (id int, v text, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz DEFAULT '2024-01-01', metaxy_deleted_at timestamptz);
CREATE TABLE b (LIKE a INCLUDING DEFAULTS);
CREATE TABLE c (LIKE a INCLUDING DEFAULTS);
SELECT metaxy_register(t, t::regclass, '{id}') FROM unnest('{a,b,c}'::text[]) AS t;
SELECT metaxy_depend('b', 'a'), metaxy_depend('c', 'b');
INSERT INTO a SELECT i, 'a' FROM generate_series(1, 20) AS i;
INSERT INTO b SELECT i, 'b' FROM generate_series(1, 20) AS i;
INSERT INTO c SELECT i, 'c' FROM generate_series(1, 20) AS i;

CREATE VIEW active AS
SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM a_active WHERE id < 10) AS a,
	(SELECT string_agg(id::text, ' ' ORDER BY id) FROM b_active WHERE id < 10) AS b,
	(SELECT string_agg(id::text, ' ' ORDER BY id) FROM c_active WHERE id < 10) AS c;
CREATE VIEW state AS
SELECT md5(string_agg(r, ',' ORDER BY r)) AS state FROM
	(SELECT (ctid, xmin, a)::text FROM a UNION ALL SELECT (ctid, xmin, b)::text FROM b UNION ALL SELECT (ctid, xmin, c)::text FROM c
	 UNION ALL SELECT d::text FROM metaxy_deletions AS d UNION ALL SELECT s::text FROM metaxy_deletion_steps AS s) AS x (r);
SELECT state AS before FROM state \gset

--
-- An error in the last step leaves nothing of the others
--
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	-- all the other steps were executed before
	RAISE EXCEPTION 'no: % %', TG_OP, (SELECT format('%s and %s tombstones, %s and %s rows', count(*) FILTER (WHERE t = 'b' AND gone),
		count(*) FILTER (WHERE t = 'c' AND gone), count(*) FILTER (WHERE t = 'b'), count(*) FILTER (WHERE t = 'c'))
		FROM (SELECT 'b', metaxy_deleted_at IS NOT NULL FROM b UNION ALL SELECT 'c', metaxy_deleted_at IS NOT NULL FROM c) AS x (t, gone));
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT :result FROM metaxy_delete('a', 'id < 5', cascade => 'downstream');								-- error
SELECT :result FROM metaxy_delete('a', 'id < 5', cascade => 'downstream', soft => false);					-- error
SELECT * FROM active;
SELECT state = :'before' AS same FROM state;
-- also where somebody goes on after it
DO $$
BEGIN
	PERFORM metaxy_delete('a', 'id < 5', cascade => 'downstream');
EXCEPTION WHEN raise_exception THEN
	NULL;
END $$;
SELECT state = :'before' AS same FROM state;
-- nothing to do there: nothing that could fail
BEGIN;
SELECT samples FROM metaxy_delete('b', 'id < 5', cascade => 'downstream');
SELECT :result FROM metaxy_delete('a', 'id > 100', cascade => 'downstream');
ROLLBACK;
-- the last word at COMMIT
DROP TRIGGER refuse ON a;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT :result FROM metaxy_delete('a', 'id < 5', cascade => 'downstream');								-- error
BEGIN;
SELECT :result FROM metaxy_delete('a', 'id < 5', cascade => 'downstream');
COMMIT;																									-- error
SELECT state = :'before' AS same FROM state;
DROP TRIGGER refuse ON a;
-- a check, a unique index
ALTER TABLE a ADD CONSTRAINT alive CHECK (metaxy_deleted_at IS NULL);
SELECT state AS before FROM state \gset
\set VERBOSITY sqlstate
SELECT :result FROM metaxy_delete('a', 'id < 5', cascade => 'downstream');								-- error
ALTER TABLE a DROP CONSTRAINT alive;
CREATE UNIQUE INDEX one ON a (id);
SELECT :result FROM metaxy_delete('a', 'id < 5', cascade => 'downstream');								-- error
\set VERBOSITY default
DROP INDEX one;
SELECT state = :'before' AS same FROM state;

--
-- Several in one transaction: each sees what those before it did
--
BEGIN;
INSERT INTO a VALUES (1, 'a again', DEFAULT, '2024-02-01');
SELECT :result FROM metaxy_delete('a', $$v = 'a again'$$);
SELECT :result FROM metaxy_delete('a', $$id = 1$$);
SELECT :result FROM metaxy_delete('a', 'id < 4', cascade => 'downstream');
SELECT :result FROM metaxy_delete('b', 'id < 4');
SELECT * FROM active;
SELECT count(DISTINCT metaxy_deleted_at) AS stamps, count(*) AS tombstones FROM
	(SELECT id, metaxy_deleted_at FROM a UNION ALL SELECT id, metaxy_deleted_at FROM b UNION ALL SELECT id, metaxy_deleted_at FROM c) AS x
 WHERE metaxy_deleted_at IS NOT NULL;
-- written again in the same transaction, after the delete by any clock
INSERT INTO a SELECT 2, 'reborn', now(), max(metaxy_deleted_at) + interval '1 microsecond' FROM a;
SELECT * FROM active;
SELECT :result FROM metaxy_delete('a', 'id = 2', cascade => 'downstream');
SELECT * FROM active;
-- then for good
SELECT :result FROM metaxy_delete('a', 'id < 4', soft => false, cascade => 'downstream');
SELECT min(id) FROM b;
SELECT :result FROM metaxy_delete('a', 'id < 4', soft => false, cascade => 'downstream');
ROLLBACK;
SELECT state = :'before' AS same FROM state;

--
-- Savepoints
--
BEGIN;
SELECT samples FROM metaxy_delete('a', 'id = 1');
SAVEPOINT s;
SELECT samples FROM metaxy_delete('a', 'id IN (1, 2)', cascade => 'downstream');
SELECT * FROM active;
ROLLBACK TO s;
SELECT * FROM active;
SELECT samples FROM metaxy_delete('a', 'id IN (1, 2)', soft => false);
ROLLBACK TO s;
SELECT * FROM active;
SELECT 1 / (samples - 1) FROM metaxy_delete('a', 'id = 3');												-- error
ROLLBACK TO s;
SELECT samples FROM metaxy_delete('a', 'id = 3');
RELEASE s;
COMMIT;
SELECT * FROM active;

--
-- Where a function may be called
--
-- in the select list, which makes a set of it
SELECT (metaxy_delete('a', 'id = 4', dry_run => true)).samples;
SELECT (metaxy_delete('a', 'id = 4')).samples;
SELECT d.samples FROM (SELECT metaxy_delete('a', 'id = 4')) AS x (d), LATERAL (SELECT (d).samples) AS d;
-- twice in one statement: the second finds what the first left
SELECT 1 AS n, samples FROM metaxy_delete('a', 'id = 5') UNION ALL SELECT 2, samples FROM metaxy_delete('a', 'id = 5') ORDER BY 1;
SELECT x.samples, y.samples FROM metaxy_delete('a', 'id = 6') AS x, metaxy_delete('a', 'id = 6') AS y;
SELECT id, count(*) FROM a WHERE id IN (4, 5, 6) GROUP BY id ORDER BY 1;
-- for each row of something
SELECT t.id, d.samples FROM (VALUES (7), (8), (7)) AS t (id), metaxy_delete('a', 'id = ' || t.id) AS d;
-- in WITH, whose own statement still sees what was there before it
WITH d AS (SELECT * FROM metaxy_delete('a', 'id = 9', cascade => 'downstream'))
SELECT feature, samples, (SELECT count(*) FROM a_active WHERE id = 9) AS active FROM d ORDER BY step;
SELECT count(*) FROM a_active WHERE id = 9;
-- as the source of another
CREATE TEMP TABLE kept AS SELECT feature, samples FROM metaxy_delete('a', 'id = 10', cascade => 'downstream');
SELECT * FROM kept ORDER BY 1;
-- in a function, in a view, in a prepared statement
CREATE FUNCTION in_sql(id int) RETURNS bigint LANGUAGE sql AS $$ SELECT samples FROM metaxy_delete('a', 'id = ' || $1) $$;
CREATE FUNCTION in_plpgsql(id int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	r record;
	n bigint := 0;
BEGIN
	FOR r IN SELECT * FROM metaxy_delete('a', format('id = %s', id), cascade => 'downstream') LOOP
		n := n + r.samples;
	END LOOP;
	RETURN n;
END $$;
SELECT in_sql(11), in_sql(11), in_plpgsql(12), in_plpgsql(12);
CREATE VIEW deleting AS SELECT feature, samples FROM metaxy_delete('a', 'id = 13');
SELECT * FROM deleting;
SELECT * FROM deleting;
PREPARE deleting (int) AS SELECT samples FROM metaxy_delete('a', 'id = ' || $1);
SET plan_cache_mode = force_generic_plan;
EXECUTE deleting (14);
EXECUTE deleting (14);
EXECUTE deleting (15);
DEALLOCATE deleting;
RESET plan_cache_mode;
-- in a transaction of a procedure
CREATE PROCEDURE in_parts() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 16 .. 18 LOOP
		PERFORM metaxy_delete('a', 'id = ' || i);
		IF i = 17 THEN
			ROLLBACK;
		ELSE
			COMMIT;
		END IF;
	END LOOP;
END $$;
CALL in_parts();
SELECT id FROM a_active WHERE id > 10 ORDER BY 1;
-- in a trigger of a table that is deleted from
CREATE FUNCTION go_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.metaxy_deleted_at IS NOT NULL THEN
		PERFORM metaxy_delete('b', 'id = ' || NEW.id, cascade => 'downstream');
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER go_on AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION go_on();
SELECT :result FROM metaxy_delete('a', 'id IN (17, 19)');
SELECT id FROM c_deleted WHERE id > 16 ORDER BY 1;
-- even where it takes away what a later step was to find: a result, or an error,
-- but nothing by halves
DROP TRIGGER go_on ON a;
CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM metaxy_delete('b', 'id = ' || OLD.id, soft => false);
	RETURN NULL;
END $$;
CREATE TRIGGER interfere AFTER DELETE ON c FOR EACH ROW EXECUTE FUNCTION interfere();
SELECT state AS before FROM state \gset
\set VERBOSITY sqlstate
SELECT :result FROM metaxy_delete('a', 'id IN (3, 17)', soft => false, cascade => 'downstream');			-- error
\set VERBOSITY default
SELECT state = :'before' AS same FROM state;
DROP TRIGGER interfere ON c;

-- cursors: the delete is done when the cursor is first read, and as a whole;
-- what a cursor opened before sees does not change
BEGIN;
DECLARE rows CURSOR FOR SELECT id FROM a_active WHERE id > 15 ORDER BY id;
DECLARE deleting CURSOR FOR SELECT feature, samples FROM metaxy_delete('a', 'id = 20', cascade => 'downstream');
FETCH 1 FROM deleting;
SELECT count(*) FROM c_active WHERE id = 20;
FETCH ALL FROM rows;
FETCH ALL FROM deleting;
DECLARE held CURSOR WITH HOLD FOR SELECT feature, samples FROM metaxy_delete('b', 'id = 1', cascade => 'downstream');
COMMIT;
FETCH ALL FROM held;
CLOSE held;
SELECT id FROM a_active WHERE id > 15 ORDER BY 1;
SELECT samples FROM metaxy_delete('b', 'id = 1', cascade => 'downstream');

--
-- Other levels of isolation: the same while nobody else is there
--
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO a VALUES (30, 'a');
SELECT :result FROM metaxy_delete('a', 'id = 30', cascade => 'both');
SELECT :result FROM metaxy_delete('a', 'id = 30', cascade => 'both');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO a VALUES (31, 'a');
INSERT INTO b VALUES (31, 'b');
SELECT :result FROM metaxy_delete('a', 'id = 31', cascade => 'both', soft => false);
SELECT :result FROM metaxy_delete('a', 'id = 31', cascade => 'both', soft => false);
COMMIT;
SELECT id, metaxy_deleted_at IS NULL AS live FROM a WHERE id >= 30 ORDER BY 1, 2;

DROP VIEW active, state, deleting;
SELECT metaxy_unregister(f) FROM unnest('{c,b,a}'::text[]) AS f;
DROP SCHEMA metaxy_transaction CASCADE;
