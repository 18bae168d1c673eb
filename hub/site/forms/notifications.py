"""Which notifications are read, and whether they are sent by e-mail too."""

from django import forms

from hub.site.forms import Form
from registry.kernel import ids


class MarkRead(Form):
    up_to = forms.CharField(required=False)

    def clean_up_to(self) -> int:
        return ids.parse_row_number(self.cleaned_data["up_to"])


class Mail(Form):
    mail = forms.BooleanField(required=False)
