
# Whether "metaxy metadata delete" asks on a terminal, what it does with the
# answers and with a plan that changes meanwhile; and which words it says there
# and elsewhere: --quiet, --echo, --color, and JSON, which stays the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use JSON::PP;
use Metaxy::Command;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "log_statement = 'all'");
$node->start;

delete $ENV{NO_COLOR};
$ENV{TERM} = 'dumb';

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sql(q{
	CREATE EXTENSION metaxy;
	CREATE TABLE video (video_id text);
	CREATE TABLE faces (face_id text, video_id text);
	SELECT metaxy_register('video/raw', 'video', '{video_id}'),
		   metaxy_register('video/faces', 'faces', '{face_id}');
	SELECT metaxy_depend('video/faces', 'video/raw', '1:N', '{video_id}')});

sub fill
{
	sql(q{
		TRUNCATE video, faces;
		INSERT INTO video VALUES ('v1'), ('v2'), ('v3');
		INSERT INTO faces SELECT video_id || '/1', video_id FROM video});
	return;
}

# What is not deleted, how many rows there are, and how many operations were
sub state
{
	return sql(
		q{SELECT (SELECT string_agg(video_id, ' ' ORDER BY video_id)
					FROM video_active),
				 (SELECT string_agg(face_id, ' ' ORDER BY face_id)
					FROM faces_active),
				 (SELECT count(*) FROM video), (SELECT count(*) FROM faces)});
}

my $full = 'v1 v2 v3|v1/1 v2/1 v3/1|3|3';
my $operations = 'SELECT count(*) FROM metaxy_deletions';

my @delete = qw(metadata delete video/raw --cascade downstream);
my $question = qr/\[y\/N\] /;

#
# Answers
#

SKIP:
{
	skip 'no IO::Pty', 1 unless has_terminal();

	my $plan = <<'EOT';
 step | feature     | relation | samples | rows | stale | deletion_id | stamp | digest
------+-------------+----------+---------+------+-------+-------------+-------+------------------
    1 | video/faces | faces    |       3 |    3 |     0 |             |       | DIGEST
    2 | video/raw   | video    |       3 |    3 |     0 |             |       | DIGEST
EOT

	foreach (
		[ 'soft', "y\n", 0, '||6|6' ],
		[ 'hard', "y\n", 0, '||0|0' ],
		[ 'hard', "yes\n", 0, '||0|0' ],
		[ 'hard', "Y\n", 0, '||0|0' ],
		[ 'hard', "YES\n", 0, '||0|0' ],
		[ 'hard', "n\n", 3 ],
		[ 'soft', "n\n", 3 ],
		[ 'hard', "\n", 3 ],
		[ 'hard', "yesterday\n", 3 ],
		[ 'hard', 'y' x 40 . "\n", 3 ],
		[ 'hard', "\cD", 3 ],
		[ 'hard', "\cC", 3 ])
	{
		my ($mode, $answer, $expected, $after) = @$_;
		my $name = "$mode, answer " . (uc unpack 'H*', substr $answer, 0, 9);
		my ($asked, $before) = ('', sql($operations));

		fill();
		my ($status, $stdout, $terminal) = on_terminal(
			$node,
			[ @delete, "--$mode" ],
			$question => sub { $asked = state(); return $answer });

		$terminal =~ s/\b[0-9a-f]{16}$/DIGEST/gm;
		is($status, $expected, "$name: status");
		is($asked, $full, "$name: nothing is done before");
		my $words =
		  $mode eq 'soft' ? 'Delete 6 samples?' : 'Remove 6 samples for good?';
		like($terminal, qr/\A\Q$plan$words\E $question/, "$name: what is asked");
		is(state(), $after // $full, "$name: what is left");
		if ($expected == 0)
		{
			like($stdout, qr/^ +2 \| video\/raw +\| video +\| +3 \|/m,
				"$name: the result on standard output");
			like($terminal, qr/^metaxy: (?:deleted|removed) 6 samples.* by operation/m,
				"$name: and words on the terminal");
		}
		else
		{
			is($stdout, '', "$name: no output");
			like($terminal,
				qr/\nmetaxy: error: not confirmed: nothing was changed\n\z/,
				"$name: words");
			is(sql($operations), $before, "$name: nothing in the ledger");
		}
	}

	# What was shown is what is done, or nothing.
	foreach (
		[ 'a sample more', q{INSERT INTO video VALUES ('v4')}, '--hard' ],
		[ 'a sample less', q{DELETE FROM video_active WHERE video_id = 'v2'} ],
		[ 'a new version of a child', q{INSERT INTO faces VALUES ('v1/1', 'v1')},
			'--soft' ],
		[ 'a filter', q{INSERT INTO video VALUES ('v4')}, '--hard',
			'--filter=true' ])
	{
		my ($name, $sql, @options) = @$_;
		my $changed;

		fill();
		my ($status, $stdout, $terminal) = on_terminal(
			$node,
			[ @delete, @options ],
			$question => sub { sql($sql); $changed = state(); return "y\n" });
		is($status, 4, "$name: status");
		is($stdout, '', "$name: no output");
		is(state(), $changed, "$name: nothing is changed");
		like(
			$terminal,
			qr/^metaxy: error: the delete is not the expected one\n.*^metaxy: nothing was changed\n\z/ms,
			"$name: words");
	}

	# It does not ask where there is nothing to ask for.
	foreach (
		[ 'soft with a filter', '--filter', q{video_id = 'v1'} ],
		[ 'nothing matches', '--hard', '--filter', 'false' ],
		[ '--yes', '--hard', '--yes' ],
		[ '-y', '-y' ],
		[ '--dry-run', '--hard', '--dry-run' ])
	{
		my ($name, @options) = @$_;

		fill();
		my ($status, $stdout, $terminal) =
		  on_terminal($node, [ @delete, @options ]);
		is($status, 0, "$name on a terminal: status") or diag($terminal);
		unlike($terminal, $question, "$name on a terminal: is not asked");
		my $check = $name =~ /dry|nothing/ ? \&is : \&isnt;
		$check->(state(), $full, "$name on a terminal: is done as it says");
	}

	# But where a filter is to remove rows, and what was expected goes before.
	fill();
	my ($status, $stdout, $terminal) = on_terminal($node,
		[ @delete, '--hard', '--filter', q{video_id = 'v1'}, '--quiet' ],
		qr/Remove 2 samples for good\? $question/ => "y\n");
	is($status, 0, 'hard with a filter: status');
	is(state(), 'v2 v3|v2/1 v3/1|2|2', 'hard with a filter: is done');
	unlike($terminal, qr/metaxy: /, 'hard with a filter: no words, if quiet');
	($status, $stdout, $terminal) =
	  on_terminal($node, [ @delete, '--hard', '--expect', '0' x 16 ]);
	is($status, 4, 'not as expected: status');
	unlike($terminal, $question, 'not as expected: is not asked');

	# JSON is nothing but JSON, and CSV the same, whoever is asked.
	foreach my $format (qw(json csv))
	{
		fill();
		($status, $stdout, $terminal) = on_terminal(
			$node,
			[ @delete, "--format=$format" ],
			$question => "y\n");
		is($status, 0, "$format: status");
		like($terminal, qr/^    1 \| video\/faces /m, "$format: plan as a table");
		like($stdout,
			$format eq 'json'
			? qr/\A\{"command": "metadata delete", "dry_run": false, "rows": \[\n(?:  \{"step":\d,"feature":"[\w\/]+","relation":"\w+","samples":3,"rows":3,"stale":0,"deletion_id":\d+,"stamp":"[^"]+","digest":"\w{16}"\},?\n){2}\]\}\n\z/
			: qr/\Astep,feature,relation,samples,rows,stale,deletion_id,stamp,digest\r\n(?:\d,[\w\/]+,\w+,3,3,0,\d+,[^,]+,\w{16}\r\n){2}\z/,
			"$format: output");
		decode_json($stdout) if $format eq 'json';
	}

	# Colors, unless something is against them
	foreach (
		[ 1, 'xterm', undef ],
		[ 0, 'dumb', undef ],
		[ 0, 'xterm', '1' ],
		[ 1, 'xterm', '' ],
		[ 1, 'dumb', '1', '--color=always' ],
		[ 0, 'xterm', undef, '--color=never' ])
	{
		my ($colored, $term, $no_color, @options) = @$_;
		local $ENV{TERM} = $term;
		local $ENV{NO_COLOR} = $no_color;
		delete $ENV{NO_COLOR} unless defined $no_color;

		($status, $stdout, $terminal) =
		  on_terminal($node, [ qw(metadata delete no), @options ]);
		$terminal =~ s/.*\r\e\[K//gm;	# it took so long that this was shown
		my $name = join ' ', 'color', $term, $no_color // '-', @options;
		is($terminal =~ /^metaxy: \e\[31merror:\e\[0m feature/ ? 1 : 0,
			$colored, "$name: error");
		is($terminal =~ /\e/ ? 1 : 0, $colored, "$name: nothing else");
	}
}

#
# Elsewhere
#

# Runs a dry run, or what else the options say.
sub words
{
	my ($name, $expected, @options) = @_;
	my ($status, $stdout, $stderr) = run_metaxy($node, @delete, @options);

	is($status, $expected, "$name: status") or diag($stderr);
	return ($stdout, $stderr);
}

fill();
my ($plain) = words('plain', 0, '--dry-run');
foreach ('--quiet', '--color=always', '--echo')
{
	my ($out) = words($_, 0, '--dry-run', $_);
	is($out, $plain, "$_: the same output");
}
my ($out, $err) = words('--quiet', 0, '--quiet', '--filter', 'true');
like($out, qr/video\/faces/, '--quiet: output');
is($err, '', '--quiet: no words');
($out, $err) = words('--quiet, error', 1, '--quiet', '--filter', 'nope');
like($err, qr/^metaxy: error: .*^metaxy: filter: nope\n +\^\n.*SQLSTATE: 42703\n\z/ms,
	'--quiet: errors are shown');
($out, $err) = words('--color', 1, '--color=always', '--filter', 'nope');
like($err, qr/^metaxy: \e\[31merror:\e\[0m column.*\n^metaxy: filter: nope\n {16}\^\n/m,
	'--color: the caret stays in its place');

# What is sent as SQL has nothing in it that the user has said.
fill();
($out, $err) = words('--echo', 0, '--echo', '--filter',
	"video_id = 'v1; needle'\nOR false\r-- needle", '--reason', 'needle');
my @sql = grep { !/^--/ } split /[\n\r]/, $err;
like($sql[1],
	qr/^SELECT .* FROM public\.metaxy_delete\(soft => \$1, .*, all_rows => \$\d+\);$/,
	'--echo: the statement');
is((grep { /needle/ } @sql), 0, '--echo: the SQL is the same for all');
like($err, qr/^-- \$3 = needle$/m, '--echo: parameters');
like($err, qr/^-- \$8 = \{"video_id = 'v1; needle'\n--      OR false -- needle"\}$/m,
	'--echo: each line of a parameter is a comment');

my $log = slurp_file($node->logfile);
like($log, qr/DETAIL:  parameters: .*needle/i, 'the server got parameters');
unlike($log =~ s/DETAIL:.*\n(?:\t.*\n)*//gr, qr/needle/,
	'the server got no SQL with them in it');

# Standard output that cannot be written to is told, after it was done.
SKIP:
{
	skip 'no /dev/full', 1 unless -c '/dev/full';

	fill();
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} =
	  ($node->host, $node->port, 'postgres');
	IPC::Run::run([ metaxy_command(), @delete ],
		'<', \'', '>', '/dev/full', '2>', \$err);
	is($? >> 8, 1, 'full: status');
	like(
		$err,
		qr/^metaxy: deleted 6 samples .*\nmetaxy: error: could not write to standard output: .+\n\z/,
		'full: words');
}

$node->stop;
done_testing();
