"""`make sbom`: writes a bill of materials (CycloneDX) of each lock file, with hashes and licenses, into sbom/."""

import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from ops import environments
from ops.sentences import ROOT

HUB = {"constraints": environments.VENV, "constraints-dev": environments.VENV}
ROOT_PROJECT = """[project]
name = "dovetail"
version = "{version}"
description = "A self-hosted registry of adapters that proves each version by loading it."
license = "Apache-2.0"
"""
MAX_LICENSE = 100  # characters: some packages have the whole text where its name belongs


def write(lock: Path, bill: Path) -> None:
    """Write the bill of one lock file: Dovetail as its root, and each package with the hashes of its files."""
    [version] = re.findall(r'^VERSION = "(.+)"', (ROOT / "hub/about.py").read_text(), re.MULTILINE)
    home = HUB.get(lock.stem, environments.ENGINES / lock.stem.removeprefix("constraints-"))
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "pyproject.toml")
        project.write_text(ROOT_PROJECT.format(version=version))
        program = Path(sys.executable).with_name("cyclonedx-py")
        command: list[str | Path] = [program, "requirements", lock, "--pyproject", project, "--output-reproducible"]
        subprocess.run([*command, "--of", "JSON", "-o", bill], check=True, stderr=subprocess.DEVNULL)
    document, licenses = json.loads(bill.read_text()), _licenses(home)
    for component in document["components"]:
        component.pop("description", None)  # the line of the lock file
        if name := licenses.get(f"{component['name']}=={component['version']}"):
            component["licenses"] = [{"license": {"name": name}}]
    root = {"ref": "root-component", "dependsOn": [component["bom-ref"] for component in document["components"]]}
    document["dependencies"] = [root, *(one for one in document["dependencies"] if one["ref"] != root["ref"])]
    bill.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _licenses(home: Path) -> dict[str, str]:
    """Return the license of each package that is installed in an environment, by NAME==RELEASE."""
    found = {}
    for package in metadata.distributions(path=[str(path) for path in home.glob("lib/python3*/site-packages")]):
        told = package.metadata
        classes = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License")]
        names = [told.get_all("License-Expression", []), classes, told.get_all("License", [])]
        name = next((" and ".join(stated) for stated in names if stated), "")
        if name and len(name) <= MAX_LICENSE:
            found[re.sub(r"[-_.]+", "-", told["Name"]).lower() + f"=={package.version}"] = name
    return found


if __name__ == "__main__":
    (ROOT / "sbom").mkdir(exist_ok=True)
    for file in sorted(ROOT.glob("requirements/constraints*.txt")):
        write(file, ROOT / "sbom" / f"{file.stem}.json")
