"""The modules of image models: their paths in diffusers and in the original code, and the names that kohya writes.

kohya writes a prefix for the model and a path with `_` for every dot; it can be read back only if each of its words is
known, so the words are those of image_names.json. The numbers of blocks follow from the structure of the UNet: each
block of diffusers is three entries of the original lists. Sources: diffusers, loaders/lora_conversion_utils.py and
scripts/convert_flux_to_diffusers.py; sd-scripts, library/sdxl_model_util.py.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dovetail.adapters.convert.lora import TEXT_ENCODER, TEXT_ENCODER_2, TRANSFORMER, UNET, Unconvertible
from dovetail.adapters.formats import images

# "unet" and "resnet": the original code's name → that of diffusers. "layouts": of each transformer the lists of blocks
# with the names in a block, and the modules outside them.
TABLES = json.loads((Path(__file__).parent / "image_names.json").read_bytes())
OF_RESNET: dict[str, str] = TABLES["resnet"]
BLOCKS, LAYERS = 4, 3  # blocks of the largest UNet, and entries of the original lists in each


def _of_unet() -> dict[str, str]:
    """Return the start of a path in the original code of Stable Diffusion's UNet → that in diffusers."""
    starts: dict[str, str] = dict(TABLES["unet"])
    for block in range(BLOCKS):
        first = block * LAYERS
        for layer in range(LAYERS):
            for inner, kind in enumerate(("resnets", "attentions")):
                if layer < LAYERS - 1:
                    starts[f"input_blocks.{first + layer + 1}.{inner}"] = f"down_blocks.{block}.{kind}.{layer}"
                starts[f"output_blocks.{first + layer}.{inner}"] = f"up_blocks.{block}.{kind}.{layer}"
        starts[f"input_blocks.{first + LAYERS}.0.op"] = f"down_blocks.{block}.downsamplers.0.conv"
        for inner in (1, 2):  # behind the attention, where the block has one
            starts[f"output_blocks.{first + LAYERS - 1}.{inner}.conv"] = f"up_blocks.{block}.upsamplers.0.conv"
    return starts


UNET_STARTS = _of_unet()
UNET_ORIGINALS = {path: start for start, path in UNET_STARTS.items()}
RESNET_ORIGINALS = {path: leaf for leaf, path in OF_RESNET.items()}


# --- transformers ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Layout:
    """The original code's names of a transformer. Several names in diffusers are one matrix there, stacked by rows.

    `blocks` is list of blocks → diffusers' name of that list, and within a block path → paths in diffusers.
    """

    blocks: Mapping[str, tuple[str, Mapping[str, str]]]
    others: Mapping[str, str]

    def paths(self, original: str) -> tuple[str, ...]:
        """Return the paths in diffusers, () for a module that the original code has not."""
        if original in self.others:
            return (self.others[original],)
        top, _, rest = original.partition(".")
        number, _, leaf = rest.partition(".")
        name, leaves = self.blocks.get(top, ("", {}))
        return tuple(f"{name}.{number}.{path}" for path in leaves.get(leaf, "").split())

    def original(self, path: str) -> str:
        """Return the original path of which this path in diffusers is one, or the only one; "" if there is none."""
        top, _, rest = path.partition(".")
        number, _, leaf = rest.partition(".")
        for original, (name, leaves) in self.blocks.items():
            for own, paths in leaves.items():
                if name == top and leaf in paths.split():
                    return f"{original}.{number}.{own}"
        return next((original for original, own in self.others.items() if own == path), "")


def _layout(family: str) -> Layout:
    table = TABLES["layouts"][family]
    blocks = {top: (block["name"], block["paths"]) for top, block in table["blocks"].items()}
    return Layout(blocks, table["others"])


FLUX, FLUX2, WAN = map(_layout, (images.FLUX, images.FLUX2, images.WAN))
SWAPPED = "norm_out.linear"  # diffusers has its scale before its shift, the original code after it
OF_FLUX2 = {"linear1": (1, 9), "linear2": (4, 1), "mlp.0": (1, 6), "mlp.2": (3, 1)}  # inputs to outputs; gated layers
LAYOUTS = {images.FLUX: FLUX, images.FLUX2: FLUX2, images.WAN: WAN}
TRANSFORMER_TOPS = frozenset(
    path.partition(".")[0]
    for layout in LAYOUTS.values()
    for path in (*(name for name, _ in layout.blocks.values()), *layout.others.values())
)


# --- names in a file -------------------------------------------------------------------------------------------------
FLAT = {
    "lora_unet_": "",
    "lora_transformer_": "",
    "lycoris_": "",
    "lora_te1_": TEXT_ENCODER,
    "lora_te2_": TEXT_ENCODER_2,
    "lora_te_": TEXT_ENCODER,
}
DOTTED = {
    "unet.": UNET,
    "transformer.": TRANSFORMER,
    "transformer_2.": "transformer_2",
    "diffusion_model.": "",
    "text_encoder.": TEXT_ENCODER,
    "text_encoder_2.": TEXT_ENCODER_2,
    "text_encoder_3.": "text_encoder_3",
    "text_encoders.clip_l.transformer.": TEXT_ENCODER,
    "text_encoders.clip_g.transformer.": TEXT_ENCODER_2,
}
T5 = ("lora_te3_", "text_encoders.t5xxl.")
T5_REASON = (
    "it is for the T5 of Flux or Stable Diffusion 3, into which no pipeline of diffusers loads a LoRA; save the "
    "adapter without it."
)
OF_TEXT = (
    "text_model encoder layers self_attn q_proj k_proj v_proj out_proj mlp fc1 fc2 text_projection embeddings "
    "token_embedding position_embedding"
)
OF_IMAGES = (
    "transformer_blocks attentions resnets downsamplers upsamplers attn attn1 attn2 to_q to_k to_v to_out ff net proj "
    "proj_in proj_out conv conv1 conv2 img_mlp txt_mlp img_mod txt_mod"
)
CONVOLUTION = re.compile(r"(?:^|\.)conv(?:_in|_out|[12])?$")  # of three by three, in diffusers' UNets
OLD_OUT = re.compile(r"(\.attn[12]\.to_out)$")  # of diffusers before 0.22, as the next
OLD_TEXT = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


def _grammar(words: Iterable[str]) -> re.Pattern[str]:
    alternatives = "|".join(sorted({*words} - {""}, key=lambda word: (-len(word), word)))
    return re.compile(rf"({alternatives}|\d+)(?:_|$)")


def _words() -> set[str]:
    """Return every word of the paths in the tables."""
    paths = [*UNET_STARTS, *UNET_ORIGINALS, *OF_RESNET, *RESNET_ORIGINALS, *OF_IMAGES.split()]
    for layout in LAYOUTS.values():
        paths += [*layout.others, *layout.others.values(), *layout.blocks]
        for name, leaves in layout.blocks.values():
            paths += [name, *leaves, *" ".join(leaves.values()).split()]
    return {word for path in paths for word in path.split(".") if not word.isdecimal()}


TEXT_GRAMMAR, IMAGE_GRAMMAR = _grammar(OF_TEXT.split()), _grammar(_words())


@dataclass(frozen=True, slots=True)
class Home:
    """The place in a pipeline of a module that a file names, or of the several that its one matrix is for."""

    component: str
    paths: tuple[str, ...]
    is_swapped: bool = False  # the halves of its rows are the other way round in diffusers


def place(name: str) -> tuple[str, str]:
    """Return the component, "" for the model that makes pictures, and the dotted path of a module that a file names.

    Raises `Unconvertible` if a word of it is unknown.
    """
    if name.startswith(T5):
        raise Unconvertible(T5_REASON, name)
    for prefix, component in FLAT.items():
        if name.startswith(prefix):
            return component, _unflat(name, name.removeprefix(prefix), component)
    for prefix, component in DOTTED.items():
        if name.startswith(prefix):
            return component, name.removeprefix(prefix)
    return "", name


def layout_of(sizes: Mapping[str, tuple[int, int]]) -> Layout:
    """Return the layout of a transformer by its original paths and their inputs and outputs.

    Flux.1 and Flux.2 share names, and what follows attention is wider in Flux.2.
    """
    if any(path.startswith("blocks.") for path in sizes):
        return WAN
    for path, (inputs, outputs) in sizes.items():
        left, right = next((ratio for leaf, ratio in OF_FLUX2.items() if path.endswith(leaf)), (0, 0))
        if "stream_modulation" in path or (left and inputs * right == outputs * left):
            return FLUX2
    return FLUX


def unet_of(sizes: Mapping[str, tuple[int, int]]) -> str:
    """Return the family of a UNet by the width of the text that it attends to, "" if no module tells."""
    widths = {inputs for path, (inputs, _) in sizes.items() if path.endswith(("attn2.to_k", "attn2.to_v"))}
    families = [images.UNET_WIDTHS[width] for width in sorted(widths) if width in images.UNET_WIDTHS]
    return min(families[0]) if families else ""


def kernel_of(path: str, family: str) -> int | None:
    """Return the width of the kernel of a module of a UNet, 0 for a plain matrix; None if the family decides it."""
    if CONVOLUTION.search(path):
        return 3
    if path.endswith(".conv_shortcut"):
        return 1
    if path.endswith((".proj_in", ".proj_out")):
        return {"": None, images.SD1: 1}.get(family, 0)
    return 0


def home_of(component: str, path: str, layout: Layout) -> Home | None:
    """Return where a module is in diffusers, given what `place` says; None for one that is not known here."""
    if component.startswith("text_encoder"):
        start, _, leaf = path.rpartition(".")
        return Home(component, (f"{start}.{OLD_TEXT[leaf]}" if leaf in OLD_TEXT else path,))
    paths = layout.paths(path)
    if paths:
        return Home(component or TRANSFORMER, paths, paths == (SWAPPED,))
    own = _of_diffusers(path.replace(".processor.", "."))
    return Home(component or component_of([own]), (own,)) if component or component_of([own]) else None


def component_of(paths: Iterable[str]) -> str:
    """Return the component of diffusers to which all these paths belong by their first words; "" for none."""
    tops = {path.partition(".")[0] for path in paths}
    own = {"down_blocks", "up_blocks", "mid_block", "conv_in", "conv_out", "time_embedding", "add_embedding"}
    starts = {UNET: own, TEXT_ENCODER: {"text_model", "text_projection"}, TRANSFORMER: TRANSFORMER_TOPS - {"blocks"}}
    return next((component for component, known in starts.items() if tops and tops <= known), "")


def _of_diffusers(path: str) -> str:
    """Return the path in diffusers of a module of a UNet, or the path itself if it is one already."""
    path = OLD_OUT.sub(r"\1.0", path)
    if path in UNET_STARTS:
        return UNET_STARTS[path]
    words = path.split(".")
    cut = 2 if words[0] == "middle_block" else 3
    start, leaf = UNET_STARTS.get(".".join(words[:cut]), ""), ".".join(words[cut:])
    if not start:
        return path
    return f"{start}.{OF_RESNET.get(leaf, leaf) if '.resnets.' in start else leaf}"


def _unflat(name: str, flat: str, component: str) -> str:
    """Return a path with its dots. Raises `Unconvertible` if a word of it is unknown."""
    grammar = TEXT_GRAMMAR if component else IMAGE_GRAMMAR
    words, at = [], 0
    while at < len(flat):
        match = grammar.match(flat, at)
        if match is None:
            what = "a text encoder" if component else "Stable Diffusion 1 to XL, Flux, Flux.2, Wan or Qwen-Image"
            raise Unconvertible(f"{flat[at:][:60]!r} in its name is not a known module of {what}.", name)
        words.append(match[1])
        at = match.end()
    return ".".join(words)


# --- names that are written ------------------------------------------------------------------------------------------
def flat_name(path: str, component: str, *, is_first: bool) -> str:
    """Return kohya's name of a module by its path. Raises `Unconvertible` if it would not read back as the same."""
    prefixes = {
        UNET: "lora_unet_",
        TRANSFORMER: "lora_unet_",
        TEXT_ENCODER_2: "lora_te2_",
        TEXT_ENCODER: "lora_te1_" if is_first else "lora_te_",
    }
    if component not in prefixes:
        raise Unconvertible(
            "kohya has names for the modules of UNets and CLIP text encoders, but not for this model.", path
        )
    name = prefixes[component] + path.replace(".", "_")
    if place(name)[1] != path:
        raise Unconvertible("kohya's name for it would be read as another module's.", path)
    return name


def sgm_path(path: str) -> str:
    """Return the path in the original code of a module of Stable Diffusion XL's UNet, as sd-scripts writes it."""
    if path in UNET_ORIGINALS:
        return UNET_ORIGINALS[path]
    start = next((start for start in UNET_ORIGINALS if path.startswith(f"{start}.")), "")
    leaf = path.removeprefix(f"{start}.")
    return f"{UNET_ORIGINALS[start]}.{RESNET_ORIGINALS.get(leaf, leaf)}" if start else path


def layout_named(paths: Collection[str], base: str) -> Layout | None:
    """Return the layout of a transformer by its paths in diffusers, else by the name of its base."""
    for family, telling in (
        (images.FLUX2, r"\.(linear_in|linear_out|to_qkv_mlp_proj)$|stream_modulation"),
        (images.FLUX, r"^single_transformer_blocks\."),
        (images.WAN, r"^blocks\."),
    ):
        if any(re.search(telling, path) for path in paths):
            return LAYOUTS[family]
    return LAYOUTS.get(images.of_name(base.rpartition("/")[2]))
