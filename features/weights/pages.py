"""Measurements of the weights, on the pages of a verdict and of a file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dovetail.adapters.shapes import passport
from dovetail.adapters.shapes.base_norms import Layer
from features.weights import passports
from features.weights.base_norms import NormsOfBase
from hub.site.measures import number, percent
from hub.site.panels import Pages, Panel
from hub.site.pictures.heat_map import WRAPPER, HeatMap, heat_map
from registry.repos import pull
from registry.repos.digests import Relative

MAX_FILES, MAX_KINDS, MAX_OUTLIERS = 3, 12, 5


@dataclass(frozen=True, slots=True)
class WeightPanel:
    """A file as pages show it. The map is of shares of the base's norm where these are known, else of norms."""

    path: str
    heat: HeatMap | None
    is_of_base: bool
    ranks: list[tuple[str, float, int]]  # of the largest kinds of modules: mean effective rank, and rank
    whole: list[tuple[str, float]]  # name and norm of tensors that are no pair of factors, such as a trained head
    outliers: list[passport.Outlier]
    base: NormsOfBase
    largest_layer: Layer | None
    relatives: list[Relative]

    @property
    def is_copied(self) -> bool:
        """True where another adapter here had these weights first."""
        return any(one.is_original for one in self.relatives)


def _verdict(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what was measured of the weights; nothing for visitors who may not have the files."""
    header = page["header"]
    if not pull.may_have_files(header.revision, header.by):
        return None
    files = passports.measured_files(header.revision, header.entries, MAX_FILES)
    panels = [_panel(file, passports.relatives(file.row, header.repository, header.by)) for file in files]
    return {"measured_files": [panel for panel in panels if panel.heat or panel.relatives]}


def _file(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what was measured of the file that a page shows, without other adapters that hold the same."""
    header = page["header"]
    files = passports.measured_files(header.revision, header.entries, 1, page["entry"].path)
    panels = [panel for panel in map(_panel, files) if panel.heat]
    return {"file": panels[0]} if panels else None


def _panel(file: passports.MeasuredFile, relatives: list[Relative] | None = None) -> WeightPanel:
    norms = {one.name: one.norm for one in file.modules if one.rank}
    shares = {one.name: share.value for one, share in zip(file.modules, file.shares, strict=True) if one.rank}
    is_of_base = any(share is not None for share in shares.values())
    return WeightPanel(
        file.path,
        heat_map(shares, percent) if is_of_base else heat_map(norms, number),
        is_of_base,
        list(_ranks(file))[:MAX_KINDS],
        _whole(file)[:MAX_KINDS],
        file.outliers[:MAX_OUTLIERS],
        file.base,
        max(file.layers, key=lambda layer: layer.share or 0.0, default=None),
        relatives or [],
    )


def _whole(file: passports.MeasuredFile) -> list[tuple[str, float]]:
    norms = {one.name.removeprefix(WRAPPER): one.norm for one in file.modules if not one.rank and one.norm}
    return sorted(norms.items(), key=lambda item: -item[1])


def _ranks(file: passports.MeasuredFile) -> Iterator[tuple[str, float, int]]:
    kinds = passport.kinds_of(file.modules)
    for name, members in sorted(kinds.items(), key=lambda item: -max(one.norm or 0.0 for one in item[1])):
        if ranks := [one.effective_rank for one in members if one.effective_rank is not None]:
            yield name, fmean(ranks), max(one.rank for one in members)


PAGES = Pages(
    panels=(Panel("verdict-weights", "weights/panel.html", _verdict), Panel("file-tensors", "weights/map.html", _file))
)
