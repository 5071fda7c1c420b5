"""Takes allauth's tables out of the admin. They hold the secrets of second factors, and pages of their own show the rest."""

from allauth.account import admin as account_admin
from allauth.mfa import admin as factor_admin
from allauth.socialaccount import admin as provider_admin
from django.contrib import admin

admin.site.unregister(
    [
        account_admin.EmailAddress,
        factor_admin.Authenticator,
        provider_admin.SocialApp,
        provider_admin.SocialToken,
        provider_admin.SocialAccount,
    ]
)
