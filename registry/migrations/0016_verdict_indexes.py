"""Verdicts by state and by cause, of all of them: SQLite takes no partial index whose condition holds a value."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0015_words"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="verdict",
            name="verdict_unfinished",
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["state", "lease_until"], name="verdict_by_state"),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["cause", "queued_at"], name="verdict_by_cause"),
        ),
    ]
