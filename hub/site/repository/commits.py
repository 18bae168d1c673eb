"""The versions of an adapter, newest first, each with its verdict, and its aliases; and what one of them changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import Evaluation
from hub.site.forms import Choice, Form, Given, Option, Posts, Refusals, name_field, text_field
from hub.site.measures import signed_size
from hub.site.proof import NEUTRAL, Document, document
from hub.site.repository import diff_view
from hub.site.repository.repository_header import RepositoryHeader, header_at_revision, header_of, repository_page
from hub.site.routing import RepositoryAddress
from hub.site.templatetags.dovetail import state_class
from hub.site.verdict_summary import OUTCOMES, Version, strip
from hub.site.visitor import caller, person
from registry.kernel import seams
from registry.kernel.errors import (
    AliasRefused,
    AliasUnproven,
    FilesExpired,
    RefExists,
    RegistryError,
    RepositoryQuarantined,
    RevisionNotFound,
    ValueInvalid,
)
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision, Verdict
from registry.people.tokens import id_tokens
from registry.proof.verdicts import requests
from registry.proof.verified import aliases, withdrawals
from registry.publish import branches
from registry.repos import histories, pull, refs
from registry.repos.refs import AliasState


class NewRef(Form):
    name = name_field(_("Name"), _("Such as `v1.0` or `experiment`."), maxlength=200, placeholder="v1.0")
    kind = Choice(
        label=_("What it is"),
        options=[
            ("tag", Option(_("Tag"), _("Names one version, and never moves."))),
            ("branch", Option(_("Branch"), _("Moves with each commit to it."))),
        ],
        initial="tag",
        must_answer=False,
    )
    revision = name_field(
        _("Version"),
        _("A commit, `verified`, a tag or a branch."),
        required=False,
        maxlength=200,
        placeholder="main",
    )
    fields_of: ClassVar[Refusals] = {RevisionNotFound: "revision", RegistryError: "name"}

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data, auto_id="ref-%s")  # the form of an alias on the same page has fields of these names


class Yank(Form):
    reason = text_field(
        _("Yank this version"),
        _("Why nobody should use it; visible to everyone."),
        maxlength=500,
        placeholder=_("Wrong labels"),
    )
    fields_of: ClassVar[Refusals] = {RegistryError: "reason"}


class SetAlias(Form):
    alias = name_field(_("Alias"), _("Such as `prod`; one that exists moves."), maxlength=64, placeholder="prod")
    revision = name_field(
        _("Version"), _("A commit, `verified`, a tag or a branch."), maxlength=200, placeholder="verified"
    )
    reason = text_field(_("Why"), _("Visible to everyone."), maxlength=500, required=False)
    force = forms.BooleanField(
        label=_("Even if it has not passed"),
        help_text=_("A reason is required: people rely on aliases to work."),
        required=False,
    )
    fields_of: ClassVar[Refusals] = {
        RefExists: "alias",
        RevisionNotFound: "revision",
        AliasUnproven: "revision",
        AliasRefused: "revision",
        RepositoryQuarantined: "revision",
        ValueInvalid: "reason",
    }


PER_PAGE = 30
MOVES = 20  # of all aliases; REST has the others


@dataclass(frozen=True, slots=True)
class AliasRow:
    """An alias with the state of what it serves; for writers the version before, to which it may be rolled back."""

    state: AliasState
    verdict: str
    back: Revision | None
    verdict_back: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with its verdict and names, the older ones of its run with their states, and the version before it."""

    revision: Revision
    verdict: Document | None
    names: Sequence[str]
    others: Sequence[tuple[Revision, str | None]]
    size: int | None  # None without files
    before: Revision | None  # that has a verdict too
    verdict_before: Document | None
    size_before: int | None

    @property
    def headline(self) -> Evaluation | None:
        """The first measurement that is about the adapter's task."""
        evals = self.verdict.report.evals if self.verdict else ()
        return next((one for one in evals if one.name != NEUTRAL and one.adapter is not None), None)

    @property
    def growth(self) -> str:
        """The difference in size from the version before, in words; "" for the same size."""
        if not self.size or not self.size_before or self.size == self.size_before:
            return ""
        return signed_size(self.size - self.size_before)


@repository_page
def commits(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    seams.saw(header.by.user, "commits", header.repository)
    return versions_page(request, header)


def versions_page(
    request: HttpRequest, header: RepositoryHeader, form: SetAlias | None = None, new_ref: NewRef | None = None
) -> HttpResponse:
    """The versions, aliases, branches and tags; with a form that was refused, its status.

    `revision` of the address fills the form of an alias, and `chosen` names the version to compare with the next one.
    """
    lines, older = histories.read_lines(header.revision, set(header.names.values()), PER_PAGE)
    newest = Verdict.objects.filter(revision__in=[line.newest for line in lines]).order_by(*pull.LAST_SAID_LAST)
    shown_verdicts = {verdict.revision_id: document(verdict) for verdict in newest}  # the last one counts
    states = requests.states_in_force(row.pk for line in lines for row in line.others)
    sizes = histories.sizes([line.newest for line in lines])
    proven = [line.newest if line.newest.pk in shown_verdicts else None for line in lines]
    rows = [
        VersionRow(
            line.newest,
            shown_verdicts.get(line.newest.pk),
            [name for name, oid in header.names.items() if oid == line.newest.oid],
            [(row, states.get(row.pk)) for row in line.others],
            sizes.get(line.newest.pk),
            before,
            shown_verdicts[before.pk] if before else None,
            sizes.get(before.pk) if before else None,
        )
        for line, before in zip_longest(lines, proven[1:])
        if not histories.is_beginning(line.newest) or (line.newest == header.revision and not header.is_empty)
    ]
    form, ref_form = form or SetAlias(initial={"revision": request.GET.get("revision", "")}), new_ref or NewRef()
    shown = {"header": header, "tab": "versions", "rows": rows, "older": older, "form": form, "ref_form": ref_form}
    shown |= _strip(rows)
    shown["chosen"] = next((row.revision for row in rows if row.revision.oid == request.GET.get("chosen")), None)
    shown["may_yank"] = header.may_write and not header.repository.is_archived
    shown |= _aliases(header) | _refs(header)
    return render(request, "site/commits.html", shown, status=max(form.status, ref_form.status))


def _strip(rows: Sequence[VersionRow]) -> dict[str, object]:
    """The versions of adapters as a drawing, the oldest first, with the numbers of the newest one's metric."""
    found = [row for row in rows if row.verdict]
    metric = next((row.headline for row in found if row.headline), None)
    versions = [
        Version(
            word if (word := state_class(row.verdict)) in OUTCOMES else "waiting",
            row.headline if row.headline and metric and row.headline.metric == metric.metric else None,
            row.revision.oid,
            row.revision.title,
            row.names,
            row.revision.is_yanked,
        )
        for row in found
    ]
    return {"strip": strip(versions[::-1]), "metric": metric}


def _aliases(header: RepositoryHeader) -> dict[str, object]:
    """The aliases and their newest moves, without the commits that this visitor may not see."""
    if header.repository.type != Repository.Type.MODEL:
        return {}
    states = refs.listed(header.repository)
    moves = refs.history(header.repository, limit=MOVES).items
    oids = [state.alias.revision.oid for state in states]
    oids += [oid for move in moves for oid in (move.before, move.after)]
    return {
        "aliases": _with_rollbacks(header, states),
        "alias_names": {state.name for state in states},
        "moves": moves,
        "hidden": refs.hidden_oids(header.repository, oids, header.by) if oids else set(),
        "may_alias": header.may_write and not header.repository.is_archived,
    }


def _with_rollbacks(header: RepositoryHeader, states: list[AliasState]) -> list[AliasRow]:
    backs = refs.rollbacks(header.repository, [state.alias for state in states]) if header.may_write else {}
    served = [state.served for state in states if state.served]
    said = requests.states_in_force(revision.pk for revision in (*served, *backs.values())) if states else {}
    return [
        AliasRow(
            state,
            said.get(state.served.pk, "") if state.served else "",
            back := backs.get(state.name),
            said.get(back.pk, "") if back else "",
        )
        for state in states
    ]


def _refs(header: RepositoryHeader) -> dict[str, object]:
    """The branches and tags, for those who may make and delete them."""
    may_name = header.may_write and not header.repository.is_archived and not header.repository.source
    names = pull.shown_refs(header.repository, header.by) if may_name else []
    prefixes = (refs.BRANCHES, refs.TAGS)
    return {"may_name": may_name, "named_refs": [(ref, *_kind(ref)) for ref in names if ref.name.startswith(prefixes)]}


def _kind(ref: Ref) -> tuple[str, str, bool]:
    """Return what a ref is, its short name, and whether it may be deleted."""
    kind = "branch" if ref.name.startswith(refs.BRANCHES) else "tag"
    return kind, refs.short_name(ref.name), ref.name != refs.MAIN


@repository_page
def commit(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    return commit_page(request, header, Yank())


def commit_page(
    request: HttpRequest, header: RepositoryHeader, form: Yank, refused: Form | None = None
) -> HttpResponse:
    """The changes of a version: file names for everybody who sees it, lines for people who may have the files.

    `refused` is a form of a panel, which shows what is wrong in it.
    """
    parent = header.revision.parent
    shown: dict[str, object] = {"header": header, "tab": "versions", "parent": parent, "form": form, "refused": refused}
    shown["job"] = id_tokens.provenance(header.revision)
    is_adapter = header.repository.type == Repository.Type.MODEL and bool(header.described["format"])
    shown["may_yank"] = is_adapter and header.may_write and not header.repository.is_archived
    if shown["may_yank"] and not header.revision.is_yanked:
        shown["consequences"] = withdrawals.consequences(header.revision)
    try:
        if parent is not None:
            parent.repository = header.repository
            pull.require_shown(parent, header.by)
        before = pull.entries(parent) if parent and not header.revision.is_expired else {}
        shown["changes"] = diff_view.changes(before, header.entries)
        for revision in filter(None, (header.revision, parent)):  # what was taken away is shown too
            pull.require_files(revision, header.by)
        shown["patches"] = diff_view.patches(before, header.entries)
        shown["parent_entries"] = before
    except FilesExpired as refusal:  # the file names of the other version are unknown too
        shown["expired"] = refusal
    except RevisionNotFound:  # what was before is held back, and names of its files are its own
        shown["parent"] = None
    except RegistryError as refusal:
        shown["refusal"] = refusal
    return render(request, "site/commit.html", shown, status=max(form.status, refused.status if refused else 200))


COMMIT = Posts(
    partial(header_at_revision, permission=Permission.PUSH),
    commit_page,
    lambda header: redirect("commit", header.repository, header.revision.oid),
)
yank = COMMIT.form("form", Yank, lambda header, given, by: withdrawals.yank(header.revision, by, given["reason"]))
unyank = COMMIT.button(lambda header, by: withdrawals.unyank(header.revision, by))


def _writable(request: HttpRequest, address: RepositoryAddress, rev: str) -> RepositoryHeader:
    person(request)
    return header_of(request, address, Permission.PUSH)


def _set_alias(header: RepositoryHeader, given: Given, by: Caller) -> None:
    name = refs.check_alias_name(given["alias"])
    revision = pull.resolve(header.repository, given["revision"] or "verified")
    pull.require_shown(revision, by)
    aliases.set_alias(header.repository, name, revision, by, reason=given["reason"], force=given["force"])


PREFIXES = {"branch": refs.BRANCHES, "tag": refs.TAGS}


def _create_ref(header: RepositoryHeader, given: Given, by: Caller) -> None:
    revision = pull.resolve(header.repository, given["revision"] or "main")
    pull.require_shown(revision, by)
    branches.create_ref(header.repository, PREFIXES[given["kind"] or "tag"] + given["name"], revision, by)


NAMES = Posts(_writable, versions_page, lambda header: redirect("commits", header.repository, "main"))
set_alias = NAMES.form("form", SetAlias, _set_alias)
create_ref = NAMES.form("new_ref", NewRef, _create_ref)


def roll_back(request: HttpRequest, address: RepositoryAddress, rev: str, alias: str) -> HttpResponse:
    header = _writable(request, address, rev)
    try:
        aliases.roll_back(header.repository, alias, header.by)
    except AliasRefused as refusal:
        form = SetAlias({"alias": alias})
        form.full_clean()
        form.refuse(refusal)
        return versions_page(request, header, form)
    return redirect("commits", header.repository, "main")


def remove_alias(request: HttpRequest, address: RepositoryAddress, rev: str, alias: str) -> HttpResponse:
    header = _writable(request, address, rev)
    aliases.remove_alias(header.repository, alias, caller(request))
    return redirect("commits", header.repository, "main")


def delete_ref(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    header = _writable(request, address, rev)
    ref = request.POST.get("ref", "")
    if not ref.startswith(tuple(PREFIXES.values())):
        raise ValueInvalid(f"{ref[:200]!r} is neither a branch nor a tag.", fix="Choose one on the Versions tab.")
    branches.delete_ref(header.repository, ref, header.by)
    sentence = gettext("{name} is deleted. Its versions keep their ids.")
    messages.success(request, sentence.format(name=refs.short_name(ref)))
    return redirect("commits", header.repository, "main")
