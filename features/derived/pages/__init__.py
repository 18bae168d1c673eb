"""Other forms of a version: what it was made of, what was made of it, the form that asks for more; and its lineage."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from dovetail.adapters import convert
from dovetail.adapters.merge import MAX_RANK
from features.derived import lineage as lineages
from features.derived import verbs
from features.derived.lineage import TAGS, Step, Steps
from features.derived.models import DerivedVersion
from features.derived.pages.merges import merge, requested
from features.derived.verbs import is_merge
from hub.site import routing
from hub.site.forms import Form, Refusals, name_field
from hub.site.panels import Pages, Panel
from hub.site.proof import document
from hub.site.repository.commits import Yank, commit_page
from hub.site.repository.repository_header import RepositoryHeader, header_at_revision, repository_page
from hub.site.visitor import caller
from registry.kernel.errors import NotAllowed, RepositoryNotFound, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Repository, Verdict
from registry.repos import lookup

FORMS = {
    "peft": "PEFT",
    "kohya": _("kohya, for image programs"),
    "diffusers": "diffusers",
    "mlx": _("MLX, for mlx-lm"),
    "gguf": _("GGUF, for llama.cpp"),
    "safetensors": _("safetensors in place of .bin"),
    "bin": _(".bin, as written by torch.save"),
    "fp16": _("fp16, half precision"),
    "bf16": _("bf16, half precision"),
    "slim": _("slim, without copies of the base's embeddings"),
    "peft-lora": _("LoRA of a rank, of any method of PEFT"),
}


class Derive(Form):
    to = forms.CharField(
        label=_("Form"),
        help_text=_("Lossless, or refused with a reason; fp16 and bf16 state their largest error."),
        widget=forms.Select,
        required=False,
    )
    alpha = forms.FloatField(
        label=_("Alpha"),
        help_text=_("A file of loralib does not say it. Empty: `lora_alpha` of the card."),
        required=False,
        widget=forms.NumberInput(attrs={"step": "any", "min": 0}),
    )
    rank = forms.IntegerField(
        label=_("Rank"),
        help_text=_("For a LoRA made from another method; the result says what was lost."),
        required=False,
        widget=forms.NumberInput(attrs={"min": 1, "max": MAX_RANK}),
    )
    enable_lora = name_field(
        _("Adapted parts"),
        _("Of merged linears, as GPT-2's: `true,false,true` for q and v. Empty: `enable_lora` of the card."),
        maxlength=48,
        required=False,
    )
    into = name_field(
        _("Into"),
        _("The id of a repository that gets it as its next version. Empty: a branch of this one."),
        maxlength=200,
        required=False,
    )
    fields_of: ClassVar[Refusals] = {RepositoryNotFound: "into", NotAllowed: "into", ValueInvalid: "to"}

    def __init__(self, *args: Any, formats: Sequence[str], has_branch: bool, family: str, **options: Any) -> None:
        """`family`: the source's format. `has_branch`: the person may write there: the result may be a branch."""
        super().__init__(*args, **options)
        self.formats = formats
        if family != "loralib":
            del self.fields["alpha"], self.fields["enable_lora"]
        if not has_branch:
            into = self.fields["into"]
            into.help_text = "The id of an adapter of yours whose next version it becomes."
            into.widget.attrs["required"] = True
        if "peft-lora" not in formats and family != "lycoris":
            del self.fields["rank"]
        widget = self.fields["to"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [(name, FORMS.get(name, name)) for name in formats]


def _origin(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what a version was made of; None for one that somebody pushed."""
    header = page["header"]
    origin = verbs.made_of(header.revision) if header.repository.type == Repository.Type.MODEL else None
    return {"made_of": origin, "made_of_sources": verbs.shown_sources(origin, header.by)} if origin else None


def _made_from(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what was made of a version, and for people the form that asks for more, with what was wrong in it."""
    header = page["header"]
    if header.repository.type != Repository.Type.MODEL:
        return None
    derived = _with_verdicts(verbs.made_from(header.revision, header.by))
    return {
        "derived": derived,
        "derived_waits": any(not row.is_final for row, _ in derived),
        "derive_form": page.get("refused") or _derive_form(header),
        "may_merge": _may_merge(header),
    }


def _forms(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the other forms of a version, and for people the form that asks for more; None without both."""
    header = page["header"]
    if header.repository.type != Repository.Type.MODEL:
        return None
    forms = [row for row in verbs.made_from(header.revision, header.by) if not is_merge(row)]
    form = _derive_form(header)
    shown = {"other_forms": _with_verdicts(forms), "derive_form": form, "may_merge": _may_merge(header)}
    return shown if forms or form else None


def derive_form(header: RepositoryHeader, data: QueryDict | None = None) -> Derive:
    """Return the form with what can be made of the version, as far as its format tells."""
    family = str(header.described["format"])
    formats = convert.results_of(family, header.entries)
    has_branch = header.may_write and not header.repository.source
    return Derive(data, formats=formats, has_branch=has_branch, family=family)


def _derive_form(header: RepositoryHeader) -> Derive | None:
    """Return the form; None for strangers, and where nothing can be made."""
    form = derive_form(header) if header.by.user is not None else None
    return form if form and form.formats else None


def _may_merge(header: RepositoryHeader) -> bool:
    return header.by.user is not None and header.described["format"] == "peft"


def _with_verdicts(rows: list[DerivedVersion]) -> list[tuple[DerivedVersion, Any]]:
    """Return each row with its newest verdict, as pages show it."""
    done = [row.revision_id for row in rows if row.revision_id]
    newest = Verdict.objects.filter(revision__in=done).order_by("number") if done else []
    verdicts = {verdict.revision_id: document(verdict) for verdict in newest}
    return [(row, verdicts.get(row.revision_id or 0)) for row in rows]


def derive(request: HttpRequest, address: routing.RepositoryAddress, rev: str) -> HttpResponse:
    header = header_at_revision(request, address, rev, Permission.BROWSE)
    form = derive_form(header, request.POST)
    if form.is_valid():
        by, given = caller(request), form.cleaned_data
        with form:
            into = lookup.find(given["into"], by, Permission.BROWSE) if given["into"] else None
            asked = {key: given[key] for key in ("alpha", "enable_lora", "rank") if given.get(key)}
            verbs.request_conversion(header.revision, given["to"], by, into, asked)
            return requested(header)
    return commit_page(request, header, Yank(), form)


@dataclass(frozen=True, slots=True)
class Node:
    """A repository in a tree, the method of the step that leads to it, and the nodes below it."""

    repository: Repository
    method: str
    below: list["Node"]


@repository_page
def lineage(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    found = lineages.read(header.repository, header.entries, header.facts.bases, header.by)
    tag = TAGS.get(header.repository.type)
    shown = {
        "header": header,
        "tab": "overview",
        "subpage": "lineage",
        "found": found,
        "sources": _tree(found.made_from, header.repository, attrgetter("result"), attrgetter("source")),
        "results": _tree(found.made_of_it, header.repository, attrgetter("source"), attrgetter("result")),
        "tag": f"{tag}:{header.repository.full_name}" if tag else "",
    }
    return render(request, "derived/lineage.html", shown)


def _tree(
    steps: Steps, root: Repository, near: Callable[[Step], Repository], far: Callable[[Step], Repository]
) -> list[Node]:
    """Return the nodes next to the root; each step hangs below the node that it begins at."""
    below = defaultdict(list)
    for step in steps.items:
        below[near(step).pk].append(step)

    def nodes(of: int) -> list[Node]:
        return [Node(far(step), step.method, nodes(far(step).pk)) for step in below[of]]

    return nodes(root.pk)


def _of_hub(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return nothing more for repositories of this hub; None for those of another, whose lineage is there."""
    return None if page["header"].repository.source else {}


AT = "<repository:address>"
PAGES = Pages(
    routes=[
        routing.at(f"{AT}/lineage", lineage, "lineage"),
        routing.at(f"{AT}/commit/<str:rev>/merge", merge, "merge-versions"),
        *routing.forms("commit", f"{AT}/commit/<str:rev>", ("derive", derive, "derive")),
    ],
    panels=(
        Panel("facts-end", "derived/fact.html", _of_hub),
        Panel("commit-message", "derived/made_of.html", _origin),
        Panel("commit", "derived/made_from.html", _made_from),
        Panel("other-forms", "derived/forms.html", _forms),
    ),
)
