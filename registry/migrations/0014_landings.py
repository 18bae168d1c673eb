"""Files that came whole and wait to be cut into chunks; those that were pushed before wait too."""

import django.utils.timezone
from django.db import migrations, models

WHAT_IS_THERE = """
    INSERT INTO registry_landing (sha256, attempts, free_at)
    SELECT DISTINCT file.blob_id, 0, CURRENT_TIMESTAMP FROM registry_revisionfile file
    WHERE file.is_lfs AND NOT EXISTS (SELECT 1 FROM registry_xetfile known WHERE known.sha256 = file.blob_id)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0013_alerts_of_people"),
    ]

    operations = [
        migrations.CreateModel(
            name="Landing",
            fields=[
                ("sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("free_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "indexes": [models.Index(fields=["free_at"], name="landing_free_at")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="landing_sha256_shape"
                    )
                ],
            },
        ),
        migrations.RunSQL(WHAT_IS_THERE, migrations.RunSQL.noop),
    ]
