"""Texts to copy: how to use a version with each tool, pinned to what was proven, and to cite it."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from urllib.parse import quote, urlsplit

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext

from dovetail.adapters.results.report import Serving
from dovetail.adapters.serving import ENGINES
from dovetail.adapters.serving.llama_cpp import LLAMA_CPP
from dovetail.adapters.serving.vllm import VLLM
from dovetail.serve.server_start import LINES, Start, Target, has_parts, part_of, start, start_ollama
from features.use.pages.programs import NO_NETWORK, SERVER, Snippet, is_closed, token_lines, written_programs
from hub.addresses import absolute, origin
from hub.site.proof import Served
from hub.site.repository.repository_header import RepositoryHeader
from registry.models import Namespace

TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    sign: f"\\{sign}" for sign in "&%$#_{}"
}


def install_line(hub: str) -> str:
    """Return the command that installs the client of the hub at an address (docs/simple.md)."""
    return f"pip install -r {hub}/simple/dovetail-hub/latest.txt"


def bibtex(header: RepositoryHeader, address: str) -> str:
    """Return the entry of the version of a header, whose page has this address; its owner is the author."""
    repository, revision = header.repository, header.revision
    key = re.sub(r"[^A-Za-z0-9-]", "-", f"{repository.full_name}-{revision.oid[:7]}")
    base = str(header.described["base"] or "")
    subject = f"{header.noun} for {base}" if base else header.noun
    fields = {
        "author": f"{{{_tex(_author(repository.namespace) or repository.namespace.name)}}}",
        "title": f"{{{_tex(repository.full_name)}}}: {_tex(subject)}",
        "year": str(revision.created_at.year),
        "version": revision.oid,
        "howpublished": f"\\url{{{address}}}",
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}}}"


def _author(namespace: Namespace) -> str:
    """Return the full name of the person or the organisation; "" where they gave none."""
    owner = getattr(namespace, "person", None) or getattr(namespace, "organization", None)
    return owner.full_name if owner else ""


def _tex(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)


Starter = Callable[[Serving, Target], Start]
CI_STEP = """# a step of GitHub Actions
- env:
    DOVETAIL_ENDPOINT: {here}{secret}
  run: |
    {install}
    {pull}
"""


def snippets(request: HttpRequest, header: RepositoryHeader) -> list[Snippet]:
    """Return one snippet a tool for the version of a header, in the order people look for them."""
    here, name, pin = origin(request), header.repository.full_name, header.pin
    signed = '-H "Authorization: Bearer $HF_TOKEN" ' if is_closed(header) else ""
    token = token_lines(request, header)
    file = header.weights.path if header.weights else _first(header)
    # A path may hold spaces, quotes and dollar signs, and people paste this into a shell.
    address = absolute(request, header.repository.file_url(pin, "")) + quote(file)
    curl = Snippet("curl", "curl", (*token, f"curl -L {signed}-O {shlex.quote(address)}"), not_run=NO_NETWORK)
    page = absolute(request, header.revision.get_absolute_url())
    cite = Snippet("cite", gettext("Cite it"), (bibtex(header, page),))
    if header.repository.type != "model":
        return [*_other(header, here), curl, cite]
    loaded = [*written_programs(request, header), *_engines(request, header, here)] if header.facts.description else []
    pull = (install_line(here), f"export DOVETAIL_ENDPOINT={here}", f"dovetail pull {name}@{pin}")
    secret = "\n    DOVETAIL_TOKEN: ${{ secrets.DOVETAIL_TOKEN }}" if signed else ""
    step = CI_STEP.format(here=here, secret=secret, install=pull[0], pull=pull[-1])
    hf = (f"export HF_ENDPOINT={here}", f"hf download {name} \\\n  --revision {pin}")
    return [
        *loaded,
        Snippet("dovetail", "dovetail", (*token, *pull), not_run=NO_NETWORK),
        Snippet("hf", "hf", (*token, *hf), not_run=NO_NETWORK),
        curl,
        Snippet("ci", "CI", (step,), not_run=NO_NETWORK),
        cite,
    ]


def _first(header: RepositoryHeader) -> str:
    """The file to show a way to: the card, else the first one that somebody pushed."""
    pushed = sorted(set(header.entries) - {".gitattributes"})
    return "README.md" if "README.md" in pushed else next(iter(pushed), ".gitattributes")


def _other(header: RepositoryHeader, here: str) -> list[Snippet]:
    """Return the ways to pull a dataset or a space; nothing of them is proven, and our client pulls adapters alone."""
    name, type = header.repository.full_name, header.repository.type
    hf = f"export HF_ENDPOINT={here}\nhf download {name} --repo-type {type} \\\n  --revision {header.pin}"
    python = f"""from huggingface_hub import snapshot_download

folder = snapshot_download(
    "{name}",
    repo_type="{type}",
    revision="{header.pin}",
    endpoint="{here}",
)"""
    return [Snippet("hf", "hf", (hf,), not_run=NO_NETWORK), Snippet("python", "Python", (python,), not_run=NO_NETWORK)]


def start_in_docker(answer: Serving, target: Target) -> Start:
    """Return how vLLM's image serves an adapter, which starts `vllm serve` with what follows its name.

    The options are those of the plain line: the folder of the adapter has the same path in the container.
    """
    plain = start(answer, target)
    if not plain.commands:
        return plain
    options = plain.commands[-1].partition("vllm serve ")[2]
    is_local = urlsplit(target.endpoint).hostname in ("localhost", "127.0.0.1", "::1")
    lines = [line.strip() for line in _folded(options).replace("$", "$$").split("\\\n")]
    folder, image = target.download.removeprefix("./"), f"vllm/vllm-openai:v{VLLM.version}"
    given = {"target": target, "is_local": is_local, "folder": folder, "image": image}
    given |= {"options": _folded(options), "lines": lines}
    texts = [render_to_string(f"use/{name}", given).strip() for name in ("docker.txt", "compose.txt")]
    return Start(plain.flags, (*plain.commands[:-1], *texts))


# Other ways to start an engine.
ALSO: dict[str, list[tuple[str, str, Starter]]] = {
    VLLM.name: [("docker", "vLLM in Docker", start_in_docker)],
    LLAMA_CPP.name: [("ollama", "Ollama", start_ollama)],
}


def _engines(request: HttpRequest, header: RepositoryHeader, here: str) -> list[Snippet]:
    """Return each serving engine, by its row in the table of the page: how it is started, or why it is not."""
    rows = {row.answer.engine: row for row in header.proof.served} if header.proof else {}
    # The client pulls what the engine is given.
    first = (*token_lines(request, header, header.target(here).base), install_line(here))
    return [
        _engine(header, Snippet(key, title, first, row=rows.get(engine.name)), here, begin)
        for engine in ENGINES
        if engine.name in LINES and engine.name != "diffusers"
        for key, title, begin in ((engine.name, engine.title, start), *ALSO.get(engine.name, ()))
    ]


def _engine(header: RepositoryHeader, snippet: Snippet, here: str, begin: Starter) -> Snippet:
    row = snippet.row
    if row is None:
        return replace(snippet, codes=(), why=f"Whether {snippet.tool} serves it is known once it was validated.")
    if row.outcome != "serves":
        return replace(snippet, codes=(), why=row.reason)
    commands = _commands(header, row, here, begin)
    return replace(snippet, codes=(*snippet.codes, *map(_folded, commands)), not_run=SERVER)


def _commands(header: RepositoryHeader, row: Served, here: str, begin: Starter) -> list[str]:
    """Return the commands that start an engine, of several adapters those of each; none of them twice."""
    target, report = header.target(here), header.proof.report if header.proof else None
    if report is None or not has_parts(report):
        return list(begin(row.answer, target).commands)
    answers = [(part_of(part, target), answer) for part in report.contents for answer in part.serving or ()]
    starts = [begin(answer, part) for part, answer in answers if answer.engine == row.answer.engine]
    return list(dict.fromkeys(chain.from_iterable(each.commands for each in starts)))


def _folded(command: str) -> str:
    """Return a command with an option a line; one with lines or quotes as it is: they may hold what looks like one."""
    return command if "'" in command or "\n" in command else command.replace(" --", " \\\n  --")
