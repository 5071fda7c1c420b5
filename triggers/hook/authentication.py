"""Who may use a link: whoever has its secret. Nothing is looked up beyond the one trigger or registry that a link names."""

import hmac

from django.http import HttpRequest

from clusters.encryption import EncryptedTextField
from clusters.models import Registry, hash_hook_token
from triggers import links
from triggers.bodies import ContradictoryParameter, Parameters
from triggers.hook_queries import find_linked_registry, find_linked_trigger
from triggers.link_repair import explain_secret, repair_secret, repair_value
from triggers.models import Trigger
from triggers.refusals import CallRefused

SECRET_HEADER = "X-Trigger-Secret"  # noqa: S105 - a header's name
# Compared with when no trigger has the id, so that an unknown trigger and a wrong secret take the same time.
DUMMY_SECRET = EncryptedTextField().get_prep_value(links.make_secret())

REGISTRY_PATH = "/hook/registry/"

MISSING_SECRET = (
    "The secret parameter is missing. In a shell, put the link in single quotes: an unquoted & cuts it off. "
    f"The secret can also be sent in the {SECRET_HEADER} header."
)


COPY_AGAIN = "Copy the link from the console again."


class UnknownLink(CallRefused):
    """No trigger or registry has this link. The answer does not say whether only its secret is wrong."""

    status, code = 404, "unknown_link"

    def __init__(self) -> None:
        super().__init__("No trigger matches this link.")


class IncompleteLink(CallRefused):
    """The link was damaged when it was copied. The message says what is missing or wrong."""

    code = "incomplete_link"


def authenticate_trigger(request: HttpRequest, parameters: Parameters) -> Trigger:
    """Return the trigger that the link names, if its secret and all its fields are right.

    Raises IncompleteLink, UnknownLink, CredentialsTooLarge and ContradictoryParameter.
    """
    return check_caller(request, parameters, find_named_trigger(parameters))


def check_caller(request: HttpRequest, parameters: Parameters, trigger: Trigger | None) -> Trigger:
    """Return the trigger that the link names, if the caller has its secret. Raises the same as `authenticate_trigger`."""
    check_secret(trigger.secret if trigger else "", read_secret(request, parameters))
    if trigger is None:
        raise UnknownLink
    return trigger


def find_named_trigger(parameters: Parameters) -> Trigger | None:
    """Return the trigger that a link is for, whatever its secret; None if there is none with all its fields.

    Raises IncompleteLink, CredentialsTooLarge and ContradictoryParameter.
    """
    trigger_url = parameters.get_credential("triggerUrl")
    if not isinstance(trigger_url, str) or not trigger_url:
        raise IncompleteLink(f"The triggerUrl parameter is missing. {COPY_AGAIN}")
    try:
        fields = links.decode_trigger_url(trigger_url)
    except links.MalformedLink as error:
        raise IncompleteLink(f"{error} {COPY_AGAIN}") from error
    trigger = find_linked_trigger(fields.id)
    return trigger if trigger and trigger.link_fields == fields else None


def authenticate_registry(token: str) -> Registry:
    """Return the registry with this inbound link. Raises UnknownLink."""
    registry = find_linked_registry(hash_hook_token(repair_value(token)))
    if registry is None:
        raise UnknownLink
    return registry


def has_proof(request: HttpRequest) -> bool:
    """Return whether the address and the headers alone show that the caller has a link. For a body of more than
    CREDENTIALS_LIMIT bytes, or of unknown length: it is not touched."""
    try:
        if request.path_info.startswith(REGISTRY_PATH):
            authenticate_registry(request.path_info.removeprefix(REGISTRY_PATH).rstrip("/"))
        else:
            authenticate_trigger(request, Parameters(request))
    except CallRefused:
        return False
    return True


def read_secret(request: HttpRequest, parameters: Parameters) -> str:
    """Raises IncompleteLink for a missing or a damaged secret, CredentialsTooLarge and ContradictoryParameter."""
    in_header = repair_secret(request.headers.get(SECRET_HEADER, ""))
    # The body is not touched for a secret that is in the header.
    sent = parameters.get_from_query("secret") if in_header else parameters.get_credential("secret")
    secret = repair_secret(sent) if isinstance(sent, str) else ""
    if in_header and secret and in_header != secret:
        raise ContradictoryParameter("secret")
    if not (secret := in_header or secret):
        raise IncompleteLink(MISSING_SECRET)
    if damage := explain_secret(secret):
        raise IncompleteLink(f"{damage} {COPY_AGAIN}")
    return secret


def check_secret(wanted: str, secret: str) -> None:
    """Raise UnknownLink unless the secret is the wanted one, the trigger's. `wanted` is empty for an unknown trigger: that
    takes the same time."""
    compared = wanted or EncryptedTextField().from_db_value(DUMMY_SECRET) or ""
    matches = hmac.compare_digest(compared.encode(), secret.encode("utf-8", "replace"))
    if not (wanted and matches):
        raise UnknownLink
