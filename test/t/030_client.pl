
# Metaxy's own Python client on tables that metaxy has registered: it writes,
# soft-deletes, rewrites and reads as before, beside metaxy_delete(), and both
# always agree on which row of a sample is the latest.  The clock of one client
# is a minute behind, that of another a minute ahead: the order of arrival
# decides all the same.  All of them are one ordinary role.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use Metaxy::Venv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The version that wrote the store in test/fixtures, and of what it works with
# those that it was tried with.
my @python = Metaxy::Venv::python_with(
	'metaxy.ext.postgresql, psycopg',
	'metaxy[postgres]==0.1.11', 'ibis-framework==12.0.0',
	'narwhals==2.29.0', 'polars==2.1.0',
	'psycopg[binary]==3.3.9', 'pydantic==2.14.4',
	'sqlglot==28.1.0');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE regress_metaxy_client LOGIN');

# Runs SQL as that role, which has the extension in its search_path only here.
sub sql
{
	my ($database, $sql) = @_;

	return $node->safe_psql(
		$database, "SET search_path = public, ours; $sql",
		extra_params => [ '-U', 'regress_metaxy_client' ]);
}

# Nor is the client to find a configuration of Metaxy's.
delete @ENV{ grep { /^METAXY_/ } keys %ENV };

#
# Clients
#

# Starts a client whose clock is so many seconds ahead.
sub start_client
{
	my ($seconds) = @_;

	my %client = (in => '', out => '', err => '');
	$client{timer} = IPC::Run::timer(60);
	$client{run} = IPC::Run::start([ @python, 'test/client/client.py', $seconds ],
		'<', \$client{in}, '>', \$client{out}, '2>', \$client{err}, $client{timer});
	return \%client;
}

# Gives it a command, and returns the lines of its answer.
sub ask
{
	my ($client, $command) = @_;

	$client->{in} = "$command\n";
	$client->{out} = '';
	$client->{timer}->start(60);
	until ($client->{out} =~ /^\.$/m)
	{
		eval { $client->{run}->pump }
		  or die "the client ended in: $command\n$@$client->{err}";
		die "no answer to: $command\n" if $client->{timer}->is_expired;
	}
	my @lines = split(/\n/, $client->{out});
	pop @lines;
	return @lines;
}

# Makes an empty database, where Metaxy begins with the first of these clients,
# by its own clock, which is so many minutes ahead.
sub begin
{
	my ($database, $minutes, @clients) = @_;

	$node->safe_psql('postgres',
		"CREATE DATABASE $database OWNER regress_metaxy_client");
	ask($_, join(' ', 'connect', $database, $node->host, $node->port, 'regress_metaxy_client'))
	  for @clients;
	ask($clients[0], 'push');
	ask($clients[0], 'write a v1 v2 v3 v4 v5');
	is( join(', ', ask($clients[0], 'update')),
		'new v1 v2 v3 v4 v5, stale, orphaned',
		"$database: Metaxy makes chunks of all videos");
	ask($clients[0], 'delete video/raw v5');
	is( sql($database, q{
			SELECT DISTINCT round(extract(epoch FROM stamp - now()) / 60)
			  FROM video__raw, unnest(ARRAY[metaxy_updated_at, metaxy_deleted_at]) AS stamp
			 WHERE stamp IS NOT NULL}),
		$minutes, "$database: its clock is $minutes minutes ahead");
	return;
}

# Creates the extension, and registers what Metaxy has there.
sub register
{
	my ($database) = @_;

	$node->safe_psql(
		$database, q{
		CREATE SCHEMA ours;
		GRANT USAGE ON SCHEMA ours TO regress_metaxy_client;
		CREATE EXTENSION metaxy SCHEMA ours});
	return is( sql($database, 'SELECT feature, relation, action, detail FROM metaxy_sync()'),
		"video/chunk|video__chunk|added|\nvideo/raw|video__raw|added|",
		"$database: the tables are registered");
}

my %behind_ahead = (behind => start_client(-60), ahead => start_client(60));

#
# What both say
#

# Rows of a view, as the client prints those that it reads.
sub rows_of
{
	my ($database, $view) = @_;

	return split(
		/\n/, sql($database, qq{
		SELECT format('SELECT %s FROM %s',
					  string_agg(CASE WHEN atttypid = 'timestamptz'::regtype
								 THEN format('(extract(epoch FROM %I) * 1000000)::bigint', attname)
								 ELSE quote_ident(attname) END,
								 ', ' ORDER BY attname COLLATE "C"),
					  attrelid::regclass)
		  FROM pg_attribute
		 WHERE attrelid = '$view'::regclass AND attnum > 0
		   AND NOT attisdropped AND attname !~ '_by_field\$'
		 GROUP BY attrelid
		\\gexec}));
}

# Asserts which videos are active and which are deleted, that their rows are of
# such a take, and that a client reads what the views show.
sub agree
{
	my ($client, $database, $expected, $name) = @_;

	is( sql($database, q{
			SELECT string_agg(path || CASE WHEN metaxy_deleted_at IS NOT NULL
										   THEN ' deleted' ELSE '' END,
							  ', ' ORDER BY video_id)
			  FROM video__raw_latest}),
		$expected,
		"$name: the latest rows");
	for my $feature (qw(video/raw video/chunk))
	{
		my $table = $feature =~ s,/,__,r;

		for ([ '', 'active' ], [ ' all', 'latest' ])
		{
			my ($switch, $view) = @$_;

			my @read = ask($client, "read $feature$switch");
			my @shown = rows_of($database, "${table}_$view");

			is( join("\n", sort @read),
				join("\n", sort @shown),
				"$name: Metaxy reads ${table}_$view");
		}
	}
	return;
}

#
# Each client alone
#

for my $clock (qw(behind ahead))
{
	my $client = $behind_ahead{$clock};
	my $agree = sub {
		my ($expected, $name) = @_;
		return agree($client, $clock, $expected, "$clock: $name");
	};
	my $update = sub {
		my ($expected, $name) = @_;
		is(join(', ', ask($client, 'update')), $expected, "$clock: $name");
		my $orphans = sql($clock, q{
			SELECT string_agg(DISTINCT ' ' || video_id, '')
			  FROM metaxy_orphans(NULL::video__chunk)});
		return like($expected, qr/orphaned\Q$orphans\E$/,
			"$clock: $name: metaxy_orphans finds the same orphans");
	};

	begin($clock, $clock eq 'behind' ? -1 : 1, $client);
	register($clock);
	$agree->('a/v1, a/v2, a/v3, a/v4, a/v5 deleted', 'registered');

	ask($client, 'write a v6');
	$agree->('a/v1, a/v2, a/v3, a/v4, a/v5 deleted, a/v6', 'a new sample');
	ask($client, 'write b v1 v2');
	$agree->('b/v1, b/v2, a/v3, a/v4, a/v5 deleted, a/v6', 'samples rewritten');
	ask($client, 'write b v5');
	$agree->('b/v1, b/v2, a/v3, a/v4, b/v5, a/v6', 'a deleted sample rewritten');
	$update->('new v6, stale v1 v2 v5, orphaned', 'Metaxy finds what changed');
	$update->('new, stale, orphaned', 'and only once');
	$agree->('b/v1, b/v2, a/v3, a/v4, b/v5, a/v6', 'chunks rewritten');

	ask($client, 'delete video/raw v1 v6');
	$agree->('b/v1 deleted, b/v2, a/v3, a/v4, b/v5, a/v6 deleted', 'its soft delete');
	$update->('new, stale, orphaned v1 v6', 'Metaxy finds orphans');
	ask($client, 'write c v1');
	$agree->('c/v1, b/v2, a/v3, a/v4, b/v5, a/v6 deleted', 'rewritten after it');
	ask($client, 'delete video/raw v1');
	$agree->('c/v1 deleted, b/v2, a/v3, a/v4, b/v5, a/v6 deleted', 'and deleted again');

	# metaxy_delete() hides what the client wrote, the client brings it back.

	is( sql($clock, q{
			SELECT feature, samples, "rows"
			  FROM metaxy_delete('video/raw', $$ video_id IN ('v1', 'v2', 'v3') $$,
								 cascade => 'downstream')}),
		"video/chunk|4|4\nvideo/raw|2|2",
		"$clock: metaxy_delete deletes what is active");
	$agree->('c/v1 deleted, b/v2 deleted, a/v3 deleted, a/v4, b/v5, a/v6 deleted',
		'metaxy_delete');
	ask($client, 'write d v2');
	$agree->('c/v1 deleted, d/v2, a/v3 deleted, a/v4, b/v5, a/v6 deleted',
		'a sample rewritten after metaxy_delete');
	$update->('new v2, stale, orphaned v1 v6', 'Metaxy makes its chunks again');
	$agree->('c/v1 deleted, d/v2, a/v3 deleted, a/v4, b/v5, a/v6 deleted',
		'chunks written after metaxy_delete');
	ask($client, 'delete video/raw v2');
	$agree->('c/v1 deleted, d/v2 deleted, a/v3 deleted, a/v4, b/v5, a/v6 deleted',
		'its soft delete after metaxy_delete');
	ask($client, 'write e v2 v3');
	$agree->('c/v1 deleted, e/v2, e/v3, a/v4, b/v5, a/v6 deleted',
		'rewritten after both');

	# Rows are removed by either.

	is( sql($clock, q{
			SELECT feature, samples
			  FROM metaxy_delete('video/raw', $$ video_id IN ('v2', 'v6') $$,
								 soft => false, cascade => 'downstream')}),
		"video/chunk|4\nvideo/raw|2",
		"$clock: metaxy_delete removes samples whole");
	ask($client, 'hard_delete video/raw v4');
	$agree->('c/v1 deleted, e/v3, b/v5', 'hard deletes');
	ask($client, 'write f v2 v4');
	$agree->('c/v1 deleted, f/v2, e/v3, f/v4, b/v5', 'written after hard deletes');

	ask($client, 'empty video/raw');
	ask($client, 'write g v1');
	$agree->('g/v1', 'written into an emptied table');

	# Metaxy's push and metaxy's sync have nothing to add.

	ask($client, 'push');
	is( sql($clock, 'SELECT DISTINCT action FROM metaxy_sync()'),
		'unchanged', "$clock: pushed and registered again");

	# Metaxy does not drop a table with what depends on it: without the views
	# it can, and makes it anew when it writes.

	sql($clock, q{SELECT metaxy_views('video/raw', false)});
	ask($client, 'drop video/raw');
	ask($client, 'write h v1 v2');
	is( sql($clock, q{SELECT feature, action, detail FROM metaxy_sync()}),
		qq{video/chunk|unchanged|\nvideo/raw|changed|table "video__raw" found},
		"$clock: a table made anew is found");
	sql($clock, q{SELECT metaxy_views('video/raw', true)});
	ask($client, 'write i v2');
	$agree->('h/v1, i/v2', 'written into a table made anew');
}

#
# Both on the same tables, in turn: the last one always wins
#

my ($ahead, $behind) = @behind_ahead{qw(ahead behind)};

begin('mixed', 1, $ahead, $behind);
ask($ahead, 'hard_delete video/raw v3 v4 v5');
register('mixed');

# Each of them does it, and the other one looks.
for (
	[ $behind, 'write b v1', 'b/v1, a/v2' ],
	[ $ahead, 'write c v1', 'c/v1, a/v2' ],
	[ $behind, 'write d v1 v2', 'd/v1, d/v2' ],
	[ $behind, 'delete video/raw v1', 'd/v1 deleted, d/v2' ],
	[ $ahead, 'write e v1', 'e/v1, d/v2' ],
	[ $ahead, 'delete video/raw v1', 'e/v1 deleted, d/v2' ],
	[ $behind, 'write f v1', 'f/v1, d/v2' ],
	[ undef, q{SELECT metaxy_delete('video/raw')}, 'f/v1 deleted, d/v2 deleted' ],
	[ $behind, 'write g v2', 'f/v1 deleted, g/v2' ],
	[ $ahead, 'write h v1', 'h/v1, g/v2' ],
	[ undef, q{SELECT metaxy_delete('video/raw')}, 'h/v1 deleted, g/v2 deleted' ])
{
	my ($client, $command, $expected) = @$_;
	my ($who, $other) = !$client ? ('role', $ahead)
	  : $client == $ahead ? ('ahead', $behind) : ('behind', $ahead);

	$client ? ask($client, $command) : sql('mixed', $command);
	agree($other, 'mixed', $expected, "mixed: $who: $command");
}

for my $clock (qw(behind ahead))
{
	my $run = $behind_ahead{$clock}->{run};

	ok($run->finish, "$clock: the client ends well")
	  or diag($behind_ahead{$clock}->{err});
}

$node->stop;
done_testing();
