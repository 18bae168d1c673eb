"""A field for one of several values, in parameters and bodies."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers as s


def one_of(choices: Sequence[str | tuple[str, str]], **more: Any) -> s.ChoiceField:
    """Return a field for one of these values, which may have labels; its refusal names them."""
    values = ", ".join(choice if isinstance(choice, str) else choice[0] for choice in choices)
    return s.ChoiceField(choices, error_messages={"invalid_choice": f"{{input}} is none of {values}."}, **more)
