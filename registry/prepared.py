"""Questions that every pull asks, compiled to SQL once: writing a query takes many times as long as answering it.

Nothing is kept but the text of the query; each answer is read anew.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators

M = TypeVar("M", bound=Model)
_populators: Any = get_related_populators  # its stub is of another release of Django
_MARK = 2_046_100_000  # stands for a value while a query is compiled; a number that 32 bits hold and nobody writes


@dataclass(frozen=True)
class _Plan:
    """A compiled query: its text, what each parameter is, and how a row becomes an object."""

    sql: str
    parameters: Sequence[tuple[int, Any]]  # which of the values, or -1 and what is always asked
    compiler: Any
    converters: Any
    model: Any
    columns: slice
    names: Sequence[str]
    related: Sequence[Any]

    def objects(self, rows: Sequence[Any]) -> list[Any]:
        """Return an object for each row, as django.db.models.query.ModelIterable makes them."""
        made = []
        for row in self.compiler.apply_converters(rows, self.converters):
            one = self.model.from_db("default", self.names, row[self.columns])
            for populator in self.related:
                populator.populate(row, one)
            made.append(one)
        return made


class Prepared(Generic[M]):
    """One query with places for values; `kinds` says of each place whether it takes text or a number.

    `build` is called once, with a value for each place, and returns the query: filters, select_related, order, slice.
    """

    def __init__(self, build: "Callable[..., QuerySet[M]]", *kinds: type[str] | type[int]) -> None:
        self._build, self._kinds = build, kinds
        self._plan: _Plan | None = None
        self._lock = threading.Lock()

    def __call__(self, *values: str | int) -> list[M]:
        """Return the rows for these values."""
        plan = self._plan or self._compile()
        asked = [fixed if at < 0 else values[at] for at, fixed in plan.parameters]
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, asked)
            rows = cursor.fetchall()
        return plan.objects(rows) if rows else []

    def first(self, *values: str | int) -> M | None:
        """Return the first row for these values, if there is one."""
        return next(iter(self(*values)), None)

    def _compile(self) -> _Plan:
        marks = [kind(_MARK + at) for at, kind in enumerate(self._kinds)]
        with self._lock:
            compiler: Any = self._build(*marks).query.get_compiler("default")
            sql, parameters = compiler.as_sql()
            known, select = compiler.klass_info, compiler.select
            columns = slice(known["select_fields"][0], known["select_fields"][-1] + 1)
            self._plan = _Plan(
                sql,
                [(marks.index(value) if value in marks else -1, value) for value in parameters],
                compiler,
                compiler.get_converters([column[0] for column in select[: compiler.col_count]]),
                known["model"],
                columns,
                [column[0].target.attname for column in select[columns]],
                _populators(known, select, "default"),
            )
        return self._plan
