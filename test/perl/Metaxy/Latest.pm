
# Metaxy::Latest: random tables and queries on their views, each answered with
# the latest scan and without.

package Metaxy::Latest;

use strict;
use warnings;

use Metaxy::Latest::Table qw(one_of chance);
use Metaxy::Latest::Query;
use Time::HiRes qw(sleep time);

our @ISA = qw(Metaxy::Latest::Table Metaxy::Latest::Query);

my @sessions = qw(main other old vacuum);

sub new
{
	my ($class, %self) = @_;
	my $self = bless { %self, note => 0, used => {}, compared => 0 }, $class;

	srand $self->{seed};
	$self->{types} = [ grep { $self->{icu} || !/no_case/ } Metaxy::Latest::Table::all_types() ];
	$self->{$_} = $self->{connect}->() for @sessions;
	for my $session (@$self{@sessions})
	{
		$session->run("SET client_min_messages = error");
		$session->run("SET metaxy.stamp = off");
	}
	$self->{main}->run($_) for statements();
	return $self;
}

# In the database: the answers to a query, both ways, and what the plan was.
# The query is run once more for that, so that it meets what it has marked.
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
				FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
					plan := plan || line || E'\n';
				END LOOP;
				RETURN concat_ws(',',
					CASE WHEN plan NOT LIKE '%Metaxy Latest%' THEN 'plain' END,
					substring(plan FROM 'Order: (\w+ \w+)'),
					CASE WHEN plan LIKE '%Parallel Custom Scan (Metaxy%' THEN 'parallel' END,
					CASE WHEN plan LIKE '%Append%Metaxy Latest Scan%' THEN 'partitions' END,
					CASE WHEN plan LIKE '%Index Only: true%' THEN 'index only' END,
					CASE WHEN plan LIKE '%Index Filter:%' THEN 'flag' END,
					CASE WHEN plan LIKE '%Metaxy Latest Filter%' THEN 'filter' END,
					CASE WHEN plan ~ 'Metaxy Latest Filter[^\n]*loops=([2-9]|\d\d)' THEN 'filter again' END,
					CASE WHEN plan ~ 'Gather.*Metaxy Latest Filter' THEN 'filter parallel' END,
					CASE WHEN plan LIKE '%Descents:%' THEN 'descents' END,
					CASE WHEN plan ~ 'Metaxy Latest Scan[^>]*Index Cond: [^\n]*= ANY' THEN 'arrays' END,
					CASE WHEN plan ~ 'Metaxy Latest Scan[^>]*Index Cond: [^\n]*= ANY[^\n]*= ANY' THEN 'several arrays' END,
					(SELECT min('several pages') FROM regexp_matches(plan, '\n *Index: (\w+)', 'g') AS i
					 WHERE pg_relation_size(i[1]::regclass) > 10 * current_setting('block_size')::integer),
					CASE WHEN plan ~ 'Metaxy Latest Scan.*Index Cond: [^\n]*(\*VALUES|x\.)' THEN 'look-up' END);
			END $$},
		q{CREATE FUNCTION compare(query text, ordered boolean, settings text[]) RETURNS text LANGUAGE plpgsql AS $$
			DECLARE
				plain text;
				scanned text;
				again text;
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
				again := answer(query, ordered);
				FOR i IN 1 .. cardinality(settings) BY 2 LOOP
					PERFORM set_config(name, reset_val, true) FROM pg_settings WHERE name = settings[i];
				END LOOP;
				IF plain <> scanned OR plain <> again THEN
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

	$self->{$_}->quit for @sessions;
	return;
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

# The rows of a query, each as one line.
sub lines
{
	my ($session, $sql, $ordered) = @_;
	my @lines = map { join '|', @$_ } $session->run($sql);

	return $ordered ? @lines : sort @lines;
}

sub set_locally
{
	my ($session, @settings) = @_;

	while (my ($name, $value) = splice @settings, 0, 2)
	{
		$session->run("SET LOCAL $name = '$value'");
	}
	return;
}

sub difference
{
	my ($self, $way, $query, $settings, $plain, $scanned) = @_;

	$self->{compared}++;
	$self->{used}{$way}++;
	return if "@$plain" eq "@$scanned";
	return "differ, $way: $query -- @$settings -- plain: @$plain -- scan: @$scanned";
}

# A query that is read in parts, while others write and VACUUM, which waits for
# the page of the index where the cursor is.
sub compare_cursor
{
	my ($self, $write) = @_;
	my ($main, $vacuum) = @$self{qw(main vacuum)};
	my ($query, $ordered) = chance(0.5) ? $self->query : $self->walk;
	my $settings = $self->settings($query =~ /JOIN|EXISTS|LATERAL/);
	my $rows = "SELECT q::text FROM ($query) AS q";

	$self->vacuum if chance(0.4);
	$main->run('BEGIN ISOLATION LEVEL ' . one_of('REPEATABLE READ', 'SERIALIZABLE'));
	set_locally($main, 'metaxy.enable_latest_scan', 'off');
	my @plain = lines($main, $rows, $ordered);
	set_locally($main, 'metaxy.enable_latest_scan', 'on', @$settings);
	$main->run("DECLARE c NO SCROLL CURSOR FOR $rows");
	my @scanned = map { join '|', @$_ } map { $main->run("FETCH $_ FROM c") } one_of([1], [ 1, 2 ], [ 5, 1 ])->@*;
	$write->();
	$vacuum->start("VACUUM (TRUNCATE off) $self->{table}");
	sleep 0.005 if chance(0.5);
	push @scanned, lines($main, 'FETCH 3 FROM c', 1);
	$main->run($self->rows(one_of(1, 5, 50))) if chance(0.3);
	push @scanned, lines($main, 'FETCH ALL FROM c', 1);
	$main->run('CLOSE c');
	$main->try('COMMIT');
	$vacuum->finish;
	@scanned = sort @scanned unless $ordered;
	return $self->difference('cursor', $query, $settings, \@plain, \@scanned);
}

# What others write in between.
sub write_beside
{
	my ($self) = @_;
	my $other = $self->{other};

	# many pages are split
	$other->run($self->versions(one_of(10, 60), one_of(3, 10)))
	  if $self->{rows} < 2000 && chance(0.4);
	# not what they would wait for
	$other->run($self->{other_open} ? $self->rows(one_of(1, 20)) :
		  chance(0.3) ? $self->delete_range : $self->write) for 1 .. one_of(1, 2, 5);
	return;
}

# A query with parameters, planned once for all values.
sub compare_prepared
{
	my ($self) = @_;
	my $main = $self->{main};
	local $self->{parameters} = [];
	my $view = $self->{table} . one_of('_active', '_latest');
	my $query = "SELECT * FROM $view WHERE " . $self->conditions($view);
	my @parameters = @{ $self->{parameters} };
	my $settings = $self->settings;
	my @differences;

	$main->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
	set_locally($main, 'plan_cache_mode', one_of('force_generic_plan', 'force_generic_plan', 'force_custom_plan'), @$settings);
	$main->run('PREPARE p' . (@parameters ? '(' . join(', ', map { $_->{type} } @parameters) . ')' : '')
		  . " AS SELECT q::text FROM ($query) AS q");
	for (1 .. 3)
	{
		my @values = map { chance(0.05) ? "NULL::$_->{type}" : $_->{each}->() } @parameters;
		my $plain = $query =~ s/\$(\d+)/$values[$1 - 1]/gr;

		my @scanned = lines($main, 'EXECUTE p' . (@values ? '(' . join(', ', @values) . ')' : ''));
		set_locally($main, 'metaxy.enable_latest_scan', 'off');
		my @plain = lines($main, "SELECT q::text FROM ($plain) AS q");
		set_locally($main, 'metaxy.enable_latest_scan', 'on');
		push @differences, $self->difference('prepared', $plain, $settings, \@plain, \@scanned);
	}
	$main->run($_) for 'COMMIT', 'DEALLOCATE p';
	return @differences;
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
		$self->store_otherwise;
		# without statistics the planner takes a large table for a small one
		$main->run("ANALYZE $self->{table}") if $self->{rows} > 200 || chance(0.3);
		push @differences, $self->compare($main) for 1 .. 6;
		push @differences, $self->compare_prepared if chance(0.5);
		push @differences, $self->compare_cursor(sub { $self->write_beside }) if chance(0.6);
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

# Two processes write to a table, and VACUUM it all the time, while a third one
# asks.
sub try_beside_writers
{
	my ($self, $seconds, $type) = @_;
	my $main = $self->{main};
	my @differences;
	my @children;

	# as good as a transaction of another session
	local $self->{other_open} = 1;
	$self->{types} = [$type];
	$self->make_table('_busy_' . $type =~ s/\W+/_/gr);
	my $t = $self->{table};
	$self->make_index(one_of('desc', 'old', 'include'));
	$self->{serves} = 1;
	$self->{samples} = 30;
	$self->{rows} = 1000;
	my $end = time + $seconds;
	for my $child (1, 2)
	{
		my $pid = fork // die "could not fork: $!";

		if ($pid == 0)
		{
			srand $self->{seed} + $child;
			$self->{note} = $child * 1000000;
			$self->write_until($end, $child == 1);
			require POSIX;
			POSIX::_exit(0);
		}
		push @children, $pid;
	}
	while (time < $end)
	{
		for (1 .. 5)
		{
			$main->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
			push @differences, $self->compare($main);
			$main->run('COMMIT');
		}
		push @differences, $self->compare_cursor(sub { sleep 0.01 }) for 1 .. 3;
	}
	waitpid $_, 0 for @children;
	return @differences;
}

sub write_until
{
	my ($self, $end, $vacuums) = @_;
	my $session = $self->{connect}->();

	$session->run('SET metaxy.stamp = off');
	while (time < $end)
	{
		$session->try('BEGIN');
		$session->try($self->write) for 1 .. one_of(1, 3);
		$session->try($self->delete_range) if chance(0.05);
		$session->try(one_of('COMMIT', 'COMMIT', 'ROLLBACK'));
		$session->try("VACUUM (TRUNCATE off) $self->{table}") if $vacuums && chance(0.3);
	}
	$session->quit;
	return;
}

1;
