"""Measurements of the weights of a revision, and the other adapters that hold nearly the same."""

from typing import Annotated

from django.urls import path
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, RepositoryType
from features.weights import passports
from hub.api import pages
from hub.api.records import of_row, operation
from hub.api.views import View, resolved
from registry.kernel.policy import Permission
from registry.repos import pull
from registry.repos.digests import Relative

MAX_FILES, MAX_MODULES, MAX_OUTLIERS = 8, 2000, 20


class ModuleWeights(Answer):
    """A pair of low-rank factors counts as the matrix that it stands for, with the scale of its config."""

    module: str
    rank: Annotated[int, "0: a tensor that is no pair of factors; of it only the norm is measured"]
    effective_rank: Annotated[float | None, "e to the power of the entropy of the singular values"]
    norm: Annotated[float | None, "Frobenius norm; null: a value is not finite"]
    largest: Annotated[float | None, "the largest singular value"]
    base_norm: Annotated[float | None, "Frobenius norm of the base's weights of this module"]
    share: Annotated[float | None, "norm by base_norm"]
    reason: Annotated[str | None, "why the share is not known"]


class LayerWeights(Answer):
    """The modules of a layer together, those whose share is known."""

    layer: str
    norm: float
    base_norm: float
    share: float | None


class BaseOfWeights(Answer):
    """The base whose norms the shares are of: the one of the verdict, else the one that the config names."""

    id: str | None
    sha256: str | None
    reason: Annotated[str | None, "why its norms are not known"]


class Outlier(Answer):
    """A module whose norm is more than 10 times the median of the modules of its kind."""

    module: str
    times: Annotated[float, "its norm by the median"]
    kind: Annotated[str, "the last part of the names of these modules, such as q_proj"]
    population: Annotated[int, "how many adapters or modules the median is of"]
    of: Annotated[
        str,
        OneOf("adapters", "modules"),
        "adapters: public ones for the same base by the same method; modules: those of this file",
    ]


class RelativeWeights(Answer):
    """The newest revision of another repository that holds nearly the same weights."""

    adapter: str
    revision: str
    type: RepositoryType
    path: str
    cosine: Annotated[float, "mean over the modules, estimated; 1: the same weights; behind a gate in tenths"]
    relation: Annotated[
        str,
        OneOf("copy", "near", "part"),
        "copy: the same weights, perhaps with other factors, scales, names or dtype; part: the modules of "
        "the smaller file are in the other, as they are or mixed with others, and the cosine is theirs",
    ]
    original: Annotated[bool, "of a copy: its weights were pushed to this hub before these"]


class WeightFile(Answer):
    path: str
    sha256: str
    spectrum: Annotated[tuple[float, ...], "mean singular values as shares of the largest; at most 64"]
    modules: Annotated[tuple[ModuleWeights, ...], "at most 2,000"]
    layers: Annotated[tuple[LayerWeights, ...], "at most 2,000"]
    base: BaseOfWeights
    modules_left_out: int
    outliers: Annotated[tuple[Outlier, ...], "at most 20; information, never a verdict"]
    relatives: Annotated[tuple[RelativeWeights, ...], "the nearest first, at most 10"]


class Weights(Answer):
    adapter: str
    revision: str
    files: Annotated[tuple[WeightFile, ...], "at most 8"]


class OneWeights(View):
    @operation("weights", callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str) -> Weights:
        """Norms, ranks and relatives of the weights.

        `files` has those that are measured by now: a worker does it soon after the push.
        """
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        pull.require_served(revision, self.caller)
        entries = pull.entries(revision)
        files = tuple(
            _file(file, passports.relatives(file.row, revision.repository, self.caller))
            for file in passports.measured_files(revision, entries, MAX_FILES)
        )
        return Weights(adapter=revision.repository.full_name, revision=revision.oid, files=files)


def _file(file: passports.MeasuredFile, relatives: list[Relative]) -> WeightFile:
    modules = file.modules
    return WeightFile(
        path=file.path,
        sha256=file.row.file,
        spectrum=tuple(file.row.spectrum),
        modules=tuple(
            of_row(
                ModuleWeights,
                one,
                module=one.name,
                base_norm=share.base_norm,
                share=share.value,
                reason=share.reason or None,
            )
            for one, share in zip(modules[:MAX_MODULES], file.shares, strict=False)
        ),
        layers=tuple(of_row(LayerWeights, one, layer=one.name) for one in file.layers[:MAX_MODULES]),
        base=BaseOfWeights(id=file.base.base or None, sha256=file.base.sha256 or None, reason=file.base.reason or None),
        modules_left_out=max(0, len(modules) - MAX_MODULES),
        outliers=tuple(
            of_row(Outlier, one, of="adapters" if one.is_of_adapters else "modules")
            for one in file.outliers[:MAX_OUTLIERS]
        ),
        relatives=tuple(map(_relative, relatives)),
    )


def _relative(one: Relative) -> RelativeWeights:
    return RelativeWeights(
        adapter=one.revision.repository.full_name,
        revision=one.revision.oid,
        type=one.revision.repository.type,
        path=one.place.path,
        cosine=round(one.cosine, 4),
        relation="copy" if one.is_copy else "part" if one.is_part else "near",
        original=one.is_original,
    )


REST = [
    path(
        "adapters/<str:ns>/<str:name>/revisions/<api_revision:rev>/weights", OneWeights.as_view(), name="rest-weights"
    ),
]
