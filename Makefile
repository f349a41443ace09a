# metaxy: deletion of feature metadata, inside PostgreSQL
#
#   make && make install      build and install, as for any PGXS extension
#   make installcheck         all tests against the running server
#   make check                the same on throw-away servers: tools/check
#   make demo                 what it does, on a throw-away server: tools/demo
#   make bench                measurements: bench/run
#   make dist                 a release archive of HEAD for PGXN
#
# PG_CONFIG=/path/to/pg_config chooses the server.

EXTENSION = metaxy

# The version is stated in metaxy.control alone.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" metaxy.control)

MODULE_big = metaxy
OBJS = \
	src/metaxy.o \
	src/base/args.o src/base/clock.o src/base/own.o src/base/query.o \
	src/base/quote.o src/base/rights.o src/base/store.o \
	src/registry/catalog.o src/registry/check.o src/registry/drop.o \
	src/registry/edge.o src/registry/feature.o src/registry/graph.o \
	src/registry/join.o src/registry/key.o src/registry/load.o \
	src/registry/order.o src/registry/ready.o \
	src/registry/record.o src/registry/render.o src/registry/rows.o \
	src/registry/same.o src/registry/spec.o src/registry/sync.o \
	src/registry/sync_apply.o src/registry/sync_edges.o \
	src/registry/sync_features.o src/registry/unique.o \
	src/read/columns.o src/read/filter.o src/read/grants.o src/read/latest.o \
	src/read/literal.o src/read/read.o src/read/safe.o src/read/status.o \
	src/read/trust.o src/read/view_query.o src/read/view_triggers.o \
	src/read/views.o \
	src/write/stamp.o src/write/stamp_trigger.o src/write/target.o \
	src/write/turn.o src/write/writer.o \
	src/delete/check.o src/delete/delete.o src/delete/find.o \
	src/delete/foreign_keys.o src/delete/hard.o src/delete/history.o \
	src/delete/keys.o src/delete/ledger.o src/delete/look.o \
	src/delete/match.o src/delete/operation.o src/delete/orphans.o \
	src/delete/plan.o src/delete/request.o src/delete/rows.o \
	src/delete/soft.o src/delete/undelete.o src/delete/write.o \
	src/purge/batch.o src/purge/find.o src/purge/look.o src/purge/purge.o \
	src/purge/ready.o src/purge/retain.o \
	src/active/finish.o src/active/insert.o src/active/met.o \
	src/active/rows.o src/active/statement.o src/active/trigger.o \
	src/scan/ahead.o src/scan/arrays.o src/scan/backwards.o src/scan/bitmap.o \
	src/scan/bounds.o src/scan/conditions.o src/scan/cost.o \
	src/scan/equality.o src/scan/execute.o src/scan/explain.o \
	src/scan/filter.o src/scan/filter_path.o src/scan/hook.o \
	src/scan/leaf.o src/scan/neighbour.o src/scan/newest.o \
	src/scan/oldest.o src/scan/page.o src/scan/parallel.o \
	src/scan/partition.o src/scan/path.o src/scan/plan.o \
	src/scan/ranges.o src/scan/sample.o src/scan/shape.o \
	src/scan/shared.o src/scan/size.o src/scan/sorted.o \
	src/scan/visible.o src/scan/walk.o

# The metaxy command has objects and rules of its own: it is made from libpq
# and libc alone, and PGXS would link what is in OBJS into a PROGRAM too.
CLIENT = src/bin/metaxy
CLIENT_OBJS = \
	src/bin/arguments.o src/bin/commands.o src/bin/complete.o \
	src/bin/confirm.o src/bin/connect.o src/bin/delete.o src/bin/help.o \
	src/bin/ledger.o src/bin/main.o src/bin/memory.o src/bin/message.o \
	src/bin/nearest.o src/bin/options.o src/bin/output.o src/bin/purge.o \
	src/bin/query.o src/bin/read.o src/bin/registry.o src/bin/stream.o
COMPLETION = src/bin/completion/metaxy.bash src/bin/completion/_metaxy

DATA = $(wildcard sql/metaxy--*.sql)

# Maintenance scripts for psql, and what they include.  PGXS has one place for
# all DATA, so they have rules of their own.
PSQL_SCRIPTS = $(wildcard scripts/*.sql scripts/*.psql)

# One test alone: make installcheck REGRESS=NAME ISOLATION= TAP_TESTS=
REGRESS = $(sort $(basename $(notdir $(wildcard test/sql/*.sql))))
REGRESS_OPTS = --inputdir=test --load-extension=metaxy
ISOLATION = $(sort $(basename $(notdir $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --outputdir=./ --load-extension=metaxy
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CPPFLAGS = -I$(srcdir)/src -DMX_VERSION='"$(EXTVERSION)"'

CLIENT_CFLAGS = -std=c99 -pedantic -D_GNU_SOURCE -O2 -g -Wall -Wextra $(COPT)

EXTRA_CLEAN = $(CLIENT) $(CLIENT_OBJS) $(CLIENT)-sanitized

# The server's headers have unused parameters where assertions are off, and
# its lengthof() is unsigned.
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare

PG_CONFIG ?= pg_config

# check, demo, bench and dist need no server's makefiles, so they work where
# no server is installed yet; PGXS has a target "check" of its own.
OWN_TARGETS = check demo bench dist
ifneq (,$(filter-out $(OWN_TARGETS),$(or $(MAKECMDGOALS),all)))
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS tracks no headers.
$(OBJS): $(wildcard src/*.h src/*/*.h)
src/metaxy.o: metaxy.control

all: $(CLIENT)

# PGXS knows how to make an object, but would do so for a module of the server.
$(CLIENT_OBJS): %.o: %.c src/bin/bin.h metaxy.control
	@$(MKDIR_P) $(@D)
	$(CC) $(CLIENT_CFLAGS) -I$(includedir) -DMX_VERSION='"$(EXTVERSION)"' \
		-c -o $@ $<

$(CLIENT): $(CLIENT_OBJS)
	$(CC) $(CLIENT_CFLAGS) -o $@ $(CLIENT_OBJS) -L$(libdir) -lpq $(rpath)

# The same with checks of memory and of undefined behaviour, for tests.
$(CLIENT)-sanitized: $(CLIENT_OBJS)
	$(CC) $(CLIENT_CFLAGS) -fsanitize=address,undefined \
		-fno-sanitize-recover=all -fno-omit-frame-pointer \
		-I$(includedir) -DMX_VERSION='"$(EXTVERSION)"' \
		-o $@ $(CLIENT_OBJS:%.o=$(srcdir)/%.c) -L$(libdir) -lpq $(rpath)

install: install-client
install-client: $(CLIENT)
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)$(scriptsdir)'
	$(INSTALL_PROGRAM) $(CLIENT) '$(DESTDIR)$(bindir)/'
	$(INSTALL_DATA) $(addprefix $(srcdir)/, $(COMPLETION)) '$(DESTDIR)$(scriptsdir)/'

uninstall: uninstall-client
uninstall-client:
	rm -f '$(DESTDIR)$(bindir)/metaxy' \
		$(addprefix '$(DESTDIR)$(scriptsdir)'/, $(notdir $(COMPLETION)))

scriptsdir = $(datadir)/$(EXTENSION)
install: install-scripts
install-scripts:
	$(MKDIR_P) '$(DESTDIR)$(scriptsdir)'
	$(INSTALL_DATA) $(addprefix $(srcdir)/, $(PSQL_SCRIPTS)) '$(DESTDIR)$(scriptsdir)/'

uninstall: uninstall-scripts
uninstall-scripts:
	rm -f $(addprefix '$(DESTDIR)$(scriptsdir)'/, $(notdir $(PSQL_SCRIPTS)))
	rmdir '$(DESTDIR)$(scriptsdir)' 2>/dev/null || true

uninstall-scripts: uninstall-client

.PHONY: install-scripts uninstall-scripts install-client uninstall-client
else
check demo:
	tools/$@
endif

bench:
	bench/run

# META.json has a placeholder for the version, which is filled in here;
# .gitattributes keeps the one with the placeholder out of archives.
dist: DIST = metaxy-$(EXTVERSION)
dist:
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	git show HEAD:META.json | \
		sed 's/@VERSION@/$(EXTVERSION)/' >"$$dir/META.json" && \
	git archive --format=zip --prefix=$(DIST)/ \
		--add-file="$$dir/META.json" -o $(DIST).zip HEAD

.PHONY: $(OWN_TARGETS)
