import os

from django.core.wsgi import get_wsgi_application

from ytops.startup import one_line_errors

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ytops.settings")

with one_line_errors():
    application = get_wsgi_application()
