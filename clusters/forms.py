"""The form of a cluster's address and certificates."""

from typing import Any

from django import forms

from clusters.models import Cluster

KEEP_KEY = "A key is stored and never shown. Leave this empty to keep it."


class ClusterForm(forms.ModelForm):
    """A form that never sends a stored client key to the browser. An empty field keeps the key if there is a certificate."""

    class Meta:
        model = Cluster
        fields = ("name", "url", "other_urls", "tls_ca", "tls_cert", "tls_key")
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
        widgets = {
            name: forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off", "class": "code"})
            for name in ("other_urls", "tls_ca", "tls_cert", "tls_key")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.stored_key = self.instance.tls_key
        self.initial.pop("tls_key", None)
        if self.stored_key and "tls_key" in self.fields:  # the admin omits it for users who may only view
            self.fields["tls_key"].help_text = KEEP_KEY

    def clean_other_urls(self) -> str:
        return "\n".join(self.cleaned_data["other_urls"].split())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.stored_key and cleaned.get("tls_cert") and not cleaned.get("tls_key"):
            cleaned["tls_key"] = self.stored_key
        return cleaned

    def save(self, commit: bool = True) -> Cluster:
        """Save the settings and discard the notice about the previous addresses."""
        self.instance.swarm_notice = ""
        cluster: Cluster = super().save(commit)
        return cluster

    @property
    def has_certificates(self) -> bool:
        """Whether the certificate fields have a value or an error, and so must be shown open."""
        return any(self[name].value() or name in self.errors for name in ("tls_ca", "tls_cert", "tls_key"))
