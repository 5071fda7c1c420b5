#!/bin/sh
# Installs what the crash trials need, then runs `python -m tests.chaos` with the given arguments.
set -eu
cd "$(dirname "$0")/.."

sh scripts/packages.sh docker.io docker-registry busybox-static iptables iproute2 util-linux postgresql
sh scripts/environment.sh dev
if [ -z "${TMPDIR:-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null; then
    export TMPDIR=/dev/shm
fi
exec .venv/bin/python -m tests.chaos "$@"
