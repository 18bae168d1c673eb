"""Indexes for searches of parts of words: of ids on PostgreSQL, and of everything on SQLite, where FTS5 holds them.

The triggers go when Django makes the table of adapters anew to change it: a migration that does so runs `make` again.
"""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

OF_NAMES = """
CREATE INDEX IF NOT EXISTS adapter_by_name_words ON registry_adapter
USING gin (split_part(search_text, ' ', 1) gin_trgm_ops)
"""
TABLE = """
CREATE VIRTUAL TABLE adapter_words USING fts5 (name, rest, content = '', columnsize = 0, tokenize = 'trigram')
"""
FILL = """
INSERT INTO adapter_words (rowid, name, rest)
SELECT id, substr(search_text, 1, instr(search_text, ' ') - 1), substr(search_text, instr(search_text, ' '))
FROM registry_adapter
"""
TAKE = """
INSERT INTO adapter_words (rowid, name, rest) VALUES (
    new.id,
    substr(new.search_text, 1, instr(new.search_text, ' ') - 1),
    substr(new.search_text, instr(new.search_text, ' '))
);
"""
FORGET = """
INSERT INTO adapter_words (adapter_words, rowid, name, rest) VALUES (
    'delete',
    old.id,
    substr(old.search_text, 1, instr(old.search_text, ' ') - 1),
    substr(old.search_text, instr(old.search_text, ' '))
);
"""
TRIGGERS = {
    "adapter_words_new": f"AFTER INSERT ON registry_adapter BEGIN {TAKE} END",
    "adapter_words_gone": f"AFTER DELETE ON registry_adapter BEGIN {FORGET} END",
    "adapter_words_other": (
        "AFTER UPDATE OF search_text ON registry_adapter WHEN old.search_text <> new.search_text "
        f"BEGIN {FORGET} {TAKE} END"
    ),
}


def make(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make them; on PostgreSQL where the extension is that the index of whole texts needs too."""
    if editor.connection.vendor == "sqlite":
        for statement in (TABLE, FILL, *(f"CREATE TRIGGER {name} {body}" for name, body in TRIGGERS.items())):
            editor.execute(statement)
    elif _has_trigrams(editor):
        editor.execute(OF_NAMES)


def drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "sqlite":
        for name in TRIGGERS:
            editor.execute(f"DROP TRIGGER {name}")
        editor.execute("DROP TABLE adapter_words")
    else:
        editor.execute("DROP INDEX IF EXISTS adapter_by_name_words")


def _has_trigrams(editor: BaseDatabaseSchemaEditor) -> bool:
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        return cursor.fetchone() is not None


class Migration(migrations.Migration):
    dependencies = [("registry", "0014_landings")]
    operations = [
        migrations.RunPython(make, drop),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(condition=models.Q(is_active=False), fields=["namespace"], name="user_suspended"),
        ),
    ]
