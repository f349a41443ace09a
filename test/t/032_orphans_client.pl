
# What metaxy_orphans shows is what Metaxy's own resolve_update() calls orphaned,
# on the tables of a store that Metaxy wrote, after deletes that did not cascade.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use Metaxy::Venv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @python = Metaxy::Venv::python_with(
	'metaxy.ext.postgresql, psycopg',
	'metaxy[postgres]==0.1.11', 'ibis-framework==12.0.0',
	'narwhals==2.29.0', 'polars==2.1.0',
	'psycopg[binary]==3.3.9', 'pydantic==2.14.4',
	'sqlglot==28.1.0');

# Each feature with the column by which Metaxy compares it with what is
# upstream: of an expansion that is the parent's id.
my %compared = (
	'video/chunk' => 'video_id',
	'video/faces' => 'video_chunk_id',
	'video/summary' => 'video_id',
	'video/transcript' => 'video_id');

delete @ENV{ grep { /^METAXY_/ } keys %ENV };

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $user = $node->safe_psql('postgres', 'SELECT current_user');

# Asserts that both find the same orphans; returns how many of each feature.
sub same_orphans
{
	my ($database, $name) = @_;
	my ($stdout, $stderr);
	my %count;

	my $done = IPC::Run::run(
		[   @python, 'test/client/orphans.py',
			$database, $node->host, $node->port, $user,
			map { "$_=$compared{$_}" } sort keys %compared ],
		'<', \undef, '>', \$stdout, '2>', \$stderr);
	ok($done, "$name: Metaxy's client ends well") or diag($stderr);
	my @theirs = sort split(/\n/, $stdout);
	my @ours = sort map {
		my $table = s,/,__,r;
		split(
			/\n/,
			$node->safe_psql(
				$database, "SELECT DISTINCT '$_', $compared{$_}
							  FROM metaxy_orphans(NULL::$table)"))
	} keys %compared;

	is(join("\n", @ours), join("\n", @theirs), "$name: the same orphans");
	$count{ s/\|.*//r }++ foreach @ours;
	return \%count;
}

for my $phase (1, 2)
{
	my $database = "phase_$phase";
	my $count;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok(
		[   'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
			'-f', "test/fixtures/media/store_after_phase_$phase.sql",
			'-d', $node->connstr($database) ],
		"$database: the store");
	$node->safe_psql($database,
		'CREATE EXTENSION metaxy; SELECT metaxy_sync()');
	same_orphans($database, "$database, as Metaxy left it");

	$node->safe_psql(
		$database, q{
		SELECT metaxy_delete('video/chunk', $$video_id IN ('v003', 'v004')$$);
		SELECT metaxy_delete('video/raw', $$video_id IN ('v001', 'v003')$$)});
	$count = same_orphans($database, "$database, after deletes");
	cmp_ok($count->{$_} // 0, '>', 0, "$database: there are orphans of $_")
	  foreach qw(video/chunk video/faces video/transcript);

	$node->safe_psql(
		$database, q{
		SELECT metaxy_delete_orphans('video/chunk', cascade => 'downstream');
		SELECT metaxy_delete_orphans('video/faces')});
	$count = same_orphans($database, "$database, after a sweep");
	is($count->{'video/chunk'} // 0, 0, "$database: chunks are swept");
	is($count->{'video/faces'} // 0, 0, "$database: faces are swept");
}

$node->stop;
done_testing();
