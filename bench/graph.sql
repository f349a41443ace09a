/*
 * :features features with five dependencies each, on random ones before them.
 * They have no tables.  graph_away.sql removes them.
 */
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET session_replication_role = replica;	-- no foreign keys are checked
SELECT setseed(0.5) \g /dev/null
INSERT INTO metaxy_feature (feature, id_columns, owner, views, indexes)
SELECT 'bench/' || md5(i::text), '{id}', current_user::regrole, false, false
  FROM generate_series(1, :features) AS i;
INSERT INTO metaxy_dependency
SELECT 'bench/' || md5(i::text), 'bench/' || md5((1 + floor(random() * (i - 1)))::text),
	   '1:1', NULL, NULL, false
  FROM generate_series(2, :features) AS i, generate_series(1, 5)
ON CONFLICT DO NOTHING;
RESET session_replication_role;
VACUUM ANALYZE metaxy_feature, metaxy_dependency;
