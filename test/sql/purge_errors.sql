--
-- metaxy_purge: what it refuses
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_metaxy_purger;
CREATE ROLE regress_metaxy_purger;
CREATE SCHEMA metaxy_purge_errors;
GRANT USAGE ON SCHEMA metaxy_purge_errors TO PUBLIC;
SET search_path = metaxy_purge_errors, public;
\set VERBOSITY sqlstate
DO $$ BEGIN PERFORM setval('metaxy_clock', 1); END $$;
CREATE TABLE doc (doc_id text);
SELECT metaxy_register('doc', 'doc', '{doc_id}');
INSERT INTO doc VALUES ('a'), ('b');
SELECT samples FROM metaxy_delete('doc', $$doc_id = 'a'$$);

-- all of these fail
CALL metaxy_purge(NULL, '1 day');
CALL metaxy_purge('doc', NULL);
CALL metaxy_purge('doc', '1 day', history => NULL);
CALL metaxy_purge('doc', '1 day', batch_size => NULL);
CALL metaxy_purge('doc', '1 day', dry_run => NULL);
CALL metaxy_purge('doc', '-1 day');
CALL metaxy_purge('doc', '1 day -25 hours');
CALL metaxy_purge('doc', '1 day', batch_size => 0);
CALL metaxy_purge('nothing', '1 day');
CALL metaxy_purge('nothing', '1 day', dry_run => true);
BEGIN;
CALL metaxy_purge('doc', '0');
ROLLBACK;
CREATE FUNCTION call_purge() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CALL metaxy_purge(''doc'', ''0'')'; END $$;
SELECT call_purge();
SET default_transaction_read_only = on;
CALL metaxy_purge('doc', '0');
RESET default_transaction_read_only;

-- rights
GRANT SELECT ON doc TO regress_metaxy_purger;
SET ROLE regress_metaxy_purger;
CALL metaxy_purge('doc', '0');
RESET ROLE;
REVOKE SELECT ON doc FROM regress_metaxy_purger;
GRANT DELETE ON doc TO regress_metaxy_purger;
SET ROLE regress_metaxy_purger;
CALL metaxy_purge('doc', '0');
CALL metaxy_purge('doc', '0', dry_run => true);
RESET ROLE;
GRANT SELECT ON doc TO regress_metaxy_purger;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
SET ROLE regress_metaxy_purger;
CALL metaxy_purge('doc', '0');
RESET ROLE;
ALTER TABLE doc DISABLE ROW LEVEL SECURITY;

-- rules and foreign tables
CREATE RULE keep AS ON DELETE TO doc DO INSTEAD NOTHING;
CALL metaxy_purge('doc', '0');
DROP RULE keep ON doc;
CREATE FOREIGN DATA WRAPPER metaxy_purge_errors;
CREATE SERVER metaxy_purge_errors FOREIGN DATA WRAPPER metaxy_purge_errors;
CREATE FOREIGN TABLE far (far_id text NOT NULL, metaxy_created_at timestamptz NOT NULL, metaxy_updated_at timestamptz NOT NULL,
	metaxy_deleted_at timestamptz) SERVER metaxy_purge_errors;
SELECT metaxy_register('far', 'far', '{far_id}', views => false);
CALL metaxy_purge('far', '0');
SELECT metaxy_unregister('far');
DROP FOREIGN DATA WRAPPER metaxy_purge_errors CASCADE;

-- nothing of all this was done; now it is
SELECT count(*) FROM doc;
SELECT count(*) FROM metaxy_deletions WHERE kind = 'purge' AND features = '{doc}';
SET ROLE regress_metaxy_purger;
CALL metaxy_purge('doc', '0') \gset
RESET ROLE;
SELECT :purged_samples AS samples, :purged_rows AS rows;
DROP TABLE doc CASCADE;
CALL metaxy_purge('doc', '0');											-- error
SELECT metaxy_unregister('doc');
SET client_min_messages = warning;
DROP SCHEMA metaxy_purge_errors CASCADE;
DROP ROLE regress_metaxy_purger;
