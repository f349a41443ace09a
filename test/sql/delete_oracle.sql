--
-- metaxy_delete against a reference
--
-- Small random stores: up to five features, a random graph of random edges,
-- rows of random versions, with ties, tombstones, NULLs in join columns.  A
-- random request on each is answered twice: by metaxy_delete, in a dry run and
-- in a real one, and by the reference below, which finds the same in the
-- slowest and plainest way: one set after the other, in tables.
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
CREATE SCHEMA metaxy_oracle;
SET search_path = metaxy_oracle, public;
SET client_min_messages = error;	-- warnings name features outside
SET jit = off;

-- Tables of the features.  Columns that an edge joins have different types, of
-- which only integers can be hashed together; rows of one sample of t3 may lie
-- in different partitions.
CREATE TABLE t1 (a int4 NOT NULL, b int8 NOT NULL, x int4, y date, n int);
CREATE TABLE t2 (a int8 NOT NULL, b int4 NOT NULL, x int8, y timestamp, n int);
CREATE TABLE t3 (a int2 NOT NULL, b int8 NOT NULL, x int4, y timestamptz, n int)
	PARTITION BY HASH (n);
CREATE TABLE t3_0 PARTITION OF t3 FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE t3_1 PARTITION OF t3 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE t3_2 PARTITION OF t3 FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE t4 (n int, y date, x int2, b int4 NOT NULL, a int4 NOT NULL);
CREATE TABLE t5 (a int8 NOT NULL, b int8 NOT NULL, x int8, y timestamp, n int);
DO $$
BEGIN
	FOR i IN 1 .. 5 LOOP
		EXECUTE format('ALTER TABLE t%s
			ADD metaxy_created_at timestamptz NOT NULL,
			ADD metaxy_updated_at timestamptz NOT NULL,
			ADD metaxy_deleted_at timestamptz,
			ADD metaxy_feature_version text NOT NULL', i);
	END LOOP;
END $$;

CREATE VIEW every_row AS
		  SELECT 't1'::regclass AS rel, tableoid AS toid, ctid AS place, xmin::text AS writer, to_jsonb(t1) AS j FROM t1
UNION ALL SELECT 't2'::regclass, tableoid, ctid, xmin::text, to_jsonb(t2) FROM t2
UNION ALL SELECT 't3'::regclass, tableoid, ctid, xmin::text, to_jsonb(t3) FROM t3
UNION ALL SELECT 't4'::regclass, tableoid, ctid, xmin::text, to_jsonb(t4) FROM t4
UNION ALL SELECT 't5'::regclass, tableoid, ctid, xmin::text, to_jsonb(t5) FROM t5;

--
-- A store
--
-- Keys whose order by parts is not that of their bytes, nor that of the tables.
CREATE TABLE node (key text, rel regclass, place int,
	ids text[], version text, has_table boolean);
INSERT INTO node (key, rel) VALUES
	('w/d', 't1'), ('w-x/a', 't2'), ('w/d/e', 't3'), ('W/z', 't4'), ('w/b', 't5');
CREATE TABLE edge (id int, down text, up text, lineage text,
	on_columns text[], rename jsonb, optional boolean, down_columns text[], up_columns text[]);
CREATE TABLE old_row (key text, toid oid, place tid, writer text, j jsonb,
	sample jsonb, version text, live boolean, recency timestamptz);
-- What a row brings to an edge: the values of its join columns, NULL if one is
-- NULL; of dates and timestamps the day.
CREATE TABLE meets (edge int, below boolean, toid oid, place tid, value text);

CREATE FUNCTION any_of(anyarray) RETURNS anyelement LANGUAGE sql VOLATILE AS
	'SELECT $1[1 + floor(random() * cardinality($1))::int]';
CREATE FUNCTION chance(float) RETURNS boolean LANGUAGE sql VOLATILE AS
	'SELECT random() < $1';

CREATE FUNCTION values_of(j jsonb, columns text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
	'SELECT jsonb_agg(j -> c ORDER BY o) FROM unnest(columns) WITH ORDINALITY AS u (c, o)';

-- the name that an upstream column has in the feature
CREATE FUNCTION renamed(c text, rename jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS
	'SELECT coalesce(rename ->> c, c)';

CREATE PROCEDURE make_graph() LANGUAGE plpgsql AS $$
DECLARE
	feature node;
	pair record;
	new edge;
BEGIN
	PERFORM metaxy_undepend(down, up) FROM edge;
	DELETE FROM edge;
	FOR feature IN SELECT * FROM node ORDER BY key LOOP
		feature.place := (random() * 1000)::int;
		feature.ids := CASE (random() * 5)::int
			WHEN 0 THEN '{b}' WHEN 1 THEN '{a,b}' WHEN 2 THEN '{b,a}' ELSE '{a}' END;
		feature.version := CASE WHEN chance(0.75) THEN any_of(ARRAY['v1', 'v2']) END;
		PERFORM metaxy_register(feature.key, feature.rel, feature.ids, feature.version, views => false,
			indexes => false, replace => true);
		UPDATE node SET place = feature.place, ids = feature.ids,
			version = feature.version, has_table = true WHERE key = feature.key;
	END LOOP;

	-- edges run from smaller to greater places
	FOR pair IN SELECT d.key AS down, u.key AS up FROM node AS d, node AS u
		WHERE (u.place, u.key) < (d.place, d.key) ORDER BY 1, 2
	LOOP
		CONTINUE WHEN chance(0.4);
		new := NULL;
		new.id := (SELECT count(*) FROM edge);
		new.down := pair.down;
		new.up := pair.up;
		new.lineage := any_of(ARRAY['1:1', '1:N', '1:N', 'N:1', 'N:1']);
		new.optional := chance(0.25);
		new.rename := CASE (random() * 10)::int
			WHEN 0 THEN '{"a": "x"}' WHEN 1 THEN '{"a": "b", "b": "a"}'
			WHEN 2 THEN '{"x": "b"}' WHEN 3 THEN '{"a": "b"}'
			WHEN 4 THEN '{"x": "a", "b": "x"}' END::jsonb;
		IF new.lineage <> '1:1' AND chance(0.7) THEN
			new.on_columns := CASE (random() * 8)::int
				WHEN 0 THEN '{a,b}' WHEN 1 THEN '{x,y}' WHEN 2 THEN '{a,x}'
				WHEN 3 THEN '{b}' WHEN 4 THEN '{y}' WHEN 5 THEN '{y}' ELSE '{x}' END::text[];
		END IF;
		CALL add_edge(new);
	END LOOP;

	-- at times one has no table, as after DROP TABLE
	IF chance(0.1) THEN
		SELECT * INTO feature FROM (SELECT * FROM node ORDER BY key) AS n ORDER BY random() LIMIT 1;
		UPDATE node SET has_table = false WHERE key = feature.key;
		UPDATE metaxy_feature AS f SET relation = NULL WHERE f.relation = feature.rel;
	END IF;
END $$;

-- An edge that cannot be is left out; that is not tested here.
CREATE PROCEDURE add_edge(new edge) LANGUAGE plpgsql AS $$
DECLARE
	up_ids text[] := (SELECT ids FROM node WHERE key = new.up);
	down_ids text[] := (SELECT ids FROM node WHERE key = new.down);
BEGIN
	BEGIN
		PERFORM metaxy_depend(new.down, new.up, new.lineage, new.on_columns, new.rename, new.optional);
	EXCEPTION WHEN undefined_column OR invalid_object_definition OR invalid_parameter_value THEN
		RETURN;
	END;
	CASE
		WHEN new.lineage = '1:1' THEN
			new.up_columns := ARRAY(SELECT c FROM unnest(up_ids) AS c
				WHERE renamed(c, new.rename) = ANY (down_ids) ORDER BY c);
		WHEN new.on_columns IS NOT NULL THEN
			new.up_columns := new.on_columns;
		WHEN new.lineage = '1:N' THEN
			new.up_columns := up_ids;
		ELSE
			new.down_columns := down_ids;
			new.up_columns := ARRAY(SELECT coalesce(
				(SELECT key FROM jsonb_each_text(new.rename) WHERE value = c), c)
				FROM unnest(down_ids) WITH ORDINALITY AS u (c, o) ORDER BY o);
	END CASE;
	IF new.down_columns IS NULL THEN
		new.down_columns := ARRAY(SELECT renamed(c, new.rename)
			FROM unnest(new.up_columns) WITH ORDINALITY AS u (c, o) ORDER BY o);
	END IF;
	INSERT INTO edge VALUES (new.*);
END $$;

CREATE PROCEDURE make_rows() LANGUAGE plpgsql AS $$
DECLARE
	feature node;
	soon timestamptz := date_trunc('minute', now()) + interval '2 minutes';
BEGIN
	FOR feature IN SELECT * FROM node ORDER BY key LOOP
		EXECUTE format('DELETE FROM %s', feature.rel);
		EXECUTE format($q$
			INSERT INTO %s (a, b, x, y, n, metaxy_created_at, metaxy_updated_at,
				metaxy_deleted_at, metaxy_feature_version)
			SELECT any_of(ARRAY[0, 1, 2, 3]), any_of(ARRAY[0, 1, 1, 2]),
				any_of(ARRAY[NULL, 0, 1, 2]), '2024-01-01'::date + any_of(ARRAY[NULL, 0, 1, 1]),
				any_of(ARRAY[NULL, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
				'2024-01-01Z',
				CASE WHEN chance(0.05) THEN $1
					ELSE '2024-01-01Z'::timestamptz + any_of(ARRAY[1, 2, 3, 4]) * interval '1 day' END,
				CASE WHEN chance(0.02) THEN $1 WHEN chance(0.2) THEN
					'2024-01-01Z'::timestamptz + any_of(ARRAY[1, 2, 3, 4]) * interval '1 day' END,
				any_of(ARRAY['v1', 'v1', 'v2', 'v2', 'v3'])
			FROM generate_series(1, $2)$q$, feature.rel)
		USING soon, (random() * 15)::int;
	END LOOP;

	DELETE FROM old_row;
	INSERT INTO old_row
		SELECT n.key, r.toid, r.place, r.writer, r.j, values_of(r.j, n.ids),
			r.j ->> 'metaxy_feature_version', r.j ->> 'metaxy_deleted_at' IS NULL,
			coalesce(r.j ->> 'metaxy_deleted_at', r.j ->> 'metaxy_updated_at')::timestamptz
		FROM every_row AS r JOIN node AS n USING (rel);
	DELETE FROM meets;
	INSERT INTO meets
		SELECT e.id, below, r.toid, r.place,
			(SELECT CASE WHEN count(*) = count(r.j ->> u) THEN string_agg(left(r.j ->> u, 10), ' ' ORDER BY o) END
			 FROM unnest(c) WITH ORDINALITY AS v (u, o))
		FROM edge AS e
		CROSS JOIN LATERAL (VALUES (true, e.down, e.down_columns), (false, e.up, e.up_columns)) AS s (below, key, c)
		JOIN old_row AS r ON r.key = s.key;
END $$;

--
-- A request
--
CREATE TYPE request AS (names text[], filters text[], soft boolean, cascade text,
	feature_history boolean, sample_history boolean, version text, partial text);

CREATE FUNCTION make_request() RETURNS request LANGUAGE plpgsql AS $$
DECLARE
	r request;
	filters text[] := ARRAY['n < 5', 'a = 1', 'x IS NULL', 'n % 2 = 0 OR y = ''2024-01-02''', 'true', 'b > 0',
		'metaxy_feature_version = ''v1''', 'NULL', 'n > 2 AND NOT x = 1', 'a IN (1, 2)', 'x = b',
		'metaxy_updated_at < ''2024-01-03Z''', 'metaxy_deleted_at IS NULL', 'metaxy_deleted_at IS NOT NULL'];
BEGIN
	r.names := ARRAY(SELECT key FROM (SELECT key FROM node WHERE has_table ORDER BY key) AS n ORDER BY random()
		LIMIT CASE WHEN chance(0.8) THEN 1 ELSE 2 END);
	r.filters := CASE (random() * 9)::int
		WHEN 0 THEN NULL WHEN 1 THEN NULL
		WHEN 2 THEN ARRAY[any_of(filters), any_of(filters)]
		ELSE ARRAY[any_of(filters)] END;
	r.soft := chance(0.6);
	r.cascade := any_of(ARRAY['none', 'downstream', 'downstream', 'upstream', 'both']);
	r.feature_history := chance(0.25);
	r.sample_history := chance(CASE WHEN r.soft THEN 0.15 ELSE 0.35 END);
	IF r.sample_history AND NOT r.soft THEN
		r.cascade := 'none';
	END IF;
	IF NOT r.feature_history AND chance(0.25) AND NOT EXISTS
		(SELECT FROM node WHERE key = ANY (r.names) AND version IS NULL)
	THEN
		r.version := any_of(ARRAY['v1', 'v2', 'v3', 'v9']);
	END IF;
	r.partial := CASE WHEN chance(0.2) THEN 'delete' ELSE 'keep' END;
	RETURN r;
END $$;

--
-- The reference
--
CREATE TABLE member (key text, named boolean, above boolean, whole boolean, step int);
CREATE TABLE hit (toid oid, place tid);				-- rows that match the filters
CREATE TABLE seen (LIKE old_row, edges text);		-- rows in scope that a delete looks at
CREATE TABLE seed (key text, sample jsonb);		-- doomed on the way up
CREATE TABLE doomed (key text, sample jsonb);
CREATE TABLE stale (key text, sample jsonb);
CREATE TABLE target (key text, toid oid, place tid);	-- rows to copy or to remove
CREATE TABLE in_scope (LIKE old_row, rank bigint);

-- Features that take part, and their order.
CREATE PROCEDURE choose_members(r request) LANGUAGE plpgsql AS $$
DECLARE
	smallest text;
BEGIN
	DELETE FROM member;
	INSERT INTO member
		WITH RECURSIVE above (key) AS (
			SELECT unnest(r.names) WHERE r.cascade IN ('upstream', 'both')
			UNION SELECT e.up FROM above AS a JOIN edge AS e ON e.down = a.key
		), below (key) AS (
			SELECT unnest(r.names) WHERE r.cascade IN ('downstream', 'both')
			UNION SELECT e.down FROM below AS b JOIN edge AS e ON e.up = b.key
		)
		SELECT key, key = ANY (r.names), key IN (SELECT key FROM above), false
		FROM (SELECT unnest(r.names) UNION SELECT * FROM above UNION SELECT * FROM below) AS m (key);

	-- root to leaf: the smallest key whose parents have gone before
	FOR i IN 1 .. (SELECT count(*) FROM member) LOOP
		SELECT key INTO STRICT smallest FROM member AS m
			WHERE step IS NULL AND NOT EXISTS (
				SELECT FROM edge AS e JOIN member AS p ON p.key = e.up
				WHERE e.down = m.key AND p.step IS NULL)
			ORDER BY string_to_array(key COLLATE "C", '/') LIMIT 1;
		UPDATE member SET step = i WHERE key = smallest;
	END LOOP;
END $$;

-- The scope of each member, with the latest row of each sample ranked 1, and
-- those latest rows that count: active ones, or all in a hard delete.
CREATE PROCEDURE look(r request) LANGUAGE plpgsql AS $$
DECLARE
	feature node;
BEGIN
	DELETE FROM in_scope;
	INSERT INTO in_scope
		SELECT o.*, row_number() OVER (PARTITION BY o.key, o.sample
			ORDER BY o.recency DESC, o.live, o.toid DESC, o.place DESC)
		FROM old_row AS o JOIN member AS m USING (key) JOIN node AS n USING (key)
		WHERE n.has_table AND (n.version IS NULL OR r.feature_history OR
			o.version = CASE WHEN m.named AND r.version IS NOT NULL THEN r.version ELSE n.version END);
	DELETE FROM seen;
	INSERT INTO seen
		SELECT (s).key, (s).toid, (s).place, (s).writer, (s).j, (s).sample, (s).version, (s).live, (s).recency
		FROM in_scope AS s WHERE rank = 1 AND (live OR NOT r.soft);

	DELETE FROM hit;
	FOR feature IN SELECT * FROM node WHERE key = ANY (r.names) LOOP
		EXECUTE format('INSERT INTO hit SELECT tableoid, ctid FROM %s WHERE %s', feature.rel,
			coalesce((SELECT string_agg('(' || f || ')', ' AND ') FROM unnest(r.filters) AS f), 'true'));
	END LOOP;
END $$;

-- Samples that the request itself names.
CREATE FUNCTION asked(r request) RETURNS TABLE (key text, sample jsonb) LANGUAGE sql AS $$
	SELECT s.key, s.sample FROM seen AS s
	WHERE s.key = ANY (r.names) AND CASE
		WHEN r.soft AND r.sample_history THEN EXISTS
			(SELECT FROM in_scope AS o JOIN hit USING (toid, place)
			 WHERE o.key = s.key AND o.sample = s.sample AND o.live)
		ELSE EXISTS (SELECT FROM hit AS h WHERE h.toid = s.toid AND h.place = s.place) END
$$;

-- Pairs of samples that an edge joins.
CREATE FUNCTION family(e int) RETURNS TABLE (child jsonb, parent jsonb, value text) LANGUAGE sql AS $$
	SELECT c.sample, p.sample, mc.value
	FROM meets AS mc JOIN seen AS c USING (toid, place),
		 meets AS mp JOIN seen AS p USING (toid, place)
	WHERE mc.edge = e AND mc.below AND mp.edge = e AND NOT mp.below AND mc.value = mp.value
$$;

CREATE PROCEDURE find(r request) LANGUAGE plpgsql AS $$
DECLARE
	feature member;
	rule edge;
	descends boolean := r.cascade IN ('downstream', 'both');
BEGIN
	-- up, from leaf to root: parents of what is doomed
	DELETE FROM seed;
	INSERT INTO seed SELECT * FROM asked(r);
	FOR feature IN SELECT * FROM member WHERE above ORDER BY step DESC LOOP
		FOR rule IN SELECT * FROM edge WHERE up = feature.key AND down IN (SELECT key FROM member WHERE above) LOOP
			INSERT INTO seed SELECT feature.key, f.parent FROM family(rule.id) AS f
				WHERE f.child IN (SELECT sample FROM seed WHERE key = rule.down);
		END LOOP;
	END LOOP;

	-- down, from root to leaf
	DELETE FROM doomed;
	DELETE FROM stale;
	UPDATE member SET whole = named AND r.filters IS NULL;
	FOR feature IN SELECT * FROM member ORDER BY step LOOP
		INSERT INTO doomed SELECT * FROM seed WHERE key = feature.key;
		CONTINUE WHEN r.cascade = 'none';
		IF descends AND EXISTS (SELECT FROM edge AS d JOIN member AS p ON p.key = d.up
			WHERE d.down = feature.key AND p.whole AND NOT d.optional)
		THEN
			UPDATE member SET whole = true WHERE key = feature.key;
			INSERT INTO doomed SELECT key, sample FROM seen WHERE key = feature.key;
		END IF;
		FOR rule IN SELECT * FROM edge WHERE down = feature.key AND up IN (SELECT key FROM member) LOOP
			-- a child of a doomed parent is doomed, or else stale
			INSERT INTO stale SELECT feature.key, f.child FROM family(rule.id) AS f
				WHERE f.parent IN (SELECT sample FROM doomed WHERE key = rule.up);
			CONTINUE WHEN rule.optional OR NOT descends;
			INSERT INTO doomed SELECT feature.key, f.child FROM family(rule.id) AS f
				WHERE f.parent IN (SELECT sample FROM doomed WHERE key = rule.up)
				AND (rule.lineage <> 'N:1' OR NOT EXISTS (
					SELECT FROM family(rule.id) AS o
					JOIN seen AS p ON p.key = rule.up AND p.sample = o.parent AND p.live
					WHERE o.child = f.child AND
						o.parent NOT IN (SELECT sample FROM doomed WHERE key = rule.up)));
		END LOOP;
		IF r.partial = 'delete' THEN
			INSERT INTO doomed SELECT key, sample FROM stale WHERE key = feature.key;
		END IF;
	END LOOP;
	DELETE FROM stale AS s WHERE EXISTS
		(SELECT FROM doomed AS d WHERE d.key = s.key AND d.sample = s.sample);
	DELETE FROM stale AS s WHERE NOT EXISTS
		(SELECT FROM seen AS l WHERE l.key = s.key AND l.sample = s.sample AND l.live);
END $$;

-- Rows that a soft delete copies, or that a hard one removes.
CREATE PROCEDURE find_targets(r request) LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM target;
	IF NOT r.soft THEN
		INSERT INTO target SELECT s.key, s.toid, s.place FROM in_scope AS s
			WHERE (s.key, s.sample) IN (SELECT * FROM doomed);
	ELSE
		INSERT INTO target SELECT s.key, s.toid, s.place FROM seen AS s JOIN node AS n USING (key)
			WHERE (s.key, s.sample) IN (SELECT * FROM doomed)
			AND NOT (r.feature_history AND n.version IS NOT NULL);
		-- over all versions: the latest row of each, where it is live
		INSERT INTO target SELECT v.key, v.toid, v.place FROM
			(SELECT s.*, row_number() OVER (PARTITION BY s.key, s.sample, s.version
				ORDER BY s.recency DESC, s.live, s.toid DESC, s.place DESC) AS rank_of_version
			 FROM in_scope AS s JOIN node AS n USING (key)
			 WHERE (s.key, s.sample) IN (SELECT * FROM doomed)
			 AND r.feature_history AND n.version IS NOT NULL) AS v
			WHERE rank_of_version = 1 AND live;
	END IF;
END $$;

-- A hard delete of single rows; true if an older row would be seen again.
CREATE FUNCTION find_single_rows(r request) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM stale;
	DELETE FROM doomed;
	DELETE FROM target;
	INSERT INTO target SELECT s.key, s.toid, s.place FROM in_scope AS s JOIN hit USING (toid, place);
	INSERT INTO doomed SELECT s.key, s.sample FROM in_scope AS s JOIN target USING (toid, place);
	RETURN EXISTS (
		SELECT FROM
			(SELECT DISTINCT ON (s.key, s.sample) s.live, s.rank FROM in_scope AS s
			 WHERE NOT EXISTS (SELECT FROM target AS t WHERE t.toid = s.toid AND t.place = s.place)
			 ORDER BY s.key, s.sample, s.rank) AS first_left
		WHERE live AND rank > 1);
END $$;

-- What metaxy_delete should return, or the state of its error.
CREATE FUNCTION reference(r request) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	CALL choose_members(r);
	CALL look(r);
	IF NOT r.soft AND r.sample_history AND r.filters IS NOT NULL THEN
		IF find_single_rows(r) THEN
			RETURN '"55000"';
		END IF;
	ELSE
		CALL find(r);
		CALL find_targets(r);
	END IF;
	RETURN (
		SELECT jsonb_agg(jsonb_build_array(m.key,
			(SELECT count(DISTINCT d.sample) FROM doomed AS d WHERE d.key = m.key),
			(SELECT count(*) FROM target AS t WHERE t.key = m.key),
			(SELECT count(DISTINCT s.sample) FROM stale AS s WHERE s.key = m.key))
			ORDER BY CASE WHEN r.cascade IN ('upstream', 'both') THEN step ELSE -step END)
		FROM member AS m);
END $$;

--
-- The same by metaxy_delete
--
CREATE TYPE answer AS (result jsonb, digest text, stamp timestamptz, id bigint, fault text);

CREATE FUNCTION ask(r request, dry boolean, expected text) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
	a answer;
	call text;
	faults text[];
BEGIN
	-- one form or the other, and plans of all kinds
	call := CASE WHEN cardinality(r.names) = 1 AND coalesce(cardinality(r.filters), 0) <= 1
		THEN 'metaxy_delete(($1).names[1], ($1).filters[1], '
		ELSE 'metaxy_delete(($1).names, ($1).filters, ' END ||
		'($1).soft, ($1).cascade, $2, ($1).feature_history, ($1).sample_history, ($1).version,
		($1).filters IS NULL, ($1).partial, expect => $3)';
	PERFORM set_config('enable_hashjoin', chance(0.7)::text, true),
		set_config('enable_mergejoin', chance(0.7)::text, true),
		set_config('enable_nestloop', chance(0.7)::text, true),
		set_config('enable_hashagg', chance(0.7)::text, true);
	EXECUTE format($q$
		SELECT jsonb_agg(jsonb_build_array(feature, samples, "rows", stale) ORDER BY o),
			min(digest), min(stamp), min(deletion_id),
			ARRAY[CASE WHEN NOT bool_and(step = o) THEN 'steps' END,
				CASE WHEN NOT bool_and($2 = (stamp IS NULL) AND $2 = (deletion_id IS NULL)) THEN 'NULLs' END,
				CASE WHEN count(DISTINCT (digest, stamp, deletion_id)) <> 1 THEN 'rows differ' END]
		FROM %s WITH ORDINALITY
			AS d (step, feature, relation, samples, "rows", stale, deletion_id, stamp, digest, o)$q$, call)
		INTO a.result, a.digest, a.stamp, a.id, faults USING r, dry, expected;
	PERFORM set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true),
		set_config('enable_nestloop', 'on', true), set_config('enable_hashagg', 'on', true);
	a.fault := nullif(array_to_string(faults, ', '), '');
	RETURN a;
EXCEPTION WHEN others THEN
	a.result := to_jsonb(SQLSTATE);
	a.fault := CASE WHEN SQLSTATE <> '55000' THEN SQLERRM END;
	RETURN a;
END $$;

-- The tables after a real run, row by row; NULL if all is as it should be.
CREATE FUNCTION look_again(r request, a answer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	-- rows that are gone, or were changed
	SELECT count(*) INTO n FROM old_row AS o
		WHERE NOT EXISTS (SELECT FROM every_row AS e WHERE e.toid = o.toid AND e.place = o.place
			AND e.writer = o.writer AND e.j = o.j)
		AND NOT (NOT r.soft AND EXISTS (SELECT FROM target AS t WHERE t.toid = o.toid AND t.place = o.place));
	IF n > 0 THEN
		RETURN n || ' old rows changed or gone';
	END IF;
	IF NOT r.soft THEN
		SELECT count(*) INTO n FROM every_row AS e
			WHERE NOT EXISTS (SELECT FROM old_row AS o WHERE e.toid = o.toid AND e.place = o.place)
			OR EXISTS (SELECT FROM target AS t WHERE t.toid = e.toid AND t.place = e.place);
		RETURN CASE WHEN n > 0 THEN n || ' rows new or not removed' END;
	END IF;

	-- new rows are copies of the rows that they hide
	SELECT count(*) INTO n FROM
		(SELECT jsonb_set(o.j, '{metaxy_deleted_at}', to_jsonb(a.stamp)) AS j, key, count(*)
		 FROM target JOIN old_row AS o USING (key, toid, place) GROUP BY 1, 2) AS wanted
		FULL JOIN
		(SELECT e.j, d.key, count(*) FROM every_row AS e JOIN node AS d USING (rel)
		 WHERE NOT EXISTS (SELECT FROM old_row AS o WHERE o.toid = e.toid AND o.place = e.place)
		 GROUP BY 1, 2) AS written
		USING (j, key, count)
		WHERE wanted.j IS NULL OR written.j IS NULL;
	IF n > 0 THEN
		RETURN n || ' tombstones missing, unwanted or not faithful';
	END IF;
	SELECT count(*) INTO n FROM target JOIN old_row AS o USING (key, toid, place)
		WHERE o.recency >= a.stamp;
	IF n > 0 THEN
		RETURN n || ' rows not below the stamp';
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION look_into_ledger(r request, a answer) RETURNS text LANGUAGE sql AS $$
	SELECT 'ledger differs' WHERE a.result IS DISTINCT FROM (
		SELECT jsonb_agg(jsonb_build_array(s.feature, s.samples, s."rows", s.stale) ORDER BY s.step)
		FROM metaxy_deletions AS d JOIN metaxy_deletion_steps AS s ON s.deletion_id = d.id
		WHERE d.id = a.id AND d.kind = 'delete' AND d.stamp = a.stamp AND d.soft = r.soft
		AND d.features = r.names AND d.filters IS NOT DISTINCT FROM r.filters AND d.cascade = r.cascade
		AND d.samples = (SELECT sum((x ->> 1)::int) FROM jsonb_array_elements(a.result) AS x)
		AND d."rows" = (SELECT sum((x ->> 2)::int) FROM jsonb_array_elements(a.result) AS x))
$$;

-- One case; NULL if both agree.
CREATE FUNCTION compare(r request, wanted jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry answer;
	wet answer;
	fault text;
BEGIN
	dry := ask(r, true, NULL);
	IF dry.result IS DISTINCT FROM wanted OR dry.fault IS NOT NULL THEN
		RETURN format('dry run: %s %s', dry.result, dry.fault);
	END IF;
	BEGIN
		wet := ask(r, false, dry.digest);
		IF wet.result IS DISTINCT FROM wanted OR wet.fault IS NOT NULL THEN
			fault := format('real run: %s %s', wet.result, wet.fault);
		ELSIF jsonb_typeof(wanted) = 'array' THEN
			fault := concat_ws(', ', look_again(r, wet), look_into_ledger(r, wet),
				CASE WHEN wet.digest <> dry.digest THEN 'digest differs' END);
		END IF;
		RAISE EXCEPTION USING ERRCODE = 'ZZ999';
	EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
		RETURN nullif(fault, '');
	END;
END $$;

-- What was met, so that no kind of case stays away unnoticed.
CREATE TABLE met (what text, times bigint);

CREATE TABLE tally (cases int, differ int);
CREATE TABLE first_fault (line int, what text, detail text);

-- All there is to know of a case, to repeat it by hand.
CREATE FUNCTION describe(r request, wanted jsonb, fault text) RETURNS SETOF first_fault LANGUAGE sql AS $$
	SELECT row_number() OVER (ORDER BY section, line)::int, what, detail FROM (
		VALUES (1, '', 'request', r::text), (2, '', 'wanted', wanted::text), (3, '', 'got', fault)
		UNION ALL SELECT 4, place::text, 'feature', n::text FROM node AS n
		UNION ALL SELECT 5, id::text, 'edge', e::text FROM edge AS e
		UNION ALL SELECT 6, key || sample::text || recency::text || (NOT live)::text || toid::text || place::text, key,
			concat_ws(' ', sample, version, recency, live, toid::regclass, place, j) FROM old_row
		UNION ALL SELECT DISTINCT 7, d::text, 'doomed', d::text FROM doomed AS d
		UNION ALL SELECT DISTINCT 8, s::text, 'stale', s::text FROM stale AS s
		) AS all_lines (section, line, what, detail)
$$;

CREATE PROCEDURE compare_many(stores int, requests int) LANGUAGE plpgsql AS $$
DECLARE
	r request;
	wanted jsonb;
	fault text;
	cases int := 0;
	faults int := 0;
BEGIN
	FOR i IN 1 .. stores LOOP
		CALL make_graph();
		CALL make_rows();
		FOR j IN 1 .. requests LOOP
			r := make_request();
			wanted := reference(r);
			fault := compare(r, wanted);
			cases := cases + 1;
			INSERT INTO met SELECT w, 1 FROM unnest(ARRAY[
				CASE WHEN r.soft THEN 'soft ' ELSE 'hard ' END || r.cascade,
				CASE WHEN wanted = '"55000"' THEN 'would resurrect' END,
				CASE WHEN EXISTS (SELECT FROM stale) THEN 'stale ' || r.cascade END,
				CASE WHEN EXISTS (SELECT FROM member WHERE whole AND NOT named) THEN 'whole below' END,
				CASE WHEN EXISTS (SELECT FROM member JOIN node USING (key) WHERE NOT has_table) THEN 'no table' END,
				CASE WHEN EXISTS (SELECT FROM target) THEN concat_ws(' ', CASE WHEN r.soft THEN 'soft' ELSE 'hard' END,
					CASE WHEN r.feature_history THEN 'feature history' WHEN r.version IS NOT NULL THEN 'version' END,
					CASE WHEN r.sample_history AND r.filters IS NOT NULL THEN 'sample history' END) END,
				CASE WHEN EXISTS (SELECT FROM doomed JOIN edge AS e ON e.down = doomed.key JOIN member AS m ON m.key = e.up
					WHERE e.lineage = 'N:1' AND r.partial = 'keep' AND NOT r.names && ARRAY[e.down]) THEN 'group' END
				]) AS w WHERE w IS NOT NULL;
			CONTINUE WHEN fault IS NULL;
			faults := faults + 1;
			INSERT INTO first_fault SELECT * FROM describe(r, wanted, fault) WHERE faults = 1;
		END LOOP;
		COMMIT;
	END LOOP;
	INSERT INTO tally VALUES (cases, faults);
END $$;

SELECT setseed(0.25);
CALL compare_many(50, 8);

SELECT * FROM tally;
SELECT what, detail FROM first_fault ORDER BY line;
SELECT what AS met FROM met GROUP BY what HAVING sum(times) > 1
 ORDER BY what COLLATE "C";

DO $$
BEGIN
	PERFORM metaxy_undepend(down, up) FROM edge;
	PERFORM metaxy_unregister(key) FROM node;
END $$;
DROP SCHEMA metaxy_oracle CASCADE;
