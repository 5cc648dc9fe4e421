# shellcheck shell=sh
# uringshim stat: runs CMD and then says what was saved. Sourced by uringshim, whose variables and functions it uses.
# shellcheck disable=SC2154

command_main() { # [--] CMD…
    # shellcheck source=scripts/commands/reporting.sh
    . "$shim_commands/reporting.sh"
    make_temp
    : >"$shim_temp/stats.json"
    run_reporting report "URINGSHIM_STATS=$shim_temp/stats.json" "$@"
}

# Adds up the flat JSON objects, one a process image, that the library left.
report() {
    if [ ! -s "$shim_temp/stats.json" ]; then
        printf 'uringshim stat: %s\n' "$(why_no_report)"
        return
    fi
    awk '
    function add(line,   pair, key) {
        while (match(line, /"([^"\\]|\\.)*": *("([^"\\]|\\.)*"|-?[0-9]+)/)) {
            pair = substr(line, RSTART, RLENGTH)
            line = substr(line, RSTART + RLENGTH)
            match(pair, /^"([^"\\]|\\.)*"/)
            key = substr(pair, 2, RLENGTH - 2)
            pair = substr(pair, RLENGTH + 1)
            sub(/^: */, "", pair)
            if (key == "pid")
                processes += !seen[pair]++
            else if (pair ~ /^"/)
                count(key, substr(pair, 2, length(pair) - 2))
            else
                sum[key] += pair
        }
    }
    function count(key, name) {
        if (times[key, name]++ == 0)
            words[key] = words[key] (words[key] == "" ? "" : ", ") name
    }
    function row(label, value, note) {
        printf "  %-26s %14.0f%s\n", label, value, note == "" ? "" : "  " note
    }
    # The members of a family, largest first.
    function family(prefix, indent,   key, best) {
        for (;;) {
            best = ""
            for (key in sum)
                if (index(key, prefix) == 1 && sum[key] > 0 && (best == "" || sum[key] > sum[best]))
                    best = key
            if (best == "")
                return
            row(indent substr(best, length(prefix) + 1), sum[best])
            delete sum[best]
        }
    }
    { add($0) }
    END {
        printf "uringshim stat: %d process%s (%s), engine %s\n", \
            processes, processes == 1 ? "" : "es", words["program"], words["engine"]
        native = sum["write.calls"]
        shimmed = sum["write.passed"] + sum["ring.enters"] + sum["direct.calls"]
        row("intercepted calls", sum["calls"])
        row("write calls", native)
        row("  deferred", sum["write.deferred"])
        row("    bytes", sum["deferred.bytes"])
        row("    extents", sum["deferred.extents"])
        row("    to pipes and sockets", sum["stream.deferred"])
        row("      bytes", sum["stream.deferred_bytes"])
        row("      written in pieces", sum["stream.pieces"])
        row("      waits for room", sum["stream.waits"])
        row("  passed through", sum["write.passed"])
        family("passed.", "    ")
        flushes = sum["flush.full"] + sum["flush.barrier"] + sum["flush.delay"] + sum["flush.fsync"] + sum["flush.exit"]
        row("flushes", flushes)
        row("  buffer full", sum["flush.full"])
        row("  barrier", sum["flush.barrier"])
        family("barrier.", "    ")
        row("  delay bound", sum["flush.delay"])
        row("  fsync", sum["flush.fsync"])
        row("  exit", sum["flush.exit"])
        row("rings", sum["ring.created"])
        row("  enters", sum["ring.enters"])
        row("  writes", sum["ring.writes"])
        row("  fsyncs", sum["ring.fsyncs"])
        row("  reads", sum["ring.reads"])
        row("  polling thread, CPU us", sum["polling.cpu_us"])
        row("direct write calls", sum["direct.calls"])
        row("reads from windows", sum["read.served"])
        row("  bytes", sum["read.bytes"])
        row("  seeks", sum["lseek.served"])
        row("reads from peeks", sum["peek.served"])
        row("  bytes", sum["peek.bytes"])
        row("peeks at streams", sum["peek.filled"])
        row("  settled", sum["peek.settled"])
        row("turns", sum["turn.begun"])
        row("  reads", sum["turn.served"])
        row("  writes", sum["turn.deferred"])
        row("windows", sum["window.filled"])
        row("  bytes", sum["window.bytes"])
        row("  half used or more", sum["window.used"])
        row("  for fewer than 4 reads", sum["window.wasted"])
        row("  left for another place", sum["window.elsewhere"])
        row("  file written", sum["window.write"])
        row("  too old", sum["window.old"])
        row("  ended by an input", sum["window.input"])
        family("input.", "    ")
        print "  fallbacks"
        family("fallback.", "  ")
        for (key in sum)
            if (index(key, "left_out.") == 1)
                left += sum[key]
        if (left) {
            row("programs left out", left, "they can\047t gain (URINGSHIM_LEAVE_OUT)")
            family("left_out.", "  ")
        }
        if (sum["late.errors"])
            row("late storage errors", sum["late.errors"])
        printf "  write system calls: %.0f without uringshim, %.0f with it%s\n", \
            native, shimmed, native ? sprintf(" (%.1f%%)", 100 * shimmed / native) : ""
    }' "$shim_temp/stats.json"
}
