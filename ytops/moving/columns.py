"""How the values of each type of column are checked, copied and compared.

Every type says, in SQL of SQLite: which values are surely good (`good`; what it does not pass,
`problem` judges in Python), and how COPY wants them (`copied`). For the proof both databases render
a value as a text of their own (`of_sqlite`, `of_postgresql`), equal for equal values; neither has
anything to do with the way the copy was written.
"""

import re
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import ForeignKey

from ytops.backup.refusals import DoesNotFit
from ytops.db import strict_json

LONGEST_SHOWN = 40
# PostgreSQL keeps numbers of JSON in full, but not of any length.
LONGEST_NUMBER, MOST_DIGITS_OF_EXPONENT = 1000, 3
MAYBE_ENDLESS = re.compile("[-+.0-9eE]{1000}|[0-9][eE][-+]?[0-9]{4}")


class Text(bytes):
    """A text as SQLite has it, which need not be UTF-8; plain `bytes` are a BLOB."""


class Column:
    """One column: its name, quoted; whether it may be NULL; which key it has to name."""

    # Whether a rendered value holds no comma and is not "-", so that the proof may join it.
    plain: ClassVar[bool] = True
    good: str

    def __init__(self, field: Any) -> None:
        self.field = field
        self.label = field.column
        self.name = f'"{field.column}"'
        self.type = _referred(field)
        is_reference = getattr(field, "db_constraint", False)
        self.refers_to: Any = field.target_field if is_reference else None
        self.of_sqlite, self.of_postgresql = self.name, f"{self.name}::text"

    @property
    def copied(self) -> str:
        return self.name

    @property
    def passes(self) -> str:
        """The condition that no bad value meets; a reference need only name a row."""
        good = f"{self.name} IS NOT NULL" if self.refers_to else self.good
        return f"({self.name} IS NULL OR {good})" if self.field.null else f"({good})"

    def why_bad(self, value: Any) -> str:
        """What is wrong with a value as SQLite has it; "" if nothing is."""
        if value is None:
            return "" if self.field.null else "is NULL"
        return "" if self.refers_to else self.problem(value)

    def problem(self, value: Any) -> str:
        raise NotImplementedError


class Integer(Column):
    def __init__(self, field: Any) -> None:
        super().__init__(field)
        ranges = BaseDatabaseOperations.integer_field_ranges
        self.lowest, self.highest = ranges[self.type.get_internal_type()]
        self.good = (
            f"typeof({self.name}) = 'integer' "
            f"AND {self.name} BETWEEN {self.lowest} AND {self.highest}"
        )
        self.of_sqlite = f"CAST({self.name} AS text)"

    def problem(self, value: Any) -> str:
        if type(value) is not int:
            return f"is {shown(value)}, not a whole number"
        if not self.lowest <= value <= self.highest:
            return f"is {value}: expected {self.lowest} to {self.highest}"
        return ""


class Boolean(Column):
    def __init__(self, field: Any) -> None:
        super().__init__(field)
        self.good = f"typeof({self.name}) = 'integer' AND {self.name} IN (0, 1)"
        self.of_sqlite = f"CASE {self.name} WHEN 0 THEN 'false' WHEN 1 THEN 'true' END"

    def problem(self, value: Any) -> str:
        fits = type(value) is int and value in (0, 1)
        return "" if fits else f"is {shown(value)}: expected 0 or 1"


class Key(Column):
    """A UUID, which Django writes into SQLite as 32 hexadecimal digits."""

    def __init__(self, field: Any) -> None:
        super().__init__(field)
        self.good = (
            f"typeof({self.name}) = 'text' AND length(CAST({self.name} AS blob)) = 32 "
            f"AND {self.name} GLOB '{'[0-9a-f]' * 32}'"
        )
        self.of_postgresql = f"replace({self.name}::text, '-', '')"

    def problem(self, value: Any) -> str:
        fits = isinstance(value, Text) and re.fullmatch(rb"[0-9a-f]{32}", value)
        return "" if fits else "is no UUID: expected 32 hexadecimal digits, in lower case"


class Time(Column):
    """A time in UTC, which Django writes into SQLite without saying so."""

    SHAPE = "[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
    EXPECTED = "expected YYYY-MM-DD HH:MM:SS.ffffff in UTC"

    def __init__(self, field: Any) -> None:
        super().__init__(field)
        name = self.name
        shapes = " OR ".join(
            f"length(CAST({name} AS blob)) = {19 + len(tail)} "
            f"AND {name} GLOB '{self.SHAPE}{tail.replace('0', '[0-9]')}'"
            for tail in (".000000", "", ".000")
        )
        self.good = (
            f"typeof({name}) = 'text' AND ({shapes}) AND substr({name}, 1, 4) <> '0000' "
            f"AND substr({name}, 6, 2) BETWEEN '01' AND '12' AND substr({name}, 12, 2) < '24' "
            f"AND (substr({name}, 9, 2) BETWEEN '01' AND '28' "
            f"OR date({name}, '+0 days') = substr({name}, 1, 10))"
        )
        self.of_sqlite = f"{self.instant} || '+00'"

    @property
    def instant(self) -> str:
        """Equal, in SQLite, for equal times: no zeros at the end of a fraction."""
        trimmed = f"rtrim(rtrim({self.name}, '0'), '.')"
        return f"CASE WHEN length({self.name}) > 19 THEN {trimmed} ELSE {self.name} END"

    @property
    def is_unusual(self) -> str:
        """Whether the same time may be written in another way: Django's is 19 or 26 long."""
        name = self.name
        return f"(length({name}) BETWEEN 20 AND 25 OR {name} LIKE '%.000000')"

    def problem(self, value: Any) -> str:
        if not isinstance(value, Text):
            return f"is {shown(value)}: {self.EXPECTED}"
        if not value:
            return f"is empty: {self.EXPECTED}{', or NULL' if self.field.null else ''}"
        if re.search(rb"[0-9](Z|[+-][0-9]{2}:?[0-9]{2})\Z", value):
            return f"has an offset, {shown(value)}: {self.EXPECTED}"
        if not re.fullmatch(
            rb"[0-9]{4}(-[0-9]{2}){2} [0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,6})?", value
        ):
            return f"is {shown(value)}: {self.EXPECTED}"
        try:
            datetime.strptime(value[:19].decode(), "%Y-%m-%d %H:%M:%S")
        except ValueError:
            return f"is {shown(value)}: there is no such time"
        return ""


class Words(Column):
    """Text of any kind."""

    plain = False

    def __init__(self, field: Any) -> None:
        super().__init__(field)
        # As PostgreSQL has it: of a text without limit a form alone knows one.
        limited = self.type.get_internal_type() == "CharField"
        self.longest = self.type.max_length if limited else None
        self.good = (
            f"typeof({self.name}) = 'text' AND instr({self.name}, char(0)) = 0 "
            # Not ASCII: it may be no UTF-8 either.
            f"AND {self.name} NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*'"
        )
        if self.longest:
            self.good += f" AND length({self.name}) <= {self.longest}"
        self.of_postgresql = self.name

    @property
    def copied(self) -> str:
        escaped = self.name
        for letter, code in (("\\", 92), ("t", 9), ("n", 10), ("r", 13)):
            escaped = f"replace({escaped}, char({code}), '\\{letter}')"
        return escaped

    def problem(self, value: Any) -> str:
        if not isinstance(value, Text):
            return f"is {'a BLOB' if isinstance(value, bytes) else 'a number'}: expected a text"
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            if re.search(rb"\xed[\xa0-\xbf][\x80-\xbf]", value):
                return "has half of a surrogate pair, which is no character"
            return f"is not UTF-8 at byte {error.start + 1}"
        if "\0" in text:
            return f"has U+0000 as character {text.index(chr(0)) + 1}"
        if self.longest and len(text) > self.longest:
            return f"has {len(text)} characters: expected at most {self.longest}"
        return ""


class Json(Words):
    def __init__(self, field: Any) -> None:
        super().__init__(field)
        self.good = f"{self.name} IN ('{{}}', '[]')"
        self.of_postgresql = f"{self.name}::text"

    def problem(self, value: Any) -> str:
        if why := super().problem(value):
            return why
        text = value.decode()
        try:
            content = strict_json.parse(text)
            strict_json.validate_storable(content)
        except ValueError as error:
            return f"cannot be read: {error}"
        except ValidationError as error:
            return f"is JSON that cannot be stored: {' '.join(error.messages)}"
        if content is None:
            return "is JSON's null: expected NULL of SQL"
        if MAYBE_ENDLESS.search(text) and any(map(endless, strict_json.TOKENS.findall(text))):
            return "has a number with more digits or a greater exponent than can be stored"
        return ""


class Binary(Column):
    """A secret. Text, if something other than Django wrote it; its bytes are what counts."""

    def __init__(self, field: Any) -> None:
        super().__init__(field)
        self.good = f"typeof({self.name}) IN ('blob', 'text')"
        # hex() of NULL is "".
        self.of_sqlite = f"CASE WHEN {self.name} IS NOT NULL THEN lower(hex({self.name})) END"
        self.of_postgresql = f"encode({self.name}, 'hex')"

    @property
    def copied(self) -> str:
        return f"CASE WHEN {self.name} IS NOT NULL THEN '\\\\x' || hex({self.name}) END"

    def problem(self, value: Any) -> str:
        return "" if isinstance(value, bytes) else "is a number: expected ciphertext"


TYPES: dict[str, type[Column]] = {
    **dict.fromkeys(BaseDatabaseOperations.integer_field_ranges, Integer),
    **{"BooleanField": Boolean, "UUIDField": Key, "DateTimeField": Time},
    **{"CharField": Words, "TextField": Words, "JSONField": Json, "BinaryField": Binary},
}


def column_of(field: Any) -> Column:
    kind = _referred(field).get_internal_type()
    if kind not in TYPES:
        raise DoesNotFit(
            f"{field.model._meta.label}.{field.name} is a {kind}, and how copydb moves and proves "
            f"one has still to be written: it knows {', '.join(TYPES)}"
        )
    return TYPES[kind](field)


def _referred(field: Any) -> Any:
    """The field that has the type: of a foreign key the one at its end."""
    while isinstance(field, ForeignKey):
        field = field.target_field
    return field


def shown(value: Any) -> str:
    """A value in an error: in one line, and short."""
    if isinstance(value, bytes) and not isinstance(value, Text):
        return "a BLOB"
    text = repr(value.decode(errors="backslashreplace") if isinstance(value, Text) else value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def endless(token: str) -> bool:
    """Whether this is a number that PostgreSQL's numeric does not hold; a string it may be too."""
    exponent = re.search(r"[eE][-+]?([0-9]+)\Z", token)
    too_far = exponent and len(exponent[1].lstrip("0")) > MOST_DIGITS_OF_EXPONENT
    return token[0] != '"' and (len(token) > LONGEST_NUMBER or bool(too_far))


# As exact as the largest number that the two have to compare.
EXACT = Context(prec=10 * LONGEST_NUMBER, Emax=10 * LONGEST_NUMBER, Emin=-10 * LONGEST_NUMBER)


def number(digits: str) -> str:
    """Equal for numbers that are equal: 100, 100.0 and 1e2."""
    exact = Decimal(digits).normalize(EXACT)
    return str(exact or Decimal(0))
