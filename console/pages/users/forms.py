"""Forms of users, their passwords and their roles."""

from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm, SetPasswordForm
from django.contrib.auth.models import User

from clusters.models import Cluster
from clusters.roles import Role
from console.pages.shared.password_fields import name_password_fields

NO_ROLE = ("", "None")


class NewPasswordForm(SetPasswordForm):
    """A new password for another user."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_password_fields(self, "new_password1", "new_password2")


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
        name_password_fields(self, "password1", "password2")
        self.fields["role"].help_text = "Roles per cluster are given on the user's page."


class GrantForm(forms.Form):
    """A role on one cluster."""

    cluster = forms.ModelChoiceField(Cluster.objects.defer(*Cluster.KEYS), empty_label="Choose a cluster")
    role = forms.ChoiceField(label="Role", choices=Role.choices)
