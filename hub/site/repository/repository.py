"""A repository's first page: its verdict and the card that its author wrote; and where its versions came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext

from dovetail.adapters.results.report import CheckResult, Report
from hub.addresses import absolute, origin
from hub.site.markdown_texts import card_links
from hub.site.proof import metrics
from hub.site.repository.repository_header import RepositoryHeader, reader_header, repository_page
from registry.kernel import seams
from registry.kernel.errors import StoreUnavailable
from registry.models import PickleScan, Revision, SecretSearch, Verdict
from registry.people.tokens import id_tokens
from registry.people.tokens.id_tokens import Provenance
from registry.proof.reports import shown_to
from registry.proof.verdicts import requests
from registry.repos import bases, download_counts, histories, pull
from registry.repos.contents import rendered_cards
from registry.repos.contents.facts import README

SPARKLINE_DAYS = 30


@dataclass(frozen=True)
class Sparkline:
    """Downloads by day, the oldest first."""

    days: Sequence[tuple[date, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.days)

    @property
    def busiest(self) -> tuple[date, int]:
        """The day with the most downloads, the newest of several, and how many they were."""
        return max(self.days, key=lambda of: (of[1], of[0]))


class Command(NamedTuple):
    """The lines to copy that fill an empty repository with one tool."""

    key: str
    tool: str
    code: str


def _push_commands(request: HttpRequest, header: RepositoryHeader) -> list[Command]:
    here, name = origin(request), header.repository.full_name
    kind = "" if header.repository.type == "model" else f" --repo-type {header.repository.type}"
    token = f"export HF_TOKEN=…   # from {absolute(request, reverse('tokens'))}"
    hf = f"export HF_ENDPOINT={here}\n{token}\nhf upload {name} ./adapter{kind}"
    python = f"""from huggingface_hub import HfApi

HfApi(endpoint="{here}", token="…").upload_folder(
    repo_id="{name}",
    folder_path="./adapter",{
        f'''
    repo_type="{header.repository.type}",'''
        if kind
        else ""
    }
)"""
    return [Command("hf", "hf", hf), Command("python", "Python", python)]


@repository_page
def repository(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    seams.saw(header.by.user, "repository", header.repository)
    if header.is_empty:
        shown = {"header": header, "tab": "overview", "shows_proof": True, "push": _push_commands(request, header)}
        return render(request, "site/repository_empty.html", shown)
    main, header = header, reader_header(header)
    files, pages = card_links(header.repository, header.revision.oid)
    try:
        card = rendered_cards.card_page(header.revision, header.entries.get(README), files=files, pages=pages)
    except StoreUnavailable as silence:  # its verdict and versions are rows
        card = rendered_cards.CardPage(problem=silence.detail.removesuffix("."))
    shown = {"header": header, "tab": "overview", "card": card}
    if main.revision != header.revision and (newest := requests.latest(main.revision)):
        refusal = newest.report.refusal if newest.is_final else None
        shown |= {"newest": newest, "newest_check": refusal.id if refusal else ""}
    shown["shows_proof"] = header.proof is not None
    shown["sparkline"] = Sparkline(download_counts.by_day(header.repository, SPARKLINE_DAYS))
    shown["metrics"] = metrics(header.revision, header.proof)
    shown["canonical"] = absolute(request, header.repository.get_absolute_url())
    return render(request, "site/repository.html", shown)


PER_PAGE = 30
MAX_BASES = 4
TOKEN = "token:"  # noqa: S105  # how a revision says that its push had one, before the token's name


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one search in the files of a version, and the class of its colour."""

    words: str
    colour: str = ""
    searched: str = ""  # what was looked at and what was not, in English


@dataclass(frozen=True, slots=True)
class PushedVersion:
    """A version, how it came here, and what was found in it."""

    revision: Revision
    job: Provenance | None  # of the trusted publisher
    credential: str  # token, session or "" for visitors who may not know
    is_other_pusher: bool  # than of the version before it on the page
    pickles: Finding
    secrets: Finding


@dataclass(frozen=True, slots=True)
class License:
    """The license of something that a version is made of, or of the version itself, and what it asks of adapters."""

    name: str
    url: str
    role: str  # base, source or this version
    license: str
    duties: Sequence[str] = ()


@repository_page
def security(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """The versions from main, or from the commit `before` of the address; the licenses are those of main."""
    start = header.revision
    if before := request.GET.get("before", ""):
        start = pull.resolve(header.repository, before)
        pull.require_shown(start, header.by)
    history = histories.newest(start, PER_PAGE + 1)
    older = history[PER_PAGE].oid if len(history) > PER_PAGE else ""
    versions = _versions_with_origin(header, [row for row in history if pull.is_shown(row, header.by)])
    shown = {
        "header": header,
        "tab": "evaluation",
        "subpage": "security",
        "versions": [row for row in versions if row.revision.oid != older],
        "older": older,
        "licenses": _licenses(header),
        "license_check": _check(header.proof.report if header.proof else None, "card.license"),
    }
    return render(request, "site/repository_security.html", shown)


def _versions_with_origin(header: RepositoryHeader, history: Sequence[Revision]) -> list[PushedVersion]:
    """Return versions as the page shows them, the newest first; four queries."""
    rows = Revision.objects.filter(pk__in=[row.pk for row in history]).select_related(
        "author", "run__publisher__account"
    )
    by_id = rows.in_bulk()
    newest = Verdict.objects.filter(revision__in=by_id).order_by("number")
    reports = {row.revision_id: shown_to(row.report, header.by, header.repository) for row in newest}
    waiting = set(PickleScan.objects.filter(revision__in=by_id).values_list("revision", flat=True))
    searches = SecretSearch.objects.in_bulk(by_id)
    versions = [by_id[row.pk] for row in history]
    return [
        PushedVersion(
            revision,
            id_tokens.provenance(revision),
            _credential(header, revision),
            older is not None and _pusher(revision) != _pusher(older),
            _pickles(revision, reports.get(revision.pk), revision.pk in waiting),
            _secrets(header, revision, reports.get(revision.pk), searches.get(revision.pk), revision.pk in waiting),
        )
        for revision, older in zip(versions, [*versions[1:], None], strict=True)
    ]


def _pusher(revision: Revision) -> tuple[int, str]:
    publisher = revision.run.publisher if revision.run else None
    return revision.author_id, str(publisher or "")


def _credential(header: RepositoryHeader, revision: Revision) -> str:
    """Return how a person authenticated, for owners, moderators and that person: `token NAME` or `session`."""
    is_own = header.by.user is not None and revision.author_id == header.by.user.pk
    if revision.run_id or not (is_own or header.may_configure or header.by.is_staff):
        return ""
    pushed_with = revision.pushed_with
    return f"token {pushed_with.removeprefix(TOKEN)}" if pushed_with.startswith(TOKEN) else "session"


def _pickles(revision: Revision, report: Report | None, is_waiting: bool) -> Finding:
    check = _check(report, "file.pickle")
    if revision.is_quarantined:
        return Finding(gettext("held back"), "failed")
    if check and check.outcome in ("failed", "warned"):
        return Finding(gettext("found") if check.outcome == "failed" else gettext("plain data"), _colour(check))
    if is_waiting:
        return Finding(gettext("waiting"), "running")
    return Finding(gettext("not examined")) if revision.is_expired and not check else Finding(gettext("none"), "passed")


def _secrets(
    header: RepositoryHeader, revision: Revision, report: Report | None, search: SecretSearch | None, is_waiting: bool
) -> Finding:
    check = _check(report, "privacy.secret")
    if search is None and is_waiting and check is None:
        return Finding(gettext("waiting"), "running")
    if search is None:
        if check is None:  # the first one is made with its repository, and holds nothing but our own .gitattributes
            return (
                Finding(gettext("none"), "passed") if revision.parent_id is None else Finding(gettext("not searched"))
            )
        return Finding(gettext("none") if check.outcome == "passed" else gettext("found"), _colour(check))
    if not search.places and (check is None or check.outcome == "passed"):
        return Finding(gettext("none"), "passed", search.searched)
    places = [f"{file} ({line})" for file, line, _ in search.places[:3]] if header.may_configure else []
    return Finding(": ".join([gettext("found"), *([", ".join(places)] if places else [])]), "noted", search.searched)


def _colour(check: CheckResult) -> str:
    return "noted" if check.outcome == "warned" else check.outcome


def _check(report: Report | None, id: str) -> CheckResult | None:
    return next((check for check in report.checks if check.id == id), None) if report else None


def _licenses(header: RepositoryHeader) -> list[License]:
    """Return the licenses from the bases to this version, as far as the visitor may see what it is made of."""
    repository, license = header.repository, header.facts.card.license
    own = License(repository.full_name, repository.get_absolute_url(), gettext("this version"), license)
    return [*_of_bases(header.facts.bases[:MAX_BASES]), *_of_sources(header), own]


def _of_bases(names: Iterable[str]) -> Iterable[License]:
    for name in names:
        base = bases.find_base(name)
        license = bases.license_of(base, name)
        duties = bases.license_duties(license)
        yield License(
            name, reverse("base", args=[name]), "base", license, list(duties.duties.values()) if duties else ()
        )


def _of_sources(header: RepositoryHeader) -> Iterable[License]:
    for feature in seams.joined():
        for repository in feature.made_of(header.revision, header.by):
            yield License(repository.full_name, repository.get_absolute_url(), "source", repository.license)
