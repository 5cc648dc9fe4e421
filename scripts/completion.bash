# shellcheck shell=bash
# Completion of uringshim in bash. Installed under the command's name, where bash-completion looks for it.

# The processes that top can show.
_uringshim_live() {
    local file
    while read -r file; do
        file=${file%/environ}
        echo "${file##*/}"
    done < <(grep -lsz '^URINGSHIM_LIVE=1$' /proc/[0-9]*/environ)
}

# The command that begins at word $1: its name, and what its own completion knows of it.
_uringshim_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}

_uringshim() {
    local word=${COMP_WORDS[COMP_CWORD]} subcommand='' at=1 options='' words=''
    COMPREPLY=()
    case $((COMP_CWORD > 1)),${COMP_WORDS[1]} in
    1,stat | 1,compare | 1,advise | 1,top | 1,check | 1,doctor) subcommand=${COMP_WORDS[at++]} ;;
    esac
    case $subcommand in
    '') options='--help --version --' words='stat compare advise top check doctor' ;;
    stat | advise) options=-- ;;
    compare) options='--json --runs --output --' ;;
    top) options='-n -d' ;;
    esac
    while ((at < COMP_CWORD)) && [[ ${COMP_WORDS[at]} == -* ]]; do
        case ${COMP_WORDS[at++]} in
        --runs | --output | -n | -d) ((at++)) ;;
        --) options='' words='' && break ;;
        esac
    done

    if ((at == COMP_CWORD)) && [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    ((at <= COMP_CWORD)) || return 0 # an option's argument
    case $subcommand in
    doctor) return ;;
    top) words=$(_uringshim_live) ;;
    check) words=$(compgen -c -- "$word") ;;
    *) _uringshim_command "$at" ;;
    esac
    ((at < COMP_CWORD)) || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o bashdefault -o default -F _uringshim uringshim
