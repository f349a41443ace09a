SELECT * FROM metaxy_orphan_counts('lone_child');
SELECT * FROM metaxy_orphan_counts('lone_leaf');
