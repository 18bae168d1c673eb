"""CORS: off by default; origins that the operator names may read, and send cookies only where that is said too."""

import json
import os
import subprocess
import sys
from pathlib import Path

from django.test import Client

PREFLIGHT = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "PUT"}
SCRIPT = """
import json, django
django.setup()
from django.test import Client
answers = []
for origin in ("https://app.example.org", "https://evil.example.org"):
    for path in ("/api/v1/adapters/a/b", "/a/b/resolve/main/x", "/livez", "/static/none"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "PUT",
                   "Access-Control-Request-Headers": "idempotency-key"}
        answer = Client().options(path, headers=headers)
        answers.append([answer.headers.get("Access-Control-Allow-" + name) for name in ("Origin", "Credentials")])
answer = Client().get("/api/v1/nowhere", headers={"Origin": "https://app.example.org"})
print(json.dumps([answers, "RateLimit" in answer.headers.get("Access-Control-Expose-Headers", "")]))
"""


def hub(tmp_path, **variables):
    """Return the output and the errors of a process with these settings, which asks for the headers."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(Path(__file__).parents[2]),
        "DOVETAIL_DATA": str(tmp_path), "DOVETAIL_DATABASE_URL": f"sqlite:///{tmp_path}/none", **variables,
    }  # fmt: skip
    (tmp_path / "run" / "static").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()[-1:], done.stderr


def test_no_other_origin_may_read_by_default(db):
    answer = Client().options("/api/v1/adapters", headers=PREFLIGHT)
    assert not any(name.startswith("Access-Control-") for name in answer.headers)


def test_named_origins_may_ask_the_routes_for_programs_alone(tmp_path):
    [line], _ = hub(tmp_path, DOVETAIL_CORS_ORIGINS="https://app.example.org")
    answers, is_exposed = json.loads(line)
    named = "https://app.example.org"
    assert answers == [[named, None], [named, None], *[[None, None]] * 6]
    assert is_exposed


def test_cookies_go_along_only_where_origins_are_named(tmp_path):
    [line], _ = hub(tmp_path, DOVETAIL_CORS_ORIGINS="https://app.example.org", DOVETAIL_CORS_CREDENTIALS="on")
    assert json.loads(line)[0][0] == ["https://app.example.org", "true"]
    lines, errors = hub(tmp_path, DOVETAIL_CORS_ORIGINS="https://app.example.org,*", DOVETAIL_CORS_CREDENTIALS="on")
    assert lines == []
    assert "DOVETAIL_CORS_CREDENTIALS" in errors
