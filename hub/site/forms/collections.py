"""Making a collection, changing it, and adding to it."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Option, Owned, Refusals, text_field, visibility_field
from registry.kernel.errors import CollectionExists, ItemExists, RegistryError, ValueInvalid

SEEN_BY = (Option(_("Everybody")), Option(_("Only you and members")))


class NewCollection(Owned):
    title = text_field(_("Title"), maxlength=120)
    description = text_field(_("What it holds"), _("One line. May stay empty."), required=False, maxlength=500)
    visibility = visibility_field(_("Who may see it"), *SEEN_BY)
    fields_of: ClassVar[Refusals] = {CollectionExists: "title"}

    def field_of(self, refusal: RegistryError) -> str | None:
        if isinstance(refusal, ValueInvalid):
            return "description" if "description" in refusal.detail else "title"
        return super().field_of(refusal)


class CollectionDetails(NewCollection):
    """The fields of a collection that its owners change; the owner stays."""

    owner = None  # type: ignore[assignment]  # Django's way to leave a field of a parent out
    visibility = visibility_field(_("Who may see it"), *SEEN_BY, must_answer=True)

    def __init__(self, *args: Any, **options: Any) -> None:
        Form.__init__(self, *args, **options)

    def clean(self) -> dict[str, Any]:
        return dict(self.cleaned_data)


class AddItem(Form):
    name = text_field(
        _("Add"),
        _("An adapter; or `datasets/…`, `spaces/…`, `collections/…` as in its address."),
        maxlength=300, placeholder="acme/reviews-lora", spellcheck="false",
    )  # fmt: skip
    note = text_field(_("Note"), required=False, maxlength=500)

    def field_of(self, refusal: RegistryError) -> str | None:
        is_note = isinstance(refusal, ValueInvalid) and "note" in refusal.detail
        return "note" if is_note else "name"

    def clean_name(self) -> tuple[str, str]:
        """Return the kind and the name of what its address here says: ns/name, datasets/ns/name, collections/…"""
        typed: str = self.cleaned_data["name"].strip("/")
        kind, _, rest = typed.partition("s/")
        return (kind, rest) if kind in {"dataset", "space", "collection"} else ("model", typed)


class Note(Form):
    note = forms.CharField(required=False)
    fields_of: ClassVar[Refusals] = {ItemExists: "note", ValueInvalid: "note"}
