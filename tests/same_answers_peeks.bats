#!/usr/bin/env bats
# Same answers where small reads of pipes and sockets are served: shells, and what is like them, share their input with
# those that they start, and each gets what it would have got. URINGSHIM_TEST_SEED is the first seed of the random
# programs, URINGSHIM_TEST_SEEDS how many each test makes.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154,SC2317 # the shells' own; lib/peeks sets, and tests have cases of their own

load lib/common
load lib/compare
load lib/streams
load lib/peeks

# fed SHELL [ARG]… -- CASE…: each by a shell in a pipeline with what feeds it, and with who reads what it writes. In how many
# of them reads are served depends on how soon the feeder has begun, and whether enough is read; in half of them they are.
fed() {
    local shell=() cases=0
    while [[ $1 != -- ]]; do
        shell+=("$1")
        shift
    done
    printf '%s\0' "${@:2}" >cases
    cases=$(($# - 1))
    assert_peeked() {
        case $1 in
        *URINGSHIM_STREAMS=0* | *URINGSHIM_READAHEAD=0*) (($(stat_value peek.filled) == 0)) || fail "$1: a stream was peeked at" ;;
        *URINGSHIM_TEST_EAGER=1*)
            (($(grep -c '"peek.filled":[1-9]' "$STATS") * 2 >= cases)) || blinded || fail "$1: few streams were peeked at" || return
            ;;
        esac
    }
    same_peeks bash -c 'while IFS= read -rd "" case; do
            echo "== $case"; seq 1200 | "$@" "$case" | cat; echo "${PIPESTATUS[@]:1}"
        done <../cases' - "${shell[@]}"
}

# What every shell can do with its input.
CASES=(
    # All of it, into a pipe and into a file.
    'while read -r l; do echo "$l"; done'
    'while read -r l; do echo "$l"; done >file'
    'while read -r l; do echo "$l"; [ $((l % 300)) != 7 ] || echo "$l" >&2; done >file 2>errors'
    # Children and subshells read a part.
    'read -r a; echo "$a"; for i in 1 2 3 4; do read -r a; done; echo "$a"; cat'
    'n=0; while read -r l; do n=$((n + 1)); [ $((n % 200)) != 0 ] || sh -c '\''read -r x; echo "child $x"'\''; echo "$l"; done'
    'for i in 1 2 3 4 5; do read -r l; (read -r a; echo "$i $a"); x=$(read -r b; echo "$b"); echo "$l $x"; read -r l; done; tail -n 1'
    'exec 3<&0; for i in 1 2 3; do read -r l; (read -r a; echo "$a") <&3 & wait; read -r b; echo "$b"; done; cat'
    'read -r a; sed -u 1q; read -r b; sed -un 3q; read -r c; echo "$c"; head -c 17; dd bs=1 count=20 2>/dev/null; cat'
    'while read -r l; do case $l in *99) head -c 5; dd bs=2 count=3 2>/dev/null ;; esac; done; echo "$l"'
    'while read -r l; do [ "$l" != 700 ] || break; done; echo "$l"; tail -n 1'
    '{ while read -r l && [ "$l" != 70 ]; do :; done; echo "$l"; read -r l; echo "$l"; }; wc -c'
    'while read -r l; do [ "$l" != 700 ] || exec sh -c '\''read -r l; echo "$l"; exec cat'\''; done'
    # Other numbers of the same pipe.
    'exec 5<&0 </dev/null; read -r l || echo none; while read -r l <&5; do echo "$l"; [ "$l" != 30 ] || break; done; cat <&5'
    'exec 5<&0; while read -r a && read -r b <&5; do echo "$a $b"; [ "$a" != 31 ] || break; done; cat'
    'while read -r a; do read -r b <&4; echo "$a $b"; [ "$a" != 30 ] || break; done 4<<E
one
two
E'
    'trap "read -r x; echo trapped \$x" USR1; while read -r l; do case $l in *88) kill -USR1 $$ ;; esac; echo "$l"; done'
    'read -r a; (sleep 0; exit 3) & wait $!; echo $?; while read -r l; do :; done; echo "$l"; read -r l; echo $?'
    'while IFS=1 read -r a b; do echo "$a:$b"; done'
)

@test "bash" {
    CASES+=('while read -rn 3 l; do echo "$l"; done' 'while read -rN 7 l; do echo "$l"; done' 'while read -rt 100 l; do echo "$l"; done'
        'while read -rd 7 l; do echo "$l"; done'
        'while read -ru 0 l; do echo "$l"; read -t 0 || :; done'
        'while mapfile -n 7 -t a && ((${#a[@]})); do echo "${a[@]}"; read -r l; done'
        'mapfile -n 5 -C "read -r l; echo" -c 1 a; echo "${a[@]}"; cat'
        'while read -r l; do echo "$l"; done < <(cat)'
        'coproc while read -r l; do echo "<$l>"; done; for i in {1..5}; do read -r a; echo "$a" >&"${COPROC[1]}"; read -r b <&"${COPROC[0]}"; echo "$b"; done; cat'
        'read -r a; cat <(head -c 100) <(echo end); read -r b; echo "$b"; cat'
        'while read -r l; do echo "$l"; done <<<"$(cat)"')
    fed bash -c -- "${CASES[@]}"
}

@test "dash" { fed dash -c -- "${CASES[@]}"; }

@test "zsh" {
    need_command zsh
    # sysread: how much it gets at a time is when seq has written it
    CASES+=('while read -k 5 -u 0 l; do echo "$l"; done' 'zmodload zsh/system; while sysread -s 5 l; do printf %s "$l"; done'
        'read -r a; cat =(head -c 100); read -r b; echo "$b"; cat')
    fed zsh -fc -- "${CASES[@]}"
}

# A shell that is linked statically is none that the library knows of: it reads what others leave it.
@test "busybox is a child of those that read" {
    need_command busybox
    fed dash -c -- 'while read -r l; do case $l in *50) busybox sh -c "read -r x; echo \$x" ;; *77) busybox head -c 3 ;; esac; echo "$l"; done' \
        'busybox sh -c "read -r l; echo \$l"; while read -r l; do echo "$l"; done'
}

@test "python and perl read byte for byte, start others, and go on" {
    need_command python3
    need_command perl
    fed python3 -c -- '
import os, subprocess
for i in range(3):
    print([os.read(0, 1) for i in range(500)], flush=True)
    subprocess.run(["sh", "-c", "read x; read y; echo $x $y"])
with open(0, "rb", buffering=0, closefd=False) as raw:
    print(raw.read(3), raw.readline(), raw.readinto(bytearray(5)), flush=True)
if os.fork() == 0:
    os.write(1, os.read(0, 5))
    os._exit(0)
os.wait()
os.write(1, os.read(0, 5))
os.execvp("cat", ["cat"])'
    fed perl -e -- '$| = 1; for (1 .. 3) { sysread STDIN, $x, 1 and print ord $x, "\n" for 1 .. 500; system "read x; echo \$x"; print `head -c 9` }
        sysread STDIN, $y, 40; print $y; if (!fork) { sysread STDIN, $y, 4; print $y; exit } wait;
        1 while sysread(STDIN, $z, 3) && ($all .= $z) && length $all < 2000; print $all; exec "cat"'
}

# Two subshells at once natively tear each other's lines, but every byte is somebody's.
@test "subshells that read at the same time take every byte once" {
    together() {
        seq 20000 | "${under[@]}" "$1" -c 'n=0; while [ $n != 200 ]; do read -r l; echo "$l"; n=$((n + 1)); done
            exec 3<&0; (cat <&3 >one) & (head -c 2000 <&3 >two) & (dd bs=1 count=2000 <&3 >three 2>/dev/null) & wait' >zero
        cat zero one two three | fold -w 1 | sort | uniq -c | awk '$2 != ""' >found
        diff expected found
    }
    local shell
    seq 20000 | fold -w 1 | sort | uniq -c | awk '$2 != ""' >expected
    for shell in bash dash; do
        peeked_everywhere together $shell
    done
}

# random KIND FAMILIES: so many programs, which know what they must be answered; half of them without the clock, which would
# hide that something was forgotten.
programs() {
    local seed first=${URINGSHIM_TEST_SEED:-$RANDOM} count=${URINGSHIM_TEST_SEEDS:-3} delay
    echo "$count seeds from $first"
    for ((seed = first; seed < first + count; seed++)); do
        delay=()
        ((seed % 2)) || delay=(env "$SLOW")
        "${PATIENTLY[@]}" "${under[@]}" "${delay[@]}" "$VICTIMS/peeks_random" "$1" $seed 40 "$2" 3>&- || return
    done
}

random() {
    peeked_everywhere programs "$@"
}

@test "what is asked around reads: lseek, isatty, poll, the signals that are blocked" {
    same_peeks "$VICTIMS/peeks_asked"
}

@test "random programs: every call, on a pipe" { random pipe calls; }
@test "random programs: other numbers of a pipe, and of a socket" {
    random pipe numbers
    once_shared random unix numbers
}
@test "random programs: processes that share a pipe" { random pipe processes; }
@test "random programs: handlers and threads that read a pipe" { random pipe inside; }
@test "random programs: sockets" {
    random unix calls
    random tcp calls
    once_shared random tcp calls,numbers,processes,inside
}
@test "random programs: all of it" {
    random pipe calls,numbers,processes,inside
    once_shared random unix calls,numbers,processes,inside
}
