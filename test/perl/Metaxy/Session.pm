
# Metaxy::Session: psql as a co-process.  One statement goes in at a time, and
# its rows and SQLSTATE come back, with the monotonic times between which the
# server must have run it.

package Metaxy::Session;

use strict;
use warnings;

use Errno;
use IO::Handle;
use IO::Select;
use IPC::Open3;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

# No statement takes that long, unless something hangs.
use constant PATIENCE => 90;

# Microseconds; all processes of a machine share this clock.
sub now
{
	return int(clock_gettime(CLOCK_MONOTONIC) * 1e6);
}

# Messages of psql go to the file $errors.
sub new
{
	my ($class, $connstr, $errors) = @_;

	open my $stderr, '>>', $errors or die "could not open $errors: $!";
	my ($to, $from);
	my $pid = open3($to, $from, '>&' . fileno($stderr),
		'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $connstr);
	close $stderr;
	$to->autoflush(1);
	return bless {
		pid => $pid,
		to => $to,
		from => $from,
		select => IO::Select->new($from),
		buffer => ''
	}, $class;
}

sub line
{
	my ($self) = @_;

	while ($self->{buffer} !~ /\n/)
	{
		$! = 0;
		if (!$self->{select}->can_read(PATIENCE))
		{
			next if $!{EINTR};	# a child has ended
			die "psql does not answer to $self->{sent}";
		}
		sysread($self->{from}, $self->{buffer}, 65536, length $self->{buffer})
		  or die "psql is gone at $self->{sent}";
	}
	$self->{buffer} =~ s/^(.*)\n//;
	return $1;
}

# Runs a statement and returns its SQLSTATE, keeping rows and times.
sub try
{
	my ($self, $sql, $data) = @_;

	$self->start($sql, $data);
	return $self->finish;
}

# Sends a statement.  The data of a COPY follow it; where it failed before it
# took them, psql has them in its query buffer, which \r empties.
sub start
{
	my ($self, $sql, $data) = @_;

	$self->{sent} = $sql;
	$self->{t0} = now();
	$self->{to}->print(
		$sql, ";\n",
		defined $data ? "$data\\.\n\\r\n" : '',
		"\\echo done :SQLSTATE\n");
	return;
}

# Waits for what it comes to.
sub finish
{
	my ($self) = @_;
	my @rows;

	for (;;)
	{
		my $line = $self->line;

		if ($line =~ /^done (\w{5})$/)
		{
			$self->{state} = $1;
			last;
		}
		push @rows, $line;
	}
	$self->{t1} = now();
	$self->{rows} = \@rows;
	return $self->{state};
}

# Runs a statement and dies with its SQLSTATE where it fails; returns its rows,
# each a list of columns, and keeps the times.
sub run
{
	my ($self, $sql, $data) = @_;

	my $state = $self->try($sql, $data);
	die { sqlstate => $state } if $state ne '00000';
	return map { [ split /\|/, $_, -1 ] } @{ $self->{rows} };
}

sub quit
{
	my ($self) = @_;

	close $self->{to};
	waitpid $self->{pid}, 0;
	return;
}

1;
