"""Forms of channels, and of what goes over them."""

from collections.abc import Mapping
from typing import Any

from django import forms

from clusters.models import Application, Cluster
from clusters.registry_form import KEEP_SECRET
from triggers.models import RULE_NEWS, NotificationChannel
from triggers.notifications.configuration import change_values
from triggers.notifications.kinds import ChannelField, list_fields

PLAIN_TEXT = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
UNKNOWN = "{} has no application with this name."
AMBIGUOUS = "{} has several applications with this name. The API takes an application's id."


class ChannelForm(forms.ModelForm):
    """A channel with the fields of its kind. A stored secret is never sent to the browser: an empty field keeps it."""

    class Meta:
        model = NotificationChannel
        fields = ("name",)
        widgets = {"name": forms.TextInput(attrs=PLAIN_TEXT)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = self.instance.values if self.instance.pk else {}
        self.of_kind = list_fields(self.instance.kind)
        for each in self.of_kind:
            self.fields[each.name] = make_field(each, self.stored)
            if each.is_secret and not each.is_required and self.stored.get(each.name):
                label = f"Remove the stored {each.label}"
                self.fields[f"remove_{each.name}"] = forms.BooleanField(label=label, required=False)

    def list_kind_fields(self) -> list[tuple[forms.BoundField, bool, forms.BoundField | None]]:
        """Return the kind's fields, whether each must be filled in, and the box that removes its stored secret."""
        boxes = {name: self[name] for name in self.fields if name.startswith("remove_")}
        return [
            (self[each.name], each.is_required and not self.stored.get(each.name), boxes.get(f"remove_{each.name}"))
            for each in self.of_kind
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind = self.instance.kind
        entered = {each.name: cleaned.get(each.name) or "" for each in self.of_kind}
        removed = [each.name for each in self.of_kind if cleaned.get(f"remove_{each.name}")]
        values, problems = change_values(kind, self.stored, entered, removed)
        for name, problem in problems.items():
            if name not in self.errors:
                self.add_error(name, problem)
        self.instance.values = values
        return cleaned


def make_field(field: ChannelField, stored: Mapping[str, Any]) -> forms.Field:
    """Return the form's field for one of a channel's. What it must hold is checked with the others (kinds.find_problems)."""
    value = str(stored.get(field.name, field.default))
    label = field.label[:1].upper() + field.label[1:]
    common: dict[str, Any] = {"label": label, "help_text": field.help, "required": False}
    if field.form == "choice":
        return forms.ChoiceField(choices=field.choices, initial=value, **common)
    if field.is_secret:
        if stored.get(field.name):
            common["help_text"] = f"{KEEP_SECRET} {field.help}".strip()
        return forms.CharField(strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), **common)
    if field.form in {"lines", "pem"}:
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 3, **PLAIN_TEXT}), initial=value, **common)
    inputs = {"inputmode": "numeric"} if field.form == "number" else {}
    return forms.CharField(widget=forms.TextInput(attrs={**PLAIN_TEXT, **inputs}), initial=value, **common)


class RulesForm(forms.Form):
    """What goes over a channel for one place: everything, a cluster, or an application of it. No choice: nothing any longer."""

    news = forms.MultipleChoiceField(
        label="What",
        choices=[(each.value, each.label) for each in RULE_NEWS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    cluster = forms.ModelChoiceField(
        Cluster.objects.defer(*Cluster.KEYS), label="Where", required=False, empty_label="All clusters"
    )
    application = forms.CharField(
        label="Application",
        required=False,
        max_length=255,
        strip=False,
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        help_text="Its name on that cluster. Empty: all of the cluster.",
    )

    def __init__(self, *args: Any, known: bool, **kwargs: Any) -> None:
        """`known`: the place is known, and is not asked for."""
        super().__init__(*args, **kwargs)
        if known:
            del self.fields["cluster"], self.fields["application"]
        else:
            self.fields["news"].required = True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cluster, name = cleaned.get("cluster"), cleaned.get("application", "")
        cleaned["application"] = None
        if not name or "cluster" in self.errors or "application" in self.errors:
            return cleaned
        if cluster is None:
            self.add_error("application", "Choose the application's cluster too.")
            return cleaned
        found = list(Application.objects.filter(cluster=cluster, name=name)[:2])
        if len(found) != 1:
            self.add_error("application", (AMBIGUOUS if found else UNKNOWN).format(cluster))
            return cleaned
        return cleaned | {"application": found[0], "cluster": None}
