WITH l AS (
	SELECT DISTINCT ON (id) up, metaxy_deleted_at
	  FROM lone_child
	 WHERE metaxy_feature_version = 'v1'
	 ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC, ctid DESC
), u AS (
	SELECT DISTINCT ON (id) id, metaxy_deleted_at
	  FROM lone_parent
	 WHERE metaxy_feature_version = 'v1'
	 ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC, ctid DESC
)
SELECT count(*)
  FROM l
 WHERE metaxy_deleted_at IS NULL
   AND NOT EXISTS (SELECT FROM u WHERE u.id = l.up AND u.metaxy_deleted_at IS NULL);
WITH l AS (
	SELECT DISTINCT ON (id) up, metaxy_deleted_at
	  FROM lone_leaf
	 WHERE metaxy_feature_version = 'v1'
	 ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC, ctid DESC
), u AS (
	SELECT DISTINCT ON (id) id, metaxy_deleted_at
	  FROM lone_child
	 WHERE metaxy_feature_version = 'v1'
	 ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC, ctid DESC
)
SELECT count(*)
  FROM l
 WHERE metaxy_deleted_at IS NULL
   AND NOT EXISTS (SELECT FROM u WHERE u.id = l.up AND u.metaxy_deleted_at IS NULL);
