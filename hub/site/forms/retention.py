"""The form of a rule of retention: how many versions are kept, and how young ones stay in any case."""

from typing import Any

from django import forms

from hub.site.forms import Form
from registry.publish.retention.retention import MOST_DAYS, MOST_VERSIONS, Limits


def _number(label: str, help_text: str, most: int, initial: int) -> Any:
    return forms.IntegerField(label=label, help_text=help_text, min_value=1, max_value=most, initial=initial)


class Retention(Form):
    keep_last = _number("Versions kept", "The newest of each branch.", MOST_VERSIONS, 20)
    keep_days = _number("Days", "Younger versions stay, whatever their number.", MOST_DAYS, 7)

    def limits(self) -> Limits:
        """Return the numbers of a valid form."""
        return Limits(self.cleaned_data["keep_last"], self.cleaned_data["keep_days"])
