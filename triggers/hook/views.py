"""The endpoint that trigger links call, and the one that tells a call's outcome. No session, no redirect, no CSRF."""

import hmac
import time
import uuid
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection
from django.db.models import DEFERRED, Model
from django.http import HttpRequest
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.callers import client_address
from clusters.encryption import EncryptedTextField
from clusters.models import Application, Cluster, Registry, hash_hook_token
from triggers import links
from triggers.calls.accept import QueueFull, accept_call, remaining_cooldown
from triggers.calls.repetitions import REPEATED, REPLAYED_HEADER, KeyReused, identify_delivery
from triggers.calls.requests import CallRequest, InvalidParameter, parse_step, parse_tag, parse_wait
from triggers.hook.bodies import BodyTooLarge, Parameters
from triggers.hook.waiting import TooManyWaiters, waiters
from triggers.models import Action, CallState, Decision, DeliveryLine, Trigger, TriggerCall
from triggers.payloads.alerts import Notification, read_notification
from triggers.pushes.alerts import accept_notification, acts_on, ignore_notification
from triggers.pushes.deliveries import Receipt
from triggers.pushes.receiving import Message, read_message, receive_delivery, receive_message
from triggers.selectors import build_status_url, outcome_of, public_base_url

Row = TypeVar("Row", bound=Model)
log = structlog.get_logger("windlass.hook")

SECRET_HEADER = "X-Trigger-Secret"  # noqa: S105 - a header's name
EVENT_HEADERS = ("X-GitHub-Event", "X-Gitea-Event", "X-Forgejo-Event")
# Compared with when no trigger has the id, so that an unknown trigger and a wrong secret take the same time.
DUMMY_SECRET = EncryptedTextField().get_prep_value(links.make_secret())

# All that a call needs of its trigger: the hook reads no column more.
TRIGGER_FIELDS = (
    *("id", "public_id", "secret", "action", "enabled", "cooldown_seconds", "tag_pattern", "application_id", "service_id"),
    *("alert_state",),
)
# By hand: to build it from a queryset takes ten times as long as the database needs to answer it.
FIND_TRIGGER = f"""
    SELECT application.name, application.protected, cluster.id, cluster.uid, cluster.name,
           {", ".join(f"link.{name}" for name in TRIGGER_FIELDS)}
    FROM triggers_trigger link
    JOIN clusters_application application ON application.id = link.application_id
    JOIN clusters_cluster cluster ON cluster.id = application.cluster_id
    WHERE link.public_id = %s
"""  # noqa: S608 - the names of columns

REGISTRY_FIELDS = ("host", "kind", "aliases", "signing_secret")

MISSING_SECRET = (
    "The secret parameter is missing. In a shell, put the link in single quotes: an unquoted & cuts it off. "
    f"The secret may also be sent in the {SECRET_HEADER} header."
)
UNKNOWN = "No trigger answers to this link."


class HookRefused(Exception):
    """An answer other than an accepted call: `code` is the HTTP status."""

    def __init__(self, code: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after = code, message, retry_after


def answer(code: int, message: str = "", call: TriggerCall | None = None, **more: Any) -> Response:
    """The documented body: `code` is a string that equals the HTTP status; clients take any but "200" as failure."""
    body = {"code": str(code), "message": message, "requestId": str(call.pk) if call else None}
    response = Response({**body, **more}, status=code)
    response["Cache-Control"] = "no-store"
    return response


class HookView(APIView):
    """What both endpoints share. DRF authenticates nobody here: the secret in the link does."""

    authentication_classes: tuple[()] = ()
    permission_classes: tuple[()] = ()
    schema = None
    unanswered = (
        "The database does not answer. Nothing was recorded, unless it was lost while it was just recording the call. "
        "Try again later; with an Idempotency-Key no call counts twice."
    )

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, MethodNotAllowed):
            response = answer(405, f"{self.request.method} does nothing here; call the link with GET or POST.")
            response["Allow"] = ", ".join(self.allowed_methods)
            return response
        if isinstance(exc, BodyTooLarge):
            return answer(413, f"The body is larger than {settings.HOOK_BODY_LIMIT // (1024 * 1024)} MB.")
        if isinstance(exc, InvalidParameter):
            return answer(400, exc.message)
        if isinstance(exc, DatabaseError):
            log.error("the database does not answer a link", error=str(exc))
            exc = HookRefused(503, self.unanswered, 5)
        if isinstance(exc, QueueFull):
            exc = HookRefused(429, exc.message, exc.retry_after)
        if isinstance(exc, KeyReused):
            return answer(422, exc.message)
        if isinstance(exc, HookRefused):
            response = answer(exc.code, exc.message)
            if exc.retry_after is not None:
                response["Retry-After"] = str(exc.retry_after)
            return response
        raise exc


class TriggerHook(HookView):
    """`/hook/trigger?triggerUrl=…&secret=…`: GET, POST and PUT act; HEAD and OPTIONS never do."""

    http_method_names = ["get", "post", "put"]

    def get(self, request: Request) -> Response:
        return call_trigger(request._request)

    post = get
    put = get


class CallHook(HookView):
    """`/hook/calls/<requestId>?secret=…`: the outcome, without a login. `wait=` works here too."""

    http_method_names = ["get"]
    unanswered = "The database does not answer. Ask again later."

    def get(self, request: Request, call_id: uuid.UUID) -> Response:
        http = request._request
        parameters = Parameters(http)
        secret = read_secret(http, parameters)
        wait = parse_wait(parameters.get("wait"))
        call = TriggerCall.objects.select_related("trigger", "coalesced_into").filter(pk=call_id).first()
        check_secret(call.trigger if call else None, secret)
        assert call  # check_secret refuses an unknown one
        if wait:
            return answer_with_outcome(http, call, wait)
        return answer_with_state(http, call)


class RegistryHook(HookView):
    """`/hook/registry/<token>`: a registry's inbound link. GET too: that is how Diun sends its JSON by default."""

    http_method_names = ["get", "post", "put"]

    def get(self, request: Request, token: str) -> Response:
        check_body_size(request._request)
        registry = Registry.objects.only(*REGISTRY_FIELDS).filter(hook_key=hash_hook_token(token)).first()
        if registry is None:
            raise HookRefused(404, UNKNOWN)
        return answer_with_delivery(receive_delivery(request._request, registry))

    post = get
    put = get


def call_trigger(request: HttpRequest) -> Response:
    check_body_size(request)
    parameters = Parameters(request)
    trigger = authenticate_trigger(request, parameters)
    if any(request.headers.get(name, "").lower() == "ping" for name in EVENT_HEADERS):
        return answer(200, "pong")
    wait = parse_wait(parameters.get("wait"))
    message = read_message(request, parameters) if has_body(request) else None
    if message and (notification := read_notification(message.body)):
        return answer_alert(request, parameters, trigger, message, notification, wait)
    if message and trigger.action == Action.REDEPLOY and message.concerns_images:
        # Another message of the same sender, a git push say, is a plain call.
        return answer_push(request, receive_message(message, trigger=trigger), wait)
    call_request = make_call_request(request, parameters, trigger)
    return answer_with_call(request, call_request, accept_call(call_request), wait)


def make_call_request(request: HttpRequest, parameters: Parameters, trigger: Trigger) -> CallRequest:
    """Raises InvalidParameter."""
    tag = read_tag(trigger, parameters)
    step = parse_step(parameters.get("type"), parameters.get("step")) if trigger.action == Action.SCALING else None
    return CallRequest(
        source=TriggerCall.Source.HOOK,
        action=trigger.action,
        application_id=trigger.application_id,
        service_id=trigger.service_id,
        trigger=trigger,
        tag=tag,
        step=step,
        source_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
        delivery_id=identify_delivery(request.headers, step, tag),
    )


def answer_with_call(request: HttpRequest, call_request: CallRequest, call: TriggerCall, wait: int) -> Response:
    if call.state == CallState.REJECTED and call.reason != "cancelled":  # that is what became of a delivery's first call
        response = answer_with_rejection(call_request, call)
    else:
        response = answer_with_outcome(request, call, wait) if wait else answer_with_state(request, call)
    return mark_repetition(response) if call.is_repetition else response


def mark_repetition(response: Response) -> Response:
    response[REPLAYED_HEADER] = "true"
    response.data["message"] = f"{response.data['message']} {REPEATED}".strip()
    return response


def read_tag(trigger: Trigger, parameters: Parameters) -> str:
    """Raises InvalidParameter."""
    tag = parse_tag(parameters.get_own("tag"))
    if tag and trigger.action != Action.REDEPLOY:
        raise InvalidParameter("tag", "This link scales; only a redeploy can change the tag.")
    return tag


def check_body_size(request: HttpRequest) -> None:
    """Refuses a body over the limit even where nothing in it is needed. Raises BodyTooLarge."""
    length = request.headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:20]) > settings.HOOK_BODY_LIMIT:
        raise BodyTooLarge


def has_body(request: HttpRequest) -> bool:
    return request.headers.get("Content-Length", "0") not in {"", "0"} or "Transfer-Encoding" in request.headers


def authenticate_trigger(request: HttpRequest, parameters: Parameters) -> Trigger:
    """The trigger that the link names, when its secret and every field are right. Raises HookRefused."""
    trigger_url = parameters.get("triggerUrl")
    if not isinstance(trigger_url, str) or not trigger_url:
        raise HookRefused(400, "The triggerUrl parameter is missing; copy the link from the console again.")
    secret = read_secret(request, parameters)
    try:
        fields = links.decode_trigger_url(trigger_url)
    except links.MalformedLink as error:
        raise HookRefused(400, f"{error} Copy the link from the console again.") from error
    trigger = check_secret(find_trigger(fields.id), secret)
    if trigger.link_fields != fields:
        raise HookRefused(404, UNKNOWN)
    return trigger


def find_trigger(public_id: str) -> Trigger | None:
    """With as much of its application and cluster as the hook needs; another column of theirs takes a query."""
    with connection.cursor() as cursor:
        cursor.execute(FIND_TRIGGER, [public_id])
        row = cursor.fetchone()
    if row is None:
        return None
    name, protected, cluster_id, cluster_uid, cluster_name, *own = row
    values = dict(zip(TRIGGER_FIELDS, own, strict=True))
    values["secret"] = EncryptedTextField().from_db_value(values["secret"])
    values["enabled"] = bool(values["enabled"])  # SQLite has numbers for it
    application_id = values["application_id"]
    trigger = load_row(Trigger, **values)
    trigger.application = load_row(Application, id=application_id, cluster_id=cluster_id, name=name, protected=bool(protected))
    trigger.application.cluster = load_row(Cluster, id=cluster_id, uid=cluster_uid, name=cluster_name)
    return trigger


def load_row(model: type[Row], **values: Any) -> Row:
    """As a query makes it that reads these columns alone."""
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(DEFAULT_DB_ALIAS, names, [values.get(name, DEFERRED) for name in names])


def read_secret(request: HttpRequest, parameters: Parameters) -> str:
    secret = request.headers.get(SECRET_HEADER) or parameters.get("secret")
    if not isinstance(secret, str) or not secret:
        raise HookRefused(400, MISSING_SECRET)
    return secret


def check_secret(trigger: Trigger | None, secret: str) -> Trigger:
    """The trigger again; one identical refusal, in the same time, for an unknown trigger and a wrong secret."""
    wanted = trigger.secret if trigger else EncryptedTextField().from_db_value(DUMMY_SECRET)
    matches = hmac.compare_digest((wanted or "").encode(), secret.encode())
    if not (trigger and wanted and matches):
        raise HookRefused(404, UNKNOWN)
    return trigger


def answer_alert(
    request: HttpRequest,
    parameters: Parameters,
    trigger: Trigger,
    message: Message,
    notification: Notification,
    wait: int,
) -> Response:
    """As for a plain call; 200 and why not for the state that the trigger does not act on."""
    if not acts_on(trigger, notification):
        return answer_with_delivery(ignore_notification(message, notification, trigger))
    call_request = make_call_request(request, parameters, trigger)
    return answer_with_call(request, call_request, accept_notification(message, notification, call_request), wait)


def answer_push(request: HttpRequest, receipt: Receipt, wait: int) -> Response:
    """Answer a push at a trigger's own link: like a plain call if the push made one, with the decision about each image."""
    call = next((line.call for line in receipt.lines if line.decision == Decision.TRIGGERED), None)
    if call is None:
        return answer_with_delivery(receipt)
    response = answer_with_outcome(request, call, wait) if wait else answer_with_state(request, call)
    response.data |= describe_delivery(receipt)
    return response


def answer_with_delivery(receipt: Receipt) -> Response:
    """Answer 200 also for a message that is ignored: registries repeat a refused message, in order and without end."""
    delivery = receipt.delivery
    code = 401 if delivery.decision == Decision.SIGNATURE else 200
    return answer(code, delivery.message, **describe_delivery(receipt))


def describe_delivery(receipt: Receipt) -> dict[str, Any]:
    return {"deliveryId": str(receipt.delivery.pk), "lines": [describe_line(line) for line in receipt.lines]}


def describe_line(line: DeliveryLine) -> dict[str, str]:
    call = {"requestId": str(line.call_id)} if line.call_id else {}
    return {name: getattr(line, name) for name in ("image", "tag", "digest", "decision", "message")} | call


def answer_with_rejection(call_request: CallRequest, call: TriggerCall) -> Response:
    more = {"state": call.state, "reason": call.reason}
    if call.reason != "cooldown":
        return answer(403, call.message, call, **more)
    response = answer(429, call.message, call, **more)
    response["Retry-After"] = str(max(remaining_cooldown(call_request, call.queued_at), 1))
    return response


def answer_with_state(request: HttpRequest, call: TriggerCall) -> Response:
    return answer(200, call.message, call, **describe_call(request, call))


def answer_with_outcome(request: HttpRequest, call: TriggerCall, seconds: int) -> Response:
    """Holds the answer until the call, or the one that covers it, has ended: 200 succeeded, 500 failed or rolled back,
    504 not known yet."""
    request.acknowledged_at = time.perf_counter()  # type: ignore[attr-defined] # for console.telemetry.request_log
    try:
        waiters.wait_for_end(call.coalesced_into_id or call.pk, seconds)
        ended = TriggerCall.objects.select_related("coalesced_into").get(pk=call.pk)
    except TooManyWaiters:
        message = "Too many callers are waiting already; the call goes on, ask statusUrl for its outcome."
        return answer(504, message, call, **describe_call(request, call))
    except DatabaseError as error:
        log.error("the database does not tell a call's outcome", error=str(error))
        message = "The database does not answer; the call was recorded before that, ask statusUrl for its outcome later."
        return answer(504, message, call, **describe_call(request, call))
    call, outcome = ended, outcome_of(ended)
    described = {**describe_call(request, call), "state": outcome.state, "reason": outcome.reason}
    if outcome.state == CallState.SUCCEEDED:
        return answer(200, outcome.message, call, **described)
    if outcome.is_active:
        why = "The console is being restarted" if waiters.is_stopping else f"Not finished after {seconds} s"
        return answer(504, f"{why}; the call goes on, ask statusUrl for its outcome.", call, **described)
    return answer(500, outcome.message, call, **described)


def describe_call(request: HttpRequest, call: TriggerCall) -> dict[str, Any]:
    more: dict[str, Any] = {"state": call.state}
    if call.reason:
        more["reason"] = call.reason
    if call.coalesced_into_id:
        more["coalescedInto"] = str(call.coalesced_into_id)
    # A caller that sends its secret in a header keeps it out of addresses, and so do we.
    secret = "" if request.headers.get(SECRET_HEADER) else request.GET.get("secret", "")
    more["statusUrl"] = build_status_url(call, public_base_url(request), secret)
    return more
