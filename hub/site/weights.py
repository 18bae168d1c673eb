"""The measured weights of a revision for its page: a row of bars for each kind of module, and near relatives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from dovetail.adapters import passport
from dovetail.adapters.passport import Module, Outlier
from hub.site.repository_header import RepositoryHeader
from registry.kernel import policy
from registry.kernel.errors import RegistryError
from registry.proof import passports
from registry.proof.passports import MeasuredFile, Relative
from registry.repos import pull

MAX_FILES, MAX_KINDS, MAX_BARS, MAX_OUTLIERS = 3, 12, 160, 5
HEIGHT = 24.0  # of the largest bar


@dataclass(frozen=True, slots=True)
class Kind:
    """The modules of one name, such as q_proj, in the order of their layers; `bars` are (place, top, height)."""

    name: str
    count: int
    rank: int
    effective_rank: float | None
    low: float
    high: float
    bars: list[tuple[int, float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """A file as the page shows it."""

    path: str
    kinds: list[Kind]
    kinds_left_out: int
    outliers: list[Outlier]
    relatives: list[Relative]


def panels(header: RepositoryHeader) -> list[Panel]:
    """Return what was measured of the weights; nothing for visitors who may not have the files."""
    if not policy.passes_gate(header.by, header.repository):
        return []
    try:
        pull.require_served(header.revision, header.by)
    except RegistryError:
        return []
    files = passports.measured_files(header.revision, header.entries, header.by, MAX_FILES)
    return [panel for panel in map(_panel, files) if panel.kinds or panel.relatives]


def _panel(file: MeasuredFile) -> Panel:
    kinds, outliers = list(_kinds(file.modules)), list(passport.outliers(file.modules))
    left_out = max(0, len(kinds) - MAX_KINDS)
    return Panel(file.path, kinds[:MAX_KINDS], left_out, outliers[:MAX_OUTLIERS], file.relatives)


def _kinds(modules: Sequence[Module]) -> Iterator[Kind]:
    """Yield the kinds of matrices, the one with the largest norm first; bars of all of them have one scale."""
    kinds = passport.kinds_of(modules)
    largest = max((one.norm or 0.0 for members in kinds.values() for one in members), default=0.0)
    for name, members in sorted(kinds.items(), key=lambda item: -max(one.norm or 0.0 for one in item[1])):
        norms = [one.norm or 0.0 for one in sorted(members, key=_by_layer)]
        ranks = [one.effective_rank for one in members if one.effective_rank is not None]
        heights = [HEIGHT * norm / largest if largest else 0.0 for norm in norms[:MAX_BARS]]
        bars = [(place, round(HEIGHT - height, 2), round(height, 2)) for place, height in enumerate(heights)]
        effective = fmean(ranks) if ranks else None
        yield Kind(name, len(members), max(one.rank for one in members), effective, min(norms), max(norms), bars)


def _by_layer(module: Module) -> list[tuple[int, str]]:
    """Return a key by which layer 2 comes before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in module.name.split(".")]
