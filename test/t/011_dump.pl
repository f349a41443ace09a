
# pg_dump and pg_restore: the registry, the views and their grants, the ledger
# and its ids come back as they were, in every format; of the schema alone an
# empty registry, under which registering again finds all that is there.

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
	CREATE ROLE regress_metaxy_owner;
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
	q{SELECT metaxy_delete('video', 'size = 5', max_samples => 1)});

# All that must come back.

my @views = map { my $t = $_; map { qq{"${t}_$_"} } qw(active latest deleted) }
  qw(Video chunk mean);
my %questions = (
	'features' => 'SELECT f FROM metaxy_feature AS f ORDER BY feature',
	'versions' =>
	  'SELECT v FROM metaxy_feature_version_log AS v ORDER BY feature, since',
	'dependencies' =>
	  'SELECT d FROM metaxy_dependency AS d ORDER BY feature, upstream',
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

my $schema_file = dump_store('schema', '-Fc', '--schema-only');

# Life goes on there, with ids that go on too

for my $database (qw(store plain custom directory))
{
	is( as_owner(
			$database,
			q{SELECT deletion_id, feature, samples
				FROM metaxy_delete('video', 'size = 6', cascade => 'downstream')}),
		"6|no/table|0\n6|plain|0\n6|mean|0\n6|video/chunk|3\n6|video|1",
		"$database: the next delete has the next id");
	is(as_owner($database, 'SELECT count(*), max(id) FROM metaxy_deletions'),
		'6|6', "$database: and is in the ledger");
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
($ret, $stdout, $stderr) = $node->psql('schema_only',
	"\\set VERBOSITY sqlstate\nSELECT \"Metaxy %s\".metaxy_delete('video')");
like($stderr, qr/ERROR:\s+42704$/m, 'nothing is deleted without a registry');
as_owner('schema_only', "$register_video 'v2'); $register_others; $depend");
is( as_owner(
		'schema_only',
		q{SELECT deletion_id, feature, samples
			FROM metaxy_delete('video', 'size > 1', cascade => 'downstream')}),
	"1|plain|0\n1|mean|0\n1|video/chunk|2\n1|video|2",
	'registered again, deletes go on');

$node->stop;
done_testing();
