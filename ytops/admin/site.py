from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse

from ytops.admin import panels


class Site(admin.AdminSite):
    site_header = site_title = "ytops"
    index_title = "The fleet"

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        return super().index(request, {"panels": panels.on_index(request), **(extra_context or {})})
