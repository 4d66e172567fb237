#!/bin/sh
# Readies a virtual environment:  scripts/setup.sh .venv       to use the project
#                                 scripts/setup.sh .venv dev   to test it as well
# Nothing is done where that is done already. Else it says what it does and how long that takes; what the
# installer prints goes into .venv.log, and a failure is told in one sentence with what helps.
# PYTHON names the interpreter; without it the first of the usual names that is new enough is taken.
set -u
venv=$1 extra=${2:-}
log=$venv.log lock=$venv.lock stamp=$venv/ready${extra:+-$extra}
here=$(pwd -P)
oldest=3.11
needed_mb=1700

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# What a Python says of itself in one line; nothing if it is none.
version_of() {
    "$1" -c 'import platform; print("Python", platform.python_version())' 2>/dev/null | grep '^Python [0-9]' | head -1
}

is_new_enough() {
    [ "$("$1" -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)" = True ]
}

# Whether this folder's environment is whole and not older than what it was made from: folders are moved,
# and Pythons go away with an upgrade.
is_ready() {
    [ "$(cat "$stamp" 2>/dev/null)" = "$here" ] || return 1
    for source in pyproject.toml constraints.txt; do
        [ "$stamp" -nt "$source" ] || return 1
    done
    "$venv/bin/python" -c 'import sys
from importlib.util import find_spec
sys.exit(not all(map(find_spec, ("tui", "engine", "mlx_lm", "textual", "typer", "matplotlib"))))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null || fail "There is no program $PYTHON: name a Python that is here, as in: make PYTHON=python3.12"
        [ -n "$(version_of "$PYTHON")" ] || fail "$PYTHON is no Python 3: name one, as in: make PYTHON=python3.12"
        is_new_enough "$PYTHON" || fail "$PYTHON is $(version_of "$PYTHON"), and $oldest or newer is needed: name another, as in: make PYTHON=python3.12"
        python=$PYTHON
        return
    fi
    found=
    for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
        command -v "$python" >/dev/null || continue
        is_new_enough "$python" && return
        found=${found:-$(version_of "$python")}
    done
    [ -n "$uv" ] && python=$("$uv" python find '>=3.11' 2>/dev/null) && return  # one of uv's own
    fail "Python $oldest or newer is needed${found:+, and only $found is here}: install it (macOS: brew install python; Debian and Ubuntu: apt-get install python3 python3-venv; with uv: uv python install), or name one with: make PYTHON=/path/to/python3"
}

require_space() {
    free_mb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
    [ "${free_mb:-$needed_mb}" -ge "$needed_mb" ] || fail "The disk of $here has $free_mb MB free, and $needed_mb MB are needed: free some space, then run make again."
}

require_folder() {
    [ ! -e "$venv" ] || [ -d "$venv" ] || fail "$here/$venv is in the way, where a folder of that name is needed: move it away, then run make again."
    (: >"$log") 2>/dev/null || fail "Cannot write to $here: check who owns the folder, and whether the disk is writable."
}

# One installation at a time: two would undo each other's work.
take_lock() {
    if ! mkdir "$lock" 2>/dev/null; then
        other=$(cat "$lock/pid" 2>/dev/null)
        if [ -z "$other" ] || kill -0 "$other" 2>/dev/null; then
            fail "Another make is installing here${other:+ (process $other)}: wait for it, or if there is none remove $here/$lock."
        fi
    fi
    echo $$ >"$lock/pid"
    trap 'rm -rf "$lock"' EXIT
    trap 'exit 130' INT TERM HUP
}

# Whether there is an environment that something can be installed into; one that was cut short is made anew.
has_environment() {
    [ -e "$venv/bin/python" ] && is_new_enough "$venv/bin/python" || return 1
    [ -n "$uv" ] || "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

make_environment() {
    if [ -n "$uv" ]; then
        "$uv" venv --allow-existing --python "$python" "$venv" >>"$log" 2>&1 || explain
    else
        "$python" -m venv --clear "$venv" >>"$log" 2>&1 || explain
    fi
}

install() {
    if [ -n "$uv" ]; then
        "$uv" pip install --python "$venv/bin/python" -c constraints.txt -e ".$extras" >>"$log" 2>&1 || explain
    else
        "$venv/bin/python" -m pip install --disable-pip-version-check -c constraints.txt -e ".$extras" >>"$log" 2>&1 || explain
    fi
}

says() {
    grep -qiE "$1" "$log"
}

# One sentence for what the log tells; the order goes from the cause to what follows from it.
explain() {
    if says 'no space left on device|errno 28|disk quota'; then
        fail "The disk is full: free about $needed_mb MB for $here and for temporary files, then run make again."
    elif says 'ensurepip is not|no module named .?(venv|ensurepip)|python3-venv'; then
        fail "This Python has no venv module: install it (Debian and Ubuntu: apt-get install python3-venv), or install uv, then run make again."
    elif says 'name resolution|failed to resolve|getaddrinfo|name or service not known|dns error|connection refused|failed to establish|network is unreachable|timed out|connecttimeout|error sending request|cannot connect to proxy|proxyerror|connection reset|remote end closed'; then
        fail "The package registry cannot be reached: check the network (and proxy or index settings of pip), then run make again; details are in $log."
    elif says 'certificate verify failed|invalid peer certificate'; then
        fail "The package registry's certificate is not trusted here: set SSL_CERT_FILE or pip's cert setting to your organisation's certificates, then run make again."
    elif says 'permission denied|read-only file system'; then
        fail "Cannot write to $here/$venv: check who owns the folder and whether the disk is writable; details are in $log."
    elif says 'failed building wheel|failed to build|error: command .*(gcc|g\+\+|cc|clang|cargo).* failed|can.?t find rust compiler|rust toolchain'; then
        fail "A package has no ready-made version for $(version_of "$python") on $(uname -sm) and cannot be built here: try another Python, as in: make PYTHON=python3.12; details are in $log."
    elif says 'no matching distribution|could not find a version|no solution found|resolutionimpossible|conflicting dependencies'; then
        fail "A package is not to be had for $(version_of "$python") on $(uname -sm): $(grep -iE 'no matching distribution|no solution found|because' "$log" | tail -1 | cut -c1-200). Try another Python, as in: make PYTHON=python3.12; details are in $log."
    fi
    fail "The installation failed: $(grep -v '^ *$' "$log" | tail -1 | cut -c1-200). Details are in $log."
}

is_ready && exit 0
uv=$(command -v uv) || uv=
extras= what="mqlora-tui" time="one to two minutes"
[ -z "$extra" ] || { extras="[$extra]" what="mqlora-tui with what its tests need" time="one to three minutes"; }
if has_environment; then
    python=$venv/bin/python
else
    find_python
    require_space
fi
require_folder
take_lock
echo "Installing $what into $venv ($(version_of "$python")${uv:+, with uv}): $time, 1.2 GB …"
has_environment || make_environment
install
if [ "$(uname -s)" = Linux ] && ! command -v g++ >/dev/null; then
    echo "There is no g++ here: it works all the same, but training and chat on a CPU are slower (Debian and Ubuntu: apt-get install g++)."
fi
printf '%s\n' "$here" >"$stamp"
echo "✓ installed"
