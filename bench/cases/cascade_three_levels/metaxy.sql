SELECT * FROM metaxy_delete('parent', 'grp = 0', cascade => 'downstream');
