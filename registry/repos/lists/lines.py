"""Columns asked for one of many values, which PostgreSQL finds by an index of arrays: lines, and facets together.

Lines are a column such as "\\nvllm\\nlorax\\n", or the tags in a search text. Facets of a repository are one array on
PostgreSQL, so that a choice of several is one look into one index, however common each of them is. search_index.py has
indexes of these very expressions.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Func, Q

# The lines after the first line break; of a search text, the last are the trigger words, which begin with a tab.
POSTGRESQL_LINES = r"string_to_array(substr({column}, strpos({column}, E'\n') + 1), E'\n')"
FACETS = ("base", "kind", "task", "license", "outcome")
_NAMED = ", ".join(f"'{name}=' || {{table}}{name}" for name in FACETS)
POSTGRESQL_FACETS = f"(ARRAY[{_NAMED}] || {POSTGRESQL_LINES.format(column='{table}serves')})"


class HasLine(Func):
    """The condition that a column of the row holds one of these lines."""

    output_field = BooleanField()
    arity = 1

    def __init__(self, column: str, lines: Iterable[str]) -> None:
        super().__init__(column)
        self.lines = tuple(lines)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, params = compiler.compile(self.source_expressions[0])
        lines = [line for line in self.lines if line and not line.startswith("\t")]
        return f"{POSTGRESQL_LINES.format(column=column)} && %s::text[]", [*params, *params, lines]

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, params = compiler.compile(self.source_expressions[0])
        conditions = " OR ".join([f"instr({column}, %s) > 0"] * len(self.lines))
        return f"({conditions})", [part for line in self.lines for part in (*params, f"\n{line}\n")]


class _HasFacet(Func):
    """The condition that a repository has one of these facets; of PostgreSQL alone."""

    output_field = BooleanField()
    arity = 1

    def __init__(self, facets: Iterable[str]) -> None:
        super().__init__("kind")  # any column: it tells the alias of the table
        self.facets = tuple(facets)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, _ = compiler.compile(self.source_expressions[0])
        array = POSTGRESQL_FACETS.format(table=column.removesuffix('"kind"'))
        return f"{array} && %s::text[]", [[facet for facet in self.facets if facet]]


def has_value(name: str, values: Iterable[str]) -> Q:
    """Return the condition that a repository has one of these values in a column of FACETS."""
    if connection.vendor != "postgresql":
        return Q(**{f"{name}__in": values})
    return Q(_HasFacet(f"{name}={value}" for value in values))


def serves(engines: Iterable[str]) -> Q:
    """Return the condition that one of these engines serves a repository."""
    return Q(_HasFacet(engines) if connection.vendor == "postgresql" else HasLine("serves", engines))
