
# Metaxy::Check: was law 5 kept?  Judged from the rows that are left in the
# tables and from what the clients logged, alone: when each statement was sent
# and when its answer was there, in microseconds of one monotonic clock.
#
#	my $found = Metaxy::Check->new(
#		{	rows => { FEATURE => [ ROW... ] },	# all rows of the tables
#			log => [ TRANSACTION... ],
#			clock => last stamp of the clock,
#			ledger => [ [ DELETION ID, STAMP ]... ] })->check;
#
# ROW: s (sample), payload, wid (unique among live rows), prev (wid of the row
# that an UPDATE of the view replaced), version, created, updated, deleted, and
# place (the rank of tableoid and ctid).
#
# TRANSACTION: kind (writer, deleter, noise), iso, out (commit, rollback,
# error), sqlstate, at (what failed), c0 and c1 (COMMIT sent and acknowledged),
# rows and ops.  A row: wid, f, s, payload, prev, stamp where known, t0, t1, ok
# (not undone by a savepoint).  An op, that is a delete: filter, named
# (features), cascade, via (function or view), hard, snapshot (when a snapshot
# of its own transaction was there), t0, t1, ok, id, stamps and counts, each by
# feature.
#
# The features are a, b, c (downstream of a, one to many: sample "x/1" of c
# belongs to sample "x") and h, the only one with hard deletes.
#
# What a delete saw can only be bounded by these times: a row whose COMMIT was
# acknowledged before the delete was sent was seen, one whose COMMIT was sent
# after the delete's answer was not.  Between the two, anything but a
# transaction half seen is right.

package Metaxy::Check;

use strict;
use warnings;

use List::Util qw(any max min sum0);

my %parent = (c => 'a');
my $hard = 'h';

sub new
{
	my ($class, $run) = @_;
	my $self = bless { %{$run}, found => {}, counts => {} }, $class;

	$self->index_log;
	$self->index_rows;
	return $self;
}

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

# Keeps the first example of each violation and how often there was one.
sub violation
{
	my ($self, $name, @what) = @_;

	$self->{found}{$name} //= join ' ', map { ref $_ ? show($_) : $_ } @what;
	$self->{counts}{"violations: $name"}++;
	return;
}

sub show
{
	my ($thing) = @_;

	return '(' . join(
		' ',
		map  { "$_=$thing->{$_}" }
		grep { defined $thing->{$_} && !ref $thing->{$_} } sort keys %{$thing}) . ')';
}

#
# Indexes
#

sub index_log
{
	my ($self) = @_;
	my $counts = $self->{counts};

	$self->{written} = {};		# wid => row of the log, committed
	$self->{ops} = [];			# committed soft deletes
	$self->{hards} = [];		# committed hard deletes
	$self->{op_at} = {};		# stamp => committed soft delete
	for my $tx (@{ $self->{log} })
	{
		$counts->{"$tx->{kind} transactions: $tx->{out}"}++;
		$tx->{$_} //= [] for qw(rows ops);
		$_->{tx} = $tx for @{ $tx->{rows} }, @{ $tx->{ops} };
		next if $tx->{out} ne 'commit';

		$self->{written}{ $_->{wid} } = $_ for grep { $_->{ok} } @{ $tx->{rows} };
		for my $op (grep { $_->{ok} } @{ $tx->{ops} })
		{
			$op->{hidden} = {};
			push @{ $op->{hard} ? $self->{hards} : $self->{ops} }, $op;
		}
	}

	# One operation has one stamp, and no other has it
	my %seen;
	for my $op (map { @{ $_->{ops} } } @{ $self->{log} })
	{
		my @stamps = do { my %s; grep { !$s{$_}++ } values %{ $op->{stamps} } };

		$self->violation('stamps of an operation differ', $op, @stamps)
		  if @stamps > 1;
		next unless @stamps;
		$op->{stamp} = $stamps[0];
		$self->violation('stamp used twice', $op, $seen{ $op->{stamp} })
		  if $seen{ $op->{stamp} };
		$seen{ $op->{stamp} } = $op;
	}
	$self->{op_at}{ $_->{stamp} } = $_ for grep { defined $_->{stamp} } @{ $self->{ops} };
	return;
}

# Rows by feature and sample, in the order that says which is the latest.
sub index_rows
{
	my ($self) = @_;

	$self->{live} = {};
	$self->{samples} = {};
	for my $f (keys %{ $self->{rows} })
	{
		my %samples;

		for my $row (@{ $self->{rows}{$f} })
		{
			$row->{f} = $f;
			$row->{tomb} = defined $row->{deleted} ? 1 : 0;
			$row->{rec} = $row->{tomb} ? $row->{deleted} : $row->{updated};
			push @{ $samples{ $row->{s} } }, $row;

			if (!$row->{tomb})
			{
				$self->violation('two live rows of one wid', $row)
				  if $self->{live}{ $row->{wid} };
				$self->{live}{ $row->{wid} } = $row;
				$row->{log} = $self->{written}{ $row->{wid} };
			}
			elsif (my $op = $self->{op_at}{ $row->{rec} })
			{
				$op->{hidden}{$f}{ $row->{s} } = $row;
				$op->{parents}{ parent_of($row) } = 1 if $parent{$f};
				$row->{log} = $op;
			}
			else
			{
				$self->violation('tombstone of no delete', $row);
			}
			$row->{tx} = $row->{log}{tx} if $row->{log};
		}
		for my $rows (values %samples)
		{
			@{$rows} = sort {
					 $a->{rec} <=> $b->{rec}
				  || $a->{tomb} <=> $b->{tomb}
				  || $a->{place} <=> $b->{place}
			} @{$rows};
			$rows->[$_]{at} = $_ for 0 .. $#{$rows};
		}
		$self->{samples}{$f} = \%samples;
	}
	return;
}

# All rows of the row's sample, in order
sub sample_of
{
	my ($self, $row) = @_;

	return $self->{samples}{ $row->{f} }{ $row->{s} };
}

sub parent_of
{
	my ($row) = @_;

	return $row->{s} =~ s{/.*}{}r;
}

# Does the operation mean this row, if it is its sample's latest?
sub doomed
{
	my ($op, $row) = @_;
	my ($f, $filter) = ($row->{f}, $op->{filter});

	if (any { $_ eq $f } @{ $op->{named} })
	{
		return 1 if $filter->{all};
		return 1 if defined $filter->{payload} && $row->{payload} eq $filter->{payload};
		return 1 if $filter->{ids} && any { $_ eq parent_of($row) } @{ $filter->{ids} };
	}
	return 1
	  if $op->{cascade} =~ /^(downstream|both)$/
	  && $parent{$f}
	  && $op->{hidden}{ $parent{$f} }{ parent_of($row) };
	return 1
	  if $op->{cascade} =~ /^(upstream|both)$/
	  && $f eq $parent{c}
	  && $op->{parents}{ $row->{s} };
	return 0;
}

# May the delete have seen that this row was committed?
sub maybe_seen
{
	my ($op, $row) = @_;

	return 0 unless $row->{tx};
	return $row->{log}{t0} < $op->{t0} if $row->{tx} == $op->{tx};
	return $row->{tx}{c0} < $op->{t1};
}

# Must it?
sub surely_seen
{
	my ($op, $row) = @_;

	return 0 unless $row->{tx};
	return $row->{log}{t1} < $op->{t0} if $row->{tx} == $op->{tx};
	return $row->{tx}{c1} < $op->{t0};
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
		  if $log->{f} ne $hard && !$live->{ $log->{wid} };
	}

	# an UPDATE of the view is above the row that it replaced, with nothing
	# between that it did not see
	for my $row (grep { defined $_->{prev} && $_->{f} ne $hard } values %{$live})
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

	for my $f (grep { $_ ne $hard } keys %{ $self->{samples} })
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
	my %ledger = map { $_->[0] => $_->[1] } @{ $self->{ledger} // [] };

	for my $op (@{ $self->{ops} }, @{ $self->{hards} })
	{
		for my $f ($op->{hard} ? () : keys %{ $op->{counts} })
		{
			my $written = keys %{ $op->{hidden}{$f} // {} };

			# of a feature with hard deletes, some may be gone again
			$self->violation('reported and hidden samples differ', $op, $f,
				$op->{counts}{$f}, $written)
			  if $f eq $hard ? $op->{counts}{$f} < $written : $op->{counts}{$f} != $written;
		}
		for my $f (grep { !defined $op->{counts}{$_} } keys %{ $op->{hidden} })
		{
			$self->violation('tombstones in a feature that was not reported', $op, $f);
		}
		next unless $self->{ledger} && defined $op->{id};
		$self->violation('ledger misses a delete', $op)
		  if !defined $ledger{ $op->{id} } || $ledger{ $op->{id} } != $op->{stamp};
		delete $ledger{ $op->{id} };
	}

	# UPDATE and INSERT of the views are not in the log with an id
	my %unlogged = map { $_->{stamp} => 1 }
	  grep { defined $_->{stamp} } values %{ $self->{written} };
	for my $id (sort { $a <=> $b } keys %ledger)
	{
		$self->violation('ledger has a delete that nobody committed', "id $id")
		  unless $unlogged{ $ledger{$id} };
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
		next unless defined $op->{stamp};
		for my $f (grep { $_ ne $hard } keys %{ $op->{counts} })
		{
			my $samples = $self->{samples}{$f} or next;
			my $few = $op->{filter}{ids};

			# most deletes name a few samples
			$few = undef if $op->{cascade} ne 'none' || $parent{$f};
			for my $s (grep { $samples->{$_} } $few ? @{$few} : keys %{$samples})
			{
				next if $op->{hidden}{$f}{$s};
				my $rows = $samples->{$s};
				my $above = first_above($rows, $op->{stamp});
				my $row = $above ? $rows->[ $above - 1 ] : next;

				next if $row->{tomb} || !surely_seen($op, $row) || !doomed($op, $row);
				next if any { maybe_seen($op, $_) } @{$rows}[ $above .. $#{$rows} ];
				$self->violation('delete without effect', $row, $op);
			}
		}
	}
	return;
}

# Index of the first row above a tombstone of that stamp
sub first_above
{
	my ($rows, $stamp) = @_;
	my ($low, $high) = (0, scalar @{$rows});

	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);

		if ($rows->[$middle]{rec} <= $stamp)
		{
			$low = $middle + 1;
		}
		else
		{
			$high = $middle;
		}
	}
	return $low;
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

			next if $row->{f} eq $hard || !exists $op->{counts}{ $row->{f} };
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

	for my $log (grep { $_->{f} eq $hard } values %{ $self->{written} })
	{
		push @{ $all{ $log->{s} } }, $log;
		next if $self->{live}{ $log->{wid} };
		$self->{counts}{'rows removed'}++;
		push @{ $gone{ $log->{s} } }, $log;
		$self->violation('row lost', $log)
		  unless any { means($_, $log->{s}) && maybe_seen($_, { tx => $log->{tx}, log => $log }) }
		@{ $self->{hards} };
	}

	for my $s (keys %{ $self->{samples}{$hard} // {} })
	{
		my $rows = $self->{samples}{$hard}{$s};
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
			$self->violation('hard delete without effect', $row, $op)
			  unless any {
				my $entry = { tx => $_->{tx}, log => $_ };
				maybe_seen($op, $entry) && !surely_seen($op, $entry)
			} @{ $all{$s} };
		}
	}
	return;
}

sub means
{
	my ($op, $s) = @_;

	return $op->{filter}{all} || any { $_ eq $s } @{ $op->{filter}{ids} // [] };
}

# Nobody is stopped: only those errors that the laws announce.
sub check_errors
{
	my ($self) = @_;

	for my $tx (grep { $_->{out} eq 'error' } @{ $self->{log} })
	{
		my $serializes = $tx->{iso} && $tx->{iso} ne 'read committed';
		my %expected = (
			writer => { '40001' => $tx->{iso} && $tx->{iso} eq 'serializable' },
			deleter => {
				'40001' => $serializes || ($tx->{at} // '') eq 'view',
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

#
# What the run was worth
#

# Counts how often deletes and writers met.
sub count_meetings
{
	my ($self) = @_;
	my $counts = $self->{counts};
	my @writers = sort { $a->{b} <=> $b->{b} }
	  map { { b => min(map { $_->{t1} } @{ $_->{rows} }), tx => $_ } }
	  grep { $_->{kind} eq 'writer' && @{ $_->{rows} } && $_->{out} ne 'error' }
	  @{ $self->{log} };
	my $longest = max(0, map { $_->{tx}{c1} - $_->{b} } @writers);

	$counts->{$_} //= 0 for 'deletes', 'deletes that met writers',
	  'deletes that waited for a writer', 'rows written while a delete ran',
	  'rows hidden', 'rows hidden by a cascade', 'rows removed',
	  'deletes of several features', 'deletes within one snapshot', 'deletes by a view';
	for my $op (@{ $self->{ops} }, @{ $self->{hards} })
	{
		my ($met, $waited, $passed) = (0, 0, 0);
		my $i = start_at(\@writers, $op->{t0} - $longest - 1);

		for (; $i < @writers && $writers[$i]{b} < $op->{t1}; $i++)
		{
			my ($b, $tx) = @{ $writers[$i] }{qw(b tx)};
			my @rows = grep { exists $op->{counts}{ $_->{f} } } @{ $tx->{rows} };

			next unless @rows && $tx->{c1} > $op->{t0};
			$met++;
			$waited++
			  if min(map { $_->{t1} } @rows) < $op->{t0}
			  && $tx->{c0} > $op->{t0}
			  && $tx->{c0} < $op->{t1};
			$passed += grep { $_->{t0} > $op->{t0} && $_->{t1} < $op->{t1} } @rows;
		}
		$counts->{'deletes'}++;
		$counts->{'deletes that met writers'}++ if $met;
		$counts->{'deletes that waited for a writer'}++ if $waited;
		$counts->{'rows written while a delete ran'} += $passed;
		$counts->{'deletes of several features'}++ if keys %{ $op->{counts} } > 1;
		$counts->{'deletes within one snapshot'}++
		  if $op->{tx}{iso} && $op->{tx}{iso} ne 'read committed';
		$counts->{'deletes by a view'}++ if $op->{via} eq 'view';
	}
	$counts->{'rows written'} = keys %{ $self->{written} };
	$counts->{'rows written and undone'} =
	  sum0(map { scalar grep { !$_->{ok} } @{ $_->{rows} } } @{ $self->{log} });
	$counts->{'rows put in place of another by a view'} =
	  grep { defined $_->{prev} } values %{ $self->{written} };
	return;
}

# Index of the first writer from that time on
sub start_at
{
	my ($writers, $time) = @_;
	my ($low, $high) = (0, scalar @{$writers});

	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);

		if ($writers->[$middle]{b} < $time)
		{
			$low = $middle + 1;
		}
		else
		{
			$high = $middle;
		}
	}
	return $low;
}

1;
