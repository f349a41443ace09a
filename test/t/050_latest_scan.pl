
# The latest scan against the plain SQL that it stands for: tables with keys
# of all kinds, short and long, random histories with ties, aborts, HOT updates,
# deletes, VACUUM and transactions in flight; each query is answered both ways,
# at once, through a cursor, or prepared.
#
# Environment:
#	METAXY_SCAN_TABLES	how many tables, 30 by default
#	METAXY_SCAN_SEED	of the random choices
#	METAXY_SCAN_SECONDS	how long with writers at the same time, 4 by default

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Metaxy::Latest;
use Metaxy::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tables = $ENV{METAXY_SCAN_TABLES} // 30;
my $seed = $ENV{METAXY_SCAN_SEED} // 1;
my $seconds = $ENV{METAXY_SCAN_SECONDS} // 4;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# Few statistics, so that few samples have ranges.  With an odd seed the cache
# is small, so that pages are read, and asked for ahead.
my $buffers = $seed % 2 ? '1MB' : '128MB';
$node->append_conf('postgresql.conf', <<"CONF");
shared_buffers = $buffers
effective_io_concurrency = 4
max_worker_processes = 16
max_parallel_workers = 16
autovacuum = off
deadlock_timeout = 20ms
fsync = off
jit = off
default_statistics_target = 12
timezone = 'Europe/Berlin'
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION metaxy');
my $collation = $node->psql('postgres',
	q{CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)});
my $errors = "$PostgreSQL::Test::Utils::log_path/sessions";

my $latest = Metaxy::Latest->new(
	seed => $seed,
	connect => sub { Metaxy::Session->new($node->connstr('postgres'), $errors) },
	icu => $collation == 0);

note "seed $seed, $tables tables";
for my $number (1 .. $tables)
{
	my @differences = $latest->try_table($number);

	is(scalar @differences, 0, "table $number: $latest->{description}")
	  or diag(join "\n", @differences);
	last if @differences;
}

# Each way to run the scan must have had its share.
my %used = $latest->used;
for my $way ('newest first', 'oldest first', 'heap order', 'index only',
	'flag', 'look-up', 'partitions', 'parallel', 'filter', 'filter again',
	'filter parallel',
	'arrays', 'several arrays', 'descents', 'several pages', 'cursor',
	'prepared', 'plain')
{
	cmp_ok($used{$way} // 0, '>', 0, "used: $way");
}
note "$latest->{compared} comparisons: ", join ', ', map { "$_: $used{$_}" } sort keys %used;

#
# Writers at the same time
#
for my $type ('integer', 'text /* long */')
{
	$latest->{compared} = 0;
	my @differences = $latest->try_beside_writers($seconds / 2, $type);

	is(scalar @differences, 0, "beside writers, $type, $latest->{compared} comparisons")
	  or diag(join "\n", @differences[ 0 .. ($#differences > 5 ? 5 : $#differences) ]);
	cmp_ok($latest->{compared}, '>', 0, 'something was compared');
}

$latest->quit;

#
# Pages that are not in the cache: others are asked for before they are read
#
$node->safe_psql('postgres', <<'SQL');
SET metaxy.stamp = off;
CREATE TABLE by_id (id int NOT NULL, note text);
CREATE TABLE mixed (id int NOT NULL, note text);
SELECT metaxy_register(name, name::regclass, '{id}') FROM unnest('{by_id,mixed}'::text[]) AS name;
INSERT INTO by_id
SELECT i, repeat(md5(i::text), 5), '2024-01-01', timestamptz '2024-01-01' + k * interval '1 day'
  FROM generate_series(1, 20000) AS i, generate_series(1, 2) AS k ORDER BY 1, 4;
INSERT INTO mixed
SELECT i, repeat(md5(i::text), 5), '2024-01-01', timestamptz '2024-01-01' + k * interval '1 day'
  FROM generate_series(1, 2000) AS i, generate_series(1, 20) AS k ORDER BY md5(i || ' ' || k);
VACUUM ANALYZE by_id, mixed;
SQL
for (
	[ 'by_id', 'newest first', 'count(*)' ],
	[ 'by_id', 'newest first', 'count(*), sum(hashtext(note))' ],
	[ 'mixed', 'heap order', 'count(*), sum(hashtext(note))' ])
{
	my ($table, $order, $columns) = @$_;
	my $query = "SELECT $columns FROM ${table}_active";
	my %rows;

	$node->restart;
	like($node->safe_psql('postgres', "SET max_parallel_workers_per_gather = 0; EXPLAIN $query"),
		qr/Latest Scan.* on $table .*Order: $order/s, "$query: $order");
	for my $ours ('on', 'off')
	{
		$rows{$ours} = $node->safe_psql('postgres', <<"SQL");
SET max_parallel_workers_per_gather = 0;
SET metaxy.enable_latest_scan = $ours;
$query;
SQL
	}
	is($rows{on}, $rows{off}, "$query: not cached");
}
$node->stop;
done_testing();
