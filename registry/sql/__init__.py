"""SQL beside the ORM: queries that are compiled once, counts kept by triggers, the schema, the claim of a job."""

from typing import TypeVar

from django.db.models import Model, QuerySet

Job = TypeVar("Job", bound=Model)


def lock_first(jobs: QuerySet[Job]) -> Job | None:
    """Return the first of these jobs, locked for the rest of the transaction, or None if there is none.

    PostgreSQL passes over jobs that other workers lock at this moment; on SQLite one transaction writes at a time.
    """
    return jobs.select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
