CALL metaxy_purge('purged', '90 days');
