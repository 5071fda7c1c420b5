#!/bin/sh
# Pins the requirements with hashes. Nothing of the machine that does it may get into the files.
set -eu
cd "$(dirname "$0")/.."

for name in requirements requirements-dev; do
    .venv/bin/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
        --no-emit-trusted-host --no-header --allow-unsafe --output-file "$name.txt" "$name.in"
done
