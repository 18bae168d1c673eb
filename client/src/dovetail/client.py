"""Push, pull and verdicts of one hub in Python; the command line in `cli` is built on it."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dovetail import answers, fetching, manifests, places, verdict
from dovetail.fetching import Progress, ignore
from dovetail.ids import MAIN, check_adapter
from dovetail.problems import UNAUTHORIZED, Problem, not_signed_in, usage
from dovetail.transport import Transport
from dovetail.verdict import Verdict

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks at an unfinished verdict
PATIENCE_SECONDS = 30.0  # how long a wait tolerates a hub that does not answer, as during a restart


@dataclass(frozen=True)
class Pushed:
    """The result of a push: the commit, its page, and its verdict if the push waited for one."""

    adapter: str
    revision: str
    url: str
    verdict: Verdict | None = None
    pull_request: str | None = None  # its address, after a push with `create_pr`
    rewritten: tuple[str, ...] = ()  # files that were sent with another base than the folder's


class Client:
    """A hub as one caller sees it; endpoint and token default to the command line's. Methods raise Problem."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self.endpoint = places.endpoint(endpoint)
        self.token = places.token(self.endpoint, token)
        self.transport = Transport(self.endpoint, self.token)

    def me(self) -> answers.Me:
        """Return the account that the token belongs to."""
        try:
            return self.transport.get("/me", answers.Me)
        except Problem as problem:  # asked without a token too: an address that does not answer is the first mistake
            if self.token is None and problem.status == UNAUTHORIZED:
                raise not_signed_in(self.endpoint) from None
            raise

    def adapter(self, adapter: str) -> answers.AdapterFacts:
        """Return the facts of an adapter."""
        return self.transport.get(_path(adapter), answers.AdapterFacts)

    def manifest(self, adapter: str, revision: str = MAIN) -> answers.Manifest:
        """Return a revision's manifest: `revision` (40 hex), `files` with size in bytes and sha256, config, base."""
        check_adapter(adapter)
        return self.transport.get(_path(adapter, revision), answers.Manifest)

    def push(
        self,
        path: str | Path,
        adapter: str,
        *,
        message: str | None = None,
        branch: str = MAIN,
        private: bool | None = None,
        base: str = "",
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        delete: Sequence[str] = (),
        create_pr: bool = False,
        wait: bool = False,
        timeout: float | None = None,
        show_progress: bool = False,
    ) -> Pushed:
        """Push a folder in one commit as the next revision of an adapter, created if needed; other files stay.

        `base` is named in the configs that are sent, not in the folder; `include` and `exclude` choose files, `delete`
        the remote files that go, all by patterns. A branch is created if needed. With `wait` the result holds the
        verdict: finished, or as it is after `timeout` seconds.
        """
        check_adapter(adapter)
        folder = _folder(path)
        self.me()
        # Importing huggingface_hub takes 0.3 s, more than everything else together.
        from dovetail import payload, pushing  # noqa: PLC0415  # only a push pays for huggingface_hub

        parcel = payload.collect(folder, include=include, exclude=exclude, base=base)
        landed = pushing.push(
            self.endpoint,
            self.token,
            parcel,
            adapter,
            message=message or f"Push {folder.resolve().name}",
            branch=branch,
            private=private,
            delete=delete,
            create_pr=create_pr,
            show_progress=show_progress,
        )
        verdict = self.verdict(adapter, landed.oid, wait=True, timeout=timeout) if wait else None
        url = f"{self.endpoint}/{adapter}/tree/{landed.oid}"
        return Pushed(adapter, landed.oid, url, verdict, landed.pull_request, parcel.rewritten)

    def pull(
        self,
        adapter: str,
        to: str | Path | None = None,
        *,
        revision: str = MAIN,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        is_linked: bool = False,
        progress: Progress = ignore,
    ) -> Path:
        """Download a revision to `to` (./NAME), each file checked against the manifest's sha256; return the folder.

        `include` and `exclude` choose files by patterns. The bytes come through the cache of huggingface_hub, from
        which they are copied, or with `is_linked` hard-linked: then nobody should edit them.
        """
        manifest = self.manifest(adapter, revision)
        files = manifests.select(manifests.parse_files(manifest["files"]), include, exclude)
        return self.fetch(adapter, manifest["revision"], files, to, is_linked=is_linked, progress=progress)

    def fetch(
        self, adapter: str, commit: str, files: Sequence[manifests.ManifestFile], to: str | Path | None = None, *,
        is_linked: bool = False, progress: Progress = ignore,
    ) -> Path:  # fmt: skip
        """Download files of a commit, as `pull` does after it has asked for the manifest."""
        # The caller names the folder: a hub that could name it could have files written anywhere.
        folder = Path(to) if to is not None else Path(adapter.partition("/")[2])
        source = fetching.Source(self.transport, adapter, commit)
        return fetching.fetch(source, files, folder, progress, is_linked=is_linked)

    def verdict(
        self, adapter: str, revision: str = MAIN, *, wait: bool = False, timeout: float | None = None
    ) -> Verdict:
        """Return the verdict of a revision; with `wait`, once it is finished, or as it is after `timeout` seconds."""
        check_adapter(adapter)
        *_, last = self.verdicts(adapter, revision, timeout=timeout) if wait else [self._verdict(adapter, revision)]
        return last

    def verdicts(self, adapter: str, revision: str = MAIN, *, timeout: float | None = None) -> Iterator[Verdict]:
        """Yield the verdict each time it has changed, until it is finished or `timeout` seconds have gone by."""
        check_adapter(adapter)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        previous: Verdict | None = None
        pause = FIRST_PAUSE
        while True:
            # A branch may move while we wait: keep waiting for the commit that it pointed to at first.
            current = self._patient_verdict(adapter, previous.revision if previous else revision)
            if current != previous:
                yield current
                pause = FIRST_PAUSE
            if current.finished or time.monotonic() >= deadline:
                return
            previous = current
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.3, LONGEST_PAUSE)

    def fit(self, path: str | Path) -> answers.FitAnswer:
        """Return the hub's bases that the adapter in a folder fits, and why not the others; nothing is pushed."""
        folder = _folder(path)
        from dovetail import fits  # noqa: PLC0415  # no other command needs the format library

        return fits.ask(self.transport, folder)

    def repair(self, adapter: str, base: str = "") -> answers.PullRequest:
        """Open a pull request that names the base in an adapter's config: `url`, `number`, `title`, `base`."""
        check_adapter(adapter)
        return self.transport.post(f"{_path(adapter)}/repair", {"base": base}, answers.PullRequest)

    def merge(self, adapter: str, number: int) -> str:
        """Merge a pull request and return the commit that main is at then."""
        check_adapter(adapter)
        from dovetail import repositories  # noqa: PLC0415  # as in push

        repositories.merge(self, adapter, number)
        return self.manifest(adapter)["revision"]

    def report(
        self, adapter: str, reason: str, *, revision: str = "", file: str = "", text: str = ""
    ) -> answers.FiledReport:
        """Report an adapter, one revision, or a file of it to the moderators, who alone read it."""
        check_adapter(adapter)
        about: dict[str, Any] = {"adapter": adapter, "revision": revision or None}
        if file:
            about = {"target": {"type": "file", "id": f"{adapter}@{revision or MAIN}:{file}"}}
        return self.transport.post("/reports", {**about, "reason": reason, "text": text}, answers.FiledReport)

    def yank(self, adapter: str, revision: str, reason: str = "", *, undo: bool = False) -> answers.YankState:
        """Say that nobody should use a revision, for a reason that everybody reads; with `undo`, take that back."""
        check_adapter(adapter)
        deed = "unyank" if undo else "yank"
        return self.transport.post(
            f"{_path(adapter)}/{deed}", {"revision": revision, "reason": reason}, answers.YankState
        )

    def aliases(self, adapter: str) -> answers.AliasList:
        """Return the aliases of an adapter."""
        check_adapter(adapter)
        return self.transport.get(f"{_path(adapter)}/aliases", answers.AliasList)

    def set_alias(
        self, adapter: str, alias: str, revision: str, *, reason: str = "", force: bool = False
    ) -> answers.AliasFacts:
        """Set or move an alias to a revision that passed; `force`, with a reason, also to another one."""
        body = {"revision": revision, "reason": reason, "force": force}
        return self.transport.put(_alias_path(adapter, alias), body, answers.AliasFacts)

    def roll_back_alias(self, adapter: str, alias: str, reason: str = "") -> answers.AliasFacts:
        """Move an alias back to the revision that it named before."""
        return self.transport.post(f"{_alias_path(adapter, alias)}/rollback", {"reason": reason}, answers.AliasFacts)

    def remove_alias(self, adapter: str, alias: str) -> None:
        """Remove an alias."""
        self.transport.delete(_alias_path(adapter, alias))

    def _verdict(self, adapter: str, revision: str) -> Verdict:
        return verdict.read(self.transport.get(f"{_path(adapter, revision)}/verdict", answers.VerdictAnswer))

    def _patient_verdict(self, adapter: str, revision: str) -> Verdict:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._verdict(adapter, revision)
            except Problem as problem:
                restarting = problem.code == "client-unreachable" or problem.status in {502, 503, 504}
                if not restarting or time.monotonic() > deadline:
                    raise
            time.sleep(LONGEST_PAUSE)


def check(path: str | Path) -> Verdict:
    """Run the static checks on the adapter in a folder, without a hub. Raises Problem."""
    # Importing the checks and YAML would double the start-up time of every other command.
    from dovetail import checking  # noqa: PLC0415  # only a check pays for PyYAML

    return checking.check(_folder(path))


def push(
    path: str | Path, adapter: str, *, endpoint: str | None = None, token: str | None = None,
    message: str | None = None, branch: str = MAIN, private: bool | None = None, base: str = "",
    include: Sequence[str] = (), exclude: Sequence[str] = (), delete: Sequence[str] = (), create_pr: bool = False,
    wait: bool = False, timeout: float | None = None,
) -> Pushed:  # fmt: skip
    """Push a folder to NAMESPACE/NAME in one commit, as Client.push does. Raises Problem."""
    return Client(endpoint, token).push(
        path, adapter, message=message, branch=branch, private=private, base=base, include=include, exclude=exclude,
        delete=delete, create_pr=create_pr, wait=wait, timeout=timeout,
    )  # fmt: skip


def pull(
    adapter: str,
    to: str | Path | None = None,
    *,
    revision: str = MAIN,
    endpoint: str | None = None,
    token: str | None = None,
) -> Path:
    """Download NAMESPACE/NAME, verify every byte, and return its folder. Raises Problem."""
    return Client(endpoint, token).pull(adapter, to, revision=revision)


def _folder(path: str | Path) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "does not exist"
        raise usage(f"{folder} {why}.", "Name the folder that holds adapter_config.json.")
    return folder


def _path(adapter: str, revision: str | None = None) -> str:
    path = f"/adapters/{quote(adapter)}"
    return path if revision is None else f"{path}/revisions/{quote(revision, safe='')}"


def _alias_path(adapter: str, alias: str) -> str:
    check_adapter(adapter)
    if not alias:
        raise usage("The name of the alias is empty.", "Name it, as in `prod`.")
    return f"{_path(adapter)}/aliases/{quote(alias, safe='')}"
