"""Forms of the signed-in user."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm

from clusters.access.tokens import has_tokens
from console.pages.shared.password_fields import name_password_fields


class OwnPasswordForm(PasswordChangeForm):
    """A new password. The user's API tokens end with the old one, unless the user keeps them."""

    keep_tokens = forms.BooleanField(
        label="Keep my API tokens",
        required=False,
        help_text="Otherwise they end now. Keep them only if nobody else can know them.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "Current password"
        name_password_fields(self, "new_password1", "new_password2")
        if not has_tokens(self.user):
            del self.fields["keep_tokens"]

    def clean(self) -> dict[str, Any] | None:
        self.user.keeps_tokens = bool(self.cleaned_data.get("keep_tokens"))  # type: ignore[attr-defined]
        return super().clean()
