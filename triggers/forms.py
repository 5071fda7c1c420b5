"""Forms that create and edit triggers, and that request a redeploy or scaling."""

from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import QuerySet

from clusters.engine.tags import is_one_repository
from clusters.models import Application, Service
from triggers.calls.requests import SCALE_TYPES, STEP_MAXIMUM, STEP_MINIMUM, TAG_RULE, InvalidParameter, parse_tag
from triggers.models import TRIGGER_CHOICES, Action, OnFailure, Trigger
from triggers.validation import COOLDOWN_MAXIMUM, REPLICAS_MAXIMUM

METHOD_CHOICES = [("False", "GET, POST or PUT"), ("True", "POST or PUT only")]
FREEZE_CHOICES = [("False", "Wait or are refused, as the freeze window says"), ("True", "Run in spite of freeze windows")]
FAILURE_CHOICES = [(OnFailure.ROLLBACK.value, "Roll back"), (OnFailure.PAUSE.value, "Leave it as it is")]


class TriggerWording(forms.ModelForm):
    """The labels and help texts of a trigger's fields, the same in the console's dialogs and in the admin."""

    class Meta:
        model = Trigger
        fields: tuple[str, ...] = (
            "name",
            "min_replicas",
            "max_replicas",
            "cooldown_seconds",
            "tag_pattern",
            "alert_state",
            "post_only",
            "during_freezes",
            "on_failure",
        )
        labels = {
            "min_replicas": "Minimum",
            "max_replicas": "Maximum",
            "cooldown_seconds": "Cool-down",
            "tag_pattern": "Allowed tags",
            "alert_state": "When an alert calls it, act",
            "post_only": "POST only",
            "during_freezes": "Calls during freezes",
            "on_failure": "On failure",
        }
        help_texts = {
            "name": 'Shown in lists, e.g. "Jenkins".',
            "min_replicas": "Scaling in stops at this number of replicas.",
            "max_replicas": "Scaling out stops at this number of replicas.",
            "cooldown_seconds": "For so many seconds after an accepted call, further calls in the same direction are rejected.",
            "tag_pattern": "Calls may pass tag=…; it must fully match this expression (e.g. v[0-9.]+). The change is permanent."
            " Leave empty to keep the tag.",
            "alert_state": "Alertmanager and Grafana send both; the other is ignored. Any other call acts at once.",
            "post_only": "GET does nothing, so whatever only looks at the link is harmless. Callers must use POST or PUT.",
            "during_freezes": "Freeze windows hold back none of its calls.",
            "on_failure": "Used if a change fails and the service's own update policy does not decide.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "on_failure" in self.fields:  # the admin leaves it out where it is read-only
            self.fields["on_failure"].choices = FAILURE_CHOICES  # type: ignore[attr-defined]


class TriggerOptionsForm(TriggerWording):
    """A trigger's options beside its action: the Edit dialog, and More options of the Create Trigger dialog."""

    OPTIONS = TriggerWording.Meta.fields

    cooldown_seconds = forms.IntegerField(
        label=TriggerWording.Meta.labels["cooldown_seconds"],
        min_value=0,
        max_value=COOLDOWN_MAXIMUM,
        initial=0,
        required=False,
        help_text=TriggerWording.Meta.help_texts["cooldown_seconds"],
    )
    # Two words to choose from, because a check box cannot be told from a form that lacks it.
    post_only = forms.TypedChoiceField(
        label="Accepted methods",
        choices=METHOD_CHOICES,
        coerce=lambda word: word == "True",
        empty_value=None,
        required=False,
        help_text="Without GET, whatever only looks at the link is harmless, such as a chat's preview of it.",
    )

    during_freezes = forms.TypedChoiceField(  # two words, for the same reason
        label=TriggerWording.Meta.labels["during_freezes"],
        choices=FREEZE_CHOICES,
        coerce=lambda word: word == "True",
        empty_value=None,
        required=False,
        help_text="Of this trigger, in a freeze window of the application or its cluster.",
    )

    class Meta(TriggerWording.Meta):
        # Beside each other under the heading of scaling, these two need no explanation.
        help_texts = TriggerWording.Meta.help_texts | {"min_replicas": "", "max_replicas": ""}

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        is_swarm = self.instance.application.is_swarm
        self.fields["min_replicas"].widget.attrs["min"] = 0 if is_swarm else 1
        self.fields["max_replicas"].widget.attrs["min"] = 1
        self.fields["alert_state"].required = False  # a form without it changes nothing
        if is_swarm:
            self.fields["on_failure"].required = False  # a form without it means the default
        else:
            del self.fields["on_failure"]  # a plain engine always rolls back
        if self.instance.action == Action.REDEPLOY:
            del self.fields["min_replicas"], self.fields["max_replicas"]
        elif self.instance.action == Action.SCALING:
            del self.fields["tag_pattern"]

    def list_changes(self) -> list[str]:
        """Return the fields whose values differ from the trigger's; a different spelling of the same value is no change."""
        return [name for name in self.fields if self.cleaned_data[name] != self.initial.get(name)]

    def clean_on_failure(self) -> str:
        return self.cleaned_data["on_failure"] or OnFailure.ROLLBACK

    def clean_alert_state(self) -> str:
        return self.cleaned_data["alert_state"] or self.initial["alert_state"]

    def clean_post_only(self) -> bool:
        chosen = self.cleaned_data["post_only"]
        return self.initial["post_only"] if chosen is None else chosen

    def clean_during_freezes(self) -> bool:
        chosen = self.cleaned_data["during_freezes"]
        return self.initial["during_freezes"] if chosen is None else chosen

    def clean_cooldown_seconds(self) -> int:
        return self.cleaned_data["cooldown_seconds"] or 0

    def _update_errors(self, errors: ValidationError) -> None:
        """Show errors of fields that the dialog lacks above all fields. The model checks those fields too."""
        by_field = errors.update_error_dict({})
        shown: dict[str, list[Any]] = {}
        for name, problems in by_field.items():
            shown.setdefault(name if name in self.fields else NON_FIELD_ERRORS, []).extend(problems)
        super()._update_errors(ValidationError(shown))  # type: ignore[misc]


class TriggerForm(TriggerOptionsForm):
    """The Create Trigger dialog. Scaling names its service; a redeploy can be limited to one under More options."""

    action = forms.ChoiceField(choices=TRIGGER_CHOICES, initial=Action.REDEPLOY)
    service = forms.ModelChoiceField(Service.objects.none(), required=False, empty_label="Choose a service")
    only_service = forms.ModelChoiceField(
        Service.objects.none(), label="Only this service", required=False, empty_label="All services"
    )

    class Meta(TriggerOptionsForm.Meta):
        fields = ("action", "service", *TriggerOptionsForm.OPTIONS)

    def __init__(self, application: Application, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, instance=Trigger(application=application), **kwargs)
        services = application.services.all()
        self._limit_services("service", services)
        self._limit_services("only_service", services)
        if len(services) == 1:
            self.initial["service"] = services[0].pk  # overrides the new instance, which has none

    def _limit_services(self, name: str, services: QuerySet[Service]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = services

    @property
    def has_wrong_options(self) -> bool:
        """Whether a field under More options has an error, so that they must be open."""
        return any(name in self.errors for name in (*self.OPTIONS, "only_service"))

    def clean(self) -> dict[str, Any]:
        """Keep only the fields that the dialog showed for the action. The model decides whether they are valid."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("action") == Action.REDEPLOY:
            cleaned["service"] = cleaned.get("only_service")
            cleaned["min_replicas"] = cleaned["max_replicas"] = None
        elif cleaned.get("action") == Action.SCALING:
            cleaned["tag_pattern"] = ""
        return cleaned


class RedeployForm(forms.Form):
    """Request a redeploy. If all services run images of one repository, a tag can be given.

    After a Stop, the request can be to start what it stopped.
    """

    start_stopped = forms.BooleanField(
        label="Start what was stopped in Windlass",
        required=False,
        help_text="Otherwise it is recreated and stays stopped.",
    )

    tag = forms.CharField(
        label="Tag",
        max_length=128,
        required=False,
        help_text="Changes the image to this tag, permanently. Leave empty to keep the tag.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, application: Application, data: Any = None, *, service: Service | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        services = [service] if service else application.services.all()
        images = [one.image for one in services if one.status != Application.Status.ABSENT]
        if not is_one_repository(images):
            del self.fields["tag"]
        if not application.left_stopped:
            del self.fields["start_stopped"]

    def clean_tag(self) -> str:
        try:
            return parse_tag(self.cleaned_data["tag"] or None)
        except InvalidParameter as error:
            raise ValidationError(f"Only {TAG_RULE}") from error


class ScaleForm(forms.Form):
    """Scale a service by a step or to a count. A step starts from the running containers, on a Swarm from the wanted tasks."""

    HOW = (("scale_out", "Scale out by"), ("scale_in", "Scale in by"), ("to", "Scale to"))

    how = forms.ChoiceField(label="How", choices=HOW, initial="scale_out")
    count = forms.IntegerField(min_value=0, max_value=REPLICAS_MAXIMUM, initial=1)

    def __init__(self, service: Service, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.service = service
        self.is_swarm = service.application.is_swarm
        self.minimum = 0 if self.is_swarm else 1
        self.fields["count"].label = "Tasks" if self.is_swarm else "Containers"
        self.fields["count"].widget.attrs["min"] = self.minimum

    def clean(self) -> dict[str, Any]:
        """Check the bounds: a step has those of a link's, a count to reach has wider ones."""
        cleaned = super().clean() or self.cleaned_data
        how, count = cleaned.get("how"), cleaned.get("count")
        if how is None or count is None:
            return cleaned
        least, most = (self.minimum, REPLICAS_MAXIMUM) if how == "to" else (STEP_MINIMUM, STEP_MAXIMUM)
        if not least <= count <= most:
            self.add_error("count", f"Enter a whole number from {least} to {most}.")
        return cleaned

    def call_parameters(self) -> dict[str, int]:
        """Return `step` or `replicas` for the CallRequest."""
        how, count = self.cleaned_data["how"], self.cleaned_data["count"]
        return {"replicas": count} if how == "to" else {"step": SCALE_TYPES[how] * count}

    def effect(self) -> str:
        """Describe what the call will do, as far as the console knows the service."""
        if self.is_bound and not self.is_valid():
            return "; ".join(str(error) for errors in self.errors.values() for error in errors)
        how, count = self._chosen()
        base = self.service.replicas if self.is_swarm else self.service.running
        wanted = {"scale_out": base + count, "scale_in": max(base - count, self.minimum), "to": count}[how]
        return f"{self._describe_now()} {self._describe_change(how, base, wanted)}"

    def _chosen(self) -> tuple[str, int]:
        if self.is_bound:
            return self.cleaned_data["how"], self.cleaned_data["count"]
        return "scale_out", 1

    def _describe_now(self) -> str:
        running = self.service.running
        if not self.is_swarm:
            return f"{count_noun(running, 'container')} of {self.service} {choose_verb(running)} running."
        wanted = self.service.replicas
        seen = "" if running == wanted else f", {running or 'none'} {choose_verb(running)} running"
        return f"{count_noun(wanted, 'task')} of {self.service} {choose_verb(wanted)} wanted{seen}."

    def _describe_change(self, how: str, base: int, wanted: int) -> str:
        if wanted == base:
            last = how == "scale_in" and not self.is_swarm
            return f"Nothing will change{': the last one is never removed' if last else ''}."
        if wanted > base:
            return f"{wanted - base} will be added, {wanted} in total."
        rest = f"{wanted or 'none'} {'remain' if wanted > 1 else 'remains'}"
        if self.is_swarm:
            return f"{base - wanted} will be stopped; {rest}. Swarm chooses which tasks to stop."
        return f"{base - wanted} will be removed, the newest first; {rest}."


class TestCallForm(forms.Form):
    """The two parameters that a scaling link accepts."""

    __test__ = False  # not a test class, whatever its name

    type = forms.ChoiceField(choices=[(name, name) for name in reversed(SCALE_TYPES)], initial="scale_out")
    step = forms.IntegerField(min_value=STEP_MINIMUM, max_value=STEP_MAXIMUM, initial=1)

    def signed_step(self) -> int:
        return SCALE_TYPES[self.cleaned_data["type"]] * self.cleaned_data["step"]


def count_noun(number: int, noun: str) -> str:
    """Return `No containers`, `1 container` or `2 containers`."""
    return f"{number or 'No'} {noun}{'' if number == 1 else 's'}"


def choose_verb(number: int) -> str:
    return "is" if number == 1 else "are"
