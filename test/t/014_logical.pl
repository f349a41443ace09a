
# Logical replication of feature tables between two servers that both have
# the extension: rows arrive as they are, the clock of the subscriber comes
# along, and what is deleted there stays deleted until something newer comes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;

# The columns of the subscriber's tables are in another order, and one table
# is partitioned there alone.
my $register = q{
	SELECT metaxy_register('video', 'video', '{video_id}', 'v1'),
		   metaxy_register('chunk', 'chunk', '{chunk_id}');
	SELECT metaxy_depend('chunk', 'video', '1:N', '{video_id}')};
my $functions = q{
	CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql AS
	$$ SELECT timestamptz '2000-01-01 00:00:00 UTC' + last_value * interval '1 microsecond' FROM metaxy_clock $$;
	CREATE VIEW recencies AS
	SELECT coalesce(metaxy_deleted_at, metaxy_updated_at) AS recency FROM video UNION ALL
	SELECT coalesce(metaxy_deleted_at, metaxy_updated_at) FROM chunk};
$publisher->safe_psql(
	'postgres', qq{
	CREATE EXTENSION metaxy;
	CREATE TABLE video (video_id text, size integer, metaxy_feature_version text,
		metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
	CREATE TABLE chunk (chunk_id text, video_id text,
		metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz);
	$register;
	$functions;
	-- ahead of the subscriber's clock
	SET metaxy.clock_shift = '2min';
	INSERT INTO video SELECT 'v' || i, i FROM generate_series(1, 5) AS i;
	INSERT INTO chunk SELECT video_id || '/' || i, video_id FROM video, generate_series(1, 2) AS i;
	SELECT metaxy_delete('video', 'size = 5', cascade => 'downstream');
	CREATE PUBLICATION metaxy FOR TABLE video, chunk});
$subscriber->safe_psql(
	'postgres', qq{
	CREATE EXTENSION metaxy;
	CREATE TABLE video (metaxy_deleted_at timestamptz, metaxy_updated_at timestamptz, metaxy_created_at timestamptz,
		extra text DEFAULT 'extra', metaxy_feature_version varchar, size integer, video_id text);
	CREATE TABLE chunk (video_id text, gone integer, chunk_id text,
		metaxy_created_at timestamptz, metaxy_updated_at timestamptz, metaxy_deleted_at timestamptz) PARTITION BY HASH (chunk_id);
	ALTER TABLE chunk DROP gone;
	CREATE TABLE chunk_0 PARTITION OF chunk FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE chunk_1 PARTITION OF chunk FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	$register;
	$functions;
	CREATE SUBSCRIPTION metaxy CONNECTION '@{[ $publisher->connstr ]} dbname=postgres' PUBLICATION metaxy});
$subscriber->wait_for_subscription_sync($publisher, 'metaxy');

my @columns = (
	'video_id, size, metaxy_feature_version, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at',
	'chunk_id, video_id, metaxy_created_at, metaxy_updated_at, metaxy_deleted_at');

# all that a table or view of both holds
sub rows_of
{
	my ($node, $suffix) = @_;

	return $node->safe_psql('postgres',
		"SELECT $columns[0] FROM video$suffix ORDER BY video_id, metaxy_updated_at, metaxy_deleted_at NULLS FIRST;
		 SELECT $columns[1] FROM chunk$suffix ORDER BY chunk_id, metaxy_updated_at, metaxy_deleted_at NULLS FIRST");
}

sub compare
{
	my ($what) = @_;

	for my $suffix ('', qw(_active _latest _deleted))
	{
		my $rows = rows_of($publisher, $suffix);
		isnt($rows, '', "$what: there are rows: $suffix");
		is(rows_of($subscriber, $suffix), $rows,
			"$what: the same on both sides: $suffix");
	}
	return;
}

sub check_clock
{
	my ($what) = @_;

	is( $subscriber->safe_psql(
			'postgres', 'SELECT clock() >= max(recency) FROM recencies'),
		't',
		"$what: the subscriber's clock is not below any row");
	return;
}

# The rows that were there when it subscribed were copied, others are applied

compare('copied');
check_clock('copied');

$publisher->safe_psql(
	'postgres', q{
	SET metaxy.clock_shift = '3min';
	INSERT INTO video VALUES ('v6', 6), ('v1', 11);
	INSERT INTO video VALUES ('v7', 7, 'v0');
	INSERT INTO chunk SELECT 'v6/' || i, 'v6' FROM generate_series(1, 4) AS i;
	SELECT metaxy_delete('video', 'size = 2', cascade => 'downstream');
	-- as Metaxy's own client deletes
	INSERT INTO video VALUES ('v3', 3, 'v1', now(), now(), now())});
$publisher->wait_for_catchup('metaxy');
compare('applied');
check_clock('applied');
is( $subscriber->safe_psql(
		'postgres', q{SELECT count(*) FROM video WHERE extra = 'extra'}),
	$publisher->safe_psql('postgres', 'SELECT count(*) FROM video'),
	'columns of the subscriber alone have their defaults');

# The subscriber's own rows and deletes lie above what has arrived

is( $subscriber->safe_psql(
		'postgres', q{
		SELECT feature, samples FROM metaxy_delete('video', 'video_id IN (''v1'', ''v4'')', cascade => 'downstream');
		SELECT video_id FROM video_active ORDER BY 1;
		SELECT count(*) FROM chunk_active WHERE video_id IN ('v1', 'v4')}),
	"chunk|4\nvideo|2\nv6\n0",
	'a delete of the subscriber hides what has arrived');
is( $subscriber->safe_psql(
		'postgres', q{
		INSERT INTO video (video_id, size) VALUES ('own', 1)
		RETURNING metaxy_feature_version, metaxy_updated_at > (SELECT max(recency) FROM recencies)}),
	'v1|t',
	'a row of its own is stamped');

# Later rows of the publisher come through

$publisher->safe_psql(
	'postgres', q{
	SET metaxy.clock_shift = '4min';
	INSERT INTO video VALUES ('v1', 111);
	INSERT INTO chunk VALUES ('v1/1', 'v1')});
$publisher->wait_for_catchup('metaxy');
is( $subscriber->safe_psql(
		'postgres', q{
		SELECT video_id, size FROM video_active ORDER BY 1;
		SELECT chunk_id FROM chunk_active WHERE video_id IN ('v1', 'v4') ORDER BY 1}),
	"own|1\nv1|111\nv6|6\nv1/1",
	'what the publisher writes later is there');
check_clock('later rows');

# Replication waits for a delete of nobody: a delete that is under way does
# not keep rows from being applied, and hides none of them

my $deleter = $subscriber->background_psql('postgres');
$deleter->query_safe(
	q{BEGIN; SELECT samples FROM metaxy_delete('video', 'size > 0')});
$publisher->safe_psql(
	'postgres', q{
	SET metaxy.clock_shift = '4min';
	INSERT INTO video VALUES ('during', 1)});
$publisher->wait_for_catchup('metaxy');
$deleter->query_safe('COMMIT');
$deleter->quit;
is( $subscriber->safe_psql(
		'postgres', 'SELECT video_id FROM video_active ORDER BY 1'),
	'during',
	'a row that arrived during a delete is there');

# Rows from further ahead than metaxy.max_skew stop the replication, until the
# setting or the wall clock lets them in

$publisher->safe_psql(
	'postgres', q{
	SET metaxy.clock_shift = '1h';
	INSERT INTO video VALUES ('late', 1)});
$subscriber->wait_for_log(
	qr/a row of feature "video" is dated too far ahead/);
is( $subscriber->safe_psql(
		'postgres', q{SELECT count(*) FROM video WHERE video_id = 'late'}),
	'0',
	'a row from too far ahead is not applied');
$subscriber->safe_psql(
	'postgres', q{LOAD 'metaxy'; ALTER SYSTEM SET metaxy.max_skew = '2h'});
$subscriber->reload;
$publisher->wait_for_catchup('metaxy');
is( $subscriber->safe_psql(
		'postgres', q{SELECT video_id FROM video_active ORDER BY 1}),
	"during\nlate",
	'with another metaxy.max_skew it is');
check_clock('late rows');

# A subscriber whose registry is empty takes rows as they come

$subscriber->safe_psql(
	'postgres', q{
	SELECT metaxy_undepend('chunk', 'video');
	SELECT metaxy_unregister('video');
	CREATE TRIGGER zzzz_metaxy_stamp BEFORE INSERT ON video FOR EACH ROW EXECUTE FUNCTION metaxy_stamp();
	ALTER TABLE video ENABLE ALWAYS TRIGGER zzzz_metaxy_stamp});
$publisher->safe_psql(
	'postgres', q{
	INSERT INTO video VALUES ('unregistered', 1)});
$publisher->wait_for_catchup('metaxy');
is( $subscriber->safe_psql(
		'postgres', q{
		SELECT metaxy_updated_at FROM video WHERE video_id = 'unregistered'}),
	$publisher->safe_psql(
		'postgres', q{
		SELECT metaxy_updated_at FROM video WHERE video_id = 'unregistered'}),
	'rows of a table that holds no feature pass through');
$subscriber->safe_psql('postgres',
	q{SELECT metaxy_register('video', 'video', '{video_id}', 'v1')});
check_clock('registered again');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION metaxy');
$subscriber->stop;
$publisher->stop;
done_testing();
