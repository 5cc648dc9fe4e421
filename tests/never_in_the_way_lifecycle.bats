#!/usr/bin/env bats
# Never in the way at the turns of a process's life, nor do same answers, external synchrony and prefix consistency end
# there: when it makes another, becomes another, ends, loses all its descriptors, changes who it is, or renames what it
# is writing to.

load lib/common
load lib/compare

@test "every way to make a process" {
    local how
    for how in $("$VICTIMS/lifecycle_process" --list); do
        same_as_native "$VICTIMS/lifecycle_process" "$how" || fail "$how"
    done
    assert_deferred
}

@test "a child defers as its parent does" {
    # How many writes pass while the code is looked at nobody can say.
    # shellcheck disable=SC2016 # the variables are perl's
    shim URINGSHIM_OWN_CALLS=ignore perl -e '
        open F, ">", "parent"; syswrite F, "parent $_\n" for 1 .. 5000;
        if (!fork) { open F, ">", "child"; syswrite F, "child $_\n" for 1 .. 5000; exit }
        syswrite F, "parent again $_\n" for 1 .. 5000; wait'
    [[ $(grep -c '"write.deferred":[1-9][0-9][0-9][0-9]' "$STATS") == 2 ]] || fail "$(cat "$STATS")"
    [[ $(wc -l <parent) == 10000 && $(wc -l <child) == 5000 ]]
}

# Same answers: a vfork child runs in its parent's memory, but not with its descriptors.
@test "vfork children that close the file another thread is writing" {
    local mode
    for mode in "${MODES[@]:0:4}"; do
        shim URINGSHIM_TEST_EAGER=1 "$mode" "$VICTIMS/lifecycle_vfork" lines || fail "$mode"
        seq 0 "$(($(wc -l <lines) - 1))" | cmp - lines || fail "$mode"
    done
    assert_deferred
}

# comes_to_an_end CMD…: natively, with what the policy makes of it, and with as much deferred as can be. Bats doesn't wait for
# a child of it that hangs.
comes_to_an_end() {
    local mode
    "${PATIENTLY[@]}" "$@" 3>&- || fail "natively" || return
    shim "${PATIENTLY[@]}" "$@" 3>&- || fail "with the defaults" || return
    for mode in "${MODES[@]:0:3}"; do
        shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$@" 3>&- || fail "$mode" || return
    done
}

@test "forks while another thread is in the dynamic loader" {
    comes_to_an_end "$VICTIMS/lifecycle_loader" fork 60
    assert_deferred
}

@test "first writes while another thread is in the dynamic loader, and forks there" {
    comes_to_an_end "$VICTIMS/lifecycle_loader" iterate
    assert_deferred
}

@test "first calls of many kinds while another thread loads a library, and comes to an end only after them" {
    comes_to_an_end "$VICTIMS/lifecycle_loader" first
    assert_deferred
}

@test "forks while other threads reopen streams" {
    comes_to_an_end "$VICTIMS/lifecycle_reopen" 120
}

@test "a child defers though another thread was reopening a stream" {
    "${PATIENTLY[@]}" "$VICTIMS/lifecycle_reopen" waiting
    rm fifo lines
    shim URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$VICTIMS/lifecycle_reopen" waiting
    assert_deferred
}

# External synchrony and prefix consistency: what another thread wrote, though only a signal tells.
@test "signals that come while vfork waits for its child" {
    local way mode
    for way in handler jump dies; do
        "${PATIENTLY[@]}" "$VICTIMS/lifecycle_vfork_signals" "$way"
        for mode in "${MODES[@]:0:3}"; do
            shim URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000 "$mode" \
                "${PATIENTLY[@]}" "$VICTIMS/lifecycle_vfork_signals" "$way" || fail "$way, $mode"
        done
    done
    assert_deferred
}

@test "a thread that libc doesn't know ends by the bare system call" {
    same_as_native "${PATIENTLY[@]}" "$VICTIMS/lifecycle_raw_thread"
    assert_deferred
}

@test "threads with thread-local memory of the program's own, all zeros, call libc" {
    local how
    for how in libc own; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/lifecycle_own_tls" "$how" || fail "$how"
    done
    assert_deferred
}

@test "a program with much thread-local memory" {
    same_as_native "$VICTIMS/lifecycle_large_tls"
    assert_deferred
}

@test "every way to exec, and the ones that fail" {
    local how
    for how in execl execlp execle execv execvp execvpe execve fexecve execveat syscall bare; do
        same_as_native "$VICTIMS/lifecycle_exec" "$how" || fail "$how"
    done
    assert_deferred
}

@test "every way to end, with handlers and destructors that write" {
    local how
    for how in return exit _exit quick_exit exit_group pthread_exit handled; do
        same_as_native "$VICTIMS/lifecycle_exit" "$how" || fail "$how"
    done
    for how in abort raise; do
        # A shell in between, so that the one that is killed is not announced.
        # shellcheck disable=SC2016 # for the shell in between
        same_as_native perl -e 'print system(@ARGV), "\n"' "$VICTIMS/lifecycle_exit" "$how" || fail "$how"
    done
    assert_deferred
}

@test "a library whose destructor writes after this one's" {
    need_command cc
    cc -shared -fPIC -x c -o late.so - <<'CODE'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static int fd;
static FILE *stream;
__attribute__((constructor)) static void start(void) {
    fd = open("library", O_WRONLY | O_CREAT | O_APPEND, 0600);
    stream = fdopen(dup(fd), "a");
}
__attribute__((destructor)) static void stop(void) {
    for (int i = 0; i < 500; i++)
        if (write(fd, "the library's last words\n", 25) != 25)
            _exit(1);
    fprintf(stream, "left to stdio\n");
}
CODE
    record native env LD_PRELOAD="$PWD/late.so" "$VICTIMS/lifecycle_exit" return
    local mode order
    for mode in "${MODES[@]}"; do
        for order in "$LIB:$PWD/late.so" "$PWD/late.so:$LIB"; do
            same_as_recorded env URINGSHIM_TEST_EAGER=1 "$mode" LD_PRELOAD="$order" "$VICTIMS/lifecycle_exit" return ||
                fail "$mode, $order"
        done
    done
}

@test "threads that return, exit, or are cancelled" {
    same_as_native "$VICTIMS/lifecycle_threads"
    assert_deferred
}

@test "threads that may be cancelled between any two instructions, whatever they are at" {
    comes_to_an_end "$VICTIMS/lifecycle_cancelable"
    assert_deferred # before the first cancellation
}

@test "all descriptors closed, and the numbers that come after" {
    same_as_native "$VICTIMS/lifecycle_descriptors"
    assert_deferred
}

@test "what a thread puts onto a free number stays there, and what is not open can not be closed, whatever the library does" {
    local setting
    "${PATIENTLY[@]}" "$VICTIMS/lifecycle_numbers" || fail natively
    for setting in X=1 URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring; do
        rm -f "$STATS"
        shim "$setting" "${PATIENTLY[@]}" "$VICTIMS/lifecycle_numbers" || fail "$setting"
        assert_deferred
    done
}

@test "renamed, unlinked, replaced, linked, duplicated and stamped while writes are pending" {
    # No background flush is to put in order by chance what barriers should.
    same_as_native env URINGSHIM_MAX_DELAY_US=1000000 "$VICTIMS/lifecycle_names"
    assert_deferred
}

@test "what libc does inside itself to a file that is being written" {
    same_as_native env URINGSHIM_MAX_DELAY_US=1000000 "$VICTIMS/lifecycle_inside"
    assert_deferred
}

@test "namespaces and identities" {
    need_root
    local how
    AROUND=(open_to_all)
    for how in unshare_user unshare_mount unshare_vm unshare_syscall unshare_pid setns setuid seteuid setresuid \
        setreuid setgid setfsuid chroot; do
        same_as_native "$VICTIMS/lifecycle_identity" "$how" || fail "$how"
    done
    assert_deferred
}

open_to_all() {
    chmod 755 .. && chmod 777 . && "$@"
}

@test "unshare as a user who is not root" {
    need_root
    need_command setpriv
    local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    skip_unless "the library is out of another user's reach" "${as_nobody[@]}" test -r "$LIB"
    # shellcheck disable=SC2034 # used by record
    AROUND=(open_to_all)
    same_as_native "${as_nobody[@]}" "$VICTIMS/lifecycle_identity" unshare_user
}

# appender MODE NAME: appends 3000 lines to `shared`, waiting now and then for the other to have a turn.
appender() {
    # shellcheck disable=SC2016 # the variables are perl's
    shim "$1" perl -e 'open F, ">>", "shared" or die;
        for (1 .. 3000) {
            syswrite F, "$ARGV[0] $_ " . "x" x ($_ % 50) . "\n";
            select undef, undef, undef, 0.001 if $_ % 300 == 0
        }' \
        "$2"
}

@test "two processes append to one file: each line whole, each process's lines in order" {
    local mode name
    for mode in "${MODES[@]}"; do
        rm -f shared
        appender "$mode" a &
        appender "$mode" b
        wait $!
        [[ $(wc -l <shared) == 6000 ]] || fail "$mode: $(wc -l <shared) lines"
        for name in a b; do
            awk -v name=$name '$1 == name && ($2 != ++n || length($0) != length(name) + length($2) + 2 + $2 % 50) { exit 1 }' \
                shared || fail "$mode: the lines of $name"
        done
    done
    assert_deferred
}

# Of a program that defers from the first write on, with so many descriptors allowed: its memory in KiB. Only the pages that
# no file is behind, counted one by one: of a mapped library more or fewer happen to be there, natively some hundred KiB.
memory_with() {
    # shellcheck disable=SC2016 # the variables are perl's
    shim URINGSHIM_OWN_CALLS=ignore URINGSHIM_TEST_EAGER=1 prlimit --nofile="$1" perl -e '
        open F, ">", "busy" or die; syswrite F, "busy\n" for 1 .. 5000;
        open S, "<", "/proc/self/smaps_rollup"; print grep { s/^Anonymous:\s*(\d+) kB/$1/ } <S>'
}

# Its system calls: the least of three, and of those whose number doesn't hang on when something is flushed, asked again or given up.
calls_with() {
    local round calls least=1000000000
    for round in 1 2 3; do
        strace -f -o "calls.$round" -E LD_PRELOAD="$LIB" -E URINGSHIM_TEST_EAGER=1 \
            prlimit --nofile="$1" "$VICTIMS/refuse_work" >/dev/null
        calls=$(grep -Ec ' (mmap|munmap|mremap|mprotect|brk|openat|close|newfstatat|readlink|getdents64)\(' "calls.$round")
        ((calls >= least)) || least=$calls
    done
    echo "$least"
}

@test "as many descriptors as may be cost nothing" {
    need_command strace
    local few many most
    most=$(ulimit -Hn)
    [[ $most != unlimited ]] || most=1000000
    ((most < 1000000)) || most=1000000
    ((most >= 10000)) || skip "no more than $most descriptors are allowed here"
    few=$(memory_with 256)
    many=$(memory_with "$most")
    ((many - few < 64)) || fail "$few KiB with 256, $many KiB with $most"
    few=$(calls_with 256)
    many=$(calls_with "$most")
    ((many <= few + 5)) || fail "$few calls with 256, $many with $most"
}

# Not on a disk, whose inode numbers come again.
@test "mapped files that are gone cost nothing" {
    skip_unless "needs /dev/shm" test -w /dev/shm
    local files growth
    files=$(mktemp -d /dev/shm/uringshim.XXXXXX)
    growth=$(shim URINGSHIM_TEST_EAGER=1 "$VICTIMS/lifecycle_mapped" 20000 "$files")
    rm -rf "$files"
    ((growth < 64)) || fail "$growth KiB for 10000 files"
    assert_deferred
}

@test "at most one thread more than the program's own" {
    # shellcheck disable=SC2016 # the variables are perl's
    shim URINGSHIM_TEST_EAGER=1 perl -e 'open F, ">", "busy" or die; syswrite F, "busy\n" for 1 .. 5000;
        opendir T, "/proc/self/task"; print -2 + (() = readdir T), "\n"' >tasks
    (($(cat tasks) <= 2)) || fail "$(cat tasks) tasks"
}

@test "signal dispositions, mask, environment and locale are the program's own" {
    # shellcheck disable=SC2016 # the variables are perl's
    same_as_native perl -e 'open F, ">", "busy" or die; syswrite F, "busy\n" for 1 .. 500;
        open S, "<", "/proc/self/status"; print grep { /^(Sig(Blk|Ign)|Umask|Uid|CapEff|NoNewPrivs|Seccomp):/ } <S>;
        delete @ENV{grep { /^(URINGSHIM.*|LD_PRELOAD|_)$/ } keys %ENV}; print map { "$_=$ENV{$_}\n" } sort keys %ENV;
        use POSIX; for (1 .. 31) { my $old = POSIX::SigAction->new; POSIX::sigaction($_, undef, $old); print $old->handler, "\n" }
        srand(1); print rand, "\n"; print "nice ", getpriority(0, 0), "\n"'
}

# A title is written over the arguments and the environment: where the report goes, and in whose name, is known by then.
@test "a program that changes its title" {
    cc -x c -o title - <<'CODE'
#include <string.h>
extern char **environ;
int main(int argc, char **argv) {
    char *none[] = {0};
    memset(argv[0], 'T', strlen(argv[0]));
    for (char **variable = environ; *variable; variable++)
        memset(*variable, 'T', strlen(*variable));
    environ = none;
    return argc != 1;
}
CODE
    rm -f "$STATS"
    shim URINGSHIM_LOG="info:$PWD/log" ./title
    [[ $(stat_text program) == title ]]
    [[ -z $(find . -name 'T*') ]] || fail "$(ls)"
}

# Who runs into a limit, or a reader that has gone, is the program; not the library with its report.
@test "a report that can't be written" {
    (ulimit -f 0 && shim true)
    # shellcheck disable=SC2016 # sh's own
    STATS=stderr shim sh -c 'sleep 0.2; exit 7' 2> >(:) || [[ $? == 7 ]]
}
