"""The revisions of an adapter: history, manifest, the way to the bytes of a file, and the lock."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from django.http import HttpResponse, HttpResponseRedirect
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.adapters.results.report import BasePin, Serving
from dovetail.answers.record import Page
from dovetail.answers.versions import (
    BaseName,
    File,
    HistoryItem,
    Lock,
    LockedBase,
    LockedBaseFile,
    LockedFile,
    LockedPart,
    Manifest,
    Provenance,
)
from dovetail.answers.versions import Revision as RevisionLine
from dovetail.serve.server_start import Target, completed_report
from hub.addresses import origin
from hub.answers import mark_yanked
from hub.api import pages
from hub.api.records import of_row, operation, withdrawn_weights_of, yank_of
from hub.api.views import View, no_route, resolved
from hub.limits import Family
from registry.kernel import policy, seams
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import Caller, Permission
from registry.models import Revision, Verdict
from registry.people.tokens import id_tokens
from registry.proof import reports
from registry.proof.verdicts import requests
from registry.repos import derived, downloads, histories, lookup, pull
from registry.repos.contents import facts, stored_facts, weight_files
from registry.repos.derived import DerivedEntry
from registry.repos.manifest import Entry
from registry.repos.refs import Viewer

Line = TypeVar("Line", bound=RevisionLine)


class HistoryPaging(pages.Paging):
    rev = s.CharField(required=False, default="main", help_text="where to begin: a branch, a tag, a commit")
    collapse = s.ChoiceField(
        choices=["runs"], required=False, help_text="runs: versions that one training run pushed are one item"
    )


class FileView(s.Serializer[pages.Data]):
    view = s.CharField(
        required=False, max_length=40, help_text="of adapter_config.json: repaired, base, or peft-0.13 and the like"
    )
    base = s.CharField(
        required=False,
        max_length=200,
        help_text="with view=repaired: which of the bases that it fits; with view=base: the name that it shall say",
    )


class Revisions(View):
    @operation("history", query=HistoryPaging, callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> Page[HistoryItem]:
        """History, newest first."""
        asked = pages.parameters(request, HistoryPaging)
        start = resolved(f"{ns}/{name}", asked["rev"], self.viewer)
        if cursor := asked.get("cursor"):
            start = pull.resolve(start.repository, cursor)
        if asked.get("collapse"):
            return _runs(request, start, asked["limit"], self.caller)
        rows = histories.newest(start, asked["limit"] + 1)
        page, states = rows[: asked["limit"]], requests.states_in_force(row.pk for row in rows)
        parents: list[Revision | None] = [*rows[1:], None]
        items = [
            _line(HistoryItem, row, parent, states.get(row.pk)) for row, parent in zip(page, parents, strict=False)
        ]
        return pages.page(request, items, rows[-1].oid if len(rows) > len(page) else "")


def _runs(request: Request, start: Revision, limit: int, by: Caller) -> Page[HistoryItem]:
    """Return one page of a history in which each training run is one item."""
    named = {ref.revision.oid for ref in pull.shown_refs(start.repository, by)}
    lines, older = histories.read_lines(start, named, limit)
    rows = [row for line in lines for row in (line.newest, *line.others)]
    parents = Revision.objects.in_bulk({row.parent_id for row in rows if row.parent_id})
    states = requests.states_in_force(row.pk for row in rows)

    def described(answer: type[Line], row: Revision, **more: object) -> Line:
        return _line(answer, row, parents.get(row.parent_id or 0), states.get(row.pk), **more)

    items = [
        described(HistoryItem, line.newest, run=tuple(described(RevisionLine, row) for row in line.others))
        for line in lines
    ]
    return pages.page(request, items, older)


class OneRevision(View):
    @operation("manifest", callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str) -> Manifest:
        """The manifest."""
        try:
            revision = resolved(f"{ns}/{name}", rev, self.viewer)
        except RevisionNotFound:
            if _is_below_a_revision(f"{ns}/{name}", rev, self.viewer):
                raise no_route(request) from None
            raise
        pull.require_standing(revision, self.caller)
        unserved = pull.unserved(revision, self.caller)
        entries, verdict = pull.entries(revision), requests.in_force(revision)
        description = stored_facts.revision_facts(revision, entries)
        may_read = unserved is None and policy.passes_gate(self.caller, revision.repository)
        tensors = {"values": sum(description.parameters.values()), "dtypes": description.parameters}
        return _line(
            Manifest,
            revision,
            revision.parent,
            verdict.state if verdict else None,
            adapter=revision.repository.full_name,
            size=sum(entry.size for entry in entries.values()),
            files=tuple(_file(entry) for entry in {**entries, **derived.derived_entries(entries)}.values()),
            config=(description.config or None) if may_read else None,
            training=_training(description, self.caller) if may_read else None,
            base=_base(description, verdict),
            published_by=of_row(Provenance, job) if (job := id_tokens.provenance(revision)) else None,
            tensors=tensors if description.parameters else None,
            withdrawn_weights=withdrawn_weights_of(revision, entries, self.caller),
            plane=seams.mirror(),
            unserved=unserved.detail if unserved else None,
        )


def _training(described: facts.Facts, by: Caller) -> Mapping[str, object]:
    stated = described.training
    checkpoint = weight_files.checkpoint_of(described, by)
    if checkpoint is None:
        return stated.as_json() | {"checkpoint": None}
    known = {"sha256": checkpoint.sha256, "base": checkpoint.base, "path": checkpoint.path or None}
    return stated.as_json() | {"checkpoint": known}


class OneFile(View):
    family = Family.FILES

    @operation(
        "file",
        query=FileView,
        answers={
            302: OpenApiResponse(description="Location: the bytes"),
            (200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The bytes, behind the redirect"),
            (200, "application/json"): OpenApiResponse(OpenApiTypes.OBJECT, "A view of the config"),
        },
        callers="anyone",
    )
    def get(self, request: Request, ns: str, name: str, rev: str, path: str) -> HttpResponse:
        """The bytes of a file.

        Redirects to them; Range works there.
        """
        asked = pages.parameters(request, FileView)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        pull.require_served(revision, self.caller)
        entry = downloads.find_served(revision, path, self.caller)
        if view := asked.get("view"):
            return _view(revision, entry, view, asked.get("base", ""))
        answer = HttpResponseRedirect(revision.repository.file_url(revision.oid, entry.path))
        return mark_yanked(answer, revision)


def _view(revision: Revision, entry: Entry, view: str, base: str) -> HttpResponse:
    """Answer with a config that is not in the revision, and say in a header what it is."""
    text, label = seams.file_view(revision, entry.path, view, base)
    return HttpResponse(text, content_type="application/json", headers={"X-Dovetail-View": label})


def _is_below_a_revision(full_name: str, text: str, viewer: Viewer) -> bool:
    """Return whether a text that names no revision is one with something behind it: `main/nonsense`."""
    above, slash, _ = text.rpartition("/")
    if not slash:
        return False
    try:
        pull.require_shown(pull.resolve_within(lookup.find(full_name, viewer.by), above, viewer)[0], viewer.by)
    except RevisionNotFound:
        return False
    return True


def _line(answer: type[Line], revision: Revision, parent: Revision | None, state: str | None, **more: object) -> Line:
    return of_row(
        answer,
        revision,
        revision=revision.oid,
        parent=parent.oid if parent else None,
        author=revision.author.username,
        yanked=yank_of(revision),
        state=state,
        **more,
    )


def _file(entry: Entry) -> File:
    source = entry.source if isinstance(entry, DerivedEntry) else None
    return of_row(File, entry, lfs=entry.is_lfs, derived_from=source)


def _base(stated: facts.Facts, verdict: Verdict | None) -> BaseName | None:
    """The base that was proven to fit, else the one that the adapter names."""
    proven = verdict.report.base if verdict else None
    if proven:
        return of_row(BaseName, proven)
    if stated.description is None or not stated.description.base:
        return None
    return BaseName(id=stated.description.base, revision=stated.description.base_revision, sha256=None)


class OneLock(View):
    @operation("lock", callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str) -> Lock:
        """The pinned composition.

        Digests of the adapter and its base, engine versions and flags; the same for a commit at any time until its next
        verdict.
        """
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        pull.require_served(revision, self.caller)
        return _lock(revision, reports.composition_of(revision), origin(request))


def _lock(revision: Revision, composed: reports.Composition, endpoint: str) -> Lock:
    report = composed.report
    if report:
        base, name = report.base or BasePin(), revision.repository.full_name
        target = Target.at_hub(name, endpoint, revision.oid, report.path, base)
        report = completed_report(report, target)
    contents = report.contents if report else ()
    return Lock(
        adapter=revision.repository.full_name,
        revision=revision.oid,
        state=composed.verdict.state if composed.verdict else None,
        kind=(report.kind if report else "") or None,
        format=(report.format if report else "") or None,
        files=tuple(of_row(LockedFile, entry) for entry in composed.entries.values()),
        base=_locked_base(composed),
        engine=report.engine if report else None,
        engines=report.engines if report else (),
        serving=_served_by(report.serving if report else ()),
        parts=tuple(
            LockedPart(path=one.path, serving=_served_by(one.serving)) for one in contents if one.serving is not None
        ),
        merge_order=tuple(composed.merge_order),
    )


def _served_by(rows: Sequence[Serving]) -> tuple[Serving, ...]:
    return tuple(row for row in rows if row.outcome == "serves")


def _locked_base(composed: reports.Composition) -> LockedBase | None:
    if composed.report is None or composed.report.base is None:
        return None
    files = tuple(of_row(LockedBaseFile, file) for file in composed.base_files)
    return of_row(LockedBase, composed.report.base, files=files)
