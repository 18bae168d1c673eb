"""The index by which a search finds an exact name, whoever owns it."""

from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [("registry", "0014_asked_bases")]

    operations = [
        migrations.AddIndex(
            model_name="repository",
            index=models.Index(Lower("name"), name="repository_by_name"),
        ),
    ]
