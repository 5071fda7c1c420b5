"""The check boxes "Associated with Image Update" in the Create Trigger and Edit dialogs: one form for each repository."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.utils.functional import cached_property

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
from triggers.validation import LEAST_AGE_MAXIMUM, POLL_MAXIMUM, POLL_MINIMUM, TAGS_MAXIMUM, validate_subscription

FIELD_OF = {"repository": "associated", "poll_seconds": "poll_minutes"}  # model field → form field
BOX = re.compile(r"image-[0-9a-f]{12}-associated")


class SubscriptionForm(forms.Form):
    """The form of one repository. `instance` is the trigger's subscription: people can change and remove it whatever the
    registry answers.

    `shown` tells a box that was not ticked from a box that was not on the page, which leaves its subscription as it is."""

    shown = forms.BooleanField(required=False, initial=True, widget=forms.HiddenInput)
    associated = forms.BooleanField(required=False)
    condition = forms.ChoiceField(label="Redeploys for", choices=ImageSubscription.Condition.choices, required=False)
    pattern = forms.CharField(
        label="Expression",
        max_length=200,
        required=False,
        help_text="It must match the whole tag (RE2 syntax).",
        widget=forms.TextInput(attrs={"placeholder": "v[0-9.]+", "spellcheck": "false", "autocapitalize": "none"}),
    )
    tags = forms.CharField(
        label="Tags",
        max_length=1500,
        required=False,
        help_text=f"At most {TAGS_MAXIMUM}, separated by commas or spaces.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    poll_minutes = forms.FloatField(
        label="Check for new images every … minutes",
        required=False,
        help_text="Only needed if the registry cannot call this console. Leave empty for no polling.",
        widget=forms.NumberInput(attrs={"min": POLL_MINIMUM // 60, "max": POLL_MAXIMUM // 60, "step": "any"}),
    )

    least_age_hours = forms.IntegerField(
        label="Take images that are at least … hours old",
        required=False,
        min_value=0,
        max_value=LEAST_AGE_MAXIMUM,
        help_text="Counted from when Windlass first saw the image in the registry. Leave empty for any age.",
    )

    def __init__(
        self,
        repository: str,
        used: UsedRepository | None,
        instance: ImageSubscription | None = None,
        data: Any = None,
        typed: Any = None,
    ) -> None:
        """`data` is the submitted form, which can lack this box. `typed` holds input that is shown again without validation."""
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
        """The reason why the box cannot be ticked, as a sentence; empty when it can, and before its registry was asked."""
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
    def is_local(self) -> bool:
        """Whether the image was built on the engine, and no registry is stored for its host: then nothing can be pushed."""
        is_unknown = self.permission is not None and not self.permission.allowed and not self.permission.is_stored
        return self.is_new and is_unknown and self.used is not None and self.used.is_local

    @property
    def local_name(self) -> str:
        """The name by which a local image was built: `hello-web`."""
        return self.repository.removeprefix("docker.io/").removeprefix("library/")

    @property
    def is_ticked(self) -> bool:
        return bool(self["associated"].value())

    @property
    def is_polled(self) -> bool:
        """Whether the field for polling must be visible."""
        return bool(self["poll_minutes"].value()) or (self.is_bound and "poll_minutes" in self.errors)

    def clean_poll_minutes(self) -> float | None:
        minutes: float | None = self.cleaned_data["poll_minutes"]
        if minutes and not POLL_MINIMUM <= minutes * 60 <= POLL_MAXIMUM:
            raise ValidationError(f"From {POLL_MINIMUM // 60} to {POLL_MAXIMUM // 60} minutes, or empty.")
        return minutes

    def clean(self) -> dict[str, Any]:
        """Ignore every field and error of a box that is not ticked."""
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("associated"):
            self._errors = ErrorDict()
            return {}
        if not self.is_offered:
            self.add_error("associated", self.refusal or "Its registry has not been asked yet. Check the box again.")
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
            least_age_hours=cleaned["least_age_hours"] or 0,
        )
        try:
            validate_subscription(subscription)
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                self.add_error(FIELD_OF.get(name, name), texts)
        return subscription


class SubscriptionForms:
    """The boxes of one dialog: a box for each repository that the services run or that the trigger is subscribed to.

    `present` are the trigger's subscriptions; `data` and `typed` are those of SubscriptionForm."""

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
        """Whether boxes were submitted, and so were on the page."""
        return any(form.is_bound for form in self.forms) or bool(self.problem)

    def ask(self) -> None:
        """Ask the registries, once, whether the stored credentials can push. Call it outside of a transaction."""
        if self.is_asked:
            return
        asked = [form for form in self.forms if not explain_unused(form.used)]
        permissions = find_permissions([form.repository for form in asked])
        for form in asked:
            form.permission = permissions[form.repository]
        self.is_asked = True

    @property
    def has_refused(self) -> bool:
        """Whether a registry could allow later what it refuses now."""
        return any(form.permission is not None and not form.permission.allowed and not form.is_local for form in self.forms)

    @property
    def local(self) -> list[SubscriptionForm]:
        return [form for form in self.forms if form.is_local]

    @cached_property
    def problem(self) -> str:
        """The problem with the boxes as a whole, as a sentence; empty when there is none."""
        known = {form.add_prefix("associated") for form in self.forms}
        if any(BOX.fullmatch(name) and name not in known for name in self.data or ()):
            return "A box was ticked for an image that these services do not run, or no longer run. Check the boxes again."
        return ""

    def is_valid(self) -> bool:
        """Validate the boxes. For newly ticked ones the registries are asked again, whatever the dialog offered."""
        if any(form.is_new and form.is_ticked for form in self.forms):
            self.ask()
        judged = [form.is_valid() for form in self.forms if form.is_bound]
        return all(judged) and not self.problem

    def find_changes(self) -> SubscriptionChanges:
        """Return the changes that the boxes request. Call it after `is_valid`."""
        wanted = [form.subscription for form in self.forms if form.subscription]
        kept = [form.instance for form in self.forms if form.instance and not form.is_bound]
        return compare_subscriptions(self.present.values(), wanted + kept)


def prefix_of(repository: str) -> str:
    """Return the prefix of the field names, which depends on the repository alone and not on other boxes."""
    return f"image-{hashlib.sha256(repository.encode()).hexdigest()[:12]}"


def read_chosen(subscription: ImageSubscription | None) -> dict[str, Any]:
    if subscription is None:
        return {}
    return {
        "associated": True,
        "condition": subscription.condition,
        "pattern": subscription.pattern,
        "tags": ", ".join(map(str, subscription.tags)),
        "least_age_hours": subscription.least_age_hours or "",
        "poll_minutes": f"{subscription.poll_seconds / 60:.6g}" if subscription.poll_seconds else "",
    }
