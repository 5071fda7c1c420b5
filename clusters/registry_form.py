"""The form of a registry: its host, credentials and signing secret, for the pages and the admin."""

import json
from typing import Any

from django import forms

from clusters.access import may_allow_credentials, visible_clusters
from clusters.allowances import WITHOUT_TLS, explain_plain, find_plain, is_plain, select_ways
from clusters.boxes import Boxes, keep_absent_boxes
from clusters.models import Cluster, Registry
from clusters.registries import NOT_SEEN_YET
from clusters.registry.reference import BadReference, normalize_host

KEEP_SECRET = "A secret is stored and never shown. Leave this empty to keep it."  # noqa: S105 - a sentence
RETYPE_PASSWORD = "Enter the password again. The stored one is never sent to a host that it was not entered for."  # noqa: S105

CONSENT_REFUSED = (
    "Only an administrator of all clusters can allow that everything is sent to a registry in clear. Nothing was saved."
)
ALLOWING_REFUSED = "Only an administrator of all clusters can change which clusters get the credentials. Nothing was saved."

# The settings that Test uses.
TESTED_FIELDS = ("host", "kind", "aliases", "username", "password", "credential_helper", "ca", "plain_http", "clear_text")
SECRETS = ("password", "signing_secret")

# The one host of a kind that has only one, and an example host for each of the other kinds.
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
# What to enter as user name and password, by kind.
HINTS = {
    "dockerhub": "Your Docker ID and a personal access token: Read-only for pulls, Read & Write to associate images with "
    "triggers.",
    "harbor": "A robot account of the project, with its full name: robot$project+windlass.",
    "quay": "A robot account (namespace+name) and its token.",
    "ghcr": "Your user name and a classic personal access token with read:packages for pulls, or write:packages to associate "
    "images with triggers.",
    "gitea": "Your user name and an access token with the scope package.",
    "gitlab": "A deploy token, or your user name and an access token with read_registry and write_registry.",
    "acr": "A token of the registry and its password, or a service principal: application id and secret.",
    "alibaba": "The account's full name and the registry's own password, not the password of Alibaba's console.",
    "ecr": "Passwords expire after 12 hours. Leave both empty, and enter ecr-login as the credential helper below.",
    "artifact_registry": "_json_key as the user name, and the complete key file of a service account as the password.",
    "artifactory": "A user name and an identity token.",
    "nexus": "A user whose role has the repository's docker privileges, or the two parts of a user token.",
}


# The kind of a host, by the end of its name.
DOMAINS = {
    ".azurecr.io": "acr",
    ".aliyuncs.com": "alibaba",
    ".amazonaws.com": "ecr",
    ".pkg.dev": "artifact_registry",
    ".jfrog.io": "artifactory",
}


def propose_registry(host: str) -> dict[str, str]:
    """Return the form's initial values for an image's host, or an empty dictionary if the text is no host."""
    try:
        name = normalize_host(host)
    except BadReference:
        return {}
    own = {known: kind for kind, known in HOSTS.items()}
    kind = own.get(name) or next((kind for domain, kind in DOMAINS.items() if name.endswith(domain)), "")
    return {"host": name, **({"kind": kind} if kind else {})}


class ClusterBoxes(Boxes):
    """Check boxes of clusters from `select_ways`. One that never gets credentials says so, and cannot be checked."""

    def create_option(self, name: str, value: Any, label: Any, selected: bool, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, label, selected, *args, **kwargs)
        if is_plain(value.instance):
            option["label"] = f"{label} (not while its address is {WITHOUT_TLS})"
            option["attrs"] |= {} if selected else {"disabled": True}
        return option


class RegistryForm(forms.ModelForm):
    """A form that never sends stored secrets to the browser. An empty field keeps the secret; a checkbox removes it.

    `user` is who fills it in: pass it, or set it on the class as the admin does. Only an administrator of all clusters can
    change the clusters that get the credentials. Whoever may not see a cluster finds no box for it, and leaves it as it is.
    """

    user: Any = None
    clusters = forms.ModelMultipleChoiceField(
        Cluster.objects.none(),
        label="Clusters that get the credentials",
        required=False,
        widget=ClusterBoxes,
        help_text="Only their engines get the user name and the password, for pulls and Swarm services. The console itself "
        "uses them whatever is checked here.",
    )
    remove_password = forms.BooleanField(label="Remove the stored password", required=False)
    remove_signing_secret = forms.BooleanField(label="Remove the stored signing secret", required=False)
    password_expires_at = forms.DateTimeField(
        label="Password expires (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="For a token that expires. The page warns when it is due.",
    )

    class Meta:
        model = Registry
        fields = (
            "kind",
            "host",
            "username",
            "password",
            "aliases",
            "credential_helper",
            "password_expires_at",
            "ca",
            "plain_http",
            "clear_text",
            "signing_secret",
        )
        labels = {
            "kind": "Kind",
            "host": "Host",
            "credential_helper": "Credential helper",
            "plain_http": "Plain HTTP, without TLS",
            "clear_text": "Send everything to this host in clear",
            "signing_secret": "Signing secret",
        }
        help_texts = {
            "host": "The host in image names, such as docker.io or registry.example.com:5000.",
            "aliases": "Other hosts of the same registry, one per line, such as an internal name.",
            "credential_helper": "The end of the name of a docker-credential-… program that the worker can run, such as "
            "ecr-login. It runs for each use.",
            "ca": "PEM. Needed if the system does not trust the registry's certificate.",
            "plain_http": "For a registry on this machine's loopback. For any other, check the next box as well.",
            "clear_text": "Whoever is on the network between can then read the user name, the password or token, and the names "
            "and digests of images, and can answer in the registry's place. Only for a network that you trust.",
            "signing_secret": "The webhook's signing secret. If set, pushes without a valid signature are refused.",
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

    def __init__(self, *args: Any, user: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.user = user or self.user
        self.stored = {name: getattr(self.instance, name) for name in SECRETS}
        self.known_hosts = list_hosts(self.instance)
        for name in SECRETS:
            self.initial.pop(name, None)
            if name not in self.fields:  # the admin omits them for users who may only view
                continue
            if self.stored[name]:
                self.fields[name].help_text = KEEP_SECRET
            else:
                del self.fields[f"remove_{name}"]
        if "host" in self.fields:
            self.fields["host"].required = False  # the kind can imply it
            self.fields["host"].widget.attrs["placeholder"] = EXAMPLES.get(self.shown_kind, "")
        if "clusters" in self.fields:
            self._offer_clusters()
        if "clear_text" in self.fields and not (self.user and may_allow_credentials(self.user)):
            self.fields["clear_text"].disabled = True
            self.fields["clear_text"].help_text = "Only an administrator of all clusters can change this."

    def _offer_clusters(self) -> None:
        field: Any = self.fields["clusters"]
        field.queryset = select_ways(visible_clusters(self.user) if self.user else Cluster.objects.none())
        seen = list(field.queryset)
        field.disabled = not (self.user and may_allow_credentials(self.user))
        if field.disabled:
            field.help_text = "Only an administrator of all clusters can change this."
        if self.instance.pk:
            self.allowed = set(self.instance.clusters.values_list("pk", flat=True))
        else:
            self.allowed = set() if field.disabled else {cluster.pk for cluster in seen if not is_plain(cluster)}
        self.unseen = self.allowed - {cluster.pk for cluster in seen}
        self.initial["clusters"] = [cluster for cluster in seen if cluster.pk in self.allowed]
        keep_absent_boxes(self, "clusters")

    @property
    def shown_kind(self) -> str:
        """The chosen kind, valid or not."""
        return str(self["kind"].value() or "") if "kind" in self.fields else ""

    @property
    def hints(self) -> list[tuple[str, str]]:
        return list(HINTS.items())

    def clean_host(self) -> str:
        """Normalise the host. An empty one becomes the only host of its kind."""
        host: str = self.cleaned_data["host"] or HOSTS.get(self.cleaned_data.get("kind", ""), "")
        if not host:
            raise forms.ValidationError("Enter the registry's host, as image names contain it.")
        try:
            return normalize_host(host)
        except BadReference as error:
            raise forms.ValidationError(str(error)) from error

    def clean_clusters(self) -> list[Cluster]:
        """Return the checked clusters and the allowed ones that this user does not see."""
        field: Any = self.fields["clusters"]
        chosen = list(self.cleaned_data["clusters"])
        sent = self.data.getlist(self.add_prefix("clusters")) if hasattr(self.data, "getlist") else []
        if field.disabled and sent and set(sent) != {str(cluster.pk) for cluster in chosen}:
            raise forms.ValidationError(ALLOWING_REFUSED)
        if plain := find_plain(cluster for cluster in chosen if cluster.pk not in self.allowed):
            raise forms.ValidationError(explain_plain(plain))
        return [*chosen, *Cluster.objects.filter(pk__in=self.unseen)]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in SECRETS:
            if cleaned.get(f"remove_{name}"):
                cleaned[name] = ""
            elif name in self.fields and not cleaned.get(name) and name not in self.errors:
                cleaned[name] = self.stored[name]
        if self._would_leak(cleaned):
            self.add_error("password", RETYPE_PASSWORD)
        if self._needs_consent(cleaned):
            self.add_error("host", CONSENT_REFUSED)
        return cleaned

    def _needs_consent(self, cleaned: dict[str, Any]) -> bool:
        """Return whether the consent to send in clear was given for another host, by somebody who may give it."""
        wanted = Registry(host=cleaned.get("host", ""), clear_text=cleaned.get("clear_text", False))
        stored = Registry.objects.filter(pk=self.instance.pk).first()
        return bool(cleaned.get("plain_http")) and wanted.clear_text and not may_keep_consent(self.user, wanted, stored)

    def _would_leak(self, cleaned: dict[str, Any]) -> bool:
        """Return whether the stored password would be sent to a host that it was not entered for."""
        kept = self.stored["password"] and cleaned.get("password") == self.stored["password"] and not self.data.get("password")
        hosts = {cleaned.get("host", ""), *cleaned.get("aliases", "").lower().split()} - {""}
        return bool(kept and not hosts <= self.known_hosts)

    def save(self, commit: bool = True) -> Registry:
        """Save the settings and discard what was seen with the previous ones."""
        if set(self.changed_data) & {*TESTED_FIELDS, "remove_password"}:
            for name, value in NOT_SEEN_YET.items():
                setattr(self.instance, name, value)
        registry: Registry = super().save(commit)
        return registry

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]
        if "clusters" in self.fields:
            self.instance.clusters.set(self.cleaned_data["clusters"])

    @property
    def has_more(self) -> bool:
        """Whether the rarely used fields have a value or an error, and so must be shown open."""
        return any(
            self[name].value() or name in self.errors for name in ("aliases", "credential_helper", "password_expires_at")
        )

    @property
    def has_tls(self) -> bool:
        return any(self[name].value() or name in self.errors for name in ("ca", "plain_http", "clear_text"))


def may_keep_consent(user: Any, wanted: Registry, stored: Registry | None) -> bool:
    """Return whether the user may save a registry to which everything is sent in clear: an administrator of all clusters, or
    anybody else while an administrator's consent for this very host is stored."""
    if user and may_allow_credentials(user):
        return True
    return stored is not None and stored.clear_text and stored.host == wanted.host


def list_hosts(registry: Registry) -> set[str]:
    """Return the registry's host and its aliases, as stored."""
    return {registry.host, *registry.aliases.split()}
