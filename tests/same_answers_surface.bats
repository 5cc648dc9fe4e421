#!/usr/bin/env bats
# Same answers, over the whole surface: the rarer calls, names and flags, the less common ways to make
# processes and to end threads, and other libraries that put themselves before the same functions.

load lib/common
load lib/compare

@test "vectors, flags, and names with 64 or a check" {
    same_as_native "$VICTIMS/surface_calls"
    assert_deferred
}

@test "versions kept for programs that were linked long ago" {
    same_as_native "$VICTIMS/surface_versions"
    assert_deferred
    need_command cc # beside a library that has only the older kind of hash table
    echo 'int nothing_of_libcs(void) { return 0; }' | cc -shared -fPIC -Wl,--hash-style=sysv -x c -o older.so -
    LD_PRELOAD=$PWD/older.so same_as_native "$VICTIMS/surface_versions"
}

@test "a checked read that is longer than its buffer ends the process" {
    # A shell in between, so that the one that is killed is not announced.
    # shellcheck disable=SC2016 # for the shell in between
    same_as_native perl -e 'print system(@ARGV), "\n"' "$VICTIMS/surface_overrun"
}

@test "clone by hand, vfork as runtimes use it, spawning with actions, and daemons" {
    local how wrong=0
    for how in $("$VICTIMS/surface_processes"); do
        same_as_native "$VICTIMS/surface_processes" "$how" || { echo "$how" && wrong=1; }
    done
    ((wrong == 0))
    assert_deferred
}

@test "a memfd that another process seals" {
    same_as_native "$VICTIMS/sealed"
}

@test "threads cancelled in reads, writes and computing" {
    same_as_native "$VICTIMS/surface_cancel"
    assert_deferred
}

@test "numbers that go from hand to hand through stdio" {
    same_as_native "$VICTIMS/surface_streams"
    assert_deferred
}

@test "a library loaded and unloaded that writes as it comes and goes" {
    need_command cc
    cc -shared -fPIC -x c -o guest.so - <<'CODE'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static int fd;
static FILE *stream;
__attribute__((constructor)) static void come(void) {
    fd = open("guest", O_WRONLY | O_CREAT | O_APPEND, 0600);
    stream = fopen("stream of the guest", "a");
    for (int i = 0; i < 200; i++)
        if (write(fd, "coming\n", 7) != 7 || fprintf(stream, "coming %d\n", i) < 0)
            _exit(98);
}
__attribute__((destructor)) static void go(void) {
    for (int i = 0; i < 200; i++)
        if (write(fd, "going\n", 6) != 6 || fprintf(stream, "going %d\n", i) < 0)
            _exit(98);
    close(fd);
    fclose(stream);
}
CODE
    cc -x c -o host - -ldl <<'CODE'
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int fd = open("host", O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 100; j++)
            if (write(fd, "the host\n", 9) != 9)
                return 98;
        void *guest = dlopen(argv[1], i % 2 ? RTLD_NOW : RTLD_LAZY | RTLD_GLOBAL);
        if (!guest || (i != 9 && dlclose(guest) != 0))
            return 98;
    }
    return argc - 2;
}
CODE
    same_as_native "$PWD/host" "$PWD/guest.so"
    assert_deferred
}

# library NAME: the path of a shared library that the loader knows.
library() {
    PATH=$PATH:/usr/sbin:/sbin ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }'
}

# among PLACE NAME CMD…: CMD with a library of another's preloaded, `before` this one, `after` it, or both.
among() {
    local other mode order
    other=$(library "$2")
    [[ $other ]] || skip "needs $2"
    record native env LD_PRELOAD="$other" "${@:3}"
    grep -Exq 'status (9[89]|12[67])' native.result && { fail "natively: $(cat native.result)" || return; }
    for mode in "${MODES[@]:0:3}"; do
        for order in "before $other:$LIB" "after $LIB:$other"; do
            [[ $1 == both || $1 == "${order%% *}" ]] || continue
            same_as_recorded env LD_PRELOAD="${order#* }" URINGSHIM_TEST_EAGER=1 "$mode" URINGSHIM_STATS="$STATS" \
                "${@:3}" || fail "$mode, $order" || return
        done
    done
    assert_deferred
}

@test "with eatmydata" {
    among both libeatmydata.so "$VICTIMS/surface_streams"
    among both libeatmydata.so "$VICTIMS/surface_calls"
}

@test "with jemalloc" {
    among both libjemalloc.so.2 "$VICTIMS/surface_streams"
    among both libjemalloc.so.2 "$VICTIMS/lifecycle_threads"
}

@test "with tcmalloc, and with mimalloc" {
    among both libtcmalloc_minimal.so.4 "$VICTIMS/surface_streams"
    among both libtcmalloc_minimal.so.4 "$VICTIMS/lifecycle_threads"
    among both libmimalloc.so.2 "$VICTIMS/surface_streams"
    among both libmimalloc.so.2 "$VICTIMS/lifecycle_threads"
}

# It shares memory with the programs that it starts.
@test "with faketime" {
    library() { find /usr/lib -name "$1" 2>/dev/null | head -n 1; }
    export FAKETIME='@2021-02-03 04:05:06' URINGSHIM_SHARED_MEMORY=ignore
    among both libfaketime.so.1 "$VICTIMS/surface_streams"
    among both libfaketime.so.1 "$VICTIMS/surface_calls"
    among both libfaketime.so.1 "$VICTIMS/tools_busy" 300
}

# It insists on being the first.
@test "with AddressSanitizer's runtime" {
    local runtime
    runtime=$(cc -print-file-name=libasan.so)
    library() { [[ $runtime != /* ]] || realpath "$runtime"; }
    export ASAN_OPTIONS=detect_leaks=0
    among before libasan env URINGSHIM_OWN_CALLS=ignore "$VICTIMS/surface_streams"
    among before libasan env URINGSHIM_OWN_CALLS=ignore "$VICTIMS/surface_cancel"
}

@test "under fakeroot, in either order" {
    need_command fakeroot
    # shellcheck disable=SC2016 # for the shell in fakeroot
    local script='for i in 1 2 3; do "$@" "$i" || exit; done; ls -ln | awk "{ print \$1, \$3, \$4 }"' mode order
    # shellcheck disable=SC2016 # the variables are perl's
    local work='open F, ">", "file$ARGV[0]" or die; syswrite F, "line $_\n" for 1 .. 2000; chown 5, 6, "file$ARGV[0]";
        mkdir "dir$ARGV[0]"; syswrite F, "more\n" for 1 .. 500; chmod 0640, "file$ARGV[0]"; close F;
        print join(" ", (stat "file$ARGV[0]")[2, 4, 5, 7]), "\n"'
    record native fakeroot sh -c "$script" sh perl -e "$work"
    # shellcheck disable=SC2016 # for the shell in fakeroot, which has its library in LD_PRELOAD by then
    for mode in "${MODES[@]:0:3}"; do
        for order in '$LD_PRELOAD:$OURS' '$OURS:$LD_PRELOAD'; do
            same_as_recorded fakeroot env OURS="$LIB" URINGSHIM_TEST_EAGER=1 "$mode" URINGSHIM_STATS="$STATS" \
                sh -c "export LD_PRELOAD=$order; $script" sh perl -e "$work" || fail "$mode, $order"
        done
    done
    assert_deferred
}
