from django.db import migrations, models
from django.db.models.deletion import CASCADE
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = [("registry", "0002_sharing")]

    operations = [
        migrations.AddField(
            "adapter", "serves", models.CharField(blank=True, default="", max_length=300), preserve_default=False
        ),
        migrations.AddField("base", "has_weights", models.BooleanField(default=True)),
        migrations.AddField(
            "base", "own_task", models.CharField(blank=True, default="", max_length=24), preserve_default=False
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
                ("measured_at", models.DateTimeField(default=timezone.now)),
                ("base", models.ForeignKey(on_delete=CASCADE, related_name="manifests", to="registry.base")),
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
    ]
