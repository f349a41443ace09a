
# What the metaxy command takes: help, options and their values, operands,
# mistakes and what it suggests, completion.  But for the names of features, it
# needs no server for that, and has none here: what is wrong is found before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use Metaxy::Command;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

delete $ENV{POSIXLY_CORRECT};

my @global = qw(host port username dbname no-password password format quiet
  echo color version help);

# Each command, its operands, and its options
my @commands = (
	[ 'metadata delete', '[FEATURE]...', qw(feature all-features filter soft hard
		  cascade partial with-feature-history with-sample-history
		  feature-version max-samples expect reason dry-run yes) ],
	[ 'metadata status', '[FEATURE]...', qw(feature) ],
	[ 'metadata read', 'FEATURE', qw(filter latest deleted with-feature-history
		  with-sample-history feature-version as-of limit) ],
	[ 'metadata undelete', 'ID', qw(feature dry-run yes) ],
	[ 'metadata orphans', '[FEATURE]', qw(count delete soft hard cascade
		  max-samples expect reason dry-run yes) ],
	[ 'metadata purge', 'FEATURE', qw(older-than history batch-size dry-run
		  yes) ],
	[ 'metadata retain', 'FEATURE', qw(purge-after history-after) ],
	[ 'metadata maintain', '', qw(dry-run yes) ],
	[ 'sync', '', qw(schema table-prefix project dry-run) ],
	[ 'register', 'FEATURE', qw(table id-columns feature-version no-views
		  no-indexes replace) ],
	[ 'unregister', 'FEATURE' ],
	[ 'depend', 'FEATURE UPSTREAM', qw(lineage on rename optional) ],
	[ 'undepend', 'FEATURE UPSTREAM' ],
	[ 'list features', '' ],
	[ 'describe', 'FEATURE' ],
	[ 'graph render', '', qw(format) ],
	[ 'history', '', qw(feature kind role since until limit) ]);

# Asserts that it works without a server; returns what it prints.
sub prints
{
	my ($name, @arguments) = @_;
	my ($status, $stdout, $stderr) = run_metaxy(undef, @arguments);

	is($status, 0, "$name: status");
	is($stderr, '', "$name: no words");
	return $stdout;
}

# Asserts that arguments are refused, and how; of most, the hint is to read the
# help on delete.
sub refused
{
	my ($arguments, $message, $hint) = @_;
	my $name = join ' ', map { s/\n/\\n/gr } @$arguments;
	my ($status, $stdout, $stderr) = run_metaxy(undef, @$arguments);

	$hint = hint($hint // 'Try: metadata delete');
	is($status, 2, "$name: status") or diag($stderr);
	is($stdout, '', "$name: no output");
	is($stderr, "metaxy: error: $message\nmetaxy: hint: $hint\n",
		"$name: message");
	return;
}

# A command whose help is to be read, or what may have been meant
sub hint
{
	return $_[0] =~ /^Try:(.*)/
	  ? "Try \"metaxy$1 --help\"."
	  : "Did you mean \"$_[0]\"?";
}

# Asserts that arguments are right: only the server is missing.
sub taken
{
	my (@arguments) = @_;
	my $name = join ' ', @arguments;
	my ($status, $stdout, $stderr) = run_metaxy(undef, @arguments);

	is($status, 1, "$name: status");
	like(
		$stderr,
		qr{^metaxy: error: connection to server on socket "/nonexistent/},
		"$name: is taken");
	return;
}

# The names of the options that a part of the help has
sub listed
{
	my ($help, $title) = @_;
	my ($part) = $help =~ /^\Q$title\E:\n(.*?)^(?:\n|\z)/ms;

	return [ ($part // '') =~ /^ +(?:-\w, )?--([\w-]+)/mg ];
}

#
# Help and version
#

my $help = prints('help', '--help');
is_deeply(listed($help, 'Options of every command'),
	\@global, 'help: options of every command');
is_deeply(
	[ $help =~ /^  ((?:metadata |list |graph )?[a-z]+)(?= |$)/mg ],
	[ 'metaxy', map { $_->[0] } @commands ],
	'help: the commands');
foreach (@commands)
{
	my ($name, $operands, @options) = @$_;
	my $text = prints("help on $name", split(/ /, $name), '--help');
	my %own = map { $_ => 1 } @options;
	my $usage = join ' ', 'metaxy', $name, $operands ? $operands : (),
	  '[OPTION]...';

	like($text, qr/^Usage:\n  \Q$usage\E$/m, "help on $name: usage");
	like($help, qr/^ +\Q$name $operands\E/m, "help: operands of $name");
	is_deeply(listed($text, 'Options'), \@options, "help on $name: options");
	is_deeply(
		listed($text, 'Options of every command'),
		[ grep { !$own{$_} } @global ],
		"help on $name: options of every command");
	like($text, qr/^Examples:\n(?:  metaxy \Q$name\E\b.*\n)+\z/m,
		"help on $name: examples");
	unlike($text, qr/^.{101}/m, "help on $name: lines are not too long");
	is(prints("help on $name, first", '--help', split / /, $name),
		$text, "help on $name: wherever it is asked for");

	# It is what the parser goes by, too.
	foreach my $option (@options)
	{
		my (undef, undef, $stderr) =
		  run_metaxy(undef, split(/ /, $name), "--$option");
		unlike($stderr, qr/is not one of|unknown/, "$name takes --$option");
	}
	my $other = $name eq 'register' ? 'cascade' : 'id-columns';
	refused(
		[ split(/ /, $name), "--$other=none" ],
		"option \"--$other\" is not one of \"$name\"",
		"Try: $name");
}
my $text = prints('help on a group', 'metadata', '--help');
like($text, qr/^  metadata purge /m, 'help on a group: its commands');
unlike($text, qr/^  sync/m, 'help on a group: no others');
is( prints('help and mistakes', 'metadata', '--help', '--bogus', '--limit'),
	$text, 'help is given whatever else is wrong');

my ($version) =
  slurp_file('metaxy.control') =~ /^default_version\s*=\s*'([^']+)'/m;
is(prints($_, $_), "metaxy $version\n", "$_: of the control file")
  foreach '--version', '-V';

#
# Commands
#

foreach ([], [qw(--quiet --format=csv)], ['metadata'], [qw(list -q)])
{
	my ($status, $stdout, $stderr) = run_metaxy(undef, @$_);

	is($status, 2, "no command (@$_): status");
	is($stdout, '', "no command (@$_): no output");
	like($stderr, qr/^Usage:\n  metaxy /m, "no command (@$_): usage");
}
refused([qw(metadata delte)], 'unknown command "metadata delte"',
	'metadata delete');
refused([qw(metadat delete f)], 'unknown command "metadat delete"',
	'metadata delete');
refused(['metdata'], 'unknown command "metdata"', 'metadata');
refused([qw(delete f)], 'unknown command "delete f"', 'metadata delete');
refused([qw(delte f)], 'unknown command "delte f"', 'metadata delete');
refused([qw(describ f)], 'unknown command "describ f"', 'describe');
refused(['hist'], 'unknown command "hist"', 'history');
refused(['xyzzy'], 'unknown command "xyzzy"', 'Try:');
refused([qw(metadata xyzzy)], 'unknown command "metadata xyzzy"',
	'Try: metadata');
refused([qw(xyzzy --help)], 'unknown command "xyzzy"', 'Try:');
refused([qw(metadata delte --help)], 'unknown command "metadata delte"',
	'metadata delete');
refused([''], 'unknown command ""', 'Try:');
refused(["%s%n\n\"'\\"], "unknown command \"%s%n\n\"'\\\"", 'Try:');
refused([ 'x' x 5000 ], 'unknown command "' . 'x' x 5000 . '"', 'Try:');

#
# Options
#

my @delete = qw(metadata delete f);

refused([ @delete, '--fitler=true' ], 'unknown option "--fitler"', '--filter');
refused([ @delete, '--fitler', 'true' ], 'unknown option "--fitler"',
	'--filter');
refused([ '--fromat', 'csv', @delete ], 'unknown option "--fromat"',
	'--format');
refused([ @delete, '--xyzzy' ], 'unknown option "--xyzzy"');
refused(['--xyzzy'], 'unknown option "--xyzzy"', 'Try:');
refused([ @delete, "-$_" ], "unknown option \"-$_\"")
  foreach 'x', '=', 'é';
refused([ @delete, '-qx' ], 'unknown option "-x"');
refused([ @delete, '--filter' ], 'option "--filter" needs a value');
refused([ @delete, '-p' ], 'option "--port" needs a value');
refused(['--format'], 'option "--format" needs a value', 'Try:');
refused([ @delete, '--hard=true' ], 'option "--hard" takes no value');

# Values
refused([ @delete, "--$_->[0]", $_->[2] ],
	"option \"--$_->[0]\" is one of $_->[1], not \"$_->[2]\"")
  foreach [ 'format', 'plain|json|csv', 'xml' ],
  [ 'format', 'plain|json|csv', '' ],
  [ 'format', 'plain|json|csv', 'json|csv' ],
  [ 'color', 'auto|always|never', 'yes' ],
  [ 'cascade', 'none|downstream|upstream|both', 'down' ],
  [ 'partial', 'keep|delete', 'Keep' ];
refused([qw(graph render --format csv)],
	'option "--format" is one of tree|mermaid|dot|json, not "csv"',
	'Try: graph render');
refused([ @delete, "--max-samples=$_" ],
	"option \"--max-samples\" takes a whole number, not \"$_\"")
  foreach '', '-1', '1.5', '1e3', ' 1', '9' x 19;
refused([ @delete, "--soft=$_" ],
	"option \"--soft\" is true or false, not \"$_\"")
  foreach 'no', '', 'true|false';
foreach my $option (qw(filter feature feature-version reason expect))
{
	refused([ @delete, "--$option=$_" ],
		"the value of option \"--$option\" is empty")
	  foreach '', " \t\n";
}
refused([ @delete, '--filter=true', '--filter=' ],
	'the value of option "--filter" is empty');

# Given again
taken(@delete, '--filter=true', '--filter', 'false', '--feature', 'g',
	'--feature=h', '-q', '--quiet');
refused([ @delete, "--$_->[0]=$_->[1]", "--$_->[0]", $_->[1] ],
	"option \"--$_->[0]\" is given more than once")
  foreach [ 'format', 'csv' ], [ 'cascade', 'none' ], [ 'max-samples', 1 ],
  [ 'reason', 'x' ], [ 'expect', 'x' ], [ 'host', 'x' ];

# Contradictions
foreach (
	[ [qw(--soft --hard)] ],
	[ [qw(--hard --soft=true)] ],
	[ [qw(--soft=false --soft --hard)] ],
	[ [qw(--with-feature-history --feature-version v1)],
		'with-feature-history', 'feature-version' ])
{
	my ($options, $one, $other) = @$_;
	refused([ @delete, @$options, '--yes' ],
		sprintf('options "--%s" and "--%s" contradict each other',
			$one // 'soft', $other // 'hard'));
}
taken(@delete, @$_, '--filter', 'true')
  foreach ['--soft=false'], [qw(--soft=false --hard)],
  [qw(--soft --soft=false --hard)], ['--soft'];

#
# Operands
#

refused([qw(metadata delete)], 'name a feature, or say "--all-features"');
refused([ @delete, '--all-features' ],
	'option "--all-features" goes without names of features');
refused([qw(metadata delete --all-features --feature f)],
	'option "--all-features" goes without names of features');
refused([ @delete, '' ], 'argument 2 is empty');
refused([qw(history f)], 'unexpected argument "f"', 'Try: history');
refused([qw(metadata read f g)], 'unexpected argument "g"',
	'Try: metadata read');
foreach (grep { $_->[1] =~ /^\w/ } @commands)
{
	my ($name, $operands) = @$_;

	refused([ split / /, $name ], "\"$name\" needs $operands",
		"Try: $name");
	refused([ split(/ /, $name), ('f') x split(/ /, $operands), 'surplus' ],
		'unexpected argument "surplus"', "Try: $name");
}

#
# Where options can be, and how
#

foreach (
	[qw(--quiet metadata delete f --filter true)],
	[qw(metadata --filter true delete f --quiet)],
	[qw(--filter=true --quiet -- metadata delete f)],
	[qw(-q --filter true metadata delete --feature f)],
	[qw(metadata delete --quiet --filter -1=-1 f)],
	[qw(metadata delete --filter=true -q -- -f --hard)],
	[qw(-qwy metadata delete f -dx -U y -p1)])
{
	taken(@$_);
	local $ENV{POSIXLY_CORRECT} = 1;
	taken(@$_);
}

# Abbreviations, as getopt_long(3) has them
taken(@delete, '--filt', 'true', '--dry', '--casc=both', '--col=never');
refused([ @delete, '--with' ], 'option "--with" is ambiguous');
refused([ @delete, '--p' ], 'option "--p" is ambiguous');

# Words that are in color, if these are
foreach ([ '--color=always', 1 ], [ '--color=never', 0 ], [ '--quiet', 0 ])
{
	my ($status, $stdout, $stderr) = run_metaxy(undef, $_->[0], 'xyzzy');
	is($stderr =~ /\e\[31merror:\e\[0m /, !!$_->[1], "$_->[0]: color");
}

# No server
my ($status, $stdout, $stderr) =
  run_metaxy(undef, @delete, '--dbname', 'host=/nonexistent port=77 dbname=x');
is($status, 1, 'no server: status');
is($stdout, '', 'no server: no output');
like($stderr, qr/^metaxy: error: connection to server on socket .*\.77" failed/,
	'no server: its settings may be a connection string');

#
# Completion
#

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE SCHEMA "Odd schema";
	CREATE EXTENSION metaxy SCHEMA "Odd schema";
	CREATE TABLE t1 (id text);
	CREATE TABLE t2 (LIKE t1);
	CREATE TABLE t3 (LIKE t1);
	CREATE TABLE t4 (LIKE t1);
	SELECT "Odd schema".metaxy_register(f, r, '{id}')
	  FROM (VALUES ('video/raw', 't1'::regclass), ('video/faces', 't2'),
				   ('it''s "odd" $x', 't3'), (E'two\nlines', 't4')) AS v(f, r)});

my @features = ('it\'s "odd" $x', 'video/faces', 'video/raw');
my %firsts = map { s/ .*//r => 1 } map { $_->[0] } @commands;
my @cases = (
	[ [''] => sort keys %firsts ],
	[ ['gr'] => 'graph' ],
	[ [ 'metadata', 'pu' ] => 'purge' ],
	[ [ '--format', 'csv', 'list', '' ] => 'features' ],
	[ [ '--quiet', 'xyzzy', '' ] => () ],
	[ ['--c'] => '--color' ],
	[ [qw(metadata delete --f)] =>
		  qw(--feature --feature-version --filter --format) ],
	[ [qw(graph render --f)] => '--format' ],
	[ [ 'metadata', 'delete', '--cascade', '' ] =>
		  qw(both downstream none upstream) ],
	[ [qw(metadata delete --cascade u)] => 'upstream' ],
	[ [qw(metadata delete --cascade=u)] => 'upstream' ],
	[ [qw(metadata delete --cascade = u)] => 'upstream' ],
	[ [ '--format', '=' ] => qw(csv json plain) ],
	[ [ 'graph', 'render', '--format', '' ] => qw(dot json mermaid tree) ],
	[ [ 'graph', '--format=', 'render', '--format=' ] =>
		  qw(dot json mermaid tree) ],
	[ [ 'metadata', 'delete', '' ] => @features ],
	[ [ 'metadata', 'delete', '--filter', '' ] => () ],
	[ [ 'metadata', 'delete', 'video/raw', 'video/f' ] => 'video/faces' ],
	[ [qw(metadata delete --feature v)] => qw(video/faces video/raw) ],
	[ [qw(history --feature=video/r)] => 'video/raw' ],
	[ [ 'metadata', 'undelete', '' ] => () ],
	[ [ 'metadata', 'delete', '--port=1', 'v' ] => () ],
	[ [ 'metadata', 'delete', '--dbname', 'nowhere', 'v' ] => () ],
	[ [] => sort keys %firsts ]);
foreach (@cases)
{
	my ($words, @expected) = @$_;
	my ($status, $stdout, $stderr) = run_metaxy($node, '__complete', @$words);

	is($status, 0, "complete @$words: status");
	is($stderr, '', "complete @$words: no words");
	is_deeply([ sort split /\n/, $stdout ],
		\@expected, "complete @$words: candidates");
}

# In the shells

my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
@ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, 'postgres');

# Runs a script for the shell with the words of a line, as they were typed, and
# asserts what it prints.
sub shell
{
	my ($shell, $script, $file, $words, @expected) = @_;
	my ($out, $err);

	IPC::Run::run(
		[ @$shell, $script, "$sharedir/metaxy/$file", metaxy_command(),
			@$words ],
		'<', \'', '>', \$out, '2>', \$err);
	is($err, '', "$shell->[0]: @$words: no words");
	is_deeply([ sort split /\n/, $out ],
		\@expected, "$shell->[0]: @$words: candidates");
	return;
}

sub has_shell
{
	my ($shell) = @_;
	return eval { IPC::Run::run([ $shell, '-c', 'true' ]) };
}

SKIP:
{
	skip 'no bash', 1 unless has_shell('bash');

	my $script = <<'EOT';
. "$0"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_metaxy "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
complete -p metaxy >/dev/null
EOT
	shell([qw(bash --norc --noprofile -c)], $script, 'metaxy.bash', @$_)
	  foreach [ [''], sort keys %firsts ],
	  [ [qw(graph render --format = m)], 'mermaid' ],
	  [ [qw(metadata delete v)], qw(video/faces video/raw) ],
	  [ [qw(metadata delete it)], q{it\'s\ \"odd\"\ \$x} ],
	  [ [ 'metadata', 'delete', q{it\'s\ \"o} ], q{it\'s\ \"odd\"\ \$x} ],
	  [ [ 'metadata', 'delete', q{"it's} ], $features[0] ],
	  [ [qw(metadata undelete x)] ];
}

SKIP:
{
	skip 'no zsh', 1 unless has_shell('zsh');

	# what completion has as builtins
	my $script = <<'EOT';
compadd() { shift; print -rl -- "${(@P)1}"; }
compset() { print -r -- "-- prefix $2"; }
_files() { print files; }
words=("$@")
CURRENT=$#
PREFIX=${words[-1]}
. "$0"
EOT
	shell([qw(zsh -fc)], $script, '_metaxy', @$_)
	  foreach [ [qw(metadata delete v)], qw(video/faces video/raw) ],
	  [ [ 'metadata', 'delete', q{it\'s\ } ], $features[0] ],
	  [ [qw(metadata delete x)], 'files' ],
	  [ [qw(metadata delete --cascade=u)], '-- prefix *=', 'upstream' ];
}

$node->stop;
done_testing();
