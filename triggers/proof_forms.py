"""Forms that say how callers of a link prove themselves: by signatures, and by identity tokens of build jobs."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from triggers.identity.conditions import EXACT, PATTERN, VALUE_LENGTH, Conditions
from triggers.identity.presets import HOSTS, Preset
from triggers.models import Signature, Trigger, TrustedJob
from triggers.proofs import check_issuer

HOW_CHOICES = [(EXACT, "is exactly"), (PATTERN, "matches the expression")]
LINE = re.compile(r"\s*([^\s=~]+)\s*([=~])\s*(.*\S)\s*")
SLUG = re.compile(r"[A-Za-z0-9_.-]+")
REF_TYPE = "ref_type"  # GitLab's refs do not say whether they are branches
REF_TYPES = {"refs/heads/": "branch", "refs/tags/": "tag"}


class SignatureForm(forms.ModelForm):
    new_key = forms.BooleanField(
        label="Make a new key",
        required=False,
        help_text="The present key stops working at once. Enter the new one at each sender.",
    )

    class Meta:
        model = Trigger
        fields = ("signature",)
        labels = {"signature": "Signed calls"}
        help_texts = {"signature": ""}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.signature == Signature.OFF:
            del self.fields["new_key"]


class TrustedJobForm(forms.ModelForm):
    """A trusted job. Repository and ref stand in fields of their own, whatever its host calls these claims."""

    repository_how = forms.ChoiceField(label="Repository", choices=HOW_CHOICES, initial=EXACT)
    repository = forms.CharField(label="Name or expression", max_length=VALUE_LENGTH, required=False)
    ref_how = forms.ChoiceField(label="Ref", choices=HOW_CHOICES, initial=EXACT)
    ref = forms.CharField(label="Ref or expression", max_length=VALUE_LENGTH, required=False)
    more = forms.CharField(
        label="Further conditions",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "code", "spellcheck": "false", "autocapitalize": "none"}),
        help_text="One a line: claim = exact value, or claim ~ expression. For example environment = production.",
    )

    class Meta:
        model = TrustedJob
        fields = ("name", "preset", "issuer", "audience")
        labels = {"preset": "Host", "audience": "Audience"}
        help_texts = {
            "name": 'Shown with the calls of these jobs, e.g. "Deploy of shop".',
            "issuer": "Leave empty for the host's public one. Another one takes the right to add clusters.",
            "audience": "What the job asks its token for. The address of this console, unless you have a reason.",
            "preset": "",
        }

    def __init__(self, data: Any = None, *, user: Any, instance: TrustedJob, audience: str = "") -> None:
        super().__init__(data, instance=instance)
        self._user = user
        self.fields["issuer"].required = False
        self.initial.setdefault("preset", Preset.GITHUB)
        if not instance.pk:
            self.initial.update(audience=audience, preset=Preset.GITHUB)
        elif isinstance(instance.conditions, dict):
            self.initial.update(split_conditions(instance.conditions, instance.preset))
        for name in ("repository", "ref", "issuer", "audience"):
            self.fields[name].widget.attrs |= {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}

    def clean_issuer(self) -> str:
        preset = self.cleaned_data.get("preset", "")
        return self.cleaned_data["issuer"] or (HOSTS[Preset(preset)].issuer if preset in Preset.values else "")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if preset := cleaned.get("preset"):
            try:
                self.instance.conditions = self._join_conditions(cleaned, preset)
            except ValidationError as error:
                self.add_error(None, error)
                self.instance.conditions = {}
        return cleaned

    def _join_conditions(self, cleaned: dict[str, Any], preset: str) -> Conditions:
        """Raises ValidationError."""
        further = read_conditions(cleaned.get("more", ""))
        named = name_conditions(
            preset,
            (cleaned.get("repository_how", EXACT), cleaned.get("repository", "")),
            (cleaned.get("ref_how", EXACT), cleaned.get("ref", "")),
        )
        if preset == Preset.GITLAB and REF_TYPE in named and REF_TYPE in further:
            del named[REF_TYPE]
        if twice := named.keys() & further.keys():
            raise ValidationError({"more": [f"{', '.join(sorted(twice))} has a condition above already."]})
        return named | further

    def _post_clean(self) -> None:
        """Check the whole job as the model does, and whether the user may choose its issuer."""
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            check_issuer(self._user, self.instance)
        except ValidationError as error:
            self.add_error(None, error)

    def _update_errors(self, errors: ValidationError) -> None:
        """Show what is wrong with the conditions above all fields: it may concern several."""
        shown = dict(errors.update_error_dict({}))
        if self.errors:
            shown.pop("conditions", None)  # they could not be read: a field says why
        for name in [name for name in shown if name not in self.fields]:
            shown.setdefault("__all__", []).extend(shown.pop(name))
        super()._update_errors(ValidationError(shown))  # type: ignore[misc]


def read_conditions(text: str) -> dict[str, dict[str, str]]:
    """Return the conditions of lines `claim = value` and `claim ~ expression`. Raises ValidationError."""
    found: dict[str, dict[str, str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = LINE.fullmatch(line)
        if not match:
            raise ValidationError({"more": [f"This line is not claim = value or claim ~ expression: {line[:80]}"]})
        name, how, value = match.groups()
        if name in found:
            raise ValidationError({"more": [f"{name} has two conditions."]})
        found[name] = {EXACT if how == "=" else PATTERN: value}
    return found


def write_conditions(conditions: Conditions) -> str:
    return "\n".join(
        f"{name} {'~' if PATTERN in condition else '='} {next(iter(condition.values()))}"
        for name, condition in conditions.items()
    )


def name_conditions(preset: str, repository: tuple[str, str], ref: tuple[str, str]) -> dict[str, dict[str, str]]:
    """Return the conditions on repository and ref in the words of the host. Each is `exact` or `pattern`, and its text; an
    empty text makes no condition. Raises ValidationError."""
    host, found = HOSTS[Preset(preset)], {}
    (repository_how, repository_text), (ref_how, ref_text) = repository, ref
    if repository_text and len(host.repository) == 2:
        owner, slash, name = repository_text.partition("/")
        if not (slash and name and SLUG.fullmatch(owner)):
            raise ValidationError({"repository": ["Write organization/pipeline; the organization is always exact."]})
        found = {host.repository[0]: {EXACT: owner}, host.repository[1]: {repository_how: name}}
    elif repository_text:
        found = {(*host.repository, "repository")[0]: {repository_how: repository_text}}
    if not ref_text:
        return found
    if preset in (Preset.GITHUB, Preset.FORGEJO) and ref_how == EXACT and not ref_text.startswith("refs/"):
        raise ValidationError(
            {"ref": [f"Write refs/heads/{ref_text[:60]} for a branch, or refs/tags/{ref_text[:60]} for a tag."]}
        )
    if preset == Preset.GITLAB:
        start = next((each for each in REF_TYPES if ref_text.startswith(each)), "refs/heads/")
        return found | {host.ref: {ref_how: ref_text.removeprefix(start)}, REF_TYPE: {EXACT: REF_TYPES[start]}}
    return found | {host.ref: {ref_how: ref_text.removeprefix("refs/heads/") if preset == Preset.BUILDKITE else ref_text}}


def split_conditions(conditions: Conditions, preset: str) -> dict[str, str]:
    """Return the values of the form's fields for these conditions: the reverse of `name_conditions`."""
    host, rest = HOSTS[Preset(preset)], dict(conditions)
    fields: dict[str, str] = {}
    names = host.repository or ("repository",)
    if all(name in rest for name in names):
        parts = [rest.pop(name) for name in names]
        fields["repository_how"] = PATTERN if PATTERN in parts[-1] else EXACT
        fields["repository"] = "/".join(next(iter(part.values())) for part in parts)
    if host.ref in rest:
        condition = rest.pop(host.ref)
        fields["ref_how"] = PATTERN if PATTERN in condition else EXACT
        fields["ref"] = next(iter(condition.values()))
        if preset == Preset.GITLAB and (kind := rest.get(REF_TYPE, {}).get(EXACT)) in REF_TYPES.values():
            del rest[REF_TYPE]
            fields["ref"] = ("refs/tags/" if kind == "tag" else "") + fields["ref"]
    return fields | {"more": write_conditions(rest)}
