"""The page on which a visitor tries an adapter with an own text: the form, and base and adapter side by side."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from hub.shared.tryouts import asker_of
from hub.site.converters import RepositoryAddress
from hub.site.forms.tryouts import PAIRS, Try
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import repository_page
from hub.site.verdict.answers_shown import shown_answer
from hub.site.visitor import caller
from registry.kernel.errors import SignInRequired
from registry.kernel.policy import Permission
from registry.models import Tryout
from registry.proof import tryouts
from registry.proof.tryouts import NEW_TOKENS
from registry.proof.verdicts import requests
from registry.repos import lookup, pull

SEPARATOR = " | "  # of the two texts of a sample


def tryout(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Show the form for `rev`, by default the verified version, and with `id` the answer of a try."""
    return _shown(request, address, rev=request.GET.get("rev", "")[:255] or "main")


@repository_page
def _shown(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    if header.proof is None:
        raise requests.no_adapter(header.revision)
    if not request.GET.get("rev"):
        header = header.used
    row = tryouts.find(header.revision, request.GET["id"], header.by) if request.GET.get("id") else None
    if row is not None and "panel" in request.GET:
        return render(request, "site/parts/tryout.html", {"header": header} | _answer(row))
    return _page(request, header, Try(initial=_initial(request, header, row), task=_task(header)), row)


@require_POST
def ask(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Queue a try, and lead to the page on which its answer appears."""
    by = caller(request)
    tryouts.require_known(by)
    repository = lookup.find_at_address(address.full_name, by, Permission.DOWNLOAD, type=address.type)
    rev = request.POST.get("rev", "")[:255] or "main"
    header = RepositoryHeader(repository, pull.resolve(repository, rev), rev, by)
    pull.require_shown(header.revision, by)
    form = Try(request.POST, task=_task(header))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            tokens = given.get("new_tokens") or NEW_TOKENS
            asker = asker_of(request, by)
            row = tryouts.request(header.revision, given["text"], given.get("other", ""), tokens, asker)
            return redirect(f"{reverse('try', args=[repository])}?rev={header.revision.oid}&id={row.key}#answer")
    return _page(request, header, form)


def _page(request: HttpRequest, header: RepositoryHeader, form: Try, row: Tryout | None = None) -> HttpResponse:
    problem = tryouts.refusal(header.revision, header.by)
    page = {
        "header": header,
        "tab": "try",
        "form": form,
        "problem": problem,
        "needs_sign_in": isinstance(problem, SignInRequired),
        "presets": header.proof.samples if header.proof else (),
        "most": tryouts.MAX_TEXT,
    }
    return render(request, "site/tryout.html", page | _answer(row), status=form.status)


def _answer(row: Tryout | None) -> dict[str, object]:
    """Return what the part with the answer shows; nothing without a try."""
    if row is None:
        return {}
    place = tryouts.place(row) if row.state == Tryout.State.QUEUED else None
    return {"tryout": row, "place": place, "answer": shown_answer(row) if row.answer else None}


def _initial(request: HttpRequest, header: RepositoryHeader, row: Tryout | None) -> dict[str, object]:
    """Return what the form holds at first: the texts of a try, or a sample of the verdict by its number."""
    if row is not None:
        return {"text": row.text, "other": row.other, "new_tokens": row.new_tokens}
    samples = header.proof.samples if header.proof else ()
    number = request.GET.get("sample", "")
    if not (number.isdecimal() and 1 <= int(number[:4]) <= len(samples)):
        return {}
    text, _, other = samples[int(number) - 1].input.partition(SEPARATOR)
    return {"text": text, "other": other}


def _task(header: RepositoryHeader) -> str:
    """Return the pipeline tag, or `pairs` for a classifier whose samples are pairs of texts."""
    task = str(header.described["task"])
    samples = header.proof.samples if header.proof else ()
    is_of_pairs = any(SEPARATOR in sample.input for sample in samples)
    return PAIRS if task == "text-classification" and is_of_pairs else task
