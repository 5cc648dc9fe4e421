# shellcheck shell=sh
# uringshim advise: what the library would do for CMD, and what stands in the way (shim/entry/life/survey.h). Sourced by
# uringshim, whose variables and functions it uses.
# shellcheck disable=SC2154

command_main() { # [--] CMD…
    # shellcheck source=scripts/commands/reporting.sh
    . "$shim_commands/reporting.sh"
    make_temp
    : >"$shim_temp/survey"
    export URINGSHIM=observe
    # By it the library finds the place of a call; where the loader can't find it, no place is known.
    [ -n "$(LD_PRELOAD=libgcc_s.so.1 env true 2>&1)" ] || shim_preload=$shim_preload:libgcc_s.so.1
    run_reporting advice "URINGSHIM_SURVEY=$shim_temp/survey" "$@"
}

# One row for each place in the code and file, of all processes of a program, or for each place if it has many files;
# the most worthwhile first.
advice() {
    if [ ! -s "$shim_temp/survey" ]; then
        printf 'uringshim advise: %s\n' "$(why_no_report)"
        return
    fi
    awk -F '\t' -v FEW=4 '
    function obstacle(key,   most, call, cutter) {
        if (against[key] != "")
            return "it would be " saved[key] " but for: " against[key]
        if (hindered[key] * 2 >= calls[key])
            return "stands against it: " reason[key]
        if (no_file[key] == calls[key])
            return "neither a file nor a pipe or stream socket"
        if (saved[key] * 2 >= calls[key])
            return ""
        if (large[key] * 2 >= calls[key])
            return "large calls: nothing to gain"
        if (slow[key] * 2 >= calls[key])
            return kind[key] == "read" ? "too little in it at a time" : "too far apart in time"
        for (cutter in cuts) {
            split(cutter, call, SUBSEP)
            if (call[1] == key && cuts[cutter] > most + 0) {
                most = cuts[cutter]
                worst = call[2]
            }
        }
        if (most * 4 >= calls[key] - saved[key])
            return worst " comes in between, " most " times"
        return calls[key] < 64 ? "too few" : "hardly any go on where the last ended"
    }
    function shorter(text, width) {
        return length(text) <= width ? text : "..." substr(text, length(text) - width + 4)
    }
    $1 == "process" {
        program = $3
        hindrance = ""
        processes++
    }
    $1 == "left-out" { left_out[$2] += $3; all_left_out += $3 }
    $1 == "turns" {
        turns += $2
        sockets += $3
        turn_calls += $4
        turn_saved += $5
    }
    $1 == "against" { hindrance = hindrance (hindrance == "" ? "" : ", ") $2 }
    function count(key) {
        if (!(key in calls)) {
            kind[key] = $1
            place[key] = program ", " $3
            against[key] = hindrance
            file[key] = $2
        }
        calls[key] += $4
        saved[key] += $6
        large[key] += $7
        slow[key] += $8
        no_file[key] += $9
        if ($10 != "-")
            cuts[key, $10] += $11
        if ($12 != "-") {
            hindered[key] += $13
            reason[key] = $12
        }
    }
    $1 == "write" || $1 == "read" {
        whole = program " " $1 " " $3 " " hindrance
        part = whole " " $2
        if (!(part in calls)) {
            files[whole]++
            parts[part] = whole
        }
        count(whole)
        count(part)
        all += $4
        gone += hindrance == "" ? $6 : 0
    }
    END {
        printf "uringshim advise: %d of %d reads and writes would go away%s, in %d process%s\n", \
            gone, all, all ? sprintf(" (%.0f%%)", 100 * gone / all) : "", processes, processes == 1 ? "" : "es"
        if (all_left_out) {
            most = ""
            for (name in left_out)
                if (most == "" || left_out[name] > left_out[most])
                    most = name
            printf "%d program%s left out, for they can\047t gain (URINGSHIM_LEAVE_OUT): %s %d times%s\n", \
                all_left_out, all_left_out == 1 ? " was" : "s were", most, left_out[most], \
                left_out[most] < all_left_out ? ", and others" : ""
        }
        if (turn_saved)
            printf "turns (URINGSHIM_TURNS=1): %.1f sockets each, %.1f of %.1f calls would go away\n", \
                sockets / turns, turn_saved / sockets, turn_calls / sockets
        if (!all)
            exit
        print ""
        printf "%10s %10s  %-5s  %s\n", "go away", "of", "", "file; place in the code; what stands in the way"
        fflush()
        sorted = "sort -t \"\t\" -k1,1nr -k2,2nr -k3 | head -n 20 | cut -f 4- | tr \"\t\" \"\n\""
        for (key in calls) {
            if (key in parts ? files[parts[key]] > FEW : files[key] <= FEW)
                continue
            left = against[key] == "" ? saved[key] : 0
            why = obstacle(key)
            printf "%d\t%d\t%s\t%10d %10d  %-5s  %s\t%30s%s%s\n", left, calls[key], key, left, calls[key], kind[key], \
                (files[key] > FEW ? files[key] " files" : shorter(file[key], 50)), "", shorter(place[key], 50), \
                (why == "" ? "" : sprintf("\t%30s%s", "", why)) | sorted
            rows++
        }
        close(sorted)
        if (rows > 20)
            printf "and %d more places\n", rows - 20
    }' "$shim_temp/survey"
}
