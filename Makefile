# uringshim: `make` builds build/liburingshim.so; `make check` is the whole suite; `make help` lists the rest.
ifeq ($(origin CC),default)
CC = gcc
endif
ifeq ($(origin AR),default)
AR := $(shell $(CC) -print-prog-name=ar)
endif
BUILD ?= build
comma := ,
CFLAGS ?= -O2 -g
# WERROR=1: a warning is an error, for us; in somebody's build a compiler may have warnings that we haven't seen.
WARNINGS = -Wall -Wextra -Wshadow $(if $(WERROR),-Werror)
# liburing from 2.2 on, statically, or else a copy of the few calls that are needed (shim/ring/uring.h): LIBURING=yes, no.
LIBURING := $(or $(LIBURING),$(shell \
    echo 'int main(void) { return io_uring_register_ring_fd(NULL) + IORING_SETUP_COOP_TASKRUN; }' | \
    $(CC) $(CFLAGS) -include liburing.h -x c - -o /dev/null $(LDFLAGS) -l:liburing.a 2>/dev/null && echo yes || echo no))
ifeq ($(LIBURING),no)
OWN_URING = -DOWN_URING
else
URING = -l:liburing.a
endif
# Packed relocations need glibc 2.36: linkers that make them of their own accord can be told not to.
PLAIN := $(shell $(CC) -shared -Wl,-z,nopack-relative-relocs -x c /dev/null -o /dev/null 2>&1 || echo no)
PLAIN := $(if $(PLAIN),,-Wl$(comma)-z$(comma)nopack-relative-relocs)
SHIM_CFLAGS = -std=gnu17 -D_GNU_SOURCE -U_FORTIFY_SOURCE -fPIC -fvisibility=hidden -ftls-model=initial-exec \
              -fasynchronous-unwind-tables -fno-strict-aliasing -pthread -Ishim $(OWN_URING) $(WARNINGS) \
              -Wno-deprecated-declarations $(CFLAGS)
VICTIM_CFLAGS = -std=gnu17 -D_GNU_SOURCE -pthread $(WARNINGS) $(CFLAGS)

SOURCES := $(filter-out shim/tools/% $(if $(OWN_URING),,shim/ring/uring.c),$(wildcard shim/*/*.c shim/*/*/*.c))
# What runs at every start, and in children that only end, comes first: each stretch of code that is touched costs a fault.
AT_START := $(patsubst %,shim/%.c,entry/life/lifecycle entry/processes/fork base/passing entry/entry entry/processes/clone entry/processes/ending entry/data/descriptors common/attention \
            base/thread base/critical entry/data/stdio entry/life/activate entry/life/survey behind/write_behind base/config base/live \
            base/log base/real base/symbols base/signals base/stats base/string base/text base/trace)
OBJECTS := $(patsubst shim/%.c,$(BUILD)/obj/%.o,$(AT_START) $(filter-out $(AT_START),$(SOURCES)))
BELOW_ENTRY := $(filter-out $(BUILD)/obj/entry/%,$(OBJECTS))
LIBRARY := $(BUILD)/liburingshim.so
TOOLS := $(patsubst shim/tools/%.c,$(BUILD)/uringshim-%,$(wildcard shim/tools/*.c))
VICTIMS := $(patsubst tests/victims/%.c,$(BUILD)/victims/%,$(wildcard tests/victims/*.c))

UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c))

PREFIX ?= /usr/local
BIN = $(DESTDIR)$(PREFIX)/bin
PRIVATE = $(DESTDIR)$(PREFIX)/lib/uringshim
SHARE = $(DESTDIR)$(PREFIX)/share
COMPLETIONS = $(SHARE)/bash-completion/completions

.PHONY: all victims units install uninstall deb check check-core check-distributions check-kernels check-aarch64 check-foreign demo bench bench-quick format clean help
all: $(LIBRARY) $(TOOLS)

# liburing's shared library would cost nine system calls at every start. lazy: what isn't called isn't looked up.
# noseparate-code: one mapping instead of three. initfirst: our fork handlers are registered before anybody's, so that
# they run innermost. hash-style: base/symbols.h reads that of ours, too. sort-section: .bss.addresses, .bss.apart and .bss.later… (base/sys.h) come
# behind .bss.
$(LIBRARY): $(OBJECTS) shim/entry/late.map Makefile
	$(if $(OWN_URING),@echo 'no liburing from 2.2 on: its few calls that are needed are our own')
	$(CC) -shared -o $@ $(OBJECTS) $(LDFLAGS) -Wl,-soname,liburingshim.so -Wl,--exclude-libs,ALL -Wl,-z,lazy \
	    -Wl,-z,noseparate-code -Wl,-z,nodelete -Wl,-z,initfirst -Wl,--sort-section=name \
	    -Wl,--version-script=shim/entry/late.map -Wl,--hash-style=gnu $(PLAIN) -Wl,--as-needed \
	    $(URING)

$(BUILD)/obj/%.o: shim/%.c
	@mkdir -p $(@D)
	$(CC) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

# Programs of the command's own, with what they need of the library.
$(BUILD)/uringshim-%: shim/tools/%.c $(BUILD)/obj/below_entry.a
	$(CC) $(filter-out -fPIC -pthread,$(SHIM_CFLAGS)) -MMD -MP -o $@ $< $(BUILD)/obj/below_entry.a $(LDFLAGS) \
	    -Wl,--wrap=__libc_start_main $(PLAIN) -Wl,--as-needed $(URING)

$(BUILD)/obj/below_entry.a: $(BELOW_ENTRY)
	@rm -f $@
	$(AR) rcs $@ $^

victims: $(VICTIMS)
$(BUILD)/victims/%: tests/victims/%.c $(wildcard tests/victims/*.h)
	@mkdir -p $(@D)
	$(CC) $(VICTIM_CFLAGS) -o $@ $< -Wl,--as-needed -lrt -lutil -ldl

# Tests of ordinary functions are linked with everything but the shells.
units: $(UNITS)
$(BUILD)/unit/%: tests/unit/%.c $(BELOW_ENTRY) tests/unit/check.h
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIC,$(SHIM_CFLAGS)) -o $@ $(filter-out %.h,$^) $(LDFLAGS) $(URING) -Wl,--as-needed -ldl
# It stands in for a newer liburing.
$(BUILD)/unit/ring: override LDFLAGS += -Wl,--wrap=io_uring_queue_init_params

install: all
	install -d $(BIN) $(PRIVATE)/commands $(SHARE)/man/man1 $(SHARE)/man/man7 $(COMPLETIONS) $(SHARE)/doc/uringshim/docs
	install scripts/uringshim $(BIN)
	install -m 644 $(LIBRARY) $(PRIVATE)
	$(if $(TOOLS),install $(TOOLS) $(PRIVATE))
	install -m 644 scripts/commands/*.sh $(PRIVATE)/commands
	install -m 644 docs/uringshim.1 $(SHARE)/man/man1
	install -m 644 docs/uringshim.7 $(SHARE)/man/man7
	install -m 644 scripts/completion.bash $(COMPLETIONS)/uringshim
	install -m 644 README.md LICENSE $(SHARE)/doc/uringshim
	install -m 644 docs/*.md docs/*.svg $(SHARE)/doc/uringshim/docs

uninstall:
	rm -f $(BIN)/uringshim $(SHARE)/man/man1/uringshim.1 $(SHARE)/man/man7/uringshim.7 $(COMPLETIONS)/uringshim
	rm -rf $(PRIVATE) $(SHARE)/doc/uringshim

# From a copy, for debhelper leaves much beside debian/; and with nothing of this make, whose BUILD isn't the copy's.
deb:
	rm -rf $(BUILD)/deb
	mkdir -p $(BUILD)/deb/uringshim
	tar -cf - --exclude-vcs --exclude=./build --exclude=./$(patsubst $(CURDIR)/%,%,$(abspath $(BUILD))) . | tar -xf - -C $(BUILD)/deb/uringshim
	cd $(BUILD)/deb/uringshim && env -u MAKEFLAGS -u MAKELEVEL -u BUILD dpkg-buildpackage -us -uc -b
	rm -rf $(BUILD)/deb/uringshim

demo:
	scripts/setup build demo
	$(MAKE) all
	scripts/demo

check:
	scripts/setup build check
	$(MAKE) all victims units
	scripts/check

# Without bats, and on a machine that has no compiler scripts/check-core alone.
check-core: all victims
	scripts/check-core $(BUILD)

# Clean Debians, old and new: minutes each. A part of them is in .ci/run.
check-distributions:
	scripts/setup build check
	scripts/check-distributions

# Emulated: an hour or two.
check-kernels:
	scripts/setup build kernels
	$(MAKE) all victims
	scripts/check-kernels -b $(BUILD)

# Other people's test suites: hours, and not part of check.
check-foreign:
	scripts/setup build foreign
	$(MAKE) all
	scripts/check-foreign

# The library for another processor, with programs emulated one by one: some minutes, and not part of check.
check-aarch64:
	scripts/setup build aarch64
	scripts/check-aarch64

bench:
	scripts/setup build bench
	$(MAKE) all
	scripts/bench -o $(BUILD)/bench.json
	scripts/bench-chart $(BUILD)/bench.json >$(BUILD)/bench.svg

bench-quick: all
	scripts/bench -q -o $(BUILD)/bench.json
	scripts/bench-chart $(BUILD)/bench.json >$(BUILD)/bench.svg

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD)

help:
	@echo 'all      build/liburingshim.so, and the programs that uringshim check and doctor use'
	@echo 'install  under PREFIX (/usr/local), inside DESTDIR where that is given; uninstall, with the same, removes it'
	@echo 'deb      a Debian package in build/deb'
	@echo 'demo     real programs, natively and shimmed, compared'
	@echo 'check    the whole test suite'
	@echo 'check-core  the core of the suite, which needs bash alone: for bare, old and emulated machines'
	@echo 'check-distributions  builds and tries it in clean Debians, from the oldest libc to the newest'
	@echo 'check-kernels  the same on other kernels, in emulated machines; what works where is written into build/kernels'
	@echo 'check-aarch64  builds for aarch64 with the cross compiler, and tries that with programs emulated one by one'
	@echo 'check-foreign  the test suites of CPython, shells and stress-ng, natively and shimmed, compared case by case'
	@echo 'bench    benchmarks, natively and shimmed: tables, build/bench.json and build/bench.svg; bench-quick: the core'
	@echo 'format   clang-format over the tree'
	@echo 'clean    remove build/'

-include $(OBJECTS:.o=.d) $(TOOLS:=.d)
