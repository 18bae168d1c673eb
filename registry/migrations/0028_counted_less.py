"""Triggers that count a repository again only where a list would count it elsewhere; who pushed a file of tensors."""

from django.db import migrations, models

from registry.repos import search_index


class Migration(migrations.Migration):
    dependencies = [("registry", "0027_revision_facts")]

    operations = [
        migrations.AddField(
            model_name="tensordigest",
            name="author",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.RunPython(search_index.create, migrations.RunPython.noop),
    ]
