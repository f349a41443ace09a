--
-- metaxy_delete: hard deletes follow foreign keys where they contradict the
-- order of the cascade
--
CREATE SCHEMA metaxy_fk;
SET search_path = metaxy_fk, public;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE SEQUENCE row_id START 100;
CREATE TABLE blank (id text, row_id int DEFAULT nextval('row_id'), ref int, metaxy_created_at timestamptz DEFAULT '2024-01-01' NOT NULL,
	metaxy_updated_at timestamptz DEFAULT '2024-01-01' NOT NULL, metaxy_deleted_at timestamptz);
-- a -> b -> c -> d, 1:1 each, and e apart; primary keys over single rows, so that
-- there is something to refer to
DO $$
BEGIN
	FOR i IN 1 .. 5 LOOP
		EXECUTE format('CREATE TABLE %I (LIKE blank INCLUDING DEFAULTS)', chr(96 + i));
		EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (row_id)', chr(96 + i));
		PERFORM metaxy_register(chr(96 + i), chr(96 + i)::regclass, '{id}');
		EXECUTE format('INSERT INTO %I SELECT ''x'' || n, n FROM generate_series(1, 4) AS n', chr(96 + i));
	END LOOP;
END $$;
SELECT metaxy_depend('b', 'a'), metaxy_depend('c', 'b'), metaxy_depend('d', 'c');

-- Order of a dry run and of a real one, which is taken back.
CREATE FUNCTION steps(key text, cascade text, soft boolean DEFAULT false, filter text DEFAULT $$id = 'x1'$$)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry text;
	wet text;
	detail text;
BEGIN
	SELECT string_agg(feature || ' ' || samples || ' ' || "rows", ', ' ORDER BY step) INTO dry
	  FROM metaxy_delete(string_to_array(key, ' '), ARRAY[filter], soft, cascade, dry_run => true);
	SELECT string_agg(feature || ' ' || samples || ' ' || "rows", ', ' ORDER BY step) INTO wet
	  FROM metaxy_delete(string_to_array(key, ' '), ARRAY[filter], soft, cascade);
	RAISE EXCEPTION USING ERRCODE = 'ZZ001';
EXCEPTION
	WHEN SQLSTATE 'ZZ001' THEN
		RETURN CASE WHEN dry = wet THEN wet ELSE dry || ' but ' || wet END;
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN concat_ws(': ', SQLSTATE, SQLERRM, detail);
END $$;

-- without foreign keys
SELECT steps('a', 'downstream');
SELECT steps('d', 'upstream');
SELECT steps('b', 'both');
SELECT steps('a c d e', 'none');

-- a child's rows refer to its parent's: as a cascade down goes anyway; up the
-- child has to be first
ALTER TABLE c ADD CONSTRAINT c_b FOREIGN KEY (ref) REFERENCES b;
UPDATE c SET ref = row_id;
SELECT steps('a', 'downstream');
SELECT steps('d', 'upstream');
SELECT steps('b', 'both');
-- a soft delete removes nothing and keeps its order
SELECT steps('d', 'upstream', true);

-- a parent's rows refer to its child's: the other way about
ALTER TABLE c DROP CONSTRAINT c_b;
ALTER TABLE b ADD CONSTRAINT b_c FOREIGN KEY (ref) REFERENCES c;
UPDATE b SET ref = row_id;
SELECT steps('a', 'downstream');
SELECT steps('d', 'upstream');
SELECT steps('b', 'both');
SELECT steps('c', 'downstream', true);

-- over a feature between them, and features that have no edge
ALTER TABLE b DROP CONSTRAINT b_c;
UPDATE a SET ref = row_id;
ALTER TABLE a ADD CONSTRAINT a_d FOREIGN KEY (ref) REFERENCES d;
SELECT steps('a', 'downstream');
SELECT steps('d', 'upstream');
SELECT steps('d', 'both');
SELECT steps('a d e', 'none');
ALTER TABLE a DROP CONSTRAINT a_d;
UPDATE e SET ref = row_id;
ALTER TABLE e ADD CONSTRAINT e_b FOREIGN KEY (ref) REFERENCES b;
SELECT steps('a e', 'downstream');
SELECT steps('d e', 'upstream');
SELECT steps('b e', 'none');
-- rows that refer to those that go and are in no feature of the delete keep
-- them, and nothing is done
SELECT steps('a', 'downstream');
SELECT steps('b', 'none');
SELECT steps('b', 'none', true);
SELECT count(*) FROM b;
ALTER TABLE e DROP CONSTRAINT e_b, ADD CONSTRAINT e_b FOREIGN KEY (ref) REFERENCES b ON DELETE SET NULL;
SELECT steps('b', 'none');

-- several, two of them along one edge, one to itself
ALTER TABLE b ADD CONSTRAINT b_c FOREIGN KEY (ref) REFERENCES c, ADD CONSTRAINT b_c_too FOREIGN KEY (ref) REFERENCES c;
ALTER TABLE c ADD CONSTRAINT c_d FOREIGN KEY (ref) REFERENCES d;
ALTER TABLE d ADD CONSTRAINT d_d FOREIGN KEY (ref) REFERENCES d;
UPDATE d SET ref = row_id;
SELECT steps('a', 'downstream');
SELECT steps('d', 'upstream');
SELECT steps('a e', 'downstream', filter => 'true');

-- a cycle: no order is right
ALTER TABLE d ADD CONSTRAINT d_b FOREIGN KEY (ref) REFERENCES b;
SELECT steps('a', 'downstream');
SELECT steps('d', 'upstream');
SELECT steps('c d', 'none');
SELECT steps('b d', 'none');
SELECT steps('b c d', 'none');
\set VERBOSITY sqlstate
SELECT feature FROM metaxy_delete('a', 'false', false, 'downstream', dry_run => true);		-- error
\set VERBOSITY default
-- soft deletes do not mind
SELECT steps('a', 'downstream', true);
SELECT count(*) FROM b;
ALTER TABLE d DROP CONSTRAINT d_b;
ALTER TABLE c DROP CONSTRAINT c_d;
ALTER TABLE b DROP CONSTRAINT b_c, DROP CONSTRAINT b_c_too;

-- foreign keys of a partitioned table, and to one
SET client_min_messages = error;		-- warnings name features outside
CREATE TABLE p (id text, row_id int DEFAULT nextval('row_id') PRIMARY KEY, ref int, metaxy_created_at timestamptz DEFAULT '2024-01-01' NOT NULL,
	metaxy_updated_at timestamptz DEFAULT '2024-01-01' NOT NULL, metaxy_deleted_at timestamptz) PARTITION BY RANGE (row_id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (3);
CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (3) TO (9);
SELECT metaxy_register('p', 'p', '{id}'), metaxy_depend('p', 'a');
INSERT INTO p SELECT id, row_id, row_id FROM a;
ALTER TABLE p ADD CONSTRAINT p_a FOREIGN KEY (ref) REFERENCES a;
SELECT steps('p', 'upstream');
SELECT steps('p', 'upstream', filter => $$id <> 'x2'$$);
ALTER TABLE p DROP CONSTRAINT p_a;
ALTER TABLE a ADD CONSTRAINT a_p FOREIGN KEY (ref) REFERENCES p;
SELECT steps('a', 'downstream', filter => $$id <> 'x2'$$);
ALTER TABLE a DROP CONSTRAINT a_p;
-- one of a single partition: it counts for the whole table
ALTER TABLE p_1 ADD CONSTRAINT p_1_a FOREIGN KEY (ref) REFERENCES a;
SELECT steps('p', 'upstream');
SELECT steps('p', 'upstream', filter => $$id = 'x3'$$);
ALTER TABLE p_1 DROP CONSTRAINT p_1_a;
ALTER TABLE a ADD CONSTRAINT a_p_2 FOREIGN KEY (ref) REFERENCES p_2 NOT VALID;
SELECT steps('a', 'downstream', filter => $$id = 'x3'$$);

SELECT metaxy_unregister(f) FROM unnest('{p,d,c,b,a,e}'::text[]) AS f;
DROP SCHEMA metaxy_fk CASCADE;
