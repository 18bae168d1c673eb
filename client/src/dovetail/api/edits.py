"""The methods of a client that change names and states: aliases, tags, branches, releases, yanks, reports, deletion.

Deletion, tags, branches and pull requests go by the Hub's routes. All raise Problem.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from dovetail import ids
from dovetail.answers.adapters import Repaired
from dovetail.answers.record import Page
from dovetail.answers.versions import Alias, FiledReport, Manifest, Release, RevisionRegression, YankState
from dovetail.api import queries
from dovetail.api.queries import Connection, locate, path
from dovetail.problems import usage

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from dovetail.api.queries import Connection

T = TypeVar("T")


def pull_requests(caller: "Connection", adapter: str, status: str) -> list[dict[str, object]]:
    """Return the pull requests that are open, closed (merged ones too), or all of them; the newest first."""
    listed = _by_hub_api(
        caller,
        adapter,
        lambda api: list(
            api.get_repo_discussions(adapter, discussion_type="pull_request", discussion_status=status)  # type: ignore[arg-type]  # our words are its words
        ),
    )
    return [
        {
            "number": discussion.num,
            "title": discussion.title,
            "author": discussion.author,
            "status": discussion.status,
            "created_at": discussion.created_at.isoformat(),
            "url": f"{caller.endpoint}/{adapter}/discussions/{discussion.num}",
        }
        for discussion in listed
    ]


def close_request(caller: "Connection", adapter: str, number: int) -> None:
    """Close a pull request without merging it."""
    _by_hub_api(caller, adapter, lambda api: api.change_discussion_status(adapter, number, "closed"))


def _by_hub_api(caller: "Connection", adapter: str, deed: "Callable[[HfApi], T]") -> T:
    ids.check_adapter(adapter)
    # Importing huggingface_hub takes 0.3 s, more than everything else together.
    from dovetail.api import upload  # noqa: PLC0415  # only these deeds pay for it

    with upload.problems(caller.endpoint, adapter):
        return deed(upload.api_of(caller.endpoint, caller.token))


class Edits(Connection):
    """The methods for owners of versions, and for reports by everybody."""

    # --- names -------------------------------------------------------------------------------------------------------
    def aliases(self, adapter: str) -> tuple[Alias, ...]:
        """Return the aliases of an adapter."""
        return self.transport.get(f"{path(adapter)}/aliases", Page[Alias]).items

    def alias(self, adapter: str, alias: str, *, reason: str = "", force: bool = False) -> Alias:
        """Set or move an alias to NS/NAME@REV, which has passed; `force`, with a reason, also to another version."""
        name, revision = ids.split_exact(adapter, "verified")
        body = {"revision": revision, "reason": reason, "force": force}
        return self.transport.put(_alias_path(name, alias), body, Alias)

    def roll_back_alias(self, adapter: str, alias: str, reason: str = "") -> Alias:
        """Move an alias back to the revision that it named before."""
        return self.transport.post(f"{_alias_path(adapter, alias)}/rollback", {"reason": reason}, Alias)

    def remove_alias(self, adapter: str, alias: str) -> None:
        """Remove an alias."""
        self.transport.delete(_alias_path(adapter, alias))

    def tag(self, adapter: str, tag: str, message: str | None = None) -> None:
        """Create a tag at NS/NAME@REV (main without one): a name that does not move."""
        name, rev = locate(adapter)
        _by_hub_api(self, name, lambda api: api.create_tag(name, tag=tag, revision=rev, tag_message=message))

    def remove_tag(self, adapter: str, tag: str) -> None:
        """Remove a tag; the version that it names stays."""
        _by_hub_api(self, adapter, lambda api: api.delete_tag(adapter, tag=tag))

    def branch(self, adapter: str, branch: str) -> None:
        """Create a branch that begins at NS/NAME@REV (main without one)."""
        name, rev = locate(adapter)
        _by_hub_api(self, name, lambda api: api.create_branch(name, branch=branch, revision=rev))

    def remove_branch(self, adapter: str, branch: str) -> None:
        """Remove a branch."""
        _by_hub_api(self, adapter, lambda api: api.delete_branch(adapter, branch=branch))

    def releases(self, adapter: str) -> tuple[Release, ...]:
        """Return the releases of an adapter, the highest version first."""
        return tuple(queries.every(self.transport, f"{path(adapter)}/releases?limit=100", Release)[0])

    def release(
        self, adapter: str, tag: str, *, title: str = "", notes: str = "", prerelease: bool = False, force: bool = False
    ) -> Release:
        """Make a release of NS/NAME@REV, and its tag; without @REV of what the tag names, else of `verified`.

        It must have passed; with `force` it need not. `tag` is a semantic version, `notes` are Markdown.
        """
        name, revision = ids.split(adapter, default="")
        body: dict[str, object] = {"tag": tag, "title": title, "notes": notes, "prerelease": prerelease, "force": force}
        if revision:
            body["revision"] = revision
        return self.transport.post(f"{path(name)}/releases", body, Release)

    def edit_release(
        self,
        adapter: str,
        tag: str,
        *,
        title: str | None = None,
        notes: str | None = None,
        prerelease: bool | None = None,
    ) -> Release:
        """Change what is given of a release; its tag and its version never change."""
        given = {"title": title, "notes": notes, "prerelease": prerelease}
        body = {name: value for name, value in given.items() if value is not None}
        return self.transport.patch(f"{path(adapter)}/releases/{quote(tag, safe='')}", body, Release)

    def remove_release(self, adapter: str, tag: str, *, keep_tag: bool = True) -> None:
        """Delete a release; its tag and its version stay, the tag unless `keep_tag` is false."""
        query = "" if keep_tag else "?keep_tag=false"
        self.transport.delete(f"{path(adapter)}/releases/{quote(tag, safe='')}{query}")

    # --- states ------------------------------------------------------------------------------------------------------
    def yank(self, adapter: str, reason: str = "", *, undo: bool = False) -> YankState:
        """Say that nobody should use NS/NAME@REV, for a reason that everybody reads; with `undo`, take that back."""
        name, revision = ids.split_exact(adapter, "v1.0, or @ and a commit id")
        deed = "unyank" if undo else "yank"
        body = {"revision": revision, "reason": reason}
        return self.transport.post(f"{path(name)}/{deed}", body, YankState)

    def override(self, adapter: str, reason: str = "", *, undo: bool = False) -> RevisionRegression:
        """Let NS/NAME@REV become `verified` though it scored worse, for a public reason; with `undo`, no longer."""
        name, revision = ids.split_exact(adapter, "main, or @ and a commit id")
        place = f"{path(name, revision)}/regression-override"
        if undo:
            return self.transport.withdraw(place, RevisionRegression)
        return self.transport.post(place, {"reason": reason}, RevisionRegression)

    def report(self, adapter: str, reason: str, *, file: str = "", text: str = "") -> FiledReport:
        """Report NS/NAME, one revision (@REV), or a file of it to the moderators, who alone read it."""
        name, revision = ids.split(adapter, default="")
        about: dict[str, object] = {"adapter": name, "revision": revision or None}
        if file:
            about = {"target": {"type": "file", "id": f"{name}@{revision or ids.MAIN}:{file}"}}
        return self.transport.post("/reports", {**about, "reason": reason, "text": text}, FiledReport)

    def delete(self, adapter: str) -> None:
        """Delete an adapter with all its versions, at once and for good."""
        _by_hub_api(self, adapter, lambda api: api.delete_repo(adapter))

    # --- pull requests -----------------------------------------------------------------------------------------------
    def repair(self, adapter: str, base: str = "", *, privacy: bool = False) -> Repaired:
        """Open a pull request that repairs an adapter's weights or names its base; with `privacy`, one that removes
        private data."""
        body: dict[str, object] = {"privacy": True} if privacy else {"base": base}
        return self.transport.post(f"{path(adapter)}/repair", body, Repaired)

    def merge(self, adapter: str, number: int) -> str:
        """Merge a pull request and return the commit that main is at then."""
        _by_hub_api(self, adapter, lambda api: api.merge_pull_request(adapter, number))
        return self.transport.get(path(adapter, ids.MAIN), Manifest).revision


def _alias_path(adapter: str, alias: str) -> str:
    if not alias:
        raise usage("The name of the alias is empty.", "Name it, as in `prod`.")
    return f"{path(adapter)}/aliases/{quote(alias, safe='')}"
