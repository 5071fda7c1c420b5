"""Forms of identity providers and of the roles that their groups give."""

import re
from typing import Any

from django import forms

from clusters.models import Cluster
from clusters.registry_form import KEEP_SECRET
from clusters.roles import Role
from console.identity.issuers import explain_issuer
from console.identity.providers import read_environment
from console.models import GroupMapping, IdentityProvider


class ProviderForm(forms.ModelForm):
    """A provider. The stored secret is never sent to the browser: an empty field keeps it. An issuer is chosen once."""

    remove_secret = forms.BooleanField(label="Remove the stored secret", required=False)

    class Meta:
        model = IdentityProvider
        fields = ("name", "issuer", "client_id", "client_secret", "admits", "is_enabled", "scopes", "groups_claim")
        labels = {
            "name": "Name on the button",
            "client_id": "Client ID",
            "client_secret": "Client secret",
            "admits": "Who may come in",
            "is_enabled": "Show it on the sign-in page",
            "groups_claim": "Groups claim",
        }
        help_texts = {
            "issuer": "The provider's address, exactly as it calls itself, such as https://id.example.com/realms/main.",
            "admits": "“Only people with a role”: their groups give one, or an administrator has. “Only known users”: they "
            "were linked or invited. Of “everybody”, new users have no role until somebody gives them one.",
            "scopes": "Some providers send groups only if a scope such as groups is asked for.",
            "groups_claim": "The claim that lists the groups. A dot leads into a claim: realm_access.roles.",
        }
        widgets = {"client_secret": forms.PasswordInput(attrs={"autocomplete": "new-password"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored_secret = self.instance.client_secret if self.instance.pk else ""
        if self.instance.pk:
            self.fields["issuer"].disabled = True
            self.fields["issuer"].help_text = "Identities are kept by it, so it stays. For another one, add another provider."
        if self.stored_secret:
            self.fields["client_secret"].help_text = KEEP_SECRET
        else:
            del self.fields["remove_secret"]

    def clean_issuer(self) -> str:
        issuer = str(self.cleaned_data["issuer"]).strip()
        own = read_environment()
        if wrong := explain_issuer(issuer):
            raise forms.ValidationError(wrong)
        if own and own.issuer == issuer and not self.instance.pk:
            raise forms.ValidationError("The environment has this provider already (WINDLASS_OIDC_ISSUER).")
        return issuer

    def clean_scopes(self) -> str:
        scopes = str(self.cleaned_data["scopes"]).split()
        if "openid" not in scopes or not all(re.fullmatch(r"[!#-\[\]-~]+", scope) for scope in scopes):
            raise forms.ValidationError("Scopes are words with spaces between them, and openid must be one of them.")
        return " ".join(scopes)

    def clean_client_secret(self) -> str:
        given = str(self.cleaned_data["client_secret"])
        if given:
            return given
        return "" if self.data.get("remove_secret") else self.stored_secret


class MappingForm(forms.Form):
    """The role that a group gives."""

    group = forms.CharField(label="Group", max_length=255, strip=False)
    role = forms.ChoiceField(label="Role", choices=Role.choices)
    cluster = forms.ModelChoiceField(
        Cluster.objects.defer(*Cluster.KEYS), label="Where", required=False, empty_label="All clusters"
    )

    def __init__(self, issuer: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.issuer = issuer

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "group" in cleaned and "cluster" in cleaned:
            same = GroupMapping.objects.filter(issuer=self.issuer, group=cleaned["group"], cluster=cleaned["cluster"])
            if any(row.group == cleaned["group"] for row in same):
                raise forms.ValidationError("This group gives a role there already. Remove that one first.")
        return cleaned
