"""The ModelAdmin that every table of ytops has."""

from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.widgets import AdminURLFieldWidget
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.http import urlencode

from ytops.admin import actions, deletion, panels
from ytops.admin.display import json_block
from ytops.admin.forms import EditForm
from ytops.admin.lists import MOST_COUNTED, BoundedChangeList, BoundedPaginator, bounded_count

M = TypeVar("M", bound=models.Model)
LONGEST_KEPT = 500  # characters of a refused text
# Of a deadlock with what is done by workers.
NOT_DELETED = "Somebody else was working on it at that moment: nothing was deleted. Try again."


def json_shown(field: models.Field[Any, Any]) -> Any:
    @admin.display(description=field.verbose_name)
    def shown(obj: models.Model) -> str:
        value = field.value_from_object(obj)
        return "–" if value is None else json_block(value)

    return shown


def delete_or_say(page: Any, request: HttpRequest, rows: models.QuerySet[Any]) -> Any:
    """As Django's delete_selected, but what it logs is rolled back with what it deletes."""
    try:
        with transaction.atomic():
            return delete_selected(page, request, rows)
    except OperationalError:
        return page.message_user(request, NOT_DELETED, messages.ERROR)


class ModelAdmin(admin.ModelAdmin[M]):
    form = EditForm
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count its whole table
    formfield_overrides = {
        models.URLField: {"widget": AdminURLFieldWidget, "assume_scheme": "https"},
    }
    readonly_on_change: tuple[str, ...] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def get_readonly_fields(self, request: HttpRequest, obj: M | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else (*fields, *self.readonly_on_change)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> M | None:
        """As Django's; for a save the row is locked, so that what was compared is overwritten."""
        queryset = self.get_queryset(request)
        if request.method == "POST" and connection.in_atomic_block:
            queryset = queryset.select_for_update(of=("self",))
        try:
            return queryset.get(pk=object_id)
        except (ObjectDoesNotExist, ValidationError, ValueError):
            return None

    def save_model(self, request: HttpRequest, obj: M, form: Any, change: bool) -> None:
        if not change:
            obj.save()
        elif changed := set(form.changed_data) & set(form.columns):
            obj.save(update_fields=changed)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return deletion.summary(objs, request)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except OperationalError:
            if request.method != "POST":
                raise
            self.message_user(request, NOT_DELETED, messages.ERROR)
            return HttpResponseRedirect(self.address(object_id))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError:
            # Somebody's row came between our check and our write. Rolled back; checked again,
            # it becomes a message in the form.
            said: Any = messages.get_messages(request)
            said._queued_messages.clear()
            return super().changeform_view(request, object_id, form_url, extra_context)

    def response_action(self, request: HttpRequest, queryset: models.QuerySet[M]) -> Any:
        """As Django's, but "select all" stops where the counting stops."""
        if request.POST.get("select_across") == "1" and bounded_count(queryset)[1]:
            self.message_user(
                request,
                f"Nothing was done: there are more than {MOST_COUNTED:,}, and so many would be "
                "more than this page says. Narrow the list first.",
                messages.ERROR,
            )
            return None
        return super().response_action(request, queryset)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """As Django's, and those that apps have registered."""
        found: dict[str, Any] = super().get_actions(request)
        if "delete_selected" in found:
            found["delete_selected"] = (delete_or_say, *found["delete_selected"][1:])
        if self.has_change_permission(request) and IS_POPUP_VAR not in request.GET:
            found |= actions.of_list(self.model)
        return found

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.do)
        do = path("<path:object_id>/do/<slug:name>/", view, name=f"{self.url_name}_do")
        return [do, *super().get_urls()]

    @property
    def url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def address(self, object_id: Any) -> str:
        return reverse(f"admin:{self.url_name}_change", args=[object_id])

    def do(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """An action with one object, from its page."""
        obj, action = self.get_object(request, object_id), actions.find(self.model, name)
        if obj is None or action is None:
            raise Http404
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        address = self.address(obj.pk)
        if request.method != "POST":  # its session had ended: it comes from the login
            said = "Nothing was done: press the button again."
            self.message_user(request, said, messages.WARNING)
            return HttpResponseRedirect(address)
        given = {action.takes: request.POST.get(action.takes, "")} if action.takes else {}
        done = actions.perform(self, request, action, [obj], *given.values())
        kept = {name: text[:LONGEST_KEPT] for name, text in given.items() if not done}
        return HttpResponseRedirect(f"{address}?{urlencode(kept)}" if kept else address)

    def get_fieldsets(self, request: HttpRequest, obj: M | None = None) -> Any:
        """As Django's; who may only look sees JSON as readably as who may change it."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        shown: dict[Any, Any] = {
            field.name: json_shown(field)
            for field in self.opts.concrete_fields
            if isinstance(field, models.JSONField)
        }
        return [
            (title, {**options, "fields": [shown.get(name, name) for name in options["fields"]]})
            for title, options in fieldsets
        ]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: M | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context |= panels.on_object(request, obj)
            if self.has_change_permission(request, obj):
                context["buttons"] = [
                    (action, reverse(f"admin:{self.url_name}_do", args=[obj.pk, action.name]))
                    for action in actions.buttons(obj)
                ]
        return super().render_change_form(request, context, add, change, form_url, obj)


class ReadOnlyAdmin(ModelAdmin[M]):
    """For what a machine writes and a person only reads."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False
