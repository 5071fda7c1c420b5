#!/bin/sh
# Pins the requirements with hashes. Settings of this machine, such as its package index, must not get into the files.
set -eu
cd "$(dirname "$0")/.."

for name in requirements requirements-dev; do
    .venv/bin/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
        --no-emit-trusted-host --no-header --allow-unsafe --output-file "$name.txt" "$name.in"
done
