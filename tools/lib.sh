# shellcheck shell=bash
#
# tools/lib.sh: what tools/check and tools/demo share: packages, a private
# copy of the server, building into it, throw-away clusters, and cleaning up.
#
# A script sets -euo pipefail, sources this file, and then calls
#
#	need_packages COMMAND...	and a server with headers; sets PG_CONFIG
#	make_workdir NAME			sets $work and who runs the server
#	make_server					a private copy; sets $bindir
#	build FLAGS					builds metaxy and installs it there
#	start_cluster DIR			sets PGHOST and PGUSER
#
# and defines finish(), which is called at any exit and calls remove_workdir.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
program=tools/$(basename "$0")

min_major=15				# oldest PostgreSQL that metaxy builds for

work=						# the temporary folder; all that is written is in it
as_user=()					# prefix: run as the user who owns the server
job=						# process group of the command that runs now
bindir=						# of the private server
apt=						# process of the apt-get that runs now
drop_in=					# see add_drop_in
drop_in_dir=				# its folder, if it was not there

note()
{
	printf '%s: %s\n' "$program" "$*" >&2
}

die()
{
	note "$@"
	exit 1
}

#
# Interrupts.  A command runs in a process group of its own, and the script
# waits for it: so a signal to the script is acted upon at once, and
# everything that the command started can be stopped with it.
#

trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'at_exit $?' EXIT

# The exit status is the first argument of finish().
at_exit()
{
	trap '' HUP INT TERM
	set +e
	if [ -n "$apt" ]; then
		note "waiting for apt-get to end"
		wait "$apt"
	fi
	remove_drop_in
	stop_job
	finish "$1"
}

# run LOG COMMAND...: as the server's user, output to LOG and to stdout
run()
{
	local log=$1 status=0
	shift

	set -m
	{ "${as_user[@]}" "$@" 2>&1 | tee -- "$log"; } </dev/null &
	job=$!
	set +m
	wait "$job" || status=$?
	job=
	return "$status"
}

# quietly LOG COMMAND...: the same, output shown only if the command fails
quietly()
{
	local log=$1

	run "$@" >/dev/null || {
		cat -- "$log"
		return 1
	}
}

stop_job()
{
	[ -n "$job" ] || return 0
	kill -TERM -- "-$job" 2>/dev/null
	wait "$job" 2>/dev/null
	job=
}

#
# Packages
#

is_root()
{
	[ "$(id -u)" -eq 0 ]
}

as_root()
{
	if is_root; then
		"$@"
	else
		sudo "$@"
	fi
}

can_install()
{
	command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
	is_root && return 0
	command -v sudo >/dev/null || return 1
	sudo -n true 2>/dev/null || [ -t 0 ]	# without a password, or to ask for it
}

# Whether Debian's packages of a major version are installed.
has_server()
{
	[ -x "/usr/lib/postgresql/$1/bin/postgres" ]
}

has_headers()
{
	[ -e "/usr/include/postgresql/$1/server/postgres.h" ]
}

# Sets major to the newest that all the FUNCTIONS have, or to nothing.
newest_major_with()
{
	local dir found has

	major=
	for dir in /usr/lib/postgresql/*/ /usr/include/postgresql/*/; do
		found=$(basename "$dir")
		[[ $found =~ ^[0-9]+$ ]] || continue
		[ "$found" -ge "$min_major" ] || continue
		[ "$found" -gt "${major:-0}" ] || continue
		for has; do
			"$has" "$found" || continue 2
		done
		major=$found
	done
}

# Sets major to the one of the system's release, as far as apt knows it.
release_major()
{
	major=$(apt-cache depends postgresql 2>/dev/null |
		sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' |
		tail -n 1) || true
	[ -z "$major" ] || [ "$major" -ge "$min_major" ] ||
		die "needs PostgreSQL $min_major or later, this system has $major"
}

# Sets missing: the packages for the server and the commands in the
# arguments that are not there.
find_missing()
{
	local item

	missing=()
	if [ -z "${PG_CONFIG:-}" ]; then
		newest_major_with has_server has_headers
		[ -n "$major" ] || newest_major_with has_headers
		[ -n "$major" ] || newest_major_with has_server
		[ -n "$major" ] || release_major
		has_server "$major" || missing+=("postgresql${major:+-$major}")
		has_headers "$major" || missing+=("postgresql-server-dev-${major:-all}")
	fi
	for item; do
		case $item in
			libc)
				[ -e /usr/include/stdio.h ] || missing+=(libc6-dev) ;;
			prove)
				command -v prove >/dev/null || missing+=(perl) ;;
			IPC::Run)
				perl -MIPC::Run -e 1 2>/dev/null ||
					missing+=(libipc-run-perl) ;;
			*)
				command -v "$item" >/dev/null || missing+=("$item") ;;
		esac
	done
}

# Installing Debian's server package creates a cluster and starts it, unless
# told otherwise; none is wanted here.
add_drop_in()
{
	local dir=/etc/postgresql-common/createcluster.d

	if [ ! -d "$dir" ]; then
		drop_in_dir=$dir
		as_root mkdir -p "$dir"
	fi
	drop_in=$dir/metaxy-$$.conf
	echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
}

remove_drop_in()
{
	[ -z "$drop_in" ] || as_root rm -f "$drop_in"
	[ -z "$drop_in_dir" ] ||
		as_root rmdir -p --ignore-fail-on-non-empty "$drop_in_dir"
	drop_in=
	drop_in_dir=
}

# need_packages COMMAND...: installs what is missing of the server and the
# commands (libc: its headers; IPC::Run: the Perl module), sets PG_CONFIG.
need_packages()
{
	local major missing version

	find_missing "$@"
	if [ ${#missing[@]} -gt 0 ]; then
		if ! can_install; then
			note "these Debian packages are needed, or what they hold:"
			note "    ${missing[*]}"
			note "They cannot be installed from here: that takes a Debian-like"
			note "system and root, or sudo.  Install them and try again; for a"
			die "PostgreSQL in another place, set PG_CONFIG."
		fi
		install_packages "$@"
	fi

	PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$major/bin/pg_config}
	if ! version=$("$PG_CONFIG" --version) ||
		[ ! -f "$("$PG_CONFIG" --pgxs)" ] ||
		[ ! -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] ||
		[ ! -x "$("$PG_CONFIG" --bindir)/postgres" ]; then
		die "PG_CONFIG=$PG_CONFIG is not of a PostgreSQL server with headers"
	fi
	version=${version#PostgreSQL }
	[ "${version%%[!0-9]*}" -ge "$min_major" ] ||
		die "needs PostgreSQL $min_major or later, PG_CONFIG is of $version"
}

# apt-get runs in a process group of its own, so that an interrupt does not
# leave the system's packages half installed: at_exit() waits for it.
apt_get()
{
	local status=0

	note "apt-get $*"
	as_root true				# a password is asked for in the foreground
	set -m
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >&2 </dev/null &
	apt=$!
	set +m
	wait "$apt" || status=$?
	apt=
	return "$status"
}

# want_packages PACKAGE...: installs what some tests would like to have; where
# that cannot be, they are skipped.
want_packages()
{
	local item

	for item; do
		if dpkg -s "$item" >/dev/null 2>&1; then
			continue
		elif ! can_install ||
			! apt_get install --no-install-recommends "$item"; then
			note "without $item, some tests will be skipped"
		fi
	done
}

install_packages()
{
	apt_get update || true
	find_missing "$@"			# apt knows the release's major only now

	add_drop_in
	apt_get install --no-install-recommends "${missing[@]}" ||
		die "could not install ${missing[*]}"
	remove_drop_in

	find_missing "$@"
	[ ${#missing[@]} -eq 0 ] || die "still missing: ${missing[*]}"
}

#
# The temporary folder
#

# PostgreSQL refuses to run as root: then everything runs as the user that
# its package made.  The environment is cleared of what could lead to
# another server or change what tests print.
make_workdir()
{
	local name=$1 parent=${TMPDIR:-/tmp} var

	if is_root; then
		id postgres >/dev/null 2>&1 ||
			die "run as another user than root, or add a user \"postgres\""
		as_user=(setpriv --reuid=postgres --regid=postgres --init-groups --)
	fi

	# the path of a socket has some hundred bytes, and others must get there
	if [ ${#parent} -gt 40 ] || ! "${as_user[@]}" test -w "$parent"; then
		parent=/tmp
	fi
	work=$(mktemp -d "$parent/metaxy-$name.XXXXXX")
	mkdir "$work/tmp"

	for var in "${!PG@}" "${!LC_@}"; do
		[ "$var" = PG_CONFIG ] || unset "$var"
	done
	unset LANGUAGE MAKEFLAGS MFLAGS MAKELEVEL PERL5LIB PERL5OPT
	export LC_ALL=C.UTF-8 HOME=$work TMPDIR=$work/tmp
	cd "$work" || exit
}

# Gives what root made to the server's user.
own()
{
	! is_root || chown -R -h postgres: "$@"
}

# Prints the processes that work in the folder: servers, and what else a
# command may have left behind.  In a container, root itself may not look.
stragglers()
{
	"${as_user[@]}" find /proc -mindepth 2 -maxdepth 2 -name cwd \
		\( -lname "$work" -o -lname "$work/*" \) -printf '%h\n' 2>/dev/null |
		sed 's,.*/,,'
}

# Servers stop at once on SIGQUIT, and stop their own processes: a second one
# for those would only confuse them.  What is left in the end is killed.
stop_stragglers()
{
	local i pid parent pids

	cd /
	for i in {0..100}; do
		pids=$(stragglers)
		[ -n "$pids" ] || return 0
		for pid in $pids; do
			parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
			case $i in
				0)
					grep -qx "$parent" <<<"$pids" || kill -QUIT "$pid" ;;
				100)
					kill -KILL "$pid" ;;
			esac
		done 2>/dev/null
		sleep 0.1
	done
}

remove_workdir()
{
	[ -n "$work" ] || return 0
	stop_stragglers
	rm -rf -- "$work"
	work=
}

#
# Server
#

# Links the entries of a folder of the real server, except ours, into its
# private copy.
mirror()
{
	local from=$1 to=$2 entry name

	mkdir -p "$to"
	for entry in "$from"/*; do
		name=${entry##*/}
		case $name in
			metaxy*)
				continue ;;
		esac
		[ -e "$to/$name" ] || [ -L "$to/$name" ] ||
			ln -s "$entry" "$to/$name"
	done
}

# A server finds its files relative to where its programs are.  So a copy of
# the programs beside links to all else is a server of its own, which metaxy
# can be installed into while the real one stays as it is.
make_server()
{
	local real_bin sharedir dir option server=$work/server

	real_bin=$("$PG_CONFIG" --bindir)
	sharedir=$("$PG_CONFIG" --sharedir)

	mkdir -p "$server$real_bin"
	cp -- "$real_bin"/* "$server$real_bin/"
	mirror "$sharedir/extension" "$server$sharedir/extension"
	mirror "$sharedir" "$server$sharedir"
	mirror "$("$PG_CONFIG" --pkglibdir)" "$server$("$PG_CONFIG" --pkglibdir)"
	for option in --includedir --pkgincludedir --includedir-server --libdir; do
		dir=$("$PG_CONFIG" "$option")
		if [ ! -d "$dir" ] || [ "$dir" -ef "$server$dir" ]; then
			continue			# none, or in a folder that is linked already
		elif [ -d "$server$dir" ]; then
			mirror "$dir" "$server$dir"
		else
			mkdir -p "$(dirname "$server$dir")"
			ln -s "$dir" "$server$dir"
		fi
	done
	own "$server"

	bindir=$server$real_bin
	[ "$("$bindir/pg_config" --sharedir)" = "$server$sharedir" ] ||
		die "the server of $PG_CONFIG cannot be copied: it has fixed paths"
}

# build FLAGS: builds a copy of the sources and installs it into the private
# server.  FLAGS are for the compiler.
build()
{
	local flags=$1 make

	mkdir "$work/source"
	tar -C "$root" -cf - --exclude-vcs --exclude='*.o' --exclude='*.so' \
		--exclude='*.bc' --exclude=./src/bin/metaxy \
		--exclude=./src/bin/metaxy-sanitized \
		--exclude=./results --exclude=./tmp_check . |
		tar -C "$work/source" -xf - --no-same-owner
	own "$work"

	make=(make -C "$work/source" PG_CONFIG="$bindir/pg_config" with_llvm=no)
	quietly "$work/build.log" "${make[@]}" -j"$(nproc)" COPT="$flags" all &&
		quietly "$work/build.log" "${make[@]}" COPT="$flags" install
}

# start_cluster DIR: a new cluster, reached through a socket in our folder
start_cluster()
{
	local data=$1

	quietly "$work/initdb.log" "$bindir/initdb" -D "$data" -U postgres \
		-A trust --locale=C.UTF-8 --encoding=UTF8 --no-sync ||
		die "could not create a cluster"
	cat >>"$data/postgresql.conf" <<-EOF
		listen_addresses = ''
		unix_socket_directories = '$work'
		fsync = off
		timezone = 'UTC'
		log_timezone = 'UTC'
	EOF
	quietly "$work/start.log" "$bindir/pg_ctl" -D "$data" \
		-l "$work/server.log" -w start || {
		cat "$work/server.log"
		die "could not start a server"
	}
	export PGHOST=$work PGUSER=postgres
}
