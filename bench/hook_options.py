"""Measures what the options of a link cost: `python -m bench.hook_options [--rounds N] [--against REVISION]`. Needs wrk.

- `--against` names a revision of this project whose web takes turns with this one, on the same database and with the same plain
  links: what every caller pays for options that are not used. The database suits the version before its own, so the revision
  must not be older than that.
- Calls with allowed addresses, with the old secret of a rotation, with a signed body, and with all three take turns with plain
  calls of the same kind at the same web. The address fits the last one of the list.
- Calls with the identity token of a trusted job take turns with plain calls, one at a time. The issuer is one of this process,
  and its keys are known.

No worker runs, and calls are deleted between two turns, as in bench.hook.
"""

import argparse
import hmac
import itertools
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import jwt
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from bench.hook import Load, Server, call_once, make_triggers, serve, take_turn
from bench.table import Row, compare, format_table, hold_against
from bench.turns import take_turns
from tests.harness.console import BASE_DIR
from triggers import links
from triggers.identity.tests.issuing import AUDIENCE, LocalIssuer, make_claims, make_private_key, serve_issuer
from triggers.models import Action, Trigger, TrustedJob
from triggers.selectors import build_trigger_link

ROUNDS = 7
CONNECTIONS = (1, 16)
UNUSED_GOAL, USED_GOAL, IDENTITY_GOAL = 0.98, 0.9, 1.0  # ratios of rates; ms
APPLICATIONS = 2500  # more than one turn calls: an equal signed body at one trigger is a repetition
TOKENS = 4000  # more than one turn takes: each is one call
BODY = '{"event": "done"}'
NETWORKS = [f"10.0.{number}.0/24" for number in range(49)] + ["127.0.0.1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--against", default="", metavar="REVISION")
    options = parser.parse_args()
    print(format_table(measure(options.rounds, options.against)))


def measure(rounds: int = ROUNDS, against: str = "") -> Iterable[Row]:
    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        issuer = stack.enter_context(serve_issuer())
        files = write_requests(folder, issuer)
        connections.close_all()
        web = stack.enter_context(serve(folder, "web", "hook", {}))
        for file in files.values():
            call_once(web, file)
        if against:
            tree = stack.enter_context(check_out(against))
            former = stack.enter_context(serve(folder, "web", against, {}, tree))
            call_once(former, files["plain"])
            yield from compare_webs(rounds, web, former, files["plain"], against)
        for kind in ("addresses", "old secret", "signature", "all three"):
            for number in CONNECTIONS:
                ours, theirs = take_turns(rounds, [partial(take_turn, web, files[each], number) for each in (kind, "plain")])
                yield compare_rates(f"{kind}, {number} at a time", ours, theirs, "plain calls", USED_GOAL)
        works = [partial(take_turn, web, files[kind], 1) for kind in ("identity", "plain")]
        ours, theirs = take_turns(rounds, works)
        added = [our.p50 - their.p50 for our, their in zip(ours, theirs, strict=True)]
        yield hold_against("identity token, added to p50", added, "ms", at_most=IDENTITY_GOAL)


def compare_webs(rounds: int, web: Server, former: Server, file: Path, against: str) -> Iterator[Row]:
    for number in CONNECTIONS:
        ours, theirs = take_turns(rounds, [partial(take_turn, server, file, number) for server in (web, former)])
        yield compare_rates(f"no option used, {number} at a time", ours, theirs, against, UNUSED_GOAL)


def compare_rates(name: str, ours: list[Load], theirs: list[Load], peer: str, goal: float) -> Row:
    return compare(name, [load.rate for load in ours], [load.rate for load in theirs], "/s", peer, at_least=goal)


@contextmanager
def check_out(revision: str) -> Iterator[Path]:
    """Check the revision out into a folder of its own. Raises SystemExit if there is none."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        git = ["git", "-C", str(BASE_DIR), "worktree"]
        if subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=False).returncode:
            raise SystemExit(f"There is no revision {revision}.")
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def write_requests(folder: Path, issuer: LocalIssuer) -> dict[str, Path]:
    """Write files of requests for hook.lua, and return them by what they use. All are scale calls of many applications."""
    former = links.make_secret()
    rotated = {"old_secret": former, "old_secret_ends_at": timezone.now() + timedelta(days=1)}
    signed = {"signature": "required", "signature_key": links.make_signature_key()}
    narrowed = {"allowed_addresses": "\n".join(NETWORKS)}
    requests = {
        "plain": write_lines(make_links({})),
        "addresses": write_lines(make_links(narrowed)),
        "old secret": write_lines(make_links(rotated, former)),
        "signature": write_lines(make_links(signed), sign(signed["signature_key"])),
        "all three": write_lines(make_links(narrowed | rotated | signed, former), sign(signed["signature_key"])),
        "identity": write_identities(issuer),
    }
    files = {kind: folder / kind.replace(" ", "-") for kind in requests}
    for kind, file in files.items():
        file.write_text("\n".join(requests[kind]) + "\n")
    return files


def make_links(options: Mapping[str, object], secret: str = "") -> list[str]:
    """Return the addresses of scaling triggers with these options; with `secret` instead of each one's own."""
    triggers = make_triggers("unix:///nonexistent", APPLICATIONS, Action.SCALING)
    for trigger in triggers:
        for name, value in options.items():
            setattr(trigger, name, value)
    if options:
        Trigger.objects.bulk_update(triggers, list(options))
    addresses = []
    for trigger in triggers:
        trigger.secret, trigger.signature = secret or trigger.secret, "off"  # the link with its secret
        addresses.append(f"{build_trigger_link(trigger, '')}&type=scale_out&step=1")
    return addresses


def sign(key: str) -> str:
    """Return the header of a signed BODY, as GitHub sends it."""
    return f"X-Hub-Signature-256: sha256={hmac.digest(key.encode(), BODY.encode(), 'sha256').hex()}"


def write_lines(addresses: Iterable[str], header: str = "") -> list[str]:
    """Return the lines of hook.lua: all are POSTs with one body, so that only the option differs."""
    return [f"{address}\t{BODY}\t{header}" for address in addresses]


def write_identities(issuer: LocalIssuer) -> list[str]:
    """Return the lines of calls that tokens of the issuer prove. Each token has an id of its own, so each is a call."""
    triggers = make_triggers("unix:///nonexistent", APPLICATIONS, Action.SCALING)
    conditions = {"repository": {"exact": "team/app"}, "ref": {"exact": "refs/heads/main"}}
    TrustedJob.objects.bulk_create(
        TrustedJob(
            trigger=trigger, name="bench", preset="github", issuer=issuer.address, audience=AUDIENCE, conditions=conditions
        )
        for trigger in triggers
    )
    claims = make_claims(iss=issuer.address, exp=int(time.time()) + 3600)
    key = make_private_key("RS256", 1)  # the one that the issuer publishes
    lines = []
    for trigger in itertools.islice(itertools.cycle(triggers), TOKENS):
        token = jwt.encode(claims | {"jti": str(uuid.uuid4())}, key, "RS256", headers={"kid": "rsa-1"})
        address = links.build_link("", trigger.link_fields, "")
        lines.append(f"{address}&type=scale_out&step=1\t{BODY}\tAuthorization: Bearer {token}")
    return lines


if __name__ == "__main__":
    main()
