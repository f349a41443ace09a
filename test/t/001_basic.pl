
# The life of the extension in a server: created in a schema with an awkward
# name that no search_path leads to, used by an ordinary role, kept over a
# restart, dropped without touching a row, and created again.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $schema = q{"Odd schema; é"};

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

# Runs SQL as the ordinary role, whose search_path has no schema of ours.
sub as_user
{
	my ($sql) = @_;

	return $node->safe_psql('postgres',
		"SET ROLE regress_metaxy_user; SET search_path = app; $sql");
}

# Asserts that SQL fails with a SQLSTATE.
sub fails_with
{
	my ($sql, $sqlstate, $name) = @_;

	my ($ret, $stdout, $stderr) =
	  $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");
	isnt($ret, 0, "$name: fails");
	like($stderr, qr/ERROR:\s+\Q$sqlstate\E$/m, "$name: $sqlstate");
	return;
}

$node->safe_psql(
	'postgres', qq{
	CREATE ROLE regress_metaxy_user;
	CREATE SCHEMA app AUTHORIZATION regress_metaxy_user;
	CREATE SCHEMA $schema;
	CREATE EXTENSION metaxy SCHEMA $schema;
	GRANT USAGE ON SCHEMA $schema TO regress_metaxy_user;
});

# What the control file says is what is there, all of it in that schema.

my ($control_version) =
  slurp_file('metaxy.control') =~ /^default_version\s*=\s*'([^']+)'/m;
is( $node->safe_psql(
		'postgres',
		"SELECT extversion FROM pg_extension WHERE extname = 'metaxy'"),
	$control_version,
	'the version is the one of the control file');

my $strays = $node->safe_psql(
	'postgres', qq{
	SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
	  FROM pg_depend AS d
	  JOIN pg_extension AS e ON e.oid = d.refobjid
	 CROSS JOIN LATERAL
		   pg_identify_object(d.classid, d.objid, d.objsubid) AS o
	 WHERE e.extname = 'metaxy' AND d.deptype = 'e'
	   AND d.refclassid = 'pg_extension'::regclass
	   AND o.type <> 'event trigger'
	   AND o.schema IS DISTINCT FROM quote_ident('Odd schema; é')
	 ORDER BY 1});
is($strays, '', 'all objects are in the schema of the extension');

fails_with('ALTER EXTENSION metaxy SET SCHEMA public',
	'0A000', 'moving it to another schema');
fails_with('CREATE EXTENSION metaxy', '42710', 'creating it twice');

# An ordinary role uses it.

as_user(
	qq{
	CREATE TABLE video (video_id text NOT NULL, path text);
	CREATE TABLE "Odd chunk" ("chunk id" text NOT NULL, video_id text);
	SELECT $schema.metaxy_register('video', 'video', '{video_id}');
	SELECT $schema.metaxy_register('video/chunk', '"Odd chunk"',
								   '{chunk id}');
	SELECT $schema.metaxy_depend('video/chunk', 'video', '1:N', '{video_id}');

	INSERT INTO video
	SELECT 'v' || i, 'path ' || i, now(), now() FROM generate_series(1, 3) AS i;
	INSERT INTO "Odd chunk"
	SELECT 'v' || i || '/' || j, 'v' || i, now(), now()
	  FROM generate_series(1, 3) AS i, generate_series(1, 2) AS j;
});

my $delete = qq{
	SELECT feature, samples, "rows"
	  FROM $schema.metaxy_delete('video', \$\$ video_id = 'v2' \$\$,
								 cascade => 'downstream')};
my $active = q{SELECT (SELECT string_agg(video_id, ' ' ORDER BY video_id)
						 FROM video_active),
					  (SELECT string_agg("chunk id", ' ' ORDER BY "chunk id")
						 FROM "Odd chunk_active")};

is(as_user($delete), "video/chunk|2|2\nvideo|1|1",
	'a cascade soft-deletes the video and its chunks');
is(as_user($active), 'v1 v3|v1/1 v1/2 v3/1 v3/2',
	'the active views hide them');

# The registry is on disk, and the library is loaded when it is needed.

$node->restart;
is(as_user($active), 'v1 v3|v1/1 v1/2 v3/1 v3/2',
	'they stay hidden over a restart');
is(as_user($delete), "video/chunk|0|0\nvideo|0|0",
	'there is nothing left to delete');
is( as_user(
		"SELECT string_agg(feature, ' ' ORDER BY step) FROM $schema.metaxy_order()"
	),
	'video video/chunk',
	'the graph is still there');

# Dropping it leaves every row, tombstones too, and tables like any other.

my $everything = q{SELECT t FROM app.video AS t ORDER BY t;
	SELECT t FROM app."Odd chunk" AS t ORDER BY t};
my $before = $node->safe_psql('postgres', $everything);
is(scalar(split(/\n/, $before)), 12, 'nine live rows and three tombstones');

$node->safe_psql('postgres', 'DROP EXTENSION metaxy CASCADE');
is($node->safe_psql('postgres', $everything),
	$before, 'DROP EXTENSION leaves the tables as they are');
is( $node->safe_psql(
		'postgres', "SELECT count(*) FROM pg_proc WHERE proname ~ '^metaxy_'"),
	'0',
	'no function is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_event_trigger'),
	'0', 'no event trigger is left');
as_user(
	q{
	INSERT INTO video VALUES ('v4', 'path 4', now(), now());
	CREATE TABLE other ();
	DROP TABLE other});
$node->safe_psql('postgres', "DROP SCHEMA $schema");

# Created again, elsewhere, it takes the tables as it finds them.

$node->safe_psql('postgres', 'CREATE EXTENSION metaxy SCHEMA public');
as_user(
	q{
	DROP VIEW IF EXISTS video_active, video_latest, video_deleted;
	SELECT public.metaxy_register('video', 'video', '{video_id}')});
is( as_user("SELECT string_agg(video_id, ' ' ORDER BY video_id) FROM video_active"),
	'v1 v3 v4',
	'registered again, what was deleted is deleted');

$node->stop;
done_testing();
