"""Measurements of a version on the rows of another one."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0022_asked_bases_arrive"),
    ]

    operations = [
        migrations.CreateModel(
            name="RowsMeasurement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("route", models.CharField(max_length=200)),
                ("engine", models.CharField(max_length=32)),
                ("place", models.CharField(blank=True, max_length=1024)),
                ("evaluation", models.JSONField(null=True)),
                ("problem", models.CharField(blank=True, max_length=500)),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                ("free_at", models.DateTimeField(default=django.utils.timezone.now, null=True)),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        default=django.utils.timezone.now,
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="registry.revision"
                    ),
                ),
                (
                    "rows_of",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="registry.revision"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("free_at__isnull", False)), fields=["id"], name="rows_measurement_job"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("revision", "rows_of"), name="rows_measurement_unique")
                ],
            },
        ),
    ]
