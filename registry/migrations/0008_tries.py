"""Tries of adapters with visitors' own texts."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0007_saved_searches"),
    ]

    operations = [
        migrations.CreateModel(
            name="Tryout",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=32, unique=True)),
                ("network", models.CharField(blank=True, max_length=64)),
                ("text", models.TextField()),
                ("other", models.TextField(blank=True)),
                ("new_tokens", models.PositiveSmallIntegerField()),
                ("route", models.CharField(max_length=200)),
                ("engine", models.CharField(max_length=32)),
                ("place", models.CharField(blank=True, max_length=1024)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("expired", "Expired"),
                        ],
                        db_default="queued",
                        default="queued",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("answer", models.JSONField(null=True)),
                ("attempt", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("fence", models.CharField(blank=True, max_length=32)),
                ("free_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        default=django.utils.timezone.now,
                    ),
                ),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tryouts", to="registry.revision"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("finished_at__isnull", True)), fields=["id"], name="tryout_open")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", True), ("state__in", ["queued", "running"])),
                            models.Q(("finished_at__isnull", False), ("state__in", ["done", "failed", "expired"])),
                            _connector="OR",
                        ),
                        name="tryout_finished_iff_final",
                    )
                ],
            },
        ),
    ]
