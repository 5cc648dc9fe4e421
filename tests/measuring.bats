#!/usr/bin/env bats
# The scripts that measure: that each makes the rows that it is for. What the figures are is no matter of a test.

# $stderr is bats's.
# shellcheck disable=SC2154

bats_require_minimum_version 1.5.0
load lib/common

# On this disk, and with the library that was built: the scripts know no other.
measure() { # SCRIPT [ARGUMENT]…
    need_command strace
    need_command findmnt
    [ -f "$ROOT/build/liburingshim.so" ] || skip "the scripts measure build/liburingshim.so alone"
    TMPDIR=$SCRATCH run -0 --separate-stderr "${PATIENTLY[@]}" "$ROOT/scripts/$1" "${@:2}"
}

@test "bench has rows of streams, with figures of every variant, and the calls of the writer" {
    measure bench -n 1 -d 200 -o results streams
    local name seen=0
    for name in '64 B, pipe, to cat' '512 B, pipe, to cat' '4096 B, pipe, to cat' '64 B, unix socket' '64 B, TCP, loopback'; do
        grep -qE "^$name +([0-9.]+ +){6}[0-9.]+ \\([0-9.]+ to [0-9.]+\\) +[0-9.]+\$" <<<"$output" || fail "no row of $name"
        # 1,310 to 163 records: strace counts 500 to 50 of them, and natively each is a call.
        grep -F "\"name\":\"$name\"" results | grep -q '"limit":"64-KiB","limit_ratio":[0-9.]*.*"calls_native":[0-9]*,"calls_shimmed":[0-9]*}'
    done
    [ "$(grep -cE "the writer's writes +[0-9]+ -> [0-9]+, all" <<<"$output")" -ge 5 ]
    grep -E "the writer's writes" <<<"$output" | while read -r _ _ _ made _ _ _ _ _ _ records _; do
        [ "$made" -ge "${records#(}" ]
    done
    for name in 'pipes, 1 thread' 'pipes, 8 threads' 'unix socket, 1 thread' 'unix sockets, 8 threads'; do
        grep -qE "^$name +([0-9.]+ +){3}- +- +" <<<"$output" || fail "no row of $name"
        seen=$((seen + $(grep -F "\"name\":\"$name\"" results | grep -cF '"ratio":')))
    done
    [ "$seen" -eq 8 ] # each with its latency
    [ "$(grep -c '^  latency, 99th percentile' <<<"$output")" -eq 4 ]
    # Reads: strace counts all that were started, of which the reader natively makes a call for each.
    for name in '1 B' '64 B' '512 B'; do
        grep -qE "^$name +([0-9.]+ +){3}- +([0-9.]+ +){2}[0-9.]+ \\([0-9.]+ to [0-9.]+\\) +[0-9.]+\$" <<<"$output" || fail "no row of $name"
        grep -F '"group":"Small reads of a pipe"' results | grep -qF "\"name\":\"$name\""
    done
    [ "$(grep -cE '^  all reads +[0-9]+ -> [0-9]+, all calls [0-9]+ -> [0-9]+ \([0-9]+ reads\)$' <<<"$output")" -eq 3 ]
    grep -E '^  all reads' <<<"$output" | while read -r _ _ made _ _ _ _ _ _ _ records _; do
        [ "$made" -ge "${records#(}" ]
    done
    grep -qE '^wc -c +[0-9.]+ ' <<<"$output"
    local shell
    for shell in bash dash; do
        for name in 'into a file' 'into wc -l' 'a child reads, too'; do
            grep -qE "^$shell, $name +([0-9.]+ +){3}" <<<"$output" || grep -q "^$shell, $name +skipped" <<<"$output" || fail "no row of $shell, $name"
        done
    done
    # The results are what the chart is drawn from.
    run -0 "$ROOT/scripts/bench-chart" results
    [ "$(grep -oF '64 B, pipe, to cat' <<<"$output" | wc -l)" -eq 2 ] # wall, and CPU
}

@test "the chart's axis is as long as what was measured" {
    result_line() { # NAME RATIO LIMIT
        printf '{"group":"a group","name":"%s","ratio":%s,"ratio_low":%s,"ratio_high":%s,"limit_ratio":%s}\n' \
            "$1" "$2" "$2" "$2" "$3"
    }
    # end NAME CHART: where the bar after a name ends.
    end() {
        sed -nE "/>$1</{n; s/.* x=\"([0-9.]+)\" .* width=\"([0-9.]+)\".*/\\1 \\2/p}" "$2" | awk '{ print $1 + $2 }'
    }
    { echo '{"machine":"none","rounds":1}' && result_line few 2 4; } >small
    { cat small && result_line many 40 60 && result_line more 90 200 && result_line worse 0.2 1; } >large
    "$ROOT/scripts/bench-chart" small >small.svg
    "$ROOT/scripts/bench-chart" large >large.svg
    # Each in its place, in front of the right margin; what is slower goes the other way.
    awk -v few="$(end few large.svg)" -v many="$(end many large.svg)" -v more="$(end more large.svg)" \
        -v wide="$(end few small.svg)" -v one="$(end worse large.svg)" \
        'BEGIN { exit !(one < few && few < many && many < more && more < 620 && few < wide && wide < 620) }'
    grep -q '>256</text>' large.svg
    run ! grep -q '>256</text>' small.svg
    grep -oE '<path d="M[0-9.]+' large.svg | tr -dc '0-9.\n' | awk '$1 > 620 { exit 1 }'
}

@test "bench-programs has a row of each pipeline, or says why not" {
    measure bench-programs -q -e -n 1 -l 300 streams steady
    local name programs=0 cells
    for name in pipe-{python,perl,mawk,gawk,stdbuf,grep,sed,mawk-sort,tee,cat,gzip,tar} rsync-shell git-clone \
        git-clone-pipes make-jobserver ssh-true proxy; do
        if cells=$(grep -F "| $name |" <<<"$output"); then
            programs=$((programs + 1))
            [ "$(tr -dc '|' <<<"$cells" | wc -c)" -eq 20 ] || fail "$cells"
        else
            grep -q "^$name: skipped: " <<<"$stderr" || fail "nothing of $name"
        fi
    done
    [ "$programs" -ge 7 ]
    # Natively those that write line by line make a call for each.
    for name in pipe-{python,perl,mawk,gawk,stdbuf,grep,sed}; do
        cells=$(grep -F "| $name |" <<<"$output") || continue
        [ "$(cut -d '|' -f 3 <<<"$cells")" -ge 300 ] || fail "$cells"
    done
    [ "$(head -n 3 <<<"$output" | tail -n 1 | tr -dc '|' | wc -c)" -eq 20 ]
}

@test "a program that a machine doesn't have is skipped aloud, and the others go on" {
    local directory
    mkdir bin
    for directory in ${PATH//:/ }; do
        cp -sn "$directory"/* bin/ 2>/dev/null || true
    done
    rm -f bin/mawk
    PATH=$SCRATCH/bin measure bench-programs -n 1 -l 300 pipe-mawk pipe-perl
    [[ $stderr == *"pipe-mawk: skipped: needs mawk"* ]]
    [[ $output == *"| pipe-perl |"* && $output != *"| pipe-mawk |"* ]]
}

@test "the demo shows pipelines beside files, with their scatter" {
    measure demo -n 1 -l 300 pipe-python pipe-mawk-sort
    [[ $output == *"the difference is less than the scatter"* ]]
    need_command mawk
    [ "$(grep -cE ' \| .* [0-9.]+ \([0-9.]+ to [0-9.]+\)$' <<<"$output")" -eq 2 ]
}
