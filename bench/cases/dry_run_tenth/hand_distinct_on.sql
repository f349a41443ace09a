SELECT count(*)
  FROM (SELECT DISTINCT ON (id) *
		  FROM sample
		 WHERE metaxy_feature_version = 'v1'
		 ORDER BY id, coalesce(metaxy_deleted_at, metaxy_updated_at) DESC,
				  ctid DESC) AS latest
 WHERE metaxy_deleted_at IS NULL AND grp = 7;
