"""When chunks were lost that the clients of a person remember, and an index by which those people are found."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0002_daily_downloads")]

    operations = [
        migrations.AddField("user", "chunks_lost_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddIndex("knownxorb", models.Index(fields=["xorb"], name="known_xorb_xorb")),
    ]
