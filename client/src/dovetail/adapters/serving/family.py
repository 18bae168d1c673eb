"""Rules that LoRAX and text-generation-inference share, since one is a fork of the other; their own are beside them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dovetail.adapters.serving.rules import Rule
from dovetail.adapters.serving.subject import PREFIX, Subject

BLOCK, LEAST = 16, 8


@dataclass(frozen=True, slots=True)
class Member:
    """One of the two: its name and title, the files that say so, the types of modules that it has a layer for."""

    name: str
    title: str
    lora: str  # loads and scales
    layers: str  # knows which modules take an adapter
    kernels: str  # pads the rank
    saved: str  # leaves out what was saved whole
    modules: Collection[str]
    scales_by: str


def padded(rank: int) -> int:
    """Return the rank that the kernels pad a rank to, on one GPU."""
    return LEAST if rank <= LEAST else -(-rank // BLOCK) * BLOCK


def padding(a: Subject) -> str:
    """Return the padded rank, where several types of modules are trained: all but the first are divided by it."""
    return str(padded(a.rank)) if a.is_lora and len(a.types) > 1 and padded(a.rank) != a.rank else ""


def unprefixed(a: Subject) -> list[str]:
    return [name for name in a.tensors if ".lora_" in name and not name.startswith(PREFIX)] if a.is_lora else []


def of_adapters(one: Member) -> tuple[Rule, ...]:
    """Return the rules for names, modules and layers."""
    return (
        Rule(f"{one.name}.prefix", "wrong", one.lora, unprefixed,
             f"{one.title} looks for names that begin with base_model.model. and leaves these out: {{}}."),
        Rule(f"{one.name}.modules", "wrong", one.layers,
             lambda a: sorted(a.types - set(one.modules)) if a.is_lora else [],
             f"{one.title} has no adapter layer for {{}} and leaves them out with a line in its log."),
        Rule(f"{one.name}.layers", "wrong", one.lora, lambda a: a.gaps if a.is_lora else [],
             f"{one.title} drops a whole type of module when one layer lacks it: {{}}."),
    )  # fmt: skip


def of_scales(one: Member) -> tuple[Rule, ...]:
    """Return the rules for ranks, alphas, and every tensor that is no lora_A or lora_B."""
    return (
        Rule(f"{one.name}.ranks", "wrong", one.lora,
             lambda a: a.is_lora and sorted(rank for rank in a.ranks if rank != a.rank),
             f"{one.title} scales every module by {one.scales_by} and ignores rank_pattern; these ranks differ from r: "
             "{}."),
        Rule(f"{one.name}.alpha-pattern", "wrong", one.lora, lambda a: a.is_lora and a.table("alpha_pattern"),
             f"{one.title} ignores alpha_pattern, so these modules get another scale than they were trained with: "
             "{}."),
        Rule(f"{one.name}.padded-rank", "wrong", one.kernels, padding,
             f"{one.title} pads the rank to {{}} for its GPU kernels, and divides by that for every type of module but "
             "the first."),
        Rule(f"{one.name}.dora", "wrong", one.lora, lambda a: a.is_lora and (a.magnitudes or a.flag("use_dora")),
             f"{one.title} leaves DoRA's magnitudes out, so a plain LoRA is served."),
        Rule(f"{one.name}.lora-bias", "wrong", one.lora,
             lambda a: a.is_lora and (a.lora_biases or a.flag("lora_bias")),
             f"{one.title} leaves the bias of lora_B out."),
        Rule(f"{one.name}.bias", "wrong", one.lora, lambda a: a.is_lora and a.bias,
             f"{one.title} leaves trained biases of the base out (bias = {{}})."),
        Rule(f"{one.name}.heads", "wrong", one.saved, lambda a: a.is_lora and a.heads,
             f"{one.title} leaves modules out that were saved whole: {{}}."),
        Rule(f"{one.name}.embeddings", "wrong", one.saved, lambda a: a.is_lora and [*a.embeddings, *a.tokens],
             f"{one.title} leaves trained embeddings out: {{}}."),
        Rule(f"{one.name}.changes-base", "wrong", one.lora,
             lambda a: a.is_lora and (a.replacing_init or a.flag("layer_replication")),
             f"The adapter belongs to a base that PEFT changes while it loads it; {one.title} puts it on the unchanged "
             "one."),
    )  # fmt: skip
