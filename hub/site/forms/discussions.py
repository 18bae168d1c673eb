"""Opening a discussion, answering in it, and renaming it."""

from typing import ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Option, Refusals, choice_field, text_field
from registry.kernel.errors import RegistryError, ValueInvalid

MARKDOWN = _("Markdown. `@name` notifies somebody.")
PULL_REQUEST = Option(
    _("A pull request"),
    _("A draft with a branch of its own, which you push to. `hf upload … --create-pr` does both at once."),
)


class NewDiscussion(Form):
    title = text_field(_("Title"), maxlength=500)
    text = text_field(_("What it is about"), MARKDOWN, required=False, widget=forms.Textarea, rows=8, maxlength=65536)
    type = choice_field(
        _("Type"),
        [
            ("discussion", Option(_("A discussion"), _("A question, a finding, an idea."))),
            ("pull_request", PULL_REQUEST),
        ],
        "discussion",
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        if isinstance(refusal, ValueInvalid):
            return "title" if "title" in refusal.detail else "text"
        return None


class Comment(Form):
    """An answer; it may stay empty where a button closes or merges."""

    text = text_field(_("Your answer"), MARKDOWN, required=False, widget=forms.Textarea, rows=5, maxlength=65536)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}


class RenameDiscussion(Form):
    title = text_field(_("Title"), maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "title"}
