
# The README's section on the command line says what is so: its tables are what
# --help shows, and its examples run.
#
#	```sh				runs in bash, with status 0
#	```sh status=N		with that status
#	```text				right after it: what it prints on either stream, in
#						which timestamps and digests count as alike

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($bindir) = run_command([ 'pg_config', '--bindir' ]);
my $section = slurp_file('README.md') =~ /^## Command line\n(.*?)^## /ms ? $1 : '';
my $metaxy = $ENV{METAXY_COMMAND} // "$bindir/metaxy";

# What --help shows under a heading: pairs of what and its explanation, which
# is on the next line where the first is long.
sub entries
{
	my ($help, $heading) = @_;
	my @lines = $help =~ /^\Q$heading\E\n((?: .*\n)*)/m ? split(/\n/, $1) : ();
	my @entries;

	while (defined(my $line = shift @lines))
	{
		my ($what, $meaning) = $line =~ /^ +(\S.*?)(?: {2,}(\S.*))?$/;

		($meaning) = shift(@lines) =~ /^ +(.*)/ unless defined $meaning;
		$what =~ s/\|/\\|/g;
		push @entries, [ $what, $meaning ];
	}
	return @entries;
}

# The rows of the table below a line of the section.
sub table
{
	my ($head) = @_;

	return $section =~ /^\Q$head\E\n\|[-|]+\|\n((?:\|.*\n)+)/m ? $1 : '';
}

# Output without what is different each time, or at the end of a line.
sub normal
{
	my ($text) = @_;

	$text =~ s/\d{4}-\d\d-\d\d [\d:]{8}(\.\d+)?[+-]\d\d(:\d\d)?/TIMESTAMP/g;
	$text =~ s/\b[0-9a-f]{16}\b/DIGEST/g;
	$text =~ s/\b\Q$ENV{PGUSER}\E\b/postgres/g;
	$text =~ s/-{2,}/-/g;
	$text =~ s/ +/ /g;
	$text =~ s/ $//mg;
	return $text;
}

#
# Tables
#

my ($help) = run_command([ $metaxy, '--help' ]);
my @commands = entries("$help\n", 'Commands:');
my %takers;
my @options;

cmp_ok(scalar(@commands), '>', 10, 'there are commands');
is(table('| Command | What it does |'),
	join('', map { "| `$_->[0]` | $_->[1] |\n" } @commands), 'commands');
is( table('| Option | Meaning |'),
	join('',
		map { "| `$_->[0]` | $_->[1] |\n" }
		  entries("$help\n", 'Options of every command:')),
	'options of all commands');

foreach my $command (@commands)
{
	my @words = grep { /^[a-z]+$/ } split(/ /, $command->[0]);
	my ($own) = run_command([ $metaxy, @words, '--help' ]);

	foreach my $option (entries("$own\n", 'Options:'))
	{
		my $row = "| `$option->[0]` | $option->[1] |";

		push @{ $takers{$row} }, '`' . join(' ', @words) . '`';
	}
}
is( join('', sort split(/^/, table('| Option | Meaning | Commands |'))),
	join('', sort map { "$_ " . join(', ', @{ $takers{$_} }) . " |\n" } keys %takers),
	'options of some commands');

#
# Examples, from the first to the last, on a store of Metaxy's
#

my $node = PostgreSQL::Test::Cluster->new('main');
my $shown = 0;

$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE mydb');
$node->safe_psql('mydb',
	"CREATE EXTENSION metaxy;\n"
	  . slurp_file('test/fixtures/media/store_after_phase_1.sql'));

mkdir "$PostgreSQL::Test::Utils::tmp_check/readme";
symlink $metaxy, "$PostgreSQL::Test::Utils::tmp_check/readme/metaxy";
$ENV{PATH} = "$PostgreSQL::Test::Utils::tmp_check/readme:$ENV{PATH}";
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'mydb';
$ENV{PGUSER} = $node->safe_psql('mydb', 'SELECT current_user');
chdir "$PostgreSQL::Test::Utils::tmp_check/readme";

while ($section =~ /^```sh(?: status=(\d))?\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/msg)
{
	my ($status, $script, $expected) = ($1 // 0, $2, $3);
	my ($output, $first) = ('', $script =~ /(.*)/);

	IPC::Run::run([ 'bash', '-eu', '-o', 'pipefail' ],
		'<', \$script, '>&', \$output);
	is($? >> 8, $status, "status: $first") or diag($output);
	if (defined $expected)
	{
		is(normal($output), normal($expected), "output: $first");
		$shown++;
	}
}
cmp_ok($shown, '>', 2, 'the output of some was compared');

chdir '/';
$node->stop;
done_testing();
