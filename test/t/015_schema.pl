
# A schema with an awkward name that only registering leads to: who writes to
# a feature's table or reads its views needs no right to look into it.  And the
# extension dropped and created again under sessions that go on: they do not
# keep what belonged to the one that is gone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $schema = q{"; DROP odd %s é"};

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

sub as_role
{
	my ($role, $sql) = @_;

	return $node->safe_psql('postgres',
		"SET ROLE $role; SET search_path = app; $sql");
}

sub fails_with
{
	my ($role, $sql, $sqlstate, $name) = @_;

	my ($ret, $stdout, $stderr) = $node->psql('postgres',
		"\\set VERBOSITY sqlstate\nSET ROLE $role; SET search_path = app;\n$sql");
	like($stderr, qr/ERROR:\s+\Q$sqlstate\E$/m, $name);
	return;
}

$node->safe_psql(
	'postgres', qq{
	CREATE ROLE regress_metaxy_owner;
	CREATE ROLE regress_metaxy_writer;
	CREATE ROLE regress_metaxy_reader;
	CREATE SCHEMA app AUTHORIZATION regress_metaxy_owner;
	GRANT USAGE ON SCHEMA app TO PUBLIC;
	CREATE SCHEMA $schema;
	CREATE EXTENSION metaxy SCHEMA $schema;
	GRANT USAGE ON SCHEMA $schema TO regress_metaxy_owner});

my $register = qq{
	SELECT $schema.metaxy_register('video', 'video', '{video_id}', 'v1'),
		   $schema.metaxy_register('chunk', 'chunk', '{video_id,n}')};
as_role(
	'regress_metaxy_owner', qq{
	CREATE TABLE video (video_id text, n integer, metaxy_feature_version text,
		metaxy_created_at timestamptz, metaxy_updated_at timestamptz);
	CREATE TABLE chunk (video_id text, n integer) PARTITION BY LIST (n);
	CREATE TABLE chunk_1 PARTITION OF chunk FOR VALUES IN (1);
	CREATE TABLE chunk_n PARTITION OF chunk DEFAULT;
	$register;
	SELECT $schema.metaxy_depend('chunk', 'video', '1:N', '{video_id}');
	GRANT INSERT ON video, chunk, chunk_1 TO regress_metaxy_writer;
	GRANT SELECT ON video, chunk TO regress_metaxy_reader});

# A writer with INSERT alone

as_role(
	'regress_metaxy_writer', qq{
	INSERT INTO video VALUES ('v1', 1), ('v2', 2);
	INSERT INTO chunk VALUES ('v1', 1), ('v1', 2), ('v2', 2);
	INSERT INTO chunk_1 VALUES ('v2', 1);
	SET metaxy.stamp = off;
	INSERT INTO video VALUES ('v3', 3, 'v1', now(), now());
	PREPARE add (text) AS INSERT INTO video VALUES (\$1);
	SET metaxy.stamp = on;
	EXECUTE add ('v4')});
fails_with('regress_metaxy_writer',
	q{SET metaxy.stamp = off; INSERT INTO video VALUES ('v5', 3, 'v1', now(), 'infinity')},
	'22008', 'a writer is told of rows too far ahead');
fails_with('regress_metaxy_writer', "SELECT * FROM $schema.metaxy_clock",
	'42501', '... and cannot look into the schema');

# A reader with SELECT alone

is( as_role(
		'regress_metaxy_reader', q{
		SELECT video_id FROM video_active ORDER BY 1;
		SELECT count(*) FROM chunk_latest;
		SELECT count(*) FROM chunk_deleted}),
	"v1\nv2\nv3\nv4\n4\n0",
	'a reader reads the views');
fails_with('regress_metaxy_reader', "SELECT $schema.metaxy_status()",
	'42501', '... and cannot look into the schema');
is( as_role(
		'regress_metaxy_owner', qq{
		SELECT feature, samples FROM $schema.metaxy_delete('video', 'video_id = ''v2''', cascade => 'downstream')}),
	"chunk|2\nvideo|1",
	'the owner deletes by qualified calls');
is(as_role('regress_metaxy_reader', 'SELECT count(*) FROM video_active'),
	'3', 'and the reader sees it');

# Dropped under sessions that have written: their tables are like any other

sub drop_sql
{
	return 'SET client_min_messages = warning; DROP EXTENSION metaxy CASCADE; RESET client_min_messages';
}

sub create_sql
{
	return "CREATE EXTENSION metaxy SCHEMA $schema; $register";
}

my $insert = q{INSERT INTO video VALUES ('s', %d) RETURNING metaxy_feature_version IS NOT NULL, metaxy_updated_at > now()};
my $as_given =
  q{INSERT INTO video VALUES ('s', %d, 'v9', '2001-02-03 UTC', '2001-02-03 UTC') RETURNING metaxy_feature_version, metaxy_updated_at = '2001-02-03 UTC'};

my $other = $node->background_psql('postgres');
$other->query_safe('SET search_path = app');
is($other->query_safe(sprintf($insert, 1)), 't|t', 'another session writes');

my $session = $node->background_psql('postgres');
$session->query_safe('SET search_path = app');
$session->query_safe('PREPARE add (integer) AS INSERT INTO video VALUES ($$s$$, $1) RETURNING metaxy_feature_version');
is($session->query_safe('EXECUTE add (2)'), 'v1', 'a session writes');
for my $round (1 .. 2)
{
	my $tables = q{SELECT v FROM video AS v ORDER BY v; SELECT c FROM chunk AS c ORDER BY c};
	my $before = $session->query_safe($tables);

	$session->query_safe(drop_sql());
	is($session->query_safe($tables), $before, "dropped: rows are as they were, $round");
	is( $session->query_safe(sprintf($as_given, 10)),
		'v9|t', "dropped: rows are taken as they come, $round");
	is($other->query_safe(sprintf($as_given, 11)),
		'v9|t', "dropped: from another session too, $round");
	is($session->query_safe(q{SELECT count(*) FROM pg_trigger WHERE tgname ~ 'metaxy'}),
		'0', "dropped: no trigger is left, $round");

	$session->query_safe(create_sql());
	is($session->query_safe(sprintf($insert, 12)),
		't|t', "created again: rows are stamped, $round");
	is($other->query_safe(sprintf($insert, 13)),
		't|t', "created again: from another session too, $round");
	is($session->query_safe('EXECUTE add (14)'),
		'v1', "created again: a prepared statement goes on, $round");
	is( $other->query_safe(
			qq{SELECT timestamptz '2000-01-01 00:00:00 UTC' + last_value * interval '1 microsecond' >= (SELECT max(metaxy_updated_at) FROM video)
				 FROM $schema.metaxy_clock}),
		't',
		"created again: the clock is not below any row, $round");
	is( $other->query_safe(
			"SELECT samples FROM $schema.metaxy_delete('video', 'video_id = ''s''')"),
		'1', "created again: another session deletes, $round");
	is($session->query_safe(q{SELECT count(*) FROM video_active WHERE video_id = 's'}),
		'0', "created again: hidden, $round");
	$session->query_safe(sprintf($insert, 15));
	is($session->query_safe(q{SELECT n FROM video_active WHERE video_id = 's'}),
		'15', "created again: what comes later is there, $round");
}

# All of it in one transaction

is( $session->query_safe(
		join(';',
			'BEGIN', sprintf($insert, 20), drop_sql(), sprintf($as_given, 21),
			'COMMIT')),
	"t|t\nv9|t",
	'a row, and the extension dropped, in one transaction');
is( $session->query_safe(
		join(';',
			'BEGIN', sprintf($as_given, 22), create_sql(), sprintf($insert, 23),
			drop_sql(), create_sql(), sprintf($insert, 24), 'COMMIT'))
	  =~ s/^\|\n//gmr,
	"v9|t\nt|t\nt|t",
	'created, dropped and created again in one transaction');
is( $session->query_safe(
		join(';',
			'BEGIN', sprintf($insert, 25), 'SAVEPOINT s', drop_sql(),
			sprintf($as_given, 26), 'ROLLBACK TO s', sprintf($insert, 27), 'COMMIT')),
	"t|t\nv9|t\nt|t",
	'dropped in a subtransaction that is rolled back');
is( $session->query_safe(
		q{SELECT n FROM video_active WHERE video_id = 's'}),
	'27', 'the last row is the latest');
is($other->query_safe(sprintf($insert, 28)),
	't|t', 'another session has followed');
is($session->query_safe('EXECUTE add (29)'), 'v1', 'a prepared statement too');

# In another schema

$session->query_safe(drop_sql());
$session->query_safe(q{CREATE EXTENSION metaxy SCHEMA public});
$session->query_safe(
	q{SELECT public.metaxy_register('video', 'video', '{video_id}', 'v2')});
is($session->query_safe('EXECUTE add (30)'), 'v2', 'created in another schema');
is($other->query_safe(sprintf($insert, 31)),
	't|t', 'another session has followed there');

$session->quit;
$other->quit;
$node->stop;
done_testing();
