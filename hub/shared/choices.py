"""A field for one of several values, in parameters and bodies."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers as s


class _OneOf(s.ChoiceField):
    """A choice that takes a former spelling for that of today."""

    def __init__(self, choices: Any, former: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(choices, **more)
        self._former = former or {}

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(self._former.get(data, data) if isinstance(data, str) else data)


def one_of(choices: Sequence[str | tuple[str, str]], **more: Any) -> s.ChoiceField:
    """Return a field for one of these values, which may have labels; its refusal names them."""
    values = ", ".join(choice if isinstance(choice, str) else choice[0] for choice in choices)
    return _OneOf(choices, error_messages={"invalid_choice": f"{{input}} is none of {values}."}, **more)
