SELECT * FROM metaxy_orphan_counts('leaf');
