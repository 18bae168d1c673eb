"""Django's choice of a database: a replica for the reads of some requests, the primary for everything else."""

import random
from typing import Any, cast

from django.core.cache import caches
from django.db import connections, models
from django.db.utils import DEFAULT_DB_ALIAS

from hub.replica import reading, watch
from hub.shared_cache import SharedCache
from registry.kernel import log_positions

# Tables that say who may do what, and what the hub does now, are read from the primary, as are those of other
# applications (sessions, second factors).
OF_THE_PRIMARY = frozenset({
    "accessrequest", "directorytoken", "idempotentrequest", "invitation", "joinlink", "membership", "namespacequota",
    "outboxevent", "sitesetting", "strike", "team", "teamgrant", "teammember", "token", "trustedpublisher", "user",
})  # fmt: skip


class ReplicaRouter:
    """Reads of a request whose route allows it go to one replica until the request writes; see middleware.py."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        """Return the alias; never None, or rows of a replica would lead their relations back there."""
        request = reading.current()
        if request is None or not request.is_open or _is_of_the_primary(model):
            return DEFAULT_DB_ALIAS
        if connections[DEFAULT_DB_ALIAS].in_atomic_block:  # what is read there is about to be written
            return DEFAULT_DB_ALIAS
        if not request.alias:
            if request.waits_for_caller:
                return DEFAULT_DB_ALIAS
            request.alias = choose(request.user)
        return request.alias

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        """Return the primary, from which the rest of the request reads too: it must find what it wrote.

        When a token was last used is written as well, and read there anyway.
        """
        request = reading.current()
        if request is not None and request.is_open and not _is_of_the_primary(model):
            request.alias = DEFAULT_DB_ALIAS
        return DEFAULT_DB_ALIAS

    def allow_relation(self, *_: models.Model, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == DEFAULT_DB_ALIAS


def choose(user: int | None) -> str:
    """Return a replica that has all that this person must see, else the primary."""
    used = [replica for replica in watch.replicas() if replica.is_used]
    if not used:
        return DEFAULT_DB_ALIAS
    keys = [log_positions.OF_ALL, *([log_positions.of_person(user)] if user else [])]
    positions = cast(SharedCache, caches["default"]).recall(keys)
    if positions is None:  # the broker is silent: nobody knows who wrote
        return DEFAULT_DB_ALIAS
    needed = max(position or 0 for position in positions)
    good = [replica.alias for replica in used if replica.replayed >= needed]
    return random.choice(good) if good else DEFAULT_DB_ALIAS  # noqa: S311  # spreads load, hides nothing


def _is_of_the_primary(model: type[models.Model]) -> bool:
    return model._meta.app_label != "registry" or model._meta.model_name in OF_THE_PRIMARY
