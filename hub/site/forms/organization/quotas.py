"""The form of the limits of one owner."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, name_field, text_field
from registry.people.quotas import MAX_REASON

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,3})?)\s*([A-Za-z]{0,2})")


class Limit(forms.Field):
    """A limit as it is typed: empty for the hub's own (None), `none` for no limit (0), else a number with a unit."""

    def __init__(self, *, has_unit: bool, **options: Any) -> None:
        super().__init__(required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}), **options)
        self.units = UNITS if has_unit else {"": 1}

    def to_python(self, value: Any) -> int | None:
        text = str(value or "").strip().replace(",", "")
        if not text:
            return None
        if text.lower() == "none":
            return 0
        typed = SIZE.fullmatch(text)
        if typed is None or typed[2].upper() not in self.units:
            if len(self.units) > 1:
                raise forms.ValidationError(
                    _("Write a number, such as 50 GB, or none, or nothing for the hub's own limit.")
                )
            raise forms.ValidationError(_("Write a number, or none, or nothing for the hub's own limit."))
        return round(float(typed[1]) * self.units[typed[2].upper()]) if "." in typed[1] else self._whole(typed)

    def _whole(self, typed: re.Match[str]) -> int:
        return int(typed[1]) * self.units[typed[2].upper()]


class NewQuota(Form):
    """Limits of one person or organisation, in place of the hub's own."""

    name = name_field(_("Person or organisation"))
    bytes = Limit(
        label=_("Bytes"), help_text=_("Such as `50 GB`; `none` for no limit, empty for the hub's own."), has_unit=True
    )
    repositories = Limit(label=_("Repositories"), help_text=_("A number; `none` and empty as above."), has_unit=False)
    reason = text_field(_("Reason"), _("The owners read it."), maxlength=MAX_REASON)
