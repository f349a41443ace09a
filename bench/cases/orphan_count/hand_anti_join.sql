SELECT count(*)
  FROM leaf_active AS l
 WHERE NOT EXISTS (SELECT FROM child_active AS c WHERE c.id = l.child_id);
