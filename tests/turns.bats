#!/usr/bin/env bats
# Turns: servers that wait for many sockets answer every byte in order, learn nothing too late and nothing too early, and
# make few system calls.

load lib/common
load lib/trace

# serve KIND ADDRESS NAME=VALUE…: starts a server; `at` is where it listens.
serve() {
    local kind=$1 address=$2 try
    shift 2
    [[ $address == unix ]] && address=$SCRATCH/socket
    rm -f where socket over
    shim URINGSHIM_TURNS=1 "$@" ${TRACED:+strace -f -qq -o calls} "$VICTIMS/echo_server" "$kind" "$address" 3>&- >where &
    server=$!
    for ((try = 0; try < 3000; try++)); do
        [[ -s where ]] && break
        sleep 0.02
    done
    at=$(cat where)
}

# turning COMMAND…: with turns, from the first wait on
turning() { shim URINGSHIM_TURNS=1 URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$@"; }

# answered NAME=VALUE… -- ARGUMENT…: the clients get every answer, and the server ends as it should.
answered() {
    "${PATIENTLY[@]}" "$VICTIMS/echo_clients" "$at" "$@" >said || fail "$* of a server at $at" || return
    wait "$server" || fail "the server ended with $?" || return
}

# kinds KIND…: each over both families, with clients of every kind; and with turns from the first wait on, some happen.
kinds() {
    local kind family seed=$RANDOM how
    echo "seed $seed"
    for kind; do
        for family in 0 unix; do
            rm -f "$STATS"
            for how in "20 40 random $seed" "20 20 random $seed half" "8 20 700 $seed slow" "10 8 100 $seed again" \
                "30 40 50 $seed pipeline=7"; do
                serve "$kind" $family URINGSHIM_TEST_EAGER=1
                # shellcheck disable=SC2086 # words
                answered $how || fail "$kind, $how" || return
            done
            # who forks has passed its sockets on, and recvmsg may bring more than bytes on AF_UNIX
            [[ $kind == *fork || $kind:$family == *recvmsg*:unix ]] || (($(stat_value turn.served) > 100 && $(stat_value turn.deferred) > 100)) ||
                fail "$kind: $(stat_value turn.served) served" || return
            serve "$kind" $family
            answered 20 200 random "$seed" || fail "$kind by default" || return
        done
    done
}

@test "epoll, by level, with numbers and pointers, and reading what there is in small pieces" {
    kinds epoll,pointer epoll,small
}

@test "epoll, by edge, until there is no more; and blocking sockets" {
    kinds edge edge,recv,send epoll,twice epoll,block
}

@test "one event at a time, and every way to read and write" {
    kinds epoll,recvfrom,sendmsg epoll,recvmsg epoll,readv,writev
    serve oneshot 0 URINGSHIM_TEST_EAGER=1
    answered 20 40 random 1
}

@test "poll and select" {
    kinds poll,recv ppoll select,writev pselect,send
}

@test "a server that forks with connections open: the child goes on where its parent was" {
    kinds epoll,fork poll,fork
}

@test "a peer that never reads holds up nobody" {
    local family
    for family in 0 unix; do
        serve epoll,small $family URINGSHIM_TEST_EAGER=1
        answered 6 300 200 1 never
        (($(stat_value turn.deferred) > 300)) || fail "$(cat "$STATS")"
    done
}

@test "nor one whose socket was filled, by large pieces between two turns, or by small answers" {
    local family how
    for how in full small; do
        for family in unix tcp; do
            more_than 100 turn.served turning "$VICTIMS/turn_order" $how $family 3 || fail "$how, $family" || return
        done
    done
}

@test "nor where the system lets little wait to be sent (net.ipv4.tcp_notsent_lowat)" {
    need_root
    local lowat
    # shellcheck disable=SC2016 # its own
    quiet_network() { unshare -n sh -c 'ip link set lo up && sysctl -qw net.ipv4.tcp_notsent_lowat="$0" && exec "$@"' "$@"; }
    skip_unless "can't make a network of its own" quiet_network 16384 true
    for lowat in 16384 131072; do
        rm -f "$STATS"
        quiet_network $lowat env "${PATIENTLY[@]}" env LD_PRELOAD="$LIB" URINGSHIM_STATS="$STATS" URINGSHIM_TURNS=1 URINGSHIM_TEST_EAGER=1 \
            "$VICTIMS/turn_order" small tcp 3 || return
    done
    (($(stat_value turn.served) > 100)) || fail "$(cat "$STATS")"
}

@test "many small requests are answered by few system calls" {
    need_command strace
    local calls family kind
    for kind in epoll select; do
        for family in 0 unix; do
            TRACED=1 serve $kind $family URINGSHIM_TEST_EAGER=1
            answered 50 150 64 1
            calls=$(grep -cE ' (read|write|recvfrom|sendto|ppoll|poll|select|pselect6|epoll_wait|io_uring_enter)\(' calls)
            ((calls < 7500 * 7 / 10)) || fail "$kind, $family: $calls calls for 7500 requests"
        done
    done
}

@test "with a polling thread (URINGSHIM_SQPOLL=1) the loop asks for nothing by calls" {
    need_command strace
    local how calls
    for how in "20 40 random 1" "20 20 random 2 half" "10 8 100 3 again"; do
        serve epoll 0 URINGSHIM_TEST_EAGER=1 URINGSHIM_SQPOLL=1
        # shellcheck disable=SC2086 # words
        answered $how || return
    done
    ! grep -q 'fallback\.sqpoll' "$STATS" || skip "the kernel grants no polling thread"
    (($(stat_value polling.cpu_us) > 0 && $(stat_value turn.served) > 100)) || fail "$(cat "$STATS")"
    TRACED=1 serve epoll 0 URINGSHIM_TEST_EAGER=1 URINGSHIM_SQPOLL=1
    answered 50 150 64 1
    (($(grep -cE ' ppoll\(' calls) == 0)) || fail "it polls"
    calls=$(grep -cE ' (read|write|recvfrom|sendto|getsockopt)\(' calls)
    ((calls < 7500)) || fail "$calls calls for 7500 requests"
}

# Between two waits there is the look; who syncs then has an answer that was kept, and it is sent before.
@test "an answer is sent before a file is synced" {
    need_command strace
    TRACED=1 serve epoll,sync unix URINGSHIM_TEST_EAGER=1
    answered 1 100 64 1
    awk '/epoll_wait\(/ { enters = straight = 0 }
        /io_uring_enter\(/ { enters++ }
        / (write|sendto)\(/ { straight = 1 }
        / fsync\(/ { late += enters == 1 && !straight; before += enters > 1 }
        END { print late " late, " before " before"; exit !(late == 0 && before > 50) }' calls
}

@test "a line in a log goes before the answer, and the turn goes on after it" {
    need_command strace
    local calls answers
    TRACED=1 serve epoll,log 0 URINGSHIM_TEST_EAGER=1
    answered 50 150 64 1
    calls=$(grep -cE ' (read|write|pwritev2?|recvfrom|sendto|ppoll|epoll_wait|io_uring_enter)\(' calls)
    ((calls < 7500 * 7 / 10)) || fail "$calls calls for 7500 requests"
    awk '/epoll_wait\(/ { late += last ~ /request/; logged += trace ~ /request/; last = trace = "" }
        /io_uring_enter\(| (write|sendto|pwritev2?)\(/ { last = $0; trace = trace $0 }
        END { print late " late, " logged " logged"; exit !(late == 0 && logged > 50) }' calls
    [[ $(wc -l <log) == 7500 ]] || fail "$(wc -l <log) lines"
    for ((round = 0; round < ${URINGSHIM_TEST_ROUNDS:-8}; round++)); do
        serve epoll,log 0 URINGSHIM_TEST_EAGER=1
        "${PATIENTLY[@]}" "$VICTIMS/echo_clients" "$at" 20 100000 64 1 dies >said &
        sleep "0.$((RANDOM % 40 + 10))"
        pkill -KILL -P "$server" || kill -KILL "$server"
        wait "$server" || true
        wait $! || fail "a client has got something else"
        answers=$(awk '{ print $4 }' said)
        (($(wc -l <log) >= answers && answers > 0)) || fail "$answers answers, $(wc -l <log) lines"
    done
}

@test "turns are tried where many are readable, and not where one is" {
    need_command strace
    TRACED=1 serve epoll 0
    answered 50 300 64 1
    (($(grep -c 'io_uring_enter(' calls) > 20)) || fail "no turns"
    rm -f "$STATS"
    serve epoll 0
    answered 1 3000 64 1
    (($(stat_value turn.begun) == 0)) || fail "$(cat "$STATS")"
}

@test "threads, each with a loop and connections of its own, or that get each other's; one waits, one makes noise" {
    local kind family
    # shellcheck disable=SC2054 # commas within words
    local kinds_of_threads=(epoll,threads epoll,threads,handed edge,threads,noisy,send epoll,threads,handed,noisy,sendmsg
        epoll,threads,fork oneshot,threads,shared oneshot,threads,shared,noisy,recv)
    for kind in "${kinds_of_threads[@]}"; do
        for family in 0 unix; do
            rm -f "$STATS"
            serve "$kind" $family URINGSHIM_TEST_EAGER=1
            answered 20 40 random 1 || fail "$kind" || return
            serve "$kind" $family URINGSHIM_TEST_EAGER=1
            answered 30 60 50 2 pipeline=7 || fail "$kind" || return
            # sockets that several threads have used have none, and noise ends most
            [[ $kind != epoll,threads ]] || (($(stat_value turn.served) > 50)) || fail "$(cat "$STATS")" || return
            serve "$kind" $family
            answered 20 200 random 3 || fail "$kind by default" || return
        done
    done
}

@test "switched off there are none" {
    local setting
    for setting in URINGSHIM_TURNS=0 URINGSHIM_STREAMS=0 URINGSHIM_READAHEAD=0 URINGSHIM_BATCH=0 URINGSHIM=observe; do
        rm -f "$STATS"
        serve epoll 0 URINGSHIM_TEST_EAGER=1 $setting
        answered 20 40 64 1
        (($(stat_value turn.begun) == 0)) || fail "$setting: $(cat "$STATS")"
    done
}

@test "unless it is said otherwise there are some where calls are dear" {
    TRACED=yes serve epoll 0 URINGSHIM_TURNS=auto URINGSHIM_TEST_EAGER=1
    answered 20 40 64 1
    (($(stat_value turn.begun) > 0)) || fail "traced: $(cat "$STATS")" || return
    rm -f "$STATS"
    serve epoll 0 URINGSHIM_TURNS=auto URINGSHIM_TEST_EAGER=1
    answered 20 40 64 1
    [[ $("$ROOT/build/unit/ticks") == dear ]] || (($(stat_value turn.begun) == 0)) || fail "cheap: $(cat "$STATS")"
}

# two_sockets WHAT STATISTIC: turn_order finds nothing, over both families, and there were turns.
two_sockets() {
    local family
    for family in unix tcp; do
        more_than 100 "$2" turning "$VICTIMS/turn_order" "$1" $family 4000 || fail "$family" || return
    done
}

@test "who is told on one socket what was sent on another finds it there" {
    two_sockets freshness turn.served
}

@test "who could write to a file again, and had been told that there was no room, finds what was sent before there was" {
    need_root
    local family run
    # shellcheck disable=SC2016 # its own
    with_space() { unshare -m sh -c 'mount -t tmpfs -o size=1m none space && exec "$@"' sh "$@"; }
    spaced() { # WHAT FAMILY ROUNDS NAME=VALUE…
        with_space env "${PATIENTLY[@]}" env LD_PRELOAD="$LIB" "${@:4}" URINGSHIM_TURNS=1 URINGSHIM_TEST_EAGER=1 \
            "$VICTIMS/turn_order" "${@:1:3}" >said || fail "$*"
    }
    mkdir space
    skip_unless "can't mount" with_space true
    for family in unix tcp; do
        more_than 100 turn.begun spaced space $family 300 URINGSHIM_STATS="$STATS" || return
        grep 'told at times' said || return
        for run in {1..10}; do # the first failure comes on the quickest way, which nobody takes who counts
            spaced space_before $family 20 URINGSHIM_OWN_CALLS=ignore || fail "$run" || return
        done
    done
}

@test "answers to two clients arrive in the order in which they were given" {
    two_sockets order turn.deferred
}

@test "who is told by a thread that has learned of an answer through memory finds that answer" {
    two_sockets told turn.deferred
}

@test "what two threads read, one of which waits in the read, each byte is had by one" {
    local family
    for family in unix tcp; do
        turning "$VICTIMS/turn_order" taken $family 8000 || return
    done
}

@test "the same, where the thread that waits has never read the socket before" {
    local family eager
    for family in unix tcp; do
        for eager in 1 turns; do
            more_than 50 turn.begun shim URINGSHIM_TURNS=1 URINGSHIM_TEST_EAGER=$eager "${PATIENTLY[@]}" \
                "$VICTIMS/turn_order" waits $family 150 || fail "$family, $eager" || return
            # calls that are counted go none of the quick ways
            env LD_PRELOAD="$LIB" URINGSHIM_OWN_CALLS=ignore URINGSHIM_TURNS=1 URINGSHIM_TEST_EAGER=$eager "${PATIENTLY[@]}" \
                "$VICTIMS/turn_order" waits $family 150 || return
        done
    done
}

@test "the same, where it has another number for the socket, made by a call that is made by its number" {
    local how
    for how in dup dup3 getfd; do
        turning "$VICTIMS/turn_order" waits_$how unix 150 || return
    done
}

@test "an error of a connection is told once, by whichever call is the first that tells such a thing" {
    local way
    for way in reset feed0 feed1 feed2; do
        "${PATIENTLY[@]}" "$VICTIMS/turn_errors" $way || fail "$way, natively" || return
        shim URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$VICTIMS/turn_errors" $way || fail "$way, without turns" || return
        more_than 100 turn.deferred turning "$VICTIMS/turn_errors" $way || fail "$way" || return
    done
}

# told_as_natively WAY COUNT: turn_errors says what it says natively, and turns served more than so many reads.
told_as_natively() {
    told() {
        turning "$VICTIMS/turn_errors" "$1" >got
        cmp expected got || fail "$(diff expected got)"
    }
    "${PATIENTLY[@]}" "$VICTIMS/turn_errors" "$1" >expected
    more_than "$2" turn.served told "$1"
}

@test "buffers that the kernel refuses, and messages that are more than bytes" {
    told_as_natively odd 50
}

@test "a socket that is made to wait, when all there is has been read, waits" {
    told_as_natively modes 50
}

@test "what is refused after all is tried again, and nothing before it" {
    "${PATIENTLY[@]}" "$VICTIMS/turn_errors" refused || fail "natively" || return
    more_than 50 turn.deferred turning "$VICTIMS/turn_errors" refused
}

@test "a message with a descriptor, amid others" {
    told_as_natively behind 30
}

@test "a fault that is blocked, and kills at once, loses nothing that was written" {
    local way turns
    for way in blocked blocked_file blocked_handler blocked_file_handler; do
        for turns in 0 1; do
            shim URINGSHIM_TURNS=$turns URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$VICTIMS/turn_errors" $way || fail "$way, $turns" || return
        done
    done
}

@test "with a polling thread, as many sockets of AF_UNIX as its queue has room for" {
    local round
    for round in 1 2 3 4 5 6; do
        serve ppoll unix URINGSHIM_SQPOLL=1
        answered 50 150 64 "$RANDOM" || fail "round $round" || return
    done
}

@test "who is killed by writing to one has answered no other after that" {
    more_than 500 turn.deferred turning "$VICTIMS/turn_errors" pipe
}

@test "a byte that was urgent when it was looked at" {
    more_than 500 turn.served turning "$VICTIMS/turn_errors" urgent
}

# as_natively WHAT ROUNDS: turn_order says the same as natively, over both families, with turns from the first wait on and by default.
as_natively() {
    local family setting
    for family in unix tcp; do
        rm -f "$STATS"
        "$VICTIMS/turn_order" "$1" $family "$2" >expected
        for setting in URINGSHIM_TEST_EAGER={1,turns,0}; do
            shim URINGSHIM_TURNS=1 URINGSHIM_OWN_CALLS=ignore "$setting" "${PATIENTLY[@]}" "$VICTIMS/turn_order" "$1" $family "$2" >got
            cmp expected got || fail "$family, $setting: $(diff expected got)" || return
        done
        [[ -n ${3-} ]] || (($(stat_value turn.served) > 10 && $(stat_value turn.deferred) > 10)) || fail "$family: no turns" || return
    done
}

@test "a send to a socket whose other end is known to have gone fails at once" { as_natively gone 100; }

@test "an error of a socket that was looked at is told, once" { as_natively reset 100; }

@test "a process that has both ends reads what it has just written" {
    local how
    for how in own own_number own_sent own_sent_number own_sent_several; do
        as_natively $how 5 none || fail "$how" || return
    done
    as_natively own_left 1 none
}

# room WAY SETTING…: the same as natively.
room() {
    "${PATIENTLY[@]}" "$VICTIMS/turn_room" "$1" >expected || fail "natively" || return
    shim URINGSHIM_TURNS=1 "${@:2}" "${PATIENTLY[@]}" "$VICTIMS/turn_room" "$1" >got || return
    cmp expected got || fail "$(diff expected got)"
}

@test "there is no room for an answer, whatever has filled the socket of a client that doesn't read" {
    local way setting
    for way in write pwritev2 aio sendmmsg backtrace splice sendfile straight straight straight; do
        for setting in URINGSHIM_TEST_EAGER={1,turns}; do
            room $way "$setting" || fail "$way, $setting" || return
        done
    done
    (($(stat_value turn.served) > 500)) || fail "$(stat_value turn.served) served"
}

@test "who dies of a timer of its own has set it after its answer" {
    room timer URINGSHIM_TEST_EAGER=1 && room timer URINGSHIM_TEST_EAGER=turns
}

@test "what a call costs is asked by one that the program makes itself" {
    local how
    for how in epoll poll select connect; do
        "$VICTIMS/refuse_seccomp" KILL parent env LD_PRELOAD="$LIB" "$VICTIMS/turn_room" waits $how || fail "$how" || return
    done
}

@test "an answer isn't lost by a fault, whose handler faults as well" {
    local family
    for family in unix tcp; do
        rm -f "$STATS"
        turning "$VICTIMS/turn_order" fault $family 1 >said || true
        for ((try = 0; try < 3000; try++)); do
            [[ ! -s said ]] || break # the client prints it, when the server has died
            sleep 0.02
        done
        [[ $(cat said) == "21 answers" ]] || fail "$family: $(cat said)" || return
    done
}

@test "a server that is killed: each client has a beginning of its answers" {
    local round family
    for ((round = 0; round < ${URINGSHIM_TEST_ROUNDS:-12}; round++)); do
        family=$((round % 2))
        [[ $family == 0 ]] || family=unix
        serve epoll $family URINGSHIM_TEST_EAGER=1
        "${PATIENTLY[@]}" "$VICTIMS/echo_clients" "$at" 20 100000 random "$RANDOM" dies >said &
        sleep "0.$((RANDOM % 40 + 10))"
        pkill -KILL -P "$server" || kill -KILL "$server" # the shell that was forked to run it has become it
        wait "$server" || true
        wait $! || fail "a client has got something else"
    done
}
