"""Lists on pages: a repository's row with the number or sentence that matters most about it, and a list's next page.

An address with a number or cursor that is none shows the first page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import Evaluation, Report
from hub.site.measures import decimals
from hub.site.proof import NEUTRAL, Document
from hub.site.proof import document as document_of
from registry.kernel.errors import ValueInvalid
from registry.kernel.texts import cursors
from registry.models import Repository, Verdict
from registry.repos import download_counts
from registry.repos.lists.catalog import ListedVerdict, SearchPage

NOT_RUN = {"fit": (_("fit proven"), _("not run here")), "static": (_("checked"), _("not run here"))}


@dataclass(frozen=True, slots=True)
class ListRow:
    """One row of a list; `beside` is what `headline` is compared with."""

    repository: Repository
    verdict: Document | None
    headline: str = ""
    beside: str = ""
    is_english: bool = False  # a worker wrote what is beside
    measured: Evaluation | None = None  # that the headline names
    yank_reason: str = ""  # of main, which only its writers and moderators find in lists then
    newest: Verdict | None = None  # of main, where another version is verified, which all else is about
    newest_check: str = ""  # that it failed
    days: Sequence[int] = ()  # downloads of each of the last DAYS, where the list draws them

    @property
    def score(self) -> Evaluation | None:
        """The measured score, if its metric goes from 0 to 1 and more is better."""
        item = self.measured
        if item is None or item.better == "lower":
            return None
        return item if all(0 <= float(value or 0) <= 1 for value in (item.adapter, item.base)) else None

    @property
    def rows_key(self) -> str:
        """The key that two rows share if their numbers compare; "" where nothing says on which rows it was measured."""
        item = self.measured
        return f"{item.rows_sha256} {item.metric} {item.task or ''}" if item and item.rows_sha256 else ""

    @property
    def trend(self) -> str:
        """The downloads of each day as an SVG path, one wide for each day and TREND_HEIGHT high; "" without any."""
        most = max(self.days, default=0)
        heights = [round(count / most * TREND_HEIGHT) for count in self.days] if most else []
        steps = "".join(f"V{TREND_HEIGHT - height}h1" for height in heights)
        return f"M0 {TREND_HEIGHT}{steps}V{TREND_HEIGHT}z" if steps else ""

    @property
    def recent(self) -> int:
        """The downloads of these days."""
        return sum(self.days)


DAYS, TREND_HEIGHT = 30, 14


def rows_of(page: SearchPage, *, with_trends: bool = False) -> list[ListRow]:
    """Return the rows of a page of the catalogue, in its order; `with_trends` by one query more."""
    of_days = download_counts.of_days([row.pk for row in page.items], DAYS) if with_trends else {}
    return [
        row_of(repository, page.verdicts.get(repository.pk), [count for _, count in of_days.get(repository.pk, ())])
        for repository in page.items
    ]


def row_of(repository: Repository, listed: ListedVerdict | None, days: Sequence[int] = ()) -> ListRow:
    """Return the row of a repository and what lists say of it."""
    if listed is None:
        return ListRow(repository, None, days=days)
    document, newest = document_of(listed.verdict, in_list=True), listed.newest
    of_main = (newest or listed.verdict).revision
    refusal = newest.report.refusal if newest and newest.is_final else None
    check = refusal.id if refusal else ""
    item = _measurement(document.report)
    return ListRow(repository, document, *_summary(document, item), item, of_main.yank_reason, newest, check, days)


def _measurement(report: Report) -> Evaluation | None:
    """Return the first number of a passed version that says something of its task."""
    if report.state != "passed":
        return None
    told = (item for item in report.evals if item.name != NEUTRAL and None not in (item.adapter, item.base))
    return next(told, None)


def _summary(document: Document, item: Evaluation | None) -> tuple[str, str, bool]:
    """Return a headline, what it is compared with, and whether a worker wrote that."""
    report = document.report
    if report.state == "queued":
        return "", document.reason or gettext("waiting for a worker"), bool(document.reason)
    if report.state == "running":
        return "", document.reason, True
    if report.state == "errored":
        return "", gettext("a check crashed on this hub"), False
    if check := report.refusal:
        return check.id, check.fix or check.message, True
    if item and item.adapter is not None and item.base is not None:
        words = gettext("guess {value}") if item.guess else gettext("base {value}")
        return f"{item.metric} {decimals(item.adapter, 2)}", words.format(value=decimals(item.base, 2)), False
    if report.depth in NOT_RUN:
        headline, beside = NOT_RUN[report.depth]
        return str(headline), str(beside), False
    return (gettext("{depth} proven").format(depth=report.depth) if report.depth else ""), "", False


Row = TypeVar("Row", bound=Model)
Found = TypeVar("Found")
FOREIGN = _("This page of the list no longer exists. This is the first page.")


def older(request: HttpRequest, rows: QuerySet[Row], size: int) -> tuple[list[Row], str]:
    """Return a page of rows, newest first, from below the id `before` of the address; and the `before` of the next."""
    page = cursors.newest_first(rows, cursors.parse_row_number(request.GET.get("before", "")), size)
    return page.items, page.next


def at_cursor(request: HttpRequest, find: Callable[[str], Found]) -> tuple[Found, tuple[str, ...]]:
    """Return the page at the cursor of the address; in place of one that is not of this list, the first, and why."""
    cursor = request.GET.get("cursor", "")
    try:
        return find(cursor), ()
    except ValueInvalid:
        if not cursor:
            raise
    return find(""), (str(FOREIGN),)
