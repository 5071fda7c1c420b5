"""Check boxes that a form can be without. A browser sends nothing for a box that is not checked, and nothing for a box that its
page did not have: a page from the version before, for example. A hidden field tells the two apart.
"""

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString


class BoxMarker(forms.Widget):
    """Adds the hidden field `<name>-shown`, unless the boxes are disabled. A template that renders boxes one by one adds it."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        boxes = super().render(name, value, attrs, renderer)
        if (attrs or {}).get("disabled"):
            return boxes
        return format_html('{}<input type="hidden" name="{}-shown" value="1">', boxes, name)


class Box(BoxMarker, forms.CheckboxInput):
    """One box."""


class Boxes(BoxMarker, forms.CheckboxSelectMultiple):
    """Boxes of a list."""


def keep_absent_boxes(form: forms.BaseForm, *names: str) -> None:
    """Let those of the named fields that a filled-in form did not have keep their initial value."""
    for name in names:
        key = form.add_prefix(name)
        if form.is_bound and name in form.fields and not {key, f"{key}-shown"} & form.data.keys():
            form.fields[name].disabled = True
