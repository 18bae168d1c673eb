"""Sorts the tensors of an adapter file by what a loader does with them; the checks judge the result.

The names that wrappers of training leave in a state dict are read as those without them.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import Header, TensorInfo
from dovetail.adapters.methods import KINDS, Kind
from dovetail.adapters.shapes.fit import TOKENS, Manifest
from dovetail.adapters.shapes.selection import Selection

# Part of a tensor's name → the wrapper that puts it there.
OF_TRAINING = {
    "module": "DistributedDataParallel or DeepSpeed",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "default": "model.state_dict(), instead of save_pretrained(),",
}
ANYWHERE = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# The name of the adapter, which save_pretrained() leaves out, after a parameter of any method or a saved module.
ADAPTER = re.compile(r"\.default(?=(?:\.\w+)?$)|(?<=\.modules_to_save)\.default(?=\.)")
AT_THE_FRONT = re.compile(r"^((?:base_model\.model\.|base_model\.)?)module\.")


MAGNITUDES = ".lora_magnitude_vector"


def nameless(name: str) -> str:
    """Return a tensor's name as save_pretrained() writes it: without the adapter's own name."""
    bare = ADAPTER.sub("", name)
    return bare.removesuffix(".weight") if bare.endswith(f"{MAGNITUDES}.weight") else bare


def unwrapped(name: str) -> str:
    """Return a tensor's name as the model without its wrappers has it."""
    return nameless(AT_THE_FRONT.sub(r"\1", ANYWHERE.sub("", name)))


def explained(names: Iterable[str], expected: Collection[str]) -> tuple[str, str] | None:
    """Return the part of the names that a wrapper left, and the wrapper, if without it the names are those expected."""
    names = list(names)
    if not names or not all(unwrapped(name) in expected for name in names):
        return None
    return next(((part, who) for part, who in OF_TRAINING.items() if part in names[0].split(".")), None)


PROMPT = "prompt_embeddings"
EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "word_embeddings", "shared", "embed_out")
# With bias="all" PEFT saves every parameter called bias, also those of a wrapped head, which loaders then ignore.
# Of a wrapped embedding it saves both copies once the vocabulary has grown: loaders ignore the first one, and write
# the second one over the embedding of the base.
# If input and output embeddings are tied, trained tokens are saved for both.
DELTA = "trainable_tokens_delta"
BIAS_COPY = re.compile(r".*\.(?:modules_to_save|original_module)\.(?:[^.]+\.)*bias")
TABLE_COPY, TABLE_OF_BASE = ".modules_to_save.weight", ".original_module.weight"
HEAD_ENDS = (".classifier.weight", ".classifier.1.weight", ".score.weight", ".out_proj.weight", ".qa_outputs.weight")
WRAPPERS = ("base_layer", "modules_to_save", "original_module")

Tensors = dict[str, TensorInfo]


@dataclass(slots=True)
class Layout:
    """`modules` maps a module's path to its adapter parameters; every other field maps whole tensor names."""

    modules: dict[str, Tensors] = field(default_factory=dict)
    shared: Tensors = field(default_factory=dict)  # the method's tensors that belong to no module, such as a prompt
    saved: Tensors = field(default_factory=dict)  # modules_to_save, heads among them
    tokens: Tensors = field(default_factory=dict)  # trained rows of single tokens
    embeddings: Tensors = field(default_factory=dict)  # whole embedding tables of the base
    tied: Tensors = field(default_factory=dict)  # embeddings that a tied config saves along with one of modules_to_save
    copies: Tensors = field(default_factory=dict)  # of saved or tied embeddings, which loaders ignore
    biases: Tensors = field(default_factory=dict)  # biases of the base, allowed by `bias`
    base: Tensors = field(default_factory=dict)  # anything else that a loader would write over the base
    unused: Tensors = field(default_factory=dict)  # tensors that a loader would drop silently

    @property
    def prompt(self) -> TensorInfo | None:
        return self.shared.get(PROMPT)

    @property
    def rows(self) -> int:
        """The number of rows of the embeddings in the file, 0 if there are none."""
        whole = {**self.saved, **self.embeddings}
        return max((t.shape[0] for name, t in whole.items() if _embedding_name(name) in EMBEDDINGS), default=0)

    def at_home(self, kind: Kind, manifest: Manifest) -> dict[str, tuple[int, ...]]:
        """Return the extra biases and embeddings that this base has, with the base's shapes."""
        beside = (*self.biases, *self.embeddings, *self.tied, *self.copies)
        shapes = {name: _own_shape(manifest, name.removeprefix(kind.prefix)) for name in beside}
        return {name: shape for name, shape in shapes.items() if shape is not None}

    @property
    def labels(self) -> int | None:
        """The number of labels of the saved head."""
        heads = [tensor for name, tensor in self.saved.items() if name.endswith(HEAD_ENDS) and len(tensor.shape) == 2]
        return heads[-1].shape[0] if heads else None


def _embedding_name(tensor: str) -> str:
    """Return the module's own name, without the wrappers' parts between it and "weight"."""
    parts = [part for part in tensor.split(".")[:-1] if part not in WRAPPERS]
    return parts[-1] if parts else ""


def _own_shape(manifest: Manifest, path: str) -> tuple[int, ...] | None:
    """Return the shape of a parameter of the base by its path inside PEFT's wrappers; None if it is not one."""
    before, wrapper, inside = path.partition(".modules_to_save.")
    if wrapper and inside.count(".") > 1:  # PEFT leaves the adapter's name in the path of a module with submodules
        path = f"{before}.{inside.partition('.')[2]}"
    *parts, parameter = (part for part in path.split(".") if part not in WRAPPERS)
    module = manifest.modules.get(".".join(parts))
    if module is not None and parameter == DELTA:
        return (1, manifest.width)
    return module.parameters.get(parameter) if module is not None else None


# The parameters of all methods, which PEFT 0.21 also finds by its model's own names, such as lora_A.default.weight.
# It looks for saved modules and trained tokens by the names that save_pretrained() writes alone.
PARAMETERS = tuple(
    f".{name.removeprefix('base_model.')}" for kind in KINDS for name in (*kind.parameters, *kind.shared_names)
)


def named(names: Collection[str]) -> dict[str, str]:
    """Map the names that hold the adapter's own name, default, to those that save_pretrained() writes.

    Of tensors that a file holds under both, none is in it.
    """
    bare = {name: nameless(name) for name in names if ADAPTER.search(name)}
    return {name: new for name, new in bare.items() if new.endswith(PARAMETERS) and new not in names}


def canonical(header: Header) -> Header:
    """Return a header with the names that save_pretrained() writes."""
    new = named(header.tensors)
    if not new:
        return header
    return Header({new.get(name, name): tensor for name, tensor in header.tensors.items()}, header.metadata)


def sort_tensors(header: Header, config: Config, kind: Kind) -> Layout:
    layout, selection = Layout(), Selection(config)
    for name, tensor in header.tensors.items():
        if kind.is_shared(name):
            layout.shared[name] = tensor
        elif not name.startswith(kind.prefix):
            layout.unused[name] = tensor
        else:
            _sort(layout, name, tensor, config, kind, selection)
    return layout


def _sort(layout: Layout, name: str, tensor: TensorInfo, config: Config, kind: Kind, selection: Selection) -> None:
    path = name.removeprefix(kind.prefix)
    module, parameter = _split(path, kind)
    if parameter == TOKENS:
        layout.tokens[name] = tensor
    elif parameter == DELTA and _embedding_name(path) in EMBEDDINGS and not selection.picks(module):
        layout.copies[name] = tensor
    elif parameter:
        layout.modules.setdefault(module, {})[parameter] = tensor
    elif _looks_adapted(path):
        layout.unused[name] = tensor
    elif config.get("bias") == "all" and BIAS_COPY.fullmatch(path):
        layout.biases[name] = tensor
    elif _embedding_name(path) in EMBEDDINGS and path.endswith(".weight"):
        _table_of(layout, path, config, selection)[name] = tensor
    elif selection.is_saved(module):
        layout.saved[name] = tensor
    elif path.endswith(".bias") and _may_change_bias(module, config, selection):
        layout.biases[name] = tensor
    else:
        layout.base[name] = tensor


def _table_of(layout: Layout, path: str, config: Config, selection: Selection) -> Tensors:
    """Return the field of the layout that a table of embeddings belongs to."""
    if not selection.is_saved(path.rpartition(".")[0]):
        return layout.tied if config.get("ensure_weight_tying") is True else layout.embeddings
    if path.endswith(TABLE_OF_BASE):
        return layout.embeddings
    return layout.copies if path.endswith(TABLE_COPY) else layout.saved


def _may_change_bias(module: str, config: Config, selection: Selection) -> bool:
    """Return whether the config allows to train the bias of a module. Raises `PatternError`, as the selection does."""
    if not str(config.get("bias")).endswith("_only"):
        return config.get("bias") == "all"
    return selection.picks(module.removesuffix(".base_layer"))


def _split(path: str, kind: Kind) -> tuple[str, str]:
    """Return the module and its adapter parameter, "" if the name does not end in one of this method."""
    for parameter in (*kind.parameters, TOKENS):
        if path.endswith("." + parameter):
            return path.removesuffix("." + parameter), parameter
    return path.rpartition(".")[0], ""


# The first part of every parameter's name, over all methods.
SIGNS = frozenset(name.split(".")[0] for kind in KINDS for name in kind.parameters)
BEGINNINGS = ("lora_", "ia3_", "hada_", "lokr_", "vera_", "oft_", "boft_")


def _looks_adapted(path: str) -> bool:
    """Return whether a path is a parameter of a method that the config does not name, which no loader looks for."""
    return any(part in SIGNS or part.startswith(BEGINNINGS) for part in path.split("."))
