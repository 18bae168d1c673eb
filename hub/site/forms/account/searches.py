"""The form that keeps a search of the catalogue under a name."""

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, text_field


class SaveSearch(Form):
    name = text_field(_("Name"), _("One that you have already gets these filters."), maxlength=80)
    type = forms.CharField(required=False, widget=forms.HiddenInput)
    query = forms.CharField(required=False, widget=forms.HiddenInput)
