"""The page on agents: the tools of `dovetail mcp`, asked by the client of the protocol's own library."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ops import environments
from tests.clients import CLIENTS, once
from tests.guide.pages import Walker, pins
from tests.live import ROOT, TOKENS, Hub

pytestmark = pytest.mark.merge
ASK = """
import asyncio, json, os, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main(calls):
    [(_, told)] = json.load(open("mcp.json"))["mcpServers"].items()
    program = StdioServerParameters(command=told["command"], args=told["args"], env=dict(os.environ))
    async with stdio_client(program) as streams, ClientSession(*streams) as session:
        await session.initialize()
        tools = {tool.name: tool.annotations.readOnlyHint for tool in (await session.list_tools()).tools}
        answers = [await session.call_tool(name, given) for name, given in calls]
    print(json.dumps([tools, [[bool(a.isError), [part.text for part in a.content]] for a in answers]]))

asyncio.run(main(json.loads(sys.argv[1])))
"""


def interpreters(page: str) -> Path:
    """Return the programs of an environment with the client and the library of the protocol, which is built once."""
    home = CLIENTS / "agents"

    def install() -> None:
        environments.uv("venv", "--quiet", "--clear", home)
        into = ["--quiet", "--python", home / "bin/python", f"mcp=={pins(page)['mcp']}"]
        environments.uv("pip", "install", *into, ROOT / "client/adapters", ROOT / "client")

    once(home, install)
    return home / "bin"


def ask(person: Walker, *calls: tuple[str, dict[str, object]]) -> tuple[dict[str, bool], list[tuple[bool, list[str]]]]:
    """Return the tools with whether they only read, and for each call whether it failed, and its texts."""
    (person.folder / "ask.py").write_text(ASK)
    (person.folder / "calls.json").write_text(json.dumps(calls))
    tools, answers = json.loads(person.run('python ask.py "$(cat calls.json)"').splitlines()[-1])
    return tools, answers


def test_an_agent_finds_reads_locks_and_pulls_what_is_verified_and_changes_nothing(working_hub: Hub, tmp_path: Path):
    programs = interpreters("start-agents")
    alice = Walker(tmp_path / "alice", programs, working_hub.url, TOKENS["alice"])
    (alice.folder / "programs/dovetail").unlink()
    (alice.folder / "programs/dovetail").symlink_to(programs / "dovetail")
    shutil.copytree(ROOT / "demo/reviews-lora", alice.folder / "reviews-lora")
    alice.run("dovetail push reviews-lora alice/for-agents --wait")
    alice.walk("start-agents")
    name = {"adapter": "alice/for-agents"}
    tools, answers = ask(
        alice,
        ("search_adapters", {"words": "for-agents", "task": "text-classification"}),
        ("adapter_version", name),
        ("adapter_verdict", name),
        ("try_adapter", name | {"text": "A wonderful film."}),
        ("check_folder", {"folder": "reviews-lora"}),
        ("lock_adapters", {"adapters": ["alice/for-agents@verified"]}),
        ("pull_adapter", name | {"to": "pulled"}),
        ("adapter_info", {"adapter": "alice/nothing"}),
        ("pull_adapter", {"adapter": "no name", "to": "elsewhere"}),
    )
    assert {tool for tool, reads in tools.items() if not reads} == {"lock_adapters", "pull_adapter"}
    assert [failed for failed, _ in answers] == [False] * 7 + [True] * 2, answers
    found, version, verdict, tried, checked, locked = (_document(texts) for _, texts in answers[:6])
    assert found["id"] == "alice/for-agents"
    assert verdict["state"] == "passed"
    assert tried["state"] == "done"
    assert checked["checks"]
    assert locked["revision"] == version["revision"] == verdict["revision"]
    assert version["revision"] in (alice.folder / "adapters.lock").read_text()
    assert (alice.folder / "pulled/adapter_config.json").is_file()
    assert "alice/nothing" in answers[7][1][0]
    assert not (alice.folder / "elsewhere").exists()


def _document(texts: list[str]) -> Any:
    return json.loads(texts[0])
