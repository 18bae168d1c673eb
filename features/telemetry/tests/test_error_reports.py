"""Errors reported to Sentry by a process of the hub, and what is loaded where nothing is reported."""

import json
import os
import subprocess
import sys

from tests import live
from tests.receivers import receiver

BROKEN = """
import logging, sys
import django
django.setup()
from registry.kernel import traces
log = logging.getLogger("workers.validation.pipeline")
with traces.working_for(traces.new("run-4711")):
    try:
        password = "correct horse battery"
        try:
            open("/nowhere/alice/secret")
        except OSError as problem:
            raise ValueError("no answer from https://s3/b?X-Amz-Signature=s3cr3t for alice") from problem
    except ValueError:
        log.exception("POST %s broke", "/alice/secret", extra={"verdict": 7, "adapter": "alice/secret", "engine": "e5"})
    log.warning("%s waits", "alice/secret")
if "sentry_sdk" in sys.modules:
    sys.modules["sentry_sdk"].flush(10)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"sentry_sdk", "opentelemetry"}))
"""


def broken(**settings: str) -> str:
    """Log an error in a process with these settings; return which libraries it has loaded."""
    environment = live.environment_of({"SECRET_KEY": "x" * 60, **settings}) | {"DJANGO_SETTINGS_MODULE": "hub.settings"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (live.ROOT, live.ROOT / "client" / "src")))
    done = subprocess.run([sys.executable, "-c", BROKEN], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_error_is_reported_without_names_and_secrets() -> None:
    with receiver() as sentry:
        key = sentry.url.replace("http://", "http://public@")
        assert broken(SENTRY_DSN=f"{key}/1") == "sentry_sdk"
    [event] = sentry.events
    assert event["logentry"] == {"message": "POST %s broke"}
    assert event["extra"] == {"verdict": 7, "engine": "e5"}
    problems = {problem["type"]: problem for problem in event["exception"]["values"]}
    assert problems.keys() == {"FileNotFoundError", "ValueError"}
    assert {problem["value"] for problem in problems.values()} == {""}
    assert all(problem["stacktrace"]["frames"] for problem in problems.values())
    assert len(event["tags"]["request_id"]) == 32
    said = json.dumps(event)
    assert not [secret for secret in ("s3cr3t", "AbCdEf", "horse", "alice", "run-4711") if secret in said], said


def test_without_the_settings_nothing_of_it_is_loaded() -> None:
    assert broken() == ""
