"""The form that takes an adapter's config and header, and the page that says which bases it fits; nothing is stored."""

import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.config import ConfigError
from dovetail.adapters.files.header import Header, HeaderError
from dovetail.adapters.shapes.base_fits import NotComputable
from hub.limits import Family, take
from hub.site.panels import Pages, Panel
from hub.site.routing import at
from hub.site.visitor import caller
from hub.site.words import english
from registry.kernel.errors import TooOften
from registry.proof import fit
from registry.repos import bases

FACTOR = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_A(?:\.default)?\.weight")
TASKS = ("", "CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS")  # of a header without its config, until a base fits
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """The parts of an adapter that were sent; a missing one is None."""

    config: configs.Config | None
    header: Header | None


@dataclass(frozen=True, slots=True)
class Line:
    """The answer of one base; `fits` is None where its modules are there and their shapes are not known."""

    base: str
    has_weights: bool
    fits: bool | None
    why: str


@csrf_exempt  # it changes nothing; a secret in the form would set a cookie for each stranger who reads a base's page
@require_http_methods(["GET", "HEAD", "POST"])
def which_fit(request: HttpRequest) -> HttpResponse:
    """Show the form, and to a POST which bases fit, `base` first. Raises TooOften."""
    fields = request.POST if request.method == "POST" else request.GET
    asked = fields.get("base", "").strip()[:LONGEST_NAME]
    page: dict[str, object] = {"section": "bases", "name": bases.canonical_name(asked) if asked else ""}
    status = 200
    if request.method == "POST":
        taken = take(request, Family.REST, caller(request))
        if taken and taken.is_refused:
            raise TooOften(taken.words[0], fix=taken.words[1])
        try:
            page |= _answered(_sent(request), str(page["name"]))
        except ConfigError as problem:
            page["problem"] = english(f"adapter_config.json cannot be read: {problem}.")
        except HeaderError as problem:
            page["problem"] = english(f"The header of the weights cannot be read: {problem}.")
        except NotComputable as problem:
            page["problem"] = english(str(problem))
        except (ValueError, RecursionError) as problem:
            page["problem"] = str(problem)
        status = 400 if "problem" in page else 200
    return render(request, "fits/page.html", page, status=status)


def _sent(request: HttpRequest) -> Sent:
    """Return what a form brought, as files or as texts. Raises ConfigError and HeaderError, ValueError for neither."""
    config, header = None, None
    for file in request.FILES.getlist("files"):
        if str(file.name).endswith(".safetensors"):
            header = headers.read(file)  # type: ignore[arg-type]  # no more of it than its header
        elif str(file.name).endswith(".json"):
            config = configs.read(file)  # type: ignore[arg-type]
    if text := request.POST.get("config", "").strip():
        config = configs.read(io.BytesIO(text.encode()))
    if text := request.POST.get("header", "").strip():
        header = headers.read_alone(text.encode())
    if config is None and header is None:
        if caller(request).user is None and request.content_type == "multipart/form-data":
            raise ValueError(_("Sign in to send files without JavaScript, or paste them as text."))
        raise ValueError(_("Choose adapter_config.json, a file of safetensors, or both."))
    return Sent(config, header)


def _answered(sent: Sent, base: str) -> Mapping[str, object]:
    survey = _survey(sent)
    lines = [_line(answer, sent) for answer in survey.answers]
    named = configs.text(sent.config or {}, "base_model_name_or_path") or ""
    return {
        "sent": sent,
        "asked": next((line for line in lines if line.base == base), None),
        "fitting": [line for line in lines if line.fits],
        "possible": [line for line in lines if line.fits is None],
        "others": [line for line in lines if line.fits is False],
        "named": bases.canonical_name(named) if bases.is_id(named) else "",
        "survey": survey,
    }


def _survey(sent: Sent) -> fit.Survey:
    """Ask every known base; without a config by one that the factors imply, for one task after the other."""
    if sent.config is not None:
        return fit.survey(sent.config, sent.header or Header({}, {}))
    header = sent.header or Header({}, {})
    surveys = (fit.survey(_implied(header) | ({"task_type": task} if task else {}), header) for task in TASKS)
    first = next(surveys)
    return first if first.fitting else next((survey for survey in surveys if survey.fitting), first)


def _implied(header: Header) -> configs.Config:
    """Return the config of the LoRA that has these factors. Raises ValueError without any."""
    found = ((FACTOR.fullmatch(name), tensor.shape) for name, tensor in header.tensors.items())
    ranks = {match[1]: shape[0] for match, shape in found if match and shape}
    if not ranks:
        raise ValueError(_("These are not the tensors of a LoRA: add the adapter_config.json."))
    usual = Counter(ranks.values()).most_common(1)[0][0]
    others = {module: rank for module, rank in ranks.items() if rank != usual}
    return {"peft_type": "LORA", "r": usual, "target_modules": sorted(ranks), "rank_pattern": others}


def _line(answer: fit.Answer, sent: Sent) -> Line:
    if sent.header is not None or answer.fit is None:
        return Line(answer.base, answer.has_weights, answer.fits, answer.why)
    targets = configs.names(sent.config or {}, "target_modules")  # none of a pattern, or where PEFT chooses
    if any(not targets or f".{target}." in name for name in answer.fit.missing for target in targets or ("",)):
        return Line(answer.base, answer.has_weights, None, "")
    return Line(answer.base, answer.has_weights, False, "It has none of the modules that the config names.")


def _form(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return nothing more for the page of a base whose shapes may be known here."""
    return {} if page["base"] else None


PAGES = Pages(
    routes=[at("bases/-/fit", which_fit, "which-fit")],  # no name of a base begins with a dash
    panels=(Panel("base-fit", "fits/on_base.html", _form), Panel("base-buttons", "fits/button.html", _form)),
)
