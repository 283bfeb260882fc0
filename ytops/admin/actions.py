"""Actions: what apps let an operator do with an object, from its page or, with many, from the list.

Each object has a transaction of its own: what one is refused keeps no other from being done.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.http import HttpRequest
from django.utils.text import Truncator, capfirst

REFUSALS_NAMED = 5
LONGEST_REFUSAL = 300


class ActionRefused(Exception):
    """It cannot be done with this object; nothing has changed."""


@dataclass(frozen=True)
class Action:
    """`run` gets the object and the operator's name, and says what has become of the object.

    `button` says whether the object's page offers it; without, a panel does, and the list does
    not. An action that `takes` a text gets what the panel's field of this name holds; what it
    refuses with a ValidationError stays in that field, and the panel says why.
    """

    name: str
    label: str
    run: Callable[..., str]
    button: Callable[[Any], bool] | None
    takes: str


_actions: dict[type[Model], list[Action]] = defaultdict(list)


def object_action(
    model: type[Model],
    label: str,
    *,
    button: Callable[[Any], bool] | None = None,
    takes: str = "",
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Offer an action to those who may change objects of this model."""

    def register(run: Callable[..., str]) -> Callable[..., str]:
        _actions[model].append(Action(run.__name__, label, run, button, takes))
        return run

    return register


def find(model: type[Model], name: str) -> Action | None:
    return next((action for action in _actions[model] if action.name == name), None)


def buttons(obj: Model) -> list[Action]:
    return [action for action in _actions[type(obj)] if action.button and action.button(obj)]


def of_list(model: type[Model]) -> dict[str, tuple[Any, str, str]]:
    """For ModelAdmin.get_actions()."""

    def listed(action: Action) -> tuple[Any, str, str]:
        def run(page: Any, request: HttpRequest, objects: Iterable[Model]) -> None:
            perform(page, request, action, objects)

        return run, action.name, action.label

    return {action.name: listed(action) for action in _actions[model] if action.button}


def perform(
    page: "admin.ModelAdmin[Any]",
    request: HttpRequest,
    action: Action,
    objects: Iterable[Model],
    *given: str,
) -> bool:
    """Do it with each object, put that on record, and say what was done and what was refused.

    Whether anything was done.
    """
    done: Counter[str] = Counter()
    refused: list[str] = []
    for obj in objects:
        try:
            with transaction.atomic():
                outcome = action.run(obj, request.user.get_username(), *given)
                page.log_change(request, obj, f"{action.label}: {outcome}.")
            done[outcome] += 1
        except ValidationError:
            continue
        except ActionRefused as refusal:
            refused.append(str(refusal))
        except (IntegrityError, ObjectDoesNotExist):
            refused.append(f'"{obj}" was changed by somebody else just now: look at it again.')
    if done:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in done.items())
        page.message_user(request, f"{capfirst(in_words(page, done.total()))}: {counts}.")
    for reason in refused[:REFUSALS_NAMED]:
        said = Truncator(reason).chars(LONGEST_REFUSAL)
        page.message_user(request, said, messages.WARNING)
    if more := len(refused[REFUSALS_NAMED:]):
        page.message_user(request, f"{more:,} more were refused.", messages.WARNING)
    return bool(done)


def in_words(page: "admin.ModelAdmin[Any]", count: int) -> str:
    options = page.opts
    name = options.verbose_name if count == 1 else options.verbose_name_plural
    return f"{count:,} {name}"
