"""Takes the tables of allauth and of API tokens out of the admin. They hold secrets, and pages of their own show the rest."""

from allauth.account import admin as account_admin
from allauth.mfa import admin as factor_admin
from allauth.socialaccount import admin as provider_admin
from django.contrib import admin
from rest_framework.authtoken import admin as token_admin  # noqa: F401 - registers it
from rest_framework.authtoken.models import TokenProxy

admin.site.unregister(
    [
        account_admin.EmailAddress,
        factor_admin.Authenticator,
        provider_admin.SocialApp,
        provider_admin.SocialToken,
        provider_admin.SocialAccount,
        TokenProxy,
    ]
)
