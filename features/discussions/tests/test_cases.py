"""A comment that moderators hide."""

from features.discussions import verbs
from registry.models import (
    OutboxEvent,
)
from tests.registry.test_cases import WHY, Outcome, decided, filed


def test_a_hidden_comment_says_nothing_any_more(cast, reviews):
    discussion = verbs.start(reviews, "Hello", "World", cast.session("bob"))
    comment = verbs.comment(discussion, "Buy now", cast.session("dave"))
    case = filed(cast, "carol", "spam", f"alice/reviews#1:{comment.pk}", "comment").case
    decided(cast, case, Outcome.HIDDEN, strike=True)
    comment.refresh_from_db()
    assert (comment.hidden, comment.hidden_by) == (True, cast["mona"])
    assert cast["dave"].strikes.get().reason == WHY
    assert comment.text == "Buy now", "as when its writer hides it: for an appeal, and for whoever looks into the case"
    assert OutboxEvent.objects.filter(kind="comment-changed", data__comment__hidden=True).count() == 1
