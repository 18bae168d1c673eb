"""`manage.py recount_catalogue`: compares the counts of the catalogue with the repositories, corrects them."""

from typing import Any

from django.core.management import BaseCommand

from registry.repos.lists import tallies


class Command(BaseCommand):
    help = "Compare the facet counts of public repositories with the repositories, and correct them."

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = tallies.correct()
        self.stdout.write(f"{wrong} counts corrected." if wrong else "Every count was right.")
