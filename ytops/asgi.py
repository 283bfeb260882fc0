import os

from django.core.asgi import get_asgi_application

from ytops.startup import one_line_errors

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ytops.settings")

with one_line_errors():
    application = get_asgi_application()
