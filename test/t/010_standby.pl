
# On a hot standby everything that reads works as on its primary, a dry run of
# a delete too, and everything that writes is 25006.  After a promotion the
# standby goes on where the primary has stopped.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION metaxy;
	CREATE ROLE regress_metaxy_reader;
	CREATE TABLE video (video_id text, size integer, metaxy_feature_version text,
		metaxy_created_at timestamptz, metaxy_updated_at timestamptz,
		metaxy_deleted_at timestamptz);
	CREATE TABLE chunk (chunk_id text, LIKE video);
	CREATE TABLE mean (LIKE chunk) PARTITION BY HASH (video_id);
	CREATE TABLE mean_0 PARTITION OF mean FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	SELECT metaxy_register('video', 'video', '{video_id}', 'v1'),
		   metaxy_register('video/chunk', 'chunk', '{chunk_id}', 'v1'),
		   metaxy_register('mean', 'mean', '{video_id}', 'v1');
	SELECT metaxy_depend('video/chunk', 'video', '1:N', '{video_id}'),
		   metaxy_depend('mean', 'video/chunk', 'N:1', '{video_id}');
	GRANT SELECT ON video, chunk, mean TO regress_metaxy_reader;
	INSERT INTO video
	SELECT 'v' || i, i, 'v1', now(), now() FROM generate_series(1, 9) AS i;
	INSERT INTO chunk
	SELECT video_id || '/' || i, video_id, i, 'v1', now(), now()
	  FROM video, generate_series(1, 3) AS i;
	INSERT INTO mean
	SELECT '', video_id, 0, 'v1', now(), now() FROM video;
	CREATE VIEW recencies AS
	SELECT coalesce(metaxy_deleted_at, metaxy_updated_at) AS recency FROM video UNION ALL
	SELECT coalesce(metaxy_deleted_at, metaxy_updated_at) FROM chunk UNION ALL
	SELECT coalesce(metaxy_deleted_at, metaxy_updated_at) FROM mean;
	CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql AS
	$$ SELECT timestamptz '2000-01-01 00:00:00 UTC' + last_value * interval '1 microsecond' FROM metaxy_clock $$;
	SELECT metaxy_delete('video', 'size = 9', cascade => 'downstream')});

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres',
	q{SELECT metaxy_delete('video', 'size = 8', cascade => 'downstream')});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

# Reading

my %queries = (
	'metaxy_order' => 'SELECT * FROM metaxy_order()',
	'metaxy_order of a feature' =>
	  q{SELECT * FROM metaxy_order('mean', 'upstream')},
	'metaxy_graph' => q{SELECT metaxy_graph('json')},
	'metaxy_status' =>
	  'SELECT feature, relation, active, deleted, rows, last_write, last_delete FROM metaxy_status()',
	'metaxy_read' =>
	  'SELECT x FROM metaxy_read(NULL::chunk, include_soft_deleted => true) AS x ORDER BY x',
	'metaxy_read by a reader' =>
	  q{SET ROLE regress_metaxy_reader;
		SELECT x FROM metaxy_read(NULL::mean, $$video_id < 'v5'$$, with_sample_history => true,
			as_of => now()) AS x ORDER BY x},
	'the ledger' => 'SELECT * FROM metaxy_deletions ORDER BY id',
	'the ledger\'s steps' =>
	  'SELECT * FROM metaxy_deletion_steps ORDER BY deletion_id, step',
	'a dry run' =>
	  q{SELECT * FROM metaxy_delete('video', 'size < 4', dry_run => true)},
	'a dry run of a cascade' =>
	  q{SELECT * FROM metaxy_delete('video', 'size < 4', cascade => 'downstream', dry_run => true)},
	'a dry run of a cascade both ways' =>
	  q{SELECT * FROM metaxy_delete('video/chunk', 'size = 2', cascade => 'both',
		with_sample_history => true, dry_run => true)},
	'a dry run of a hard delete' =>
	  q{SELECT * FROM metaxy_delete('video', cascade => 'downstream', soft => false, dry_run => true)},
	'a dry run of a hard delete of single rows' =>
	  q{SELECT * FROM metaxy_delete('{mean,video}'::text[], '{true}', soft => false,
		with_sample_history => true, dry_run => true)},
	'a dry run by a reader' =>
	  q{SET ROLE regress_metaxy_reader; SET client_min_messages = warning;
		SELECT * FROM metaxy_delete('video', cascade => 'downstream', dry_run => true)});
for my $table (qw(video chunk mean))
{
	$queries{"view ${table}_$_"} = "SELECT x FROM ${table}_$_ AS x ORDER BY x"
	  for qw(active latest deleted);
}

for my $name (sort keys %queries)
{
	my $expected = $primary->safe_psql('postgres', $queries{$name});
	isnt($expected, '', "$name has something to show");
	is($standby->safe_psql('postgres', $queries{$name}),
		$expected, "$name is the same on the standby");
}

# ... which takes no lock that would hold up the replay

my $reader = $standby->background_psql('postgres');
$reader->query_safe(
	q{BEGIN;
	SELECT count(*) FROM metaxy_read(NULL::video);
	SELECT sum(samples) FROM metaxy_delete('video', cascade => 'downstream', dry_run => true)}
);
$primary->safe_psql('postgres',
	'INSERT INTO video SELECT * FROM video_active; VACUUM video');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is( $standby->safe_psql(
		'postgres', q{
	SELECT DISTINCT mode FROM pg_locks WHERE relation = 'video'::regclass}),
	'AccessShareLock',
	'a read and a dry run hold ACCESS SHARE alone');
$reader->query_safe('COMMIT');
$reader->quit;

# Writing

sub read_only
{
	my ($sql) = @_;

	my ($ret, $stdout, $stderr) =
	  $standby->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	like($stderr, qr/ERROR:  25006: cannot execute metaxy_\w+\(\)/, "25006: $sql");
	return;
}

my $state = 'SELECT (SELECT count(*) FROM video), (SELECT count(*) FROM metaxy_deletion)';
my $before = $standby->safe_psql('postgres', $state);
read_only($_)
  for (
	q{SELECT metaxy_delete('video', 'size = 1')},
	q{SELECT metaxy_delete('video', 'false')},
	q{SELECT metaxy_delete('video', 'size = 1', cascade => 'downstream', soft => false)},
	q{SELECT metaxy_delete('video', all_rows => true, soft => false)},
	q{SELECT metaxy_register('video', 'video', '{video_id}', 'v1')},
	q{SELECT metaxy_register('video', 'video', '{video_id}', 'v2')},
	q{SELECT metaxy_unregister('mean')},
	q{SELECT metaxy_depend('mean', 'video', 'N:1', '{video_id}')},
	q{SELECT metaxy_undepend('mean', 'video/chunk')},
	q{SELECT metaxy_views('video', false)},
	q{SELECT metaxy_sync()});
is($standby->safe_psql('postgres', $state), $before, 'nothing was written');

# ... by plain SQL too, which the server itself refuses
for my $sql (
	q{INSERT INTO video (video_id) VALUES ('v1')},
	q{COPY video (video_id) FROM stdin},
	q{SELECT nextval('metaxy_clock')})
{
	my ($ret, $stdout, $stderr) =
	  $standby->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");
	like($stderr, qr/ERROR:\s+25006$/m, "25006: $sql");
}

# The clock comes with the rows

my $ahead = q{SET metaxy.clock_shift = '1h';};
my $behind = q{SET metaxy.clock_shift = '-1h';};
my $last_values = '';
for my $round (1 .. 3)
{
	# the first stamp is far ahead, the others follow it a microsecond apart:
	# few of them have a record of WAL of their own
	$primary->safe_psql(
		'postgres', qq{
		@{[ $round == 1 ? $ahead : $behind ]}
		INSERT INTO video SELECT 'r' || i, 100, 'v1', now(), now() FROM generate_series(1, 50) AS i;
		INSERT INTO chunk VALUES ('c', 'r1', 100);
		SELECT metaxy_delete('video', 'video_id = ''r50''');
		@{[ $round == 2 ? 'CHECKPOINT' : '' ]}});
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	is( $standby->safe_psql(
			'postgres', 'SELECT clock() >= max(recency) FROM recencies'),
		't',
		"on the standby the clock is not below any row, $round");
}
my $clock = $standby->safe_psql('postgres', 'SELECT clock()');
is( $standby->safe_psql(
		'postgres', qq{
		$ahead
		SELECT count(*) FROM metaxy_delete('video', 'true', cascade => 'downstream', dry_run => true);
		SELECT clock()}),
	"3\n$clock",
	'what is read there does not raise it');

# Promoted, with a wall clock that is hours behind: no stamp goes back

$before = $standby->safe_psql('postgres', 'SELECT max(id) FROM metaxy_deletion');
my $greatest = $primary->safe_psql('postgres', 'SELECT max(recency) FROM recencies');
$primary->stop;
$standby->promote;
is( $standby->safe_psql(
		'postgres', qq{
		$behind
		BEGIN;
		INSERT INTO video (video_id, size) VALUES ('r1', 200), ('promoted', 1000)
		RETURNING metaxy_updated_at > '$greatest';
		COMMIT;
		SELECT clock() >= max(recency) FROM recencies;
		SELECT size FROM video_active WHERE video_id = 'r1';
		SELECT samples FROM metaxy_delete('video', 'size IN (100, 200)');
		SELECT count(*) FROM video_active WHERE size IN (100, 200);
		INSERT INTO video (video_id, size) VALUES ('r1', 300);
		SELECT size FROM video_active WHERE video_id = 'r1'}),
	"t\nt\nt\n200\n49\n0\n300",
	'after a promotion no stamp lies below those before');
is( $standby->safe_psql(
		'postgres',
		q{SELECT feature, samples FROM metaxy_delete('video', 'size = 1', cascade => 'downstream')}),
	"mean|1\nvideo/chunk|3\nvideo|1",
	'after a promotion it deletes');
is( $standby->safe_psql('postgres',
		"SELECT max(id) > $before, count(*) FROM metaxy_deletion"),
	't|7', 'with an id of its own');

$standby->stop;
done_testing();
