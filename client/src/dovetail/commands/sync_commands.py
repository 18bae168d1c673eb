"""The commands `dovetail lock` and `dovetail sync`: pin adapters in adapters.lock, and make a folder equal to it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dovetail import ids, locks, places
from dovetail.commands.arguments import Options
from dovetail.hub_reader import ReadingHub
from dovetail.locks import Lock, LockedAdapter
from dovetail.problems import DONE, REFUTED, Problem, local_files, usage
from dovetail.store import engine_folder, folder_sync, trees
from dovetail.store.store import Store

EVERY_SECONDS = 3.0
_OF_LAYOUTS = ("left_out", "start")  # members of the document


def lock(
    context: typer.Context,
    adapters: Annotated[
        list[str] | None, typer.Argument(metavar="NS/NAME[@REV]", help="REV: an alias, branch, tag or commit.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Resolve the names again; without names, all in the lock.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the names from the lock.")] = False,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The lock file.")] = Path(locks.NAME),
    to_stdout: Annotated[bool, typer.Option("--stdout", help="Print the lock and write nothing.")] = False,
) -> None:
    """Pin adapters to commits in adapters.lock: digests, base, engine and flags."""
    options: Options = context.obj
    names = adapters or []
    if not names and not update:
        raise usage("No adapter is named.", "Write: dovetail lock NS/NAME@ALIAS, or dovetail lock --update")
    before = _present(file, is_needed=update or remove)
    after = _changed(options, before, names, update=update, remove=remove)
    if to_stdout:
        options.printer.line(after.text().rstrip("\n"))
        return
    locks.write_file(after, file)
    _print_lock(options, before, after, file)


def _present(file: Path, *, is_needed: bool) -> Lock:
    """Return the lock to change; an empty one where there is none yet and none is needed."""
    is_default = file == Path(locks.NAME)
    if is_needed or file.is_file() or (is_default and Path(locks.OTHER_NAME).is_file()):
        return locks.read_file(locks.find_file(None if is_default else file))
    return Lock("")


def _changed(options: Options, before: Lock, names: list[str], *, update: bool, remove: bool) -> Lock:
    if remove:
        return before.without(before.named(names))
    hub = _connect(options, before)()
    if update:
        return folder_sync.renew(hub, before, before.named(names) if names else None)
    after = folder_sync.add(hub, before, [ids.split(name) for name in names])
    if hub.as_of:
        options.printer.as_of(hub.as_of)
    return after


def _connect(options: Options, lock: Lock) -> Callable[[], ReadingHub]:
    """Return how to reach the hub of a lock. A hub that only the file names gets no token but its own saved one."""

    def connect() -> ReadingHub:
        chosen = places.chosen(options.endpoint)
        if chosen is None and lock.hub:
            endpoint = places.endpoint(lock.hub)
            return ReadingHub(endpoint, options.token or places.saved_token(endpoint))
        endpoint = places.endpoint(options.endpoint)
        return ReadingHub(endpoint, places.token(endpoint, options.token))

    return connect


def _print_lock(options: Options, before: Lock, after: Lock, file: Path) -> None:
    old = {(entry.adapter, entry.asked): entry.revision for entry in before.adapters}
    for entry in after.adapters:
        was = old.get((entry.adapter, entry.asked))
        if was != entry.revision:
            moved = f"{was[:7]} → " if was else ""
            options.printer.note(f"{entry.adapter}@{entry.asked}  {moved}{entry.revision[:7]}{_state(entry)}")
    if options.printer.as_json:
        rows = [
            {"adapter": e.adapter, "asked": e.asked, "revision": e.revision, "state": e.state} for e in after.adapters
        ]
        options.printer.document({"file": str(file), "is_changed": before != after, "adapters": rows})
    else:
        options.printer.line(str(file))


def _state(entry: LockedAdapter) -> str:
    if entry.state == "passed":
        return ""
    return f"  (its verdict: {entry.state})" if entry.state else "  (no verdict yet)"


# --- sync ------------------------------------------------------------------------------------------------------------
def sync(
    context: typer.Context,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder; its contents are replaced.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="LOCK", help="Default: adapters.lock or dovetail.lock.")
    ] = None,
    base: Annotated[bool, typer.Option("--base", help="Include the base models.")] = False,
    frozen: Annotated[bool, typer.Option("--frozen", help="For CI: ask the hub only for missing bytes.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if the folder differs from the lock.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte in the folder again.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running: follow aliases, and remove what is held back.")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="With --watch: how often to ask the hub.")
    ] = EVERY_SECONDS,
    layout: Annotated[
        str, typer.Option(metavar="ENGINE", help="Arrange it for nim, sglang, lorax, tgi or llama.cpp.")
    ] = "",
) -> None:
    """Make a folder equal to a lock, as a whole: readers see the old folder or the new one."""
    options: Options = context.obj
    if watch and (frozen or check):
        raise usage("--watch follows the hub, which --frozen and --check do not ask.", "Omit one of them.")
    if layout and base:
        raise usage(
            "--layout works only for adapters: an engine would read the folder of a base as one.", "Omit --base."
        )
    lock = locks.read_file(locks.find_file(file))
    deed = _Sync(options, to, lock, base=base, verify=verify, layout=layout)
    if check:
        deed.check()
    elif watch:
        deed.follow(every)
    else:
        deed.once(is_frozen=frozen)


class _Sync:
    """One run of the command: a lock, the folder, and the way to the hub."""

    def __init__(self, options: Options, to: Path, lock: Lock, *, base: bool, verify: bool, layout: str) -> None:
        self._printer, self._to, self._lock = options.printer, to, lock
        self._connect = _connect(options, lock)
        self._base, self._verify, self._layout = base, verify, layout
        if layout:
            engine_folder.require_served(lock, engine_folder.lay_out(lock, layout, to), layout)

    def check(self) -> None:
        """Name the files that differ, and exit with 1 if the folder does."""
        difference = folder_sync.compare(
            self._lock,
            self._to,
            self._connect,
            Store(places.cache()),
            with_bases=self._base,
            is_verified=self._verify,
            layout=self._layout,
        )
        is_equal = difference.is_equal
        if self._printer.as_json:
            self._printer.document({"folder": str(self._to), **asdict(difference)})
        else:
            for title, files in (("changed or missing", difference.changed), ("not in the lock", difference.extra)):
                for path in files:
                    self._printer.line(f"{title:<18}  {path}")
            self._printer.note(f"{self._to} {'matches the lock' if is_equal else 'differs from the lock'}.")
        raise typer.Exit(DONE if is_equal else REFUTED)

    def once(self, *, is_frozen: bool) -> None:
        """Make the folder equal to the lock, unless the hub holds something of it back."""
        if not is_frozen and self._lock.since:
            self._refuse_held_back()
        self._print(self._sync(self._lock))

    def _refuse_held_back(self) -> None:
        try:
            gone = folder_sync.held_back(self._connect(), self._lock)
        except Problem as problem:
            self._printer.note(f"{problem.detail} The hub was not asked whether all of this is still good.")
            return
        for name, reason in gone.items():
            raise Problem(
                f"The hub no longer serves {name}: {reason}",
                "Run `dovetail lock --update`, or `dovetail lock --remove`; --frozen does not ask.",
                code="client-held-back",
                status=404,
            )

    def follow(self, every: float) -> None:
        """Keep the folder equal to what the names of the lock mean, until Ctrl-C."""
        follower = folder_sync.Follower(self._connect(), self._lock, trees.record(self._to))
        done = follower.lock if self._attempt(follower.lock) else None
        told = ""
        for seen in folder_sync.rounds(follower, every):
            words = f"{seen.problem.detail} The folder is unchanged." if seen.problem else ""
            if words != told:
                told = words
                self._printer.note(words or "The hub answers again.")
            if not seen.problem and seen.lock != done and self._attempt(seen.lock):
                done = seen.lock

    def _attempt(self, lock: Lock) -> bool:
        """Sync, and say what is in the way; return whether it was done."""
        try:
            self._print(self._sync(lock))
        except Problem as problem:
            self._printer.note(f"{problem.detail} {problem.fix}")
            return False
        except OSError as error:  # a full disk must not end a process that serves the last good folder
            self._printer.note(local_files(error).detail)
            return False
        return True

    def _sync(self, lock: Lock) -> folder_sync.Synced:
        with self._printer.downloads() as progress:
            return folder_sync.sync(
                lock,
                self._to,
                self._connect,
                Store(places.cache()),
                with_bases=self._base,
                is_verified=self._verify,
                layout=self._layout,
                progress=progress,
            )

    def _print(self, synced: folder_sync.Synced) -> None:
        if self._printer.as_json:
            members = {name: value for name, value in asdict(synced).items() if self._layout or name not in _OF_LAYOUTS}
            self._printer.document({**members, "folder": str(synced.folder)})
            return
        for name in synced.removed:
            self._printer.note(f"- {_short(name)}")
        for name in synced.added:
            self._printer.note(f"+ {_short(name)}")
        for path in synced.repaired:
            self._printer.note(f"~ {path} differed from the lock, and was replaced.")
        if not synced.is_changed:
            self._printer.note("Nothing to change.")
        for name, reason in synced.left_out.items():
            self._printer.note(f"{_short(name)} is skipped: {reason}")
        if synced.start:
            self._printer.note(f"Start {self._layout} with: {' '.join(synced.start)}")
        self._printer.line(str(synced.folder))


def _short(name: str) -> str:
    adapter, _, revision = name.partition("@")
    return f"{adapter}@{revision[:7]}"
