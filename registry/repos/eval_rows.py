"""Which evaluation set of this hub an adapter without rows of its own is measured on; measuring is not here."""

from collections.abc import Iterator
from dataclasses import dataclass

from registry.kernel import policy
from registry.kernel.errors import RegistryError
from registry.models import Repository
from registry.repos import pull
from registry.repos.card import Card
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
    """Return the rows of the first set that the card names (`smoke`, then `datasets`) and that may be shown with it.

    Rows appear in a verdict, so a set that not everybody may read serves only private adapters of its own namespace.
    """
    for name in _named(card):
        namespace, _, rest = name.partition("/")
        sets = Repository.objects.filter(
            type=Repository.Type.DATASET, namespace__name__iexact=namespace, name__iexact=rest
        )
        found = sets.select_related("namespace__person").first()
        if found is None or not policy.may_quote(found, repository):
            continue
        try:
            revision = pull.resolve(found, "main")
            entry = pull.find_file(revision, NAME)
        except RegistryError:
            continue
        if entry.size <= MAX_BYTES and not revision.is_quarantined:
            return EvalRows(f"{found.full_name}@{revision.oid[:8]}"[-MAX_NAME:], entry)
    return None


def _named(card: Card) -> Iterator[str]:
    said = card.data.get("smoke")
    names = [said, *card.datasets] if isinstance(said, str) else card.datasets
    yield from dict.fromkeys(name for name in names[:MOST_SETS] if name.count("/") == 1)
