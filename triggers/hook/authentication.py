"""Who may use a link, and by what they are proved. Nothing is looked up beyond the trigger or registry that a link names."""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils import timezone

from clusters.callers import client_address
from clusters.encryption import EncryptedTextField
from clusters.models import Registry, hash_hook_token
from triggers import links
from triggers.bodies import (
    BodyTooLarge,
    ContradictoryParameter,
    CredentialsTooLarge,
    Parameters,
    check_body_size,
    has_body,
)
from triggers.hook.narrowing import SECRET_HEADER, check_address, check_narrowing
from triggers.hook.old_secrets import old_secret_uses
from triggers.hook.signed_calls import check_signature, has_signature
from triggers.hook.trusted_jobs import prove_job
from triggers.hook_queries import find_linked_registry, find_linked_trigger, list_trusted_jobs
from triggers.link_repair import explain_secret, repair_secret, repair_value
from triggers.models import Proof, Signature, Trigger
from triggers.refusals import CallRefused

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


class Secrets(Protocol):
    """A trigger's secrets: a Trigger of hook_queries, or an OutcomeKey."""

    sealed_old_secret: str | None

    @property
    def secret(self) -> str: ...
    @property
    def old_secret_ends_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class ProvedCaller:
    """Whoever calls the link of `trigger`, and the proof that they may."""

    trigger: Trigger
    proof: Proof
    # What nobody can change who repeats the request: of a signed call or of an identity token. Empty for a secret alone.
    proved_id: str = ""
    identity: dict[str, str] | None = None  # of a trusted job

    def describe(self) -> dict[str, Any]:
        return {"proof": self.proof, "proved_id": self.proved_id, "identity": self.identity}


def check_caller(request: HttpRequest, parameters: Parameters, trigger: Trigger | None) -> ProvedCaller:
    """Return the caller, if they are proved and the trigger's options let them call now. `trigger` is the one that the link
    names; None if there is none.

    Raises IncompleteLink, UnknownLink, CredentialsTooLarge, ContradictoryParameter, BadSignature, BadIdentity,
    IssuerUnavailable, BodyTooLarge, and what check_narrowing raises.
    """
    caller = prove_without_secret(request, parameters, trigger) or prove_caller(request, parameters, trigger)
    if caller.trigger.signature == Signature.REQUIRED and caller.proof != Proof.IDENTITY:
        check_address(request, caller.trigger)  # before the body is looked at
        caller = replace(caller, proved_id=check_trigger_signature(request, caller.trigger))
    if caller.proof == Proof.OLD_SECRET:
        old_secret_uses.note(caller.trigger, client_address(request))
    check_narrowing(request, parameters, caller.trigger, caller.proof, may_repeat=bool(caller.proved_id))
    return caller


def prove_caller(request: HttpRequest, parameters: Parameters, trigger: Trigger | None) -> ProvedCaller:
    """Return the caller and by what they are proved. An unknown trigger and every wrong proof take the same work.

    Raises IncompleteLink, UnknownLink, CredentialsTooLarge and ContradictoryParameter.
    """
    proof = prove_secret(trigger, read_secret(request, parameters))
    if trigger is None or proof is None:
        raise UnknownLink
    return ProvedCaller(trigger, proof)


def prove_without_secret(request: HttpRequest, parameters: Parameters, trigger: Trigger | None) -> ProvedCaller | None:
    """Return the caller whom a signature or an identity token proves instead of the secret; None where the secret counts.

    Trusted jobs are looked up only for whoever sends a bearer token and no secret. Raises BadSignature, BadIdentity and
    IssuerUnavailable."""
    if trigger is None:
        return None
    is_signed = trigger.needs_no_secret and has_signature(request.headers)
    token = "" if is_signed or sends_secret(request, parameters) else read_bearer_token(request)
    if token and (jobs := list_trusted_jobs(trigger.pk)):
        proved_id, identity = prove_job(token, jobs)
        return ProvedCaller(trigger, Proof.IDENTITY, proved_id, identity)
    if not trigger.needs_no_secret:
        return None
    return ProvedCaller(trigger, Proof.SIGNATURE, check_trigger_signature(request, trigger))


def check_trigger_signature(request: HttpRequest, trigger: Trigger) -> str:
    """Return the id of the delivery, which is signed. The body counts as it was sent, before anything of it is unpacked.

    Raises BadSignature and BodyTooLarge."""
    check_body_size(request)
    try:
        raw = request.body if has_body(request) else b""
    except RequestDataTooBig as error:
        raise BodyTooLarge from error
    return check_signature(request.headers, raw, unseal(trigger.sealed_signature_key))


def sends_secret(request: HttpRequest, parameters: Parameters) -> bool:
    """Raises ContradictoryParameter."""
    if request.headers.get(SECRET_HEADER, "").strip() or parameters.get_from_query("secret"):
        return True
    try:
        return bool(parameters.get_credential("secret"))
    except CredentialsTooLarge:  # nobody looks for a secret there
        return False


def read_bearer_token(request: HttpRequest) -> str:
    """Return what `Authorization: Bearer …` brings (https://www.rfc-editor.org/rfc/rfc6750#section-2.1); empty without it."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


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
    return find_linked_trigger(fields)


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
            parameters = Parameters(request)
            prove_caller(request, parameters, find_named_trigger(parameters))
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


def prove_secret(known: Secrets | None, secret: str) -> Proof | None:
    """Return which of a trigger's secrets this is; None if it is neither. `known` is None for an unknown trigger.

    Whatever is wrong takes the same work: two secrets are decrypted and compared, of which a dummy stands for each that the
    trigger lacks. The right secret proves its caller without the second.
    """
    if is_secret(known.secret if known else "", secret):
        return Proof.SECRET
    is_old = is_secret(unseal(known.sealed_old_secret if known else None), secret)
    ends_at = known.old_secret_ends_at if known else None
    return Proof.OLD_SECRET if is_old and ends_at and ends_at > timezone.now() else None


def is_secret(wanted: str, secret: str) -> bool:
    """Return whether the secret is the wanted one. Without a wanted one, it is compared with the dummy all the same."""
    compared = wanted or unseal(DUMMY_SECRET)
    matches = hmac.compare_digest(compared.encode(), secret.encode("utf-8", "replace"))
    return bool(wanted) and matches


def unseal(stored: str | None) -> str:
    """Return a secret as a column holds it, decrypted; empty for None."""
    return EncryptedTextField().from_db_value(stored) or ""
