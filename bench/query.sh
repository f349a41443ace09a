# shellcheck shell=bash disable=SC2154 # what bench/run sets
#
# bench/query.sh: ways that are one query.
#
# A query's rows are made in the server and thrown away there, by an OFFSET
# behind the last one.  A constant beside them makes the plan take each row
# apart into its columns, as anyone would who reads it: a scan alone may pass on
# rows that it has not looked at.  But no row is written as text or sent: that
# takes the same whoever has found it, would hide the differences, and flatter
# ours beside the sequential scan, which has several times as many rows.
#
# For reads a case says in its file "about":
#
#	data	the file that makes the table, in bench
#	table	its name; ":order" in it is what --order says
#	order, versions		for that table, other than the options
#	part	so many times fewer samples
#	query	what is asked; :rows are the active samples
#	ways	how those are had: files in bench/forms, which know :table
#	keys	a type and an expression over i: the values of :key, for a query
#			that is asked a thousand times, as a prepared statement
#
# Our way and the ones by hand must give the same rows.

# query_text CASE WAY KEY: the text of a query, with KEY for its key
query_text()
{
	local file=$root/bench/cases/$1/$2 text table key=$3

	if [ -e "$file" ]; then
		text=$(<"$file")
	else
		text=$(about "$1" query)
		text=${text//:rows/"$(<"$root/bench/forms/$2")"}
	fi
	table=$(variable table)
	text=${text//:table/"$table"}
	text=${text//:key/"$key"}
	printf '%s' "$text"
}

# The type of a case's keys, and the expression for them.
key_type()
{
	local keys

	keys=$(about "$1" keys)
	echo "${keys%% *}"
}

key_expression()
{
	local keys

	keys=$(about "$1" keys)
	keys=${keys#* }
	echo "${keys//:samples/$(variable samples)}"
}

has_keys()
{
	[ -n "$(about "$1" keys)" ]
}

# Runs a query once, which warms up, and dies if its rows are not those of the
# case's other ways.
check()
{
	local case=$1 way=$2 keys=1 sum=$work/tmp/sum

	! has_keys "$case" || keys=20
	bench_psql "$way" -A -t >"$sum" <<-SQL || die "$case/$way failed"
		SELECT count(*), sum(hash_record_extended(r, 0))
		  FROM generate_series(1, $keys) AS i,
			   LATERAL ($(query_text "$case" "$way" "($(key_expression "$case"))")) AS r;
	SQL
	case $way in
		metaxy.* | hand*)
			if [ ! -e "$sum.$case" ]; then
				cp "$sum" "$sum.$case"
			elif ! cmp -s "$sum" "$sum.$case"; then
				die "$case/$way gives other rows than the ways before it"
			fi ;;
	esac
}

# Milliseconds of one execution, repeated for a tenth of a second or more, and
# kB by which the process grew.
measure_query()
{
	local case=$1 type=integer keys=i nkeys=1 last=1

	if has_keys "$case"; then
		type=$(key_type "$case")
		keys=$(key_expression "$case")
		nkeys=1000
		last=2					# the first one is for plans
	fi
	bench_psql "$2" -A -t -F ' ' <<-SQL >"$work/tmp/out" || die "$case/$2 failed"
		CREATE FUNCTION pg_temp.measure(OUT ms numeric, OUT kb bigint)
		LANGUAGE plpgsql AS \$bench\$
		#variable_conflict use_column
		DECLARE
			bench_keys ${type}[] := ARRAY(SELECT $keys FROM generate_series(1, $nkeys) AS i);
			bench_key $type;
			bench_runs bigint := 0;
			bench_start timestamptz;
		BEGIN
			kb := bench_peak();
			bench_start := clock_timestamp();
			LOOP
				FOREACH bench_key IN ARRAY bench_keys LOOP
					PERFORM *, 0 FROM ($(query_text "$case" "$2" bench_key)) AS r
					 OFFSET 1000000000000;
				END LOOP;
				bench_runs := bench_runs + $nkeys;
				EXIT WHEN clock_timestamp() > bench_start + interval '100 milliseconds';
			END LOOP;
			ms := round(extract(epoch FROM clock_timestamp() - bench_start) * 1000 / bench_runs, 6);
			kb := bench_peak() - kb;
		END \$bench\$;
		SELECT * FROM generate_series(1, $last), pg_temp.measure();
	SQL
	tail -n 1 "$work/tmp/out" | cut -d' ' -f2-
}

# explain CASE WAY: what the server says of a way that is one query
explain()
{
	local text file=$root/bench/cases/$1/$2

	case $2 in
		*.query)
			text="$(query_text "$1" "$2" "(SELECT $(key_expression "$1") FROM generate_series(1, 1) AS i)");" ;;
		*.sql)
			grep -qE '^(SELECT|WITH|INSERT|DELETE)' <(head -n 1 "$file") &&
				[ "$(grep -o ';' "$file" | wc -l)" -eq 1 ] || return 0
			text=$(<"$file") ;;
		*)
			return 0 ;;
	esac
	echo
	echo "$1, ${2%.*}:"
	bench_psql "$2" -A -t -f - <<<"BEGIN; EXPLAIN (ANALYZE, BUFFERS) $text ROLLBACK;" ||
		die "$1/$2 failed"
	echo
}
