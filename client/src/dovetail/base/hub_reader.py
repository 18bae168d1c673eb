"""Asks a hub, and its read plane while the hub does not answer."""

import base64
import binascii
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from http.client import HTTPResponse
from threading import Event
from urllib.parse import quote, urlsplit

from dovetail.answers.versions import Manifest
from dovetail.base import places
from dovetail.base.plane import Plane, PlaneAddress
from dovetail.base.problems import Problem, usage
from dovetail.base.sources import Source
from dovetail.base.transport import Transport, is_away

KEY_BYTES = 32


class ReadingHub(Transport):
    """A hub with its read plane: manifests and bytes come from there while the hub is away.

    DOVETAIL_PLANE has them read there without asking the hub. Else the address and the keys are those that the hub
    stated when it was last pulled from.
    """

    def __init__(self, endpoint: str, token: str | None = None, timeout: float | None = None) -> None:
        super().__init__(endpoint, token, timeout)
        self._address, self._only_plane = _address_of(endpoint)
        self._is_away = self._only_plane
        self._is_patient = self._address is None

    def manifest(self, adapter: str, revision: str) -> Manifest:
        """Return a revision's manifest; `as_of` says when it was true, where it is the read plane's."""
        if not self._only_plane:
            try:
                path = f"/adapters/{quote(adapter)}/revisions/{quote(revision, safe='')}"
                manifest = self.get(path, Manifest)
            except Problem as problem:
                if self._address is None or not is_away(problem):
                    raise
                self._is_away = True
                with _also(problem):
                    return self._plane.manifest(adapter, revision)
            _remember(self.endpoint, manifest)
            self._address, _ = _address_of(self.endpoint)
            return manifest
        return self._plane.manifest(adapter, revision)

    def download(self, source: Source, offset: int = 0, is_stopped: Event | None = None) -> HTTPResponse:
        """Request the bytes of a file, as `Transport.download` does."""
        if not self._is_away:
            try:
                return super().download(source, offset, is_stopped)
            except Problem as problem:
                if self._address is None or not is_away(problem):
                    raise
                self._is_away = True  # the other files of this download ask the read plane at once
        return self._plane.download(source, offset, is_stopped)

    @cached_property
    def _plane(self) -> Plane:
        assert self._address is not None
        return Plane(self._address, self._timeout)


@contextmanager
def _also(first: Problem) -> Iterator[None]:
    """Tell of both where neither the hub nor its read plane could answer."""
    try:
        yield
    except Problem as problem:
        detail = f"{first.detail} {problem.detail}"
        raise Problem(detail, problem.fix, code=first.code, status=first.status) from None


def _address_of(endpoint: str) -> tuple[PlaneAddress | None, bool]:
    """Return the read plane of a hub, if one is known, and whether it alone is to be asked. Raises Problem."""
    url, known = os.environ.get("DOVETAIL_PLANE", "").rstrip("/"), places.plane(endpoint)
    keys = tuple(os.environ.get("DOVETAIL_PLANE_KEY", "").replace(",", " ").split()) or (known or ("", ()))[1]
    if wrong := [key for key in keys if not _is_key(key)]:
        raise usage(
            f"{wrong[0]!r} is no public key of a read plane.",
            f"Set DOVETAIL_PLANE_KEY to the base64 of {KEY_BYTES} bytes, as `plane.keys` of /api/v1/site has it.",
        )
    if not url:
        return (PlaneAddress(known[0], keys) if known else None), False
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise usage(f"DOVETAIL_PLANE is {url!r}, which is no address.", "Write it as https://HOST/PATH.")
    if not keys:
        raise usage(
            f"No key is known by which the read plane {url} can be trusted.",
            "Set DOVETAIL_PLANE_KEY to the hub's public key (base64; `plane.keys` of /api/v1/site), or pull once "
            "from the hub without DOVETAIL_PLANE.",
        )
    return PlaneAddress(url, keys), True


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except binascii.Error:
        return False


def _remember(endpoint: str, manifest: Manifest) -> None:
    stated = manifest.get("plane")
    url, keys = (stated.get("url"), stated.get("keys")) if isinstance(stated, dict) else (None, None)
    is_good = isinstance(url, str) and url.startswith(("http://", "https://")) and isinstance(keys, list)
    found = (str(url).rstrip("/"), tuple(map(str, keys or ()))) if is_good else None
    if found != places.plane(endpoint):
        places.remember_plane(endpoint, found)
