"""On PostgreSQL, an index for searches of parts of words; SQLite reads all search texts, which are few there."""

from django.db import DatabaseError, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

INDEX = "adapter_by_words"


def make(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make it where pg_trgm is there, or may be made here; without it searches are slower, and right."""
    if editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(editor.connection.alias):
            editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:
        return
    editor.execute(f"CREATE INDEX IF NOT EXISTS {INDEX} ON registry_adapter USING gin (search_text gin_trgm_ops)")


def drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Leave the extension: others may use it."""
    if editor.connection.vendor == "postgresql":
        editor.execute(f"DROP INDEX IF EXISTS {INDEX}")


class Migration(migrations.Migration):
    dependencies = [("registry", "0010_trending")]
    operations = [migrations.RunPython(make, drop)]
