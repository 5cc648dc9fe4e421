#!/usr/bin/env bats
# Same answers to whoever reads: the bytes, the positions and the errors are the native ones, in whatever order calls
# are mixed, and whoever shares the description finds it where its reader has got to.
# shellcheck disable=SC2016 # the variables are the programs' own

load lib/common
load lib/compare

reads_as_natively() {
    rm -f "$STATS"
    same_as_native "${PATIENTLY[@]}" "$@" || return
    # While calls are counted, more of them are looked at.
    same_as_recorded env LD_PRELOAD="$LIB" URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$@" ||
        fail "differs without statistics" || return
    grep -q 'status 137' native.result && fail "natively: $(tail -n 3 native.result)"
    assert_served
}

@test "every call that moves a position, or depends on one" {
    reads_as_natively "$VICTIMS/positions_calls"
}

@test "memory that can't be written, wholly or in part" {
    reads_as_natively "$VICTIMS/positions_buffers"
}

@test "every way to share a description with another process" {
    reads_as_natively "$VICTIMS/positions_processes"
    reads_as_natively "$VICTIMS/positions_processes" become
}

@test "libc's streams, and the positions that they leave to others" {
    reads_as_natively "$VICTIMS/positions_streams"
}

# in_both_shells SCRIPT: with 3,000 lines in ../lines, and as many in $SCRATCH/other.
in_both_shells() {
    local shell
    seq -f 'line %g of the file' 3000 >lines
    seq -f 'other %g' 3000 >other
    for shell in bash dash; do
        command -v "$shell" >/dev/null || continue
        reads_as_natively "$shell" -c "$1" || fail "$shell"
    done
}

@test "shells: a loop whose body reads, too" {
    in_both_shells '
        n=0; while read -r a b c; do n=$((n + 1)); echo "$n $b"; [ $((n % 100)) -ne 0 ] || dd bs=7 count=3 status=none; done <../lines
        n=0; while read -r a && [ $n -lt 60 ]; do n=$((n + 1)); echo "$a" "$(dd bs=1 count=5 status=none)"; done <../lines
        n=0; while read -r a && [ $n -lt 60 ]; do n=$((n + 1)); (read -r b; read -r c; echo "$a-$b-$c"); done <../lines'
}

@test "shells: commands that share one input" {
    in_both_shells '
        (head -c 100; echo; cat) <../lines | cksum
        (dd bs=1 count=33 status=none; sed -n 1q; cat) <../lines | cksum
        { read -r a; echo "$a"; head -n 1; read -r b; echo "$b"; cat | wc -c; } <../lines
        { for i in 1 2 3 4 5 6 7 8 9; do read -r a; echo "$a"; dd bs=100 count=1 status=none | cksum; done; } <../lines
        { read -r a; sh -c "read -r x; echo \$x; read -r y; exec cat" | tail -n 2; read -r b || echo "nothing left"; } <../lines'
}

@test "shells: descriptors of their own, and more than one at a time" {
    in_both_shells '
        exec 3<../lines 4<../other
        for i in $(seq 200); do read -r a <&3; read -r b <&4; echo "$a+$b"; done | cksum
        read -r a <&3; read -r b <&4; echo "$a $b"
        exec 5<&3; for i in $(seq 100); do read -r a <&3; read -r b <&5; done; echo "$a $b"; exec 3<&-
        read -r a <&5; echo "$a"; cat <&5 | wc -c; exec 5<../other; read -r a <&5; echo "$a"
        while read -r a <&4; do case $a in *00) echo "$a" ;; esac; done
        while read -r a; do case $a in *7) read -r b <&5; echo "$b"; esac; done <../lines | cksum'
}

@test "shells: here documents, substitutions, subshells and jobs that are waited for" {
    in_both_shells '
        i=0; while read -r a; do i=$((i + 1)); echo "$i $a"; [ $i -ne 5 ] || cat; done <<END
$(seq 40)
END
        { read -r a; b=$(read -r x; echo "$x"); read -r c; echo "$a/$b/$c"; } <../lines
        { for i in 1 2 3 4 5; do read -r a; { read -r b; echo "$a $b"; } <&0 & wait; done; read -r a; echo "$a"; } <../lines
        { while read -r a; do echo "$a"; done | tail -n 3; read -r b || echo none; } <../other
        (while read -r a; do :; done; echo "$a"; read -r a || echo end) <../lines
        f() { read -r a; echo "$a"; }; { f; f; (f); f; } <../lines'
}

@test "bash: mapfile, read -u, -n, -N, -d, coprocesses and process substitution" {
    seq -f 'line %g of the file' 3000 >lines
    reads_as_natively bash -c '
        exec 3<../lines; mapfile -n 200 -u 3 -t a; echo "${#a[@]} ${a[199]}"; read -r -u 3 b; echo "$b"
        for i in {1..200}; do read -r -n 7 -u 3 b; echo "$b"; done | cksum; read -r -N 50 -u 3 b; echo "$b"
        read -r -d 9 -u 3 b; echo "$b"; dd bs=3 count=4 status=none <&3; mapfile -u 3 -s 5 -n 2 a; echo "${a[@]}"
        while read -r -u 4 b; do c=$b; done 4< <(cat <&3); echo "$c"; read -r -u 3 || echo end
        { while read -r b; do [[ $b == *500* ]] && break; done; mapfile a; echo "${#a[@]}"; } <../lines
        coproc { while read -r b; do echo "got $b"; done; }; exec 3<../lines
        for i in {1..50}; do read -r -u 3 b; echo "$b" >&"${COPROC[1]}"; read -r -u "${COPROC[0]}" c; echo "$c"; done'
}

@test "perl: sysread, sysseek, fork and system" {
    seq -f 'line %g of the file' 20000 >lines
    reads_as_natively perl -e '
        open F, "<", "../lines" or die; $| = 1; my ($b, $c);
        for my $i (1 .. 600) {
            sysread F, $b, 1 + $i % 37; print unpack("%32C*", $b), " ", sysseek(F, 0, 1), "\n";
            sysseek F, -3, 1 if $i % 7 == 0; sysseek F, $i * 9, 0 if $i % 50 == 0; print -s F, "\n" if $i % 90 == 0;
            if ($i % 60 == 0) { if (!fork) { sysread F, $c, 13; print "child $c\n"; exit } wait }
            if ($i % 100 == 0) { open STDIN, "<&F"; system "dd bs=5 count=2 status=none; echo"; system "head -c 9 | wc -c" }
        }
        open G, "<", "../lines" or die; for (1 .. 300) { my $l = <G>; print tell G, " ", sysseek(G, 0, 1), "\n" if $_ % 50 == 0 }
        if (!fork) { print scalar <G>; exit } wait; print scalar <G>; seek G, -50, 1; print scalar <G>;
        close G; open G, "+<", "../lines" or die; for (1 .. 300) { sysread G, $b, 5 } print sysseek(G, 0, 1), " $b\n"'
}

@test "python: os.read, lseek, fork, and programs with stdin=f" {
    need_command /usr/bin/python3
    seq -f 'line %g of the file' 20000 >lines
    reads_as_natively /usr/bin/python3 -c '
import os, subprocess, sys
fd = os.open("../lines", os.O_RDONLY)
def say(*what):
    print(*what, flush=True)
for i in range(1, 500):
    b = os.read(fd, 1 + i % 41)
    if i % 11 == 0: say(b, os.lseek(fd, 0, os.SEEK_CUR))
    if i % 13 == 0: os.lseek(fd, -2, os.SEEK_CUR)
    if i % 17 == 0: say(os.pread(fd, 9, i * 3))
    if i % 60 == 0:
        if os.fork() == 0:
            say("child", os.read(fd, 10)); os._exit(0)
        os.wait()
    if i % 80 == 0:
        say(subprocess.run(["dd", "bs=4", "count=3", "status=none"], stdin=fd, capture_output=True).stdout)
    if i % 120 == 0:
        os.close(fd); fd = os.open("../lines", os.O_RDONLY); os.lseek(fd, i, os.SEEK_SET)
with open("../lines", "rb", buffering=0) as f:
    for i in range(300): f.read(7)
    say(f.tell(), subprocess.run(["head", "-c", "20"], stdin=f, capture_output=True).stdout, f.tell(), f.readline())
with open("../lines", "rb") as f:
    for i in range(300): f.readline()
    say(f.tell(), os.lseek(f.fileno(), 0, os.SEEK_CUR), subprocess.run("head -c 20", shell=True, stdin=f, capture_output=True).stdout, f.readline())'
}

# Where another reader comes between a call's announcement and the kernel, by whichever way.
@test "a handler, or another thread, reads between a call's entry and the kernel" {
    local how mode
    skip_unless "its system calls are those of x86-64" test "$(uname -m)" = x86_64
    cc -shared -fPIC -x c -o between.so - <<'CODE'
#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
void (*between)(void);
static long call(long number, long a, long b, long c, long d, long flags) { /* seen by nobody */
    if (between)
        between();
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = number == SYS_copy_file_range ? flags >> 32 : 0;
    register long r9 __asm__("r9") = (int)flags;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    if ((unsigned long)number <= -4096ul)
        return number;
    errno = (int)-number;
    return -1;
}
ssize_t read(int fd, void *bytes, size_t n) { return call(SYS_read, fd, (long)bytes, n, 0, 0); }
ssize_t readv(int fd, void *v, int n) { return call(SYS_readv, fd, (long)v, n, 0, 0); }
ssize_t preadv2(int fd, void *v, int n, long at, int flags) { return call(SYS_preadv2, fd, (long)v, n, at, flags); }
long lseek(int fd, long at, int whence) { return call(SYS_lseek, fd, at, whence, 0, 0); }
ssize_t sendfile(int out, int in, void *at, size_t n) { return call(SYS_sendfile, out, in, (long)at, n, 0); }
ssize_t copy_file_range(int in, void *from, int out, void *to, size_t n, unsigned flags) {
    return call(SYS_copy_file_range, in, (long)from, out, (long)to, (long)n << 32 | flags);
}
CODE
    for how in handler thread; do
        LD_PRELOAD=$PWD/between.so "${PATIENTLY[@]}" "$VICTIMS/positions_between" "$how"
        for mode in URINGSHIM_TEST_EAGER=0 URINGSHIM_TEST_EAGER=1; do
            # shim puts the library before it
            LD_PRELOAD=$PWD/between.so shim URINGSHIM_OWN_CALLS=ignore "$mode" "${PATIENTLY[@]}" "$VICTIMS/positions_between" "$how" ||
                fail "$how, $mode"
        done
    done
    assert_served
}

# checked CMD…: it finds its own mistakes; as it is, and reading ahead from the beginning and from the first read on.
checked() {
    local eager
    "${PATIENTLY[@]}" "$@" || fail "natively"
    for eager in 0 1; do
        shim URINGSHIM_TEST_EAGER=$eager "${PATIENTLY[@]}" "$@" || fail "eager $eager: $*" || return
    done
}

@test "four threads read through one descriptor: every byte comes once" {
    local how
    for how in alone seek replace look mixed; do
        checked "$VICTIMS/threads_read" "$how" 5 || return
    done # whether any is served or not: a position may well be left to the kernel while there are threads
}

@test "a thread reads what another truncates and writes anew" {
    checked "$VICTIMS/threads_rewrite" 200
    assert_served
}

@test "two processes read through one description at the same time: every record comes to one of them" {
    local how
    for how in fork spawn message supervisor again; do
        checked "$VICTIMS/positions_shared" "$how" || fail "$how" || return
    done
    assert_served
}
