--
-- What only newer servers have.  What is printed is the same on all: an older
-- server has something like it in its place, or nothing.
--
CREATE ROLE regress_metaxy_newer;
CREATE ROLE regress_metaxy_other;
CREATE SCHEMA metaxy_newer AUTHORIZATION regress_metaxy_newer;
SET search_path = metaxy_newer, public;
SET client_min_messages = warning;
SELECT current_setting('server_version_num')::integer >= 170000 AS is_17,
	   current_setting('server_version_num')::integer >= 180000 AS is_18 \gset
SET ROLE regress_metaxy_newer;

--
-- Virtual generated columns (18): not in the rows, else as stored ones
--
\set ECHO none
\if :is_18
\set virtual VIRTUAL
\else
\set virtual STORED
\endif
\set ECHO all
CREATE TABLE video (id text, n integer,
	twice integer GENERATED ALWAYS AS (n * 2) :virtual,
	thrice integer GENERATED ALWAYS AS (n * 3) STORED,
	loud text GENERATED ALWAYS AS (upper(id)) :virtual);
SELECT metaxy_register('newer/video', 'video', '{id}', 'v1');
INSERT INTO video_active (id, n) VALUES ('a', 1), ('b', 2), ('c', 3)
RETURNING id, n, twice, thrice, loud;
UPDATE video_active SET n = n + 1 WHERE twice > 2 RETURNING id, n, twice, thrice, loud;
UPDATE video_active SET twice = 7 WHERE id = 'a';					-- error
\echo :SQLSTATE
DELETE FROM video_active WHERE twice = 2 RETURNING id, twice;
SELECT samples, "rows" FROM metaxy_delete('newer/video', $$twice >= 8 AND loud = 'C'$$, dry_run => true);
SELECT samples, "rows" FROM metaxy_delete('newer/video', $$twice >= 8 AND loud = 'C'$$);
SELECT id, n, twice, thrice, loud, metaxy_deleted_at IS NOT NULL AS deleted
  FROM video ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at);
SELECT id, twice, loud FROM metaxy_read(NULL::video, 'twice = 6');
SELECT id, twice, loud FROM video_deleted ORDER BY id;

-- as the column of an edge
CREATE TABLE clip (id text, parent text, of text GENERATED ALWAYS AS (lower(parent)) :virtual);
SELECT metaxy_register('newer/clip', 'clip', '{id}');
SELECT metaxy_depend('newer/clip', 'newer/video', '1:N', '{id}', '{"id": "of"}');
INSERT INTO clip_active (id, parent) VALUES ('x', 'B'), ('y', 'B'), ('z', 'Q');
SELECT feature, samples, "rows", stale
  FROM metaxy_delete('newer/video', $$id = 'b'$$, cascade => 'downstream');
SELECT id, of FROM clip_active ORDER BY id;

-- added later
ALTER TABLE video ADD COLUMN half integer GENERATED ALWAYS AS (n / 2) :virtual;
SELECT metaxy_register('newer/video', 'video', '{id}', 'v1');
INSERT INTO video_active (id, n) VALUES ('d', 4) RETURNING half;
SELECT samples, "rows" FROM metaxy_delete('newer/video', 'half = 2', soft => false);

-- not as what identifies a sample, nor as a stamp
CREATE TABLE bad (id text, loud text GENERATED ALWAYS AS (upper(id)) :virtual, at timestamptz);
\set VERBOSITY sqlstate
\set ECHO none
\if :is_18
SELECT metaxy_register('newer/bad', 'bad', '{loud}');
\else
DO $$ BEGIN RAISE SQLSTATE '0A000'; END $$;
\endif
\set ECHO all
ALTER TABLE bad ADD COLUMN metaxy_created_at timestamptz GENERATED ALWAYS AS (at) :virtual;
SELECT metaxy_register('newer/bad', 'bad', '{id}');					-- error
\set VERBOSITY default
DROP TABLE bad;
SELECT metaxy_unregister('newer/clip'), metaxy_unregister('newer/video');
DROP TABLE clip, video;

--
-- Temporal constraints (18) do not allow several rows of a sample, as exclusion
-- constraints do not
--
CREATE TABLE span (id int4range, during tstzrange, n integer);
\set ECHO none
\if :is_18
ALTER TABLE span ADD CONSTRAINT span_key UNIQUE (id, during WITHOUT OVERLAPS);
\else
ALTER TABLE span ADD CONSTRAINT span_key EXCLUDE USING gist (id WITH =, during WITH &&);
\endif
\set ECHO all
SELECT metaxy_register('newer/span', 'span', '{id,during}');		-- error
\echo :SQLSTATE
-- what the hint says
ALTER TABLE metaxy_newer.span DROP CONSTRAINT span_key; CREATE INDEX ON metaxy_newer.span USING gist (id, during);
SELECT metaxy_register('newer/span', 'span', '{id,during}');
INSERT INTO span_active VALUES ('[1,1]', '[2020-01-01,2021-01-01)', 1), ('[1,1]', '[2020-06-01,2022-01-01)', 2);
DELETE FROM span_active WHERE NOT during @> timestamptz '2020-02-02' RETURNING n;
SELECT n FROM span_active;
SELECT metaxy_unregister('newer/span');
DROP TABLE span;

--
-- NOT NULL that is not valid (18): there may be nulls all the same
--
CREATE TABLE doc (id text, metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
INSERT INTO doc VALUES ('a', now(), now()), (NULL, now(), now());
\set ECHO none
\if :is_18
ALTER TABLE doc ADD CONSTRAINT doc_id NOT NULL id NOT VALID;
\endif
\set ECHO all
SELECT metaxy_register('newer/doc', 'doc', '{id}');					-- error
\echo :SQLSTATE
DELETE FROM doc WHERE id IS NULL;
SELECT metaxy_register('newer/doc', 'doc', '{id}');
SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'doc'::regclass AND attnum > 0 ORDER BY attnum;
SELECT metaxy_unregister('newer/doc');
DROP TABLE doc;

--
-- Foreign keys that are not enforced (18) order nothing, and make no cycle
--
CREATE TABLE one (id text, ref integer, nr integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
CREATE TABLE two (id text, ref integer, nr integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
SELECT metaxy_register('newer/' || name, name::regclass, '{id}') FROM unnest('{one,two}'::text[]) AS name;
ALTER TABLE one ADD CONSTRAINT one_two FOREIGN KEY (ref) REFERENCES two;
\set ECHO none
\if :is_18
ALTER TABLE two ADD CONSTRAINT two_one FOREIGN KEY (ref) REFERENCES one NOT ENFORCED;
\endif
\set ECHO all
INSERT INTO two_active (id, ref) VALUES ('a', 1);
INSERT INTO one_active (id, ref) VALUES ('a', 1);
SELECT step, feature, "rows" FROM metaxy_delete('{newer/two,newer/one}'::text[], '{true}', soft => false, dry_run => true);
SELECT step, feature, "rows" FROM metaxy_delete('{newer/two,newer/one}'::text[], '{true}', soft => false);
SELECT metaxy_unregister('newer/one'), metaxy_unregister('newer/two');
DROP TABLE one, two CASCADE;

--
-- Identity columns of partitioned tables (17): partitions take part
--
CREATE TABLE part (id integer, nr bigint GENERATED ALWAYS AS IDENTITY, note text) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_rest PARTITION OF part DEFAULT;
SELECT metaxy_register('newer/part', 'part', '{id}');
INSERT INTO part_active (id, note) VALUES (1, 'a'), (2, 'b') RETURNING id, nr;
\set ECHO none
\if :is_17
INSERT INTO part_1 (id, note) VALUES (1, 'c');
\else
INSERT INTO part (id, note) VALUES (1, 'c');
\endif
\set ECHO all
UPDATE part_active SET note = 'd' WHERE id = 2 RETURNING id, nr;
SELECT samples, "rows" FROM metaxy_delete('newer/part');
SELECT id, note, metaxy_deleted_at IS NOT NULL AS deleted, count(*) OVER (PARTITION BY nr) AS of_that_number
  FROM part ORDER BY id, part.nr;
SELECT metaxy_unregister('newer/part');
DROP TABLE part;

--
-- Grants of MAINTAIN (17) on a view, as all others, outlive it
--
CREATE TABLE page (id text);
SELECT metaxy_register('newer/page', 'page', '{id}');
\set ECHO none
\if :is_17
GRANT MAINTAIN, TRIGGER ON page_active TO regress_metaxy_other WITH GRANT OPTION;
\set maintain MAINTAIN
\else
GRANT TRIGGER ON page_active TO regress_metaxy_other WITH GRANT OPTION;
\set maintain TRIGGER
\endif
\set ECHO all
SELECT metaxy_views('newer/page', false), metaxy_views('newer/page', true);
SELECT has_table_privilege('regress_metaxy_other', 'page_active', 'TRIGGER WITH GRANT OPTION') AS trigger,
	   has_table_privilege('regress_metaxy_other', 'page_active', :'maintain' || ' WITH GRANT OPTION') AS maintain;
SELECT metaxy_unregister('newer/page');
DROP TABLE page;

RESET ROLE;
DROP SCHEMA metaxy_newer CASCADE;
DROP OWNED BY regress_metaxy_newer, regress_metaxy_other;
DROP ROLE regress_metaxy_newer, regress_metaxy_other;
