"""The serving rules of text-generation-inference, read in its source, as data; LoRAX, a fork, shares most of them."""

from collections.abc import Collection
from dataclasses import dataclass

from dovetail.adapters.serving.peft import unknown_method
from dovetail.adapters.serving.rules import Engine, Rule, no_flags, own_name, unknown
from dovetail.adapters.serving.subject import PREFIX, Subject

BLOCK, LEAST = 16, 8


@dataclass(frozen=True, slots=True)
class Member:
    """One of the two: its name and title, the source files of the rules, the types of modules that it adapts."""

    name: str
    title: str
    lora: str  # loads and scales
    layers: str  # knows which modules take an adapter
    kernels: str  # pads the rank
    saved: str  # leaves out what was saved whole
    modules: Collection[str]
    scales_by: str


def padded(rank: int) -> int:
    """Return the rank to which the kernels pad, on one GPU."""
    return LEAST if rank <= LEAST else -(-rank // BLOCK) * BLOCK


def padding(a: Subject) -> str:
    """Return the padded rank if several types of modules are trained: all but the first are divided by it."""
    return str(padded(a.rank)) if a.is_lora and len(a.types) > 1 and padded(a.rank) != a.rank else ""


def unprefixed(a: Subject) -> list[str]:
    return [name for name in a.tensors if ".lora_" in name and not name.startswith(PREFIX)] if a.is_lora else []


def of_adapters(member: Member) -> tuple[Rule, ...]:
    """Return the rules for names, modules and layers."""
    return (
        Rule(f"{member.name}.prefix", "wrong", member.lora, unprefixed,
             f"{member.title} looks for names that begin with base_model.model. and drops these: {{}}."),
        own_name(member.name, "wrong", member.lora, f"{member.title} looks for other names and drops these"),
        Rule(f"{member.name}.modules", "wrong", member.layers,
             lambda a: sorted(a.types - set(member.modules)) if a.is_lora else [],
             f"{member.title} has no adapter layer for {{}} and drops them with a line in its log."),
        Rule(f"{member.name}.layers", "wrong", member.lora, lambda a: a.gaps if a.is_lora else [],
             f"{member.title} drops a whole type of module when one layer lacks it: {{}}."),
    )  # fmt: skip


def of_scales(member: Member) -> tuple[Rule, ...]:
    """Return the rules for ranks, alphas, and every tensor that is neither lora_A nor lora_B."""
    return (
        Rule(f"{member.name}.ranks", "wrong", member.lora,
             lambda a: a.is_lora and sorted(rank for rank in a.ranks if rank != a.rank),
             f"{member.title} scales every module by {member.scales_by} and ignores rank_pattern; these ranks differ "
             "from r: {}."),
        Rule(f"{member.name}.alpha-pattern", "wrong", member.lora, lambda a: a.is_lora and a.table("alpha_pattern"),
             f"{member.title} ignores alpha_pattern, so these modules get a different scale than in training: "
        "{}."),
        Rule(f"{member.name}.padded-rank", "wrong", member.kernels, padding,
             f"{member.title} pads the rank to {{}} for its GPU kernels, and divides by that for every type of module "
             "but the first."),
        Rule(f"{member.name}.dora", "wrong", member.lora, lambda a: a.is_lora and (a.magnitudes or a.flag("use_dora")),
             f"{member.title} drops DoRA's magnitudes, so a plain LoRA is served."),
        Rule(f"{member.name}.lora-bias", "wrong", member.lora,
             lambda a: a.is_lora and (a.lora_biases or a.flag("lora_bias")),
             f"{member.title} drops the bias of lora_B."),
        Rule(f"{member.name}.bias", "wrong", member.lora, lambda a: a.is_lora and a.bias,
             f"{member.title} drops trained biases of the base (bias = {{}})."),
        Rule(f"{member.name}.heads", "wrong", member.saved, lambda a: a.is_lora and a.heads,
             f"{member.title} drops modules that were saved whole: {{}}."),
        Rule(f"{member.name}.embeddings", "wrong", member.saved, lambda a: a.is_lora and [*a.embeddings, *a.tokens],
             f"{member.title} drops trained embeddings: {{}}."),
        Rule(f"{member.name}.activated", "wrong", member.lora,
             lambda a: a.is_lora and a.flag("alora_invocation_tokens"),
             f"{member.title} does not support activated LoRA and applies the adapter from the first token on."),
        Rule(f"{member.name}.changes-base", "wrong", member.lora,
             lambda a: a.is_lora and (a.replacing_init or a.flag("layer_replication")),
             f"The adapter belongs to a base that PEFT changes while it loads it; {member.title} applies it "
        "to the unchanged base."),
    )  # fmt: skip


VERSION = "3.3.7"
LORA, MODELS = "server/text_generation_server/adapters/lora.py", "server/text_generation_server/models/__init__.py"
ADAPTER, PINS = "server/text_generation_server/utils/adapter.py", "server/requirements_cuda.txt"
PEFT = "0.15.2"  # what it is built with
MODULES = frozenset(
    {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "c_proj", "c_fc"}
)
ITSELF = Member(
    "tgi", "TGI", lora=LORA, layers=MODELS, kernels=LORA, saved=MODELS, modules=MODULES, scales_by="alpha and r"
)

RULES = (
    Rule("tgi.method", "refuses", LORA,
         lambda a: "" if a.is_lora or a.method == "ADALORA" else a.title,
         "TGI reads LoRA adapters of PEFT; this is {}."),
    Rule("tgi.peft", "refuses", PINS, lambda a: unknown_method(a, PEFT),
         "TGI is built with peft 0.15.2, which does not know {}."),
    Rule("tgi.adalora", "wrong", LORA, lambda a: a.method == "ADALORA",
         "TGI looks for lora_A.weight and lora_B.weight, which AdaLoRA does not have: the base answers."),
    Rule("tgi.weights", "refuses", ADAPTER, lambda a: a.is_lora and not a.tensors,
         "TGI needs the weights as safetensors."),
    unknown("tgi", "TGI", MODELS),
    *of_adapters(ITSELF),
    *of_scales(ITSELF),
)  # fmt: skip


def _serves(a: Subject) -> str:
    how = "alpha/sqrt(r)" if a.flag("use_rslora") else "alpha/r"
    return f"TGI, which is in maintenance mode, uses every tensor and scales by {how}."


TGI = Engine("tgi", "TGI", VERSION, "huggingface/text-generation-inference", RULES, no_flags, _serves)
