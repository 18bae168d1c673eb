"""Conversions and merges of folders on this machine, and derived versions that a hub makes. Raises Problem."""

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dovetail.adapters.convert import FORMATS, NEEDS_BASE, VARIANTS, Conversion, Unconvertible, convert, stated
from dovetail.adapters.convert.peft import read_config
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.adapters.merge import METHODS, Recipe, Source, head_of, merge
from dovetail.adapters.readers.folder import files_in
from dovetail.answers.adapters import DerivedVersion
from dovetail.api.local_checks import label_names, read_card
from dovetail.integrations.peft_changes import changes
from dovetail.problems import Problem, usage

if TYPE_CHECKING:
    from dovetail.api.client import Client

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two looks at an unfinished request
FINAL = ("done", "refused", "errored")


def convert_folder(
    path: Path,
    to: str,
    out: Path,
    *,
    base: Path | None = None,
    base_name: str = "",
    caller: "Client | None" = None,
    asked: Mapping[str, Any] | None = None,
) -> dict[str, object]:
    """Write the adapter of a folder in another format or variant to `out`, whole or not at all; return the facts.

    `asked` are the arguments of `convert.stated` beside the card. Without `base`, the config of the base is asked of
    the caller's hub, for gguf.
    """
    _require_known("format", to, (*FORMATS, *VARIANTS))
    files = _files(path)
    base_files = _files(base) if base else _base_config(files, to, caller)
    card = read_card(files)
    named = base_name or next(iter(configs.names(dict(card), "base_model")), "")
    return _write(
        lambda: convert(
            files, to, base=named, base_files=base_files, settings=stated(card, **(asked or {})), changes=changes
        ),
        out,
    )


def merge_folders(
    paths: Sequence[Path], weights: Sequence[float], recipe: Recipe, out: Path, head: str = ""
) -> dict[str, object]:
    """Write a merge of the adapters in these folders to `out`, whole or not at all; return the facts.

    `head` names the folder whose trained head is kept, or is "average".
    """
    _require_known("method", recipe.method, METHODS)
    if len(weights) not in (0, len(paths)):
        raise usage(f"{len(weights)} weights for {len(paths)} adapters.", "Give one per adapter: --weights 0.7,0.3")
    stated = weights or [1.0] * len(paths)
    sources = [
        Source(str(path), files := _files(path), weight, label_names(files))
        for path, weight in zip(paths, stated, strict=True)
    ]
    return _write(lambda: merge(sources, replace(recipe, head=head_of(head, [str(path) for path in paths]))), out)


def derive(caller: "Client", adapter: str, revision: str, wish: Mapping[str, Any]) -> DerivedVersion:
    """Ask the hub for a derived version; the same request again returns what became of the first."""
    path = f"/adapters/{quote(adapter)}/revisions/{quote(revision, safe='')}/derive"
    return caller.transport.post(path, dict(wish), DerivedVersion)


def wait(caller: "Client", adapter: str, revision: str, wish: Mapping[str, Any]) -> DerivedVersion:
    """Ask for it, and again until it is final: of the versions of the first answer, since the result may be newer."""
    pause, answer = FIRST_PAUSE, derive(caller, adapter, revision, wish)
    found = [source.get("revision") for source in answer["sources"]]
    if all(found):
        revision = str(found[0])
        others = [{**other, "revision": oid} for other, oid in zip(wish.get("others", ()), found[1:], strict=True)]
        wish = {**wish, "others": others}
    while answer["state"] not in FINAL:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        answer = derive(caller, adapter, revision, wish)
    return answer


def _require_known(kind: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise usage(f"There is no {kind} {word!r}.", f"Use one of {', '.join(known)}.")


def _files(path: Path) -> dict[str, Opener]:
    if not path.is_dir():
        why = "is a file" if path.exists() else "does not exist"
        raise usage(f"{path} {why}.", "Name the folder that contains the files.")
    hidden = {".git", ".cache", "__pycache__"}
    return {name: opener for name, opener in files_in(path).items() if not hidden & set(name.split("/"))}


def _write(make: Any, out: Path) -> dict[str, object]:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise usage(f"{out} already exists.", "Name a folder that does not exist.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".dovetail-", dir=out.parent) as folder:
        target = Path(folder) / "made"
        target.mkdir()
        try:
            conversion: Conversion = make()
            conversion.write(target)
        except Unconvertible as refusal:
            raise Problem(str(refusal), "Nothing was written.", code="client-not-convertible") from None
        if out.exists():
            out.rmdir()
        shutil.move(target, out)
    return conversion.facts()


def _base_config(files: Mapping[str, Opener], to: str, caller: "Client | None") -> Mapping[str, Opener] | None:
    """Return the config.json of the base that an adapter names, from the hub; None where nothing needs it."""
    if to not in NEEDS_BASE:
        return None
    if caller is None or to != "gguf":
        raise usage(f"{to} needs the files of the base.", "Name their folder: --base DIR.")
    from huggingface_hub import hf_hub_download  # noqa: PLC0415  # only this asks for a file of a base

    from dovetail.api import upload  # noqa: PLC0415  # as above

    try:
        name = str(read_config(files).get("base_model_name_or_path") or "")
    except Unconvertible as refusal:
        raise usage(str(refusal), "Name the folder of the base: --base DIR.") from None
    if not name:
        raise usage("The adapter names no base.", "Name the folder of the base: --base DIR.")
    with upload.problems(caller.endpoint, name, "download"), upload.progress(is_shown=False):
        file = hf_hub_download(name, "config.json", endpoint=caller.endpoint, token=caller.token or False)
    return {"config.json": lambda: Path(file).open("rb")}
