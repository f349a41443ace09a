/*
 * Removes what graph.sql has planted.
 */
SET session_replication_role = replica;
DELETE FROM metaxy_dependency WHERE feature LIKE 'bench/%';
DELETE FROM metaxy_feature WHERE feature LIKE 'bench/%';
RESET session_replication_role;
VACUUM ANALYZE metaxy_feature, metaxy_dependency;
