#!/bin/sh
# Installs the peers and what the benchmarks need, then runs `python -m bench` with the given arguments. Run it as root.
set -eu
cd "$(dirname "$0")/.."

sh scripts/packages.sh docker.io docker-registry docker-compose busybox-static iptables iproute2 util-linux webhook wrk
sh scripts/environment.sh dev

# Keep the engines' and the console's files in memory if there is enough: a shared disk says nothing about the code.
if [ -z "${TMPDIR:-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null; then
    export TMPDIR=/dev/shm
fi
exec .venv/bin/python -m bench "$@"
