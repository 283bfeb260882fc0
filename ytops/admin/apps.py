from django.apps import AppConfig
from django.contrib.admin import apps as contrib_admin


class PagesConfig(AppConfig):
    """The templates and the theme of the admin."""

    name = "ytops.admin"
    label = "ytops_admin"


class AdminConfig(contrib_admin.AdminConfig):
    default_site = "ytops.admin.site.Site"
