"""The base models that adapters name or the base cache holds, their adapters, and the bases that an adapter fits."""

import base64
import binascii
import io
import json
from collections.abc import Mapping
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.shapes.base_fits import Fit, NotComputable
from dovetail.answers.adapters import AdapterPage, BaseFit, BaseMisfit, FitAnswer, WrongShape
from dovetail.answers.record import Answer, Page, Time
from hub.api import adapters, pages
from hub.api.records import of_row, operation, text_of
from hub.api.views import View
from registry import models
from registry.kernel.errors import BaseNotFound, ValueInvalid
from registry.proof import fit
from registry.repos import bases
from registry.repos.lists import catalog, tallies
from registry.repos.lists.tallies import BaseLine


class Duties(Answer):
    """Duties that the license of a base puts on its adapters; no legal advice."""

    needs_notice: bool
    non_commercial: bool
    share_alike: bool
    needs_name_prefix: Annotated[str | None, "how the name of an adapter has to begin"]


class Base(Answer):
    id: str
    adapters: Annotated[int, "how many you may see name it, by any of its names"]
    on_shelf: Annotated[bool, "false with a revision: known by its config alone, fitted to and never run"]
    revision: str | None
    sha256: str | None
    size: int | None
    license: str | None


class BaseDetail(Base):
    """One base with all that is known of it."""

    aliases: Annotated[tuple[str, ...], "other names that mean it here, also of quantised copies"]
    duties: Annotated[Duties | None, "null: nobody knows the license"]
    files: Annotated[Mapping[str, str], "path → sha256"]
    source: str | None
    added_at: Time | None
    asked_by: Annotated[int, "how many people ask the administrators for it"]
    model_type: str | None
    tasks: Annotated[tuple[str, ...], "for which adapters can be fitted to it"]


class Bases(View):
    @operation("bases", query=pages.Paging)
    def get(self, request: Request) -> Page[Base]:
        """Base models."""
        asked = pages.parameters(request, pages.Paging)
        page = tallies.list_bases(self.caller, cursor=asked.get("cursor", ""), limit=asked["limit"])
        return pages.page(request, [line(base) for base in page.items], page.next)


class OneBase(View):
    @operation("base")
    def get(self, request: Request, base: str) -> BaseDetail:
        """One base model, by any of its names."""
        pages.parameters(request, pages.Nothing)
        found = find_base(self, base)
        return _detail(found)


class Adapters(View):
    @operation("base_adapters", query=pages.Paging)
    def get(self, request: Request, base: str) -> AdapterPage:
        """Adapters of a base, the newest first.

        By any of its names; `/adapters?base=` takes more filters.
        """
        asked = pages.parameters(request, pages.Paging)
        query = catalog.Query(base=[find_base(self, base).id], only_verified=self.viewer.only_verified)
        page = catalog.search(self.caller, query, cursor=asked.get("cursor", ""), limit=asked["limit"])
        items = [adapters.line(repository, page.verdicts.get(repository.pk)) for repository in page.items]
        shown = pages.page(request, items, page.next)
        return AdapterPage(items=shown.items, next=shown.next)


def find_base(view: View, name: str) -> BaseLine:
    """Return a base by any of its names, and how many adapters the caller sees. Raises BaseNotFound."""
    row = bases.find_base(name)
    id = row.id if row else bases.canonical_name(name)
    count = tallies.count_matches(view.caller, catalog.Query(base=[id]))
    if row is None and not count:
        raise BaseNotFound(
            f"Unknown base model {name[:200]!r}: no adapter here uses it, and it is not in the base cache."
        )
    return BaseLine(id, count, row)


def line(found: BaseLine) -> Base:
    """Return what lists say of a base."""
    base = found.base
    return Base(
        id=found.id,
        adapters=found.adapters,
        on_shelf=base is not None and base.has_weights,
        revision=base.revision if base else None,
        sha256=base.sha256 if base else None,
        size=base.size if base else None,
        license=bases.license_of(base, found.id) or None,
    )


def _detail(found: BaseLine) -> BaseDetail:
    base = found.base
    asks = bases.license_duties(bases.license_of(base, found.id))
    return BaseDetail(
        **line(found).as_json(),
        aliases=tuple(bases.names_of(base)) if base else (),
        duties=of_row(Duties, asks, needs_name_prefix=asks.needs_name_prefix or None) if asks else None,
        files=base.files if base else {},
        source=_source(base) if base else None,
        added_at=text_of(base.added_at) if base else None,
        asked_by=len(bases.asking_for(found.id)),
        model_type=str(base.config.get("model_type") or "") or None if base else None,
        tasks=tuple(sorted(base.manifests.values_list("task", flat=True).distinct())) if base else (),
    )


def _source(base: models.Base) -> str:
    """The source of a base; a folder of the operators is nobody else's business."""
    return base.source.partition(" ")[0] if base.source.startswith(("path ", "config ")) else base.source


MAX_NAMES = 20  # tensors of each sort that a misfit names


@extend_schema_field({"oneOf": [{"type": "object", "additionalProperties": {}}, {"type": "string"}]})
class Header(s.Field[Any, Any, Any, Any]):
    """A safetensors header: an object, or text with the base64 of its bytes."""

    def to_internal_value(self, data: Any) -> pages.Data | str:
        if not isinstance(data, dict | str):
            raise s.ValidationError(f"Send an object or text in base64, not {type(data).__name__}.")
        return data


class FitBody(s.Serializer[pages.Data]):
    """The facts that decide whether an adapter fits: two small files' worth, no weights."""

    config = s.DictField(help_text="adapter_config.json, parsed")
    header = Header(help_text="the safetensors header: its JSON object, or base64 of its bytes")


class Fits(View):
    @operation("fit", body=FitBody)
    def post(self, request: Request) -> FitAnswer:
        """Which known bases an adapter fits.

        By names and shapes alone; equal shapes cannot be told apart, and weights are not looked at.
        """
        pages.parameters(request, pages.Nothing)
        body = pages.body(request, FitBody)
        try:
            survey = fit.survey(_parse_config(body["config"]), _parse_header(body["header"]))
        except NotComputable as problem:
            raise ValueInvalid(
                f"The adapter cannot be matched to a base: {problem}", fix="See /docs/checks for the supported formats."
            ) from None
        return FitAnswer(
            task=survey.task or None,
            fits=tuple(_fit(one, one.fit) for one in survey.answers if one.fits and one.fit),
            misfits=tuple(_misfit(one, one.fit or Fit(0)) for one in survey.answers if not one.fits),
            note=survey.note or None,
            left_out=survey.left_out,
        )


def _parse_config(document: object) -> configs.Config:
    """Parse the config as strictly as the file: from its JSON text."""
    try:
        return configs.read(io.BytesIO(json.dumps(document).encode()))
    except (configs.ConfigError, ValueError, RecursionError) as problem:
        raise ValueInvalid(
            f"config is not an adapter_config.json: {problem}.", fix="Send the file's JSON object."
        ) from None


def _parse_header(document: object) -> headers.Header:
    """Parse a header: its JSON object, or base64 of its bytes with or without the 8 bytes of length."""
    try:
        raw = base64.b64decode(document, validate=True) if isinstance(document, str) else json.dumps(document).encode()
        return headers.read_alone(raw)
    except (HeaderError, binascii.Error, ValueError, RecursionError) as problem:
        raise ValueInvalid(
            f"header is not a safetensors header: {problem}.", fix="Send its JSON object, or base64 of its bytes."
        ) from None


def _fit(answer: fit.Answer, shapes: Fit) -> BaseFit:
    return BaseFit(
        base=answer.base,
        on_shelf=answer.has_weights,
        tensors=shapes.needed,
        vocabulary=shapes.grown or None,
        why=answer.why,
    )


def _misfit(answer: fit.Answer, shapes: Fit) -> BaseMisfit:
    return BaseMisfit(
        base=answer.base,
        on_shelf=answer.has_weights,
        why=answer.why,
        wrong=tuple(of_row(WrongShape, one) for one in shapes.wrong[:MAX_NAMES]),
        missing=tuple(shapes.missing[:MAX_NAMES]),
        unexpected=tuple(shapes.unexpected[:MAX_NAMES]),
        replaces=tuple(shapes.replaces[:MAX_NAMES]),
    )
