/*
 * A chain of three features, of :samples tenths, 3 times and 9 times that, with
 * 2 versions each.  A tenth of the parents and of their children is deleted.
 */
SET client_min_messages = warning;
CREATE TABLE lone_parent (
	id text NOT NULL, up text, name text, payload jsonb,
	metaxy_feature_version text NOT NULL,
	metaxy_created_at timestamptz NOT NULL,
	metaxy_updated_at timestamptz NOT NULL,
	metaxy_deleted_at timestamptz) WITH (autovacuum_enabled = off);
CREATE TABLE lone_child (LIKE lone_parent INCLUDING ALL) WITH (autovacuum_enabled = off);
CREATE TABLE lone_leaf (LIKE lone_parent INCLUDING ALL) WITH (autovacuum_enabled = off);

CREATE PROCEDURE lone_fill(relation regclass, n bigint, parents bigint)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('
		INSERT INTO %s
		SELECT ''s-'' || lpad(i::text, 9, ''0''),
			   ''s-'' || lpad(((i * 7919) %% $2 + 1)::text, 9, ''0''),
			   ''name '' || i || '' '' || k, bench_payload(i, k), ''v1'', c,
			   c + k * interval ''30 days''
		  FROM (SELECT i, k, timestamptz ''2024-01-01'' + (i %% 1000) * interval ''1 hour'' AS c
				  FROM generate_series(1, $1) AS i, generate_series(1, 2) AS k) AS s
		 ORDER BY c + k * interval ''30 days''', relation)
		USING n, parents;
END $$;
CALL lone_fill('lone_parent', :samples / 10, 1);
CALL lone_fill('lone_child', 3 * :samples / 10, :samples / 10);
CALL lone_fill('lone_leaf', 9 * :samples / 10, 3 * :samples / 10);
SELECT metaxy_register('lone_parent', 'lone_parent', '{id}', 'v1');
SELECT metaxy_register('lone_child', 'lone_child', '{id}', 'v1');
SELECT metaxy_register('lone_leaf', 'lone_leaf', '{id}', 'v1');
SELECT metaxy_depend('lone_child', 'lone_parent', '1:N', '{id}', '{"id": "up"}');
SELECT metaxy_depend('lone_leaf', 'lone_child', '1:N', '{id}', '{"id": "up"}');
SELECT * FROM metaxy_delete('lone_parent', $$id LIKE '%3'$$);
SELECT * FROM metaxy_delete('lone_child', $$id LIKE '%3'$$);
VACUUM (ANALYZE, FREEZE) lone_parent, lone_child, lone_leaf;
