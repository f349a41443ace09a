--
-- The view of active samples: INSERT, UPDATE, DELETE, with RETURNING
--
CREATE SCHEMA metaxy_active;
SET search_path = metaxy_active, public;
SET client_min_messages = warning;

CREATE TABLE video (video_id text, size integer, note text DEFAULT 'none',
	twice integer GENERATED ALWAYS AS (size * 2) STORED);
SELECT metaxy_register('video', 'video', '{video_id}', 'v1');

-- what is in the table, in the order of the clock
CREATE VIEW history AS
SELECT video_id, size, note, twice, metaxy_feature_version AS version,
	   metaxy_deleted_at IS NOT NULL AS deleted,
	   dense_rank() OVER (ORDER BY coalesce(metaxy_deleted_at, metaxy_updated_at)) AS stamp
  FROM video;
CREATE VIEW ledger AS
SELECT kind, features, soft, cascade, options, samples, "rows"
  FROM metaxy_deletions ORDER BY id DESC LIMIT 1;

--
-- One of each
--
INSERT INTO video_active (video_id, size) VALUES ('a', 1), ('b', 2), ('c', 3)
RETURNING video_id, size, note, twice, metaxy_feature_version,
	metaxy_created_at = metaxy_updated_at AS new, metaxy_deleted_at;
SELECT * FROM ledger;
UPDATE video_active SET size = size + 10 WHERE size > 1
RETURNING video_id, size, twice, metaxy_created_at < metaxy_updated_at AS again;
SELECT * FROM ledger;
DELETE FROM video_active WHERE video_id IN ('a', 'c') RETURNING video_id, size, metaxy_deleted_at;
SELECT * FROM ledger;
SELECT * FROM history ORDER BY stamp, video_id;
SELECT video_id FROM video_active ORDER BY 1;

SELECT metaxy_unregister('video');
DROP SCHEMA metaxy_active CASCADE;
