#!/bin/sh
# Installs what the tests need, then runs the static checks and all tests. A missing engine, registry, database or browser is a
# failure, never a skip.
set -eu
cd "$(dirname "$0")/.."

# In parallel, because each of the two keeps one core busy.
sh scripts/packages.sh docker.io docker-registry docker-compose busybox-static iptables iproute2 util-linux \
    podman runc chromium-headless-shell postgresql redis-server nginx-light caddy haproxy apache2-bin prometheus \
    prometheus-alertmanager rabbitmq-server openssh-server &
packages=$!
sh scripts/environment.sh dev || { wait $packages; exit 1; }
wait $packages

# The static checks keep one core busy, so they run beside the first tests.
findings=$(mktemp)
sh scripts/lint.sh > "$findings" 2>&1 &
lint=$!
trap 'kill $lint 2>/dev/null || true; rm -f "$findings"' EXIT

# Databases and engines write and sync a lot, and nothing needs to last: use memory if there is enough.
if [ -z "${TMPDIR:-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null; then
    export TMPDIR=/dev/shm
fi

# Engines and registries are Go programs. Collecting garbage rarely saves a sixth of their work.
export GOGC=800

# Consoles are started dozens of times, so keep what Python has compiled.
unset PYTHONDONTWRITEBYTECODE

# First the tests that need only the code, then those with real parts. The latter run in more processes than there are cores,
# because they also wait; each process has its own engine.
.venv/bin/python -m pytest -q -n 2 --dist loadscope console clusters triggers
wait $lint || { cat "$findings" >&2; exit 1; }

# Run the tests of what asks the database on PostgreSQL too: not those of engines, registries and payloads, of a runner that dies
# at every request, and of what pages say. They take what the tests with real parts leave of the processor.
repeated=$(mktemp)
nice -n 15 .venv/bin/python -m tests.harness.postgres -- .venv/bin/python -m pytest -q -n 2 --dist loadscope \
    --ignore clusters/engine --ignore clusters/registry --ignore triggers/payloads --ignore triggers/run/tests/test_runner_swarm.py \
    --ignore triggers/run/tests/test_runner_acts.py --ignore triggers/pushes/tests/test_dialects.py \
    --ignore triggers/pushes/tests/test_events.py --ignore triggers/hook/tests/test_mutated_links.py \
    --ignore triggers/hook/tests/test_mutated_proofs.py --ignore triggers/hook/tests/test_signed_calls.py \
    --ignore triggers/hook/tests/test_trusted_jobs.py --ignore triggers/hook/tests/test_safe_get.py --ignore triggers/identity \
    --ignore console/identity --ignore console/pages/account --ignore console/pages/help --ignore console/telemetry \
    --ignore console/tests/test_env.py --ignore console/tests/test_settings.py --ignore console/tests/test_hosts.py \
    --ignore console/tests/test_glossary.py --ignore console/tests/test_deployment.py \
    --ignore triggers/tests/test_link_repair.py --ignore console/pages/shared --ignore console/pages/containers \
    --ignore console/pages/tests/test_roles.py --ignore console/pages/tests/test_tenancy.py \
    --ignore console/pages/clusters/tests/test_image_views.py --ignore console/server \
    --deselect console/pages/tests/test_every_page.py::test_hostile_names_stay_text_that_is_isolated_from_what_is_around \
    --deselect console/pages/tests/test_every_page.py::test_a_page_is_refused_to_those_not_signed_in \
    console clusters triggers > "$repeated" 2>&1 &
postgres=$!
trap 'kill $postgres 2>/dev/null || true; rm -f "$findings" "$repeated"' EXIT
.venv/bin/python -m pytest -q -n 5 --dist loadgroup --no-loadscope-reorder --durations=10 --ignore tests/hostile tests
wait $postgres || { cat "$repeated" >&2; exit 1; }
tail -n 1 "$repeated"
trap 'rm -f "$findings" "$repeated"' EXIT
# With nothing beside it: it measures how soon a console answers while it is attacked.
.venv/bin/python -m pytest -q tests/hostile
