
# Metaxy::Latest::Query: random queries on the views of a random table, and
# settings to plan them with.

package Metaxy::Latest::Query;

use strict;
use warnings;

use Metaxy::Latest::Table qw(one_of chance plain_type);

# Types of arrays that a column can be compared with, besides its own.
my %related = (
	'integer' => [qw(bigint smallint)],
	'bigint' => ['integer'],
	'smallint' => [qw(integer bigint)],
	'float8' => ['float4'],
	'timestamptz' => [qw(timestamp date)],
	'name' => ['text'],
	'varchar' => ['text'],
	'varchar(20)' => ['text']);

# The name of a parameter, whose values each() makes, or a value as it is.
sub given
{
	my ($self, $type, $each) = @_;
	my $parameters = $self->{parameters};

	return $each->() unless $parameters && chance(0.7);
	push @$parameters, { type => $type, each => $each };
	return '$' . @$parameters;
}

# The type of what a key is compared with: mostly its own.
sub type_beside
{
	my ($self, $k) = @_;
	my $type = plain_type($self->{kinds}[$k]);
	my $others = $related{$type};

	return $others && chance(0.4) ? one_of(@$others) : $type;
}

# A value, of that type, that is in its range.
sub value_as
{
	my ($self, $k, $type) = @_;
	my $value = $self->value($k);

	return '(' . int(rand 20) . ")::$type" if $type =~ /^(integer|smallint)$/ && $self->{kinds}[$k] eq 'bigint';
	# clocks jump from 2:00 to 3:00
	return "timestamp '2020-03-29 " . one_of('01:30', '02:00', '02:30', '03:00', '03:30') . "'"
	  if $type eq 'timestamp';
	return "($value)::$type";
}

# A condition on a key.
sub key_condition
{
	my ($self, $v, $k) = @_;
	my $column = "$v.k" . ($k + 1);
	my $type = $self->type_beside($k);
	my $value = sub { chance(0.03) ? "NULL::$type" : $self->value_as($k, $type) };
	my @comparisons = qw(= = = < <= >= >);

	# an array of arrays is none of values
	return one_of(
		sub { "$column " . one_of(@comparisons) . ' ' . $self->given($type, $value) },
		sub { $self->given($type, $value) . ' ' . one_of(@comparisons) . " $column" },
		sub { "$column BETWEEN " . $self->given($type, $value) . ' AND ' . $self->given($type, $value) },
		$type =~ /\[\]/ ? () : (
			(sub {
				my $array_type = $self->type_beside($k);
				"$column = ANY (" . $self->given("${array_type}[]", sub { $self->array_as($k, $array_type) }) . ')';
			}) x 3))->();
}

# An array, with nulls and duplicates.
sub array_as
{
	my ($self, $k, $type) = @_;
	my @few = map { $self->value_as($k, $type) } 1 .. one_of(0, 1, 2, 3, 5, 12);

	push @few, one_of(@few) if @few && chance(0.3);
	push @few, 'NULL' if chance(0.2);
	return chance(0.04) ? "NULL::${type}[]" : 'ARRAY[' . join(', ', @few) . "]::${type}[]";
}

# Conditions on keys, and now and then on other columns: ANDed.
sub conditions
{
	my ($self, $v) = @_;
	my $n = @{ $self->{keys} };
	my @all = map { $self->key_condition($v, int rand $n) } 1 .. one_of(1, 1, 2, 2, 3, 4);

	push @all, "$v.grp = " . int rand 5 if chance(0.15);
	push @all, "$v.metaxy_deleted_at IS NULL" if chance(0.1);
	push @all, "($v.k1, $v.k$n) >= (" . $self->value(0) . ', ' . $self->value($n - 1) . ')' if chance(0.05);
	return join ' AND ', @all;
}

# A query on a view, and whether the order of its rows is that of the answer.
# Many rows are not joined with as many.
sub query
{
	my ($self) = @_;
	my ($query, $ordered);

	do
	{
		($query, $ordered) = $self->any_query;
	} while $self->{rows} > ($self->{serves} ? 300 : 100) && $query =~ /LEFT JOIN|EXISTS/;
	return ($query, $ordered);
}

# One that reads the index from one end to the other, page by page.
sub walk
{
	my ($self) = @_;
	my $keys = join ', ', @{ $self->{keys} };
	my $down = join ', ', map { "$_ DESC" } @{ $self->{keys} };
	my $v = $self->{table} . one_of('_active', '_latest');

	return ("SELECT $keys" . one_of('', ', note') . " FROM $v ORDER BY " . one_of($keys, $down), 1);
}

sub any_query
{
	my ($self) = @_;
	my $t = $self->{table};
	my $v = $t . one_of('_active', '_active', '_latest', '_deleted');
	my @keys = @{ $self->{keys} };
	my $keys = join ', ', @keys;
	my $down = join ', ', map { "$_ DESC" } @keys;
	my $mixed = join ', ', map { $_ . one_of('', ' DESC', ' NULLS FIRST') } @keys;
	my $limit = one_of('', '', ' LIMIT 5', ' LIMIT 3 OFFSET 4');
	my $k = int rand @keys;
	my $type = plain_type($self->{kinds}[$k]);
	my $using = join ' AND ', map { "a.$_ = b.$_" } @keys;
	my $filters = $self->{extra} ? 4 : 1;
	my $found = one_of('grp = ' . int rand 5, 'grp IN (1, 3)', "note LIKE 'n1%'", "note < 'n3'",
		"note IN (" . join(', ', map { "'n" . (1 + int rand $self->{note}) . "'" } 1 .. 3) . ')');

	return one_of(
		sub { "SELECT * FROM $v" },
		sub { "SELECT count(*) FROM $v" },
		sub { ("SELECT $keys FROM $v ORDER BY $keys$limit", 1) },
		sub { ("SELECT * FROM $v ORDER BY $keys$limit", 1) },
		sub { ("SELECT * FROM $v ORDER BY $down$limit", 1) },
		sub { ("SELECT $keys FROM $v ORDER BY $mixed", 1) },
		(sub { "SELECT * FROM $v WHERE " . $self->conditions($v) }) x 4,
		sub { ("SELECT * FROM $v WHERE " . $self->conditions($v) . " ORDER BY " . one_of($keys, $down, $mixed) . $limit, 1) },
		sub { ("SELECT $keys FROM $v WHERE " . $self->conditions($v) . " ORDER BY " . one_of($keys, $down) . $limit, 1) },
		sub { "SELECT count(*) FROM $v WHERE " . $self->conditions($v) },
		sub { "SELECT * FROM $v WHERE " . join(' AND ', map { "$keys[$_] = " . $self->value($_) } 0 .. $#keys) },
		(sub { "SELECT * FROM $v WHERE $found" }) x $filters,
		(sub { "SELECT * FROM $v WHERE $found AND " . $self->conditions($v) }) x $filters,
		sub { "SELECT note, tableoid FROM (SELECT x.*, '$t'::regclass AS tableoid FROM $v AS x) AS y WHERE note LIKE '%h'" },
		sub { "SELECT v.* FROM (VALUES (" . join('), (', map { $self->value($k) } 1 .. 3)
			  . ")) AS x (k) JOIN $v AS v ON v.$keys[$k] = x.k::$type" . ($k > 0 ? one_of('', " AND " . $self->conditions('v')) : '') },
		sub {
			return "SELECT * FROM $v" if $type =~ /\[\]/;
			"SELECT v.* FROM (VALUES (" . join('), (', map { $self->array_as($k, $type) } 1 .. 3)
			  . ")) AS x (a) JOIN $v AS v ON v.$keys[$k] = ANY (x.a)";
		},
		sub { "SELECT v.* FROM (VALUES (" . join('), (', map { $self->value($k) . ', ' . $self->value($k) } 1 .. 3)
			  . ")) AS x (a, b) JOIN $v AS v ON v.$keys[$k] >= x.a::$type AND v.$keys[$k] < x.b::$type" },
		sub { "SELECT g, l.* FROM generate_series(0, 4) AS g, LATERAL (SELECT * FROM $v WHERE grp = g ORDER BY $keys LIMIT 2) AS l" },
		(sub { "SELECT g, v.* FROM generate_series(1, 5, 2) AS g JOIN $v AS v ON v.grp = g" }) x $filters,
		sub { "SELECT t.note, v.note AS other FROM $t AS t LEFT JOIN $v AS v ON v.$keys[0] = t.$keys[0] AND v.grp = t.grp" },
		sub { "SELECT count(*), count(b.note) FROM $v AS a LEFT JOIN ${t}_latest AS b ON $using" },
		sub { "SELECT note FROM $t AS a WHERE NOT EXISTS (SELECT FROM $v AS b WHERE $using AND a.note = b.note)" },
		sub { "SELECT note FROM $t AS a WHERE grp = 1 AND EXISTS (SELECT FROM $v AS b WHERE b.$keys[$k] = a.$keys[$k] AND " . $self->conditions('b') . ')' },
		sub { "SELECT * FROM metaxy_read(NULL::$t, with_feature_history => true)" },
		sub { "SELECT * FROM metaxy_read(NULL::$t, 'grp > 1', include_soft_deleted => true)" })->();
}

# Without other joins the planner has nothing but our scan, and what nobody
# would wait for where many rows are joined with more.
sub settings
{
	my ($self, $joins) = @_;
	my @memory = ('work_mem', one_of('64kB', '64kB', '1MB', '4MB'));

	my @parallel = ('parallel_setup_cost', 0, 'parallel_tuple_cost', 0, 'min_parallel_table_scan_size', 0,
		'min_parallel_index_scan_size', 0, 'seq_page_cost', one_of(0, 1), 'random_page_cost', one_of(0, 0.01));

	return one_of([], [ 'random_page_cost', 1000, @memory ], [@parallel],
		[ 'random_page_cost', 0.1 ], [ 'seq_page_cost', 1000, @memory ])
	  if $self->{samples} > 1000 || (($joins || !$self->{serves}) && $self->{rows} > 100);

	my @force = map { ("enable_$_", 'off') } qw(hashjoin mergejoin nestloop seqscan);

	return one_of([], [@force], [ @force, 'random_page_cost', 100, @memory ],
		[ @force, 'random_page_cost', 0.1 ],
		[ @force, 'random_page_cost', 1000, @memory ],
		([ @force, @parallel ]) x 4,
		[ 'enable_hashjoin', 'off', 'enable_seqscan', 'off', 'enable_material', 'off' ],
		[ 'enable_hashjoin', 'off', 'enable_nestloop', 'off', 'random_page_cost', 1 ],
		[ @memory, map { ("enable_$_", one_of('on', 'off')) }
			  qw(hashjoin mergejoin nestloop seqscan bitmapscan indexscan sort incremental_sort memoize material hashagg) ]);
}

1;
