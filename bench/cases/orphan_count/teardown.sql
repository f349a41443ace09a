DELETE FROM child
 WHERE metaxy_deleted_at = (SELECT stamp FROM metaxy_deletions
							 WHERE reason = 'orphan_count');
VACUUM child;
