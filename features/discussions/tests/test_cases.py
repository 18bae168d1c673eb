"""A comment that moderators hide."""

import pytest

from features.discussions import verbs
from registry.models import OutboxEvent

cases = pytest.importorskip("features.moderation.tests.test_cases")  # who decides that one is hidden


def test_a_hidden_comment_says_nothing_any_more(cast, reviews):
    discussion = verbs.start(reviews, "Hello", "World", cast.session("bob"))
    comment = verbs.comment(discussion, "Buy now", cast.session("dave"))
    case = cases.filed(cast, "carol", "spam", f"alice/reviews#1:{comment.pk}", "comment").case
    cases.decided(cast, case, cases.Outcome.HIDDEN, strike=True)
    comment.refresh_from_db()
    assert (comment.hidden, comment.hidden_by) == (True, cast["mona"])
    assert cast["dave"].strikes.get().reason == cases.WHY
    assert comment.text == "Buy now", "as when its writer hides it: for an appeal, and for whoever looks into the case"
    assert OutboxEvent.objects.filter(kind="comment-changed", data__comment__hidden=True).count() == 1
