# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # what the cases set and get belongs to tests/lib, or to scripts/check-core
# The cases of scripts/check-core, which has `check`, `fact` and `skip`, says by COMMAND where the command is, and by
# rings_expected (yes, direct or no) what this kernel is expected to have. Each runs in a subshell that ends at the
# first command that fails. What they claim is what the contract says (README.md); here it's tried in little, for the
# kernel or libc that is new to the library, where the rest of the suite tries the library in full.

core_cases() {
    check 'the library loads, defers and reads ahead' core_default
    check 'rings are used, or done without once' core_rings
    check 'rings are used for direct I/O, and let go of files' core_direct_rings
    check 'rings come and go with threads' core_ring_threads
    check 'a polling thread does the writing, and ends' core_polling
    check 'same bytes in every mode: dd' core_dd
    check 'same bytes in every mode: shells' core_shells
    check 'same bytes in every mode: perl' core_perl
    check 'same bytes in every mode: sort, split, tee' core_text
    check 'same bytes in every mode: tar' core_tar
    check 'same answers: random programs' core_random
    check 'same answers: random programs with threads' core_random_threads
    check 'same answers: positions, streams, buffers, errors' core_answers
    check 'same answers: direct I/O' core_direct
    check 'same answers: streams whose other end goes' core_streams
    check 'same answers: random programs with streams' core_streams_random
    check 'full streams, and who waits' core_streams_full
    check 'streams: processes begin, become others, end' core_streams_life
    check 'kill -9 with streams' core_streams_kill
    check 'kill -9' core_kill
    check 'kill -9 with direct I/O' core_kill_direct
    check 'freshness: channels' core_freshness
    check 'freshness: its own changes' core_freshness_own
    check 'external synchrony: channels' core_observer
    check 'threads' core_threads
    check 'signals' core_signals
    check 'processes: every way to make one, and to end' core_processes
    check 'identities and namespaces' core_identities
    check 'io_uring refused' core_refused_ring
    check 'threads and processes refused' core_refused_threads
    check 'a program that confines itself' core_confined
    check 'few descriptors, little memory' core_limits
    check 'no locked memory, not root' core_not_root
    check 'functions of libc: dprintf and others, and those that are not there' core_libc
    check 'functions of a libc newer than we know keep the library out' core_newer_libc
    check 'uringshim doctor tells the truth' core_doctor
    check 'uringshim check, stat, compare tell the truth' core_command
}

# Programs emulated one by one (qemu-user) meet this machine's kernel as the emulator makes it: a vfork is a fork that
# nobody waits for, there are no filters of system calls and no execveat, and a buffer is refused before anything is copied.
emulated() {
    [ -n "${URINGSHIM_CORE_RUN-}" ]
}

# This machine's own tools, and all that its kernel does, are not what is tried then.
need_whole_machine() {
    ! emulated || skip "programs are emulated one by one"
}

# They start each other if the kernel knows the emulator (binfmt_misc).
can_start_programs() {
    ! emulated || "${LIB%/*}/uringshim-probe" >/dev/null 2>&1
}

need_direct_io() {
    dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct status=none 2>/dev/null ||
        skip "no direct I/O on $(stat -f -c %T .)"
}

probe() { # what uringshim-probe says of WORD
    if emulated; then
        # shellcheck disable=SC2086 # words
        $URINGSHIM_CORE_RUN "${LIB%/*}/uringshim-probe"
    else
        "${LIB%/*}/uringshim-probe"
    fi 2>/dev/null | sed -n "s/^$1 //p" | tail -n 1
}

# What is known before the first case; sets rings_expected, unless it was said: yes, direct (for direct I/O only) or no.
core_look() {
    local release kernel
    release=$(uname -r)
    kernel=${release#*.}
    kernel=$((${release%%.*} * 1000 + ${kernel%%[!0-9]*}))
    fact libc "$(probe glibc)"
    # e_machine, elf(5)
    case $(od -An -j 18 -N 2 -tu2 "$LIB" | tr -d ' ') in
    62) fact arch x86_64 ;;
    183) fact arch aarch64 ;;
    *) fact arch "$(uname -m)" ;;
    esac
    [[ -z $rings_expected || $rings_expected == kernel ]] || return 0
    # What the kernel says to whoever asks for a ring, whatever the library makes of it.
    [[ $rings_expected == kernel || ! $(probe ring) =~ ^(ENOSYS|EPERM|)$ ]] || kernel=0
    rings_expected=yes
    ((kernel >= 6004)) || rings_expected=direct
    ((kernel >= 5018)) || rings_expected=no
}

# Whether the policy defers depends on how quick this machine is: so what is said of a user's program, without any
# setting, is a fact only.
core_default() {
    local setting
    for setting in URINGSHIM_TEST_EAGER=0 URINGSHIM_TEST_EAGER=1; do
        rm -f "$STATS" records*
        shim "$setting" "${PATIENTLY[@]}" "$VICTIMS/threads_write" own 1 20000 records
        "$VICTIMS/threads_check" 20000 records.0
        cat "$STATS"
        fact "$([[ $setting == *0 ]] && echo by_default || echo batched)" "$(stat_value write.deferred)"
    done
    assert_deferred
    rm -f "$STATS"
    if emulated; then
        shim URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$VICTIMS/freshness_own" position >got
    else
        seq 20000 >numbers
        # shellcheck disable=SC2016 # perl's
        shim URINGSHIM_TEST_EAGER=1 perl -e 'open F, "<", "numbers"; while (sysread F, my $byte, 1) { print $byte }' >got
        cmp numbers got
    fi
    fact served "$(stat_value read.served)"
    assert_served
}

# writes_much SETTING…: the main thread writes much; what it was answered, and its files, are as natively.
writes_much() {
    record native "${PATIENTLY[@]}" "$VICTIMS/refuse_work"
    rm -f "$STATS"
    same_as_recorded shim URINGSHIM_TEST_EAGER=1 "URINGSHIM_LOG=info:$PWD/log" "$@" "${PATIENTLY[@]}" "$VICTIMS/refuse_work"
    [ ! -f log ] || cat log
    cat "$STATS"
    assert_deferred
}

# Where there are none, or none for this, that is found out once a process, and said so.
core_rings() {
    local refused used
    writes_much URINGSHIM_ENGINE=ring
    refused=$(grep -Ecs 'done without: (ring|registered_files)' log) || true
    used=$(stat_value ring.writes)
    fact rings "$used"
    if [[ $rings_expected == yes ]]; then
        fact fixed_buffers "$(fixed_buffers "$used")"
        ((used > 0)) || fail "no write went by a ring, where this kernel has what rings need"
        ((${refused:-0} == 0)) || fail "a ring was refused"
    else
        ((used == 0)) || fail "$used writes went by a ring, where none was expected"
        (($(stat_value ring.created) == 0)) || fail "a ring was made that can't be used"
        ((${refused:-0} == 1)) || fail "that there is no ring was said ${refused:-0} times"
    fi
}

fixed_buffers() { # WRITES BY A RING
    if (($1 > 0)) && ! grep -q '"fallback.fixed_buffers' "$STATS"; then echo yes; else echo no; fi
}

yes_if() { # CMD…
    if "$@"; then echo yes; else echo no; fi
}

# most_workers CMD…: runs it; sets workers to how many threads of the kernel's were seen at most, at what a ring of ours
# was given and what the kernel doesn't do at once (io_uring/io-wq.c).
most_workers() {
    local group now pid
    read -r _ _ _ _ group _ <"/proc/$BASHPID/stat"
    "$@" &
    pid=$! workers=0
    while kill -0 "$pid" 2>/dev/null; do
        now=$(cat /proc/[0-9]*/task/[0-9]*/stat 2>/dev/null | grep -Ec "^[0-9]+ \(iou-wrk-[0-9]+\) . [0-9]+ $group ") || true
        ((now <= workers)) || workers=$now
    done
    wait "$pid"
}

# Direct writes in many places go by a ring on every kernel that has any; and nothing holds on to the file after it.
core_direct_rings() {
    need_direct_io
    local setting used workers direct
    # Does the kernel say that it does this at once? probe_files.h
    direct=$("${LIB%/*}/uringshim-probe" 2>/dev/null |
        awk '$1 == "mount" && $3 == "here" { print $10 == 0 ? "no" : $7 $8 == "inlineinline" ? "inline" : "workers" }')
    fact direct "$direct"
    for setting in URINGSHIM_ENGINE=ring URINGSHIM_SQPOLL=1; do
        rm -f "$STATS"
        most_workers shim URINGSHIM_TEST_EAGER=1 "$setting" "${PATIENTLY[@]}" "$VICTIMS/direct_watch" scattered
        used=$(stat_value ring.writes)
        [[ $setting != URINGSHIM_ENGINE=ring ]] || { fact direct_rings "$used" && fact workers "$workers"; }
        [[ $rings_expected != direct || $setting != URINGSHIM_ENGINE=ring ]] || fact fixed_buffers "$(fixed_buffers "$used")"
        cat "$STATS"
        [[ $setting != URINGSHIM_ENGINE=ring || $direct != inline ]] || ((workers == 0)) || fail "the kernel had workers"
        [[ $rings_expected == no ]] || ((used > 0)) || fail "no direct write went by a ring, $setting"
    done
    fact direct_sqpoll "$(yes_if test "$(stat_value polling.cpu_us)" -gt 0)"
    if [[ $rings_expected == no ]]; then
        polling_ends direct 0
    else
        (($(stat_value polling.cpu_us) > 0)) || fail "there was no polling thread, or it did nothing"
        polling_ends direct 1
    fi
    need_whole_machine
    for setting in URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_SQPOLL=1; do
        shim URINGSHIM_TEST_EAGER=1 "$setting" "${PATIENTLY[@]}" "$VICTIMS/let_go" 40 || fail "$setting"
    done
}

# One thread after the other has a ring: more than the helper thread can be the guest of at a time.
core_ring_threads() {
    shim URINGSHIM_ENGINE=ring URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore \
        "${PATIENTLY[@]}" "$VICTIMS/threads_turnover" 40 200 records
    "$VICTIMS/threads_check" 8000 records.0 records.1
    cat "$STATS"
    assert_deferred
    [[ $rings_expected == yes ]] || return 0
    (($(stat_value ring.created) == 40)) || fail "not each thread had a ring"
    ! grep '"fallback' "$STATS" || fail "something was refused"
}

# polling_ends WAY POLLERS: so many are there while it writes, and none when the process has become another.
polling_ends() {
    "${PATIENTLY[@]}" "$VICTIMS/polling_ends" "$1" native
    shim URINGSHIM_SQPOLL=1 URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$VICTIMS/polling_ends" "$1" shimmed >said
    cat said
    cmp native shimmed
    [ "$(paste -s -d ' ' said)" = "$2 at work 0 as another 0 at last" ] || fail "polling threads: $1"
}

core_polling() {
    writes_much URINGSHIM_SQPOLL=1
    fact sqpoll "$(yes_if test "$(stat_value polling.cpu_us)" -gt 0)"
    if [[ $rings_expected == yes ]]; then
        (($(stat_value polling.cpu_us) > 0)) || fail "there was no polling thread, or it did nothing"
        polling_ends buffered 1
    else
        polling_ends buffered 0
    fi
}

core_dd() {
    need_whole_machine
    seq 20000 >numbers
    works_as_natively sh -c 'dd if=../numbers of=plain bs=512 status=none
        dd if=../numbers of=plain bs=100 seek=7 count=300 conv=notrunc status=none
        dd if=../numbers of=appended bs=1000 oflag=append conv=notrunc status=none
        dd if=../numbers of=synced bs=512 count=50 conv=fsync status=none
        dd if=../numbers of=sparse bs=333 count=50 seek=9999 status=none
        dd if=plain bs=512 status=none | cksum; cat plain sparse | cksum'
    assert_deferred
}

core_shells() {
    need_whole_machine
    seq 300 >numbers
    local shell
    for shell in sh bash; do
        # shellcheck disable=SC2016 # the shell's
        works_as_natively "$shell" -c 'while read -r n; do echo "line $n"; done <../numbers >out
            i=0; while [ $i -lt 300 ]; do echo "$i"; i=$((i + 1)); done >>out
            (echo child; cat ../numbers) >>out & wait; echo "after the child" >>out
            while read -r n; do case $n in *7*) echo "$n" ;; esac; done <out | cksum
            printf "%s\n" one two three >&2; grep -c 1 out; exec cat out'
    done
    assert_deferred
    assert_served
}

core_perl() {
    need_whole_machine
    need_command perl
    # shellcheck disable=SC2016 # perl's
    works_as_natively perl -e '
        open F, "+>", "file" or die; open A, ">>", "log" or die; $| = 1;
        for (1 .. 2000) {
            syswrite F, "line $_\n"; syswrite A, "did $_\n" if $_ % 3 == 0;
            if ($_ % 500 == 0) { sysseek F, -100, 1; sysread F, my $back, 60; print $back, -s "file", " ", -s "log", "\n" }
            if ($_ % 700 == 0) { truncate F, 5000 }
        }
        rename "log", "log.1"; syswrite A, "under another name\n";
        open P, "|-", "cat >piped" or die; print P "$_\n" for 1 .. 500; close P;
        if (!fork) { syswrite F, "child\n" x 10; exit 0 } wait; syswrite F, "parent\n"; print `cat file | wc -c`;
        open R, "<", "file" or die; sysseek R, $_ * 11, 0 and sysread R, my $some, 7 and print $some for 1 .. 300'
    assert_deferred
}

core_text() {
    need_whole_machine
    seq 3000 >numbers
    works_as_natively sh -c 'sort -r ../numbers >sorted; sort -n -o sorted sorted; split -l 100 sorted part.
        cat part.* | tee one two | cksum; uniq -c sorted | tail -n 3; sed -u s/1/one/ sorted >sed; od -c sed | cksum
        head -c 1000 sorted >cut; grep --line-buffered 7 sorted >sevens; wc sevens cut'
}

core_tar() {
    need_whole_machine
    need_command tar
    mkdir -p tree/{a,b/c}
    for file in tree/{one,a/two,b/three,b/c/four}; do
        seq ${#file} 2000 >"$file"
    done
    works_as_natively sh -c 'tar -cf a.tar --sort=name --mtime=@0 -C .. tree && tar -b 1 -xf a.tar && tar -df a.tar &&
        tar -rf a.tar --mtime=@0 tree/a && tar -tf a.tar && diff -r ../tree tree'
}

# For what has been tried in every mode above, in little: the engines that a new kernel may upset.
few_modes() {
    MODES=(URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_SQPOLL=1)
}

# The emulator knows no preadv2 and pwritev2: libc then does them otherwise, and leaves that in errno.
log_of() {
    sed -E '/ p(read|write)v2\(/s/ [0-9]+$//' "$1.log"
}
if emulated; then
    same_outcome() {
        diff <(log_of "$1") <(log_of "$2") >/dev/null && diff -r --no-dereference "$1.tree" "$2.tree" >/dev/null
    }
fi

# random_kinds KIND…: each a seed, a number of operations, and options.
random_kinds() {
    local kind seed ops options mode
    for kind; do
        read -r seed ops options <<<"$kind"
        echo "seed $seed, $ops operations: $options"
        read -r -a options <<<"$options"
        run_program native "$seed"
        compare_program "$seed" X=1
        for mode in "${modes[@]}"; do
            compare_program "$seed" URINGSHIM_TEST_EAGER=1 "$mode"
        done
    done
    assert_deferred
}

core_random() {
    local kinds=('1 150 --families data,files,vectors,stdio' '3 100 --families data,files,maps --log-each') modes=("${MODES[@]}")
    emulated || kinds+=('6 100')
    random_kinds "${kinds[@]}"
}

core_random_threads() {
    local modes=(URINGSHIM_ENGINE={auto,ring} URINGSHIM_SQPOLL=1)
    random_kinds '1 80 --threads 3 --own-only --families data,files,vectors,stdio' '2 60 --threads 3 --families data,files,stdio'
}

core_answers() {
    local victim some=(positions_calls errors_reuse)
    few_modes
    emulated || some+=(positions_streams errors_calls errors_pointers surface_calls)
    for victim in "${some[@]}"; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/$victim" || fail "$victim"
    done
    assert_deferred
}

core_direct() {
    need_direct_io
    local mode
    few_modes
    same_as_native "${PATIENTLY[@]}" "$VICTIMS/direct_calls" 1 1 3
    rm -f "$STATS"
    for mode in "${MODES[@]}" URINGSHIM_ENGINE=direct URINGSHIM_IOPOLL=1; do
        shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$VICTIMS/direct_watch" scattered || fail "$mode"
    done
    for mode in "${MODES[@]:0:2}"; do
        shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$VICTIMS/direct_watch" fresh || fail "$mode, fresh"
    done
    fact direct_deferred "$(stat_value write.deferred)"
}

# How writes leave for a stream depends on the kernel: whether it lets an anonymous pipe be written without
# waiting (before Linux 6.4 not, unless it is opened once more), and without a signal (since 6.18).
core_streams() {
    need_whole_machine
    local kind mode
    for kind in pipe fifo unix; do
        STREAM_MODES=("${EAGER_MODES[@]}")
        same_stream "$VICTIMS/streams_gone" $kind
        STREAM_MODES=("${EAGER_MODES[@]:0:2}")
        stream_works "$VICTIMS/streams_broken" $kind
    done
    stream_works "$VICTIMS/streams_reset"
    stream_works "$VICTIMS/streams_errors"
    cat "$STATS"
    fact streams "$(stat_value stream.deferred)"
    (($(stat_value stream.deferred) > 0)) || fail "no write to a stream was deferred"
    for mode in ring direct; do
        rm -f "$STATS"
        # shellcheck disable=SC2016 # perl's
        shim URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=$mode "${PATIENTLY[@]}" perl -e '$| = 1; print "$_\n" for 1 .. 20000' | cat >got
        seq 20000 | cmp - got
        fact "stream_pieces_$mode" "$(stat_value stream.pieces)"
    done
}

core_streams_random() {
    need_whole_machine
    local seed mode options program=random_streams ops=40
    for seed in 1 2 3 4 5 6; do
        options=(--families "data,files,stdio,splices,ends,processes")
        ((seed % 2)) || options=(--families "files,stdio,crowds,signals")
        run_program native "$seed"
        for mode in "${EAGER_MODES[@]}"; do
            # shellcheck disable=SC2086 # words
            compare_program "$seed" $mode
        done
    done
    (($(stat_value stream.deferred) > 0)) || fail "no write to a stream was deferred"
}

core_streams_full() {
    need_whole_machine
    STREAM_MODES=("${EAGER_MODES[@]:0:2}")
    stream_works "$VICTIMS/streams_full" pipe 64 interrupted restarted jumped calls deaths stopped
    STREAM_MODES=("${EAGER_MODES[@]:0:1}")
    stream_works "$VICTIMS/streams_full" page 1000 restarted jumped large
    stream_works "$VICTIMS/streams_full" fifo 64 interrupted restarted deaths
    stream_works "$VICTIMS/streams_full" unix 64 interrupted timed_out restarted threads
}

core_streams_life() {
    need_whole_machine
    local kind
    STREAM_MODES=("${EAGER_MODES[@]:0:2}")
    for kind in pipe fifo unix tcp; do
        stream_works "$VICTIMS/streams_life" $kind
    done
    (($(stat_value stream.deferred) > 0)) || fail "no write to a stream was deferred"
}

core_streams_kill() {
    need_whole_machine
    local mode
    # shellcheck disable=SC2317 # under_mode runs it
    killed() {
        "$VICTIMS/prefix_streams_check" 4000 1 7 "${under[@]}" "$VICTIMS/prefix_streams_writer" &&
            "$VICTIMS/prefix_streams_check" 0 12 7 "${under[@]}" "$VICTIMS/prefix_streams_writer"
    }
    natively killed
    for mode in "${EAGER_MODES[@]}"; do
        under_mode "$mode" killed
    done
}

core_kill() {
    KILLS=6 options=() check_options=()
    local mode
    for mode in "${MODES[@]:0:3}" URINGSHIM_SQPOLL=1; do
        kill_writer URINGSHIM_TEST_EAGER=1 "$mode"
    done
    options=(--threads 3 --rewrites) check_options=(--rewrites)
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring
}

core_kill_direct() {
    need_direct_io
    # shellcheck disable=SC2034 # for kill_writer
    KILLS=6 options=(--rewrites --direct) check_options=(--rewrites --direct)
    # Where direct I/O isn't deferred (the kernel doesn't say how it wants it aligned) there is nothing to be lost.
    # shellcheck disable=SC2317 # kill_writer asks
    assert_deferred() { :; }
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=auto
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring
}

# scenes VICTIM ROUNDS [SEED] -- CHANNEL…: under the settings in UNDER. One that this machine hasn't got is none.
scenes() {
    local victim=$1 channel arguments=() status
    shift
    while [[ $1 != -- ]]; do
        arguments+=("$1") && shift
    done
    for channel in "${@:2}"; do
        rm -rf scene && mkdir scene
        status=0
        shim "${UNDER[@]}" "${PATIENTLY[@]}" "$VICTIMS/$victim" "$channel" "${arguments[@]}" scene || status=$?
        ((status == 0 || status == 77)) || fail "$victim $channel: status $status, ${UNDER[*]}"
    done
}

core_freshness() {
    UNDER=(URINGSHIM_TEST_EAGER=1)
    scenes freshness 15 1 -- pipe pipe_getc socketpair terminal eventfd epoll_wait handler signalfd inotify flock fcntl rename \
        futex shm_open file waitpid
    assert_served
    UNDER=(URINGSHIM_TEST_EAGER=1 URINGSHIM_SQPOLL=1)
    scenes freshness 10 2 -- pipe sigwait
}

core_freshness_own() {
    local part
    few_modes
    for part in pwrite append fallocate truncate store position thread; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/freshness_own" "$part" || fail "$part"
    done
    assert_served
}

core_observer() {
    local engine
    for engine in URINGSHIM_ENGINE={auto,ring} URINGSHIM_SQPOLL=1; do
        # A delay of a second keeps the background flush from covering up for a barrier that was forgotten.
        UNDER=(URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000 "$engine")
        scenes observer 20 -- pipe socketpair terminal fputs_by_line kill rename ftruncate flock fcntl futex mprotect \
            exit _exit raise fork
        ! can_start_programs || scenes observer 20 -- vfork posix_spawn exec
        emulated || scenes observer 20 -- system
    done
    assert_deferred
}

core_threads() {
    local mode how
    few_modes
    for mode in "${MODES[@]}"; do
        for how in shared region lock atomic turns; do
            rm -f records*
            shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$VICTIMS/threads_write" "$how" 5 200 records
            "$VICTIMS/threads_check" 1000 records* || fail "$how $mode"
        done
        for how in append position; do
            ! emulated || break # the emulator's own locks are left taken in a child of several threads
            rm -f records
            shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$VICTIMS/threads_fork" "$how" 3 1000 20 records
            "$VICTIMS/threads_check" $((3 * 1000 + 20 * 20)) records || fail "fork $how $mode"
        done
        shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$VICTIMS/threads_streams" 20 . || fail "streams $mode"
    done
    same_as_native "${PATIENTLY[@]}" "$VICTIMS/lifecycle_threads"
    assert_deferred
}

core_signals() {
    local victim how mode some=(signals_faults)
    few_modes
    emulated || some+=(signals_ways signals_process)
    for victim in "${some[@]}"; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/$victim" || fail "$victim"
    done
    ! emulated || return 0 # signals at a high rate are the end of the emulator
    for mode in "${MODES[@]}"; do
        for how in plain nested jump; do
            shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$VICTIMS/signals_torture" "$how" 300 || fail "$how $mode"
        done
    done
}

core_processes() {
    local how ways=(fork _Fork clone daemon) ends=(exit _exit exit_group pthread_exit)
    few_modes
    emulated || ways+=(vfork_exec clone_vm posix_spawn popen)
    for how in "${ways[@]}"; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/lifecycle_process" "$how" || fail "$how"
    done
    for how in "${ends[@]}"; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/lifecycle_exit" "$how" || fail "$how"
    done
    assert_deferred
    can_start_programs || skip "emulated programs can't start others"
    local execs=(execve execle)
    # Not everywhere natively: the emulated machine with Linux 5.10 says ENOENT.
    mkdir tried && (cd tried && "$VICTIMS/lifecycle_exec" fexecve) >/dev/null 2>&1 && ! emulated && execs+=(fexecve)
    rm -rf tried
    for how in "${execs[@]}"; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/lifecycle_exec" "$how" || fail "$how"
    done
}

# Other users' files, too, and their statistics.
open_to_all() {
    touch "$STATS" && chmod 666 "$STATS" && chmod 777 . && "$@"
}

core_identities() {
    need_root
    need_whole_machine
    local how
    AROUND=(open_to_all)
    few_modes
    for how in setuid seteuid setgid chroot unshare_user unshare_vm; do
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/lifecycle_identity" "$how" || fail "$how"
    done
    assert_deferred
}

core_refused_ring() {
    need_whole_machine
    local how
    few_modes
    for how in EPERM KILL; do
        same_as_native "$VICTIMS/refuse_seccomp" "$how" io_uring "$VICTIMS/refuse_work" || fail "$how"
    done
    rm -f "$STATS"
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring "$VICTIMS/refuse_seccomp" EPERM io_uring "$VICTIMS/refuse_work"
    grep -Eq '"(fallback\.ring|passed\.seccomp)[^"]*":[1-9]' "$STATS" || fail "$(cat "$STATS")"
    (($(stat_value ring.writes) == 0))
}

core_refused_threads() {
    need_whole_machine
    local how
    few_modes
    for how in EPERM KILL; do
        same_as_native "$VICTIMS/refuse_seccomp" "$how" clone "$VICTIMS/refuse_work" || fail "$how"
    done
}

core_confined() {
    need_whole_machine
    local how
    few_modes
    for how in prctl tsync strict; do
        same_as_native "$VICTIMS/refuse_strict" "$how" || fail "$how"
    done
    same_as_native "$VICTIMS/refuse_all_but_exec"
}

# under_limit LIMIT CMD…: LIMIT are the shell's `ulimit`'s words.
under_limit() {
    # shellcheck disable=SC2016 # the inner shell's
    bash -c 'ulimit $0 && "$@"' "$@"
}
export -f under_limit

core_limits() {
    need_whole_machine
    local how
    few_modes
    for how in '-n 16' '-v 12288'; do
        AROUND=(under_limit "$how")
        same_as_native "$VICTIMS/refuse_work" || fail "$how"
    done
}

core_not_root() {
    need_root
    need_whole_machine
    need_command setpriv
    local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all) how
    skip_unless "the library is out of another user's reach" "${as_nobody[@]}" test -r "$LIB"
    AROUND=(open_to_all)
    few_modes
    # shellcheck disable=SC2016 # the inner shell's
    for how in 'ulimit -l 0' :; do
        same_as_native "${as_nobody[@]}" sh -c "$how"' && exec "$@"' sh "$VICTIMS/refuse_work" || fail "$how"
    done
    assert_deferred
}

core_libc() {
    few_modes
    same_as_native "$VICTIMS/libc_versions" print
    same_as_native "$VICTIMS/libc_versions" openat2
    same_as_native "$VICTIMS/libc_names"
    assert_deferred
    same_as_native "$VICTIMS/libc_parts" lib{resolv.so.2,util.so.1,anl.so.1,rt.so.1}
}

core_newer_libc() {
    "$VICTIMS/libc_versions" unknown dlvsym 2>/dev/null || skip "this libc has nothing that came after 2.35"
    local case how deferred
    for case in none:400 missing:400 dlsym:200 dlvsym:200; do
        how=${case%:*} deferred=${case#*:}
        rm -f "$STATS" lines
        shim URINGSHIM_TEST_EAGER=1 URINGSHIM_TEST_LIBC=35 "$VICTIMS/libc_versions" unknown "$how"
        [ "$(wc -c <lines)" = 2400 ]
        (($(stat_value write.deferred) == deferred && $(stat_value passed.newer_libc) == 400 - deferred)) ||
            fail "$how: $(cat "$STATS")"
    done
}

# says PATTERN, says_not PATTERN: a line of doctor's or check's begins so.
says() {
    grep -Eq "^$1" said || fail "it doesn't say: $1"
}

says_not() {
    ! grep -Eq "^$1" said || fail "it says: $1"
}

core_doctor() {
    need_whole_machine
    local status=0
    "${PATIENTLY[@]}" "$COMMAND" doctor >said || status=$?
    fact doctor "$status"
    cat said
    ((status <= 2))
    grep -Fq " kernel: Linux $(uname -r)" said || fail "it doesn't say which kernel this is"
    says 'ok   .* on [^ ]+(, [^ ]+)*( and [0-9]+ more)?: (inline|by workers|no file)'
    says_not '.* on mount '
    # Each finding says something.
    ! grep -E ': *$' said || fail "a finding without an answer"
    says 'ok   glibc: .*its stdio is known'
    says 'ok   trial: [1-9][0-9]* of 1000 small writes were deferred'
    says 'ok   trial: [1-9][0-9]* of 1000 small reads were answered'
    case $rings_expected in
    yes)
        says 'ok   trial: written by a ring'
        says_not 'no   io_uring: (a ring|known|registered|restricted|enabled|writing|syncing|linked)'
        says 'ok   io_uring: a polling thread'
        ;;
    direct)
        says 'ok   trial: written by plain calls, for it isn.t direct I/O'
        says 'no   io_uring: registered files that are let go at once'
        says 'ok   io_uring: writing'
        ((status == 1))
        ;;
    no)
        says 'no   trial: written by plain calls: fallback.ring'
        says 'no   io_uring: '
        ((status == 1))
        ;;
    esac
    # The verdict follows from what was found.
    ((status != 0)) || says_not 'no   (trial|glibc|code|/proc)'
}

core_command() {
    need_whole_machine
    local status=0
    "$COMMAND" check "$VICTIMS/threads_write" >said || status=$?
    cat said
    ((status == 0)) || fail "an ordinary program can't be shimmed"
    says "ok   .*is a program of this machine's kind"
    status=0
    "$COMMAND" check "$VICTIMS/random_ops" >said || status=$?
    cat said
    ((status == 1))
    says 'no   makes system calls itself'
    if [ -x /sbin/ldconfig ] && ! LD_TRACE_LOADED_OBJECTS=1 /sbin/ldconfig 2>/dev/null | grep -q '=>'; then
        "$COMMAND" check /sbin/ldconfig >said || true
        cat said
        [[ $(cat said) == *"cannot be shimmed: "*"statically linked"* ]]
    fi
    "$COMMAND" stat "$VICTIMS/threads_write" own 1 20000 records 2>said
    cat said
    says 'uringshim stat: 1 process \(threads_write\)'
    "$VICTIMS/threads_check" 20000 records.0
    # shellcheck disable=SC2016 # the shell's
    [ "$("$COMMAND" sh -c 'echo "$LD_PRELOAD"; exit 0')" = "${COMMAND%/*}/../build/liburingshim.so" ]
}
