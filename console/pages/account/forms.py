"""Forms of the signed-in user."""

from typing import Any

from django.contrib.auth.forms import PasswordChangeForm

from console.pages.shared.password_fields import name_password_fields


class OwnPasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "Current password"
        name_password_fields(self, "new_password1", "new_password2")
