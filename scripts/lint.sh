#!/bin/sh
# Runs the static checks: style, types, layers, templates, migrations, deployment, the API's schema.
set -eu
cd "$(dirname "$0")/.."

WINDLASS_DATA_DIR=$(mktemp -d)
export WINDLASS_DATA_DIR
trap 'rm -rf "$WINDLASS_DATA_DIR"' EXIT
PATH="$PWD/.venv/bin:$PATH"

ruff check --quiet .
ruff format --quiet --check .
mypy .
lint-imports --no-logo
djlint templates --lint --quiet
python manage.py makemigrations --check --dry-run --verbosity 0
# Check the settings of a deployment behind https.
WINDLASS_PUBLIC_URL=https://windlass.example.com python manage.py check --deploy --fail-level WARNING
python manage.py spectacular --validate --fail-on-warn --file "$WINDLASS_DATA_DIR/schema.yml"
