/*
 * :samples rows of samples that have been deleted for long, four of each, and
 * three quarters as many of samples that are there or have been deleted lately.
 */
CREATE TABLE purge_origin AS
SELECT 'id-' || lpad(i::text, 9, '0') AS id, 'name of ' || i || ' rev ' || k AS name,
	   bench_payload(i, k) AS payload, 'v1' AS metaxy_feature_version,
	   c AS metaxy_created_at,
	   c + least(k, 3) * interval '30 days' AS metaxy_updated_at,
	   CASE WHEN k = 4 THEN c + interval '120 days'
			WHEN k = 3 AND i % 100 = 1 THEN now() - interval '1 day'
			END AS metaxy_deleted_at
  FROM (SELECT i, k, timestamptz '2024-01-01' + (i % 1000) * interval '1 hour' AS c
		  FROM generate_series(1, :samples / 2) AS i, generate_series(1, 4) AS k) AS s
 WHERE k < 4 OR i % 2 = 0
 ORDER BY c + k * interval '30 days';
