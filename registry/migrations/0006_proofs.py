"""Aliases and licences of bases, what a verdict was proven with and why it was asked for, and alerts to people."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0005_xet_files"),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("read_at", models.DateTimeField(blank=True, null=True)),
                ("mailed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="BaseAlias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("folded", models.CharField(max_length=200, unique=True)),
                ("base", models.CharField(max_length=200)),
                ("added_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name_plural": "base aliases",
            },
        ),
        migrations.AddField(
            model_name="base",
            name="licence",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="user",
            name="mail_alerts",
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name="verdict",
            name="cause",
            field=models.CharField(
                choices=[("push", "Push"), ("asked", "Asked"), ("base", "Base"), ("renewal", "Renewal")],
                default="push",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="verdict",
            name="changed_from",
            field=models.CharField(blank=True, max_length=8),
        ),
        migrations.AddField(
            model_name="verdict",
            name="proven_with",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(
                condition=models.Q(("changed_from", ""), _negated=True), fields=["-finished_at"], name="verdict_changed"
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="alerts", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="verdict",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="alerts", to="registry.verdict"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(condition=models.Q(("read_at__isnull", True)), fields=["user"], name="alert_unread"),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(fields=("user", "verdict"), name="alert_unique"),
        ),
    ]
