"""Forms of users and their roles."""

from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User

from clusters.models import Cluster
from clusters.roles import Role

NO_ROLE = ("", "None")


class RoleForm(forms.Form):
    """A role for all clusters, or none."""

    role = forms.ChoiceField(label="Role for all clusters", choices=[NO_ROLE, *Role.choices], required=False)

    def chosen_role(self) -> Role | None:
        return Role(self.cleaned_data["role"]) if self.cleaned_data["role"] else None


class UserForm(RoleForm, BaseUserCreationForm):
    class Meta(BaseUserCreationForm.Meta):
        model = User
        fields = ("username",)
        labels = {"username": "User name"}
        help_texts = {"username": "Letters, digits and @ . + - _"}

    field_order = ("username", "password1", "password2", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = "At least 8 characters, and not one that everybody knows."
        self.fields["password2"].label = "Password again"
        self.fields["password2"].help_text = ""
        self.fields["role"].help_text = "Roles on single clusters are given on the user's page."


class GrantForm(forms.Form):
    """A role on one cluster."""

    cluster = forms.ModelChoiceField(Cluster.objects.defer("tls_ca", "tls_cert", "tls_key"), empty_label="Choose a cluster")
    role = forms.ChoiceField(label="Role", choices=Role.choices)
