"""The connection on which this moment's reads run: to the primary, or to a replica of it."""

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from registry.models import Repository


def connection_for_reads(model: type[Model] = Repository) -> BaseDatabaseWrapper:
    """Return the connection that a query of this model takes now, for SQL beside the ORM."""
    return connections[router.db_for_read(model)]
