--
-- metaxy_delete with the caller's rights, and no more: privileges, row-level
-- security, who may see and write the ledger
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_inserter,
	regress_metaxy_remover, regress_metaxy_stranger, regress_metaxy_bypass;
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_reader;
CREATE ROLE regress_metaxy_inserter;
CREATE ROLE regress_metaxy_remover;
CREATE ROLE regress_metaxy_stranger;
CREATE ROLE regress_metaxy_bypass BYPASSRLS;
CREATE SCHEMA metaxy_rights AUTHORIZATION regress_metaxy_owner;
GRANT USAGE ON SCHEMA metaxy_rights TO PUBLIC;
SET search_path = metaxy_rights, public;

SET ROLE regress_metaxy_owner;
CREATE TABLE doc (doc_id text, author text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
CREATE TABLE page (page_id text, doc_id text, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
SELECT metaxy_register('doc', 'doc', '{doc_id}');
SELECT metaxy_register('page', 'page', '{page_id}');
SELECT metaxy_depend('page', 'doc', '1:N', '{doc_id}');
INSERT INTO doc
SELECT 'd' || i, CASE WHEN i % 2 = 1 THEN 'regress_metaxy_inserter' ELSE 'somebody' END,
	   '2024-01-01', '2024-01-01'
  FROM generate_series(1, 6) AS i;
INSERT INTO page
SELECT doc_id || '/' || j, doc_id, '2024-01-01', '2024-01-01'
  FROM doc, generate_series(1, 2) AS j;
GRANT SELECT ON doc, page TO regress_metaxy_reader, regress_metaxy_inserter,
	regress_metaxy_remover, regress_metaxy_bypass;
GRANT INSERT ON doc TO regress_metaxy_inserter;
GRANT DELETE ON doc TO regress_metaxy_remover;
GRANT INSERT, DELETE ON doc, page TO regress_metaxy_bypass;
RESET ROLE;

CREATE FUNCTION rows(OUT docs bigint, OUT pages bigint, OUT deletions bigint)
LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM doc), (SELECT count(*) FROM page),
		   (SELECT count(*) FROM metaxy_deletions WHERE features && '{doc,page}')
$$;
SELECT * FROM rows();

--
-- Privileges are the server's to check
--
-- nothing at all
SET ROLE regress_metaxy_stranger;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$);					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, soft => false);	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', 'false');							-- error
\echo :SQLSTATE

-- SELECT is enough for a dry run, which says what else is needed
SET ROLE regress_metaxy_reader;
SET client_min_messages = notice;
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true);
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true, soft => false);
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true,
	cascade => 'downstream');
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$);					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, soft => false);	-- error
\echo :SQLSTATE

-- INSERT serves a soft delete of this table, and no more
SET ROLE regress_metaxy_inserter;
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true);
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true,
	cascade => 'downstream');
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, soft => false);	-- error
\echo :SQLSTATE
-- of a cascade, all or nothing: whichever table lacks it
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('page', $$doc_id = 'd1'$$, cascade => 'upstream'); -- error
\echo :SQLSTATE
-- DELETE serves a hard delete
SET ROLE regress_metaxy_remover;
SELECT step, feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true, soft => false);
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$);					-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, soft => false,
	cascade => 'downstream');											-- error
\echo :SQLSTATE
RESET ROLE;
SELECT * FROM rows();
BEGIN;
SET ROLE regress_metaxy_inserter;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$);
SET ROLE regress_metaxy_remover;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd2'$$, soft => false);
RESET ROLE;
SELECT * FROM rows();
ROLLBACK;

-- privileges on columns
BEGIN;
SET ROLE regress_metaxy_owner;
REVOKE INSERT ON doc FROM regress_metaxy_inserter;
GRANT INSERT (doc_id, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
	ON doc TO regress_metaxy_inserter;
SAVEPOINT s;
SET ROLE regress_metaxy_inserter;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true);
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$);					-- error
\echo :SQLSTATE
ROLLBACK TO s;
-- all that a tombstone copies is enough
SET ROLE regress_metaxy_owner;
GRANT INSERT (author) ON doc TO regress_metaxy_inserter;
SET ROLE regress_metaxy_inserter;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true);
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$);
ROLLBACK;
BEGIN;
SET ROLE regress_metaxy_owner;
REVOKE SELECT ON doc FROM regress_metaxy_inserter;
GRANT SELECT (doc_id, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
	ON doc TO regress_metaxy_inserter;
SET ROLE regress_metaxy_inserter;
SAVEPOINT s;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$);	-- error
\echo :SQLSTATE
ROLLBACK TO s;
-- a filter cannot find out what the caller may not read
SELECT samples FROM metaxy_delete('doc', $$author = 'somebody'$$, soft => false,
	dry_run => true);													-- error
\echo :SQLSTATE
ROLLBACK;

-- the schema's USAGE
\set VERBOSITY sqlstate
BEGIN;
REVOKE USAGE ON SCHEMA metaxy_rights FROM PUBLIC;
SET ROLE regress_metaxy_inserter;
SAVEPOINT s;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$);					-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, dry_run => true);	-- error
\echo :SQLSTATE
ROLLBACK;
\set VERBOSITY default

--
-- Row-level security: what it hides must not make a delete partial
--
SET client_min_messages = warning;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON doc USING (author = current_user);
SET ROLE regress_metaxy_inserter;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, cascade => 'upstream'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('page', $$doc_id = 'd1'$$, cascade => 'both'); -- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, soft => false);	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', soft => false, all_rows => true);	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, soft => false,
	with_sample_history => true);										-- error
\echo :SQLSTATE
-- the dry run does not show a partial one either
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, cascade => 'downstream',
	dry_run => true);													-- error
\echo :SQLSTATE
SET row_security = off;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, soft => false);	-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$);					-- error
\echo :SQLSTATE
RESET row_security;
-- a soft delete of one feature sees what the caller sees
BEGIN;
SELECT count(*) AS visible FROM doc_active;
SELECT samples, "rows" FROM metaxy_delete('doc');
SELECT count(*) AS visible FROM doc_active;
RESET ROLE;
SELECT doc_id FROM doc_active ORDER BY doc_id;
ROLLBACK;
BEGIN;
SET ROLE regress_metaxy_inserter;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd2'$$);
ROLLBACK;
-- a reader without a policy of his own sees nothing
BEGIN;
SET ROLE regress_metaxy_reader;
SELECT samples, "rows" FROM metaxy_delete('doc', dry_run => true);
ROLLBACK;
-- rows that may be read and not written: the server's own error
RESET ROLE;
BEGIN;
DROP POLICY mine ON doc;
CREATE POLICY everything ON doc FOR SELECT USING (true);
SET ROLE regress_metaxy_inserter;
SAVEPOINT s;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$);	-- error
\echo :SQLSTATE
ROLLBACK TO s;
RESET ROLE;
CREATE POLICY live ON doc FOR INSERT WITH CHECK (metaxy_deleted_at IS NULL);
SET ROLE regress_metaxy_inserter;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$);	-- error
\echo :SQLSTATE
ROLLBACK;

-- owners, members of them, and who bypasses policies
BEGIN;
SET ROLE regress_metaxy_owner;
SELECT feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd2'$$, cascade => 'downstream');
SELECT feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd4'$$, soft => false);
SET ROLE regress_metaxy_bypass;
SELECT feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd6'$$, cascade => 'downstream', soft => false);
RESET ROLE;
GRANT regress_metaxy_owner TO regress_metaxy_stranger;
SET ROLE regress_metaxy_stranger;
SELECT feature, samples, "rows"
  FROM metaxy_delete('doc', 'true', cascade => 'downstream', soft => false);
ROLLBACK;
-- FORCE makes the owner one of many, and leaves the others as they were
RESET ROLE;
BEGIN;
ALTER TABLE doc FORCE ROW LEVEL SECURITY;
SET ROLE regress_metaxy_owner;
SAVEPOINT s;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd2'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd2'$$, soft => false);	-- error
\echo :SQLSTATE
ROLLBACK TO s;
SELECT samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd2'$$);
SET ROLE regress_metaxy_bypass;
SELECT feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd6'$$, cascade => 'downstream', soft => false);
RESET ROLE;
SELECT feature, samples, "rows"
  FROM metaxy_delete('doc', $$doc_id = 'd4'$$, cascade => 'downstream', soft => false);
ROLLBACK;

-- policies of another table in the plan
RESET ROLE;
BEGIN;
ALTER TABLE doc DISABLE ROW LEVEL SECURITY;
ALTER TABLE page ENABLE ROW LEVEL SECURITY;
GRANT INSERT ON page TO regress_metaxy_inserter;
SET ROLE regress_metaxy_inserter;
SAVEPOINT s;
SELECT * FROM metaxy_delete('doc', $$doc_id = 'd1'$$, cascade => 'downstream'); -- error
\echo :SQLSTATE
ROLLBACK TO s;
-- and one that takes no part
SELECT feature, samples, "rows" FROM metaxy_delete('doc', $$doc_id = 'd1'$$);
ROLLBACK;
RESET ROLE;
ALTER TABLE doc DISABLE ROW LEVEL SECURITY;
DROP POLICY mine ON doc;
SELECT * FROM rows();

--
-- Everything runs as the caller
--
CREATE FUNCTION whoami() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';
SET ROLE regress_metaxy_inserter;
SET metaxy.filter_language = sql;
SELECT samples FROM metaxy_delete('doc', $$whoami() = 'regress_metaxy_inserter'$$,
	dry_run => true);
-- a subquery reads what the caller may read
SELECT samples FROM metaxy_delete('doc', $$doc_id IN (SELECT doc_id FROM page)$$,
	dry_run => true);
SELECT samples FROM metaxy_delete('doc', $$doc_id IN (SELECT reason FROM metaxy_deletion)$$,
	dry_run => true);													-- error
\echo :SQLSTATE
RESET ROLE;
CREATE TABLE secret (doc_id text);
SET ROLE regress_metaxy_inserter;
SELECT samples FROM metaxy_delete('doc', $$doc_id IN (SELECT doc_id FROM secret)$$,
	dry_run => true);													-- error
\echo :SQLSTATE
-- an outer plan does not outlive a change of role
RESET ROLE;
PREPARE dry AS
	SELECT samples FROM metaxy_delete('doc', $$doc_id IN (SELECT doc_id FROM secret)$$,
		dry_run => true);
EXECUTE dry;
SET ROLE regress_metaxy_inserter;
EXECUTE dry;															-- error
\echo :SQLSTATE
RESET ROLE;
DEALLOCATE dry;
RESET metaxy.filter_language;

-- no plan outlives a policy or a search_path either
CREATE SCHEMA metaxy_rights_other;
GRANT USAGE ON SCHEMA metaxy_rights_other TO PUBLIC;
CREATE FUNCTION metaxy_rights_other.whoami() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'nobody' $$;
SET metaxy.filter_language = sql;
SET ROLE regress_metaxy_inserter;
PREPARE dry AS
	SELECT samples FROM metaxy_delete('doc', $$whoami() = current_user$$, dry_run => true);
EXECUTE dry;
SET search_path = metaxy_rights_other, metaxy_rights, public;
EXECUTE dry;
SET search_path = metaxy_rights, public;
EXECUTE dry;
RESET ROLE;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON doc USING (author = current_user);
SET ROLE regress_metaxy_inserter;
EXECUTE dry;
RESET ROLE;
DROP POLICY mine ON doc;
ALTER TABLE doc DISABLE ROW LEVEL SECURITY;
SET ROLE regress_metaxy_inserter;
EXECUTE dry;
RESET ROLE;
DEALLOCATE dry;
RESET metaxy.filter_language;
DROP SCHEMA metaxy_rights_other CASCADE;

-- the ledger is written as its owner, and an error there leaves the caller
-- who he was
BEGIN;
ALTER TABLE metaxy_deletion_step RENAME TO deletion_step;
SET LOCAL ROLE regress_metaxy_inserter;
DO $$
BEGIN
	PERFORM metaxy_delete('doc', $f$doc_id = 'd1'$f$);
EXCEPTION WHEN undefined_table THEN
	RAISE WARNING '% %', SQLSTATE, current_user;
END $$;
SELECT current_user;
SELECT count(*) FROM metaxy_deletion;									-- error
\echo :SQLSTATE
ROLLBACK;

-- a wrapper that runs as its owner lends his rights, and the ledger knows both
CREATE FUNCTION forget_doc(id text) RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = metaxy_rights, public, pg_temp
AS $$
	SELECT sum(samples)::bigint
	  FROM metaxy_delete('doc', format('doc_id = %L', id), cascade => 'downstream',
		reason => 'wrapped')
$$;
ALTER FUNCTION forget_doc(text) OWNER TO regress_metaxy_owner;
SET SESSION AUTHORIZATION regress_metaxy_stranger;
SELECT forget_doc('d3');
SELECT forget_doc($$' OR true --$$);
RESET SESSION AUTHORIZATION;
SELECT role, session_role, filters, samples, "rows"
  FROM metaxy_deletions WHERE reason = 'wrapped' ORDER BY id;

--
-- The registry and the ledger belong to the extension's owner alone
--
SET ROLE regress_metaxy_owner;
UPDATE metaxy_feature SET id_columns = '{author}';						-- error
\echo :SQLSTATE
INSERT INTO metaxy_dependency VALUES ('doc', 'page', '1:1', NULL, NULL, false); -- error
\echo :SQLSTATE
DELETE FROM metaxy_feature_version_log;									-- error
\echo :SQLSTATE
SELECT * FROM metaxy_deletion;											-- error
\echo :SQLSTATE
SELECT * FROM metaxy_deletion_step;										-- error
\echo :SQLSTATE
INSERT INTO metaxy_deletion_step VALUES (1, 1, 'doc', NULL, NULL, 0, 0, 0); -- error
\echo :SQLSTATE
UPDATE metaxy_deletions SET role = 'nobody';							-- error
\echo :SQLSTATE
SELECT nextval('metaxy_deletion_id_seq');								-- error
\echo :SQLSTATE
SELECT setval('metaxy_deletion_id_seq', 1);								-- error
\echo :SQLSTATE
SELECT last_value FROM metaxy_deletion_id_seq;							-- error
\echo :SQLSTATE
BEGIN;
LOCK metaxy_feature IN SHARE MODE;										-- error
\echo :SQLSTATE
ROLLBACK;
CREATE TRIGGER spy AFTER INSERT ON metaxy_deletion
	FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();	-- error
\echo :SQLSTATE
ALTER EVENT TRIGGER metaxy_forget_dropped DISABLE;						-- error
\echo :SQLSTATE

-- the ledger shows an operation to who may read all its tables
SELECT samples, "rows" FROM metaxy_delete('page', $$page_id = 'd5/1'$$, reason => 'page only');
REVOKE SELECT ON doc FROM regress_metaxy_reader;
SET ROLE regress_metaxy_reader;
SELECT reason, features FROM metaxy_deletions ORDER BY id;
SELECT feature, relation_name, samples FROM metaxy_deletion_steps ORDER BY deletion_id, step;
SET ROLE regress_metaxy_bypass;
SELECT reason, features FROM metaxy_deletions ORDER BY id;
SET ROLE regress_metaxy_stranger;
SELECT count(*) FROM metaxy_deletions;
SELECT count(*) FROM metaxy_deletion_steps;
-- also to who may not even look into the schema
RESET ROLE;
REVOKE USAGE ON SCHEMA metaxy_rights FROM PUBLIC;
SET ROLE regress_metaxy_stranger;
SELECT count(*) FROM public.metaxy_deletions;
SELECT count(*) FROM public.metaxy_deletion_steps;
-- a function in a condition sees no row that the view hides
CREATE FUNCTION pg_temp.peek(bigint, text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	RAISE WARNING 'peeked at %', $2;
	RETURN true;
END $$;
SELECT count(*) FROM public.metaxy_deletions WHERE pg_temp.peek(id, reason);
DROP FUNCTION pg_temp.peek(bigint, text);
RESET ROLE;
GRANT USAGE ON SCHEMA metaxy_rights TO PUBLIC;

--
-- Registered by one role, deleted by another: the key's owner has no say in
-- it, the table's privileges have
--
ALTER TABLE doc OWNER TO regress_metaxy_bypass;
SET ROLE regress_metaxy_owner;
SELECT samples FROM metaxy_delete('doc', dry_run => true);				-- error
\echo :SQLSTATE
RESET ROLE;
ALTER TABLE doc OWNER TO regress_metaxy_owner;

SELECT metaxy_unregister('page'), metaxy_unregister('doc');
SET client_min_messages = error;
DROP SCHEMA metaxy_rights CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_reader, regress_metaxy_inserter,
	regress_metaxy_remover, regress_metaxy_stranger, regress_metaxy_bypass;
