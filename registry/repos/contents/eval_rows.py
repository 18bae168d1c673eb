"""Find the evaluation rows for an adapter without rows of its own, in the datasets of this hub."""

from collections.abc import Iterator
from dataclasses import dataclass

from registry.kernel import policy
from registry.kernel.errors import RegistryError
from registry.models import Repository
from registry.repos import pull
from registry.repos.contents.card import Card
from registry.repos.manifest import Entry

NAME = "smoke.jsonl"
MAX_BYTES = 256 << 10
MOST_SETS = 8
MAX_NAME = 100  # of a set in a verdict


@dataclass(frozen=True)
class EvalRows:
    """The rows of a set at one commit: `name` is namespace/name@commit, as the verdict shows it."""

    name: str
    entry: Entry


def find_eval_rows(repository: Repository, card: Card) -> EvalRows | None:
    """Return the rows of the first set that the card names (`smoke`, then `datasets`) and that the verdict may show.

    A verdict shows rows, so a set that is not public serves only private adapters of its own namespace.
    """
    return next(filter(None, (_rows_of(name, "main", repository) for name in _named(card))), None)


def find_named(name: str, repository: Repository) -> EvalRows | None:
    """Return the rows that a verdict of this repository names (namespace/name@commit), if it may still show them."""
    dataset, _, commit = name.partition("@")
    return _rows_of(dataset, commit, repository) if commit and dataset.count("/") == 1 else None


def _rows_of(name: str, rev: str, repository: Repository) -> EvalRows | None:
    namespace, _, rest = name.partition("/")
    sets = Repository.objects.filter(type=Repository.Type.DATASET, namespace__name__iexact=namespace, name__iexact=rest)
    dataset = sets.select_related("namespace__person").first()
    if dataset is None or not policy.may_quote(dataset, repository):
        return None
    try:
        revision = pull.resolve(dataset, rev)
        entry = pull.find_file(revision, NAME)
    except RegistryError:
        return None
    if entry.size > MAX_BYTES or revision.is_quarantined:
        return None
    return EvalRows(f"{dataset.full_name}@{revision.oid[:8]}"[-MAX_NAME:], entry)


def _named(card: Card) -> Iterator[str]:
    smoke = card.data.get("smoke")
    names = [smoke, *card.datasets] if isinstance(smoke, str) else card.datasets
    yield from dict.fromkeys(name for name in names[:MOST_SETS] if name.count("/") == 1)
