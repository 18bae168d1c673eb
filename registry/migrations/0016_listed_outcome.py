"""The outcome in lists of an adapter with a verified version: passed, as that version."""

from django.db import migrations

from registry.sql.schema import InBatches


class Migration(migrations.Migration):
    dependencies = [("registry", "0015_names")]

    operations = [
        migrations.RunPython(
            InBatches(
                "Repository",
                lambda rows: rows.filter(is_verified=True).exclude(outcome="passed").update(outcome="passed"),
            ),
            migrations.RunPython.noop,
            atomic=False,
        ),
    ]
