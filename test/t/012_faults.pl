
# Deletes that do not come to their end: the backend is killed, the query is
# cancelled or times out, at each step of a cascade.  Nothing is left of them,
# neither rows nor locks.  And deletes of many rows, or many deletes, do not
# take more and more memory.

use strict;
use warnings;

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
# so that the memory of a backend is its own
shared_buffers = 2MB
jit = off
});
$node->start;

# Three features, with a trigger on each table that waits for an advisory lock
# of the table's name whenever a statement is about to write there.
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION metaxy;
	CREATE TABLE video (video_id text, filler text, metaxy_created_at timestamptz,
		metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
	CREATE TABLE chunk (chunk_id text, LIKE video);
	CREATE TABLE mean (LIKE video);
	SELECT metaxy_register('video', 'video', '{video_id}'),
		   metaxy_register('chunk', 'chunk', '{chunk_id}'),
		   metaxy_register('mean', 'mean', '{video_id}');
	SELECT metaxy_depend('chunk', 'video', '1:N', '{video_id}'),
		   metaxy_depend('mean', 'chunk', 'N:1', '{video_id}');
	INSERT INTO video
	SELECT 'v' || i, repeat('x', 50), now(), now() FROM generate_series(1, 9000) AS i;
	INSERT INTO chunk
	SELECT video_id || '/' || i, video_id, filler, now(), now()
	  FROM video, generate_series(1, 5) AS i;
	INSERT INTO mean SELECT video_id, filler, now(), now() FROM video;
	CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_advisory_xact_lock_shared(hashtext(TG_TABLE_NAME));
		RETURN NULL;
	END $$;
	CREATE TRIGGER wait BEFORE INSERT OR DELETE ON video EXECUTE FUNCTION wait();
	CREATE TRIGGER wait BEFORE INSERT OR DELETE ON chunk EXECUTE FUNCTION wait();
	CREATE TRIGGER wait BEFORE INSERT OR DELETE ON mean EXECUTE FUNCTION wait();
	CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
		SELECT concat_ws(' ', (SELECT count(*) FROM metaxy_deletion),
						 (SELECT count(*) FROM metaxy_deletion_step),
						 (SELECT md5(string_agg(t, '' ORDER BY t))
							FROM (SELECT (ctid, xmin, v)::text FROM video AS v UNION ALL
								  SELECT (ctid, xmin, c)::text FROM chunk AS c UNION ALL
								  SELECT (ctid, xmin, m)::text FROM mean AS m) AS x (t)))
	$$});

my $soft =
  q{SELECT metaxy_delete('video', 'video_id >= ''v5''', cascade => 'downstream')};
my $hard =
  q{SELECT metaxy_delete('video', 'video_id < ''v5''', cascade => 'downstream', soft => false)};
my $state = $node->safe_psql('postgres', 'SELECT state()');

# Starts a delete in a session of its own, which gets as far as the first
# statement on that table; returns the session and its process.
sub stopped_at
{
	my ($keeper, $table, $delete) = @_;

	$keeper->query_safe("SELECT pg_advisory_lock(hashtext('$table'))");
	my $session =
	  $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/started/, "\\echo started\n$delete;\n");
	$node->poll_query_until('postgres',
		"SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = $pid")
	  or die 'the delete did not start';
	return ($session, $pid);
}

# Is everything as it was?
sub check_nothing_happened
{
	my ($what) = @_;

	is($node->safe_psql('postgres', 'SELECT state()'), $state, "$what: nothing was done");
	is( $node->safe_psql(
			'postgres', q{
			SELECT count(*) FROM pg_locks
			 WHERE relation IN ('video'::regclass, 'chunk'::regclass, 'mean'::regclass)}),
		'0',
		"$what: no lock is left");
	return;
}

# Cancelled, terminated, timed out: the server goes on

my $keeper = $node->background_psql('postgres');
for my $table (qw(mean chunk video))
{
	for my $delete ($soft, $hard)
	{
		my $what = ($delete eq $soft ? 'soft' : 'hard') . " delete at $table";

		my ($session, $pid) = stopped_at($keeper, $table, $delete);
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
		# the session lives, and has lost its locks
		like($session->query_until(qr/alive/, "\\echo :SQLSTATE alive\n"),
			qr/^57014 alive$/m, "$what, cancelled: 57014");
		check_nothing_happened("$what, cancelled");
		$session->quit;
		$keeper->query_safe("SELECT pg_advisory_unlock_all()");

		($session, $pid) = stopped_at($keeper, $table, $delete);
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
		check_nothing_happened("$what, terminated");
		$session->{run}->finish;
		$keeper->query_safe("SELECT pg_advisory_unlock_all()");
	}

	$keeper->query_safe("SELECT pg_advisory_lock(hashtext('$table'))");
	for my $timeout (qw(statement_timeout lock_timeout))
	{
		my ($ret, $stdout, $stderr) = $node->psql('postgres',
			"\\set VERBOSITY sqlstate\nSET $timeout = '200ms';\n$soft");
		like($stderr, qr/ERROR:\s+(57014|55P03)$/m, "$timeout at $table");
		check_nothing_happened("$timeout at $table");
	}
	$keeper->query_safe("SELECT pg_advisory_unlock_all()");
}

# Killed: all sessions end, and the server recovers

sub kill_backend
{
	my ($pid) = @_;

	is(PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid), 0,
		'killed');
	# the server has seen it once it does not answer any more, or answers anew;
	# meanwhile psql can be gone before it was given the query: eval
	my $query = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid";
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($ret, $stdout) = eval { $node->psql('postgres', $query) };
		return if defined $ret && $ret == 0 && $stdout eq 't';
		usleep(100_000);
	}
	die 'the server did not come back';
}

for my $delete ($soft, $hard)
{
	for my $table (qw(chunk video))
	{
		my $what = ($delete eq $soft ? 'soft' : 'hard') . " delete at $table";
		my ($session, $pid) = stopped_at($keeper, $table, $delete);

		kill_backend($pid);
		$session->{run}->finish;
		$keeper->{run}->finish;
		check_nothing_happened("$what, killed");
		$keeper = $node->background_psql('postgres');
	}
}

# At any other moment: all or nothing.  Only those count that were at work.
my $landed = 0;
my $committed = 0;
for my $try (1 .. 6)
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$session->query_until(qr/started/, "\\echo started\n$soft;\n");
	usleep(int(rand(200_000)));
	my $active = $node->safe_psql('postgres',
		"SELECT state = 'active' FROM pg_stat_activity WHERE pid = $pid");
	kill_backend($pid);
	$session->{run}->finish;
	$landed++ if $active eq 't';
	if ($node->safe_psql('postgres', 'SELECT state()') ne $state)
	{
		is( $node->safe_psql(
				'postgres', q{
				SELECT (SELECT count(*) FROM metaxy_deletion_step), (SELECT sum(rows) FROM metaxy_deletion_step) =
					   (SELECT count(*) FROM video WHERE metaxy_deleted_at IS NOT NULL) +
					   (SELECT count(*) FROM chunk WHERE metaxy_deleted_at IS NOT NULL) +
					   (SELECT count(*) FROM mean WHERE metaxy_deleted_at IS NOT NULL)}),
			'3|t',
			'killed after the end: all of it was done');
		$committed++;
		$node->safe_psql(
			'postgres', q{
			DELETE FROM metaxy_deletion;
			DELETE FROM video WHERE metaxy_deleted_at IS NOT NULL;
			DELETE FROM chunk WHERE metaxy_deleted_at IS NOT NULL;
			DELETE FROM mean WHERE metaxy_deleted_at IS NOT NULL});
	}
	check_nothing_happened("killed at random, $try");
}
note "$landed of 6 were killed at work, $committed had committed";

# and afterwards everything works

my $n = $node->safe_psql('postgres', q{SELECT count(*) FROM video WHERE video_id >= 'v5'});
is( $node->safe_psql(
		'postgres', q{SELECT feature, samples, rows FROM metaxy_delete('video', 'video_id >= ''v5''', cascade => 'downstream')}),
	"mean|$n|$n\nchunk|@{[ 5 * $n ]}|@{[ 5 * $n ]}\nvideo|$n|$n",
	'the delete itself');

# Memory: what a backend takes for many times the rows

sub kilobytes
{
	my ($session, $what) = @_;

	my $status = $session->query_safe(
		"SELECT substring(pg_read_file('/proc/self/status') FROM '$what:\\s+(\\d+)')");
	return $status;
}

SKIP:
{
	skip 'there is no /proc', 4 unless -r '/proc/self/status';

	$node->safe_psql(
		'postgres', q{
		DROP TRIGGER wait ON video; DROP TRIGGER wait ON chunk; DROP TRIGGER wait ON mean;
		CREATE TABLE big (id text, part integer, filler text, metaxy_created_at timestamptz,
			metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
		CREATE TABLE big_child (LIKE big);
		SELECT metaxy_register('big', 'big', '{id}'), metaxy_register('big/child', 'big_child', '{id,part}');
		SELECT metaxy_depend('big/child', 'big', '1:N', '{id}');
		INSERT INTO big SELECT 'sample ' || i, i % 10, repeat('x', 300), now(), now() FROM generate_series(1, 100000) AS i;
		INSERT INTO big_child SELECT * FROM big;
		ANALYZE big, big_child});

	for my $soft (qw(true false))
	{
		my $session = $node->background_psql('postgres');
		my $delete = "SELECT sum(rows) FROM metaxy_delete('big', '%s', cascade => 'downstream', soft => $soft)";

		$session->query_safe('SET work_mem = \'256kB\'');
		my $few = $session->query_safe(sprintf($delete, 'part = 1 AND id LIKE \'\'%1\'\''));
		my $before = kilobytes($session, 'VmHWM');
		my $many = $session->query_safe(sprintf($delete, 'part > 0'));
		my $after = kilobytes($session, 'VmHWM');
		cmp_ok($many, '>=', 8 * $few, "soft => $soft: many times the rows");
		note "from $before kB to $after kB for $few and then $many rows";
		cmp_ok($after - $before, '<', 16 * 1024,
			"soft => $soft: memory does not grow with the rows");
		$session->quit;
	}
}

# Memory: thousands of calls

my @calls = (
	q{SELECT count(*) FROM metaxy_delete('video', 'video_id = ''v1''', cascade => 'downstream', dry_run => true)},
	q{SELECT count(*) FROM metaxy_delete('video', 'video_id = ''none''', cascade => 'both')},
	q{SELECT count(*) FROM metaxy_delete('{mean,chunk}'::text[], '{false}', soft => false)},
	q{SELECT count(*) FROM metaxy_delete('video', 'video_id = ''none''', soft => false, with_sample_history => true)},
	q{SELECT count(*) FROM metaxy_delete('nonesuch')},
	q{SELECT count(*) FROM metaxy_delete('video', '1 / (length(video_id) - 2) > 0', cascade => 'downstream')});
my $contexts =
  q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name !~ 'ExprContext|^printtup$'};
my $script = join(";\n", (@calls) x 50, $contexts, (@calls) x 350, $contexts) . ";\n";
my ($ret, $stdout, $stderr) = $node->psql('postgres', $script, on_error_stop => 0);
my @bytes = $stdout =~ /^(\d{6,})$/mg;
is(scalar(@bytes), 2, 'two looks at the memory');
cmp_ok($bytes[1] - $bytes[0], '<', 64 * 1024, 'two thousand calls: memory is flat');
note "from $bytes[0] to $bytes[1] bytes";

# in one transaction too
$stdout = $node->safe_psql(
	'postgres', q{
	DO $$
	DECLARE
		bytes bigint[];
	BEGIN
		FOR i IN 1 .. 1100 LOOP
			PERFORM metaxy_delete('video', 'video_id = ''none''', cascade => 'downstream');
			IF i IN (100, 1100) THEN
				bytes := bytes || (SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts);
			END IF;
		END LOOP;
		CREATE TEMP TABLE bytes AS SELECT bytes[2] - bytes[1] AS growth;
	END $$;
	SELECT growth FROM bytes});
cmp_ok($stdout, '<', 256 * 1024, "a thousand calls in a transaction: memory is flat ($stdout bytes)");

$node->stop;
done_testing();
