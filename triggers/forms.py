"""Forms that make triggers and ask for scaling."""

from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import QuerySet

from clusters.models import Application, Service
from triggers.models import Action, Trigger
from triggers.requests import SCALE_TYPES, STEP_MAXIMUM, STEP_MINIMUM

NO_REGISTRY = "No registry is connected yet, so Windlass is not told of new images."


class TriggerForm(forms.ModelForm):
    """The Create Trigger dialog. Scaling names its service; a redeploy may be narrowed to one under More options."""

    action = forms.ChoiceField(choices=Action.choices, initial=Action.REDEPLOY)
    image_update = forms.BooleanField(
        label="Associated with Image Update", required=False, disabled=True, help_text=NO_REGISTRY
    )
    service = forms.ModelChoiceField(Service.objects.none(), required=False, empty_label="Choose a service")
    only_service = forms.ModelChoiceField(
        Service.objects.none(), label="Only this service", required=False, empty_label="All services"
    )
    cooldown_seconds = forms.IntegerField(
        label="Cool-down",
        min_value=0,
        max_value=86_400,
        initial=0,
        required=False,
        help_text="Seconds after an accepted call in which further calls in the same direction are rejected.",
    )

    class Meta:
        model = Trigger
        fields = ("action", "service", "name", "min_replicas", "max_replicas", "cooldown_seconds")
        labels = {"min_replicas": "Minimum", "max_replicas": "Maximum"}
        help_texts = {"name": "For people: who calls it, for example."}

    def __init__(self, application: Application, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, instance=Trigger(application=application), **kwargs)
        self.application = application
        services = application.services.all()
        self._limit_services("service", services)
        self._limit_services("only_service", services)
        if len(services) == 1:
            self.fields["service"].initial = services[0].pk
        for name in ("min_replicas", "max_replicas"):
            self.fields[name].widget.attrs["min"] = 1

    def _limit_services(self, name: str, services: QuerySet[Service]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = services

    @property
    def has_wrong_options(self) -> bool:
        """Whether an error hides under More options, which must then be open."""
        return any(name in self.errors for name in ("name", "min_replicas", "max_replicas", "cooldown_seconds", "only_service"))

    def clean_cooldown_seconds(self) -> int:
        return self.cleaned_data["cooldown_seconds"] or 0

    def clean(self) -> dict[str, Any]:
        """Only what the dialog showed counts; whether it is acceptable is the model's to say."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("action") == Action.REDEPLOY:
            cleaned["service"] = cleaned.get("only_service")
            cleaned["min_replicas"] = cleaned["max_replicas"] = None
        return cleaned

    def _update_errors(self, errors: ValidationError) -> None:
        """The model also judges fields that the dialog does not have: what it says of them stands above the fields."""
        by_field = errors.update_error_dict({})
        shown: dict[str, list[Any]] = {}
        for name, problems in by_field.items():
            shown.setdefault(name if name in self.fields else NON_FIELD_ERRORS, []).extend(problems)
        super()._update_errors(ValidationError(shown))  # type: ignore[misc]


class ScaleForm(forms.Form):
    """Scale a service by a step or to a count."""

    HOW = (("scale_out", "Scale out by"), ("scale_in", "Scale in by"), ("to", "Scale to"))

    how = forms.ChoiceField(label="How", choices=HOW, initial="scale_out")
    count = forms.IntegerField(label="Containers", min_value=STEP_MINIMUM, max_value=STEP_MAXIMUM, initial=1)

    def __init__(self, service: Service, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.service = service

    def call_parameters(self) -> dict[str, int]:
        """`step` or `replicas` of the CallRequest."""
        how, count = self.cleaned_data["how"], self.cleaned_data["count"]
        return {"replicas": count} if how == "to" else {"step": SCALE_TYPES[how] * count}

    def effect(self) -> str:
        """What will happen, spelled out from what is running as far as the console knows."""
        if self.is_bound and not self.is_valid():
            return "; ".join(str(error) for errors in self.errors.values() for error in errors)
        how, count = self._chosen()
        running = self.service.running
        wanted = {"scale_out": running + count, "scale_in": max(running - count, 1), "to": count}[how]
        now = f"{_count_containers(running)} of {self.service} {'runs' if running == 1 else 'run'} now."
        if wanted == running:
            return f"{now} Nothing would change{': the last one is never removed' if how == 'scale_in' else ''}."
        if wanted > running:
            return f"{now} {wanted - running} will be added: {wanted} in all."
        return f"{now} {running - wanted} will be removed, the newest first: {wanted} stay."

    def _chosen(self) -> tuple[str, int]:
        if self.is_bound:
            return self.cleaned_data["how"], self.cleaned_data["count"]
        return "scale_out", 1


class TestCallForm(forms.Form):
    """The two parameters that a scaling link takes."""

    __test__ = False  # not a test class, whatever its name

    type = forms.ChoiceField(choices=[(name, name) for name in reversed(SCALE_TYPES)], initial="scale_out")
    step = forms.IntegerField(min_value=STEP_MINIMUM, max_value=STEP_MAXIMUM, initial=1)

    def signed_step(self) -> int:
        return SCALE_TYPES[self.cleaned_data["type"]] * self.cleaned_data["step"]


def _count_containers(count: int) -> str:
    return f"{count or 'No'} container{'' if count == 1 else 's'}"
