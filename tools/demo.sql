--
-- What metaxy does, on the store of a small video project.  Its six tables
-- hold a feature each: one row for each version of a sample, appended by
-- Metaxy, never changed and never removed.
--

-- 1. Metaxy left its graph of features in a table of its own.  Take it over:
--    that registers the tables and gives each one views of its latest rows.

CREATE EXTENSION metaxy;

SELECT feature, relation, action FROM metaxy_sync();

-- 2. What is made from what, as a tree.

SELECT metaxy_graph('tree') \g (format=unaligned tuples_only=on)

-- 3. Of each video the latest row of the current version counts, and only
--    while it is no tombstone: that is what the active view shows.  Below,
--    the same for all features.

SELECT (SELECT count(*) FROM video__raw_active) AS active_videos,
       (SELECT count(*) FROM video__raw_deleted) AS deleted_videos,
       (SELECT count(*) FROM video__raw) AS all_rows;

SELECT feature, active, deleted, "rows" FROM metaxy_status();

-- 4. Video v005 is to go, with everything made from it.  Preview that first:
--    a dry run finds the same samples in the same order and writes nothing.

SELECT step, feature, samples, "rows"
  FROM metaxy_delete('video/raw', $$video_id = 'v005'$$,
                     cascade => 'downstream', dry_run => true);

-- 5. Now for real, as a soft delete: one tombstone for each sample, all in
--    one transaction and with one stamp.

SELECT step, feature, samples, "rows", deletion_id
  FROM metaxy_delete('video/raw', $$video_id = 'v005'$$,
                     cascade => 'downstream', reason => 'out of focus');

-- 6. Look again: the active views hide it, and no row was removed; the
--    tables have grown by the tombstones.

SELECT (SELECT count(*) FROM video__raw_active
         WHERE video_id = 'v005') AS active,
       (SELECT count(*) FROM video__raw_deleted
         WHERE video_id = 'v005') AS deleted,
       (SELECT count(*) FROM video__raw
         WHERE video_id = 'v005') AS all_rows;

SELECT feature, active, deleted, "rows" FROM metaxy_status();

-- 7. Video v007 has to be erased: a hard delete removes each row of it and
--    of everything made from it, here those of former feature versions too.

SELECT step, feature, samples, "rows", deletion_id
  FROM metaxy_delete('video/raw', $$video_id = 'v007'$$, soft => false,
                     cascade => 'downstream', with_feature_history => true,
                     reason => 'its owner asked for it');

SELECT (SELECT count(*) FROM video__raw
         WHERE video_id = 'v007') AS videos_left,
       (SELECT count(*) FROM video__chunk
         WHERE video_id = 'v007') AS chunks_left;

SELECT feature, active, deleted, "rows" FROM metaxy_status();

-- 8. The ledger has both deletes, and what each did to which table.

SELECT id, features, filters, soft, reason, samples, "rows"
  FROM metaxy_deletions
 ORDER BY id;

SELECT deletion_id, step, relation_name, samples, "rows"
  FROM metaxy_deletion_steps
 ORDER BY deletion_id, step;
