"""The check boxes "Associated with Image Update" of the Create Trigger and Edit dialogs: a form for each repository."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict

from clusters.models import Service
from clusters.registries import PushPermission
from triggers.models import ImageSubscription
from triggers.pushes.subscriptions import (
    SubscriptionChanges,
    UsedRepository,
    compare_subscriptions,
    explain_refused,
    explain_unused,
    find_permissions,
    list_used_repositories,
)
from triggers.validation import POLL_MAXIMUM, POLL_MINIMUM, TAGS_MAXIMUM, validate_subscription

FIELD_OF = {"repository": "associated", "poll_seconds": "poll_minutes"}  # of the form, for the model's
BOX = re.compile(r"image-[0-9a-f]{12}-associated")


class SubscriptionForm(forms.Form):
    """One repository. `instance`: the trigger's subscription, which can be changed and removed whatever the registry says.

    `shown` tells a box that was not ticked from one that was not there, which says nothing about its subscription."""

    shown = forms.BooleanField(required=False, initial=True, widget=forms.HiddenInput)
    associated = forms.BooleanField(required=False)
    condition = forms.ChoiceField(label="Redeploys for", choices=ImageSubscription.Condition.choices, required=False)
    pattern = forms.CharField(
        label="Expression",
        max_length=200,
        required=False,
        help_text="RE2 syntax. It must match the whole tag.",
        widget=forms.TextInput(attrs={"placeholder": "v[0-9.]+", "spellcheck": "false", "autocapitalize": "none"}),
    )
    tags = forms.CharField(
        label="Tags",
        max_length=1500,
        required=False,
        help_text=f"At most {TAGS_MAXIMUM}, with commas or spaces between.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    poll_minutes = forms.FloatField(
        label="Look for new images every … minutes",
        required=False,
        help_text="Only for a registry that cannot reach this console to tell of a push. Empty: it is not asked.",
        widget=forms.NumberInput(attrs={"min": POLL_MINIMUM // 60, "max": POLL_MAXIMUM // 60, "step": "any"}),
    )

    def __init__(
        self,
        repository: str,
        used: UsedRepository | None,
        instance: ImageSubscription | None = None,
        data: Any = None,
        typed: Any = None,
    ) -> None:
        """`data`: what was sent, if the box was among it. `typed`: what stood in boxes that are shown anew, not judged yet."""
        super().__init__(prefix=prefix_of(repository), initial=read_chosen(instance))
        if data is not None and (self.add_prefix("shown") in data or self.add_prefix("associated") in data):
            self.data, self.is_bound = data, True
        self.repository, self.used, self.instance = repository, used, instance
        self.permission: PushPermission | None = None
        self.subscription: ImageSubscription | None = None
        self._name_running_tags()
        if typed is not None and self.add_prefix("shown") in typed:
            for name, field in self.fields.items():
                self.initial[name] = field.widget.value_from_datadict(typed, {}, self.add_prefix(name))

    def _name_running_tags(self) -> None:
        first, *others = ImageSubscription.Condition
        tags = ", ".join(self.used.tags) if self.used else ""
        condition = self.fields["condition"]
        assert isinstance(condition, forms.ChoiceField)
        condition.choices = [
            (first.value, f"{first.label}: {tags}" if tags else first.label),
            *((other.value, other.label) for other in others),
        ]

    @property
    def refusal(self) -> str:
        """Why the box may not be ticked, as a sentence; empty where it may, and before its registry was asked."""
        if unused := explain_unused(self.used):
            return unused
        if self.permission is None or self.permission.allowed:
            return ""
        return explain_refused(self.permission)

    @property
    def is_new(self) -> bool:
        return self.instance is None

    @property
    def is_offered(self) -> bool:
        return not self.is_new or (self.permission is not None and not self.refusal)

    @property
    def is_ticked(self) -> bool:
        return bool(self["associated"].value())

    @property
    def is_polled(self) -> bool:
        """Whether the field for polling must be seen."""
        return bool(self["poll_minutes"].value()) or (self.is_bound and "poll_minutes" in self.errors)

    def clean_poll_minutes(self) -> float | None:
        minutes: float | None = self.cleaned_data["poll_minutes"]
        if minutes and not POLL_MINIMUM <= minutes * 60 <= POLL_MAXIMUM:
            raise ValidationError(f"From {POLL_MINIMUM // 60} to {POLL_MAXIMUM // 60} minutes, or nothing.")
        return minutes

    def clean(self) -> dict[str, Any]:
        """A box that is not ticked asks for nothing, whatever stands below it."""
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("associated"):
            self._errors = ErrorDict()
            return {}
        if not self.is_offered:
            self.add_error("associated", self.refusal or "Its registry was not asked yet. Look at the box again.")
        elif not self.errors:
            self.subscription = self._build(cleaned)
        return cleaned

    def _build(self, cleaned: dict[str, Any]) -> ImageSubscription:
        subscription = ImageSubscription(
            repository=self.repository,
            condition=cleaned["condition"] or ImageSubscription.Condition.SERVICE_TAG,
            pattern=cleaned["pattern"],
            tags=list(dict.fromkeys(cleaned["tags"].replace(",", " ").split())),
            poll_seconds=round((cleaned["poll_minutes"] or 0) * 60),
        )
        try:
            validate_subscription(subscription)
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                self.add_error(FIELD_OF.get(name, name), texts)
        return subscription


class SubscriptionForms:
    """The boxes of one dialog, by repository: those that the services run, and those that the trigger is subscribed to.

    `present`: the trigger's subscriptions; `data` and `typed`: as SubscriptionForm has them."""

    def __init__(
        self,
        services: Iterable[Service],
        present: Iterable[ImageSubscription] = (),
        data: Any = None,
        typed: Any = None,
    ) -> None:
        used = {repository.name: repository for repository in list_used_repositories(services)}
        self.present = {subscription.repository: subscription for subscription in present}
        self.data = data
        self.is_asked = False
        self.forms = [
            SubscriptionForm(name, used.get(name), self.present.get(name), data, typed)
            for name in sorted({*used, *self.present})
        ]

    def __iter__(self) -> Iterator[SubscriptionForm]:
        return iter(self.forms)

    def __len__(self) -> int:
        return len(self.forms)

    @property
    def is_bound(self) -> bool:
        """Whether boxes were sent, and so were there."""
        return any(form.is_bound for form in self.forms) or bool(self.problem)

    def ask(self) -> None:
        """Ask the registries, once, whether the stored credentials may push. Not in a transaction."""
        if self.is_asked:
            return
        asked = [form for form in self.forms if not explain_unused(form.used)]
        permissions = find_permissions([form.repository for form in asked])
        for form in asked:
            form.permission = permissions[form.repository]
        self.is_asked = True

    @property
    def has_refused(self) -> bool:
        return any(form.permission is not None and not form.permission.allowed for form in self.forms)

    @cached_property
    def problem(self) -> str:
        """What is wrong with the boxes as a whole, as a sentence."""
        known = {form.add_prefix("associated") for form in self.forms}
        if any(BOX.fullmatch(name) and name not in known for name in self.data or ()):
            return "A box was ticked for an image that these services do not run, or no longer. Look at the boxes again."
        return ""

    def is_valid(self) -> bool:
        """Asks the registries where a box was newly ticked: what the dialog offered does not count."""
        if any(form.is_new and form.is_ticked for form in self.forms):
            self.ask()
        judged = [form.is_valid() for form in self.forms if form.is_bound]
        return all(judged) and not self.problem

    def find_changes(self) -> SubscriptionChanges:
        """Of valid boxes."""
        wanted = [form.subscription for form in self.forms if form.subscription]
        kept = [form.instance for form in self.forms if form.instance and not form.is_bound]
        return compare_subscriptions(self.present.values(), wanted + kept)


def prefix_of(repository: str) -> str:
    """Of the fields' names: the same as long as the repository is, whatever others there are."""
    return f"image-{hashlib.sha256(repository.encode()).hexdigest()[:12]}"


def read_chosen(subscription: ImageSubscription | None) -> dict[str, Any]:
    if subscription is None:
        return {}
    return {
        "associated": True,
        "condition": subscription.condition,
        "pattern": subscription.pattern,
        "tags": ", ".join(map(str, subscription.tags)),
        "poll_minutes": f"{subscription.poll_seconds / 60:.6g}" if subscription.poll_seconds else "",
    }
