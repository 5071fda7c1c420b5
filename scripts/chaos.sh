#!/bin/sh
# Installs what the trials of crashes need where it is missing, then runs them; options go to `python -m tests.chaos`.
set -eu
cd "$(dirname "$0")/.."

sh scripts/packages.sh docker.io docker-registry busybox-static iptables iproute2 util-linux postgresql
sh scripts/environment.sh dev
if [ -z "${TMPDIR:-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null; then
    export TMPDIR=/dev/shm
fi
exec .venv/bin/python -m tests.chaos "$@"
