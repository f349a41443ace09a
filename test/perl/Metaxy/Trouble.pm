
# Metaxy::Trouble: the metaxy command while it waits for something, so that
# a test can make trouble meanwhile.
#
#	my $command = start_metaxy($node, @arguments);
#	wait_for_lock($node);
#	$command->{harness}->signal('INT');
#	my ($status, $stdout, $stderr) = finish_metaxy($command);
#
# Commands are known by the application's name, so PGAPPNAME is taken out of the
# environment.

package Metaxy::Trouble;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use Metaxy::Command;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_metaxy finish_metaxy wait_for_lock wait_for_none
  run_redirected);

delete $ENV{PGAPPNAME};

# Starts it where nobody can be asked, and does not wait.
sub start_metaxy
{
	my ($node, @arguments) = @_;
	my %command = (stdout => '', stderr => '');

	local @ENV{qw(PGHOST PGPORT PGDATABASE)} =
	  ($node->host, $node->port, 'postgres');
	$command{harness} = IPC::Run::start(
		[ metaxy_command(), @arguments ],
		'<', \'',
		'>', \$command{stdout},
		'2>', \$command{stderr},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%command;
}

# Waits for its end; returns what run_metaxy does.
sub finish_metaxy
{
	my ($command) = @_;

	$command->{harness}->finish;
	my $status = $command->{harness}->full_result(0);
	return ($status & 127 ? 'signal ' . ($status & 127) : $status >> 8,
		$command->{stdout}, $command->{stderr});
}

# Waits until the command waits for another session, and for so many
# milliseconds.
sub wait_for_lock
{
	my ($node, $milliseconds) = @_;

	$milliseconds //= 0;
	return $node->poll_query_until(
		'postgres', qq{
		SELECT count(*) = 1 FROM pg_stat_activity
		 WHERE application_name = 'metaxy' AND wait_event_type = 'Lock'
		   AND clock_timestamp() - query_start
			   > $milliseconds * interval '1 millisecond'});
}

# Waits until no command is connected.
sub wait_for_none
{
	my ($node) = @_;

	return $node->poll_query_until(
		'postgres', q{
		SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'metaxy'});
}

# Runs it by a shell, with redirections; returns its status and standard error.
sub run_redirected
{
	my ($node, $redirection, @arguments) = @_;
	my $stderr;

	local @ENV{qw(PGHOST PGPORT PGDATABASE)} =
	  ($node->host, $node->port, 'postgres');
	IPC::Run::run(
		[ 'sh', '-c', qq("\$@" $redirection), 'sh', metaxy_command(), @arguments ],
		'<', \'', '2>', \$stderr,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return ($? >> 8, $stderr);
}

1;
