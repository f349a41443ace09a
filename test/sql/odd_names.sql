--
-- Odd names through every call: keys, tables, schemas, columns, versions
--
SET client_min_messages = warning;
\pset format unaligned
CREATE ROLE "regress_metaxy ""Odd"" rôle";
CREATE SCHEMA "Odd ""schema"".x%s" AUTHORIZATION "regress_metaxy ""Odd"" rôle";
SET SESSION AUTHORIZATION "regress_metaxy ""Odd"" rôle";
SET search_path = "Odd ""schema"".x%s", public;

CREATE TABLE names (n int, name text);
INSERT INTO names VALUES
	(1, 'Upper Case'),
	(2, 'double "quote"'),
	(3, '""'),
	(4, 'single ''quote'''),
	(5, 'back\slash \x41'),
	(6, 'a.b'),
	(7, '%s %n %% %1$I'),
	(8, '$1 $$ $x$'),
	(9, '  blanks  '),
	(10, E'new\nline\ttab'),
	(11, 'select'),
	(12, 'x; DROP TABLE names; --'),
	(13, '/* comment'),
	(14, 'äöü ß Ωmega'),
	(15, '日本語'),
	(16, 'emoji 🎥'),
	(17, '{brace,comma}'),
	(18, '(paren'),
	(19, '[1:1]={x}'),
	(20, 'a/b/../c'),
	(21, '-'),
	(22, '1'),
	(23, 'NULL'),
	(24, 'later'),
	(25, 'U&"\0041"'),
	(26, ':var ?'),
	(27, repeat('y', 55)),
	(28, repeat('ß', 27) || 'x');
-- a table of each name, with an id column and another one of that name too
DO $$
DECLARE
	r names;
	other text;
BEGIN
	FOR r IN SELECT * FROM names ORDER BY n LOOP
		other := left(r.name, 10) || ' too';
		EXECUTE format('CREATE TABLE %I (%I text, %I int, t text)', r.name, r.name, other);
		EXECUTE format('INSERT INTO %I VALUES (%L, 1, %L)', r.name, r.name, r.name);
		PERFORM metaxy_register(r.name, format('%I', r.name)::regclass, ARRAY[r.name, other], r.name);
		PERFORM metaxy_register(r.name, format('%I', r.name)::regclass, ARRAY[r.name, other], r.name);
	END LOOP;
END $$;
SELECT feature, relation, id_columns, feature_version, owner, active_view, latest_view, deleted_view
  FROM metaxy_feature JOIN names ON name = feature ORDER BY n;
SELECT count(*) AS versions FROM metaxy_feature_version_log JOIN names ON name = feature AND name = feature_version;
-- each has an index, and shows its row and no row of another version
DO $$
DECLARE
	r names;
	found text;
BEGIN
	FOR r IN SELECT * FROM names ORDER BY n LOOP
		EXECUTE format('SELECT %I FROM %I', r.name, r.name || '_active') INTO STRICT found;
		ASSERT found = r.name;
		ASSERT (SELECT count(*) FROM pg_index WHERE indrelid = format('%I', r.name)::regclass) = 1;
		PERFORM metaxy_register(r.name, format('%I', r.name)::regclass, ARRAY[r.name, left(r.name, 10) || ' too'], 'other ' || r.name);
		EXECUTE format('SELECT count(*) FROM %I', r.name || '_latest') INTO STRICT found;
		ASSERT found = '0';
	END LOOP;
END $$;

-- a chain of dependencies: each on the one before, by a column that is named
-- differently there
SELECT count(metaxy_depend(b.name, a.name, '1:N', ARRAY[a.name], jsonb_build_object(a.name, b.name), b.n % 2 = 0))
  FROM names AS a JOIN names AS b ON b.n = a.n + 1;
SELECT count(metaxy_depend(b.name, a.name, '1:N', ARRAY[a.name], jsonb_build_object(a.name, b.name), b.n % 2 = 0))
  FROM names AS a JOIN names AS b ON b.n = a.n + 1;
SELECT count(*) FROM metaxy_dependency AS d
  JOIN names AS a ON a.name = upstream JOIN names AS b ON b.name = feature
 WHERE on_columns = ARRAY[a.name] AND rename = jsonb_build_object(a.name, b.name) AND optional = (b.n % 2 = 0);
SELECT metaxy_depend(a.name, b.name, '1:N', ARRAY['t']) FROM names AS a, names AS b WHERE a.n = 9 AND b.n = 14;
\echo :LAST_ERROR_SQLSTATE

-- views go and come again, with their grants
DO $$
DECLARE
	r names;
BEGIN
	FOR r IN SELECT * FROM names ORDER BY n LOOP
		EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', r.name || '_active');
		EXECUTE format('GRANT SELECT (%I), INSERT ON %I TO %I', r.name, r.name || '_active', 'pg_monitor');
		PERFORM metaxy_views(r.name, false);
		ASSERT to_regclass(format('%I', r.name || '_active')) IS NULL;
		EXECUTE format('ALTER TABLE %I DROP COLUMN t', r.name);
		PERFORM metaxy_views(r.name, true);
		ASSERT NOT has_table_privilege('public', format('%I', r.name || '_active'), 'SELECT');
		ASSERT has_column_privilege('pg_monitor', format('%I', r.name || '_active'), r.name, 'SELECT');
		ASSERT has_table_privilege('pg_monitor', format('%I', r.name || '_active'), 'INSERT');
	END LOOP;
END $$;

-- names in messages are not taken for anything else
SELECT metaxy_register(name, 'names', '{n}') FROM names WHERE n IN (7) ORDER BY n;
SELECT metaxy_register(name, 'names', '{n}') FROM names WHERE n IN (8) ORDER BY n;
SELECT metaxy_register('%s', 'names', ARRAY['%s %n']);
SELECT metaxy_register('%d', format('%I', name)::regclass, '{n}') FROM names WHERE n = 7;
SELECT metaxy_depend('%s', '%s');
SELECT metaxy_depend('%s%n', '%d');
SELECT metaxy_depend(b.name, a.name, '1:N', ARRAY['%s %x']) FROM names AS a, names AS b WHERE a.n = 7 AND b.n = 9;
SELECT metaxy_depend(b.name, a.name, '%n') FROM names AS a, names AS b WHERE a.n = 7 AND b.n = 9;
SELECT metaxy_undepend('%s', '%s');
SELECT metaxy_unregister(name) FROM names WHERE n = 7;
SELECT metaxy_unregister('%s%s%s%n');
SELECT metaxy_views('%s%n', true);
ALTER TABLE "%s %n %% %1$I" RENAME COLUMN "%s %n %% %1$I" TO "%s";
SELECT metaxy_views(name, true) FROM names WHERE n = 7;
ALTER TABLE "%s %n %% %1$I" RENAME COLUMN "%s" TO "%s %n %% %1$I";
CREATE UNIQUE INDEX "%s%n" ON "%s %n %% %1$I" ("%s %n %% %1$I");
SELECT metaxy_register(name, format('%I', name)::regclass, ARRAY[name, left(name, 10) || ' too'], 'v') FROM names WHERE n = 7;
DROP INDEX "%s%n";
UPDATE "%s %n %% %1$I" SET metaxy_updated_at = 'infinity';
SELECT metaxy_register(name, format('%I', name)::regclass, ARRAY[name], 'v', replace => true) FROM names WHERE n = 7;

-- 63 bytes: of a column, of a table only without its views
CREATE TABLE long (c12345678901234567890123456789012345678901234567890123456789012 int);
SELECT metaxy_register(repeat('long/', 200), 'long', '{c12345678901234567890123456789012345678901234567890123456789012}');
INSERT INTO long VALUES (1, now(), now());
SELECT count(*) FROM long_active;
-- a longer one is another name, it is not cut off
SELECT metaxy_register(repeat('long/', 200), 'long', '{c123456789012345678901234567890123456789012345678901234567890123}', replace => true);
CREATE TABLE t12345678901234567890123456789012345678901234567890123456789012 (id int);
SELECT metaxy_register('t63', 't12345678901234567890123456789012345678901234567890123456789012', '{id}');
\echo :LAST_ERROR_SQLSTATE
SELECT metaxy_register('t63', 't12345678901234567890123456789012345678901234567890123456789012', '{id}', views => false);
SELECT relation, active_view FROM metaxy_feature WHERE feature = 't63';

-- from the end to the start: nothing is left
SELECT count(metaxy_undepend(b.name, a.name)) FROM names AS a JOIN names AS b ON b.n = a.n + 1;
SELECT count(metaxy_unregister(feature)) FROM metaxy_feature;
SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = 'v' AND n.nspname = current_schema();

RESET SESSION AUTHORIZATION;
DROP SCHEMA "Odd ""schema"".x%s" CASCADE;
DROP ROLE "regress_metaxy ""Odd"" rôle";
