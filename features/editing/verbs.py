"""A repair of a config, of weights, or of private data, as a pull request; nothing changes until it is merged."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dovetail.adapters.checks.base import FIELD
from dovetail.adapters.convert.mend import Mended
from dovetail.adapters.convert.redact import Redacted, redact
from dovetail.adapters.files import config as configs
from dovetail.adapters.formats.description import WEIGHTS
from features.editing import config_views, weights
from features.editing.config_views import View
from features.editing.remedies import Fix
from registry.kernel.errors import FileNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.seams import Feature
from registry.models import Discussion, Ref, Repository, Revision
from registry.publish import push
from registry.publish.push import Deletion, Inline, Intent, Operation
from registry.repos import pull, refs
from registry.repos.contents import facts, stored_facts
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

PRIVACY_TITLE = "Remove private data"
MAX_LISTED = 50
HISTORY = (
    "**Earlier commits still hold these bytes**, for everybody who can read the repository. Revoke every token and key "
    "that is named here: a merge does not make it secret again."
)


@dataclass(frozen=True)
class Repair:
    """A pull request with a repair; `is_new` is false if it was open already."""

    discussion: Discussion
    revision: Revision
    base: str
    is_new: bool


def operations(repository: Repository, fix: Fix | Redacted) -> Iterator[Operation]:
    """Store the rewritten weights of a fix for a push, and yield its operations."""
    for path, raw in fix.texts.items():
        yield Inline(path, raw)
    for path, rewritten in fix.weights.items():
        yield weights.stored(repository, path, rewritten.write)
    yield from map(Deletion, sorted(fix.removed if isinstance(fix, Fix) else fix.deleted))


def pending(repository: Repository, view: View) -> Discussion | None:
    """Return the open pull request that proposes exactly this config."""
    return _pending_with(repository, configs.NAME, hashlib.sha256(view.text.encode()).hexdigest())


def pending_fix(repository: Repository, fix: Fix) -> Discussion | None:
    """Return the open pull request that proposes the same texts; rewritten weights are not compared."""
    found = [_pending_with(repository, path, hashlib.sha256(raw).hexdigest()) for path, raw in fix.texts.items()]
    return found[0] if found and not fix.weights and all(one == found[0] for one in found) else None


def _pending_with(repository: Repository, path: str, sha256: str) -> Discussion | None:
    """Return the open pull request in which a file has exactly this content."""
    proposed = Ref.objects.filter(
        repository=repository,
        name__startswith=refs.PULL_REQUESTS,
        revision__files__path=path,
        revision__files__blob=sha256,
    ).values_list("name", flat=True)
    numbers = [int(name.removeprefix(refs.PULL_REQUESTS)) for name in proposed]
    return repository.discussions.filter(number__in=numbers, status__in=weights.OPEN).order_by("number").first()


def propose(repository: Repository, by: Caller, base: str = "", *, only_privacy: bool = False) -> Repair:
    """Open a pull request that repairs main, or return the open one that does the same.

    Weights come first, since without them nobody can tell a base: renamed or joined as PEFT looks for them. Else the
    config gets the name of its base, which `base` chooses if several fit. Where neither is to be done, and where
    `only_privacy` asks for it, private data is removed. Raises ValueInvalid if nothing needs repair or the base is
    ambiguous, FileNotFound without a config, and what opening a pull request raises.
    """
    push.require_for(repository, MAIN, by, propose=True)
    head = refs.resolve_ref(repository, MAIN)
    entries = pull.entries(head)
    if only_privacy:
        return _without_private_data(repository, by, head, _require_private(entries))
    if repaired := weights.find(entries):
        return _with_weights(repository, by, head, repaired)
    try:
        pull.find_file(head, configs.NAME)
        view = config_views.derive(entries, configs.NAME, "repaired", base=base)
    except (FileNotFound, ValueInvalid):
        config = stored_facts.revision_facts(head, entries).config
        needs_base = configs.NAME in entries and config_views.is_baseless(config)
        if base or needs_base or not (redacted := _private(entries)):
            raise
        return _without_private_data(repository, by, head, redacted)
    return _with_base(repository, by, head, view)


def _with_base(repository: Repository, by: Caller, head: Revision, view: View) -> Repair:
    chosen = str(view.config[FIELD])
    if open_proposal := pending(repository, view):
        return Repair(open_proposal, refs.resolve_ref(repository, open_proposal.ref), chosen, is_new=False)
    config = stored_facts.revision_facts(head, pull.entries(head)).config
    why = _why(configs.text(config, FIELD) or "", chosen, config)
    operations = [Inline(configs.NAME, view.text.encode())]
    return _opened(repository, by, head, f"Name the base {chosen}", why, operations, chosen)


def _with_weights(repository: Repository, by: Caller, head: Revision, repaired: Mended) -> Repair:
    stored = weights.store(repository, repaired)
    if open_proposal := _pending_with(repository, WEIGHTS, stored.sha256):
        return _open_already(repository, head, open_proposal)
    why = f"{' '.join(repaired.deeds)} No value of a tensor changes, and nothing is trained again."
    operations: list[Operation] = [stored, *map(Deletion, repaired.removed)]
    return _opened(repository, by, head, weights.TITLE, why, operations, _base_of(head))


def _without_private_data(repository: Repository, by: Caller, head: Revision, redacted: Redacted) -> Repair:
    if open_proposal := weights.pending(repository, by.user, PRIVACY_TITLE):
        return _open_already(repository, head, open_proposal)
    why = _why_private(redacted)
    return _opened(repository, by, head, PRIVACY_TITLE, why, operations(repository, redacted), _base_of(head))


def _private(entries: Mapping[str, Entry]) -> Redacted:
    """Return the files of a revision without what is private; false if nothing can be removed."""
    return redact(facts.file_openers(entries), weights.MAX_BYTES)


def _require_private(entries: Mapping[str, Entry]) -> Redacted:
    """Return the same. Raises ValueInvalid if nothing can be removed."""
    redacted = _private(entries)
    if not redacted:
        left = f" What is private must be changed by hand: {'; '.join(redacted.left[:5])}." if redacted.left else ""
        raise ValueInvalid(
            f"The hub found no private data that it can remove.{left}",
            fix="The verdict lists every place under privacy.secret and privacy.training-data.",
        )
    return redacted


def _why_private(redacted: Redacted) -> str:
    parts = [f"Removed, with no value of a tensor changed:\n\n{_listed(redacted.removed)}"]
    if redacted.left:
        parts.append(f"Left, to be changed by hand:\n\n{_listed(redacted.left)}")
    return "\n\n".join([*parts, HISTORY])


def _listed(sentences: list[str]) -> str:
    more = len(sentences) - MAX_LISTED
    lines = [f"- {sentence}" for sentence in sentences[:MAX_LISTED]]
    return "\n".join([*lines, *([f"- and {more} more"] if more > 0 else [])])


def _base_of(head: Revision) -> str:
    return configs.text(stored_facts.revision_facts(head, pull.entries(head)).config, FIELD) or ""


def _open_already(repository: Repository, head: Revision, proposal: Discussion) -> Repair:
    return Repair(proposal, refs.resolve_ref(repository, proposal.ref), _base_of(head), is_new=False)


def _opened(
    repository: Repository, by: Caller, head: Revision, title: str, why: str, operations: Iterable[Operation], base: str
) -> Repair:
    intent = Intent(repository, MAIN, by, title, why, parent=head.oid, propose=True)
    ref = push.receive(intent, operations)
    proposal = repository.discussions.get(number=ref.name.removeprefix(refs.PULL_REQUESTS))
    return Repair(proposal, ref.revision, base, is_new=True)


def _why(current: str, chosen: str, config: configs.Config) -> str:
    if not config_views.is_baseless(config):
        return (
            f"`{configs.NAME}` names `{current[:200]}`, which is another name, or a quantised copy, of `{chosen}`. "
            f"With that name every loader and every server finds the base. Nothing else changes."
        )
    place = f"names `{current[:200]}`, a path on the machine that trained it" if current else "names no base"
    return (
        f"`{configs.NAME}` {place}; it exists nowhere else. By its names and shapes the adapter fits "
        f"`{chosen}`, so this names it. Shapes cannot distinguish fine-tunes of one model: merge it if "
        "this is the base it was trained on. Nothing else changes."
    )


def _view(revision: Revision, path: str, view: str, base: str) -> tuple[str, str]:
    derived = config_views.derive(pull.entries(revision), path, view, base=base)
    return derived.text, derived.label


FEATURE = Feature(file_view=_view)
