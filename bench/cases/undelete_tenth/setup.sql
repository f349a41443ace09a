SELECT * FROM metaxy_delete('sample', 'grp = 7', reason => 'undelete_tenth');
VACUUM ANALYZE sample;
