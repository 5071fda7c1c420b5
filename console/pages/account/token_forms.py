"""The form of an API token."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from clusters.access import visible_clusters
from clusters.access.tokens import DAYS, may_be_endless
from clusters.boxes import Boxes
from clusters.models import ApiToken, Cluster
from clusters.roles import Role
from clusters.selectors import without_keys

NEVER = "never"
SPANS = ((7, "in 7 days"), (30, "in 30 days"), (DAYS, f"in {DAYS} days"), (180, "in 180 days"), (365, "in a year"))


class TokenForm(forms.Form):
    """A token of `user`. `replaced`: the one that it replaces, whose values the form begins with."""

    name = forms.CharField(
        max_length=64,
        help_text="What uses it, such as a pipeline.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    role = forms.ChoiceField(label="Role at most", choices=Role.choices, help_text="It never does more than you can yourself.")
    clusters = forms.ModelMultipleChoiceField(Cluster.objects.none(), required=False, widget=Boxes)
    expires = forms.ChoiceField(label="Expires", choices=SPANS, initial=DAYS)

    def __init__(self, user: User, data: Any = None, replaced: ApiToken | None = None) -> None:
        self.must_choose = replaced is not None and not replaced.all_clusters
        initial: dict[str, Any] = {"role": Role.VIEWER}
        if replaced:
            initial = {"name": replaced.name, "role": replaced.role, "clusters": [row.pk for row in replaced.clusters.all()]}
        super().__init__(data, initial=initial)
        fields: dict[str, Any] = self.fields
        fields["clusters"].queryset = _list_clusters(user)
        fields["clusters"].help_text = (
            "The one that it replaces is for chosen clusters, so choose at least one."
            if self.must_choose
            else "None chosen: all that you have, later ones too. With chosen ones it sees nothing else, registries included."
        )
        if may_be_endless(user):
            fields["expires"].choices = [*SPANS, (NEVER, "never")]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise ValidationError("Use letters, digits and signs on one line.")
        return name

    def clean_clusters(self) -> list[Cluster] | None:
        """Return the chosen clusters; None stands for all that the user has."""
        chosen = list(self.cleaned_data["clusters"])
        if not chosen and self.must_choose:
            raise ValidationError("Choose at least one cluster. For a token for all clusters, make a new one.")
        return chosen or None

    def clean_expires(self) -> int | None:
        """Return the number of days; None is no end."""
        chosen = self.cleaned_data["expires"]
        return None if chosen == NEVER else int(chosen)


def _list_clusters(user: User) -> QuerySet[Cluster]:
    return without_keys(visible_clusters(user), path="").order_by("name")
