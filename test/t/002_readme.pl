
# README.md says what is so.  Its SQL blocks run from the first to the last in
# one psql session on an empty database; its reference, settings, errors,
# paths and links are compared with what is there.
#
# What the README says to this test, and not to its readers:
#
#	```sql					all statements succeed
#	```sql error=55000		the last statement, and only that, fails with it
#	```text					right after an SQL block: its output, in which
#							timestamps, digests and runs of blanks or dashes
#							count as alike; after a block for the shell it is
#							another test's
#	<!-- test: load store -->	the tables of a Metaxy store come into being
#	<!-- test: push -->			"metaxy push" is called there
#	<!-- test: not ours -->		the next heading is a message of the server's

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
my $store = 'test/fixtures/media/store_after_phase_1.sql';
my $pushed = 'test/fixtures/media/store_after_phase_2.sql';

# Statements that a marker stands for.
my %markers = (
	'load store' => "\\! psql -X -q -v ON_ERROR_STOP=1 -f $store\n",
	'push' => join("\n",
		'TRUNCATE metaxy_system__feature_versions;',
		slurp_file($pushed) =~
		  /^(COPY \S*metaxy_system__feature_versions .*?^\\\.$)/ms)
	  . "\n",
	'not ours' => undef);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE readme');
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'readme';

# Compares two sorted lists, shown one item a line.
sub same_lists
{
	my ($got, $expected, $name) = @_;

	return is(join("\n", sort @$got), join("\n", sort @$expected), $name);
}

# The text of a section, up to the next heading of the same level.
sub section
{
	my ($title) = @_;

	return $readme =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms ? $1 : '';
}

# Takes the README apart: SQL blocks and what is between them.
sub read_blocks
{
	my @blocks;
	my $fence;
	my $text = '';
	my $follows = 0;			# right after an SQL block
	my $number = 0;

	foreach my $line (split(/^/, $readme))
	{
		$number++;
		if (defined $fence)
		{
			if ($line ne "```\n")
			{
				$text .= $line;
				next;
			}
			if ($fence =~ /^sql(?: error=(\w{5}))?$/)
			{
				push @blocks,
				  { line => $number, sql => $text, sqlstate => $1 // '00000' };
				$follows = 1;
			}
			elsif ($fence eq 'text')
			{
				ok($follows, "line $number: output follows its SQL");
				$blocks[-1]->{output} = $text if $follows ne 'sh';
				$follows = 0;
			}
			else
			{
				like($fence, qr/^(sh(?: status=\d)?)?$/,
					"line $number: fence is known");
				$follows = 'sh' if $fence =~ /^sh/;
			}
			($fence, $text) = (undef, '');
		}
		elsif ($line =~ /^```(.*)$/)
		{
			$fence = $1;
		}
		elsif ($line =~ /^<!-- (.*) -->$/)
		{
			my $marker = $1 =~ /^test: (.*)$/ ? $1 : '';

			ok(exists $markers{$marker}, "line $number: marker is known");
			push @blocks, { line => $number, marker => $marker };
			$follows = 0;
		}
		elsif ($line ne "\n")
		{
			$follows = 0;
		}
	}
	is($fence, undef, 'all fences are closed');
	return @blocks;
}

# Output without what is different each time, or only laid out differently.
sub normal
{
	my ($text) = @_;

	$text =~
	  s/\d{4}-\d\d-\d\d [\d:]{8}(\.\d+)?[+-]\d\d(:\d\d)?/TIMESTAMP/g;
	$text =~ s/\b[0-9a-f]{16}\b/DIGEST/g;
	$text =~ s/-{2,}/-/g;
	$text =~ s/ +/ /g;
	$text =~ s/^ | $//mg;
	$text =~ s/\n+$/\n/;
	return $text;
}

#
# SQL blocks
#

my @blocks = read_blocks();
my $script = '';
for my $i (0 .. $#blocks)
{
	my $block = $blocks[$i];

	if (defined $block->{marker})
	{
		$script .= $markers{ $block->{marker} } // '';
		next;
	}
	$script .=
	    '\set ON_ERROR_STOP '
	  . ($block->{sqlstate} eq '00000' ? 'on' : 'off')
	  . "\n\\echo ### begin $i\n$block->{sql}\\echo ### end $i :SQLSTATE\n";
}

my $output;
IPC::Run::run([ 'psql', '-X', '-q' ], '<', \$script, '>&', \$output);

for my $i (0 .. $#blocks)
{
	my $block = $blocks[$i];
	my $line = "line $block->{line}";

	next if defined $block->{marker};
	if ($output !~ /^### begin $i\n(.*?)^### end $i (\w+)\n/ms)
	{
		fail("$line: SQL block runs to its end");
		diag($block->{sql}, $output =~ /^### begin $i\n(.*)\z/ms ? $1 : '');
		last;
	}
	my ($shown, $sqlstate) = ($1, $2);
	my @errors = $shown =~ /^ERROR:/mg;

	is($sqlstate, $block->{sqlstate}, "$line: SQLSTATE of the block")
	  or diag($block->{sql}, $shown);
	is(scalar(@errors), $sqlstate eq '00000' ? 0 : 1,
		"$line: no other statement fails");
	is(normal($shown), normal($block->{output}), "$line: output")
	  if defined $block->{output};
}
cmp_ok(scalar(grep { defined $_->{output} } @blocks),
	'>', 20, 'many SQL blocks were compared with their output');

#
# Reference: each function with its arguments and result
#

$node->safe_psql('postgres', 'CREATE EXTENSION metaxy');
my @functions = split(
	/\n/,
	$node->safe_psql(
		'postgres', q{
	SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ')'
		   || coalesce(' RETURNS ' || pg_get_function_result(p.oid), '')
	  FROM pg_proc AS p
	  JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass
							 AND d.objid = p.oid AND d.deptype = 'e'
	  JOIN pg_extension AS e ON e.oid = d.refobjid
	 WHERE e.extname = 'metaxy'}));
foreach (@functions)
{
	s/(DEFAULT (?:NULL|'[^']*'))::\w+(?: with time zone)?(\[\])?/$1/g;
	if (s/,? ?(OUT .*)\) RETURNS SETOF record$//)
	{
		my $columns = $1;

		$columns =~ s/\bOUT //g;
		$_ .= ") RETURNS TABLE($columns)";
	}
}

my @signatures = section('Reference') =~ /^```\n(.*?)^```$/msg;
foreach (@signatures)
{
	s/\s+/ /g;
	s/ $//;
	s/TABLE \(/TABLE(/;
}
cmp_ok(scalar(@functions), '>', 10, 'the extension has functions');
same_lists(\@signatures, \@functions, 'the reference has all functions');

#
# Settings and SQLSTATEs
#

# the library is loaded where it is used
my @settings = split(
	/\n/,
	$node->safe_psql(
		'postgres', q{
	SELECT FROM metaxy_order();
	SELECT '`' || name || '` | `' || current_setting(name) || '`'
	  FROM pg_settings WHERE name LIKE 'metaxy.%'}));
my @described = section('Settings') =~ /^\| (`metaxy\.\w+` \| `[^`]*`) \|/mg;
same_lists(\@described, [ grep { $_ ne '' } @settings ],
	'the table of settings has all of them with their defaults');

my $sources = join('', map { slurp_file($_) } glob('src/*.c src/*/*.c'));
my ($headers) = run_command([ 'pg_config', '--includedir-server' ]);
my %sqlstates = slurp_file("$headers/utils/errcodes.h") =~
  /^#define (ERRCODE_\w+) MAKE_SQLSTATE\(([^)]*)\)/mg;
s/[',]//g foreach values %sqlstates;
my %explained = map { $_ => 1 }
  map { split(/, /) } section('Errors') =~ /^\| ([0-9A-Z, ]+) \|/mg;
my %raised = map { $sqlstates{$_} => 1 } $sources =~ /\b(ERRCODE_(?!TO_)\w+)/g;

# what mx_sync_try passes on, it does not raise
delete $raised{$_} foreach qw(40000 53000 57000 58000 XX000);
same_lists([ grep { !$explained{$_} } keys %raised ],
	[], 'the table of errors has each SQLSTATE that is raised');

#
# Messages, paths, names of tests, links
#

my @messages = map {
	s/\\(.)/$1/g;
	join('.*', map { quotemeta } split(/%(?:ll)?[sdu]/, $_, -1));
} $sources =~ /errmsg\(\s*"((?:[^"\\]|\\.)+)"/g;
my $troubleshooting = section('Troubleshooting');

$troubleshooting =~ s/^<!-- test: not ours -->\n### .*$//mg;
foreach my $heading ($troubleshooting =~ /^### `(.*)`$/mg)
{
	ok((grep { $heading =~ /^$_$/ } @messages), "message: $heading");
}

my %paths = map { $_ => 1 } $readme =~
  m{(?<![\w/.])((?:bench|expected|sql|src|test|tools)/[\w./-]*\w)}g;
foreach my $path (sort keys %paths)
{
	ok(-e $path, "path: $path");
}

my %places = (
	regress => 'test/sql/%s.sql',
	REGRESS => 'test/sql/%s.sql',
	isolation => 'test/specs/%s.spec',
	tap => 'test/t/%s.pl');
foreach my $test (
	$readme =~ m{^(?:tools/check|make installcheck) (\w+[ =]\w+)}mg)
{
	my ($layer, $name) = split(/[ =]/, $test);

	ok(-e sprintf($places{$layer}, $name), "test: $test");
}

my %anchors =
  map { s/[^\w -]//g; s/ /-/g; lc($_) => 1 } $readme =~ /^#+ (.*)$/mg;
my %links = map { $_ => 1 } $readme =~ /\]\(#([^)]*)\)/g;
same_lists([ grep { !$anchors{$_} } keys %links ],
	[], 'all links lead somewhere');

$node->stop;
done_testing();
