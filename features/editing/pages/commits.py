"""The words of a commit that is made on a page, where it goes, and what follows."""

from collections.abc import Iterable
from typing import ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Choice, Form, Option, Refusals, text_field
from hub.site.repository.repository_header import RepositoryHeader, header_of
from hub.site.routing import RepositoryAddress
from hub.site.visitor import person
from registry.kernel import seams
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Ref
from registry.proof.verdicts import requests
from registry.publish import push
from registry.publish.push import Intent, Operation
from registry.repos import refs

BRANCH, PROPOSAL = "branch", "proposal"  # where a commit goes


class CommitWords(Form):
    """The message of a commit, and where it goes: to the branch, or into a pull request."""

    title = text_field(_("Summary"), maxlength=200)
    message = text_field(_("Description"), _("Optional."), required=False, widget=forms.Textarea, rows=3)
    fields_of: ClassVar[Refusals] = {}

    def __init__(self, data: QueryDict | None = None, *, title: str, branch: str, may_write: bool) -> None:
        """`title` is the summary where nobody writes one. People without the right to write open a pull request."""
        super().__init__(data)
        self.default_title, self.may_write = title, may_write
        self.fields["title"].widget.attrs["placeholder"] = title
        self.fields["title"].widget.attrs["required"] = False
        if may_write and seams.has_threads():
            options = [
                (BRANCH, Option(_("Commit to {branch}").format(branch=branch), _("Its verdict starts at once."))),
                (PROPOSAL, Option(_("Open a pull request"), _("Others review it first; it gets its own verdict."))),
            ]
            self.fields["where"] = Choice(label=_("Where"), initial=BRANCH, options=options, must_answer=False)

    @property
    def summary(self) -> str:
        return str(self.cleaned_data["title"]) or self.default_title

    @property
    def proposes(self) -> bool:
        return not self.may_write or self.cleaned_data.get("where") == PROPOSAL


def ref_of(header: RepositoryHeader) -> str:
    """Return the full name of the branch that a page for changes is about."""
    return refs.full_ref(header.rev)


def branch_header(request: HttpRequest, address: RepositoryAddress, rev: str) -> RepositoryHeader:
    """Return the header of a branch (or a pull request: refs/pr/N) to which the person may commit, or propose a commit.

    Raises SignInRequired, and what `header_of`, refs.resolve_ref and push.require_for raise.
    """
    person(request)
    main = header_of(request, address, Permission.DISCUSS)
    repository, by = main.repository, main.by
    if repository.source:
        raise ValueInvalid(f"{repository.full_name} is mirrored from {repository.source_host}.", fix="Change it there.")
    ref = refs.full_ref(rev)
    push.require_for(repository, ref, by, propose=not main.may_write and ref.startswith(refs.BRANCHES))
    revision = refs.resolve_ref(repository, ref)
    revision.repository = repository
    return RepositoryHeader(repository, revision, rev, by)


def words_for(request: HttpRequest, header: RepositoryHeader, title: str) -> CommitWords:
    """Return the form of a commit's message; `title` is the summary where nobody writes one."""
    data = request.POST if "title" in request.POST else None
    is_proposal = ref_of(header).startswith(refs.PULL_REQUESTS)  # to which its author may commit
    words = CommitWords(data, title=title, branch=header.rev, may_write=header.may_write or is_proposal)
    if is_proposal or header.is_empty:
        words.fields.pop("where", None)
    return words


def commit(header: RepositoryHeader, words: CommitWords, operations: Iterable[Operation], parent: str = "") -> Ref:
    """Commit as a push does, or open a pull request. Raises what push.receive raises."""
    intent = Intent(
        header.repository,
        ref_of(header),
        header.by,
        title=words.summary,
        message=words.cleaned_data["message"],
        parent=parent,
        propose=words.proposes,
    )
    return push.receive(intent, operations)


def after_commit(request: HttpRequest, header: RepositoryHeader, ref: Ref) -> HttpResponse:
    """Lead to the pull request, or to the verdict of the new version; to the files of one without a verdict."""
    if ref.name.startswith(refs.PULL_REQUESTS):
        return redirect("discussion", header.repository, int(ref.name.removeprefix(refs.PULL_REQUESTS)))
    if ref.revision == header.revision:
        messages.info(request, gettext("Nothing changed: the files are the same."))
    elif requests.latest(ref.revision) is not None:
        return redirect("verdict", header.repository, header.rev)
    return redirect("tree", header.repository, header.rev)


def may_change(header: RepositoryHeader) -> bool:
    """Return whether the visitor may commit to the branch that the page shows, or propose a commit."""
    if header.by.user is None or header.repository.source or not header.may(Permission.DISCUSS):
        return False
    has_way = header.may_write or seams.has_threads()  # others propose a commit as a pull request
    return has_way and header.is_branch
