
# pgspot finds nothing in the extension's scripts: no name in them means what
# another user's object makes of it, and nothing is replaced that another user
# may have put there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use Metaxy::Venv;
use PostgreSQL::Test::Utils;
use Test::More;

my @python = Metaxy::Venv::python_with('pgspot.cli', 'pgspot==0.9.4', 'pglast==7.21');

# What pgspot says to SQL; its last line has the counts.  It takes no options:
# it knows what @extschema@ stands for.
sub pgspot
{
	my ($sql) = @_;

	my $output;
	IPC::Run::run([ @python, '-m', 'pgspot' ], '<', \$sql, '>&', \$output,
		IPC::Run::timeout(60));
	return $output;
}

my $nothing = "Errors: 0 Warnings: 0 Unknown: 0\n";

# Each script alone, as CREATE EXTENSION and ALTER EXTENSION run them.
my @scripts = sort glob 'sql/*.sql';
is(pgspot(slurp_file($_)), $nothing, $_) for @scripts;

# It does look, and to the end of a script.
my $found = pgspot(slurp_file($scripts[0]) . 'SELECT lower(relname) FROM pg_class;');
like($found, qr/Unqualified function call: lower /, 'what there is it finds');
like($found, qr/Unqualified object reference: pg_class /, 'all of it');

done_testing();
