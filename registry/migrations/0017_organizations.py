"""Invitations to organisations, alerts of them, and the names that organisations had before."""

from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


def forget_invitations(apps: Any, schema_editor: Any) -> None:
    """On the way back: the older tables hold alerts of adapters alone."""
    apps.get_model("registry", "Alert").objects.filter(adapter__isnull=True).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0016_verdict_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="FormerNamespace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=96, unique=True)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("read", "Read"),
                            ("contributor", "Contributor"),
                            ("write", "Write"),
                            ("admin", "Admin"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("declined", "Declined"),
                            ("withdrawn", "Withdrawn"),
                            ("left", "Left"),
                        ],
                        default="open",
                        max_length=9,
                    ),
                ),
                ("asked_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="alert",
            name="alert_kind_known",
        ),
        migrations.AlterField(
            model_name="alert",
            name="adapter",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="alerts",
                to="registry.adapter",
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("verdict", "Verdict"),
                    ("access-asked", "Asked"),
                    ("access-decided", "Decided"),
                    ("discussion-opened", "Opened"),
                    ("discussion-changed", "Said"),
                    ("mentioned", "Mentioned"),
                    ("invited", "Invited"),
                ],
                default="verdict",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="formernamespace",
            name="by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="formernamespace",
            name="namespace",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="former",
                to="registry.namespace",
            ),
        ),
        migrations.AddField(
            model_name="invitation",
            name="by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="invitation",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="invitations", to="registry.organization"
            ),
        ),
        migrations.AddField(
            model_name="invitation",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="invitations", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="invitation",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="alerts",
                to="registry.invitation",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("read_at__isnull", True)), fields=("invitation",), name="alert_of_invitation_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "verdict"), ("verdict__isnull", False)),
                    models.Q(("kind__in", ["access-asked", "access-decided"]), ("request__isnull", False)),
                    models.Q(
                        ("discussion__isnull", False),
                        ("kind__in", ["discussion-opened", "discussion-changed", "mentioned"]),
                    ),
                    models.Q(("invitation__isnull", False), ("kind", "invited")),
                    _connector="OR",
                ),
                name="alert_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(("adapter__isnull", False), ("invitation__isnull", False), _connector="XOR"),
                name="alert_is_of_one_thing",
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.UniqueConstraint(fields=("organization", "user"), name="invitation_unique"),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["read", "contributor", "write", "admin"])),
                name="invitation_role_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "declined", "withdrawn", "left"])),
                name="invitation_state_known",
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_invitations),
    ]
