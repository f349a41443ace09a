
# A large purge: the server is killed in the midst of it, and what was committed
# stays; the next call does the rest, beside a writer; memory stays flat; what is
# active is what it was.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
restart_after_crash = on
autovacuum = off
work_mem = 64kB
hash_mem_multiplier = 1});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION metaxy;
	CREATE TABLE doc (doc_id integer, size integer);
	SELECT metaxy_register('doc', 'doc', '{doc_id}', 'v1');
	INSERT INTO doc SELECT i, i FROM generate_series(1, 120000) AS i;
	INSERT INTO doc SELECT i, i FROM generate_series(1, 60000) AS i;
	SELECT metaxy_delete('doc', 'doc_id > 1000');
	CREATE TABLE active AS TABLE doc_active;
	ANALYZE});
is($node->safe_psql('postgres', 'SELECT count(*) FROM doc'),
	299000, 'as many rows as there should be');

# Is what was active there, and nothing else but what the writer wrote?
sub check_active
{
	my ($what) = @_;

	is( $node->safe_psql(
			'postgres', q{
		SELECT count(*) FROM (
			(TABLE active EXCEPT TABLE doc_active) UNION ALL
			(SELECT * FROM doc_active WHERE size > 0 EXCEPT TABLE active)) AS d}),
		0,
		"$what: what was active is");
	return;
}

# a purge in small batches, and the end of its backend
my $purge = IPC::Run::start(
	[
		'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c',
		q{CALL metaxy_purge('doc', '0', batch_size => 500)}
	],
	'>', \my $output, '2>', \my $errors);
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) < 280000 FROM doc}),
	'a part is purged');
my $pid = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL%'});
kill 'KILL', $pid;
$purge->finish;
$node->poll_query_until('postgres', 'SELECT true');
my ($rows, $noted) = split /\|/, $node->safe_psql(
	'postgres', q{
	SELECT (SELECT count(*) FROM doc), "rows" FROM metaxy_deletions
	 WHERE kind = 'purge'});
cmp_ok($rows, '>', 2000, 'the purge was killed in the midst');
cmp_ok($rows, '<', 280000, 'what was committed is gone');
is($noted, 299000 - $rows, 'and in the ledger');
check_active('after the kill');

# the next one does the rest, beside a writer that brings samples back
my $script = $node->basedir . '/writer.sql';
append_to_file($script,
	"\\set id random(2001, 60000)\nINSERT INTO doc VALUES (:id, -1);\n");
my $writer = IPC::Run::start(
	[
		'pgbench', '-n', '-c', '2', '-T', '6', '-f', $script, '-d',
		$node->connstr('postgres')
	],
	'>', \my $bench, '2>&1');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) > 100 FROM doc WHERE size = -1}),
	'the writer writes');
my $memory = $node->safe_psql(
	'postgres', q{
	CREATE TEMP TABLE used AS SELECT sum(total_bytes) AS bytes FROM pg_backend_memory_contexts;
	CALL metaxy_purge('doc', '0', history => true, batch_size => 2000);
	SELECT sum(total_bytes) - (SELECT bytes FROM used) FROM pg_backend_memory_contexts});
my ($result, $grown) = split /\n/, $memory;
like($result, qr/^\d+\|\d+\|\d+$/, 'the rest is purged');
cmp_ok($grown, '<', 4_000_000, 'nothing of it stays in memory');
$writer->finish;
is($node->safe_psql('postgres', 'SELECT count(*) FROM doc WHERE size > 0 AND doc_id <= 1000'),
	1000, 'the rows of active samples are left');
is( $node->safe_psql(
		'postgres', q{
	SELECT count(*) FROM (SELECT DISTINCT doc_id FROM doc WHERE size = -1
		EXCEPT SELECT doc_id FROM doc_active WHERE size = -1) AS d}),
	0,
	'all that the writer wrote is active');
check_active('after the purge');
$node->safe_psql('postgres', q{CALL metaxy_purge('doc', '0', history => true)});
is( $node->safe_psql(
		'postgres', 'SELECT count(*), count(DISTINCT doc_id) FROM doc') =~ /^(\d+)\|\1$/ ? 1 : 0,
	1, 'one row is left of each sample');
is( $node->safe_psql(
		'postgres', q{CALL metaxy_purge('doc', '0', history => true)}),
	'0|0|0',
	'a second one finds nothing');

$node->stop;
done_testing();
