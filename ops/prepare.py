"""Brings a hub's state up to date, inside Django: tables, static files, the first administrator, the demo base."""

import io
import json
import os
import sys
import tempfile
from pathlib import Path

import django
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError

from ops.hub import DEMO_BASE, DEMO_PACKAGE, PARTLY

ADMINISTRATOR = "administrator"  # `admin` is a page


def main() -> int:
    """Do all of it, with the administrator's password from standard input; PARTLY when the base could not be had."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    make_administrator(sys.stdin.read())
    return 0 if shelve_demo_base() else PARTLY


def make_administrator(password: str) -> None:
    """Make an administrator when nobody administers this hub, and say once how to sign in."""
    if apps.get_model("registry.User").objects.filter(role="admin").exists():
        return
    provision({"users": [{"name": ADMINISTRATOR, "full_name": "Administrator", "password": password, "role": "admin"}]})
    print(f"\n  To sign in:   {ADMINISTRATOR}   {password}")
    print(f'  This is shown once. A new one: make manage ARGS="changepassword {ADMINISTRATOR}"\n', flush=True)


def provision(wanted: dict[str, object]) -> None:
    """Hand people and settings to `manage.py provision`, by way of a file that only its owner can read."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "provision.yml"
        file.touch(mode=0o600)
        file.write_text(json.dumps(wanted))
        call_command("provision", str(file), stdout=io.StringIO())


def shelve_demo_base() -> bool:
    """Put the demo base on the shelf unless it is there; without a network the hub starts all the same."""
    if apps.get_model("registry.Base").objects.filter(pk=DEMO_BASE).exists():
        return True
    print(f"Putting the base model {DEMO_BASE} on the shelf …", flush=True)
    try:
        call_command("shelf", "add", DEMO_BASE, "--package", DEMO_PACKAGE)
    except CommandError as error:
        print(f"The demo base is not on the shelf yet ({error}); the next `make up` tries again.", flush=True)
        return False
    return True


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ImproperlyConfigured as problem:  # a setting somebody wrote: the sentence says which, a traceback hides it
        sys.exit(str(problem))
    except OperationalError as problem:
        sys.exit(f"The database does not do what was asked: {str(problem).strip()}.")
