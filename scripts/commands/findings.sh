# shellcheck shell=sh
# What check and doctor print: one line for each finding and, where it isn't ok, what it means and how it is changed.
# Sourced by them.

found() { # ok|warn|no WHAT
    printf '%s\n' "$2" | fold -s -w 75 | sed "1s/^/$(printf '%-5s' "$1")/; 1!s/^/     /; s/ *$//"
}

means() { # SENTENCES
    printf '%s\n' "$1" | fold -s -w 75 | sed 's/^/     /; s/ *$//'
}

change() { # COMMAND [REMARK]
    printf '     change: %s\n' "$1"
    [ $# -eq 1 ] || means "$2"
}

# Reasons for a verdict, each once.
joined() { # REASONS REASON
    case "; $1;" in
    *"; $2;"*) printf '%s' "$1" ;;
    *) printf '%s' "${1:+$1; }$2" ;;
    esac
}
