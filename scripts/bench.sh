#!/bin/sh
# Installs the peers and what the measurements need where it is missing, then prints the table of ratios: as root. The
# arguments are those of `python -m bench`.
set -eu
cd "$(dirname "$0")/.."

sh scripts/packages.sh docker.io docker-registry docker-compose busybox-static iptables iproute2 util-linux webhook wrk
sh scripts/environment.sh dev

# The engines' and the console's files in memory, where there is enough: a disk that others use says nothing about the code.
if [ -z "${TMPDIR:-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null; then
    export TMPDIR=/dev/shm
fi
exec .venv/bin/python -m bench "$@"
