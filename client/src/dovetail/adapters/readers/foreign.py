"""Reads the formats that are recognised but not run by any engine here; their own checks are in checks/foreign.py."""

import struct
from collections.abc import Mapping
from functools import cached_property

from dovetail.adapters.files import archives, gguf
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import Header, Opener, TensorInfo
from dovetail.adapters.formats import twins
from dovetail.adapters.formats.formats import MLX_FILES, detect, form_of
from dovetail.adapters.formats.images import ROWS
from dovetail.adapters.readers.folder import Effect, Folder, Source, blocks_of
from dovetail.adapters.shapes.parts import EFFECT, Parts, path_in_base, ranks_of, sort_parts

OF_GGUF = ("gguf", "control-vector")
NUMBERS = {"F32": "<f", "F16": "<e", "F64": "<d", "I64": "<q", "I32": "<i", "I16": "<h", "I8": "<b"}


class Foreign(Folder):
    """Files of a family that no engine here runs; `weights` is the file that identifies the family."""

    family = ""
    again = "Save it again with the program that trained it, and push the new file."
    to_safetensors = "Save it as safetensors with the program that trained it, or convert it, and push that file."

    @property
    def has_header(self) -> bool:
        """True if the names and shapes of its tensors can be read; an archive of NeMo is not unpacked."""
        return self.weights in self.files and ROWS[self.family].is_read

    @property
    def is_npz(self) -> bool:
        return self.weights.endswith(archives.SUFFIX)

    @property
    def base_id(self) -> str | None:
        from_config = configs.text(self.config, "model") if configs.NAME in self.files else None
        from_card = configs.names(dict(self.card or {}), "base_model")
        return from_config or (from_card[0] if from_card else None)

    @cached_property
    def reader(self) -> Opener:
        """Opens the weights, a pickle as its safetensors conversion."""
        opener = self.files[self.weights]
        return opener if self.is_npz else safe_opener(opener)

    @cached_property
    def gguf(self) -> gguf.Gguf:
        with self.files[self.weights]() as file:
            return gguf.read_whole(file)

    @cached_property
    def header(self) -> Header:
        """Raises `HeaderError`, `GgufError` and `Refused`."""
        if self.family in OF_GGUF:
            return Header(self.gguf.tensors, self.gguf.texts)
        with self.reader() as file:
            return archives.read(file) if self.is_npz else headers.read(file)

    @cached_property
    def parts(self) -> Parts:
        return sort_parts(self.family, self.tensors)

    @property
    def whole_numbers(self) -> tuple[str, ...]:
        return ()

    @property
    def sources(self) -> list[Source]:
        return [Source(self.weights, self.reader, lambda: self.header)] if self.has_header else []

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.header.metadata if self.has_header else {}

    @property
    def effects(self) -> list[Effect]:
        modules = self.parts.modules.values() if self.has_header else ()
        ending = [tensor for pair in modules for part, (_, tensor) in pair.parts.items() if EFFECT.fullmatch(part)]
        what = "matrix that projects back into the model"
        return [Effect(what, {"": ending}, self.sources[0])] if ending else []

    @property
    def scales(self) -> dict[str, float]:
        if self.family == "mlx":
            numbers = self.config.get("lora_parameters") if configs.NAME in self.files else None
            scale = configs.number(numbers, "scale") if isinstance(numbers, dict) else None
            return {"every module": scale} if scale is not None else {}
        shared = self.gguf.numbers.get("adapter.lora.alpha") if self.family == "gguf" else None
        scales: dict[str, float] = {}
        for module, pair in self.parts.modules.items() if self.has_header else ():
            ranks = ranks_of(self.family, pair)
            alpha = self.number(pair.parts["alpha"][1]) if "alpha" in pair.parts else shared
            if ranks and alpha is not None:
                # llama.cpp takes an alpha of 0 for none.
                scales[module] = 1.0 if self.family == "gguf" and not alpha else alpha / ranks[0]
        return scales

    @cached_property
    def placed(self) -> dict[str, str]:
        """Module → its path in the base, for modules whose path is known."""
        if not self.has_header:
            return {}
        architecture = self.gguf.texts.get("general.architecture", "") if self.family == "gguf" else ""
        paths = {module: path_in_base(self.family, module, architecture) for module in self.parts.modules}
        placed = {module: path for module, path in paths.items() if path}
        return self._of_loralib(placed) if self.family == "loralib" and self.base is not None else placed

    def _of_loralib(self, placed: dict[str, str]) -> dict[str, str]:
        """Return the paths of a file of loralib, whose names are those of the model that was trained.

        The names may begin with a wrapper of the base. Return nothing if the base has none of the modules.
        """
        assert self.base is not None
        modules = self.base.manifest.modules
        for cut in (0, 1, 2):
            paths = {module: path.split(".", cut)[-1] for module, path in placed.items() if path.count(".") >= cut}
            if any(path in modules for path in paths.values()):
                return paths
        return {}

    def number(self, tensor: TensorInfo) -> float | None:
        """Return the value of a tensor of one value; None for more values or an unsupported dtype."""
        if tensor.values != 1 or tensor.dtype not in (*NUMBERS, "BF16"):
            return None
        raw = b"".join(blocks_of(self.reader, tensor))
        if tensor.dtype == "BF16":
            return float(struct.unpack("<f", b"\0\0" + raw)[0])
        return float(struct.unpack(NUMBERS[tensor.dtype], raw)[0])


def safe_opener(opener: Opener) -> Opener:
    """Return the opener of a file, of a pickle that of its safetensors conversion."""
    with opener() as file:
        return twins.Twin(opener, nested=True) if form_of(file) == "pickle" else opener


def settle(folder: Foreign, family: str) -> None:
    """Set the family of a folder, and the path of its weights."""
    file = next(path for name, _, path in detect(folder.files) if name == family)
    folder.family = family
    beside = [path for path in MLX_FILES if path in folder.files] or MLX_FILES
    folder.weights = beside[0] if file.endswith(".json") else file
