"""Indexes of lists that only one database has, which migrations create, and the triggers that count for lists.

For parts of words these are trigram indexes: pg_trgm on PostgreSQL, an FTS5 table on SQLite. For filters PostgreSQL has
an index each, and chooses by its statistics; SQLite, which has none, would choose them in place of the sort.

A migration that goes with another definition of one of them runs `RunPython(create, drop)` again. Those in LIST_INDEXES
came later, by a migration that builds them while the hub goes on working.
"""

from django.db import DatabaseError, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Index, Q

from registry.repos.lists.search_terms import POSTGRESQL_FACETS, POSTGRESQL_HEAD, POSTGRESQL_LINES, SQLITE_HEAD
from registry.sql import counts

WORD_INDEXES = {
    "repository_by_words": "(search_text gin_trgm_ops)",
    "repository_by_head_words": f"({POSTGRESQL_HEAD.format(text='search_text')} gin_trgm_ops)",
}
FILTERED = ("kind", "task", "license", "outcome", "rank", "size", "parameters")
FILTER_INDEXES = {
    "repository_by_tags": f"USING gin ({POSTGRESQL_LINES.format(column='search_text')})",
    "repository_by_facets": f"USING gin ({POSTGRESQL_FACETS.format(table='')})",
    "repository_by_targets": f"USING gin ({POSTGRESQL_LINES.format(column='targets')})",
    **{f"repository_by_{column}": f"({column})" for column in FILTERED},
    "repository_by_base_revision": "(base_revision) WHERE base_revision <> ''",
    "repository_by_gate": "(gated) WHERE gated <> ''",
    "repository_waiting": "(state) WHERE state IN ('queued', 'running')",
    "repository_held": "(namespace_id) WHERE is_main_held",
    "repository_elsewhere": "(type, updated_at DESC, id DESC) WHERE source <> ''",
}
# It has all columns that lists and counts filter by, the newest first: the table is read for the rows of a page alone.
LISTED = Index(
    fields=["type", "-updated_at", "-id"],
    include=[
        *("namespace", "private", "is_main_held", "gated", "archived_at", "base", "kind", "task"),
        *("license", "serves", "state", "outcome", "is_verified", "rank", "size"),
    ],
    condition=Q(source="", quarantined_at__isnull=True, binned_at__isnull=True),
    name="repository_listed",
)
BY_CHOICE = Index(fields=["base", "kind", "task", "license", "outcome"], name="repository_by_choice")
LIST_INDEXES = (LISTED, BY_CHOICE)
# When 2 % of the repositories have changed, in place of 20
VACUUM = ("autovacuum_vacuum_scale_factor", "autovacuum_vacuum_insert_scale_factor")
TABLE = """
CREATE VIRTUAL TABLE IF NOT EXISTS repository_words
USING fts5 (name, rest, content = '', columnsize = 0, tokenize = 'trigram')
"""


def _halves(row: str) -> str:
    """Return the values of the table for a row; its column `name` holds the head."""
    head, text = SQLITE_HEAD.format(text=f"{row}search_text"), f"{row}search_text"
    return f"{row}id, {head}, substr({text}, length({head}) + 1)"


FILL = f"INSERT INTO repository_words (rowid, name, rest) SELECT {_halves('')} FROM registry_repository"  # noqa: S608  # of names
INSERT = f"INSERT INTO repository_words (rowid, name, rest) VALUES ({_halves('new.')});"  # noqa: S608  # of names
DELETE = f"INSERT INTO repository_words (repository_words, rowid, name, rest) VALUES ('delete', {_halves('old.')});"  # noqa: S608  # of names
TRIGGERS = {
    "repository_words_insert": f"AFTER INSERT ON registry_repository BEGIN {INSERT} END",
    "repository_words_delete": f"AFTER DELETE ON registry_repository BEGIN {DELETE} END",
    "repository_words_update": (
        "AFTER UPDATE OF search_text ON registry_repository WHEN old.search_text <> new.search_text "
        f"BEGIN {DELETE} {INSERT} END"
    ),
}


def create(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the indexes and triggers; without pg_trgm on PostgreSQL, searches are slower but correct."""
    create_word_indexes(apps, editor)
    counts.create(editor)
    if editor.connection.vendor != "sqlite":
        for name, definition in FILTER_INDEXES.items():
            editor.execute(f"CREATE INDEX IF NOT EXISTS {name} ON registry_repository {definition}")


def create_word_indexes(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the indexes of words alone, in place of those of an earlier migration; on tables in use concurrently."""
    if editor.connection.vendor == "sqlite":
        _drop_words(editor)  # to fill the table twice would find each repository twice
        for statement in (TABLE, FILL, *(f"CREATE TRIGGER {name} {body}" for name, body in TRIGGERS.items())):
            editor.execute(statement)
    elif _has_trigrams(editor):
        how = "" if editor.connection.in_atomic_block else "CONCURRENTLY"
        for name, columns in WORD_INDEXES.items():
            editor.execute(f"CREATE INDEX {how} IF NOT EXISTS {name} ON registry_repository USING gin {columns}")
        editor.execute(f"DROP INDEX {how} IF EXISTS repository_by_name_words")  # of earlier releases


def drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the indexes and triggers; the pg_trgm extension stays, because others may use it."""
    counts.drop(editor)
    if editor.connection.vendor == "sqlite":
        _drop_words(editor)
    else:
        for name in (*WORD_INDEXES, *FILTER_INDEXES):
            editor.execute(f"DROP INDEX IF EXISTS {name}")


def _drop_words(editor: BaseDatabaseSchemaEditor) -> None:
    for name in TRIGGERS:
        editor.execute(f"DROP TRIGGER IF EXISTS {name}")
    editor.execute("DROP TABLE IF EXISTS repository_words")


def create_list_indexes(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create LIST_INDEXES on PostgreSQL; `migrate` on tables in use has an editor that does so concurrently.

    By them lists do without the table, as far as VACUUM has seen its pages: it runs more often from now on.
    """
    if editor.connection.vendor == "postgresql":
        for index in LIST_INDEXES:
            editor.add_index(apps.get_model("registry", "Repository"), index)
        options = ", ".join(f"{name} = 0.02" for name in VACUUM)
        editor.execute(f"ALTER TABLE registry_repository SET ({options})")


def drop_list_indexes(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop them again."""
    if editor.connection.vendor == "postgresql":
        for index in LIST_INDEXES:
            editor.remove_index(apps.get_model("registry", "Repository"), index)
        editor.execute(f"ALTER TABLE registry_repository RESET ({', '.join(VACUUM)})")


def _has_trigrams(editor: BaseDatabaseSchemaEditor) -> bool:
    try:
        with transaction.atomic(editor.connection.alias):
            editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:  # the database's user may not create extensions
        return False
    return True
