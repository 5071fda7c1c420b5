"""A call in words: its request's parameters, its outcome, its progress and what a cancellation would do."""

import re
from dataclasses import dataclass

from django.utils import timezone

from console.wording import duration, parts
from triggers.models import Action, CallState, TriggerCall
from triggers.selectors import call_duration


def list_parameters(call: TriggerCall) -> list[str]:
    """Return the request's parameters by their documented names, such as `step=5`; not the secret, which is not stored."""
    if call.container:
        return [f"container={call.container}"]
    if call.returns_to:
        return ["previous=true"]
    if call.tag or call.start_stopped:
        return [*([f"tag={call.tag}"] if call.tag else []), *(["start_stopped=true"] if call.start_stopped else [])]
    if call.replicas is not None:
        return [f"replicas={call.replicas}"]
    if call.step is None:
        return []
    return [f"type={'scale_out' if call.step > 0 else 'scale_in'}", f"step={abs(call.step)}"]


def summarize_call(call: TriggerCall) -> str:
    """Return the outcome in one sentence: the state, how long the call took, and its own message. Another sentence says how
    many more calls were counted on this one."""
    words, message = _describe_state(call), shorten_message(call.message)
    sentence = f"{words}: {message}" if message else f"{words}."
    return f"{sentence} And {call.repeated} more in the same minute for the same reason." if call.repeated else sentence


def shorten_message(message: str) -> str:
    """Return the message without the list of images, which the page shows as a table, and with digests as short as there."""
    return DIGEST.sub(r"\1", IMAGE_LIST.sub(r"\1.", message))


def _describe_state(call: TriggerCall) -> str:
    word = call.get_state_display()
    took = call_duration(call)
    if call.state == CallState.QUEUED:
        return "Held back" if call.held_until else "Waiting for its turn at the application"
    if call.state == CallState.RUNNING and call.started_at:
        progress = describe_progress(call)
        return f"Running for {duration(timezone.now() - call.started_at)}{f': {progress}' if progress else ''}"
    if took is None or call.state in (CallState.COALESCED, CallState.REJECTED):
        return word
    return f"{word} {'after' if call.state in (CallState.FAILED, CallState.ROLLED_BACK) else 'in'} {duration(took)}"


def describe_cancellation(call: TriggerCall) -> str:
    """Say what a cancellation would do, or that it was requested; return an empty text where there is nothing to cancel."""
    if not call.is_active:
        return ""
    led = call.merged_into or call
    if led.cancel_requested_at:
        return f"{led.cancelled_by} is cancelling this call. It stops at the next safe step."
    if call.state == CallState.QUEUED:
        return "This call is waiting. If you cancel it, nothing is done."
    ends = {Action.REDEPLOY: " and rolls back to what ran before", Action.SCALING: " and rolls back to the previous count"}
    end = ends.get(Action(call.action), "; what was done by then stays")
    together = " All scale calls that were merged into this change are cancelled with it." if led.merged_calls.exists() else ""
    return f"If you cancel this call, it stops at the next safe step{end}.{together}"


# The services' images, of several: `3 containers of shop were replaced and run: 1 of web with sha256:… (shop-web:2), …`.
IMAGE_LIST = re.compile(r"( were replaced and run| were updated): .*?(?:\)|@sha256:[0-9a-f]{12})\.(?= |$)")
DIGEST = re.compile(r"\bsha256:([0-9a-f]{12})[0-9a-f]*")


@dataclass(frozen=True)
class ServiceProgress:
    """The number of a service's tasks that are done, of those wanted."""

    service: str
    done: int
    wanted: int


def read_progress(call: TriggerCall) -> list[ServiceProgress]:
    """Return how far Swarm has come with a call, service by service."""
    return [ServiceProgress(name, done, wanted) for name, (done, wanted) in sorted(call.progress.items()) if wanted]


def describe_progress(call: TriggerCall) -> str:
    """Return the progress of all services together, such as `3 of 5 tasks updated`; empty while nothing is known."""
    services = read_progress(call)
    done, wanted = sum(one.done for one in services), sum(one.wanted for one in services)
    word = "running" if call.action == Action.SCALING else "updated"
    return f"{done} of {wanted} {parts(call.application, wanted)} {word}" if services else ""
