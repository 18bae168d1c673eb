"""Sums of the kept counts (registry/repos/lists/counting.py) in SQL, for conditions that are compiled once.

A tally is one statement of eight sums that share most conditions. The ORM would compile these again for each sum, which
takes longer than the database does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Q

from registry.models import CatalogueCount

_TABLE = CatalogueCount._meta.db_table
_VALUES = {  # facet → what the counts of its values are grouped by; "" → one group of all
    "": "''",
    "verdict": "outcome",
    "base": "base",
    "kind": "kind",
    "task": "task",
    "license": "license",
    "engine": "serves",
}
Compiled = Mapping[str, tuple[str, Sequence[Any]]]  # conditions by their names, those of facets by the facet's


def total(conditions: Mapping[str, Q]) -> int:
    """Return the sum of the counts under these conditions."""
    where, parameters = _where(_compiled(conditions), "")
    [(_, _, number)] = _read(_sum("", where), parameters)
    return int(number or 0)


def by_value(conditions: Mapping[str, Q], bases: int) -> list[tuple[str, str, int]]:
    """Return facet, value and sum for each facet without its own condition, and the sum of all as that of facet "".

    A value of engines is several of them, a line each. Of bases those with the largest sums are there.
    """
    compiled, statements, parameters = _compiled(conditions), [], []
    for facet in _VALUES:
        where, values = _where(compiled, facet)
        sums = _sum(facet, where)
        if facet == "base":
            sums = f"SELECT * FROM ({sums} ORDER BY n DESC, base LIMIT {bases}) AS commonest"  # noqa: S608  # of numbers and names above
        statements.append(sums)
        parameters += values
    rows = _read(" UNION ALL ".join(statements), parameters)
    return [(facet, value, int(number or 0)) for facet, value, number in rows]


def _compiled(conditions: Mapping[str, Q]) -> Compiled:
    compiled = {}
    for name, condition in conditions.items():
        query = CatalogueCount.objects.filter(condition).query
        compiler = query.get_compiler(connection=connection)
        compiled[name] = compiler.compile(query.where)
    return compiled


def _where(compiled: Compiled, facet: str) -> tuple[str, list[Any]]:
    """Return all conditions but a facet's own one; counts by base are read only where a base matters."""
    others = [condition for name, condition in compiled.items() if name != facet]
    bases = "base <> ''" if facet == "base" else "base IS NOT NULL" if "base" in compiled else "base IS NULL"
    return " AND ".join([bases, *(f"({sql})" for sql, _ in others)]), [value for _, ours in others for value in ours]


def _sum(facet: str, where: str) -> str:
    grouped = f" GROUP BY {_VALUES[facet]}" if facet else ""
    return f"SELECT '{facet}', {_VALUES[facet]}, SUM(number) AS n FROM {_TABLE} WHERE {where}{grouped}"  # noqa: S608  # of names above and of what the ORM compiled


def _read(statement: str, parameters: Sequence[Any]) -> list[tuple[str, str, int | None]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
