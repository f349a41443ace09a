DO $$
BEGIN
	FOR i IN 1 .. 200 LOOP
		EXECUTE format('
			INSERT INTO sample (id, grp, name, payload, metaxy_feature_version,
								metaxy_created_at, metaxy_updated_at, metaxy_deleted_at)
			SELECT id, grp, name, payload, metaxy_feature_version,
				   metaxy_created_at, metaxy_updated_at, now()
			  FROM sample AS a
			 WHERE metaxy_feature_version = ''v1'' AND metaxy_deleted_at IS NULL AND id = %L
			   AND NOT EXISTS (SELECT FROM sample AS b
								WHERE b.metaxy_feature_version = ''v1'' AND b.id = a.id
								  AND (coalesce(b.metaxy_deleted_at, b.metaxy_updated_at), b.ctid)
									> (coalesce(a.metaxy_deleted_at, a.metaxy_updated_at), a.ctid))',
			'id-' || lpad((i * 37)::text, 9, '0'));
	END LOOP;
END $$;
