
# What the metaxy command reads: status, rows, orphans, the ledger, the registry
# and the graph, on a store that Metaxy wrote and on tables with awkward names,
# in all formats.  The answers are those of SQL.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use JSON::PP ();
use Metaxy::Command;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $odd = qq{vid'eo "x"\\\n:\$1 %s};
my $odd_table = qq{Odd "ta'ble\n%s};
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

sub sql
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', "SET search_path = public, mx; $sql");
}

# An SQL literal
sub literal
{
	my ($text) = @_;

	return q{'} . ($text =~ s/'/''/gr) . q{'};
}

# Asserts that a command works and says nothing; returns what it printed.
sub works
{
	my ($name, @arguments) = @_;
	my ($status, $stdout, $stderr) = run_metaxy($node, @arguments);

	is($status, 0, "$name: status");
	is($stderr, '', "$name: no words");
	return $stdout;
}

# Asserts that a command fails, prints nothing, and says a message.
sub fails
{
	my ($name, $message, @arguments) = @_;
	my ($status, $stdout, $stderr) = run_metaxy($node, @arguments);

	is($status, 1, "$name: status");
	is($stdout, '', "$name: no result");
	like($stderr, $message, "$name: message");
	return;
}

# The lines of CSV as by RFC 4180; an empty field without quotes is undefined.
sub csv
{
	my ($text, $end) = @_;
	my @rows = ([]);

	while ($text =~ /\G(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|$end)/gc)
	{
		my ($quoted, $plain, $separator) = ($1, $2, $3);

		push @{ $rows[-1] },
		  defined $quoted ? $quoted =~ s/""/"/gr : length $plain ? $plain : undef;
		push @rows, [] if $separator ne ',';
	}
	is(pos($text) // 0, length $text, 'CSV: to the end');
	pop @rows;
	return @rows;
}

sub sorted
{
	my ($header, @rows) = @_;

	return ($header, sort { $json->encode($a) cmp $json->encode($b) } @rows);
}

# Asserts that a command prints the rows of a query, as CSV and as JSON, in its
# order or in any.
sub same
{
	my ($name, $sql, $order, @arguments) = @_;
	my @expected = csv(
		sql("COPY ($sql) TO STDOUT (FORMAT csv, HEADER)") . "\n", "\n");
	my @csv = csv(works("$name, csv", @arguments, '--format', 'csv'), "\r\n");
	my $object = $json->decode(
		works("$name, json", @arguments, '--format', 'json'));
	my @objects = @{ $json->decode(
			sql("SELECT coalesce(json_agg(to_json(r.*)), '[]') FROM ($sql) AS r")) };

	if (!$order)
	{
		@expected = sorted(@expected);
		@csv = sorted(@csv);
		(undef, @objects) = sorted(undef, @objects);
		(undef, @{ $object->{rows} }) = sorted(undef, @{ $object->{rows} });
	}
	is_deeply(\@csv, \@expected, "$name, csv");
	is_deeply($object->{rows}, \@objects, "$name, json");
	return scalar @objects;
}

# The cells of a table for people; none of its values has a bar in it.
sub cells
{
	my ($text) = @_;
	my ($header, $line, @rows) = split /\n/, $text;

	like($line, qr/^-[-+]+-$/, 'a line below the names');
	is($_ // -1, length $line, 'the names are as wide as the line')
	  foreach map { length } sprintf '%-*s', length $line, $header;
	return map { [ map { s/^ +| +$//gr } split /\|/, $_, -1 ] } $header, @rows;
}

sql('CREATE SCHEMA mx; CREATE EXTENSION metaxy SCHEMA mx');
is(works('nothing registered', 'list', 'features', '--format', 'json'),
	qq({"command": "list features", "rows": []}\n), 'nothing: JSON');
is( works('nothing registered', 'list', 'features', '--format', 'csv'),
	"feature,relation,id_columns,feature_version,project,owner,views\r\n",
	'nothing: CSV has the names');
works('nothing registered, plain', 'metadata', 'status');

my $store = "$FindBin::RealBin/../fixtures/media/store_after_phase_2.sql";
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'),
		'-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $store ],
	'the store of Metaxy');
sql(q{
	SELECT metaxy_sync();
	CREATE ROLE regress_metaxy_user;
	GRANT USAGE ON SCHEMA mx TO regress_metaxy_user;
	CREATE TABLE many (id integer, name text, q text, size numeric);
	INSERT INTO many SELECT i, 'n' || i, NULLIF(i % 7, 0), i / 3.0
	  FROM generate_series(1, 5000) AS i;
	SELECT metaxy_register('many', 'many', '{id}');
	CREATE TABLE lost (id integer);
	SELECT metaxy_register('lost', 'lost', '{id}');
	DROP TABLE lost CASCADE});
my ($odd_literal, $odd_name) = (literal($odd), $odd_table =~ s/"/""/gr);
sql(qq{
	CREATE TABLE "$odd_name" ("i d" text, "a ""b""\n\$1" text);
	SELECT metaxy_register($odd_literal, } . literal(qq{"$odd_name"}) . q{, '{i d}');
	SELECT metaxy_depend('many', } . $odd_literal . q{, 'N:1', '{i d}', '{"i d": "name"}', true)});
sql(qq{INSERT INTO "$odd_name" VALUES
	   ('n1', NULL), ('n2', ''), ('n3', E'a,"b"\\r\\nc'),
	   ('n4', E'a\\nb\\tc\\r\\x1b[31m\\x7f\\u009b31m\\u00e9\\U0001F600|'),
	   (E'n"5\\n', '{"a": [1, null]}');
	ANALYZE});

#
# Status
#

my $status = q{SELECT feature, relation::text, feature_version, active, deleted,
	"rows", superseded, bytes, last_write, last_delete FROM metaxy_status(%s)};
is(same('status', sprintf($status, ''), 1, 'metadata', 'status'),
	9, 'status: all features');
same('status of two', sprintf($status, q{'video/raw'}) . ' UNION ALL '
	  . sprintf($status, q{'many'}),
	1, 'metadata', 'status', 'video/raw', '--feature', 'many');
same('status, odd name', sprintf($status, $odd_literal), 1,
	'metadata', 'status', $odd);
my @table = cells(works('status, plain', 'metadata', 'status', 'many'));
is_deeply([ @{ $table[1] }[ 0, 1, 3 .. 5 ] ], [ qw(many many 5000 0 5000) ],
	'status: a table');
like($table[1][7], qr/^\d+ [kM]B$/, 'status: sizes for people');
fails('status of an unknown feature', qr{
	^metaxy:\ error:\ feature\ "vide/raw"\ is\ not\ registered\n
	(?:metaxy:\ (?:hint|detail):\ .*\n)*
	metaxy:\ SQLSTATE:\ 42704\n
	metaxy:\ hint:\ Did\ you\ mean\ "video/raw"\?\n$}x,
	'metadata', 'status', 'vide/raw');

#
# Rows
#

my %switches = (
	'' => [],
	', include_soft_deleted => true' => ['--latest'],
	', only_soft_deleted => true' => ['--deleted'],
	', with_feature_history => true' => ['--with-feature-history'],
	', with_sample_history => true' => ['--with-sample-history'],
	q{, feature_version => 'd842b740'} => [ '--feature-version', 'd842b740' ],
	', only_soft_deleted => true, with_sample_history => true,'
	  . ' with_feature_history => true' =>
	  [ '--deleted', '--with-sample-history', '--with-feature-history' ],
	', filter => $$duration > 300 AND status IS NOT NULL$$' =>
	  [ '--filter', 'duration > 300 AND status IS NOT NULL' ],
	q{, as_of => '2026-11-22 03:13:00+00', with_feature_history => true} =>
	  [ '--as-of', '2026-11-22 03:13:00+00', '--with-feature-history' ]);
my %found;
foreach my $switch (sort keys %switches)
{
	my $rows = same("read$switch",
		"SELECT * FROM metaxy_read(NULL::video__raw$switch)",
		0, 'metadata', 'read', 'video/raw', @{ $switches{$switch} });

	cmp_ok($rows, '>', 0, "read$switch: rows");
	$found{$rows} = 1;
}
cmp_ok(scalar keys %found, '>=', 6, 'the switches make a difference');

is( same('read many', 'SELECT * FROM metaxy_read(NULL::many)', 0,
		'metadata', 'read', 'many'),
	5000, 'read many: all of them');
@table = cells(works('read many, plain', 'metadata', 'read', 'many'));
my @expected = csv(
	sql('COPY (SELECT * FROM metaxy_read(NULL::many)) TO STDOUT (FORMAT csv, HEADER)')
	  . "\n", "\n");
is_deeply(
	[ sorted(@table) ],
	[ sorted(map { [ map { $_ // '' } @$_ ] } @expected) ],
	'read many, plain');
my $echoed = (run_metaxy($node, 'metadata', 'read', 'many', '--echo'))[2];
is(() = $echoed =~ /^FETCH 1000 FROM metaxy_rows;$/mg, 6, 'read many: in pieces');

foreach my $limit (0, 1, 1000, 1001)
{
	my @rows = csv(
		works("limit $limit", 'metadata', 'read', 'many', '--limit', $limit,
			'--format', 'csv'), "\r\n");

	is(@rows - 1, $limit, "limit $limit: rows");
}
like(works('no rows', 'metadata', 'read', 'many', '--filter', 'false'),
	qr/^ *id \| name .*\n[-+]+\n$/, 'no rows: the names');
is( works('no rows, json', 'metadata', 'read', 'many', '--filter', 'false',
		'--format', 'json'),
	qq({"command": "metadata read", "rows": []}\n), 'no rows: JSON');

# names and values that are awkward

my $read_odd = qq{SELECT * FROM metaxy_read(NULL::"$odd_name")};
is(same('read, odd name', $read_odd, 0, 'metadata', 'read', $odd),
	5, 'read, odd name: rows');
same('read, odd filter', $read_odd . q{ WHERE "i d" = E'n"5\n'}, 0,
	'metadata', 'read', $odd, '--filter', qq{"i d" = 'n"5\n'});
my $plain = works('read, plain', 'metadata', 'read', $odd);
like($plain, qr/^ i d +\| a "b"\\n\$1 +\| metaxy/, 'plain: names on one line');
like(
	$plain,
	qr/\| a\\nb\\tc\\r\\x1b\[31m\\x7f\\u009b31m\xc3\xa9\xf0\x9f\x98\x80\| +\|/,
	'plain: control characters have no effect');
is(() = $plain =~ /\n/g, 7, 'plain: a row is a line');
unlike($plain, qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/, 'plain: none is left');

fails('read, unknown feature', qr{error: feature "video/ra" is not registered
metaxy: hint: Did you mean "video/raw"\?\n$},
	'metadata', 'read', 'video/ra');
fails('read without a table', qr/^metaxy: error: feature "lost" has no table\n/,
	'metadata', 'read', 'lost');
fails('read, bad filter', qr/^metaxy: error: column "durat" does not exist
metaxy: filter: duration > 3 AND durat > 4
 {33}\^
(?:metaxy: hint: .*\n)?metaxy: SQLSTATE: 42703\n$/,
	'metadata', 'read', 'video/raw', '--filter', 'duration > 3 AND durat > 4');
fails('read in the future', qr/SQLSTATE: 22023\n$/,
	'metadata', 'read', 'video/raw', '--as-of', '2999-01-01');
fails('read, a filter that breaks out', qr/SQLSTATE: 42601\n$/,
	'metadata', 'read', 'many', '--filter', 'true) LIMIT 1; DROP TABLE many; --');
fails('read, a row that cannot be', qr/SQLSTATE: 22012\n$/, 'metadata', 'read',
	'many', '--filter', '1 / (id - id) > 0', '--format', 'csv');

#
# Orphans
#

sql(q{SELECT metaxy_delete('video/chunk', $$video_id = 'v003'$$)});
my $counts = 'SELECT feature, upstream, orphans FROM metaxy_orphan_counts(%s)';
cmp_ok(same('orphans', sprintf($counts, ''), 1, 'metadata', 'orphans'),
	'>', 4, 'orphans: each dependency');
same('orphans, count', sprintf($counts, q{'video/faces'}), 1,
	'metadata', 'orphans', 'video/faces', '--count');
cmp_ok(
	same('orphans of one', 'SELECT * FROM metaxy_orphans(NULL::video__faces)',
		0, 'metadata', 'orphans', 'video/faces'),
	'>', 0, 'orphans of one: rows');
fails('orphans, unknown feature', qr/feature "no" is not registered/,
	'metadata', 'orphans', 'no');
fails('orphans without a table', qr/feature "lost" has no table/,
	'metadata', 'orphans', 'lost');

#
# The ledger
#

sql(qq{
	SELECT metaxy_delete('many', 'id <= 2', reason => E'a "b"\\n''c');
	SELECT metaxy_delete($odd_literal, \$\$"i d" = 'n1'\$\$);
	SELECT metaxy_undelete(2);
	CALL metaxy_purge('many', '0');
	SELECT metaxy_delete('{many,video/raw}'::text[], '{false}'::text[]);
	GRANT SELECT ON many TO regress_metaxy_user;
	GRANT INSERT ON many TO regress_metaxy_user;
	SET ROLE regress_metaxy_user;
	SELECT metaxy_delete('many', 'id = 9')});

my $history = 'SELECT id, kind, stamp, role, features, filters, soft, cascade,
	samples, "rows", undone_by, reason FROM metaxy_deletions %s ORDER BY id DESC';
my ($since, $until) =
  split /\|/, sql('SELECT min(stamp) FILTER (WHERE id = 3), min(stamp) FILTER (WHERE id = 5) FROM metaxy_deletions');
my %filters = (
	'' => [7],
	q{WHERE 'many' = ANY (features)} => [ 5, '--feature', 'many' ],
	qq{WHERE 'many' = ANY (features) OR $odd_literal = ANY (features)} =>
	  [ 6, '--feature', 'many', '--feature', $odd ],
	q{WHERE kind = 'delete'} => [ 5, '--kind', 'delete' ],
	q{WHERE kind = 'undelete'} => [ 1, '--kind', 'undelete' ],
	q{WHERE role = 'regress_metaxy_user'} =>
	  [ 1, '--role', 'regress_metaxy_user' ],
	'WHERE id >= 3' => [ 5, '--since', $since ],
	'WHERE id < 5' => [ 4, '--until', $until ],
	'WHERE id IN (3, 4)' => [ 2, '--since', $since, '--until', $until ],
	'WHERE id > 5' => [ 2, '--limit', '2' ],
	q{WHERE role = 'x; DROP'} => [ 0, '--role', 'x; DROP' ]);
foreach my $filter (sort keys %filters)
{
	my ($rows, @switches) = @{ $filters{$filter} };

	is(same("history $filter", sprintf($history, $filter), 1, 'history', @switches),
		$rows, "history $filter: operations");
}
@table = cells(works('history, plain', 'history', '--limit', '1'));
is_deeply([ @{ $table[1] }[ 0, 1, 3, 4, 8 ] ],
	[ 7, 'delete', 'regress_metaxy_user', '{many}', 1 ], 'history: a table');
fails('history since no time', qr/SQLSTATE: 22007\n$/, 'history', '--since', 'x');

#
# The registry
#

is( same('list features',
		'SELECT feature, relation::text, id_columns, feature_version, project,
			owner::text, views FROM metaxy_feature ORDER BY feature',
		1, 'list', 'features'),
	9, 'list features: all of them');
sql(q{SELECT metaxy_retain('many', '90 days')});
my $object = $json->decode(works('describe', 'describe', 'many', '--format', 'json'));
is($object->{command}, 'describe', 'describe: the command');
my $many = $object->{rows}[0];
is_deeply(
	$many->{upstream},
	[ { upstream => $odd, lineage => 'N:1', on_columns => ['i d'],
			rename => { 'i d' => 'name' }, optional => JSON::PP::true } ],
	'describe: upstream');
is_deeply([ map { "$_->{name} $_->{type}" } @{ $many->{columns} }[ 0 .. 3 ] ],
	[ 'id integer', 'name text', 'q text', 'size numeric' ], 'describe: columns');
is($many->{purge_after}, '90 days', 'describe: retention');
is( $json->decode(works('describe, odd name', 'describe', $odd, '--format', 'json'))
	  ->{rows}[0]{downstream}[0], 'many', 'describe: downstream');
$plain = works('describe, plain', 'describe', $odd);
like($plain, qr/^feature +vid'eo "x"\\\\n:\$1 %s$/m, 'describe: a line for each');
like($plain, qr/^downstream +\{many\}$/m, 'describe: downstream, plain');
my @csv = csv(works('describe, csv', 'describe', 'many', '--format', 'csv'), "\r\n");
is($csv[1][0], 'many', 'describe: CSV');
$object = $json->decode(
	works('describe without a table', 'describe', 'lost', '--format', 'json'));
is($object->{rows}[0]{relation}, undef, 'describe without a table');
fails('describe an unknown feature', qr/Did you mean "many"\?\n$/,
	'describe', 'manny');

foreach my $format (qw(tree mermaid dot json))
{
	my $graph = sql("SELECT metaxy_graph('$format')") . "\n";

	is(works("graph, $format", 'graph', 'render', '--format', $format),
		$graph, "graph, $format");
	is(works('graph', 'graph', 'render'), $graph, 'graph: a tree')
	  if $format eq 'tree';
	ok($json->decode($graph), 'graph: JSON') if $format eq 'json';
}

#
# Memory: a result of some size is not held by the client
#

SKIP:
{
	skip 'memory of the command as it is built for use, on Linux', 3
	  if defined $ENV{METAXY_COMMAND} || !-r "/proc/$$/status";

	sql(q{
		CREATE TABLE big (id integer, content text);
		INSERT INTO big SELECT i, repeat('x', 500) FROM generate_series(1, 100000) AS i;
		SELECT metaxy_register('big', 'big', '{id}', views => false, indexes => false)});
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} =
	  ($node->host, $node->port, 'postgres');
	my $pid = open my $from, '-|', metaxy_command(), 'metadata', 'read', 'big',
	  '--format', 'csv';
	my ($bytes, $peak) = (0, 0);

	# it waits for us, and so it is there to be looked at
	while (my $read = sysread $from, my $piece, 65536)
	{
		$bytes += $read;
		($peak) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s*(\d+) kB$/m
		  if $bytes > 30_000_000 && $bytes < 40_000_000;
	}
	close $from;
	cmp_ok($bytes, '>', 50_000_000, 'a big result');
	cmp_ok($peak, '<', 20_000, 'it takes no memory') or diag("$peak kB");
	cmp_ok($peak, '>', 0, 'memory was looked at');
}

$node->stop;
done_testing();
