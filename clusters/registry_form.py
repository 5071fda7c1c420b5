"""The form of a registry: its host, credentials and signing secret, for the pages and the admin."""

import json
from typing import Any

from django import forms

from clusters.models import Registry
from clusters.registry.reference import BadReference, normalize_host

KEEP = "One is stored. Leave this empty to keep it; it is never shown."
RETYPE = "Type the password again: the stored one is sent to no host that it was not given for."

# What Test asks the registry with.
TESTED_FIELDS = ("host", "kind", "aliases", "username", "password", "credential_helper", "ca", "plain_http")
SECRETS = ("password", "signing_secret")
FORGOTTEN = {"checked_at": None, "problem": "", "pull_limit": None, "pull_remaining": None, "pull_window_seconds": None}

# Where a kind has one host for everybody, and what its hosts look like elsewhere.
HOSTS = {"dockerhub": "docker.io", "ghcr": "ghcr.io", "quay": "quay.io"}
EXAMPLES = {
    "distribution": "registry.example.com:5000",
    "harbor": "harbor.example.com",
    "gitea": "git.example.com",
    "gitlab": "registry.gitlab.com",
    "acr": "example.azurecr.io",
    "alibaba": "registry.cn-hangzhou.aliyuncs.com",
    "ecr": "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    "artifact_registry": "europe-docker.pkg.dev",
    "artifactory": "example.jfrog.io",
    "nexus": "nexus.example.com:8082",
    "other": "registry.example.com",
}
# What to give as user name and password.
HINTS = {
    "dockerhub": "Your Docker ID and a personal access token: Read-only to pull, Read & Write for the boxes of Create Trigger.",
    "harbor": "A robot account of the project, with its whole name: robot$project+windlass.",
    "quay": "A robot account, namespace+name, and its token.",
    "ghcr": "Your user name and a classic personal access token with read:packages; write:packages for the boxes of "
    "Create Trigger.",
    "gitea": "Your user name and an access token with the scope package.",
    "gitlab": "A deploy token, or your user name and an access token with read_registry and write_registry.",
    "acr": "A token of the registry and its password, or a service principal: application id and secret.",
    "alibaba": "The account's full name and the registry's own password, not that of the console.",
    "ecr": "Passwords last 12 hours: leave user and password empty and give the credential helper ecr-login below.",
    "artifact_registry": "_json_key as the user name and the whole key file of a service account as the password.",
    "artifactory": "A user name and an identity token.",
    "nexus": "A user whose role has the repository's docker privileges, or a user token's two parts.",
}


# Of hosts that tell their kind by their name.
DOMAINS = {
    ".azurecr.io": "acr",
    ".aliyuncs.com": "alibaba",
    ".amazonaws.com": "ecr",
    ".pkg.dev": "artifact_registry",
    ".jfrog.io": "artifactory",
}


def propose_registry(host: str) -> dict[str, str]:
    """The form's first values for an image's host; none for what is no host."""
    try:
        name = normalize_host(host)
    except BadReference:
        return {}
    own = {known: kind for kind, known in HOSTS.items()}
    kind = own.get(name) or next((kind for domain, kind in DOMAINS.items() if name.endswith(domain)), "")
    return {"host": name, **({"kind": kind} if kind else {})}


class RegistryForm(forms.ModelForm):
    """Stored secrets are never sent to the browser: left empty they are kept, and a box removes each."""

    remove_password = forms.BooleanField(label="Remove the stored password", required=False)
    remove_signing_secret = forms.BooleanField(label="Remove the stored signing secret", required=False)
    password_expires_at = forms.DateTimeField(
        label="The password expires (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="For a token that is refreshed from outside: the page warns when it is due.",
    )

    class Meta:
        model = Registry
        fields = (
            *("kind", "host", "username", "password", "aliases", "credential_helper", "password_expires_at"),
            *("ca", "plain_http", "signing_secret"),
        )
        labels = {
            "kind": "Kind",
            "host": "Host",
            "credential_helper": "Credential helper",
            "plain_http": "Plain HTTP, without TLS",
            "signing_secret": "Signing secret",
        }
        help_texts = {
            "credential_helper": "The end of a docker-credential-… program's name that the worker can run: ecr-login. "
            "It is asked anew for each use.",
            "plain_http": "Only for a registry on this machine's loopback.",
        }
        widgets = {
            "password": forms.PasswordInput(attrs={"autocomplete": "new-password"}),
            "signing_secret": forms.PasswordInput(attrs={"autocomplete": "new-password"}),
            "username": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
            "host": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
            "credential_helper": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            "aliases": forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "code"}),
            "ca": forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off", "class": "code"}),
            "kind": forms.Select(attrs={"data-hosts": json.dumps(HOSTS), "data-examples": json.dumps(EXAMPLES)}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.stored = {name: getattr(self.instance, name) for name in SECRETS}
        self.known_hosts = list_hosts(self.instance)
        for name in SECRETS:
            self.initial.pop(name, None)
            if name not in self.fields:  # the admin leaves them out for who may only look
                continue
            if self.stored[name]:
                self.fields[name].help_text = KEEP
            else:
                del self.fields[f"remove_{name}"]
        if "host" in self.fields:
            self.fields["host"].required = False  # proposed by the kind
            self.fields["host"].widget.attrs["placeholder"] = EXAMPLES.get(self.shown_kind, "")

    @property
    def shown_kind(self) -> str:
        """The chosen kind, right or wrong."""
        return str(self["kind"].value() or "") if "kind" in self.fields else ""

    @property
    def hints(self) -> list[tuple[str, str]]:
        return list(HINTS.items())

    def clean_host(self) -> str:
        """Where none is typed, the one that everybody has for the kind."""
        host: str = self.cleaned_data["host"] or HOSTS.get(self.cleaned_data.get("kind", ""), "")
        if not host:
            raise forms.ValidationError("Give the registry's host, as the images name it.")
        try:
            return normalize_host(host)
        except BadReference as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in SECRETS:
            if cleaned.get(f"remove_{name}"):
                cleaned[name] = ""
            elif name in self.fields and not cleaned.get(name) and name not in self.errors:
                cleaned[name] = self.stored[name]
        if self._would_leak(cleaned):
            self.add_error("password", RETYPE)
        return cleaned

    def _would_leak(self, cleaned: dict[str, Any]) -> bool:
        """Whether the stored password would go to a host that its owner did not type it for."""
        kept = self.stored["password"] and cleaned.get("password") == self.stored["password"] and not self.data.get("password")
        asked = {cleaned.get("host", ""), *cleaned.get("aliases", "").lower().split()} - {""}
        return bool(kept and not asked <= self.known_hosts)

    def save(self, commit: bool = True) -> Registry:
        """What was seen with other settings is forgotten."""
        if set(self.changed_data) & {*TESTED_FIELDS, "remove_password"}:
            for name, value in FORGOTTEN.items():
                setattr(self.instance, name, value)
        registry: Registry = super().save(commit)
        return registry

    @property
    def has_more(self) -> bool:
        """Whether the rarer fields hold something or are wrong, and must be open."""
        return any(
            self[name].value() or name in self.errors for name in ("aliases", "credential_helper", "password_expires_at")
        )

    @property
    def has_tls(self) -> bool:
        return any(self[name].value() or name in self.errors for name in ("ca", "plain_http"))


def list_hosts(registry: Registry) -> set[str]:
    """Its own and the others, as stored."""
    return {registry.host, *registry.aliases.split()}
