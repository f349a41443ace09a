SELECT count(*)
  FROM lone_child_active AS l
 WHERE NOT EXISTS (SELECT FROM lone_parent_active AS u WHERE u.id = l.up);
SELECT count(*)
  FROM lone_leaf_active AS l
 WHERE NOT EXISTS (SELECT FROM lone_child_active AS u WHERE u.id = l.up);
