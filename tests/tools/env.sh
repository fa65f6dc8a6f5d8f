#!/bin/sh
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The Pythons of this machine and the virtual environments of the project.
#   env.sh python            print the interpreter that runs the tools
#   env.sh pythons           print "VERSION PATH" of every Python from 3.8 on
#   env.sh venv NAME...      make .venv/NAME from requirements/NAME.txt unless it is there and current
#   env.sh live              make build/live, where the checkout looks like an installed collection
# Plain sh, because there may be no Python yet.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)

# A pyenv shim answers "command not found" for each version that is not switched on: use what lies behind it.
candidates() {
    version=$1
    pyenv_root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "${HOME:-/root}/.pyenv")}
    for python in "$pyenv_root/versions/$version".*/bin/"python$version"; do
        [ ! -x "$python" ] || echo "$python"
    done
    printf '%s\n' "$PATH" | tr : '\n' | while IFS= read -r dir; do
        case $dir in */shims) continue ;; esac
        [ ! -x "$dir/python$version" ] || echo "$dir/python$version"
    done
}

# ensurepip is what Debian leaves out of python3 and puts into python3-venv.
usable() {
    "$1" -I -c 'import sys, ensurepip, venv; sys.exit(sys.prefix != sys.base_prefix)' 2>/dev/null
}

first_of() {
    for version in "$@"; do
        for python in $(candidates "$version"); do
            if usable "$python"; then
                echo "$python"
                return
            fi
        done
    done
    return 1
}

find_python() {
    first_of "$@" && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        log=$(mktemp)
        if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
                python3-venv; } >"$log" 2>&1 </dev/null; then
            cat "$log" >&2
        fi
        rm -f "$log"
        first_of "$@" && return
    fi
    echo "No Python 3.11 or later with its venv module was found. On Debian or Ubuntu: apt install python3-venv" >&2
    return 1
}

# The oldest ansible-core stops at Python 3.12, the newest starts there.
python_for() {
    case $1 in
        oldest) find_python 3.11 3.12 3.13 3.14 ;;
        *) find_python 3.12 3.13 3.14 3.11 ;;
    esac
}

make_venv() {
    name=$1
    venv=$root/.venv/$name
    python=$(python_for "$name")
    stamp=$({ echo "$python"; cat "$root"/requirements/*.txt; } | cksum)
    [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    rm -rf "$venv"
    "$python" -m venv "$venv"
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --constraint "$root/requirements/constraints.txt" \
            --requirement "$root/requirements/$name.txt" >"$venv/pip.log" 2>&1 </dev/null; then
        tail -n 20 "$venv/pip.log" >&2
        return 1
    fi
    echo "$stamp" >"$venv/.stamp"
}

# ansible and pytest follow a symlink; only ansible-test wants a copy.
make_live() {
    mkdir -p "$root/build/live/ansible_collections/zfsops"
    ln -sfn ../../../.. "$root/build/live/ansible_collections/zfsops/zrep"
}

case ${1-} in
    live)
        make_live
        ;;
    python)
        python_for tools
        ;;
    pythons)
        for version in 3.8 3.9 3.10 3.11 3.12 3.13; do
            if python=$(first_of "$version"); then
                echo "$version $python"
            fi
        done
        ;;
    venv)
        shift
        mkdir -p "$root/.venv"
        make_live
        for name in "$@"; do
            # Two runs at once: the second waits for the first, and then finds the work done.
            (flock 9 && make_venv "$name") 9>"$root/.venv/$name.lock"
        done
        ;;
    *)
        sed -n 's/^#   //p' "$0" >&2
        exit 2
        ;;
esac
