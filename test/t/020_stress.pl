
# Writers and deletes meet at random, with wrong clocks, savepoints, aborts,
# prepared transactions, VACUUM, index builds and DDL among them; afterwards
# Metaxy::Check judges from the tables and the clients' logs whether a delete
# hid what it had not seen, or left what it had.  First, whether it can judge.
#
# Environment:
#	METAXY_STRESS_SECONDS	how long, 20 by default
#	METAXY_STRESS_SEED		of the random choices of each session; what they
#							lead to depends on the machine's timing as well
#	METAXY_STRESS_LOGS		a folder to keep the logs in

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Metaxy::Check;
use Metaxy::Stress;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{METAXY_STRESS_SECONDS} // 20;
my $seed = $ENV{METAXY_STRESS_SEED} // 1;

#
# The checker itself
#

# A run without fault, by hand.  A delete of a, b and their descendants runs
# from 30 to 40; transaction 3 is in flight when it starts, 4 comes meanwhile,
# 5 later.  Then an update of the view, and a hard delete between rows of h.
sub faultless
{
	my %tx;
	my $row = sub {
		my ($wid, $f, $s, $t0, $stamp, %more) = @_;

		return {
			wid => $wid,
			f => $f,
			s => $s,
			payload => '0',
			t0 => $t0,
			t1 => $t0 + 1,
			stamp => $stamp,
			ok => 1,
			%more
		};
	};
	my $write = sub {
		my ($c0, @rows) = @_;

		return {
			kind => 'writer',
			iso => 'read committed',
			out => 'commit',
			c0 => $c0,
			c1 => $c0 + 1,
			rows => \@rows
		};
	};
	my @log = (
		$write->(14, $row->(1, 'a', 's1', 10, 1001), $row->(2, 'b', 's1', 12, 1002)),
		$write->(18, $row->(3, 'c', 's1/0', 16, 1003)),
		$write->(32, $row->(4, 'a', 's2', 20, 1004), $row->(5, 'b', 's2', 22, 1005)),
		$write->(36, $row->(6, 'a', 's3', 34, 1011)),
		$write->(52, $row->(7, 'a', 's1', 50, 1020)),
		$write->(62, $row->(8, 'a', 's3', 60, 1030, prev => 6)),
		$write->(68, $row->(9, 'h', 's1', 64, 1040), $row->(10, 'h', 's1', 66, 1041)),
		$write->(76, $row->(11, 'h', 's1', 74, 1060), $row->(12, 'h', 's2', 74, 1061)));

	my %op = (cascade => 'none', via => 'function', ok => 1);
	my $soft = {
		%op,
		named => [qw(a b)],
		filter => { all => 1 },
		cascade => 'downstream',
		t0 => 30,
		t1 => 40,
		id => 1,
		stamps => { a => 1010, b => 1010, c => 1010 },
		counts => { a => 1, b => 1, c => 1 }
	};
	my $hard = {
		%op,
		named => ['h'],
		filter => { ids => ['s1'] },
		hard => 1,
		t0 => 70,
		t1 => 71,
		id => 2,
		stamps => { h => 1050 },
		counts => { h => 1 }
	};
	push @log,
	  {
		kind => 'deleter',
		iso => 'read committed',
		out => 'commit',
		c0 => 41,
		c1 => 42,
		ops => [$soft]
	  },
	  {
		kind => 'deleter',
		iso => 'read committed',
		out => 'commit',
		c0 => 72,
		c1 => 73,
		ops => [$hard]
	  },
	  { kind => 'noise', out => 'error', sqlstate => '55P03', lock_timeout => 1 };

	my %run = (
		log => \@log,
		clock => 1061,
		active => { a => [ 7, 4, 8 ], c => [] },
		ledger => [ [ 1, 1010, 'delete', 3 ], [ 2, 1050, 'delete', 1 ] ]);
	my $place = 0;
	for my $log (grep { $_->{wid} != 9 && $_->{wid} != 10 } map { @{ $_->{rows} // [] } } @log)
	{
		push @{ $run{rows}{ $log->{f} } },
		  {
			%{$log}{qw(wid s payload prev)},
			version => 'v1',
			created => $log->{stamp},
			updated => $log->{stamp},
			deleted => undef,
			place => ++$place
		  };
	}
	push @{ $run{rows}{$_} }, { %{ $run{rows}{$_}[0] }, deleted => 1010, place => ++$place }
	  for qw(a b c);
	return (\%run, $soft, $hard);
}

# Row of the table, row of the log, by wid
sub row_of
{
	my ($run, $wid) = @_;

	return grep { $_->{wid} == $wid } map { @{$_} } values %{ $run->{rows} };
}

sub log_of
{
	my ($run, $wid) = @_;

	return grep { $_->{wid} == $wid } map { @{ $_->{rows} // [] } } @{ $run->{log} };
}

sub remove
{
	my ($run, $f, $which) = @_;

	@{ $run->{rows}{$f} } = grep { !$which->($_) } @{ $run->{rows}{$f} };
	return;
}

# Another stamp for the row, in the table and the log
sub restamp
{
	my ($run, $wid, $stamp) = @_;

	$_->{created} = $_->{updated} = $stamp for row_of($run, $wid);
	$_->{stamp} = $stamp for log_of($run, $wid);
	return;
}

# A row by a transaction of its own
sub add
{
	my ($run, $wid, $f, $s, $t0, $c0, $stamp) = @_;
	my %row = (wid => $wid, s => $s, payload => '0');

	push @{ $run->{log} },
	  {
		kind => 'writer',
		iso => 'read committed',
		out => 'commit',
		c0 => $c0,
		c1 => $c0 + 1,
		rows => [ { %row, f => $f, t0 => $t0, t1 => $t0 + 1, stamp => $stamp, ok => 1 } ]
	  };
	push @{ $run->{rows}{$f} },
	  { %row, version => 'v1', created => $stamp, updated => $stamp, place => 1000 + $wid };
	return;
}

# A tombstone of the row
sub hide
{
	my ($run, $f, $wid, $stamp) = @_;
	my ($row) = row_of($run, $wid);

	push @{ $run->{rows}{$f} }, { %{$row}, deleted => $stamp, place => 2000 + $wid };
	return;
}

# Another delete of a, that hides nothing yet
sub add_delete
{
	my ($run, $soft, $t0, $stamp) = @_;
	my %op = (
		%{$soft},
		named => ['a'],
		cascade => 'none',
		t0 => $t0,
		t1 => $t0 + 1,
		id => 3,
		stamps => { a => $stamp },
		counts => { a => 1 });

	push @{ $run->{log} },
	  {
		kind => 'deleter',
		iso => 'read committed',
		out => 'commit',
		c0 => $t0 + 2,
		c1 => $t0 + 3,
		ops => [ \%op ]
	  };
	push @{ $run->{ledger} }, [ 3, $stamp, 'delete', 1 ];
	return \%op;
}

# A fault each: what the checker has to call it, and how to bring it about
my @faults = (
	'row lost' => sub { remove($_[0], 'a', sub { $_[0]{wid} == 7 }) },
	'row lost' => sub { remove($_[0], 'h', sub { $_[0]{wid} == 12 }) },
	'row lost' => sub { remove($_[0], 'h', sub { $_[0]{wid} == 11 }) },
	'row that nobody committed' => sub { $_[0]{log}[4]{out} = 'rollback' },
	'row that nobody committed' => sub { $_[0]{log}[4]{rows}[0]{ok} = 0 },
	'row changed' => sub { $_->{payload} = '1' for row_of($_[0], 4) },
	'row changed' => sub { $_->{updated}++ for row_of($_[0], 4) },
	'two live rows of one wid' => sub {
		push @{ $_[0]{rows}{a} }, { %{ $_[0]{rows}{a}[1] }, place => 99 };
	},
	'view is not the latest rows' => sub { push @{ $_[0]{active}{a} }, 1 },
	'view is not the latest rows' => sub { shift @{ $_[0]{active}{a} } },
	'update hides another row' => sub { $_->{prev} = 4 for row_of($_[0], 8), log_of($_[0], 8) },
	'update hides another row' => sub { add($_[0], 20, 'a', 's3', 44, 46, 1029) },
	'tombstone of no delete' => sub { $_[0]{log}[8]{out} = 'rollback' },
	'tombstone of no delete' => sub { $_[1]{ok} = 0 },
	'tombstone of no delete' => sub { $_[0]{rows}{b}[-1]{deleted}++ },
	'two tombstones of a row' => sub {
		add_delete($_[0], $_[1], 44, 1015);
		hide($_[0], 'a', 1, 1015);
	},
	'two tombstones in a row' => sub {
		add_delete($_[0], $_[1], 44, 1015);
		hide($_[0], 'a', 1, 1015);
	},
	'tombstone hides another row' => sub { add($_[0], 20, 'a', 's1', 20, 32, 1006) },
	'tombstone is not faithful' => sub { $_[0]{rows}{a}[-1]{updated}-- },
	'tombstone is not faithful' => sub { $_[0]{rows}{a}[-1]{created}-- },
	'tombstone is not faithful' => sub { $_[0]{rows}{c}[-1]{version} = 'v2' },
	'tombstone is not faithful' => sub { $_[0]{rows}{b}[-1]{payload} = '1' },
	'hidden row was not meant' => sub { $_[1]{filter} = { ids => ['s9'] } },
	'hidden row was not meant' => sub { $_[1]{filter} = { payload => '1' } },
	'hidden row was not meant' => sub { $_[1]{cascade} = 'none' },
	# a child of a sample that was left out
	'hidden row was not meant' => sub {
		remove($_[0], 'a', sub { $_[0]{deleted} });
		$_[1]{counts}{a} = 0;
	},
	'unseen row is below a tombstone' => sub { add($_[0], 20, 'b', 's1', 38, 41, 1000) },
	'unseen row hidden' => sub {
		$_[0]{log}[8]{iso} = 'repeatable read';
		$_[1]{snapshot} = 13;
	},
	# it waited for transaction 1 already
	'unseen row hidden' => sub {
		$_[0]{log}[8]{pid} = 5;
		$_[1]{t0} = 4;
		push @{ $_[0]{log} }, { kind => 'watch', out => 'commit', pids => [5], t0 => 6, t1 => 7 };
	},
	'reported and hidden samples differ' => sub { $_[1]{counts}{a} = 2 },
	'tombstones in a feature that was not reported' => sub { delete $_[1]{counts}{b} },
	'stamps of an operation differ' => sub { $_[1]{stamps}{b} = 1011 },
	'stamp used twice' => sub {
		add_delete($_[0], $_[1], 44, 1010);
		$_[0]{log}[-1]{out} = 'rollback';
	},
	'ledger misses a delete' => sub { shift @{ $_[0]{ledger} } },
	'ledger misses a delete' => sub { $_[0]{ledger}[0][1]++ },
	'ledger has a delete that nobody committed' => sub {
		push @{ $_[0]{ledger} }, [ 9, 1090, 'delete', 1 ];
	},
	'delete without effect' => sub {
		remove($_[0], 'b', sub { $_[0]{deleted} });
		$_[1]{counts}{b} = 0;
	},
	# the cascade alone
	'delete without effect' => sub {
		remove($_[0], 'c', sub { $_[0]{deleted} });
		$_[1]{counts}{c} = 0;
	},
	# the tombstone lies below
	'delete without effect' => sub {
		remove($_[0], 'b', sub { $_[0]{deleted} });
		restamp($_[0], 2, 1009);
		hide($_[0], 'b', 2, 1008);
		$_[1]{counts}{b} = 0;
	},
	# it reports nothing, and has no stamp
	'delete without effect' => sub {
		my $op = add_delete($_[0], $_[1], 90, 1090);

		$op->{counts}{a} = 0;
		$op->{stamps} = {};
		pop @{ $_[0]{ledger} };
	},
	# one in its own transaction
	'delete without effect' => sub {
		my $op = add_delete($_[0], $_[1], 90, 1090);

		add($_[0], 20, 'a', 's7', 86, 92, 1080);
		$op->{counts}{a} = 0;
		my $writer = pop @{ $_[0]{log} };
		$_[0]{log}[-1]{rows} = $writer->{rows};
	},
	'transaction torn' => sub {
		hide($_[0], 'a', 4, 1010);
		$_[1]{counts}{a}++;
	},
	# its other row above the stamp
	'transaction torn' => sub {
		hide($_[0], 'a', 4, 1010);
		$_[1]{counts}{a}++;
		restamp($_[0], 5, 1012);
	},
	'order lost after a commit' => sub { restamp($_[0], 7, 1011) },
	'order lost after a commit' => sub { restamp($_[0], 12, 1041) },
	'order lost after a delete' => sub { add($_[0], 20, 'b', 's9', 41, 43, 1009) },
	# of a delete that is rolled back later
	'order lost after a delete' => sub {
		add_delete($_[0], $_[1], 44, 1025);
		$_[0]{log}[-1]{out} = 'rollback';
	},
	'order lost within a transaction' => sub { restamp($_[0], 2, 1001) },
	'clock is behind' => sub { $_[0]{clock} = 1060 },
	'clock is behind' => sub { delete $_[0]{clock} },
	'hard delete left an older row' => sub { add($_[0], 9, 'h', 's1', 64, 68, 1040) },
	'hard delete without effect' => sub { add($_[0], 20, 'h', 's1', 66, 68, 1042) },
	'tombstone without its row' => sub {
		add($_[0], 20, 'h', 's3', 80, 82, 1070);
		hide($_[0], 'h', 20, 1071);
		remove($_[0], 'h', sub { $_[0]{wid} == 20 && !$_[0]{deleted} });
	},
	map {
		my $tx = $_;
		'unexpected error' => sub { push @{ $_[0]{log} }, { out => 'error', %{$tx} } }
	} (
		{ kind => 'writer', iso => 'repeatable read', sqlstate => '40001' },
		{ kind => 'writer', iso => 'read committed', sqlstate => '40P01' },
		{ kind => 'deleter', iso => 'read committed', at => 'function', sqlstate => '40001' },
		{ kind => 'deleter', iso => 'read committed', sqlstate => '55P03' },
		{ kind => 'noise', sqlstate => '40P01' }));

# What is no fault
my @faultless = (
	'as it is' => sub { },
	'a row that may have come in between' => sub {
		add($_[0], 20, 'b', 's5', 22, 24, 1006);
		add($_[0], 21, 'b', 's5', 34, 36, 1012);
	},
	'a row in flight, with a later one that the delete left alone' => sub {
		add($_[0], 20, 'b', 's5', 22, 24, 1006);
		add($_[0], 21, 'b', 's5', 26, 32, 1007);
	},
	'a row in flight that is not the latest' => sub { add($_[0], 20, 'b', 's1', 11, 32, 1001) },
	'a view, within a snapshot that does not show the row' => sub {
		my $op = add_delete($_[0], $_[1], 90, 1090);

		$op->{counts}{a} = 0;
		$op->{stamps} = {};
		delete $op->{id};
		$op->{via} = 'view';
		pop @{ $_[0]{ledger} };
		$_[0]{log}[-1]{iso} = 'serializable';
		$_[0]{log}[-1]{b0} = 15;
	},
	'expected errors' => sub {
		push @{ $_[0]{log} },
		  map { { out => 'error', iso => 'serializable', sqlstate => '40001', kind => $_ } }
		  qw(writer deleter);
	});

while (my ($what, $plant) = splice @faultless, 0, 2)
{
	my ($run, $soft, $hard) = faultless();

	$plant->($run, $soft, $hard);
	is_deeply(Metaxy::Check->new($run)->check, {}, "no fault: $what");
}
while (my ($name, $plant) = splice @faults, 0, 2)
{
	my ($run, $soft, $hard) = faultless();

	$plant->($run, $soft, $hard);
	my $found = Metaxy::Check->new($run)->check;
	ok($found->{$name}, "found: $name") or diag explain $found;
}

#
# The run
#

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
max_prepared_transactions = 20
deadlock_timeout = 100ms
autovacuum_naptime = 5s
});
$node->start;

my $directory = $ENV{METAXY_STRESS_LOGS} // PostgreSQL::Test::Utils::tempdir;
my $has = Metaxy::Stress::prepare($node, 'postgres');
note join ', ', "seed $seed, $seconds s",
  map { ($has->{$_} ? '' : 'no ') . $_ } sort keys %{$has};
ok($has->{trigger}, 'rows are stamped by a trigger');
Metaxy::Stress::drive($node, 'postgres', $has, $directory, $seconds, $seed);
my $check = Metaxy::Check->new(Metaxy::Stress::collect($node, 'postgres', $directory));
my $found = $check->check;
my $counts = $check->{counts};
note "$_: $counts->{$_}" for sort keys %{$counts};
fail("$_: $found->{$_}") for sort keys %{$found};
ok(!%{$found}, 'no law was broken');

# A run in which they hardly met proves nothing.
my @least = (
	'rows written' => 500,
	'rows written and undone' => 10,
	'transactions that went on after losing rows' => 20,
	'transactions that passed a waiting delete' => 20,
	'deletes' => 50,
	'deletes of several features' => 5,
	'deletes within one snapshot' => 5,
	'deletes that met writers' => 10,
	'deletes that waited for a writer' => 5,
	'deletes seen waiting' => 3,
	'rows hidden' => 100,
	'rows hidden by a cascade' => 5,
	'rows removed' => 5,
	'transactions prepared' => 5,
	$has->{view}
	? ('deletes by a view' => 5, 'rows put in place of another by a view' => 2)
	: (),
	$has->{clock_shift} ? ('transactions with a wrong clock' => 10) : ());
while (my ($what, $enough) = splice @least, 0, 2)
{
	cmp_ok($counts->{$what} // 0, '>=', $enough, "enough $what");
}

$node->stop;
done_testing();
