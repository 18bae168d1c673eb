"""Branches, tags, aliases and pull-request refs: their names, revisions, and the history of aliases. Only reads.

publish/branches.py makes branches and tags; registry/proof/verified/aliases.py sets and moves aliases.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from registry.kernel import policy, site_settings
from registry.kernel.errors import AliasNotFound, RefProtected, RevisionNotFound, ValueInvalid
from registry.kernel.policy import NOBODY, Caller
from registry.kernel.texts import cursors
from registry.models import Alias, AliasMove, Ref, Repository, Revision
from registry.models.names import MAX_ALIAS
from registry.repos import eligibility
from registry.sql.prepared import Prepared

MAIN = Ref.MAIN
MAIN_NAMES = frozenset({"main", "HEAD", MAIN})  # names that people and clients give it
VERIFIED = "refs/verified"  # the newest revision of main known to work (eligibility.py); only verdicts move it
BRANCHES, TAGS, PULL_REQUESTS = "refs/heads/", "refs/tags/", "refs/pr/"
ALIASES = "refs/aliases/"  # what each alias serves; registry/proof/ moves them

MAX_REF_NAME = 200
# Spellings that git refuses in a name, and control characters; see `git help check-ref-format`.
_UNLIKE_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[./@-]|[./]$")
_ALIAS = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
SHORTEST_OID = 5  # hex digits of an abbreviated commit id; the Hub's clients think the same
HEX = frozenset("0123456789abcdef")
_LIKE_A_COMMIT = re.compile(rf"[0-9a-f]{{{SHORTEST_OID},40}}")  # whole, or the beginning of one: names are tried first
_NO_ALIAS = frozenset({"head", "latest", "main", "none", "refs", "verified"})
_MEANS_SOMETHING = frozenset({"head", "verified", "none", "refs"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """A caller, and whether they read below /verified, where `main` is the newest version that passed."""

    by: Caller = NOBODY
    only_verified: bool = False

    def prefers_verified(self, repository: Repository) -> bool:
        """Return whether main of the repository means `verified` for this reader.

        Under the pull policy `verified` it does for everybody who is not of the house, so that one bad push does not
        end what others serve.
        """
        if repository.type != Repository.Type.MODEL:
            return False
        if self.only_verified:
            return True
        is_strict = site_settings.get_setting("pull_policy") == "verified"
        return is_strict and not (self.by.is_staff or self.by.role_in(repository))


def is_oid(name: str) -> bool:
    """Return whether a name is a whole commit id as the hub writes them."""
    return len(name) == 40 and HEX.issuperset(name)


def check_ref_name(name: str) -> str:
    """Return the name of a branch or tag, or raise ValueInvalid."""
    folded = name.lower()
    is_ambiguous = folded in _MEANS_SOMETHING or name.startswith("refs/") or _LIKE_A_COMMIT.fullmatch(folded)
    if not name or len(name) > MAX_REF_NAME or not name.isprintable() or _UNLIKE_A_REF.search(name) or is_ambiguous:
        raise ValueInvalid(
            f"Invalid rev id: {name[:MAX_REF_NAME]!r} is not a valid name of a branch or tag.",
            fix="Use letters, digits, `-`, `_`, `.` and `/`; not `verified`, `HEAD`, or 5 to 40 hex digits alone, "
            "which look like a commit ID.",
        )
    return name


def check_alias_name(name: str) -> str:
    """Return the name of an alias, or raise ValueInvalid."""
    is_taken = name in _NO_ALIAS or _LIKE_A_COMMIT.fullmatch(name)
    if not _ALIAS.fullmatch(name) or len(name) > MAX_ALIAS or ".." in name or name.endswith(".lock") or is_taken:
        raise ValueInvalid(
            f"{name[:MAX_ALIAS]!r} is not a valid alias.",
            fix=f"Use 1 to {MAX_ALIAS} lower-case letters, digits, `-`, `_` and `.`, as in `prod`; not "
            f"{', '.join(f'`{word}`' for word in sorted(_NO_ALIAS))}, or anything that looks like a commit ID.",
            field="alias",
        )
    return name


def full_ref(rev: str) -> str:
    """Return the ref that a push to `rev` means: a branch, or a ref spelled out such as refs/pr/1."""
    return rev if rev.startswith("refs/") else MAIN if rev == "HEAD" else BRANCHES + rev


def resolve_ref(repository: Repository, ref: str) -> Revision:
    """Return the revision that the ref points to. Raises RevisionNotFound."""
    row = _REF.first(repository.pk, ref)
    if row is None:
        raise revision_not_found(short_name(ref))
    row.revision.asked = short_name(ref)
    return row.revision


_REF = Prepared(
    lambda repository, name: Ref.objects.filter(repository=repository, name=name).select_related(
        "revision__parent", "revision__author"
    ),
    int,
    str,
)


def main_revisions(repositories: Iterable[Repository], viewer: Viewer | None = None) -> dict[int, Revision]:
    """Return the revision that main of each repository means, by the repositories' row ids, in one query."""
    by_id = {repository.pk: repository for repository in repositories}
    verified = {pk for pk, row in by_id.items() if viewer and row.is_verified and viewer.prefers_verified(row)}
    names = [MAIN, VERIFIED] if verified else [MAIN]
    rows = Ref.objects.filter(repository__in=by_id, name__in=names).select_related("revision")
    heads = {(ref.repository_id, ref.name): ref.revision for ref in rows}
    mains = {pk: revision for (pk, name), revision in heads.items() if name == MAIN}
    return mains | {pk: revision for (pk, name), revision in heads.items() if name == VERIFIED and pk in verified}


def main_is_held() -> Exists:
    """Return the condition on repositories that main's revision is quarantined, or yanked and none is verified.

    `Repository.is_main_held` is its copy.
    """
    verified = Ref.objects.filter(repository=OuterRef("repository"), name=VERIFIED)
    is_held = Q(quarantined_at__isnull=False) | Q(yanked_at__isnull=False) & ~Exists(verified)
    return Exists(Revision.objects.filter(is_held, refs__name=MAIN, refs__repository=OuterRef("pk")))


def check_pushable(ref: str) -> None:
    """Raise RefProtected unless pushes may move this ref: a tag never moves, and only verdicts move `verified`."""
    if not ref.startswith((BRANCHES, PULL_REQUESTS)):
        raise RefProtected(
            f"Cannot push to {short_name(ref)}: it is not a branch.", fix="Push to a branch, such as main."
        )


def revision_not_found(rev: str, repository: Repository | None = None) -> RevisionNotFound:
    """Return the refusal for a revision that does not exist; the Hub's clients show `Invalid rev id`."""
    if repository and rev in ("verified", VERIFIED) and repository.type == Repository.Type.MODEL:
        if repository.revisions.filter(yanked_at__isnull=False, verdicts__state="passed").exists():
            return RevisionNotFound(
                f"No version of {repository.full_name} is `verified`: all that passed are yanked.",
                fix="See the reasons on its page; a yanked version can be pulled by its commit ID.",
            )
        return _none_verified(repository)
    name = rev.removeprefix(ALIASES)
    if repository and _ALIAS.fullmatch(name) and repository.aliases.filter(name=name).exists():
        return RevisionNotFound(
            f"Invalid rev id: the version that the alias {name!r} of {repository.full_name} names is withdrawn, and it "
            "named no other one that is served.",
            fix="Its owners can point it to another version.",
        )
    return RevisionNotFound(f"Invalid rev id: {rev[:MAX_REF_NAME]}.")


def _none_verified(repository: Repository) -> RevisionNotFound:
    """Return the refusal for an adapter of which no version is `verified`: of what passed, main says why."""
    main = repository.refs.filter(name=MAIN).select_related("revision").first()
    because = eligibility.of_revision(main.revision).because if main else None
    if main is None or because is None:
        return RevisionNotFound(
            f"No version of {repository.full_name} has passed yet, so none is `verified`.",
            fix=f"`dovetail verdict {repository.full_name}` says why; main is the latest push.",
        )
    reason, fix = eligibility.REASONS[because]
    served = "" if because in eligibility.UNSERVED else f" Its commit id serves it: {main.revision.oid}."
    override = " Or let it in with a reason, as an owner." if because in eligibility.OVERRIDABLE else ""
    return RevisionNotFound(
        f"No version of {repository.full_name} is `verified`. The newest one: {reason}",
        fix=f"{fix}{override}{served}",
    )


def yanked(revision: Revision) -> RevisionNotFound:
    """Return the refusal for a name whose only revision is yanked."""
    full_name = revision.repository.full_name
    return RevisionNotFound(
        f"Invalid rev id: main of {full_name} is yanked ({revision.yank_reason}), and no other version is verified.",
        fix=f"You can still pull it by its commit ID: {revision.oid}.",
    )


def short_name(ref: str) -> str:
    """Return the name people use: main for refs/heads/main, v1 for refs/tags/v1, prod for refs/aliases/prod."""
    prefix = next((prefix for prefix in (BRANCHES, TAGS, ALIASES) if ref.startswith(prefix)), "")
    return ref.removeprefix(prefix)


def list_refs(repository: Repository) -> Iterable[Ref]:
    """Return every ref by name, with its revision, in one query."""
    return _ALL(repository.pk)


_ALL = Prepared(
    lambda repository: Ref.objects.filter(repository=repository).select_related("revision").order_by("name"), int
)


Action = AliasMove.Action
REPLAYED = 1_000  # moves that are read to know which versions aliases named


@dataclass(frozen=True, slots=True)
class AliasState:
    """An alias, and the revision that it serves: the chosen one, the fallback, or none."""

    alias: Alias
    served: Revision | None

    @property
    def name(self) -> str:
        return self.alias.name

    @property
    def is_fallback(self) -> bool:
        return self.served != self.alias.revision

    @property
    def fallback_reason(self) -> str:
        """Why the chosen revision is not served; moderators' reasons are for its owners, and not told here."""
        chosen = self.alias.revision
        if not self.is_fallback:
            return ""
        return "held back by moderators" if chosen.is_quarantined else f"yanked: {chosen.yank_reason}"


def find(repository: Repository, name: str) -> AliasState:
    """Return one alias. Raises AliasNotFound."""
    if (state := named(repository, name)) is None:
        raise AliasNotFound(f"{repository.full_name} has no alias {name[:MAX_ALIAS]!r}.")
    return state


def named(repository: Repository, name: str) -> AliasState | None:
    """Return the alias of this name, or None."""
    return next(iter(_states(repository, Alias.objects.filter(repository=repository, name=name))), None)


def listed(repository: Repository) -> list[AliasState]:
    """Return all aliases of a repository by name, in two queries."""
    return _states(repository, Alias.objects.filter(repository=repository))


def _states(repository: Repository, rows: QuerySet[Alias]) -> list[AliasState]:
    aliases = list(rows.select_related("revision", "set_by"))
    names = [ALIASES + alias.name for alias in aliases]
    served = Ref.objects.filter(repository=repository, name__in=names).select_related("revision")
    refs_by_name = {ref.name: ref.revision for ref in served} if aliases else {}
    return [AliasState(alias, refs_by_name.get(ALIASES + alias.name)) for alias in aliases]


def history(repository: Repository, name: str = "", *, below: int = 0, limit: int) -> cursors.Page[AliasMove]:
    """Return a page of the moves of an alias, also of a removed one, or of all aliases; the newest first."""
    rows = AliasMove.objects.filter(repository=repository, **({"alias": name} if name else {})).select_related("by")
    return cursors.newest_first(rows, below, limit)


def earlier(alias: Alias) -> list[int]:
    """Return the row ids of the revisions that an alias named before its present one, the newest first."""
    return _earlier(AliasMove.objects.filter(repository=alias.repository_id, alias=alias.name)).get(alias.name, [])


def rollbacks(repository: Repository, aliases: Iterable[Alias]) -> dict[str, Revision]:
    """Return the revision that each of these would be rolled back to, by name, in two queries.

    Revisions that are held back, yanked or expired are skipped; an alias that named no other one is left out.
    """
    chosen = {alias.name: alias.revision_id for alias in aliases}
    lines = _earlier(AliasMove.objects.filter(repository=repository, alias__in=chosen))
    served = Revision.objects.filter(quarantined_at=None, yanked_at=None, expired_at=None)
    rows = served.in_bulk({pk for line in lines.values() for pk in line})
    targets = {name: [rows[pk] for pk in line if pk in rows and pk != chosen[name]] for name, line in lines.items()}
    return {name: line[0] for name, line in targets.items() if line}


def _earlier(moves: QuerySet[AliasMove]) -> dict[str, list[int]]:
    """Return what `earlier` does for every alias of these moves, by name.

    A rollback takes back every move down to its target, so what was rolled back from is not among them; a removed
    alias begins again.
    """
    lines: dict[str, list[int]] = {}
    for name, action, revision in reversed(moves.order_by("-pk").values_list("alias", "action", "revision")[:REPLAYED]):
        line = lines.setdefault(name, [])
        if action == Action.REMOVE:
            line.clear()
        elif action == Action.SET:
            line.append(revision)
        elif action == Action.ROLLBACK:
            while line and (line.pop() != revision):
                pass
            line.append(revision)
    return {name: line[-2::-1] for name, line in lines.items()}


def hidden_oids(repository: Repository, oids: Iterable[str], by: Caller) -> set[str]:
    """Return those of these commit ids that the caller may not see, because they are held back."""
    if by.is_staff or policy.may_write(by, repository):
        return set()
    held = Revision.objects.filter(repository=repository, oid__in=set(oids), quarantined_at__isnull=False)
    return set(held.values_list("oid", flat=True))
