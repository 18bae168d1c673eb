"""The operator's rules for names, asked whenever a name is taken, and the well-known names that it is compared with.

Rules are reserved and prohibited patterns; well known are the owners of bases and what is downloaded most.
"""

import re
import time
from collections.abc import Callable, Iterable
from fnmatch import translate

from django.db import transaction
from django.db.models import QuerySet, Sum

from registry.kernel import audit, outbox
from registry.kernel.errors import ItemNotFound, NameProhibited, NameReserved, ValueInvalid
from registry.kernel.texts import names
from registry.kernel.texts.names import Likeness, likeness, skeleton
from registry.models import NameObservation, NameRule, Namespace, Repository, User

FOLLOW_SECONDS = 5.0
MAX_REASON = 300
_PATTERN = re.compile(r"[a-z0-9._*?-]{1,96}")
Kind, Scope = NameRule.Kind, NameRule.Scope

# (kind, scope, pattern of the name, pattern of its skeleton); replaced as a whole, read by many threads.
_Rules = tuple[tuple[str, str, re.Pattern[str], re.Pattern[str]], ...]
_cache: tuple[_Rules, float] | None = None


def require_allowed(name: str, scope: str, *, is_operator: bool = False) -> None:
    """Raise NameProhibited or NameReserved for a name that a rule keeps; the operator may give reserved ones away."""
    lower, shape = name.lower(), skeleton(name)
    for kind, of, pattern, of_shape in _rules():
        if of not in (scope, Scope.ANY):
            continue
        if kind == Kind.PROHIBITED and (pattern.match(lower) or of_shape.match(shape)):
            raise NameProhibited(f"The name {name!r} is not allowed on this hub.")
        if kind == Kind.RESERVED and not is_operator and pattern.match(lower):
            raise NameReserved(f"The name {name!r} is reserved by the operator of this hub.")


def _rules() -> _Rules:
    global _cache
    if _cache is None or time.monotonic() - _cache[1] > FOLLOW_SECONDS:
        rows = NameRule.objects.order_by("kind", "pk").values_list("kind", "scope", "pattern")
        _cache = (
            tuple((kind, scope, _compiled(text), _compiled(_shape(text))) for kind, scope, text in rows),
            (time.monotonic()),
        )
    return _cache[0]


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _shape(pattern: str) -> str:
    """Return the skeleton of a pattern, whose wildcards stay."""
    return "".join(part if part in "*?" else skeleton(part) for part in re.split(r"([*?])", pattern) if part)


def clear_cache() -> None:
    """Forget the rules, so that the next name is compared with those of now."""
    global _cache
    _cache = None


def listed() -> QuerySet[NameRule]:
    """Return all rules by their patterns."""
    return NameRule.objects.order_by("pattern", "scope", "kind")


def add(pattern: str, kind: str, scope: str, by: User | None, *, reason: str = "") -> bool:
    """Add a rule; return False if there is the same one. Raises ValueInvalid."""
    pattern = pattern.strip().lower()
    if not _PATTERN.fullmatch(pattern) or not pattern.strip("*?"):
        raise ValueInvalid(
            f"{pattern[:100]!r} is not a valid name pattern.", fix="Use letters, digits, `-`, `_`, `.`, and `*` or `?`."
        )
    if kind not in Kind.values or scope not in Scope.values:
        raise ValueInvalid(
            f"Unknown rule {kind!r} for {scope!r}.",
            fix=f"Use {' or '.join(Kind.values)}, for {', '.join(Scope.values)}.",
        )
    reason = names.check_text(reason, "reason", MAX_REASON)
    with transaction.atomic():
        owner = by.username if by else "system"
        _, is_new = NameRule.objects.get_or_create(
            kind=kind, scope=scope, pattern=pattern, defaults={"reason": reason, "by": owner}
        )
        if is_new:
            audit.record(by, "name:rule", pattern, reason=reason, before=None, after={"kind": kind, "scope": scope})
    clear_cache()
    return is_new


def remove(number: int, by: User | None) -> None:
    """Remove a rule. Raises ItemNotFound."""
    with transaction.atomic():
        rule = NameRule.objects.select_for_update().filter(pk=number).first()
        if rule is None:
            raise ItemNotFound("There is no such rule.")
        rule.delete()
        audit.record(by, "name:free", rule.pattern, before={"kind": rule.kind, "scope": rule.scope}, after=None)
    clear_cache()


def add_all(lines: Iterable[str], by: User | None, *, kind: str, scope: str, reason: str = "") -> int:
    """Add the rules of some lines, all or none, and return how many are new. Raises ValueInvalid.

    A line is a pattern, for which `kind`, `scope` and `reason` hold, or `kind,scope,pattern,reason`.
    """
    new = 0
    try:
        with transaction.atomic():
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    parts = [part.strip() for part in line.split(",", 3)]
                    if len(parts) in (1, 2):
                        parts = [kind, scope, line.strip(), reason]
                    new += add(parts[2], parts[0], parts[1], by, reason=(parts[3:] or [reason])[0])
    finally:
        clear_cache()
    return new


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
_known: dict[str, tuple[list[str], float]] = {}


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
    outbox.record(outbox.Kind.NAME_OBSERVED, repository, by, observation=row.pk)


def recent() -> QuerySet[NameObservation]:
    """Return the observations, newest first."""
    return NameObservation.objects.order_by("-pk")


def forget_known() -> None:
    """Forget the names, so that the next one is compared with those of now."""
    _known.clear()


def _kept(key: str, read: Callable[[], list[str]]) -> list[str]:
    names, read_at = _known.get(key, ([], 0.0))
    if key not in _known or time.monotonic() - read_at > KEPT_SECONDS:
        names = read()
        _known[key] = (names, time.monotonic())
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
