from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0018_failed_programs")]

    operations = [
        migrations.AddField(
            model_name="revisionfile",
            name="is_unsearched",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name="revisionfile",
            index=models.Index(
                condition=models.Q(("is_unsearched", True)), fields=["revision"], name="revision_file_unsearched"
            ),
        ),
    ]
