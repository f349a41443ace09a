
# Metaxy::Stress: many sessions at random work on a few features: writers,
# deletes, somebody who vacuums, builds indexes and alters tables, and a watcher.
# What they did is logged for Metaxy::Check, which see for the form of the log.
#
#	my $has = Metaxy::Stress::prepare($node, $database);
#	Metaxy::Stress::drive($node, $database, $has, $directory, $seconds, $seed);
#	my $run = Metaxy::Stress::collect($node, $database, $directory);

package Metaxy::Stress;

use strict;
use warnings;

use JSON::PP;
use Metaxy::Session;
use Metaxy::Work;
use POSIX ();
use Time::HiRes qw(usleep);

use constant {
	WRITERS => 5,
	DELETERS => 3,
};

# time that a process may take to end, once it should
use constant PATIENCE => 120;

# Creates the features, and returns what the extension offers to try.  b is
# partitioned by what is no id, so that the rows of a sample are in several
# tables.
sub prepare
{
	my ($node, $database) = @_;
	my %has;

	$node->safe_psql(
		$database, q{
		CREATE EXTENSION metaxy;
		CREATE TABLE a (id text, part integer, payload text, wid bigint, prev bigint,
			metaxy_feature_version text, metaxy_created_at timestamptz,
			metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
		CREATE TABLE b (LIKE a) PARTITION BY LIST (payload);
		CREATE TABLE b_low PARTITION OF b FOR VALUES IN ('0', '1');
		CREATE TABLE b_high PARTITION OF b DEFAULT;
		CREATE TABLE c (LIKE a);
		CREATE TABLE h (LIKE a);
		SELECT metaxy_register('a', 'a', '{id}', 'v1'),
			   metaxy_register('b', 'b', '{id}', 'v1'),
			   metaxy_register('c', 'c', '{id,part}', 'v1'),
			   metaxy_register('h', 'h', '{id}', 'v1');
		SELECT metaxy_depend('c', 'a', '1:N', '{id}');
		CREATE FUNCTION us(timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
			RETURN (extract(epoch FROM $1) * 1000000)::bigint - 946684800000000});
	$has{trigger} = $node->safe_psql(
		$database, q{
		SELECT count(*) FROM pg_trigger
		 WHERE tgrelid IN ('a'::regclass, 'b'::regclass) AND NOT tgisinternal}) >= 2;
	$has{clock_shift} = $node->safe_psql(
		$database, q{
		LOAD 'metaxy';
		SELECT count(*) FROM pg_settings WHERE name = 'metaxy.clock_shift'});

	# without the trigger, at least with stamps of the clients
	$has{trigger} or $node->safe_psql(
		$database, q{
		DO $$
		DECLARE
			t text;
		BEGIN
			FOREACH t IN ARRAY '{a,b,b_low,b_high,c,h}'::text[] LOOP
				EXECUTE format('ALTER TABLE %I
					ALTER metaxy_feature_version SET DEFAULT ''v1'',
					ALTER metaxy_created_at SET DEFAULT clock_timestamp(),
					ALTER metaxy_updated_at SET DEFAULT clock_timestamp()', t);
			END LOOP;
		END $$});

	# views that can be written appear later in the life of the extension
	$node->safe_psql($database,
		q{INSERT INTO a (id, part, payload, wid) VALUES ('probe', 0, '0', 0)});
	$has{view} =
	  $node->psql($database, q{BEGIN; DELETE FROM a_active WHERE id = 'probe'; ROLLBACK},
		on_error_stop => 1) == 0;
	$node->safe_psql($database, q{DELETE FROM a});
	return \%has;
}

# Runs all processes for that long.
sub drive
{
	my ($node, $database, $has, $directory, $seconds, $seed) = @_;
	my @work = (
		(\&write_once) x WRITERS,
		(\&delete_once) x DELETERS,
		\&delete_hard_once,
		\&disturb_once,
		\&watch_once);
	my (%running, @failed);
	my $begin = Metaxy::Session::now();

	for my $n (1 .. @work)
	{
		my $pid = fork // die "could not fork: $!";

		if (!$pid)
		{
			my $status = 0;

			# not exit: the end of the test belongs to the parent
			eval {
				work($n, $work[ $n - 1 ], $node->connstr($database), $has,
					$directory, $begin, $seconds, $seed);
				1;
			} or do {
				print STDERR "process $n: ", ref $@ ? encode_json($@) : $@, "\n";
				$status = 1;
			};
			POSIX::_exit($status);
		}
		$running{$pid} = $n;
	}

	my $deadline = $begin + 1e6 * ($seconds + PATIENCE);
	while (%running)
	{
		my $pid = waitpid -1, POSIX::WNOHANG();

		if ($pid > 0 && $running{$pid})
		{
			push @failed, $running{$pid} if $?;
			delete $running{$pid};
		}
		elsif (Metaxy::Session::now() > $deadline)
		{
			kill 'KILL', keys %running;
			waitpid $_, 0 for keys %running;
			die "processes that did not end: @running{ sort keys %running }\n";
		}
		else
		{
			usleep(50_000);
		}
	}
	die "processes that failed: @failed\n" if @failed;
	return;
}

# One process: transaction after transaction, a line of the log for each
sub work
{
	my ($n, $once, $connstr, $has, $directory, $begin, $seconds, $seed) = @_;
	my $end = $begin + 1e6 * $seconds;
	my $json = JSON::PP->new->canonical;
	my $self = {
		n => $n,
		has => $has,
		session => Metaxy::Session->new($connstr, "$directory/errors.$n"),
		wid => $n * 100_000_000,
		begin => $begin,
		length => 1e6 * $seconds,
		transactions => 0
	};

	srand($seed * 100 + $n);
	open my $log, '>', "$directory/log.$n" or die "could not open the log: $!";
	$self->{session}->run(q{SET statement_timeout = '60s'});
	($self->{pid}) = map { $_->[0] } $self->{session}->run('SELECT pg_backend_pid()');
	while (Metaxy::Session::now() < $end)
	{
		my $tx = { n => ++$self->{transactions}, rows => [], ops => [] };

		if (!eval { $once->($self, $tx); 1 })
		{
			die $@ unless ref $@;
			$tx->{out} = 'error';
			$tx->{sqlstate} = $@->{sqlstate};
			$self->{session}->run('ROLLBACK');
		}
		print $log $json->encode($tx), "\n" if $tx->{out};
	}
	close $log or die "could not write the log: $!";
	$self->{session}->quit;
	return;
}

#
# What is left
#

sub collect
{
	my ($node, $database, $directory) = @_;
	my %run = (rows => {}, log => []);
	my $json = JSON::PP->new;

	for my $file (glob "$directory/log.*")
	{
		open my $log, '<', $file or die "could not open $file: $!";
		push @{ $run{log} }, map { $json->decode($_) } <$log>;
		close $log;
	}
	for my $f (qw(a b c h))
	{
		my $s = $f eq 'c' ? q{id || '/' || part} : 'id';

		for my $line (
			split /\n/,
			$node->safe_psql(
				$database, qq{
				SELECT $s, payload, wid, prev, metaxy_feature_version, us(metaxy_created_at),
					   us(metaxy_updated_at), us(metaxy_deleted_at),
					   row_number() OVER (ORDER BY tableoid, ctid)
				  FROM $f}))
		{
			my %row;

			@row{qw(s payload wid prev version created updated deleted place)} =
			  map { $_ eq '' ? undef : $_ } split /\|/, $line, -1;
			push @{ $run{rows}{$f} }, \%row;
		}
		$run{active}{$f} =
		  [ split /\n/, $node->safe_psql($database, "SELECT wid FROM ${f}_active") ];
	}
	$run{clock} = $node->safe_psql($database, 'SELECT last_value FROM metaxy_clock')
	  if $node->safe_psql($database, q{SELECT to_regclass('metaxy_clock') IS NOT NULL}) eq 't';
	$run{ledger} = [
		map { [ split /\|/ ] } split /\n/,
		$node->safe_psql($database, 'SELECT id, us(stamp), kind, rows FROM metaxy_deletions') ];
	return \%run;
}

1;
