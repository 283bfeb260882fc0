import os

from django.core.asgi import get_asgi_application

from ytops.startup import SERVER_GIVES_UP, one_line_errors, refuse_misconfiguration

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ytops.settings")

with one_line_errors(exit_code=SERVER_GIVES_UP):
    application = get_asgi_application()
    refuse_misconfiguration()
