#!/usr/bin/env bats
# The command scripts/uringshim: it gets out of the way of what it runs, and tells what was saved.

# $stderr is bats's, and what stands in single quotes is for another shell.
# shellcheck disable=SC2154,SC2016

bats_require_minimum_version 1.5.0
load lib/common

COMMAND=$ROOT/scripts/uringshim

# raw_status CMD…: the status that waitpid reports, in which exit 143 and death by signal 15 differ, as "exit,signal".
raw_status() {
    perl -e '$s = system { $ARGV[0] } @ARGV; print $s >> 8, ",", $s & 127' "$@" 2>"$SCRATCH/stderr"
}

# value LABEL: the number beside LABEL in the report that stat left in $stderr.
value() {
    awk -v label="$1" '{ n = $NF; sub(/^ +/, ""); sub(/ +[0-9]+$/, "") } $0 == label { print n; exit }' <<<"$stderr"
}

need_tracing() {
    need_command strace
    skip_unless "strace may not trace here" strace -o /dev/null true
}

# A writer of 1000 lines into the file named after it.
writer=(perl -e 'open F, ">$ARGV[0]" or die; syswrite F, "line $_\n" for 1 .. 1000')

@test "arguments, empty ones and odd ones too, arrive as given" {
    run -0 "$COMMAND" sh -c 'printf "[%s]" "$@"' sh 'a b' '' '*' $'new\nline' -- --help '$HOME'
    [ "$output" = $'[a b][][*][new\nline][--][--help][$HOME]' ]
}

@test "the exit status is CMD's" {
    for status in 0 1 42 126 127 143 255; do
        run "-$status" "$COMMAND" sh -c "exit $status"
        run "-$status" "$COMMAND" stat sh -c "exit $status"
    done
    [ "$(raw_status "$COMMAND" stat sh -c 'exit 143')" = 143,0 ]
}

@test "death by a signal is CMD's" {
    ulimit -c 0
    for signal in 2 9 11 13 15; do
        [ "$(raw_status "$COMMAND" sh -c "kill -$signal \$\$")" = "0,$signal" ]
        [ "$(raw_status "$COMMAND" stat sh -c "kill -$signal \$\$")" = "0,$signal" ]
    done
}

@test "the library is loaded, behind what was preloaded already" {
    run -0 "$COMMAND" grep -c 'liburingshim\.so' /proc/self/maps
    LD_PRELOAD=libm.so.6 run -0 "$COMMAND" sh -c 'echo "$LD_PRELOAD"'
    [[ $output == libm.so.6:*liburingshim.so ]]
    LD_PRELOAD=libm.so.6 run -0 "$COMMAND" grep -c 'libm\.so' /proc/self/maps
}

@test "the environment is otherwise CMD's own" {
    local names=(PATH="$PATH" PWD="$PWD" dir=1 lib=2 link=3 status=4 URINGSHIM_BATCH=0)
    env -i "${names[@]}" env | sort >native
    env -i "${names[@]}" "$COMMAND" env | grep -v ^LD_PRELOAD= | sort >shimmed
    cmp native shimmed
    URINGSHIM_STATS=$STATS run -0 "$COMMAND" true
    [ "$(stat_text program)" = true ]
}

@test "a plain run starts no other process" {
    need_tracing
    run -0 strace -f -o trace -e trace=process "$COMMAND" /bin/true
    [ "$(grep -c 'execve(.* = 0$' trace)" -eq 2 ]
    run ! grep -E 'fork\(|clone3?\(' trace
}

@test "it finds the library from a link, a relative path, and installed" {
    ln -s "$COMMAND" link
    run -0 ./link true
    mkdir -p usr/bin usr/lib/uringshim other
    cp "$COMMAND" usr/bin && cp -r "$LIB" "$ROOT/scripts/commands" usr/lib/uringshim
    run -0 usr/bin/uringshim sh -c 'cd / && grep -c "$0" /proc/self/maps' "$SCRATCH/usr/lib"
    PATH=$PWD/usr/bin:$PATH run -0 uringshim sh -c 'grep -c "$0" /proc/self/maps' "$SCRATCH/usr/lib"
    run -0 usr/bin/uringshim stat true
    ln -s ../usr/bin/uringshim other/linked
    run -0 other/linked grep -c "$SCRATCH/usr/lib" /proc/self/maps
}

@test "what cannot be run is said in one line" {
    mkdir bin "with space"
    cp "$COMMAND" bin
    cp -r "$ROOT/scripts" "with space"
    mkdir "with space/build"
    cp "$LIB" "with space/build"
    local cases=("127 $COMMAND no-such-command-here" "127 $COMMAND ./missing" "126 $COMMAND $SCRATCH" "125 $COMMAND"
        "125 $COMMAND --nonsense" "125 $COMMAND stat" "127 $COMMAND stat no-such-command-here"
        "127 $COMMAND compare no-such-command-here" "125 $COMMAND compare --runs 0 true"
        "125 $COMMAND compare --runs x true" "125 $COMMAND compare --runs" "125 $COMMAND compare --odd true"
        "125 bin/uringshim true")
    for case in "${cases[@]}"; do
        # shellcheck disable=SC2086 # words
        run "-${case%% *}" --separate-stderr ${case#* }
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == uringshim:* ]]
    done
    run -125 --separate-stderr "with space/scripts/uringshim" true
    [[ $stderr == *space* ]]
}

@test "--help names every variable with its values, --version a version" {
    run -0 "$COMMAND" --help
    [ "$(awk 'length > 80' <<<"$output")" = "" ]
    while read -r name values; do
        grep -E "^ +$name +${values//,/, }" <<<"$output" || fail "$name ($values) is not as in the option table"
    done < <(sed -nE 's/^OPTION_[A-Z]+\([a-z_]+, "([A-Z_]+)", "?([^", ][^" ]*|[0-9]+)("?,.*)/\1 \2/p; s/^OPTION_TEXT\([a-z_]+, "([A-Z_]+)".*/\1/p' \
        "$ROOT/shim/base/options.def" | grep -v _TEST_)
    run -0 "$COMMAND" --version
    [[ $output =~ ^uringshim\ [0-9]+\.[0-9]+ ]]
}

@test "-- ends our own words" {
    run -0 "$COMMAND" -- stat --version
    [[ $output == stat\ * ]]
    run -0 "$COMMAND" stat -- echo out
    [[ $output == out* ]]
}

@test "stat covers children, on stderr, and leaves stdout alone" {
    URINGSHIM_TEST_EAGER=1 run -3 --separate-stderr "$COMMAND" stat sh -c '"$@" one; "$@" two; echo out; exit 3' sh "${writer[@]}"
    [ "$output" = out ]
    [[ $stderr == *"3 processes ("*perl* ]]
    [ "$(value 'write calls')" -ge 2000 ]
    [ "$(($(value deferred) + $(value 'passed through')))" -eq "$(value 'write calls')" ]
    [[ $stderr =~ "write system calls: "([0-9]+)" without uringshim, "([0-9]+)" with it" ]]
    [ "${BASH_REMATCH[1]}" -eq "$(value 'write calls')" ]
    [ "${BASH_REMATCH[2]}" -lt 1000 ]
}

@test "stat tells what went to a pipe, in how many pieces, and why the rest was passed" {
    URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore URINGSHIM_MAX_DELAY_US=1000000 run -0 --separate-stderr bash -c \
        '"$0" stat perl -e "\$| = 1; print qq(line \$_\n) for 1 .. 1000" | wc -l' "$COMMAND"
    [ "$output" -eq 1000 ]
    (($(value 'to pipes and sockets') > 900 && $(value 'to pipes and sockets') == $(value deferred))) || fail "$stderr"
    (($(value 'written in pieces') > 0 && $(value 'written in pieces') < 500)) || fail "$stderr"
    (($(value input) > 0)) || fail "$stderr"
    [[ $stderr =~ "write system calls: 1000 without uringshim, "([0-9]+)" with it" ]]
    [ "${BASH_REMATCH[1]}" -lt 600 ]
    URINGSHIM_STREAMS=0 URINGSHIM_OWN_CALLS=ignore run -0 --separate-stderr bash -c \
        '"$0" stat perl -e "\$| = 1; print qq(line \$_\n) for 1 .. 1000" | wc -l' "$COMMAND"
    (($(value 'to pipes and sockets') == 0 && $(value streams_off) > 900)) || fail "$stderr"
}

# The writer has ended before the reader begins; nobody but these two has the pipe.
@test "stat tells how many reads of a pipe were answered from peeks" {
    need_sight
    local reader='seq 3000 | { sleep 1; exec perl -e "sysread STDIN, \$x, 1 for 1 .. 10000; print qq(done\n)"; }'
    URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore run -0 --separate-stderr "$COMMAND" stat bash -c "$reader"
    [ "$output" = "done" ]
    (($(value 'reads from peeks') > 9900 && $(value 'peeks at streams') > 0)) || fail "$stderr"
    (($(value settled) >= $(value 'peeks at streams'))) || fail "$stderr"
    local variable
    for variable in STREAMS READAHEAD; do
        run -0 --separate-stderr env "URINGSHIM_$variable=0" URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore "$COMMAND" stat bash -c "$reader"
        (($(value 'reads from peeks') == 0 && $(value 'peeks at streams') == 0)) || fail "$variable: $stderr"
    done
}

@test "a wrong value of URINGSHIM_STREAMS gets one line, and the default" {
    URINGSHIM_STREAMS=2 URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore URINGSHIM_MAX_DELAY_US=1000000 URINGSHIM_STATS=$STATS run -0 --separate-stderr \
        "$COMMAND" perl -e '$| = 1; print "line $_\n" for 1 .. 1000'
    [ "${#lines[@]}" -eq 1000 ]
    [ "$stderr" = "uringshim: URINGSHIM_STREAMS=2 is not one of 1,0; using the first" ]
    (($(stat_value stream.deferred) > 900)) || fail "$(cat "$STATS")"
}

@test "stat and advise say so where no process reported, and why" {
    run --separate-stderr "$COMMAND" stat sh -c 'kill -9 $$'
    [[ $stderr == *"no process reported (static, setuid, or ended by a signal)"* ]]
    URINGSHIM=off run --separate-stderr "$COMMAND" stat true
    [[ $stderr == *"no process reported (URINGSHIM=off)"* ]]
    URINGSHIM_SKIP=true run --separate-stderr "$COMMAND" advise true
    [[ $stderr == *"no process reported ("*"in URINGSHIM_SKIP"* ]]
    mkdir -p broken/build
    cp -r "$ROOT/scripts" broken
    echo "not a library" >broken/build/liburingshim.so
    local subcommand
    for subcommand in stat advise; do
        run --separate-stderr broken/scripts/uringshim "$subcommand" echo out
        [ "$output" = out ]
        [[ $stderr == *"uringshim $subcommand: the library does not load here: "*"cannot be preloaded"* ]]
    done
}

@test "where a program of the command's own is missing, or doesn't run, one line says so" {
    mkdir -p broken/build
    cp -r "$ROOT/scripts" "$LIB" broken
    mv broken/*.so broken/build
    run -125 broken/scripts/uringshim check /bin/ls
    [[ $output == *"uringshim-elf is not there: run make first" ]]
    run -125 broken/scripts/uringshim doctor
    [[ $output == *"uringshim-probe is not there: run make first" ]]
    printf '#!/bin/sh\necho "no such version" >&2\necho more\nexit 1\n' | tee broken/build/uringshim-{elf,probe} >/dev/null
    chmod +x broken/build/uringshim-*
    run -125 broken/scripts/uringshim check /bin/ls
    [ "$output" = "uringshim: uringshim-elf does not run here: no such version" ]
    run -125 broken/scripts/uringshim doctor
    [ "$output" = "uringshim: uringshim-probe does not run here: no such version" ]
}

@test "compare shows both columns, of children too, apart from CMD's output" {
    need_tracing
    # Under strace writes come slowly, and on a busy machine too slowly for the policy.
    URINGSHIM_TEST_EAGER=1 run -0 --separate-stderr "$COMMAND" compare sh -c '"$@" one; echo out' sh "${writer[@]}"
    [ "$output" = $'out\nout\nout\nout\nout' ] # it starts others: once more, to count those left out
    [[ $stderr =~ "system call"\ +native\ +shimmed ]]
    [[ $stderr =~ write\ +([0-9]+)\ +([0-9]+) ]]
    [ "${BASH_REMATCH[1]}" -ge 1000 ]
    [ "${BASH_REMATCH[2]}" -lt 500 ]
    [[ $stderr =~ total\ +[0-9]+\ +[0-9]+\ +[0-9.]+% ]]
    [[ $stderr =~ "wall time, s "\ *[0-9.]+\ +[0-9.]+ ]]
    [[ $stderr =~ "CPU time (user + system), s "\ *[0-9.]+\ +[0-9.]+ ]]
    [ "$(awk 'length > 80' <<<"$stderr")" = "" ]
}

@test "compare shows both ends of a pipeline, and the calls that deferred writes to it became" {
    need_tracing
    URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore URINGSHIM_ENGINE=direct run -0 --separate-stderr "$COMMAND" compare \
        bash -c 'perl -e "\$| = 1; print qq(line \$_\n) for 1 .. 1000" | wc -l'
    [ "$output" = $'1000\n1000\n1000\n1000\n1000' ]
    awk '$1 == "write" { gone = $2 >= 1000 && $3 < 500 } $1 == "pwritev2" { instead = $2 == 0 && $3 > 0 }
        END { exit !(gone && instead) }' <<<"$stderr" || fail "$stderr"
}

@test "compare --runs N runs each side N times, in turns, and gives medians" {
    need_tracing
    run -0 --separate-stderr "$COMMAND" compare --runs 3 sh -c 'echo "${LD_PRELOAD:+s}" >>turns; sleep "0.$(wc -l <turns)"'
    [ "$(tail -n 7 turns | tr '\n' ,)" = ,s,,s,,s,s, ]
    [ "$(wc -l <turns)" -eq 9 ]
    # natively the 3rd, 5th and 7th run were timed, shimmed the 4th, 6th and 8th; in the 9th what is left out is counted
    awk '/^wall time, s, median of 3 / { found = $7 >= 0.5 && $8 >= 0.6 } END { exit !found }' <<<"$stderr"
    run ! grep -E '.{81}' <<<"$stderr"
}

@test "compare --json says the same for programs" {
    need_tracing
    URINGSHIM_TEST_EAGER=1 run -3 --separate-stderr "$COMMAND" compare --json --output told --runs 2 \
        sh -c '"$@" "o\"n,e"; exit 3' sh "${writer[@]}"
    [ -z "$stderr" ]
    python3 - <<'TEXT'
import json
told = json.load(open("told"))
assert told["runs"] == 2 and told["command"].startswith("sh -c"), told
assert told["calls"]["write"]["native"] >= 1000 > 100 > told["calls"]["write"]["shimmed"], told
for side in "native", "shimmed":
    assert told["total"][side] == sum(call[side] for call in told["calls"].values()), told
    assert told["wall_seconds"][side] > 0 and told["cpu_seconds"][side] >= 0, told
TEXT
}

@test "compare gives each run the whole input, and ends as CMD ended" {
    need_tracing
    seq 10 >input
    run -5 --separate-stderr "$COMMAND" compare sh -c 'wc -l; exit 5' <input
    [ "$output" = $'10\n10\n10\n10\n10' ]
    run -125 --separate-stderr "$COMMAND" compare mkdir once
    [[ $stderr == *"ended differently"* ]]
}

@test "no run leaves a temporary file" {
    mkdir temp
    TMPDIR=$PWD/temp run "$COMMAND" stat true
    TMPDIR=$PWD/temp run "$COMMAND" stat sh -c 'kill -15 $$'
    TMPDIR=$PWD/temp run "$COMMAND" compare true
    [ -z "$(ls temp)" ]
}

@test "one line for a program that the library can't be loaded into, and it runs" {
    echo 'int main(void) { return 7; }' >main.c
    gcc -static -o static main.c
    gcc -static-pie -o static-pie main.c
    gcc -o set-id main.c
    gcc -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 -o musl main.c
    local program
    for program in static static-pie; do
        run -7 --separate-stderr "$COMMAND" "./$program"
        [ "$stderr" = "uringshim: ./$program runs as without the library: it is statically linked" ]
    done
    printf '#!%s/static\n' "$PWD" >script
    chmod +x script
    run -7 --separate-stderr "$COMMAND" ./script
    [ "$stderr" = "uringshim: ./script runs as without the library: it is statically linked" ]
    local native=0
    ./musl 2>errors || native=$? # its loader need not be there
    run "-$native" --separate-stderr "$COMMAND" ./musl
    [ "${stderr_lines[0]}" = "uringshim: ./musl runs as without the library: it uses musl, not glibc" ]
    run -7 --separate-stderr "$COMMAND" ./set-id # still an ordinary one
    [ -z "$stderr" ]
}

@test "one line for a set-user-ID program, which runs as ever" {
    need_root
    echo 'int main(void) { return 7; }' >main.c
    gcc -o set-id main.c
    chown root set-id
    chmod 4755 set-id . # reachable for the user
    mkdir -p scripts build
    cp "$COMMAND" scripts/uringshim
    cp "$LIB" build/liburingshim.so
    run -7 --separate-stderr setpriv --reuid=65534 --clear-groups scripts/uringshim ./set-id
    [ "$stderr" = "uringshim: ./set-id runs as without the library: it is set-user-ID" ]
}
