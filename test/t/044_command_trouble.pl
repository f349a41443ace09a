
# The metaxy command in trouble: connections of all kinds and passwords, servers
# that are away, go away, or lack the extension, interrupts, full disks, closed
# pipes; and what a terminal shows meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Metaxy::Command;
use Metaxy::Session;
use Metaxy::Trouble;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @delete = ('metadata', 'delete', 'sensor', '--filter', 'id = 1');
my $files = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
my $hba = $node->data_dir . '/pg_hba.conf';
my $trusted = slurp_file($hba);
unlink $hba;
append_to_file($hba, "local all regress_metaxy_secret scram-sha-256\n$trusted");
$node->start;

sub sql
{
	my ($sql) = @_;

	return $node->safe_psql('postgres',
		q{SET search_path = public, "My Schema @relation@ %s";} . $sql);
}

# Another session, which can be asked to hold locks.
sub session
{
	return Metaxy::Session->new($node->connstr('postgres'),
		"$files/session");
}

# Asserts what came of a call.
sub ends
{
	my ($name, $status, $stdout, $stderr, @found) = @_;

	is($found[0], $status, "$name: status") or diag($found[2]);
	ref $stdout ? like($found[1], $stdout, "$name: result")
	  : is($found[1], $stdout, "$name: result");
	ref $stderr ? like($found[2], $stderr, "$name: words")
	  : is($found[2], $stderr, "$name: words");
	return;
}

# What deletes could change
sub state
{
	return sql('SELECT s FROM sensor AS s ORDER BY s;
		SELECT count(*) FROM metaxy_deletions');
}

sql(q{
	SET password_encryption = 'scram-sha-256';
	CREATE ROLE regress_metaxy_secret LOGIN PASSWORD 'open "it';
	CREATE DATABASE regress_metaxy_other;
	CREATE SCHEMA "My Schema @relation@ %s";
	CREATE EXTENSION metaxy SCHEMA "My Schema @relation@ %s";
	GRANT USAGE ON SCHEMA "My Schema @relation@ %s" TO regress_metaxy_secret;
	CREATE TABLE sensor (id integer, name text);
	SELECT metaxy_register('sensor', 'sensor', '{id}');
	INSERT INTO sensor SELECT i, repeat('x', 100) FROM generate_series(1, 2000) AS i});

#
# Ways to connect; the extension is in a schema that needs quoting
#

my ($host, $port) = ($node->host, $node->port);
my @list = ('list', 'features', '--format', 'csv');
my $listed = qr/^feature,.*\r\nsensor,.*\r\n$/;
append_to_file("$files/service",
	"[metaxy]\nhost=$host\nport=$port\ndbname=postgres\n");
my $uri_host = $host =~ s,/,%2F,gr;
my @ways = (
	[ '-h', $host, '-p', $port, '-d', 'postgres' ],
	[ "--host=$host", "--port=$port", '--dbname', 'postgres' ],
	[ '-d', "postgresql://$uri_host:$port/postgres" ],
	[ '-d', "host='$host' port=$port dbname=postgres" ],
	[ '-h', '/nowhere', '-d', "host='$host' port=$port" ]);
foreach (@ways)
{
	ends("connect: @$_[0 .. 1]", 0, $listed, '', run_metaxy(undef, @$_, @list));
}
ends('connect: PG* variables', 0, $listed, '', run_metaxy($node, @list));
ends('connect: options behind', 0, $listed, '',
	run_metaxy(undef, @list, '-h', $host, '-p', $port));
foreach ([ '-d', 'service=metaxy' ], [ '-d', 'postgresql://?service=metaxy' ])
{
	local $ENV{PGSERVICEFILE} = "$files/service";

	ends("connect: @$_", 0, $listed, '', run_metaxy(undef, @$_, @list));
}
ends('connect: no such role', 1, '', qr/role "regress no" does not exist\n$/,
	run_metaxy($node, '-U', 'regress no', @list));
ends('connect: no such database', 1, '', qr/database "no" does not exist\n$/,
	run_metaxy($node, '-d', 'no', @list));
ends('connect: no such option', 1, '', qr/^metaxy: error: .*"nosuch"\n$/,
	run_metaxy($node, '-d', 'nosuch=1', @list));
ends('connect: not a port', 1, '', qr/^metaxy: error: .*"x".*port.*\n$/,
	run_metaxy($node, '-p', 'x', @list));
ends('no server', 1, '', qr/^metaxy: error: .*No such file.*\n.*running locally/,
	run_metaxy(undef, @list));
ends('no server, tcp', 1, '', qr/^metaxy: error: .*Connection refused/,
	run_metaxy(undef, '-h', '127.0.0.1', '-p', '1', @list));

#
# Passwords
#

my @secret = ('-U', 'regress_metaxy_secret', @list);
append_to_file("$files/pass", "*:*:*:regress_metaxy_secret:open \"it\n");
append_to_file("$files/wrong", "*:*:*:regress_metaxy_secret:no\n");
chmod 0600, "$files/pass", "$files/wrong";
{
	local $ENV{PGPASSFILE} = "$files/none";

	ends('no password', 1, '', qr/fe_sendauth: no password supplied\n$/,
		run_metaxy($node, '-w', @secret));
	ends('password in a URI', 0, $listed, '',
		run_metaxy($node, '-w', '-d',
			"postgresql://regress_metaxy_secret:open%20%22it@/postgres", @list));
	$ENV{PGPASSFILE} = "$files/pass";
	ends('password file', 0, $listed, '', run_metaxy($node, '-w', @secret));
	$ENV{PGPASSFILE} = "$files/wrong";
	ends('wrong password', 1, '', qr/^metaxy: error: .*password authentication failed/,
		run_metaxy($node, '-w', @secret));
}
{
	local $ENV{PGPASSWORD} = 'open "it';
	ends('password variable', 0, $listed, '', run_metaxy($node, @secret));
}
SKIP:
{
	skip 'needs IO::Pty', 1 unless has_terminal();
	local $ENV{PGPASSFILE} = "$files/none";
	my $asks = qr/^Password for user regress_metaxy_secret: /;

	ends('asked', 0, $listed, "Password for user regress_metaxy_secret: \n",
		on_terminal($node, \@secret, $asks => qq{open "it\n}));
	ends('asked first', 0, $listed, "Password for user regress_metaxy_secret: \n",
		on_terminal($node, [ '-W', @secret ], $asks => qq{open "it\n}));
	ends('asked first, no user', 0, $listed, qr/^Password: \n$/,
		on_terminal($node, [ '--password', @list ], qr/^Password: / => "\n"));
	ends('asked, wrong', 1, '', qr/\nmetaxy: .*error:.* password authentication failed/,
		on_terminal($node, \@secret, $asks => "open\n"));
	ends('asked, no answer', 1, '', qr/\nmetaxy: .*error:.* no password was given\n$/,
		on_terminal($node, \@secret, $asks => "\cD"));
	ends('asked, interrupt', 1, '', qr/\nmetaxy: .*error:.* no password was given\n$/,
		on_terminal($node, \@secret, $asks => "\cC"));
	ends('not asked with -w', 1, '', qr/fe_sendauth: no password supplied\n$/,
		on_terminal($node, [ '-w', @secret ]));
}

#
# Without the extension, or with an older one
#

ends('no extension', 1, '',
	qq{metaxy: error: database "regress_metaxy_other" does not have the extension: run CREATE EXTENSION metaxy\n},
	run_metaxy($node, '-d', 'regress_metaxy_other', @list));
my $version = sql(q{SELECT extversion FROM pg_extension WHERE extname = 'metaxy'});
foreach my $older ('0.0.1', '0')
{
	sql("UPDATE pg_extension SET extversion = '$older' WHERE extname = 'metaxy'");
	ends("version $older", 1, '',
		qr/^metaxy: error: database "postgres" has version \Q$older\E of the extension, this is \Q$version\E: run ALTER EXTENSION metaxy UPDATE\n$/,
		run_metaxy($node, @list));
}
foreach my $newer ("$version.1", '99.0')
{
	sql("UPDATE pg_extension SET extversion = '$newer' WHERE extname = 'metaxy'");
	ends("version $newer", 0, $listed, '', run_metaxy($node, @list));
}
sql("UPDATE pg_extension SET extversion = '$version' WHERE extname = 'metaxy'");

#
# Standard output that takes nothing
#

my $before = state();
foreach my $format (qw(plain json csv))
{
	is_deeply(
		[ run_redirected($node, '>/dev/full', 'metadata', 'read', 'sensor', '--format', $format) ],
		[ 1, "metaxy: error: could not write to standard output: No space left on device\n" ],
		"full disk, $format");
	is_deeply(
		[ run_redirected($node, '| true', 'metadata', 'read', 'sensor', '--format', $format) ],
		[ 0, '' ], "closed pipe, $format: no words");
	is_deeply(
		[ run_redirected($node, '>&-', 'metadata', 'read', 'sensor', '--format', $format) ],
		[ 1, "metaxy: error: could not write to standard output: Bad file descriptor\n" ],
		"closed output, $format");
}
foreach ([ 'graph', 'render' ], [ 'describe', 'sensor' ], [ '--help' ],
	[ '--version' ], [ 'metadata', 'orphans', 'sensor' ])
{
	is_deeply([ run_redirected($node, '>/dev/full', @$_) ],
		[ 1, "metaxy: error: could not write to standard output: No space left on device\n" ],
		"full disk: @$_");
}
my ($status, $stderr) = run_redirected($node,
	'| { read -r line; exec <&-; }; echo $? >&2', 'metadata', 'read', 'sensor');
is($stderr, "0\n", 'closed pipe, in the middle: no words');
is_deeply([ run_redirected($node, '>&- 2>&- <&-', @list) ], [ 1, '' ],
	'all is closed');
is(state(), $before, 'nothing was changed');
wait_for_none($node);

# a delete is done before its result can be printed; it says so
($status, $stderr) = run_redirected($node, '>/dev/full', @delete);
is($status, 1, 'delete, full disk: status');
like($stderr, qr/^metaxy: deleted 1 samples by operation 1;.*\nmetaxy: error: could not write/,
	'delete, full disk: says that it is done');

#
# Interrupts: the server stops, nothing is changed
#

$delete[-1] = 'id = 2';
$before = state();
my $session = session();
foreach my $signal (qw(INT TERM))
{
	$session->run('BEGIN');
	$session->run('LOCK TABLE sensor IN SHARE MODE');
	my $command = start_metaxy($node, @delete, '--reason', 'no');
	ok(wait_for_lock($node), "$signal: it waits");
	$command->{harness}->signal($signal);
	ends("$signal", 1, '', "metaxy: error: canceled: nothing was changed\n",
		finish_metaxy($command));
	ok(wait_for_none($node), "$signal: the server has ended it, too");
	$session->run('COMMIT');
	is(state(), $before, "$signal: nothing was changed");
}

# while nobody reads what it prints
{
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($host, $port, 'postgres');
	my $pid = open my $from, '-|', 'sh', '-c', 'exec "$@"', 'sh',
	  metaxy_command(), 'metadata', 'read', 'sensor';
	ok( $node->poll_query_until(
			'postgres', q{
			SELECT count(*) = 1 FROM pg_stat_activity
			 WHERE query LIKE 'FETCH%' AND state = 'idle in transaction'}),
		'reader is slow: rows have been sent');
	ok(poll_until(sub { full($from) && state_of($pid) eq 'S' }),
		'reader is slow: the command waits');
	kill 'INT', $pid;
	ok(poll_until(sub { !has_signal($pid, 'SigCgt', 2) }),
		'reader is slow: an interrupt is kept in mind');
	kill 'INT', $pid;
	ok(poll_until(sub { state_of($pid) eq 'Z' }),
		'reader is slow: a second one ends the command');
	close $from;
	is($? & 127, 2, 'reader is slow, second interrupt: status');
	ok(wait_for_none($node), 'reader is slow: the server has ended it, too');
}

# a purge keeps what it has committed
sql(q{SELECT metaxy_delete('sensor', 'id BETWEEN 101 AND 200')});
$session->run('BEGIN');
$session->run('SELECT FROM sensor WHERE id = 200 AND metaxy_deleted_at IS NULL FOR UPDATE');
my $purge = start_metaxy($node, 'metadata', 'purge', 'sensor',
	'--older-than', '0', '--batch-size', '10');
ok(wait_for_lock($node), 'purge: it waits');
my $left = sql('SELECT count(*) FROM sensor WHERE id BETWEEN 101 AND 200');
cmp_ok($left, '<', 200, 'purge: a part is removed');
$purge->{harness}->signal('INT');
ends('purge, interrupt', 1, '',
	"metaxy: error: canceled: what was removed until then is gone, the next call does the rest\n",
	finish_metaxy($purge));
$session->run('COMMIT');
is(sql('SELECT count(*) FROM sensor WHERE id BETWEEN 101 AND 200'),
	$left, 'purge, interrupt: that is all');
is(sql(q{SELECT "rows" - 2 FROM metaxy_deletions WHERE kind = 'purge'}),
	200 - $left, 'purge, interrupt: it is in the ledger');
ends('purge, the rest', 0, qr/^ *purged_samples /, qr/^metaxy: removed \d+ samples, $left rows\n$/,
	run_metaxy($node, 'metadata', 'purge', 'sensor', '--older-than', '0'));

# a second interrupt ends the command though the server does not answer
$session->run('BEGIN');
$session->run('LOCK TABLE sensor IN SHARE MODE');
my $command = start_metaxy($node, @delete);
ok(wait_for_lock($node), 'second interrupt: it waits');
my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE application_name = 'metaxy'});
kill 'STOP', $pid;
ok(poll_until(sub { state_of($pid) eq 'T' }), 'second interrupt: a server that hangs');
$command->{harness}->signal('INT');
ok(poll_until(sub { has_signal($pid, 'ShdPnd', 2) }), 'second interrupt: the first has been sent');
$command->{harness}->signal('INT');
ends('second interrupt', 'signal 2', '', '', finish_metaxy($command));
kill 'CONT', $pid;
ok(wait_for_none($node), 'second interrupt: the server has ended it, too');
$session->run('COMMIT');

# Whether a set of signals of the process has this one.
sub has_signal
{
	my ($process, $set, $signal) = @_;
	my ($signals) = slurp_file("/proc/$process/status") =~ /^$set:\s*(\w+)$/m;

	return hex(substr $signals, -8) & 1 << ($signal - 1);
}

# What Linux says that the process does
sub state_of
{
	my ($process) = @_;

	return (slurp_file("/proc/$process/stat") =~ /^.*\) (\w) /)[0];
}

# Whether a pipe is full, as FIONREAD tells.
sub full
{
	my ($pipe) = @_;
	my $bytes = pack 'i', 0;

	ioctl $pipe, 0x541b, $bytes or die "could not look into a pipe: $!";
	return unpack('i', $bytes) > 60000;
}

sub poll_until
{
	my ($condition) = @_;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		select undef, undef, undef, 0.1;
	}
	return 0;
}

#
# What a terminal shows
#

SKIP:
{
	skip 'needs IO::Pty', 1 unless has_terminal();
	my $clear = "\r\e[K";
	local $ENV{TERM} = 'xterm';

	$session->run('BEGIN');
	$session->run('LOCK TABLE sensor IN SHARE MODE');
	my @found = on_terminal($node, [ @delete, '--format', 'csv' ],
		qr/0:\d\d  \w/ => sub { $session->run('COMMIT'); return });
	ends('progress', 0, qr/^step,.*\r\n.*\r\n$/,
		qr/^(?:\r\e\[K0:\d\d  [^\r\n]+)+\r\e\[Kmetaxy: deleted 1 samples/, @found);
	$session->run('BEGIN');
	$session->run('LOCK TABLE sensor');
	@found = on_terminal($node, [ 'metadata', 'read', 'sensor', '--limit', '1' ],
		qr/0:\d\d  \w/ => sub { $session->run('COMMIT'); return });
	ends('progress of a read', 0, qr/\n/, qr/[^\n]+\r\e\[K$/, @found);
	$session->run('BEGIN');
	$session->run('LOCK TABLE sensor');
	@found = on_terminal($node, [@delete], qr/0:\d\d  \w/ => "\cC");
	ends('progress, interrupt', 1, '',
		qr/^(?:\^C|\r\e\[K0:\d\d  [^\r\n]+)+\r\e\[Kmetaxy: .*error:.* canceled: nothing was changed\n$/,
		@found);

	# no progress without a terminal, nor where it is not wanted
	my $quiet = start_metaxy($node, @delete);
	ok(wait_for_lock($node, 1500), 'no terminal: it waits');
	$session->run('COMMIT');
	ends('no terminal, no progress', 0, qr/sensor/,
		qr/^metaxy: deleted 0 samples by operation \d+\n$/, finish_metaxy($quiet));
	foreach ([ 'xterm', '--quiet' ], ['dumb'])
	{
		my ($terminal, @switches) = @$_;
		local $ENV{TERM} = $terminal;

		$session->run('BEGIN');
		$session->run('LOCK TABLE sensor');
		my $waiter = fork // die "could not fork: $!";
		if ($waiter == 0)
		{
			# lets it go on once it has waited
			wait_for_lock($node, 1500);
			$node->safe_psql('postgres', q{
				SELECT pg_terminate_backend(pid) FROM pg_locks
				 WHERE relation = 'sensor'::regclass AND granted});
			POSIX::_exit(0);
		}
		@found = on_terminal($node, [ @delete, @switches ]);
		waitpid $waiter, 0;
		unlike($found[2], qr/\e|\d:\d\d/, "@$_: no progress");
		is($found[0], 0, "@$_: status");
		$session = session();
	}
}

#
# Servers that go away
#

$session = session();
$session->run('BEGIN');
$session->run('LOCK TABLE sensor');
$command = start_metaxy($node, @delete);
ok(wait_for_lock($node), 'terminated: it waits');
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	   WHERE application_name = 'metaxy'});
ends('terminated', 1, '', qr{
	^metaxy:\ error:\ terminating\ connection\ due\ to\ administrator\ command\n
	(?:metaxy:\ .*\n)*
	metaxy:\ hint:\ Whether\ it\ was\ done\ is\ not\ known:\ see\ "metaxy\ history"\.\n$}x,
	finish_metaxy($command));
foreach ([ 1, @delete ], [ 0, 'metadata', 'read', 'sensor' ])
{
	my ($changes, @arguments) = @$_;

	$command = start_metaxy($node, @arguments);
	ok(wait_for_lock($node), 'server away: it waits');
	$node->stop('immediate');
	my @found = finish_metaxy($command);
	ends('server away', 1, '',
		qr/^(?:metaxy: .*\n|\s.*\n)*metaxy: error: server closed the connection unexpectedly\n/,
		@found);
	is($found[2] =~ /is not known: see "metaxy history"/ ? 1 : 0, $changes,
		'server away: says where to look');
	$node->start;
	$session = session();
	$session->run('BEGIN');
	$session->run('LOCK TABLE sensor');
}
$session->run('COMMIT');
ends('server back', 0, $listed, '', run_metaxy($node, @list));

$node->stop;
done_testing();
