/*
 * What the rows of all data hold besides names and ids.
 */
CREATE FUNCTION bench_payload(i bigint, k integer) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('k', k, 'city', substr(md5((i * k)::text), 1, 12),
						  'amount', i % 1000,
						  'tags', jsonb_build_array('a', 'b', i % 7));

/*
 * The most memory that this session has ever had, in kB.  It grows by what a
 * query allocates; shared memory counts from the start, used or not.
 */
CREATE FUNCTION bench_peak() RETURNS bigint
LANGUAGE sql VOLATILE
RETURN substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s*(\d+)')::bigint;
