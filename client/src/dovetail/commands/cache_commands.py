"""The commands `dovetail cache`: how much this machine keeps of adapters, of pulls and of syncs, and removing it.

The caches are that of huggingface_hub with its versions, and the store with its files and parts of broken downloads.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dovetail import places
from dovetail.commands.arguments import Commands, Options
from dovetail.problems import usage
from dovetail.store.store import Store

CONFIGS = frozenset({"adapter_config.json", "adapter_fusion_config.json", "pytorch_lora_weights.safetensors"})
DAY_SECONDS = 24 * 3600
BUSY_SECONDS = 600  # a part that was written to since may belong to a download that goes on

Inode = tuple[int, int]


@dataclass(frozen=True)
class Version:
    """A version in the cache of huggingface_hub; size in bytes, used at seconds since 1970."""

    repository: str
    revision: str
    size: int
    used_at: float
    path: Path
    blobs: tuple[Path, ...]

    def document(self) -> dict[str, object]:
        return {
            "repository": self.repository,
            "revision": self.revision,
            "size": self.size,
            "used_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.used_at)),
            "path": str(self.path),
        }


@dataclass(frozen=True)
class Plan:
    """The content that a removal takes away, and the bytes that this frees: a file with another name frees none."""

    versions: list[Version]
    files: list[Path]
    parts: list[Path]
    answers: list[Path]  # some kilobytes each, which are not counted
    freed: int
    _remove_versions: Callable[[], object]

    def execute(self) -> None:
        """Remove all of it."""
        self._remove_versions()
        for place in (*self.files, *self.parts, *self.answers):
            place.unlink(missing_ok=True)


class Contents:
    """The content of both caches when it was read."""

    def __init__(self, store: Store, *, everything: bool) -> None:
        self._scanned = _scan()
        self.versions = _versions(self._scanned, everything=everything)
        self.files = store.files()
        self.parts = [*store.unfinished(), *_unfinished_blobs()]
        self.answers = list(store.answers.glob("*"))

    def size(self) -> int:
        """Return how many bytes the disk has of all this, those with several names counted once."""
        return size_of([*(blob for version in self.versions for blob in version.blobs), *self.files, *self.parts])

    def plan(self, names: Sequence[str], days: float | None) -> Plan:
        """Return what goes: versions of these names, or what nobody used for so many days; and what only they held."""
        age = (days or 0) * DAY_SECONDS
        versions = [
            row for row in self.versions if _is_named(row, names) and (days is None or _is_older(row.used_at, age))
        ]
        strategy = self._scanned.delete_revisions(*(row.revision for row in versions)) if versions else None
        blobs = _blobs_of(strategy)
        files = _without_other_names(self.files, blobs)
        if names:
            digests, inodes = {blob.name for blob in blobs}, {*map(_inode, blobs)}
            files, parts = [file for file in files if file.name in digests or _inode(file) in inodes], []
        else:
            files = [file for file in files if _is_older(file.stat().st_atime, age)]
            parts = [part for part in self.parts if _is_older(part.stat().st_mtime, max(age, BUSY_SECONDS))]
        answers = [] if names else [answer for answer in self.answers if _is_older(answer.stat().st_mtime, age)]
        freed = size_of([*blobs, *files, *parts], are_all_names=True)
        return Plan(versions, files, parts, answers, freed, strategy.execute if strategy else lambda: None)


def size_of(places: Iterable[Path], *, are_all_names: bool = False) -> int:
    """Return the bytes of files, each counted once; with `are_all_names` of those that have no name elsewhere."""
    stats = [place.stat() for place in {*places}]
    names = Counter((stat.st_dev, stat.st_ino) for stat in stats)
    if are_all_names:
        stats = [stat for stat in stats if names[stat.st_dev, stat.st_ino] >= stat.st_nlink]
    return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in stats}.values())


def _scan() -> Any:
    """Return huggingface_hub's description of its cache, or None where there is no cache yet."""
    from huggingface_hub import constants, scan_cache_dir  # noqa: PLC0415  # imports take 0.3 s, and other commands need it not
    from huggingface_hub.errors import CacheNotFound  # noqa: PLC0415  # as above

    try:
        return scan_cache_dir(constants.HF_HUB_CACHE)
    except CacheNotFound:
        return None


def _versions(scanned: Any, *, everything: bool) -> list[Version]:
    """Return the versions of adapters, or of all, those used most recently first."""
    rows = [
        Version(
            repo.repo_id if repo.repo_type == "model" else f"{repo.repo_type}s/{repo.repo_id}",
            revision.commit_hash,
            revision.size_on_disk,
            max([file.blob_last_accessed for file in revision.files], default=revision.last_modified),
            revision.snapshot_path,
            tuple(file.blob_path for file in revision.files),
        )
        for repo in (scanned.repos if scanned else ())
        for revision in repo.revisions
        if everything or CONFIGS.intersection(file.file_name for file in revision.files)
    ]
    return sorted(rows, key=lambda row: -row.used_at)


def _unfinished_blobs() -> list[Path]:
    from dovetail.store import hub_cache  # noqa: PLC0415  # as in _scan

    return list(hub_cache.folder().glob("*/blobs/*.incomplete"))


def _blobs_of(strategy: Any) -> list[Path]:
    """Return the files that huggingface_hub would remove."""
    if strategy is None:
        return []
    whole = [blob for repo in strategy.repos for blob in (repo / "blobs").glob("*") if blob.suffix != ".incomplete"]
    return [*strategy.blobs, *whole]


def _without_other_names(files: Iterable[Path], blobs: Iterable[Path]) -> list[Path]:
    """Return the files of the store that no synced folder and no version holds, once these blobs are gone."""
    going = Counter(map(_inode, blobs))
    return [file for file in files if file.stat().st_nlink - 1 <= going[_inode(file)]]


def _inode(place: Path) -> Inode:
    status = place.stat()
    return status.st_dev, status.st_ino


def _is_older(moment: float, seconds: float) -> bool:
    return time.time() - moment >= seconds


def _is_named(row: Version, names: Sequence[str]) -> bool:
    return not names or any(
        row.repository == adapter and row.revision.startswith(commit)
        for adapter, _, commit in (name.partition("@") for name in names)
    )


app = typer.Typer(cls=Commands, help="List, measure and empty the cache of downloaded adapters.")
Everything = Annotated[bool, typer.Option("--all", help="Also base models and everything else, not only adapters.")]


def _contents(*, everything: bool) -> Contents:
    return Contents(Store(places.cache()), everything=everything)


def _rest(contents: Contents) -> dict[str, dict[str, object]]:
    """Return the members about the files that no version names."""
    return {
        "store": {"path": str(places.cache()), "files": len(contents.files), "size": size_of(contents.files)},
        "parts": {"files": len(contents.parts), "size": size_of(contents.parts)},
    }


@app.command("list")
def list_versions(context: typer.Context, everything: Everything = False) -> None:
    """List the versions in the cache, those used most recently first."""
    options: Options = context.obj
    contents = _contents(everything=everything)
    rest = _rest(contents)
    if options.printer.as_json:
        options.printer.document({"items": [row.document() for row in contents.versions], **rest})
        return
    cells = [
        [f"{row.repository}@{row.revision[:12]}", f"{row.size:,}", row.document()["used_at"]]
        for row in contents.versions
    ]
    options.printer.rows(("version", "bytes", "used"), cells)
    if not cells:
        options.printer.note("The cache contains no versions.")
    for name, words in (
        ("store", "files of versions and of synced folders"),
        ("parts", "parts of interrupted downloads"),
    ):
        if files := rest[name]["files"]:
            options.printer.note(f"{files:,} {words}, {rest[name]['size']:,} bytes.")


@app.command("size")
def size(context: typer.Context, everything: Everything = False) -> None:
    """Print how many bytes the cache holds, and where it is."""
    from huggingface_hub import constants  # noqa: PLC0415  # imports take 0.3 s, and other commands need it not

    options: Options = context.obj
    contents = _contents(everything=everything)
    total, versions = contents.size(), len(contents.versions)
    if options.printer.as_json:
        members = {"path": constants.HF_HUB_CACHE, "size": total, "versions": versions}
        options.printer.document({**members, **_rest(contents)})
        return
    options.printer.line(str(total) if options.printer.quiet else f"{total:,} bytes, {versions:,} versions")
    options.printer.note(f"in {constants.HF_HUB_CACHE} and {places.cache()}; files in both are counted once")


@app.command("prune")
def prune(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NS/NAME[@COMMIT]", help="Remove only these versions.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", metavar="N", min=0, help="Remove versions that have not been used for this long."),
    ] = None,
    everything: Everything = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove versions from the cache: those of these names, or all that was not used for some days."""
    options: Options = context.obj
    if not names and days is None:
        raise usage("No versions to remove are given.", "Write: dovetail cache prune --days 30, or name adapters.")
    plan = _contents(everything=everything).plan(names or (), days)
    if not dry_run:
        plan.execute()
    if options.printer.as_json:
        counts = {"files": len(plan.files), "parts": len(plan.parts), "size": plan.freed}
        items = [row.document() for row in plan.versions]
        options.printer.document({"items": items, **counts, "is_removed": not dry_run})
        return
    for row in plan.versions:
        options.printer.line(f"{row.repository}@{row.revision}")
    options.printer.note(
        f"{len(plan.versions):,} versions, {len(plan.files):,} files and {len(plan.parts):,} parts of "
        f"downloads {'would be' if dry_run else 'were'} removed, {plan.freed:,} bytes."
    )
