#!/usr/bin/env bats
# Same answers by libc itself: what it reads of files without being told their names, and what it is in one version or
# another. Nothing of it is decided where the library is built.

bats_require_minimum_version 1.5.0

load lib/common
load lib/compare
load lib/trace

@test "a time zone's file that isn't closed yet is read as it is" {
    same_as_native "$VICTIMS/libc_reads" zones
    assert_deferred
}

@test "so is the default zone's, when it changes" {
    need_root
    skip_unless "no mounts of its own" unshare -m true
    cp /etc/localtime zone
    # shellcheck disable=SC2016 # for the shell in between
    AROUND=(env -u TZ unshare -m bash -c 'cp "$0" "$0.now" && mount --bind "$0.now" /etc/localtime && "$@"' "$PWD/zone")
    skip_unless "no file over /etc/localtime" "${AROUND[@]}" true
    same_as_native "$VICTIMS/libc_reads" default
    assert_deferred
}

@test "so are message catalogues, locales, character sets, and libc's own messages" {
    local what wrong=0 module
    module=$(find /usr/lib -path '*/gconv/ISO8859-2.so' 2>/dev/null | head -n 1)
    for what in catalogues locales conversions strerror; do
        [[ $what != locales || -r /usr/lib/locale/C.utf8/LC_TIME ]] || continue
        [[ $what != conversions || $module ]] || continue
        rm -f "$STATS"
        same_as_native "$VICTIMS/libc_reads" "$what" "$module" || { echo "$what" && wrong=1; }
        [[ $what == strerror ]] || assert_deferred
    done
    ((wrong == 0))
    rm -f "$STATS"
    shim "$VICTIMS/libc_reads" strerror # from bindtextdomain on nobody sees when it is read
    (($(stat_value passed.libc_reads) > 0))
    rm -f "$STATS"
    GCONV_PATH=$SCRATCH shim "$VICTIMS/libc_reads" log 1000
    (($(stat_value passed.libc_reads) > 900 && $(stat_value write.deferred) == 0))
}

# Of a log's lines, each with the local time. strace sees the system calls that are left, natively three or two a line.
@test "who asks for the local time between his writes gains as before" {
    local zone calls barriers
    for zone in unset :/etc/localtime UTC EST5EDT America/New_York CET-1CEST,M3.5.0,M10.5.0/3; do
        [[ $zone != EST5EDT || -e /usr/share/zoneinfo/$zone ]] || continue # then libc looks for it each time
        [[ ($zone != unset && $zone != :*) || -e /etc/localtime ]] || continue # likewise
        if [[ $zone == unset ]]; then unset TZ; else export TZ=$zone; fi
        rm -rf log "$STATS"
        shim URINGSHIM_MAX_DELAY_US=1000000 URINGSHIM_OWN_CALLS=ignore "$VICTIMS/libc_reads" log 20000
        barriers=$(stat_value flush.barrier)
        ((barriers <= 2)) || fail "$zone: $barriers barriers: $(cat "$STATS")"
        assert_deferred
        rm -f log
        trace URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000 URINGSHIM_OWN_CALLS=ignore "$VICTIMS/libc_reads" log 20000
        # libc's own looks at the default zone, and not many more
        calls=$(grep -Ecv 'newfstatat\(AT_FDCWD, "/etc/localtime"|^[0-9]+ +\+\+\+' calls)
        ((calls < 1000)) || fail "$zone: $calls calls"
        calls=$(grep -Ec 'newfstatat\(AT_FDCWD, "/etc/localtime"' calls) || true
        ((calls < 20200)) || fail "$zone: $calls looks at the default zone"
    done
}

@test "dprintf and its like write in their turn, and openat2 by number truncates what was written" {
    same_as_native "$VICTIMS/libc_versions" print
    assert_deferred
    same_as_native "$VICTIMS/libc_versions" openat2
}

@test "functions that this libc hasn't got aren't there" {
    same_as_native "$VICTIMS/libc_names"
}

@test "dlsym answers as to the caller" {
    need_command cc
    cc -shared -fPIC -x c -o next.so - <<'CODE'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int puts(const char *text) { return ((int (*)(const char *))dlsym(RTLD_NEXT, "puts"))(text); }
static void where(void *address) {
    Dl_info info;
    char text[200];
    snprintf(text, sizeof text, "%s", !address ? dlerror() : dladdr(address, &info) ? info.dli_fname : "nowhere");
    puts(text);
}
__attribute__((constructor)) static void start(void) {
    where(dlsym(RTLD_NEXT, "write"));
    where(dlvsym(RTLD_NEXT, "write", "GLIBC_2.2.5"));
    where(dlsym(RTLD_NEXT, "no_such_function"));
    where(dlsym(RTLD_DEFAULT, "puts"));
}
CODE
    # shellcheck disable=SC2016 # for the shell in between
    AROUND=(bash -c 'export LD_PRELOAD=$0 && "$@"' "$PWD/next.so")
    same_as_native "$VICTIMS/libc_versions" print
    grep -q /libc.so native.result
}

# What was found in one of them isn't looked at when it has gone.
@test "parts of libc come and go" {
    same_as_native "$VICTIMS/libc_parts" lib{resolv.so.2,util.so.1,anl.so.1,rt.so.1}
}

# served PROGRAM [WAY]: how many of 13,893 reads of a byte were answered from a window, which is done for one thread only.
served() {
    rm -f "$STATS"
    [ "$(shim URINGSHIM_TEST_EAGER=1 "$1" numbers "${@:2}")" = 13893 ] || fail "$*"
    stat_value read.served
}

@test "a second thread is noticed, whoever makes it and even if it does nothing" {
    need_command cc
    local program programs=("$VICTIMS/threads_second") way
    # The linker moves libc's word that there is one only into a program that isn't position independent.
    echo 'extern char __libc_single_threaded; char word(void) { return __libc_single_threaded; }' >word.h
    cc -w -fno-pic -no-pie -pthread -include word.h -o copy "$ROOT/tests/victims/threads_second.c" &&
        readelf -W -r copy | grep -q 'COPY.*__libc_single_threaded' && programs+=(./copy)
    # As libstdc++ asks for threads before glibc 2.34: in no version, for it isn't linked with their library.
    mkdir stub
    echo 'void pthread_create(void) {} void thrd_create(void) {}' |
        cc -w -shared -fPIC -nostdlib -Wl,-soname,libpthread.so.0 -x c -o stub/libpthread.so.0 -
    cc -w -o plain "$ROOT/tests/victims/threads_second.c" -Lstub -Wl,--no-as-needed -l:libpthread.so.0 -lrt
    programs+=(./plain)
    seq 3000 >numbers
    for program in "${programs[@]}"; do
        (($(served "$program") > 10000))
        for way in create thrd timer; do
            (($(served "$program" "$way") == 0)) || fail "$program $way"
        done
    done
}

# unknown DEFERRED HOW [LIBRARY]: with a library that knows no function of libc's that came after 2.35. Twice 200 lines
# are written, and between them is what HOW says.
unknown() {
    rm -f "$STATS" lines
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_TEST_LIBC=35 "$VICTIMS/libc_versions" unknown "${@:2}"
    [[ $(uniq -c <(fold -w 6 lines)) =~ ^\ *400\ abcdef$ ]]
    (($(stat_value write.deferred) == $1 && $(stat_value passed.newer_libc) == 400 - $1)) ||
        fail "$*: $(cat "$STATS")"
}

@test "functions of a libc newer than we know keep the library out" {
    need_command cc
    skip_unless "needs glibc 2.36" "$VICTIMS/libc_versions" unknown dlvsym
    echo 'extern unsigned arc4random(void); unsigned call_it(void) { return arc4random(); }' >newer.c
    echo 'extern unsigned arc4random(void) __attribute__((weak)); int is_there(void) { return !!arc4random; }' >maybe.c
    cc -shared -fPIC -o newer.so newer.c
    cc -shared -fPIC -nostdlib -o bare.so maybe.c # its name has no version
    cc -shared -fPIC -nostdlib -Wl,--hash-style=sysv -o older.so newer.c
    echo 'int call_it(void) { return 4; }' | cc -shared -fPIC -x c -o known.so -
    unknown 400 none
    unknown 400 missing
    unknown 200 dlsym
    unknown 200 dlvsym
    unknown 400 load ./known.so
    unknown 200 load ./newer.so
    unknown 200 load ./bare.so
    LD_PRELOAD=$PWD/known.so unknown 400 none
    LD_PRELOAD=$PWD/newer.so unknown 0 none
    LD_PRELOAD=$PWD/bare.so unknown 0 none
    # and nothing is read ahead
    rm -f "$STATS"
    seq 3000 >numbers
    LD_PRELOAD=$PWD/newer.so shim URINGSHIM_TEST_LIBC=35 bash -c 'while read -r line; do :; done <numbers'
    (($(stat_value read.served) == 0))
}

# What came between the oldest libc that we build on and the newest that we know, and one function more.
@test "each function of libc is classified, or newer than all we know" {
    need_command cc
    local known=(__isoc23_{fscanf,strtol,wcstoull_l,vswscanf} {str,wcs}lc{at,py} __{str,wcs}lc{at,py}_chk
        pidfd_{getpid,spawn,spawnp} posix_spawnattr_{get,set}cgroup_np stdc_{bit_ceil_ui,has_single_bit_ull}
        sched_{get,set}attr __inet_{ntop,pton}_chk cf{get,set}{i,o}baud cfsetbaud pthread_gettid_np
        u{,l,ll,imax,max}abs free_sized free_aligned_sized memalignment memset_explicit __memset_explicit_chk mseal openat2)
    {
        echo 'GLIBC_2.43 {'
        printf '%s;\n' late write "${known[@]}"
        echo '}; GLIBC_2.99 { later; };'
    } >versions
    printf 'void %s(void) {}\n' late later write "${known[@]}" |
        cc -w -shared -fPIC -nostdlib -fno-builtin -Wl,--version-script=versions -x c -o libnew.so -
    run -1 "$ROOT/scripts/list-libc" --check "$PWD/libnew.so"
    [ "${lines[0]} ${#lines[@]}" = "late UNCLASSIFIED 2" ]
    run -1 "$ROOT/scripts/list-libc" "$PWD/libnew.so"
    [[ $output == *"later newer"* && $output == *"openat2 late"* ]]
    "$ROOT/scripts/list-libc" --check
}
