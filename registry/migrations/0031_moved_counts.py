"""Triggers that count an updated repository by the row that counted it before, while that is not folded."""

from django.db import migrations

from registry.repos import search_index


class Migration(migrations.Migration):
    dependencies = [("registry", "0030_passport_keys")]

    operations = [migrations.RunPython(search_index.create, migrations.RunPython.noop)]
