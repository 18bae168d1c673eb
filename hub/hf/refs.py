"""Branches, tags and history, and the sentence for git itself; pull requests are in discussions.py."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf import base_answers, bodies, shapes
from hub.hf.addresses import next_page
from hub.hf.dialect import Route, Unserved
from hub.hf.shapes import JSON
from registry.kernel.policy import Permission
from registry.models import Base
from registry.publish import branches
from registry.repos import histories, pull, refs

HISTORY_PAGE = 50


class Refs(Route):
    """GET /api/models/{id}/refs"""

    base_methods = ("GET", "HEAD")

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        # Aliases are a group of their own, which the Hub's clients skip: they would push to a branch and trust a tag.
        groups: dict[str, list[JSON]] = {"branches": [], "tags": [], "converts": [], "aliases": []}
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
        return answer(base_answers.refs(base))


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
            response["Link"] = next_page(request, cursor=line[limit].oid, limit=str(limit))
        return response

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        return answer([shapes.commit(base_answers.revision_of(base, where["rev"]))])


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
