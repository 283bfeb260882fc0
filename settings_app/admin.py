from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html
from django.utils.text import Truncator, capfirst

from settings_app import changes, display
from settings_app.forms import SettingField, SettingsForm, secret_field
from settings_app.layers import explain, explain_row, row_layer
from settings_app.models import SystemConfiguration, Through
from settings_app.registry import UNSET, Setting, registered
from ytops.admin.base import ModelAdmin
from ytops.admin.display import pill
from ytops.admin.forms import OPENED
from ytops.admin.lists import BoundedChangeList
from ytops.db import strict_json

Rows = QuerySet[SystemConfiguration]
INHERIT = "_inherit"


def setting_of(row: SystemConfiguration | None) -> Setting[Any] | None:
    return registered().get(row.key) if row else None


def field_name(setting: Setting[Any]) -> str:
    return "secret" if setting.secret else "value"


def emptied(posted: QueryDict) -> Any:
    """The form as it would be posted to let its setting inherit."""
    kept: dict[str, Any] = {name: posted[name] for name in (INHERIT, OPENED) if name in posted}
    form = QueryDict(mutable=True)
    form.update({"value": "", "secret-remove": "on", **kept})
    return form


def listed(row: SystemConfiguration) -> dict[str, Any]:
    """A row as the list shows it."""
    explanation, shown = explain_row(row), {"row": row, "group": row.key.partition(".")[0]}
    if explanation is None:
        return shown | {"error": display.NO_SETTING}
    return shown | {
        "setting": explanation.setting,
        "value": display.in_words(explanation.value),
        "source": explanation.source,
        "error": explanation.layer("database").error,
    }


class SettingsChangeList(BoundedChangeList):
    listed: list[dict[str, Any]]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.listed = [listed(row) for row in self.result_list]


class GroupFilter(admin.SimpleListFilter):
    title = parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        groups = dict.fromkeys(setting.group for setting in registered().values())
        return [(group, group) for group in groups]

    def queryset(self, request: HttpRequest, rows: Rows) -> Rows:
        return rows.filter(key__startswith=f"{self.value()}.") if self.value() else rows


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("set", "set here"), ("inherited", "inherited"), ("wrong", "wrong")]

    def queryset(self, request: HttpRequest, rows: Rows) -> Rows:
        inherited = Q(value__isnull=True, secret__isnull=True)
        match self.value():
            case "set":
                return rows.exclude(inherited)
            case "inherited":
                return rows.filter(inherited)
            case "wrong":
                known = registered()
                wrong = [
                    row[0]
                    for row in SystemConfiguration.objects.set_values()
                    if row[0] in known and row_layer(known[row[0]], row).error
                ]
                return rows.filter(Q(key__in=wrong) | ~Q(key__in=list(known)))
        return rows


@admin.register(SystemConfiguration)
class SystemConfigurationAdmin(ModelAdmin[SystemConfiguration]):
    actions = None
    list_filter = (GroupFilter, StateFilter)
    search_fields = ("key",)
    search_help_text = "Words of a key, of its variable, or of what the setting is for."
    readonly_fields = ("what_for", "holds", "reach", "stored", "updated_at")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SettingsChangeList]:
        return SettingsChangeList

    def get_search_results(self, request: HttpRequest, rows: Rows, term: str) -> tuple[Rows, bool]:
        for word in term.lower().split():
            keys = [
                key
                for key, setting in registered().items()
                if word in f"{setting.environment_name} {setting.label} {setting.help}".lower()
            ]
            rows = rows.filter(Q(key__icontains=word) | Q(key__in=keys))
        return rows, False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: SystemConfiguration | None = None
    ) -> bool:
        setting = setting_of(obj)
        fixed = obj is not None and (setting is None or setting.pinned)
        return not fixed and super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: SystemConfiguration | None = None
    ) -> bool:
        """Only what no setting reads any more; each other row would be back after a migration."""
        return not setting_of(obj) and super().has_delete_permission(request, obj)

    @admin.display(description="what it is for")
    def what_for(self, row: SystemConfiguration) -> str:
        return registered()[row.key].help

    @admin.display(description="what holds")
    def holds(self, row: SystemConfiguration) -> str:
        explanation = explain(registered()[row.key], (row.key, row.value, row.secret))
        value, source = display.in_words(explanation.value, 1000), explanation.source
        return format_html("{} {}", value, pill(source, source))

    @admin.display(description="reach")
    def reach(self, row: SystemConfiguration) -> str:
        return display.reach(registered()[row.key])

    @admin.display(description="stored")
    def stored(self, row: SystemConfiguration) -> str:
        return display.in_words(row.secret) if row.value is None else strict_json.line(row.value)

    def get_fieldsets(self, request: HttpRequest, obj: SystemConfiguration | None = None) -> Any:
        setting, note = setting_of(obj), ""
        if setting is None:
            fields = ["stored"]
            note = format_html('<strong class="bad">{}</strong>', display.NO_SETTING)
        else:
            fields = ["what_for", "holds"]
            if setting.pinned:
                note = format_html("{}", display.pinned(setting))
            elif self.has_change_permission(request, obj):
                fields += [field_name(setting), "reach"]
        return [(None, {"fields": [*fields, "updated_at"], "description": note})]

    def get_form(
        self,
        request: HttpRequest,
        obj: SystemConfiguration | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        explanation = obj and explain_row(obj)
        if obj and explanation and self.has_change_permission(request, obj):
            setting = explanation.setting
            field = (
                secret_field(explanation, obj.secret)
                if setting.secret
                else SettingField(explanation, "database", f"{capfirst(setting.expected)}.")
            )
            form = type("SettingForm", (SettingsForm,), {field_name(setting): field})
            kwargs |= {"form": form, "fields": ()}
        return super().get_form(request, obj, change, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: SystemConfiguration, form: Any, change: bool
    ) -> None:
        setting, record = registered()[obj.key], None
        name, in_clear = field_name(setting), setting.secret and obj.value is not None
        if form.changed_data or (INHERIT in request.POST and in_clear):
            entered = form.cleaned_data.get(name)
            value = UNSET if entered is None else entered
            by = request.user.get_username()
            record = changes.change(setting, value, by=by, through=Through.ADMIN)
        form.changed_data = [name] if record else []
        if record:
            said = Truncator(f"Changed {record}").chars(300)
            self.message_user(request, said, messages.SUCCESS)
        else:
            self.message_user(request, "Nothing was changed.", messages.INFO)

    def response_change(self, request: HttpRequest, obj: SystemConfiguration) -> HttpResponse:
        """As Django's; what was changed has been said."""
        if "_continue" in request.POST or INHERIT in request.POST:
            return HttpResponseRedirect(request.get_full_path())
        return self.response_post_save_change(request, obj)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if INHERIT in request.POST:
            request.POST = emptied(request.POST)
        return super().change_view(request, *args, **kwargs)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: SystemConfiguration | None = None,
    ) -> HttpResponse:
        is_set = obj is not None and (obj.value is not None or obj.secret is not None)
        context["can_inherit"] = is_set and self.has_change_permission(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)
