"""Writes the repositories of a source to a hub: every commit, then names; commits that are there are not sent again.

A commit that was imported says in its message which one it was at its source. So a run that was stopped goes on where
it stopped, from any machine, and a later run brings what is new. Nothing that was pushed here is replaced.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from dovetail import ids, places
from dovetail.adapters.checks import checks_of, opened
from dovetail.adapters.files.header import Opener, SeekableFile
from dovetail.adapters.formats.description import contents, judged
from dovetail.adapters.results.findings import run
from dovetail.api import local_checks, upload
from dovetail.api.client import Client
from dovetail.ids import MAIN
from dovetail.moves.hubs import Hub, patiently
from dovetail.moves.records import MAX_TITLE, Commit, File, Repository, Source, fetch, id_at_source
from dovetail.problems import FORBIDDEN, MISSING, Problem

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ROUNDS = 5  # of reading a source to which others push meanwhile
LARGEST_LOOK = 4 << 20  # bytes of a file that are read where it is; what needs more is checked once it has arrived
HERE = "Imported"  # how the reason of an alias begins that an import set

Tell = Callable[[str], None]


@dataclass
class Outcome:
    """The result of moving one repository: the number of things written, and the reason of each that was left out."""

    name: str
    into: str
    commits: int = 0
    files: int = 0
    bytes: int = 0
    names: int = 0
    revision: str = ""
    verdict: str = ""
    reasons: list[str] = field(default_factory=list)
    done: str = "imported"  # what a repository is of which something was written

    def leave(self, reason: str) -> None:
        """Note what is left out, once."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    @property
    def state(self) -> str:
        if self.reasons:
            return "in part" if self.revision else "left out"
        return self.done if self.commits or (self.names and self.done == "imported") else "up to date"

    def document(self) -> dict[str, object]:
        """Return the outcome for programs."""
        return {name: value for name, value in vars(self).items() if name != "done"} | {"state": self.state}


class Mover:
    """Moves repositories of one source into a namespace of a hub. Its methods return reasons, and raise no Problem."""

    def __init__(self, source: Source, caller: Client, to: str, tell: Tell) -> None:
        self.source, self.caller, self._tell = source, caller, tell
        self.target = Hub(caller.endpoint, caller.token, to)

    def move(self, name: str) -> Outcome:
        """Bring the commits, branches, tags and yanks of a repository."""
        outcome = Outcome(name, self.target.id_of(name))
        try:
            there = self.source.read(name)
            for _ in range(ROUNDS):
                _Move(self, there, outcome).bring()
                before, there = there, self.source.read(name)
                if (before.branches, before.tags) == (there.branches, there.tags):
                    break
        except Problem as problem:
            outcome.leave(str(problem))
        self._tell(f"{outcome.into}: {outcome.state}, {outcome.commits} commits, {outcome.names} names")
        return outcome

    def conclude(self, outcome: Outcome, *, wait: bool, timeout: float | None = None) -> None:
        """Read the verdict of main, then set aliases and releases, which need verdicts."""
        if not outcome.revision:
            return
        try:
            verdict = self.caller.verdict(outcome.into, outcome.revision, wait=wait, timeout=timeout)
            outcome.verdict = verdict.state
        except Problem as problem:
            if problem.code != "verdict-not-applicable":
                outcome.leave(str(problem))
        try:
            _Move(self, self.source.read(outcome.name), outcome).set_names()
        except Problem as problem:
            outcome.leave(str(problem))

    def plan(self, name: str) -> Outcome:
        """Return what `move` would bring, and what a hub would refuse; only parts of files are read."""
        outcome = Outcome(name, self.target.id_of(name))
        try:
            there = self.source.read(name)
            _Move(self, there, outcome).foresee()
        except Problem as problem:
            outcome.leave(str(problem))
        self._tell(f"{outcome.into}: {outcome.state}, {outcome.commits} commits, {outcome.names} names")
        return outcome


class _Move:
    """One repository at its source, with what is here of it."""

    def __init__(self, mover: Mover, there: Repository, outcome: Outcome) -> None:
        self._source, self._caller, self._target = mover.source, mover.caller, mover.target
        self._there, self._outcome = there, outcome
        self._name, self._id, self._origin = there.name, outcome.into, mover.source.origin(there.name)
        self._api = upload.api_of(mover.caller.endpoint, mover.caller.token)
        self._here_by_id: dict[str, str] = {}  # commit at the source → commit here
        self._id_by_here: dict[str, str] = {}
        self._branches: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._root = ""  # the commit with which a hub begins a repository

    # --- what is here ------------------------------------------------------------------------------------------------
    def _read_here(self) -> Repository | None:
        """Read the commits that were imported before; return the repository, None where there is none yet."""
        try:
            here = self._target.read(self._name)
        except Problem as problem:
            if problem.exit_status not in (MISSING, FORBIDDEN):
                raise
            return None
        self._branches, self._tags = dict(here.branches), dict(here.tags)
        for head in dict.fromkeys((*here.branches.values(), *here.tags.values())):
            if head in self._id_by_here:
                continue
            history = self._target.history(self._name, head)
            self._root = self._root or history[0].id
            for commit in history:
                if id := id_at_source(commit.message, self._origin):
                    self._note(id, commit.id)
        return here

    def _note(self, id: str, here: str) -> None:
        self._here_by_id.setdefault(id, here)
        self._id_by_here[here] = id

    def _require_ours(self) -> None:
        """Raise Problem if the repository here has versions, and none is from this source."""
        if not self._here_by_id and self._branches.get(MAIN) != self._root:
            raise Problem(
                f"{self._id} is here already, with versions that do not come from {self._origin}.",
                "Import into another namespace with --to, or delete it.",
                code="client-not-imported",
            )

    # --- commits -----------------------------------------------------------------------------------------------------
    def bring(self) -> None:
        """Bring what is not here yet of all branches and tags."""
        here = self._read_here()
        if here is None:
            self._create()
        else:
            self._require_ours()
            self._narrow(here)
        branches = sorted(self._there.branches.items(), key=lambda item: (item[0] != MAIN, item[0]))
        for branch, id in branches:
            with self._noting(f"Branch {branch}"):
                self._bring_branch(branch, id)
        self._outcome.revision = self._branches.get(MAIN, "")
        for tag, id in self._there.tags.items():
            with self._noting(f"Tag {tag}"):
                self._bring_tag(tag, id)
        for branch, id in branches:
            with self._noting(f"Yanks of {branch}"):
                self._bring_yanks(branch, id)

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Note a Problem of one part of a repository as a reason; the other parts go on."""
        try:
            yield
        except Problem as problem:
            self._outcome.leave(f"{what}: {problem}")

    def _create(self) -> None:
        """Create the repository no wider than it is at its source, before it holds anything."""
        there = self._there
        with upload.problems(self._caller.endpoint, self._id):
            patiently(lambda: self._api.create_repo(self._id, private=there.is_private or bool(there.gate)))
        if there.gate:
            self._change(gated=there.gate)
            if not there.is_private:
                self._change(private=False)
        self._read_here()

    def _narrow(self, here: Repository) -> None:
        """Hide and gate the repository here as it is at its source; what is narrower here stays."""
        if self._there.is_private and not here.is_private:
            self._change(private=True)
        if self._there.gate and not here.gate:
            self._change(gated=self._there.gate)
            if not self._here_by_id and here.is_private and not self._there.is_private:  # its creation was cut short
                self._change(private=False)

    def _change(self, **settings: str | bool) -> None:
        with upload.problems(self._caller.endpoint, self._id):
            patiently(lambda: self._api.update_repo_settings(self._id, **settings))  # type: ignore[arg-type]

    def _bring_branch(self, branch: str, id: str) -> None:
        history = self._source.history(self._name, id)
        at, tip = self._start(branch, history)
        before = self._source.files(self._name, history[at].id) if at >= 0 else self._target.files(self._name, tip)
        places.cache().mkdir(parents=True, exist_ok=True)
        for commit in history[at + 1 :]:
            with tempfile.TemporaryDirectory(prefix="import-", dir=places.cache()) as folder:
                try:
                    after = self._arrive(commit, before, Path(folder))
                except Problem as problem:
                    if problem.exit_status not in (MISSING, FORBIDDEN):
                        raise
                    self._outcome.leave(f"Version {commit.id[:12]}: {problem}")  # the source keeps it from us
                    continue
                tip = self._send(branch, tip, commit, before, after, Path(folder))
            before = after
            self._note(commit.id, tip)
            self._branches[branch] = tip
        self._branches[branch] = tip

    def _arrive(self, commit: Commit, before: Mapping[str, File], folder: Path) -> Mapping[str, File]:
        """Fetch what a commit changes into a folder; return all of its files."""
        after = self._source.files(self._name, commit.id)
        ids.check_paths(after, self._origin)
        for path, file in after.items():
            if before.get(path) != file:
                fetch(self._source, self._name, commit.id, path, file, folder / path)
        return after

    def _start(self, branch: str, history: Sequence[Commit]) -> tuple[int, str]:
        """Return the place in a history that a branch here is at, and its commit; -1 before the first."""
        tip = self._branches.get(branch)
        order = {commit.id: at for at, commit in enumerate(history)}
        if tip is None:
            at = max((at for id, at in order.items() if id in self._here_by_id), default=-1)
            start = self._here_by_id[history[at].id] if at >= 0 else self._root
            with upload.problems(self._caller.endpoint, self._id):
                patiently(lambda: self._api.create_branch(self._id, branch=branch, revision=start))
            return at, start
        if tip == self._root:
            return -1, tip
        id = self._id_by_here.get(tip)
        if id is None:
            raise Problem("it has commits here that do not come from there.", "Delete it, or push to another branch.")
        if id not in order and not self._source.keeps_history:
            return -1, tip
        if id not in order:
            raise Problem("its history was rewritten at the source.", "Delete it here, and import it again.")
        return order[id], tip

    def _send(
        self, branch: str, tip: str, commit: Commit, before: Mapping[str, File], after: Mapping[str, File], folder: Path
    ) -> str:
        """Write a commit onto the tip of a branch and return its id; the tip's where nothing differs."""
        changed = [path for path, file in after.items() if before.get(path) != file]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationDelete(path) for path in before if path not in after),
            *(CommitOperationAdd(path, folder / path) for path in changed),
        ]
        if not operations:
            return tip
        with upload.problems(self._caller.endpoint, self._id, "upload"):
            written = patiently(
                lambda: self._api.create_commit(
                    self._id,
                    operations,
                    commit_message=commit.title[:MAX_TITLE] or "Untitled",
                    commit_description=commit.description(self._origin),
                    revision=branch,
                    parent_commit=tip,
                )
            )
        if written.oid != tip:
            self._outcome.commits += 1
            self._outcome.files += len(changed)
            self._outcome.bytes += sum(after[path].size for path in changed)
        return written.oid

    # --- names -------------------------------------------------------------------------------------------------------
    def _bring_tag(self, tag: str, id: str) -> None:
        branch = f"import-{id[:12]}"
        if id not in self._here_by_id:  # no branch leads to it
            self._bring_branch(branch, id)
        try:
            here = self._here_of(id)
            if tag not in self._tags:
                with upload.problems(self._caller.endpoint, self._id):
                    patiently(lambda: self._api.create_tag(self._id, tag=tag, revision=here))
                self._tags[tag] = here
                self._outcome.names += 1
            elif self._tags[tag] != here:
                raise Problem(f"it names {self._tags[tag][:12]} here, and at the source what is {here[:12]} here.")
        finally:
            if branch in self._branches:
                with upload.problems(self._caller.endpoint, self._id):
                    patiently(lambda: self._api.delete_branch(self._id, branch=branch))
                del self._branches[branch]

    def _bring_yanks(self, branch: str, id: str) -> None:
        reasons = {
            self._here_by_id[one]: reason
            for one, reason in self._source.yanked(self._name, id).items()
            if one in self._here_by_id
        }
        if reasons:
            known = self._target.yanked(self._name, self._branches[branch])
            for here, reason in reasons.items():
                if here not in known:
                    self._caller.yank(f"{self._id}@{here}", reason)
                    self._outcome.names += 1

    def set_names(self) -> None:
        """Set aliases and make releases of versions that passed, or that were forced at the source."""
        there = self._there
        if not (there.aliases or there.releases):
            return
        here = self._read_here()
        assert here is not None
        set_here = {alias.name: alias for alias in here.aliases}
        for alias in there.aliases:
            with self._noting(f"Alias {alias.name}"):
                before, oid = set_here.get(alias.name), self._here_of(alias.id)
                if before is None or (before.id != oid and before.reason.startswith(HERE)):
                    reason = f"{HERE} from {self._origin}" + (f": {alias.reason}" if alias.reason else "")
                    self._caller.alias(f"{self._id}@{oid}", alias.name, reason=reason, force=alias.is_forced)
                    self._outcome.names += 1
        made = {release.tag for release in here.releases}
        for release in there.releases:
            if release.tag not in made:
                with self._noting(f"Release {release.tag}"):
                    self._caller.release(
                        f"{self._id}@{self._here_of(there.tags[release.tag])}",
                        release.tag,
                        title=release.title,
                        notes=release.notes,
                        prerelease=release.is_prerelease,
                    )
                    self._outcome.names += 1

    def _here_of(self, id: str) -> str:
        if id not in self._here_by_id:
            raise Problem(f"its version {id[:12]} is not here.", "Import again once its version is here.")
        return self._here_by_id[id]

    # --- a dry run ---------------------------------------------------------------------------------------------------
    def foresee(self) -> None:
        """Count what is new, and note what would be refused."""
        if self._read_here() is not None:
            self._require_ours()
        new = set[str]()
        for id in {**self._there.branches, **self._there.tags}.values():
            commits = [commit.id for commit in self._source.history(self._name, id)]
            known = max((at for at, one in enumerate(commits) if one in self._here_by_id), default=-1)
            new.update(commits[known + 1 :])
        self._outcome.commits = len(new)
        self._outcome.names = len(self._there.tags.keys() - self._tags.keys())
        head = self._there.branches.get(MAIN, "")
        if head in new:
            files = self._source.files(self._name, head)
            self._outcome.files, self._outcome.bytes = len(files), sum(file.size for file in files.values())
            ids.check_paths(files, self._origin)
            with upload.problems(self._source.address, self._name, "download"):
                self._outcome.reasons += failures(files, self._source.openers(self._name, head))


# --- checks of files that stay where they are -------------------------------------------------------------------------
class _TooMuch(Exception):
    """A check needs more of a file than is read where it is."""


class _Part(SeekableFile):
    """A file elsewhere, of which only some of the bytes may be read."""

    def __init__(self, opener: Opener, size: int) -> None:
        super().__init__(size)
        self._opener, self._left = opener, LARGEST_LOOK

    @cached_property
    def _file(self) -> BinaryIO:
        return self._opener()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        self._left -= len(view)
        if self._left < 0:
            raise _TooMuch
        self._file.seek(self._at)
        found = self._file.read(len(view))
        view[: len(found)] = found
        self._at += len(found)
        return len(found)


def failures(files: Mapping[str, File], openers: Mapping[str, Opener]) -> Iterator[str]:
    """Yield what the static checks refuse, as far as it can be seen in small files and the headers of large ones."""
    parts = {path: _part(opener, files[path].size) for path, opener in openers.items()}
    card = local_checks.read_card(parts)
    for place in judged(contents(parts)):
        try:
            folder = opened(parts, card, place=place)
        except _TooMuch:  # a pickle, which is read whole once it is here
            continue
        failed: set[str] = set()
        for check in checks_of(folder):
            with suppress(_TooMuch):
                (result,) = run([check], folder, failed)
                if result.outcome == "failed":
                    failed.add(check.id)
                    yield f"{check.id}: {result.message}"


def _part(opener: Opener, size: int) -> Opener:
    return lambda: cast("BinaryIO", _Part(opener, size))
