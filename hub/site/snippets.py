"""Texts to copy: how to use a version with each tool, pinned to what was proven, to cite it, and to push one."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from urllib.parse import quote

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext

from dovetail.adapters.report import Serving
from dovetail.adapters.serving import ENGINES
from dovetail.adapters.serving.llama_cpp import LLAMA_CPP
from dovetail.serve.starting import LINES, Start, has_parts, part_of, start, start_ollama
from dovetail.serve.target import Target
from hub import client_wheel
from hub.origin import absolute, origin
from hub.site.citation import bibtex
from hub.site.compatibility import Served
from hub.site.repository_header import RepositoryHeader
from registry.repos.tags import is_model_id

CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "fill-mask": "AutoModelForMaskedLM",
}

Starter = Callable[[Serving, Target], Start]


@dataclass(frozen=True, slots=True)
class Snippet:
    """One tool's way, a command or a program each; without any, `why` says what stands against it.

    `row` is the engine's line in the table of compatibility, from which both were taken.
    """

    key: str
    tool: str
    codes: tuple[str, ...] = ()
    why: str = ""
    row: Served | None = None

    @property
    def code(self) -> str:
        return "\n".join(self.codes)


def snippets(request: HttpRequest, header: RepositoryHeader) -> list[Snippet]:
    """Return one snippet a tool for the version of a header, in the order people look for them."""
    here, name, pin = origin(request), header.repository.full_name, header.pin
    signed = '-H "Authorization: Bearer $HF_TOKEN" ' if header.repository.private else ""
    file = header.weights.path if header.weights else _first(header)
    # A path may hold spaces, quotes and dollar signs, and people paste this into a shell.
    address = absolute(request, header.repository.file_url(pin, "")) + quote(file)
    curl = Snippet("curl", "curl", (f"curl -L {signed}-O {shlex.quote(address)}",))
    page = absolute(request, header.revision.get_absolute_url())
    cite = Snippet("cite", gettext("Cite it"), (bibtex(header, page),))
    if header.repository.type != "model":
        return [*_other(header, here), curl, cite]
    library = _adapters if header.described["format"] == "adapters" else _peft
    loaded = [library(header, here), *_engines(header, here)] if header.facts.description else []
    wheel = client_wheel.address(here)
    pull = (f"pip install {wheel}", f"export DOVETAIL_ENDPOINT={here}", f"dovetail pull {name}@{pin}")
    return [
        *loaded,
        Snippet("dovetail", "dovetail", pull),
        Snippet("hf", "hf", (f"export HF_ENDPOINT={here}", f"hf download {name} \\\n  --revision {pin}")),
        curl,
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
    return [Snippet("hf", "hf", (hf,)), Snippet("python", "Python", (python,))]


def _adapters(header: RepositoryHeader, here: str) -> Snippet:
    """The library's own default is to read a pickle; what was proven is the safetensors file."""
    if not is_model_id(header.described["base"]):
        return Snippet("peft", "adapters", why="It names no base model that others have, so nothing can be loaded.")
    code = f"""from adapters import AutoAdapterModel
from huggingface_hub import snapshot_download

adapter = snapshot_download(
    "{header.repository.full_name}",
    revision="{header.pin}",
    endpoint="{here}",
)
# The base comes from where HF_ENDPOINT points: this hub serves the bases that it keeps.
model = AutoAdapterModel.from_pretrained(
    "{header.described["base"]}"
)
{_load(header)}"""
    return Snippet("peft", "adapters", (code,))


def _load(header: RepositoryHeader) -> str:
    """Return the lines that load it: a set-up as a whole, a fusion after the adapters that it weighs."""
    place = _place(header)
    path = f"adapter + {json.dumps(f'/{place}')}" if place else "adapter"
    if header.described["kind"] == "composition":
        return f"model.load_adapter_setup({path}, use_safetensors=True, set_active=True)"
    if header.described["kind"] == "fusion":
        each = """for name in (…):  # the adapters that it weighs
    model.load_adapter(adapter + "/" + name, use_safetensors=True)"""
        return f"{each}\nmodel.load_adapter_fusion({path}, use_safetensors=True, set_active=True)"
    return f"model.load_adapter({path}, use_safetensors=True, set_active=True)"


def _place(header: RepositoryHeader) -> str:
    """The folder that the adapter lies in, "" for the top."""
    return header.facts.description.place if header.facts.description else ""


def _peft(header: RepositoryHeader, here: str) -> Snippet:
    if why := _peft_refusal(header):
        return Snippet("peft", "peft", why=why)
    model = CLASSES.get(header.described["task"], "AutoModel")
    inside = f", subfolder={json.dumps(_place(header))}" if _place(header) else ""
    code = f"""{_peft_release(header)}from huggingface_hub import snapshot_download
from peft import PeftModel
from transformers import {model}

adapter = snapshot_download(
    "{header.repository.full_name}",
    revision="{header.pin}",
    endpoint="{here}",
)
# The base comes from where HF_ENDPOINT points: this hub serves the bases that it keeps.
base = {model}.from_pretrained(
    "{header.described["base"]}"
)
model = PeftModel.from_pretrained(base, adapter{inside})"""
    return Snippet("peft", "peft", (code,))


def _peft_rows(header: RepositoryHeader) -> list[Served]:
    """Return the releases of PEFT in the table of the page, the newest first."""
    served = header.proof.served if header.proof else []
    releases = [row for row in served if row.title.startswith("PEFT ")]
    return sorted(releases, key=lambda row: [int(part) for part in row.title.split()[1].split(".")], reverse=True)


def _peft_refusal(header: RepositoryHeader) -> str:
    """Return why PEFT does not load the adapter, by the table of the page where it has rows; "" if PEFT does."""
    if (why := _refusal(_peft_rows(header))) and not _proven_peft(header):
        return why
    if header.described["format"] not in ("peft", "unknown"):
        return f"PEFT does not load this format, {header.described['format']}."
    if not is_model_id(header.described["base"]):
        return "It names no base model that others have, so nothing can be loaded."
    return ""


def _peft_release(header: RepositoryHeader) -> str:
    """Return a comment with the oldest release that loads the adapter, where the table says that older ones do not."""
    rows = _peft_rows(header)
    serving = [row.title for row in rows if row.outcome == "serves"]
    if len(serving) == len(rows):
        return ""
    return f"# Needs {serving[-1] if serving else f'PEFT {_proven_peft(header)}'} or newer.\n"


def _proven_peft(header: RepositoryHeader) -> str:
    """Return the release of PEFT with which the revision passed; "" if it did not, or not with PEFT."""
    report = header.proof.report if header.proof else None
    is_proven = report is not None and report.is_passed and report.format == "peft"
    return report.engine.peft if is_proven and report and report.engine else ""


def _engines(header: RepositoryHeader, here: str) -> list[Snippet]:
    """Return each serving engine, by its row in the table of the page: how it is started, or why it is not."""
    rows = {row.answer.engine: row for row in header.proof.served} if header.proof else {}
    found = []
    for engine in ENGINES:
        if engine.name in LINES:
            found.append(_engine(header, engine.name, engine.title, rows.get(engine.name), here))
        if engine is LLAMA_CPP:
            found.append(_engine(header, "ollama", "Ollama", rows.get(engine.name), here, start_ollama))
    return found


def _engine(
    header: RepositoryHeader, key: str, title: str, row: Served | None, here: str, begin: Starter = start
) -> Snippet:
    if row is None:
        return Snippet(key, title, why=f"Whether {title} serves it is known once it was validated.")
    if row.outcome != "serves":
        return Snippet(key, title, why=row.reason, row=row)
    client = f"pip install {client_wheel.address(here)}"  # it pulls what the engine is given
    return Snippet(key, title, (client, *map(_folded, _commands(header, row, here, begin))), row=row)


def _commands(header: RepositoryHeader, row: Served, here: str, begin: Starter) -> list[str]:
    """Return the commands that start an engine, of several adapters those of each; none of them twice."""
    target, report = header.target(here), header.proof.report if header.proof else None
    if report is None or not has_parts(report):
        return list(begin(row.answer, target).commands)
    answers = [(part_of(part, target), answer) for part in report.contents for answer in part.serving or ()]
    starts = [begin(answer, part) for part, answer in answers if answer.engine == row.answer.engine]
    return list(dict.fromkeys(chain.from_iterable(each.commands for each in starts)))


def _folded(command: str) -> str:
    """Return a command with an option a line; one with quotes as it is, because they may hold what looks like one."""
    return command if "'" in command else command.replace(" --", " \\\n  --")


def _refusal(rows: list[Served]) -> str:
    """Return why an engine does not serve the adapter, by its rows in the table of the page; "" if it does."""
    return rows[0].reason if rows and all(row.outcome != "serves" for row in rows) else ""


def push_commands(request: HttpRequest, header: RepositoryHeader) -> list[Snippet]:
    """Return the commands that fill an empty repository."""
    here, name = origin(request), header.repository.full_name
    kind = "" if header.repository.type == "model" else f" --repo-type {header.repository.type}"
    token = f"export HF_TOKEN=…   # from {absolute(request, reverse('tokens'))}"
    hf = f"export HF_ENDPOINT={here}\n{token}\nhf upload {name} ./adapter{kind}"
    python = f"""from huggingface_hub import HfApi

HfApi(endpoint="{here}", token="…").upload_folder(
    repo_id="{name}",
    folder_path="./adapter",{
        f'''
    repo_type="{header.repository.type}",'''
        if kind
        else ""
    }
)"""
    return [Snippet("hf", "hf", (hf,)), Snippet("python", "Python", (python,))]
