/* as hand_batches, with the memory that maintenance may take */
SET work_mem = '64MB';
DO $$
DECLARE
	batches bigint;
BEGIN
	CREATE TEMP TABLE doomed AS
	SELECT row_number() OVER () * 4 / 10000 AS batch, id
	  FROM purged
	 GROUP BY id
	HAVING max(metaxy_deleted_at) >= coalesce(max(metaxy_updated_at) FILTER (WHERE metaxy_deleted_at IS NULL), '-infinity')
	   AND max(metaxy_deleted_at) < now() - interval '90 days';
	CREATE INDEX ON doomed (batch);
	ANALYZE doomed;
	SELECT max(batch) FROM doomed INTO batches;
	COMMIT;
	FOR i IN 0 .. batches LOOP
		DELETE FROM purged AS p USING doomed AS d
		 WHERE d.batch = i AND p.id = d.id AND p.metaxy_feature_version = 'v1';
		COMMIT;
	END LOOP;
	DROP TABLE doomed;
END $$;
