/*
 * A table to read, :table: of :samples samples, one half has been deleted and
 * written again ten times, each time by everyday statements that committed.
 * The first five deletes were for good and have left dead rows, the others
 * were soft and have left tombstones.  It has been vacuumed if its name says so.
 */
\set ON_ERROR_STOP on
SELECT to_regclass(:'table') IS NULL AS missing,
	   :'table' LIKE '%vacuumed' AS vacuumed \gset
\if :missing
SET client_min_messages = warning;
CREATE TABLE :table (
	id text NOT NULL, grp integer NOT NULL, tag integer NOT NULL, name text,
	payload jsonb,
	metaxy_feature_version text NOT NULL,
	metaxy_created_at timestamptz NOT NULL,
	metaxy_updated_at timestamptz NOT NULL,
	metaxy_deleted_at timestamptz) WITH (autovacuum_enabled = off);
SELECT metaxy_register(:'table', :'table', '{id}', 'v1');
CREATE INDEX ON :table (tag);

CREATE PROCEDURE pg_temp.write(relation regclass, n bigint, rev integer, half boolean)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('
		INSERT INTO %s (id, grp, tag, name, payload)
		SELECT ''id-'' || lpad(i::text, 9, ''0''), i %% 10, (i * 7 + $2) %% 1000,
			   ''name of '' || i || '' rev '' || $2, bench_payload(i, $2)
		  FROM generate_series(1, $1) AS i
		 WHERE NOT $3 OR i %% 10 < 5', relation)
		USING n, rev, half;
END $$;
CREATE PROCEDURE pg_temp.churn(relation regclass, n bigint)
LANGUAGE plpgsql AS $$
BEGIN
	CALL pg_temp.write(relation, n, 1, false);
	COMMIT;
	EXECUTE format('ANALYZE %s', relation);
	FOR rev IN 2 .. 11 LOOP
		PERFORM metaxy_delete(relation::text, 'grp < 5', soft => rev > 6);
		COMMIT;
		CALL pg_temp.write(relation, n, rev, true);
		COMMIT;
	END LOOP;
END $$;
CALL pg_temp.churn(:'table', :samples);
\if :vacuumed
VACUUM (ANALYZE) :table;
\else
ANALYZE :table;
\endif
\endif
