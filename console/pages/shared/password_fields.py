"""How the two fields of a new password are labelled."""

from django import forms
from django.conf import settings


def name_password_fields(form: forms.BaseForm, first: str, second: str) -> None:
    """Label both fields and say in one line what AUTH_PASSWORD_VALIDATORS require."""
    form.fields[first].help_text = f"At least {settings.PASSWORD_LENGTH} characters; common passwords are not accepted."
    form.fields[second].help_text = ""
    form.fields[second].label = f"{form.fields[first].label} again"
