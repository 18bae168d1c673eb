"""Well-known names, which others are compared with when they are taken: base owners, and what is downloaded most."""

import time
from collections.abc import Callable

from django.db.models import QuerySet, Sum

from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.kernel.texts.names import Likeness, likeness
from registry.models import NameObservation, Namespace, Repository, User

MOST_NAMESPACES = 500
MOST_REPOSITORIES = 1000
LEAST_DOWNLOADS = 10  # below, nobody is well-known
KEPT_SECONDS = 600.0
# Owners of base models on the Hub; people trust an adapter by these names.
BASE_OWNERS = tuple(
    """
    allenai apple baai bigscience black-forest-labs bytedance cohere cohereforai databricks deepseek-ai eleutherai
    facebook google google-bert huggingface huggingfacetb ibm-granite intel internlm meta-llama microsoft mistralai
    moonshotai mosaicml nomic-ai nvidia openai openai-community qwen salesforce sentence-transformers stabilityai
    state-spaces tencent thudm tiiuae togethercomputer unsloth xai-org zai-org
    """.split()  # noqa: SIM905  # a list of words reads better
)
_cache: dict[str, tuple[list[str], float]] = {}


def like_namespace(name: str) -> Likeness | None:
    """Return the well-known person, organisation or base owner that a name could be taken for."""
    return likeness(name, [*BASE_OWNERS, *_kept("namespaces", _namespaces)])


def like_repository(name: str) -> Likeness | None:
    """Return the well-known repository name that the part behind the slash could be taken for.

    The same name in another namespace is usual, a copy or a variant; only names that differ a little are told.
    """
    return likeness(name, _kept("repositories", _repositories))


def observe_namespace(namespace: Namespace, by: User | None) -> None:
    """Keep for moderators that a new person or organisation looks like a well-known one; call it in its transaction."""
    if found := like_namespace(namespace.name):
        _observe(namespace.kind, namespace.name, found, by, None)


def observe_repository(repository: Repository, by: User | None) -> None:
    """Keep for moderators that a new repository looks like a well-known one; call it in its transaction."""
    if found := like_repository(repository.name):
        _observe(repository.type, repository.full_name, found, by, repository)


def _observe(kind: str, name: str, found: Likeness, by: User | None, repository: Repository | None) -> None:
    row = NameObservation.objects.create(
        kind=kind, name=name, like=found.name, why=found.why, by=by.username if by else name
    )
    outbox.record(Kind.NAME_OBSERVED, repository, by, observation=row.pk)


def recent() -> QuerySet[NameObservation]:
    """Return the observations, newest first."""
    return NameObservation.objects.order_by("-pk")


def clear_cache() -> None:
    """Forget the names, so that the next one is compared with those of now."""
    _cache.clear()


def _kept(key: str, read: Callable[[], list[str]]) -> list[str]:
    names, read_at = _cache.get(key, ([], 0.0))
    if key not in _cache or time.monotonic() - read_at > KEPT_SECONDS:
        names = read()
        _cache[key] = (names, time.monotonic())
    return names


def _namespaces() -> list[str]:
    rows = Namespace.objects.filter(
        repositories__private=False, repositories__binned_at__isnull=True, repositories__quarantined_at__isnull=True
    )
    known = rows.annotate(total=Sum("repositories__downloads")).filter(total__gte=LEAST_DOWNLOADS).order_by("-total")
    return list(known.values_list("name", flat=True)[:MOST_NAMESPACES])


def _repositories() -> list[str]:
    public = Repository.objects.filter(private=False, quarantined_at__isnull=True, downloads__gte=LEAST_DOWNLOADS)
    return list(dict.fromkeys(public.order_by("-downloads").values_list("name", flat=True)[:MOST_REPOSITORIES]))
