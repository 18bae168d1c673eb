#!/usr/bin/env python
"""Run Dovetail's management commands on the hub whose state is under DOVETAIL_DATA."""

import os
import sys
from importlib import import_module

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    try:
        if sys.argv[1:2] != ["runserver"]:
            import_module("registry.bytes.blobs").command.set()
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:  # a setting somebody wrote: the sentence says which, a traceback hides it
        sys.exit(str(problem))
    except OperationalError as problem:
        sys.exit(f"The database failed: {str(problem).strip()}.")
