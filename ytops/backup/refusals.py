"""Why a backup or a restore does not happen; each reason has an exit code of its own."""


class Refusal(Exception):
    """A backup or a restore that failed; nothing is half done."""

    exit_code = 1


class Damaged(Refusal):
    """The backup, or the database to be backed up, is not whole."""

    exit_code = 3


class DoesNotFit(Refusal):
    """Engine, schema, keys or tools are not those that it needs."""

    exit_code = 4


class Busy(Refusal):
    """Somebody else holds what it needs."""

    exit_code = 5


class NotConfirmed(Refusal):
    """The operator said no."""

    exit_code = 6
