"""The index of words by their place, and the order of searches by relevance."""

from django.db import migrations, models

from registry.repos import search_index


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL builds the indexes of words beside those who write

    dependencies = [("registry", "0011_list_indexes")]

    operations = [
        migrations.RunPython(search_index.create_word_indexes, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="repository",
            index=models.Index(fields=["type", "is_verified", "-downloads", "-id"], name="repository_by_standing"),
        ),
    ]
