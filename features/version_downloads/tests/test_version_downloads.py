"""Downloads of versions by day: how they are counted, how long they are kept, and the plot of them."""

from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from features.version_downloads import feature
from features.version_downloads.models import VersionDownloads
from registry.models import CountedDownloads, Repository
from registry.repos import download_counts
from tests.api.conftest import FILES, pushed

HERE = "/alice/reviews/commits/main"
DAY = timedelta(days=1)


def counted(repository: Repository, oid: str, count: int, days: int = 0) -> None:
    """Let a web process have counted so many downloads, so many days ago."""
    at = timezone.now() - days * DAY
    CountedDownloads.objects.create(repository=repository.pk, oid=oid, count=count, at=at)


def kept(repository: Repository) -> list[tuple[int, str, int]]:
    """Return (days ago, version, count) of all rows."""
    today = timezone.now().date()
    rows = repository.version_downloads.order_by("day", "oid").values_list("day", "oid", "count")
    return [((today - day).days, oid, count) for day, oid, count in rows]


def oids(repository: Repository) -> list[str]:
    """Return the versions, the newest first."""
    return list(repository.revisions.order_by("-pk").values_list("oid", flat=True))


def test_each_version_is_counted_in_its_day_and_again_in_the_same_row(reviews):
    new, old, *_ = oids(reviews)
    counted(reviews, new, 2)
    counted(reviews, new, 3, days=1)
    counted(reviews, old, 5)
    counted(reviews, "", 7)
    download_counts.fold()
    counted(reviews, new, 10)
    download_counts.fold()
    assert sorted(kept(reviews)) == sorted([(1, new, 3), (0, new, 12), (0, old, 5)])
    assert download_counts.by_day(reviews, 30)[-1][1] == 24, "those of no version are in the sum of the day alone"


def test_old_days_go_with_the_next_count_of_their_repository_alone(cast, reviews):
    other = cast.repository("alice/other")
    oid = oids(reviews)[0]
    for repository in (reviews, other):
        VersionDownloads.objects.create(
            repository=repository, day=timezone.now().date() - feature.KEPT - DAY, oid=oid, count=4
        )
    counted(reviews, oid, 1)
    download_counts.fold()
    assert kept(reviews) == [(0, oid, 1)]
    assert other.version_downloads.count() == 1, "nobody touched it"


def test_they_go_with_their_repository(cast, reviews):
    counted(reviews, oids(reviews)[0], 1)
    download_counts.fold()
    reviews.delete()
    assert VersionDownloads.objects.count() == 0


def test_the_plot_stacks_the_versions_that_were_downloaded_most_and_sums_up_the_others(visit, cast, reviews):
    for number in range(4):
        pushed(cast, reviews, title=f"version {number}", files={**FILES, "notes.md": b"%d" % number})
    versions = oids(reviews)
    for number, oid in enumerate(versions[:5]):
        counted(reviews, oid, 10 + number, days=number)
    counted(reviews, "", 100)
    counted(reviews, versions[0], 1000, days=40)
    download_counts.fold()
    shown = visit("anonymous").get(HERE)
    plot = shown.context["downloads"]
    assert [version.oid if version else "" for _, version, _ in plot.bands] == [*versions[1:5][::-1], ""]
    assert [count for _, _, count in plot.bands] == [14, 13, 12, 11, 110], "the smallest is with those of no version"
    assert (len(plot.days), plot.sum) == (30, 160)
    assert "160 downloads in 30 days (UTC)." in shown.content.decode()
    longer = visit("anonymous").get(f"{HERE}?days=90").context["downloads"]
    assert (len(longer.days), longer.sum, longer.bands[-2][1].oid) == (90, 1160, versions[0])
    assert [round(top) for _, _, _, bars in longer.columns for _, top, _ in bars if top < 25] == [24], "the busiest day"


def test_a_version_that_is_held_back_is_not_named(visit, cast, reviews):
    held = pushed(cast, reviews, title="held back", files={**FILES, "notes.md": b"1"})
    counted(reviews, held.oid, 9)
    download_counts.fold()
    held.quarantined_at = timezone.now()
    held.save()
    bands = visit("anonymous").get("/alice/reviews/commits/verified").context["downloads"].bands
    assert [(version, count) for _, version, count in bands] == [(None, 9)]


def test_nothing_is_drawn_where_nothing_was_downloaded(visit, reviews):
    assert "Downloads a day" not in visit("anonymous").get(HERE).content.decode()


def test_more_versions_cost_no_more_queries(visit, cast, reviews):
    client = visit("anonymous")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(HERE).context["downloads"]
        return len(
            [query for query in queries if "downloads" in query["sql"].partition("WHERE")[0].partition("FROM")[2]]
        )

    counted(reviews, oids(reviews)[0], 1)
    download_counts.fold()
    few = asked()
    for number in range(6):
        counted(reviews, pushed(cast, reviews, files={**FILES, "notes.md": b"%d" % number}).oid, 1)
    download_counts.fold()
    assert asked() == few == 2, "days of the repository, and of its versions"
