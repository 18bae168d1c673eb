"""A repository whose main is held back is in no list, count or facet for strangers, and its writers find it."""

import json
import re
from collections import Counter

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.moderation import quarantine
from registry.proof.verified import withdrawals
from registry.publish import branches, push, repositories
from registry.publish.push import Inline, Intent
from registry.repos import refs
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query
from registry.repos.refs import MAIN
from tests.api.conftest import BASE, pushed
from tests.cast import PASSWORD
from tests.of_features import rows as of_features
from tests.sweep import at_merge, sweep

HELD = "acme/held"
SUMMARY = "Tells good reviews from bad ones."
# Every list of repositories, and what counts them: the Hub's API, REST, the website.
LISTS = (
    "/api/models", "/api/models?author=acme", "/api/models?search=held", "/api/models?full=true", "/api/models?limit=1",
    "/api/models?filter=license:apache-2.0", "/api/models-tags-by-type",
    "/api/v1/adapters", "/api/v1/adapters?q=reviews", "/api/v1/adapters?facets=true",
    "/api/v1/adapters?base={base}", "/api/v1/bases", "/api/v1/bases/{base}",
    "/api/v1/adapters/acme/held",
    "/", "/adapters", "/adapters?q=held", "/adapters?kind=lora", "/adapters?base={base}", "/adapters?sort=created",
    "/bases", "/bases/{base}", "/acme", "/acme?tab=adapters", *of_features("LISTS"),
)  # fmt: skip


@pytest.fixture
def held(cast, settings, tmp_path):
    """acme/held, the only adapter here; main can be held back."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    repository = cast.repository(HELD)
    repository.head = pushed(cast, repository)
    Repository.objects.update(kind="lora", state="passed", outcome="passed")
    return repository


def walk(who):
    """Return what each list answers to somebody, without what differs from one answer to the next."""
    client = Client()
    if who != "anonymous":
        assert client.login(username=who, password=PASSWORD)
    answers = {}
    for route in LISTS:
        LocMemCache.clear(caches["default"])
        response = client.get(route.format(base=BASE))
        answers[route] = (response.status_code, response.content.decode())
    return answers


@pytest.mark.parametrize("who", ["anonymous", "erin", *at_merge("dave")])
def test_what_is_held_back_is_nowhere_for_strangers_and_readers(cast, held, who):
    before = walk(who)
    shown = [route for route, (_, text) in before.items() if HELD in text]
    assert len(shown) >= 15, "the lists showed it before"
    withdrawals.hold(held.head, "A pickle with more than tensors.")
    after = walk(who)
    assert [route for route, (_, text) in after.items() if "acme/held" in text and "/held" not in route] == []
    assert [route for route, (_, text) in after.items() if SUMMARY in text] == []
    for route in ("/api/models", "/api/models?full=true"):
        assert json.loads(after[route][1]) == []
    assert json.loads(after["/api/v1/adapters?facets=true"][1])["items"] == []
    assert not any(json.loads(after["/api/v1/adapters?facets=true"][1])["facets"].values())
    assert after["/api/v1/adapters/acme/held"][0] == 404


@pytest.mark.parametrize("who", ["anonymous", "erin", *at_merge("dave")])
@sweep("page", ["", "/tree/main", "/commits/main", "/verdict/main", "/discussions"])
def test_the_pages_of_what_is_held_back_look_as_if_there_were_none(cast, held, who, page):
    client = Client()
    if who != "anonymous":
        assert client.login(username=who, password=PASSWORD)
    withdrawals.hold(held.head, "A pickle with more than tensors.")
    answer, never = (client.get(f"/acme/{name}{page}") for name in ("held", "hexd"))
    assert answer.status_code == never.status_code == 404
    texts = [re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", each.content.decode()) for each in (answer, never)]
    assert texts[0] == texts[1].replace("hexd", "held")
    assert "Invalid rev id" not in texts[0]


def test_of_what_is_held_back_nothing_is_counted_for_strangers(cast, held):
    assert tallies.count_matches(NOBODY, Query()) == 1
    assert catalog.count_tags("model") != Counter()
    withdrawals.hold(held.head, "A pickle with more than tensors.")
    LocMemCache.clear(caches["default"])
    assert tallies.count_matches(NOBODY, Query()) == 0
    assert catalog.count_tags("model") == Counter()
    assert tallies.count_by_base(NOBODY, [BASE]) == {}
    assert not any(tallies.tally(NOBODY, Query()).commonest.values())
    assert [line.adapters for line in tallies.list_bases(NOBODY).items] in ([], [0])


@pytest.mark.parametrize("who", ["alice", "bob", "mona", "ada"])
def test_writers_and_moderators_find_it_and_count_it(cast, held, who):
    withdrawals.hold(held.head, "A pickle with more than tensors.")
    by = cast.session(who)
    assert [row.full_name for row in catalog.search(by, Query()).items] == [HELD]
    assert tallies.count_matches(by, Query()) == 1
    assert tallies.tally(by, Query()).commonest["kind"] == [("lora", 1)]


def test_it_is_back_with_the_next_push_and_an_old_revision_hides_nothing(cast, held):
    withdrawals.hold(held.head, "A pickle with more than tensors.")
    assert catalog.search(NOBODY, Query()).items == []
    pushed(cast, held, files={"README.md": b"# Without it\n"})
    assert [row.full_name for row in catalog.search(NOBODY, Query()).items] == [HELD]


def test_a_contributor_finds_what_is_his_own(cast, held):
    own = cast.repository("acme/own", by="dave")
    withdrawals.hold(own.refs.get(name="refs/heads/main").revision, "A reason.")
    withdrawals.hold(held.head, "A reason.")
    assert [row.full_name for row in catalog.search(cast.session("dave"), Query()).items] == ["acme/own"]


def test_it_costs_a_list_no_query(cast, held):
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            catalog.search(NOBODY, Query())
        counts.append(len(queries))
        withdrawals.hold(held.head, "A reason.")
    assert counts[0] >= counts[1]


# --- the copy on the row of the repository ---------------------------------------------------------------------------
REASON = "A pickle with more than tensors."


def is_listed(full_name=HELD):
    """Return whether strangers find the repository, once the row agrees with the revision that main points at."""
    row = Repository.objects.get(namespace__name=full_name.partition("/")[0], name=full_name.partition("/")[2])
    assert row.is_main_held == refs.resolve_ref(row, MAIN).is_quarantined
    return full_name in [found.full_name for found in catalog.search(NOBODY, Query()).items]


def test_a_release_lists_it_again_and_a_second_hold_hides_it_again(cast, held):
    by = cast.session("mona")
    quarantine.quarantine(held, by, reason=REASON, revision=held.head)
    assert not is_listed()
    quarantine.release(held, by, reason="It holds tensors only.", revision=held.head)
    assert is_listed()
    quarantine.quarantine(held, by, reason=REASON, revision=held.head)
    assert not is_listed()


def test_a_ruling_on_an_older_revision_or_on_a_branch_leaves_main_as_it_is(cast, held):
    by, old = cast.session("mona"), held.head
    branches.create_ref(held, "refs/heads/trial", old, cast.session("alice"))
    held.head = pushed(cast, held, files={"README.md": b"# Without it\n"})
    quarantine.quarantine(held, by, reason=REASON, revision=old)
    assert is_listed()
    quarantine.quarantine(held, by, reason=REASON, revision=held.head)
    assert not is_listed()
    quarantine.release(held, by, reason="It holds tensors only.", revision=old)
    assert not is_listed()


def test_a_ruling_on_one_repository_says_nothing_of_another(cast, held):
    pushed(cast, cast.repository("acme/other"))
    withdrawals.hold(held.head, REASON)
    assert (is_listed(), is_listed("acme/other")) == (False, True)


def test_a_push_that_changes_nothing_leaves_it_as_it_is(cast, held):
    assert pushed(cast, held) == held.head
    assert is_listed()
    withdrawals.hold(held.head, REASON)
    assert pushed(cast, held) == held.head
    assert not is_listed()


def test_a_squash_is_held_back_as_its_commits_were(cast, held):
    withdrawals.hold(held.head, REASON)
    assert branches.squash(held, "main", "one commit", cast.session("alice")).revision != held.head
    assert not is_listed()


def test_a_squash_of_what_moderators_released_stays_listed(cast, held):
    by = cast.session("mona")
    quarantine.quarantine(held, by, reason=REASON, revision=held.head)
    quarantine.release(held, by, reason="It holds tensors only.", revision=held.head)
    branches.squash(held, "main", "one commit", cast.session("alice"))
    assert is_listed()


def test_a_held_commit_that_is_pushed_to_main_hides_it(cast, held, monkeypatch):
    """The same push to two branches within a second is the same revision; it is held back on the first branch."""
    at = held.head.created_at
    monkeypatch.setattr("registry.publish.push.rows.timezone.now", lambda: at)
    branches.create_ref(held, "refs/heads/trial", held.head, cast.session("alice"))
    edit = [Inline("README.md", b"# Other words\n")]
    on_trial = push.receive(Intent(held, "refs/heads/trial", cast.session("alice"), "push"), edit).revision
    withdrawals.hold(on_trial, REASON)
    assert is_listed()
    assert push.receive(Intent(held, MAIN, cast.session("alice"), "push"), edit).revision == on_trial
    assert not is_listed()


def test_a_copy_of_it_is_listed_by_what_its_own_main_is(cast, held):
    repositories.duplicate(held, "acme/copy", cast.session("alice"))
    withdrawals.hold(held.head, REASON)
    assert (is_listed(), is_listed("acme/copy")) == (False, True)


def test_nothing_is_held_back_again_that_a_moderator_released(cast, held):
    by = cast.session("mona")
    quarantine.quarantine(held, by, reason=REASON, revision=held.head)
    quarantine.release(held, by, reason="It holds tensors only.", revision=held.head)
    assert not withdrawals.hold(held.head, "The validator's own reason.")
    assert is_listed()


def test_the_hubs_own_reason_is_cut_and_is_the_reason_of_a_squash_too(cast, held):
    assert withdrawals.hold(held.head, "x" * 600)
    assert not withdrawals.hold(held.head, "A second reason.")
    made = branches.squash(held, "main", "one commit", cast.session("alice")).revision
    rulings = [list(row.decisions.values_list("action", "reason", "by")) for row in (held.head, made)]
    assert rulings == [[("quarantine", "x" * withdrawals.MAX_REASON, None)]] * 2


def test_a_squash_of_an_older_commit_that_is_not_held_back_is_not_either(cast, held):
    """Another revision of the repository is held back, and this one was held back before."""
    by = cast.session("mona")
    branches.create_ref(held, "refs/heads/trial", held.head, cast.session("alice"))
    other = pushed(cast, held, files={"README.md": b"# Other words\n"})
    withdrawals.hold(other, REASON)
    quarantine.quarantine(held, by, reason=REASON, revision=held.head)
    quarantine.release(held, by, reason="It holds tensors only.", revision=held.head)
    made = branches.squash(held, "trial", "one commit", cast.session("alice")).revision
    assert (made.is_quarantined, made.decisions.exists()) == (False, False)
