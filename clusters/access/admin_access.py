"""The base classes of the admin: they check the permissions that pages and API check, and write to the audit log."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.filters import RelatedFieldListFilter
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth import get_permission_codename
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest
from django.utils.functional import cached_property

from clusters.access import has_anywhere, scope, visible_clusters
from clusters.access.audit import record_act, record_addition, record_change
from clusters.access.changes import read_values


class PlainWidgets(admin.ModelAdmin):
    """An admin whose forms work without scripts and without further windows: relations are lists and check boxes."""

    filter_horizontal = ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        kwargs.setdefault("widget", CheckboxSelectMultiple)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class ScopedAdmin(PlainWidgets):
    """An admin that shows only rows that the user may see, and checks permissions on the row itself (clusters.access)."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.narrow(request, super().get_queryset(request), "view")

    def narrow(self, request: HttpRequest, rows: QuerySet[Any], verb: str) -> QuerySet[Any]:
        """Return the rows on which the user may do `verb`. Actions on selected rows must begin with this."""
        return scope(rows, request.user, self._permission(verb))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "view", obj) or self.has_change_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow it to users who may add on any cluster. The form offers only those clusters."""
        return self._may(request, "add", None)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "delete", obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def _may(self, request: HttpRequest, verb: str, row: Model | None) -> bool:
        permission = self._permission(verb)
        return has_anywhere(request.user, permission) if row is None else request.user.has_perm(permission, row)

    def _permission(self, verb: str) -> str:
        return f"{self.opts.app_label}.{get_permission_codename(verb, self.opts)}"


class BoundedPaginator(Paginator):
    """A paginator that counts at most COUNTED rows. Among a million rows people read the newest, and search for the rest."""

    COUNTED = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.COUNTED].count())


class ReadOnlyAdmin(ScopedAdmin):
    """An admin for rows that were observed or recorded, which nobody edits."""

    paginator = BoundedPaginator
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AuditedAdmin(PlainWidgets):
    """An admin that records additions, changes and deletions in the audit log as `<audited>.add`, `.change` and `.delete`."""

    audited = ""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row, and keep what it is before the form changes it."""
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST":
            request.audited_values = read_values(found, self._list_editable())  # type: ignore[attr-defined]
        return found

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        request.audited_names = list(form.fields)  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        record_addition(request, f"{self.audited}.add", obj, getattr(request, "audited_names", ()))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record the change of the form's fields; of all fields where there is no such form, as for a password."""
        before = getattr(request, "audited_values", {})
        names = getattr(request, "audited_names", before)
        before = {name: value for name, value in before.items() if name in names}
        record_change(request, f"{self.audited}.change", obj, before)
        return super().log_change(request, obj, message)

    def _list_editable(self) -> list[str]:
        fields = [*self.opts.fields, *self.opts.many_to_many]
        return [field.name for field in fields if field.editable and not field.primary_key]

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        with transaction.atomic():
            record_act(request, f"{self.audited}.delete", obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                record_act(request, f"{self.audited}.delete", row)
            super().delete_queryset(request, queryset)


class ClusterFilter(RelatedFieldListFilter):
    """A list filter that offers the clusters that the user may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[Any]:
        return [(cluster.pk, cluster.name) for cluster in visible_clusters(request.user).only("name")]
