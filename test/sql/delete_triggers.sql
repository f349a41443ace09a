--
-- metaxy_delete and the users' own triggers and rules: those that swallow or
-- change what a delete does make it fail as a whole, all others are let be
--
SET metaxy.stamp = off;		-- rows keep the stamps that they come with
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA metaxy_triggers;
SET search_path = metaxy_triggers, public;

CREATE TABLE page (page_id text, doc_id text, note text, metaxy_feature_version text,
	metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
CREATE TABLE doc (LIKE page);
ALTER TABLE doc DROP COLUMN page_id;
SELECT metaxy_register('doc', 'doc', '{doc_id}', 'v1');
SELECT metaxy_register('page', 'page', '{page_id}', 'v1');
SELECT metaxy_depend('page', 'doc', '1:N', '{doc_id}');
INSERT INTO doc
SELECT 'd' || i, 'n', 'v1', '2024-01-01', '2024-01-01' FROM generate_series(1, 3) AS i;
INSERT INTO page
SELECT doc_id || '/' || i, doc_id, 'n', 'v1', '2024-01-01', '2024-01-01'
  FROM doc, generate_series(1, 2) AS i;

CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(t, ',' ORDER BY t))
	  FROM (SELECT (ctid, xmin, d)::text FROM doc AS d UNION ALL
			SELECT (ctid, xmin, p)::text FROM page AS p UNION ALL
			SELECT d::text FROM metaxy_deletions AS d) AS x (t)
$$;
SELECT state() AS before \gset
-- with one trigger on doc, whose body is given, a delete of d1 and its pages,
-- soft or hard
CREATE FUNCTION with_trigger(action text, body text, soft boolean DEFAULT true,
	filter text DEFAULT $$doc_id = 'd1'$$) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	hint text;
BEGIN
	EXECUTE format('CREATE FUNCTION user_trigger() RETURNS trigger LANGUAGE plpgsql AS %L',
				   'BEGIN ' || body || ' END');
	EXECUTE format('CREATE TRIGGER user_trigger %s EXECUTE FUNCTION user_trigger()', action);
	BEGIN
		SELECT string_agg(concat_ws(' ', feature, samples, rows), ', ' ORDER BY step) INTO result
		  FROM metaxy_delete('doc', filter, soft => soft, cascade => 'downstream');
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
		result := SQLSTATE || ' ' || SQLERRM || coalesce(' | ' || nullif(hint, ''), '');
	END;
	SELECT concat_ws(' | ', result, string_agg(doc_id || CASE WHEN metaxy_deleted_at IS NULL THEN '' ELSE '-' END, ' '
													   ORDER BY doc_id))
	  INTO result FROM doc_latest;
	-- whatever was done is undone again
	RAISE SQLSTATE 'MX000' USING MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'MX000' THEN
	RETURN SQLERRM;
END $$;

--
-- Swallowed: 09000
--
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW', 'RETURN NULL;');
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW', 'RETURN NULL;');
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW',
	'IF NEW.page_id = ''d1/2'' THEN RETURN NULL; END IF; RETURN NEW;');
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW WHEN (NEW.metaxy_deleted_at IS NOT NULL)', 'RETURN NULL;');
SELECT with_trigger('BEFORE DELETE ON doc FOR EACH ROW', 'RETURN NULL;', soft => false);
SELECT with_trigger('BEFORE DELETE ON page FOR EACH ROW',
	'IF OLD.page_id = ''d1/2'' THEN RETURN NULL; END IF; RETURN OLD;', soft => false);
-- the first of three, so that rows and what comes back are out of step
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW',
	'IF NEW.doc_id = ''d1'' THEN RETURN NULL; END IF; RETURN NEW;', filter => 'true');
-- what was never there to be swallowed is no matter
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW', 'RETURN NULL;', filter => 'false');
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW', 'RETURN NULL;', soft => false);
SELECT with_trigger('BEFORE DELETE ON doc FOR EACH ROW', 'RETURN NULL;');

--
-- Changed: 09000 where it would hide another sample, or none, or lie about when
--
SELECT column_name, with_trigger('BEFORE INSERT ON doc FOR EACH ROW',
	format('NEW.%I := %s; RETURN NEW;', column_name, value))
  FROM (VALUES ('doc_id', $$'d2'$$), ('doc_id', $$'d1 '$$), ('metaxy_feature_version', $$'v2'$$),
	('metaxy_deleted_at', 'NULL'), ('metaxy_deleted_at', $$NEW.metaxy_deleted_at + interval '1 us'$$),
	('metaxy_deleted_at', $$NEW.metaxy_deleted_at - interval '1 us'$$), ('metaxy_deleted_at', $$'infinity'$$),
	('metaxy_updated_at', 'NEW.metaxy_deleted_at'), ('metaxy_created_at', $$'2023-01-01'$$)) AS x (column_name, value);
SELECT with_trigger('BEFORE INSERT ON page FOR EACH ROW',
	'IF NEW.page_id = ''d1/2'' THEN NEW.metaxy_deleted_at := NULL; END IF; RETURN NEW;');
-- afterwards
SELECT with_trigger('AFTER INSERT ON doc FOR EACH ROW',
	'UPDATE doc SET metaxy_deleted_at = NULL WHERE doc_id = NEW.doc_id; RETURN NULL;');
SELECT with_trigger('AFTER INSERT ON doc FOR EACH STATEMENT',
	'DELETE FROM doc WHERE metaxy_deleted_at IS NOT NULL; RETURN NULL;');
-- other columns are the user's business
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW', 'NEW.note := ''changed''; RETURN NEW;');
SELECT with_trigger('BEFORE INSERT ON doc FOR EACH ROW', 'NEW.doc_id := NEW.doc_id || ''''; RETURN NEW;');
-- and of a hard delete there is nothing to be changed
SELECT with_trigger('BEFORE DELETE ON doc FOR EACH ROW', 'OLD.doc_id := ''d2''; RETURN OLD;', soft => false);
-- rows that the trigger takes from under the delete
SELECT left(with_trigger('BEFORE DELETE ON page FOR EACH ROW',
	'DELETE FROM page WHERE page_id = ''d1/2'' AND OLD.page_id = ''d1/1''; RETURN OLD;', soft => false), 5);
SELECT left(with_trigger('BEFORE DELETE ON page FOR EACH ROW',
	'UPDATE page SET note = ''x'' WHERE page_id = OLD.page_id; RETURN OLD;', soft => false), 5);
SELECT with_trigger('AFTER DELETE ON page FOR EACH STATEMENT', 'DELETE FROM doc; RETURN NULL;', soft => false);

--
-- Let be
--
SELECT with_trigger('BEFORE INSERT OR DELETE ON doc FOR EACH STATEMENT', 'RETURN NULL;');
SELECT with_trigger('AFTER INSERT ON doc REFERENCING NEW TABLE AS new FOR EACH STATEMENT',
	'IF (SELECT count(*) FROM new WHERE metaxy_deleted_at IS NOT NULL) <> 3 THEN
		RAISE ''other tombstones''; END IF; RETURN NULL;', filter => 'true');
SELECT with_trigger('AFTER DELETE ON page REFERENCING OLD TABLE AS old FOR EACH STATEMENT',
	'IF (SELECT count(*) FROM old) <> 6 THEN RAISE ''other rows''; END IF; RETURN NULL;',
	soft => false, filter => 'true');
-- an error of its own is the delete's
SELECT with_trigger('AFTER INSERT ON doc FOR EACH ROW', 'RAISE ''not this one'' USING ERRCODE = ''P0099'';');
SELECT with_trigger('BEFORE DELETE ON page FOR EACH ROW',
	'RAISE ''not this one'' USING ERRCODE = ''P0099'';', soft => false);
-- deferred, at COMMIT
BEGIN;
CREATE FUNCTION not_now() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
CREATE CONSTRAINT TRIGGER not_now AFTER INSERT ON doc DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION not_now();
SELECT feature, samples FROM metaxy_delete('doc', $$doc_id = 'd1'$$, cascade => 'downstream');
COMMIT;																-- error
\echo :SQLSTATE
-- disabled, or passed over as a replica does
BEGIN;
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON doc FOR EACH ROW EXECUTE FUNCTION swallow();
SAVEPOINT s;
ALTER TABLE doc DISABLE TRIGGER swallow;
SELECT feature, samples FROM metaxy_delete('doc', $$doc_id = 'd1'$$);
ROLLBACK TO s;
SET LOCAL session_replication_role = replica;
SELECT feature, samples FROM metaxy_delete('doc', $$doc_id = 'd1'$$);
ROLLBACK;

--
-- Triggers that delete again
--
-- what depends on it, by hand
SELECT with_trigger('AFTER INSERT ON doc FOR EACH ROW',
	'PERFORM metaxy_delete(''page'', format(''doc_id = %L'', NEW.doc_id)); RETURN NULL;');
SELECT with_trigger('AFTER INSERT ON page FOR EACH ROW',
	'PERFORM metaxy_delete(''doc'', format(''doc_id = %L'', NEW.doc_id)); RETURN NULL;');
-- the same, which has been done by then: the outer delete's rows are visible
SELECT with_trigger('AFTER INSERT ON doc FOR EACH ROW',
	'IF (SELECT samples FROM metaxy_delete(''doc'', format(''doc_id = %L'', NEW.doc_id))) <> 0 THEN
		RAISE ''twice''; END IF; RETURN NULL;');
-- and has not been done: on and on, until the stack is full
SELECT left(with_trigger('BEFORE INSERT ON doc FOR EACH ROW',
	'PERFORM metaxy_delete(''doc'', format(''doc_id = %L'', NEW.doc_id)); RETURN NEW;'), 5);
SELECT left(with_trigger('BEFORE DELETE ON page FOR EACH ROW',
	'PERFORM metaxy_delete(''page'', format(''page_id = %L'', OLD.page_id), soft => false); RETURN OLD;',
	soft => false), 5);
-- all of it for good, the tombstone too
SELECT with_trigger('AFTER INSERT ON doc FOR EACH STATEMENT',
	'PERFORM metaxy_delete(''doc'', ''metaxy_deleted_at IS NOT NULL'', soft => false,
		cascade => ''downstream''); RETURN NULL;');
SELECT with_trigger('BEFORE DELETE ON page FOR EACH ROW',
	'PERFORM metaxy_delete(''doc'', format(''doc_id = %L'', OLD.doc_id)); RETURN OLD;', soft => false);
-- one that fails within, and is caught there
SELECT with_trigger('AFTER INSERT ON page FOR EACH ROW',
	'BEGIN PERFORM metaxy_delete(''doc'', ''1 / (length(doc_id) - 2) > 0'', cascade => ''both'');
	EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN NULL;');
-- changes of the registry under way
SELECT with_trigger('AFTER INSERT ON page FOR EACH STATEMENT',
	'PERFORM metaxy_undepend(''page'', ''doc''), metaxy_unregister(''page''); RETURN NULL;');
SELECT with_trigger('AFTER INSERT ON page FOR EACH STATEMENT',
	'ALTER TABLE doc ADD COLUMN added integer; RETURN NULL;') !~ '^XX' AS clean;
SELECT left(with_trigger('AFTER INSERT ON page FOR EACH STATEMENT', 'DROP TABLE page CASCADE; RETURN NULL;'), 5);

SELECT state() = :'before' AS unchanged;

-- the table of a step to come, dropped
BEGIN;
CREATE FUNCTION drop_doc() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DROP TABLE doc CASCADE; RETURN NULL; END $$;
CREATE TRIGGER drop_doc AFTER INSERT ON page FOR EACH STATEMENT EXECUTE FUNCTION drop_doc();
DO $$
BEGIN
	PERFORM metaxy_delete('doc', $f$doc_id = 'd1'$f$, cascade => 'downstream');
	RAISE 'no error';
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE ~ '^(XX|P0)' THEN RAISE; END IF;
END $$;
ROLLBACK;

--
-- Triggers of a partition alone
--
CREATE TABLE part (doc_id text, p integer, metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
	metaxy_deleted_at timestamptz) PARTITION BY LIST (p);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2) PARTITION BY LIST (doc_id);
CREATE TABLE part_2d PARTITION OF part_2 DEFAULT;
SELECT metaxy_register('part', 'part', '{doc_id}');
INSERT INTO part SELECT 'd' || i, i, now(), now() FROM generate_series(1, 2) AS i;
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.metaxy_deleted_at := now() - interval '1 day'; RETURN NEW; END $$;
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER change BEFORE INSERT ON part_2d FOR EACH ROW EXECUTE FUNCTION change();
SELECT * FROM metaxy_delete('part');								-- error
\echo :SQLSTATE
SELECT samples, "rows" FROM metaxy_delete('part', 'p = 1');
DROP TRIGGER change ON part_2d;
CREATE TRIGGER swallow BEFORE INSERT OR DELETE ON part_2d FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT * FROM metaxy_delete('part');								-- error
\echo :SQLSTATE
SELECT * FROM metaxy_delete('part', 'true', soft => false);			-- error
\echo :SQLSTATE
SELECT doc_id, metaxy_deleted_at IS NULL AS live FROM part ORDER BY 1, 2;
SELECT metaxy_unregister('part');
DROP TABLE part;

--
-- Rules that came after the registration: 09000, or what a table with such a
-- rule is refused with
--
CREATE TABLE elsewhere (LIKE doc);
CREATE FUNCTION with_rule(rule text, soft boolean DEFAULT true) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'CREATE RULE user_rule AS ' || rule;
	BEGIN
		SELECT string_agg(concat_ws(' ', feature, samples, rows), ', ' ORDER BY step) INTO result
		  FROM metaxy_delete('doc', $f$doc_id = 'd1'$f$, soft => soft);
	EXCEPTION WHEN triggered_action_exception OR feature_not_supported THEN
		result := 'refused';
	END;
	SELECT concat_ws(' | ', result,
			string_agg(doc_id || CASE WHEN metaxy_deleted_at IS NULL THEN '' ELSE '-' END, ' ' ORDER BY doc_id))
	  INTO result FROM doc_latest;
	RAISE SQLSTATE 'MX000' USING MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'MX000' THEN
	RETURN SQLERRM;
END $$;
SELECT with_rule('ON INSERT TO doc DO INSTEAD NOTHING');
SELECT with_rule('ON INSERT TO doc WHERE NEW.metaxy_deleted_at IS NOT NULL DO INSTEAD NOTHING');
SELECT with_rule('ON INSERT TO doc DO INSTEAD INSERT INTO elsewhere VALUES (NEW.*)');
SELECT with_rule('ON INSERT TO doc DO INSTEAD INSERT INTO page (page_id, metaxy_feature_version, metaxy_created_at,
	metaxy_updated_at) VALUES (NEW.doc_id, ''v1'', now(), now())');
SELECT with_rule('ON INSERT TO doc DO INSTEAD UPDATE doc SET metaxy_deleted_at = NULL WHERE doc_id = NEW.doc_id');
SELECT with_rule('ON DELETE TO doc DO INSTEAD NOTHING', soft => false);
SELECT with_rule('ON DELETE TO doc DO INSTEAD DELETE FROM page WHERE page_id = OLD.doc_id || ''/1''', soft => false);
SELECT with_rule('ON DELETE TO doc DO INSTEAD UPDATE doc SET metaxy_deleted_at = now()
	WHERE doc_id = OLD.doc_id', soft => false);
-- these add to it, or have nothing to do with it
SELECT with_rule('ON UPDATE TO doc DO INSTEAD NOTHING');
SELECT with_rule('ON DELETE TO doc DO INSTEAD NOTHING');
SELECT with_rule('ON INSERT TO doc DO INSTEAD NOTHING', soft => false);
DROP TABLE elsewhere;

SELECT state() = :'before' AS unchanged;

SELECT metaxy_unregister('page'), metaxy_unregister('doc');
SET client_min_messages = error;
DROP SCHEMA metaxy_triggers CASCADE;
