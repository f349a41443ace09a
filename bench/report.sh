# shellcheck shell=bash disable=SC2154 # what bench/run sets
#
# bench/report.sh: what was measured, as text and in a file.

report_heading()
{
	printf '%-27s %-17s %11s %11s %11s %8s %9s\n' \
		case way 'median ms' min max ours/it 'peak kB'
	echo 'case,way,samples,versions,order,rounds,median_ms,min_ms,max_ms,ours_over_it,peak_kb' >"$csv"
}

# Minimum, median and maximum of the milliseconds in a file, and the most kB.
spread()
{
	sort -n "$1" | awk '{ v[NR] = $1; if ($2 > kb) kb = $2; if (NF > 1) known = 1 }
		END {
			m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
			print v[1], m, v[NR], known ? kb + 0 : "-" }'
}

# The median over the rounds of the first file's milliseconds over the second's:
# what a machine does that gets slower or faster, it does to a round's ways alike.
ratio()
{
	local low median high kb

	read -r low median high kb <<<"$(paste -d' ' <(cut -d' ' -f1 "$1") <(cut -d' ' -f1 "$2") |
		awk '{ print $1 / $2 }' | spread -)"
	printf '%.2f' "$median"
}

# report CASE WAY...
report()
{
	local case=$1 way low median high kb ratio
	shift

	for way; do
		read -r low median high kb <<<"$(spread "$work/tmp/ms.$way")"
		ratio=$(ratio "$work/tmp/ms.metaxy" "$work/tmp/ms.$way")
		printf '%-27s %-17s %11.3f %11.3f %11.3f %8s %9s\n' \
			"$case" "$way" "$median" "$low" "$high" "$ratio" "$kb"
		echo "$case,$way,$(variable samples),$(variable versions),$(variable order),$rounds,$median,$low,$high,$ratio,${kb#-}" >>"$csv"
	done
	about "$case" target | while read -r most of; do
		report_target "$case" "$most" "$of"
	done
}

# report_target CASE N WAYS, or +N WAYS, or N ms: was it met?
report_target()
{
	awk -F, -v case="$1" -v most="$2" -v of="$3" '
		BEGIN {
			pattern = "^" of "$"
			gsub(/\*/, ".*", pattern)
		}
		$1 != case { next }
		$2 == "metaxy" { ours = $7 }
		$2 ~ pattern && (best == "" || $7 < least) { best = $2; least = $7; ratio = $10 }
		END {
			if (most ~ /^\+/)
				printf "  %.1f ms more than %s", value = ours - least, best
			else if (of == "ms")
				printf "  %.1f ms", value = ours
			else
				printf "  %.2f times %s", value = ratio, best
			if (of ~ /\*/)
				printf ", the fastest %s", of
			printf "; target %s: %s\n", most, value <= most + 0 ? "met" : "missed"
		}' "$csv"
}
