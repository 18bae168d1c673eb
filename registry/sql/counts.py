"""Counts of public repositories in SQL: triggers that keep them where repositories change, and sums of the kept counts.

No code that changes a repository can forget the triggers. The condition of a public list (policy.listed_to for nobody)
stands here a second time, in SQL: a test compares both. A tally is one statement of eight sums that share most
conditions. The ORM would compile these again for each sum, which takes longer than the database does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Q

from registry.models import CatalogueCount

TABLE = "registry_cataloguecount"
VALUES = {  # column of the counts → its value for a row of repositories
    "type": "{row}.type",
    "base": "CASE WHEN bases.counts THEN {row}.base END",
    "kind": "{row}.kind",
    "task": "{row}.task",
    "license": "{row}.license",
    "serves": "{row}.serves",
    "state": "CASE WHEN {row}.state = '' THEN '' ELSE 'some' END",  # whether there is a verdict
    "outcome": "{row}.outcome",
    "is_verified": "{row}.is_verified",
    "is_archived": "{row}.archived_at IS NOT NULL",
    "is_gated": "{row}.gated <> ''",
}
GROUP = ", ".join(VALUES)
INSERT = f"INSERT INTO {TABLE} ({GROUP}, number, is_folded)"
BASES = "(SELECT TRUE AS counts UNION ALL SELECT FALSE) AS bases"
IN_USE = (
    "{row}.source = '' AND NOT {row}.private AND NOT {row}.is_main_held"
    " AND {row}.quarantined_at IS NULL AND {row}.binned_at IS NULL"
)
OWNER_IS_HERE = (
    "NOT EXISTS (SELECT 1 FROM registry_user WHERE registry_user.namespace_id = {row}.namespace_id"
    " AND NOT registry_user.is_active)"
)
LISTED = f"{IN_USE} AND {OWNER_IS_HERE}"
OBSERVED = (
    *("type", "namespace_id", "source", "private", "is_main_held", "quarantined_at", "binned_at"),
    *("archived_at", "gated", "base", "kind", "task", "license", "serves", "state", "outcome", "is_verified"),
)
# Each group's true number less what is counted: one statement, so that it sees one state of both. Its rows need no
# folding by themselves: the next change of their group takes them along.
CORRECT = f"""
{INSERT}
SELECT {GROUP}, SUM(number), TRUE FROM (
    SELECT {{values}}, 1 AS number FROM registry_repository AS r CROSS JOIN {BASES} WHERE {LISTED.format(row="r")}
    UNION ALL SELECT {GROUP}, -number FROM {TABLE}
) AS groups GROUP BY {GROUP} HAVING SUM(number) <> 0
""".format(values=", ".join(f"{value.format(row='r')} AS {name}" for name, value in VALUES.items()))  # noqa: S608  # made of the names above alone

NEWEST = 100  # rows that an update looks at: many repositories changed by one statement leave very many
_REPOSITORIES = ("insert", "update", "delete")


def create(editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers, whose counts begin at nothing: repositories that are there already need counting.correct."""
    drop(editor)  # of an earlier migration
    if editor.connection.vendor == "postgresql":
        _create_on_postgresql(editor)
        return
    for event in _REPOSITORIES:
        when = f"WHEN {_columns('OLD')} IS NOT {_columns('NEW')}" if event == "update" else ""
        editor.execute(f"CREATE TRIGGER catalogue_{event} {_after(event)} {when} BEGIN {_counting(event)} END")
    changed = "AFTER UPDATE OF is_active ON registry_user WHEN OLD.is_active <> NEW.is_active"
    editor.execute(f"CREATE TRIGGER catalogue_owner {changed} BEGIN {_counting_owner()} END")


def drop(editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers."""
    is_postgresql = editor.connection.vendor == "postgresql"
    tables = {**dict.fromkeys(_REPOSITORIES, "registry_repository"), "owner": "registry_user"}
    for name, table in tables.items():
        editor.execute(f"DROP TRIGGER IF EXISTS catalogue_{name}" + (f" ON {table}" if is_postgresql else ""))
        if is_postgresql:
            editor.execute(f"DROP FUNCTION IF EXISTS dovetail_catalogue_{name}")


def _create_on_postgresql(editor: BaseDatabaseSchemaEditor) -> None:
    for event in _REPOSITORIES:
        when = f"WHEN ({_columns('OLD')} IS DISTINCT FROM {_columns('NEW')})" if event == "update" else ""
        body = _moving() if event == "update" else _counting(event)
        _create_function(editor, event, body, f"{_after(event)} FOR EACH ROW {when}")
    changed = "AFTER UPDATE OF is_active ON registry_user FOR EACH ROW WHEN (OLD.is_active <> NEW.is_active)"
    _create_function(editor, "owner", _counting_owner(), changed)


def _create_function(editor: BaseDatabaseSchemaEditor, name: str, body: str, event: str) -> None:
    function = f"dovetail_catalogue_{name}"
    editor.execute(
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {body} RETURN NULL; END $$"
    )
    editor.execute(f"CREATE TRIGGER catalogue_{name} {event} EXECUTE FUNCTION {function}()")


def _after(event: str) -> str:
    columns = f" OF {', '.join(OBSERVED)}" if event == "update" else ""
    return f"AFTER {event.upper()}{columns} ON registry_repository"


def _columns(row: str) -> str:
    values = {column: f"{row}.{column}" for column in OBSERVED} | {"state": VALUES["state"].format(row=row)}
    return f"({', '.join(values.values())})"


def _counting(event: str) -> str:
    """Return statements that count the old row out and the new one in."""
    statements = [_counting_row("OLD", -1)] if event != "insert" else []
    return " ".join([*statements, *([_counting_row("NEW", 1)] if event != "delete" else [])])


def _counting_row(row: str, number: int) -> str:
    values = ", ".join(value.format(row=row) for value in VALUES.values())
    counted = f"SELECT {values}, {number}, FALSE FROM {BASES} WHERE {LISTED.format(row=row)}"  # noqa: S608  # made of the names above alone
    return f"{INSERT} {counted};"


def _moving() -> str:
    """Return statements that count an updated row elsewhere, on PostgreSQL.

    A new row that counts one of its old group, and is not folded yet, then counts one of the new group: a push and its
    verdict change the rows of the new repository. Without such a row the old one is counted out and the new one in.
    """
    moves = ""
    for counts in ("TRUE", "FALSE"):
        columns = ", ".join(VALUES.values()).replace("bases.counts", counts)
        old, new = columns.format(row="OLD"), columns.format(row="NEW")
        newest = f"SELECT id FROM {TABLE} WHERE NOT is_folded ORDER BY id DESC LIMIT {NEWEST}"  # noqa: S608  # of names
        same = f"NOT is_folded AND number = 1 AND ({GROUP}) IS NOT DISTINCT FROM ({old}) LIMIT 1 FOR UPDATE SKIP LOCKED"
        one = f"SELECT id FROM {TABLE} WHERE id = ANY (ARRAY({newest})) AND {same}"  # noqa: S608  # of names
        moves += f"UPDATE {TABLE} SET ({GROUP}) = ROW({new}) WHERE id = ({one});"  # noqa: S608  # of names
        moves += f" IF NOT FOUND THEN {INSERT} VALUES ({old}, -1, FALSE), ({new}, 1, FALSE); END IF; "
    before, after = LISTED.format(row="OLD"), LISTED.format(row="NEW")
    return f"IF {before} AND {after} THEN {moves} ELSE {_counting('update')} END IF;"


def _counting_owner() -> str:
    """Return a statement that counts all repositories of a person who is suspended out, of one who returns in."""
    values = ", ".join(f"{value.format(row='r')} AS {name}" for name, value in VALUES.items())
    rows = f"registry_repository AS r CROSS JOIN {BASES} WHERE r.namespace_id = NEW.namespace_id"
    owned = f"SELECT {values} FROM {rows} AND {IN_USE.format(row='r')}"  # noqa: S608  # made of the names above alone
    number = "CASE WHEN NEW.is_active THEN COUNT(*) ELSE -COUNT(*) END"
    counted = f"SELECT {GROUP}, {number}, FALSE FROM ({owned}) AS owned GROUP BY {GROUP}"  # noqa: S608  # made of the names above alone
    return f"{INSERT} {counted};"


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
