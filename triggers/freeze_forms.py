"""The forms of a freeze window, and of the reason to call in spite of one."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from triggers.freeze_changes import REASON_LENGTH
from triggers.models import FreezeWindow
from triggers.timing.spans import find_zone, list_zones

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAY_CHOICES = [(str(number), name) for number, name in enumerate(DAY_NAMES)]
END_CHOICES = [("", "The same or the next day"), *DAY_CHOICES]
WEEKLY, ONCE = "weekly", "once"
CLOCK = {"type": "time"}
LOCAL_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
FIELD_OF = {"starts_at": "first", "ends_at": "last"}  # model field → form field


class FreezeWindowForm(forms.ModelForm):
    """The Add and Edit dialogs. `how` decides which times count; the others are dropped. Moments are read in the window's own
    time zone."""

    how = forms.ChoiceField(label="Repeats", choices=[(WEEKLY, "Every week"), (ONCE, "Once")], initial=WEEKLY)
    days = forms.TypedMultipleChoiceField(
        label="Begins on", choices=DAY_CHOICES, coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    start_time = forms.TimeField(label="From", required=False, widget=forms.TimeInput(attrs=CLOCK, format="%H:%M"))
    end_day = forms.TypedChoiceField(label="Ends on", choices=END_CHOICES, coerce=int, empty_value=None, required=False)
    end_time = forms.TimeField(label="Until", required=False, widget=forms.TimeInput(attrs=CLOCK, format="%H:%M"))
    first = forms.CharField(label="From", required=False, max_length=32, widget=forms.TextInput({"type": "datetime-local"}))
    last = forms.CharField(label="Until", required=False, max_length=32, widget=forms.TextInput({"type": "datetime-local"}))

    class Meta:
        model = FreezeWindow
        fields = ("name", "reason", "behaviour", "includes_scaling", "zone", "days", "start_time", "end_day", "end_time")
        labels = {"behaviour": "Calls", "includes_scaling": "Scalings too", "zone": "Time zone"}
        help_texts = {
            "name": 'Shown to those whose calls wait, e.g. "weekend".',
            "reason": "Shown with the name. Leave empty for none.",
            "behaviour": "",
            "includes_scaling": "Otherwise scalings go on, by hand and by links.",
            "zone": "Such as Europe/Berlin. It counts for every time here, with its summer time.",
        }
        widgets = {"zone": forms.TextInput({"list": "zones", "autocomplete": "off", "spellcheck": "false"})}

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        window: FreezeWindow = self.instance
        self.fields["name"].widget.attrs["autocomplete"] = "off"
        if window.pk and not window.days:
            self.initial["how"] = ONCE
        for name, moment in (("first", window.starts_at), ("last", window.ends_at)):
            if moment:
                self.initial[name] = moment.astimezone(find_zone(window.zone)).strftime(LOCAL_FORMATS[0])
        self.initial["days"] = [str(day) for day in window.days]

    @property
    def zones(self) -> list[str]:
        return sorted(list_zones())

    def clean(self) -> dict[str, Any]:
        """Drop the times of the other kind, and give the moments a zone."""
        cleaned = super().clean() or self.cleaned_data
        is_once = cleaned.get("how") == ONCE
        if is_once:
            cleaned |= {"days": [], "start_time": None, "end_day": None, "end_time": None}
        elif not cleaned.get("days") and "days" not in self.errors:
            self.add_error("days", "Choose at least one day.")
        zone = cleaned.get("zone", "UTC")
        for name, field in FIELD_OF.items():
            moment = self._read_moment(field, zone) if is_once else None
            setattr(self.instance, name, moment)
        return cleaned

    def _read_moment(self, field: str, zone: str) -> datetime | None:
        text = self.cleaned_data.get(field, "")
        for form in LOCAL_FORMATS:
            try:
                return datetime.strptime(text, form).replace(tzinfo=find_zone(zone)).astimezone(UTC)
            except (ValueError, OverflowError):
                continue
        if text:
            self.add_error(field, "Enter a date and a time.")
        return None

    def _update_errors(self, errors: ValidationError) -> None:
        """Show the model's problems at the fields of the form, each field's first one alone."""
        shown: dict[str, list[Any]] = {}
        for name, problems in errors.update_error_dict({}).items():
            field = FIELD_OF.get(name, name)
            if field not in self.errors:
                shown.setdefault(field if field in self.fields else NON_FIELD_ERRORS, []).extend(problems)
        super()._update_errors(ValidationError(shown))  # type: ignore[misc]


class OverrideForm(forms.Form):
    """Why a call is made in spite of freeze windows."""

    override_reason = forms.CharField(
        label="Reason to do it now",
        max_length=REASON_LENGTH,
        help_text="It is kept with the call and in the audit log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def read_override(data: Any) -> str:
    """Return the reason that a submitted dialog has; empty without one."""
    return str(data.get("override_reason", "")).replace("\0", "").strip()[:REASON_LENGTH]
