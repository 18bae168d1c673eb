"""Collections in the domain: the lists that hold a repository, and what goes with an account."""

from features.collections import verbs
from features.collections.models import Collection
from registry.kernel.callers import Caller
from registry.kernel.seams import Feature
from registry.kernel.texts.cursors import Page
from registry.models import Repository


def _lists_with(repository: Repository, by: Caller, limit: int) -> Page[Collection]:
    return verbs.page(by, items=[f"{repository.type}s/{repository.full_name}"], limit=limit)


FEATURE = Feature(
    forget=lambda user: Collection.objects.filter(namespace=user.namespace).delete(), lists_with=_lists_with
)
