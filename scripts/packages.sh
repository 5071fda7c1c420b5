#!/bin/sh
# Installs the given Debian packages that are missing, and starts none of their services: what needs a server starts its own. For
# users other than root it prints the command to run instead.
set -eu

missing=
for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "Debian packages are missing. Run as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
exec 9>/run/lock/windlass-packages  # one at a time
flock 9
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
policy=/usr/sbin/policy-rc.d  # where it ends with 101, Debian's packages start nothing
own=
if [ ! -e $policy ]; then
    own=$policy
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
fi
trap 'rm -f "$log" $own' EXIT
# shellcheck disable=SC2086 # one word per package
if ! { apt-get update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null 9>&-; then
    tail -n 15 "$log" >&2
    echo "These Debian packages could not be installed:$missing" >&2
    exit 1
fi
