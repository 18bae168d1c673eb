"""The form by which a visitor tries an adapter; its fields are those of the adapter's task."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, text_field
from registry.proof.tryouts import MAX_NEW_TOKENS, MAX_TEXT, NEW_TOKENS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Labels = Mapping[str, "StrOrPromise"]
WRITES: Labels = {"text": _("Text to go on from"), "new_tokens": _("Tokens to write")}
READS: Labels = {"text": _("Text")}
PAIRS = "pairs"  # classification of two texts, which no pipeline tag tells from that of one
VECTORS: Labels = {"text": _("Text"), "other": _("Text to compare it with")}
# By the pipeline tag of the adapter; fields without a label are left out.
FIELDS: Mapping[str, Labels] = {
    "text-classification": READS,
    PAIRS: {"text": _("Text"), "other": _("Second text")},
    "token-classification": READS,
    "fill-mask": {"text": _("Text, with [MASK] in place of each word to fill in")},
    "feature-extraction": VECTORS,
    "sentence-similarity": VECTORS,
    "question-answering": {"text": _("Question"), "other": _("Text that the question is about")},
    "text-generation": WRITES,
    "text2text-generation": WRITES,
    "summarization": {**WRITES, "text": _("Text")},
    "translation": {**WRITES, "text": _("Text")},
}
ANY: Labels = {"text": _("Text"), "other": _("Second text, where its task has one"), "new_tokens": _("Tokens to write")}


class Try(Form):
    text = text_field(_("Text"), widget=forms.Textarea, maxlength=MAX_TEXT, rows=4)
    other = text_field(_("Second text"), required=False, widget=forms.Textarea, maxlength=MAX_TEXT, rows=3)
    new_tokens = forms.IntegerField(
        label=_("Tokens to write"), required=False, min_value=1, max_value=MAX_NEW_TOKENS, initial=NEW_TOKENS
    )

    def __init__(self, *args: Any, task: str, **options: Any) -> None:
        super().__init__(*args, **options)
        labels = FIELDS.get(task, ANY)
        for name in list(self.fields):
            if name in labels:
                self.fields[name].label = labels[name]
            else:
                del self.fields[name]
