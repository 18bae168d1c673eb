"""Finds the known bases that an adapter fits, by its config and header; nothing is stored."""

import base64
import binascii
import io
import json

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters import HeaderError
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.shapes.base_fits import Fit, NotComputable
from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import fit as shapes
from registry.kernel.errors import ValueInvalid
from registry.proof import fit
from registry.proof.fit import Answer

MAX_NAMES = 20  # tensors of each sort that a misfit names


class Fits(View):
    @extend_schema(
        operation_id="fit",
        summary="Which known bases an adapter fits",
        description="By names and shapes alone; equal shapes cannot be told apart, and weights are not looked at.",
        request=shapes.FitBody,
        responses=shapes.FitAnswer,
    )
    def post(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        body = pages.body(request, shapes.FitBody)
        try:
            survey = fit.survey(_parse_config(body["config"]), _parse_header(body["header"]))
        except NotComputable as problem:
            raise ValueInvalid(f"It cannot be fitted: {problem}", fix="See /docs/checks for what is proven.") from None
        return Response({
            "task": survey.task or None,
            "fits": [_fit(answer) for answer in survey.answers if answer.fits],
            "misfits": [_misfit(answer) for answer in survey.answers if not answer.fits],
            "note": survey.note or None,
            "left_out": survey.left_out,
        })  # fmt: skip


def _parse_config(document: object) -> configs.Config:
    """Parse the config as strictly as the file: from its JSON text."""
    try:
        return configs.read(io.BytesIO(json.dumps(document).encode()))
    except (configs.ConfigError, ValueError, RecursionError) as problem:
        raise ValueInvalid(
            f"config is no adapter_config.json: {problem}.", fix="Send the file's JSON object."
        ) from None


def _parse_header(document: object) -> headers.Header:
    """Parse a header: its JSON object, or base64 of its bytes with or without the 8 bytes of length."""
    try:
        raw = base64.b64decode(document, validate=True) if isinstance(document, str) else json.dumps(document).encode()
        return headers.read_alone(raw)
    except (HeaderError, binascii.Error, ValueError, RecursionError) as problem:
        raise ValueInvalid(
            f"header is no safetensors header: {problem}.", fix="Send its JSON object, or base64 of its bytes."
        ) from None


def _fit(answer: Answer) -> Data:
    assert answer.fit is not None
    return {
        "base": answer.base, "on_shelf": answer.has_weights, "tensors": answer.fit.needed,
        "vocabulary": answer.fit.grown or None, "why": answer.why,
    }  # fmt: skip


def _misfit(answer: Answer) -> Data:
    fit = answer.fit or Fit(0)
    wrong = [
        {"tensor": one.tensor, "found": list(one.found), "expected": list(one.expected)}
        for one in fit.wrong[:MAX_NAMES]
    ]
    return {
        "base": answer.base, "on_shelf": answer.has_weights, "why": answer.why, "wrong": wrong,
        "missing": list(fit.missing[:MAX_NAMES]), "unexpected": list(fit.unexpected[:MAX_NAMES]),
        "replaces": list(fit.replaces[:MAX_NAMES]),
    }  # fmt: skip
