"""Push, pull and verdicts in Python, over one hub; what the command line prints is in `cli`."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dovetail import fetching, places, verdict
from dovetail.fetching import Progress, ignore
from dovetail.problems import Problem, usage
from dovetail.transport import Transport
from dovetail.verdict import Verdict

MAIN = "main"
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks at an unfinished verdict
PATIENCE_SECONDS = 30.0  # how long a hub may not answer while somebody waits, as when it is restarted


@dataclass(frozen=True)
class Pushed:
    """Where a push arrived: the commit, its page, and its verdict where somebody waited for it."""

    adapter: str
    revision: str
    url: str
    verdict: Verdict | None = None


class Client:
    """A hub as one caller sees it; what is not given is found as the command line finds it. Verbs raise Problem."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self.endpoint = places.endpoint(endpoint)
        self.token = places.token(self.endpoint, token)
        self._transport = Transport(self.endpoint, self.token)

    def me(self) -> dict[str, Any]:
        """Return who the token belongs to."""
        if self.token is None:
            raise Problem(
                f"You are not signed in at {self.endpoint}.",
                f"Make a token at {self.endpoint}/settings/tokens and run `dovetail login`.",
                code="client-token-missing",
            )
        return self._transport.get("/me", {"name": str, "organizations": list})

    def adapter(self, adapter: str) -> dict[str, Any]:
        """Return the facts of an adapter."""
        return self._transport.get(_path(adapter), {"id": str})

    def manifest(self, adapter: str, revision: str = MAIN) -> dict[str, Any]:
        """Return what a revision holds: `revision` (40 hex), `files` with size in bytes and sha256, config, base."""
        return self._transport.get(_path(adapter, revision), {"revision": str, "files": list})

    def push(
        self,
        path: str | Path,
        adapter: str,
        *,
        message: str | None = None,
        branch: str = MAIN,
        private: bool | None = None,
        wait: bool = False,
        show_progress: bool = False,
    ) -> Pushed:
        """Push a folder as the next revision of an adapter, made if it is not there; files it does not name stay."""
        check_adapter(adapter)
        folder = _folder(path)
        self.me()
        # huggingface_hub takes 0.3 s to import, which is more than all else together, and only a push needs it.
        from dovetail import pushing  # noqa: PLC0415  # only a push pays for huggingface_hub

        revision = pushing.push(
            self.endpoint,
            self.token,
            folder,
            adapter,
            message=message,
            branch=branch,
            private=private,
            show_progress=show_progress,
        )
        found = self.verdict(adapter, revision, wait=True) if wait else None
        return Pushed(adapter, revision, f"{self.endpoint}/{adapter}/tree/{revision}", found)

    def pull(
        self, adapter: str, to: str | Path | None = None, *, revision: str = MAIN, progress: Progress = ignore
    ) -> Path:
        """Bring a revision's files to `to` (./NAME), each checked against the manifest's sha256; return the folder."""
        check_adapter(adapter)
        return self.fetch(adapter, self.manifest(adapter, revision), to, progress=progress)

    def fetch(
        self, adapter: str, manifest: Mapping[str, Any], to: str | Path | None = None, *, progress: Progress = ignore
    ) -> Path:
        """Bring the files of a manifest, as `pull` does with the one it asks for."""
        base = _path(adapter, manifest["revision"])
        # The folder is named by who asks: a hub that may name it could have it written anywhere.
        folder = Path(to) if to is not None else Path(adapter.partition("/")[2])
        files = fetching.wanted(manifest["files"])
        return fetching.fetch(self._transport, lambda path: f"{base}/files/{quote(str(path))}", files, folder, progress)

    def verdict(self, adapter: str, revision: str = MAIN, *, wait: bool = False) -> Verdict:
        """Return what was proven about a revision; with `wait`, once it is finished."""
        check_adapter(adapter)
        *_, last = self.verdicts(adapter, revision) if wait else [self._verdict(adapter, revision)]
        return last

    def verdicts(self, adapter: str, revision: str = MAIN) -> Iterator[Verdict]:
        """Yield the verdict each time it has changed, until it is finished."""
        check_adapter(adapter)
        seen: Verdict | None = None
        pause = FIRST_PAUSE
        while True:
            # A branch may move while we wait: what is waited for is the commit that was there at first.
            now = self._patient_verdict(adapter, seen.revision if seen else revision)
            if now != seen:
                yield now
                pause = FIRST_PAUSE
            if now.finished:
                return
            seen = now
            time.sleep(pause)
            pause = min(pause * 1.3, LONGEST_PAUSE)

    def fit(self, path: str | Path) -> dict[str, Any]:
        """Return which of the hub's bases the adapter in a folder fits, and why not the others; nothing is pushed."""
        folder = _folder(path)
        from dovetail import fits  # noqa: PLC0415  # no other command needs what it knows of files

        return fits.ask(self._transport, folder)

    def repair(self, adapter: str, base: str = "") -> dict[str, Any]:
        """Open a pull request that names the base in an adapter's config: `url`, `number`, `title`, `base`."""
        check_adapter(adapter)
        wanted = {"url": str, "number": int, "title": str, "base": str}
        return self._transport.post(f"{_path(adapter)}/repair", {"base": base}, wanted)

    def _verdict(self, adapter: str, revision: str) -> Verdict:
        return verdict.read(self._transport.get(f"{_path(adapter, revision)}/verdict", {"state": str, "checks": list}))

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
    """Return what the static checks say of the adapter in a folder, without a hub. Raises Problem."""
    # The checks and YAML double the time in which every other command starts.
    from dovetail import checking  # noqa: PLC0415  # only a check pays for PyYAML

    return checking.check(_folder(path))


def push(
    path: str | Path, adapter: str, *, endpoint: str | None = None, token: str | None = None,
    message: str | None = None, private: bool | None = None, wait: bool = False,
) -> Pushed:  # fmt: skip
    """Push a folder to NAMESPACE/NAME; with `wait`, the answer holds the finished verdict. Raises Problem."""
    return Client(endpoint, token).push(path, adapter, message=message, private=private, wait=wait)


def pull(
    adapter: str,
    to: str | Path | None = None,
    *,
    revision: str = MAIN,
    endpoint: str | None = None,
    token: str | None = None,
) -> Path:
    """Bring NAMESPACE/NAME here, every byte checked, and return its folder. Raises Problem."""
    return Client(endpoint, token).pull(adapter, to, revision=revision)


def check_adapter(adapter: str) -> None:
    """Raise Problem unless this looks like NAMESPACE/NAME."""
    namespace, slash, name = adapter.partition("/")
    if not (namespace and slash and name) or "/" in name or {namespace, name} & {".", ".."}:
        raise usage(f"{adapter!r} is no adapter's id.", "Write it as NAMESPACE/NAME, as in alice/reviews-lora.")


def _folder(path: str | Path) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "does not exist"
        raise usage(f"{folder} {why}.", "Name the folder that holds adapter_config.json.")
    return folder


def _path(adapter: str, revision: str | None = None) -> str:
    path = f"/adapters/{quote(adapter)}"
    return path if revision is None else f"{path}/revisions/{quote(revision, safe='')}"
