# shellcheck shell=bash disable=SC2154 # what bench/run sets
#
# bench/measure.sh: how long a way takes, other than a query.

seconds=10						# that clients run
call=0							# the last one from the shell

# bench_psql WAY ARGUMENT...: what is written by hand gets no help from the
# latest scan, also where it looks like a view, and a sequential scan is one: rows
# of a table could be counted by any of its indexes.
bench_psql()
{
	local way=$1 args=() options='' variable
	shift

	for variable in "${variables[@]}" "${files[@]}"; do
		args+=(-v "$variable")
	done
	case $way in
		hand*)
			options='-c metaxy.enable_latest_scan=off' ;;
		seq_scan*)
			options='-c enable_indexscan=off -c enable_indexonlyscan=off -c enable_bitmapscan=off' ;;
	esac
	PGOPTIONS=$options "$bindir/psql" -X -q -d bench -v ON_ERROR_STOP=1 \
		"${args[@]}" "$@"
}

# Runs a file, if it is there; what it does stays.
run_file()
{
	[ ! -e "$1" ] || bench_psql "" -o /dev/null -f "$1" >"$work/tmp/out" ||
		die "$1 failed"
}

# measure CASE WAY: milliseconds that a way takes, and perhaps kB of memory
measure()
{
	local folder=$root/bench/cases/$1

	case $2 in
		*.query)
			measure_query "$1" "$2" ;;
		*.pgbench)
			measure_clients "$folder/$2" ;;
		*.sh)
			measure_program "$folder/$2" ;;
		*)
			if has_data "$1"; then
				measure_own "$folder" "$2"
			else
				measure_statements "$folder" "$2"
			fi ;;
	esac
}

# The statements' time, in a case with data of its own.
measure_own()
{
	run_file "$1/before.sql"
	bench_psql "$2" -o /dev/null -c '\timing on' -f "$1/$2" >"$work/tmp/out" ||
		die "$1/$2 failed"
	sum_times
}

sum_times()
{
	awk '/^Time: / { sum += $2 } END { print sum }' "$work/tmp/out"
}

# A transaction's time, by its number in the given seconds.
measure_clients()
{
	"$bindir/psql" -X -q -d bench -c 'TRUNCATE written, written_stamp_only'
	"$bindir/pgbench" -n -c 8 -j 2 -T "$seconds" -f "$1" bench \
		>"$work/tmp/out" 2>&1 || die "$1 failed"
	sed -n 's/^latency average = \(.*\) ms$/\1/p' "$work/tmp/out"
}

# The time of one of 50 calls from the shell, each of which has a number.
measure_program()
{
	local begin=${EPOCHREALTIME/./} i

	for i in {1..50}; do
		call=$((call + 1))
		PATH=$bindir:$PATH PGDATABASE=bench call=$call \
			bash "$1" >"$work/tmp/out" 2>&1 </dev/null || die "$1 failed"
	done
	awk "BEGIN { print (${EPOCHREALTIME/./} - $begin) / 50 / 1000 }"
}

# The statements' time; they are rolled back.
measure_statements()
{
	{
		echo 'BEGIN;'
		echo "DO \$\$ BEGIN PERFORM metaxy_delete('sample', 'false'); END \$\$;"
		printf '%s\n' '\timing on'
		cat "$1/$2"
		printf '%s\n' '\timing off'
		echo 'ROLLBACK;'
		echo 'VACUUM sample, parent, child, leaf, written, written_plain;'
	} | bench_psql "$2" -o /dev/null -f - >"$work/tmp/out" ||
		die "$1/$2 failed"
	sum_times
}
