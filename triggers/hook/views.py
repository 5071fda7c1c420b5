"""The hook's endpoints: a trigger's link, a registry's link, and the outcome of a call. No session, no redirect, no CSRF."""

import contextlib
import uuid
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, IntegrityError, ProgrammingError
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.callers import client_address
from triggers.bodies import BodyTooLarge, Parameters, check_body_size, has_body
from triggers.calls.accept import accept_call
from triggers.calls.lost_answers import lost_answers
from triggers.calls.repetitions import identify_delivery
from triggers.calls.requests import SCALE_TYPES, CallRequest, InvalidParameter, parse_commit, parse_step, parse_tag, parse_wait
from triggers.hook.answers import (
    answer,
    answer_push,
    answer_refusal,
    answer_with_call,
    answer_with_delivery,
    answer_with_outcome,
    answer_with_state,
)
from triggers.hook.authentication import (
    ProvedCaller,
    UnknownLink,
    authenticate_registry,
    check_caller,
    find_named_trigger,
    prove_secret,
    read_secret,
)
from triggers.hook.link_page import answer_visitor, is_navigation, render_answer
from triggers.hook.narrowing import check_secret_place
from triggers.hook.outcome_tokens import TOKEN_PARAMETER, check_outcome_token
from triggers.hook.safe_get import PostOnly, check_meant
from triggers.hook_queries import find_outcome_key
from triggers.link_repair import repair_value
from triggers.models import Action, Trigger, TriggerCall
from triggers.payloads.alerts import read_notification
from triggers.pushes.alerts import accept_notification, acts_on, ignore_notification
from triggers.pushes.events import ignore_event
from triggers.pushes.receiving import read_message, read_query, receive_delivery, receive_message
from triggers.pushes.refused_calls import refused_calls
from triggers.refusals import CallRefused

log = structlog.get_logger("windlass.hook")

EVENT_HEADERS = ("X-GitHub-Event", "X-Gitea-Event", "X-Forgejo-Event")
RETRY_DATABASE_SECONDS = 5
QUERY_FIELDS = 64
LINKS_PREFIX = "/hook/"
MISFITS = (IntegrityError, ProgrammingError)  # the database answers, and refuses what this version writes
DATABASE_MISFIT = (
    "The database answers, but refuses this version of the console. Nothing was done. Whoever operates the console finds the "
    "reason at /readyz and in the log."
)


class AlwaysJSON(BaseContentNegotiation):
    """Every answer is JSON, whatever the caller says that it accepts: curl, browsers and registries all say something else."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


class WrongMethod(CallRefused):
    """A request with a method that no link knows."""

    status, code = 405, "wrong_method"

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} does nothing here; call the link with GET or POST.")


class HookView(APIView):
    """The behaviour that all endpoints share. DRF authenticates nobody here: the secret in the link does."""

    authentication_classes: tuple[()] = ()
    permission_classes: tuple[()] = ()
    content_negotiation_class = AlwaysJSON
    schema = None
    database_away = (
        "The database does not answer. Nothing was recorded, unless the connection was lost while the call was being recorded. "
        "Try again later; with an Idempotency-Key no call counts twice."
    )
    failed = (
        "The console failed; its log says why. The call may have been recorded before that: "
        "look at Activity before you call again."
    )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse an address with more parameters than anyone sends, before they are parsed: that takes time."""
        if request._request.META.get("QUERY_STRING", "").count("&") > QUERY_FIELDS:
            raise CallRefused("The address has too many parameters. Call the link as the console shows it.", code="unreadable")
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """A browser that opens the address gets a page instead of JSON."""
        final = super().finalize_response(request, response, *args, **kwargs)
        return render_answer(final) if is_navigation(request.headers) and final.data is not None else final

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, MethodNotAllowed):
            exc = WrongMethod(self.request.method or "")
            exc.allow = ", ".join(self.allowed_methods)
        if isinstance(exc, DatabaseError):
            log.error("the database does not answer a link", error=str(exc)[:500])
            message = DATABASE_MISFIT if isinstance(exc, MISFITS) else self.database_away
            exc = CallRefused(message, status=503, code="database_away", retry_after=RETRY_DATABASE_SECONDS)
        if isinstance(exc, RequestDataTooBig):
            exc = BodyTooLarge()
        elif isinstance(exc, SuspiciousOperation):  # more than a thousand fields, for example
            exc = CallRefused("The request cannot be read. Send the link as the console shows it.", code="unreadable")
        if isinstance(exc, CallRefused):
            if exc.allow:
                self.headers["Allow"] = exc.allow  # DRF sets the header from these
            return answer_refusal(exc)
        if isinstance(exc, APIException):
            return answer(exc.status_code, str(exc.detail))
        log.exception("a link failed")
        return answer(500, self.failed)


class TriggerHook(HookView):
    """`/hook/trigger?triggerUrl=…&secret=…`: GET, POST and PUT act; HEAD and OPTIONS never do, nor does a GET that is not meant
    as a call (triggers.hook.safe_get, triggers.hook.link_page)."""

    http_method_names = ["get", "post", "put"]

    def get(self, request: Request) -> Response:
        http = request._request
        parameters = Parameters(http)
        trigger = find_named_trigger(parameters)
        try:
            check_meant(http)
            return answer_trigger_link(http, parameters, check_caller(http, parameters, trigger))
        except CallRefused as refusal:
            if isinstance(refusal, UnknownLink) if trigger is None else refusal.status != 200:
                refused_calls.note(http, trigger, refusal)
            raise

    post = get
    put = get

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        with contextlib.suppress(CallRefused):
            if trigger := find_named_trigger(Parameters(request._request)):
                refused_calls.note(request._request, trigger, WrongMethod(request.method or ""))
        return super().http_method_not_allowed(request, *args, **kwargs)


class CallHook(HookView):
    """`/hook/calls/<requestId>?token=…`: a call's outcome, without a login. `wait=` works here too. The trigger's own secret,
    as a parameter or in its header, is accepted in place of the token."""

    http_method_names = ["get"]
    database_away = "The database does not answer. Try again later."

    def get(self, request: Request, call_id: uuid.UUID) -> Response:
        return answer_with_call_state(request._request, call_id)


def answer_with_call_state(http: HttpRequest, call_id: uuid.UUID) -> Response:
    """Answer with a call's outcome, now or after up to `wait` seconds, if the caller may read it."""
    parameters = Parameters(http)
    token = repair_value(parameters.get_from_query(TOKEN_PARAMETER) or "")
    secret = "" if token else read_secret(http, parameters)
    known = find_outcome_key(call_id)
    if token:
        check_outcome_token(call_id, known, token)
    else:
        proof = prove_secret(known, secret)  # an unknown call takes the same work
        if known is None or proof is None:
            raise UnknownLink
        if known.header_only:
            check_secret_place(http, parameters, proof)
    call = TriggerCall.objects.select_related("trigger", "coalesced_into").get(pk=call_id)
    wait = parse_wait(read_from_query(parameters, "wait") if token else parameters.get("wait"))
    if wait:
        return answer_with_outcome(http, call, wait)
    return answer_with_state(http, call)


def read_from_query(parameters: Parameters, name: str) -> str | None:
    """Return a parameter from the address alone: `wait` for whoever has only a token and needs no body, and what a body of
    another sender could name too. Raises ContradictoryParameter."""
    value = parameters.get_from_query(name)
    return None if value is None else repair_value(value)


class RegistryHook(HookView):
    """`/hook/registry/<token>`: a registry's inbound link. GET too: that is how Diun sends its JSON by default."""

    http_method_names = ["get", "post", "put"]

    def get(self, request: Request, token: str) -> Response:
        check_meant(request._request)
        check_body_size(request._request)
        try:
            registry = authenticate_registry(token)
        except UnknownLink as refusal:
            refused_calls.note(request._request, None, refusal)
            raise
        if request.method == "GET" and is_navigation(request.headers):
            return answer(200, f"This link receives the messages of the registry {registry.host}. To open it does nothing.")
        return answer_with_delivery(receive_delivery(request._request, registry))

    post = get
    put = get


def answer_trigger_link(request: HttpRequest, parameters: Parameters, caller: ProvedCaller) -> Response:
    """Decide by the body what the request is: a ping, alerts, a push of an image, or a plain call."""
    trigger = caller.trigger
    check_body_size(request)
    parameters.check_agreement()
    if request.method == "GET" and is_navigation(request.headers):
        return answer_visitor(make_call_request(request, parameters, caller))
    if trigger.post_only and request.method == "GET":
        raise PostOnly
    if any(request.headers.get(name, "").lower() == "ping" for name in EVENT_HEADERS):
        return answer(200, "pong")
    wait = parse_wait(parameters.get("wait"))
    message = read_message(request, parameters) if has_body(request) else read_query(request)
    if message and (notification := read_notification(message.body, message.headers)):
        if not acts_on(trigger, notification):
            return answer_with_delivery(ignore_notification(message, notification, trigger))
        call_request = make_call_request(request, parameters, caller)
        return answer_with_call(request, accept_notification(message, notification, call_request, caller.proved_id), wait)
    if message and (ignored := ignore_event(message, trigger)):
        return answer_with_delivery(ignored)
    if message and trigger.action == Action.REDEPLOY and message.concerns_images:
        # Another message of the same sender, such as a git push, is a plain call.
        return answer_push(request, receive_message(message, trigger=trigger, **caller.describe()), wait)
    call_request = make_call_request(request, parameters, caller)
    return answer_with_call(request, lost_answers.find_call(call_request) or accept_call(call_request), wait)


def make_call_request(request: HttpRequest, parameters: Parameters, caller: ProvedCaller) -> CallRequest:
    """Raises InvalidParameter."""
    trigger = caller.trigger
    tag = read_tag(trigger, parameters)
    step = read_step(trigger, parameters)
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
        delivery_id=caller.proved_id or identify_delivery(request.headers, step, tag),
        proof=caller.proof,
        identity=caller.identity,
        built_from=parse_commit(read_from_query(parameters, "commit"), read_from_query(parameters, "repository")),
    )


def read_step(trigger: Trigger, parameters: Parameters) -> int | None:
    """Return the signed step that the call asks for; None at a link that redeploys. Raises InvalidParameter."""
    if trigger.action == Action.SCALING:
        return parse_step(parameters.get("type"), parameters.get("step"))
    asked = [name for name in ("type", "step") if parameters.get_from_query(name) is not None]
    if asked or parameters.get_own("type") in SCALE_TYPES:
        name = asked[0] if asked else "type"
        raise InvalidParameter(name, f"This link redeploys and takes no {name}. To scale, use the link of a scaling trigger.")
    return None


def read_tag(trigger: Trigger, parameters: Parameters) -> str:
    """Return the tag that the call asks for; empty for none. Raises InvalidParameter."""
    tag = parse_tag(parameters.get_own("tag"))
    if tag and trigger.action != Action.REDEPLOY:
        raise InvalidParameter("tag", "This link scales; only a redeploy can change the tag.")
    return tag


def answer_unknown_link() -> HttpResponse:
    """Return the answer to an address below LINKS_PREFIX that does not exist."""
    message = "No link has this address. Copy the link from the console again."
    return JsonResponse({"code": "404", "message": message, "requestId": None}, status=404)
