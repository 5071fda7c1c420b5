"""What the Triggers panel shows of callers that prove themselves without the secret: signed calls, and trusted build jobs."""

import json
from dataclasses import dataclass
from urllib.parse import parse_qsl

from django.http import HttpRequest
from django.utils.functional import cached_property

from console.pages.shared.trigger_panel import proof_texts
from console.pages.shared.trigger_panel.snippet_texts import write_example
from triggers.identity.conditions import PATTERN, warn_of
from triggers.identity.presets import Preset
from triggers.links import build_link
from triggers.models import Action, Trigger, TrustedJob
from triggers.selectors import public_base_url


@dataclass(frozen=True)
class JobCondition:
    claim: str
    is_pattern: bool
    value: str


@dataclass(frozen=True)
class ShownJob:
    """A trusted job, with its conditions, a warning of loose ones, and the text that calls the link from such a job."""

    job: TrustedJob
    conditions: list[JobCondition]
    warning: str
    text: str


@dataclass(frozen=True)
class TriggerProofs:
    """The trusted jobs of a trigger; they are read only when they are shown: of a long list of triggers at most one is open."""

    request: HttpRequest
    trigger: Trigger

    @cached_property
    def jobs(self) -> list[ShownJob]:
        found = list(self.trigger.trusted_jobs.all())
        for job in found:
            job.trigger = self.trigger
        return [describe_job(self.request, job) for job in found]

    @cached_property
    def signed_curl(self) -> str:
        return write_signed_curl(self.request, self.trigger)


def describe_job(request: HttpRequest, job: TrustedJob) -> ShownJob:
    conditions = [
        JobCondition(claim, PATTERN in condition, next(iter(condition.values()))) for claim, condition in job.conditions.items()
    ]
    write = proof_texts.WRITERS[Preset(job.preset)]
    text = write(build_public_link(request, job.trigger) + example_parameters(job.trigger), job.audience)
    return ShownJob(job, conditions, warn_of(job.conditions, job.preset), text)


def build_public_link(request: HttpRequest, trigger: Trigger) -> str:
    """Return the link without its secret."""
    return build_link(public_base_url(request), trigger.link_fields, "")


def write_signed_curl(request: HttpRequest, trigger: Trigger) -> str:
    """Return shell lines that make a signed call. What they ask for is in the body, which is signed; the address is not."""
    body = json.dumps(dict(parse_qsl(example_parameters(trigger)))) if example_parameters(trigger) else "{}"
    return proof_texts.write_signed_lines(build_public_link(request, trigger), body, with_secret=not trigger.needs_no_secret)


def example_parameters(trigger: Trigger) -> str:
    return write_example(scales=trigger.action == Action.SCALING)
