# shellcheck shell=bash disable=SC2154 # what scripts/bench sets
# The part of scripts/bench that measures servers: requests of many connections, each of which waits for its answer. Sourced
# there; needs measure.bash.

# Those that are measured, natively and else; `hand`, `shots` and `checks` are servers written for io_uring.
server_tools() {
    requests=$(tool requests) && empty=$(empty_library) || exit
    make -s -C "$root" build/victims/echo_server || die "cannot build echo_server"
    by_hand=$root/build/bench/echo_uring
    mkdir -p "$root/build/bench"
    "${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O2 -o "$by_hand" "$root/tests/bench/echo_uring.c" -luring -pthread 2>"$work/said" || by_hand=
}

# Is somebody listening at the port?
listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>"$work/said"
}

free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)) && listens "$port"; do # below those that clients are given
        :
    done
    echo "$port"
}

# server_start VARIANT SERVER [WRAPPER…]: starts it, and sets server, the process to be ended, and at, where it listens.
server_start() {
    local variant=$1 name=$2 try variables=() wrapper=("${@:3}")
    case $variant in
    empty) variables=("LD_PRELOAD=$empty") ;;
    shimmed) variables=("LD_PRELOAD=$library") ;;
    esac
    at=$(free_port)
    [[ ! $name =~ ^(echo|blocking) ]] || at=0 # it says where
    [[ $name != *unix* ]] || at=$work/socket
    rm -f "$work/socket" "$work/where"
    case $variant:$name in
    hand:blocking*) server_command=("$by_hand" linked "$at") ;;
    checks:blocking*) server_command=("$by_hand" checked "$at") ;;
    *:blocking*) server_command=("$by_hand" threads "$at") ;;
    hand:*) server_command=("$by_hand" turns "$at") ;;
    shots:*) server_command=("$by_hand" multishot "$at") ;;
    *:echo*) server_command=("$root/build/victims/echo_server" epoll "$at") ;;
    *:memcached*) server_command=(memcached -u root -l 127.0.0.1 -p "$at" -U 0 -t "${name#* }") ;;
    *:redis*) server_command=(redis-server --port "$at" --save '' --dir "$work") ;;
    *:nginx*) server_command=(nginx -p "$work" -e "$work/said" -c "$work/nginx.conf" -g "pid $work/pid;") && nginx_files ;;
    *:node*) server_command=(node -e "require('http').createServer((q, a) => a.end('hello')).listen($at, '127.0.0.1')") ;;
    esac
    (cd "$work" && exec "${wrapper[@]}" env "${variables[@]}" "${server_command[@]}") >"$work/where" 2>&1 &
    server=$!
    for ((try = 0; try < 500; try++)); do
        [ ! -s "$work/where" ] || [[ ! $name =~ ^(echo|blocking) ]] || { at=$(<"$work/where") && return 0; }
        [[ $name =~ ^(echo|blocking) ]] || ! listens "$at" || return 0
        sleep 0.02
    done
    tail -n 3 "$work/where" >&2
    die "$variant $name doesn't listen at $at"
}

nginx_files() {
    head -c 600 /dev/zero | tr '\0' 'x' >"$work/index.html"
    cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; error_log $work/said;
events { use epoll; }
http { access_log off; keepalive_requests 1000000;
    server { listen 127.0.0.1:$at; root $work; location / { open_file_cache max=10; } } }
CONF
}

# Ends what was started, and its children.
server_end() {
    pkill -TERM -P "$server" || true
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}

# server_run VARIANT SERVER CONNECTIONS REQUESTS [TEXT]: prints nanoseconds a request, microseconds of the median and of the
# 99th percentile, and nanoseconds of the server's processor time a request.
server_run() {
    local variant=$1 name=$2 connections=$3 count=$4 text=("${@:5}")
    server_start "$variant" "$name"
    "$requests" "$server" "$at" "$connections" $((count / 10 + 1)) "${text[@]}" >/dev/null || die "$variant $name doesn't answer"
    "$requests" "$server" "$at" "$connections" "$count" "${text[@]}" || die "$variant $name doesn't answer"
    server_end
}

# server_calls VARIANT SERVER CONNECTIONS [TEXT]: system calls a request, where strace makes each one dear.
server_calls() {
    local variant=$1 name=$2 connections=$3 text=("${@:4}") calls=() count
    for count in $((10000 / connections)) $((30000 / connections)); do
        server_start "$variant" "$name" strace -f -qq -c -o "$work/calls"
        "$requests" $$ "$at" "$connections" "$count" "${text[@]}" >/dev/null || die "$variant $name doesn't answer"
        server_end
        calls+=("$(traced_calls "$work/calls" | awk '{ print $3 }')")
    done
    awk -v a="${calls[0]}" -v b="${calls[1]}" -v n=20000 'BEGIN { printf "%.2f\n", (b - a) / n }'
}

# server_row NAME SERVER CONNECTIONS REQUESTS [TEXT]
server_row() {
    local title=$1 name=$2 connections=$3 count=$(($4 / less)) text=("${@:5}") variant round figures i
    local -A wall=() middle=() late=() cpu=()
    local variants=(native empty shimmed)
    if [[ $name == blocking* && -z $by_hand ]] || { [[ ! $name =~ ^(echo|blocking) ]] && ! command -v "${name%% *}" >/dev/null; }; then
        printf '%-36s skipped, there is none\n' "$title"
        return
    fi
    [[ $name != echo* || -z $by_hand ]] || variants+=(hand shots)
    [[ $name != blocking* ]] || variants+=(hand checks)
    for ((round = 0; round < rounds; round++)); do
        for ((i = 0; i < ${#variants[@]}; i++)); do
            variant=${variants[$(((i + round) % ${#variants[@]}))]}
            read -r -a figures < <(server_run "$variant" "$name" "$connections" "$count" "${text[@]}")
            wall[$variant]+=" ${figures[0]}" middle[$variant]+=" ${figures[1]}"
            late[$variant]+=" ${figures[2]}" cpu[$variant]+=" ${figures[3]}"
        done
    done
    printf '%-36s %6s %6s' "$title" "$(server_calls native "$name" "$connections" "${text[@]}")" \
        "$(server_calls shimmed "$name" "$connections" "${text[@]}")"
    for variant in "${variants[@]}"; do
        # shellcheck disable=SC2086 # lists of numbers
        printf ' | %-8s %7.0f %5s %5s %5s' "$variant" "$(median ${cpu[$variant]})" \
            "$(quartiles "${cpu[$variant]}" "${cpu[native]}" | awk '{ printf "%.2f", $1 }')" \
            "$(quartiles "${middle[$variant]}" "${middle[native]}" | awk '{ printf "%.2f", $1 }')" \
            "$(quartiles "${late[$variant]}" "${late[native]}" | awk '{ printf "%.2f", $1 }')"
    done
    echo
}

# Server and clients share the processors.
servers() {
    printf '\nServers (with URINGSHIM_TURNS=1 turns are tried where calls are cheap, too): system calls a request under strace,\n'
    printf "natively and shimmed; and for each variant the server's processor time a request, ns, and, as ratios to native, of that,\n"
    printf 'of the median latency, and of the 99th percentile\n'
    server_row 'echo, TCP, 50 connections' 'echo' 50 2000
    server_row 'echo, AF_UNIX, 50 connections' 'echo unix' 50 2000
    server_row 'echo, TCP, 1 connection' 'echo' 1 50000
    server_row 'a thread a connection, TCP, 50' 'blocking' 50 2000
    server_row 'a thread a connection, TCP, 1' 'blocking' 1 50000
    server_row 'memcached -t 1, get, 50 connections' 'memcached 1' 50 2000 'gets k\r\n'
    server_row 'memcached -t 2, get, 50 connections' 'memcached 2' 50 2000 'gets k\r\n'
    server_row 'redis, GET, 50 connections' 'redis-server' 50 1000 'GET k\r\n'
    server_row 'nginx, a small file, 64 connections' 'nginx' 64 1000 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    server_row 'node, http, 50 connections' 'node' 50 400 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
}
