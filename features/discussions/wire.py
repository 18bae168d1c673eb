"""Discussions and pull requests on the wire; what may be done with them is in registry/publish."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from features.discussions import pull_requests, verbs
from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from hub.hf.shapes import JSON
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Discussion, DiscussionEvent, User

HIDDEN = "This comment has been hidden"


class Discussions(Route):
    """GET /api/models/{id}/discussions?p=&type=&status=&author= lists; POST opens one"""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name)
        page = bodies.whole_in(request.GET, "p", 0, 1 << 20, least=0)
        asked = {key: request.GET.get(key) or "all" for key in ("type", "status")}
        rows = verbs.search(
            repository, kind=asked["type"], status=asked["status"], author=request.GET.get("author", "")
        )
        start = page * verbs.PAGE
        page_rows = []
        for row in rows[start : start + verbs.PAGE]:
            row.repository = repository
            page_rows.append(line(row))
        closed = repository.discussions.count() - verbs.open_count(repository)
        return answer({"discussions": page_rows, "count": rows.count(), "start": start, "numClosedDiscussions": closed})

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.DISCUSS)
        body = bodies.json_object(request)
        title, text = bodies.text(body, "title", ""), bodies.text(body, "description", "")
        start = pull_requests.start if bodies.truth(body.get("pullRequest")) else verbs.start
        discussion = start(repository, title, text, self.caller)
        return answer(line(discussion) | {"url": f"{shapes.page_of(repository, '')}/discussions/{discussion.number}"})


class Thread(Route):
    """Base of the routes below one discussion."""

    def discussion(self, ns: str, name: str, number: int, permission: Permission = Permission.DISCUSS) -> Discussion:
        """Return the discussion of the address, if the caller has the permission on its repository."""
        return verbs.find(self.repository(ns, name, permission), number)


class OneDiscussion(Thread):
    """GET /api/models/{id}/discussions/{n}?diff=1"""

    def get(self, request: HttpRequest, ns: str, name: str, number: int) -> HttpResponse:
        discussion = self.discussion(ns, name, number, Permission.BROWSE)
        body = line(discussion) | {"events": [event(one) for one in verbs.events(discussion)]}
        if discussion.is_pull_request:
            body |= {"changes": _changes(discussion), "filesWithConflicts": _conflicts(discussion)}
            if bodies.truth(request.GET.get("diff")):
                body["diff"] = pull_requests.diff(discussion, self.caller)
        return answer(body)


class Comment(Thread):
    """POST …/comment {comment}"""

    def post(self, request: HttpRequest, ns: str, name: str, number: int) -> HttpResponse:
        discussion = self.discussion(ns, name, number)
        text = bodies.text(bodies.json_object(request), "comment")
        return answer({"newMessage": event(verbs.comment(discussion, text, self.caller))})


class Title(Thread):
    """POST …/title {title}"""

    def post(self, request: HttpRequest, ns: str, name: str, number: int) -> HttpResponse:
        discussion = self.discussion(ns, name, number)
        title = bodies.text(bodies.json_object(request), "title")
        return answer({"newTitle": event(verbs.rename(discussion, title, self.caller))})


class Status(Thread):
    """POST …/status {status, comment?}"""

    def post(self, request: HttpRequest, ns: str, name: str, number: int) -> HttpResponse:
        discussion = self.discussion(ns, name, number)
        body = bodies.json_object(request)
        status, text = bodies.text(body, "status"), bodies.text(body, "comment", "")
        return answer({"newStatus": event(verbs.set_status(discussion, status, self.caller, text))})


class Merge(Thread):
    """POST …/merge {comment} or null"""

    def post(self, request: HttpRequest, ns: str, name: str, number: int) -> HttpResponse:
        discussion = self.discussion(ns, name, number, Permission.PUSH)
        merged = pull_requests.merge(discussion, self.caller, bodies.text(bodies.json_object(request), "comment", ""))
        return answer({"mergeCommitId": merged.oid, "status": "merged"})


class EditComment(Thread):
    """POST …/comment/{event}/edit {content}"""

    def post(self, request: HttpRequest, ns: str, name: str, number: int, comment: str) -> HttpResponse:
        discussion = self.discussion(ns, name, number)
        text = bodies.text(bodies.json_object(request), "content")
        changed = verbs.edit(discussion, cursors.parse_hub_id(comment), text, self.caller)
        return answer({"updatedComment": event(changed)})


class HideComment(Thread):
    """POST …/comment/{event}/hide"""

    def post(self, request: HttpRequest, ns: str, name: str, number: int, comment: str) -> HttpResponse:
        discussion = self.discussion(ns, name, number)
        bodies.json_object(request)
        return answer({"updatedComment": event(verbs.hide(discussion, cursors.parse_hub_id(comment), self.caller))})


# --- shapes ----------------------------------------------------------------------------------------------------------
def line(discussion: Discussion) -> JSON:
    """A discussion in a list."""
    return {
        "num": discussion.number,
        "title": discussion.title,
        "author": author(discussion.author),
        "createdAt": shapes.moment(discussion.created_at),
        "status": discussion.status,
        "repo": {"name": discussion.repository.full_name, "type": discussion.repository.type},
        "isPullRequest": discussion.is_pull_request,
        "numComments": discussion.comments,
        "pinned": False,
    }


def author(user: User) -> JSON:
    """The author of a comment or an act."""
    return {"name": user.username, "fullname": user.full_name or user.username, "type": "user", "avatarUrl": ""}


def event(happened: DiscussionEvent) -> JSON:
    """Return an entry of a thread, without the text of a hidden comment."""
    entry: JSON = {
        "id": cursors.format_hub_id(happened.pk),
        "type": happened.kind,
        "createdAt": shapes.moment(happened.created_at),
        "author": author(happened.author),
        "data": happened.data,
    }
    if happened.kind == DiscussionEvent.Kind.COMMENT:
        entry["data"] = {
            "edited": happened.edits > 0,
            "hidden": happened.hidden,
            "numEdits": happened.edits,
            "latest": {
                "raw": HIDDEN if happened.hidden else happened.text,
                "updatedAt": shapes.moment(happened.edited_at or happened.created_at),
                "author": author(happened.author),
            },
        }
    return entry


def _changes(discussion: Discussion) -> JSON:
    merged = {"mergeCommitId": discussion.merged_as.oid} if discussion.merged_as else {}
    return {"base": discussion.base, **merged}


def _conflicts(discussion: Discussion) -> bool | list[str]:
    if discussion.status in (Discussion.Status.MERGED, Discussion.Status.CLOSED):
        return False
    try:
        return pull_requests.plan(discussion).conflicts or False
    except RevisionNotFound:  # its base was deleted; the thread is still there to be read
        return True


OF_A_REPOSITORY = [
    path("", Discussions.as_view()),
    path("/<int:number>", OneDiscussion.as_view()),
    path("/<int:number>/comment", Comment.as_view()),
    path("/<int:number>/title", Title.as_view()),
    path("/<int:number>/status", Status.as_view()),
    path("/<int:number>/merge", Merge.as_view()),
    path("/<int:number>/comment/<str:comment>/edit", EditComment.as_view()),
    path("/<int:number>/comment/<str:comment>/hide", HideComment.as_view()),
]
WIRE = [
    path(f"api/{type}s/<str:ns>/<str:name>/discussions", include(OF_A_REPOSITORY), {"type": type})
    for type in ("model", "dataset", "space")
]
