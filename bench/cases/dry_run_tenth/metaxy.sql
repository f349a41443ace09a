SELECT * FROM metaxy_delete('sample', 'grp = 7', dry_run => true);
