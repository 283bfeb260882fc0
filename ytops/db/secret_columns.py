"""Which columns of which tables hold secrets; each is found by its field's class."""

from django.apps import apps
from django.db.models import Model

from ytops.db.fields import SecretField


def secret_columns() -> list[tuple[type[Model], SecretField]]:
    """Every secret column of every table, those of history tables among them."""
    return [
        (model, field)
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
        for field in model._meta.local_concrete_fields
        if isinstance(field, SecretField)
    ]
