"""The acts on pull requests that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.discussions import pull_requests
from registry.publish import push
from registry.publish.push import Inline, Intent
from tests.cast import Cast


def merge(cast: Cast) -> Callable[[], object]:
    row = cast.repository("alice/reviews")
    push.receive(
        Intent(row, "refs/heads/main", cast.session("carol"), title="Add", propose=True), [Inline("a.txt", b"hello")]
    )
    return lambda: pull_requests.merge(row.discussions.get(), cast.session("alice"))


SERVICES = {"discussion:merge": merge}
