--
-- metaxy_delete: what it refuses, with which code, and that nothing is left
-- behind
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA metaxy_delete_errors;
SET search_path = metaxy_delete_errors, public;

CREATE TABLE video (video_id text, size integer, metaxy_feature_version text,
	metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz);
CREATE TABLE chunk (LIKE video);
ALTER TABLE chunk ADD COLUMN chunk_id text;
CREATE TABLE note (LIKE video);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1', false, false);
SELECT metaxy_register('video/chunk', 'chunk', '{chunk_id}', 'v1', false, false);
SELECT metaxy_register('note', 'note', '{video_id}', NULL, false, false);
SELECT metaxy_depend('video/chunk', 'video', '1:N', '{video_id}');
INSERT INTO video
SELECT 'v' || i, i * 100, 'v1', '2024-01-01', '2024-01-01'
  FROM generate_series(1, 5) AS i;
INSERT INTO chunk (chunk_id, video_id, metaxy_feature_version,
	metaxy_created_at, metaxy_updated_at)
SELECT 'v' || i || '/' || j, 'v' || i, 'v1', '2024-01-01', '2024-01-01'
  FROM generate_series(1, 5) AS i, generate_series(1, 2) AS j;
INSERT INTO note SELECT * FROM video;

-- everything that a delete could have touched: rows by their place and their
-- writer, and the ledger
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(t, ',' ORDER BY t))
	  FROM (SELECT (tableoid, ctid, xmin, v)::text FROM video AS v
			UNION ALL
			SELECT (tableoid, ctid, xmin, c)::text FROM chunk AS c
			UNION ALL
			SELECT (tableoid, ctid, xmin, n)::text FROM note AS n
			UNION ALL
			SELECT d::text FROM metaxy_deletions AS d
			UNION ALL
			SELECT s::text FROM metaxy_deletion_steps AS s) AS x (t)
$$;
SELECT state() AS before \gset
-- code and message of a call that fails, without the query that it was in
CREATE FUNCTION refused(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE call;
	RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

--
-- Features that are not there
--
SELECT * FROM metaxy_delete('nonesuch');							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('Video');								-- error: keys are exact
\echo :SQLSTATE
SELECT * FROM metaxy_delete('');									-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('nonesuch', dry_run => true);			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('nonesuch', cascade => 'both');			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video,nonesuch,note}'::text[]);		-- error
\echo :SQLSTATE

--
-- NULL where there must be a value
--
SELECT * FROM metaxy_delete(NULL::text);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete(NULL::text[]);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video,NULL}'::text[]);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video}'::text[], '{true,NULL}'::text[]); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', soft => NULL);					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', cascade => NULL);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', dry_run => NULL);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', with_feature_history => NULL);	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', with_sample_history => NULL);	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', all_rows => NULL);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', partial => NULL);				-- error
\echo :SQLSTATE
-- in the others NULL says something: no filter, no limit, ...
SELECT feature, samples
  FROM metaxy_delete('video', filter => NULL, dry_run => true,
	feature_version => NULL, reason => NULL, max_samples => NULL,
	expect => NULL);

--
-- Lists of features and filters
--
SELECT * FROM metaxy_delete('{}'::text[]);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video,note,video}'::text[]);			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{{video,note}}'::text[]);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video}'::text[], '{{true,true}}'::text[]); -- error
\echo :SQLSTATE
-- an array need not begin at 1
SELECT feature, samples
  FROM metaxy_delete('[7:8]={video,note}'::text[], dry_run => true);

--
-- Values that are none of the option's
--
SELECT * FROM metaxy_delete('video', cascade => 'sideways');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', cascade => '');				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', cascade => 'downstream ');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', partial => 'all');				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', max_samples => -1);			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', max_samples => '-9223372036854775808'); -- error
\echo :SQLSTATE
-- upper and lower case are one
SELECT feature, samples
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'DownStream',
	partial => 'KEEP', dry_run => true);

--
-- Options that contradict each other
--
SELECT * FROM metaxy_delete('video', feature_version => 'v1',
	with_feature_history => true);									-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'true', all_rows => true);		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'true', soft => false,
	all_rows => true);												-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video}'::text[], '{true}'::text[],
	all_rows => true);												-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'true', soft => false,
	with_sample_history => true, cascade => 'downstream');			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'true', soft => false,
	with_sample_history => true, cascade => 'both', dry_run => true); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('note', feature_version => 'v1');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video,note}'::text[],
	feature_version => 'v1', dry_run => true);						-- error
\echo :SQLSTATE

--
-- A hard delete of everything wants to be confirmed
--
SELECT * FROM metaxy_delete('video', soft => false);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', soft => false, cascade => 'downstream'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', soft => false,
	with_sample_history => true);									-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('{video,note}'::text[], '{}', soft => false); -- error
\echo :SQLSTATE
SELECT feature, samples, "rows"
  FROM metaxy_delete('video', soft => false, dry_run => true);

--
-- More, or something else, than was expected
--
SELECT * FROM metaxy_delete('video', max_samples => 4);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', max_samples => 0);				-- error
\echo :SQLSTATE
-- the limit is for all features together, and in the dry run too
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$,
	cascade => 'downstream', max_samples => 2, dry_run => true);	-- error
\echo :SQLSTATE
SELECT feature, samples
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream',
	max_samples => 3, dry_run => true);
SELECT feature, samples
  FROM metaxy_delete('video', 'false', max_samples => 0, dry_run => true);

\set VERBOSITY sqlstate
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, expect => '');	-- error
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, expect => 'x');	-- error
-- one sample more, another sample, another feature with the same samples
SELECT digest AS expected
  FROM metaxy_delete('video', $$video_id = 'v1'$$, dry_run => true) \gset
SELECT * FROM metaxy_delete('video', $$video_id IN ('v1', 'v2')$$,
	expect => :'expected');											-- error
SELECT * FROM metaxy_delete('video', $$video_id = 'v2'$$,
	expect => :'expected');											-- error
SELECT * FROM metaxy_delete('note', $$video_id = 'v1'$$,
	expect => :'expected');											-- error
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$,
	cascade => 'downstream', expect => :'expected');				-- error
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, soft => false,
	dry_run => true, expect => 'x');								-- error
-- the sample was written again
BEGIN;
INSERT INTO video VALUES
	('v1', 100, 'v1', '2024-01-01', '2024-01-01 00:00:01');
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$,
	expect => :'expected');											-- error
ROLLBACK;
-- or changed in place
BEGIN;
UPDATE video SET size = 101 WHERE video_id = 'v1';
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$,
	expect => :'expected');											-- error
ROLLBACK;
\set VERBOSITY default

--
-- Single rows that would bring an older one back
--
BEGIN;
INSERT INTO video VALUES
	('v1', 150, 'v1', '2024-01-01', '2024-01-02'),
	('v2', 250, 'v1', '2024-01-01', '2024-01-02');
UPDATE video SET metaxy_deleted_at = '2024-01-03' WHERE size = 250;
SAVEPOINT s;
SELECT * FROM metaxy_delete('video', 'size = 150', soft => false,
	with_sample_history => true);									-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('video', 'size = 250', soft => false,
	with_sample_history => true);									-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('video', 'size = 250', soft => false,
	with_sample_history => true, dry_run => true);					-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT feature, samples, "rows"
  FROM metaxy_delete('video', 'size IN (150, 100)', soft => false,
	with_sample_history => true);
ROLLBACK;

--
-- Filters: more of them in tests of their own
--
SELECT * FROM metaxy_delete('video', 'size =');						-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'size > 1; DROP TABLE video');	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'size');						-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'pages = 1');					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'pg_sleep(0) IS NULL');		-- error
\echo :SQLSTATE
-- a good filter of one feature is none of another
SELECT * FROM metaxy_delete('{video/chunk,video}'::text[],
	$${"chunk_id = 'v1/1'"}$$);										-- error
\echo :SQLSTATE
-- the last of several
SELECT * FROM metaxy_delete('{video}'::text[], '{size > 1,size >}');	-- error
\echo :SQLSTATE
-- one that fails on a row
SELECT * FROM metaxy_delete('video', '1 / (size - 300) > 0');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('video', 'video_id::integer > 0',
	cascade => 'downstream', soft => false);						-- error
\echo :SQLSTATE

--
-- Rows dated too far ahead, which got in where the trigger was away: a stamp
-- above them would drag the clock along
--
BEGIN;
ALTER TABLE video DISABLE TRIGGER zzzz_metaxy_stamp;
INSERT INTO video VALUES ('v9', 900, 'v1', '2024-01-01', 'infinity');
SELECT * FROM metaxy_delete('video', $$video_id = 'v9'$$);			-- error
\echo :SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE video DISABLE TRIGGER zzzz_metaxy_stamp;
INSERT INTO video VALUES ('v9', 900, 'v1', '2024-01-01',
	'294276-12-31 23:59:59.999999 UTC');
SELECT * FROM metaxy_delete('video', $$video_id = 'v9'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE video DISABLE TRIGGER zzzz_metaxy_stamp;
INSERT INTO video VALUES ('v1', 900, 'v1', '2024-01-01', '2999-01-01 UTC');
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream', dry_run => true); -- error
\echo :SQLSTATE
ROLLBACK;
-- for good, they go
BEGIN;
ALTER TABLE video DISABLE TRIGGER zzzz_metaxy_stamp;
INSERT INTO video VALUES ('v9', 900, 'v1', '2024-01-01', 'infinity');
SELECT samples, "rows", stamp < '2999-01-01' AS soon
  FROM metaxy_delete('video', $$video_id = 'v9'$$, soft => false);
ROLLBACK;
-- one from a clock that is a little ahead is hidden, and what goes with it by
-- the same stamp
BEGIN;
ALTER TABLE video DISABLE TRIGGER zzzz_metaxy_stamp;
INSERT INTO video VALUES ('v1', 900, 'v1', '2024-01-01', clock_timestamp() + interval '1 minute');
SELECT feature, samples, stamp > (SELECT max(metaxy_updated_at) FROM video) AS above
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream');
SELECT samples FROM metaxy_delete('video', $$video_id = 'v1'$$);
SELECT count(DISTINCT stamp), count(*)
  FROM (SELECT metaxy_deleted_at FROM chunk UNION ALL SELECT metaxy_deleted_at FROM video) AS t (stamp)
 WHERE stamp > now() + interval '30 s';
ROLLBACK;

SELECT state() = :'before' AS unchanged;

--
-- Read-only transactions: dry runs alone
--
BEGIN READ ONLY;
SELECT feature, samples, "rows", stale, deletion_id, stamp
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream',
	dry_run => true);
SAVEPOINT s;
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$);			-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, soft => false); -- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('video', 'false');						-- error
\echo :SQLSTATE
ROLLBACK;

--
-- A table that is gone
--
BEGIN;
DROP TABLE chunk;
SAVEPOINT s;
SELECT * FROM metaxy_delete('video/chunk');							-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('video/chunk', dry_run => true);		-- error
\echo :SQLSTATE
ROLLBACK TO s;
-- a cascade passes it with a warning
SELECT step, feature, relation, samples, "rows", stale
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream');
ROLLBACK;

-- behind the registry's back
ALTER EVENT TRIGGER metaxy_forget_dropped DISABLE;
BEGIN;
DROP TABLE chunk;
SAVEPOINT s;
SELECT * FROM metaxy_delete('video/chunk');							-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('video/chunk', soft => false, all_rows => true); -- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT step, feature, relation, samples, "rows", stale
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream');
ROLLBACK;
ALTER EVENT TRIGGER metaxy_forget_dropped ENABLE;

-- another one of the same name is not the feature's
BEGIN;
DROP TABLE chunk;
CREATE TABLE chunk (LIKE video);
SELECT * FROM metaxy_delete('video/chunk');							-- error
\echo :SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE chunk RENAME TO old_chunk;
CREATE VIEW chunk AS SELECT * FROM old_chunk;
SELECT feature, relation, samples FROM metaxy_delete('video/chunk',
	dry_run => true);
DROP VIEW chunk;
DROP TABLE old_chunk;
CREATE VIEW chunk AS SELECT * FROM note;
SELECT * FROM metaxy_delete('video/chunk');							-- error
\echo :SQLSTATE
ROLLBACK;

--
-- Columns that are gone, renamed or of another type
--
BEGIN;
SAVEPOINT s;
ALTER TABLE chunk RENAME chunk_id TO id;
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video DROP COLUMN video_id;
SELECT * FROM metaxy_delete('video');								-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video RENAME metaxy_deleted_at TO deleted_at;
SELECT * FROM metaxy_delete('video');								-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video DROP COLUMN metaxy_updated_at;
SELECT * FROM metaxy_delete('video', dry_run => true);				-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video DROP COLUMN metaxy_created_at;
SELECT * FROM metaxy_delete('video', soft => false, all_rows => true); -- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video RENAME metaxy_feature_version TO version;
SELECT * FROM metaxy_delete('video', with_feature_history => true);	-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video ALTER metaxy_deleted_at TYPE text;
SELECT * FROM metaxy_delete('video');								-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video ALTER metaxy_updated_at TYPE timestamp;
SELECT * FROM metaxy_delete('video');								-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video ALTER metaxy_deleted_at TYPE timestamptz(3);
SELECT * FROM metaxy_delete('video');								-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video ALTER video_id TYPE json USING to_json(video_id);
SELECT * FROM metaxy_delete('video');								-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE video ALTER metaxy_deleted_at SET DEFAULT now(),
	ALTER metaxy_created_at DROP NOT NULL;
-- nothing that a delete would mind
SELECT feature, samples FROM metaxy_delete('video', dry_run => true);
ROLLBACK;

-- what an edge joins, which is no id column of the child
BEGIN;
SAVEPOINT s;
ALTER TABLE chunk RENAME video_id TO video;
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE chunk DROP COLUMN video_id;
SELECT * FROM metaxy_delete('video/chunk', $$chunk_id = 'v1/1'$$,
	cascade => 'upstream', dry_run => true);						-- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE chunk ALTER video_id TYPE integer USING length(video_id);
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE chunk ALTER video_id TYPE integer USING length(video_id);
SELECT * FROM metaxy_delete('video/chunk', $$chunk_id = 'v1/1'$$,
	cascade => 'both');												-- error
\echo :SQLSTATE
ROLLBACK TO s;
-- a delete of the feature alone has nothing to do with it
SELECT feature, samples FROM metaxy_delete('video/chunk', dry_run => true);
ROLLBACK;

--
-- The registry itself, which only a superuser can get at
--
SELECT 'SELECT metaxy_delete(''video'')' AS single,
	'SELECT metaxy_delete(''video'', cascade => ''downstream'')' AS cascade \gset
BEGIN;
ALTER TABLE metaxy_dependency RENAME TO dependency;
SELECT refused(:'cascade');
SELECT feature, samples FROM metaxy_delete('video', dry_run => true);
ROLLBACK;
BEGIN;
ALTER TABLE metaxy_feature RENAME TO feature;
SELECT refused(:'single'), refused(:'cascade');
ROLLBACK;
BEGIN;
ALTER TABLE metaxy_feature DROP COLUMN id_columns;
SELECT refused(:'single');
ROLLBACK;
BEGIN;
ALTER TABLE metaxy_feature ALTER id_columns DROP NOT NULL;
UPDATE metaxy_feature SET id_columns = NULL WHERE feature = 'video';
SELECT refused(:'single') !~ '^(not|XX)' AS refused;
ROLLBACK;
BEGIN;
ALTER TABLE metaxy_dependency ALTER optional TYPE text;
SELECT refused(:'cascade') ~ '^not' AS followed;	-- it is cast back
ROLLBACK;
BEGIN;
ALTER SEQUENCE metaxy_deletion_id_seq RENAME TO deletion_id_seq;
SELECT refused(:'single');
ROLLBACK;
BEGIN;
ALTER TABLE metaxy_deletion RENAME TO deletion;
SELECT refused(:'single');
ROLLBACK;
BEGIN;
ALTER TABLE metaxy_deletion_step RENAME TO deletion_step;
SELECT refused(:'single');
ROLLBACK;
BEGIN;
ALTER TABLE metaxy_deletion RENAME reason TO why;
SELECT refused(:'single');
ROLLBACK;
-- rows that no function of ours would have written
BEGIN;
SAVEPOINT s;
UPDATE metaxy_feature SET id_columns = '{}' WHERE feature = 'video';	-- error
\echo :SQLSTATE
ROLLBACK TO s;
UPDATE metaxy_feature SET id_columns = '{NULL}' WHERE feature = 'video';
SELECT refused(:'single');
ROLLBACK TO s;
UPDATE metaxy_feature SET relation = 'pg_class' WHERE feature = 'video';
SELECT refused(:'single');
ROLLBACK TO s;
UPDATE metaxy_feature SET relation = 'metaxy_feature_pkey' WHERE feature = 'video';
SELECT left(refused(:'single'), 5) AS refused;
ROLLBACK TO s;
UPDATE metaxy_feature SET relation = 'metaxy_deletions' WHERE feature = 'video';
SELECT refused(:'single');
ROLLBACK TO s;
UPDATE metaxy_feature SET relation = 0 WHERE feature = 'video';
SELECT refused(:'single');
ROLLBACK TO s;
INSERT INTO metaxy_dependency VALUES ('video', 'video/chunk', '1:1', NULL, NULL, false);
SELECT refused(:'cascade');
ROLLBACK TO s;
UPDATE metaxy_dependency SET rename = '[]';
SELECT refused(:'cascade');
ROLLBACK TO s;
UPDATE metaxy_dependency SET on_columns = '{nonesuch}';
SELECT refused(:'cascade');
ROLLBACK TO s;
DELETE FROM metaxy_feature WHERE feature = 'video/chunk';
SELECT refused(:'cascade');
ROLLBACK;

--
-- Foreign keys in a circle: no order satisfies them
--
BEGIN;
CREATE TABLE egg (LIKE video);
CREATE TABLE hen (LIKE video);
ALTER TABLE egg ADD COLUMN hen integer UNIQUE, ADD COLUMN serial serial UNIQUE;
ALTER TABLE hen ADD COLUMN egg integer, ADD COLUMN serial serial UNIQUE;
ALTER TABLE egg DROP CONSTRAINT egg_hen_key;
ALTER TABLE egg ADD FOREIGN KEY (hen) REFERENCES hen (serial);
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg (serial);
SELECT metaxy_register('egg', 'egg', '{video_id}');
SELECT metaxy_register('hen', 'hen', '{video_id}');
SAVEPOINT s;
SELECT * FROM metaxy_delete('{hen,egg}'::text[], soft => false, all_rows => true); -- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('{egg,hen}'::text[], '{true}', soft => false,
	dry_run => true);												-- error
\echo :SQLSTATE
ROLLBACK TO s;
-- which a soft delete does not care for, nor one of them alone
SELECT step, feature, samples FROM metaxy_delete('{egg,hen}'::text[], '{true}');
SELECT step, feature, samples FROM metaxy_delete('hen', soft => false, all_rows => true);
ROLLBACK;

--
-- Foreign tables
--
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE shelf (book text NOT NULL, metaxy_created_at timestamptz NOT NULL,
	metaxy_updated_at timestamptz NOT NULL, metaxy_deleted_at timestamptz)
	SERVER files OPTIONS (format 'csv', program
	'printf "a,2024-01-01,2024-01-01,\nb,2024-01-01,2024-01-01,\nb,2024-01-01,2024-01-01,2024-01-02\nc,2024-01-01,2024-01-01,\nc,2024-01-01,2024-01-05,\n"');
SELECT metaxy_register('shelf', 'shelf', '{book}');
SELECT feature, samples, "rows"
  FROM metaxy_delete('shelf', $$book <> 'a'$$, dry_run => true);
SELECT * FROM metaxy_delete('shelf', $$book = 'a'$$);				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('shelf', $$book = 'a'$$, soft => false); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('shelf', soft => false, all_rows => true); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('shelf', $$book = 'a'$$, soft => false,
	dry_run => true);												-- error
\echo :SQLSTATE
-- it cannot be removed, so nothing is, wherever it stands in the cascade
SELECT metaxy_depend('shelf', 'video', '1:N', '{video_id}', '{"video_id": "book"}');
SELECT * FROM metaxy_delete('video', $$video_id = 'v1'$$, soft => false,
	cascade => 'downstream');										-- error
\echo :SQLSTATE
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('video', $$video_id = 'v1'$$, cascade => 'downstream',
	dry_run => true);
SELECT * FROM metaxy_delete('video', 'true', cascade => 'downstream',
	partial => 'delete', max_samples => 14, dry_run => true);		-- error
\echo :SQLSTATE
SELECT metaxy_unregister('shelf');
DROP FOREIGN TABLE shelf;
DROP EXTENSION file_fdw CASCADE;

SELECT state() = :'before' AS unchanged;

--
-- In a transaction that goes on, an error leaves no lock and no half of a
-- delete, and the next call works
--
BEGIN;
SAVEPOINT s;
SELECT * FROM metaxy_delete('video', '1 / (size - 300) > 0',
	cascade => 'downstream');										-- error
ROLLBACK TO s;
SELECT relation::regclass::text, mode FROM pg_locks
 WHERE pid = pg_backend_pid()
   AND relation IN ('video'::regclass, 'chunk'::regclass)
 ORDER BY 1, 2;
SELECT step, feature, samples FROM metaxy_delete('video', $$video_id = 'v1'$$,
	cascade => 'downstream', soft => false, dry_run => true);
SELECT relation::regclass::text, mode FROM pg_locks
 WHERE pid = pg_backend_pid()
   AND relation IN ('video'::regclass, 'chunk'::regclass)
 ORDER BY 1, 2;
SELECT step, feature, samples FROM metaxy_delete('video', $$video_id = 'v1'$$,
	cascade => 'downstream');
SELECT relation::regclass::text, mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND mode LIKE 'Row%'
   AND relation IN ('video'::regclass, 'chunk'::regclass)
 ORDER BY 1, 2;
ROLLBACK;
-- caught in PL/pgSQL, where an outer connection to SPI goes on
DO $$
DECLARE
	failed integer := 0;
	n bigint;
BEGIN
	FOR i IN 1 .. 200 LOOP
		BEGIN
			PERFORM metaxy_delete('video', format('1 / (size - %s00) > 0', 1 + i % 5),
				cascade => 'both', soft => i % 2 = 0);
		EXCEPTION WHEN division_by_zero THEN
			failed := failed + 1;
		END;
	END LOOP;
	SELECT count(*) INTO n FROM video;
	RAISE WARNING '% failed, % rows', failed, n;
END $$;

SELECT state() = :'before' AS unchanged;

--
-- Called from odd places, it works or says why not
--
CREATE FUNCTION from_stable() RETURNS bigint LANGUAGE sql STABLE
AS $$ SELECT samples FROM metaxy_delete('note', $f$video_id = 'v1'$f$) $$;
SELECT from_stable();
BEGIN;
DECLARE held CURSOR WITH HOLD FOR
	SELECT samples FROM metaxy_delete('note', $$video_id = 'v2'$$);
COMMIT;
FETCH ALL FROM held;
CLOSE held;
PREPARE again (text) AS SELECT samples FROM metaxy_delete('note', $1);
EXECUTE again ($$video_id = 'v3'$$);
ALTER TABLE note ADD COLUMN added integer DEFAULT 3;
EXECUTE again ($$video_id = 'v4' AND added = 3$$);
DEALLOCATE again;
DO $$
BEGIN
	PERFORM metaxy_delete('note', $f$video_id = 'v5'$f$);
	ROLLBACK;
	PERFORM metaxy_delete('note', $f$video_id = 'v5'$f$);
	COMMIT;
END $$;
SELECT video_id, size, added, metaxy_deleted_at IS NOT NULL AS deleted FROM note ORDER BY 1, 4;
-- one call, however often its columns are named
SELECT (d).samples, (d).deletion_id IS NOT NULL AS logged
  FROM (SELECT metaxy_delete('note', 'false') AS d OFFSET 0) AS x;
SELECT count(*) FROM metaxy_deletions WHERE features = '{note}';

SELECT metaxy_unregister('video/chunk'), metaxy_unregister('video'),
	metaxy_unregister('note');
SET client_min_messages = error;
DROP SCHEMA metaxy_delete_errors CASCADE;
