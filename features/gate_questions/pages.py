"""The questions on the form of a gate, and the requests with their answers as a file for spreadsheets."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from features.gate_questions.verbs import questions_of
from hub.site.panels import Pages, Panel
from hub.site.repository.repository_header import header_of
from hub.site.routing import RepositoryAddress, at
from registry.kernel.errors import StoreUnavailable
from registry.kernel.policy import Permission
from registry.kernel.seams import MOST_EXPORTED
from registry.models import AccessRequest

COLUMNS = ("user", "email", "status", "at", "decided_by", "decided_at", "text", "reason")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what makes a spreadsheet compute a cell (OWASP, CSV injection)


@require_safe
def export(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Send the requests of every state, newest first, with a column for each question that anybody answered."""
    repository = header_of(request, address, Permission.ARCHIVE).repository
    rows = repository.access_requests.select_related("user", "decided_by").order_by("-pk")[:MOST_EXPORTED]
    asked = list(dict.fromkeys(name for answers in rows.values_list("answers", flat=True) for name in answers))
    answer = StreamingHttpResponse(_lines(rows.iterator(), asked), content_type="text/csv; charset=utf-8")
    name = f"{repository.full_name.replace('/', '-')}-access.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return cast(HttpResponse, answer)  # a streamed one: middleware takes both


def _lines(rows: Iterator[AccessRequest], asked: list[str]) -> Iterator[str]:
    """Yield the lines of the file, the first with the names of the columns."""
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow([_cell(name) for name in (*COLUMNS, *asked)])
    for row in rows:
        yield line.getvalue()
        line.seek(0)
        line.truncate()
        email = row.user.email if row.asked else ""  # who was added directly agreed to nothing
        decided = row.decided_at.isoformat() if row.decided_at else ""
        facts = (row.user.username, email, row.status, row.at.isoformat(), row.decided_by or "", decided)
        answers = (row.answers.get(name, "") for name in asked)
        writer.writerow([_cell(value) for value in (*facts, row.text, row.reason, *answers)])
    yield line.getvalue()


def _cell(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _asked(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the questions of the gate that stands before the visitor of this page."""
    try:
        return {"questions": questions_of(page["header"].repository)}
    except StoreUnavailable:  # who asks meanwhile is told the same; the rest of the page are rows
        return {"questions": None}


PAGES = Pages(
    routes=[at("<repository:address>/access/requests.csv", export, "access-export")],
    panels=(
        Panel("gate", "gate_questions/form.html", _asked),
        Panel("access", "gate_questions/export.html"),
    ),
)
