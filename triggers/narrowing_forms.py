"""The forms for what narrows a trigger's link, and for rotating its secret."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from triggers.allowed_addresses import ADDRESSES_MAXIMUM, TEXT_LENGTH, BadAddress, normalize_addresses
from triggers.models import NARROWING, Trigger
from triggers.validation import CALLS_MAXIMUM, RATE_MAXIMUM

LABELS = {
    "allowed_addresses": "Allowed addresses",
    "expires_at": "Expires (UTC)",
    "calls_left": "Number of calls",
    "calls_a_minute": "Calls a minute",
    "header_only": "Secret in a header only",
}
HELP_TEXTS = {
    "allowed_addresses": f"Up to {ADDRESSES_MAXIMUM} addresses and networks, such as 192.0.2.7 or 192.0.2.0/24. Empty: all.",
    "expires_at": "From then on only people can call the trigger. Empty: never.",
    "calls_left": "So many more calls of the link are accepted; 1 makes it a one-time link. Empty: any number.",
    "calls_a_minute": f"At most so many calls are accepted within a minute, 1 to {RATE_MAXIMUM}. Empty: any number.",
    "header_only": "A secret in the address, where proxies log it, or in the body is refused.",
}
PLAIN_TEXT = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
PAST = "This moment lies in the past. To end the link now, disable the trigger."
# The hours that an old secret can work on after a rotation, with the words of the dialog.
OVERLAPS = ((0, "It ends at once"), (1, "1 hour"), (24, "24 hours"), (168, "7 days"))
USUAL_OVERLAP = 24


def explain_past(expires_at: datetime | None, stored: datetime | None) -> str:
    """Say why a trigger cannot be given this date, as a sentence; empty if it can. A date that it has already can stay."""
    return PAST if expires_at is not None and expires_at != stored and expires_at <= timezone.now() else ""


class NarrowingForm(forms.ModelForm):
    """A trigger's options that narrow its link. The same fields serve the dialog and the admin."""

    allowed_addresses = forms.CharField(
        label=LABELS["allowed_addresses"],
        required=False,
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4, **PLAIN_TEXT}),
        help_text=HELP_TEXTS["allowed_addresses"],
    )
    expires_at = forms.DateTimeField(
        label=LABELS["expires_at"],
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=HELP_TEXTS["expires_at"],
    )
    calls_left = forms.IntegerField(
        label=LABELS["calls_left"],
        required=False,
        min_value=0,
        max_value=CALLS_MAXIMUM,
        show_hidden_initial=True,  # calls take from the number while somebody looks at the form
        help_text=HELP_TEXTS["calls_left"],
    )
    calls_a_minute = forms.IntegerField(
        label=LABELS["calls_a_minute"],
        required=False,
        min_value=1,
        max_value=RATE_MAXIMUM,
        help_text=HELP_TEXTS["calls_a_minute"],
    )
    header_only = forms.BooleanField(label=LABELS["header_only"], required=False, help_text=HELP_TEXTS["header_only"])

    class Meta:
        model = Trigger
        fields: tuple[str, ...] = NARROWING

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored_expiry = self.instance.expires_at

    def list_changes(self) -> list[str]:
        """Return the fields whose values differ from the trigger's; a different spelling of the same value is no change."""
        return [name for name in NARROWING if self.cleaned_data[name] != self.initial.get(name)]

    def clean_allowed_addresses(self) -> str:
        try:
            return normalize_addresses(self.cleaned_data["allowed_addresses"])
        except BadAddress as error:
            raise ValidationError(str(error)) from error

    def clean_expires_at(self) -> datetime | None:
        """The form shows minutes: a date that is not changed keeps its seconds."""
        chosen, stored = self.cleaned_data["expires_at"], self.stored_expiry
        if chosen is None:
            return None
        if stored and chosen.replace(second=0, microsecond=0) == stored.replace(second=0, microsecond=0):
            return stored
        if past := explain_past(chosen, stored):
            raise ValidationError(past)
        return chosen.astimezone(UTC)

    def clean_calls_left(self) -> int | None:
        """A number that the reader did not touch stays what the calls have made of it meanwhile."""
        chosen = self.cleaned_data["calls_left"]
        seen = self.data.get(self.add_initial_prefix("calls_left"))
        untouched = seen is not None and str(chosen if chosen is not None else "") == seen
        return self.instance.calls_left if untouched else chosen


class RotateForm(forms.Form):
    """How long the old secret works on. If an earlier one still works, the reader has to agree that it ends now."""

    overlap = forms.TypedChoiceField(
        label="The old secret works for", choices=OVERLAPS, coerce=int, initial=USUAL_OVERLAP, required=False
    )  # a form of an earlier version lacks it, and says that the old secret ends at once
    drop_old = forms.BooleanField(label="End the earlier secret now", required=False)

    def __init__(self, trigger: Trigger, data: Any = None) -> None:
        super().__init__(data)
        if not trigger.has_old_secret:
            del self.fields["drop_old"]

    def clean_drop_old(self) -> bool:
        if not self.cleaned_data["drop_old"]:
            raise ValidationError("Agree to this, or wait until the earlier secret has ended.")
        return True

    @property
    def overlap_words(self) -> str:
        return dict(OVERLAPS)[self.cleaned_data["overlap"]]

    @property
    def chosen_overlap(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["overlap"] or 0)
