"""Requests to the read plane, which are only added."""

import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0005_releases"),
    ]

    operations = [
        migrations.CreateModel(
            name="PlaneRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(db_index=True, max_length=200)),
                ("withdraws", models.BooleanField(db_default=False, default=False)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["-withdraws", "id"], name="plane_request_in_turn")],
            },
        ),
    ]
