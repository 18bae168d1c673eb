"""Making an organisation, and what its administrators change."""

from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _

from hub.site.forms import (
    Choice,
    Form,
    Named,
    Option,
    Refusals,
    choice_field,
    name_field,
    text_field,
    visibility_field,
)
from registry.kernel.errors import RegistryError, SecondFactorRequired, ValueInvalid

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ROLES = (
    ("member", _("has only what teams open to them.")),
    ("read", _("sees and pulls everything, private adapters too.")),
    ("contributor", _("creates adapters, and pushes to those.")),
    ("write", _("pushes to all of them.")),
    ("admin", _("does that, changes settings, and decides who is a member.")),
)


def _seen_by(note: "StrOrPromise" = "", *, must_answer: bool = False) -> object:
    public, private = Option(_("Everybody"), note), Option(_("Members"), note)
    return visibility_field(_("New adapters are seen by"), public, private, must_answer=must_answer)


class NewOrganization(Named):
    name = name_field(_("Name"), _("The first part of its adapters' names: `acme/reviews-lora`."), placeholder="acme")
    full_name = text_field(
        _("Full name"), _("May stay empty."), required=False, maxlength=200, autocomplete="organization"
    )
    visibility = _seen_by(_("unless the push says otherwise."))

    def field_of(self, refusal: RegistryError) -> str | None:
        return "full_name" if isinstance(refusal, ValueInvalid) and "full name" in refusal.detail else "name"


class OrganizationDetails(Form):
    full_name = text_field(_("Full name"), required=False, maxlength=200, autocomplete="organization")
    visibility = _seen_by(must_answer=True)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "full_name"}


class SecondFactor(Form):
    requirement = Choice(
        label=_("Second factor"),
        must_answer=True,
        options=[
            ("optional", Option(_("Optional"), _("Members decide for themselves."))),
            (
                "required",
                Option(_("Required"), _("Without one, a role gives nothing here: no private adapter, no change.")),
            ),
        ],
    )
    fields_of: ClassVar[Refusals] = {SecondFactorRequired: "requirement"}


class Invite(Form):
    username = name_field(_("User name"))
    role = choice_field(_("Role"), [(role, Option(role, note)) for role, note in ROLES], "write")

    def field_of(self, refusal: RegistryError) -> str | None:
        return "role" if "role" in refusal.detail else "username"


class Member(Form):
    """A name that a button carries, with the role for those that give one."""

    username = name_field(_("User name"))
    role = text_field(_("Role"), required=False)


class Rename(Form):
    name = name_field(
        _("Its name"),
        _("All its repositories move with it. Old links are redirected, and nobody else gets the old name."),
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        return "name"
