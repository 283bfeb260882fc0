from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import CheckConstraint, Q, TextField, Value
from django.db.models.functions import Cast
from django.db.models.lookups import Exact

from settings_app.registry import KEY, registered
from ytops.db import strict_json
from ytops.db.constraints import one_of, text_lengths
from ytops.db.fields import SecretField, StrictJSONField
from ytops.db.models import BaseModel, BaseQuerySet
from ytops.db.secrets import MASK

KEY_SHAPE = RegexValidator(
    KEY.pattern,
    'Expected lower-case words joined by dots, such as "publish.posts_per_day".',
)


class SystemConfigurationQuerySet(BaseQuerySet["SystemConfiguration"]):
    def get_by_natural_key(self, key: str) -> "SystemConfiguration":
        return self.get(key=key)

    def beyond_migrate(self) -> "SystemConfigurationQuerySet":
        """Rows that have more than `migrate` gives them; copydb asks for it, by this name."""
        return self.exclude(value__isnull=True, secret__isnull=True)

    def set_values(self) -> "models.QuerySet[SystemConfiguration, tuple[str, Any, Any]]":
        """Key, value and secret of the rows that do not inherit."""
        return self.beyond_migrate().order_by().values_list("key", "value", "secret")


class SystemConfiguration(BaseModel):
    """One value of the database layer. SQL NULL in both columns means: inherit."""

    key = models.CharField(max_length=200, unique=True, validators=[KEY_SHAPE])
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


class Through(models.TextChoices):
    ADMIN = "admin", "admin"
    COMMAND = "command", "command"


class ConfigurationChange(BaseModel):
    """One change of a setting, for the system or for a channel; `created_at` is when.

    NULL as value means inherited. Of a secret only fingerprints are kept; empty means not set.
    """

    Through = Through

    key = models.CharField(max_length=200)
    # Not a foreign key: what was done to a channel stays known when it is gone.
    channel_id = models.UUIDField(null=True, blank=True)
    channel_name = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=200)
    through = models.CharField(max_length=20, choices=Through)
    old = StrictJSONField(null=True, blank=True)
    new = StrictJSONField(null=True, blank=True)
    old_fingerprint = models.CharField(max_length=8, blank=True)
    new_fingerprint = models.CharField(max_length=8, blank=True)

    class Meta:
        db_table = "system_configuration_changes"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="changes_by_age"),
            models.Index(fields=["key", "-created_at", "-id"], name="changes_by_key"),
            models.Index(fields=["channel_id", "-created_at"], name="changes_by_channel"),
        ]
        constraints = [
            one_of("changes", "through", Through.values),
            text_lengths(
                "changes",
                key=(1, 200),
                channel_name=(0, 200),
                by=(1, 200),
                old_fingerprint=(0, 8),
                new_fingerprint=(0, 8),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.old_shown} → {self.new_shown}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON; of a secret its fingerprints, and None where it was or is not set."""
        return {
            "id": str(self.pk),
            "at": self.created_at.isoformat(),
            "key": self.key,
            "channel": self.channel_name or None,
            "channel_id": self.channel_id and str(self.channel_id),
            "by": self.by,
            "through": self.through,
            "old": self._public(self.old, self.old_fingerprint),
            "new": self._public(self.new, self.new_fingerprint),
        }

    @property
    def old_shown(self) -> str:
        return self._shown(self.old, self.old_fingerprint)

    @property
    def new_shown(self) -> str:
        return self._shown(self.new, self.new_fingerprint)

    def _shown(self, value: Any, fingerprint: str) -> str:
        if fingerprint:
            return f"secret {fingerprint}"
        if value is None:
            return "inherited"
        public = self._public(value, fingerprint)
        return public if public is MASK else strict_json.line(public)

    def _public(self, value: Any, fingerprint: str) -> Any:
        """A value of a setting that has become a secret since is its mask."""
        setting = registered().get(self.key)
        became_secret = value is not None and setting is not None and setting.secret
        return fingerprint or (MASK if became_secret else value)
