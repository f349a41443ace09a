--
-- metaxy_depend and metaxy_undepend: what is written down, which columns join
--
CREATE ROLE regress_metaxy_owner;
CREATE ROLE regress_metaxy_friend;
CREATE SCHEMA dep AUTHORIZATION regress_metaxy_owner;
SET search_path = dep, public;
SET client_min_messages = warning;
GRANT USAGE, CREATE ON SCHEMA dep TO regress_metaxy_friend;
SET ROLE regress_metaxy_owner;
\pset null -

CREATE TABLE raw (video_id text, camera text);
CREATE TABLE chunk (chunk_id text, video_id varchar(10), path text);
CREATE TABLE faces (chunk_id text, path text);
CREATE TABLE clip (clip_id varchar, part int, source text);
CREATE TABLE summary (video_id varchar);
SELECT metaxy_register('video/raw', 'raw', '{video_id}'), metaxy_register('video/chunk', 'chunk', '{chunk_id}'),
       metaxy_register('video/faces', 'faces', '{chunk_id}'), metaxy_register('clip', 'clip', '{clip_id,part}'),
       metaxy_register('summary', 'summary', '{video_id}');

-- every lineage, with and without columns and names
SELECT metaxy_depend('video/chunk', 'video/raw', '1:N');
SELECT metaxy_depend('video/faces', 'video/chunk');
SELECT metaxy_depend('clip', 'video/faces', '1:1', rename => '{"chunk_id": "clip_id", "path": "source"}', optional => true);
SELECT metaxy_depend('clip', 'video/chunk', '1:n', '{path}', '{"path": "source"}');
SELECT metaxy_depend('summary', 'video/chunk', 'N:1');
SELECT metaxy_depend('clip', 'summary', 'N:1', '{video_id}', '{"video_id": "source"}');
SELECT * FROM metaxy_dependency ORDER BY feature, upstream;

-- again, just so: nothing is written; renames and columns have no order
SELECT metaxy_undepend('clip', 'video/chunk');
SELECT metaxy_depend('clip', 'video/chunk', '1:N', '{path,chunk_id}', '{"path": "source", "chunk_id": "clip_id"}');
BEGIN;
SELECT metaxy_depend('clip', 'video/chunk', '1:N', '{chunk_id,path}', '{"chunk_id": "clip_id", "path": "source"}');
SELECT metaxy_depend('video/chunk', 'video/raw', '1:N', rename => '{}');
SELECT metaxy_depend('summary', 'video/chunk', 'N:1', optional => false);
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
COMMIT;

-- undepend, and a different edge in its place
SELECT metaxy_undepend('clip', 'video/chunk');
SELECT metaxy_depend('clip', 'video/chunk', optional => true, rename => '{"chunk_id": "clip_id"}');
SELECT * FROM metaxy_dependency WHERE upstream = 'video/chunk' ORDER BY feature;

-- types need not be the same, as long as they compare
CREATE TABLE small (id smallint, at date);
CREATE TABLE large (id bigint, at timestamptz);
SELECT metaxy_register('small', 'small', '{id,at}'), metaxy_register('large', 'large', '{id,at}');
SELECT metaxy_depend('large', 'small');

-- edges may meet again below
SELECT metaxy_undepend(feature, upstream) FROM metaxy_dependency;
SELECT metaxy_depend('video/faces', 'video/chunk'), metaxy_depend('clip', 'video/faces', rename => '{"chunk_id": "clip_id"}'),
       metaxy_depend('clip', 'video/chunk', rename => '{"chunk_id": "clip_id"}');

-- a feature that lost its table keeps its edges; ones that need columns of it
-- are taken on trust, and are checked when it has a table again
DROP TABLE faces CASCADE;
SELECT metaxy_undepend('clip', 'video/faces');
SELECT metaxy_depend('clip', 'video/faces', '1:N', '{anything}', '{"anything": "source"}');
SELECT feature, upstream, on_columns FROM metaxy_dependency ORDER BY 1, 2;
CREATE TABLE faces (chunk_id text, anything text);
SELECT metaxy_register('video/faces', 'faces', '{chunk_id}');

-- REFERENCES on somebody else's upstream is enough, of the columns as well
CREATE TABLE theirs (video_id text, note text);
ALTER TABLE theirs OWNER TO regress_metaxy_owner;
RESET ROLE;
CREATE TABLE mine (video_id text);
ALTER TABLE mine OWNER TO regress_metaxy_friend;
GRANT REFERENCES ON theirs TO regress_metaxy_friend;
GRANT REFERENCES (camera, video_id) ON raw TO regress_metaxy_friend;
SET ROLE regress_metaxy_owner;
SELECT metaxy_register('theirs', 'theirs', '{video_id}');
SET ROLE regress_metaxy_friend;
SELECT metaxy_register('mine', 'mine', '{video_id}');
SELECT metaxy_depend('mine', 'theirs'), metaxy_depend('mine', 'video/raw');
-- what is there already needs no right on the upstream table any longer
RESET ROLE;
REVOKE ALL ON theirs, raw FROM regress_metaxy_friend;
SET ROLE regress_metaxy_friend;
SELECT metaxy_depend('mine', 'theirs');
SELECT metaxy_undepend('mine', 'theirs');

-- unregistering a feature takes the edges to its own upstream along
SELECT metaxy_unregister('mine');
SELECT count(*) FROM metaxy_dependency WHERE feature = 'mine';

RESET ROLE;
SELECT metaxy_undepend(feature, upstream) FROM metaxy_dependency;
SELECT metaxy_unregister(feature) FROM metaxy_feature;
DROP SCHEMA dep CASCADE;
DROP ROLE regress_metaxy_owner, regress_metaxy_friend;
