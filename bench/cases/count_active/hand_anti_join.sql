SELECT count(*)
  FROM sample AS s
 WHERE metaxy_feature_version = 'v1' AND metaxy_deleted_at IS NULL
   AND NOT EXISTS (SELECT FROM sample AS later
					WHERE later.metaxy_feature_version = 'v1' AND later.id = s.id
					  AND (coalesce(later.metaxy_deleted_at, later.metaxy_updated_at), later.ctid)
						  > (coalesce(s.metaxy_deleted_at, s.metaxy_updated_at), s.ctid));
