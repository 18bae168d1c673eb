"""Downloads are counted beside the wide rows of repositories, and folded into these and into days."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hub.site.repository.repository import Sparkline
from registry.models import CountedDownloads, DailyDownloads, Repository, Revision
from registry.repos import download_counts
from tests.api.conftest import pushed


def today() -> date:
    return timezone.now().date()


DAY = timedelta(days=1)


def counted(repository: Repository, count: int, *, at: datetime | None = None) -> None:
    CountedDownloads.objects.create(repository=repository.pk, count=count, at=at or timezone.now())


def test_many_counts_of_many_processes_write_a_repository_once(cast):
    busy, calm = cast.repository("alice/busy"), cast.repository("alice/calm")
    for _ in range(20):
        download_counts.count_download(busy.pk)
        download_counts.flush_counts()
    download_counts.count_download(calm.pk)
    download_counts.flush_counts()
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert download_counts.fold() == 21
    assert sum("UPDATE registry_repository" in query["sql"] for query in asked) == 1
    busy.refresh_from_db()
    calm.refresh_from_db()
    assert (busy.downloads, calm.downloads) == (20, 1)
    assert download_counts.trending_score(busy) == pytest.approx(20, abs=0.01)
    assert download_counts.by_day(busy, 30)[-1] == (today(), 20)
    assert download_counts.fold() == 0, "once, and no second time"


def test_counts_that_the_database_refuses_wait_for_the_next_time(cast, monkeypatch):
    adapter = cast.repository("alice/reviews")
    download_counts.count_download(adapter.pk)
    with monkeypatch.context() as broken:
        broken.setattr(CountedDownloads._meta, "db_table", "nosuch")
        download_counts.flush_counts()
    download_counts.flush_counts()
    assert CountedDownloads.objects.get().count == 1


def test_downloads_of_a_repository_that_is_gone_are_dropped_and_the_others_stay(cast):
    gone, here = cast.repository("alice/gone"), cast.repository("alice/here")
    counted(gone, 5)
    counted(here, 7)
    gone.delete()
    download_counts.fold()
    assert (DailyDownloads.objects.get().count, CountedDownloads.objects.count()) == (7, 0)


def test_what_waits_is_folded_in_bounded_parts_and_in_its_own_day(cast, monkeypatch):
    adapter = cast.repository("alice/reviews")
    monkeypatch.setattr(download_counts, "AT_ONCE", 2)
    monkeypatch.setattr(download_counts, "TRANSACTIONS", 2)
    for age in range(5):
        counted(adapter, 1, at=timezone.now() - age * DAY)
    assert (download_counts.fold(), download_counts.fold()) == (4, 1)
    assert download_counts.by_day(adapter, 30)[-6:] == [(today() - age * DAY, int(age < 5)) for age in range(5, -1, -1)]
    adapter.refresh_from_db()
    assert download_counts.trending_score(adapter) < 5, "older ones weigh less, however late they are folded"


def test_days_long_past_become_months(cast):
    adapter, other = cast.repository("alice/reviews"), cast.repository("alice/other")
    for day in (date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 31), date(2024, 4, 2)):
        adapter.daily_downloads.create(day=day, count=3)
        other.daily_downloads.create(day=day, count=3)
    counted(adapter, 1)
    download_counts.fold()
    rows = adapter.daily_downloads.order_by("day").values_list("day", "count")
    assert list(rows) == [(date(2024, 3, 1), 9), (date(2024, 4, 1), 3), (today(), 1)]
    assert other.daily_downloads.count() == 4, "nobody touched it"


def test_the_last_day_has_its_share_of_yesterday(cast, monkeypatch):
    adapter = cast.repository("alice/reviews")
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 5, 2, 6, tzinfo=UTC))
    adapter.daily_downloads.create(day=date(2026, 5, 2), count=10)
    adapter.daily_downloads.create(day=date(2026, 5, 1), count=40)
    adapter.daily_downloads.create(day=date(2026, 4, 30), count=99)
    assert download_counts.of_last_day([adapter.pk]) == {adapter.pk: 40}


@pytest.mark.parametrize(("days", "status"), [("30", 200), ("365", 200), ("7", 400)])
def test_anybody_reads_the_days_by_rest(cast, days, status):
    adapter = cast.repository("alice/reviews")
    adapter.daily_downloads.create(day=today(), count=3)
    adapter.daily_downloads.create(day=today() - 29 * DAY, count=2)
    adapter.daily_downloads.create(day=today() - 364 * DAY, count=4)
    answer = Client().get(f"/api/v1/adapters/alice/reviews/downloads?days={days}")
    assert answer.status_code == status
    if status == 200:
        told = answer.json()
        assert (len(told["days"]), told["sum"]) == (int(days), {"30": 5, "365": 9}[days])
        assert told["days"][-1] == {"day": today().isoformat(), "downloads": 3}


def test_strangers_read_nothing_of_a_private_adapter(cast):
    cast.repository("alice/secret", private=True)
    assert Client().get("/api/v1/adapters/alice/secret/downloads").status_code == 404


def test_bars_and_sentence_say_the_same():
    shown = Sparkline([(date(2026, 5, 1), 0), (date(2026, 5, 2), 12), (date(2026, 5, 3), 1)])
    assert (shown.total, shown.busiest) == (13, (date(2026, 5, 2), 12))
    drawn = render_to_string("site/parts/sparkline.html", {"sparkline": shown})
    assert re.findall(r'<rect x="([\d.]+)" width=".8" height="(\d+)"', drawn) == [("1.1", "24"), ("2.1", "3")]
    none = Sparkline([(date(2026, 5, 1), 0)])
    assert "<svg" not in render_to_string("site/parts/sparkline.html", {"sparkline": none})


def test_a_version_has_the_downloads_that_began_with_it(cast):
    repository, other = cast.repository("alice/reviews"), cast.repository("alice/other")
    first, second = (pushed(cast, repository, files={"a.txt": words}) for words in (b"1", b"2"))
    for oid in (first.oid, first.oid, second.oid, "", "0" * 40):
        download_counts.count_download(repository.pk, oid)
    download_counts.count_download(other.pk, first.oid)
    download_counts.flush_counts()
    download_counts.fold()
    assert [Revision.objects.get(pk=revision.pk).downloads for revision in (first, second)] == [2, 1]
    repository.refresh_from_db()
    assert repository.downloads == 5
