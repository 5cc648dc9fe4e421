# shellcheck shell=sh
# uringshim check: can this program be shimmed? Sourced by uringshim, whose variables and functions it uses.
# shellcheck disable=SC2154

command_main() { # PROGRAM
    # shellcheck source=scripts/commands/findings.sh
    . "$shim_commands/findings.sh"
    case ${1-} in
    --) shift ;;
    -*) unknown_option "$1" ;;
    esac
    [ $# -le 1 ] || fail 125 "check looks at one program, not at its arguments: $*"
    check_command "$@"
    find_path "$1" || fail 127 "$1: the shell's own, no program"
    shim_why=
    examine "$shim_path" 0
    echo
    if [ -n "$shim_why" ]; then
        printf '%s cannot be shimmed: %s.\n' "$1" "$shim_why"
        exit 1
    fi
    printf '%s can be shimmed.\n' "$1"
}

cannot() { # WHAT IT IS
    found no "$1"
    shim_why=$(joined "$shim_why" "$1")
}

examine() { # FILE, SCRIPTS SO FAR
    [ -r "$1" ] || fail 126 "$1: cannot be read"
    IFS= read -r shim_line <"$1"
    case $shim_line in
    '#!'*) examine_script "$1" "$2" ;;
    *) examine_program "$1" ;;
    esac
}

# The kernel follows a handful of scripts (fs/exec.c, exec_binprm).
examine_script() { # FILE, SCRIPTS SO FAR
    read_interpreter "$shim_line"
    [ "$2" -lt 5 ] || fail 126 "$1: too many scripts started by scripts"
    find_path "$shim_interpreter" || fail 126 "$1: there is no $shim_interpreter to run it"
    if [ "$shim_starter" = "$shim_interpreter" ]; then
        found ok "$1 is a script, run by $shim_path"
    else
        found ok "$1 is a script, run by $shim_starter, which starts $shim_path"
    fi
    examine "$shim_path" $(($2 + 1))
}

examine_program() { # FILE
    read_elf "$1" || exit 125
    if says no_program; then
        cannot "neither a program nor a script with #!"
        return
    fi
    if says foreign; then
        cannot "of 32 bits, or for another processor"
        means "The library is not of its kind."
        return
    fi
    found ok "$1 is a program of this machine's kind"
    examine_loader
    examine_first "$1"
    examine_rights "$1"
    examine_calls "$1"
}

says() { # WORD: the beginning of one of the lines about the file
    printf '%s\n' "$shim_elf" | grep -q "^$1"
}

examine_loader() {
    shim_loader=$(printf '%s\n' "$shim_elf" | sed -n 's/^interpreter //p')
    case $shim_loader in
    '')
        cannot "statically linked"
        means "Nothing can be preloaded into it."
        ;;
    */ld-linux* | */ld64.so*) found ok "dynamically linked, with glibc" ;;
    */ld-musl*)
        cannot "uses musl, not glibc"
        means "The library is made for glibc, and musl's loader can't load it."
        ;;
    *) cannot "uses a loader that isn't glibc's: $shim_loader" ;;
    esac
}

# A runtime that must be the first library: the library starts the program once more, without itself.
examine_first() { # FILE
    shim_first=$(printf '%s\n' "$shim_elf" | sed -n 's/^first //p' | head -n 1)
    case ":${LD_PRELOAD-}:" in
    *"${shim_first:+${shim_first%%.so*}}"*) ;; # none, or there already
    *)
        cannot "linked with $shim_first, which must be the first library"
        means "It runs as without the library. To have both: LD_PRELOAD=$shim_first:$shim_library $1"
        ;;
    esac
}

examine_rights() { # FILE
    find_set_id "$1"
    if [ -n "$shim_set_id" ]; then
        cannot "$shim_set_id"
        means "The loader preloads nothing into programs with the rights of others."
    fi
    if says capabilities; then
        if [ "$(id -u)" -eq 0 ]; then
            found warn "file capabilities"
            means "It can be shimmed by root alone: others would get more rights by it, and then the loader preloads \
nothing."
        else
            cannot "has file capabilities"
            means "The loader preloads nothing into programs with the rights of others."
        fi
    elif [ -z "$shim_set_id" ]; then
        found ok "not set-user-ID, not set-group-ID, no file capabilities"
    fi
}

# What it, and the libraries that it is linked with, call past libc.
examine_calls() { # FILE
    shim_libraries=
    case $shim_loader in
    */ld-linux* | */ld64.so*) shim_libraries=$("$shim_loader" --list "$1" 2>/dev/null) ;;
    esac
    examine_version "$1"
    case $shim_libraries in
    *liburing.so*)
        cannot "links liburing"
        means "The library leaves it alone: what it does by a ring of its own can't be put in order with what the \
library does."
        return
        ;;
    *libaio.so*)
        found warn "links libaio"
        means "From the moment in which it begins to use that (io_setup), the library leaves it alone."
        ;;
    esac
    if says go; then
        cannot "made by Go"
        means "Go programs make their system calls themselves, past libc: the library would not see them, and defers \
nothing."
    elif [ -n "$shim_loader" ]; then
        examine_own_calls "$1"
    fi
    if says io_uring; then
        found warn "io_uring is named in it"
        means "If it makes rings of its own, without liburing's shared library, don't shim it where it uses them: what \
it does by them can't be put in order with what the library does."
    elif ! says go; then
        found ok "no io_uring of its own, as far as names tell"
    fi
}

# Code that goes past libc, in the program and in the libraries that it is linked with (shim/code/calls.h).
examine_own_calls() { # FILE
    shim_callers=
    for shim_file in "$1" $(printf '%s\n' "$shim_libraries" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p'); do
        case ${shim_file##*/} in
        libc.so.* | libpthread.so.* | librt.so.* | ld-linux* | ld64.so.*) continue ;;
        esac
        if "${shim_library%/*}/uringshim-elf" "$shim_file" 2>/dev/null | grep -Eq '^(call|go)'; then
            shim_callers=$(joined "$shim_callers" "$shim_file")
        fi
    done
    if [ -z "$shim_callers" ]; then
        found ok "no code in it makes system calls past libc"
        return
    fi
    cannot "makes system calls itself"
    means "$shim_callers: what is called past libc the library doesn't see, so it defers nothing. \
URINGSHIM_OWN_CALLS=ignore is for those who know that these calls touch no file that the program writes."
}

# The newest functions of libc that it, and its libraries, are linked with.
examine_version() { # FILE
    shim_newer=$(
        {
            printf '%s\n' "$1"
            printf '%s\n' "$shim_libraries" | sed -n 's/.*=> \(.*\) (0x.*/\1/p'
        } | while IFS= read -r shim_file; do
            "${shim_library%/*}/uringshim-elf" "$shim_file" | sed -n 's/^newer_libc GLIBC_//p'
        done | sort -u | paste -s -d ' ' -
    )
    [ -n "$shim_newer" ] || return 0
    cannot "uses functions of glibc $shim_newer"
    means "They came later than all that the library knows, so it leaves the program alone."
}
