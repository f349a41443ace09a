
# Metaxy::History: a run as Metaxy::Check needs it: rows by sample and in
# order, who wrote them, and what a delete can have seen of them.

package Metaxy::History;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(any max min sum0);

our @EXPORT = qw(HARD doomed maybe_seen surely_seen first_above means);

# feature => the one that it is made from
my %parent = (c => 'a');

# the feature with hard deletes
use constant HARD => 'h';

sub new
{
	my ($class, $run) = @_;
	my $self = bless { %{$run}, found => {}, counts => {} }, $class;

	$self->index_log;
	$self->index_rows;
	return $self;
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
		for my $filter (map { $_->{filter} } @{ $tx->{ops} })
		{
			$filter->{set} = { map { $_ => 1 } @{ $filter->{ids} } } if $filter->{ids};
		}
		next if $tx->{out} ne 'commit';

		$self->{written}{ $_->{wid} } = $_ for grep { $_->{ok} } @{ $tx->{rows} };
		for my $op (grep { $_->{ok} } @{ $tx->{ops} })
		{
			$op->{hidden} = {};
			push @{ $op->{hard} ? $self->{hards} : $self->{ops} }, $op;
		}
	}

	$self->index_watch;

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

# A delete that was seen waiting for writers has its snapshot by then: the
# watcher may know it earlier than the client does.
sub index_watch
{
	my ($self) = @_;
	my %seen;					# pid => polls that saw it wait

	for my $poll (sort { $a->{t0} <=> $b->{t0} } grep { $_->{kind} eq 'watch' } @{ $self->{log} })
	{
		push @{ $seen{$_} }, $poll for @{ $poll->{pids} };
	}
	for my $op (@{ $self->{ops} })
	{
		my $polls = $seen{ $op->{tx}{pid} // 0 } or next;
		my $i = start_at($polls, 't0', $op->{t0});

		$i++ while $i < @{$polls} && $polls->[$i]{t0} == $op->{t0};
		next if $i == @{$polls} || $polls->[$i]{t1} >= $op->{t1};
		$op->{snapshot} = min($op->{snapshot} // (), $polls->[$i]{t1});
		$self->{counts}{'deletes seen waiting'}++;
	}
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
		return 1 if $filter->{set} && $filter->{set}{ parent_of($row) };
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

# Must it?  Within one snapshot, metaxy_delete fails where that does not show
# everything; DML on a view is content with it.
sub surely_seen
{
	my ($op, $row) = @_;

	return 0 unless $row->{tx};
	return $row->{log}{t1} < $op->{t0} if $row->{tx} == $op->{tx};

	my $old = $op->{via} eq 'view' && $op->{tx}{iso} ne 'read committed';
	return $row->{tx}{c1} < ($old ? $op->{tx}{b0} : $op->{t0});
}

# Index of the first row above the delete's stamp; where it has none, for it
# hid nothing, above all that it may have seen.
sub first_above
{
	my ($rows, $op) = @_;
	my $stamp = $op->{stamp};

	if (!defined $stamp)
	{
		my $above = @{$rows};

		$above-- while $above && !maybe_seen($op, $rows->[ $above - 1 ]);
		return $above;
	}

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

# Does a delete of whole samples name that one?
sub means
{
	my ($op, $s) = @_;

	return $op->{filter}{all} || $op->{filter}{set} && $op->{filter}{set}{$s};
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
	  'deletes that waited for a writer', 'transactions that passed a waiting delete',
	  'rows hidden', 'rows hidden by a cascade', 'rows removed',
	  'deletes of several features', 'deletes within one snapshot', 'deletes by a view';
	for my $op (@{ $self->{ops} }, @{ $self->{hards} })
	{
		my ($met, $until, @passed) = (0, 0);
		my $from = start_at(\@writers, 'b', $op->{t0} - $longest - 1);

		for (my $i = $from; $i < @writers && $writers[$i]{b} < $op->{t1}; $i++)
		{
			my ($b, $tx) = @{ $writers[$i] }{qw(b tx)};
			my @rows = grep { exists $op->{counts}{ $_->{f} } } @{ $tx->{rows} };

			next unless @rows && $tx->{c1} > $op->{t0};
			$met++;
			if (min(map { $_->{t0} } @rows) > $op->{t0})
			{
				push @passed, $tx->{c1};
			}
			elsif (min(map { $_->{t1} } @rows) < $op->{t0} && $tx->{c0} < $op->{t1})
			{
				$until = max($until, $tx->{c0});
			}
		}
		$counts->{'deletes'}++;
		$counts->{'deletes that met writers'}++ if $met;
		$counts->{'deletes that waited for a writer'}++ if $until > $op->{t0};
		$counts->{'transactions that passed a waiting delete'} += grep { $_ < $until } @passed;
		$counts->{'deletes of several features'}++ if keys %{ $op->{counts} } > 1;
		$counts->{'deletes within one snapshot'}++
		  if $op->{tx}{iso} && $op->{tx}{iso} ne 'read committed';
		$counts->{'deletes by a view'}++ if $op->{via} eq 'view';
	}
	$counts->{'transactions prepared'} = grep { $_->{prepared} } @{ $self->{log} };
	$counts->{'transactions that went on after losing rows'} =
	  grep { $_->{out} eq 'commit' && lost_and_wrote(@{ $_->{rows} }) } @{ $self->{log} };
	$counts->{'transactions with a wrong clock'} = grep { $_->{shifted} } @{ $self->{log} };
	$counts->{'rows written'} = keys %{ $self->{written} };
	$counts->{'rows written and undone'} =
	  sum0(map { scalar grep { !$_->{ok} } @{ $_->{rows} } } @{ $self->{log} });
	$counts->{'rows put in place of another by a view'} =
	  grep { defined $_->{prev} } values %{ $self->{written} };
	return;
}

# Was a row undone, before another one of the same feature was written?
sub lost_and_wrote
{
	my %lost;

	for my $row (@_)
	{
		return 1 if $row->{ok} && $lost{ $row->{f} };
		$lost{ $row->{f} } = 1 unless $row->{ok};
	}
	return 0;
}

# Index of the first entry that has that key at that time or later
sub start_at
{
	my ($entries, $key, $time) = @_;
	my ($low, $high) = (0, scalar @{$entries});

	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);

		if ($entries->[$middle]{$key} < $time)
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
