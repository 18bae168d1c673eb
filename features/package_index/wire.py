"""The client of this hub and its format library as wheels, and their index at /simple/ by PEP 503, 691 and 714."""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from hub.about import VERSION
from hub.addresses import origin

CLIENT = "dovetail-hub"
PROJECTS = ("dovetail-adapters", CLIENT)
FOLDER = Path(settings.ROOT, "client", "dist")  # `ops environments wheel` and the image's build write it


@dataclass(frozen=True)
class Wheel:
    """A built wheel, with what an installer asks before it downloads it."""

    project: str
    filename: str
    data: bytes
    metadata: bytes

    @property
    def version(self) -> str:
        """The version by its name: that of the library ends with +hub, which public indexes refuse."""
        return self.filename.split("-")[1]

    @cached_property
    def sha256(self) -> str:
        """The digest of the whole wheel."""
        return sha256(self.data).hexdigest()

    @property
    def link(self) -> str:
        """Its address below the project's, with its digest."""
        return f"{quote(self.filename)}#sha256={self.sha256}"

    @cached_property
    def metadata_sha256(self) -> str:
        """The digest of its metadata."""
        return sha256(self.metadata).hexdigest()

    @cached_property
    def requires_python(self) -> str:
        """The versions of Python that it runs on."""
        return BytesParser().parsebytes(self.metadata, headersonly=True).get("Requires-Python", "")


def find(project: str) -> list[Wheel]:
    """Return the wheels of a project, the highest release first; empty if none was built."""
    paths = FOLDER.glob(f"{project.replace('-', '_')}-[0-9]*-py3-none-any.whl")
    found = [_read(project, path, path.stat().st_mtime_ns) for path in paths]
    return sorted(found, key=lambda wheel: [int(part) for part in re.findall(r"\d+", wheel.version)], reverse=True)


def requirements(hub: str, project: str, release: str) -> list[str]:
    """Return what installs a release from the hub at an address: a requirement by address and digest for each wheel.

    The client's has the format library's too. No index is asked for either name, where anybody may have registered it.
    """
    names = PROJECTS if project == CLIENT else (project,)
    wheels = [wheel for name in names for wheel in find(name) if wheel.version.partition("+")[0] == release]
    return [f"{wheel.project} @ {hub}/simple/{wheel.project}/{wheel.link}" for wheel in wheels]


@cache  # keyed by what changes with each build; it is small
def _read(project: str, path: Path, _changed: int) -> Wheel:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Wheel(project, path.name, path.read_bytes(), archive.read(name))


API_VERSION = "1.1"
HTML, JSON = "application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+json"
LATEST = ("latest", "latest.txt", "latest.whl")
# In the order of preference where a client accepts several alike.
ANSWERS = ("text/html", HTML, JSON)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Name the projects."""
    body = {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in PROJECTS]}
    return _answer(request, "package_index/index.html", body)


@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """List the files of a project; empty if no wheel was built."""
    if name not in PROJECTS:
        return _moved(name)
    found = find(name)
    versions = [wheel.version for wheel in found]
    body = {"meta": {"api-version": API_VERSION}, "name": name, "versions": versions}
    return _answer(
        request, "package_index/project.html", {**body, "files": list(map(_describe, found))}, {"wheels": found}
    )


@require_safe
def without_slash(request: HttpRequest, name: str = "") -> HttpResponse:
    """Lead to the address with a slash at its end, which PEP 503 asks for."""
    return _moved(name) if name else HttpResponsePermanentRedirect(reverse("simple"))


def _moved(name: str) -> HttpResponse:
    """Lead to the project of which this is a spelling, by PEP 503. Raises Http404 for any other name."""
    ours = re.sub(r"[-_.]+", "-", name).lower()
    if ours not in PROJECTS:
        raise Http404
    return HttpResponsePermanentRedirect(reverse("simple-project", args=[ours]))


@require_safe
def file(request: HttpRequest, name: str, filename: str) -> HttpResponse:
    """Send a wheel, its metadata, which an installer reads first, or the requirements that install a release."""
    if name not in PROJECTS:
        raise Http404
    if filename in LATEST or filename.endswith(".txt"):
        return _release(request, name, filename)
    found = find(name)
    bodies = {wheel.filename: wheel.data for wheel in found}
    bodies |= {f"{wheel.filename}.metadata": wheel.metadata for wheel in found}
    if filename not in bodies:
        raise Http404
    return _uncached(HttpResponse(bodies[filename], content_type="application/octet-stream"))


def _release(request: HttpRequest, name: str, filename: str) -> HttpResponse:
    """Send the requirements of a release (`0.2.0.txt`), or of this hub's own (`latest.txt`).

    `latest` is one argument by which pip and uv read `latest.txt`; `latest.whl` leads to the wheel, for saving it.
    """
    hub = origin(request)
    lines = requirements(hub, name, VERSION if filename in LATEST else filename.removesuffix(".txt"))
    if not lines or not lines[-1].startswith(name):
        raise Http404
    if filename == "latest":
        return _text(f"--requirement={hub}/simple/{name}/latest.txt")
    if filename == "latest.whl":
        return _uncached(HttpResponseRedirect(lines[-1].partition(" @ ")[2]))
    return _text("\n".join(lines))


def _text(text: str) -> HttpResponse:
    return _uncached(HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8"))


def _uncached(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-cache"
    return answer


def _describe(wheel: Wheel) -> dict[str, object]:
    return {
        "filename": wheel.filename,
        "url": quote(wheel.filename),  # relative to this page, so that a hub may lie below a path
        "hashes": {"sha256": wheel.sha256},
        "requires-python": wheel.requires_python,
        "core-metadata": {"sha256": wheel.metadata_sha256},
        "size": len(wheel.data),
    }


def _answer(
    request: HttpRequest, template: str, body: Mapping[str, object], more: Mapping[str, object] | None = None
) -> HttpResponse:
    kind = request.get_preferred_type(ANSWERS) if request.headers.get("Accept") else ANSWERS[0]
    if kind is None:
        return HttpResponse(f"This index is served as {', '.join(ANSWERS)}.", status=406, content_type="text/plain")
    if kind == JSON:
        answer: HttpResponse = JsonResponse(body, content_type=JSON)
    else:
        answer = render(request, template, {**body, "version": API_VERSION, **(more or {})}, content_type=kind)
    answer["Vary"] = "Accept"
    return _uncached(answer)


WIRE = [
    path("simple", without_slash),
    path("simple/", index, name="simple"),
    path("simple/<name>", without_slash),
    path("simple/<name>/", project, name="simple-project"),
    path("simple/<name>/<filename>", file, name="simple-file"),
]
