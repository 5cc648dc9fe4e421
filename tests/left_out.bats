#!/usr/bin/env bats
# Programs that can't gain (shim/base/one_shots.def) are started without the library: by their environment, and by nothing
# else. That they do gain nothing is looked at, too.
# shellcheck disable=SC2154,SC2028 # bats sets stderr; printf's own escapes

bats_require_minimum_version 1.5.0
load lib/common
load lib/compare

COMMAND=$ROOT/scripts/uringshim

# Whatever is in the table may be one of ours in a directory called bin: this one says what it was given.
make_programs() {
    mkdir bin sbin
    printf '#!/bin/sh\ntr "\\0" "\\n" </proc/$$/environ\nexit 5\n' >bin/date
    chmod +x bin/date
    cp bin/date sbin/expr
    cp bin/date bin/gauge
    cp bin/date date
    cp bin/date bin/printf.sh
}

# given WAY PROGRAM [NAME=VALUE]…: what it is given when a shimmed program starts it, from these variables or its own.
given() {
    env -i PATH="$PATH" B=2 LD_PRELOAD="$LIB" "$VICTIMS/starts" "$@" 2>&1
}

WAYS=(execl execle execlp execv execve execvp execvpe execveat syscall syscall_at spawn spawnp spawn_acting vfork_execve
    vfork_execv vfork_execvp vfork_execl vfork_syscall thread_execve thread_spawn thread_vfork_execv handler_execve
    handler_vfork_execve handler_spawnp system popen)

@test "every way to start one" {
    local way
    make_programs
    for way in "${WAYS[@]}"; do
        given "$way" ./bin/date >got
        [[ $way == system || $way == popen ]] || grep -qx 'ended with 5, 0' got || fail "$way: $(cat got)"
        grep -qx B=2 got || fail "$way: $(cat got)"
        run ! grep ^LD_PRELOAD got
        given "$way" ./bin/gauge | grep -qxF "LD_PRELOAD=$LIB" || fail "$way: nor does another program get it"
    done
    for way in execve execvp spawn; do
        given "$way" "$PWD/bin/date" | grep -cx B=2
        run ! grep ^LD_PRELOAD <(given "$way" "$PWD/bin/date"; given "$way" ./sbin/expr)
    done
    # What has no name of that kind, or none at all.
    for way in ./date ./bin/printf.sh bin/../date; do
        given execve "$way" | grep -qxF "LD_PRELOAD=$LIB" || fail "$way"
    done
    for way in fexecve number_at; do
        given "$way" ./bin/date | grep -qxF "LD_PRELOAD=$LIB" || fail "$way"
    done
    PATH=$PWD/bin:$PATH
    for way in execvp execvpe execlp spawnp vfork_execvp; do
        run ! grep ^LD_PRELOAD <(given "$way" date)
        given "$way" gauge | grep -qxF "LD_PRELOAD=$LIB" || fail "$way"
    done
}

@test "our entry goes, and nothing else; the starter's own environment stays as it is" {
    local given left way
    make_programs
    echo 'int other;' >other.c
    gcc -shared -nostdlib -o other.so other.c
    local other=$PWD/other.so
    while read -r given left; do
        given=${given//OURS/$LIB} given=${given//OTHER/$other} left=${left//OTHER/$other}
        for way in execve vfork_execve execvpe syscall spawn execv; do
            given "$way" ./bin/date A=1 ${given:+"LD_PRELOAD=$given"} C=3 LD_PRELOADED=4 | grep -v '^PWD=\|^_=\|^OLDPWD=' >got
            printf '%s\n' A=1 ${left:+"LD_PRELOAD=$left"} C=3 LD_PRELOADED=4 'ended with 5, 0' | diff - got || fail "$way, $given"
        done
    done <<LIST

OURS
OURS:OTHER OTHER
OTHER:OURS:OTHER OTHER:OTHER
OURS:OURS
OTHER OTHER
LIST
    # From memory that can't be written (starts copies it there), twice, and a large one.
    given execve ./bin/date "LD_PRELOAD=$LIB" A=1 "LD_PRELOAD=$LIB" | grep -v '^PWD=\|^_=\|^OLDPWD=' | diff - <(echo A=1; echo 'ended with 5, 0')
    local many=()
    for ((i = 0; i < 3000; i++)); do many+=("NAME$i=value"); done
    for way in execve vfork_execve execv spawn syscall_at; do
        given "$way" ./bin/date "${many[@]}" "LD_PRELOAD=$LIB" >got
        [[ $(grep -c ^NAME got) -eq 3000 ]] || fail "$way"
        run ! grep ^LD_PRELOAD got
    done
    # shellcheck disable=SC2016
    shim dash -c 'env | sort >before; true; /bin/true; ./bin/date >/dev/null; env | sort >after' || true
    cmp before after
    grep -q ^LD_PRELOAD= after
}

@test "who overrules: URINGSHIM_LEAVE_OUT, URINGSHIM_ONLY, as the child is given them" {
    make_programs
    gets() { grep -qxF "LD_PRELOAD=$LIB" <(given execve ./bin/date "LD_PRELOAD=$LIB" "$@" 2>/dev/null); }
    gets URINGSHIM_LEAVE_OUT=0 || fail "0: left out"
    run ! gets URINGSHIM_LEAVE_OUT=1
    run ! gets URINGSHIM_LEAVE_OUT=
    gets 'URINGSHIM_ONLY=x:da*' || fail "named: left out"
    run ! gets 'URINGSHIM_ONLY=x:y*'
    run ! gets 'URINGSHIM_ONLY='
    run ! gets 'URINGSHIM_SKIP=date'
    run -0 --separate-stderr env LD_PRELOAD="$LIB" URINGSHIM_LEAVE_OUT=often sh -c :
    [[ $stderr == "uringshim: URINGSHIM_LEAVE_OUT=often is not one of 1,0; using the first" ]]
    # Bad values are nobody's harm.
    run ! gets "URINGSHIM_ONLY=$(printf 'x%.0s' {1..5000})"
}

@test "statistics, observing and not, compare and advise say how many, by whoever started them" {
    local loop='for i in 1 2 3 4 5 6 7; do /bin/true; done; (/bin/expr 1 + 1; env true) >/dev/null' mode
    for mode in on observe; do
        rm -f "$STATS"
        shim URINGSHIM=$mode dash -c "$loop"
        [[ $(stat_value left_out.true) -eq 8 && $(stat_value left_out.expr) -eq 1 ]] || fail "$mode: $(cat "$STATS")"
        run ! grep '"program":"true"' "$STATS"
    done
    rm -f "$STATS"
    shim URINGSHIM_LEAVE_OUT=0 dash -c "$loop"
    [[ $(stat_value left_out.true) -eq 0 && $(grep -c '"program":"true"' "$STATS") -eq 8 ]]
    # One whose exec fails after its report, and goes on.
    rm -f "$STATS"
    shim perl -e 'for (1 .. 3) { system { "/bin/true" } "true" } exec { "/bin/false/no" } "no"; exit 0' 2>/dev/null
    [[ $(stat_value left_out.true) -eq 3 ]] || fail "$(cat "$STATS")"
    run -0 --separate-stderr "$COMMAND" stat dash -c "$loop"
    grep -qE "^ +programs left out +9 +they can't gain" <<<"$stderr" || fail "$stderr"
    grep -qE '^ +true +8$' <<<"$stderr"
    run -0 --separate-stderr "$COMMAND" compare dash -c "$loop"
    grep -qE "^started without, can't gain +9$" <<<"$stderr" || fail "$stderr"
    run -0 --separate-stderr "$COMMAND" compare --json dash -c "$loop"
    grep -q '"left_out":9,' <<<"$stderr" || fail "$stderr"
    run -0 --separate-stderr "$COMMAND" compare perl -e 'print "x"'
    run ! grep 'started without' <<<"$stderr"
    run -0 --separate-stderr "$COMMAND" advise dash -c "$loop"
    grep -qx "9 programs were left out, for they can't gain (URINGSHIM_LEAVE_OUT): true 8 times, and others" <<<"$stderr" || fail "$stderr"
}

# Each with arguments that people give it; without a line here it isn't tried, and that is a failure.
arguments() {
    case $1 in
    '[') echo 'a = a ]' ;;
    basename | dirname | readlink | realpath) echo /usr/bin/env ;;
    expr) echo '3 * 4' ;;
    printenv) echo HOME ;;
    printf) echo '%s-%s\n one two' ;;
    sleep) echo 0.01 ;;
    stat) echo "-c %n-%s-%F $SCRATCH/file" ;;
    ls | cksum | md5sum | sha1sum | sha256sum | sha512sum | wc | cat) echo "$SCRATCH/file" ;;
    stty) echo -a ;;
    test) echo '-f file' ;;
    date) echo '-u -d @86400' ;;
    echo) echo 'one two' ;;
    chgrp | chown) echo "$(id -u) file" ;;
    chmod) echo '600 file' ;;
    cp | mv | ln | link) echo 'file other' ;;
    mkdir) echo directory ;;
    mkfifo) echo fifo ;;
    mknod) echo 'pipe p' ;;
    mktemp) echo '-q no/such/XXXXXX' ;; # else a name of its own choice
    rm | unlink) echo file ;;
    rmdir) echo empty ;;
    touch) echo '-d @86400 new' ;;
    truncate) echo '-s 100 file' ;;
    kill) echo '-l 9' ;;
    tput) echo 'cols' ;;
    arch | false | groups | hostid | hostname | id | logname | nproc | pwd | sync | true | tty | uname | whoami | clear) echo ;;
    *) return 1 ;;
    esac
}

@test "each of the table does the same, makes no small calls that would gain, and starts no program" {
    local name words path
    while read -r name; do
        words=$(arguments "$name") || fail "no arguments for $name"
        path=$(type -P "$name") || continue
        set -f
        # shellcheck disable=SC2086
        set -- $words
        set +f
        prepare() {
            rm -rf dir && mkdir -p dir/empty && cd dir && head -c 300000 /dev/zero | tr '\0' 'x' >file && cp file "$SCRATCH/file"
        }
        once() (prepare && "$@" && find . -printf '%P %y %m %s\n' | sort)
        record native once dash -c "\"\$0\" \"\$@\" </dev/null" "$path" "$@"
        same_as_recorded once shim URINGSHIM_LEAVE_OUT=1 dash -c "\"\$0\" \"\$@\" </dev/null" "$path" "$@" || fail "$name $words: differs"
        (prepare && strace -f -qq -o ../calls -e trace=execve,execveat,read,write,pread64,pwrite64,readv,writev "$path" "$@" </dev/null >/dev/null 2>&1 || true)
        (($(grep -c ' execve' calls) == 1)) || fail "$name starts another program: $(grep execve calls)"
        # Beyond what the loader and the locale read.
        (($(grep -cE ' p?(read|write)(v|64)?\(.* = ([1-9]|[1-9][0-9]{1,2}|[1-3][0-9]{3})$' calls) < 24)) || fail "$name makes small calls: $(cat calls)"
    done < <(sed -n 's/^ONE_SHOT("\(.*\)")$/\1/p' "$ROOT/shim/base/one_shots.def")
}

# No more than looking at the environment and at the name takes: without reading the file, as for any other program.
@test "a thousand of them from a shell cost next to nothing" {
    local native shimmed
    # shellcheck disable=SC2016
    local loop='i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i + 1)); done'
    native=$(strace -f -c -o /dev/stdout dash -c "$loop" | awk '$NF == "total" { print $4 }')
    shimmed=$(strace -f -c -o /dev/stdout -E LD_PRELOAD="$LIB" dash -c "$loop" | awk '$NF == "total" { print $4 }')
    ((shimmed < native + 15 + 100 * 8)) || fail "$native natively, $shimmed shimmed"
}
