from django.core.validators import RegexValidator
from django.db import models
from django.db.models import CheckConstraint, Q, TextField, Value
from django.db.models.functions import Cast
from django.db.models.lookups import Exact

from ytops.db.constraints import text_lengths
from ytops.db.fields import SecretField, StrictJSONField
from ytops.db.models import BaseModel, BaseQuerySet

KEY = RegexValidator(
    r"\A[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\Z",
    'Expected lower-case words joined by dots, such as "publish.posts_per_day".',
)


class SystemConfigurationQuerySet(BaseQuerySet["SystemConfiguration"]):
    def get_by_natural_key(self, key: str) -> "SystemConfiguration":
        return self.get(key=key)


class SystemConfiguration(BaseModel):
    """One value of the database layer. SQL NULL in both columns means: inherit."""

    key = models.CharField(max_length=200, unique=True, validators=[KEY])
    value = StrictJSONField(null=True, blank=True, help_text="JSON; empty means inherit.")
    encrypted = models.BooleanField(
        default=False, help_text="The value is a secret: it is kept encrypted, never as JSON."
    )
    secret = SecretField(null=True, blank=True)

    objects = SystemConfigurationQuerySet.as_manager()

    class Meta:
        db_table = "system_configuration"
        ordering = ["key"]
        verbose_name = verbose_name_plural = "system configuration"
        constraints = [
            text_lengths("system_configuration", key=(1, 200)),
            CheckConstraint(
                condition=Q(encrypted=True, value__isnull=True)
                | Q(encrypted=False, secret__isnull=True),
                name="system_configuration_value_or_secret",
                violation_error_message="A plain value and a secret cannot stand together: "
                "“encrypted” says which of the two this row holds.",
            ),
            CheckConstraint(
                condition=~Q(Exact(Cast("value", TextField()), Value("null"))),
                name="system_configuration_value_not_json_null",
                violation_error_message="null is no value; leave it empty to inherit.",
            ),
        ]

    def __str__(self) -> str:
        return self.key

    def natural_key(self) -> tuple[str]:
        return (self.key,)
