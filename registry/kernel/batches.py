"""Changes the rows of a large table in a migration, a thousand at a time, so that nobody waits for the whole of it."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import QuerySet

BATCH = 1000


class InBatches:
    """The code of a `RunPython(…, atomic=False)`: calls `change` with the rows of each batch, in its own transaction.

    After a failure the migration starts again from the first row: `change` must be right for rows that it has changed.
    """

    def __init__(self, model: str, change: Callable[[QuerySet[Any]], object], size: int = BATCH) -> None:
        self.model, self.change, self.size = model, change, size

    def __call__(self, apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        alias = editor.connection.alias
        rows = apps.get_model("registry", self.model)._base_manager.using(alias).order_by("pk")
        keys = list(rows.values_list("pk", flat=True)[: self.size])
        while keys:
            with transaction.atomic(alias):
                self.change(rows.filter(pk__in=keys))
            keys = list(rows.filter(pk__gt=keys[-1]).values_list("pk", flat=True)[: self.size])
