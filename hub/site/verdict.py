"""The page of a verdict, check by check, with the training; and the panel that pages poll while it is made."""

from functools import partial
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Posts, Refusals, text_field
from hub.site.pictures import around
from hub.site.proof import metrics
from hub.site.repository.repository_header import RepositoryHeader, header_at_revision, repository_page
from registry.kernel import seams
from registry.kernel.errors import RegistryError
from registry.kernel.policy import Permission
from registry.proof.verdicts import requests
from registry.proof.verified import verified
from registry.repos import pull
from registry.repos.contents import weight_files


class Override(Form):
    reason = text_field(
        _("Let it become verified anyway"),
        _("Why the number is right, in at least 10 characters; visible to everyone."),
        maxlength=500,
        placeholder=_("The new rows of label 3 are harder than the old ones"),
    )
    fields_of: ClassVar[Refusals] = {RegistryError: "reason"}


WIDTH, HEIGHT = 100.0, 24.0  # of the line of the losses


@repository_page
def verdict(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the page, or with `head` or `was=STATE` its parts that follow; a new state loads the page again."""
    if "was" in request.GET:
        return _panel(request, header, request.GET["was"])
    if header.proof is None:
        raise requests.no_adapter(header.revision)
    if "head" in request.GET:
        return render(request, "site/parts/head_proof.html", {"header": header})
    seams.saw(header.by.user, "verdict", header.repository)
    return _page(request, header, Override())


def _page(request: HttpRequest, header: RepositoryHeader, form: Override) -> HttpResponse:
    proof = header.proof
    is_settled = proof and not (proof.is_open or proof.document.state == "errored" or header.renewal)
    page = {"header": header, "tab": "evaluation", "form": form}
    page["shows_proof"] = not is_settled or bool(header.incompleteness)
    page |= {"metrics": metrics(header.revision, header.proof), "may_override": header.may(Permission.CONFIGURE)}
    page |= _training(header)
    return render(request, "site/verdict.html", page, status=form.status)


CONFIGURE = Posts(
    partial(header_at_revision, permission=Permission.CONFIGURE),
    _page,
    lambda header: redirect("verdict", header.repository, header.revision.oid),
)
override = CONFIGURE.form(
    "form", Override, lambda header, given, by: verified.override(header.revision, by, given["reason"])
)
withdraw_override = CONFIGURE.button(lambda header, by: verified.withdraw(header.revision, by))


def _panel(request: HttpRequest, header: RepositoryHeader, was: str) -> HttpResponse:
    state = header.proof.document.state if header.proof else "none"
    if state != was and (was == "none" or not header.proof or not header.proof.is_open):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    shown = {"header": header, "metrics": metrics(header.revision, header.proof)}
    return render(request, "site/parts/proof.html", shown)


def _training(header: RepositoryHeader) -> dict[str, Any]:
    """Return what the page shows; nothing to visitors who may not have the files."""
    if not pull.may_have_files(header.revision, header.by):
        return {}
    stated = header.facts.training
    checkpoint = weight_files.checkpoint_of(header.facts, header.by)
    return {"training": stated, "loss_line": _line_of_losses(stated.losses), "checkpoint": checkpoint}


def _line_of_losses(losses: tuple[tuple[float, float], ...]) -> str:
    """Return the points of a polyline from the first step to the last, the largest loss at the top."""
    values = [loss for _, loss in losses]
    axis, last = around(values, HEIGHT, 0.0), max(len(losses) - 1, 1)
    return " ".join(f"{WIDTH * place / last:.2f},{axis.at(loss)}" for place, loss in enumerate(values))
