
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
# Few statistics, so that few samples have ranges.
$node->append_conf('postgresql.conf', <<'CONF');
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
$node->stop;
done_testing();
