
# Metaxy::Check: was law 5 kept?  Judged from the rows that are left in the
# tables and from what the clients logged, alone: when each statement was sent
# and when its answer was there, in microseconds of one monotonic clock.
#
#	my $found = Metaxy::Check->new(
#		{	rows => { FEATURE => [ ROW... ] },	# all rows of the tables
#			log => [ TRANSACTION... ],
#			clock => last stamp of the clock,
#			active => { FEATURE => [ WID... ] },	# what the views show
#			ledger => [ [ ID, STAMP, KIND, ROWS ]... ] })->check;
#
# ROW: s (sample), payload, wid (unique among live rows), prev (wid of the row
# that an UPDATE of the view replaced), version, created, updated, deleted, and
# place (the rank of tableoid and ctid).
#
# TRANSACTION: kind (writer, deleter, noise, watch), iso, out (commit, rollback,
# error), sqlstate, at (what failed), c0 and c1 (COMMIT sent and acknowledged),
# b0 (BEGIN sent), rows and ops.  A row: wid, f, s, payload, prev, stamp where
# known, t0, t1, ok (not undone by a savepoint).  An op, that is a delete:
# filter, named (features), cascade, via (function or view), hard, snapshot
# (when a snapshot of its own transaction was there, at the latest), t0, t1, ok,
# id, stamps and counts, each by feature.  A watch: pids (who waited for
# writers), t0, t1.
#
# The features are a, b, c (downstream of a, one to many: sample "x/1" of c
# belongs to sample "x") and h, the only one with hard deletes.
#
# What a delete saw can only be bounded by these times: a row whose COMMIT was
# acknowledged before the delete was sent was seen; one whose COMMIT was sent
# after the delete had its snapshot, for all that the clients know, was not.
# Between the two, anything but a transaction half seen is right.

package Metaxy::Check;

use strict;
use warnings;

use List::Util qw(any max);
use Metaxy::History;

our @ISA = qw(Metaxy::History);

# Returns the violations, a text each, by name.
sub check
{
	my ($self) = @_;

	$self->check_rows;
	$self->check_tombstones;
	$self->check_reports;
	$self->check_effect;
	$self->check_torn;
	$self->check_order;
	$self->check_hard;
	$self->check_errors;
	$self->count_meetings;
	return $self->{found};
}

#
# The laws
#

# Append-only: what was committed is there as it was written, and nothing else.
sub check_rows
{
	my ($self) = @_;
	my ($live, $written) = @{$self}{qw(live written)};

	for my $row (values %{$live})
	{
		my $log = $row->{log};

		if (!$log)
		{
			$self->violation('row that nobody committed', $row);
			next;
		}
		$self->violation('row changed', $row, $log)
		  if $log->{f} ne $row->{f}
		  || $log->{s} ne $row->{s}
		  || $log->{payload} ne $row->{payload}
		  || ($log->{prev} // '') ne ($row->{prev} // '')
		  || ($log->{stamp} // $row->{updated}) != $row->{updated};
	}
	for my $log (values %{$written})
	{
		$self->violation('row lost', $log)
		  if $log->{f} ne HARD && !$live->{ $log->{wid} };
	}

	# the views show the latest rows, where they are live
	for my $f (keys %{ $self->{active} // {} })
	{
		my %active = map { $_ => 1 } @{ $self->{active}{$f} };

		for my $rows (values %{ $self->{samples}{$f} })
		{
			my $shown = delete $active{ $rows->[-1]{wid} };

			$self->violation('view is not the latest rows', $rows->[-1])
			  if !$shown != $rows->[-1]{tomb};
		}
		$self->violation('view is not the latest rows', keys %active) if %active;
	}

	# an UPDATE of the view is above the row that it replaced, with nothing
	# between that it did not see
	for my $row (grep { defined $_->{prev} && $_->{f} ne HARD } values %{$live})
	{
		my $before = $row->{at} ? $self->sample_of($row)->[ $row->{at} - 1 ] : undef;

		$self->violation('update hides another row', $row, $before // 'nothing')
		  unless $before && !$before->{tomb} && $before->{wid} == $row->{prev};
	}
	return;
}

# Each tombstone copies the row that it hides, which is the one just below it,
# and what is below it was there for the delete to see.
sub check_tombstones
{
	my ($self) = @_;
	my %tombs;

	for my $f (grep { $_ ne HARD } keys %{ $self->{samples} })
	{
		for my $rows (values %{ $self->{samples}{$f} })
		{
			my $latest = 0;		# greatest c0 of the rows so far

			for my $row (@{$rows})
			{
				$self->check_tombstone($row, $latest, \%tombs) if $row->{tomb};
				$latest = max($latest, $row->{tx}{c0}) if $row->{tx};
			}
		}
	}
	return;
}

sub check_tombstone
{
	my ($self, $row, $latest, $tombs) = @_;
	my $rows = $self->sample_of($row);
	my $before = $row->{at} ? $rows->[ $row->{at} - 1 ] : undef;
	my $copied = $self->{live}{ $row->{wid} };
	my $op = $row->{log};

	$self->violation('two tombstones of a row', $row)
	  if $tombs->{ $row->{wid} }++;
	$self->violation('two tombstones in a row', $before, $row)
	  if $before && $before->{tomb};
	$self->violation('tombstone hides another row', $row, $before // 'nothing')
	  unless $before && !$before->{tomb} && $before->{wid} == $row->{wid};
	$self->violation('tombstone is not faithful', $row, $copied // 'nothing')
	  unless $copied
	  && !any { ($copied->{$_} // '') ne ($row->{$_} // '') }
	qw(f s payload prev version created updated);
	return unless $op;

	$self->{counts}{'rows hidden'}++;
	$self->{counts}{'rows hidden by a cascade'}++
	  unless any { $_ eq $row->{f} } @{ $op->{named} };
	$self->violation('hidden row was not meant', $row, $op)
	  unless doomed($op, $copied // $row);

	# rows that the delete cannot have seen
	if ($latest > $op->{t1})
	{
		for my $below (@{$rows}[ 0 .. $row->{at} - 1 ])
		{
			$self->violation('unseen row is below a tombstone', $below, $op)
			  if $below->{tx} && !maybe_seen($op, $below);
		}
	}
	$self->violation('unseen row hidden', $copied, $op)
	  if $copied
	  && $copied->{tx}
	  && $copied->{tx} != $op->{tx}
	  && defined $op->{snapshot}
	  && $copied->{tx}{c0} > $op->{snapshot};
	return;
}

# What the calls returned, and what the ledger says, is what they did.
sub check_reports
{
	my ($self) = @_;
	my %ledger = map { $_->[0] => $_ } @{ $self->{ledger} // [] };

	for my $op (@{ $self->{ops} }, @{ $self->{hards} })
	{
		for my $f ($op->{hard} ? () : keys %{ $op->{counts} })
		{
			my $written = keys %{ $op->{hidden}{$f} // {} };

			# of a feature with hard deletes, some may be gone again
			$self->violation('reported and hidden samples differ', $op, $f,
				$op->{counts}{$f}, $written)
			  if $f eq HARD ? $op->{counts}{$f} < $written : $op->{counts}{$f} != $written;
		}
		for my $f (grep { !defined $op->{counts}{$_} } keys %{ $op->{hidden} })
		{
			$self->violation('tombstones in a feature that was not reported', $op, $f);
		}
		next unless $self->{ledger} && defined $op->{id};
		$self->violation('ledger misses a delete', $op)
		  if !defined $ledger{ $op->{id} } || $ledger{ $op->{id} }[1] != $op->{stamp};
		delete $ledger{ $op->{id} };
	}

	# of what went through a view, DELETE alone is logged with its id
	my %unlogged = map { $_->{stamp} => 1 }
	  grep { defined $_->{stamp} } values %{ $self->{written} };
	for my $entry (sort { $a->[0] <=> $b->[0] } values %ledger)
	{
		my ($id, $stamp, $kind, $rows) = @{$entry};

		$self->violation('ledger has a delete that nobody committed', "id $id")
		  unless $kind eq 'view' && ($rows == 0 || $unlogged{$stamp});
	}
	return;

}

# What the delete must have seen and meant is hidden at its stamp, unless
# something later may have come in its way.
sub check_effect
{
	my ($self) = @_;

	for my $op (@{ $self->{ops} })
	{
		for my $f (grep { $_ ne HARD } keys %{ $op->{counts} })
		{
			my $samples = $self->{samples}{$f} or next;
			my $few = $op->{filter}{ids};

			# most deletes name a few samples
			$few = undef if $op->{cascade} ne 'none' || $f eq 'c';
			for my $s (grep { $samples->{$_} } $few ? @{$few} : keys %{$samples})
			{
				next if $op->{hidden}{$f}{$s};
				my $rows = $samples->{$s};
				my $above = first_above($rows, $op);
				my $row = $above ? $rows->[ $above - 1 ] : next;

				next if $row->{tomb} || !surely_seen($op, $row) || !doomed($op, $row);
				next if any { maybe_seen($op, $_) } @{$rows}[ $above .. $#{$rows} ];
				$self->violation('delete without effect', $row, $op);
			}
		}
	}
	return;
}

# Where a delete hid one row of a transaction, it has seen them all.
sub check_torn
{
	my ($self) = @_;

	for my $op (@{ $self->{ops} })
	{
		my %txs;

		for my $tomb (map { values %{$_} } values %{ $op->{hidden} })
		{
			my $row = $self->{live}{ $tomb->{wid} };

			$txs{ $row->{tx} } = $row->{tx}
			  if $row && $row->{tx} && $row->{tx} != $op->{tx};
		}
		for my $log (grep { $_->{ok} } map { @{ $_->{rows} } } values %txs)
		{
			my $row = $self->{live}{ $log->{wid} } or next;

			next if $row->{f} eq HARD || !exists $op->{counts}{ $row->{f} };
			next if $op->{hidden}{ $row->{f} }{ $row->{s} } || !doomed($op, $row);
			my $rows = $self->sample_of($row);
			next if any { maybe_seen($op, $_) } @{$rows}[ $row->{at} + 1 .. $#{$rows} ];
			$self->violation('transaction torn', $row, $op);
		}
	}
	return;
}

# The clock only grows: what is sent after something was acknowledged gets a
# later stamp, in whatever feature.
sub check_order
{
	my ($self) = @_;
	my @events;					# time, whether an acknowledgement, stamp, name, what

	for my $tx (@{ $self->{log} })
	{
		my @own;

		for my $log (grep { $_->{ok} } @{ $tx->{rows} })
		{
			my $row = $self->{live}{ $log->{wid} };
			my $stamp = $log->{stamp} // ($row ? $row->{updated} : undef);

			push @own, [ $stamp, $log ] if defined $stamp;
		}
		push @own, map { [ $_->{stamp}, $_ ] }
		  grep { $_->{ok} && defined $_->{stamp} } @{ $tx->{ops} };
		@own = sort { $a->[1]{t0} <=> $b->[1]{t0} } @own;

		for my $i (1 .. $#own)
		{
			$self->violation('order lost within a transaction', $own[ $i - 1 ][1], $own[$i][1])
			  if $own[ $i - 1 ][1]{t1} < $own[$i][1]{t0} && $own[ $i - 1 ][0] >= $own[$i][0];
		}

		# the stamp of a delete is there for all once it is known to someone,
		# that of a row once it is committed
		push @events, map { [ $_->{t1}, 1, $_->{stamp}, 'order lost after a delete', $_ ] }
		  grep { defined $_->{stamp} } @{ $tx->{ops} };
		next if $tx->{out} ne 'commit' || !@own;
		push @events, map { [ $_->[1]{t0}, 0, $_->[0], undef, $_->[1] ] } @own;
		push @events,
		  [ $tx->{c1}, 1, max(map { $_->[0] } @own), 'order lost after a commit', $tx ];
	}

	my %last;
	for my $event (sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @events)
	{
		my ($time, $acknowledged, $stamp, $name, $what) = @{$event};

		if ($acknowledged)
		{
			$last{$name} = [ $stamp, $what ]
			  if !$last{$name} || $last{$name}[0] < $stamp;
			next;
		}
		for my $name (keys %last)
		{
			$self->violation($name, $what, "$stamp <= $last{$name}[0]", $last{$name}[1])
			  if $stamp <= $last{$name}[0];
		}
	}

	my $top = max(0, map { $_->{rec} } map { @{$_} } values %{ $self->{rows} });
	$self->violation('clock is behind', ($self->{clock} // 'no clock'), $top)
	  if ($self->{clock} // -1) < $top;
	return;
}

# A hard delete takes a sample whole, or leaves it as it is.
sub check_hard
{
	my ($self) = @_;
	my (%gone, %all);

	for my $log (grep { $_->{f} eq HARD } values %{ $self->{written} })
	{
		push @{ $all{ $log->{s} } }, $log;
		next if $self->{live}{ $log->{wid} };
		$self->{counts}{'rows removed'}++;
		push @{ $gone{ $log->{s} } }, $log;
		$self->violation('row lost', $log)
		  unless any { means($_, $log->{s}) && maybe_seen($_, { tx => $log->{tx}, log => $log }) }
		@{ $self->{hards} };
	}

	for my $s (keys %{ $self->{samples}{ HARD() } // {} })
	{
		my $rows = $self->{samples}{ HARD() }{$s};
		my $last = max(map { $_->{stamp} // 0 } @{ $gone{$s} // [] });

		for my $row (@{$rows})
		{
			$self->violation('hard delete left an older row', $row, $last)
			  if defined $last && $row->{rec} < $last;
			$self->violation('tombstone without its row', $row)
			  if $row->{tomb} && !$self->{live}{ $row->{wid} };
		}

		for my $op (grep { means($_, $s) } @{ $self->{hards} })
		{
			my ($row) = grep { surely_seen($op, $_) } @{$rows};

			next unless $row;
			# unless something of the sample came in its way
			$self->violation('hard delete without effect', $row, $op)
			  unless any { maybe_seen($op, $_) && !surely_seen($op, $_) }
			map { +{ tx => $_->{tx}, log => $_ } } @{ $all{$s} },
			  grep { exists $_->{counts}{ HARD() } && means($_, $s) } @{ $self->{ops} };
		}
	}
	return;
}

# Nobody is stopped: only those errors that the laws announce.
sub check_errors
{
	my ($self) = @_;

	for my $tx (grep { $_->{out} eq 'error' } @{ $self->{log} })
	{
		my $serializes = $tx->{iso} && $tx->{iso} ne 'read committed';
		my $view = ($tx->{at} // '') eq 'view';
		my %expected = (
			writer => {
				'40001' => $tx->{iso} && $tx->{iso} eq 'serializable',
				'55000' => $view
			},
			deleter => {
				'40001' => $serializes || $view,
				# its table was given a column meanwhile
				'55000' => $view,
				# of those who delete twice, or insert as well, and who meets them
				'40P01' => 1,
				'55P03' => $tx->{lock_timeout}
			},
			noise => { '55P03' => $tx->{lock_timeout} });

		$self->{counts}{"$tx->{kind} errors: $tx->{sqlstate}"}++;
		$self->violation('unexpected error', $tx)
		  unless $expected{ $tx->{kind} }{ $tx->{sqlstate} };
	}
	return;
}

1;
