--
-- Filters: what is accepted, and that it matches what WHERE would
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = iso;
CREATE ROLE regress_metaxy_filter;
CREATE SCHEMA metaxy_filter AUTHORIZATION regress_metaxy_filter;
SET search_path = metaxy_filter, public;
SET ROLE regress_metaxy_filter;

-- Metaxy's own columns are varchar; a user's table has whatever types it has
CREATE TYPE quality AS ENUM ('low', 'mid', 'high');
CREATE DOMAIN fps AS integer CHECK (value > 0);
CREATE DOMAIN label AS text CHECK (value <> '');
CREATE TYPE codec AS (name text, version integer);
CREATE TABLE video (
	video_id varchar NOT NULL,
	path varchar,
	size bigint,
	duration double precision,
	price numeric(8,2),
	recorded timestamptz,
	aired date,
	slot time,
	length interval,
	meta jsonb,
	raw json,
	tags text[],
	scores double precision[],
	checksum bytea,
	kind quality,
	rate fps,
	title label,
	labels label[],
	codec codec,
	span int4range,
	public boolean,
	words tsvector,
	address inet,
	uid uuid,
	metaxy_feature_version varchar,
	metaxy_provenance_by_field jsonb,
	metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz);
SELECT metaxy_register('video', 'video', '{video_id}', NULL, false, false);

-- 24 samples with NULLs all over, v24 deleted, each with an older row that no
-- filter must see
INSERT INTO video (video_id, size, path, metaxy_created_at, metaxy_updated_at)
SELECT 'v' || i, -1, 'old', '2024-03-01', '2024-03-01'
  FROM generate_series(1, 24) AS i;
INSERT INTO video
SELECT 'v' || i, CASE WHEN i % 7 > 0 THEN '/data/' || i || '.mp4' END, i * 1000,
	   i / 8.0, i + 0.25, '2024-01-01 12:00+00'::timestamptz + i * interval '1 day',
	   '2024-02-01'::date + i, '08:00'::time + i * interval '10 minutes',
	   i * interval '1 hour',
	   CASE WHEN i % 5 > 0 THEN jsonb_build_object('camera',
		CASE WHEN i % 2 = 0 THEN 'x' ELSE 'y' END, 'iso', i * 100) END,
	   '{"a": 1}', CASE WHEN i % 4 > 0 THEN ARRAY['t' || i % 3, 'all'] END,
	   ARRAY[i / 10.0, 1], decode(md5(i::text), 'hex'),
	   (ARRAY['low', 'mid', 'high']::quality[])[i % 3 + 1],
	   nullif(i % 3, 0) * 30, 'Title ' || i, ARRAY['a', 'b']::label[],
	   ('h26' || i % 3 + 4, i)::codec, int4range(i, i + 5), i % 2 = 0,
	   to_tsvector('english', 'the quick brown fox number' || i),
	   ('10.0.0.' || i)::inet, md5(i::text)::uuid,
	   'a1', jsonb_build_object('default', md5(i::text)), '2024-04-01',
	   '2024-04-01', CASE WHEN i = 24 THEN '2024-04-01'::timestamptz END
  FROM generate_series(1, 24) AS i;

-- what a filter sees: latest rows that are live
CREATE FUNCTION expected(filter text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('SELECT count(*)
		  FROM video
		 WHERE metaxy_deleted_at IS NULL
		   AND NOT EXISTS (SELECT
							 FROM video AS v
							WHERE v.video_id = video.video_id
							  AND coalesce(v.metaxy_deleted_at, v.metaxy_updated_at) >
								  coalesce(video.metaxy_deleted_at, video.metaxy_updated_at))
		   AND (%s
		)', filter) INTO result;
	RETURN result;
END $$;
CREATE FUNCTION samples(filter text) RETURNS bigint LANGUAGE sql AS
	'SELECT samples FROM metaxy_delete(''video'', filter, dry_run => true)';

-- the filter, its negation and the rest make up all samples, and each is what
-- plain SQL says
CREATE FUNCTION verdict(filter text, OUT matches bigint, OUT misses bigint,
						OUT unknown bigint, OUT agrees boolean)
LANGUAGE plpgsql AS $$
DECLARE
	forms text[] := ARRAY[filter, E'NOT (' || filter || E'\n)',
		'(' || filter || E'\n) IS NULL'];
BEGIN
	matches := samples(forms[1]);
	misses := samples(forms[2]);
	unknown := samples(forms[3]);
	agrees := matches + misses + unknown = 23 AND
		matches = expected(forms[1]) AND misses = expected(forms[2]) AND
		unknown = expected(forms[3]);
END $$;

--
-- The safe language
--
SHOW metaxy.filter_language;
SELECT samples FROM metaxy_delete('video', dry_run => true);
CREATE TABLE filter (id integer GENERATED ALWAYS AS IDENTITY, text text);
-- what Metaxy's own filters say
INSERT INTO filter (text) VALUES
	($$video_id = 'v1'$$),
	($$'v1' = video_id$$),
	($$size > 10000 AND duration <= 2.5$$),
	($$size > 10000 OR path IS NULL$$),
	($$NOT public$$),
	($$public = TRUE AND size != 2000$$),
	($$(size >= 5000 AND size < 9000) OR video_id <> 'v3'$$),
	($$video_id IN ('v1', 'v2', 'v99')$$),
	($$video_id NOT IN ('v1', 'v2')$$),
	($$path IN ('/data/1.mp4', NULL)$$),
	($$path IS NOT NULL$$),
	($$size = -1$$),
	($$VIDEO_ID = 'v1'$$),
	($$metaxy_updated_at >= '2024-04-01' AND metaxy_deleted_at IS NULL$$),
	($$metaxy_provenance_by_field ->> 'default' = md5('7')$$),
	($$metaxy_feature_version = 'a1'$$);
-- constants, logic, precedence
INSERT INTO filter (text) VALUES
	('true'), ('false'), ('NULL'), ($$'yes'$$), ('public'), ('1 = 1'),
	('NULL::boolean'), ('NOT NULL'), ('(((true)))'),
	('public IS TRUE'), ('public IS NOT UNKNOWN'), ('rate = 30 IS NOT FALSE'),
	('true OR public AND false'),
	($$CASE WHEN size < 3000 THEN true WHEN size < 9000 THEN NULL END$$),
	($$CASE kind WHEN 'low' THEN public ELSE false END$$);
-- qualified and quoted names, comments, blanks
INSERT INTO filter (text) VALUES
	($$video.size = 1000 OR metaxy_filter.video.size = 2000$$),
	($$"video"."video_id" = 'v1'$$),
	($$U&"video_\0069d" = U&'\0076\0031'$$),
	($$video_id = E'v\x31'$$),
	('video_id = $v$v1$v$'),
	(E'video_id\n=\t''v''\n''1'''),
	(E'-- first\ntrue /* and /* nested */ last */ -- end'),
	($$true --$$), ($$ /**/ true $$);
-- predicates
INSERT INTO filter (text) VALUES
	($$size BETWEEN 3000 AND 5000$$),
	($$size NOT BETWEEN SYMMETRIC 5000 AND 3000$$),
	($$path LIKE '/data/1%'$$), ($$path ILIKE '/DATA/_.MP4'$$),
	($$path NOT LIKE '%!_%' ESCAPE '!'$$),
	($$path SIMILAR TO '%(1|2).mp4'$$), ($$path ~ '^/data/[0-9]\.mp4$'$$),
	($$path !~* 'MP4'$$), ($$path ^@ '/data/2'$$),
	($$path IS DISTINCT FROM '/data/1.mp4'$$), ($$rate IS NOT DISTINCT FROM NULL$$),
	($$video_id = ANY ('{v1,v2}')$$), ($$video_id <> ALL (ARRAY['v1', 'v2'])$$),
	($$'all' = ANY (tags)$$), ($$size = ANY (ARRAY[1000, 2000, NULL])$$),
	($$(video_id, size) = ('v1', 1000)$$), ($$(size, duration) < (3000, 1.0)$$),
	($$(video_id, size) IN (('v1', 1000), ('v2', 1))$$),
	($$ROW(path, rate) IS NULL$$), ($$ROW(path, rate) IS NOT NULL$$);
-- arithmetic, casts
INSERT INTO filter (text) VALUES
	($$size / 1000 % 3 = 1$$), ($$-size < -4000.5$$), ($$duration * 8 = size / 1000$$),
	($$price > '5'$$), ($$price::integer = 5$$), ($$CAST(size AS text) = '1000'$$),
	($$size::numeric(5,0) = 1000$$),
	($$rate::text = '30'$$), ($$'30'::varchar(1) = '3' AND public$$),
	($$2 ^ rate > 1e10$$), ($$size & 1 = 0$$), ($$size = '1000'::bigint$$),
	($$float8 '2.5' = duration$$), ($$duration = 'NaN'$$);
-- dates and times
INSERT INTO filter (text) VALUES
	($$recorded < now() - interval '30 days'$$), ($$recorded > 'now'$$),
	($$recorded > current_timestamp OR aired >= current_date$$),
	($$recorded::date = '2024-01-05'$$), ($$recorded = aired$$),
	($$aired + 3 > '2024-02-10'$$), ($$aired - '2024-02-01' < 5$$),
	($$date_trunc('month', recorded) = '2024-01-01'$$),
	($$extract(day FROM recorded) < 10$$), ($$date_part('dow', aired) = 0$$),
	($$age(recorded) > '1 year'$$), ($$age(aired, recorded) < interval '31 days'$$),
	($$recorded AT TIME ZONE 'Europe/Berlin' > '2024-01-10 13:00'$$),
	($$to_char(recorded, 'YYYY-MM-DD') = '2024-01-07'$$),
	($$to_timestamp('2024-01-10', 'YYYY-MM-DD') > recorded$$),
	($$to_date(aired::text, 'YYYY-MM-DD') = aired$$),
	($$recorded = '2024-01-02 12:00+00'::text::timestamptz$$),
	($$slot > '10:00' AND slot::timetz > '10:00+00'$$),
	($$length > '3 hours'::interval$$), ($$length = make_interval(hours => 4)$$),
	($$(recorded, length) OVERLAPS ('2024-01-05'::timestamptz, '2024-01-06'::timestamptz)$$),
	($$date_bin('7 days', recorded, '2024-01-01') = '2024-01-08'$$),
	($$isfinite(recorded) AND recorded < 'infinity'$$);
-- strings and bytes
INSERT INTO filter (text) VALUES
	($$lower(upper(video_id)) = 'v1'$$), ($$length(path) > 11$$),
	($$substr(path, 7, 1) = '1'$$), ($$substring(path FROM '[0-9]+') = '12'$$),
	($$position('1' IN path) > 0$$), ($$left(path, 7) || 'x' = '/data/1x'$$),
	($$trim(LEADING 'v' FROM video_id) = '1'$$), ($$overlay(path PLACING 'x' FROM 1 FOR 5) = 'x/1.mp4'$$),
	($$split_part(path, '/', 3) = '1.mp4'$$), ($$replace(path, '/', '') IS NULL$$),
	($$concat(path, size) = concat_ws('', '/data/1.mp4', 1000)$$),
	($$format('%s-%s', video_id, size) = 'v1-1000'$$), ($$path || size = '/data/1.mp41000'$$),
	($$regexp_replace(path, '[^0-9]', '', 'g') = '14'$$), ($$md5(video_id) < '8'$$),
	($$path COLLATE "C" > '/data/2'$$),
	($$checksum = '\xc4ca4238a0b923820dcc509a6f75849b'$$),
	($$encode(sha256(convert_to(video_id, 'UTF8')), 'hex') > '8'$$),
	($$quote_literal(video_id) = '''v1'''$$);
-- jsonb, json, arrays, ranges, others
INSERT INTO filter (text) VALUES
	($$meta ->> 'camera' = 'x'$$), ($$(meta -> 'iso')::int > 1000$$),
	($$meta['camera'] = '"x"'$$), ($$meta @> '{"camera": "y"}'$$),
	($$meta ? 'camera'$$), ($$meta ?| ARRAY['a', 'iso']$$), ($$meta #>> '{iso}' = '100'$$),
	($$jsonb_path_exists(meta, '$.iso ? (@ > 500)')$$),
	($$jsonb_path_exists_tz(meta, '$.iso ? (@ > $n)', '{"n": 500}')$$),
	($$meta @@ '$.camera == "x"'$$), ($$meta @? '$.iso'$$),
	($$jsonb_typeof(meta -> 'iso') = 'number'$$), ($$raw ->> 'a' = '1'$$),
	($$meta = jsonb_build_object('camera', 'x', 'iso', size / 10)$$),
	($$to_jsonb(size) = '1000'$$),
	($$tags @> '{t1}'$$), ($$tags && ARRAY['t1', 't2']$$), ($$tags[1] = 't1'$$),
	($$tags[1:1] = '{t2}'$$), ($$array_length(tags, 1) = 2$$), ($$cardinality(tags) > 1$$),
	($$array_position(tags, 'all') = 2$$), ($$array_to_string(tags, '+') = 't1+all'$$),
	($$'t1'::text || tags = '{t1,t1,all}'$$), ($$scores[1] > 1.0$$), ($$ARRAY[size, 1] = '{1000,1}'$$),
	($$span @> 7$$), ($$span && '[1,3)'$$), ($$lower(span) = 4$$), ($$span = int4range(4, 9)$$),
	($$words @@ 'fox & number5'$$), ($$to_tsvector('english', title) @@ to_tsquery('english', 'titles & 5')$$),
	($$to_tsvector(title) @@ plainto_tsquery('5')$$),
	($$address << '10.0.0.0/29'$$), ($$host(address) = '10.0.0.5'$$),
	($$uid = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'$$),
	($$coalesce(path, 'none') = 'none'$$), ($$nullif(path, '/data/1.mp4') IS NULL$$),
	($$greatest(size, rate) > 20000$$), ($$least(path, '/data/2') = path$$),
	($$num_nulls(path, meta, tags) > 1$$), ($$width_bucket(size, 0, 24000, 4) = 2$$),
	($$current_user = 'regress_metaxy_filter' AND public$$);
-- types that a user made, as columns
INSERT INTO filter (text) VALUES
	($$kind = 'high'$$), ($$kind > 'low'$$), ($$kind IN ('low', 'mid')$$),
	($$kind = ANY ('{low,high}')$$), ($$kind = 'mid'::quality$$), ($$kind::text = 'mid'$$),
	($$greatest(kind, 'mid') = 'mid'$$), ($$enum_first(kind) = kind$$), ($$concat(kind) = 'low'$$),
	($$rate = 30$$), ($$rate + 30 > 60$$), ($$rate IN (30, 60)$$), ($$rate = '30'$$), ($$rate IS NULL$$),
	($$title = 'Title 4'$$), ($$title LIKE '%1'$$), ($$title || '!' = 'Title 4!'$$),
	($$coalesce(title, 'none') = 'Title 5'$$), ($$lower(title) = 'title 6'$$), ($$title = ''$$),
	($$labels[1] = 'a'$$), ($$labels::text[] = '{a,b}'$$), ($$'b' = ANY (labels)$$),
	($$(codec).name = 'h265'$$), ($$(video.codec).version > 20$$), ($$codec = ROW('h265', 4)::codec$$);
SELECT f.text AS filter, v.*
  FROM filter AS f, LATERAL verdict(f.text) AS v
 ORDER BY f.id;

-- functions that run once for a row, or once for all, see the same clock
SELECT samples($$metaxy_updated_at < now() AND now() = transaction_timestamp()
	AND localtimestamp = now()::timestamp AND current_date = now()::date$$);
SET timezone = 'Asia/Tokyo';
SELECT samples($$recorded = '2024-01-02 21:00'$$), samples($$recorded::time = '21:00'$$);
SET timezone = 'UTC';
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT samples('video_id = ''v\\x31'''), samples('video_id = E''v\\x31''');
RESET standard_conforming_strings;
RESET escape_string_warning;

-- big ones
SELECT samples('path <> ''' || repeat('x', 1000000) || '''');
SELECT samples('video_id IN (''v1''' || repeat(', ''nonesuch''', 20000) || ')');
SELECT samples('size = 0' || repeat(' OR size = 1000', 20000));
SELECT samples('public' || repeat(' AND public', 20000));
SELECT samples('size' || repeat(' + 1', 300) || ' = 1300');
SELECT samples(repeat('(', 1000) || 'public' || repeat(')', 1000));

-- one filter after the other, each by itself: the second cannot end the first
SELECT samples FROM metaxy_delete(ARRAY['video'],
	ARRAY['size > 3000 OR false', 'size < 6000 OR false'], dry_run => true);
SELECT samples FROM metaxy_delete(ARRAY['video'],
	ARRAY['true -- and', 'size < 3000 /* or */ OR false'], dry_run => true);
-- rows of all versions of a sample, and latest rows of all versions
SELECT samples FROM metaxy_delete('video', 'size = -1', dry_run => true,
	with_sample_history => true);
SELECT samples FROM metaxy_delete('video', 'video.path = ''old''', dry_run => true,
	with_sample_history => true, with_feature_history => true);
SELECT samples, "rows" FROM metaxy_delete('video', 'video.path = ''old''',
	dry_run => true, soft => false, with_sample_history => true);
SELECT samples FROM metaxy_delete('video', 'metaxy_deleted_at IS NOT NULL',
	dry_run => true, soft => false);

-- odd names
CREATE TABLE "A ""b"".c%s$1" (
	"id" text, "Select" integer, "x y" integer, "u""." text, "row" integer,
	"metaxy_feature_version" text, "metaxy_created_at" timestamptz,
	"metaxy_updated_at" timestamptz, "metaxy_deleted_at" timestamptz);
SELECT metaxy_register('odd', '"A ""b"".c%s$1"', '{id}', NULL, false, false);
INSERT INTO "A ""b"".c%s$1"
SELECT i, i, i, '$1', i, NULL, '2024-04-01', '2024-04-01'
  FROM generate_series(1, 5) AS i;
SELECT samples FROM metaxy_delete('odd', $$"Select" > 2 AND "A ""b"".c%s$1"."x y" < 5
	AND metaxy_filter."A ""b"".c%s$1"."row" = 3 AND "u""." = '$1'$$, dry_run => true);
SELECT samples FROM metaxy_delete('odd', $$U&"\0053elect" = 1$$, dry_run => true);

--
-- The language "sql": whatever WHERE takes
--
SET metaxy.filter_language = sql;
CREATE TABLE request (id text);
INSERT INTO request VALUES ('v3'), ('v4'), (NULL);
CREATE FUNCTION is_odd(bigint) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT $1 / 1000 % 2 = 1';
CREATE OPERATOR %% (RIGHTARG = bigint, PROCEDURE = is_odd);
TRUNCATE filter RESTART IDENTITY;
INSERT INTO filter (text) VALUES
	($$video_id IN (SELECT id FROM request)$$),
	($$video_id NOT IN (SELECT id FROM request)$$),
	($$video_id NOT IN (SELECT id FROM request WHERE id IS NOT NULL)$$),
	($$EXISTS (SELECT FROM request AS r WHERE r.id = video.video_id)$$),
	($$EXISTS (SELECT FROM request WHERE id = video_id AND size > 3000)$$),
	($$(SELECT count(*) FROM request) = size / 1000$$),
	($$video_id = ANY (ARRAY(SELECT id FROM request))$$),
	($$is_odd(size)$$), ($$%% size$$),
	($$size = (WITH r AS (SELECT max(id) AS id FROM request) SELECT substr(r.id, 2)::int * 1000 FROM r)$$),
	($$(SELECT bool_or(x = 't1') FROM unnest(tags) AS x)$$),
	($$video IS NOT NULL$$), ($$video.tableoid = 'video'::regclass$$),
	($$random() >= 0$$), ($$rate::fps = 30$$), ($$path = NULL$$), ($$path <> NULL$$),
	($$current_setting('metaxy.filter_language') = 'sql' AND public$$);
SELECT f.text AS filter, v.*
  FROM filter AS f, LATERAL verdict(f.text) AS v
 ORDER BY f.id;
-- "= NULL" as the server reads it
SET transform_null_equals = on;
SELECT samples('path = NULL');
RESET transform_null_equals;
-- a filter sees its own names, and none of the statement that it stands in
CREATE TABLE newest (x integer);
CREATE TABLE later (x integer);
INSERT INTO newest VALUES (1);
INSERT INTO later VALUES (1);
SELECT samples FROM metaxy_delete('video',
	'(SELECT count(*) FROM newest, later) = 1 AND size = -1', dry_run => true,
	with_sample_history => true);
RESET metaxy.filter_language;

--
-- What a preview says is what a delete does
--
SELECT samples, "rows" FROM metaxy_delete('video', $$meta ->> 'camera' = 'x'$$, dry_run => true);
SELECT samples, "rows" FROM metaxy_delete('video', $$meta ->> 'camera' = 'x'$$);
SELECT samples($$meta ->> 'camera' = 'x'$$), samples('true');
SELECT samples, "rows" FROM metaxy_delete('video', $$meta ->> 'camera' = 'x'$$, soft => false);
SELECT count(*), count(*) FILTER (WHERE meta ->> 'camera' = 'x') AS left FROM video;

RESET ROLE;
SELECT metaxy_unregister('video'), metaxy_unregister('odd');
SET client_min_messages = error;
DROP SCHEMA metaxy_filter CASCADE;
DROP ROLE regress_metaxy_filter;
