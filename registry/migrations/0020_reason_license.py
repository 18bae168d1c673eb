"""The reason for a report that was spelled `licence` is `license`, as everywhere else."""

from typing import Any

from django.db import migrations, models
from django.db.models import QuerySet

from registry.sql.schema import InBatches

REASONS = [
    ("malware", "Malware: it runs code or attacks who loads it"),
    ("backdoor", "Backdoor or poisoned behaviour"),
    ("secret", "A secret that works: a token, a key, a password"),
    ("illegal", "Illegal content"),
    ("personal-data", "Personal data, in the files or in the training data"),
    ("license", "License or ownership"),
    ("squatting", "Squatting or impersonation"),
    ("spam", "Spam"),
    ("broken", "Broken, or not what it says"),
    ("other", "Something else"),
]


def spell(rows: QuerySet[Any]) -> None:
    """Change the reason of cases or reports."""
    rows.filter(reason="licence").update(reason="license")


def spell_months(months: QuerySet[Any]) -> None:
    """Change the reason in the kept numbers of months and in their journals."""
    for month in months:
        reports = month.numbers.get("reports", {})
        if count := reports.pop("licence", 0):
            reports["license"] = reports.get("license", 0) + count
        for entry in month.journal:
            if entry["cause"] == "licence":
                entry["cause"] = "license"
        month.save(update_fields=["numbers", "journal"])


class Migration(migrations.Migration):
    dependencies = [("registry", "0019_unsearched_files")]

    operations = [
        migrations.AlterField("abusereport", "reason", models.CharField(choices=REASONS, max_length=16)),
        migrations.AlterField("case", "reason", models.CharField(choices=REASONS, max_length=16)),
        *(
            migrations.RunPython(InBatches(model, change), migrations.RunPython.noop, atomic=False)
            for model, change in (("AbuseReport", spell), ("Case", spell), ("MonthOfModeration", spell_months))
        ),
    ]
