"""The keys of a weight passport in one row on PostgreSQL; those of the release before stay rows of FingerprintBand."""

from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0029_process_reports")]

    operations = [
        migrations.AddField(model_name="weightpassport", name="keys", field=models.JSONField(null=True)),
        migrations.AddIndex(model_name="weightpassport", index=GinIndex(fields=["keys"], name="weight_passport_keys")),
    ]
