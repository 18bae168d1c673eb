"""Alerts of what people do: requests for files, decisions on them, discussions, mentions."""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, OuterRef, Q, Subquery

KINDS = [
    ("verdict", "Verdict"),
    ("access-asked", "Asked"),
    ("access-decided", "Decided"),
    ("discussion-opened", "Opened"),
    ("discussion-changed", "Said"),
    ("mentioned", "Mentioned"),
]


def name_adapters(apps: Any, schema_editor: Any) -> None:
    """Every alert so far is of a verdict, and says now of which adapter without asking for it."""
    alerts, verdicts = apps.get_model("registry", "Alert"), apps.get_model("registry", "Verdict")
    of_it = verdicts.objects.filter(pk=OuterRef("verdict_id")).annotate(of=F("revision__adapter_id")).values("of")
    alerts.objects.update(adapter_id=Subquery(of_it))


def forget_the_others(apps: Any, schema_editor: Any) -> None:
    """On the way back: the older tables hold alerts of verdicts alone."""
    apps.get_model("registry", "Alert").objects.exclude(kind="verdict").delete()


def _to(model: str, **more: Any) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="alerts", to=model, **more)


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0012_events"),
    ]

    operations = [
        migrations.AddField("alert", "adapter", _to("registry.adapter", null=True)),
        migrations.RunPython(name_adapters, migrations.RunPython.noop),
        migrations.AlterField("alert", "adapter", _to("registry.adapter")),
        migrations.AlterField("alert", "verdict", _to("registry.verdict", blank=True, null=True)),
        migrations.AddField("alert", "discussion", _to("registry.discussion", blank=True, null=True)),
        migrations.AddField("alert", "request", _to("registry.accessrequest", blank=True, null=True)),
        migrations.AddField(
            "alert",
            "by",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField("alert", "kind", models.CharField(choices=KINDS, default="verdict", max_length=20)),
        migrations.AddField("alert", "count", models.PositiveIntegerField(default=1)),
        migrations.AddConstraint(
            "alert",
            models.UniqueConstraint(
                fields=["user", "discussion"], name="alert_of_discussion_once", condition=Q(read_at__isnull=True)
            ),
        ),
        migrations.AddConstraint(
            "alert",
            models.UniqueConstraint(
                fields=["user", "adapter", "kind"],
                name="alert_of_access_once",
                condition=Q(read_at__isnull=True, request__isnull=False),
            ),
        ),
        migrations.AddConstraint(
            "alert",
            models.CheckConstraint(
                condition=Q(kind="verdict", verdict__isnull=False)
                | Q(kind__in=["access-asked", "access-decided"], request__isnull=False)
                | Q(kind__in=["discussion-opened", "discussion-changed", "mentioned"], discussion__isnull=False),
                name="alert_kind_known",
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_the_others),
    ]
