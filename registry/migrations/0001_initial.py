"""Every table as of November 2026; later changes are migrations of their own."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import registry.models.extensions
from registry.management.upgrades import FirstTables
from registry.repos import search_index


class Migration(FirstTables):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                ("username", models.CharField(max_length=96, unique=True)),
                ("full_name", models.CharField(blank=True, max_length=200)),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("email_verified", models.BooleanField(db_default=False, default=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("person", "Person"), ("robot", "Robot"), ("publisher", "Publisher")],
                        db_default="person",
                        default="person",
                        max_length=16,
                    ),
                ),
                ("bio", models.CharField(blank=True, max_length=500)),
                ("links", models.JSONField(blank=True, db_default=[], default=list)),
                ("pictured_at", models.DateTimeField(blank=True, null=True)),
                (
                    "role",
                    models.CharField(
                        choices=[("user", "User"), ("moderator", "Moderator"), ("admin", "Admin")],
                        db_default="user",
                        default="user",
                        max_length=16,
                    ),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True)),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("suspended_until", models.DateTimeField(blank=True, null=True)),
                (
                    "departure",
                    models.CharField(blank=True, choices=[("left", "Left"), ("removed", "Removed")], max_length=8),
                ),
                ("paused_until", models.DateTimeField(blank=True, null=True)),
                ("is_trusted_reporter", models.BooleanField(db_default=False, default=False)),
                ("mail_alerts", models.BooleanField(db_default=True, default=True)),
                ("digest_hour", models.PositiveSmallIntegerField(db_default=7, default=7)),
                ("digested_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "verbose_name": "person",
                "verbose_name_plural": "people",
            },
        ),
        migrations.CreateModel(
            name="BaseAlias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("folded", models.CharField(max_length=200, unique=True)),
                ("base", models.CharField(max_length=200)),
                (
                    "added_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "base aliases",
            },
        ),
        migrations.CreateModel(
            name="ClockLease",
            fields=[
                ("name", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=300)),
                ("until", models.DateTimeField()),
            ],
            options={
                "verbose_name": "lease of the clock",
                "verbose_name_plural": "lease of the clock",
            },
        ),
        migrations.CreateModel(
            name="MonthOfModeration",
            fields=[
                ("month", models.DateField(primary_key=True, serialize=False)),
                ("numbers", models.JSONField()),
                ("journal", models.JSONField(db_default=[], default=list)),
                ("computed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-month"],
            },
        ),
        migrations.CreateModel(
            name="NameObservation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=12)),
                ("name", models.CharField(max_length=200)),
                ("like", models.CharField(max_length=200)),
                ("why", models.CharField(max_length=200)),
                ("by", models.CharField(max_length=96)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "verbose_name": "name observation",
            },
        ),
        migrations.CreateModel(
            name="Revision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("oid", models.CharField(max_length=40)),
                ("title", models.CharField(max_length=500)),
                ("message", models.TextField(blank=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("quarantined_at", models.DateTimeField(blank=True, null=True)),
                ("pushed_with", models.CharField(blank=True, max_length=200)),
                ("yanked_at", models.DateTimeField(blank=True, null=True)),
                ("yank_reason", models.CharField(blank=True, max_length=500)),
                ("is_part", models.BooleanField(db_default=False, default=False)),
                ("files_missing", models.PositiveIntegerField(db_default=0, default=0)),
                ("expired_at", models.DateTimeField(blank=True, null=True)),
                ("is_kept", models.BooleanField(db_default=False, default=False)),
            ],
        ),
        migrations.CreateModel(
            name="PublishingRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("issuer", models.CharField(max_length=255)),
                ("jti_sha256", models.CharField(max_length=64)),
                ("claims", models.JSONField()),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="publishing_run_by_end")],
                "constraints": [models.UniqueConstraint(fields=("issuer", "jti_sha256"), name="publishing_run_once")],
            },
        ),
        migrations.CreateModel(
            name="Repository",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "type",
                    models.CharField(
                        choices=[("model", "Model"), ("dataset", "Dataset"), ("space", "Space")],
                        db_default="model",
                        default="model",
                        max_length=8,
                    ),
                ),
                ("name", models.CharField(max_length=96)),
                ("private", models.BooleanField(db_default=False, default=False)),
                ("source", models.CharField(blank=True, max_length=300)),
                ("gated", models.CharField(blank=True, choices=[("auto", "Auto"), ("manual", "Manual")], max_length=6)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("quarantined_at", models.DateTimeField(blank=True, null=True)),
                ("publishers_only", models.BooleanField(db_default=False, default=False)),
                ("is_main_held", models.BooleanField(db_default=False, default=False)),
                ("deprecated_at", models.DateTimeField(blank=True, null=True)),
                ("deprecation", models.CharField(blank=True, max_length=500)),
                ("successor", models.CharField(blank=True, max_length=200)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
                ("binned_at", models.DateTimeField(blank=True, null=True)),
                ("summary", models.CharField(blank=True, max_length=300)),
                ("format", models.CharField(blank=True, max_length=32)),
                ("kind", models.CharField(blank=True, max_length=32)),
                ("base", models.CharField(blank=True, max_length=200)),
                ("base_revision", models.CharField(blank=True, max_length=64)),
                ("targets", models.CharField(blank=True, max_length=500)),
                ("task", models.CharField(blank=True, max_length=64)),
                ("license", models.CharField(blank=True, max_length=64)),
                ("rank", models.PositiveIntegerField(blank=True, null=True)),
                ("parameters", models.BigIntegerField(db_default=0, default=0)),
                ("size", models.BigIntegerField(db_default=0, default=0)),
                ("stored_bytes", models.BigIntegerField(db_default=0, default=0)),
                ("tags", models.JSONField(blank=True, db_default=[], default=list)),
                ("triggers", models.TextField(blank=True)),
                ("state", models.CharField(blank=True, max_length=8)),
                ("outcome", models.CharField(blank=True, max_length=8)),
                ("is_verified", models.BooleanField(db_default=False, default=False)),
                ("serves", models.CharField(blank=True, max_length=300)),
                ("score", models.FloatField(db_default=-1.0, default=-1.0)),
                ("search_text", models.TextField(blank=True)),
                ("downloads", models.PositiveIntegerField(db_default=0, default=0)),
                ("likes", models.PositiveIntegerField(db_default=0, default=0)),
                ("trending", models.FloatField(db_default=0, default=0)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["type", "-updated_at", "-id"], name="repository_by_update"),
                    models.Index(fields=["type", "base", "-updated_at", "-id"], name="repository_by_base"),
                    models.Index(fields=["type", "-likes", "-id"], name="repository_by_likes"),
                    models.Index(fields=["type", "-downloads", "-id"], name="repository_by_downloads"),
                    models.Index(fields=["type", "-created_at", "-id"], name="repository_by_creation"),
                    models.Index(fields=["type", "-trending", "-id"], name="repository_by_trend"),
                    models.Index(fields=["type", "-score", "-id"], name="repository_by_score"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SchemaUpgrade",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("release", models.CharField(max_length=32)),
                ("serves_from", models.CharField(max_length=32)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="SiteSetting",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("value", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="WorkerHeartbeat",
            fields=[
                ("worker", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("beat_at", models.DateTimeField()),
                ("problem", models.CharField(blank=True, max_length=500)),
                ("offers", models.JSONField(blank=True, db_default={}, default=dict)),
            ],
            options={
                "verbose_name": "worker",
            },
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                ("sequence", models.BigIntegerField(primary_key=True, serialize=False)),
                ("hash", models.CharField(max_length=64)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("events", models.BigIntegerField()),
                ("signature", models.CharField(max_length=200)),
            ],
            options={
                "constraints": [registry.models.extensions.AppendOnly(name="audit_checkpoint_kept")],
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("actor", models.CharField(max_length=96)),
                ("role", models.CharField(blank=True, max_length=16)),
                ("credential", models.CharField(blank=True, max_length=200)),
                ("address", models.CharField(blank=True, max_length=64)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("request_id", models.CharField(blank=True, max_length=200)),
                ("action", models.CharField(max_length=64)),
                ("object", models.CharField(max_length=255)),
                ("repository", models.BigIntegerField(blank=True, null=True)),
                ("namespace", models.BigIntegerField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("note", models.TextField(blank=True)),
                ("before", models.JSONField(blank=True, null=True)),
                ("after", models.JSONField(blank=True, null=True)),
                ("mac", models.CharField(blank=True, max_length=80)),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "audit log",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["object", "-id"], name="audit_by_object"),
                    models.Index(fields=["actor", "-id"], name="audit_by_actor"),
                    models.Index(fields=["action", "-id"], name="audit_by_action"),
                    models.Index(fields=["repository", "-id"], name="audit_by_repository"),
                    models.Index(fields=["namespace", "-id"], name="audit_by_namespace"),
                ],
                "constraints": [registry.models.extensions.AppendOnly(name="audit_event_kept")],
            },
        ),
        migrations.CreateModel(
            name="Avatar",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("webp", models.BinaryField()),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="avatar", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Base",
            fields=[
                ("id", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("revision", models.CharField(max_length=64)),
                ("sha256", models.CharField(max_length=64)),
                ("files", models.JSONField(db_default={}, default=dict)),
                ("config", models.JSONField(db_default={}, default=dict)),
                ("size", models.BigIntegerField(db_default=0, default=0)),
                ("has_weights", models.BooleanField(db_default=True, default=True)),
                ("own_task", models.CharField(blank=True, max_length=24)),
                ("source", models.CharField(blank=True, max_length=200)),
                ("license", models.CharField(blank=True, max_length=64)),
                (
                    "serve",
                    models.CharField(
                        choices=[
                            ("license", "License"),
                            ("public", "Public"),
                            ("gated", "Gated"),
                            ("members", "Members"),
                            ("nobody", "Nobody"),
                        ],
                        db_default="license",
                        default="license",
                        max_length=8,
                    ),
                ),
                (
                    "added_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="base_sha256_shape"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("serve__in", ["license", "public", "gated", "members", "nobody"])),
                        name="base_serve_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BaseNorms",
            fields=[
                ("sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("norms", models.JSONField(null=True)),
                ("problem", models.CharField(blank=True, max_length=300)),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "free_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "measured_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "norms of bases",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="base_norms_sha256_shape"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Blob",
            fields=[
                ("sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("size", models.BigIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="blob_sha256_shape"
                    ),
                    models.CheckConstraint(condition=models.Q(("size__gte", 0)), name="blob_size_not_negative"),
                ],
            },
        ),
        migrations.CreateModel(
            name="BlockedFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("tensors", models.CharField(blank=True, db_index=True, max_length=64)),
                ("reason", models.CharField(max_length=500)),
                ("note", models.TextField(blank=True)),
                ("by", models.CharField(max_length=96)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("swept_at", models.DateTimeField(blank=True, null=True)),
                ("held", models.PositiveIntegerField(db_default=0, default=0)),
            ],
            options={
                "verbose_name": "blocked file",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="blocked_file_sha256_shape"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="blocked_file_has_reason"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Case",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "target",
                    models.CharField(
                        choices=[
                            ("adapter", "Repository"),
                            ("revision", "Revision"),
                            ("file", "File"),
                            ("discussion", "Discussion"),
                            ("comment", "Comment"),
                            ("person", "Person"),
                            ("organization", "Organization"),
                        ],
                        max_length=12,
                    ),
                ),
                ("key", models.CharField(max_length=120)),
                ("label", models.CharField(max_length=400)),
                ("path", models.CharField(blank=True, max_length=1024)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("malware", "Malware: it runs code or attacks who loads it"),
                            ("backdoor", "Backdoor or poisoned behaviour"),
                            ("secret", "A secret that works: a token, a key, a password"),
                            ("illegal", "Illegal content"),
                            ("personal-data", "Personal data, in the files or in the training data"),
                            ("licence", "License or ownership"),
                            ("squatting", "Squatting or impersonation"),
                            ("spam", "Spam"),
                            ("broken", "Broken, or not what it says"),
                            ("other", "Something else"),
                        ],
                        max_length=16,
                    ),
                ),
                ("severity", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("claimed", "Claimed"), ("closed", "Closed")],
                        db_default="open",
                        default="open",
                        max_length=8,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("no-action", "No action"),
                            ("warned", "Warned"),
                            ("hidden", "Comment hidden"),
                            ("held-version", "Version quarantined"),
                            ("held", "Quarantined as a whole"),
                            ("taken-down", "Taken down for good"),
                            ("suspended", "Person suspended"),
                        ],
                        max_length=16,
                    ),
                ),
                ("answer", models.CharField(blank=True, max_length=500)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("alarmed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "claimed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="claimed_cases",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "closed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="closed_cases",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CaseNote",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField()),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="notes", to="registry.case"
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="CatalogueCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("type", models.CharField(max_length=8)),
                ("base", models.CharField(max_length=200, null=True)),
                ("kind", models.CharField(max_length=32)),
                ("task", models.CharField(max_length=64)),
                ("license", models.CharField(max_length=64)),
                ("serves", models.CharField(max_length=300)),
                ("state", models.CharField(max_length=8)),
                ("outcome", models.CharField(max_length=8)),
                ("is_verified", models.BooleanField()),
                ("is_archived", models.BooleanField()),
                ("is_gated", models.BooleanField()),
                ("number", models.BigIntegerField()),
                ("is_folded", models.BooleanField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["type", "base", "kind", "task", "license"], name="catalogue_count_group"),
                    models.Index(fields=["type", "kind", "task", "license"], name="catalogue_count_kind"),
                    models.Index(condition=models.Q(("is_folded", False)), fields=["id"], name="catalogue_count_new"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ChunkingJob",
            fields=[
                ("sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "free_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["free_at"], name="chunking_job_free_at")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="chunking_job_sha256_shape"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DirectoryToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("prefix", models.CharField(max_length=12)),
                ("sha256", models.CharField(max_length=64, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Discussion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("is_pull_request", models.BooleanField(db_default=False, default=False)),
                ("title", models.CharField(max_length=500)),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("open", "Open"), ("closed", "Closed"), ("merged", "Merged")],
                        db_default="open",
                        default="open",
                        max_length=8,
                    ),
                ),
                ("base", models.CharField(blank=True, max_length=255)),
                ("comments", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="discussions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="case",
            name="discussion",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="cases",
                to="registry.discussion",
            ),
        ),
        migrations.CreateModel(
            name="DiscussionEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("comment", "Comment"),
                            ("status-change", "Status"),
                            ("commit", "Commit"),
                            ("title-change", "Title"),
                        ],
                        max_length=16,
                    ),
                ),
                ("text", models.TextField(blank=True)),
                ("data", models.JSONField(db_default={}, default=dict)),
                ("edits", models.PositiveIntegerField(db_default=0, default=0)),
                ("edited_at", models.DateTimeField(blank=True, null=True)),
                ("hidden", models.BooleanField(db_default=False, default=False)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="discussion_events",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "discussion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="events", to="registry.discussion"
                    ),
                ),
                (
                    "hidden_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["comment", "status-change", "commit", "title-change"])),
                        name="discussion_event_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind", "comment"),
                            models.Q(("edits", 0), ("hidden", False), ("text", "")),
                            _connector="OR",
                        ),
                        name="discussion_event_only_comments_change",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="case",
            name="comment",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="cases",
                to="registry.discussionevent",
            ),
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential", models.CharField(max_length=24)),
                ("key", models.CharField(max_length=64)),
                ("request", models.CharField(max_length=64)),
                ("answer", models.BinaryField(null=True)),
                (
                    "begun_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        default=django.utils.timezone.now,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "credential", "key"), name="idempotent_request_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="ImageLayer",
            fields=[
                ("recipe", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("files", models.JSONField()),
                ("size", models.BigIntegerField()),
                ("digest", models.CharField(db_index=True, max_length=64, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "free_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("digest__isnull", True)), fields=["free_at"], name="image_layer_job"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("recipe__regex", "^[0-9a-f]{64}$")), name="image_layer_recipe_shape"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="KnownXorb",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("xorb", models.CharField(max_length=64)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="known_xorbs",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("person", "xorb"), name="known_xorb_unique")],
            },
        ),
        migrations.CreateModel(
            name="ModerationDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "action",
                    models.CharField(
                        choices=[("quarantine", "Quarantine"), ("release", "Release"), ("takedown", "Takedown")],
                        max_length=16,
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("note", models.TextField(blank=True)),
                ("finding", models.CharField(blank=True, max_length=64)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="decisions",
                        to="registry.case",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Appeal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("approved", "Approved"), ("rejected", "Rejected")],
                        db_default="open",
                        default="open",
                        max_length=8,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="appeals", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "decision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="appeals",
                        to="registry.moderationdecision",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(condition=models.Q(("state", "open")), fields=["id"], name="appeal_open")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")), fields=("decision", "user"), name="appeal_open_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("decided_at__isnull", True), ("state", "open")),
                            models.Q(("decided_at__isnull", False), ("state__in", ["approved", "rejected"])),
                            _connector="OR",
                        ),
                        name="appeal_decided_iff_closed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="NameRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(choices=[("reserved", "Reserved"), ("prohibited", "Prohibited")], max_length=10),
                ),
                (
                    "scope",
                    models.CharField(
                        choices=[("namespace", "Namespace"), ("repository", "Repository"), ("any", "Any")],
                        db_default="namespace",
                        default="namespace",
                        max_length=10,
                    ),
                ),
                ("pattern", models.CharField(max_length=96)),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("by", models.CharField(max_length=96)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "verbose_name": "name rule",
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "scope", "pattern"), name="name_rule_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["reserved", "prohibited"])), name="name_rule_kind_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("scope__in", ["namespace", "repository", "any"])),
                        name="name_rule_scope_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Namespace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=96)),
                (
                    "kind",
                    models.CharField(choices=[("person", "Person"), ("organization", "Organization")], max_length=16),
                ),
                ("source", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"), name="namespace_name_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["person", "organization"])), name="namespace_kind_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FormerNamespace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=96, unique=True)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="former",
                        to="registry.namespace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Follow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "follower",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="follows", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="followed_by", to="registry.namespace"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("follower", "namespace"), name="follow_unique")],
            },
        ),
        migrations.CreateModel(
            name="Collection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=24, unique=True)),
                ("title", models.CharField(max_length=120)),
                ("description", models.CharField(blank=True, max_length=500)),
                ("private", models.BooleanField(db_default=False, default=False)),
                (
                    "theme",
                    models.CharField(
                        choices=[
                            ("orange", "Orange"),
                            ("blue", "Blue"),
                            ("green", "Green"),
                            ("purple", "Purple"),
                            ("pink", "Pink"),
                            ("indigo", "Indigo"),
                        ],
                        db_default="green",
                        default="green",
                        max_length=8,
                    ),
                ),
                ("position", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="collections",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="collections", to="registry.namespace"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["-updated_at", "-id"], name="collection_by_update")],
                "constraints": [
                    models.UniqueConstraint(fields=("namespace", "title"), name="collection_title_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("key__regex", "^[0-9a-f]{24}$")), name="collection_key_shape"
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="case",
            name="namespace",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="cases",
                to="registry.namespace",
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="namespace",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="person", to="registry.namespace"
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="works_for",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="machines",
                to="registry.namespace",
            ),
        ),
        migrations.CreateModel(
            name="NamespaceQuota",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("bytes", models.BigIntegerField(blank=True, null=True)),
                ("repositories", models.PositiveIntegerField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("by", models.CharField(blank=True, max_length=96)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("alerted", models.PositiveSmallIntegerField(db_default=0, default=0)),
                (
                    "namespace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="quota", to="registry.namespace"
                    ),
                ),
            ],
            options={
                "verbose_name": "quota",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("bytes__isnull", True), ("bytes__gte", 0), _connector="OR"),
                        name="namespace_quota_bytes_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("alerted__in", [0, 80, 100])), name="namespace_quota_alert_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="NormPopulation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("base", models.CharField(max_length=200)),
                ("kind", models.CharField(max_length=32)),
                ("medians", models.JSONField()),
                (
                    "computed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("base", "kind"), name="norm_population_unique")],
            },
        ),
        migrations.CreateModel(
            name="Organization",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("full_name", models.CharField(blank=True, max_length=200)),
                ("private_by_default", models.BooleanField(db_default=False, default=False)),
                ("requires_second_factor", models.BooleanField(db_default=False, default=False)),
                (
                    "namespace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="organization",
                        to="registry.namespace",
                    ),
                ),
            ],
            options={
                "verbose_name": "organisation",
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("member", "Member"),
                            ("read", "Read"),
                            ("contributor", "Contributor"),
                            ("write", "Write"),
                            ("admin", "Admin"),
                        ],
                        max_length=16,
                    ),
                ),
                ("grants", models.JSONField(blank=True, db_default=[], default=list, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="registry.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "user"), name="membership_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["member", "read", "contributor", "write", "admin"])),
                        name="membership_role_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="JoinLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("member", "Member"),
                            ("read", "Read"),
                            ("contributor", "Contributor"),
                            ("write", "Write"),
                            ("admin", "Admin"),
                        ],
                        max_length=16,
                    ),
                ),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("uses", models.PositiveIntegerField(db_default=0, default=0)),
                ("max_uses", models.PositiveIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("ends_at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="join_links",
                        to="registry.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("uses__lte", models.F("max_uses"))), name="join_link_used_up"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("organization__isnull", True), ("role", "")),
                            models.Q(
                                ("organization__isnull", False),
                                ("role__in", ["member", "read", "contributor", "write", "admin"]),
                            ),
                            _connector="OR",
                        ),
                        name="join_link_role_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("member", "Member"),
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
                            ("removed", "Removed"),
                        ],
                        db_default="open",
                        default="open",
                        max_length=9,
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="registry.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "user"), name="invitation_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["member", "read", "contributor", "write", "admin"])),
                        name="invitation_role_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "declined", "withdrawn", "left", "removed"])),
                        name="invitation_state_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("repository-created", "Created"),
                            ("repository-deleted", "Deleted"),
                            ("repository-moved", "Moved"),
                            ("repository-configured", "Configured"),
                            ("repository-quarantined", "Quarantined"),
                            ("repository-released", "Released"),
                            ("repository-restored", "Restored"),
                            ("revision-yanked", "Yanked"),
                            ("revision-unyanked", "Unyanked"),
                            ("regression-changed", "Regression"),
                            ("alias-moved", "Alias Moved"),
                            ("ref-moved", "Ref Moved"),
                            ("discussion-opened", "Discussion Opened"),
                            ("discussion-changed", "Discussion Changed"),
                            ("comment-added", "Comment Added"),
                            ("comment-changed", "Comment Changed"),
                            ("verdict-reached", "Verdict Reached"),
                            ("access-asked", "Access Asked"),
                            ("access-decided", "Access Decided"),
                            ("name-observed", "Name Observed"),
                            ("invited", "Invited"),
                            ("case-closed", "Case Closed"),
                            ("struck", "Struck"),
                            ("appealed", "Appealed"),
                            ("appeal-answered", "Appeal Answered"),
                            ("signed-in", "Signed In"),
                            ("account-changed", "Account Changed"),
                            ("tokens-leaked", "Tokens Leaked"),
                            ("quota-reached", "Quota Reached"),
                            ("quota-changed", "Quota Changed"),
                            ("fanned-out", "Fanned Out"),
                        ],
                        max_length=24,
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("repository", models.JSONField(null=True)),
                ("data", models.JSONField(db_default={}, default=dict)),
                ("pending", models.JSONField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("request_id", models.CharField(blank=True, max_length=200)),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("given_up_at", models.DateTimeField(null=True)),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "outbox event",
                "indexes": [
                    models.Index(
                        condition=models.Q(("given_up_at__isnull", True)), fields=["id"], name="outbox_waiting"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PickleScan",
            fields=[
                (
                    "revision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="pickle_scan",
                        serialize=False,
                        to="registry.revision",
                    ),
                ),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "free_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        default=django.utils.timezone.now,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="revision",
            name="author",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="revisions", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="children",
                to="registry.revision",
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="replaces",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="registry.revision",
            ),
        ),
        migrations.AddField(
            model_name="moderationdecision",
            name="revision",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="decisions",
                to="registry.revision",
            ),
        ),
        migrations.CreateModel(
            name="ImageDocument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(db_index=True, max_length=64)),
                ("media_type", models.CharField(max_length=100)),
                ("text", models.TextField()),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="image_documents",
                        to="registry.revision",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("revision", "digest"), name="image_document_unique")],
            },
        ),
        migrations.CreateModel(
            name="Image",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("layers", models.ManyToManyField(related_name="images", to="registry.imagelayer")),
                (
                    "revision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="image", to="registry.revision"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")), name="image_digest_shape"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ExpiredFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(max_length=1024)),
                ("size", models.BigIntegerField()),
                ("is_lfs", models.BooleanField()),
                ("git_oid", models.CharField(max_length=40)),
                (
                    "blob",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="expired_files", to="registry.blob"
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="expired_files",
                        to="registry.revision",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("revision", "path"), name="expired_file_path_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("git_oid__regex", "^[0-9a-f]{40}$")), name="expired_file_git_oid_shape"
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="discussion",
            name="merge_base",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="registry.revision",
            ),
        ),
        migrations.AddField(
            model_name="discussion",
            name="merged_as",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="registry.revision",
            ),
        ),
        migrations.CreateModel(
            name="DerivedVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=64, unique=True)),
                ("ref", models.CharField(max_length=255)),
                ("method", models.CharField(max_length=16)),
                ("options", models.JSONField(db_default={}, default=dict)),
                ("is_by_token", models.BooleanField(db_default=False, default=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("refused", "Refused"),
                            ("errored", "Errored"),
                        ],
                        db_default="queued",
                        default="queued",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=1000)),
                ("facts", models.JSONField(db_default={}, default=dict)),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "free_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="derived_versions",
                        to="registry.revision",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DerivedSource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveSmallIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("oid", models.CharField(max_length=40)),
                ("weight", models.FloatField(db_default=1.0, default=1.0)),
                (
                    "derived",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sources",
                        to="registry.derivedversion",
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="derivations",
                        to="registry.revision",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
                "constraints": [models.UniqueConstraint(fields=("derived", "position"), name="derived_source_unique")],
            },
        ),
        migrations.AddField(
            model_name="case",
            name="revision",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="cases",
                to="registry.revision",
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="run",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="revisions",
                to="registry.publishingrun",
            ),
        ),
        migrations.CreateModel(
            name="QueueView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(max_length=400)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="queue_views",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=("user", "name"), name="queue_view_unique")],
            },
        ),
        migrations.CreateModel(
            name="RenderedCard",
            fields=[
                (
                    "repository",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="card",
                        serialize=False,
                        to="registry.repository",
                    ),
                ),
                ("file", models.CharField(blank=True, max_length=64)),
                ("renderer", models.PositiveSmallIntegerField(db_index=True)),
                ("nonce", models.CharField(max_length=32)),
                ("html", models.TextField(blank=True)),
                ("problem", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("file", ""), ("file__regex", "^[0-9a-f]{64}$"), _connector="OR"),
                        name="rendered_card_shape",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="revision",
            name="repository",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="revisions", to="registry.repository"
            ),
        ),
        migrations.AddField(
            model_name="repository",
            name="binned_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="repository",
            name="created_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="created_repositories",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="repository",
            name="namespace",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="repositories",
                to="registry.namespace",
            ),
        ),
        migrations.CreateModel(
            name="Ref",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=255)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="refs", to="registry.revision"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="refs", to="registry.repository"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "name"), name="ref_name_unique"),
                    models.CheckConstraint(condition=models.Q(("name__startswith", "refs/")), name="ref_name_shape"),
                ],
            },
        ),
        migrations.CreateModel(
            name="OpenPush",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("lane", models.CharField(max_length=255)),
                ("first_path", models.CharField(blank=True, max_length=1024)),
                ("is_announced", models.BooleanField(db_default=False, default=False)),
                ("announced", models.PositiveIntegerField(db_default=0, default=0)),
                ("expected", models.PositiveIntegerField(db_default=0, default=0)),
                ("doubtful", models.PositiveIntegerField(db_default=0, default=0)),
                ("ref", models.CharField(blank=True, max_length=255)),
                ("is_new_ref", models.BooleanField(db_default=False, default=False)),
                (
                    "heard_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("patience", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "before",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="registry.revision"
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="registry.revision"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="open_pushes",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("repository", "by", "lane"), name="open_push_unique")],
            },
        ),
        migrations.AddField(
            model_name="moderationdecision",
            name="repository",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="decisions", to="registry.repository"
            ),
        ),
        migrations.CreateModel(
            name="Like",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="likes", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="liked_by", to="registry.repository"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("repository", "user"), name="like_unique")],
            },
        ),
        migrations.CreateModel(
            name="HourlyDownloads",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("count", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hourly_downloads",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["hour"], name="hourly_downloads_by_hour")],
                "constraints": [models.UniqueConstraint(fields=("repository", "hour"), name="hourly_downloads_unique")],
            },
        ),
        migrations.CreateModel(
            name="FormerName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "type",
                    models.CharField(
                        choices=[("model", "Model"), ("dataset", "Dataset"), ("space", "Space")], max_length=8
                    ),
                ),
                ("full_name", models.CharField(max_length=200)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="former_names",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("type", "full_name"), name="former_name_unique")],
            },
        ),
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
                            ("restore", "Restore"),
                            ("yank", "Yank"),
                            ("unyank", "Unyank"),
                            ("alias", "Alias"),
                            ("regression", "Regression"),
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
                ("data", models.JSONField(db_default={}, default=dict)),
                (
                    "repository",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="events",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("seq__isnull", True)), fields=["id"], name="event_unnumbered")
                ],
            },
        ),
        migrations.AddField(
            model_name="discussion",
            name="repository",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="discussions", to="registry.repository"
            ),
        ),
        migrations.AddField(
            model_name="derivedversion",
            name="repository",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="derived_versions", to="registry.repository"
            ),
        ),
        migrations.CreateModel(
            name="CollectionItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("note", models.CharField(blank=True, max_length=500)),
                (
                    "collection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="items", to="registry.collection"
                    ),
                ),
                (
                    "nested",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="nested_in",
                        to="registry.collection",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="in_collections",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "ordering": ["position", "pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("collection", "repository"), name="collection_repository_unique"),
                    models.UniqueConstraint(fields=("collection", "nested"), name="collection_nested_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("repository__isnull", True), ("nested__isnull", True), _connector="XOR"),
                        name="collection_item_is_one_thing",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="case",
            name="repository",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="cases",
                to="registry.repository",
            ),
        ),
        migrations.CreateModel(
            name="AliasMove",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("alias", models.CharField(max_length=64)),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("set", "Set"),
                            ("rollback", "Rollback"),
                            ("remove", "Remove"),
                            ("fallback", "Fallback"),
                            ("return", "Return"),
                            ("rewrite", "Rewrite"),
                        ],
                        max_length=8,
                    ),
                ),
                ("before", models.CharField(blank=True, max_length=40)),
                ("after", models.CharField(blank=True, max_length=40)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("is_forced", models.BooleanField(db_default=False, default=False)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="alias_moves",
                        to="registry.revision",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alias_moves",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["repository", "alias", "id"], name="alias_move_by_alias")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("action__in", ["set", "rollback", "remove", "fallback", "return", "rewrite"])
                        ),
                        name="alias_move_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Alias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=64)),
                (
                    "set_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("is_forced", models.BooleanField(db_default=False, default=False)),
                ("reason", models.CharField(blank=True, max_length=500)),
                (
                    "set_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="aliases", to="registry.revision"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="aliases", to="registry.repository"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "aliases",
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=("repository", "name"), name="alias_name_unique")],
            },
        ),
        migrations.CreateModel(
            name="AccessRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("accepted", "Accepted"), ("rejected", "Rejected")],
                        max_length=8,
                    ),
                ),
                ("asked", models.BooleanField(db_default=True, default=True)),
                ("text", models.CharField(blank=True, max_length=500)),
                ("reason", models.CharField(blank=True, max_length=500)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="access_decisions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access_requests",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access_requests",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["repository", "status", "-id"], name="access_request_by_status")],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "user"), name="access_request_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "accepted", "rejected"])),
                        name="access_request_status_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RepositoryWatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "level",
                    models.CharField(
                        choices=[("releases", "Releases"), ("all", "All"), ("ignore", "Ignore")], max_length=8
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="watched_by", to="registry.repository"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="watched", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "repository watches",
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "user"), name="repository_watch_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("level__in", ["releases", "all", "ignore"])), name="watch_level_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RetentionRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("keep_last", models.PositiveIntegerField(null=True)),
                ("keep_days", models.PositiveIntegerField(db_default=1, default=1)),
                (
                    "set_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        default=django.utils.timezone.now,
                    ),
                ),
                ("reached", models.BigIntegerField(db_default=0, default=0)),
                (
                    "namespace",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention",
                        to="registry.namespace",
                    ),
                ),
                (
                    "repository",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention",
                        to="registry.repository",
                    ),
                ),
                (
                    "set_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("namespace__isnull", False), ("repository__isnull", True)),
                            models.Q(("namespace__isnull", True), ("repository__isnull", False)),
                            _connector="OR",
                        ),
                        name="retention_rule_of_one",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("keep_last__isnull", True), ("keep_last__gte", 1), _connector="OR"),
                        name="retention_rule_keeps_one",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("keep_days__gte", 1)), name="retention_rule_keeps_a_day"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RevisionFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(max_length=1024)),
                ("size", models.BigIntegerField()),
                ("is_lfs", models.BooleanField()),
                ("git_oid", models.CharField(max_length=40)),
                (
                    "blob",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="files", to="registry.blob"
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="files", to="registry.revision"
                    ),
                ),
            ],
            options={
                "ordering": ["path"],
                "constraints": [
                    models.UniqueConstraint(fields=("revision", "path"), name="revision_file_path_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("git_oid__regex", "^[0-9a-f]{40}$")), name="revision_file_git_oid_shape"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SignInPlace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha256", models.CharField(max_length=64)),
                (
                    "used_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sign_in_places",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "sha256"), name="sign_in_place_unique")],
            },
        ),
        migrations.CreateModel(
            name="Strike",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("points", models.PositiveSmallIntegerField(db_default=1, default=1)),
                ("reason", models.CharField(max_length=500)),
                ("is_automatic", models.BooleanField(db_default=False, default=False)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                ("voided_at", models.DateTimeField(blank=True, null=True)),
                ("void_reason", models.CharField(blank=True, max_length=500)),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="strikes",
                        to="registry.case",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="strikes", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "voided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("points__gte", 1)), name="strike_has_points"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("void_reason", ""), ("voided_at__isnull", True)),
                            models.Q(("voided_at__isnull", False), models.Q(("void_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="strike_void_has_reason",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Team",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=96)),
                ("full_name", models.CharField(blank=True, max_length=200)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="teams", to="registry.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("organization"), django.db.models.functions.text.Lower("name"), name="team_name_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TeamGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "type",
                    models.CharField(
                        blank=True,
                        choices=[("model", "Model"), ("dataset", "Dataset"), ("space", "Space")],
                        max_length=8,
                    ),
                ),
                ("pattern", models.CharField(max_length=96)),
                (
                    "role",
                    models.CharField(choices=[("read", "Read"), ("write", "Write"), ("admin", "Admin")], max_length=16),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="grants", to="registry.team"
                    ),
                ),
            ],
            options={
                "ordering": ["pattern", "type"],
                "constraints": [
                    models.UniqueConstraint(fields=("team", "type", "pattern"), name="team_grant_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["read", "write", "admin"])), name="team_grant_role_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("type__in", ["", "model", "dataset", "space"])),
                        name="team_grant_type_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TeamMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "membership",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="teams", to="registry.membership"
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="members", to="registry.team"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("team", "membership"), name="team_member_unique")],
            },
        ),
        migrations.CreateModel(
            name="TensorDigest",
            fields=[
                ("file", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("sha256", models.CharField(db_index=True, max_length=64, null=True)),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                ("free_at", models.DateTimeField(default=django.utils.timezone.now, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("sha256__isnull", True)), fields=["free_at"], name="tensor_digest_job"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("file__regex", "^[0-9a-f]{64}$")), name="tensor_digest_file_shape"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Token",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                (
                    "role",
                    models.CharField(
                        choices=[("read", "Read"), ("write", "Write"), ("fine-grained", "Fine Grained")], max_length=16
                    ),
                ),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("grants", models.JSONField(blank=True, db_default={}, default=dict)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("reminded_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("reminded_at__isnull", True)), fields=["expires_at"], name="token_by_end"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "name"), name="token_name_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["read", "write", "fine-grained"])), name="token_role_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="token_sha256_shape"
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="publishingrun",
            name="token",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="run", to="registry.token"
            ),
        ),
        migrations.AddField(
            model_name="derivedversion",
            name="token",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="registry.token"
            ),
        ),
        migrations.CreateModel(
            name="TopicChoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "topic",
                    models.CharField(
                        choices=[
                            ("own", "Own"),
                            ("access", "Access"),
                            ("discussions", "Discussions"),
                            ("mentions", "Mentions"),
                            ("invitations", "Invitations"),
                            ("watched", "Watched"),
                            ("followed", "Followed"),
                            ("reports", "Reports"),
                            ("cases", "Cases"),
                            ("overdue", "Overdue"),
                            ("holds", "Holds"),
                            ("security", "Security"),
                            ("usage", "Usage"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[("off", "Off"), ("site", "Site"), ("digest", "Digest"), ("mail", "Mail")], max_length=8
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="topic_choices",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "topic"), name="topic_choice_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ["off", "site", "digest", "mail"])), name="channel_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TrustedPublisher",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "type",
                    models.CharField(
                        choices=[("model", "Model"), ("dataset", "Dataset"), ("space", "Space")],
                        db_default="model",
                        default="model",
                        max_length=8,
                    ),
                ),
                ("name", models.CharField(max_length=96)),
                ("issuer", models.CharField(max_length=255)),
                ("claims", models.JSONField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="publisher",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="made_publishers",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="publishers", to="registry.namespace"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="publishers",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [
                    models.Index(
                        models.F("type"),
                        models.F("namespace"),
                        django.db.models.functions.text.Lower("name"),
                        name="publisher_by_address",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("type__in", ["model", "dataset", "space"])), name="publisher_type_known"
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="publishingrun",
            name="publisher",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="runs",
                to="registry.trustedpublisher",
            ),
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("sha256", models.CharField(max_length=64)),
                ("size", models.BigIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="uploads", to="registry.repository"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="uploads", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="upload_expires_at")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="upload_sha256_shape"
                    ),
                    models.CheckConstraint(condition=models.Q(("size__gte", 0)), name="upload_size_not_negative"),
                ],
            },
        ),
        migrations.CreateModel(
            name="UploadedBlob",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "use",
                    models.CharField(
                        choices=[("delivered", "Delivered"), ("proposed", "Proposed"), ("pushed", "Pushed")],
                        db_default="delivered",
                        default="delivered",
                        max_length=9,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "blob",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="uploaded_to", to="registry.blob"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uploaded_blobs",
                        to="registry.repository",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("use", "proposed")), fields=["repository"], name="uploaded_blob_proposed"
                    ),
                    models.Index(
                        condition=models.Q(("use", "delivered")), fields=["created_at"], name="uploaded_blob_unused"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "blob"), name="uploaded_blob_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("use__in", ["delivered", "proposed", "pushed"])),
                        name="uploaded_blob_use_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="UpstreamRepository",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "type",
                    models.CharField(
                        choices=[("model", "Model"), ("dataset", "Dataset"), ("space", "Space")], max_length=8
                    ),
                ),
                ("full_name", models.CharField(max_length=200)),
                ("folded", models.CharField(max_length=200)),
                ("short_name", models.CharField(blank=True, db_index=True, max_length=96)),
                ("namespace", models.CharField(db_index=True, max_length=96)),
                ("origin", models.CharField(max_length=300)),
                ("restricted", models.CharField(blank=True, max_length=8)),
                (
                    "added_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "read_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("wanted", models.CharField(blank=True, max_length=40)),
                ("tries", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "free_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "upstream repositories",
                "indexes": [
                    models.Index(
                        condition=models.Q(("wanted", ""), _negated=True), fields=["free_at"], name="upstream_wanted"
                    ),
                    models.Index(fields=["read_at"], name="upstream_read_at"),
                ],
                "constraints": [models.UniqueConstraint(fields=("type", "folded"), name="upstream_repository_unique")],
            },
        ),
        migrations.CreateModel(
            name="UpstreamFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("etag", models.CharField(max_length=64)),
                ("size", models.BigIntegerField()),
                (
                    "read_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "blob",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="upstream_files", to="registry.blob"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="files",
                        to="registry.upstreamrepository",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["read_at"], name="upstream_file_read_at")],
                "constraints": [models.UniqueConstraint(fields=("repository", "etag"), name="upstream_file_unique")],
            },
        ),
        migrations.CreateModel(
            name="UpstreamDocument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=400)),
                ("body", models.BinaryField()),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "read_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="documents",
                        to="registry.upstreamrepository",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["read_at"], name="upstream_document_read_at")],
                "constraints": [models.UniqueConstraint(fields=("repository", "key"), name="upstream_document_unique")],
            },
        ),
        migrations.CreateModel(
            name="Verdict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(db_default=1, default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("passed", "Passed"),
                            ("failed", "Failed"),
                            ("errored", "Errored"),
                        ],
                        db_default="queued",
                        default="queued",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("base", models.CharField(blank=True, max_length=200)),
                ("attempt", models.PositiveIntegerField(db_default=0, default=0)),
                ("fence", models.CharField(blank=True, max_length=32)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "queued_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("nudged_at", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("duration_ms", models.PositiveIntegerField(blank=True, null=True)),
                ("route", models.CharField(blank=True, max_length=200)),
                ("format", models.CharField(blank=True, max_length=32)),
                ("turn", models.BigIntegerField(blank=True, null=True)),
                ("held_at", models.DateTimeField(blank=True, null=True)),
                ("not_before", models.DateTimeField(blank=True, null=True)),
                ("request_id", models.CharField(blank=True, max_length=200)),
                (
                    "cause",
                    models.CharField(
                        choices=[("push", "Push"), ("asked", "Asked"), ("base", "Base"), ("renewal", "Renewal")],
                        db_default="push",
                        default="push",
                        max_length=8,
                    ),
                ),
                ("proven_with", models.CharField(blank=True, max_length=64)),
                ("changed_from", models.CharField(blank=True, max_length=8)),
                ("result", models.JSONField(db_default={}, default=dict)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="registry.namespace",
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="verdicts", to="registry.revision"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("turn__isnull", False)), fields=["turn", "id", "route"], name="verdict_next"
                    ),
                    models.Index(
                        condition=models.Q(("turn__isnull", False)),
                        fields=["route", "turn", "id"],
                        name="verdict_next_of_base",
                    ),
                    models.Index(
                        condition=models.Q(("turn__isnull", False)), fields=["owner", "turn"], name="verdict_owner_turn"
                    ),
                    models.Index(
                        condition=models.Q(("held_at__isnull", False)), fields=["owner", "id"], name="verdict_held"
                    ),
                    models.Index(
                        condition=models.Q(("duration_ms__isnull", False)),
                        fields=["finished_at"],
                        name="verdict_finished",
                    ),
                    models.Index(fields=["state", "lease_until"], name="verdict_by_state"),
                    models.Index(fields=["cause", "queued_at"], name="verdict_by_cause"),
                    models.Index(
                        condition=models.Q(("changed_from", ""), _negated=True),
                        fields=["-finished_at"],
                        name="verdict_changed",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("revision", "number"), name="verdict_number_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["queued", "running", "passed", "failed", "errored"])),
                        name="verdict_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", True), ("state__in", ["queued", "running"])),
                            models.Q(("finished_at__isnull", False), ("state__in", ["passed", "failed", "errored"])),
                            _connector="OR",
                        ),
                        name="verdict_finished_iff_final",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "running"), _negated=True),
                            ("lease_until__isnull", False),
                            _connector="OR",
                        ),
                        name="verdict_running_has_lease",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("turn__isnull", True),
                            models.Q(("held_at__isnull", True), ("state", "queued")),
                            _connector="OR",
                        ),
                        name="verdict_turn_is_queued",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Regression",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("better", "Better"),
                            ("equal", "Equal"),
                            ("worse", "Worse"),
                            ("incomparable", "Incomparable"),
                        ],
                        max_length=12,
                    ),
                ),
                ("result", models.JSONField(db_default={}, default=dict)),
                (
                    "compared_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("override_reason", models.CharField(blank=True, max_length=500)),
                ("override_at", models.DateTimeField(blank=True, null=True)),
                (
                    "against",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="registry.revision",
                    ),
                ),
                (
                    "override_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "revision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="regression", to="registry.revision"
                    ),
                ),
                (
                    "against_verdict",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="registry.verdict"
                    ),
                ),
                (
                    "verdict",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="registry.verdict"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["better", "equal", "worse", "incomparable"])),
                        name="regression_outcome_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("override_at__isnull", True), ("override_reason", "")),
                            models.Q(
                                ("override_at__isnull", False),
                                ("override_by__isnull", False),
                                models.Q(("override_reason", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="regression_override_whole",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Comparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("engine", models.CharField(max_length=32)),
                ("route", models.CharField(max_length=200)),
                ("attempt", models.PositiveIntegerField(db_default=0, default=0)),
                ("fence", models.CharField(blank=True, max_length=32)),
                ("free_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("asked_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "verdict",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="comparisons", to="registry.verdict"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["engine", "route", "id"], name="comparison_next_of_base")],
                "constraints": [models.UniqueConstraint(fields=("verdict", "engine"), name="comparison_unique")],
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("worker", models.CharField(max_length=200)),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", models.CharField(blank=True, max_length=200)),
                (
                    "verdict",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="attempts", to="registry.verdict"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("verdict", "number"), name="attempt_number_unique")],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("verdict", "Verdict"),
                            ("regressed", "Regressed"),
                            ("access-asked", "Asked"),
                            ("access-decided", "Decided"),
                            ("discussion-opened", "Opened"),
                            ("discussion-changed", "Said"),
                            ("mentioned", "Mentioned"),
                            ("invited", "Invited"),
                            ("held", "Held"),
                            ("released", "Released"),
                            ("report-decided", "Report"),
                            ("strike", "Strike"),
                            ("appealed", "Appealed"),
                            ("case-overdue", "Overdue"),
                            ("appeal-answered", "Answered"),
                            ("pushed", "Pushed"),
                            ("verified", "Verified"),
                            ("alias-moved", "Alias Moved"),
                            ("alias-fell-back", "Alias Fell Back"),
                            ("created", "Created"),
                            ("signed-in", "Signed In"),
                            ("account-changed", "Account"),
                            ("token-ends", "Token Ends"),
                            ("token-leaked", "Token Leaked"),
                            ("quota-reached", "Quota"),
                            ("quota-changed", "Quota Changed"),
                        ],
                        db_default="verdict",
                        default="verdict",
                        max_length=20,
                    ),
                ),
                (
                    "topic",
                    models.CharField(
                        choices=[
                            ("own", "Own"),
                            ("access", "Access"),
                            ("discussions", "Discussions"),
                            ("mentions", "Mentions"),
                            ("invitations", "Invitations"),
                            ("watched", "Watched"),
                            ("followed", "Followed"),
                            ("reports", "Reports"),
                            ("cases", "Cases"),
                            ("overdue", "Overdue"),
                            ("holds", "Holds"),
                            ("security", "Security"),
                            ("usage", "Usage"),
                        ],
                        db_default="own",
                        default="own",
                        max_length=12,
                    ),
                ),
                ("data", models.JSONField(blank=True, db_default={}, default=dict)),
                ("count", models.PositiveIntegerField(db_default=1, default=1)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("read_at", models.DateTimeField(blank=True, null=True)),
                (
                    "mail",
                    models.CharField(
                        choices=[("none", "None"), ("digest", "Digest"), ("now", "Now"), ("always", "Always")],
                        db_default="now",
                        default="now",
                        max_length=8,
                    ),
                ),
                ("mailed_at", models.DateTimeField(blank=True, null=True)),
                ("mail_attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                (
                    "mail_due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.accessrequest",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="alerts", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "appeal",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.appeal",
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.case",
                    ),
                ),
                (
                    "discussion",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.discussion",
                    ),
                ),
                (
                    "invitation",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.invitation",
                    ),
                ),
                (
                    "decision",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.moderationdecision",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.repository",
                    ),
                ),
                (
                    "strike",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.strike",
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.token",
                    ),
                ),
                (
                    "verdict",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="registry.verdict",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("read_at__isnull", True)), fields=["user"], name="alert_unread"),
                    models.Index(
                        condition=models.Q(("mailed_at__isnull", True)), fields=["mail", "user"], name="alert_to_mail"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "verdict"), name="alert_unique"),
                    models.UniqueConstraint(
                        condition=models.Q(("read_at__isnull", True)),
                        fields=("user", "discussion"),
                        name="alert_of_discussion_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("read_at__isnull", True), ("request__isnull", False)),
                        fields=("user", "repository", "kind"),
                        name="alert_of_access_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("kind__in", ["pushed", "verified", "created", "alias-moved"]), ("read_at__isnull", True)
                        ),
                        fields=("user", "repository", "kind"),
                        name="alert_of_watched_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("read_at__isnull", True)),
                        fields=("invitation",),
                        name="alert_of_invitation_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("read_at__isnull", True)),
                        fields=("user", "appeal"),
                        name="alert_of_appeal_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "verdict"), ("verdict__isnull", False)),
                            models.Q(("kind__in", ["access-asked", "access-decided"]), ("request__isnull", False)),
                            models.Q(
                                ("discussion__isnull", False),
                                ("kind__in", ["discussion-opened", "discussion-changed", "mentioned"]),
                            ),
                            models.Q(("invitation__isnull", False), ("kind", "invited")),
                            models.Q(("decision__isnull", False), ("kind__in", ["held", "released"])),
                            models.Q(("case__isnull", False), ("kind__in", ["report-decided", "case-overdue"])),
                            models.Q(("kind", "strike"), ("strike__isnull", False)),
                            models.Q(("appeal__isnull", False), ("kind__in", ["appealed", "appeal-answered"])),
                            (
                                "kind__in",
                                ["pushed", "created", "signed-in", "account-changed", "alias-moved", "alias-fell-back"],
                            ),
                            ("kind__in", ["quota-reached", "quota-changed", "regressed", "token-leaked"]),
                            models.Q(("kind", "token-ends"), ("token__isnull", False)),
                            models.Q(("kind", "verified"), ("verdict__isnull", False)),
                            _connector="OR",
                        ),
                        name="alert_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                (
                                    "kind__in",
                                    [
                                        "invited",
                                        "report-decided",
                                        "strike",
                                        "signed-in",
                                        "account-changed",
                                        "token-ends",
                                        "token-leaked",
                                        "case-overdue",
                                        "quota-reached",
                                        "quota-changed",
                                    ],
                                ),
                                ("repository__isnull", True),
                            ),
                            models.Q(
                                ("repository__isnull", False),
                                models.Q(
                                    (
                                        "kind__in",
                                        [
                                            "invited",
                                            "report-decided",
                                            "strike",
                                            "signed-in",
                                            "account-changed",
                                            "token-ends",
                                            "token-leaked",
                                            "case-overdue",
                                            "quota-reached",
                                            "quota-changed",
                                        ],
                                    ),
                                    _negated=True,
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="alert_has_repository",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("mail__in", ["none", "digest", "now", "always"])), name="alert_mail_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("url", models.URLField(max_length=1000)),
                ("domains", models.JSONField(db_default=[], default=list)),
                ("secret", models.CharField(blank=True, max_length=256)),
                ("disabled", models.BooleanField(db_default=False, default=False)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhooks",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Watch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("user", "User"),
                            ("org", "Org"),
                            ("model", "Model"),
                            ("dataset", "Dataset"),
                            ("space", "Space"),
                        ],
                        max_length=8,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("folded", models.CharField(max_length=200)),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="watches", to="registry.webhook"
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [models.Index(fields=["folded"], name="watch_by_name")],
                "constraints": [models.UniqueConstraint(fields=("webhook", "type", "folded"), name="watch_unique")],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("payload", models.JSONField()),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("failed", "Failed")],
                        db_default="waiting",
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("log", models.JSONField(db_default=[], default=list)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="registry.webhook"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "indexes": [
                    models.Index(condition=models.Q(("state", "waiting")), fields=["due_at"], name="delivery_due"),
                    models.Index(fields=["webhook", "-id"], name="delivery_by_webhook"),
                    models.Index(fields=["created_at"], name="delivery_by_age"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "sent", "failed"])), name="delivery_state_known"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WeightComparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("before", models.CharField(max_length=64)),
                ("after", models.CharField(max_length=64)),
                ("result", models.JSONField(null=True)),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                ("free_at", models.DateTimeField(default=django.utils.timezone.now, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        default=django.utils.timezone.now,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("result__isnull", True)), fields=["free_at"], name="weight_comparison_job"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("before", "after"), name="weight_comparison_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("after__regex", "^[0-9a-f]{64}$"), ("before__regex", "^[0-9a-f]{64}$")),
                        name="weight_comparison_sha256_shape",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WeightPassport",
            fields=[
                ("file", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("modules", models.JSONField()),
                ("spectrum", models.JSONField()),
                ("fingerprint", models.BinaryField(max_length=512)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("file__regex", "^[0-9a-f]{64}$")), name="weight_passport_file_shape"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="FingerprintBand",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.PositiveIntegerField()),
                (
                    "passport",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="bands", to="registry.weightpassport"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("key", "passport"), name="fingerprint_band_unique")],
            },
        ),
        migrations.CreateModel(
            name="XetFile",
            fields=[
                ("file_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("sha256", models.CharField(db_index=True, max_length=64)),
                ("size", models.BigIntegerField()),
                ("terms", models.JSONField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("file_id__regex", "^[0-9a-f]{64}$")), name="xet_file_id_shape"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="xet_file_sha256_shape"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Xorb",
            fields=[
                ("hash", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("size", models.BigIntegerField()),
                (
                    "last_used_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("is_cold", models.BooleanField(db_default=False, default=False)),
            ],
            options={
                "indexes": [models.Index(fields=["last_used_at"], name="xorb_last_used_at")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("hash__regex", "^[0-9a-f]{64}$")), name="xorb_hash_shape"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="XorbSpan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("xorb", models.CharField(db_index=True, max_length=64)),
                ("start", models.PositiveIntegerField()),
                ("end", models.PositiveIntegerField()),
                ("at", models.BigIntegerField()),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="spans", to="registry.xetfile"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("file", "at"), name="xorb_span_unique")],
            },
        ),
        migrations.CreateModel(
            name="AppealMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("of_moderator", models.BooleanField()),
                ("is_internal", models.BooleanField(db_default=False, default=False)),
                ("text", models.TextField()),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "appeal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="messages", to="registry.appeal"
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("is_internal", False), ("of_moderator", True), _connector="OR"),
                        name="appeal_note_of_moderator",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditSeal",
            fields=[
                ("sequence", models.BigIntegerField(primary_key=True, serialize=False)),
                ("previous", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="seal", to="registry.auditevent"
                    ),
                ),
            ],
            options={
                "constraints": [registry.models.extensions.AppendOnly(name="audit_seal_kept")],
            },
        ),
        migrations.CreateModel(
            name="BaseFollow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("base", models.CharField(max_length=200)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "follower",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="followed_bases",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("base", "follower"), name="base_follow_unique")],
            },
        ),
        migrations.CreateModel(
            name="BaseManifest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("revision", models.CharField(max_length=64)),
                ("engine", models.CharField(max_length=32)),
                ("version", models.CharField(max_length=32)),
                ("task", models.CharField(max_length=24)),
                ("data", models.BinaryField()),
                ("digest", models.CharField(max_length=64)),
                (
                    "measured_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "base",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="manifests", to="registry.base"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("base", "engine", "task"), name="base_manifest_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")), name="base_manifest_digest_shape"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BaseFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(max_length=1024)),
                ("size", models.BigIntegerField()),
                ("is_lfs", models.BooleanField()),
                ("git_oid", models.CharField(max_length=40)),
                (
                    "base",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="served_files", to="registry.base"
                    ),
                ),
                (
                    "blob",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="base_files", to="registry.blob"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("base", "path"), name="base_file_path_unique")],
            },
        ),
        migrations.CreateModel(
            name="AbuseReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("by_hub", models.BooleanField(db_default=False, default=False)),
                ("check_id", models.CharField(blank=True, max_length=64)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("malware", "Malware: it runs code or attacks who loads it"),
                            ("backdoor", "Backdoor or poisoned behaviour"),
                            ("secret", "A secret that works: a token, a key, a password"),
                            ("illegal", "Illegal content"),
                            ("personal-data", "Personal data, in the files or in the training data"),
                            ("licence", "License or ownership"),
                            ("squatting", "Squatting or impersonation"),
                            ("spam", "Spam"),
                            ("broken", "Broken, or not what it says"),
                            ("other", "Something else"),
                        ],
                        max_length=16,
                    ),
                ),
                ("text", models.TextField(blank=True)),
                ("evidence", models.JSONField(db_default=[], default=list)),
                ("upheld", models.BooleanField(blank=True, null=True)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "reporter",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="abuse_reports",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="reports", to="registry.case"
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [models.Index(fields=["reporter", "-id"], name="abuse_report_by_person")],
                "constraints": [
                    models.UniqueConstraint(fields=("case", "reporter"), name="abuse_report_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("by_hub", True)),
                        fields=("case", "check_id"),
                        name="abuse_report_of_check_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("by_hub", False), ("check_id", "")),
                            models.Q(
                                ("by_hub", True), ("reporter__isnull", True), models.Q(("check_id", ""), _negated=True)
                            ),
                            _connector="OR",
                        ),
                        name="abuse_report_has_source",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DerivedArtifact",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("form", models.CharField(choices=[("safetensors", "Safetensors"), ("torch", "Torch")], max_length=12)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                (
                    "blob",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="derived_from", to="registry.blob"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="derived", to="registry.blob"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("source", "form"), name="derived_artifact_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("form__in", ["safetensors", "torch"])), name="derived_artifact_form_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DeviceLogin",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("user_code", models.CharField(max_length=8, unique=True)),
                ("client", models.CharField(blank=True, max_length=100)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("approved", "Approved"), ("denied", "Denied")],
                        db_default="waiting",
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("role", models.CharField(db_default="write", default="write", max_length=8)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                ("polled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="device_logins",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="device_login_expires_at")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "approved", "denied"])),
                        name="device_login_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["read", "write"])), name="device_login_role_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "approved"), _negated=True), ("user__isnull", False), _connector="OR"
                        ),
                        name="device_login_approved_by_somebody",
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(condition=models.Q(("is_active", False)), fields=["namespace"], name="user_suspended"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("email"),
                condition=models.Q(("email_verified", True), models.Q(("email", ""), _negated=True)),
                name="user_email_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["user", "moderator", "admin"])), name="user_role_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["person", "robot", "publisher"])), name="user_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("departure__in", ["", "left", "removed"])), name="user_departure_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_active", False), models.Q(("departure", ""), ("suspended_at__isnull", True)), _connector="OR"
                ),
                name="user_active_is_here",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "person"), ("works_for__isnull", True)),
                    models.Q(models.Q(("kind", "person"), _negated=True), ("role", "user")),
                    _connector="OR",
                ),
                name="user_machine_is_no_staff",
            ),
        ),
        migrations.AddIndex(
            model_name="revision",
            index=models.Index(
                condition=models.Q(("quarantined_at__isnull", False)), fields=["repository"], name="revision_held"
            ),
        ),
        migrations.AddIndex(
            model_name="revision",
            index=models.Index(
                condition=models.Q(("expired_at__isnull", False)), fields=["expired_at"], name="revision_expired"
            ),
        ),
        migrations.AddConstraint(
            model_name="revision",
            constraint=models.UniqueConstraint(fields=("repository", "oid"), name="revision_oid_unique"),
        ),
        migrations.AddConstraint(
            model_name="revision",
            constraint=models.CheckConstraint(
                condition=models.Q(("oid__regex", "^[0-9a-f]{40}$")), name="revision_oid_shape"
            ),
        ),
        migrations.AddIndex(
            model_name="repository",
            index=models.Index(fields=["namespace", "type", "-updated_at", "-id"], name="repository_by_owner"),
        ),
        migrations.AddIndex(
            model_name="repository",
            index=models.Index(fields=["namespace", "stored_bytes"], name="repository_by_bytes"),
        ),
        migrations.AddIndex(
            model_name="repository",
            index=models.Index(
                condition=models.Q(("binned_at__isnull", False)), fields=["binned_at"], name="repository_binned"
            ),
        ),
        migrations.AddConstraint(
            model_name="repository",
            constraint=models.UniqueConstraint(
                models.F("type"),
                models.F("namespace"),
                django.db.models.functions.text.Lower("name"),
                condition=models.Q(("binned_at__isnull", True)),
                name="repository_name_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="repository",
            constraint=models.CheckConstraint(
                condition=models.Q(("type__in", ["model", "dataset", "space"])), name="repository_type_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="repository",
            constraint=models.CheckConstraint(
                condition=models.Q(("gated__in", ["", "auto", "manual"])), name="repository_gate_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="moderationdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(("action__in", ["quarantine", "release", "takedown"])),
                name="moderation_decision_action_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="moderationdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="moderation_decision_has_reason"
            ),
        ),
        migrations.AddIndex(
            model_name="discussion",
            index=models.Index(fields=["repository", "status", "-number"], name="discussion_by_status"),
        ),
        migrations.AddConstraint(
            model_name="discussion",
            constraint=models.UniqueConstraint(fields=("repository", "number"), name="discussion_number_unique"),
        ),
        migrations.AddConstraint(
            model_name="discussion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["open", "closed"]),
                    models.Q(("is_pull_request", True), ("status__in", ["draft", "merged"])),
                    _connector="OR",
                ),
                name="discussion_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="discussion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("base__startswith", "refs/heads/"), ("is_pull_request", True)),
                    models.Q(("base", ""), ("is_pull_request", False)),
                    _connector="OR",
                ),
                name="discussion_base_iff_pull_request",
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                condition=models.Q(("state", "closed"), _negated=True), fields=["-severity", "id"], name="case_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(condition=models.Q(("state", "closed")), fields=["-closed_at"], name="case_by_end"),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "closed"), _negated=True), fields=("key",), name="case_open_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("closed_at__isnull", False), ("state", "closed"), models.Q(("outcome", ""), _negated=True)
                    ),
                    models.Q(("closed_at__isnull", True), ("outcome", ""), ("state__in", ["open", "claimed"])),
                    _connector="OR",
                ),
                name="case_outcome_iff_closed",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__in", [1, 2, 3])), name="case_severity_known"
            ),
        ),
        migrations.AddIndex(
            model_name="derivedversion",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True)), fields=["free_at"], name="derived_version_job"
            ),
        ),
        migrations.AddConstraint(
            model_name="derivedversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["queued", "running", "done", "refused", "errored"])),
                name="derived_version_state_known",
            ),
        ),
        migrations.RunPython(search_index.create, search_index.drop),
    ]
