"""Downloads of versions by day; and the table of hours is given up, into which the release before wrote nothing."""

import django.db.models.deletion
from django.db import migrations, models

from registry.sql.schema import InBatches


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0032_kept_wheels"),
    ]

    operations = [
        migrations.CreateModel(
            name="VersionDownloads",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "repository_id", "day", "oid", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField()),
                ("oid", models.CharField(max_length=40)),
                ("count", models.PositiveIntegerField()),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="version_downloads",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "version downloads",
            },
        ),
        migrations.RunPython(
            InBatches("HourlyDownloads", lambda rows: rows.delete()), migrations.RunPython.noop, atomic=False
        ),
        # PostgreSQL truncates no table to which another one refers, and Django truncates only tables that it knows.
        migrations.AlterField(
            model_name="hourlydownloads",
            name="repository",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="hourly_downloads",
                to="registry.repository",
            ),
        ),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("HourlyDownloads")]),
    ]
