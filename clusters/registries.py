"""The stored registries: finds the registry of an image, opens it with fresh credentials, and checks what those may do.

Registries are slow: do not call these functions inside a transaction. They hold no database connection while they wait.
"""

from dataclasses import dataclass, replace

from django.core.cache import cache
from django.utils import timezone
from django.utils.crypto import salted_hmac

from clusters.models import Registry
from clusters.registry.access import TOKEN_USER, PullLimit, RegistryAccess
from clusters.registry.client import RegistryClient
from clusters.registry.credentials import read_helper_credentials
from clusters.registry.errors import RegistryError
from clusters.registry.reference import BadReference, ImageReference, parse_reference
from clusters.waits import release_connection, wait_for_registry

# The outcome fields of a registry that was not tested or used since its settings changed.
NOT_SEEN_YET = {"checked_at": None, "problem": "", "pull_limit": None, "pull_remaining": None, "pull_window_seconds": None}
PERMISSION_SECONDS = 60  # for which a registry's answer about a push is cached
PERMISSION_PATIENCE = 8.0  # seconds to wait for that answer, while a dialog waits
PROBLEM_LENGTH = 500  # characters, the length of Registry.problem


@dataclass(frozen=True)
class PushPermission:
    """Whether the registry lets the stored credentials push to a repository. If not, `reason` says why and how to fix it.
    `is_stored`: whether there is a registry in Windlass for the host."""

    allowed: bool
    reason: str = ""
    is_stored: bool = True


def find_registry(reference: str) -> Registry | None:
    """Return the stored registry whose host, or one of whose aliases, an image reference names. Returns None if there is none
    or the reference is invalid."""
    try:
        host = parse_reference(reference).host
    except BadReference:
        return None
    if registry := Registry.objects.filter(host=host).first():
        return registry
    return next((each for each in Registry.objects.exclude(aliases="") if host in each.hosts), None)


def open_access(registry: Registry) -> RegistryAccess:
    """Return the registry's access with fresh credentials, from its credential helper if it has one.

    Raises RegistryError with the code `helper_failed`, or `unauthorized` if the stored token has expired.
    """
    release_connection()
    if registry.credential_helper:
        username, password = read_helper_credentials(registry.credential_helper, registry.host)
        return replace(registry.access, username=username, password=password)
    if registry.password and registry.password_expires_at and registry.password_expires_at <= timezone.now():
        when = timezone.localtime(registry.password_expires_at).strftime("%Y-%m-%d %H:%M")
        raise RegistryError(f"The token stored for {registry} expired on {when}.", "unauthorized", permanent=True)
    return registry.access


def test_registry(registry: Registry) -> str:
    """Try the stored credentials, store the outcome (`checked_at`, `problem`, pull limits), and return a sentence for people.
    Raises RegistryError; at once, without an outcome, where too many requests wait for the registry."""
    with wait_for_registry(registry.host):
        try:
            access = open_access(registry)
            with RegistryClient(access) as client:
                limit = client.check()
        except RegistryError as error:
            keep_outcome(registry, error.limit, error.message)
            raise
    keep_outcome(registry, limit)
    words = "answers. No user name is stored, so only public images can be pulled."
    if not access.is_anonymous:
        words = "answers and accepts the stored credentials."
    return f"{registry} {words}{f' {limit}.' if limit else ''}"


def keep_outcome(registry: Registry, limit: PullLimit | None, problem: str = "") -> None:
    """Store the outcome of a test or a use, for the registry's page. Without a limit in the answer the stored one stays."""
    seen: dict[str, object] = {"checked_at": timezone.now(), "problem": problem[:PROBLEM_LENGTH].replace("\0", "")}
    if limit:
        seen |= {
            "pull_limit": limit.limit,
            "pull_remaining": limit.remaining,
            "pull_window_seconds": limit.window_seconds,
        }
    for name, value in seen.items():
        setattr(registry, name, value)
    Registry.objects.filter(pk=registry.pk).update(**seen)


def find_push_permission(repository: str) -> PushPermission:
    """Return whether the stored credentials may push to `repository`, in the form of ImageReference.repository.

    The answer is cached for PERMISSION_SECONDS, by registry, credentials and repository.
    """
    try:
        image = parse_reference(repository)
    except BadReference as error:
        return PushPermission(False, str(error))
    registry = find_registry(repository)
    if registry is None:
        how = f"Add {image.host} under Registries, with an account that may push to {image.path}."
        return PushPermission(False, f"No registry is stored for {image.host}. {how}", is_stored=False)
    key = make_permission_key(registry, image.path)
    permission = cache.get(key)
    if not isinstance(permission, PushPermission):
        permission = request_push_permission(registry, image)
        cache.set(key, permission, PERMISSION_SECONDS)
    return permission


def make_permission_key(registry: Registry, path: str) -> str:
    """Return a cache key that changes with everything the answer depends on, so that corrected credentials count at once. It
    is a hash and reveals nothing about them."""
    parts = (registry.host, registry.username, registry.password, registry.credential_helper, registry.ca, path)
    ways = (registry.pk, registry.plain_http, registry.clear_text, registry.password_expires_at)
    settings = "\0".join([*map(str, ways), *parts])
    return f"push-permission-{salted_hmac('clusters.registries', settings, algorithm='sha256').hexdigest()}"


def request_push_permission(registry: Registry, image: ImageReference) -> PushPermission:
    try:
        access = open_access(registry)
        with RegistryClient(access, PERMISSION_PATIENCE) as client:
            allowed = client.may_push(image.path)
    except RegistryError as error:
        return PushPermission(False, f"{error.message} {advise(registry, error)}")
    if allowed:
        return PushPermission(True)
    if access.is_anonymous:
        how = f"Store the user name and password of an account that may push to {image.path}."
        return PushPermission(False, f"No credentials are stored for {registry}. {how}")
    how = "Give the account write permission there, or store the credentials of an account that has it."
    return PushPermission(False, f"{registry} does not let {name_account(access)} push to {image.path}. {how}")


def name_account(access: RegistryAccess) -> str:
    return "the stored token's account" if access.username == TOKEN_USER else f"'{access.username}'"


def advise(registry: Registry, error: RegistryError) -> str:
    """Return a sentence that says how to fix the error."""
    advices = {
        "tls": f"Correct the CA certificate or the plain HTTP setting of {registry} under Registries.",
        "unauthorized": f"Store credentials for {registry} that it accepts.",
        "forbidden": f"Store credentials for {registry} that may push.",
        "not_found": "Create the repository there, or correct the registry's host.",
        "helper_failed": f"Correct the credential helper of {registry}, or store a user name and password.",
        "bad_answer": f"Check the host of {registry} under Registries.",
    }
    again = "Try again in a minute, or test the registry under Registries."
    return advices.get(error.code, again)
