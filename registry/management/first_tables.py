"""The first migration of a large app, without Django's wait for every model to be made again after each operation."""

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import CreateModel, Migration, RunPython
from django.db.migrations.state import ProjectState


class FirstTables(Migration):
    """Creates the tables as they are after its last operation; data steps come after all of them.

    Django renders the models once for each operation, with all that refer to them: 13 s of processor time for a hundred
    tables. Operations other than CreateModel and RunPython may only add to models that this migration creates, so each
    of them is part of a table's last state.
    """

    def apply(
        self, project_state: ProjectState, schema_editor: BaseDatabaseSchemaEditor, collect_sql: bool = False
    ) -> ProjectState:
        """Create the tables, then run the data steps on them; `sqlmigrate` prints the operations one by one."""
        if collect_sql:
            return super().apply(project_state, schema_editor, collect_sql)
        before = project_state.clone()
        project_state.__dict__.pop("apps", None)  # rendered by the next one who asks: once, after the last operation
        for operation in self.operations:
            operation.state_forwards(self.app_label, project_state)
        for operation in self.operations:
            if isinstance(operation, CreateModel | RunPython):
                operation.database_forwards(self.app_label, schema_editor, before, project_state)
        return project_state
