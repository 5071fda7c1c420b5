#!/bin/sh
# Retakes the pictures in docs/images/, with a private engine and a private Swarm. Run it as root.
set -eu
cd "$(dirname "$0")/.."

sh scripts/packages.sh docker.io docker-registry busybox-static iptables iproute2 util-linux chromium-headless-shell
sh scripts/environment.sh dev
exec .venv/bin/python -m tests.e2e.screenshots "$@"
