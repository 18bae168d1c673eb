"""Reads from the sources of serving engines which architectures each of them serves with LoRA; the rules use the table.

    python -m ops.architectures vllm=DIR sglang=DIR lorax=DIR tgi=DIR llama.cpp=DIR mlx=DIR

DIR is the unpacked package or checkout of the release in `RELEASES`. Nothing of it is imported: the files are parsed.
LoRAX, TGI and mlx-lm list types of models, whose classes are read in the transformers of engine e5. The table of the
named engines in client/src/dovetail/adapters/formats/architectures.json is rewritten; the others stay.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "client" / "src" / "dovetail" / "adapters" / "formats" / "architectures.json"
RELEASES = {
    "vllm": ("0.33.0", "https://pypi.org/project/vllm/0.33.0/"),
    "sglang": ("0.5.23", "https://pypi.org/project/sglang/0.5.23/"),
    "lorax": ("0.4.0 (a7394ba)", "https://github.com/predibase/lorax"),
    "tgi": ("3.3.7", "https://github.com/huggingface/text-generation-inference"),
    "llama.cpp": ("llama-cpp-python 0.3.36", "https://pypi.org/project/llama-cpp-python/0.3.36/"),
    "mlx": ("0.32.2", "https://pypi.org/project/mlx-lm/0.32.2/"),
}
PROBE = "model.layers.0.self_attn.q_proj"  # the name of a module in an adapter that was trained on the text model
WRAPPED = "language_model."  # where a model for text and images keeps its language model
ENCODER = "=clip"  # what the converter calls the part of a model that reads images or sound
MODELS_OF_TYPES = ".engines/e5/lib/python3*/site-packages/transformers/models/auto/modeling_auto.py"
LANGUAGE = ("MODEL_FOR_CAUSAL_LM", "MODEL_FOR_IMAGE_TEXT_TO_TEXT", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM", "MODEL")

Classes = dict[str, ast.ClassDef]


def main(arguments: list[str]) -> None:
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    for argument in arguments:
        engine, _, folder = argument.partition("=")
        facts = {key: sorted(value) for key, value in READERS[engine](Path(folder)).items()}
        table[engine] = {"version": RELEASES[engine][0], "source": RELEASES[engine][1], **facts}
        print(engine, {key: len(value) for key, value in facts.items()})
    TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


def trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(folder).as_posix(), ast.parse(path.read_text())


def classes_in(*folders: Path) -> Classes:
    return {
        node.name: node
        for folder in folders
        for _, tree in trees(folder)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def lineage(name: str, classes: Classes) -> Iterator[ast.ClassDef]:
    """Yield a class and its ancestors that the sources define, the nearest first."""
    waiting, seen = [name], set()
    while waiting:
        name = waiting.pop(0)
        if name in classes and name not in seen:
            seen.add(name)
            yield classes[name]
            waiting += [_last(base) for base in classes[name].bases]


def _last(node: ast.expr) -> str:
    """Return the last name of a dotted name or of a subscripted one."""
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def assigned(body: list[ast.stmt], name: str) -> ast.expr | None:
    """Return the value that a name gets in some statements, or None."""
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return node.value
    return None


# --- vLLM ------------------------------------------------------------------------------------------------------------
def vllm(package: Path) -> dict[str, set[str]]:
    """Read the registry: `text_keys_lost` has models for images in which names of the text model meet no module."""
    models = package / "model_executor" / "models"
    registry = ast.parse((models / "registry.py").read_text()).body
    classes = classes_in(models, package / "models")
    listed = {arch: cls for name in _tables(registry) for arch, cls in _entries(assigned(registry, name), registry)}
    gone = {
        arch
        for name in ("_PREVIOUSLY_SUPPORTED_MODELS", "_OOT_SUPPORTED_MODELS")
        for arch in ast.literal_eval(assigned(registry, name) or ast.Dict([], []))
    }
    lora = {arch for arch, cls in listed.items() if any(_has_lora(node) for node in lineage(cls, classes))}
    lost = {arch for arch in lora if (reached := _text_keys(listed[arch], classes)) is not None and not reached}
    return {"lora": lora, "without": (listed.keys() | gone) - lora, "text_keys_lost": lost}


def _tables(registry: list[ast.stmt]) -> list[str]:
    whole = assigned(registry, "_VLLM_MODELS")
    assert isinstance(whole, ast.Dict)
    return [value.id for value in whole.values if isinstance(value, ast.Name) and "SPECULATIVE" not in value.id]


def _entries(table: ast.expr | None, registry: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    assert isinstance(table, ast.Dict)
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant):
            yield str(key.value), ast.literal_eval(value)[1]
        elif isinstance(value, ast.DictComp):  # every Llama that is in the table of text models
            yield from _entries(assigned(registry, "_TEXT_GENERATION_MODELS"), registry)


def _has_lora(node: ast.ClassDef) -> bool:
    flag = assigned(node.body, "supports_lora")
    return (isinstance(flag, ast.Constant) and flag.value is True) or any(
        _last(base) == "SupportsLoRA" for base in node.bases
    )


def _text_keys(cls: str, classes: Classes) -> bool | None:
    """Return whether a module of the text model is found by its own name; None for a model that is not wrapped."""
    line = list(lineage(cls, classes))
    wraps = any("self.language_model =" in ast.unparse(node) for node in line)
    if not wraps:
        return None
    mapper = next((value for node in line if (value := assigned(node.body, "hf_to_vllm_mapper"))), None)
    return _mapped(PROBE, mapper, classes).startswith(WRAPPED)


def _mapped(name: str, mapper: ast.expr | None, classes: Classes) -> str:
    """Return the name that a mapper of weights makes of a name."""
    for kind, change in _changes(mapper, classes):
        for old, new in change.items():
            if new is None:
                continue
            if kind == "orig_to_new_prefix" and name.startswith(old):
                name = new + name.removeprefix(old)
                break
            if kind == "orig_to_new_substr" and old in name:
                name = name.replace(old, new, 1)
    return name


def _changes(mapper: ast.expr | None, classes: Classes) -> list[tuple[str, dict[str, str | None]]]:
    if isinstance(mapper, ast.BinOp):
        return _changes(mapper.left, classes) + _changes(mapper.right, classes)
    if isinstance(mapper, ast.Attribute) and mapper.attr == "hf_to_vllm_mapper":
        owner = lineage(_last(mapper.value), classes)
        return _changes(next((v for node in owner if (v := assigned(node.body, mapper.attr))), None), classes)
    if not isinstance(mapper, ast.Call):
        return []
    found = [(word.arg or "", _pairs(word.value)) for word in mapper.keywords]
    return sorted(found, key=lambda pair: pair[0] == "orig_to_new_prefix")  # prefixes come last


def _pairs(value: ast.expr) -> dict[str, str | None]:
    if not isinstance(value, ast.Dict):
        return {}
    pairs = zip(value.keys, value.values, strict=True)
    texts = [(k.value, v.value) for k, v in pairs if isinstance(k, ast.Constant) and isinstance(v, ast.Constant)]
    return {str(old): None if new is None else str(new) for old, new in texts}


# --- the others ------------------------------------------------------------------------------------------------------
def sglang(package: Path) -> dict[str, set[str]]:
    """Read `EntryClass` of every model's file: SGLang adapts the linear layers of any model it has."""
    found = set()
    for _, tree in trees(package / "srt" / "models"):
        entry = assigned(tree.body, "EntryClass")
        names = entry.elts if isinstance(entry, ast.List) else [entry] if entry is not None else []
        found |= {_last(name) for name in names}
    return {"lora": found - {""}}


def lorax(checkout: Path) -> dict[str, set[str]]:
    """Read which model types `get_model` leads to a class that says it loads adapters."""
    folder = checkout / "server" / "lorax_server" / "models"
    classes = classes_in(folder)
    lora, every = set(), set()
    for types, body in _branches(ast.parse((folder / "__init__.py").read_text())):
        every |= types
        built = {_last(node.func) for node in ast.walk(body) if isinstance(node, ast.Call)}
        if any(_loads_adapters(cls, classes) for cls in built & classes.keys()):
            lora |= types
    return {"lora": architectures(lora), "without": architectures(every - lora) - architectures(lora)}


def _loads_adapters(cls: str, classes: Classes) -> bool:
    for node in lineage(cls, classes):
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "supports_adapter_loading":
                return "return True" in ast.unparse(part)
    return False


def tgi(checkout: Path) -> dict[str, set[str]]:
    """Read which model types `get_model` gives the names of adapters to."""
    tree = ast.parse((checkout / "server" / "text_generation_server" / "models" / "__init__.py").read_text())
    kinds = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ModelType")
    names = {
        target.id: ast.literal_eval(node.value)["type"]
        for node in kinds.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    lora = set()
    for types, body in _branches(tree):
        if "lora_adapter_ids=lora_adapter_ids" in ast.unparse(body):
            lora |= {names.get(name, name) for name in types}
    return {"lora": architectures(lora)}


def _branches(tree: ast.Module) -> Iterator[tuple[set[str], ast.Module]]:
    """Yield the model types that `get_model` compares in a condition, and the statements under it."""
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "get_model")
    for node in ast.walk(function):
        if isinstance(node, ast.If) and re.search(r"\bmodel_type\b", ast.unparse(node.test)):
            words = [part for part in ast.walk(node.test) if isinstance(part, ast.Constant | ast.Name)]
            types = {str(word.value) if isinstance(word, ast.Constant) else word.id for word in words}
            yield types - {"model_type", "model_id", "sharded"}, ast.Module(node.body, [])


def architectures(types: set[str]) -> set[str]:
    """Return the classes of transformers for language models of some types."""
    (file,) = Path().glob(MODELS_OF_TYPES)
    tree, found = ast.parse(file.read_text()), set()
    for table in LANGUAGE:
        value = assigned(tree.body, f"{table}_MAPPING_NAMES")
        assert isinstance(value, ast.Call)
        for name, entry in ast.literal_eval(value.args[0]):
            if name in types:
                found |= {entry} if isinstance(entry, str) else set(entry)
    return found


def llama_cpp(checkout: Path) -> dict[str, set[str]]:
    """Read the converter's classes: each architecture with the name that GGUF has for it, as "Class=name"."""
    tree = ast.parse((checkout / "conversion" / "__init__.py").read_text())
    known = ast.literal_eval(assigned(tree.body, "TEXT_MODEL_MAP") or ast.Dict([], []))
    constants = ast.parse((checkout / "gguf-py" / "gguf" / "constants.py").read_text())
    names = assigned(constants.body, "MODEL_ARCH_NAMES")
    assert isinstance(names, ast.Dict)
    of_enum = {
        _last(key): value.value
        for key, value in zip(names.keys, names.values, strict=True)
        if key is not None and isinstance(value, ast.Constant)
    }
    found, classes = set(), classes_in(checkout / "conversion")
    for node in classes.values():
        arch = next((a for part in lineage(node.name, classes) if (a := assigned(part.body, "model_arch"))), None)
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".register") and arch is not None:
                name = str(of_enum.get(_last(arch), ""))
                found |= {f"{ast.literal_eval(word)}={name}" for word in call.args}
    return {"lora": {entry for entry in found if entry.partition("=")[0] in known and not entry.endswith(ENCODER)}}


def mlx(package: Path) -> dict[str, set[str]]:
    """Read which types have a file with a model or another name for one; a file that ends the program has none."""
    utils = ast.parse((package / "utils.py").read_text())
    others = ast.literal_eval(assigned(utils.body, "MODEL_REMAPPING") or ast.Dict([], []))
    files = {path.stem: path.read_text() for path in sorted((package / "models").glob("*.py"))}
    known = {name for name, text in files.items() if "class Model(" in text and "sys.exit(" not in text}
    return {"lora": architectures({*known, *(name for name, file in others.items() if file in known)})}


READERS: dict[str, Callable[[Path], dict[str, set[Any]]]] = {
    "vllm": vllm,
    "sglang": sglang,
    "lorax": lorax,
    "tgi": tgi,
    "llama.cpp": llama_cpp,
    "mlx": mlx,
}

if __name__ == "__main__":
    main(sys.argv[1:])
