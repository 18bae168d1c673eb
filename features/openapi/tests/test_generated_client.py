"""A client that openapi-python-client makes of the OpenAPI document imports, and calls every operation."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from features.openapi import rest as openapi
from features.openapi.tests.seeded import ELSEWHERE, REQUIRED, Clock, operations, seed
from hub.api import streams

PACKAGE = "dovetail_rest"
GENERATOR = Path(sys.executable).with_name("openapi-python-client")


def generate(folder: Path, document: openapi.Schema) -> None:
    """Make the client; a warning of the generator is about a part of the document that it leaves out."""
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.yml").write_text("post_hooks: []\n")
    command = [GENERATOR, "generate", "--path", folder / "openapi.json", "--config", folder / "config.yml"]
    command += ["--meta", "none", "--output-path", folder / PACKAGE, "--fail-on-warning"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def body_of(parameter: inspect.Parameter, document: Any) -> Any:
    """Return a body as the shape that an operation takes."""
    shapes = get_args(parameter.annotation) or (parameter.annotation,)
    return next(shape for shape in shapes if hasattr(shape, "from_dict")).from_dict(document)


@pytest.mark.merge
def test_a_generated_client_calls_every_operation(cast, repository, tmp_path, monkeypatch):
    generate(tmp_path, openapi.document())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(streams, "time", Clock())
    world, failed = seed(cast, repository), {}
    package = importlib.import_module(PACKAGE)
    for _, path, raw in operations():
        name = raw["operationId"]
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])|-", "_", name).lower()
        call = importlib.import_module(f"{PACKAGE}.api.{raw['tags'][0]}.{snake}").sync_detailed
        transport = httpx.MockTransport(lambda request, name=name: world.send(name, request))
        client = package.Client("http://testserver", httpx_args={"transport": transport}, follow_redirects=True)
        values = {
            f"{key}_" if key in ("type", "id") else key: value for key, value in world.parameters(name, path).items()
        }
        takes = inspect.signature(call).parameters
        values = {key if key in takes else key.rstrip("_"): value for key, value in values.items()}
        values |= REQUIRED.get(name, {})
        if name in world.bodies and "body" in takes:
            values["body"] = body_of(takes["body"], world.bodies[name])
        answer = call(client=client, **values)
        has_shape = any("content" in said for status, said in raw["responses"].items() if status < "300")
        if answer.status_code >= 300 or (has_shape and type(answer.parsed).__name__ in ("NoneType", "Problem")):
            failed[name] = (answer.status_code, answer.parsed, answer.content[:300])
    assert failed.keys() == ELSEWHERE.keys(), failed
