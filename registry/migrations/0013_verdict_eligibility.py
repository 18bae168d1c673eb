"""The column that says whether `verified` may name a version, by its verdict alone; the sweep judges older rows."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0012_relevance")]

    operations = [
        migrations.AddField(
            model_name="verdict",
            name="eligibility",
            field=models.CharField(
                choices=[
                    ("unjudged", "Unjudged"),
                    ("may", "May"),
                    ("fits", "Fits"),
                    ("not-run", "Not Run"),
                    ("static", "Static"),
                    ("adds-nothing", "Adds Nothing"),
                    ("below-base", "Below Base"),
                    ("failed", "Failed"),
                ],
                db_default="unjudged",
                default="unjudged",
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["eligibility", "id"], name="verdict_eligibility"),
        ),
    ]
