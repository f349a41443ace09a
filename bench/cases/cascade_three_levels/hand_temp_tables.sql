CREATE TEMP TABLE doomed_parent ON COMMIT DROP AS
SELECT a.*
  FROM parent AS a
 WHERE metaxy_feature_version = 'v1' AND metaxy_deleted_at IS NULL AND grp = 0
   AND NOT EXISTS (SELECT FROM parent AS b
					WHERE b.metaxy_feature_version = 'v1' AND b.id = a.id
					  AND (coalesce(b.metaxy_deleted_at, b.metaxy_updated_at), b.ctid)
						> (coalesce(a.metaxy_deleted_at, a.metaxy_updated_at), a.ctid));
ANALYZE doomed_parent;

CREATE TEMP TABLE doomed_child ON COMMIT DROP AS
SELECT a.*
  FROM child AS a
 WHERE metaxy_feature_version = 'v1' AND metaxy_deleted_at IS NULL AND parent_id IN (SELECT id FROM doomed_parent)
   AND NOT EXISTS (SELECT FROM child AS b
					WHERE b.metaxy_feature_version = 'v1' AND b.id = a.id
					  AND (coalesce(b.metaxy_deleted_at, b.metaxy_updated_at), b.ctid)
						> (coalesce(a.metaxy_deleted_at, a.metaxy_updated_at), a.ctid));
ANALYZE doomed_child;

CREATE TEMP TABLE doomed_leaf ON COMMIT DROP AS
SELECT a.*
  FROM leaf AS a
 WHERE metaxy_feature_version = 'v1' AND metaxy_deleted_at IS NULL AND child_id IN (SELECT id FROM doomed_child)
   AND NOT EXISTS (SELECT FROM leaf AS b
					WHERE b.metaxy_feature_version = 'v1' AND b.id = a.id
					  AND (coalesce(b.metaxy_deleted_at, b.metaxy_updated_at), b.ctid)
						> (coalesce(a.metaxy_deleted_at, a.metaxy_updated_at), a.ctid));
ANALYZE doomed_leaf;

INSERT INTO leaf (id, name, payload, child_id, metaxy_feature_version,
	metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
SELECT id, name, payload, child_id, metaxy_feature_version,
	   metaxy_created_at, metaxy_updated_at, now()
  FROM doomed_leaf;
INSERT INTO child (id, name, payload, parent_id, metaxy_feature_version,
	metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
SELECT id, name, payload, parent_id, metaxy_feature_version,
	   metaxy_created_at, metaxy_updated_at, now()
  FROM doomed_child;
INSERT INTO parent (id, grp, name, payload, metaxy_feature_version,
	metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
SELECT id, grp, name, payload, metaxy_feature_version,
	   metaxy_created_at, metaxy_updated_at, now()
  FROM doomed_parent;
