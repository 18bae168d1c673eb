"""Downloads are counted for each version too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0020_reason_license")]

    operations = [
        migrations.AddField("counteddownloads", "oid", models.CharField(blank=True, db_default="", max_length=40)),
        migrations.AddField("revision", "downloads", models.PositiveIntegerField(db_default=0, default=0)),
    ]
