SELECT count(name)
  FROM (SELECT DISTINCT ON (metaxy_feature_version, id) *
		  FROM sample
		 WHERE metaxy_feature_version = 'v1'
		 ORDER BY metaxy_feature_version DESC, id DESC,
			   coalesce(metaxy_deleted_at, metaxy_updated_at) DESC,
			   (metaxy_deleted_at IS NOT NULL) DESC) AS s
 WHERE metaxy_deleted_at IS NULL;
