
# Metaxy::Work: one transaction at random of a writer, a deleter, who else
# disturbs them, or who watches.

package Metaxy::Work;

use strict;
use warnings;

use Exporter 'import';
use Metaxy::Session;
use Time::HiRes qw(usleep);

our @EXPORT = qw(write_once delete_once delete_hard_once disturb_once watch_once);

use constant {
	SAMPLES => 200,
	HARD_SAMPLES => 20,
	PARTS => 3,
	PAYLOADS => 4,
};

my @isolation = ('read committed', 'repeatable read', 'serializable');

#
# What all have in common
#

sub one_of
{
	return $_[ int rand @_ ];
}

sub chance
{
	return rand() < $_[0];
}

# A pause of up to that many milliseconds
sub think
{
	usleep(int rand(1000 * $_[0]));
	return;
}

# Some samples are busier than others.
sub id_of
{
	my ($f) = @_;

	return 's' . int(rand()**2 * ($f eq 'h' ? HARD_SAMPLES : SAMPLES));
}

# Moves the clock of the session, or of the transaction, back by up to an hour,
# or ahead: by little in the beginning, for once it was an hour ahead no wall
# clock is ever above it again.  Little is enough for a row and a delete that
# race to be stamped the wrong way round.
sub shift_clock
{
	my ($self, $tx, $scope) = @_;
	my $late = Metaxy::Session::now() > $self->{begin} + 0.6 * $self->{length};
	my $shift = one_of(
		0,
		-rand(3_600_000),
		rand(100) - 50,
		rand(100) - 50,
		rand(50),
		rand(50),
		$late ? rand(3_600_000) : -rand(1000));

	return unless $self->{has}{clock_shift};
	$self->{session}->run(sprintf q{SET %s metaxy.clock_shift = '%dms'}, $scope, $shift);
	$tx->{shifted} = 1 if $shift;
	return;
}

# Writes rows in one statement: INSERT into the table, one of its partitions
# or its view, or COPY.
sub insert
{
	my ($self, $tx, $f, $n) = @_;
	my $session = $self->{session};
	my $how = rand;
	my ($target, @rows, @written) = ($f);
	my $low = $f eq 'b' && chance(0.2);
	my $columns = '(id, part, payload, wid)';

	for (1 .. $n)
	{
		my $id = id_of($f);
		my $part = $f eq 'c' ? int rand PARTS : 0;

		push @rows,
		  {
			wid => ++$self->{wid},
			f => $f,
			id => $id,
			part => $part,
			s => $f eq 'c' ? "$id/$part" : $id,
			payload => int rand($low ? 2 : PAYLOADS),
			ok => 1
		  };
	}
	$target = 'b_low' if $low;
	$target = "${f}_active" if !$low && $self->{has}{view} && chance(0.1);
	$tx->{at} = $target =~ /_active$/ ? 'view' : 'insert';

	if ($how < 0.15 && $target !~ /_active$/ && $f ne 'h')
	{
		$session->run("COPY $target $columns FROM STDIN",
			join '', map { join("\t", @{$_}{qw(id part payload wid)}) . "\n" } @rows);
	}
	else
	{
		@written = $session->run(
			"INSERT INTO $target $columns VALUES "
			  . join(', ', map { "('$_->{id}', $_->{part}, '$_->{payload}', $_->{wid})" } @rows)
			  . ' RETURNING wid, us(metaxy_updated_at)');
	}
	for my $row (@rows)
	{
		$row->{t0} = $session->{t0};
		$row->{t1} = $session->{t1};
		delete @{$row}{qw(id part)};
	}
	my %stamps = map { @{$_} } @written;
	$_->{stamp} = $stamps{ $_->{wid} } + 0 for @written ? @rows : ();
	push @{ $tx->{rows} }, @rows;
	return;
}

# Runs something within a savepoint, which is then kept or not; all that it
# has logged is marked as undone.
sub in_savepoint
{
	my ($self, $tx, $undone, $what) = @_;
	my ($rows, $ops) = (scalar @{ $tx->{rows} }, scalar @{ $tx->{ops} });

	$self->{session}->run('SAVEPOINT s');
	$what->();
	if (!chance($undone))
	{
		$self->{session}->run('RELEASE SAVEPOINT s');
		return;
	}
	$self->{session}->run('ROLLBACK TO SAVEPOINT s');
	$_->{ok} = 0
	  for @{ $tx->{rows} }[ $rows .. $#{ $tx->{rows} } ],
	  @{ $tx->{ops} }[ $ops .. $#{ $tx->{ops} } ];
	return;
}

# Ends the transaction one way or another.
sub end
{
	my ($self, $tx, $aborted, $prepared) = @_;
	my $session = $self->{session};
	my $name = "p$self->{n}_$tx->{n}";
	my ($commit, $rollback) = ('COMMIT', 'ROLLBACK');

	$tx->{at} = 'commit';
	if (chance($prepared))
	{
		$session->run("PREPARE TRANSACTION '$name'");
		$tx->{prepared} = 1;
		think(10);
		($commit, $rollback) = ("COMMIT PREPARED '$name'", "ROLLBACK PREPARED '$name'");
	}
	$tx->{out} = chance($aborted) ? 'rollback' : 'commit';
	$session->run($tx->{out} eq 'commit' ? $commit : $rollback);
	$tx->{c0} = $session->{t0};
	$tx->{c1} = $session->{t1};
	return;
}

#
# Writers
#

sub write_once
{
	my ($self, $tx) = @_;

	$tx->{kind} = 'writer';
	$tx->{iso} = one_of(($isolation[0]) x 8, @isolation[ 1, 2 ]);
	shift_clock($self, $tx, '') if chance(0.3);
	$self->{session}->run("BEGIN ISOLATION LEVEL $tx->{iso}");
	# Some stay long, and of these some have lost a savepoint with their first
	# rows, and with it what showed deletes that they are writers.
	my $long = chance(0.05);
	my $lost = $long && chance(0.5);
	my $f;

	for my $i (1 .. ($long ? 2 : one_of(1, 1, 2, 4)))
	{
		my $insert = sub { insert($self, $tx, $f, 1 + int rand 3) };

		# often the same one again
		$f = one_of(qw(a a a a b b b b c c c h)) unless defined $f && ($long || chance(0.5));
		if ($lost ? $i == 1 : chance(0.3))
		{
			in_savepoint($self, $tx, $lost ? 1 : 0.6, $insert);
		}
		else
		{
			$insert->();
		}
		think(8) if chance(0.3);
		shift_clock($self, $tx, 'LOCAL') if chance(0.05);
	}
	think(60) if $long;
	end($self, $tx, 0.12, 0.06);
	return;
}

#
# Deletes
#

# A filter for Metaxy::Check, and its text.  DML on the views is 40001 wherever
# a sample of it was written meanwhile, so it had better name few.
sub filter_for
{
	my ($f, $few) = @_;
	my $kind = $few && chance(0.8) ? 0.5 : rand;
	my $most = $f eq 'h' ? 3 : $few ? 5 : 40;

	if ($kind < 0.3 && $f ne 'h')
	{
		my $payload = int rand PAYLOADS;

		return ({ payload => $payload }, "payload = '$payload'");
	}
	if ($kind < 0.75)
	{
		my %ids = map { id_of($f) => 1 } 1 .. 1 + int rand $most;
		my @ids = sort keys %ids;

		return ({ ids => \@ids }, 'id IN (' . join(', ', map { "'$_'" } @ids) . ')');
	}
	return ({ all => 1 }, 'true');
}

sub log_op
{
	my ($tx, $via, @features) = @_;
	my ($filter, $text) = filter_for($features[0], $via eq 'view');
	my $op = {
		named => \@features,
		filter => $filter,
		via => $via,
		cascade => 'none',
		ok => 1,
		snapshot => $tx->{snapshot}
	};

	push @{ $tx->{ops} }, $op;
	return ($op, $text);
}

# By metaxy_delete, in one of its forms
sub delete_by_function
{
	my ($self, $tx, $soft, @features) = @_;
	my ($op, $text) = log_op($tx, 'function', @features);
	my $list = join ',', @features;

	$tx->{at} = 'function';
	$op->{hard} = 1 unless $soft;
	$op->{cascade} =
		$features[0] eq 'a' && chance(0.3) ? one_of('downstream', 'both')
	  : $features[0] eq 'c' && chance(0.5) ? one_of('upstream', 'both')
	  :                                      'none';
	my @steps = $self->{session}->run(
		'SELECT feature, samples, rows, deletion_id, us(stamp) FROM metaxy_delete('
		  . (@features == 1 && chance(0.5) ? "'$list', \$m\$$text\$m\$" : "'{$list}'::text[], ARRAY[\$m\$$text\$m\$]")
		  . ", soft => @{[ $soft ? 'true' : 'false' ]}, cascade => '$op->{cascade}')");
	$op->{t0} = $self->{session}{t0};
	$op->{t1} = $self->{session}{t1};
	$op->{id} = $steps[0][3];
	for my $step (@steps)
	{
		my ($feature, $samples, $rows, $id, $stamp) = @{$step};

		$op->{counts}{$feature} = $samples + 0;
		$op->{stamps}{$feature} = $stamp + 0 if $stamp ne '';
	}
	return;
}

# By DELETE from the view.  The ledger has the stamp.
sub delete_by_view
{
	my ($self, $tx, $f) = @_;
	my ($op, $text) = log_op($tx, 'view', $f);

	$tx->{at} = 'view';
	my @gone = $self->{session}->run("DELETE FROM ${f}_active WHERE $text RETURNING wid");
	$op->{t0} = $self->{session}{t0};
	$op->{t1} = $self->{session}{t1};
	$op->{counts}{$f} = @gone;
	my ($entry) = $self->{session}->run(
		q{SELECT id, us(stamp) FROM metaxy_deletions
		   WHERE transaction_id = pg_current_xact_id_if_assigned() AND kind = 'view'
		   ORDER BY id DESC LIMIT 1});
	if (@gone)
	{
		$op->{id} = $entry->[0];
		$op->{stamps}{$f} = $entry->[1] + 0;
	}
	return;
}

# UPDATE of the view: a new version of one sample, which says what it was made
# from
sub update_by_view
{
	my ($self, $tx, $f) = @_;
	my $session = $self->{session};
	my $id = id_of($f);
	my $part = $f eq 'c' ? int rand PARTS : 0;
	my $payload = int rand PAYLOADS;
	my $wid = ++$self->{wid};

	$tx->{at} = 'view';
	my ($row) = $session->run(
		"UPDATE ${f}_active SET payload = '$payload', prev = wid, wid = $wid"
		  . " WHERE id = '$id' AND part = $part RETURNING prev, us(metaxy_updated_at)");
	push @{ $tx->{rows} },
	  {
		wid => $wid,
		f => $f,
		s => $f eq 'c' ? "$id/$part" : $id,
		payload => $payload,
		prev => $row->[0] + 0,
		stamp => $row->[1] + 0,
		t0 => $session->{t0},
		t1 => $session->{t1},
		ok => 1
	  }
	  if $row;
	return;
}

sub delete_once
{
	my ($self, $tx) = @_;
	my $session = $self->{session};

	$tx->{kind} = 'deleter';
	$tx->{pid} = $self->{pid};
	$tx->{iso} = one_of(($isolation[0]) x 7, ($isolation[1]) x 2, $isolation[2]);
	think(20);
	shift_clock($self, $tx, '') if chance(0.3);
	$session->run("BEGIN ISOLATION LEVEL $tx->{iso}");
	$tx->{b0} = $session->{t0};
	if (chance(0.1))
	{
		$tx->{lock_timeout} = 1;
		$session->run(q{SET LOCAL lock_timeout = '10ms'});
	}
	if ($tx->{iso} ne $isolation[0] && chance(0.5))
	{
		$session->run('SELECT count(*) FROM a');
		$tx->{snapshot} = $session->{t1};
		think(2);
	}
	for (1 .. one_of(1, 1, 1, 2))
	{
		my $delete = sub {
			my @features = @{ one_of(['a'], ['b'], ['c'], [ 'a', 'b' ], [ 'b', 'a' ]) };

			if (!$self->{has}{view} || chance(0.7))
			{
				delete_by_function($self, $tx, 1, @features);
			}
			elsif (chance(0.6))
			{
				delete_by_view($self, $tx, $features[0]);
			}
			else
			{
				update_by_view($self, $tx, $features[0]);
			}
		};

		insert($self, $tx, one_of(qw(a b c)), 1) if chance(0.08);
		if (chance(0.15))
		{
			in_savepoint($self, $tx, 0.5, $delete);
		}
		else
		{
			$delete->();
		}
		insert($self, $tx, one_of(qw(a b c)), 1) if chance(0.15);
		think(5) if chance(0.2);
	}
	end($self, $tx, 0.1, 0.03);
	return;
}

sub delete_hard_once
{
	my ($self, $tx) = @_;

	$tx->{kind} = 'deleter';
	$tx->{pid} = $self->{pid};
	$tx->{iso} = one_of(($isolation[0]) x 3, $isolation[1]);
	think(80);
	$self->{session}->run("BEGIN ISOLATION LEVEL $tx->{iso}");
	insert($self, $tx, 'h', 2) if chance(0.3);
	delete_by_function($self, $tx, chance(0.4), 'h');
	insert($self, $tx, 'h', 1) if chance(0.2);
	end($self, $tx, 0.1, 0);
	return;
}

#
# Disturbances
#

sub disturb_once
{
	my ($self, $tx) = @_;

	# To reindex a partitioned table takes a SHARE lock on its partitions, even
	# concurrently, and ALTER TABLE locks it before them: both would deadlock
	# with plain writers.
	my $any = one_of(qw(a b c));
	my $leaf = one_of(qw(a b_low c));
	my $plain = one_of(qw(a c));

	$tx->{kind} = 'noise';
	think(300);
	for my $sql (
		@{  one_of(
				["VACUUM $any"],
				["ANALYZE $any"],
				["VACUUM (FREEZE) $any"],
				["CREATE INDEX CONCURRENTLY noise ON $leaf (wid)", 'DROP INDEX CONCURRENTLY noise'],
				["REINDEX TABLE CONCURRENTLY $leaf"],
				[
					"ALTER TABLE $plain ADD COLUMN IF NOT EXISTS noise integer",
					"ALTER TABLE $plain DROP COLUMN noise"
				],
				["ALTER TABLE $plain DROP COLUMN IF EXISTS noise"])
		})
	{
		my $alter = $sql =~ /^ALTER/;

		# it queues before all others while it waits
		$self->{session}->run('SET lock_timeout = ' . ($alter ? 100 : 0));
		$tx->{lock_timeout} = $alter ? 1 : 0;
		$tx->{sql} = $sql;
		$self->{session}->run($sql);
	}
	$tx->{out} = 'commit';
	return;
}

# Who waits for writers to end?  A delete that was seen to do so has its
# snapshot already, so what comes later it has not seen.
sub watch_once
{
	my ($self, $tx) = @_;
	my $session = $self->{session};

	think(6);
	my @pids = map { $_->[0] + 0 } $session->run(
		q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'virtualxid'});

	return unless @pids;
	$tx->{kind} = 'watch';
	$tx->{out} = 'commit';
	$tx->{pids} = \@pids;
	$tx->{t0} = $session->{t0};
	$tx->{t1} = $session->{t1};
	return;
}

1;
