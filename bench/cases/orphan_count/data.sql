SELECT * FROM metaxy_delete('child', $$id LIKE '%3'$$, reason => 'orphan_count');
VACUUM ANALYZE child;
