"""Requests for base models, one for each person who follows one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0013_verdict_eligibility"),
    ]

    operations = [
        migrations.AddField("basefollow", "asked_at", models.DateTimeField(null=True)),
    ]
