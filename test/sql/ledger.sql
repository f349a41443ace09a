--
-- The ledger: what metaxy_delete writes down, and who may see it
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE SCHEMA metaxy_ledger;
SET search_path = metaxy_ledger, public;
SET client_min_messages = warning;
SET application_name = 'regress ledger';

CREATE TABLE video (video_id text, name text, metaxy_feature_version text, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz DEFAULT '2024-01-01', metaxy_deleted_at timestamptz);
CREATE TABLE chunk (chunk_id int, video_id text, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz DEFAULT '2024-01-01', metaxy_deleted_at timestamptz);
CREATE TABLE other (id int, metaxy_created_at timestamptz DEFAULT '2024-01-01',
	metaxy_updated_at timestamptz DEFAULT '2024-01-01', metaxy_deleted_at timestamptz);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');
SELECT metaxy_register('video/chunk', 'chunk', '{chunk_id}');
SELECT metaxy_register('other', 'other', '{id}');
SELECT metaxy_depend('video/chunk', 'video', '1:N');
INSERT INTO video SELECT 'v' || i, 'Jane Doe ' || i, 'v1' FROM generate_series(1, 30) AS i;
INSERT INTO chunk SELECT i, 'v' || (1 + i / 2) FROM generate_series(0, 59) AS i;
INSERT INTO other SELECT generate_series(1, 9);

-- Operations of this test alone, by their reason, as they came.
SELECT coalesce(max(id), 0) AS before FROM metaxy_deletions \gset
CREATE VIEW mine AS
SELECT reason, kind, features, filters, soft, cascade, options, application_name, samples, "rows", undone_by
  FROM metaxy_deletions WHERE id > :before ORDER BY id;
CREATE VIEW my_steps AS
SELECT d.reason, s.step, s.feature, s.schema_name, s.relation_name, s.samples, s."rows", s.stale
  FROM metaxy_deletions AS d JOIN metaxy_deletion_steps AS s ON s.deletion_id = d.id WHERE d.id > :before ORDER BY d.id, s.step;

--
-- What is written down
--
SELECT deletion_id AS id, stamp FROM metaxy_delete('video', $$video_id = 'v1'$$, reason => 'plain') \gset
SELECT id = :id AS same_id, stamp = :'stamp' AS same_stamp, role = current_user AS role, session_role = session_user AS session_role,
	transaction_id < pg_current_xact_id() AS transaction
  FROM metaxy_deletions WHERE reason = 'plain';
SELECT feature FROM metaxy_delete('video', $$video_id = 'v2'$$, cascade => 'DownStream', reason => 'down') ORDER BY step;
SELECT feature FROM metaxy_delete('video/chunk', 'chunk_id = 4', cascade => 'upstream', partial => 'delete', reason => 'up') ORDER BY step;
SELECT samples FROM metaxy_delete('{video,video/chunk}'::text[], ARRAY[$$video_id IN ('v4', 'v5')$$, $$video_id <> 'v4'$$],
	soft => false, reason => 'two by two') ORDER BY step;
SELECT samples FROM metaxy_delete('other', reason => 'all');
SELECT samples FROM metaxy_delete('other', all_rows => true, soft => false, with_feature_history => true, reason => 'all of it');
SELECT samples FROM metaxy_delete('video', $$name LIKE '% 6'$$, with_sample_history => true, feature_version => 'v1',
	max_samples => 10, reason => 'options');
SELECT digest FROM metaxy_delete('video', $$video_id = 'v7'$$, dry_run => true, reason => 'dry') \gset
SELECT samples FROM metaxy_delete('video', $$video_id = 'v7'$$, expect => :'digest', reason => 'expected');
SELECT samples FROM metaxy_delete('video', 'false', reason => 'nothing');
SELECT samples FROM metaxy_delete('video', $$name = 'it''s "odd" \ {,} NULL'$$, reason => E'odd: ''"\\{,}\n%s $1');
SELECT samples FROM metaxy_delete('video', 'false');
SELECT samples FROM metaxy_delete('video', 'false', reason => '');
SELECT reason, kind, features, filters, soft, cascade, application_name, samples, "rows", undone_by FROM mine;
SELECT reason, replace(options::text, :'digest', 'DIGEST') AS options FROM mine;
SELECT * FROM my_steps;
-- nothing of a dry run, nor of what failed
\set VERBOSITY sqlstate
SELECT samples FROM metaxy_delete('video', 'video_id', reason => 'failed');									-- error
SELECT samples FROM metaxy_delete('video', 'true', max_samples => 1, reason => 'failed');						-- error
\set VERBOSITY default
SELECT count(*) FROM mine WHERE reason IN ('dry', 'failed');
--
-- Filters may hold personal data
--
SET metaxy.log_filter = off;
SELECT samples FROM metaxy_delete('video', $$name = 'Jane Doe 8'$$, reason => 'secret');
SELECT samples FROM metaxy_delete('{video}'::text[], ARRAY[$$name = 'Jane Doe 9'$$, 'true'], reason => 'secrets');
SELECT samples FROM metaxy_delete('other', reason => 'no filter, no secret');
RESET metaxy.log_filter;
SELECT reason, filters, samples FROM mine WHERE reason LIKE '%secret%';
SELECT count(*) FROM metaxy_deletion AS d WHERE d::text LIKE '%Jane Doe 8%' OR d::text LIKE '%Jane Doe 9%';

--
-- The ledger belongs to the transaction
--
BEGIN;
SELECT samples FROM metaxy_delete('video', $$video_id = 'v10'$$, reason => 'rolled back');
SELECT reason, samples FROM mine WHERE reason = 'rolled back';
ROLLBACK;
SELECT reason, samples FROM mine WHERE reason = 'rolled back';
SELECT count(*) FROM video_deleted WHERE video_id = 'v10';
BEGIN;
SELECT samples FROM metaxy_delete('video', $$video_id = 'v10'$$, reason => 'kept');
SAVEPOINT s;
SELECT samples FROM metaxy_delete('video', $$video_id = 'v11'$$, reason => 'savepoint');
ROLLBACK TO s;
SELECT samples FROM metaxy_delete('video', $$video_id = 'v12'$$, reason => 'kept too');
COMMIT;
SELECT reason, samples FROM mine WHERE reason IN ('kept', 'kept too', 'savepoint');
SELECT count(DISTINCT transaction_id) FROM metaxy_deletions WHERE reason IN ('kept', 'kept too');

--
-- Who did it: the role of the moment, and the one who logged in
--
CREATE ROLE regress_metaxy_clerk;
CREATE ROLE regress_metaxy_auditor;
CREATE ROLE regress_metaxy_stranger;
GRANT USAGE ON SCHEMA metaxy_ledger TO regress_metaxy_clerk, regress_metaxy_auditor, regress_metaxy_stranger;
GRANT SELECT, INSERT ON video, chunk TO regress_metaxy_clerk;
GRANT SELECT ON video TO regress_metaxy_auditor;
GRANT SELECT ON mine, my_steps TO PUBLIC;
SELECT session_user AS login \gset
SET ROLE regress_metaxy_clerk;
SET application_name = '';
SELECT samples FROM metaxy_delete('video', $$video_id = 'v13'$$, reason => 'by the clerk');
SELECT samples FROM metaxy_delete('video', $$video_id = 'v14'$$, cascade => 'downstream', reason => 'by the clerk, both');
RESET ROLE;
SET SESSION AUTHORIZATION regress_metaxy_clerk;
SET application_name = 'clerk''s desk';
SELECT samples FROM metaxy_delete('video', $$video_id = 'v15'$$, reason => 'by the clerk himself');
RESET SESSION AUTHORIZATION;
SELECT reason, role, session_role = :'login' AS logged_in_as_us, session_role = role AS same, application_name
  FROM metaxy_deletions WHERE reason LIKE 'by the clerk%' ORDER BY id;

--
-- Who may see it: those who may SELECT every relation in its steps
--
-- everybody sees what touched nothing that is closed to him
CREATE FUNCTION seen() RETURNS TABLE (seen text, steps bigint) LANGUAGE sql SECURITY INVOKER AS $$
	SELECT string_agg(reason, ', ' ORDER BY id), (SELECT count(*) FROM public.metaxy_deletion_steps AS s
		WHERE s.deletion_id IN (SELECT id FROM public.metaxy_deletions WHERE reason LIKE 'by the clerk%' OR reason IN ('all', 'two by two')))
	  FROM public.metaxy_deletions WHERE reason LIKE 'by the clerk%' OR reason IN ('all', 'two by two')
$$;
SELECT * FROM seen();
SET ROLE regress_metaxy_clerk;
SELECT * FROM seen();
SET ROLE regress_metaxy_auditor;
SELECT * FROM seen();
SELECT s.feature FROM metaxy_deletion_steps AS s WHERE s.relation_name = 'chunk' AND s.schema_name = 'metaxy_ledger';
SET ROLE regress_metaxy_stranger;
SELECT * FROM seen();
-- also not what the rest may tell
SELECT count(*) FROM metaxy_deletions WHERE features && '{video}' OR filters IS NOT NULL AND array_to_string(filters, '') LIKE '%Jane%';
\set VERBOSITY sqlstate
SELECT samples FROM metaxy_delete('video', 'false');			-- error
SELECT samples FROM metaxy_delete('video', 'false', dry_run => true);			-- error
\set VERBOSITY default
RESET ROLE;
-- rights of today decide, not those of then
GRANT SELECT ON chunk, other TO regress_metaxy_auditor;
REVOKE SELECT ON video FROM regress_metaxy_clerk;
SET ROLE regress_metaxy_auditor;
SELECT * FROM seen();
SET ROLE regress_metaxy_clerk;
SELECT * FROM seen();
RESET ROLE;
-- a right on single columns is none on the relation
REVOKE SELECT ON video FROM regress_metaxy_auditor;
GRANT SELECT (video_id) ON video TO regress_metaxy_auditor;
SET ROLE regress_metaxy_auditor;
SELECT * FROM seen();
RESET ROLE;
-- a step without a table closes nothing; what was done to a table that is gone
-- can be seen by nobody else
SELECT metaxy_depend('other', 'video/chunk', rename => '{"chunk_id": "id"}');
DROP TABLE other CASCADE;
SELECT samples FROM metaxy_delete('video', 'false', cascade => 'downstream', reason => 'by the clerk, no table');
GRANT SELECT ON video TO regress_metaxy_auditor;
SET ROLE regress_metaxy_auditor;
SELECT * FROM seen();
SELECT step, feature, relation_name, samples FROM my_steps WHERE reason = 'by the clerk, no table';
RESET ROLE;

-- Nobody writes to it but metaxy_delete.
SET ROLE regress_metaxy_clerk;
\set VERBOSITY sqlstate
DELETE FROM metaxy_deletions;																					-- error
INSERT INTO metaxy_deletions (id) VALUES (0);																	-- error
UPDATE metaxy_deletion_steps SET samples = 0;																	-- error
SELECT count(*) FROM metaxy_deletion;																			-- error
\set VERBOSITY default
RESET ROLE;

SELECT metaxy_unregister(f) FROM unnest('{other,video/chunk,video}'::text[]) AS f;
-- the ledger outlives the registry
SELECT reason, features, samples FROM mine WHERE reason = 'two by two';
DROP SCHEMA metaxy_ledger CASCADE;
DROP ROLE regress_metaxy_clerk, regress_metaxy_auditor, regress_metaxy_stranger;
