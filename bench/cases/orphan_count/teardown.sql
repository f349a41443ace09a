SELECT metaxy_unregister('lone_leaf');
SELECT metaxy_unregister('lone_child');
SELECT metaxy_unregister('lone_parent');
DROP TABLE lone_leaf, lone_child, lone_parent CASCADE;
DROP PROCEDURE lone_fill;
