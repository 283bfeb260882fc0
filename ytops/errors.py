"""Error pages and error mails that cannot show a secret."""

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

SHOWN_META = {
    "REQUEST_METHOD",
    "PATH_INFO",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "SERVER_NAME",
    "SERVER_PORT",
    "HTTP_HOST",
    "HTTP_REFERER",
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT",
}


class SecretSafeFilter(SafeExceptionReporterFilter):
    """Shows names and types, never values, of what was posted and of local variables.

    Any of them may hold a decrypted secret, so none is shown, with DEBUG on as well. Of the
    request's META only a known list of harmless headers stays: `runserver` puts the whole
    environment there, DATABASE_URL and FERNET_KEYS included.
    """

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        if request is None:
            return {}
        return dict.fromkeys(request.POST, self.cleansed_substitute)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        return {name: type(value) for name, value in tb_frame.f_locals.items()}.items()

    def get_safe_request_meta(self, request: HttpRequest | None) -> dict[str, Any]:
        if request is None:
            return {}
        return {name: value for name, value in request.META.items() if name in SHOWN_META}

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        if isinstance(key, str) and key.endswith("_URL") and "://" in str(value):
            return self.cleansed_substitute
        return super().cleanse_setting(key, value)
