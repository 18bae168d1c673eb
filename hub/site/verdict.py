"""The page of a verdict, check by check, with weights and training; and the panel that pages poll while it is made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from dovetail.adapters.shapes import passport
from dovetail.adapters.shapes.base_norms import Layer, natural_order
from dovetail.adapters.shapes.passport import Outlier
from hub.site.forms import Form, text_field
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import header_at_revision, repository_page
from hub.site.repository.snippets import snippets
from hub.site.routing import RepositoryAddress
from registry.kernel import seams
from registry.kernel.errors import RegistryError
from registry.kernel.policy import Permission
from registry.proof.verdicts import requests
from registry.proof.verified import verified
from registry.proof.weights import passports
from registry.proof.weights.base_norms import NormsOfBase
from registry.proof.weights.passports import MeasuredFile, Relative
from registry.repos import pull
from registry.repos.contents import weight_files

MAX_FILES, MAX_KINDS, MAX_BARS, MAX_OUTLIERS = 3, 12, 160, 5
BAR_HEIGHT = 24.0  # of the largest bar


Bar = tuple[int, float, float]  # place, top, height


@dataclass(frozen=True, slots=True)
class ModuleKind:
    """The modules of one name, such as q_proj, in the order of their layers; `bars` are (place, top, height).

    `shares` are the least and the most of the base's norm that one of them changes, in percent, where that is known.
    """

    name: str
    count: int
    rank: int
    effective_rank: float | None
    low: float
    high: float
    bars: list[Bar]
    shares: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class WeightPanel:
    """A file as the page shows it."""

    path: str
    kinds: list[ModuleKind]
    kinds_left_out: int
    outliers: list[Outlier]
    relatives: list[Relative]
    base: NormsOfBase
    layers: list[Layer]  # those whose share of the base's norm is known
    layer_bars: list[Bar]

    @property
    def largest_layer(self) -> Layer | None:
        return max(self.layers, key=lambda layer: layer.share or 0.0, default=None)


def weight_panels(header: RepositoryHeader) -> list[WeightPanel]:
    """Return what was measured of the weights; nothing for visitors who may not have the files."""
    if not pull.may_have_files(header.revision, header.by):
        return []
    files = passports.measured_files(header.revision, header.entries, header.by, MAX_FILES)
    return [panel for panel in map(_weight_panel, files) if panel.kinds or panel.relatives]


def _weight_panel(file: MeasuredFile) -> WeightPanel:
    kinds = list(_kinds(file))
    left_out, layers = max(0, len(kinds) - MAX_KINDS), file.layers
    bars = _bars([layer.share or 0.0 for layer in layers])
    return WeightPanel(
        file.path, kinds[:MAX_KINDS], left_out, file.outliers[:MAX_OUTLIERS], file.relatives, file.base, layers, bars
    )


def _kinds(file: MeasuredFile) -> Iterator[ModuleKind]:
    """Yield the kinds of matrices, the one with the largest norm first; bars of all of them have one scale."""
    kinds = passport.kinds_of(file.modules)
    known = {one.name: share.value for one, share in zip(file.modules, file.shares, strict=True)}
    largest = max((one.norm or 0.0 for members in kinds.values() for one in members), default=0.0)
    for name, members in sorted(kinds.items(), key=lambda item: -max(one.norm or 0.0 for one in item[1])):
        norms = [one.norm or 0.0 for one in sorted(members, key=lambda one: natural_order(one.name))]
        ranks = [one.effective_rank for one in members if one.effective_rank is not None]
        shares = [100 * value for one in members if (value := known[one.name]) is not None]
        bars = _bars(norms, largest)
        effective = fmean(ranks) if ranks else None
        yield ModuleKind(
            name,
            len(members),
            max(one.rank for one in members),
            effective,
            min(norms),
            max(norms),
            bars,
            (min(shares), max(shares)) if shares else None,
        )


def _bars(values: Sequence[float], largest: float = 0.0) -> list[Bar]:
    """Return a bar for each of the first values, the largest of which, or else the given one, has the full height."""
    largest = largest or max(values, default=0.0)
    heights = [BAR_HEIGHT * value / largest if largest else 0.0 for value in values[:MAX_BARS]]
    return [(place, round(BAR_HEIGHT - height, 2), round(height, 2)) for place, height in enumerate(heights)]


class Override(Form):
    reason = text_field(
        _("Let it become verified all the same"),
        _("Why the number is right, in at least 10 characters; everybody reads this."),
        maxlength=500,
        placeholder=_("The new rows of label 3 are harder than the old ones"),
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        return "reason"


WIDTH, HEIGHT = 100.0, 24.0  # of the line of the losses


@repository_page
def verdict(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the page, or with `was=STATE` the panel alone; the browser reloads the page once the state has changed."""
    if "was" in request.GET:
        return _panel(request, header, request.GET["was"])
    if header.proof is None:
        raise requests.no_adapter(header.revision)
    seams.saw(header.by.user, "verdict", header.repository)
    return _page(request, header, Override())


def _page(request: HttpRequest, header: RepositoryHeader, form: Override) -> HttpResponse:
    page = {"header": header, "tab": "verdict", "tools": snippets(request, header.used), "form": form}
    page |= {"measured_files": weight_panels(header)} | _training(header)
    return render(request, "site/verdict.html", page, status=form.status)


@require_POST
def override(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    """Let a version become `verified` that measured worse than the one before, for the reason in the form."""
    header = header_at_revision(request, address, rev, Permission.CONFIGURE)
    form = Override(request.POST)
    if form.is_valid():
        with form:
            verified.override(header.revision, header.by, form.cleaned_data["reason"])
            return redirect("verdict", header.repository, header.revision.oid)
    return _page(request, header, form)


@require_POST
def withdraw_override(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    header = header_at_revision(request, address, rev, Permission.CONFIGURE)
    verified.withdraw(header.revision, header.by)
    return redirect("verdict", header.repository, header.revision.oid)


def _panel(request: HttpRequest, header: RepositoryHeader, was: str) -> HttpResponse:
    state = header.proof.document.state if header.proof else "none"
    if state != was and (was == "none" or not header.proof or not header.proof.is_open):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "site/parts/proof.html", {"header": header})


def _training(header: RepositoryHeader) -> dict[str, Any]:
    """Return what the page shows; nothing to visitors who may not have the files."""
    if not pull.may_have_files(header.revision, header.by):
        return {}
    stated = weight_files.training_of(header.entries)
    checkpoint = weight_files.checkpoint_of(header.entries, stated, header.by)
    return {"training": stated, "loss_line": _line_of_losses(stated.losses), "checkpoint": checkpoint}


def _line_of_losses(losses: tuple[tuple[float, float], ...]) -> str:
    """Return the points of a polyline from the first step to the last, the largest loss at the top."""
    values = [loss for _, loss in losses]
    low, high = min(values, default=0.0), max(values, default=0.0)
    span, last = (high - low) or 1.0, max(len(losses) - 1, 1)
    return " ".join(
        f"{WIDTH * place / last:.2f},{1 + (HEIGHT - 2) * (high - loss) / span:.2f}" for place, loss in enumerate(values)
    )
