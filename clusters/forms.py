"""The form of a cluster: its name, its connection, and which credentials its engine may get."""

from typing import Any

from django import forms

from clusters.access import may_allow_credentials, may_choose_engines
from clusters.addresses import accept_address, accept_addresses, list_offered_sockets
from clusters.boxes import Box, Boxes, keep_absent_boxes
from clusters.engine.errors import EngineError
from clusters.models import Cluster, Registry

KEEP_KEY = "A key is stored and never shown. Leave this empty to keep it."
FIXED = "Only an administrator of all clusters can change this."
CONNECTION_REFUSED = (
    "Only an administrator of all clusters can change a cluster's address, its other managers, its certificates, and which "
    "credentials its engine gets. Nothing was saved."
)
ADDRESSES = ("url", "other_urls")


class ClusterForm(forms.ModelForm):
    """A form that never sends a stored client key to the browser. An empty field keeps the key if there is a certificate.

    `user` is who fills it in: pass it, or set it on the class as the admin does. Somebody without the right to choose engines
    sees the addresses and can change none of `Cluster.CONNECTION`. Nobody's form is such a form.
    """

    user: Any = None
    registries = forms.ModelMultipleChoiceField(
        Registry.objects.none(),
        label="Registries whose credentials its engine may get",
        required=False,
        widget=Boxes,
        help_text="For pulls and Swarm services. Credentials never go over tcp:// without TLS.",
    )

    class Meta:
        model = Cluster
        fields = ("name", *Cluster.CONNECTION)
        labels = {
            "url": "Address",
            "other_urls": "Other managers",
            "tls_ca": "CA certificate",
            "tls_cert": "Client certificate",
            "tls_key": "Client key",
        }
        help_texts = {
            "other_urls": "Other managers of the same Swarm, one per line. If one does not answer, the next is tried.",
        }
        widgets = {"uses_docker_config": Box()} | {
            name: forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off", "class": "code"})
            for name in ("other_urls", "tls_ca", "tls_cert", "tls_key")
        }

    def __init__(self, *args: Any, user: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.user = user or self.user
        self.may_choose = bool(self.user and may_choose_engines(self.user))
        self.stored = {name: getattr(self.instance, name) for name in Cluster.CONNECTION}
        self.initial.pop("tls_key", None)
        if "url" in self.fields:
            self.fields["url"].widget.attrs["list"] = "engine-sockets"  # the page offers `sockets` under this id
        if not self.may_choose:
            self._fix_connection()
        elif self.stored["tls_key"] and "tls_key" in self.fields:  # the admin omits it for users who may only view
            self.fields["tls_key"].help_text = KEEP_KEY
        self._offer_registries()
        keep_absent_boxes(self, "registries", "uses_docker_config")

    def _fix_connection(self) -> None:
        for name in {*Cluster.CONNECTION} - {*ADDRESSES}:
            self.fields.pop(name, None)
        for name in {*ADDRESSES} & self.fields.keys():
            self.fields[name].disabled = True
            self.fields[name].help_text = FIXED if name == "url" else ""

    def _offer_registries(self) -> None:
        if not self.may_choose or not may_allow_credentials(self.user):
            self.fields.pop("registries", None)
        elif "registries" in self.fields:
            offered = Registry.objects.only("host")
            self.fields["registries"].queryset = offered  # type: ignore[attr-defined]
            chosen = self.instance.registries.only("host") if self.instance.pk else offered
            self.initial.setdefault("registries", list(chosen))

    @property
    def sockets(self) -> list[str]:
        """The addresses of this host's engines that the address field offers."""
        return list_offered_sockets() if self.may_choose else []

    @property
    def known(self) -> tuple[str, ...]:
        """The stored addresses, which stay allowed."""
        return (self.stored["url"], *self.stored["other_urls"].split())

    def clean_url(self) -> str:
        try:
            return accept_address(self.cleaned_data["url"], self.known)
        except EngineError as error:
            raise forms.ValidationError(error.message) from error

    def clean_other_urls(self) -> str:
        accepted, problems = accept_addresses(self.cleaned_data["other_urls"], self.known)
        if problems:
            raise forms.ValidationError(problems)
        return accepted

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self._is_forged():
            raise forms.ValidationError(CONNECTION_REFUSED)
        if self.stored["tls_key"] and cleaned.get("tls_cert") and not cleaned.get("tls_key"):
            cleaned["tls_key"] = self.stored["tls_key"]
        return cleaned

    def _is_forged(self) -> bool:
        """Return whether the browser sent another connection, or registries, than this user's form can send."""
        sent = {
            name: self.data.get(key)
            for name in (*Cluster.CONNECTION, "registries")
            if (key := self.add_prefix(name)) in self.data
        }
        if self.may_choose:
            return "registries" in sent and "registries" not in self.fields
        stored = {**self.stored, "uses_docker_config": "on" if self.stored["uses_docker_config"] else "", "tls_key": ""}
        return any(str(value).split() != str(stored.get(name)).split() for name, value in sent.items())

    def save(self, commit: bool = True) -> Cluster:
        """Save the settings and discard the notice about the previous addresses."""
        self.instance.swarm_notice = ""
        cluster: Cluster = super().save(commit)
        return cluster

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]
        if "registries" in self.fields:
            self.instance.registries.set(self.cleaned_data["registries"])

    @property
    def has_certificates(self) -> bool:
        """Whether the certificate fields have a value or an error, and so must be shown open."""
        return any(self[name].value() or name in self.errors for name in ("tls_ca", "tls_cert", "tls_key"))
