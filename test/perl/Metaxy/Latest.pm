
# Metaxy::Latest: random tables and queries on their views, each answered with
# the latest scan and without.

package Metaxy::Latest;

use strict;
use warnings;

use Time::HiRes qw(time);

# Types of id columns, and a value of each for a small number.  Some have
# values that are equal and do not look it.
my %types = (
	'text' => sub { "'k$_[0]'" },
	'text COLLATE "C"' => sub { "'k$_[0]'" },
	'text COLLATE no_case' => sub { one_of("'k$_[0]'", "'K$_[0]'") },
	'varchar' => sub { "'id $_[0]'" },
	'varchar(20)' => sub { "'$_[0]'" },
	'char(6)' => sub { one_of("'c$_[0]'", "'c$_[0] '") },
	'integer' => sub { $_[0] - 3 },
	'bigint' => sub { "'" . ($_[0] * 3000000000) . "'" },
	'smallint' => sub { $_[0] % 1000 },
	'numeric' => sub { one_of("'$_[0]'", "'$_[0].0'", "'$_[0].00'") },
	'float8' => sub { $_[0] == 1 ? one_of("'-0'", "'0'") : $_[0] == 2 ? "'NaN'" : "'$_[0].5'" },
	'timestamptz' => sub { "timestamptz '2020-01-01' + $_[0] * interval '1 hour'" },
	'uuid' => sub { sprintf "'00000000-0000-0000-0000-%012d'", $_[0] },
	'boolean' => sub { $_[0] % 2 ? 'true' : 'false' },
	'bytea' => sub { "'\\x" . sprintf('%04x', $_[0]) . "'" });

my @instants = map { "'2024-01-0$_'" } 1 .. 7;

sub one_of
{
	return $_[ int rand @_ ];
}

sub chance
{
	return rand() < $_[0];
}

sub new
{
	my ($class, %self) = @_;
	my $self = bless { %self, note => 0, used => {}, compared => 0 }, $class;

	srand $self->{seed};
	$self->{types} = [ sort grep { $self->{icu} || !/no_case/ } keys %types ];
	$self->{$_} = $self->{connect}->() for qw(main other old);
	for my $session (@$self{qw(main other old)})
	{
		$session->run("SET client_min_messages = error");
		$session->run("SET metaxy.stamp = off");
	}
	$self->{main}->run($_) for statements();
	return $self;
}

# In the database: the answers to a query, both ways, and what the plan was.
sub statements
{
	return (
		q{CREATE FUNCTION answer(query text, ordered boolean) RETURNS text LANGUAGE plpgsql AS $$
			DECLARE
				result text;
			BEGIN
				EXECUTE format('SELECT string_agg(q::text, E''\n'' %s) FROM (%s) AS q',
							   CASE WHEN NOT ordered THEN 'ORDER BY q::text COLLATE "C"' END, query) INTO result;
				RETURN coalesce(result, '');
			END $$},
		q{CREATE FUNCTION ways(query text) RETURNS text LANGUAGE plpgsql AS $$
			DECLARE
				line text;
				plan text := '';
			BEGIN
				FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
					plan := plan || line || E'\n';
				END LOOP;
				RETURN concat_ws(',',
					CASE WHEN plan NOT LIKE '%Metaxy Latest Scan%' THEN 'plain' END,
					substring(plan FROM 'Order: (\w+ \w+)'),
					CASE WHEN plan LIKE '%Parallel Custom Scan (Metaxy%' THEN 'parallel' END,
					CASE WHEN plan LIKE '%Append%Metaxy Latest Scan%' THEN 'partitions' END,
					CASE WHEN plan LIKE '%Index Only: true%' THEN 'index only' END,
					CASE WHEN plan LIKE '%Index Filter:%' THEN 'flag' END,
					CASE WHEN plan ~ 'Metaxy Latest Scan.*Index Cond: [^\n]*\*VALUES' THEN 'look-up' END);
			END $$},
		q{CREATE FUNCTION compare(query text, ordered boolean, settings text[]) RETURNS text LANGUAGE plpgsql AS $$
			DECLARE
				plain text;
				scanned text;
				how text;
			BEGIN
				PERFORM set_config('metaxy.enable_latest_scan', 'off', true);
				plain := answer(query, ordered);
				PERFORM set_config('metaxy.enable_latest_scan', 'on', true);
				FOR i IN 1 .. cardinality(settings) BY 2 LOOP
					PERFORM set_config(settings[i], settings[i + 1], true);
				END LOOP;
				scanned := answer(query, ordered);
				how := ways(query);
				IF plain <> scanned THEN
					RETURN 'differ ' || how || ': ' || query || ' -- ' || settings::text || ' -- plain: ' ||
						replace(plain, E'\n', ' ') || ' -- scan: ' || replace(scanned, E'\n', ' ');
				END IF;
				RETURN how;
			END $$});
}

sub used
{
	my ($self) = @_;

	return %{ $self->{used} };
}

sub quit
{
	my ($self) = @_;

	$self->{$_}->quit for qw(main other old);
	return;
}

#
# Tables
#

# Makes a table: keys of random types, versioned or not, with one of many
# indexes that serve, or none.
sub make_table
{
	my ($self, $number) = @_;
	my @kinds = map { one_of(@{ $self->{types} }) } 1 .. one_of(1, 1, 2, 3);
	my @keys = map { "k$_" } 1 .. @kinds;
	my $versioned = chance(0.6);
	my $index = one_of('own', 'own', 'old', 'desc', 'mixed', 'include', 'more', 'none');

	# many samples for batches, some with many versions for jumps
	# partitioned by a key, or by what is none
	my $parts = chance(0.25) ? one_of(1, 2, 3) : 0;
	my $by = one_of(@keys, 'grp');
	my $samples = chance(0.06) ? 7000 : one_of(1, 4, 12, 40);
	$self->{table} = "t$number";
	$self->{keys} = \@keys;
	$self->{kinds} = \@kinds;
	$self->{versioned} = $versioned;
	$self->{samples} = $samples;
	$self->{rows} = 0;
	$self->{description} = join ', ', @kinds, ($versioned ? 'versioned' : ()),
	  "index $index", "$samples samples",
	  ($parts ? "$parts partitions by $by" : ());

	my $main = $self->{main};
	my $t = $self->{table};
	$main->run("CREATE TABLE $t ("
		  . join(', ', map { "$keys[$_] $kinds[$_]" } 0 .. $#keys)
		  . ', grp integer, note text)'
		  . ($parts ? " PARTITION BY HASH ($by)" :
			' WITH (fillfactor = ' . one_of(30, 100) . ')'));
	$main->run("CREATE TABLE ${t}_$_ PARTITION OF $t FOR VALUES WITH (MODULUS $parts, REMAINDER "
		  . ($_ - 1) . ')')
	  for 1 .. $parts;
	$main->run("SELECT metaxy_register('$t', '$t', '{" . join(',', @keys) . "}'"
		  . ($versioned ? ", 'v1'" : '')
		  . ', indexes => ' . ($index eq 'own' ? 'true' : 'false') . ')');

	my @columns = ($versioned ? 'metaxy_feature_version' : (), @keys);
	my $recency = '(coalesce(metaxy_deleted_at, metaxy_updated_at))';
	my $flag = '(metaxy_deleted_at IS NOT NULL)';
	my %indexes = (
		old => [ @columns, $recency ],
		desc => [ @columns, "$recency DESC", "$flag DESC" ],
		mixed => [ (map { chance(0.5) ? "$_ DESC" : "$_" } reverse @columns),
			$recency, $flag . one_of('', ' DESC') ],
		include => [ @columns, $recency, $flag ],
		more => [ @columns, $recency, 'grp' ]);
	$main->run("CREATE INDEX ON $t (" . join(', ', @{ $indexes{$index} }) . ')'
		  . ($index eq 'include' ? ' INCLUDE (note)' : ''))
	  if exists $indexes{$index};
	return;
}

# A value of the key with that number.
sub value
{
	my ($self, $key) = @_;
	my $n = 1 + int rand($self->{samples});

	$n = 1 + int rand 3 if $key > 0;
	return $types{ $self->{kinds}[$key] }->($n);
}

# Rows as VALUES, each with a note of its own.
sub rows
{
	my ($self, $n, $same) = @_;
	my @values = map { $self->value($_) } 0 .. $#{ $self->{keys} };
	my @rows;

	$self->{rows} += $n;
	for (1 .. $n)
	{
		@values = map { $self->value($_) } 0 .. $#{ $self->{keys} } unless $same;
		push @rows, '(' . join(', ', @values, int rand 5, "'n" . ++$self->{note} . "'",
			"'2024-01-01'", one_of(@instants),
			chance(0.25) ? one_of(@instants) : 'NULL',
			$self->{versioned} ? one_of("'v1'", "'v1'", "'v1'", "'v2'") : ()) . ')';
	}
	return "INSERT INTO $self->{table} (" . join(', ', @{ $self->{keys} }, 'grp', 'note',
		'metaxy_created_at', 'metaxy_updated_at', 'metaxy_deleted_at',
		$self->{versioned} ? 'metaxy_feature_version' : ()) . ') VALUES ' . join(', ', @rows);
}

# Many rows at once, by a query.
sub fill
{
	my ($self) = @_;
	my $t = $self->{table};

	return $self->rows(one_of(1, 5, 30)) if $self->{samples} < 1000;
	# existing rows again, with other recencies: several versions a sample
	return $self->rows(3000);
}

# Something that writes: SQL of one statement.
sub write
{
	my ($self) = @_;
	my $t = $self->{table};
	my $some = "(tableoid, ctid) IN (SELECT tableoid, ctid FROM $t ORDER BY md5(note || '" . int(rand 1e6)
	  . "') LIMIT " . one_of(1, 3, 10) . ')';

	return one_of(
		sub { $self->fill },
		sub { $self->rows(one_of(1, 2, 5), 1) },
		sub { "UPDATE $t SET note = note || 'h' WHERE $some" },
		sub { "UPDATE $t SET metaxy_updated_at = " . one_of(@instants) . " WHERE $some" },
		sub { "UPDATE $t SET metaxy_deleted_at = " . one_of(@instants, 'NULL') . " WHERE $some" },
		sub { "DELETE FROM $t WHERE $some" })->();
}

# Something that happens to a table.  The sessions "other" and "old" may be in
# a transaction.
sub happen
{
	my ($self) = @_;
	my ($main, $other, $old) = @$self{qw(main other old)};
	my $t = $self->{table};

	one_of(
		(sub { $main->run($self->write) }) x 4,
		(sub { $main->run($self->fill) }) x 2,
		sub { $main->run($_) for 'BEGIN', $self->write, $self->write, 'ROLLBACK' },
		sub {
			$main->run($_)
			  for 'BEGIN', $self->write, 'SAVEPOINT s', $self->write, 'ROLLBACK TO s',
			  $self->write, 'COMMIT';
		},
		sub { $main->run("VACUUM $t") },
		sub { $main->run("VACUUM (FREEZE) $t") },
		sub { $main->run("VACUUM (INDEX_CLEANUP off) $t") },
		sub { $main->run("ANALYZE $t") },
		# one sample with many versions, seen by all or by none
		sub {
			return if $self->{samples} > 1000 || chance(0.5);
			$main->run($_)
			  for 'BEGIN', $self->rows(one_of(20, 300, 1500), 1), one_of('COMMIT', 'ROLLBACK');
		},
		sub {
			$other->run('BEGIN') unless $self->{other_open}++;
			# not what the main session would wait for
			$other->run($self->rows(one_of(1, 3, 20)));
		},
		sub {
			$other->run(one_of('COMMIT', 'ROLLBACK')) if $self->{other_open};
			$self->{other_open} = 0;
		},
		sub {
			return if $self->{old_open}++;
			$old->run('BEGIN ISOLATION LEVEL ' . one_of('REPEATABLE READ', 'SERIALIZABLE'));
			$old->run("SELECT count(*) FROM $t");
		})->();
	return;
}

#
# Queries
#

# A query on a view, and whether the order of its rows is that of the answer.
sub query
{
	my ($self) = @_;
	my $t = $self->{table};
	my $v = $t . one_of('_active', '_active', '_latest', '_deleted');
	my @keys = @{ $self->{keys} };
	my $keys = join ', ', @keys;
	my $down = join ', ', map { "$_ DESC" } @keys;
	my $k = int rand @keys;
	my $using = join ' AND ', map { "a.$_ = b.$_" } @keys;
	my @comparisons = $self->{kinds}[$k] eq 'boolean' ? ('=') : ('=', '=', '<', '>=');

	return one_of(
		sub { "SELECT * FROM $v" },
		sub { "SELECT count(*) FROM $v" },
		sub { ("SELECT $keys FROM $v ORDER BY $keys", 1) },
		sub { ("SELECT * FROM $v ORDER BY $keys", 1) },
		sub { ("SELECT * FROM $v ORDER BY $down LIMIT 5", 1) },
		sub { "SELECT * FROM $v WHERE $keys[$k] " . one_of(@comparisons) . ' ' . $self->value($k) },
		sub { "SELECT * FROM $v WHERE " . join(' AND ', map { "$keys[$_] = " . $self->value($_) } 0 .. $#keys) },
		sub { "SELECT * FROM $v WHERE $keys[$k] IN (" . join(', ', map { $self->value($k) } 1 .. 4) . ')' },
		sub { "SELECT * FROM $v WHERE grp = " . int rand 5 },
		sub { "SELECT note, tableoid FROM (SELECT x.*, '$t'::regclass AS tableoid FROM $v AS x) AS y WHERE note LIKE '%h'" },
		sub { "SELECT v.* FROM (VALUES (" . join('), (', map { $self->value($k) } 1 .. 3)
			  . ")) AS x (k) JOIN $v AS v ON v.$keys[$k] = x.k::" . $self->{kinds}[$k] =~ s/ COLLATE.*//r },
		sub { "SELECT g, l.* FROM generate_series(0, 4) AS g, LATERAL (SELECT * FROM $v WHERE grp = g ORDER BY $keys LIMIT 2) AS l" },
		sub { "SELECT t.note, v.note AS other FROM $t AS t LEFT JOIN $v AS v ON v.$keys[0] = t.$keys[0] AND v.grp = t.grp" },
		sub { "SELECT count(*), count(b.note) FROM $v AS a LEFT JOIN ${t}_latest AS b ON $using" },
		sub { "SELECT note FROM $t AS a WHERE NOT EXISTS (SELECT FROM $v AS b WHERE $using AND a.note = b.note)" },
		sub { "SELECT * FROM metaxy_read(NULL::$t, with_feature_history => true)" },
		sub { "SELECT * FROM metaxy_read(NULL::$t, 'grp > 1', include_soft_deleted => true)" })->();
}

# Without other joins the planner has nothing but our scan, and what nobody
# would wait for where many rows are joined with more.
sub settings
{
	my ($self, $joins) = @_;

	return one_of([], [ 'random_page_cost', 1000, 'work_mem', '64kB' ],
		[ 'random_page_cost', 0.1 ])
	  if $self->{samples} > 1000 || ($joins && $self->{rows} > 1000);

	my @force = map { ("enable_$_", 'off') } qw(hashjoin mergejoin nestloop seqscan);

	return one_of([], [@force], [ @force, 'random_page_cost', 100 ],
		[ @force, 'random_page_cost', 0.1 ],
		[ @force, 'random_page_cost', 1000, 'work_mem', '64kB' ],
		(map { [ @force, 'parallel_setup_cost', 0, 'parallel_tuple_cost', 0, 'min_parallel_table_scan_size', 0,
				'min_parallel_index_scan_size', 0, 'seq_page_cost', 0, 'random_page_cost', $_ ] } 0, 0.01),
		[ 'enable_hashjoin', 'off', 'enable_seqscan', 'off', 'enable_material', 'off' ],
		[ 'enable_hashjoin', 'off', 'enable_nestloop', 'off', 'random_page_cost', 1 ]);
}

# Compares the answers to one query in a session; returns what differs.
sub compare
{
	my ($self, $session) = @_;
	my ($query, $ordered) = $self->query;
	my $settings = join ',', @{ $self->settings($query =~ /JOIN|EXISTS|LATERAL/) };

	$query =~ s/'/''/g;
	my ($row) = $session->run("SELECT compare('$query', " . ($ordered ? 'true' : 'false') . ", '{$settings}')");
	my $how = join '|', @$row;
	$self->{compared}++;
	return $how if $how =~ /^differ/;
	$self->{used}{$_}++ for split /,/, $how;
	return;
}

# One table: things happen to it, and queries are answered now and then.
sub try_table
{
	my ($self, $number) = @_;
	my ($main, $other, $old) = @$self{qw(main other old)};
	my @differences;

	$self->{other_open} = $self->{old_open} = 0;
	$self->make_table($number);
	for (1 .. 4)
	{
		$self->happen for 1 .. one_of(1, 3, 6);
		# without statistics the planner takes a large table for a small one
		$main->run("ANALYZE $self->{table}") if $self->{samples} > 1000;
		push @differences, $self->compare($main) for 1 .. 6;
		if ($self->{old_open})
		{
			push @differences, $self->compare($old) for 1 .. 3;
			if (chance(0.4))
			{
				$old->run('COMMIT');
				$self->{old_open} = 0;
			}
		}
		push @differences, $self->compare($other) if $self->{other_open};
	}
	$other->run('COMMIT') if $self->{other_open};
	$old->run('COMMIT') if $self->{old_open};
	if (!@differences)
	{
		$main->run("SELECT metaxy_unregister('$self->{table}')");
		$main->run("DROP TABLE $self->{table}");
	}
	return @differences;
}

# Two processes write to a table while a third one asks.
sub try_beside_writers
{
	my ($self, $seconds) = @_;
	my $main = $self->{main};
	my @differences;
	my @children;

	$self->{types} = ['integer'];
	$self->make_table('_busy');
	$main->run('CREATE INDEX ON t_busy (' . ($self->{versioned} ? 'metaxy_feature_version, ' : '')
		  . join(', ', @{ $self->{keys} }) . ', (coalesce(metaxy_deleted_at, metaxy_updated_at)), (metaxy_deleted_at IS NOT NULL))');
	$self->{samples} = 30;
	my $end = time + $seconds;
	for my $child (1, 2)
	{
		my $pid = fork // die "could not fork: $!";

		if ($pid == 0)
		{
			srand $self->{seed} + $child;
			$self->{note} = $child * 1000000;
			my $session = $self->{connect}->();
			$session->run('SET metaxy.stamp = off');
			while (time < $end)
			{
				$session->try('BEGIN');
				$session->try($self->write) for 1 .. one_of(1, 3);
				$session->try(one_of('COMMIT', 'COMMIT', 'ROLLBACK'));
				$session->try('VACUUM t_busy') if chance(0.05);
			}
			$session->quit;
			require POSIX;
			POSIX::_exit(0);
		}
		push @children, $pid;
	}
	$self->{compared} = 0;
	while (time < $end)
	{
		$main->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
		push @differences, $self->compare($main) for 1 .. 5;
		$main->run('COMMIT');
	}
	waitpid $_, 0 for @children;
	return @differences;
}

1;
