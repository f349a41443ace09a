INSERT INTO sample (id, grp, name, payload, metaxy_feature_version,
					metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
SELECT id, grp, name, payload, metaxy_feature_version,
	   metaxy_created_at, now(), NULL
  FROM sample AS a
 WHERE metaxy_deleted_at = (SELECT stamp FROM metaxy_deletions
							 WHERE reason = 'undelete_tenth')
   AND NOT EXISTS (SELECT FROM sample AS b
					WHERE b.metaxy_feature_version = a.metaxy_feature_version AND b.id = a.id
					  AND (coalesce(b.metaxy_deleted_at, b.metaxy_updated_at), b.ctid)
						> (coalesce(a.metaxy_deleted_at, a.metaxy_updated_at), a.ctid));
