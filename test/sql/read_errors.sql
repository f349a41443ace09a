--
-- metaxy_read: what it refuses
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_metaxy_reader;
CREATE SCHEMA metaxy_read_errors AUTHORIZATION regress_metaxy_reader;
SET search_path = metaxy_read_errors, public;
SET ROLE regress_metaxy_reader;
CREATE TABLE video (video_id text, n int, metaxy_feature_version text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
INSERT INTO video VALUES ('a', 1, 'v1', '2024-01-01', '2024-01-01');
CREATE TABLE plain (LIKE video);
CREATE TABLE stranger (LIKE video);
CREATE TABLE parted (LIKE video) PARTITION BY HASH (n);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY HASH (n);
CREATE TABLE parted_00 PARTITION OF parted_0 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1'), metaxy_register('plain', 'plain', '{video_id}', views => false),
	metaxy_register('parted', 'parted', '{video_id}', 'v1', false);

--
-- Not the row type of a table
--
SELECT * FROM metaxy_read(NULL);									-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(1);										-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read('video'::text);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read('video'::regclass);						-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video[]);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(ROW('a', 1));								-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::record) AS r (a int);				-- error
\echo :SQLSTATE
SELECT metaxy_read(1);												-- error
\echo :SQLSTATE
CREATE TYPE mood AS ENUM ('ok');
SELECT * FROM metaxy_read('ok'::mood);								-- error
\echo :SQLSTATE
CREATE DOMAIN only_v1 AS video CHECK ((VALUE).metaxy_feature_version = 'v1');
SELECT * FROM metaxy_read(NULL::only_v1);							-- error
\echo :SQLSTATE
CREATE TYPE pair AS (video_id text, n int);
SELECT * FROM metaxy_read(NULL::pair);								-- error
\echo :SQLSTATE
SELECT metaxy_read(NULL::pair);										-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video_active);						-- error
\echo :SQLSTATE
CREATE MATERIALIZED VIEW stored AS SELECT * FROM video;
SELECT * FROM metaxy_read(NULL::stored);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::parted_0);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::parted_00);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read();										-- error
\echo :SQLSTATE

--
-- Not registered, or no longer as it was
--
SELECT * FROM metaxy_read(NULL::stranger);							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::pg_class);							-- error
\echo :SQLSTATE
ALTER TABLE plain RENAME video_id TO id;
SELECT * FROM metaxy_read(NULL::plain);								-- error
\echo :SQLSTATE
ALTER TABLE plain RENAME id TO video_id;
ALTER TABLE plain RENAME metaxy_deleted_at TO gone_at;
SELECT * FROM metaxy_read(NULL::plain);								-- error
\echo :SQLSTATE
ALTER TABLE plain RENAME gone_at TO metaxy_deleted_at;
SELECT count(*) FROM metaxy_read(NULL::plain);

--
-- Switches
--
SELECT * FROM metaxy_read(NULL::video, include_soft_deleted => true, only_soft_deleted => true); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, feature_version => 'v1', with_feature_history => true); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::plain, feature_version => 'v1');	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, include_soft_deleted => NULL); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, only_soft_deleted => NULL);	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, with_feature_history => NULL); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, with_sample_history => NULL); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, as_of => clock_timestamp() + interval '1 hour'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, as_of => 'infinity');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, as_of => '-infinity');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, as_of => '294276-12-31');	-- error
\echo :SQLSTATE
-- all together, but for what contradicts
SELECT n FROM metaxy_read(NULL::video, 'n = 1', true, false, true, true, NULL, now());
SELECT n FROM metaxy_read(NULL::plain, with_feature_history => true);

--
-- Filters: as those of metaxy_delete
--
SELECT * FROM metaxy_read(NULL::video, '');							-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, '*');						-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'n = 1) OR (true');			-- error
\echo :SQLSTATE
SELECT n FROM metaxy_read(NULL::video, 'true -- ) AND');
SELECT * FROM metaxy_read(NULL::video, 'true; DROP TABLE video');	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'true LIMIT 1');				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'n');						-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'm = 1');					-- error
\echo :SQLSTATE
-- the position of a constant is known to the check alone
SELECT * FROM metaxy_read(NULL::video, 'n > 0 AND n = ''x''');		-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'later.n = 1');				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'plain.n = 1');				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'n = $1', as_of => now());	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'n = NULL');					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'random() < 0.5');			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'ctid IS NOT NULL');			-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'EXISTS (SELECT FROM plain)'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'count(*) > 1');				-- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'n / 0 = 1');				-- error
\echo :SQLSTATE
SET metaxy.filter_language = 'sql';
SELECT * FROM metaxy_read(NULL::video, 'EXISTS (SELECT FROM later)'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_read(NULL::video, 'n = $1', as_of => now());	-- error
\echo :SQLSTATE
-- a filter that calls us again
SELECT n FROM metaxy_read(NULL::video, 'n IN (SELECT n FROM metaxy_read(NULL::video))');
RESET metaxy.filter_language;

-- what is refused leaves nothing behind
SELECT count(*) FROM metaxy_read(NULL::video);
DO $$
BEGIN
	BEGIN
		PERFORM * FROM metaxy_read(NULL::video, 'n / 0 = 1');
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	ASSERT (SELECT count(*) FROM metaxy_read(NULL::video)) = 1;
END $$;

SELECT metaxy_unregister(f) FROM unnest('{video,plain,parted}'::text[]) AS f;
RESET ROLE;
DROP SCHEMA metaxy_read_errors CASCADE;
DROP ROLE regress_metaxy_reader;
