
# The maintenance scripts, as "make install" has installed them, run by psql:
# usage, dry runs, deletes, errors; with names that need quoting, the extension
# in a schema that no search_path leads to, and an ordinary role.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $schema = q{"Odd schema; é"};
my $feature = q{vid'eo "x" :feature};
my $quoted = q{'vid''eo "x" :feature'};

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';

my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
my $dir = "$sharedir/metaxy";
my $files = PostgreSQL::Test::Utils::tempdir();

sub sql
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Runs a script; returns its status and what it printed.
sub script
{
	my ($name, %variables) = @_;
	my ($stdout, $stderr);
	my @command = ('psql', '-X', '-f', "$dir/$name.sql");

	push @command, '-v', "$_=$variables{$_}" foreach sort keys %variables;
	IPC::Run::run(\@command, '<', \undef, '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}

# Asserts that a script succeeds; returns its output.
sub works
{
	my ($test, $name, %variables) = @_;
	my ($status, $stdout, $stderr) = script($name, %variables);

	is($status, 0, "$test: status") or diag($stdout, $stderr);
	return wantarray ? ($stdout, $stderr) : $stdout;
}

# Asserts that a script fails with a message, and changes nothing.
sub fails
{
	my ($test, $message, $name, %variables) = @_;
	my $before = state();
	my ($status, $stdout, $stderr) = script($name, %variables);

	is($status, 3, "$test: status");
	like($stderr, $message, "$test: message");
	is(() = $stderr =~ /(?:ERROR|error):/g, 1, "$test: stops at once")
	  or diag($stderr);
	is(state(), $before, "$test: nothing is changed");
	return $stderr;
}

# All that a script could change.
sub state
{
	return sql(
		qq{SELECT v FROM app.video AS v ORDER BY v;
		   SELECT c FROM app."Odd 'chunk" AS c ORDER BY c;
		   SELECT s FROM app.summary AS s ORDER BY s;
		   SELECT count(*) FROM $schema.metaxy_deletion});
}

sub active
{
	return sql(
		q{SELECT (SELECT string_agg(video_id, ' ' ORDER BY video_id)
					FROM app.video_active),
				 (SELECT string_agg("chunk ""id" || part, ' '
									ORDER BY "chunk ""id", part)
					FROM app."Odd 'chunk_active"),
				 (SELECT string_agg(video_id, ' ' ORDER BY video_id)
					FROM app.summary_active)});
}

sub file
{
	my ($name, $content) = @_;

	append_to_file("$files/$name", $content);
	return "$files/$name";
}

#
# Where they are
#

# beside them are the completions of the metaxy command
my @installed = sort map { s,.*/,,r } glob("$dir/*");
is_deeply(
	\@installed,
	[ sort map { s,.*/,,r } glob('scripts/* src/bin/completion/*') ],
	'all scripts are installed');
my @names = map { /^(\w+)\.sql$/ ? $1 : () } @installed;
my $readme = slurp_file('README.md');
ok($readme =~ /pg_config --sharedir\)\/metaxy\/$_\.sql"/, "README: $_")
  foreach @names;

#
# Before anything is there, and without what they need
#

my @required = (
	[ report => () ],
	[ cleanup => (feature => 'f', filter => 'true') ],
	[ erase_list => (feature => 'f', file => 'f') ],
	[ sweep_orphans => () ]);
foreach (@required)
{
	my ($status, $stdout, $stderr) = script(@$_);

	is($status, 3, "$_->[0] without the extension: status");
	like(
		$stderr,
		qr/ERROR:  extension "metaxy" is not created in this database\n$/,
		"$_->[0] without the extension: message");
}

sql(qq{
	CREATE ROLE regress_metaxy_user LOGIN;
	CREATE SCHEMA app AUTHORIZATION regress_metaxy_user;
	CREATE SCHEMA $schema;
	CREATE EXTENSION metaxy SCHEMA $schema;
	GRANT USAGE ON SCHEMA $schema TO regress_metaxy_user;
	SET ROLE regress_metaxy_user;
	SET search_path = app, $schema;

	CREATE TABLE video (video_id varchar, size integer);
	CREATE TABLE "Odd 'chunk" ("chunk ""id" text, part integer, video_id varchar);
	CREATE TABLE summary (video_id varchar);
	SELECT metaxy_register($quoted, 'video', '{video_id}', 'v1'),
		   metaxy_register('chunk', '"Odd ''chunk"',
						   ARRAY['chunk "id', 'part']),
		   metaxy_register('summary', 'summary', '{video_id}');
	SELECT metaxy_depend('chunk', $quoted, '1:N', '{video_id}'),
		   metaxy_depend('summary', 'chunk', 'N:1', '{video_id}');
	INSERT INTO video SELECT 'v' || i, i FROM generate_series(1, 6) AS i;
	INSERT INTO video (video_id, metaxy_feature_version) VALUES ('v1', 'v0');
	INSERT INTO "Odd 'chunk"
	SELECT video_id || '/', i, video_id
	  FROM video_active, generate_series(1, 2) AS i;
	INSERT INTO summary SELECT video_id FROM video_active;
});

fails('cleanup without a filter', qr/Usage: psql .* -v filter=FILTER/,
	'cleanup', feature => $feature);
fails('cleanup without a feature', qr/ERROR:  variables "feature" and "filter"/,
	'cleanup', filter => 'true');
fails('erase_list without a file', qr/Usage: psql .* -v file=/,
	'erase_list', feature => $feature);
fails('erase_list without a feature', qr/ERROR:  variables "feature" and "file"/,
	'erase_list', file => 'f');
fails('confirm is misspelt', qr/ERROR:  variable "confirm" is neither/,
	'cleanup', feature => $feature, filter => 'true', confirm => 'YES');
fails('unknown feature', qr/ERROR:  feature "no" is not registered/,
	$_->[0], @$_[ 1 .. $#$_ ], feature => 'no', confirm => 'yes')
  foreach @required[ 1 .. 3 ];

#
# cleanup
#

my $before = state();
my ($out, $err) = works(
	'cleanup, dry run', 'cleanup',
	feature => $feature, filter => 'size > 5', cascade => 'downstream');
like($out, qr/\n +3 \| vid'eo "x" :feature \| app\.video +\| +1 \|/,
	'cleanup, dry run: what would be deleted');
like($out, qr/^Nothing was deleted\./m, 'cleanup, dry run: says so');
is(state(), $before, 'cleanup, dry run: nothing is changed');
my ($digest) = $out =~ /\b([0-9a-f]{16})\b/;

fails(
	'cleanup, another plan', qr/ERROR:  the delete is not the expected one/,
	'cleanup', feature => $feature, filter => 'size > 4',
	cascade => 'downstream', expect => $digest, confirm => 'yes');
fails('cleanup, bad filter', qr/ERROR:  syntax error/,
	'cleanup', feature => $feature, filter => 'size >', confirm => 'yes');
fails('cleanup, bad option', qr/ERROR:  invalid input syntax for type boolean/,
	'cleanup', feature => $feature, filter => 'true', soft => 'maybe',
	confirm => 'yes');
$out = works(
	'cleanup', 'cleanup', feature => $feature, filter => 'size > 5',
	cascade => 'downstream', reason => "it's", expect => $digest,
	confirm => 'yes');
is(active(),
	'v1 v2 v3 v4 v5|v1/1 v1/2 v2/1 v2/2 v3/1 v3/2 v4/1 v4/2 v5/1 v5/2|v1 v2 v3 v4 v5',
	'cleanup: what is left');
is( sql("SELECT id, kind, reason, soft, cascade, samples FROM $schema.metaxy_deletions"),
	"1|delete|it's|t|downstream|4",
	'cleanup: the ledger');
works('cleanup, hard', 'cleanup', feature => 'summary',
	filter => q{video_id = 'v6'}, soft => 'false', confirm => 'yes');
is(sql("SELECT count(*) FROM app.summary WHERE video_id = 'v6'"),
	'0', 'cleanup, hard: rows are gone');

#
# sweep_orphans
#

works('cleanup without a cascade', 'cleanup', feature => $feature,
	filter => q{video_id = 'v5'}, confirm => 'yes');
$before = state();
$out = works('sweep_orphans, dry run', 'sweep_orphans');
like($out, qr/\n chunk +\| +1 \| chunk +\| app\."Odd 'chunk" +\| +2 \|/,
	'sweep_orphans, dry run: orphans');
is(state(), $before, 'sweep_orphans, dry run: nothing is changed');
$out = works('sweep_orphans, one feature, dry run',
	'sweep_orphans', feature => 'chunk');
($digest) = $out =~ /\b([0-9a-f]{16})\b/;
fails('sweep_orphans, another plan', qr/ERROR:  the delete is not the expected/,
	'sweep_orphans', feature => 'chunk', cascade => 'downstream',
	expect => $digest, confirm => 'yes');
fails('sweep_orphans, expect without a feature', qr/ERROR:  variable "expect"/,
	'sweep_orphans', expect => $digest);
works('sweep_orphans', 'sweep_orphans', confirm => 'yes');
is(active(), 'v1 v2 v3 v4|v1/1 v1/2 v2/1 v2/2 v3/1 v3/2 v4/1 v4/2|v1 v2 v3 v4',
	'sweep_orphans: from root to leaf');
works('cleanup of a chunk', 'cleanup', feature => 'chunk',
	filter => q{video_id = 'v4'}, confirm => 'yes');
$out = works('sweep_orphans, one feature', 'sweep_orphans',
	feature => 'summary', soft => 'false', confirm => 'yes');
is(active(), 'v1 v2 v3 v4|v1/1 v1/2 v2/1 v2/2 v3/1 v3/2|v1 v2 v3',
	'sweep_orphans, one feature: what is left');
is( sql("SELECT kind, reason, features FROM $schema.metaxy_deletions ORDER BY id DESC LIMIT 1"),
	'orphans|sweep_orphans|{summary}',
	'sweep_orphans: the ledger');

#
# erase_list
#

my $list = file(q{li'st \\of:feature.csv}, "video_id\nv1\nv9\nv1\n\"no, 'no\"\n");
$before = state();
($out, $err) = works('erase_list, dry run', 'erase_list',
	feature => $feature, file => $list, cascade => 'downstream');
like($err, qr/^Nothing was deleted\./, 'erase_list, dry run: says so');
is(state(), $before, 'erase_list, dry run: nothing is changed');
($digest) = $out =~ /,([0-9a-f]{16}),/;
($out, $err) = works(
	'erase_list', 'erase_list', feature => $feature, file => $list,
	cascade => 'downstream', soft => 'false', confirm => 'yes');
is($err, '', 'erase_list: nothing but the report');
my $id = sql("SELECT max(id) FROM $schema.metaxy_deletions");
my $stamp = sql("SELECT stamp FROM $schema.metaxy_deletions WHERE id = $id");
my $tail = "0,$id,$stamp,DIGEST,";
is( $out =~ s/\b[0-9a-f]{16}\b/DIGEST/gr, <<"EOT", 'erase_list: the report');
feature,relation,samples,rows,stale,deletion_id,stamp,digest,not_found
summary,app.summary,1,1,$tail
chunk,"app.""Odd 'chunk""",2,2,$tail
"vid'eo ""x"" :feature",app.video,1,2,$tail
"vid'eo ""x"" :feature",,0,0,,,,,"no, 'no"
"vid'eo ""x"" :feature",,0,0,,,,,v9
EOT
is(sql("SELECT count(*) FROM app.video WHERE video_id = 'v1'"),
	'0', 'erase_list: rows of other versions are gone too');

$list = file('pairs.csv', qq{"chunk ""id",part\nv2/,2\nv4/,1\n});
$out = works('erase_list, several id columns', 'erase_list',
	feature => 'chunk', file => $list, confirm => 'yes');
like($out, qr/^chunk,,0,0,,,,,"v4\/, 1"$/m,
	'erase_list, several id columns: what is deleted is not found');
is(active(), 'v2 v3 v4|v2/1 v3/1 v3/2|v2 v3', 'erase_list: what is left');

fails('erase_list, another plan', qr/ERROR:  the delete is not the expected/,
	'erase_list', feature => 'chunk', expect => $digest, confirm => 'yes',
	file => file('one.csv', qq{"chunk ""id",part\nv3/,1\n}));
fails('erase_list, no file', qr/error: .*No such file/,
	'erase_list', feature => 'chunk', file => "$files/none", confirm => 'yes');
fails('erase_list, other columns', qr/ERROR:  column name mismatch in header/,
	'erase_list', feature => 'chunk', confirm => 'yes',
	file => file('other.csv', qq{part,"chunk ""id"\n1,v3/\n}));
fails('erase_list, another type', qr/ERROR:  invalid input syntax for type int/,
	'erase_list', feature => 'chunk', confirm => 'yes',
	file => file('type.csv', qq{"chunk ""id",part\nv3/,one\n}));
fails('erase_list, no id', qr/ERROR:  null value in column "part"/,
	'erase_list', feature => 'chunk', confirm => 'yes',
	file => file('null.csv', qq{"chunk ""id",part\nv3/,\n}));

# What somebody has planted on the search_path is not called.  Samples are told
# apart by the ordering of their type, wherever that is.

sql(q{
	CREATE FUNCTION public.planted(varchar, varchar) RETURNS boolean
		LANGUAGE sql AS 'SELECT true';
	CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar,
							  FUNCTION = public.planted)});
works('erase_list, planted operator', 'erase_list', feature => $feature,
	file => file('planted.csv', "video_id\nv9\n"), confirm => 'yes');
is(active(), 'v2 v3 v4|v2/1 v3/1 v3/2|v2 v3',
	'erase_list, planted operator: is not called');
works('sweep_orphans, planted operator', 'sweep_orphans', confirm => 'yes');
is(active(), 'v2 v3 v4|v2/1 v3/1 v3/2|v2 v3',
	'sweep_orphans, planted operator: is not called');
sql('DROP FUNCTION public.planted CASCADE');

#
# report
#

$before = state();
$out = works('report', 'report');
like($out, qr/\n chunk +\| +\| +3 \|/, 'report: samples');
like($out, qr/\n chunk +\| vid'eo "x" :feature \| +0\n/, 'report: orphans');
like($out, qr/\n +$_ +\|/, "report: operation $_") foreach $id, $id + 1;
is(state(), $before, 'report: nothing is changed');

# Nothing of this needs to write.

$ENV{PGOPTIONS} = '-c default_transaction_read_only=on';
works('report, read only', 'report');
works('cleanup, dry run, read only', 'cleanup', feature => $feature,
	filter => 'true', cascade => 'downstream');
works('sweep_orphans, dry run, read only', 'sweep_orphans');
fails('cleanup, read only', qr/ERROR:  cannot execute/, 'cleanup',
	feature => $feature, filter => 'true', confirm => 'yes');
delete $ENV{PGOPTIONS};

#
# An ordinary role, and one without rights
#

$ENV{PGUSER} = 'regress_metaxy_user';
works('cleanup by the owner', 'cleanup', feature => $feature,
	filter => q{video_id = 'v4'}, confirm => 'yes');
works('erase_list by the owner', 'erase_list', feature => $feature,
	cascade => 'downstream', confirm => 'yes',
	file => file('owner.csv', "video_id\nv3\n"));
works('sweep_orphans by the owner', 'sweep_orphans', confirm => 'yes');
delete $ENV{PGUSER};
is(active(), 'v2|v2/1|v2', 'the owner can delete');

sql("CREATE ROLE regress_metaxy_other LOGIN;
	 GRANT USAGE ON SCHEMA $schema, app TO regress_metaxy_other");
my %needed = (
	feature => $feature, filter => 'true', file => "$files/owner.csv",
	confirm => 'yes');
foreach (@required[ 1 .. 3 ])
{
	$before = state();
	$ENV{PGUSER} = 'regress_metaxy_other';
	my ($status, $stdout, $stderr) = script($_->[0], %needed);
	delete $ENV{PGUSER};
	is($status, 3, "$_->[0] without rights: status");
	like($stderr, qr/ERROR:  permission denied for table video/,
		"$_->[0] without rights: message");
	is(state(), $before, "$_->[0] without rights: nothing is changed");
}
$ENV{PGUSER} = 'regress_metaxy_other';
$out = works('report without rights', 'report');
delete $ENV{PGUSER};
like($out, qr/\n chunk +\| +\| +\|/, 'report without rights: no counts');

#
# retention
#

fails('retention without an age', qr/Usage: psql .* -v older_than=/,
	'retention', feature => $feature);
fails('retention without a feature', qr/ERROR:  variables "feature" and/,
	'retention', older_than => '1 day');
$before = state();
$out = works('retention of all, not confirmed', 'retention');
like($out, qr/^Nothing was removed\./, 'retention of all: says so');
is(state(), $before, 'retention of all, not confirmed: nothing is changed');

my $active = active();
$before = state();
$out = works('retention, dry run', 'retention', feature => $feature,
	older_than => '0 days', history => 'true');
like($out, qr/\n +4 \| +\d+ \|/, 'retention, dry run: samples');
is(state(), $before, 'retention, dry run: nothing is changed');
fails('retention of an unknown feature',
	qr/ERROR:  feature "no" is not registered/, 'retention',
	feature => 'no', older_than => '0 days', confirm => 'yes');
fails('retention by no interval', qr/ERROR:  invalid input syntax for type int/,
	'retention', feature => 'chunk', older_than => 'long', confirm => 'yes');
works('retention', 'retention', feature => $feature,
	older_than => '0 days', history => 'true', confirm => 'yes');
is(active(), $active, 'retention: active samples stay');
is( sql('SELECT count(*) FROM app.video WHERE metaxy_deleted_at IS NOT NULL'),
	'0', 'retention: tombstones are gone');

#
# Nothing is left behind
#

is( sql(q{SELECT count(*) FROM pg_class
		   WHERE relname IN ('metaxy_ids', 'metaxy_report')}),
	'0',
	'no temporary table is left');
is_deeply([ sort map { s,.*/,,r } glob("$dir/*") ],
	\@installed, 'no file is left');

$node->stop;
done_testing();
