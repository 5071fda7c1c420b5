"""The claims of the identity provider of the tests: allauth's, and the groups that `people.json` gives at that moment."""

from typing import Any

from allauth.idp.oidc.adapter import DefaultOIDCAdapter

from tests.harness.identity_settings import read_people


class GroupsAdapter(DefaultOIDCAdapter):
    def get_claims(self, purpose: Any, user: Any, client: Any, scopes: Any, **kwargs: Any) -> dict[str, Any]:
        claims = super().get_claims(purpose, user, client, scopes, **kwargs)
        if "groups" in scopes and purpose == "userinfo":
            claims["groups"] = read_people()[user.username]["groups"]
        return claims
