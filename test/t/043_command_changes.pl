
# What the metaxy command changes, apart from plain deletes: the registry, undelete,
# orphans, purge, retention and maintenance, as SQL sees it afterwards; dry runs,
# which change nothing; and answers on a terminal.

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

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

sub sql
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', "SET search_path = public, mx; $sql");
}

# All that a command could change
sub state
{
	return sql(
		q{SELECT * FROM metaxy_feature ORDER BY feature;
		  SELECT * FROM metaxy_dependency ORDER BY feature, upstream;
		  SELECT * FROM metaxy_retention ORDER BY feature;
		  SELECT id, kind, features, samples, "rows", undone_by FROM metaxy_deletions ORDER BY id;
		  SELECT feature, active, deleted, "rows" FROM metaxy_status() ORDER BY feature});
}

# Asserts that a command works, and what it says; returns its rows.
sub works
{
	my ($name, $words, @arguments) = @_;
	my ($status, $stdout, $stderr) =
	  run_metaxy($node, @arguments, '--format', 'json');

	is($status, 0, "$name: status");
	ref $words ? like($stderr, $words, "$name: words")
	  : is($stderr, $words, "$name: words");
	return if $status != 0;
	my $object = JSON::PP->new->utf8->decode($stdout);
	my ($command) = join(' ', @arguments) =~ /^((?:metadata )?\w+)/;
	is($object->{command}, $command, "$name: JSON says which command");
	is($object->{dry_run} ? 1 : 0, (grep { $_ eq '--dry-run' } @arguments) ? 1 : 0,
		"$name: JSON says whether it is a dry run");
	return @{ $object->{rows} };
}

# The same, and that nothing is changed.
sub shows
{
	my ($name, @arguments) = @_;
	my $before = state();
	my @rows = works("$name, dry run", @arguments, '--dry-run');

	is(state(), $before, "$name, dry run: nothing is changed");
	return @rows;
}

# Asserts that a command fails with a status and a message, and changes nothing.
sub fails
{
	my ($name, $status, $message, @arguments) = @_;
	my $before = state();
	my @found = run_metaxy($node, @arguments);

	is($found[0], $status, "$name: status");
	is($found[1], '', "$name: no result");
	like($found[2], $message, "$name: message");
	is(state(), $before, "$name: nothing is changed");
	return;
}

# Asserts what is said on a terminal to the question, and what is done: nothing
# unless the answer is yes.
sub asks
{
	my ($name, $question, @arguments) = @_;

	foreach ([ "n\n", 3 ], [ "\n", 3 ], [ "yesno\n", 3 ], [ "\cD", 3 ],
		[ "\cC", 3 ], [ "y\n", 0 ])
	{
		my ($answer, $status) = @$_;
		my $before = state();
		my @found = on_terminal($node, \@arguments, $question => $answer);
		my $what = $answer =~ s/[^ -~]/./gr;

		is($found[0], $status, "$name, answer $what: status");
		if ($status == 0)
		{
			isnt(state(), $before, "$name: yes, it is done");
			return @found;
		}
		is($found[1], '', "$name, answer $what: no result");
		like($found[2], qr/error:.* not confirmed: nothing was changed\n$/,
			"$name, answer $what: says so");
		is(state(), $before, "$name, answer $what: nothing is changed");
	}
	return;
}

sql(q{CREATE SCHEMA mx; CREATE EXTENSION metaxy SCHEMA mx});

#
# sync
#

my $store = "$FindBin::RealBin/../fixtures/media/store_after_phase_2.sql";
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'),
		'-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $store ],
	'the store of Metaxy');
my @rows = shows('sync', '', 'sync', '--schema', 'public');
is_deeply([ map { $_->{action} } @rows ], [ ('added') x 6 ], 'sync, dry run: all');
@rows = works('sync', '', 'sync');
is_deeply(
	[ sort map { "$_->{feature} $_->{relation} $_->{action}" } @rows ],
	[ sort split /\n/, sql(q{SELECT feature || ' ' || relation::text || ' added'
						  FROM metaxy_order()}) ],
	'sync: rows');
@rows = works('sync again', '', 'sync', '--project', 'media');
is_deeply([ map { $_->{action} } @rows ], [ ('unchanged') x 6 ], 'sync again');
is(scalar works('sync, other project', '', 'sync', '--project', q{m'"x}) // 0, 0,
	'sync, other project');
sql('CREATE SCHEMA "Odd ""schema"');
fails('sync, no such schema', 1, qr/schema "no" does not exist\n.*3F000\n$/,
	'sync', '--schema', 'no');
fails('sync, no store', 1,
	qr/relation ".*odd_metaxy_system__feature_versions" does not exist\n/,
	'sync', '--schema', 'Odd "schema', '--table-prefix', 'odd_');

#
# register, depend and their opposites
#

sql(q{
	CREATE TABLE "Odd ""table" ("i d" text, "i,2" integer);
	CREATE TABLE item (item_id integer, source text, part integer);
	CREATE TABLE part (item_id integer, name text);
	CREATE TABLE spare ()});
works('register', qq{metaxy: registered feature "$odd"\n}, 'register', $odd,
	'--table', q{public."Odd ""table"}, '--id-columns', 'i d', '--id-columns', 'i,2');
is(sql(q{SELECT relation, id_columns, feature_version IS NULL, views FROM metaxy_feature
		  WHERE feature LIKE 'vid''%'}),
	q("Odd ""table"|{"i d","i,2"}|t|t), 'register: it is');
works('register again', qr/^metaxy: registered/, 'register', 'item', '--table', 'item',
	'--id-columns', 'item_id', '--feature-version', 'v1', '--no-views',
	'--no-indexes')
  foreach 1 .. 2;
is( sql(q{SELECT feature_version, views, to_regclass('item_active') IS NULL,
				 (SELECT count(*) FROM pg_index WHERE indrelid = f.relation)
			FROM metaxy_feature AS f WHERE feature = 'item'}),
	'v1|f|t|0', 'register: without views and indexes');
fails('register, other id', 1, qr/with other id columns\n(?:.*\n)*.*42710\n$/,
	'register', 'item', '--table', 'item', '--id-columns', 'part');
works('register, replace', qr/^metaxy: registered/, 'register', 'item', '--table', 'item',
	'--id-columns', 'item_id', '--id-columns', 'part', '--replace');
is(sql(q{SELECT id_columns, views FROM metaxy_feature WHERE feature = 'item'}),
	'{item_id,part}|t', 'register, replace: it is');
is((works('register, quiet', '', 'register', 'item/part', '--table', 'part',
		'--id-columns', 'item_id', '--quiet')), 0, 'register: no rows');
fails('register, no table', 1, qr/relation "no" does not exist\n.*42P01\n$/,
	'register', 'no', '--table', 'no', '--id-columns', 'id');
fails('register, no column', 1, qr/SQLSTATE: 42703\n$/,
	'register', 'no', '--table', 'spare', '--id-columns', 'i"d');

works('depend', qr/^metaxy: feature "item" depends on "vid'eo/, 'depend', 'item', $odd,
	'--rename', 'i d=source', '--rename', 'i,2=part');
is( sql(q{SELECT lineage, on_columns, rename, optional FROM metaxy_dependency
		   WHERE feature = 'item'}),
	'1:1||{"i d": "source", "i,2": "part"}|f', 'depend: it is')
  or diag(state());
works('depend, 1:N', qr/depends on/, 'depend', 'item/part', 'item', '--lineage',
	'1:N', '--on', 'item_id', '--optional');
is( sql(q{SELECT lineage, on_columns, rename, optional FROM metaxy_dependency
		   WHERE feature = 'item/part'}),
	'1:N|{item_id}||t', 'depend, 1:N: it is') or diag(state());
fails('depend, cycle', 1,
	qr/would close a cycle\nmetaxy: detail: .*\n(?:.*\n)*metaxy: SQLSTATE: 42P17\n$/,
	'depend', 'item', 'item/part', '--lineage', 'N:1', '--on', 'item_id');
fails('depend, rename of nothing', 2, qr/takes UPSTREAM=COLUMN, not "=x"/,
	'depend', 'item', $odd, '--rename', '=x');
fails('depend, unknown', 1, qr/Did you mean "item"\?\n$/,
	'depend', 'item/part', 'itm');
fails('unregister, others depend', 1, qr/SQLSTATE: 2BP01\n$/, 'unregister', 'item');
works('undepend', qq{metaxy: feature "item/part" does not depend on "item" any more\n},
	'undepend', 'item/part', 'item');
fails('undepend again', 1, qr/SQLSTATE: 42704\n$/, 'undepend', 'item/part', 'item');
foreach my $feature ('item/part', 'item', $odd)
{
	works('unregister', qq{metaxy: unregistered feature "$feature"\n}, 'unregister',
		$feature);
}
is(sql('SELECT count(*) FROM metaxy_feature'), '6', 'unregister: they are gone');
is(sql(q{SELECT to_regclass('item') IS NOT NULL}), 't', 'unregister: the table stays');

#
# undelete
#

sql(q{
	CREATE TABLE a (id integer, n integer);
	CREATE TABLE b (id integer);
	SELECT metaxy_register('a', 'a', '{id}'), metaxy_register('b', 'b', '{id}');
	SELECT metaxy_depend('b', 'a');
	INSERT INTO a SELECT i, i FROM generate_series(1, 20) AS i;
	INSERT INTO b SELECT i FROM generate_series(1, 20) AS i});
my $id = sql(q{SELECT deletion_id FROM metaxy_delete('a', 'id <= 4', cascade => 'downstream') LIMIT 1});
sql('INSERT INTO a VALUES (1, 0)');

sub restored
{
	return join ' ', map { "$_->{feature} $_->{restored} $_->{skipped}" } @_;
}

sub active
{
	return sql(q{SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM a_active WHERE id < 10),
						(SELECT string_agg(id::text, ' ' ORDER BY id) FROM b_active WHERE id < 10)});
}

is(restored(shows('undelete', '', 'metadata', 'undelete', $id)), 'a 3 1 b 4 0',
	'undelete, dry run');
is( restored(works('undelete of one', qr/^metaxy: restored 4 samples\n$/, 'metadata',
			'undelete', $id, '--feature', 'b')),
	'b 4 0', 'undelete of one');
is(active(), '1 5 6 7 8 9|1 2 3 4 5 6 7 8 9', 'undelete of one: as SQL sees it');
is( restored(works('undelete', qr/restored 3 samples/, 'metadata', 'undelete', $id)),
	'a 3 1 b 0 4', 'undelete');
is(active(), '1 2 3 4 5 6 7 8 9|1 2 3 4 5 6 7 8 9', 'undelete: as SQL sees it');
is(restored(works('undelete again', qr/^metaxy: notice: .*\n(?:.*\n)*metaxy: restored 0 samples\n$/,
			'metadata', 'undelete', $id)),
	'a 0 4 b 0 4', 'undelete again')
  or diag(state());
fails('undelete of nothing', 1, qr/deletion 999 does not exist\n(?:.*\n)*.*42704\n$/,
	'metadata', 'undelete', '999');
fails('undelete of another feature', 1, qr/took no part in deletion \d+\n/,
	'metadata', 'undelete', $id, '--feature', 'video/raw');
fails('undelete of no number', 2, qr/not "-1"|option/, 'metadata', 'undelete', '--', '-1');

SKIP:
{
	skip 'needs IO::Pty', 1 unless has_terminal();
	$id = sql(q{SELECT deletion_id FROM metaxy_delete('a', 'id = 5') LIMIT 1});
	my @found = asks('undelete', qr/\n a +\| +1 \| +0\r\n.*Restore 1 samples\? \[y\/N\] $/s,
		'metadata', 'undelete', $id);
	like($found[1], qr/\n a +\| +1 \| +0\n$/, 'undelete: the result');
	like(active(), qr/^1 2 3 4 5 /, 'undelete: it is back');
	$id = sql(q{SELECT deletion_id FROM metaxy_delete('a', 'id = 5') LIMIT 1});
	@found = on_terminal($node, [ 'metadata', 'undelete', $id, '--yes' ]);
	is($found[0], 0, 'undelete, --yes: does not ask');
}

#
# orphans
#

sql(q{SELECT metaxy_delete('a', 'id IN (6, 7)')});
my @orphans = ('metadata', 'orphans', 'b', '--delete');
@rows = shows('orphans', '', @orphans);
is("$rows[0]{feature} $rows[0]{samples}", 'b 2', 'orphans, dry run');
my $digest = $rows[0]{digest};
fails('orphans, too many', 1, qr/SQLSTATE: 55000\n$/, @orphans, '--max-samples', '1');
sql(q{SELECT metaxy_delete('a', 'id = 8')});
fails('orphans, another plan', 4,
	qr/error: the delete is not the expected one\n(?:.*\n)*.*55000\nmetaxy: nothing was changed\n$/,
	@orphans, '--expect', $digest);
@rows = shows('orphans of three', '', @orphans, '--cascade', 'downstream');
works('orphans', qr/^metaxy: deleted 3 samples by operation \d+; ".*" brings them back\n$/,
	@orphans, '--expect', $rows[0]{digest}, '--cascade', 'downstream', '--reason',
	q{it's "so"}, '--max-samples', '3');
is(active(), '1 2 3 4 5 9|1 2 3 4 5 9', 'orphans: as SQL sees it');
is(sql(q{SELECT kind, reason, soft, cascade, samples FROM metaxy_deletions ORDER BY id DESC LIMIT 1}),
	q{orphans|it's "so"|t|downstream|3}, 'orphans: the ledger');
sql(q{SELECT metaxy_delete('a', 'id = 9')});
works('orphans, hard', qr/^metaxy: removed 1 samples, 1 rows, by operation \d+\n$/,
	@orphans, '--hard', '--yes');
is(sql('SELECT count(*) FROM b WHERE id = 9'), '0', 'orphans, hard: as SQL sees it');
works('orphans, none', qr/^metaxy: deleted 0 samples by operation \d+\n$/, @orphans);

SKIP:
{
	skip 'needs IO::Pty', 1 unless has_terminal();
	sql(q{SELECT metaxy_delete('a', 'id = 3')});
	asks('orphans', qr/\n +1 \| b +\| b +\| +1 \|.*Delete 1 samples\? \[y\/N\] $/s, @orphans);
	is(active(), '1 2 4 5|1 2 4 5', 'orphans: it is gone');
	my ($status) = on_terminal($node, \@orphans);
	is($status, 0, 'orphans, none: does not ask');
}

#
# purge
#

my @purge = ('metadata', 'purge', 'a', '--older-than', '0');
my ($samples, $all) = split /\|/,
  sql(q{SELECT deleted, (SELECT count(*) FROM a JOIN a_deleted USING (id)) FROM metaxy_status('a')});
@rows = shows('purge', '', @purge);
is_deeply([ @{ $rows[0] }{qw(purged_samples purged_rows)} ], [ $samples, $all ],
	'purge, dry run');
@rows = shows('purge, too young', '', @purge[ 0 .. 3 ], '30 days');
is($rows[0]{purged_samples}, 0, 'purge, too young');
fails('purge, no interval', 1, qr/SQLSTATE: 22007\n$/, @purge[ 0 .. 3 ], 'x');
fails('purge, unknown feature', 1, qr/Did you mean "video\/raw"\?\n$/, 'metadata',
	'purge', 'video/row', '--older-than', '0');
SKIP:
{
	skip 'needs IO::Pty', 1 unless has_terminal();
	my @found = asks('purge', qr/Remove $all rows for good\? \[y\/N\] $/,
		@purge, '--batch-size', '1');
	like($found[2], qr/metaxy: removed $samples samples, $all rows\n$/, 'purge: says so');
	is(sql(q{SELECT deleted FROM metaxy_status('a')}), '0', 'purge: as SQL sees it');
}
my $superseded = sql(q{SELECT superseded FROM metaxy_status('a')});
cmp_ok($superseded, '>', 0, 'purge: superseded rows are left');
works('purge, history', qr/^metaxy: removed 0 samples, $superseded rows\n$/, @purge,
	'--history', '--batch-size', '2', '--yes');
is(sql(q{SELECT superseded, active = "rows" FROM metaxy_status('a')}), '0|t',
	'purge, history: as SQL sees it');

#
# retain and maintain
#

sub kept
{
	return sql(q{SELECT string_agg(concat_ws(' ', feature, purge_after, history_after), ', '
									ORDER BY feature) FROM metaxy_retention});
}

@rows = works('retain', '', 'metadata', 'retain', 'a', '--purge-after', '0',
	'--history-after', '1 day');
is($rows[0]{history_after}, '1 day', 'retain: the result');
works('retain', '', 'metadata', 'retain', 'b', '--purge-after', '0');
is(kept(), 'a 00:00:00 1 day, b 00:00:00', 'retain: it is');
fails('retain, negative', 1, qr/SQLSTATE: 22023\n$/, 'metadata', 'retain', 'a',
	'--purge-after', '-1 day');
sql(q{SELECT metaxy_delete('{a,b}'::text[], '{id > 15}')});
my $before = state();
works('maintain, dry run', qr/^metaxy: notice: .*"a".*\nmetaxy: notice: .*"b".*\n$/,
	'metadata', 'maintain', '--dry-run');
is(state(), $before, 'maintain, dry run: nothing is changed');

# one that fails does not stop the others, and fails the call
sql('CREATE RULE keep AS ON DELETE TO a DO INSTEAD NOTHING');
my @found = run_metaxy($node, 'metadata', 'maintain', '--yes');
is($found[0], 1, 'maintain, one fails: status');
like($found[2], qr/^metaxy: error: (?:.*\n)*metaxy: SQLSTATE: \w{5}\n$/m,
	'maintain, one fails: words');
is(sql(q{SELECT (SELECT deleted FROM metaxy_status('a')), deleted FROM metaxy_status('b')}),
	'5|0', 'maintain, one fails: not the other');
sql('DROP RULE keep ON a');
SKIP:
{
	skip 'needs IO::Pty', 1 unless has_terminal();
	@found = asks('maintain', qr/"a".*Remove that for good\? \[y\/N\] $/s,
		'metadata', 'maintain');
	is(sql(q{SELECT deleted FROM metaxy_status('a')}), '0', 'maintain: as SQL sees it');
}
@rows = works('maintain, nothing is due', qr/^(?:metaxy: notice: .*\n)*$/,
	'metadata', 'maintain', '--yes');
is((grep { $_->{samples} + $_->{rows} > 0 } @rows), 0, 'maintain: no more rows');
works('retain for ever', '', 'metadata', 'retain', 'a');
is(kept(), 'b 00:00:00', 'retain for ever: it is');

$node->stop;
done_testing();
