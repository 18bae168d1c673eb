"""The overview: what it counts, for whom it is the first page, and what it costs."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.utils import timezone

from features.overview import pages
from hub.monitoring import gauges
from registry.models import Attempt, Case, Repository, Verdict, WorkerHeartbeat

HERE = "/moderation/overview"


@pytest.fixture(autouse=True)
def counted_now():
    """Count at each request of a test."""
    pages.kept_overview.forget()
    gauges.kept_totals.forget()


def finished(reviews: Repository, number: int, state: str, days: float = 0, **columns: object) -> Verdict:
    """Add a verdict that ended so many days ago."""
    at = timezone.now() - timedelta(days=days)
    columns = {
        "finished_at": at,
        "duration_ms": 900,
        "started_at": at,
        "queued_at": at - timedelta(seconds=30),
    } | columns
    return Verdict.objects.create(revision=reviews.revisions.order_by("-pk")[0], number=number, state=state, **columns)


def test_it_is_the_first_page_of_administrators_alone(visit, cast):
    assert visit("ada").get("/moderation").url == HERE
    assert visit("ada").get("/moderation?state=all").status_code == 200, "as links of earlier releases name the queue"
    assert visit("mona").get("/moderation").status_code == 200
    for who in ("mona", "alice"):
        assert visit(who).get(HERE).status_code == 404, who


def test_an_empty_hub_has_an_overview(visit, cast):
    page = visit("ada").get(HERE).content.decode()
    for words in ("Nothing waits for a worker.", "None has ever run here.", "no verdict yet"):
        assert words in page, words


def test_it_counts_verdicts_by_day_and_outcome_and_what_failed_first(visit, reviews):
    Verdict.objects.all().delete()
    checks = [{"id": "file.header", "outcome": "passed"}, {"id": "config.rank", "outcome": "failed", "message": "r"}]
    finished(reviews, 2, "failed", result={"checks": checks})
    finished(reviews, 3, "failed", days=2, result={"checks": checks})
    finished(reviews, 4, "passed", days=2)
    finished(reviews, 5, "errored", days=13)
    finished(reviews, 6, "passed", days=15)
    shown = visit("ada").get(HERE)
    overview = shown.context["overview"]
    days = {
        (timezone.now().date() - day.day).days: list(day.outcomes) for day in overview.days.days if any(day.outcomes)
    }
    assert days == {0: [0, 1, 0], 2: [1, 1, 0], 13: [0, 0, 1]}
    [failure] = overview.failures
    assert '<rect width="100%"' in shown.content.decode(), "all failures of the week"
    assert (failure.check, failure.count, len(failure.verdicts)) == ("config.rank", 2, 1), "a repository is linked once"
    assert overview.waited == [30, 30]
    assert f'href="/docs/{failure.address}"' in shown.content.decode()
    assert "checks" in failure.address


def test_bars_stand_on_each_other_and_none_reaches_above_the_axis():
    day = pages.Day(timezone.now().date(), (3, 2, 1), 7)
    [(_day, x, bars, pushes)] = pages.Days([day]).columns
    assert x == 0
    assert [outcome for outcome, _top, _height in bars] == ["passed", "failed", "errored"]
    assert bars[0][1] + bars[0][2] == pages.LOWEST
    for (_, below, _height), (_, top, height) in pairwise(bars):
        assert round(top + height, 2) == below
    assert pushes == pages.HIGHEST


def test_workers_say_whether_they_live_and_what_they_do(visit, reviews):
    WorkerHeartbeat.objects.create(worker="busy", beat_at=timezone.now(), offers={"slots": 2})
    WorkerHeartbeat.objects.create(worker="gone", beat_at=timezone.now() - timedelta(days=1))
    running = finished(
        reviews, 9, "running", finished_at=None, duration_ms=None, lease_until=timezone.now() + timedelta(minutes=1)
    )
    Attempt.objects.create(verdict=running, number=1, worker="busy")
    shown = visit("ada").get(HERE)
    assert [(one.row.worker, one.is_alive, len(one.jobs)) for one in shown.context["overview"].workers] == [
        ("busy", True, 1),
        ("gone", False, 0),
    ]
    assert running.get_absolute_url() in shown.content.decode()
    assert "silent" in shown.content.decode()


@pytest.mark.parametrize("count", [1, 20])
def test_it_costs_the_same_for_one_row_and_twenty(visit, reviews, count, django_assert_max_num_queries):
    for number in range(count):
        finished(reviews, 10 + number, "failed", result={"checks": [{"id": f"x.{number}", "outcome": "failed"}]})
        Case.objects.create(target="person", key=f"k{number}", label=f"someone-{number}", reason="spam", severity=1)
        WorkerHeartbeat.objects.create(worker=f"w{number}", beat_at=timezone.now())
    ada = visit("ada")
    ada.get("/settings/profile")
    with django_assert_max_num_queries(17):
        ada.get(HERE)
    with django_assert_max_num_queries(5):
        ada.get(HERE)
