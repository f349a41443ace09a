
# metaxy_maintain() under a real pg_cron, as README shows it: what was to be
# kept for a while only is gone after its first turn.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
plan skip_all => 'pg_cron is not installed'
  unless -e "$libraries/pg_cron.so";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
my $host = $node->host;
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.host = '$host'
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION pg_cron;
	CREATE EXTENSION metaxy;
	CREATE TABLE video (video_id text, size integer);
	SELECT metaxy_register('video', 'video', '{video_id}');
	INSERT INTO video SELECT 'v' || i, i FROM generate_series(1, 9) AS i;
	SELECT metaxy_delete('video', 'size < 4');
	SELECT metaxy_retain('video', purge_after => '0 seconds')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM video'),
	'12', 'there is something to purge');
$node->safe_psql('postgres',
	q{SELECT cron.schedule('metaxy', '* * * * *', 'CALL metaxy_maintain()')});

# Its turn comes with the next minute.
$node->poll_query_until('postgres',
	q{SELECT count(*) > 0 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')})
  or die 'pg_cron did not run the job';
is($node->safe_psql('postgres',
		'SELECT DISTINCT status FROM cron.job_run_details'),
	'succeeded', 'it has run');
is($node->safe_psql('postgres', 'SELECT count(*), count(metaxy_deleted_at) FROM video'),
	'6|0', 'what was deleted is gone');
is($node->safe_psql('postgres', 'SELECT count(*) FROM video_active'),
	'6', 'the others are there');

$node->stop;
done_testing();
