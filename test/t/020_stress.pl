
# Writers and deletes meet at random, with wrong clocks, savepoints, aborts,
# prepared transactions, VACUUM, index builds and DDL among them; afterwards
# Metaxy::Check judges from the tables and the clients' logs whether a delete
# hid what it had not seen, or left what it had.
#
# Environment:
#	METAXY_STRESS_SECONDS	how long, 20 by default
#	METAXY_STRESS_SEED		of the random choices of each session; what they
#							lead to depends on the machine's timing as well

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Metaxy::Check;
use Metaxy::Stress;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{METAXY_STRESS_SECONDS} // 20;
my $seed = $ENV{METAXY_STRESS_SEED} // 1;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
max_prepared_transactions = 20
deadlock_timeout = 100ms
autovacuum_naptime = 5s
});
$node->start;

my $directory = PostgreSQL::Test::Utils::tempdir;
my $has = Metaxy::Stress::prepare($node, 'postgres');
note join ', ', "seed $seed, $seconds s",
  map { ($has->{$_} ? '' : 'no ') . $_ } sort keys %{$has};
Metaxy::Stress::drive($node, 'postgres', $has, $directory, $seconds, $seed);
my $check = Metaxy::Check->new(Metaxy::Stress::collect($node, 'postgres', $directory));
my $found = $check->check;
my $counts = $check->{counts};
note "$_: $counts->{$_}" for sort keys %{$counts};
fail("$_: $found->{$_}") for sort keys %{$found};
ok(!%{$found}, 'no law was broken');

$node->stop;
done_testing();
