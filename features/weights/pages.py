"""What was measured of the weights, on the page of a verdict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dovetail.adapters.shapes import passport
from dovetail.adapters.shapes.base_norms import Layer, natural_order
from features.weights import passports
from features.weights.base_norms import NormsOfBase
from hub.site.panels import Pages, Panel
from registry.repos import pull
from registry.repos.same_weights import Relative

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
    outliers: list[passport.Outlier]
    relatives: list[Relative]
    base: NormsOfBase
    layers: list[Layer]  # those whose share of the base's norm is known
    layer_bars: list[Bar]

    @property
    def largest_layer(self) -> Layer | None:
        return max(self.layers, key=lambda layer: layer.share or 0.0, default=None)


def _panels(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what was measured of the weights; nothing for visitors who may not have the files."""
    header = page["header"]
    if not pull.may_have_files(header.revision, header.by):
        return None
    files = passports.measured_files(header.revision, header.entries, header.by, MAX_FILES)
    return {"measured_files": [panel for panel in map(_weight_panel, files) if panel.kinds or panel.relatives]}


def _weight_panel(file: passports.MeasuredFile) -> WeightPanel:
    kinds = list(_kinds(file))
    left_out, layers = max(0, len(kinds) - MAX_KINDS), file.layers
    bars = _bars([layer.share or 0.0 for layer in layers])
    return WeightPanel(
        file.path, kinds[:MAX_KINDS], left_out, file.outliers[:MAX_OUTLIERS], file.relatives, file.base, layers, bars
    )


def _kinds(file: passports.MeasuredFile) -> Iterator[ModuleKind]:
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


PAGES = Pages(panels=(Panel("verdict-weights", "weights/panel.html", _panels),))
