from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse

from ytops.admin import panels


class Site(admin.AdminSite):
    site_header = site_title = "ytops"
    index_title = "The fleet"

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Accounts last: they are not what a working day is about."""
        listed = super().get_app_list(request, app_label)
        return sorted(listed, key=lambda app: app["app_label"] == "auth")

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        return super().index(request, {**panels.on_index(request), **(extra_context or {})})
