"""The serving rules of llama.cpp and its converter, read in their source, as data."""

from dovetail.adapters.formats.bases import of_gguf
from dovetail.adapters.serving.rules import Engine, Rule, own_name, refused_unless_listed
from dovetail.adapters.serving.subject import Subject

VERSION = "0b03ada"
CONVERT, ADAPTER = "convert_lora_to_gguf.py", "src/llama-adapter.h"
LISTED, LOADER = "conversion/__init__.py", "src/llama-adapter.cpp"
BASE = "conversion/base.py"
NOT_TEXT = ("vision_", "vision.", "visual.", "audio_", "audio.", "projector.")
BROKEN = ("Mistral3ForConditionalGeneration",)  # whose class in the converter wraps another one
NORMS = ("_layernorm", ".norm")


def _unexpected(a: Subject) -> list[str]:
    """Return the tensors at which the converter fails."""
    accepted = [name for name in a.others if ".base_layer.weight" in name or any(norm in name for norm in NORMS)]
    return [name for name in a.others if name not in accepted] if a.is_lora else []


def _skipped(a: Subject) -> list[str]:
    """Return whole tables in the file that the converter leaves out; losing a copy of the base's own is harmless."""
    tables = [name for name in a.others if ".base_layer.weight" in name]
    return tables if a.is_lora and a.grown_rows else []


def _tied_head(a: Subject) -> list[str]:
    return [path for path in a.modules if path == "lm_head"] if a.is_lora and a.base.tied else []


def _norms(a: Subject) -> list[str]:
    """Return the whole norms in the file: they are converted, and skipped when the adapter is loaded."""
    return [name for name in a.others if any(norm in name for norm in NORMS)] if a.is_lora else []


def _other_architecture(a: Subject) -> str:
    expected = of_gguf(a.base.architectures)
    return a.architecture if a.format == "gguf" and expected and a.architecture not in expected else ""


def _left_out(a: Subject) -> list[str]:
    """Return the modules for pictures and sound, which the converter leaves out."""
    return [path for path in a.modules if any(word in path for word in NOT_TEXT)] if a.is_lora else []


def _unwritten(a: Subject) -> str:
    return next((name for name in a.base.architectures if name in BROKEN), "") if a.is_lora else ""


RULES = (
    Rule("llama.cpp.format", "refuses", CONVERT, lambda a: "" if a.is_lora or a.format == "gguf" else a.title,
         "llama.cpp converts LoRA adapters of PEFT; this is {}."),
    Rule("llama.cpp.alpha", "refuses", CONVERT, lambda a: a.is_lora and "lora_alpha" not in a.config,
         "The converter of llama.cpp needs lora_alpha in adapter_config.json."),
    Rule("llama.cpp.tensor-names", "refuses", CONVERT, _unexpected,
         "The converter of llama.cpp stops at tensors that are not lora_A or lora_B: {}."),
    own_name("llama.cpp", "refuses", CONVERT, "the converter of llama.cpp stops at them"),
    Rule("llama.cpp.tied-head", "refuses", CONVERT, _tied_head,
         "The base has one table for input and output, so the converter of llama.cpp refuses a LoRA on {}."),
    Rule("llama.cpp.tables", "refuses", CONVERT, lambda a: a.is_lora and a.tables,
         "The converter of llama.cpp has no names for single parameters (target_parameters): {}."),
    refused_unless_listed("llama.cpp", "llama.cpp", LISTED),
    Rule("llama.cpp.writes-model", "refuses", LOADER, _unwritten,
         "The converter of llama.cpp writes a model instead of an adapter for {}, and llama.cpp refuses the file."),
    Rule("llama.cpp.gguf-architecture", "refuses", LOADER, _other_architecture,
         "The file says that it is for the architecture {}, but the base has another one: llama.cpp "
        "compares both and refuses it."),
    Rule("llama.cpp.norms", "wrong", LOADER, _norms,
         "llama.cpp has no place for trained norms and silently skips them: {}."),
    Rule("llama.cpp.vision", "wrong", BASE, _left_out,
         "The converter of llama.cpp silently drops the modules for images and sound: {}."),
    Rule("llama.cpp.activated", "wrong", CONVERT, lambda a: a.is_lora and a.flag("alora_invocation_tokens"),
         "The converter of llama.cpp does not support activated LoRA, so the adapter is applied from the "
        "first token on."),
    Rule("llama.cpp.rslora", "wrong", ADAPTER, lambda a: a.is_lora and a.root,
         "A GGUF adapter stores only alpha, and llama.cpp divides it by r: rsLoRA is served {} times too "
        "weak."),
    Rule("llama.cpp.alpha-pattern", "wrong", CONVERT, lambda a: a.is_lora and a.table("alpha_pattern"),
         "A GGUF adapter stores one alpha, so alpha_pattern is lost for {}."),
    Rule("llama.cpp.embeddings", "wrong", CONVERT, _skipped,
         "The converter of llama.cpp drops the enlarged embeddings: {}."),
    Rule("llama.cpp.changes-base", "wrong", CONVERT,
         lambda a: a.is_lora and (a.replacing_init or a.flag("layer_replication")),
         "The adapter belongs to a base that PEFT changes while it loads it; llama.cpp applies it to the "
        "unchanged base."),
)  # fmt: skip


def _flags(a: Subject) -> list[str]:
    return [f"--lora {name}" for name in a.files if name.endswith(".gguf")][:1] if a.format == "gguf" else []


def _serves(a: Subject) -> str:
    if a.format == "gguf":
        return "It is in llama.cpp's own format."
    return (
        "It converts to GGUF with the config.json of its base; llama.cpp scales by alpha and the rank of each tensor."
    )


LLAMA_CPP = Engine("llama.cpp", "llama.cpp", VERSION, "ggml-org/llama.cpp", RULES, _flags, _serves)
