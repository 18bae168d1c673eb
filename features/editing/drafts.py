"""The draft of an adapter: its files are stored, and the session of who uploads it lists them; it has no repository.

Only the hub writes a session, so whatever its list names was sent by this person: it gives the right to those bytes.
A draft lasts as long as the session, but for a day after which bytes that no commit names are swept.
"""

from collections.abc import Callable, Mapping, Sequence

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction

from features.editing import staged_files
from features.editing.staged_files import Source, Staged
from registry.bytes import intake
from registry.bytes.blobs import Digest
from registry.kernel.policy import Caller
from registry.models import Blob, Ref
from registry.publish import plans, push, repositories
from registry.publish.push import Inline, Intent
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

_KEY = "draft"


def files(session: SessionBase) -> list[Staged]:
    """Return the files of the draft whose bytes are still here."""
    listed = [Staged(*row) for row in session.get(_KEY, ())]
    sizes = dict(Blob.objects.filter(pk__in={file.sha256 for file in listed}).values_list("pk", "size"))
    return [file for file in listed if sizes.get(file.sha256) == file.size]


def keep(session: SessionBase, draft: Sequence[Staged]) -> None:
    """Let the draft be these files; without any there is none."""
    session[_KEY] = [(file.path, file.sha256, file.size) for file in draft]
    if not draft:
        del session[_KEY]


def add(session: SessionBase, sources: Sequence[Source], by: Caller, count: Callable[[int], None]) -> None:
    """Store files, and put them into the draft in place of those of the same paths. Raises what `stage` raises."""
    draft = {file.path: file for file in files(session)}
    draft |= {file.path: file for file in staged_files.stage(None, MAIN, sources, by, count)}
    staged_files.check_list(list(draft))
    keep(session, list(draft.values()))


def entries(draft: Sequence[Staged]) -> dict[str, Entry]:
    """Return the files as they would lie in a repository (path → entry), small ones without their `git_oid`."""
    return {file.path: staged_files.entry_of(file, is_lfs=plans.is_heavy(file.path, file.size)) for file in draft}


def publish(full_name: str, draft: Sequence[Staged], changed: Mapping[str, bytes], by: Caller, *, private: bool) -> Ref:
    """Create the repository with these files as its first version, and with `changed` (path → content) among them.

    Both or neither: nobody ever meets it empty. Raises what repositories.create and push.receive raise.
    """
    kept = [file for file in draft if file.path not in changed]
    operations = [*staged_files.operations(kept, entries(kept)), *(Inline(*one) for one in changed.items())]
    with transaction.atomic():
        made = repositories.create(full_name, by, private=private)
        intake.register_blobs(made, *(Digest(file.sha256, file.size) for file in kept))
        return push.receive(Intent(made, MAIN, by, staged_files.FIRST_TITLE), operations)
