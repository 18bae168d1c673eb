"""The bases that an adapter fits, over REST: by two small files' worth of facts."""

import base64
import binascii
import io
import json
from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.shapes.base_fits import Fit, NotComputable
from dovetail.answers.adapters import BaseFit, BaseMisfit, FitAnswer, WrongShape
from hub.api import pages
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel.errors import ValueInvalid
from registry.proof import fit

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
    @operation("fit", body=FitBody, callers="anyone")
    def post(self, request: Request) -> FitAnswer:
        """The known bases that an adapter fits.

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


REST = [path("fit", Fits.as_view(), name="rest-fit")]
