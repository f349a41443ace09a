
# The clock over crashes and copies: it is never below a row that was
# committed, however the server ended and wherever the database was copied to.
# The wall clock cannot help: it is an hour behind.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
restart_after_crash = on
autovacuum = off
checkpoint_timeout = 1h
max_prepared_transactions = 5
});
$node->start;

my $behind = q{SET metaxy.clock_shift = '-1h';};

$node->safe_psql(
	'postgres', q{
	CREATE DATABASE store});
$node->safe_psql(
	'store', q{
	CREATE EXTENSION metaxy;
	CREATE TABLE video (video_id text, n integer);
	CREATE TABLE chunk (video_id text, n integer) PARTITION BY HASH (n);
	CREATE TABLE chunk_0 PARTITION OF chunk FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE chunk_1 PARTITION OF chunk FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	SELECT metaxy_register('video', 'video', '{video_id}'), metaxy_register('chunk', 'chunk', '{video_id,n}');
	SELECT metaxy_depend('chunk', 'video', '1:N', '{video_id}');
	CREATE VIEW recencies AS
	SELECT coalesce(metaxy_deleted_at, metaxy_updated_at) AS recency FROM video UNION ALL
	SELECT coalesce(metaxy_deleted_at, metaxy_updated_at) FROM chunk;
	CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql AS
	$$ SELECT timestamptz '2000-01-01 00:00:00 UTC' + last_value * interval '1 microsecond' FROM metaxy_clock $$;
	-- far ahead of any wall clock of the test
	SET metaxy.clock_shift = '1h';
	INSERT INTO video VALUES ('first', 1)});

# Is the clock above all rows, and does what comes now lie above it?
sub check_clock
{
	my ($server, $database, $what) = @_;

	is( $server->safe_psql(
			$database, 'SELECT clock() >= max(recency) FROM recencies'),
		't',
		"$what: the clock is not below any row");
	is( $server->safe_psql(
			$database, qq{$behind
			INSERT INTO video VALUES ('after', 1)
			RETURNING metaxy_updated_at > (SELECT max(recency) FROM recencies)}),
		't',
		"$what: the next row lies above all");
	is( $server->safe_psql(
			$database, qq{$behind
			INSERT INTO chunk VALUES ('after', 1), ('after', 2);
			SELECT sum(samples) FROM metaxy_delete('video', 'video_id = ''after''', cascade => 'downstream');
			SELECT count(*) FROM video_active WHERE video_id = 'after';
			INSERT INTO video VALUES ('after', 2);
			SELECT n FROM video_active WHERE video_id = 'after';
			SELECT count(*) FROM chunk_active WHERE video_id = 'after'}),
		"3\n0\n2\n0",
		"$what: deletes hide, and what comes after them is there");
	return;
}

sub crash
{
	$node->stop('immediate');
	$node->start;
	return;
}

check_clock($node, 'store', 'at first');

# A crash.  Each stamp is a microsecond above the one before, so that hardly
# any of them has a record of WAL of its own.

sub write_rows
{
	$node->safe_psql('store',
		"$behind INSERT INTO video SELECT 'v' || i, i FROM generate_series(1, 20) AS i") for 1 .. 3;
	return;
}

write_rows();
crash();
check_clock($node, 'store', 'crash');

write_rows();
$node->safe_psql('store', 'CHECKPOINT');
write_rows();
crash();
check_clock($node, 'store', 'checkpoint, rows, crash');

write_rows();
$node->safe_psql('store', 'CHECKPOINT');
crash();
check_clock($node, 'store', 'rows, checkpoint, crash');

# rows that keep the stamps that they come with
$node->safe_psql(
	'store', q{
	CHECKPOINT;
	SET metaxy.stamp = off; SET metaxy.max_skew = '2h';
	INSERT INTO video VALUES ('backfill', 1, now(), clock() + interval '1 us');
	INSERT INTO chunk VALUES ('backfill', 1, now(), now(), clock() + interval '1 us')});
crash();
check_clock($node, 'store', 'backfill, crash');

# a delete
$node->safe_psql('store', qq{CHECKPOINT; $behind SELECT metaxy_delete('video', 'n = 20')});
crash();
is($node->safe_psql('store', 'SELECT count(*) FROM video_active WHERE n = 20'),
	'0', 'what was deleted before the crash is deleted');
check_clock($node, 'store', 'delete, crash');

# Backends killed while several of them write and the server checkpoints

my $script = PostgreSQL::Test::Utils::tempdir . '/write.sql';
append_to_file($script, "$behind\n" . q{\set n random(1, 9)
INSERT INTO video VALUES ('w' || :n, :client_id);
INSERT INTO chunk SELECT 'w' || :n, generate_series(1, 3);
});

sub start_writers
{
	my ($out, $err) = ('', '');
	my $rows = 'SELECT count(*) FROM video';
	my $before = $node->safe_psql('store', $rows);
	my $writers = IPC::Run::start(
		[
			'pgbench', '-n', '-c', 3, '-T', 60, '-f', $script,
			$node->connstr('store')
		],
		'<', \undef, '>', \$out, '2>', \$err);

	$node->poll_query_until('store', "SELECT count(*) > $before + 50 FROM video")
	  or die 'nothing is written';
	return $writers;
}

for my $round (1, 2)
{
	my $writers = start_writers();

	for (1 .. $round)
	{
		$node->safe_psql('store', 'CHECKPOINT');
		usleep(int(rand(100_000)));
	}
	my $pid = $node->safe_psql('store',
		q{SELECT pid FROM pg_stat_activity
		   WHERE datname = 'store' AND pid <> pg_backend_pid() ORDER BY 1 LIMIT 1});
	$pid =~ /^\d+$/ or die 'there is no writer';
	is( PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid),
		0, 'a writer is killed');
	$writers->finish;
	$node->poll_query_until('store',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid")
	  or die 'the server did not come back';
	check_clock($node, 'store', "killed while writing, $round");
}

# Transactions that are prepared when it crashes: their rows lie below the
# clock, and a delete waits for them as for any writer

$node->safe_psql(
	'store', qq{
	CHECKPOINT;
	-- by a wall clock that is ahead of the clock
	SET metaxy.clock_shift = '90min';
	BEGIN;
	INSERT INTO video VALUES ('prepared', 1), ('prepared', 2);
	PREPARE TRANSACTION 'one';
	BEGIN;
	SAVEPOINT s;
	INSERT INTO video VALUES ('undone', 1);
	RELEASE s;
	PREPARE TRANSACTION 'two';
	BEGIN;
	INSERT INTO chunk VALUES ('prepared', 1);
	PREPARE TRANSACTION 'three'});
crash();
is( $node->safe_psql(
		'store', q{
		SELECT mode, granted, count(DISTINCT virtualtransaction), count(DISTINCT objid) FROM pg_locks
		 WHERE locktype = 'object' AND classid = 'metaxy_feature'::regclass
		 GROUP BY 1, 2}),
	'RowExclusiveLock|t|3|2',
	'prepared transactions keep the locks of features');

my ($ret, $stdout, $stderr) = $node->psql('store',
	"\\set VERBOSITY sqlstate\nSET lock_timeout = '100ms'; SELECT metaxy_delete('video', 'n = 1')");
like($stderr, qr/ERROR:\s+55P03$/m, 'a delete waits for them');
check_row_while_prepared();

sub check_row_while_prepared
{
	is( $node->safe_psql(
			'store', qq{$behind
			INSERT INTO video VALUES ('between', 1)
			RETURNING metaxy_updated_at > (SELECT max(recency) FROM recencies)}),
		't',
		'others write meanwhile');
	return;
}

my $deleter = $node->background_psql('store');
$deleter->query_until(
	qr/started/, qq{$behind
\\echo started
SELECT 'deleted', sum(samples) FROM metaxy_delete('video', 'video_id IN (''prepared'', ''undone'', ''between'')', cascade => 'downstream');
});
$node->poll_query_until('store',
	q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'metaxy_delete'})
  or die 'the delete does not wait';
# one that came while it waits
$node->safe_psql('store', "$behind INSERT INTO video VALUES ('between', 2)");
$node->safe_psql('store',
	q{COMMIT PREPARED 'one'; ROLLBACK PREPARED 'two'; COMMIT PREPARED 'three'});
like($deleter->query_until(qr/end/, "\\echo end\n"),
	qr/deleted\|\d/, 'once they have ended, so does the delete');
$deleter->quit;
is( $node->safe_psql(
		'store', q{SELECT video_id, n FROM video_active WHERE video_id IN ('prepared', 'undone', 'between') ORDER BY 1;
		SELECT count(*) FROM chunk_active WHERE video_id = 'prepared'}),
	"between|2\nprepared|2\n1",
	'it has hidden none that it did not see');
is( $node->safe_psql(
		'store', qq{$behind
		SELECT feature, samples FROM metaxy_delete('video', 'video_id IN (''prepared'', ''between'')', cascade => 'downstream');
		SELECT count(*) FROM video_active WHERE video_id IN ('prepared', 'between')}),
	"chunk|1\nvideo|2\n0",
	'the next one does');
check_clock($node, 'store', 'prepared transactions');

# A copy of the cluster, taken while rows are written

my $writers = start_writers();
$node->backup('copy');
$writers->signal('TERM');
$writers->finish;
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'copy');
$copy->start;
check_clock($copy, 'store', 'copy of the cluster');
$copy->stop;

# Copies of the database have a clock of their own, which starts where the
# other one is; also when the server crashes at once

for my $strategy (qw(wal_log file_copy))
{
	write_rows();
	$node->safe_psql('postgres',
		"CREATE DATABASE $strategy TEMPLATE store STRATEGY $strategy");
	is($node->safe_psql($strategy, 'SELECT last_value FROM metaxy_clock'),
		$node->safe_psql('store', 'SELECT last_value FROM metaxy_clock'),
		"$strategy: the clock of the copy is that of its template");
	$node->safe_psql($strategy,
		"$behind INSERT INTO video SELECT 'copy', i FROM generate_series(1, 100) AS i");
	is( $node->safe_psql(
			$strategy, q{SELECT metaxy_updated_at = clock() FROM video WHERE video_id = 'copy' AND n = 100}),
		't',
		"$strategy: it goes on from there");
	crash();
	check_clock($node, $strategy, "$strategy, crash");
	check_clock($node, 'store', "template of $strategy, crash");

	# they do not know of each other
	my $clock = $node->safe_psql('store', 'SELECT last_value FROM metaxy_clock');
	$node->safe_psql($strategy,
		q{SET metaxy.clock_shift = '2h'; INSERT INTO video VALUES ('ahead', 1)});
	is($node->safe_psql('store', 'SELECT last_value FROM metaxy_clock'),
		$clock, "$strategy: the clock of the template stays behind");
	$node->safe_psql('postgres', "ALTER DATABASE $strategy RENAME TO renamed");
	check_clock($node, 'renamed', "$strategy, renamed");
	$node->safe_psql('postgres', 'DROP DATABASE renamed');
}

$node->stop;
done_testing();
