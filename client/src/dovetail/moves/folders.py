"""Folders of adapters as a source: on this machine, in a bucket (fsspec), packed as AdapterHub's zips; and exports.

Each folder with an adapter_config.json is a repository of one version. Pickles become safetensors before anything is
sent; what cannot be converted is left out.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # it has no types

from dovetail import ids, places
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats import twins
from dovetail.api.conversions import convert_folder
from dovetail.ids import MAIN
from dovetail.moves.hubs import Hub
from dovetail.moves.mover import Outcome, Tell
from dovetail.moves.records import Alias, Commit, File, Release, Repository, Source, digests, fetch
from dovetail.problems import Problem, local_files, usage

OTHER_KINDS = ("datasets", "spaces", "kernels", "collections")
ZIP = ".zip"
PICKLES = ("adapter_model.bin", "pytorch_adapter.bin", "pytorch_model_head.bin")
LARGEST_ZIP = 64 << 30  # bytes of what is in it
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class _Snapshot:
    """The one version of a folder: its id, and its files with the functions that open them."""

    id: str
    files: Mapping[str, File]
    openers: Mapping[str, Opener]


class Folders(Source):
    """The adapters below a folder, or below an address that fsspec knows, such as s3://BUCKET/PREFIX."""

    keeps_history = False

    def __init__(self, address: str) -> None:
        try:
            self._files, self._root = url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise usage(f"{address!r} cannot be read: {error}", "Of s3://BUCKET/PREFIX: pip install s3fs.") from None
        self._is_local = "://" not in address
        # A path of this machine is nobody's business, and would not be the same on another one.
        self.address = PurePosixPath(self._root).name if self._is_local else address.rstrip("/")
        places.cache().mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.TemporaryDirectory(prefix="import-", dir=places.cache())
        self._places: dict[str, str] = {}  # name → folder or zip
        self._snapshot = cache(self._take)

    def repositories(self) -> Mapping[str, str]:
        try:
            found = [self._root] if self._files.isfile(self._root) else sorted(self._files.find(self._root))
        except OSError as error:
            raise local_files(error) from None
        folders = [path.rpartition("/")[0] for path in found if path.rpartition("/")[2] == configs.NAME]
        outer = [one for one in folders if not any(one.startswith(f"{other}/") for other in folders)]
        reasons: dict[str, str] = {}
        for place in (*outer, *(path for path in found if path.endswith(ZIP))):
            below = place.removeprefix(self._root).strip("/") or PurePosixPath(self._root).name
            name = _ODD.sub("-", below.removesuffix(ZIP)).strip("-._")
            if name in self._places:
                reasons[f"{name} ({below})"] = f"It has the name of {self._places[name]}; rename one of them."
            else:
                self._places[name] = place
                reasons[name] = ""
        if not reasons:
            raise usage(f"{self.address} holds no {configs.NAME} and no zip.", "Name the folder above the adapters.")
        return reasons

    def read(self, name: str) -> Repository:
        return Repository(name, branches={MAIN: self._snapshot(name).id})

    def history(self, name: str, id: str) -> Sequence[Commit]:
        return [Commit(id, f"Import {name}")]

    def files(self, name: str, id: str) -> Mapping[str, File]:
        return self._snapshot(name).files

    def fetch(self, name: str, id: str, path: str, to: Path) -> None:
        with self._snapshot(name).openers[path]() as file, to.open("wb") as target:
            shutil.copyfileobj(file, target)

    def openers(self, name: str, id: str) -> Mapping[str, Opener]:
        return self._snapshot(name).openers

    def _take(self, name: str) -> _Snapshot:
        place = self._places[name]
        if place.endswith(ZIP):
            with self._files.open(place, "rb") as packed:
                return _local(_convert(_unpack(packed, Path(self._scratch.name, name, "zip"))))
        paths = {path.removeprefix(f"{place}/"): path for path in self._files.find(place)}
        paths = {path: full for path, full in paths.items() if not ids.KEPT_BACK.intersection(path.split("/"))}
        if self._is_local and not _has_pickles(paths):
            return _local(Path(place))
        if _has_pickles(paths):
            copy = Path(self._scratch.name, name, "copy")
            for path, full in zip(ids.check_paths(paths, self.address), paths.values(), strict=True):
                (copy / path).parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(full, str(copy / path))
            return _local(_convert(copy))
        facts = {path: self._files.info(full) for path, full in paths.items()}
        stated = "\n".join(
            f"{path} {facts[path]['size']} {self._files.checksum(paths[path])}" for path in sorted(facts)
        )
        return _Snapshot(
            hashlib.sha256(stated.encode()).hexdigest(),
            {path: File(fact["size"], "") for path, fact in facts.items()},
            {path: self._opener(full) for path, full in paths.items()},
        )

    def _opener(self, path: str) -> Opener:
        return lambda: self._files.open(path, "rb")


def _local(folder: Path) -> _Snapshot:
    paths = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    paths = {path: file for path, file in paths.items() if not ids.KEPT_BACK.intersection(path.split("/"))}
    files = {path: File(file.stat().st_size, digests(file)[0]) for path, file in paths.items()}
    stated = "\n".join(f"{path} {file.digest}" for path, file in files.items())

    def opener(file: Path) -> Opener:
        return lambda: file.open("rb")

    id = hashlib.sha256(stated.encode()).hexdigest()
    return _Snapshot(id, files, {path: opener(file) for path, file in paths.items()})


def _has_pickles(paths: Mapping[str, object]) -> bool:
    return any(path.rpartition("/")[2] in PICKLES for path in paths)


def _convert(folder: Path) -> Path:
    """Return a folder whose pickles are safetensors: this one if no pickle in it is alone."""
    if not twins.alone(_local(folder).openers):
        return folder
    out = folder.parent / "converted"
    convert_folder(folder, "safetensors", out)
    return out


def _unpack(packed: IO[bytes], to: Path) -> Path:
    """Unpack a zip, and return the folder in it that holds the adapter."""
    try:
        with zipfile.ZipFile(packed) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            ids.check_paths([member.filename for member in members], "The zip")
            if sum(member.file_size for member in members) > LARGEST_ZIP:
                raise Problem(f"What the zip holds is larger than {LARGEST_ZIP >> 30} GiB.", "Unpack it by hand.")
            for member in members:
                archive.extract(member, to)
    except zipfile.BadZipFile as error:
        raise Problem(f"The zip cannot be read: {error}.", "Download it again.") from None
    found = sorted(to.rglob(configs.NAME), key=lambda file: len(file.parts))
    if not found:
        raise Problem(f"The zip holds no {configs.NAME}.", "It is no adapter.")
    return found[0].parent


# --- exports ---------------------------------------------------------------------------------------------------------
INDEX, METADATA, SUMS = "dovetail-export.json", "metadata.json", "SHA256SUMS"
FORMAT = 1


class Archive(Source):
    """The output of `export`: OWNER/NAME/metadata.json, and below OWNER/NAME/COMMIT the files of each version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        index = self._read(folder / INDEX)
        if index.get("format") != FORMAT:
            raise usage(f"{folder / INDEX} is of another format than {FORMAT}.", "Use a newer dovetail-hub.")
        self.address, self.owner = str(index["source"]), str(index["owner"])
        self._metadata = cache(self._checked)

    def origin(self, name: str) -> str:
        return f"{self.address}/{self.owner}/{name}"

    def repositories(self) -> Mapping[str, str]:
        return {file.parent.name: "" for file in sorted(self._folder.glob(f"{self.owner}/*/{METADATA}"))}

    def read(self, name: str) -> Repository:
        told = self._metadata(name)
        aliases, releases = [Alias(**row) for row in told["aliases"]], [Release(**row) for row in told["releases"]]
        return Repository(name, told["is_private"], told["gate"], told["branches"], told["tags"], aliases, releases)

    def history(self, name: str, id: str) -> Sequence[Commit]:
        told = self._metadata(name)
        fields = ("title", "message", "author", "date")
        return [Commit(one, **{key: told["commits"][one][key] for key in fields}) for one in told["histories"][id]]

    def files(self, name: str, id: str) -> Mapping[str, File]:
        return {path: File(**row) for path, row in self._metadata(name)["commits"][id]["files"].items()}

    def yanked(self, name: str, id: str) -> Mapping[str, str]:
        told = self._metadata(name)
        return {one: told["commits"][one]["yanked"] for one in told["histories"][id] if told["commits"][one]["yanked"]}

    def fetch(self, name: str, id: str, path: str, to: Path) -> None:
        place = self._folder / self.owner / name / id / path
        if not place.resolve().is_relative_to(self._folder.resolve()):
            raise Problem(f"{place} is a link out of the export.", "Export again.", code="client-path-refused")
        shutil.copyfile(place, to)

    def openers(self, name: str, id: str) -> Mapping[str, Opener]:
        return _local(self._folder / self.owner / name / id).openers

    def _checked(self, name: str) -> Mapping[str, Any]:
        """Return the metadata of a repository. Raises Problem if a path in it leaves the export: others may have it."""
        told = self._read(self._folder / self.owner / name / METADATA)
        for id, commit in told["commits"].items():
            ids.check_paths([f"{id}/{path}" for path in commit["files"]], f"The export of {name}")
        return told

    @staticmethod
    def _read(file: Path) -> Mapping[str, Any]:
        try:
            told: Mapping[str, Any] = json.loads(file.read_bytes())
        except OSError as error:
            raise local_files(error) from None
        except ValueError as error:
            raise usage(f"{file} cannot be read: {error}.", "Export again into this folder.") from None
        return told


class Export:
    """Writes repositories of a hub into a folder; files that are there with the right bytes are not fetched again."""

    def __init__(self, source: Hub, to: Path, tell: Tell) -> None:
        self._source, self._to, self._tell = source, to, tell
        index = {"format": FORMAT, "source": source.address, "owner": source.owner}
        if (to / INDEX).exists() and json.loads((to / INDEX).read_bytes()) != index:
            raise usage(f"{to} holds an export of another owner or hub.", "Name another folder.")
        to.mkdir(parents=True, exist_ok=True)
        _write(to / INDEX, index)

    def write(self, name: str) -> Outcome:
        """Write one repository: its versions, then what names and judges them."""
        outcome = Outcome(name, self._source.id_of(name), done="exported")
        try:
            there = self._source.read(name)
            self._write_repository(there, self._to / self._source.owner / name, outcome)
            outcome.names = len(there.tags) + len(there.branches)
            outcome.revision = there.branches.get(MAIN, "")
        except Problem as problem:
            outcome.leave(str(problem))
        self._tell(f"{outcome.into}: {outcome.state}, {outcome.commits} commits")
        return outcome

    def _write_repository(self, there: Repository, folder: Path, outcome: Outcome) -> None:
        commits: dict[str, object] = {}
        histories: dict[str, list[str]] = {}
        placed: dict[File, tuple[Path, str]] = {}
        for head in dict.fromkeys((*there.branches.values(), *there.tags.values())):
            yanked = self._source.yanked(there.name, head)
            histories[head] = []
            for commit in self._source.history(there.name, head):
                if commit.id not in commits:
                    try:
                        files = self._write_commit(there.name, commit, folder / commit.id, placed, outcome)
                    except Problem as problem:
                        outcome.leave(f"Version {commit.id[:12]}: {problem}")
                        continue
                    verdict = self._source.verdict(there.name, commit.id)
                    told = {key: value for key, value in asdict(commit).items() if key != "id"}
                    commits[commit.id] = {**told, "yanked": yanked.get(commit.id), "files": files, "verdict": verdict}
                histories[head].append(commit.id)
        facts = {"adapter": outcome.into, "source": self._source.origin(there.name), **asdict(there)}
        discussions = self._source.discussions(there.name)
        _write(folder / METADATA, {**facts, "histories": histories, "commits": commits, "discussions": discussions})

    def _write_commit(
        self, name: str, commit: Commit, folder: Path, placed: dict[File, tuple[Path, str]], outcome: Outcome
    ) -> dict[str, object]:
        files = self._source.files(name, commit.id)
        written: dict[str, object] = {}
        is_new = False
        for path, place in zip(files, ids.check_paths(files, self._source.origin(name)), strict=True):
            file, target = files[path], folder / place
            if not target.exists() or file.digest not in (found := digests(target)):
                is_new = True
                if file in placed:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    os.link(placed[file][0], target)
                    sha256 = placed[file][1]
                else:
                    fresh = folder / f".{place.name}.part"
                    sha256 = fetch(self._source, name, commit.id, path, file, fresh)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    fresh.replace(target)
                    outcome.files += 1
                    outcome.bytes += file.size
            else:
                sha256 = found[0]
            placed[file] = target, sha256
            written[path] = {"size": file.size, "digest": sha256}
        outcome.commits += is_new
        return written

    def sum_up(self) -> None:
        """Write the sha256 of every file as `sha256sum --check` reads it."""
        lines = []
        for file in sorted(self._to.glob(f"{self._source.owner}/*/{METADATA}")):
            place = file.parent.relative_to(self._to).as_posix()
            lines.append(f"{digests(file)[0]}  {place}/{METADATA}\n")
            for id, commit in json.loads(file.read_bytes())["commits"].items():
                lines += [f"{one['digest']}  {place}/{id}/{path}\n" for path, one in commit["files"].items()]
        (self._to / SUMS).write_text("".join(lines), encoding="utf-8")


def _write(file: Path, document: Mapping[str, object]) -> None:
    """Write a document whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".part")
    fresh.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    fresh.replace(file)


def open_source(address: str, token: str | None = None) -> Source:
    """Return the source at an address: of a hub by https, else of a folder, a zip or a bucket. Raises Problem."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        return Archive(Path(address)) if Path(address, INDEX).exists() else Folders(address)
    words = [word for word in parts.path.split("/") if word]
    if not words or not parts.hostname:
        raise usage(f"{address!r} names no owner.", "Write https://HUB/OWNER or https://HUB/OWNER/NAME.")
    if words[0] in OTHER_KINDS:
        raise usage(f"{address!r} is no address of models.", "Only repositories of models are imported.")
    endpoint = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Hub(endpoint, places.source_token(endpoint, token), *words[:2])
