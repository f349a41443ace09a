SELECT * FROM metaxy_undelete((SELECT id FROM metaxy_deletions
								WHERE reason = 'undelete_tenth'));
