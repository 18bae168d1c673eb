"""Trigram indexes for substring search, which migrations create: pg_trgm on PostgreSQL, an FTS5 table on SQLite.

SQLite drops the triggers when Django rebuilds the repository table in order to alter it: such a migration ends with
`RunPython(create, drop)` again.
"""

from django.db import DatabaseError, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

POSTGRESQL_INDEXES = {
    "repository_by_words": "(search_text gin_trgm_ops)",
    "repository_by_name_words": "(split_part(search_text, ' ', 1) gin_trgm_ops)",
}
TABLE = """
CREATE VIRTUAL TABLE IF NOT EXISTS repository_words
USING fts5 (name, rest, content = '', columnsize = 0, tokenize = 'trigram')
"""
FILL = """
INSERT INTO repository_words (rowid, name, rest)
SELECT id, substr(search_text, 1, instr(search_text, ' ') - 1), substr(search_text, instr(search_text, ' '))
FROM registry_repository
"""
INSERT = """
INSERT INTO repository_words (rowid, name, rest) VALUES (
    new.id,
    substr(new.search_text, 1, instr(new.search_text, ' ') - 1),
    substr(new.search_text, instr(new.search_text, ' '))
);
"""
DELETE = """
INSERT INTO repository_words (repository_words, rowid, name, rest) VALUES (
    'delete',
    old.id,
    substr(old.search_text, 1, instr(old.search_text, ' ') - 1),
    substr(old.search_text, instr(old.search_text, ' '))
);
"""
TRIGGERS = {
    "repository_words_insert": f"AFTER INSERT ON registry_repository BEGIN {INSERT} END",
    "repository_words_delete": f"AFTER DELETE ON registry_repository BEGIN {DELETE} END",
    "repository_words_update": (
        "AFTER UPDATE OF search_text ON registry_repository WHEN old.search_text <> new.search_text "
        f"BEGIN {DELETE} {INSERT} END"
    ),
}


def create(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the indexes; without pg_trgm on PostgreSQL, searches are slower but correct."""
    if editor.connection.vendor == "sqlite":
        drop(apps, editor)  # of an earlier migration; to fill the table twice would find each repository twice
        for statement in (TABLE, FILL, *(f"CREATE TRIGGER {name} {body}" for name, body in TRIGGERS.items())):
            editor.execute(statement)
    elif _has_trigrams(editor):
        for name, columns in POSTGRESQL_INDEXES.items():
            editor.execute(f"CREATE INDEX IF NOT EXISTS {name} ON registry_repository USING gin {columns}")


def drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the indexes; the pg_trgm extension stays, because others may use it."""
    if editor.connection.vendor == "sqlite":
        for name in TRIGGERS:
            editor.execute(f"DROP TRIGGER IF EXISTS {name}")
        editor.execute("DROP TABLE IF EXISTS repository_words")
    else:
        for name in POSTGRESQL_INDEXES:
            editor.execute(f"DROP INDEX IF EXISTS {name}")


def _has_trigrams(editor: BaseDatabaseSchemaEditor) -> bool:
    try:
        with transaction.atomic(editor.connection.alias):
            editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:  # the database's user may not create extensions
        return False
    return True
