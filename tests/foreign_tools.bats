#!/usr/bin/env bats
# never in the way, of other people's tools: programs built with sanitizers, or for another libc, and valgrind.

# shellcheck disable=SC2154 # $output and $stderr are bats's

bats_require_minimum_version 1.5.0
load lib/common
load lib/compare

COMMAND=$ROOT/scripts/uringshim
WAYS=(execl execle execlp execv execve execvp execvpe execveat number_at fexecve syscall syscall_at
    vfork_execve vfork_execvp vfork_execv spawn spawnp spawn_acting system popen)

# sanitized COMPILER NAME [OPTION]…: builds a program with a sanitizer as ./busy.
sanitized() {
    "$1" -O1 -g -pthread -D_GNU_SOURCE "-fsanitize=$2" "${@:3}" -o busy "$ROOT/tests/victims/tools_busy.c" 2>errors ||
        skip "needs $1 with -fsanitize=$2"
}

# shimmed_alike [NAME=VALUE]…: ./busy does under the library what it did natively, turned off too. Runtimes make system
# calls themselves: by default nothing is deferred.
shimmed_alike() {
    local mode
    for mode in URINGSHIM_OWN_CALLS=strict URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring URINGSHIM=off; do
        same_as_recorded shim URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore "$mode" "$@" || fail "$mode" || return
    done
}

# with_runtime_inside COMPILER NAME [OPTION]…: a program whose runtime is in itself; the library takes part in it.
with_runtime_inside() {
    sanitized "$@"
    record native "$PWD/busy"
    grep -qx 'status 3' native.result || fail "natively: $(cat native.result)" || return
    rm -f "$STATS"
    shimmed_alike "$PWD/busy"
    assert_deferred
}

# with_runtime_first COMPILER NAME [OPTION]…: one that must be the first library. It runs as natively, and with the library if it is put before that.
with_runtime_first() {
    local runtime
    rm -f "$STATS"
    sanitized "$@"
    runtime=$(ldd busy | awk '$1 ~ /san/ { print $3; exit }')
    record native "$PWD/busy"
    grep -qx 'status 3' native.result || fail "natively: $(cat native.result)" || return
    shimmed_alike "$PWD/busy"
    same_as_recorded "$COMMAND" "$PWD/busy"
    [ ! -e "$STATS" ] || fail "it had the library" || return
    same_as_recorded env LD_PRELOAD="$runtime:$LIB" URINGSHIM_STATS="$STATS" URINGSHIM_TEST_EAGER=1 \
        URINGSHIM_OWN_CALLS=ignore "$PWD/busy"
    assert_deferred
    run -1 "$COMMAND" check ./busy
    [[ ${lines[-1]} == "./busy cannot be shimmed: linked with ${runtime##*/}, which must be the first library; makes system calls itself." ]]
}

@test "ThreadSanitizer of clang" {
    with_runtime_inside clang thread
}

@test "ThreadSanitizer of gcc" {
    with_runtime_first gcc thread
}

@test "AddressSanitizer of clang" {
    with_runtime_inside clang address
}

@test "AddressSanitizer of gcc, in the program or beside it" {
    with_runtime_inside gcc address -static-libasan
    with_runtime_first gcc address
    export ASAN_OPTIONS=detect_leaks=0 # in the shell that starts it
    export LD_PRELOAD
    LD_PRELOAD=$(ldd busy | awk '$1 ~ /san/ { print $3; exit }')
    rm -f "$STATS"
    URINGSHIM_STATS=$STATS URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore run -3 "$COMMAND" ./busy
    run -0 "$COMMAND" check ./busy
    assert_deferred
}

@test "AddressSanitizer of clang, as a library of its own" {
    local dir
    dir=$(dirname "$(clang -print-file-name=libclang_rt.asan-x86_64.so)")
    [[ $dir == /* ]] || skip "needs clang's runtime"
    with_runtime_first clang address -shared-libsan "-Wl,-rpath,$dir"
}

@test "MemorySanitizer, LeakSanitizer and UndefinedBehaviorSanitizer" {
    with_runtime_inside clang memory
    with_runtime_inside clang leak
    with_runtime_inside gcc leak
    with_runtime_inside clang undefined
    with_runtime_inside gcc undefined
}

@test "a program that is started once more has its name, its arguments and its descriptors" {
    cat >main.c <<'CODE'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char name[64] = "";
    FILE *comm = fopen("/proc/self/comm", "r");
    if (!comm || !fgets(name, sizeof name, comm) || fclose(comm) != 0)
        return 1;
    printf("%s %s %s %s %s", name, argv[0], argc > 1 ? argv[1] : "-", argc > 2 ? argv[2] : "-",
           getenv("LD_PRELOAD") ? getenv("LD_PRELOAD") : "-");
    return write(7, "seven", 5) != 5;
}
CODE
    gcc -fsanitize=address -o main main.c 2>errors || skip "needs gcc with -fsanitize=address"
    # shellcheck disable=SC2016 # for the shell
    local script='exec 7>seven; exec -a another "$0" "$@"'
    printf '#!%s/main optional\n' "$PWD" >script
    chmod +x script
    for program in "$PWD/main" "$PWD/script"; do
        record native bash -c "$script" "$program" one
        same_as_recorded shim bash -c "$script" "$program" one || fail "$program"
    done
    record native bash -c "$script" ../main one
    same_as_recorded shim bash -c "$script" ../main one

    cat >by_number.c <<'CODE'
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc;
    return fexecve(open(argv[1], O_RDONLY), argv + 1, environ);
}
CODE
    gcc -o by_number by_number.c
    for program in main script; do
        record native bash -c "$script" ../by_number "../$program" one
        same_as_recorded shim bash -c "$script" ../by_number "../$program" one || fail "$program by its number"
    done
}

# shown WAY PROGRAM [NAME=VALUE]…: natively and shimmed, from the same few variables.
shown() {
    env -i PATH="$PATH" B=2 "$VICTIMS/starts" "$@" >native 2>&1
    env -i PATH="$PATH" B=2 LD_PRELOAD="$LIB" "$VICTIMS/starts" "$@" >shimmed 2>&1
}

compile_shown() {
    skip_unless "needs musl-gcc" command -v musl-gcc
    musl-gcc -o musl "$ROOT/tests/victims/shown.c"
    cp "$VICTIMS/shown" glibc
    printf '#!%s/musl argument\n' "$PWD" >script
    printf '#! \t%s/script\n' "$PWD" >script_of_script
    printf '#!/usr/bin/env %s/musl\n' "$PWD" >script_of_env
    chmod +x script*
}

@test "what can't load the library is started without it, in every way" {
    local way program
    compile_shown
    for way in "${WAYS[@]}"; do
        for program in ./musl ./script; do
            shown "$way" "$program"
            diff native shimmed || fail "$way $program"
            grep -q '^ended with 5\|^B=2' native || fail "$way $program: $(cat native)"
        done
        shown "$way" ./glibc
        diff native <(grep -v ^LD_PRELOAD= shimmed) || fail "$way ./glibc"
        [ "$(grep -cFx "LD_PRELOAD=$LIB" shimmed)" -eq 1 ] || fail "$way ./glibc: $(cat shimmed)"
    done
    for program in ./script_of_script ./script_of_env; do
        shown execve "$program"
        diff native shimmed || fail "$program"
    done
}

@test "by PATH, and by a shell of another libc" {
    compile_shown
    mkdir -p empty/found bin # which is a directory there
    cp musl bin/found
    PATH=$PWD/empty:$PWD/bin:$PATH
    for way in execvp execvpe execlp spawnp vfork_execvp; do
        shown "$way" found
        diff native shimmed || fail "$way"
        grep -q '^ended with 5' native
    done
    (cd bin && env PATH=":$PATH" LD_PRELOAD="$LIB" "$VICTIMS/starts" execvp found) >shimmed
    grep -q '^ended with 5' shimmed
    run ! grep ^LD_PRELOAD= shimmed
    env -i PATH="$PATH" LD_PRELOAD="$LIB" bash -c found >shimmed || [ $? -eq 5 ]
    run ! grep ^LD_PRELOAD= shimmed
    env -i LD_PRELOAD="$LIB" PATH="$PATH" bash -c env | grep -Fx "LD_PRELOAD=$LIB"
    run -5 "$COMMAND" found
    [[ $output != *LD_PRELOAD=*uringshim* ]]
}

@test "our entry leaves LD_PRELOAD, and nothing else does" {
    local given left
    compile_shown
    echo 'int other;' >other.c
    gcc -shared -nostdlib -o other.so other.c # for any libc
    local other=$PWD/other.so
    cp "$LIB" renamed.so
    while read -r given left; do
        given=${given//_/ } left=${left//_/ }
        given=${given//OURS/$LIB} given=${given//OTHER/$other} left=${left//OTHER/$other}
        for way in execve vfork_execve execvpe fexecve syscall spawn execv; do
            env -i LD_PRELOAD="$LIB" "$VICTIMS/starts" "$way" ./musl A=1 "LD_PRELOAD=$given" C=3 LD_PRELOADED=4 >got 2>&1
            printf '%s\n' 'argument program' 'argument one' 'argument two words' A=1 ${left:+"LD_PRELOAD=$left"} C=3 \
                LD_PRELOADED=4 'ended with 5, 0' | diff - got || fail "$way, $given"
        done
    done <<LIST
OURS
OURS:OTHER OTHER
OTHER:OURS OTHER
OTHER:OURS:OTHER OTHER:OTHER
OURS:OURS
OURS_OTHER OTHER
OTHER_OURS OTHER
OTHER:OURS_OTHER:OURS OTHER:OTHER
liburingshim.so:OTHER OTHER
:OURS: :
OTHER::OURS OTHER:
OTHER OTHER
LIST
    env -i LD_PRELOAD="$LIB" "$VICTIMS/starts" execve ./musl "LD_PRELOAD=$LIB:$other" A=1 "LD_PRELOAD=$other:$LIB" >got
    [ "$(grep -cFx "LD_PRELOAD=$other" got)" -eq 2 ]
    for given in "LD_PRELOAD=$PWD/renamed.so" "LD_PRELOAD=$LIB URINGSHIM=off"; do
        # shellcheck disable=SC2086 # words
        env -i $given "$VICTIMS/starts" execv ./musl >got
        grep -q '^ended with 5' got || fail "$given: $(cat got)"
        run ! grep ^LD_PRELOAD got
    done
}

@test "a large environment" {
    local many=() way
    compile_shown
    for ((i = 0; i < 3000; i++)); do many+=("NAME$i=value"); done
    for way in execve vfork_execve execv spawn syscall_at; do
        "$VICTIMS/starts" "$way" ./musl "${many[@]}" >native
        shim "$VICTIMS/starts" "$way" ./musl "${many[@]}" "LD_PRELOAD=$LIB" >shimmed
        cmp native shimmed || fail "$way"
    done
    shim "$VICTIMS/starts" left ./musl "${many[@]}" "LD_PRELOAD=$LIB" | grep -E '^[a-z_]+: ' >shimmed
    "$VICTIMS/starts" left ./musl "${many[@]}" | grep -E '^[a-z_]+: ' >native
    cmp native shimmed
    [ "$(wc -l <native)" -eq 5 ]
}

@test "what the kernel refuses to start" {
    "$VICTIMS/starts" refused >native
    shim "$VICTIMS/starts" refused >shimmed
    diff native shimmed
    grep -q 'no end of a string: -1 EFAULT' native
}

@test "a program of 32 bits" {
    cat >main.s <<'CODE'
    .globl _start
_start: mov $1, %eax
    mov $5, %ebx
    int $0x80
CODE
    skip_unless "needs an assembler of 32 bits" as --32 -o main.o main.s
    ld -m elf_i386 -pie -dynamic-linker /lib/ld-linux.so.2 -o main main.o
    ./main 2>native || [ $? -eq 5 ] || skip "needs /lib/ld-linux.so.2"
    [ ! -s native ]
    shim "$VICTIMS/starts" spawn ./main >shimmed 2>&1
    [ "$(cat shimmed)" = 'ended with 5, 0' ]
    run -5 --separate-stderr "$COMMAND" ./main
    [ "$stderr" = "uringshim: ./main runs as without the library: it is of 32 bits, or for another processor" ]
}


@test "valgrind's tools find nothing in the library" {
    local tool options
    need_command valgrind
    record native "$VICTIMS/tools_busy" 100
    for tool in memcheck massif helgrind drd; do
        options=(-q "--tool=$tool" --error-exitcode=9 "--log-file=$PWD/log")
        [[ $tool != massif ]] || options+=(--massif-out-file=/dev/null)
        same_as_recorded shim valgrind "${options[@]}" "$VICTIMS/tools_busy" 100 || fail "$tool: $(cat log)"
    done
    # By default it keeps out of them, for valgrind shares memory with its own helper.
    for tool in helgrind drd; do
        rm -f "$STATS"
        same_as_recorded shim URINGSHIM_TEST_EAGER=1 URINGSHIM_SHARED_MEMORY=ignore URINGSHIM_OWN_CALLS=ignore valgrind -q "--tool=$tool" \
            --error-exitcode=9 "--log-file=$PWD/log" "$VICTIMS/tools_busy" 100 || fail "$tool: $(cat log)"
        assert_deferred
    done
}

@test "and what they find in the program natively" {
    need_command valgrind
    cat >main.c <<'CODE'
#include <pthread.h>
#include <unistd.h>
static long shared;
static void *add(void *unused) {
    for (int i = 0; i < 1000; i++)
        shared += write(1, "x", 0) + 1;
    return unused;
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, add, NULL);
    add(NULL);
    pthread_join(thread, NULL);
}
CODE
    gcc -g -pthread -o main main.c
    for tool in helgrind drd; do
        run -9 valgrind "--tool=$tool" --error-exitcode=9 ./main
        run -9 shim valgrind "--tool=$tool" --error-exitcode=9 ./main
        [[ $output == *main.c:6* ]]
        [[ $output != *uringshim* || $output == *"by 0x"*"main.c"* ]]
    done
}
