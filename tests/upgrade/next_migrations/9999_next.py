"""The migration of the next release, as CONTRIBUTING.md says that it is written."""

from pkgutil import iter_modules

from django.db import migrations, models

from registry import migrations as released
from registry.sql.schema import InBatches


def name_audience(rows: models.QuerySet) -> None:
    rows.filter(audience="").update(audience="everybody")


class Migration(migrations.Migration):
    dependencies = [("registry", max(module.name for module in iter_modules(released.__path__)))]  # noqa: RUF012  # Django's own

    operations = [  # noqa: RUF012  # as above
        migrations.AddField("repository", "audience", models.CharField(max_length=32, default="", db_default="")),
        migrations.AddField("verdict", "weight", models.PositiveIntegerField(default=7, db_default=7)),
        migrations.AddField("auditevent", "place", models.CharField(max_length=32, default="", db_default="")),
        migrations.CreateModel(
            "Milestone",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                (
                    "repository",
                    models.ForeignKey("registry.Repository", on_delete=models.CASCADE, related_name="+"),
                ),
            ],
        ),
        migrations.AddIndex("repository", models.Index(fields=["audience"], name="repository_by_audience")),
        migrations.RunPython(InBatches("Repository", name_audience), migrations.RunPython.noop, atomic=False),
    ]
