"""Clients that are generated from the document of a hub that runs make the calls of calls.py there, typed strictly."""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from features.openapi.tests.calls import CALLS, calls
from features.openapi.tests.test_generated_client import PACKAGE, body_of, generate
from ops import services
from tests.live import TOKENS

TYPESCRIPT = Path(__file__).parent / "typescript"
VERDICT = """
const verdict = await client.GET("/api/v1/adapters/{ns}/{name}/revisions/{rev}/verdict", {
  params: { path: { ns: "alice", name: "none", rev: "main" } },
});
const failed: string[] = (verdict.data?.checks ?? []).filter((one) => one.outcome === "failed").map((one) => one.id);
const problem: string = verdict.error?.code ?? "";
if (failed.length || problem !== "adapter-not-found" || verdict.data?.state) throw new Error(problem);
"""
pytestmark = pytest.mark.merge


@pytest.fixture
def document(live_hub) -> dict[str, Any]:
    return httpx.get(f"{live_hub.url}/api/v1/openapi.json").json()


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation) by the name of the operation."""
    rows = ((method, path, said) for path, methods in document["paths"].items() for method, said in methods.items())
    return {said["operationId"]: (method, path, said) for method, path, said in rows}


def chosen(parameter: inspect.Parameter, value: Any) -> Any:
    """Return a value as a parameter takes it: one of its choices, where it has some."""
    kinds = [kind for kind in get_args(parameter.annotation) if isinstance(kind, type) and issubclass(kind, Enum)]
    return kinds[0](value) if kinds else value


def test_there_are_at_least_sixty_calls_of_different_operations():
    assert len({call.id for call in CALLS}) == len(CALLS) >= 60


def test_a_python_client_calls_the_hub(live_hub, document, tmp_path, monkeypatch):
    generate(tmp_path, document)
    monkeypatch.syspath_prepend(str(tmp_path))
    package = importlib.import_module(PACKAGE)
    client = package.AuthenticatedClient(live_hub.url, token=TOKENS["alice"], timeout=httpx.Timeout(60))
    known, kept = operations(document), {}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        return kept[value[1:]] if isinstance(value, str) and value.startswith("$") else value

    for call in calls("by-python"):
        _, _, said = known[call.id]
        function = importlib.import_module(f"{PACKAGE}.api.{said['tags'][0]}.{call.id}").sync_detailed
        takes = inspect.signature(function).parameters
        names = {key: key if key in takes else f"{key}_" for key in call.parameters}
        values = {names[key]: chosen(takes[names[key]], filled(value)) for key, value in call.parameters.items()}
        if call.body is not None:
            values["body"] = body_of(takes["body"], filled(call.body))
        answer = function(client=client, **values)
        assert 200 <= answer.status_code < 300, (call, answer.content)
        word, member = call.kept
        if word:
            kept[word] = getattr(answer.parsed, member)


def statements(document: dict[str, Any]) -> Iterator[str]:
    """Yield TypeScript that makes the calls; the compiler compares each value with the document."""
    known = operations(document)
    for number, call in enumerate(calls("by-typescript")):
        method, path, said = known[call.id]
        places: dict[str, dict[str, Any]] = {}
        for parameter in said.get("parameters", []):
            if (name := parameter.get("name")) in call.parameters:
                places.setdefault(parameter["in"], {})[name] = call.parameters[name]
        options = ({"params": places} if places else {}) | ({"body": call.body} if call.body is not None else {})
        text = re.sub(r'"\$(\w+)"', r"\1", json.dumps(options))
        yield f"const a{number} = await client.{method.upper()}({json.dumps(path)}, {text});"
        yield f"done({json.dumps(call.id)}, a{number}.response, a{number}.error);"
        word, member = call.kept
        if word:
            yield f"const {word} = a{number}.data!.{member};"


def test_a_typescript_client_compiles_strictly_and_calls_the_hub(live_hub, document, tmp_path):
    if not shutil.which("npm") and not os.environ.get("CI"):
        pytest.skip("npm is not there: run `make services`")
    services.install_node_packages()
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    headers = {"Authorization": f"Bearer {TOKENS['alice']}"}
    beginning = f"""import createClient from "openapi-fetch";
import type {{ paths }} from "./rest.js";
const client = createClient<paths>({json.dumps({"baseUrl": live_hub.url, "headers": headers})});
function done(call: string, response: Response, error: {{ code: string }} | undefined): void {{
  if (!response.ok) throw new Error(`${{call}}: ${{response.status}} ${{error?.code}}`);
}}
"""
    (tmp_path / "calls.ts").write_text(beginning + "\n".join(statements(document)) + VERDICT)
    # A member of a body that has a default may be left out; the generator takes it for one of an answer.
    generated = ["openapi-typescript", "openapi.json", "-o", "rest.d.ts", "--default-non-nullable=false"]
    for command in (generated, ["tsc"], ["node", "built/calls.js"]):
        program = shutil.which(command[0], path=f"{tmp_path}/node_modules/.bin:{os.environ['PATH']}")
        assert program, command
        ran = subprocess.run([program, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
