SELECT * FROM metaxy_delete('sample', 'grp = 7');
