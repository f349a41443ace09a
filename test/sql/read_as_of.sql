--
-- metaxy_read: every combination of its switches, now and as of many instants,
-- against a reference in plain SQL, and against a replay: the rows that came
-- later are removed, and it is read without as_of
--
CREATE SCHEMA metaxy_as_of;
SET search_path = metaxy_as_of, public;
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET jit = off;
SELECT setseed(0.5);

CREATE FUNCTION any_of(anyarray) RETURNS anyelement LANGUAGE sql VOLATILE AS
	'SELECT $1[1 + floor(random() * cardinality($1))::int]';

-- Rows of few samples, versions and days, so that there are ties of all kinds;
-- a tombstone may have been written at any time.
CREATE TABLE versioned (gone int, a int, x int, b text, n int, metaxy_feature_version text,
	metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
ALTER TABLE versioned DROP COLUMN gone;
INSERT INTO versioned
SELECT any_of(ARRAY[1, 2, 3]), any_of(ARRAY[1, 2, NULL]), any_of(ARRAY['p', 'q']), n, any_of(ARRAY['v1', 'v2', 'v2', 'v3']),
	'2024-01-01', '2024-01-01'::timestamptz + any_of(ARRAY[1, 2, 3, 4, 5, 6]) * interval '1 day',
	CASE WHEN random() < 0.3 THEN '2024-01-01'::timestamptz + any_of(ARRAY[1, 2, 3, 4, 5, 6, 7]) * interval '1 day' END
  FROM generate_series(1, 90) AS n;
CREATE TABLE single (LIKE versioned);
INSERT INTO single SELECT * FROM versioned ORDER BY random();
CREATE TABLE parted (LIKE versioned) PARTITION BY HASH (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE parted_0 (metaxy_deleted_at timestamptz, gone int, n int, x int, b text, a int, metaxy_feature_version text,
	metaxy_created_at timestamptz, metaxy_updated_at timestamptz);
ALTER TABLE parted_0 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
INSERT INTO parted SELECT * FROM versioned ORDER BY random();

-- a foreign table, where nothing but recency and kind can tell rows apart
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
DO $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE far (a int NOT NULL, x int, b text NOT NULL, n int, metaxy_feature_version text NOT NULL,
			metaxy_created_at timestamptz NOT NULL, metaxy_updated_at timestamptz NOT NULL, metaxy_deleted_at timestamptz)
		SERVER files OPTIONS (format ''csv'', program %L)',
		(SELECT format('printf ''%%s'' ''%s''', string_agg(replace(trim(v::text, '()'), '"', ''), E'\n'))
		 FROM (SELECT DISTINCT ON (a, b, coalesce(metaxy_deleted_at, metaxy_updated_at), metaxy_deleted_at IS NULL) *
			FROM versioned ORDER BY 1, 3, coalesce(metaxy_deleted_at, metaxy_updated_at),
				metaxy_deleted_at IS NULL, n) AS v));
END $$;

SELECT metaxy_register('versioned', 'versioned', '{a,b}', 'v2'),
	metaxy_register('single', 'single', '{a}', views => false),
	metaxy_register('parted', 'parted', '{b,a}', 'v2', views => false),
	metaxy_register('far', 'far', '{a,b}', 'v2', views => false);
CREATE TABLE store (tab regclass, ids text, version text);
INSERT INTO store VALUES ('versioned', 'a, b', 'v2'), ('single', 'a', NULL), ('parted', 'a, b', 'v2'), ('far', 'a, b', 'v2');

-- Every combination, as arguments, and what they mean.
CREATE TABLE combination AS
SELECT row_number() OVER () AS id, concat_ws(', ', kind, scope, history, filter) AS arguments,
	coalesce(kind, '') AS kind, coalesce(scope, '') AS scope, history IS NOT NULL AS history, filter IS NOT NULL AS filtered
  FROM unnest('{NULL,include_soft_deleted => true,only_soft_deleted => true}'::text[]) AS kind,
	unnest('{NULL,with_feature_history => true,feature_version => $2,feature_version => $3}'::text[]) AS scope,
	unnest('{NULL,with_sample_history => true}'::text[]) AS history,
	unnest('{NULL,filter => $4}'::text[]) AS filter;
CREATE FUNCTION combinations(s store) RETURNS SETOF combination STABLE LANGUAGE sql AS $$
	SELECT * FROM combination WHERE s.version IS NOT NULL OR scope NOT LIKE 'feature_version%'
$$;

-- the rows, as a text, that a call returns, or that the reference says
CREATE FUNCTION answer(s store, c combination, instant timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT string_agg(r::text, '' '' ORDER BY r::text) FROM metaxy_read(%s) AS r',
		concat_ws(', ', 'NULL::' || s.tab, nullif(c.arguments, ''), 'as_of => $1'))
	  INTO result USING instant, 'v1', 'v9', 'x = 1 OR n % 3 = 0';
	RETURN coalesce(result, 'nothing');
END $$;
CREATE FUNCTION reference(s store, c combination, instant timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('
		WITH known AS (
			SELECT *, tableoid AS toid, ctid AS place, coalesce(metaxy_deleted_at, metaxy_updated_at) AS recency FROM %s
		), past AS (
			SELECT * FROM known WHERE NOT recency > $1 AND metaxy_feature_version IN (%s)
		), newest AS (
			SELECT DISTINCT ON (%s) * FROM past
			 ORDER BY %3$s, recency DESC, metaxy_deleted_at IS NULL, toid DESC, place DESC
		)
		SELECT string_agg(r, '' '' ORDER BY r)
		  FROM %s, CAST(ROW(a, x, b, n, metaxy_feature_version, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at) AS text) AS r
		 WHERE %s AND %s',
		s.tab,
		CASE WHEN c.scope LIKE '%$2' THEN '''v1''' WHEN c.scope LIKE '%$3' THEN '''v9'''
			WHEN c.scope <> '' OR s.version IS NULL THEN '''v1'', ''v2'', ''v3''' ELSE quote_literal(s.version) END,
		s.ids,
		CASE WHEN c.history THEN 'past' ELSE 'newest' END,
		CASE WHEN c.kind = '' THEN 'metaxy_deleted_at IS NULL'
			WHEN c.kind LIKE 'only%' THEN 'metaxy_deleted_at IS NOT NULL' ELSE 'true' END,
		CASE WHEN c.filtered THEN '(x = 1 OR n % 3 = 0)' ELSE 'true' END)
	  INTO result USING coalesce(instant, 'infinity');
	RETURN coalesce(result, 'nothing');
END $$;

-- what the calls returned at a time, found by removing all that came later
CREATE TABLE replayed (tab regclass, instant timestamptz, id bigint, rows text);
CREATE PROCEDURE replay(s store, t timestamptz) LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
BEGIN
	EXECUTE format('DELETE FROM %s WHERE coalesce(metaxy_deleted_at, metaxy_updated_at) > $1', s.tab) USING t;
	result := (SELECT jsonb_object_agg(c.id, answer(s, c, NULL)) FROM combinations(s) AS c);
	RAISE EXCEPTION USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	INSERT INTO replayed SELECT s.tab, t, key::bigint, value FROM jsonb_each_text(result);
END $$;

CREATE TABLE instant AS
SELECT '2024-01-01'::timestamptz + d * interval '1 day' AS t FROM generate_series(0, 8) AS d
UNION ALL VALUES ('2024-01-04 23:59:59.999999'::timestamptz), ('2024-01-05 00:00:00.000001'), ('1000-01-01'), (now());

DO $$
DECLARE
	s store;
	t timestamptz;
BEGIN
	FOR s IN SELECT * FROM store WHERE tab <> 'far'::regclass LOOP
		FOR t IN SELECT * FROM instant LOOP
			CALL replay(s, t);
		END LOOP;
	END LOOP;
END $$;

-- now
CREATE TABLE compared AS
SELECT s.tab, c.id, NULL::timestamptz AS t, answer(s, c, NULL) AS found, reference(s, c, NULL) AS wanted, NULL AS replayed
  FROM store AS s, combinations(s) AS c;
SELECT tab, count(*), count(*) FILTER (WHERE found <> wanted) AS wrong, count(DISTINCT found) > 8 AS various
  FROM compared GROUP BY tab ORDER BY tab::text COLLATE "C";
-- and then
INSERT INTO compared
SELECT s.tab, c.id, i.t, answer(s, c, i.t), reference(s, c, i.t), r.rows
  FROM store AS s CROSS JOIN LATERAL combinations(s) AS c CROSS JOIN instant AS i
  LEFT JOIN replayed AS r ON r.tab = s.tab AND r.id = c.id AND r.instant = i.t;
SELECT tab, count(*), count(*) FILTER (WHERE found <> wanted) AS wrong, count(replayed) AS replayed,
	count(*) FILTER (WHERE found <> replayed) AS wrong, count(DISTINCT found) > 50 AS various
  FROM compared WHERE t IS NOT NULL GROUP BY tab ORDER BY tab::text COLLATE "C";
SELECT DISTINCT ON (tab) tab, t, arguments, found, wanted, replayed FROM compared JOIN combination USING (id)
 WHERE found <> wanted OR found <> replayed ORDER BY tab, length(found) + length(wanted);
-- the views are what the calls without switches return
SELECT (SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM versioned_active AS v) =
	(SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM metaxy_read(NULL::versioned) AS r) AS active,
	(SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM versioned_latest AS v) =
	(SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM metaxy_read(NULL::versioned, include_soft_deleted => true) AS r) AS latest,
	(SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM versioned_deleted AS v) =
	(SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM metaxy_read(NULL::versioned, only_soft_deleted => true) AS r) AS deleted;
-- every kind of call has returned something
SELECT kind, scope, history, count(DISTINCT found) > 10 AS something FROM compared JOIN combination USING (id)
 WHERE scope NOT LIKE '%$3' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- Rows that committed late count from their stamp; a new current version moves
-- the scope of the past as well.
BEGIN;
SELECT metaxy_unregister('versioned');
INSERT INTO versioned VALUES (9, 1, 'late', 101, 'v2', '2024-01-01', '2024-01-02', NULL);
SELECT metaxy_register('versioned', 'versioned', '{a,b}', 'v2');
SELECT count(*) FROM metaxy_read(NULL::versioned, 'a = 9', as_of => '2024-01-02');
SELECT count(*) FROM metaxy_read(NULL::versioned, 'a = 9', as_of => '2024-01-01 23:59');
SELECT metaxy_register('versioned', 'versioned', '{a,b}', 'v3');
SELECT count(*) FROM metaxy_read(NULL::versioned, 'a = 9', as_of => '2024-01-02');
SELECT count(*) FROM metaxy_read(NULL::versioned, 'a = 9', as_of => '2024-01-02', feature_version => 'v2');
ROLLBACK;

-- A delete can be looked behind: up to its stamp nothing was gone.
SELECT deletion_id, samples FROM metaxy_delete('versioned', 'a = 1') \gset
SELECT stamp FROM metaxy_deletions WHERE id = :deletion_id \gset
SELECT :samples > 0 AS deleted,
	(SELECT count(*) FROM metaxy_read(NULL::versioned, 'a = 1')) = 0 AS now,
	(SELECT count(*) FROM metaxy_read(NULL::versioned, 'a = 1', as_of => :'stamp')) = 0 AS at_it,
	(SELECT count(*) FROM metaxy_read(NULL::versioned, 'a = 1', as_of => timestamptz :'stamp' - interval '1 us')) = :samples AS before,
	(SELECT count(*) FROM metaxy_read(NULL::versioned, format('metaxy_deleted_at = %L', :'stamp'),
		only_soft_deleted => true)) = :samples AS tombstones;

SELECT metaxy_unregister(tab::text) FROM store;
DROP EXTENSION file_fdw CASCADE;
DROP SCHEMA metaxy_as_of CASCADE;
