"""Writes the programs that *Use* offers: a version loaded with a library, and run on one row.

Names, labels and rows come from strangers: each goes into a program as a literal of Python.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from dovetail.adapters.results.program_samples import (
    SENTENCES,
    call,
    has_pipeline,
    listed,
    peft_use,
    pipeline_use,
    quoted,
    tagged,
)
from dovetail.adapters.results.usage import AdapterUsage

HERE = "http://127.0.0.1"  # stands for the hub in the digest of a program, which is the same at every address of it
PILLOW = "Pillow"
IMAGES = ("diffusers", "kohya", "lycoris")  # formats that a pipeline of diffusers loads


@dataclass(frozen=True, slots=True)
class Address:
    """The names and revisions of a version and its base, and their hub. `has_base`: the hub serves the base too."""

    name: str
    revision: str
    endpoint: str
    base: str
    base_revision: str = ""
    has_base: bool = True


def programs(usage: AdapterUsage, address: Address) -> dict[str, str]:
    """Return the programs by the key of their tool in *Use*; none for a format that has none here."""
    if usage.format == "adapters":
        return {"peft": _program(usage, address, _library_imports(usage), _library_load, _library_use)}
    if usage.format in IMAGES:
        imports = ["from diffusers import DiffusionPipeline"]
        return {"diffusers": _program(usage, address, imports, _images_load, _images_use)}
    if usage.format != "peft":
        return {}
    written = {"peft": _program(usage, address, _peft_imports(usage), _peft_load, peft_use)}
    if has_pipeline(usage):
        written["pipeline"] = _program(usage, address, _pipeline_imports(usage), _pipeline_load, pipeline_use)
    if usage.model == "AutoModel" and usage.reads == "text" and usage.tokenizer == "base" and not usage.rows:
        imports = ["from peft import PeftModel", "from sentence_transformers import SentenceTransformer"]
        written["sentence-transformers"] = _program(usage, address, imports, _sentences_load, _sentences_use)
    return written


def packages(usage: AdapterUsage, key: str) -> list[str]:
    """Return the packages that a program needs, as pip names them."""
    if key == "peft" and usage.format == "adapters":
        return ["torch", "adapters"]
    if key == "diffusers":
        return ["torch", "diffusers", "transformers", "accelerate", "peft"]
    if key == "sentence-transformers":
        return ["sentence-transformers", "peft"]
    return ["torch", "transformers", "peft", *(["pillow"] if lacking(usage, key) == PILLOW else [])]


def lacking(usage: AdapterUsage, key: str) -> str:
    """Return the library of a program that the engines which prove adapters do not have; "" if they have all."""
    if key == "pipeline":
        return PILLOW if usage.sees else ""
    return key if key in ("diffusers", "sentence-transformers") else ""


def digest(usage: AdapterUsage, address: Address, key: str) -> str:
    """Return the sha256 of a program, which does not depend on where the version is found."""
    fixed = replace(address, name="n/n", revision="r", endpoint=HERE)
    return hashlib.sha256(programs(usage, fixed).get(key, "").encode()).hexdigest()


Load = Callable[[AdapterUsage, Address], list[str]]
Use = Callable[[AdapterUsage], list[str]]


def _program(usage: AdapterUsage, address: Address, imports: list[str], load: Load, use: Use) -> str:
    where = f'os.environ["HF_ENDPOINT"] = {quoted(address.endpoint)}  # before the imports: this hub has both'
    first = ["import os", "", where, ""] if address.has_base else []
    if _is_pulled(usage, address):
        imports = [*imports, "from huggingface_hub import snapshot_download"]
    revision = [f"REVISION = {quoted(address.base_revision)}"] if address.base_revision else []
    others = sorted(set(imports), key=lambda line: (line.startswith("from"), line))
    body = [*first, *others, "", f"BASE = {quoted(address.base)}", *revision, "", *load(usage, address), ""]
    return "\n".join([*body, *use(usage)])


def _is_pulled(usage: AdapterUsage, address: Address) -> bool:
    """Return whether a program downloads the version as a whole, in place of having its library do that.

    PEFT 0.21 looks for a subfolder twice where it has no network.
    """
    return bool(usage.place) or not address.has_base


def _found(usage: AdapterUsage, address: Address) -> tuple[list[str], list[str]]:
    """Return the lines that download a version where its library does not, and the arguments that name its folder."""
    named = [quoted(address.name), f"revision={quoted(address.revision)}"]
    inside = [f"subfolder={quoted(usage.place)}"] if usage.place else []
    if not _is_pulled(usage, address):
        return [], named
    if not address.has_base:
        named.append(f"endpoint={quoted(address.endpoint)}")
    note = [] if address.has_base else ["# This hub does not keep the base: it comes from where HF_ENDPOINT points."]
    return [*call("folder = snapshot_download(", named), *note], ["folder", *inside]


def _pin(address: Address) -> str:
    return ", revision=REVISION" if address.base_revision else ""


# --- PEFT ------------------------------------------------------------------------------------------------------------
def _peft_imports(usage: AdapterUsage, *others: str) -> list[str]:
    extractor = ["AutoFeatureExtractor"] if usage.hears else []
    tokenizer = [usage.tokenizer_class] if usage.tokenizer != "none" else []
    names = ", ".join([*extractor, usage.model, *tokenizer, *others])
    return ["import torch", "from peft import PeftModel", f"from transformers import {names}"]


def _pipeline_imports(usage: AdapterUsage) -> list[str]:
    if usage.sees:
        return [*_peft_imports(usage, "AutoImageProcessor", "pipeline")[1:], "from PIL import Image"]
    # Its tone is made with torch; a text needs none of it.
    return _peft_imports(usage, "pipeline")[0 if usage.hears else 1 :]


def _pipeline_load(usage: AdapterUsage, address: Address) -> list[str]:
    processor = [f"processor = AutoImageProcessor.from_pretrained(BASE{_pin(address)})"] if usage.sees else []
    return [*processor, *_peft_load(usage, address)]


def _peft_load(usage: AdapterUsage, address: Address) -> list[str]:
    lines, named = _found(usage, address)
    if usage.tokenizer == "adapter":
        lines += call(f"tokenizer = {usage.tokenizer_class}.from_pretrained(", named)
    elif usage.tokenizer == "base":
        lines.append(f"tokenizer = {usage.tokenizer_class}.from_pretrained(BASE{_pin(address)})")
    if usage.inputs and usage.tokenizer != "none":
        lines.append(f"tokenizer.model_input_names = {listed(usage.inputs)}  # the base takes no others")
    if usage.hears:
        lines.append(f"extractor = AutoFeatureExtractor.from_pretrained(BASE{_pin(address)})")
    pin = ["revision=REVISION"] if address.base_revision else []
    lines += call(f"base = {usage.model}.from_pretrained(", ["BASE", *pin, *_head(usage)])
    if usage.rows:
        lines.append(f"base.resize_token_embeddings({usage.rows:.0f}, mean_resizing=False)  # for the tokens it adds")
    return [*lines, *call("model = PeftModel.from_pretrained(", ["base", *named], ").eval()")]


def _head(usage: AdapterUsage) -> list[str]:
    if not usage.labels:
        return []
    names = ", ".join(f"{number}: {quoted(name)}" for number, name in enumerate(usage.names))
    numbers = ", ".join(f"{quoted(name)}: {number}" for number, name in enumerate(usage.names))
    labels = [f"id2label={{{names}}}", f"label2id={{{numbers}}}"] if names else []
    resets = ["ignore_mismatched_sizes=True"] if usage.resets_head else []
    return [f"num_labels={usage.labels:.0f}", *labels, *resets]


# --- sentence-transformers -------------------------------------------------------------------------------------------
def _sentences_load(usage: AdapterUsage, address: Address) -> list[str]:
    lines, named = _found(usage, address)
    return [
        *lines,
        f"model = SentenceTransformer(BASE{_pin(address)})",
        *call("model[0].auto_model = PeftModel.from_pretrained(", ["model[0].auto_model", *named]),
    ]


def _sentences_use(usage: AdapterUsage) -> list[str]:
    pair = usage.sample if len(usage.sample) == 2 else SENTENCES
    return [f"vectors = model.encode({listed(tuple(pair))})", "print(model.similarity(vectors[:1], vectors[1:]))"]


# --- diffusers -------------------------------------------------------------------------------------------------------
def _images_load(usage: AdapterUsage, address: Address) -> list[str]:
    lines, named = _found(usage, address)
    named += [f"weight_name={quoted(usage.file)}"] if usage.file else []
    return [
        *lines,
        f"pipeline = DiffusionPipeline.from_pretrained(BASE{_pin(address)})",
        *call("pipeline.load_lora_weights(", named),
    ]


def _images_use(usage: AdapterUsage) -> list[str]:
    prompt = quoted((usage.sample or ("a paper bird",))[0])
    return [f"image = pipeline({prompt}, num_inference_steps=20).images[0]", 'image.save("picture.png")']


# --- the adapters library --------------------------------------------------------------------------------------------
def _library_imports(usage: AdapterUsage) -> list[str]:
    return [
        "import torch",
        "from adapters import AutoAdapterModel",
        "from huggingface_hub import snapshot_download",
        f"from transformers import {usage.tokenizer_class}",
    ]


def _library_load(usage: AdapterUsage, address: Address) -> list[str]:
    named = [quoted(address.name), f"revision={quoted(address.revision)}"]
    if not address.has_base:
        named.append(f"endpoint={quoted(address.endpoint)}")
    place = f"folder + {quoted(f'/{usage.place}')}" if usage.place else "folder"
    method = {"composition": "load_adapter_setup", "fusion": "load_adapter_fusion"}.get(usage.kind, "load_adapter")
    start = f"{usage.place}/" if usage.place else ""
    parts = [f"model.load_adapter(folder + {quoted(f'/{start}{part}')}, use_safetensors=True)" for part in usage.parts]
    # The library's own default is to read a pickle; what was proven is the safetensors file.
    return [
        *call("folder = snapshot_download(", named),
        f"tokenizer = {usage.tokenizer_class}.from_pretrained(BASE{_pin(address)})",
        *(
            [f"tokenizer.model_input_names = {listed(usage.inputs)}  # the base takes no others"]
            if usage.inputs
            else []
        ),
        f"model = AutoAdapterModel.from_pretrained(BASE{_pin(address)})",
        *parts,
        f"model.{method}({place}, use_safetensors=True, set_active=True)",
        "model.eval()",
    ]


def _library_use(usage: AdapterUsage) -> list[str]:
    if usage.model == "AutoModelForTokenClassification":
        return tagged(usage, "model.get_labels_dict()")
    texts = ", ".join(map(quoted, usage.sample or SENTENCES[:1]))
    run = [
        f'inputs = tokenizer({texts}, return_tensors="pt")',
        "with torch.no_grad():",
        "    answer = model(**inputs)",
    ]
    if usage.model == "AutoModelForSequenceClassification" and usage.labels > 1:
        return [*run, "print(model.get_labels_dict()[answer.logits.argmax().item()])"]
    return [*run, "print(tuple(answer[0].shape))"]
