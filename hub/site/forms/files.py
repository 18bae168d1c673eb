"""Changing files in the browser: the commit, the card, the text of a file, its name; branches and tags."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.formats import licenses as known_licenses
from hub.site.forms import Choice, Form, Option, Refusals, name_field, text_field
from registry.kernel.errors import PathInvalid, RefExists, RegistryError, RevisionNotFound, ValueInvalid
from registry.kernel.texts.plain_yaml import Value
from registry.repos.contents.card import Card
from registry.repos.contents.tags import TASKS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

BRANCH, PROPOSAL = "branch", "proposal"  # where a commit goes


class CommitWords(Form):
    """The message of a commit, and where it goes: to the branch, or into a pull request."""

    title = text_field(_("Summary"), maxlength=200)
    message = text_field(_("Description"), _("May stay empty."), required=False, widget=forms.Textarea, rows=3)
    fields_of: ClassVar[Refusals] = {}

    def __init__(self, data: QueryDict | None = None, *, title: str, branch: str, may_write: bool) -> None:
        """`title` is the summary where nobody writes one. Who may not write opens a pull request."""
        super().__init__(data)
        self.default_title, self.may_write = title, may_write
        self.fields["title"].widget.attrs["placeholder"] = title
        self.fields["title"].widget.attrs["required"] = False
        if may_write:
            options = [
                (BRANCH, Option(_("Commit to {branch}").format(branch=branch), _("Its verdict begins at once."))),
                (
                    PROPOSAL,
                    Option(_("Open a pull request"), _("Others look at it first; it has a verdict of its own.")),
                ),
            ]
            self.fields["where"] = Choice(label=_("Where"), initial=BRANCH, options=options, must_answer=False)

    @property
    def summary(self) -> str:
        return str(self.cleaned_data["title"]) or self.default_title

    @property
    def proposes(self) -> bool:
        return not self.may_write or self.cleaned_data.get("where") == PROPOSAL


def _list(data: dict[str, Value], key: str) -> str:
    value = data.get(key)
    return ", ".join(str(item) for item in (value if isinstance(value, list) else [value]) if item)


def suggested(label: "StrOrPromise", help_text: "StrOrPromise", suggestions: str, **more: Any) -> Any:
    """Return a field for one line of text with suggestions from the list of that id."""
    return text_field(label, help_text, required=False, maxlength=500, list=suggestions, spellcheck="false", **more)


class CardFields(Form):
    """The front matter and the text of a README; other fields of the front matter stay as they are."""

    prefix = "card"
    license = suggested(_("License"), _("Its SPDX name, as in `apache-2.0`."), "licenses")
    task = suggested(_("Task"), _("As in `text-classification`."), "tasks")
    base = suggested(_("Base model"), _("The id of the frozen model, as in `org/name`."), "")
    language = suggested(_("Languages"), _("Codes with commas between: `en, de`."), "")
    datasets = suggested(_("Training data"), _("Ids of datasets with commas between."), "")
    tags = suggested(_("Tags"), _("With commas between."), "")
    text = text_field(
        _("Card text"), _("Markdown: what it is for, how it was trained, where it fails."),
        required=False, widget=forms.Textarea, rows=12, maxlength=200_000,
    )  # fmt: skip

    WORDS: ClassVar[dict[str, str]] = {"license": "license", "task": "pipeline_tag", "base": "base_model"}
    LISTS: ClassVar[dict[str, str]] = {"language": "language", "datasets": "datasets", "tags": "tags"}
    licenses: ClassVar[list[str]] = list(known_licenses.TABLE)
    tasks: ClassVar[tuple[str, ...]] = TASKS

    def __init__(self, data: QueryDict, card: Card, *, base: str, task: str) -> None:
        """Begin with a card; `base` and `task` are what the files state."""
        self.kept, self.before = dict(card.data), card.body.strip()
        initial = {name: _list(self.kept, key) for name, key in {**self.WORDS, **self.LISTS}.items()}
        initial |= {"base": initial["base"] or base, "task": initial["task"] or task, "text": self.before}
        super().__init__(data if "card-text" in data else None, initial=initial)

    @property
    def body(self) -> str:
        """The text with the line ends of files, not of browsers."""
        return str(self.cleaned_data["text"]).replace("\r\n", "\n").strip() + "\n"

    @property
    def is_changed(self) -> bool:
        """True if the card differs from the one that it began with."""
        return self.front_matter != self.kept or self.body.strip() != self.before

    @property
    def front_matter(self) -> dict[str, Value]:
        """The front matter with the fields as they were filled in; empty ones are left out."""
        given = self.cleaned_data
        data = dict(self.kept)
        data |= {key: given[name] for name, key in self.WORDS.items() if given[name] != _list(self.kept, key)}
        for name, key in self.LISTS.items():
            if given[name] != _list(self.kept, key):  # else it stays as it is: one word, or a list
                data[key] = [word.strip() for word in given[name].split(",") if word.strip()]
        return {key: value for key, value in data.items() if value not in ("", [], None)}


class EditText(Form):
    """The text of a file; `seen` is the sha256 of the file that the person began with, "" for a new one."""

    text = forms.CharField(label=_("Text"), required=False, strip=False, widget=forms.Textarea)
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}

    def __init__(self, data: QueryDict | None, *, text: str, seen: str) -> None:
        super().__init__(data, initial={"text": text, "seen": seen})
        attrs = {"rows": 24, "spellcheck": "false", "class": "code", "autocomplete": "off"}
        self.fields["text"].widget.attrs |= attrs

    @property
    def content(self) -> bytes:
        """The text as it is stored: browsers send line ends of two characters."""
        text = str(self.cleaned_data["text"]).replace("\r\n", "\n")
        return (text if not text or text.endswith("\n") else text + "\n").encode("utf-8", "replace")


class RenameFile(Form):
    path = name_field(_("New path"), _("With its folders; `/` between them."), maxlength=1024)
    fields_of: ClassVar[Refusals] = {PathInvalid: "path", ValueInvalid: "path"}


class NewRef(Form):
    name = name_field(_("Name"), _("Such as `v1.0` or `experiment`."), maxlength=200, placeholder="v1.0")
    kind = Choice(
        label=_("What it is"),
        options=[
            ("tag", Option(_("Tag"), _("Names one version, and never moves."))),
            ("branch", Option(_("Branch"), _("Moves with each commit to it."))),
        ],
        initial="tag",
        must_answer=False,
    )
    revision = name_field(
        _("Version"),
        _("A commit, `verified`, a tag or a branch."),
        required=False,
        maxlength=200,
        placeholder="main",
    )
    fields_of: ClassVar[Refusals] = {RefExists: "name", ValueInvalid: "name", RevisionNotFound: "revision"}

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data, auto_id="ref-%s")  # the form of an alias on the same page has fields of these names

    def field_of(self, refusal: RegistryError) -> str | None:
        return super().field_of(refusal) or "name"
