"""What happened to adapters, in one order, for mirrors."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0011_search_index"),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seq", models.BigIntegerField(blank=True, null=True, unique=True)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("push", "Push"),
                            ("verdict", "Verdict"),
                            ("quarantine", "Quarantine"),
                            ("release", "Release"),
                            ("delete", "Delete"),
                            ("move", "Move"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[("model", "Model"), ("dataset", "Dataset"), ("space", "Space")], max_length=8
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("was_public", models.BooleanField()),
                ("revision", models.CharField(blank=True, max_length=40)),
                ("data", models.JSONField(default=dict)),
                (
                    "adapter",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="events",
                        to="registry.adapter",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("seq__isnull", True)), fields=["id"], name="event_unnumbered")
                ],
            },
        ),
    ]
