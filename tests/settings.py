"""hub.settings for the test process: state in a folder of its own, cheap password hashes, no collected static files."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_data = tempfile.mkdtemp(prefix="dovetail-tests-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)
os.environ.setdefault("DOVETAIL_DATA", _data)
Path(_data, "run", "static").mkdir(parents=True)  # whitenoise warns when it is missing
os.environ.setdefault("DOVETAIL_SECRET_KEY", "only-for-tests-" * 5)

from hub.settings import *  # noqa: F403  # the environment must be set before the settings are read

OUTBOX_DOORBELL = "registry.talk.dispatch.run"  # at the commit: no worker is part of most tests
SCAN_DOORBELL = "tests.api.conftest.notify_nobody"
TRY_DOORBELL = "tests.api.conftest.notify_nobody"
DERIVE_DOORBELL = "tests.api.conftest.notify_nobody"
PLANE_DOORBELL = "tests.api.conftest.notify_nobody"
ENGINES_MEASURED = False  # a checkout may hold vLLM, and would try it with every adapter
LETTERBOX = "registry.talk.letters.deliver"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

if "sqlite" in str(DATABASES["default"]["ENGINE"]):  # noqa: F405  # from the settings that it changes
    # A file, as in life: the database in memory that Django would take has no WAL, and threads lock each other out.
    DATABASES["default"]["TEST"] = {"NAME": f"{_data}/test.sqlite3"}  # noqa: F405  # from the settings that it changes
