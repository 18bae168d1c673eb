"""Alerts of bases that people asked for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0021_downloads_of_versions"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="alert",
            name="alert_has_repository",
        ),
        migrations.RemoveConstraint(
            model_name="alert",
            name="alert_kind_known",
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("verdict", "Verdict"),
                    ("regressed", "Regressed"),
                    ("access-asked", "Asked"),
                    ("access-decided", "Decided"),
                    ("discussion-opened", "Opened"),
                    ("discussion-changed", "Said"),
                    ("mentioned", "Mentioned"),
                    ("invited", "Invited"),
                    ("held", "Held"),
                    ("released", "Released"),
                    ("report-decided", "Report"),
                    ("strike", "Strike"),
                    ("appealed", "Appealed"),
                    ("case-overdue", "Overdue"),
                    ("appeal-answered", "Answered"),
                    ("pushed", "Pushed"),
                    ("verified", "Verified"),
                    ("alias-moved", "Alias Moved"),
                    ("release-made", "Release Made"),
                    ("alias-fell-back", "Alias Fell Back"),
                    ("created", "Created"),
                    ("base-arrived", "Base Arrived"),
                    ("signed-in", "Signed In"),
                    ("account-changed", "Account"),
                    ("token-ends", "Token Ends"),
                    ("token-leaked", "Token Leaked"),
                    ("quota-reached", "Quota"),
                    ("quota-changed", "Quota Changed"),
                ],
                db_default="verdict",
                default="verdict",
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "verdict"), ("verdict__isnull", False)),
                    models.Q(("kind__in", ["access-asked", "access-decided"]), ("request__isnull", False)),
                    models.Q(
                        ("discussion__isnull", False),
                        ("kind__in", ["discussion-opened", "discussion-changed", "mentioned"]),
                    ),
                    models.Q(("invitation__isnull", False), ("kind", "invited")),
                    models.Q(("decision__isnull", False), ("kind__in", ["held", "released"])),
                    models.Q(("case__isnull", False), ("kind__in", ["report-decided", "case-overdue"])),
                    models.Q(("kind", "strike"), ("strike__isnull", False)),
                    models.Q(("appeal__isnull", False), ("kind__in", ["appealed", "appeal-answered"])),
                    (
                        "kind__in",
                        ["pushed", "created", "signed-in", "account-changed", "alias-moved", "alias-fell-back"],
                    ),
                    ("kind__in", ["quota-reached", "quota-changed", "regressed", "token-leaked", "release-made"]),
                    ("kind", "base-arrived"),
                    models.Q(("kind", "token-ends"), ("token__isnull", False)),
                    models.Q(("kind", "verified"), ("verdict__isnull", False)),
                    _connector="OR",
                ),
                name="alert_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        (
                            "kind__in",
                            [
                                "base-arrived",
                                "invited",
                                "report-decided",
                                "strike",
                                "signed-in",
                                "account-changed",
                                "token-ends",
                                "token-leaked",
                                "case-overdue",
                                "quota-reached",
                                "quota-changed",
                            ],
                        ),
                        ("repository__isnull", True),
                    ),
                    models.Q(
                        ("repository__isnull", False),
                        models.Q(
                            (
                                "kind__in",
                                [
                                    "base-arrived",
                                    "invited",
                                    "report-decided",
                                    "strike",
                                    "signed-in",
                                    "account-changed",
                                    "token-ends",
                                    "token-leaked",
                                    "case-overdue",
                                    "quota-reached",
                                    "quota-changed",
                                ],
                            ),
                            _negated=True,
                        ),
                    ),
                    _connector="OR",
                ),
                name="alert_has_repository",
            ),
        ),
    ]
