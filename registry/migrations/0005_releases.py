"""Releases: tags that are semantic versions, with a title and notes."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0004_read_plane"),
    ]

    operations = [
        migrations.CreateModel(
            name="Release",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("precedence", models.BinaryField(max_length=256)),
                ("title", models.CharField(blank=True, max_length=200)),
                ("notes", models.TextField(blank=True)),
                ("is_prerelease", models.BooleanField(db_default=False, default=False)),
                ("is_forced", models.BooleanField(db_default=False, default=False)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("edited_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "ref",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="release", to="registry.ref"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="releases", to="registry.repository"
                    ),
                ),
            ],
            options={
                "ordering": ["-precedence", "-pk"],
                "indexes": [models.Index(fields=["repository", "-precedence", "-id"], name="release_by_precedence")],
            },
        ),
    ]
