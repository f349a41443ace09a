
# pg_dump and pg_restore: the registry, the views and their grants, the ledger
# and its ids, the clock and the triggers come back as they were, in every
# format; of the schema alone an empty registry, under which rows pass through
# as they are, until registering again finds all that is there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $tempdir = PostgreSQL::Test::Utils::tempdir;

# Runs SQL in a database as the tables' owner, with all schemas in reach.
sub as_owner
{
	my ($database, $sql) = @_;

	return $node->safe_psql(
		$database, qq{
		SET ROLE regress_metaxy_owner;
		SET search_path = later, "Odd ""1"" %s", "Metaxy %s";
		$sql});
}

# A store in two odd schemas, with deletes of several kinds behind it.

$node->safe_psql(
	'postgres', q{
	CREATE ROLE regress_metaxy_owner LOGIN;
	CREATE ROLE regress_metaxy_reader;
	CREATE DATABASE store;
});
$node->safe_psql(
	'store', q{
	CREATE SCHEMA "Metaxy %s";
	CREATE EXTENSION metaxy SCHEMA "Metaxy %s";
	GRANT USAGE ON SCHEMA "Metaxy %s" TO PUBLIC;
	CREATE SCHEMA "Odd ""1"" %s" AUTHORIZATION regress_metaxy_owner;
	CREATE SCHEMA later AUTHORIZATION regress_metaxy_owner;
	GRANT USAGE ON SCHEMA later TO PUBLIC;
});

my $register_video =
  q{SELECT metaxy_register('video', '"Odd ""1"" %s"."Video"', '{video_id}', };
my $register_others = q{
	SELECT metaxy_register('video/chunk', 'chunk', '{chunk_id,part}', 'v1'),
		   metaxy_register('mean', 'mean', '{video_id}', indexes => false),
		   metaxy_register('plain', 'plain', '{id}', views => false)};
my $depend = q{
	SELECT metaxy_depend('video/chunk', 'video', '1:N', '{video_id}'),
		   metaxy_depend('mean', 'video/chunk', 'N:1', '{video_id}', optional => true),
		   metaxy_depend('plain', 'mean', '1:1', rename => '{"video_id": "id"}')};

as_owner(
	'store', qq{
	CREATE TABLE "Odd ""1"" %s"."Video" (video_id text, size integer,
		metaxy_feature_version text, metaxy_created_at timestamptz,
		metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
	CREATE TABLE "Odd ""1"" %s".chunk (chunk_id text, part integer, LIKE "Video")
		PARTITION BY LIST (part);
	CREATE TABLE "Odd ""1"" %s".chunk_1 PARTITION OF chunk FOR VALUES IN (1);
	CREATE TABLE "Odd ""1"" %s".chunk_z PARTITION OF chunk DEFAULT;
	CREATE TABLE mean (LIKE "Video");
	CREATE TABLE plain (id text, n integer GENERATED ALWAYS AS IDENTITY, LIKE "Video");
	CREATE TABLE gone (id text);
	$register_video 'v1');
	$register_others;
	$depend;
	SELECT metaxy_register('no/table', 'gone', '{id}'), metaxy_depend('no/table', 'plain');
	REVOKE ALL ON mean_active FROM PUBLIC;
	GRANT SELECT ON mean_active, mean TO regress_metaxy_reader;
	INSERT INTO "Video"
	SELECT 'v' || i, i, 'v1', now(), now() FROM generate_series(1, 9) AS i;
	INSERT INTO chunk
	SELECT video_id || '/' || i, i, video_id, i, 'v1', now(), now()
	  FROM "Video", generate_series(1, 3) AS i;
	INSERT INTO mean SELECT video_id, 0, 'v1', now(), now() FROM "Video";
	INSERT INTO plain (id, metaxy_created_at, metaxy_updated_at)
	SELECT video_id, now(), now() FROM "Video";
	DROP TABLE gone CASCADE});
as_owner('store', $_)
  for (
	q{SELECT metaxy_delete('video', 'size = 9', cascade => 'downstream', reason => 'a "reason"')},
	q{SELECT metaxy_delete('video', 'size = 8', cascade => 'downstream', soft => false)},
	q{SELECT metaxy_delete('{mean,plain}'::text[], $${"video_id = 'v7'"}$$, with_feature_history => true)},
	q{SELECT metaxy_delete('video', 'false')},
	qq{$register_video 'v2');
	   INSERT INTO "Video" SELECT 'v' || i, i, 'v2', now(), now() FROM generate_series(5, 7) AS i},
	q{SELECT metaxy_delete('video', 'size = 5', max_samples => 1)},
	q{SELECT metaxy_retain('video', '90 days', '1 mon 2 days'), metaxy_retain('mean', history_after => '1 year')});


# Rows from a clock that is ahead of all that follow
$node->safe_psql(
	'store', q{
	SET metaxy.clock_shift = '2min';
	INSERT INTO "Odd ""1"" %s"."Video" SELECT 'late' || i, 0 FROM generate_series(1, 3) AS i;
	SELECT "Metaxy %s".metaxy_delete('video', 'video_id = ''late1''');
	INSERT INTO later.mean VALUES ('late', 0)});

# All that must come back.

my @views = map { my $t = $_; map { qq{"${t}_$_"} } qw(active latest deleted) }
  qw(Video chunk mean);
my %questions = (
	'clock' => 'SELECT last_value FROM metaxy_clock',
	'triggers' => q{SELECT tgrelid::regclass, tgfoid::regproc, tgenabled FROM pg_trigger
		WHERE tgname = 'zzzz_metaxy_stamp' ORDER BY tgrelid::regclass::text},
	'features' => 'SELECT f FROM metaxy_feature AS f ORDER BY feature',
	'versions' =>
	  'SELECT v FROM metaxy_feature_version_log AS v ORDER BY feature, since',
	'dependencies' =>
	  'SELECT d FROM metaxy_dependency AS d ORDER BY feature, upstream',
	'retention' => 'SELECT r FROM metaxy_retention AS r ORDER BY feature',
	'order' => 'SELECT * FROM metaxy_order()',
	'status' =>
	  'SELECT feature, relation, feature_version, active, deleted, rows, last_write, last_delete FROM metaxy_status()',
	'ledger' => 'SELECT d FROM metaxy_deletions AS d ORDER BY id',
	'steps of the ledger' =>
	  'SELECT s FROM metaxy_deletion_steps AS s ORDER BY deletion_id, step',
	'view definitions' => join(' UNION ALL ',
		map { "SELECT pg_get_viewdef('$_'), (SELECT relowner::regrole || coalesce(relacl::text, '') || reloptions::text
				FROM pg_class WHERE oid = '$_'::regclass)" } @views),
	'rows of views' =>
	  join('; ', map { "SELECT '$_', x FROM $_ AS x ORDER BY x" } @views),
	'a dry run' => q{SELECT step, feature, relation, samples, rows, stale
		FROM metaxy_delete('video', cascade => 'downstream', dry_run => true)},
	'another dry run' => q{SELECT step, feature, relation, samples, rows, stale
		FROM metaxy_delete('mean', $$video_id > 'v3'$$, cascade => 'both', soft => false,
			with_feature_history => true, dry_run => true)});
my %answers = map { $_ => as_owner('store', $questions{$_}) } keys %questions;
isnt($answers{$_}, '', "there are answers: $_") for sort keys %answers;
like($answers{triggers}, qr/^(?:\S.*\|A\n?){6}$/, 'all triggers fire always');

# The greatest recency of all tables
my $greatest = join(' UNION ALL ',
	map { qq{SELECT max(coalesce(metaxy_deleted_at, metaxy_updated_at)) AS recency FROM $_} }
	  ('"Odd ""1"" %s"."Video"', '"Odd ""1"" %s".chunk', 'later.mean', 'later.plain'));
$greatest = "(SELECT max(recency) FROM ($greatest) AS r)";

# Does the clock lie above all rows, and will what is written, though the wall
# clock is behind?
sub check_clock
{
	my ($database, $what) = @_;

	is( $node->safe_psql(
			$database, qq{
			SELECT timestamptz '2000-01-01 00:00:00 UTC' + last_value * interval '1 microsecond' >= $greatest
			  FROM "Metaxy %s".metaxy_clock}),
		't',
		"$what: the clock is not below any row");
	is( $node->safe_psql(
			$database, qq{
			SET metaxy.clock_shift = '-1h';
			BEGIN;
			INSERT INTO "Odd ""1"" %s".chunk_1 (chunk_id, part) VALUES ('next', 1)
			RETURNING metaxy_feature_version, metaxy_updated_at > $greatest;
			ROLLBACK}),
		'v1|t',
		"$what: the next row lies above all");
	return;
}

# Does the database answer as the store did, apart from the questions named?
sub compare_with_store
{
	my ($database, $what, @but) = @_;

	for my $name (sort keys %questions)
	{
		next if grep { $_ eq $name } @but;
		is(as_owner($database, $questions{$name}), $answers{$name},
			"$what: $name");
	}
	check_clock($database, $what);
	return;
}

sub new_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	return $node->connstr($name);
}

sub dump_store
{
	my ($file, @options) = @_;

	$node->command_ok(
		[
			'pg_dump', '--no-sync', @options, '-f', "$tempdir/$file",
			$node->connstr('store')
		],
		"pg_dump @options");
	return "$tempdir/$file";
}

# Whole dumps

my $file = dump_store('plain.sql');
my $to = new_database('plain');
$node->command_ok(
	[ 'psql', '-X', '-q', '-o', "$tempdir/out", '-v', 'ON_ERROR_STOP=1', '-d', $to, '-f', $file ],
	'restored by psql');
compare_with_store('plain', 'plain dump');

$file = dump_store('custom', '-Fc');
$to = new_database('custom');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to, $file ],
	'pg_restore of the custom format');
compare_with_store('custom', 'custom format');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--clean', '--if-exists', '-d', $to, $file ],
	'pg_restore --clean over what is there');
compare_with_store('custom', 'once more');

$file = dump_store('directory', '-Fd', '-j2');
$to = new_database('directory');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j2', '-d', $to, $file ],
	'pg_restore of the directory format, in two jobs');
compare_with_store('directory', 'directory format');

# Other dumps of it, restored below

my $schema_file = dump_store('schema', '-Fc', '--schema-only');
my $data_file = dump_store('data', '-Fc', '--data-only');

# by a role that is no superuser, but owns what is dumped: the registry too
my $give_away = q{
	DO $$
	DECLARE
		relation regclass;
	BEGIN
		FOR relation IN SELECT objid FROM pg_depend
						 WHERE classid = 'pg_class'::regclass AND deptype = 'e' AND refclassid = 'pg_extension'::regclass
						   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'metaxy')
		LOOP
			EXECUTE format('ALTER TABLE %s OWNER TO regress_metaxy_owner', relation);
		END LOOP;
	END $$;
	GRANT CREATE ON SCHEMA "Metaxy %s" TO regress_metaxy_owner};
$node->safe_psql('store', $give_away);
my @as_owner = ('-U', 'regress_metaxy_owner');
my $owner_file = dump_store('by_owner', '-Fc', @as_owner);

# Life goes on there, with ids that go on too

for my $database (qw(store plain custom directory))
{
	is( as_owner(
			$database,
			q{SELECT deletion_id, feature, samples
				FROM metaxy_delete('video', 'size = 6', cascade => 'downstream')}),
		"7|no/table|0\n7|plain|0\n7|mean|0\n7|video/chunk|3\n7|video|1",
		"$database: the next delete has the next id");
	is(as_owner($database, 'SELECT count(*), max(id) FROM metaxy_deletions'),
		'7|7', "$database: and is in the ledger");
	as_owner($database, 'DROP TABLE plain');
	is( as_owner(
			$database, q{SELECT relation IS NULL FROM metaxy_order() WHERE feature = 'plain'}),
		't',
		"$database: a dropped table leaves the registry");
}
my ($ret, $stdout, $stderr) = $node->psql(
	'custom', q{SET ROLE regress_metaxy_reader; SELECT count(*) FROM later.mean_active;
		SELECT count(*) FROM later.mean_latest});
is($stdout, as_owner('store', 'SELECT count(*) FROM mean_active; SELECT count(*) FROM mean_latest'),
	'who was granted a view may read it');

# The schema alone

$to = new_database('schema_only');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to, $schema_file ],
	'pg_restore of the schema alone');
is( as_owner(
		'schema_only', q{SELECT (SELECT count(*) FROM metaxy_feature), (SELECT count(*) FROM metaxy_order()),
		(SELECT count(*) FROM metaxy_deletions)}),
	'0|0|0',
	'the registry is empty');
as_owner(
	'schema_only', q{
	INSERT INTO "Video" SELECT 'v' || i, i, 'v1', now(), now() FROM generate_series(1, 2) AS i;
	INSERT INTO "Video" SELECT 'v' || i, i, 'v2', now(), now() FROM generate_series(1, 3) AS i;
	INSERT INTO chunk SELECT video_id || '/1', 1, video_id, 1, 'v1', now(), now() FROM "Video_active";
});
is(as_owner('schema_only', 'SELECT count(*) FROM "Video_active"'),
	'3', 'the tables and views are there');
is( as_owner(
		'schema_only', q{
		INSERT INTO "Video" VALUES ('v1', 1, 'v9', '2001-02-03 UTC', '2001-02-04 UTC'),
								   ('v1', 1, 'v9', '2001-02-03 UTC', now() + interval '2 min')
		RETURNING metaxy_feature_version, metaxy_created_at = '2001-02-03 UTC',
				  metaxy_updated_at = '2001-02-04 UTC' OR metaxy_updated_at = now() + interval '2 min';
		INSERT INTO chunk_1 (chunk_id, part, metaxy_feature_version, metaxy_created_at, metaxy_updated_at)
		VALUES ('c', 1, 'v9', now(), '2001-02-04 UTC')
		RETURNING metaxy_updated_at = '2001-02-04 UTC';
		SELECT last_value FROM metaxy_clock}),
	"v9|t|t\nv9|t|t\nt\n1",
	'rows pass through as they are');
($ret, $stdout, $stderr) = $node->psql('schema_only',
	"\\set VERBOSITY sqlstate\nSELECT \"Metaxy %s\".metaxy_delete('video')");
like($stderr, qr/ERROR:\s+42704$/m, 'nothing is deleted without a registry');
my $trigger_oids = q{SELECT oid FROM pg_trigger WHERE tgname = 'zzzz_metaxy_stamp' ORDER BY oid};
my $oids = as_owner('schema_only', $trigger_oids);
as_owner('schema_only', "$register_video 'v2'); $register_others; $depend");
is(as_owner('schema_only', $trigger_oids), $oids, 'registered again, the triggers are taken as they are');
is(as_owner('schema_only', $questions{triggers}), $answers{triggers}, '... as in the store');
check_clock('schema_only', 'registered again');
is( as_owner(
		'schema_only',
		q{SELECT deletion_id, feature, samples
			FROM metaxy_delete('video', 'size > 1', cascade => 'downstream')}),
	"1|plain|0\n1|mean|0\n1|video/chunk|2\n1|video|2",
	'registered again, deletes go on');

# The data alone, into the schema alone: the rows stay as they are with
# metaxy.stamp = off ...

$to = new_database('data_off');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to, $schema_file ],
	'pg_restore of the schema alone');
{
	local $ENV{PGOPTIONS} = '-c metaxy.stamp=off';

	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to, $data_file ],
		'pg_restore of the data alone, metaxy.stamp = off');
}
compare_with_store('data_off', 'data alone');

# ... or with --disable-triggers, which enables them for less than before

$to = new_database('data_disabled');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to, $schema_file ],
	'pg_restore of the schema alone');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--disable-triggers', '-d', $to, $data_file ],
	'pg_restore of the data alone, --disable-triggers');
compare_with_store('data_disabled', 'data alone, triggers disabled', 'triggers');
my @origin = as_owner('data_disabled', $questions{triggers}) =~ /\|O$/mg;
isnt(scalar(@origin), 0, 'triggers are not always enabled any more');
as_owner(
	'data_disabled', q{
	SELECT metaxy_register(feature, relation, id_columns, feature_version, views, indexes)
	  FROM metaxy_feature WHERE relation IS NOT NULL});
compare_with_store('data_disabled', 'registered again', 'clock');

# The clock is not in the data of the tables: what registering finds raises it

$to = new_database('tables_alone');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to, $schema_file ],
	'pg_restore of the schema alone');
$node->command_ok(
	[
		'pg_restore', '--exit-on-error', '--disable-triggers', '-n', 'Odd "1" %s', '-n', 'later',
		'-d', $to, $data_file
	],
	'pg_restore of the tables\' data alone');
is(as_owner('tables_alone', 'SELECT last_value FROM metaxy_clock'), '1', 'the clock has not been set');
as_owner('tables_alone', "$register_video 'v2'); $register_others");
is(as_owner('tables_alone', $questions{triggers}), $answers{triggers}, 'the triggers are as in the store');
check_clock('tables_alone', 'registered again');

# By a role that is no superuser

$to = new_database('by_owner');
$node->safe_psql(
	'by_owner', qq{
	GRANT CREATE ON DATABASE by_owner TO regress_metaxy_owner;
	CREATE SCHEMA "Metaxy %s";
	GRANT USAGE ON SCHEMA "Metaxy %s" TO PUBLIC;
	CREATE EXTENSION metaxy SCHEMA "Metaxy %s";
	$give_away});
# what only a superuser can do has been done
my ($list, $errors) = run_command([ 'pg_restore', '-l', $owner_file ]);
$list = join("\n", grep { !/ (?:SCHEMA - Metaxy %s|EXTENSION|COMMENT - EXTENSION|ACL - SCHEMA "?Metaxy %s)/ }
	  split(/\n/, $list));
append_to_file("$tempdir/list", "$list\n");
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', @as_owner, '-L', "$tempdir/list", '-d', $to, $owner_file ],
	'pg_restore by the owner');
compare_with_store('by_owner', 'dumped and restored by the owner');

$node->stop;
done_testing();
