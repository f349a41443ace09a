--
-- metaxy_retain says what metaxy_maintain purges
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_keeper2;
CREATE ROLE regress_metaxy_keeper2;
CREATE SCHEMA metaxy_retain;
SET search_path = metaxy_retain, public;
SET client_min_messages = notice;
DO $$ BEGIN PERFORM setval('metaxy_clock', 1); END $$;
CREATE TABLE a (id integer);
CREATE TABLE b (id integer);
CREATE TABLE c (id integer);
SELECT metaxy_register(t, t::regclass, '{id}') FROM unnest('{a,b,c}'::text[]) AS t;
INSERT INTO a SELECT i % 10 FROM generate_series(1, 30) AS i;
INSERT INTO b SELECT i % 10 FROM generate_series(1, 30) AS i;
INSERT INTO c SELECT i % 10 FROM generate_series(1, 30) AS i;
SELECT feature, samples FROM metaxy_delete('{a,b,c}'::text[], '{id < 5}');

CALL metaxy_maintain();
SELECT metaxy_retain('a', purge_after => '0', history_after => '1 day');
SELECT metaxy_retain('b', history_after => '1 hour');
SELECT metaxy_retain('b', history_after => '0');
SELECT metaxy_retain('c', '1 day', '1 day');
SELECT metaxy_retain('c');
TABLE metaxy_retention ORDER BY feature;
SELECT metaxy_retain('nothing', '1 day');								-- error
SELECT metaxy_retain(NULL, '1 day');									-- error
SELECT metaxy_retain('a', '-1 day');									-- error
SELECT metaxy_retain('a', '1 day', '-1 day');							-- error
SET ROLE regress_metaxy_keeper2;
SELECT metaxy_retain('a', '1 day');										-- error
RESET ROLE;

BEGIN;
CALL metaxy_maintain();													-- error
ROLLBACK;
SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b, (SELECT count(*) FROM c) AS c;
CALL metaxy_maintain(dry_run => true);
-- b fails, a and c do not
SELECT metaxy_retain('c', '0');
CREATE RULE keep AS ON DELETE TO b DO INSTEAD NOTHING;
CALL metaxy_maintain();													-- error
DROP RULE keep ON b;
SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b, (SELECT count(*) FROM c) AS c;
CALL metaxy_maintain();
SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b, (SELECT count(*) FROM c) AS c;
-- one that fails in the midst of it
SELECT samples FROM metaxy_delete('a', 'id = 7');
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TRIGGER fail BEFORE DELETE ON a FOR EACH ROW EXECUTE FUNCTION fail();
CALL metaxy_maintain();													-- error
SELECT count(*) FROM a;
SELECT count(*) FROM a_active;

SELECT metaxy_unregister(t) FROM unnest('{a,b,c}'::text[]) AS t;
TABLE metaxy_retention;
SET client_min_messages = warning;
DROP SCHEMA metaxy_retain CASCADE;
DROP ROLE regress_metaxy_keeper2;
