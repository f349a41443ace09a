SET client_min_messages = warning;
DROP TABLE IF EXISTS purged CASCADE;
CREATE TABLE purged WITH (autovacuum_enabled = off) AS TABLE purge_origin;
SELECT metaxy_register('purged', 'purged', '{id}', 'v1');
VACUUM (ANALYZE, FREEZE) purged;
CHECKPOINT;
