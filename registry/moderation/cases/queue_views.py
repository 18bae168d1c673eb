"""Filters of the queue that a moderator keeps under a name."""

from urllib.parse import parse_qsl, urlencode

from django.db.models import QuerySet

from registry.kernel import policy
from registry.kernel.errors import ItemNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import QueueView

MAX_NAME = 60
MAX_QUERY = 400
MAX_VIEWS = 20  # of one moderator
FILTERS = ("state", "severity", "source", "reason", "target", "sort", "q")


def list_views(by: Caller) -> QuerySet[QueueView]:
    """Return the saved views of a moderator, by name."""
    return policy.require_moderator(by).queue_views.all()


def save(by: Caller, name: str, query: str) -> QueueView:
    """Keep the filters of a query string under a name; the same name again changes it. Raises ValueInvalid."""
    actor = policy.require_moderator(by)
    name = names.require_text(" ".join(name.split()), "name", MAX_NAME)
    query = names.check_text(query, "filters", 10 * MAX_QUERY)
    kept = urlencode([(key, value) for key, value in parse_qsl(query) if key in FILTERS])
    if len(kept) > MAX_QUERY:
        raise ValueInvalid("The filters are too long to keep.", fix="Use a shorter text in the field Name.")
    if actor.queue_views.exclude(name=name).count() >= MAX_VIEWS:
        raise ValueInvalid(f"You have {MAX_VIEWS} views.", fix="Remove one of them first.")
    view, _ = QueueView.objects.update_or_create(user=actor, name=name, defaults={"query": kept})
    return view


def remove(by: Caller, number: int) -> None:
    """Forget one of the moderator's own views. Raises ItemNotFound."""
    if not list_views(by).filter(pk=number).delete()[0]:
        raise ItemNotFound(f"You have no view {number}.")
