/*
 * What the rows of all data hold besides names and ids.
 */
CREATE FUNCTION bench_payload(i bigint, k integer) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('k', k, 'city', substr(md5((i * k)::text), 1, 12),
						  'amount', i % 1000,
						  'tags', jsonb_build_array('a', 'b', i % 7));
