"""Creating a team, putting people in, and saying which repositories it opens."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Option, Refusals, choice_field, name_field, text_field
from registry.kernel.errors import NameInvalid, NamespaceNotFound, NameTaken, QuotaExceeded, ValueInvalid

ROLES = (
    ("read", Option("read", _("sees and pulls them, private ones too."))),
    ("write", Option("write", _("pushes to them, and creates more with such names."))),
    ("admin", Option("admin", _("does that, changes their settings, and deletes them."))),
)
TYPES = (("", _("all types")), ("model", _("models")), ("dataset", _("datasets")), ("space", _("spaces")))


class NewTeam(Form):
    name = name_field(_("Name"), _("Short, as in addresses: `ner`."), placeholder="ner")
    full_name = text_field(_("Full name"), _("May stay empty."), required=False, maxlength=200)
    fields_of: ClassVar[Refusals] = {NameInvalid: "name", NameTaken: "name", ValueInvalid: "full_name"}


class TeamMember(Form):
    username = name_field(_("User name"), list="others")
    fields_of: ClassVar[Refusals] = {ValueInvalid: "username", NamespaceNotFound: "username"}


class TeamGrant(Form):
    """A pattern that a button carries."""

    pattern = name_field(
        _("Names"),
        _("`*` is any characters, `?` is one: `*` opens all repositories, `ner-*` those that begin with `ner-`."),
        placeholder="ner-*",
    )
    type = forms.CharField(label=_("Of these types"), required=False, widget=forms.Select(choices=TYPES))


class NewGrant(TeamGrant):
    role = choice_field(_("Role"), ROLES, "read")
    fields_of: ClassVar[Refusals] = {QuotaExceeded: "pattern"}

    def clean_role(self) -> Any:
        return self.cleaned_data["role"] or "read"
