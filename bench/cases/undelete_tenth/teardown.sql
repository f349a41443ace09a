DELETE FROM sample
 WHERE metaxy_deleted_at = (SELECT stamp FROM metaxy_deletions
							 WHERE reason = 'undelete_tenth');
VACUUM sample;
