
# Programs from Python's package index, for tests that use them.

package Metaxy::Venv;

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils ();
use Test::More;

# Runs a command for so many seconds at most; is it there, and did it succeed?
# What it prints is shown only if not.
sub succeeds
{
	my ($seconds, @command) = @_;

	my $output = '';
	my $harness;
	my $done = eval {
		$harness = IPC::Run::start(\@command, '<', \'', '>&', \$output,
			IPC::Run::timeout($seconds));
		$harness->finish;
	};
	return 1 if $done;

	my $error = $@;
	$harness->kill_kill(grace => 5) if $harness && $error;
	note("@command: $error\n$output");
	return 0;
}

# Makes a virtual environment with these packages in the test's temporary
# folder, and returns the start of a command line: its Python, deaf to PYTHON*
# variables.  Where that is not to be had, the test is skipped: metaxy itself
# needs no Python.  Where pip finds packages is up to its own settings.
sub python_with
{
	my ($module, @packages) = @_;

	my $venv = PostgreSQL::Test::Utils::tempdir . '/venv';
	my @python = ("$venv/bin/python", '-I');

	succeeds(60, 'python3', '-I', '-m', 'venv', $venv)
	  or plan skip_all => 'no python3 with venv (Debian: python3-venv)';

	# Nothing is compiled: neither packages, which could take long, nor their
	# modules, of which only few are used.
	succeeds(300, @python, qw(-m pip install --quiet --no-input
		  --disable-pip-version-check --retries 1 --only-binary :all:
		  --no-compile), @packages)
	  or plan skip_all => "pip cannot install $packages[0] here";

	# A package may want a library of the system that is not there.
	succeeds(60, @python, '-c', "import $module")
	  or plan skip_all => "$packages[0] does not load here";

	return @python;
}

1;
