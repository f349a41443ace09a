
# Metaxy::Latest::Table: a random table, and what happens to it.

package Metaxy::Latest::Table;

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use Exporter qw(import);

our @EXPORT_OK = qw(one_of chance plain_type);

# Types of id columns, and a value of each for a small number.  Some have
# values that are equal and do not look it; some local times do not exist.  Long ones leave room for few entries
# on a page of the index.
my %types = (
	'text' => sub { "'k$_[0]'" },
	'text COLLATE "C"' => sub { "'k$_[0]'" },
	'text COLLATE no_case' => sub { one_of("'k$_[0]'", "'K$_[0]'") },
	'text /* long */' => \&long_value,
	'text COLLATE "C" /* long */' => \&long_value,
	'text COLLATE no_case /* long */' => sub { one_of(long_value(@_), uc long_value(@_)) },
	'text /* compressible */' => sub { "'" . 'k' x (500 + 13 * ($_[0] % 7)) . "$_[0]'" },
	'bytea /* long */' => sub { long_value(@_) },
	'varchar' => sub { "'id $_[0]'" },
	'varchar(20)' => sub { "'$_[0]'" },
	'char(6)' => sub { one_of("'c$_[0]'", "'c$_[0] '") },
	'bpchar' => sub { one_of("'b$_[0]'", "'b$_[0] '") },
	'name' => sub { "'n$_[0]'" },
	'integer' => sub { $_[0] - 3 },
	'bigint' => sub { "'" . ($_[0] * 3000000000) . "'" },
	'smallint' => sub { $_[0] % 1000 },
	'numeric' => sub { one_of("'$_[0]'", "'$_[0].0'", "'$_[0].00'") },
	'float8' => sub { $_[0] == 1 ? one_of("'-0'", "'0'") : $_[0] == 2 ? "'NaN'" : "'$_[0].5'" },
	'timestamptz' => sub { "timestamptz '2020-03-28 22:00:00+00' + $_[0] * interval '30 min'" },
	'interval' => sub { one_of("'$_[0] days'", "'" . $_[0] * 24 . " hours'") },
	'uuid' => sub { sprintf "'00000000-0000-0000-0000-%012d'", $_[0] },
	'boolean' => sub { $_[0] % 2 ? 'true' : 'false' },
	'integer[]' => sub { "'{7,$_[0]}'" },
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

# Its first letters are those of others, too.  As a later column it is shorter,
# since an entry may have 2.7 kB.
sub long_value
{
	my ($n, $key) = @_;
	my $length = $key ? one_of_number($n, 20, 126, 127, 200) :
	  one_of_number($n, 20, 126, 127, 300, 700, 900, 1400);
	my $value = 'long' . $n % 3;

	$value .= md5_base64("$n " . length $value) =~ tr{+/}{xy}r while length $value < $length;
	return "'" . substr($value, 0, $length) . ".$n'";
}

sub one_of_number
{
	my ($n, @choices) = @_;

	return $choices[ $n % @choices ];
}

# Without what only the definition of a column has.
sub plain_type
{
	my ($kind) = @_;

	return $kind =~ s{ (COLLATE|/\*).*}{}r;
}

sub all_types
{
	return sort keys %types;
}

# Makes a table: keys of random types, versioned or not, with one of many
# indexes that serve, or none.
sub make_table
{
	my ($self, $number) = @_;
	my @kinds = map { one_of(@{ $self->{types} }) } 1 .. one_of(1, 1, 2, 3);
	my @keys = map { "k$_" } 1 .. @kinds;
	my $versioned = chance(0.6);
	my $index = one_of('own', 'own', 'old', 'desc', 'mixed', 'mixed', 'include', 'more', 'none');

	# many samples for batches, some with many versions for jumps
	# partitioned by a key, or by what is none
	my $parts = chance(0.2) ? one_of(1, 2, 3) : 0;
	my $by = one_of(@keys, 'grp');
	my $long = grep { /long|compressible/ } @kinds;
	my $samples = !$long && chance(0.06) ? 7000 : one_of(1, 4, 12, 40, 40);
	my $extra = one_of('', 'grp', 'grp', 'note');
	$self->{table} = "t$number";
	$self->{keys} = \@keys;
	$self->{kinds} = \@kinds;
	$self->{versioned} = $versioned;
	$self->{samples} = $samples;
	$self->{rows} = 0;
	$self->{extra} = $extra;
	$self->{serves} = $index ne 'none';
	$self->{groups} = one_of(5, 50);
	# recencies that are all different, or few with many ties
	$self->{ties} = one_of(1, 0.2);
	$self->{description} = join ', ', @kinds, ($versioned ? 'versioned' : ()),
	  "index $index", "$samples samples",
	  ($extra ? "and on $extra" : ()),
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
	$main->run("CREATE INDEX ON $t ($extra)") if $extra;
	$self->make_index($index);
	return;
}

sub make_index
{
	my ($self, $index) = @_;
	my $t = $self->{table};
	my @columns = ($self->{versioned} ? 'metaxy_feature_version' : (), @{ $self->{keys} });
	my $recency = '(coalesce(metaxy_deleted_at, metaxy_updated_at))';
	my $flag = '(metaxy_deleted_at IS NOT NULL)';
	my $down = one_of('', ' DESC');
	my %indexes = (
		old => [ @columns, "$recency$down" ],
		desc => [ @columns, "$recency DESC", "$flag DESC" ],
		mixed => [ (map { $_ . one_of('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST') } reverse @columns),
			"$recency$down", $flag . one_of($down, $down, ' DESC') ],
		include => [ @columns, $recency, $flag ],
		more => [ @columns, "$recency$down", 'grp' ]);

	$self->{main}->run("CREATE INDEX ON $t (" . join(', ', @{ $indexes{$index} }) . ')'
		  . ($index eq 'include' ? ' INCLUDE (note)' : '')
		  . one_of('', '', ' WITH (deduplicate_items = off)', ' WITH (fillfactor = 50)'))
	  if exists $indexes{$index};
	return;
}

# A value of the key with that number.
sub value
{
	my ($self, $key) = @_;
	my $n = 1 + int rand($self->{samples});

	$n = 1 + int rand 3 if $key > 0;
	return $types{ $self->{kinds}[$key] }->($n, $key);
}

sub instant
{
	my ($self) = @_;

	return one_of(@instants) if chance($self->{ties});
	return "timestamptz '2024-01-01' + " . int(rand 600000) . " * interval '1 s'";
}

# The beginning of an INSERT.
sub insert_into
{
	my ($self) = @_;

	return "INSERT INTO $self->{table} (" . join(', ', @{ $self->{keys} }, 'grp', 'note',
		'metaxy_created_at', 'metaxy_updated_at', 'metaxy_deleted_at',
		$self->{versioned} ? 'metaxy_feature_version' : ()) . ') ';
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
		push @rows, '(' . join(', ', @values, int rand $self->{groups}, "'n" . ++$self->{note} . "'",
			"'2024-01-01'", $self->instant,
			chance(0.25) ? $self->instant : 'NULL',
			$self->{versioned} ? one_of("'v1'", "'v1'", "'v1'", "'v2'") : ()) . ')';
	}
	return $self->insert_into . 'VALUES ' . join(', ', @rows);
}

# So many versions of some samples, as a query.
sub versions
{
	my ($self, $n, $samples) = @_;
	my $keys = $#{ $self->{keys} };
	my $values = join ', ', map {
		'(' . join(', ', map { '(' . $self->value($_) . ')::' . plain_type($self->{kinds}[$_]) } 0 .. $keys) . ')'
	} 1 .. $samples;
	my $instant = "timestamptz '2024-01-01' + " .
	  (chance($self->{ties}) ? "mod(n, 7) * interval '1 day'" : "n * interval '13 s'");
	my $note = ($self->{note} += 1);

	$self->{rows} += $n * $samples;
	return $self->insert_into . 'SELECT ' . join(', ', map({ "k$_" } 1 .. $keys + 1),
		"mod(n, $self->{groups})", "'n$note ' || n", "'2024-01-01'", $instant,
		one_of("CASE WHEN mod(n, 3) = 0 THEN $instant END", 'NULL'),
		$self->{versioned} ? "'v1'" : ())
	  . " FROM (VALUES $values) AS v (" . join(', ', map { "k$_" } 1 .. $keys + 1)
	  . "), generate_series(1, $n) AS n ORDER BY md5(n::text)";
}

# Many rows at once, by a query.
sub fill
{
	my ($self) = @_;

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
	  . "') LIMIT " . one_of(1, 3, 10, 100) . ')';

	return one_of(
		sub { $self->fill },
		sub { $self->rows(one_of(1, 2, 5), 1) },
		sub { "UPDATE $t SET note = note || 'h' WHERE $some" },
		sub { "UPDATE $t SET metaxy_updated_at = " . $self->instant . " WHERE $some" },
		sub { "UPDATE $t SET metaxy_deleted_at = " . one_of($self->instant, 'NULL') . " WHERE $some" },
		sub { "DELETE FROM $t WHERE $some" })->();
}

# Empties a part of the index, so that VACUUM deletes its pages.
sub delete_range
{
	my ($self) = @_;

	return "DELETE FROM $self->{table} WHERE k1 " . one_of('<=', '>=', '=') . ' ' . $self->value(0);
}

# Long values are stored in another way from now on.
sub store_otherwise
{
	my ($self) = @_;
	my $main = $self->{main};
	my ($key) = grep { $self->{kinds}[ $_ - 1 ] =~ /compressible/ } 1 .. @{ $self->{kinds} };

	return unless $key;
	$main->try('SET default_toast_compression = ' . one_of('pglz', 'lz4'));
	return if $self->{other_open} || $self->{old_open};
	$main->try("ALTER TABLE $self->{table} ALTER k$key SET STORAGE " . one_of('PLAIN', 'EXTENDED', 'EXTERNAL'));
	return;
}

# One sample with many versions, seen by all or by none; or several.
sub add_versions
{
	my ($self) = @_;
	my $main = $self->{main};

	return if $self->{samples} > 1000 || $self->{rows} > 2000;
	if (chance(0.5))
	{
		$main->run($self->versions(one_of([ 3, 30 ], [ 30, 30 ], [ 100, 10 ], [ 300, 4 ], [ 1200, 1 ])->@*));
		return;
	}
	$main->run($_)
	  for 'BEGIN', $self->rows(one_of(20, 300, 1500), 1), one_of('COMMIT', 'ROLLBACK');
	return;
}

# A transaction that is open would keep it waiting for the end of the table.
sub vacuum
{
	my ($self, @options) = @_;

	push @options, 'TRUNCATE off' if $self->{other_open} || $self->{old_open};
	$self->{main}->run('VACUUM ' . (@options ? '(' . join(', ', @options) . ') ' : '') . $self->{table});
	return;
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
		(sub { $self->add_versions }) x 2,
		sub { $main->run($_) for 'BEGIN', $self->write, $self->write, 'ROLLBACK' },
		sub {
			$main->run($_)
			  for 'BEGIN', $self->write, 'SAVEPOINT s', $self->write, 'ROLLBACK TO s',
			  $self->write, 'COMMIT';
		},
		sub { $self->vacuum },
		sub { $self->vacuum('FREEZE') },
		sub { $self->vacuum('INDEX_CLEANUP off') },
		sub {
			# of pages that are deleted, some are used again by the second one
			return if $self->{other_open};
			$main->run($self->delete_range);
			$self->vacuum('INDEX_CLEANUP on');
		},
		sub { $main->run("ANALYZE $t") },
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

1;
