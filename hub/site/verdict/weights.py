"""The measured weights of a revision for its page: a row of bars for each kind of module, and near relatives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from dovetail.adapters.shapes import passport
from dovetail.adapters.shapes.base_norms import Layer, natural_order
from dovetail.adapters.shapes.passport import Outlier
from hub.site.repository.repository_header import RepositoryHeader
from registry.proof.weights import passports
from registry.proof.weights.base_norms import NormsOfBase
from registry.proof.weights.passports import MeasuredFile, Relative
from registry.repos import pull

MAX_FILES, MAX_KINDS, MAX_BARS, MAX_OUTLIERS = 3, 12, 160, 5
HEIGHT = 24.0  # of the largest bar


Bar = tuple[int, float, float]  # place, top, height


@dataclass(frozen=True, slots=True)
class Kind:
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
class Panel:
    """A file as the page shows it."""

    path: str
    kinds: list[Kind]
    kinds_left_out: int
    outliers: list[Outlier]
    relatives: list[Relative]
    base: NormsOfBase
    layers: list[Layer]  # those whose share of the base's norm is known
    layer_bars: list[Bar]

    @property
    def largest_layer(self) -> Layer | None:
        return max(self.layers, key=lambda layer: layer.share or 0.0, default=None)


def panels(header: RepositoryHeader) -> list[Panel]:
    """Return what was measured of the weights; nothing for visitors who may not have the files."""
    if not pull.may_have_files(header.revision, header.by):
        return []
    files = passports.measured_files(header.revision, header.entries, header.by, MAX_FILES)
    return [panel for panel in map(_panel, files) if panel.kinds or panel.relatives]


def _panel(file: MeasuredFile) -> Panel:
    kinds = list(_kinds(file))
    left_out, layers = max(0, len(kinds) - MAX_KINDS), file.layers
    bars = _bars([layer.share or 0.0 for layer in layers])
    return Panel(
        file.path, kinds[:MAX_KINDS], left_out, file.outliers[:MAX_OUTLIERS], file.relatives, file.base, layers, bars
    )


def _kinds(file: MeasuredFile) -> Iterator[Kind]:
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
        yield Kind(
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
    heights = [HEIGHT * value / largest if largest else 0.0 for value in values[:MAX_BARS]]
    return [(place, round(HEIGHT - height, 2), round(height, 2)) for place, height in enumerate(heights)]
