"""Where a verdict stands in the queue, what workers offer, and comparisons as rows."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


def line_up(apps, schema_editor):
    """Give a turn to what waits for a worker now, in the order in which it was asked for."""
    Verdict, Base = apps.get_model("registry", "Verdict"), apps.get_model("registry", "Base")
    here = set(map(str.lower, Base.objects.filter(has_weights=True).values_list("id", flat=True)))
    waiting = Verdict.objects.filter(state="queued").select_related("revision__adapter").order_by("pk")
    for turn, verdict in enumerate(waiting.iterator()):
        adapter = verdict.revision.adapter
        verdict.owner_id, verdict.format = adapter.namespace_id, adapter.format
        verdict.route = verdict.base.lower() if verdict.base.lower() in here else ""
        verdict.turn = None if verdict.reason else turn
        verdict.save(update_fields=["owner", "format", "route", "turn"])


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0006_proofs"),
    ]

    operations = [
        migrations.CreateModel(
            name="Comparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("engine", models.CharField(max_length=32)),
                ("route", models.CharField(max_length=200)),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("fence", models.CharField(blank=True, max_length=32)),
                ("free_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("asked_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddField(
            model_name="verdict",
            name="format",
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name="verdict",
            name="held_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="verdict",
            name="not_before",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="verdict",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="registry.namespace",
            ),
        ),
        migrations.AddField(
            model_name="verdict",
            name="route",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="verdict",
            name="turn",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="workerheartbeat",
            name="offers",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(
                condition=models.Q(("turn__isnull", False)), fields=["turn", "id", "route"], name="verdict_next"
            ),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(
                condition=models.Q(("turn__isnull", False)), fields=["route", "turn", "id"], name="verdict_next_of_base"
            ),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(
                condition=models.Q(("turn__isnull", False)), fields=["owner", "turn"], name="verdict_owner_turn"
            ),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(
                condition=models.Q(("held_at__isnull", False)), fields=["owner", "id"], name="verdict_held"
            ),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(
                condition=models.Q(("duration_ms__isnull", False)), fields=["finished_at"], name="verdict_finished"
            ),
        ),
        migrations.AddConstraint(
            model_name="verdict",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("turn__isnull", True), models.Q(("held_at__isnull", True), ("state", "queued")), _connector="OR"
                ),
                name="verdict_turn_is_queued",
            ),
        ),
        migrations.AddField(
            model_name="comparison",
            name="verdict",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="comparisons", to="registry.verdict"
            ),
        ),
        migrations.AddIndex(
            model_name="comparison",
            index=models.Index(fields=["engine", "route", "id"], name="comparison_next_of_base"),
        ),
        migrations.AddConstraint(
            model_name="comparison",
            constraint=models.UniqueConstraint(fields=("verdict", "engine"), name="comparison_unique"),
        ),
        migrations.RunPython(line_up, migrations.RunPython.noop),
    ]
