"""The choices of a report's reason come from a function: a new reason needs no migration. No column changes."""

from django.db import migrations, models

from registry.models.moderation import reasons


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0025_search_accounts"),
    ]

    operations = [
        migrations.AlterField(model_name="case", name="reason", field=models.CharField(choices=reasons, max_length=16)),
        migrations.AlterField(
            model_name="abusereport", name="reason", field=models.CharField(choices=reasons, max_length=16)
        ),
    ]
