"""Discussions and pull requests in the domain: what pushes and moderators do with them, and the part of a person."""

from collections.abc import Iterator, Mapping

from django.db.models import Exists, OuterRef

from features.discussions import pull_requests, thread_entries
from registry.kernel import policy
from registry.kernel.callers import Caller
from registry.kernel.seams import MOST_EXPORTED, Feature, Threads
from registry.models import DiscussionEvent, Repository, User


def _comments(user: User) -> Iterator[Mapping[str, object]]:
    visible = Repository.objects.filter(policy.visible_to(Caller(user=user)), pk=OuterRef("discussion__repository"))
    rows = DiscussionEvent.objects.filter(author=user).select_related("discussion__repository__namespace")
    for row in rows.annotate(is_visible=Exists(visible)).order_by("pk")[:MOST_EXPORTED]:
        yield {
            "discussion": str(row.discussion) if row.is_visible else None,
            "at": row.created_at,
            "kind": row.kind,
            "text": row.text,
            "data": row.data,
        }


FEATURE = Feature(
    threads=Threads(
        pull_requests.permission_for, pull_requests.propose, pull_requests.note_commit, thread_entries.hide
    ),
    personal_data=lambda user: (("comments", _comments(user)),),
)
