"""Writes the programs that *Use* offers: a version loaded with a library, and run on one row.

Names, labels and rows come from strangers: each goes into a program as a literal of Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dovetail.adapters.usage import AdapterUsage

HERE = "http://127.0.0.1"  # stands for the hub in the digest of a program, which is the same at every address of it
SENTENCES = ("The train leaves the station at seven in the morning.", "In autumn the days grow shorter.")
QUESTION = ("When does the train leave?", "The train to the coast leaves the station at seven in the morning.")
HIDDEN = ("The train leaves the ", " at seven in the morning.")
IMAGES = ("diffusers", "kohya", "lycoris")  # formats that a pipeline of diffusers loads
TOKENS = 24  # that are written
WIDTH = 100


@dataclass(frozen=True, slots=True)
class Address:
    """Where a version and its base are: names, revisions, and the hub. `has_base`: the hub serves the base too."""

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
    written = {"peft": _program(usage, address, _peft_imports(usage), _peft_load, _peft_use)}
    if _PIPELINES.get(usage.model) and usage.reads == "text" and usage.tokenizer != "none" and _is_single(usage):
        imports = [*_peft_imports(usage), "from transformers import pipeline"]
        written["pipeline"] = _program(usage, address, imports, _peft_load, _pipeline_use)
    if usage.model == "AutoModel" and usage.reads == "text" and usage.tokenizer == "base" and not usage.rows:
        imports = ["from peft import PeftModel", "from sentence_transformers import SentenceTransformer"]
        written["sentence-transformers"] = _program(usage, address, imports, _sentences_load, _sentences_use)
    return written


def digest(usage: AdapterUsage, address: Address, key: str) -> str:
    """Return the sha256 of a program, which does not depend on where the version is found."""
    fixed = replace(address, name="n/n", revision="r", endpoint=HERE)
    return hashlib.sha256(programs(usage, fixed).get(key, "").encode()).hexdigest()


def quoted(text: str) -> str:
    """Return a text as a literal of Python that shows every character that cannot be seen."""
    return repr(text) if '"' in text else f'"{repr(chr(39) + text)[2:]}'


Lines = Callable[[AdapterUsage, Address], list[str]]


def _program(usage: AdapterUsage, address: Address, imports: list[str], load: Lines, use: Lines) -> str:
    where = f'os.environ["HF_ENDPOINT"] = {quoted(address.endpoint)}  # before the imports: this hub has both'
    first = ["import os", "", where, ""] if address.has_base else []
    if _is_pulled(usage, address):
        imports = [*imports, "from huggingface_hub import snapshot_download"]
    revision = [f"REVISION = {quoted(address.base_revision)}"] if address.base_revision else []
    others = sorted(set(imports), key=lambda line: (line.startswith("from"), line))
    body = [*first, *others, "", f"BASE = {quoted(address.base)}", *revision, "", *load(usage, address), ""]
    return "\n".join([*body, *use(usage, address)])


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
    return [*_call("folder = snapshot_download(", named), *note], ["folder", *inside]


def _pin(address: Address) -> str:
    return ", revision=REVISION" if address.base_revision else ""


def _call(start: str, arguments: list[str], end: str = ")") -> list[str]:
    """Return a call in one line if it fits, else with an argument a line."""
    line = f"{start}{', '.join(arguments)}{end}"
    return [line] if len(line) <= WIDTH else [start, *(f"    {argument}," for argument in arguments), end]


def _is_single(usage: AdapterUsage) -> bool:
    """Return whether the sample is one text, which every pipeline takes."""
    return usage.model == "AutoModel" or len(usage.sample) < 2


# --- PEFT ------------------------------------------------------------------------------------------------------------
def _peft_imports(usage: AdapterUsage) -> list[str]:
    extractor = "AutoFeatureExtractor, " if usage.hears else ""
    tokenizer = f", {usage.tokenizer_class}" if usage.tokenizer != "none" else ""
    names = f"{extractor}{usage.model}{tokenizer}"
    return ["import torch", "from peft import PeftModel", f"from transformers import {names}"]


def _peft_load(usage: AdapterUsage, address: Address) -> list[str]:
    lines, named = _found(usage, address)
    if usage.tokenizer == "adapter":
        lines += _call(f"tokenizer = {usage.tokenizer_class}.from_pretrained(", named)
    elif usage.tokenizer == "base":
        lines.append(f"tokenizer = {usage.tokenizer_class}.from_pretrained(BASE{_pin(address)})")
    if usage.inputs and usage.tokenizer != "none":
        lines.append(f"tokenizer.model_input_names = {_listed(usage.inputs)}  # the base takes no others")
    if usage.hears:
        lines.append(f"extractor = AutoFeatureExtractor.from_pretrained(BASE{_pin(address)})")
    pin = ["revision=REVISION"] if address.base_revision else []
    lines += _call(f"base = {usage.model}.from_pretrained(", ["BASE", *pin, *_head(usage)])
    if usage.rows:
        lines.append(f"base.resize_token_embeddings({usage.rows:.0f}, mean_resizing=False)  # for the tokens it adds")
    return [*lines, *_call("model = PeftModel.from_pretrained(", ["base", *named], ").eval()")]


def _head(usage: AdapterUsage) -> list[str]:
    if not usage.labels:
        return []
    names = ", ".join(f"{number}: {quoted(name)}" for number, name in enumerate(usage.names))
    numbers = ", ".join(f"{quoted(name)}: {number}" for number, name in enumerate(usage.names))
    labels = [f"id2label={{{names}}}", f"label2id={{{numbers}}}"] if names else []
    resets = ["ignore_mismatched_sizes=True"] if usage.resets_head else []
    return [f"num_labels={usage.labels:.0f}", *labels, *resets]


def _listed(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def _peft_use(usage: AdapterUsage, _: Address) -> list[str]:
    if usage.reads != "text" or usage.tokenizer == "none":
        return _sense_use(usage)
    return _TEXT_USES[usage.model](usage)


def _classified(usage: AdapterUsage) -> list[str]:
    texts = ", ".join(map(quoted, usage.sample or SENTENCES[:1]))
    return [
        f'inputs = tokenizer({texts}, return_tensors="pt")',
        "with torch.no_grad():",
        "    logits = model(**inputs).logits[0]",
        _label(usage),
    ]


def _label(usage: AdapterUsage) -> str:
    is_score = usage.labels == 1
    return "print(round(logits.item(), 3))" if is_score else "print(model.config.id2label[logits.argmax().item()])"


def _tagged(usage: AdapterUsage, names: str = "model.config.id2label") -> list[str]:
    return [
        f"text = {quoted((usage.sample or SENTENCES)[0])}",
        'inputs = tokenizer(text, return_tensors="pt")',
        "with torch.no_grad():",
        f"    logits = model(**inputs).logits[0{_own_places(usage)}]",
        "starts = [at for at in range(len(text)) if not text[at].isspace() and (at == 0 or text[at - 1].isspace())]",
        "labels = [logits[inputs.char_to_token(at)].argmax().item() for at in starts]",
        f"print([{names}[label] for label in labels])",
    ]


def _own_places(usage: AdapterUsage) -> str:
    """Return the slice that leaves out the virtual tokens, which stand before the text's."""
    return ', -inputs["input_ids"].shape[1] :' if usage.virtual_tokens else ""


def _questioned(usage: AdapterUsage) -> list[str]:
    question, context = usage.sample if len(usage.sample) == 2 else QUESTION
    own = f"[0{_own_places(usage)}]"
    return [
        f"question = {quoted(question)}",
        f"context = {quoted(context)}",
        'inputs = tokenizer(question, context, return_tensors="pt")',
        "with torch.no_grad():",
        "    answer = model(**inputs)",
        f"start, end = answer.start_logits{own}.argmax(), answer.end_logits{own}.argmax()",
        'print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))',
    ]


def _continued(usage: AdapterUsage) -> list[str]:
    text = quoted((usage.sample or SENTENCES)[0])
    inputs = [f'inputs = tokenizer({text}, return_tensors="pt")']
    if usage.has_chat_template:
        inputs = [
            f'messages = [{{"role": "user", "content": {text}}}]',
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
            ")",
        ]
    return [
        *inputs,
        f"ids = model.generate(**inputs, max_new_tokens={TOKENS}, do_sample=False)",
        'print(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]


def _rewritten(usage: AdapterUsage) -> list[str]:
    return [
        f'inputs = tokenizer({quoted((usage.sample or SENTENCES)[0])}, return_tensors="pt")',
        f"ids = model.generate(**inputs, max_new_tokens={TOKENS}, do_sample=False)",
        "print(tokenizer.decode(ids[0], skip_special_tokens=True))",
    ]


def _filled(usage: AdapterUsage) -> list[str]:
    before, after = HIDDEN
    return [
        f"text = {quoted(before)} + tokenizer.mask_token + {quoted(after)}",
        'inputs = tokenizer(text, return_tensors="pt")',
        "with torch.no_grad():",
        f"    logits = model(**inputs).logits[0{_own_places(usage)}]",
        'at = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)',
        "print(tokenizer.decode(logits[at].argmax()))",
    ]


def _embedded(usage: AdapterUsage) -> list[str]:
    one, other = usage.sample if len(usage.sample) == 2 else SENTENCES
    return [
        "def vector(text):",
        '    inputs = tokenizer(text, return_tensors="pt")',
        "    with torch.no_grad():",
        f"        return model(**inputs).last_hidden_state[0{_own_places(usage)}].mean(0)",
        "",
        *_call("pair = [", [f"vector({quoted(text)})" for text in (one, other)], "]"),
        "print(round(torch.cosine_similarity(*pair, dim=0).item(), 3))",
    ]


_TEXT_USES: Mapping[str, Callable[[AdapterUsage], list[str]]] = {
    "AutoModelForSequenceClassification": _classified,
    "AutoModelForTokenClassification": _tagged,
    "AutoModelForQuestionAnswering": _questioned,
    "AutoModelForCausalLM": _continued,
    "AutoModelForImageTextToText": _continued,
    "AutoModelForSeq2SeqLM": _rewritten,
    "AutoModelForMaskedLM": _filled,
    "AutoModel": _embedded,
}


# --- pictures, sound, and bases without a tokenizer ------------------------------------------------------------------
def _sense_use(usage: AdapterUsage) -> list[str]:
    inputs = _sense_inputs(usage)
    run = ["with torch.no_grad():", "    answer = model(**inputs)"]
    if not inputs:
        return ["print(type(model).__name__)"]
    if usage.model == "AutoModelForSpeechSeq2Seq" and usage.reads == "input_features":
        return [
            *inputs,
            f"ids = model.generate(**inputs, max_new_tokens={TOKENS}, do_sample=False)",
            _heard(usage, "ids"),
        ]
    if usage.model == "AutoModelForCTC":
        return [*inputs, *run, _heard(usage, "answer.logits.argmax(-1)")]
    if usage.labels:
        return [*inputs, *run, "logits = answer.logits[0]", _label(usage)]
    return [*inputs, *run, "print(tuple(answer[0].shape))"]


def _heard(usage: AdapterUsage, ids: str) -> str:
    if usage.tokenizer == "none":
        return f"print({ids}[0].tolist())"
    return f"print(tokenizer.decode({ids}[0], skip_special_tokens=True))"


def _sense_inputs(usage: AdapterUsage) -> list[str]:
    shape = ", ".join(f"{size:.0f}" for size in (1, *usage.shape))
    if usage.reads == "pixel_values":
        hint = "# In place of a picture: AutoImageProcessor of the base makes such numbers of yours."
        return [hint, f'inputs = {{"pixel_values": torch.zeros({shape})}}']
    if usage.reads in ("input_features", "input_values") and usage.hears:
        return [
            "rate = extractor.sampling_rate",
            "sound = torch.sin(torch.arange(rate) * 440 * 6.283 / rate)  # a second of a tone: put your recording here",
            'inputs = extractor(sound.numpy(), sampling_rate=rate, return_tensors="pt")',
        ]
    if usage.reads in ("input_features", "input_values"):
        hint = "# In place of sound: the feature extractor of the base makes such numbers of yours."
        return [hint, f'inputs = {{"{usage.reads}": torch.zeros({shape})}}']
    if usage.reads in ("text", "ids") and usage.model != "AutoModelForQuestionAnswering":
        return ["# The base has no tokenizer here: these are ids of tokens.",
                'inputs = {"input_ids": torch.tensor([[1, 2, 3, 4]])}']  # fmt: skip
    return []


# --- pipelines -------------------------------------------------------------------------------------------------------
_PIPELINES = {
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForMaskedLM": "fill-mask",
}


def _pipeline_use(usage: AdapterUsage, _: Address) -> list[str]:
    task = _PIPELINES[usage.model]
    text = quoted((usage.sample or SENTENCES)[0])
    make = f"pipe = pipeline({quoted(task)}, model=model, tokenizer=tokenizer)"
    if task == "text-classification" and usage.labels == 1:
        return [make, f'print(pipe({text}, function_to_apply="none")[0])']
    if task == "text-classification":
        return [make, f'print(pipe({text})[0]["label"])']
    if task == "token-classification":
        return [make, f'print([(part["word"], part["entity"]) for part in pipe({text})])']
    if task == "fill-mask":
        before, after = map(quoted, HIDDEN)
        return [make, f'print(pipe({before} + tokenizer.mask_token + {after})[0]["token_str"])']
    if usage.has_chat_template:
        messages = f'[{{"role": "user", "content": {text}}}]'
        said = f'pipe({messages}, max_new_tokens={TOKENS}, do_sample=False)[0]["generated_text"][-1]["content"]'
        return [make, f"print({said})"]
    options = f"max_new_tokens={TOKENS}, do_sample=False, return_full_text=False"
    return [make, f'print(pipe({text}, {options})[0]["generated_text"])']


# --- sentence-transformers -------------------------------------------------------------------------------------------
def _sentences_load(usage: AdapterUsage, address: Address) -> list[str]:
    lines, named = _found(usage, address)
    return [
        *lines,
        f"model = SentenceTransformer(BASE{_pin(address)})",
        *_call("model[0].auto_model = PeftModel.from_pretrained(", ["model[0].auto_model", *named]),
    ]


def _sentences_use(usage: AdapterUsage, _: Address) -> list[str]:
    pair = usage.sample if len(usage.sample) == 2 else SENTENCES
    return [f"vectors = model.encode({_listed(tuple(pair))})", "print(model.similarity(vectors[:1], vectors[1:]))"]


# --- diffusers -------------------------------------------------------------------------------------------------------
def _images_load(usage: AdapterUsage, address: Address) -> list[str]:
    lines, named = _found(usage, address)
    named += [f"weight_name={quoted(usage.file)}"] if usage.file else []
    return [
        *lines,
        f"pipeline = DiffusionPipeline.from_pretrained(BASE{_pin(address)})",
        *_call("pipeline.load_lora_weights(", named),
    ]


def _images_use(usage: AdapterUsage, _: Address) -> list[str]:
    prompt = quoted(" ".join([*usage.sample, "a paper bird"]))
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
        *_call("folder = snapshot_download(", named),
        f"tokenizer = {usage.tokenizer_class}.from_pretrained(BASE{_pin(address)})",
        *(
            [f"tokenizer.model_input_names = {_listed(usage.inputs)}  # the base takes no others"]
            if usage.inputs
            else []
        ),
        f"model = AutoAdapterModel.from_pretrained(BASE{_pin(address)})",
        *parts,
        f"model.{method}({place}, use_safetensors=True, set_active=True)",
        "model.eval()",
    ]


def _library_use(usage: AdapterUsage, _: Address) -> list[str]:
    if usage.model == "AutoModelForTokenClassification":
        return _tagged(usage, "model.get_labels_dict()")
    texts = ", ".join(map(quoted, usage.sample or SENTENCES[:1]))
    run = [
        f'inputs = tokenizer({texts}, return_tensors="pt")',
        "with torch.no_grad():",
        "    answer = model(**inputs)",
    ]
    if usage.model == "AutoModelForSequenceClassification" and usage.labels > 1:
        return [*run, "print(model.get_labels_dict()[answer.logits.argmax().item()])"]
    return [*run, "print(tuple(answer[0].shape))"]
