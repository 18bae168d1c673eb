"""Making, editing and deleting releases."""

from typing import ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Refusals, name_field, text_field
from registry.kernel.errors import (
    FilesExpired,
    RefExists,
    ReleaseRefused,
    RepositoryQuarantined,
    RevisionNotFound,
    ValueInvalid,
)
from registry.models.repos.releases import MAX_NOTES, MAX_TITLE

MARKDOWN = _("Markdown: what is new, and what changes for people who use it. `@name`, `#3` and commits become links.")


class EditRelease(Form):
    title = text_field(_("Title"), _("May stay empty."), required=False, maxlength=MAX_TITLE)
    notes = text_field(_("Notes"), MARKDOWN, required=False, widget=forms.Textarea, rows=12, maxlength=MAX_NOTES)
    prerelease = forms.BooleanField(
        label=_("A pre-release"),
        help_text=_("It is never the latest release; `v1.0.0-rc.1` is one by its name."),
        required=False,
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "notes"}


class NewRelease(EditRelease):
    tag = name_field(
        _("Tag"), _("A semantic version; it is created unless it is there."), maxlength=64, placeholder="v1.0.0"
    )
    revision = name_field(
        _("Version"),
        _("A commit, a branch or a tag. Empty: what the tag names, else `verified`."),
        maxlength=200,
        placeholder="verified",
        required=False,
    )
    force = forms.BooleanField(
        label=_("Also if it has not passed"),
        help_text=_("The release says so: people take a release for something that works."),
        required=False,
    )
    field_order = ("tag", "revision", "title", "notes", "prerelease", "force")
    fields_of: ClassVar[Refusals] = {
        RefExists: "tag",
        RevisionNotFound: "revision",
        ReleaseRefused: "revision",
        RepositoryQuarantined: "revision",
        FilesExpired: "revision",
        ValueInvalid: "notes",
    }


class DeleteRelease(Form):
    with_tag = forms.BooleanField(
        label=_("Delete its tag too"), help_text=_("Who pulls it by the tag finds nothing then."), required=False
    )
