"""Django's PostgreSQL backend for a replica: it notes that the replica gave no answer, and for which request."""

from functools import cached_property
from types import TracebackType

from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from psycopg import InterfaceError, OperationalError

from hub.replica import reading, watch

TOO_LONG = "57014"  # a statement was ended by its limit of time: the primary would end it too
IN_THE_WAY = "40001"  # a statement was ended since it kept the replica from replaying: it is well otherwise


class NotingErrors(DatabaseErrorWrapper):
    """Django's translator of driver errors: connecting, asking and reading rows all pass through it."""

    def __init__(self, wrapper: base.DatabaseWrapper) -> None:
        super().__init__(wrapper)
        self.alias = wrapper.alias

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OperationalError | InterfaceError):
            state = getattr(error, "sqlstate", None)
            if state != TOO_LONG and (request := reading.current()) is not None:
                request.has_failed = True
            if state not in (TOO_LONG, IN_THE_WAY):
                watch.leave_out(self.alias)
        super().__exit__(kind, error, trace)


class DatabaseWrapper(base.DatabaseWrapper):
    @cached_property
    def wrap_database_errors(self) -> NotingErrors:
        return NotingErrors(self)
