"""Uploaders and sweepers of the same bytes at once; prints how often each got its way.

They race for the seconds that are given, and on a busy machine for as long as it takes until both met often enough.
"""

import sys
import threading
import time
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402  # after django.setup
from django.utils import timezone  # noqa: E402  # after django.setup

from registry.bytes import blobs, garbage, intake  # noqa: E402  # after django.setup
from registry.bytes.blobs import Keys  # noqa: E402  # after django.setup
from registry.models import Blob, Repository, UploadedBlob  # noqa: E402  # after django.setup
from tests.cast import assemble  # noqa: E402  # after django.setup

cast = assemble()
adapters = [cast.repository(f"alice/racer{number}") for number in range(3)]
CONTENTS = [b"one of the contested bytes", b"another of them"]
ENOUGH_UPLOADS, ENOUGH_SWEPT, PATIENCE_SECONDS = 20, 5, 120
started = time.monotonic()
uploads: list[Any] = []
swept: list[Any] = []
lost: list[str] = []


def racing() -> bool:
    seconds = time.monotonic() - started
    met = len(uploads) > ENOUGH_UPLOADS and sum(swept) > ENOUGH_SWEPT
    return seconds < float(sys.argv[1]) or not (met or lost or seconds > PATIENCE_SECONDS)


def upload(repository: Repository) -> None:
    number = 0
    while racing():
        number += 1
        content = CONTENTS[number % len(CONTENTS)]
        [digest] = intake.receive_inline(repository, content)
        # While the row stands, row and object must both be there.
        for _ in range(3):
            if not blobs.object_exists(Keys.blob(digest.sha256)) or not Blob.objects.filter(pk=digest.sha256).exists():
                lost.append(digest.sha256)
        uploads.append(number)
        UploadedBlob.objects.filter(repository=repository, blob=digest.sha256).delete()
    connection.close()


def sweep() -> None:
    while racing():
        swept.append(garbage._sweep_orphans(timezone.now(), None))
        swept.append(garbage.sweep_lost_objects(0))
    connection.close()


threading.excepthook = lambda failed: lost.append(repr(failed.exc_value))
threads = [threading.Thread(target=upload, args=(repository,)) for repository in adapters]
threads += [threading.Thread(target=sweep) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if lost:
    sys.exit(f"{len(lost)} times something went wrong: {lost[:3]}")
print(len(uploads), sum(swept))
