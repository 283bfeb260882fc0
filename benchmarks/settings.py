"""The project's own settings and django-constance beside them."""

from ytops.settings import *  # noqa: F403
from ytops.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "constance"]
CONSTANCE_BACKEND = "constance.backends.memory.MemoryBackend"
CONSTANCE_CONFIG = {"POSTS_PER_DAY": (2, "an int, as publish.posts_per_day is one", int)}
POSTS_PER_DAY = 2
LOGGING_CONFIG = None
