--
-- metaxy_orphans, metaxy_orphan_counts, metaxy_delete_orphans
--
CREATE SCHEMA metaxy_orphans;
SET search_path = metaxy_orphans, public;

CREATE TABLE video (video_id text, size integer);
CREATE TABLE chunk (chunk_id text, video_id text);
CREATE TABLE faces (chunk_id text, n integer);
CREATE TABLE mean (video_id text, value integer);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1'), metaxy_register('chunk', 'chunk', '{chunk_id}', 'v1'),
	   metaxy_register('faces', 'faces', '{chunk_id}'), metaxy_register('mean', 'mean', '{video_id}');
SELECT metaxy_depend('chunk', 'video', '1:N', '{video_id}'), metaxy_depend('faces', 'chunk'),
	   metaxy_depend('mean', 'chunk', 'N:1', '{video_id}');
INSERT INTO video SELECT 'v' || i, i FROM generate_series(1, 4) AS i;
INSERT INTO chunk SELECT video_id || '/' || i, video_id FROM video, generate_series(1, 2) AS i;
INSERT INTO faces SELECT chunk_id, 1 FROM chunk;
INSERT INTO mean SELECT video_id, 1 FROM video;
SELECT * FROM metaxy_orphan_counts();
-- v1 without its chunks, a chunk without its faces, both chunks of v4
SELECT feature, samples FROM metaxy_delete('video', 'size = 1');
SELECT feature, samples FROM metaxy_delete('chunk', $$chunk_id IN ('v2/1', 'v4/1', 'v4/2')$$);
SELECT * FROM metaxy_orphan_counts();
SELECT * FROM metaxy_orphan_counts('faces');
SELECT chunk_id, video_id FROM metaxy_orphans(NULL::chunk) ORDER BY 1;
SELECT chunk_id FROM metaxy_orphans(NULL::faces) ORDER BY 1;
SELECT video_id FROM metaxy_orphans(NULL::mean) ORDER BY 1;
SELECT step, feature, samples, rows FROM metaxy_delete_orphans('chunk', cascade => 'downstream', dry_run => true);
SELECT step, feature, samples, rows FROM metaxy_delete_orphans('chunk', cascade => 'downstream');
SELECT kind, features, filters, samples FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
SELECT feature, samples FROM metaxy_delete_orphans('faces', soft => false);
SELECT * FROM metaxy_orphan_counts();

--
-- The sweep: dry run = real run, digest and limits, the ledger, and the way
-- back; with the cascade it leaves no orphan below
--
TRUNCATE video, chunk, faces, mean;
INSERT INTO video SELECT 'v' || i, i FROM generate_series(1, 4) AS i;
INSERT INTO chunk SELECT video_id || '/' || i, video_id FROM video, generate_series(1, 2) AS i;
INSERT INTO faces SELECT chunk_id, 1 FROM chunk;
INSERT INTO mean SELECT video_id, 1 FROM video;
SELECT feature, samples FROM metaxy_delete('video', 'size < 3');
SELECT digest FROM metaxy_delete_orphans('chunk', cascade => 'downstream', dry_run => true) LIMIT 1 \gset
SELECT feature, samples, rows, stale, digest = :'digest' AS expected, stamp IS NULL AS no_stamp
  FROM metaxy_delete_orphans('chunk', cascade => 'downstream', dry_run => true);
SELECT * FROM metaxy_orphan_counts();
SELECT feature, samples, rows, stale, digest = :'digest' AS expected
  FROM metaxy_delete_orphans('chunk', cascade => 'Downstream', reason => 'lost', max_samples => 10, expect => :'digest');
SELECT * FROM metaxy_orphan_counts();
SELECT kind, features, filters, soft, cascade, reason, options - 'expect' AS options, samples, rows, undone_by
  FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
SELECT step, feature, relation_name, samples, rows FROM metaxy_deletion_steps
 WHERE deletion_id = (SELECT max(id) FROM metaxy_deletions) ORDER BY step;
SELECT count(*) AS tombstones, count(*) FILTER (WHERE metaxy_deleted_at = d.stamp) AS of_one_stamp
  FROM chunk_deleted, (SELECT stamp FROM metaxy_deletions ORDER BY id DESC LIMIT 1) AS d;
SELECT * FROM metaxy_undelete((SELECT max(id) FROM metaxy_deletions));
SELECT * FROM metaxy_orphan_counts();
-- for good: orphans go whole
SELECT feature, samples, rows FROM metaxy_delete_orphans('chunk', soft => false, cascade => 'downstream', dry_run => true);
SELECT feature, samples, rows FROM metaxy_delete_orphans('chunk', soft => false, cascade => 'downstream');
SELECT chunk_id, metaxy_deleted_at IS NULL AS live FROM chunk ORDER BY 1, 2;
SELECT soft, kind FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
-- nothing to sweep, with an entry of its own
SELECT feature, samples, rows FROM metaxy_delete_orphans('chunk', cascade => 'both');
SELECT kind, samples, cascade FROM metaxy_deletions ORDER BY id DESC LIMIT 1;
-- a root has none
SELECT count(*) FROM metaxy_orphans(NULL::video);
SELECT * FROM metaxy_orphan_counts('video');
SELECT feature, samples FROM metaxy_delete_orphans('video');
-- a parent that comes back
SELECT feature, samples FROM metaxy_delete('video', 'size = 3');
SELECT * FROM metaxy_orphan_counts('chunk');
INSERT INTO video VALUES ('v3', 3);
SELECT * FROM metaxy_orphan_counts('chunk');
-- what hangs on a tombstone is lost, and a tombstone is no orphan, however it goes
SELECT feature, samples, rows FROM metaxy_delete('chunk', $$chunk_id = 'v3/1'$$);
SELECT feature, samples, rows FROM metaxy_delete('faces', $$chunk_id = 'v3/2'$$);
SELECT feature, samples, rows FROM metaxy_delete('chunk', $$chunk_id = 'v3/2'$$);
SELECT * FROM metaxy_orphan_counts('faces');
SELECT feature, samples, rows FROM metaxy_delete_orphans('faces', soft => false, dry_run => true);
-- parents that an orphan has on other ways, and what hangs on those
SELECT feature, samples, rows FROM metaxy_delete_orphans('faces', cascade => 'upstream', dry_run => true);
SELECT feature, samples, rows FROM metaxy_delete_orphans('faces', cascade => 'both');
-- a mean lives while one chunk of its group does
SELECT video_id FROM metaxy_orphans(NULL::mean);
SELECT feature, samples FROM metaxy_delete('chunk', $$chunk_id = 'v4/1'$$);
SELECT video_id FROM mean_active ORDER BY 1;
SELECT video_id FROM metaxy_orphans(NULL::mean);
SELECT feature, samples FROM metaxy_delete_orphans('mean');

-- of a null in a joined column nothing is upstream
INSERT INTO chunk VALUES ('n/1', NULL), ('n/2', 'v4');
SELECT chunk_id, video_id FROM metaxy_orphans(NULL::chunk) ORDER BY 1;
SELECT feature, samples FROM metaxy_delete_orphans('chunk');

--
-- Versions: the current ones, on both sides
--
INSERT INTO video (video_id, size, metaxy_feature_version) VALUES ('old', 1, 'v0');
INSERT INTO chunk (chunk_id, video_id, metaxy_feature_version) VALUES ('old/1', 'old', 'v1'), ('gone/1', 'gone', 'v0');
SELECT chunk_id FROM metaxy_orphans(NULL::chunk) ORDER BY 1;
SELECT metaxy_register('chunk', 'chunk', '{chunk_id}', 'v0');
SELECT chunk_id FROM metaxy_orphans(NULL::chunk) ORDER BY 1;
SELECT metaxy_register('video', 'video', '{video_id}', 'v0'), metaxy_register('chunk', 'chunk', '{chunk_id}', 'v1');
SELECT chunk_id FROM metaxy_orphans(NULL::chunk) ORDER BY 1;
SELECT feature, samples FROM metaxy_delete_orphans('chunk');
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');
SELECT chunk_id FROM chunk_active ORDER BY 1;

SELECT metaxy_unregister('mean');
SELECT metaxy_unregister('faces');
SELECT metaxy_unregister('chunk');
SELECT metaxy_unregister('video');

--
-- Edges: optional ones, several of them, renamed columns, types and collations
-- that differ, several columns, partitions, dropped columns, odd names, and
-- upstream without a table.  What is found must be what is found by hand.
--
CREATE TABLE "Up" (a integer, b varchar(10) COLLATE "C", "select" text) PARTITION BY LIST (a);
CREATE TABLE up_1 PARTITION OF "Up" FOR VALUES IN (1);
CREATE TABLE up_x PARTITION OF "Up" DEFAULT PARTITION BY HASH (b);
CREATE TABLE up_x0 PARTITION OF up_x FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE upstream (gone text, id bigint, note text);
ALTER TABLE upstream DROP COLUMN gone;
CREATE TABLE "later" (x text, n bigint, "B ""b""" text, maybe text, more text, upstream integer) PARTITION BY HASH (x);
CREATE TABLE later_0 PARTITION OF "later" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE later_1 (dropped text, upstream integer, "B ""b""" text, maybe text, x text, n bigint, more text);
ALTER TABLE later_1 DROP COLUMN dropped;
ALTER TABLE "later" ATTACH PARTITION later_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE maybe (maybe text);
CREATE TABLE nowhere (more text);
SELECT metaxy_register('up', '"Up"', '{a,b}'), metaxy_register('other', 'upstream', '{id}'), metaxy_register('maybe', 'maybe', '{maybe}'),
	   metaxy_register('nowhere', 'nowhere', '{more}'), metaxy_register('down', '"later"', '{x}');
SELECT metaxy_depend('down', 'up', '1:N', '{a,b}', '{"a": "n", "b": "B \"b\""}'), metaxy_depend('down', 'other', '1:N', '{id}', '{"id": "upstream"}'),
	   metaxy_depend('down', 'maybe', '1:N', '{maybe}', optional => true), metaxy_depend('down', 'nowhere', '1:N', '{more}');
SET client_min_messages = warning;
DROP TABLE nowhere CASCADE;
INSERT INTO "Up" SELECT i, 'b' || i, 's' FROM generate_series(1, 5) AS i;
INSERT INTO upstream (id, note) SELECT i, 'n' FROM generate_series(1, 5) AS i;
INSERT INTO maybe VALUES ('m1');
INSERT INTO "later" (x, n, "B ""b""", maybe, upstream)
SELECT format('%s %s', i, j), i, 'b' || i, CASE i % 3 WHEN 0 THEN 'm1' WHEN 1 THEN 'none' END, nullif(j, 6)
  FROM generate_series(1, 6) AS i, generate_series(1, 6) AS j WHERE (i + j) % 3 > 0;
SELECT * FROM metaxy_orphan_counts('down');
SELECT feature, samples FROM metaxy_delete('up', 'a IN (1, 3)');
SELECT feature, samples FROM metaxy_delete('other', 'id = 2', soft => false);
SELECT feature, samples FROM metaxy_delete('maybe');
INSERT INTO "later" (x, n, "B ""b""", upstream) VALUES ('near', 4, 'B4', 4), ('1 1', 4, 'b4', 4);
SELECT * FROM metaxy_orphan_counts('down');
CREATE TABLE by_hand AS
SELECT l.x FROM "later_active" AS l
 WHERE NOT EXISTS (SELECT FROM "Up_active" AS u WHERE u.a = l.n AND u.b = l."B ""b""" COLLATE "C")
	OR NOT EXISTS (SELECT FROM upstream_active AS u WHERE u.id = l.upstream);
SELECT (SELECT count(*) FROM by_hand) AS by_hand, (SELECT count(*) FROM metaxy_orphans(NULL::"later")) AS orphans,
	   (SELECT count(*) FROM (SELECT x FROM by_hand EXCEPT SELECT x FROM metaxy_orphans(NULL::"later")) AS d) AS differ;
SELECT x, n, "B ""b""", maybe, more, upstream FROM metaxy_orphans(NULL::"later") WHERE upstream = 5 ORDER BY 1;
SELECT feature, samples, rows FROM metaxy_delete_orphans('down', dry_run => true);
SELECT feature, samples, rows FROM metaxy_delete_orphans('down');
SELECT count(*) AS active, count(*) FILTER (WHERE x IN (SELECT x FROM by_hand)) AS orphans FROM "later_active";
SELECT * FROM metaxy_orphan_counts('down');
-- and with joins from other sources beside
INSERT INTO "later" (x, n, "B ""b""", upstream) VALUES ('lost', 1, 'b1', 4);
SELECT feature, samples, rows FROM metaxy_delete_orphans('down', cascade => 'both', dry_run => true);
SELECT metaxy_unregister('down');
SELECT metaxy_unregister('up'), metaxy_unregister('other'), metaxy_unregister('maybe'), metaxy_unregister('nowhere');

-- a child of the very name that is given to what is upstream
CREATE TABLE root (id integer);
SELECT metaxy_register('root', 'root', '{id}'), metaxy_register('other', 'upstream', '{id}');
SELECT metaxy_depend('other', 'root');
INSERT INTO root VALUES (1), (3);
SELECT id, note FROM metaxy_orphans(NULL::upstream) ORDER BY 1;
SELECT samples FROM metaxy_delete_orphans('other');
SELECT metaxy_unregister('other');
SELECT metaxy_unregister('root');

-- letters compared as the child's column does
CREATE COLLATION fold (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE folded (id text COLLATE fold);
CREATE TABLE exact (id text COLLATE "C", k text);
SELECT metaxy_register('folded', 'folded', '{id}'), metaxy_register('exact', 'exact', '{k}');
SELECT metaxy_depend('exact', 'folded', '1:N', '{id}');
INSERT INTO folded VALUES ('a'), ('b');
INSERT INTO exact VALUES ('a', '1'), ('A', '2'), ('B', '3'), ('c', '4');
SELECT id FROM metaxy_orphans(NULL::exact) ORDER BY k;
SELECT metaxy_unregister('exact');
SELECT metaxy_unregister('folded');
TRUNCATE folded, exact;
ALTER TABLE exact ALTER k DROP NOT NULL;
SELECT metaxy_register('exact', 'exact', '{id}'), metaxy_register('folded', 'folded', '{id}');
SELECT metaxy_depend('folded', 'exact');
INSERT INTO exact VALUES ('a'), ('B');
INSERT INTO folded VALUES ('A'), ('b'), ('c');
SELECT id FROM metaxy_orphans(NULL::folded) ORDER BY 1;
SELECT metaxy_unregister('folded');
SELECT metaxy_unregister('exact');

--
-- A real store, as Metaxy left it: it sweeps nothing itself
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set store :abs_srcdir '/fixtures/media/store_after_phase_2.sql'
SET client_min_messages = warning;
\set ECHO none
\i :store
\set ECHO all
RESET ALL;
SET client_min_messages = warning;
SELECT metaxy_register('video/raw', 'video__raw', '{video_id}', '6e5a4ab8');
SELECT metaxy_register('video/chunk', 'video__chunk', '{video_chunk_id}', '504507a9');
SELECT metaxy_register('video/faces', 'video__faces', '{video_chunk_id}', '52f055e3');
SELECT metaxy_depend('video/chunk', 'video/raw', '1:N', '{video_id}');
SELECT metaxy_depend('video/faces', 'video/chunk');
SELECT * FROM metaxy_orphan_counts();
SELECT count(*) AS by_hand FROM video__faces_active AS f
 WHERE NOT EXISTS (SELECT FROM video__chunk_active AS c WHERE c.video_chunk_id = f.video_chunk_id);
SELECT count(*) AS by_hand FROM video__chunk_active AS c
 WHERE NOT EXISTS (SELECT FROM video__raw_active AS r WHERE r.video_id = c.video_id);
SELECT count(*) AS differ FROM
	(SELECT f.* FROM video__faces_active AS f WHERE NOT EXISTS
		(SELECT FROM video__chunk_active AS c WHERE c.video_chunk_id = f.video_chunk_id)) AS by_hand
  FULL JOIN metaxy_orphans(NULL::video__faces) AS o USING (video_chunk_id)
 WHERE to_jsonb(o) IS DISTINCT FROM to_jsonb(by_hand);
SELECT count(*) AS active FROM video__faces_active \gset
SELECT feature, samples, rows FROM metaxy_delete_orphans('video/faces');
SELECT :active - count(*) AS swept FROM video__faces_active;
SELECT * FROM metaxy_orphan_counts('video/faces');
SELECT * FROM metaxy_undelete((SELECT max(id) FROM metaxy_deletions));
SELECT :active - count(*) AS swept FROM video__faces_active;
SELECT metaxy_unregister(feature) FROM metaxy_order(direction => 'upstream');
DROP TABLE video__raw, video__chunk, video__transcript, video__faces, video__summary, training_set__clip,
	metaxy_system__feature_versions;

SET client_min_messages = warning;
DROP SCHEMA metaxy_orphans CASCADE;
