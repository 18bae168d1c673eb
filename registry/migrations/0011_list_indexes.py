"""Indexes by which PostgreSQL filters and counts lists without reading the table."""

from django.db import migrations

from registry.repos import search_index


class Migration(migrations.Migration):
    dependencies = [("registry", "0010_release_news")]

    operations = [
        migrations.RunPython(search_index.create_list_indexes, search_index.drop_list_indexes, atomic=False),
    ]
