"""The commands `dovetail cache`: how much the shared cache of huggingface_hub holds of adapters, and removing it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dovetail.arguments import Commands
from dovetail.options import Options
from dovetail.problems import usage

CONFIGS = frozenset({"adapter_config.json", "adapter_fusion_config.json", "pytorch_lora_weights.safetensors"})
DAY_SECONDS = 24 * 3600

app = typer.Typer(cls=Commands, help="List, measure and empty the cache of downloaded adapters.")
Everything = Annotated[bool, typer.Option("--all", help="Base models and all else too, not adapters alone.")]


@dataclass(frozen=True)
class Cached:
    """A version in the cache; size in bytes, used at seconds since 1970."""

    repository: str
    revision: str
    size: int
    used_at: float
    path: Path

    def document(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "revision": self.revision,
            "size": self.size,
            "used_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.used_at)),
            "path": str(self.path),
        }


def _scan() -> Any:
    """Return huggingface_hub's description of its cache, or None where there is no cache yet."""
    from huggingface_hub import scan_cache_dir  # noqa: PLC0415  # imports take 0.3 s, and other commands need it not
    from huggingface_hub.errors import CacheNotFound  # noqa: PLC0415  # as above

    try:
        return scan_cache_dir()
    except CacheNotFound:
        return None


def _versions(scanned: Any, *, everything: bool) -> list[Cached]:
    """Return the versions of adapters, or of all, those used most recently first."""
    rows = [
        Cached(
            repo.repo_id if repo.repo_type == "model" else f"{repo.repo_type}s/{repo.repo_id}",
            revision.commit_hash,
            revision.size_on_disk,
            max([file.blob_last_accessed for file in revision.files], default=revision.last_modified),
            revision.snapshot_path,
        )
        for repo in (scanned.repos if scanned else ())
        for revision in repo.revisions
        if everything or CONFIGS.intersection(file.file_name for file in revision.files)
    ]
    return sorted(rows, key=lambda row: -row.used_at)


@app.command("list")
def list_versions(context: typer.Context, everything: Everything = False) -> None:
    """List the versions in the cache, those used most recently first."""
    options: Options = context.obj
    rows = _versions(_scan(), everything=everything)
    if options.printer.as_json:
        options.printer.document({"items": [row.document() for row in rows]})
        return
    cells = [[f"{row.repository}@{row.revision[:12]}", f"{row.size:,}", row.document()["used_at"]] for row in rows]
    options.printer.rows(("version", "bytes", "used"), cells)
    if not rows:
        options.printer.note("The cache holds nothing of that.")


@app.command("size")
def size(context: typer.Context, everything: Everything = False) -> None:
    """Print how many bytes the cache holds, and where it is."""
    from huggingface_hub import constants  # noqa: PLC0415  # as in _scan

    options: Options = context.obj
    rows = _versions(_scan(), everything=everything)
    total = sum(row.size for row in rows)
    if options.printer.as_json:
        options.printer.document({"path": constants.HF_HUB_CACHE, "size": total, "versions": len(rows)})
        return
    options.printer.line(str(total) if options.printer.quiet else f"{total:,} bytes, {len(rows):,} versions")
    options.printer.note(f"in {constants.HF_HUB_CACHE}")


@app.command("prune")
def prune(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NS/NAME[@COMMIT]…", help="Remove these versions alone.")
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", metavar="N", min=0, help="Remove what was not used for so long.")
    ] = None,
    everything: Everything = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
) -> None:
    """Remove versions from the cache: those of these names, or those not used for some days."""
    options: Options = context.obj
    if not names and days is None:
        raise usage("Nothing says what to remove.", "Write: dovetail cache prune --days 30, or name adapters.")
    scanned = _scan()
    rows = [row for row in _versions(scanned, everything=everything) if _is_meant(row, names or (), days)]
    if rows and not dry_run:
        scanned.delete_revisions(*(row.revision for row in rows)).execute()
    freed = sum(row.size for row in rows)
    if options.printer.as_json:
        items = [row.document() for row in rows]
        options.printer.document({"items": items, "size": freed, "is_removed": not dry_run})
        return
    for row in rows:
        options.printer.line(f"{row.repository}@{row.revision}")
    options.printer.note(f"{len(rows):,} versions {'would go' if dry_run else 'are removed'}, {freed:,} bytes.")


def _is_meant(row: Cached, names: Sequence[str], days: float | None) -> bool:
    is_named = not names or any(
        row.repository == adapter and row.revision.startswith(commit)
        for adapter, _, commit in (name.partition("@") for name in names)
    )
    return is_named and (days is None or time.time() - row.used_at >= days * DAY_SECONDS)
