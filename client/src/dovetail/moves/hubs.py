"""A hub of the Hub's wire, huggingface.co or a Dovetail, as a source; of a Dovetail also what REST alone tells."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from huggingface_hub import DiscussionComment, HfFileSystem
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import ModelInfo, RepoFile

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.answers.record import Page
from dovetail.answers.versions import Alias as AliasAnswer
from dovetail.answers.versions import HistoryItem, Manifest, Site
from dovetail.answers.versions import Release as ReleaseAnswer
from dovetail.api import upload
from dovetail.api.queries import VerdictAnswer, next_cursor
from dovetail.moves.records import Alias, Commit, File, Release, Repository, Source
from dovetail.problems import MISSING, USAGE, Problem
from dovetail.transport import Transport

T = TypeVar("T")
BLOCK = 256 << 10  # bytes that are read at once of a file that stays where it is
PATIENCE = (1, 2, 5, 15, 45)  # seconds before each further try of a request that a hub had no time for
LONGEST_WAIT = 90
BUSY = (429, 500, 502, 503, 504)
OF_ADAPTERS = {"peft", "lora", "adapter-transformers", "adapters", "adapter"}  # tags of repositories without a config
MADE = "derived/"  # branches that a hub makes of other versions, as this one will


def patiently(deed: Callable[[], T]) -> T:
    """Return what a request returns, which is sent again while the hub says that it is busy."""
    for pause in PATIENCE:
        try:
            return deed()
        except HfHubHTTPError as error:
            if error.response.status_code not in BUSY:
                raise
            stated = error.response.headers.get("Retry-After") or ""
        time.sleep(min(int(stated), LONGEST_WAIT) if stated.isdecimal() else pause)
    return deed()


class Hub(Source):
    """The repositories of an owner on a hub, or one of them."""

    def __init__(self, endpoint: str, token: str | None, owner: str, only: str = "") -> None:
        self.address, self.owner, self._only = endpoint, owner, only
        self._token = token
        self._transport = Transport(endpoint, token)
        self._api = upload.api_of(endpoint, token)

    @cached_property
    def is_dovetail(self) -> bool:
        """Whether the hub has the REST of a Dovetail."""
        try:
            return bool(self._transport.get("/site", Site))
        except Problem:
            return False

    def origin(self, name: str) -> str:
        return f"{self.address}/{self.id_of(name)}"

    def id_of(self, name: str) -> str:
        return f"{self.owner}/{name}"

    def repositories(self) -> Mapping[str, str]:
        if self._only:
            return {self._only: ""}
        with upload.problems(self.address, self.owner):
            models = patiently(lambda: list(self._api.list_models(author=self.owner, full=True)))
        return {model.id.partition("/")[2]: "" if _is_adapter(model) else "It holds no adapter." for model in models}

    def read(self, name: str) -> Repository:
        id = self.id_of(name)
        with upload.problems(self.address, id):
            info = patiently(lambda: self._api.model_info(id))
            if info.gated:
                patiently(lambda: self._api.auth_check(id))
            named = patiently(lambda: self._api.list_repo_refs(id))
        return Repository(
            name,
            is_private=bool(info.private),
            gate=info.gated or "",
            branches={ref.name: ref.target_commit for ref in named.branches if not ref.name.startswith(MADE)},
            tags={ref.name: ref.target_commit for ref in named.tags},
            aliases=self._aliases(id),
            releases=self._releases(id),
        )

    def _aliases(self, id: str) -> Sequence[Alias]:
        found = self._listed(f"/adapters/{quote(id)}/aliases", Page[AliasAnswer])
        return [Alias(one.alias, one.chosen, one.reason, one.forced) for one in found if one.chosen]

    def _releases(self, id: str) -> Sequence[Release]:
        found = self._listed(f"/adapters/{quote(id)}/releases?limit=100", Page[ReleaseAnswer])
        return [Release(one.tag, one.title, one.notes, one.prerelease) for one in found]

    def _listed(self, place: str, shape: type[Page[T]]) -> list[T]:
        """Return all items of a list of REST, [] of a hub that has none."""
        found: list[T] = []
        cursor = ""
        while self.is_dovetail:
            page = self._transport.get(place + cursor, shape)
            found += page.items
            following = next_cursor(page.next)
            if not following:
                break
            cursor = f"&cursor={quote(following, safe='')}"
        return found

    def history(self, name: str, id: str) -> Sequence[Commit]:
        repository = self.id_of(name)
        with upload.problems(self.address, repository):
            listed = patiently(lambda: self._api.list_repo_commits(repository, revision=id))
        return [
            Commit(one.commit_id, one.title, one.message, ", ".join(one.authors), one.created_at.isoformat())
            for one in reversed(listed)
        ]

    def yanked(self, name: str, id: str) -> Mapping[str, str]:
        place = f"/adapters/{quote(self.id_of(name))}/revisions?limit=100&rev={quote(id)}"
        found = self._listed(place, Page[HistoryItem])
        return {one.revision: one.yanked["reason"] for one in found if one.yanked}

    def verdict(self, name: str, id: str) -> Mapping[str, object] | None:
        """Return the verdict of a commit, None where there is none."""
        try:
            return self._transport.get(
                f"/adapters/{quote(self.id_of(name))}/revisions/{id}/verdict", VerdictAnswer
            ).document
        except Problem as problem:
            if problem.exit_status in (MISSING, USAGE):
                return None
            raise

    def discussions(self, name: str) -> list[dict[str, object]]:
        """Return the discussions and pull requests with their comments."""
        id = self.id_of(name)
        with upload.problems(self.address, id):
            listed = patiently(lambda: list(self._api.get_repo_discussions(id)))
            details = [patiently(partial(self._api.get_discussion_details, id, one.num)) for one in listed]
        return [
            {
                "number": one.num,
                "title": one.title,
                "author": one.author,
                "status": one.status,
                "is_pull_request": one.is_pull_request,
                "created_at": one.created_at.isoformat(),
                "comments": [
                    {"author": event.author, "created_at": event.created_at.isoformat(), "content": event.content}
                    for event in one.events
                    if isinstance(event, DiscussionComment)
                ],
            }
            for one in details
        ]

    def files(self, name: str, id: str) -> Mapping[str, File]:
        repository = self.id_of(name)
        if self.is_dovetail:  # its tree has files beside those of the commit, which the hub made of them
            manifest = self._transport.get(f"/adapters/{quote(repository)}/revisions/{id}", Manifest)
            return {one.path: File(one.size, one.sha256) for one in manifest.files if not one.derived_from}
        with upload.problems(self.address, repository):
            tree = patiently(lambda: list(self._api.list_repo_tree(repository, revision=id, recursive=True)))
        return {
            one.path: File(one.size, one.lfs.sha256 if one.lfs else one.blob_id)
            for one in tree
            if isinstance(one, RepoFile)
        }

    def fetch(self, name: str, id: str, path: str, to: Path) -> None:
        repository = self.id_of(name)
        with tempfile.TemporaryDirectory(prefix=".dovetail-", dir=to.parent) as folder:
            with upload.problems(self.address, repository, "download"):
                arrived = patiently(lambda: self._api.hf_hub_download(repository, path, revision=id, local_dir=folder))
            shutil.move(arrived, to)

    def openers(self, name: str, id: str) -> Mapping[str, Opener]:
        repository = self.id_of(name)
        system = HfFileSystem(endpoint=self.address, token=self._token or False, block_size=BLOCK)

        def opener(path: str) -> Opener:
            return lambda: system.open(f"{repository}@{id}/{path}", "rb")

        return {path: opener(path) for path in self.files(name, id)}


def _is_adapter(model: ModelInfo) -> bool:
    paths: Iterator[str] = (file.rfilename for file in model.siblings or ())
    return any(path.rpartition("/")[2] == configs.NAME for path in paths) or bool(
        OF_ADAPTERS.intersection(model.tags or ())
    )
