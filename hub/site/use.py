"""Snippets to copy: how to pull an adapter with each tool, pinned to what was proven, and how to push one."""

import json
import shlex
from dataclasses import dataclass
from urllib.parse import quote

from django.http import HttpRequest
from django.urls import reverse

from dovetail.adapters.serving.vllm import VLLM
from hub.origin import absolute, origin
from hub.site.compatibility import Served
from hub.site.head import Head
from hub.site.templatetags.dovetail import last_part
from registry.repos.tags import is_model_id

CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "fill-mask": "AutoModelForMaskedLM",
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """One tool's way; without `code`, `why` says what stands against it."""

    key: str
    tool: str
    code: str
    why: str = ""


def snippets(request: HttpRequest, head: Head) -> list[Snippet]:
    """Return one snippet a tool, in the order people look for them, for the version that `head.used` names."""
    head = head.used
    here, name, pin = origin(request), head.repository.full_name, head.pin
    signed = '-H "Authorization: Bearer $HF_TOKEN" ' if head.repository.private else ""
    file = head.weights.path if head.weights else _first(head)
    # A path may hold spaces, quotes and dollar signs, and people paste this into a shell.
    address = absolute(request, head.repository.file_url(pin, "")) + quote(file)
    curl = Snippet("curl", "curl", f"curl -L {signed}-O {shlex.quote(address)}")
    if head.repository.type != "model":
        return [*_other(head, here), curl]
    library = _adapters if head.described["format"] == "adapters" else _peft
    loaded = [library(head, here), _vllm(head, here)] if head.facts.description else []
    return [
        *loaded,
        Snippet("hf", "hf", f"export HF_ENDPOINT={here}\nhf download {name} \\\n  --revision {pin}"),
        Snippet(
            "dovetail",
            "dovetail",
            f"pip install dovetail-hub\nexport DOVETAIL_ENDPOINT={here}\ndovetail pull {name}@{pin}",
        ),
        curl,
    ]


def _first(head: Head) -> str:
    """The file to show a way to: the card, else the first one that somebody pushed."""
    pushed = sorted(set(head.entries) - {".gitattributes"})
    return "README.md" if "README.md" in pushed else next(iter(pushed), ".gitattributes")


def _other(head: Head, here: str) -> list[Snippet]:
    """How to pull a dataset or a space; nothing of them is proven, and our client pulls adapters alone."""
    name, type = head.repository.full_name, head.repository.type
    hf = f"export HF_ENDPOINT={here}\nhf download {name} --repo-type {type} \\\n  --revision {head.pin}"
    python = f"""from huggingface_hub import snapshot_download

folder = snapshot_download(
    "{name}",
    repo_type="{type}",
    revision="{head.pin}",
    endpoint="{here}",
)"""
    return [Snippet("hf", "hf", hf), Snippet("python", "Python", python)]


def _adapters(head: Head, here: str) -> Snippet:
    """The library's own default is to read a pickle; what was proven is the safetensors file."""
    if not is_model_id(head.described["base"]):
        return Snippet("peft", "adapters", "", "It names no base model that others have, so nothing can be loaded.")
    code = f"""from adapters import AutoAdapterModel
from huggingface_hub import snapshot_download

adapter = snapshot_download(
    "{head.repository.full_name}",
    revision="{head.pin}",
    endpoint="{here}",
)
# The base is not kept here: run this without HF_ENDPOINT set.
model = AutoAdapterModel.from_pretrained(
    "{head.described["base"]}"
)
{_load(head)}"""
    return Snippet("peft", "adapters", code)


def _load(head: Head) -> str:
    """How the library takes it up: a set-up as a whole, a fusion after the adapters that it weighs."""
    place = _place(head)
    path = f"adapter + {json.dumps(f'/{place}')}" if place else "adapter"
    if head.described["kind"] == "composition":
        return f"model.load_adapter_setup({path}, use_safetensors=True, set_active=True)"
    if head.described["kind"] == "fusion":
        each = """for name in (…):  # the adapters that it weighs
    model.load_adapter(adapter + "/" + name, use_safetensors=True)"""
        return f"{each}\nmodel.load_adapter_fusion({path}, use_safetensors=True, set_active=True)"
    return f"model.load_adapter({path}, use_safetensors=True, set_active=True)"


def _place(head: Head) -> str:
    """The folder that the adapter lies in, "" for the top."""
    return head.facts.description.place if head.facts.description else ""


def _peft(head: Head, here: str) -> Snippet:
    if head.described["format"] not in ("peft", "unknown"):
        return Snippet("peft", "peft", "", f"PEFT does not load this format, {head.described['format']}.")
    if not is_model_id(head.described["base"]):
        return Snippet("peft", "peft", "", "It names no base model that others have, so nothing can be loaded.")
    model = CLASSES.get(head.described["task"], "AutoModel")
    inside = f", subfolder={json.dumps(_place(head))}" if _place(head) else ""
    code = f"""from huggingface_hub import snapshot_download
from peft import PeftModel
from transformers import {model}

adapter = snapshot_download(
    "{head.repository.full_name}",
    revision="{head.pin}",
    endpoint="{here}",
)
# The base is not kept here: run this without HF_ENDPOINT set.
base = {model}.from_pretrained(
    "{head.described["base"]}"
)
model = PeftModel.from_pretrained(base, adapter{inside})"""
    return Snippet("peft", "peft", code)


def _vllm(head: Head, here: str) -> Snippet:
    repository = head.repository
    rows = [row for row in head.proof.served if row.title == VLLM.title] if head.proof else []
    if not rows:
        return Snippet("vllm", "vLLM", "", "Whether vLLM serves it is known once it was validated.")
    if why := _refusal(rows):
        return Snippet("vllm", "vLLM", "", why)
    if not is_model_id(head.described["base"]):
        return Snippet("vllm", "vLLM", "", "It names no base model that others have, so nothing can be served.")
    flags = rows[0].flags.partition(" --lora-modules")[0]
    inside = f"/{_place(head)}" if _place(head) else ""
    code = f"""HF_ENDPOINT={here} hf download {repository.full_name} \\
  --revision {head.pin} --local-dir ./{repository.name}
vllm serve {head.described["base"]} \\
  {flags} \\
  --lora-modules {shlex.quote(f"{last_part(repository.name)}=./{repository.name}{inside}")}"""
    return Snippet("vllm", "vLLM", code)


def _refusal(rows: list[Served]) -> str:
    """Return why an engine does not serve the adapter, by its rows in the table of the page; "" if it does."""
    return rows[0].reason if rows and all(row.outcome != "serves" for row in rows) else ""


def push_commands(request: HttpRequest, head: Head) -> list[Snippet]:
    """What to type to fill an empty adapter."""
    here, name = origin(request), head.repository.full_name
    kind = "" if head.repository.type == "model" else f" --repo-type {head.repository.type}"
    token = f"export HF_TOKEN=…   # from {absolute(request, reverse('tokens'))}"
    hf = f"export HF_ENDPOINT={here}\n{token}\nhf upload {name} ./adapter{kind}"
    python = f"""from huggingface_hub import HfApi

HfApi(endpoint="{here}", token="…").upload_folder(
    repo_id="{name}",
    folder_path="./adapter",{
        f'''
    repo_type="{head.repository.type}",'''
        if kind
        else ""
    }
)"""
    return [Snippet("hf", "hf", hf), Snippet("python", "Python", python)]
