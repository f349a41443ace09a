
# "metaxy metadata delete", as it is documented: what it does to the tables, what
# it prints where, and whether it asks.

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

my $schema = q{"Odd schema; é"};

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sql(qq{
	CREATE SCHEMA $schema;
	CREATE EXTENSION metaxy SCHEMA $schema;
	SET search_path = public, $schema;
	CREATE TABLE predictions (prediction_id text, confidence float8,
							  created_at timestamptz, note text);
	CREATE TABLE video (video_id text);
	CREATE TABLE faces (face_id text, video_id text);
	CREATE TABLE summary (video_id text);
	CREATE TABLE clip (clip_id text, length integer);
	SELECT metaxy_register('predictions', 'predictions', '{prediction_id}'),
		   metaxy_register('video/raw', 'video', '{video_id}'),
		   metaxy_register('video/faces', 'faces', '{face_id}'),
		   metaxy_register('video/summary', 'summary', '{video_id}'),
		   metaxy_register('clip', 'clip', '{clip_id}', 'two');
	SELECT metaxy_depend('video/faces', 'video/raw', '1:N', '{video_id}'),
		   metaxy_depend('video/summary', 'video/faces', 'N:1', '{video_id}')});

# The samples that every test begins with
sub fill
{
	sql(q{
		TRUNCATE predictions, video, faces, summary, clip;
		INSERT INTO predictions
		SELECT 'p' || i, i / 10.0, '2023-08-15'::date + i * '1 month'::interval
		  FROM generate_series(1, 9) AS i;
		INSERT INTO video VALUES ('v1'), ('v2'), ('v3');
		INSERT INTO faces SELECT video_id || '/' || i, video_id
		  FROM video, generate_series(1, 2) AS i;
		INSERT INTO summary SELECT video_id FROM video;
		INSERT INTO clip (clip_id, length, metaxy_feature_version)
		VALUES ('c1', 1, 'one'), ('c1', 1, 'two'), ('c2', 1, 'two');
		INSERT INTO clip VALUES ('c1', 2)});
	return;
}

# What is not deleted, and then how many rows there are
my %id = (predictions => 'prediction_id', video => 'video_id',
	faces => 'face_id', summary => 'video_id');

sub active
{
	return join '; ', map {
		sql("SELECT string_agg($id{$_}, ' ' ORDER BY $id{$_}), (SELECT count(*) FROM $_)
			   FROM ${_}_active")
	} @_;
}

sub state
{
	return sql(
		qq{SELECT p FROM predictions AS p ORDER BY p;
		   SELECT v FROM video AS v ORDER BY v;
		   SELECT f FROM faces AS f ORDER BY f;
		   SELECT s FROM summary AS s ORDER BY s;
		   SELECT c FROM clip AS c ORDER BY c;
		   SELECT count(*) FROM $schema.metaxy_deletion});
}

# The last operation, by the ledger
sub ledger
{
	my ($columns) = @_;

	return sql("SELECT $columns FROM $schema.metaxy_deletions
				 ORDER BY id DESC LIMIT 1");
}

# Asserts that a delete is done, or its dry run; returns what it printed.
sub works
{
	my ($name, @arguments) = @_;
	my ($status, $stdout, $stderr) =
	  run_metaxy($node, 'metadata', 'delete', @arguments);

	is($status, 0, "$name: status") or diag($stderr);
	return wantarray ? ($stdout, $stderr) : $stdout;
}

# Asserts that a delete is refused and changes nothing; returns its words.
sub fails
{
	my ($name, $expected, @arguments) = @_;
	my $before = state();
	my ($status, $stdout, $stderr) =
	  run_metaxy($node, 'metadata', 'delete', @arguments);

	is($status, $expected, "$name: status");
	is($stdout, '', "$name: no output");
	is(state(), $before, "$name: nothing is changed");
	return $stderr;
}

# Has the shell read a line, as a user's does.
sub line
{
	my ($line) = @_;
	my ($stdout, $stderr);

	fill();
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} =
	  ($node->host, $node->port, 'postgres');
	IPC::Run::run(
		[ 'sh', '-c', "metaxy() { \"\$0\" \"\$@\"; }; $line", metaxy_command() ],
		'<', \'', '>', \$stdout, '2>', \$stderr);
	is($? >> 8, 0, "$line: status");
	return ($stdout, $stderr);
}

#
# The documented examples
#

my ($out, $err) =
  line(q{metaxy metadata delete predictions --filter "confidence < 0.3"});
my $id = ledger('id');
is($err,
	qq{metaxy: deleted 2 samples by operation $id; "metaxy metadata undelete $id" brings them back\n},
	'soft: words');
like($out, qr/^ +1 \| predictions +\| predictions +\| +2 \| +2 \| +0 \| +$id \|/m,
	'soft: output');
is(active('predictions'), 'p3 p4 p5 p6 p7 p8 p9|11', 'soft: rows are hidden');
run_metaxy($node, qw(metadata undelete), $id);
is(active('predictions'), 'p1 p2 p3 p4 p5 p6 p7 p8 p9|13',
	'soft: what it says brings them back');

($out, $err) = line(
	q{metaxy metadata delete predictions --filter "created_at < '2024-01-01'" --hard --yes}
);
$id = ledger('id');
is($err, "metaxy: removed 4 samples, 4 rows, by operation $id\n", 'hard: words');
is(active('predictions'), 'p5 p6 p7 p8 p9|5', 'hard: rows are gone');

my $before = ledger('id');
($out, $err) =
  line(q{metaxy metadata delete video/raw --cascade downstream --dry-run});
is($err, '', 'dry run: no words');
is( $out =~ s/[0-9a-f]{16}$/DIGEST/gmr, <<'EOT', 'dry run: output');
 step | feature       | relation | samples | rows | stale | deletion_id | stamp | digest
------+---------------+----------+---------+------+-------+-------------+-------+------------------
    1 | video/summary | summary  |       3 |    3 |     0 |             |       | DIGEST
    2 | video/faces   | faces    |       6 |    6 |     0 |             |       | DIGEST
    3 | video/raw     | video    |       3 |    3 |     0 |             |       | DIGEST
EOT
is(active(qw(video faces summary)),
	'v1 v2 v3|3; v1/1 v1/2 v2/1 v2/2 v3/1 v3/2|6; v1 v2 v3|3',
	'dry run: nothing is changed');
is(ledger('id'), $before, 'dry run: nor is the ledger');

line(q{metaxy metadata delete video/raw --filter "video_id='v1'" --cascade downstream});
is(active(qw(video faces summary)),
	'v2 v3|4; v2/1 v2/2 v3/1 v3/2|8; v2 v3|4', 'soft cascade');
is(ledger('filters, soft, cascade, samples'),
	q({video_id='v1'}|t|downstream|4), 'soft cascade: one operation');

line(q{metaxy metadata delete video/raw --cascade downstream --hard --yes});
is(active(qw(video faces summary)), '|0; |0; |0', 'hard cascade');

line(q{metaxy metadata delete --feature predictions --filter "created_at < '2024-01-01'" --soft=false}
);
is(active('predictions'), 'p5 p6 p7 p8 p9|5', '--soft=false');

#
# Options
#

fill();
$before = ledger('id');
works('several features', 'video/raw', '--feature', 'predictions',
	'--feature=video/faces', '--reason', "it's 100%s \\ \"é\"\nand more");
is(active(qw(predictions video faces summary)), '|18; |6; |12; v1 v2 v3|3',
	'several features: their samples');
is(ledger('samples, features'), '18|{video/raw,predictions,video/faces}',
	'several features: one operation');
is(ledger("id - $before"), 1, 'several features: one ledger entry');
is(ledger('reason'), "it's 100%s \\ \"é\"\nand more", '--reason');

fill();
works('--all-features', '--all-features', '--hard', '--yes');
is(active(qw(predictions video faces summary)), '|0; |0; |0; |0',
	'--all-features: nothing is left');

fill();
works('several filters', 'predictions', '--filter',
	'confidence > 0.7 OR confidence < 0.3', '--filter=confidence > 0.1 -- so');
is(active('predictions'), 'p1 p3 p4 p5 p6 p7|12',
	'several filters: all must hold');

fill();
works('--cascade upstream', 'video/summary', '--filter', q{video_id = 'v3'},
	'--cascade', 'upstream');
is(active(qw(video faces summary)), 'v1 v2|4; v1/1 v1/2 v2/1 v2/2|8; v1 v2|4',
	'--cascade upstream');
fill();
works('--cascade both', 'video/faces', '--filter', q{face_id = 'v3/1'},
	'--cascade=both');
is(active(qw(video faces summary)), 'v1 v2|4; v1/1 v1/2 v2/1 v2/2|8; v1 v2|4',
	'--cascade both');

fill();
my @one_face =
  ('video/faces', '--filter', q{face_id='v1/1'}, '--cascade', 'downstream');
$out = works('--partial keep', @one_face, '--partial', 'keep', '--format=csv');
like($out, qr/^1,video\/summary,summary,0,0,1,/m, '--partial keep: is stale');
fill();
works('--partial delete', @one_face, '--partial=delete');
is(active('summary'), 'v2 v3|4', '--partial delete: is deleted');

# What each of them leaves of the clips: version, sample, length
foreach (
	[ '--filter=length = 1', 'one c1 1, two c1 2' ],
	[ '--filter=length = 1', '--feature-version', 'one', 'two c1 2, two c2 1' ],
	[ '--filter=length = 2', '--with-feature-history', 'two c2 1' ],
	[ '--filter=length = 1', '--with-sample-history', 'one c1 1' ])
{
	my $left = pop @$_;

	fill();
	works("clip @$_", 'clip', @$_);
	is( sql(q{SELECT string_agg(concat_ws(' ', metaxy_feature_version, clip_id,
										  length), ', '
								ORDER BY metaxy_feature_version, clip_id)
				FROM (SELECT DISTINCT ON (metaxy_feature_version, clip_id) *
						FROM clip
					   ORDER BY metaxy_feature_version, clip_id,
								coalesce(metaxy_deleted_at, metaxy_updated_at) DESC) AS c
			   WHERE metaxy_deleted_at IS NULL}),
		$left, "clip @$_: what is left");
}

# Limits and expectations
fill();
$err = fails('--max-samples', 1, 'predictions', '--max-samples', 8);
like($err,
	qr/^metaxy: error: delete of 9 samples exceeds the limit of 8\nmetaxy: hint: .*\nmetaxy: SQLSTATE: 55000\n\z/,
	'--max-samples: message');
works('--max-samples, just so many', 'predictions', '--max-samples', 9);

fill();
my @some = ('predictions', '--filter', 'confidence < 0.3');
{
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=on';
	$out = works('dry run, read only', @some, qw(--dry-run --hard --format csv));
}
my ($digest) = $out =~ /,([0-9a-f]{16})\r\n\z/;
sql(q{INSERT INTO predictions VALUES ('p0', 0)});
$err = fails('--expect, another plan', 4, @some, '--hard', '--expect', $digest);
like($err,
	qr/^metaxy: error: the delete is not the expected one\nmetaxy: detail: .*\nmetaxy: hint: .*\nmetaxy: SQLSTATE: 55000\nmetaxy: nothing was changed\n\z/,
	'--expect, another plan: message');
sql(q{DELETE FROM predictions WHERE prediction_id = 'p0'});
works('--expect', @some, '--hard', "--expect=$digest");
is(active('predictions'), 'p3 p4 p5 p6 p7 p8 p9|7', '--expect: is done');

#
# Without a terminal
#

fill();
is( fails("@$_", 3, 'predictions', @$_),
	qq{metaxy: error: a hard delete without a filter needs "--yes"\n},
	"@$_: message")
  foreach ['--hard'], ['--soft=false'], [qw(--hard --cascade both --expect x)];
works('soft delete without a filter', 'predictions');
is(active('predictions'), '|18', 'soft delete without a filter goes ahead');

#
# What the server refuses
#

# The filter, then where the caret is: up to there in columns of a terminal
foreach (
	[ 'confidence <', '42601', 'confidence <', 12 ],
	[ '*', '42601', '*', 0 ],
	[ 'nope = 1', '42703', 'nope = 1', 0 ],
	[ 'note', '42804', 'note', 0 ],
	[ 'true; DROP TABLE predictions', '42601', 'true; DROP TABLE predictions', 4 ],
	[ 'true) OR (true', '42601', 'true) OR (true', 4 ],
	[ q{note = '%s%n\\' AND nope}, '42703', q{note = '%s%n\\' AND nope}, 19 ],
	[ q{note = 'é' AND nope}, '42703', q{note = 'é' AND nope}, 15 ],
	[ q{note = '日本😀' OR nope}, '42703', q{note = '日本😀' OR nope}, 19 ],
	[ "true AND\n\t'é' = nope", '42703', " 'é' = nope", 7 ],
	[ "true\r\nAND (\r\n", '42601', '', 0 ],
	[ "true\r\nAND ((1 = 1) 2)\r\n", '42601', 'AND ((1 = 1) 2) ', 13 ],
	[ 'confidence < (SELECT 1)', '0A000', 'confidence < (SELECT 1)', 13 ])
{
	my ($filter, $state, $shown, $column) = @$_;
	my $space = ' ' x (length('metaxy: filter: ') + $column);

	$err = fails("filter $filter", 1, 'predictions', '--filter=true',
		'--filter', $filter);
	like($err,
		qr/^metaxy: error: .*\nmetaxy: filter: \Q$shown\E\n$space\^\n(?:metaxy: (?:detail|hint): .*\n)*metaxy: SQLSTATE: $state\n\z/,
		"filter $filter: caret") or diag($err);
}
like(fails('bytes that are no text', 1, 'predictions', '--filter', "note = '\xff'"),
	qr/^metaxy: error: invalid byte sequence .*SQLSTATE: 22021\n\z/s,
	'bytes that are no text: message');

is( fails("feature $_->[0]", 1, 'video/raw', $_->[0]),
	qq{metaxy: error: feature "$_->[0]" is not registered\nmetaxy: SQLSTATE: 42704\nmetaxy: hint: Did you mean "$_->[1]"?\n},
	"feature $_->[0]: suggests one")
  foreach [ 'predictons', 'predictions' ], [ 'faces', 'video/faces' ],
  [ 'video__summary', 'video/summary' ], [ 'VIDEO/RAW', 'video/raw' ],
  [ 'pred', 'predictions' ];
is( fails('unknown feature, unlike any', 1, "%s\n'x"),
	qq{metaxy: error: feature "%s\n'x" is not registered\nmetaxy: SQLSTATE: 42704\n},
	'unknown feature, unlike any: message');
is( fails('a name with commands for a terminal', 1, "\e[31m"),
	qq{metaxy: error: feature "\\x1b[31m" is not registered\nmetaxy: SQLSTATE: 42704\n},
	'a name with commands for a terminal: has lost them');
like(
	fails('no extension', 1, 'f', '--dbname', 'template1'),
	qr/^metaxy: error: database "template1" does not have the extension: run CREATE EXTENSION metaxy\n\z/,
	'no extension: message');
sql(qq{CREATE ROLE regress_metaxy_user LOGIN; GRANT USAGE ON SCHEMA $schema TO PUBLIC});
like(
	fails('no rights', 1, 'predictions', '-U', 'regress_metaxy_user'),
	qr/^metaxy: error: permission denied .*^metaxy: SQLSTATE: 42501\n\z/ms,
	'no rights: message');

#
# Names that are odd, in every format
#

# A file by RFC 4180 as rows of fields
sub parse_csv
{
	my ($text) = @_;
	my @rows;

	while ($text =~ /\G((?:(?:"(?:[^"]|"")*"|[^",\r\n]*)(?:,|(?=\r\n)))+)\r\n/gc)
	{
		push @rows, [ map { s/^"(.*)"$/$1/sr =~ s/""/"/gr }
			  "$1," =~ /("(?:[^"]|"")*"|[^",\r\n]*),/g ];
	}
	is(pos($text) // 0, length $text, 'all of it is CSV');
	return @rows;
}

my @columns = qw(step feature relation samples rows stale deletion_id stamp digest);
foreach my $name (
	q{it's}, q{"quoted"}, 'two words', "two\nlines", "\ttab\r", '%s%n%', 'back\\slash',
	'😀', '{a,b}', 'NULL', '$1', '--', ',')
{
	my $shown = $name =~ s/[\n\r\t]/?/gr;
	my $literal = q{'} . ($name =~ s/'/''/gr) . q{'};
	my $quoted = q{"odd } . ($name =~ s/"/""/gr) . q{"};
	sql(qq{CREATE TABLE $quoted (id text);
		   SELECT $schema.metaxy_register($literal, \$q\$$quoted\$q\$, '{id}');
		   INSERT INTO $quoted VALUES ($literal), ('other')});
	my @delete = ("--feature=$name", '--filter', "id = $literal");
	my $relation = sql("SELECT \$q\$$quoted\$q\$::regclass");
	$out = works("odd $shown, JSON", @delete, qw(--dry-run --format json));
	my $json = decode_json($out);
	is_deeply([ sort keys %$json ], [qw(command dry_run rows)],
		"odd $shown, JSON: keys");
	my ($row) = @{ $json->{rows} };
	utf8::encode($_) foreach @{$row}{qw(feature relation)};
	is_deeply(
		[ @{$row}{qw(feature relation samples stale deletion_id)} ],
		[ $name, $relation, 1, 0, undef ],
		"odd $shown, JSON: values");

	my @rows = parse_csv(scalar works("odd $shown, CSV", @delete, '--format=csv'));
	is_deeply(
		[ $rows[0], [ @{ $rows[1] }[ 0 .. 6 ] ] ],
		[ \@columns, [ 1, $name, $relation, 1, 1, 0, ledger('id') ] ],
		"odd $shown, CSV: values");
	is(@rows, 2, "odd $shown, CSV: rows");
	is(sql("SELECT id FROM $quoted WHERE metaxy_deleted_at IS NOT NULL"),
		$name, "odd $shown: is deleted");
	$out = works("odd $shown, plain", @delete);
	is(() = $out =~ /\n/g, 3, "odd $shown, plain: a row is a line");
}

$node->stop;
done_testing();
