"""Create, change, move and delete repositories, their branches, tags and history, and check what the caller may do."""

from typing import Any

import yaml
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from hub.addresses import origin
from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route, Unserved
from registry.kernel.errors import NotSupported, SignInRequired, ValueInvalid
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Base
from registry.people import gates
from registry.publish import branches, moves, push, repositories
from registry.repos import histories, lookup, pull, refs

VISIBILITY = {"public": False, "private": True}


class Create(Route):
    """POST /api/repos/create: 200 or 409, both with the address, which `exist_ok` reads from either."""

    def post(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Creating a repository requires a token.")
        body = bodies.json_object(request)
        type, full_name = named_in(body, self.caller.user.username)
        files = [card_of_a_space(body)] if type == "space" else []
        repository = repositories.create(full_name, self.caller, private=privacy_in(body), type=type, files=files)
        url = shapes.page_of(repository, origin(request))
        return answer({"url": url, "name": repository.full_name, "id": cursors.format_hub_id(repository.pk)})


class Delete(Route):
    """DELETE /api/repos/delete, with a JSON body"""

    def delete(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Deleting a repository requires a token.")
        type, full_name = named_in(bodies.json_object(request), self.caller.user.username)
        repositories.delete(lookup.find(full_name, self.caller, Permission.CONFIGURE, type=type), self.caller)
        return answer({})


class Settings(Route):
    """PUT /api/models/{id}/settings: visibility, and the gate before the files"""

    def put(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.CONFIGURE)
        body = bodies.json_object(request)
        private = privacy_in(body)
        gate = gate_in(body)
        with transaction.atomic():
            if gate is not None:
                gates.set_gate(repository, gate, self.caller)
            if private is not None:
                repositories.set_private(repository, private, self.caller)
        return answer({"private": repository.private, "gated": repository.gated or False})


def gate_in(body: bodies.JsonObject) -> str | None:
    """Return the gate that a body wishes: "auto", "manual", "" for none, None where it says nothing."""
    value = body.get("gated")
    return "" if value is False else None if value is None else bodies.text(body, "gated")


class AuthCheck(Route):
    """GET /api/models/{id}/auth-check[/write]"""

    permission = base_permission = Permission.DOWNLOAD
    base_methods = ("GET", "HEAD")

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        self.repository(ns, name, self.permission)
        return answer({})

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        return answer({})


class WriteCheck(AuthCheck):
    """The same for pushing"""

    permission = base_permission = Permission.PUSH


def card_of_a_space(body: bodies.JsonObject) -> push.Inline:
    """Return the README.md that a space begins with: clients look there for what would run it, and never write one."""
    title, sdk = bodies.text(body, "name").rpartition("/")[2], bodies.text(body, "sdk", "static")
    metadata = yaml.safe_dump({"title": title, "sdk": sdk}, sort_keys=False, allow_unicode=True)
    return push.Inline("README.md", f"---\n{metadata}---\n".encode())


def named_in(body: bodies.JsonObject, username: str) -> tuple[str, str]:
    """Return (type, full name) of the repository a body names; without a namespace it is the caller's own.

    The `adapters` library sends the whole id as the name.
    """
    name, organization = bodies.text(body, "name"), bodies.text(body, "organization", "")
    type = known_type(bodies.text(body, "type", "model"))
    return type, name if "/" in name and not organization else f"{organization or username}/{name}"


def known_type(type: str) -> str:
    """Return the type of a repository. Raises NotSupported for those that this hub does not keep."""
    if type not in shapes.PREFIXES:
        raise NotSupported(f"Unknown repository type {type[:40]!r}.", fix="Use a model, a dataset or a space.")
    return type


def privacy_in(body: bodies.JsonObject) -> bool | None:
    """Return whether a body asks for a private repository; None where it does not say. 0.x sends `private`."""
    visibility, private = body.get("visibility"), body.get("private")
    if visibility is not None:
        if not isinstance(visibility, str) or visibility not in VISIBILITY:
            raise ValueInvalid(f"Unknown visibility {str(visibility)[:40]!r}.", fix="Use public or private.")
        return VISIBILITY[visibility]
    if private is not None and not isinstance(private, bool):
        raise ValueInvalid("'private' must be true or false.", fix="Send a JSON boolean.")
    return private


FILES_PAGE = 1000


class Move(Route):
    """POST /api/repos/move {fromRepo, toRepo, type}; what was at the old address is found at the new one from now on"""

    def post(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Moving a repository requires a token.")
        body = bodies.json_object(request)
        type = known_type(bodies.text(body, "type", "model"))
        old, new = bodies.text(body, "fromRepo"), bodies.text(body, "toRepo")
        repository = lookup.find(old, self.caller, Permission.CONFIGURE, type=type)
        moved = moves.move(repository, new, self.caller)
        return answer({"url": shapes.page_of(moved, origin(request))})


class Duplicate(Route):
    """POST /api/models/{id}/duplicate {repository, visibility?}: 200 or 409, both with the address"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        if self.caller.user is None:  # as for any other writing; whether there is something to copy is not said
            self.repository(ns, name)
            raise SignInRequired("Duplicating a repository requires a token.")
        source = self.repository(ns, name, Permission.DOWNLOAD)
        body = bodies.json_object(request)
        destination = bodies.text(body, "repository", "") or source.name
        full_name = destination if "/" in destination else f"{self.caller.user.username}/{destination}"
        duplicate = repositories.duplicate(source, full_name, self.caller, private=privacy_in(body))
        return answer({"url": shapes.page_of(duplicate, origin(request)), "filesCopyPending": False})


class SuperSquash(Route):
    """POST /api/models/{id}/super-squash/{branch} {message}"""

    def post(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.PUSH)
        message = bodies.text(bodies.json_object(request), "message", "")
        squashed = branches.squash(repository, rev, message, self.caller)
        return answer({"commitOid": squashed.revision.oid})


class LargeFiles(Route):
    """GET /api/models/{id}/lfs-files: what takes room, in every revision"""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.INSPECT)
        limit = bodies.whole_in(request.GET, "limit", FILES_PAGE, FILES_PAGE)
        cursor = bodies.whole_in(request.GET, "cursor", 0, 1 << 62, least=0)
        files = repositories.large_files(repository, self.caller, after=cursor, limit=limit + 1)
        response = answer([_large(file) for file in files[:limit]])
        if len(files) > limit:
            response["Link"] = bodies.next_page(request, cursor=str(files[limit - 1].row), limit=str(limit))
        return response


class OneLargeFile(Route):
    """DELETE /api/models/{id}/lfs-files/{sha256}?rewriteHistory="""

    def delete(self, request: HttpRequest, ns: str, name: str, sha256: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.CONFIGURE)
        is_rewritten = bodies.truth(request.GET.get("rewriteHistory"))
        branches.forget_files(repository, [sha256], self.caller, rewrite=is_rewritten)
        return answer({})


class DropLargeFiles(Route):
    """POST /api/models/{id}/lfs-files/batch {"deletions": {"sha": [...], "rewriteHistory"}}"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.CONFIGURE)
        deletions = bodies.json_object(request).get("deletions")
        if not isinstance(deletions, dict):
            raise ValueInvalid("'deletions' must be an object.", fix='Send {"deletions": {"sha": [...]}}.')
        digests = bodies.strings(deletions, "sha")
        if len(digests) > repositories.MAX_ASKED:
            raise ValueInvalid(
                f"Too many files; the limit is {repositories.MAX_ASKED:,}.", fix="Send them in several requests."
            )
        branches.forget_files(repository, digests, self.caller, rewrite=bodies.truth(deletions.get("rewriteHistory")))
        return answer({})


class ShareFiles(Route):
    """POST /api/models/{id}/lfs-files/duplicate {"target": {"type", "name"}, "files": [{"sha256"}]}, at the source"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        source = self.repository(ns, name, Permission.DOWNLOAD)
        body = bodies.json_object(request)
        target = body.get("target")
        if not isinstance(target, dict):
            raise ValueInvalid("'target' must be an object.", fix='Send {"target": {"type", "name"}}.')
        type = known_type(bodies.text(target, "type", "model"))
        into = lookup.find(bodies.text(target, "name"), self.caller, Permission.PUSH, type=type)
        digests = [bodies.text(file, "sha256") for file in bodies.objects(body, "files")]
        failed = repositories.share(source, into, digests, self.caller)
        return answer({"failed": [{"sha256": sha256, "error": str(error)} for sha256, error in failed.items()]})


def _large(file: repositories.LargeFile) -> shapes.JSON:
    return {
        "fileOid": file.sha256,
        "oid": file.sha256,
        "filename": file.path,
        "size": file.size,
        "pushedAt": shapes.moment(file.pushed_by.created_at),
        "ref": file.ref,
    }


HISTORY_PAGE = 50


class Refs(Route):
    """GET /api/models/{id}/refs"""

    base_methods = ("GET", "HEAD")

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        # Aliases are a group of their own, which the Hub's clients skip: they would push to a branch and trust a tag.
        groups: dict[str, list[shapes.JSON]] = {"branches": [], "tags": [], "converts": [], "aliases": []}
        if bodies.truth(request.GET.get("include_prs") or request.GET.get("include_pull_requests")):
            groups["pullRequests"] = []
        kinds = {
            refs.BRANCHES: "branches",
            refs.TAGS: "tags",
            refs.ALIASES: "aliases",
            refs.PULL_REQUESTS: "pullRequests",
        }
        repository = self.repository(ns, name)
        main = pull.resolve(repository, refs.MAIN, self.viewer)
        for ref in pull.shown_refs(repository, self.caller):
            if ref.name == refs.MAIN:
                ref.revision = main
            for prefix, kind in kinds.items():
                if ref.name.startswith(prefix) and kind in groups:
                    groups[kind].append(shapes.ref(ref, ref.name.removeprefix(prefix)))
        return answer(groups)

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        return answer(bodies.base_refs(base))


class Commits(Route):
    """GET /api/models/{id}/commits/{rev}, 50 a page; the cursor is the commit that the next page begins with"""

    base_methods = ("GET", "HEAD")

    def get(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        repository = self.repository(ns, name)
        revision = pull.resolve(repository, rev, self.viewer)
        pull.require_shown(revision, self.caller)
        if cursor := request.GET.get("cursor"):
            revision = pull.resolve(repository, cursor)
        limit = bodies.whole_in(request.GET, "limit", HISTORY_PAGE, 1000)
        line = histories.newest(revision, limit + 1)
        is_formatted = "formatted" in request.GET.getlist("expand[]") + request.GET.getlist("expand")
        commits = [shapes.commit(one) for one in line[:limit]]
        if is_formatted:
            commits = [one | {"formatted": {"title": one["title"], "message": one["message"]}} for one in commits]
        response = answer(commits)
        if len(line) > limit:
            response["Link"] = bodies.next_page(request, cursor=line[limit].oid, limit=str(limit))
        return response

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        return answer([shapes.commit(bodies.base_revision(base, where["rev"]))])


class Branch(Route):
    """POST and DELETE /api/models/{id}/branch/{name}"""

    def post(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.PUSH)
        start = bodies.text(bodies.json_object(request), "startingPoint", "main")
        branches.create_ref(repository, refs.BRANCHES + rev, pull.resolve(repository, start), self.caller)
        return answer({})

    def delete(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        branches.delete_ref(self.repository(ns, name, Permission.PUSH), refs.BRANCHES + rev, self.caller)
        return answer({})


class Tag(Route):
    """POST /api/models/{id}/tag/{rev} makes a tag at rev; DELETE /api/models/{id}/tag/{tag} deletes one"""

    def post(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.PUSH)
        tag = bodies.text(bodies.json_object(request), "tag")
        branches.create_ref(repository, refs.TAGS + tag, pull.resolve(repository, rev), self.caller)
        return answer({})

    def delete(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        branches.delete_ref(self.repository(ns, name, Permission.PUSH), refs.TAGS + rev, self.caller)
        return answer({})


class NoGit(Unserved):
    """GET /{id}/info/refs and /{id}.git/info/refs: how git begins; it shows people plain text alone"""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse(f"{self.sentence}\n", status=501, content_type="text/plain; charset=utf-8")
