#!/bin/sh
# Creates .venv from the pinned requirements. "dev" adds the packages of tests and tools. Quick if .venv is up to date.
set -eu
cd "$(dirname "$0")/.."

say() { echo "$*" >&2; }

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "Windlass needs Python 3.11 or newer as python3."
    exit 1
fi

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "Python's venv module is missing. On Debian: apt-get install python3-venv"
        exit 1
    fi
    say "Installing python3-venv."
    sh scripts/packages.sh python3-venv
fi

locks=requirements.txt
[ "${1-}" != dev ] || locks="requirements.txt requirements-dev.txt"

# Create the environment again if it was moved or its Python was removed.
place=$(pwd -P)
if [ "$(cat .venv/place 2>/dev/null)" != "$place" ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    rm -rf .venv
    python3 -m venv .venv
    echo "$place" > .venv/place
fi

for lock in $locks; do
    stamp=.venv/$lock.installed
    if ! sha256sum --check --status "$stamp" 2>/dev/null; then
        say "Installing the packages of $lock."
        .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r "$lock"
        sha256sum "$lock" > "$stamp"
    fi
done
