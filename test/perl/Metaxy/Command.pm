
# Metaxy::Command: runs the metaxy command that is installed beside the server,
# or the one that the environment variable METAXY_COMMAND names.
#
#	my ($status, $stdout, $stderr) = run_metaxy($node, @arguments);
#	my ($status, $stdout, $terminal) =
#	  on_terminal($node, \@arguments, PATTERN => ANSWER, ...);
#
# Both use the database "postgres" of the node; without a node, none can be
# reached.  All texts are bytes.  The status is a number, or "signal N".

package Metaxy::Command;

use strict;
use warnings;

use Errno;
use Exporter 'import';
use IO::Select;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Utils;

our @EXPORT = qw(metaxy_command run_metaxy has_terminal on_terminal);

# Where the program is
sub metaxy_command
{
	return $ENV{METAXY_COMMAND} if defined $ENV{METAXY_COMMAND};
	my ($bindir) = run_command([ 'pg_config', '--bindir' ]);
	return "$bindir/metaxy";
}

# Runs it where nobody can be asked, with an empty standard input.
sub run_metaxy
{
	my ($node, @arguments) = @_;
	my ($stdout, $stderr);
	my @command = (metaxy_command(), @arguments);

	local @ENV{qw(PGHOST PGPORT PGDATABASE)} = server($node);
	IPC::Run::run(\@command, '<', \'', '>', \$stdout, '2>', \$stderr,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return (status($?, $stderr), $stdout, $stderr);
}

# Whether on_terminal can be called
sub has_terminal
{
	return eval { require IO::Pty; 1 };
}

# Runs it with a terminal as standard input and error; standard output is a
# pipe.  Once a PATTERN has come on the terminal, its ANSWER is typed; a code
# reference is called for it, and may return nothing.  "\cD" is the end of the
# input, "\cC" the interrupt.
sub on_terminal
{
	my ($node, $arguments, @talk) = @_;
	my @command = (metaxy_command(), @$arguments);
	my %text = (out => '', terminal => '');
	my $begin = 0;

	require IO::Pty;
	my $pty = IO::Pty->new or die "could not open a terminal: $!";
	pipe(my $from, my $to) or die "could not open a pipe: $!";
	my $pid = fork;
	die "could not fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		be_command($pty, $from, $to, $node, @command);
		POSIX::_exit(126);
	}
	$pty->close_slave;
	close $to;

	my $select = IO::Select->new($pty, $from);
	while ($select->count > 0)
	{
		$! = 0;
		my @ready =
		  $select->can_read($PostgreSQL::Test::Utils::timeout_default);
		next if !@ready && $!{EINTR};	# a child has ended
		if (!@ready)
		{
			kill 'KILL', $pid;
			die "nothing more comes from @command: $text{terminal}";
		}
		foreach my $handle (@ready)
		{
			my $read = $handle == $pty ? \$text{terminal} : \$text{out};

			# a terminal that is closed on the other side is an error
			$select->remove($handle)
			  unless sysread $handle, $$read, 65536, length $$read;
		}
		while (@talk && substr($text{terminal}, $begin) =~ $talk[0])
		{
			$begin += $+[0];
			shift @talk;
			my $answer = shift @talk;
			$answer = $answer->() if ref $answer;
			syswrite $pty, $answer if defined $answer;
		}
	}
	waitpid $pid, 0;
	my $status = $?;
	die "@command did not ask for $talk[0]: $text{terminal}" if @talk;
	$text{terminal} =~ s/\r\n/\n/g;
	return (status($status, $text{terminal}), $text{out}, $text{terminal});
}

# The child: becomes the program.
sub be_command
{
	my ($pty, $from, $to, $node, @command) = @_;

	eval {
		$pty->make_slave_controlling_terminal;
		my $slave = $pty->slave;
		close $pty;
		close $from;
		POSIX::dup2(fileno $slave, 0);
		POSIX::dup2(fileno $to, 1);
		POSIX::dup2(fileno $slave, 2);
		@ENV{qw(PGHOST PGPORT PGDATABASE)} = server($node);
		no warnings 'exec';
		exec { $command[0] } @command;
	};
	return;
}

sub server
{
	my ($node) = @_;

	return ($node->host, $node->port, 'postgres') if defined $node;
	return ('/nonexistent', 1, 'postgres');
}

# What a sanitizer says is no status of the program's.
sub status
{
	my ($status, $stderr) = @_;

	die "a sanitizer complains: $stderr"
	  if $stderr =~ /Sanitizer:|: runtime error: /;
	return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

1;
