"""Model fields of ytops: strict JSON, and secrets on django-fernet-fields."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.expressions import BaseExpression, Case, Col, F, Value, When
from django.db.models.functions import Cast
from django.db.models.query_utils import DeferredAttribute
from django.utils.encoding import force_bytes
from fernet_fields import EncryptedField

from ytops.db import strict_json
from ytops.db.forms import SecretFormField, StrictJSONFormField
from ytops.db.secrets import JSONSecret, Secret


class StrictJSONField(models.JSONField):
    """A JSON value that both databases can hold; None is SQL NULL, never JSON's null."""

    default_validators = [strict_json.validate_storable]
    empty_values: list[Any] = []  # a blank list or null has to meet the validators too

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        try:
            return super().from_db_value(value, expression, connection)
        except (ValueError, RecursionError):  # one row breaks no query
            return strict_json.Unreadable(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is None:
            return None
        return super().get_db_prep_value(value, connection, prepared)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        # Not only in forms: SQLite would take what PostgreSQL refuses.
        strict_json.validate_storable(value)
        return super().get_db_prep_save(value, connection)

    def formfield(self, **kwargs: Any) -> Any:  # type: ignore[override]
        return super().formfield(**{"form_class": StrictJSONFormField, **kwargs})


class JSONObjectField(StrictJSONField):
    """A JSON object; left empty in a form it is {}."""

    default_validators = [strict_json.validate_object, strict_json.validate_storable]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs = {"default": dict, "blank": True, **kwargs}
        super().__init__(*args, **kwargs)

    def formfield(self, **kwargs: Any) -> Any:  # type: ignore[override]
        return super().formfield(**{"empty_value": {}, **kwargs})


class SecretAttribute(DeferredAttribute):
    """Encrypts at assignment, so that an instance never holds plaintext."""

    field: Any

    def __set__(self, instance: models.Model, value: Any) -> None:
        if not hasattr(value, "resolve_expression"):
            value = self.field.to_python(value)
        elif not isinstance(value, F | Value | Case | Cast):
            # Here already: at an INSERT Django would refuse it by itself, and quote it.
            raise self.field.refusal(value)
        instance.__dict__[self.field.attname] = value


class SecretField(EncryptedField):  # type: ignore[misc]  # the library has no types
    """Text that is encrypted in the database; reads as a `Secret`.

    Closes what the library leaves open: expressions are never encrypted as their repr or passed
    on as plaintext, one undecryptable row breaks no query, dumps carry ciphertext, and a change
    of FERNET_KEYS takes effect at once. `validators` get the plaintext, when a form is filled in.
    """

    secret_class: type[Secret] = Secret
    empty_strings_allowed = False  # so that the admin's filters ask for NULL alone
    descriptor_class = SecretAttribute

    if TYPE_CHECKING:

        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: Any) -> None: ...

    def to_python(self, value: Any) -> Secret | None:
        if value is None:
            return None
        try:
            return self.secret_class.of(value)
        except (TypeError, ValueError) as error:
            raise ValidationError(f"{self.name}: {error}", code="invalid") from None

    def run_validators(self, value: Any) -> None:
        """Nothing: the value is opaque by now. The form field runs them on the plaintext."""

    def from_db_value(self, value: Any, *args: Any) -> Secret | None:
        # Text, if something other than Django wrote it into SQLite.
        return None if value is None else self.secret_class.stored(force_bytes(value))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        secret = self.to_python(value)
        return None if secret is None else connection.Database.Binary(secret.ciphertext)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            if not self._keeps_ciphertext(value):
                raise self.refusal(value)
            return value
        return self.get_db_prep_value(value, connection)

    def refusal(self, expression: Any) -> FieldError:
        return FieldError(
            f"{self.name} is a secret: of expressions it takes only F() on itself and what "
            f"bulk_update() makes; a {type(expression).__name__} could store plaintext."
        )

    def _keeps_ciphertext(self, expression: BaseExpression) -> bool:
        """Whether all that this expression can yield is NULL or ciphertext of such a field."""
        match expression:
            case Col():
                return type(expression.target) is type(self)
            case Value():
                declared = getattr(expression, "_output_field_or_none", None)
                return expression.value is None or type(declared) is type(self)
            case When():
                return self._keeps_ciphertext(expression.result)
            case Case():
                branches = [*expression.cases, expression.default]
                return all(self._keeps_ciphertext(branch) for branch in branches)
            case Cast():
                sources = expression.get_source_expressions()
                same = type(expression.output_field) is type(self)
                return same and all(self._keeps_ciphertext(source) for source in sources)
        return False

    def value_to_string(self, obj: models.Model) -> str | None:
        secret = self.value_from_object(obj)
        return None if secret is None else secret.tagged()

    def formfield(self, **kwargs: Any) -> Any:
        # Not the library's: it would make a text box with the mask in it, and save the mask.
        kwargs |= {"secret_class": self.secret_class, "validators": self._validators}
        return models.Field.formfield(self, form_class=SecretFormField, **kwargs)


class SecretJSONField(SecretField):
    """A JSON value that is encrypted in the database; reads as a `JSONSecret`."""

    secret_class = JSONSecret
