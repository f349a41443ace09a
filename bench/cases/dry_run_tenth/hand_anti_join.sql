SELECT count(*)
  FROM sample AS a
 WHERE metaxy_feature_version = 'v1' AND metaxy_deleted_at IS NULL AND grp = 7
   AND NOT EXISTS (SELECT FROM sample AS b
					WHERE b.metaxy_feature_version = 'v1' AND b.id = a.id
					  AND (coalesce(b.metaxy_deleted_at, b.metaxy_updated_at), b.ctid)
						> (coalesce(a.metaxy_deleted_at, a.metaxy_updated_at), a.ctid));
