--
-- Filters in the safe language: all of PostgreSQL's own functions, operators
-- and casts, each tried in a filter
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_metaxy_filter_functions;
CREATE SCHEMA metaxy_filter_functions AUTHORIZATION regress_metaxy_filter_functions;
SET search_path = metaxy_filter_functions, public;
SET ROLE regress_metaxy_filter_functions;

-- a column of each type, and one row of NULLs
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE sample (id integer, "a anyenum" colour, metaxy_created_at timestamptz,
	metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
DO $$
DECLARE
	columns text;
BEGIN
	SELECT string_agg(format('ADD %I %s', 'a ' || format_type(oid, NULL), format_type(oid, NULL)), ', ')
	  INTO columns
	  FROM pg_type
	 WHERE oid < 12000 AND typtype IN ('b', 'r', 'm') AND
		   typname NOT IN ('_cstring', '_record') AND typname !~ '^_?pg_[^l]';
	EXECUTE 'ALTER TABLE sample ' || columns;
END $$;
SELECT metaxy_register('sample', 'sample', '{id}', NULL, false, false);
INSERT INTO sample (id, metaxy_created_at, metaxy_updated_at)
VALUES (1, '2024-01-01', '2024-01-01');

-- how to write an argument of a type
CREATE FUNCTION argument(type oid) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN EXISTS (SELECT FROM pg_attribute
					  WHERE attrelid = 'sample'::regclass AND attname = 'a ' || format_type(type, NULL))
			THEN quote_ident('a ' || format_type(type, NULL))
		WHEN type IN ('anyarray'::regtype, 'anycompatiblearray'::regtype) THEN '"a integer[]"'
		WHEN type IN ('anyrange'::regtype, 'anycompatiblerange'::regtype) THEN '"a int4range"'
		WHEN type::regtype::text LIKE '%multirange' THEN '"a int4multirange"'
		WHEN type = 'cstring'::regtype THEN 'NULL'
		WHEN type = 'record'::regtype THEN 'ROW(id)'
		ELSE 'id' END
$$;
-- what becomes of a filter
CREATE FUNCTION outcome(filter text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
BEGIN
	PERFORM metaxy_delete('sample', filter, dry_run => true);
	RETURN 'used';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN CASE WHEN SQLSTATE = '0A000' AND message LIKE 'cannot use % in filter'
		THEN 'refused' ELSE SQLSTATE END;
END $$;

--
-- Functions, but those with an argument of type internal, which cannot be
-- written in SQL
--
CREATE TABLE function AS
SELECT p.proname AS name, p.provolatile AS volatility, p.oid::regprocedure AS function,
	   outcome(format('%s.%I(%s) IS NULL', p.pronamespace::regnamespace, p.proname,
			(SELECT string_agg(argument(t), ', ' ORDER BY n)
			   FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)))) AS outcome
  FROM pg_proc AS p
 WHERE p.oid < 12000 AND p.prokind = 'f' AND NOT p.proretset AND
	   'internal'::regtype <> ALL (p.proargtypes);
-- none ends in anything but a user's error
SELECT function, outcome
  FROM function
 WHERE outcome !~ '^(used|refused|0A000|22|42)'
 ORDER BY function::text;
-- most can be tried like this, and there are enough of each kind
SELECT volatility, count(*) FILTER (WHERE outcome = 'used') > 50 AS used,
	   count(*) FILTER (WHERE outcome = 'refused') > 100 AS refused,
	   count(*) FILTER (WHERE outcome NOT IN ('used', 'refused')) < count(*) / 20 AS few_others
  FROM function
 GROUP BY 1 ORDER BY 1;
-- no volatile one
SELECT function FROM function WHERE volatility = 'v' AND outcome = 'used' ORDER BY function::text;
-- the stable ones (others since PostgreSQL 16 aside)
SELECT string_agg(DISTINCT name, ' ') AS used
  FROM function
 WHERE volatility = 's' AND outcome = 'used' AND
	   name NOT IN ('date_add', 'date_subtract', 'json_strip_nulls', 'jsonb_strip_nulls');
-- the immutable ones, those aside that take or return pointers
SELECT string_agg(DISTINCT f.name, ' ') AS refused
  FROM function AS f JOIN pg_proc AS p ON p.oid = f.function
 WHERE f.volatility = 'i' AND f.outcome = 'refused' AND NOT p.proargtypes::oid[] || p.prorettype &&
	   ARRAY['cstring', 'cstring[]', 'double precision[]', 'bigint[]', 'interval[]']::regtype[]::oid[];

--
-- Operators: they only compute, all of them
--
CREATE TABLE operator AS
SELECT o.oid::regoperator AS operator,
	   outcome(format('(%s OPERATOR(%s.%s) %s) IS NULL',
			CASE WHEN o.oprleft <> 0 THEN argument(o.oprleft) END,
			o.oprnamespace::regnamespace, o.oprname, argument(o.oprright))) AS outcome
  FROM pg_operator AS o
 WHERE o.oid < 12000;
SELECT * FROM operator
 WHERE outcome !~ '^(used|42883)'
 ORDER BY operator::text COLLATE "C";
SELECT count(*) > 700 AS used FROM operator WHERE outcome = 'used';

--
-- Casts between types, and to and from text: all but those that look names
-- up, and those that their types have not
--
CREATE TABLE "cast" AS
SELECT format_type(c.castsource, NULL) AS source, format_type(c.casttarget, NULL) AS target,
	   outcome(format('%s::%s IS NULL', argument(c.castsource),
			format_type(c.casttarget, -1))) AS outcome
  FROM pg_cast AS c
 WHERE c.oid < 12000
 UNION ALL
SELECT format_type(t.oid, NULL), 'text', outcome(format('%s::text IS NULL', argument(t.oid)))
  FROM pg_type AS t
 WHERE t.oid < 12000 AND t.typtype = 'b' AND t.typname !~ '^_?pg_[^l]' AND t.typelem = 0
 UNION ALL
SELECT 'text', format_type(t.oid, NULL), outcome(format('"a text"::%s IS NULL', format_type(t.oid, -1)))
  FROM pg_type AS t
 WHERE t.oid < 12000 AND t.typtype = 'b' AND t.typname !~ '^_?pg_[^l]' AND t.typelem = 0;
SELECT * FROM "cast"
 WHERE outcome <> CASE WHEN target ~ '^reg|aclitem' OR source ~ '^reg|aclitem' AND target = 'text'
		THEN 'refused' ELSE 'used' END AND source !~ '^pg_'
 ORDER BY 1, 2;
SELECT count(*) FILTER (WHERE outcome = 'used') > 200 AS used,
	   count(*) FILTER (WHERE outcome = 'refused') > 50 AS refused
  FROM "cast";

RESET ROLE;
SELECT metaxy_unregister('sample');
DROP SCHEMA metaxy_filter_functions CASCADE;
DROP ROLE regress_metaxy_filter_functions;
