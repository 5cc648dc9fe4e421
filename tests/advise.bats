#!/usr/bin/env bats
# uringshim advise: what would go away, where it is made, and what stands in the way; and CMD doesn't notice.

# What stands in single quotes is for another language, and $stderr is bats's.
# shellcheck disable=SC2016,SC2154

bats_require_minimum_version 1.5.0
load lib/common

COMMAND=$ROOT/scripts/uringshim

advise() {
    run -0 --separate-stderr "$COMMAND" advise "$@"
    echo "$stderr"
}

# row FILE: "gone calls kind" and what stands in the way, of the row for the file of that name, or the stream.
row() {
    awk -v file="$1" '
        /^ *[0-9]+ +[0-9]+ / {
            at = length($0) - length(file)
            found = substr($0, at + 1) == file && (substr($0, at, 1) == "/" || substr($0, at - 1, 2) == "  ")
            if (found) print $1, $2, $3
            next
        }
        found && /^ {30}/ && ++line % 2 == 0 { sub(/^ +/, ""); print }' <<<"$stderr"
}

@test "what it says would go away does go away" {
    seq 20000 >in
    program='open F, ">", "out"; syswrite F, "line $_\n" for 1 .. 20000; close F;
        open G, "<", "in"; sysread G, $x, 10 for 1 .. 4000'
    advise perl -e "$program"
    read -r gone calls _ < <(row out)
    shim URINGSHIM_OWN_CALLS=ignore perl -e "$program" # how many pass while it is looked at nobody can say
    saved=$(($(stat_value write.deferred) - $(stat_value deferred.extents)))
    ((calls == 20000 && gone > saved * 9 / 10 && gone < saved * 11 / 10)) || fail "$gone said, $saved saved"
    read -r gone calls _ < <(row in)
    saved=$(($(stat_value read.served) - $(stat_value window.filled)))
    ((calls == 4000 && gone > saved * 9 / 10 && gone < saved * 11 / 10)) || fail "$gone said, $saved saved"
}

# All of it fits into the pipe: when the reader comes doesn't matter, nor does the clock.
@test "what it says of writes to a pipe does go away, and a request before each answer doesn't" {
    export URINGSHIM_MAX_DELAY_US=1000000
    program='$| = 1; print "line $_\n" for 1 .. 4000'
    run -0 --separate-stderr bash -c '"$0" advise perl -e "$1" | wc -l' "$COMMAND" "$program"
    read -r gone calls kind < <(row 'pipe (descriptor 1)')
    shim URINGSHIM_OWN_CALLS=ignore URINGSHIM_TEST_EAGER=1 perl -e "$program" | wc -l # from when the pipe is empty
    saved=$(($(stat_value stream.deferred) - $(stat_value stream.pieces)))
    [[ $kind == write ]] && ((calls == 4000 && gone > saved * 9 / 10 && gone < saved * 11 / 10)) || fail "$gone said, $saved saved"
    # Five of 700 bytes are a piece: one of them is left. They are made at another place than those before.
    advise perl -e '$| = 1; print "x" for 1 .. 500; syswrite STDOUT, "x" x 700 for 1 .. 50'
    read -r gone calls kind < <(grep -B 1 -F pp_syswrite <<<"$stderr")
    ((calls == 50 && gone > 10 && gone <= 40)) || fail "$stderr"
    advise perl -e 'use Socket; socketpair A, B, AF_UNIX, SOCK_STREAM, 0; print fileno A;
        for (1 .. 300) { syswrite A, "request\n"; sysread B, $x, 100 }'
    [[ $(row "unix socket (descriptor $output)") == $'0 300 write\nread comes in between, 299 times' ]]
}

# A pipe that has all in it: neither the clock nor a writer matters. Whether others may read it is looked for after eight
# reads for each process that there is, and where new ones come all the time once more after twice as many, and so on.
@test "what it says of reads of a pipe does go away, and what nobody may serve doesn't" {
    need_sight
    local reads begin program gone calls kind saved
    reads=$((20000 + 80 * $(awk '{ split($4, tasks, "/"); print tasks[2] }' /proc/loadavg)))
    begin="pipe R, W; fcntl W, 1031, 1 << 20; syswrite W, 'x' x ($reads + 1000);" # F_SETPIPE_SZ
    program="$begin sysread R, \$x, 1 for 1 .. $reads"
    advise perl -e "$program; print fileno R"
    read -r gone calls kind < <(row "pipe (descriptor $output)")
    for _ in {1..10}; do # on a busy machine the look for other readers may take too long
        rm -f "$STATS"
        shim URINGSHIM_OWN_CALLS=ignore perl -e "$program"
        saved=$(($(stat_value peek.served) - $(stat_value peek.filled)))
        ((saved == 0)) || break
    done
    [[ $kind == read ]] && ((calls == reads && saved > reads / 4 && gone > saved / 2 && gone < saved * 2)) ||
        fail "$gone said, $saved saved"
    # The child has it, too, until its own standard input ends.
    mkfifo end
    sleep 100 >end 3>&- &
    advise perl -e "$begin print fileno R; STDOUT->flush; \$child = fork // die;
        if (!\$child) { sysread STDIN, \$x, 1; exit } sysread R, \$x, 1 for 1 .. $reads; kill 9, \$child; wait" <end
    kill $!
    [[ $(row "pipe (descriptor $output)" | tail -n 1) == "stands against it: another process may read it, too" ]]
    advise perl -e 'pipe R, W; print fileno R; for (1 .. 500) { syswrite W, "x" x 20; sysread R, $x, 1 for 1 .. 20 }'
    [[ $(row "pipe (descriptor $output)" | tail -n 1) == "too little in it at a time" ]]
    advise perl -e "$begin print fileno R; for (1 .. $reads) { sysread R, \$x, 1; -e 'nothing' }"
    [[ $(row "pipe (descriptor $output)" | tail -n 1) =~ ^stat64\ comes\ in\ between,\ [0-9]+\ times$ ]]
    advise perl -e 'use Socket; socketpair A, B, AF_UNIX, SOCK_STREAM, 0; syswrite A, "x" x 60000; print fileno B;
        sysread B, $x, 1 for 1 .. 10000'
    read -r gone calls kind < <(row "unix socket (descriptor $output)")
    [[ $kind == read ]] && ((calls == 10000 && gone > 9000)) || fail "$gone of $calls"
    URINGSHIM_STREAMS=0 advise perl -e "$program; print fileno R"
    [[ $(row "pipe (descriptor $output)" | tail -n 1) == "stands against it: streams_off" ]]
}

@test "streams are named as what they are, and what can't be done with some is said" {
    mkfifo fifo
    advise perl -e 'use IO::Handle; use IO::Socket::INET; use Socket; use Fcntl;
        $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1");
        $tcp = IO::Socket::INET->new(PeerAddr => $server->sockhost, PeerPort => $server->sockport);
        socketpair UNIX, PEER, AF_UNIX, SOCK_STREAM, 0; sysopen FIFO, "fifo", O_RDWR; pipe READER, PIPE;
        print join(" ", fileno $tcp, fileno UNIX, fileno PIPE); STDOUT->flush;
        for my $to ($tcp, *UNIX, *FIFO, *PIPE) { syswrite $to, "x" for 1 .. 200 }'
    local tcp unix pipe stream gone calls kind
    read -r tcp unix pipe <<<"$output"
    for stream in "TCP socket (descriptor $tcp)" "unix socket (descriptor $unix)" "FIFO $PWD/fifo" "pipe (descriptor $pipe)"; do
        read -r gone calls kind < <(row "$stream") || fail "no $stream"
        [[ $kind == write ]] && ((calls == 200 && gone > 50)) || fail "$stream"
    done
    advise perl -e 'use IO::Handle; use Socket; socketpair PACKETS, PEER, AF_UNIX, SOCK_DGRAM, 0; pipe READER, PIPE; PIPE->blocking(0);
        print join(" ", fileno PACKETS, fileno PIPE); STDOUT->flush;
        for (1 .. 100) { syswrite PACKETS, "x"; sysread PEER, $x, 1 } syswrite PIPE, "x" for 1 .. 200'
    read -r unix pipe <<<"$output"
    [[ $(row "socket (descriptor $unix)") == $'0 100 write\nstands against it: stream_kind' ]]
    [[ $(row "pipe (descriptor $pipe)") == $'0 200 write\nstands against it: nonblocking' ]]
    URINGSHIM_STREAMS=0 advise perl -e 'syswrite STDOUT, "x" for 1 .. 200'
    [[ $(row 'pipe (descriptor 1)') == $'0 200 write\nstands against it: streams_off' ]]
}

@test "the most worthwhile comes first, and each row names the place in the program" {
    advise perl -e 'open F, ">", "few"; syswrite F, "x" for 1 .. 500; open G, ">", "many"; syswrite G, "x" for 1 .. 5000'
    [[ $(grep -Eo '/(few|many)$' <<<"$stderr" | tr '\n' ' ') == "/many /few " ]]
    (($(grep -c 'perl, perl:Perl_pp_syswrite+0x' <<<"$stderr") == 2))
}

@test "a program that writes by stdio is named itself, not libc" {
    advise bash -c 'for ((i = 0; i < 1000; i++)); do echo $i; done >out'
    grep -q 'bash, bash:echo_builtin+0x' <<<"$stderr"
    read -r gone calls _ < <(row out)
    ((calls == 1000 && gone > 500))
}

@test "what stands in the way: a call in between, size, time, no file, too few" {
    advise perl -e 'open F, ">", "between"; for (1 .. 500) { syswrite F, "x"; -e "nothing" }
        open G, ">", "large"; syswrite G, "x" x 100000 for 1 .. 20;
        open H, ">", "slow"; for (1 .. 40) { select undef, undef, undef, 0.005; syswrite H, "x" }'
    [[ $(row between | tail -n 1) =~ ^stat64\ comes\ in\ between,\ [0-9]+\ times$ ]]
    [[ $(row large | tail -n 1) == "large calls: nothing to gain" ]]
    [[ $(row slow | tail -n 1) == "too far apart in time" ]]
    advise perl -e 'open F, ">", "few"; syswrite F, "x" for 1 .. 2'
    # where the machine had something else to do between the two
    [[ $(row few | tail -n 1) == "too few" || $(row few | tail -n 1) == "too far apart in time" ]]
    advise perl -e 'syswrite STDOUT, "x" x 769 for 1 .. 20'
    [[ $(row 'pipe (descriptor 1)' | tail -n 1) == "large calls: nothing to gain" ]]
    advise perl -e 'open F, ">", "/dev/null"; syswrite F, "x" for 1 .. 200; open G, "<", "/dev/zero"; sysread G, $x, 1 for 1 .. 200'
    [[ $(row null | tail -n 1) == "neither a file nor a pipe or stream socket" ]]
    [[ $(row zero | tail -n 1) == "neither a file nor a pipe or stream socket" ]]
}

@test "what stands in the way: memory shared with another process" {
    advise /usr/bin/python3 -c '
import mmap, os
fd = os.open("shared", os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 4096); m = mmap.mmap(fd, 4096)
out = os.open("out", os.O_WRONLY | os.O_CREAT)
for i in range(1000): os.write(out, b"x")'
    [[ $(row out | tail -n 1) == "stands against it: shared_memory" ]]
    [[ $(row out | head -n 1) == 0\ 1000\ write ]]
}

@test "many files written at one place make one row, and children count once" {
    advise bash -c 'for ((i = 0; i < 1000; i++)); do echo "$i"; done >first
        perl -e "for (1 .. 30) { open F, qq(>file\$_); syswrite F, qq(x) for 1 .. 100; close F } fork; wait"'
    (($(grep -c ' 30 files$' <<<"$stderr") == 1))
    # each counted once; how many would go away depends on what else the machine has to do
    awk '/\/first$/ { found = $2 == 1000 && $1 > 500 } END { exit !found }' <<<"$stderr"
    awk '/ 30 files$/ { found = $2 == 3000 && $1 > 1500 } END { exit !found }' <<<"$stderr"
}

@test "CMD's output, input and status are its own, and the advice fits into 80 columns" {
    run -5 --separate-stderr "$COMMAND" advise sh -c 'cat; exit 5' <<<"input"
    [[ $output == input ]]
    [[ $stderr == "uringshim advise: "* ]]
    run ! grep -E '.{81}' <<<"$stderr"
    perl -e '$s = system { $ARGV[0] } @ARGV; print $s & 127' "$COMMAND" advise sh -c 'kill -TERM $$' >signal 2>/dev/null
    [[ $(cat signal) == 15 ]]
}

@test "nothing is changed: a program that is surveyed writes what it writes, with threads and signals" {
    local seed=7
    mkdir native surveyed
    "$VICTIMS/random_ops" --threads 3 --own-only $seed 200 native >native.log
    "$COMMAND" advise "$VICTIMS/random_ops" --threads 3 --own-only $seed 200 surveyed >surveyed.log 2>advice
    diff <(sort -s -k 1,1 native.log) <(sort -s -k 1,1 surveyed.log)
    diff -r --no-dereference native surveyed
    cat advice
    grep -q 'reads and writes would go away' advice
}

@test "a write may come from a handler in the middle of malloc, from a small stack, or under a seccomp filter" {
    local where
    for where in malloc small confined; do
        "${PATIENTLY[@]}" "$VICTIMS/surveyed" "$where" || skip "natively: $where"
        for _ in 1 2 3; do
            rm -f records
            shim LD_PRELOAD="$LIB:libgcc_s.so.1" URINGSHIM=observe URINGSHIM_SURVEY="$SCRATCH/survey" "${PATIENTLY[@]}" "$VICTIMS/surveyed" "$where" ||
                fail "$where: $?"
            (($(wc -l <records) >= 100))
        done
    done
    shim URINGSHIM_LOG="debug:$SCRATCH/log" "$VICTIMS/surveyed" small
}

# advised_server ARGUMENT…: an echo server under advise, which says it in `said`, and clients with these arguments.
advised_server() {
    local try
    rm -f over where
    "$COMMAND" advise "$VICTIMS/echo_server" epoll 0 3>&- >where 2>said &
    for ((try = 0; try < 3000; try++)); do
        [[ ! -s where ]] || break
        sleep 0.02
    done
    "${PATIENTLY[@]}" "$VICTIMS/echo_clients" "$(cat where)" "$@"
    wait $!
}

@test "what turns would be worth to a server" {
    advised_server 30 100 64 1
    # one read and one write of each, and three calls of ours for each turn
    grep -E '^turns \(URINGSHIM_TURNS=1\): [0-9.]+ sockets each, 1\.[0-9] of 2\.[0-9] calls would go away$' said ||
        fail "$(cat said)"
    advised_server 1 300 64 1
    run ! grep '^turns' said
}
