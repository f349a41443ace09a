
# What somebody has planted in the schema of the extension beforehand: each of
# its objects' names is taken once, and CREATE EXTENSION fails and leaves what
# is there to its owner; operators, functions and types there, and on the
# search_path of the superuser, change nothing.  And what the catalogs say of
# the functions: none runs with other rights than its caller's.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE regress_metaxy_planter');

# A database with a schema "target" that belongs to the planter.
sub new_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name,
		'CREATE SCHEMA target AUTHORIZATION regress_metaxy_planter');
	return;
}

# SQL for the planter, none of whose statements says who he is.
sub as_planter
{
	my ($sql) = @_;

	return "SET ROLE regress_metaxy_planter; SET search_path = target; $sql";
}

# All of the extension's that has a name in its schema: kind, name, arguments.
my $members = q{
	SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view'
		   WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index' ELSE relkind::text END,
		   relname, ''
	  FROM pg_class WHERE relnamespace = 'target'::regnamespace
	 UNION ALL
	SELECT 'function', proname, oidvectortypes(proargtypes)
	  FROM pg_proc WHERE pronamespace = 'target'::regnamespace
	 ORDER BY 1, 2, 3};

#
# As it should be
#
new_database('clean');
$node->safe_psql('clean', 'CREATE EXTENSION metaxy SCHEMA target');

is( $node->safe_psql(
		'clean', q{
	SELECT p.oid::regprocedure FROM pg_proc AS p
	 WHERE p.pronamespace = 'target'::regnamespace AND (p.prosecdef
		OR p.proconfig IS NOT NULL OR p.proleakproof OR p.proacl IS NOT NULL
		OR p.proparallel <> CASE p.proname WHEN 'metaxy_load' THEN 's' ELSE 'u' END
		OR obj_description(p.oid, 'pg_proc') IS NULL
		OR NOT has_function_privilege('regress_metaxy_planter', p.oid, 'EXECUTE'))}),
	'',
	'no function is SECURITY DEFINER, changes settings or is leakproof, metaxy_load alone is parallel safe, all have a comment and can be called by everybody');
cmp_ok(
	$node->safe_psql(
		'clean',
		"SELECT count(*) FROM pg_proc WHERE pronamespace = 'target'::regnamespace"
	),
	'>=', 15, 'those are all of them');
is( $node->safe_psql(
		'clean', q{
	SELECT DISTINCT pg_get_userbyid(c.relowner) = current_user
	  FROM pg_class AS c WHERE c.relnamespace = 'target'::regnamespace}),
	't',
	'tables and sequences belong to who created the extension');
my $acl = $node->safe_psql(
	'clean', q{
	SELECT c.relname || ':' || coalesce(string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC'
			ELSE pg_get_userbyid(a.grantee) END || ' ' || a.privilege_type, ', '), '')
	  FROM pg_class AS c LEFT JOIN LATERAL aclexplode(c.relacl) AS a
	    ON a.grantee <> c.relowner
	 WHERE c.relnamespace = 'target'::regnamespace AND c.relkind IN ('r', 'v', 'S')
	 GROUP BY c.relname ORDER BY c.relname});
is( $acl,
	join("\n",
		'metaxy_clock:PUBLIC SELECT',
		'metaxy_deletion:',
		'metaxy_deletion_id_seq:',
		'metaxy_deletion_step:',
		'metaxy_deletion_steps:PUBLIC SELECT',
		'metaxy_deletions:PUBLIC SELECT',
		'metaxy_dependency:PUBLIC SELECT',
		'metaxy_feature:PUBLIC SELECT',
		'metaxy_feature_version_log:PUBLIC SELECT',
		'metaxy_retention:PUBLIC SELECT'),
	'everybody may read the registry, the clock and the views of the ledger, and nothing more');
is( $node->safe_psql(
		'clean', q{
	SELECT c.relname FROM pg_class AS c
	 WHERE c.relnamespace = 'target'::regnamespace AND c.relkind = 'v'
	   AND NOT coalesce('security_barrier=true' = ANY (c.reloptions), false)}),
	'',
	'the views of the ledger are security barriers');

#
# Each name taken
#
my @members = map { [ split /\|/, $_, -1 ] }
  split /\n/, $node->safe_psql('clean', $members);
cmp_ok(scalar @members, '>=', 25, 'the extension has its objects');

# How each kind is planted.
my %plants = (
	'table' => 'CREATE TABLE "%1$s" (planted int)',
	'view' => 'CREATE VIEW "%1$s" AS SELECT 1 AS planted',
	'sequence' => 'CREATE SEQUENCE "%1$s"',
	'index' => 'CREATE TABLE planted (planted int);
		CREATE INDEX "%1$s" ON planted (planted)',
	'function' => q{CREATE FUNCTION "%1$s"(%2$s) RETURNS integer LANGUAGE plpgsql
		AS 'BEGIN RAISE ''planted''; END'});
my $owned = q{
	SELECT pg_get_userbyid(relowner), relkind::text FROM pg_class
	 WHERE relnamespace = 'target'::regnamespace AND relname = '%1$s'
	 UNION ALL
	SELECT pg_get_userbyid(proowner), prorettype::regtype::text FROM pg_proc
	 WHERE pronamespace = 'target'::regnamespace AND proname = '%1$s'
	 UNION ALL
	SELECT pg_get_userbyid(typowner), typtype::text FROM pg_type
	 WHERE typnamespace = 'target'::regnamespace AND typname = '%1$s'
	   AND typrelid = 0};

new_database('taken');

# Plants one object, tries to create the extension, looks, and takes it away.
sub plant
{
	my ($kind, $name, $sql) = @_;

	$node->safe_psql('taken', as_planter($sql));
	my $before = $node->safe_psql('taken', sprintf $owned, $name);
	isnt($before, '', "planted $kind $name");
	my ($ret, $stdout, $stderr) = $node->psql('taken',
		"\\set VERBOSITY sqlstate\nCREATE EXTENSION metaxy SCHEMA target");
	isnt($ret, 0, "$kind $name is taken: CREATE EXTENSION fails");
	like($stderr, qr/ERROR:  (?:42P07|42723|42710)$/m,
		"$kind $name is taken: a clean code");
	is($node->safe_psql('taken', sprintf $owned, $name),
		$before, "$kind $name is left as it was");
	is( $node->safe_psql(
			'taken',
			"SELECT count(*) FROM pg_extension WHERE extname = 'metaxy'"),
		0,
		"$kind $name is taken: no extension");
	$node->safe_psql(
		'taken', 'SET client_min_messages = error; DROP SCHEMA target CASCADE;
		CREATE SCHEMA target AUTHORIZATION regress_metaxy_planter');
	return;
}

foreach my $member (@members)
{
	my ($kind, $name, $arguments) = @$member;

	ok(exists $plants{$kind}, "how to plant a $kind") or next;
	# only a superuser could: no language of others takes such an argument
	next if $arguments eq 'internal';
	plant($kind, $name, sprintf $plants{$kind}, $name, $arguments);
}
# the names of tables are those of types as well
plant('type', 'metaxy_feature', 'CREATE DOMAIN metaxy_feature AS int');

# an event trigger is a superuser's
$node->safe_psql(
	'taken', q{
	CREATE FUNCTION public.planted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER metaxy_forget_dropped ON sql_drop EXECUTE FUNCTION public.planted()});
my ($ret, $stdout, $stderr) = $node->psql('taken',
	"\\set VERBOSITY sqlstate\nCREATE EXTENSION metaxy SCHEMA target");
like($stderr, qr/ERROR:  42710$/m, 'the event trigger is taken: a clean code');
is( $node->safe_psql('taken',
		"SELECT evtfoid::regproc FROM pg_event_trigger"),
	'planted', 'the event trigger is left as it was');

#
# Operators, functions and types in the schema itself, and on the path of the
# superuser
#
my $plant_all = q{
	CREATE FUNCTION caught() RETURNS boolean LANGUAGE plpgsql AS
		'BEGIN RAISE ''planted function was called''; END';
	DO $do$
	DECLARE
		wanted record;
		done int := 0;
	BEGIN
		FOR wanted IN
			SELECT DISTINCT o.oprname, l.t::pg_catalog.regtype AS l, r.t::pg_catalog.regtype AS r
			  FROM pg_catalog.pg_operator AS o,
				   LATERAL (VALUES (o.oprleft), (CASE o.oprleft WHEN 25 THEN 1043 END)) AS l (t),
				   LATERAL (VALUES (o.oprright), (CASE o.oprright WHEN 25 THEN 1043 WHEN 2277 THEN 1009 END)) AS r (t)
			 WHERE o.oprkind = 'b' AND l.t IS NOT NULL AND r.t IS NOT NULL
			   AND o.oprresult = 16
		LOOP
			BEGIN
				EXECUTE pg_catalog.format('CREATE FUNCTION o%s(%s, %s) RETURNS pg_catalog.bool LANGUAGE plpgsql AS ''BEGIN RAISE ''''planted operator was called''''; END''', done, wanted.l, wanted.r);
				EXECUTE pg_catalog.format('CREATE OPERATOR %s (FUNCTION = o%s, LEFTARG = %s, RIGHTARG = %s)', wanted.oprname, done, wanted.l, wanted.r);
				done := done + 1;
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
		END LOOP;
		IF done < 400 THEN RAISE 'only % operators', done; END IF;
		FOR wanted IN
			SELECT DISTINCT p.proname, pg_catalog.oidvectortypes(p.proargtypes) AS args, p.prorettype::pg_catalog.regtype AS result
			  FROM pg_catalog.pg_proc AS p
			 WHERE p.proname IN ('cardinality', 'pg_extension_config_dump', 'has_schema_privilege', 'has_table_privilege', 'now', 'nextval')
			   AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
		LOOP
			EXECUTE pg_catalog.format('CREATE FUNCTION %I(%s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE ''''planted function was called''''; END''', wanted.proname, wanted.args, wanted.result);
		END LOOP;
	END
	$do$;
	CREATE FUNCTION cardinality(text[]) RETURNS integer LANGUAGE plpgsql AS
		'BEGIN RAISE ''planted function was called''; END';
	CREATE VIEW pg_class AS SELECT caught();
	CREATE VIEW pg_namespace AS SELECT caught();
	CREATE DOMAIN text AS pg_catalog.int2;
	CREATE DOMAIN timestamptz AS pg_catalog.int2;
	CREATE DOMAIN name AS pg_catalog.int2;
	CREATE DOMAIN jsonb AS pg_catalog.int2;
	CREATE DOMAIN regclass AS pg_catalog.int2;
	CREATE DOMAIN int8 AS pg_catalog.int2;
	CREATE DOMAIN bool AS pg_catalog.int2;
};

# What was made, whatever the path, without what was planted.
my $definition = q{
	SELECT pg_catalog.string_agg(d, E'\n' ORDER BY d) FROM (
		SELECT c.relname || ' ' || a.attname || ' ' || a.atttypid::pg_catalog.int4::pg_catalog.text || ' ' || a.attcollation::pg_catalog.int4::pg_catalog.text
		  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
		 WHERE c.relname LIKE 'metaxy%' AND a.attnum > 0
		 UNION ALL
		SELECT conname || ' ' || pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
		 WHERE conname LIKE 'metaxy%'
		 UNION ALL
		SELECT c.relname || pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class AS c
		 WHERE c.relname LIKE 'metaxy%' AND c.relkind = 'v'
		 UNION ALL
		SELECT p.proname || ' ' || p.proargtypes::pg_catalog.text || ' ' || p.prorettype::pg_catalog.int4::pg_catalog.text || ' '
			|| coalesce(p.proallargtypes::pg_catalog.text, '') || ' ' || coalesce(pg_catalog.pg_get_expr(p.proargdefaults, 0), '')
		  FROM pg_catalog.pg_proc AS p WHERE p.proname LIKE 'metaxy%') AS x (d)};
my $expected =
  $node->safe_psql('clean', "SET search_path = pg_catalog; $definition");

# Uses it a little; the rights on the planted schema are the test's.
my $use = q{
	CREATE SCHEMA app;
	CREATE TABLE app.doc (doc_id varchar);
	SELECT target.metaxy_register('doc', 'app.doc', '{doc_id}');
	INSERT INTO app.doc VALUES ('a'), ('b');
	SELECT samples FROM target.metaxy_delete('doc', $$doc_id = 'a'$$);
	DELETE FROM app.doc_active;
	SELECT kind, samples, rows FROM target.metaxy_deletions ORDER BY id;
	SELECT active, deleted FROM target.metaxy_status('doc');
};

foreach my $path (
	'pg_catalog', '"$user", public',
	'target, pg_catalog', 'evil, pg_catalog, target',
	'pg_temp, evil, target, pg_catalog')
{
	my $database = 'planted_' . ($path =~ tr/a-z//cdr);

	new_database($database);
	$node->safe_psql($database,
		'CREATE SCHEMA evil AUTHORIZATION regress_metaxy_planter');
	$node->safe_psql($database, as_planter($plant_all));
	$node->safe_psql($database,
		"SET ROLE regress_metaxy_planter; SET search_path = evil; $plant_all");
	my ($status, $out, $err) = $node->psql($database,
		"SET search_path = $path; CREATE EXTENSION metaxy SCHEMA target");
	is($status, 0, "path $path: the extension is created") or diag($err);
	is( $node->safe_psql($database, "SET search_path = pg_catalog; $definition"),
		$expected,
		"path $path: it is the same as elsewhere");
	is( $node->safe_psql($database, "SET search_path = pg_catalog; $use"),
		"\n1\ndelete|1|1\nview|1|1\n0|2", "path $path: it works");
	# in front of everything, where a filter needs no operator
	is( $node->safe_psql(
			$database,
			"SET search_path = $path; SELECT relation OPERATOR(pg_catalog.=) 'app.doc'::pg_catalog.regclass, active, deleted
			   FROM target.metaxy_status('doc');
			 SELECT target.metaxy_unregister('doc'); DROP TABLE app.doc"),
		"t|0|2\n", "path $path: and so under that path");
	($status, $out, $err) = $node->psql($database,
		"SET search_path = $path; DROP EXTENSION metaxy");
	is($status, 0, "path $path: the extension is dropped") or diag($err);
}

$node->stop;
done_testing();
