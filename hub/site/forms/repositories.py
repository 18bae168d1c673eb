"""Making a repository, and what its administrators change: who sees it, its name, who gets the files."""

from typing import ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.converters import RepositoryAddress
from hub.site.forms import Choice, Form, Named, Option, Owned, Refusals, name_field, text_field, visibility_field
from registry.kernel.errors import (
    AliasRefused,
    AliasUnproven,
    NameInvalid,
    NameProhibited,
    NameReserved,
    NamespaceNotFound,
    NameTaken,
    RefExists,
    RegistryError,
    RepositoryExists,
    RepositoryNotFound,
    RepositoryQuarantined,
    RevisionNotFound,
    ValueInvalid,
)
from registry.kernel.texts.names import Likeness
from registry.people import known_names


class NewRepository(Named, Owned):
    name = name_field(_("Name"), _("What it does, and its kind: `reviews-lora`"), placeholder="reviews-lora")
    visibility = visibility_field(
        _("Who may see it"),
        Option(_("Everybody"), _("Listed and pulled by anyone.")),
        Option(_("Only you and members"), _("For everybody else it does not exist.")),
    )
    fields_of: ClassVar[Refusals] = {
        NameInvalid: "name",
        NameTaken: "name",
        RepositoryExists: "name",
        ValueInvalid: "name",
        NameReserved: "name",
        NameProhibited: "name",
    }

    @property
    def existing(self) -> RepositoryAddress | None:
        """The repository that has this name already, after it was refused for that."""
        if not isinstance(self.refusal, RepositoryExists):
            return None
        return RepositoryAddress("model", f"{self.cleaned_data['owner']}/{self.data['name'].strip()}")

    def like(self, name: str) -> Likeness | None:
        return known_names.like_repository(name)


class Visibility(Form):
    visibility = visibility_field(
        _("Who may see it"),
        Option(_("Everybody"), _("Listed and pulled by anyone.")),
        Option(_("Only its owners"), _("For everybody else it does not exist.")),
        must_answer=True,
    )


class Deprecation(Form):
    message = text_field(_("Deprecated"), _("What is wrong with it, or what people should do instead."), required=False)
    successor = name_field(
        _("Successor"), _("The id of what to use in its place, where there is one."), maxlength=200, required=False
    )
    fields_of: ClassVar[Refusals] = {RepositoryNotFound: "successor", ValueInvalid: "message"}


class Yank(Form):
    reason = text_field(
        _("Yank this version"),
        _("Why nobody should use it; everybody reads this."),
        maxlength=500,
        placeholder=_("Wrong labels"),
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        return "reason"


class Override(Form):
    reason = text_field(
        _("Let it become verified all the same"),
        _("Why the number is right, in at least 10 characters; everybody reads this."),
        maxlength=500,
        placeholder=_("The new rows of label 3 are harder than the old ones"),
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        return "reason"


class SetAlias(Form):
    alias = name_field(_("Alias"), _("Such as `prod`; one that exists moves."), maxlength=64, placeholder="prod")
    revision = name_field(
        _("Version"), _("A commit, `verified`, a tag or a branch."), maxlength=200, placeholder="verified"
    )
    reason = text_field(_("Why"), _("Everybody reads this."), maxlength=500, required=False)
    force = forms.BooleanField(
        label=_("Also if it has not passed"),
        help_text=_("It needs a reason: people pull an alias to get what works."),
        required=False,
    )
    fields_of: ClassVar[Refusals] = {
        RefExists: "alias",
        RevisionNotFound: "revision",
        AliasUnproven: "revision",
        AliasRefused: "revision",
        RepositoryQuarantined: "revision",
        ValueInvalid: "reason",
    }


class Move(Form):
    name = name_field(
        _("Its id"),
        _("Another name, or another owner where you may create repositories. Old links and clients are redirected."),
        maxlength=200,
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        return "name"


class Restore(Form):
    name = name_field(_("Restore it as"), _("Its own name, or another one if that is in use again."))

    def field_of(self, refusal: RegistryError) -> str | None:
        return "name"


class Gate(Form):
    gate = Choice(
        label=_("Who gets the files"),
        options=[
            ("", Option(_("Everybody"), _("who may see the page."))),
            ("auto", Option(_("Anyone who asks"), _("and is let in at once."))),
            ("manual", Option(_("Those you accept"), _("one by one."))),
        ],
        must_answer=True,
    )


class Grant(Form):
    grant = name_field(_("Give somebody access"), placeholder="username")

    def field_of(self, refusal: RegistryError) -> str | None:
        return "grant"


class Decision(Form):
    """A decision about a request; a client's user may send a reason with it."""

    reason = forms.CharField(required=False)


class AskAccess(Form):
    text = text_field(_("What you need the files for"), required=False, maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text", NamespaceNotFound: "text"}
