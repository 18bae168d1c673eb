"""The page on which a visitor tries an adapter with an own text: a form of its task, and base and adapter side by side.

The answer is a table of labels, a text with marks, a continuation, or a similarity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.usage import Answer, Mark, Side
from features.tries import verbs
from features.tries.models import Tryout
from features.tries.verbs import MAX_NEW_TOKENS, MAX_TEXT, NEW_TOKENS
from hub.addresses import network_of
from hub.site import routing
from hub.site.forms import Form, text_field
from hub.site.panels import Pages, Panel
from hub.site.repository.repository_header import RepositoryHeader, repository_page
from hub.site.visitor import caller
from registry.kernel.errors import SignInRequired
from registry.kernel.policy import Permission
from registry.proof.verdicts import requests
from registry.repos import lookup, pull

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Labels = Mapping[str, "StrOrPromise"]
WRITES: Labels = {"text": _("Text to continue"), "new_tokens": _("Tokens to generate")}
READS: Labels = {"text": _("Text")}
SEPARATOR = " | "  # of the two texts of a sample
PAIRS = "pairs"  # classification of two texts, which no pipeline tag tells from that of one
VECTORS: Labels = {"text": _("Text"), "other": _("Text to compare with")}
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
ANY: Labels = {"text": _("Text"), "other": _("Second text, if the task has one"), "new_tokens": _("Tokens to generate")}


PRESETS = 3  # in the overview; the page of tries has them all


class Try(Form):
    text = text_field(_("Text"), widget=forms.Textarea, maxlength=MAX_TEXT, rows=4)
    other = text_field(_("Second text"), required=False, widget=forms.Textarea, maxlength=MAX_TEXT, rows=3)
    new_tokens = forms.IntegerField(
        label=_("Tokens to generate"), required=False, min_value=1, max_value=MAX_NEW_TOKENS, initial=NEW_TOKENS
    )

    def __init__(self, *args: Any, task: str, **options: Any) -> None:
        super().__init__(*args, **options)
        labels = FIELDS.get(task, ANY)
        for name in list(self.fields):
            if name in labels:
                self.fields[name].label = labels[name]
            else:
                del self.fields[name]


BASE, ADAPTER = _("Base"), _("This adapter")
WITH_HEAD = _("Base with this adapter's head")  # the base has none of its own, or one that was never trained
OWN_HEADS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
WRITERS = ("CAUSAL_LM", "SEQ_2_SEQ_LM")


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label, and its probability on either side; None where it is not among the likeliest there."""

    label: str
    values: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text; `label` is "" where nothing was found."""

    text: str
    label: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class ShownSide:
    name: str
    text: str | None = None
    pieces: list[Piece] = field(default_factory=list)
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything about an answer that the page shows. `is_value`: the labels are one number and no probabilities."""

    answer: Answer
    sides: tuple[ShownSide, ShownSide]
    labels: list[LabelRow]
    is_value: bool
    is_written: bool
    has_marks: bool
    took_ms: float | None

    @property
    def is_cut(self) -> bool:
        return self.answer.tokens_read < self.answer.tokens

    @property
    def is_same(self) -> bool:
        return self.answer.base == self.answer.adapter


def shown_answer(row: Tryout) -> Shown:
    """Return the answer of a finished try as its page shows it."""
    answer = Answer.read(row.answer or {})
    base = WITH_HEAD if answer.task in OWN_HEADS else BASE
    sides = (_side(str(base), answer.base, row.text), _side(str(ADAPTER), answer.adapter, row.text))
    labels = _labels(answer)
    is_value = len(labels) == 1 and labels[0].label == "score"
    has_marks = answer.task == "TOKEN_CLS"
    took = row.finished_at - row.started_at if row.finished_at and row.started_at else None
    took_ms = 1000 * took.total_seconds() if took else None
    return Shown(answer, sides, labels, is_value, answer.task in WRITERS, has_marks, took_ms)


def _side(name: str, side: Side, text: str) -> ShownSide:
    return ShownSide(name, side.text, _pieces(text, side.marks), side.similarity)


def _labels(answer: Answer) -> list[LabelRow]:
    """Return the labels of either side, those of the adapter first."""
    sides = [{share.label: share.value for share in side.labels} for side in (answer.base, answer.adapter)]
    names = dict.fromkeys([*sides[1], *sides[0]])
    return [LabelRow(name, (sides[0].get(name), sides[1].get(name))) for name in names]


def _pieces(text: str, marks: tuple[Mark, ...]) -> list[Piece]:
    """Return the text in parts, of which some are marked."""
    pieces, at = [], 0
    for mark in marks:
        start, end = int(mark.start), int(mark.end)
        if at <= start < end <= len(text):
            pieces += [Piece(text[at:start]), Piece(text[start:end], mark.label, mark.value)]
            at = end
    return [piece for piece in (*pieces, Piece(text[at:])) if piece.text]


def tryout(request: HttpRequest, address: routing.RepositoryAddress) -> HttpResponse:
    """Show the form for `rev`, by default the verified version, and with `id` the answer of a try."""
    return _shown(request, address, rev=request.GET.get("rev", "")[:255] or "main")


@repository_page
def _shown(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    if header.proof is None:
        raise requests.no_adapter(header.revision)
    if not request.GET.get("rev"):
        header = header.used
    row = verbs.find(header.revision, request.GET["id"], header.by) if request.GET.get("id") else None
    if row is not None and "panel" in request.GET:
        return render(request, "tries/answer.html", {"header": header} | _answer(row))
    return _page(request, header, Try(initial=_initial(request, header, row), task=_task(header)), row)


def ask(request: HttpRequest, address: routing.RepositoryAddress) -> HttpResponse:
    """Queue a try, and lead to the page on which its answer appears."""
    by = caller(request)
    verbs.require_known(by)
    repository = lookup.find_at_address(address.full_name, by, Permission.DOWNLOAD, type=address.type)
    rev = request.POST.get("rev", "")[:255] or "main"
    header = RepositoryHeader(repository, pull.resolve(repository, rev), rev, by)
    pull.require_shown(header.revision, by)
    form = Try(request.POST, task=_task(header))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            tokens = given.get("new_tokens") or NEW_TOKENS
            asker = verbs.asker(by, network_of(request))
            row = verbs.request(header.revision, given["text"], given.get("other", ""), tokens, asker)
            return redirect(f"{reverse('try', args=[repository])}?rev={header.revision.oid}&id={row.key}#answer")
    return _page(request, header, form)


def _page(request: HttpRequest, header: RepositoryHeader, form: Try, row: Tryout | None = None) -> HttpResponse:
    problem = verbs.refusal(header.revision, header.by)
    page = {
        "header": header,
        "tab": "overview",
        "subpage": "try",
        "form": form,
        "rev_page": f"{reverse('try', args=[header.repository])}?rev=",
        "problem": problem,
        "needs_sign_in": isinstance(problem, SignInRequired),
        "presets": header.proof.samples if header.proof else (),
        "most": verbs.MAX_TEXT,
    }
    return render(request, "tries/page.html", page | _answer(row), status=form.status)


def _answer(row: Tryout | None) -> dict[str, object]:
    """Return what the part with the answer shows; nothing without a try."""
    if row is None:
        return {}
    place = verbs.place(row) if row.state == Tryout.State.QUEUED else None
    answer = shown_answer(row) if row.answer else None
    return {"tryout": row, "place": place, "answer": answer, "has_polling": not row.is_final}


def _initial(request: HttpRequest, header: RepositoryHeader, row: Tryout | None) -> dict[str, object]:
    """Return what the form holds at first: the texts of a try, or a sample of the verdict by its number."""
    if row is not None:
        return {"text": row.text, "other": row.other, "new_tokens": row.new_tokens}
    samples = header.proof.samples if header.proof else ()
    number = request.GET.get("sample", "")
    if not (number.isdecimal() and 1 <= int(number[:4]) <= len(samples)):
        return {}
    text, _, other = samples[int(number) - 1].input.partition(SEPARATOR)
    return {"text": text, "other": other}


def _task(header: RepositoryHeader) -> str:
    """Return the pipeline tag, or `pairs` for a classifier whose samples are pairs of texts."""
    task = str(header.described["task"])
    samples = header.proof.samples if header.proof else ()
    is_of_pairs = any(SEPARATOR in sample.input for sample in samples)
    return PAIRS if task == "text-classification" and is_of_pairs else task


def _box(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the form where the version was run; whether a worker is there for it is said once it was sent."""
    header = page["header"]
    if settings.TRY == "off" or header.proof is None or not verbs.is_run(header.proof.report):
        return None
    try:
        verbs.require_known(header.by)
    except SignInRequired:
        is_known = False
    else:
        is_known = True
    form = Try(task=_task(header), auto_id="try-%s")
    return {"try_form": form, "is_known": is_known, "presets": header.proof.samples[:PRESETS]}


PAGES = Pages(
    routes=[
        routing.at("<repository:address>/try", tryout, "try"),
        *routing.forms("try", "<repository:address>/try", ("ask", ask, "ask-try")),
    ],
    panels=(Panel("overview", "tries/box.html", _box),),
)
